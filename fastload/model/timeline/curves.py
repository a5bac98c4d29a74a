"""Chart data of a distribution of times: the percentile curve, and the bands of a heat map."""

from __future__ import annotations

import math

import numpy as np

from fastload.model.histogram import Histogram, highest_equivalents

BANDS_PER_DECADE = 16
BANDS = BANDS_PER_DECADE * 10
"""Bands from 1 µs to 10,000 s. All values of a trend of times (up to one hour) lie within."""
_US_PER_MS = 1000
_POINTS_PER_DECADE = 24


def band_bounds_ms() -> list[float]:
    """Return the ``BANDS + 1`` bounds of the bands, on a log scale: band i is ``[bounds[i], bounds[i + 1])``, in ms."""
    return [float(f"{10 ** (step / BANDS_PER_DECADE - 3):.5g}") for step in range(BANDS + 1)]


def band_counts(histogram: Histogram) -> list[int]:
    """Return the number of values in each band for a trend of times: ``[first band, count, count, ...]``.

    The counts are those of the first band that has values, of the next band, and so on, up to the last band that has
    values. The list is empty without values. Values under a microsecond are in band 0.
    """
    index, used = histogram.used()
    if not len(index):
        return []
    bands = np.floor(np.log10(np.maximum(highest_equivalents(index), 1)) * BANDS_PER_DECADE).astype(np.int64)
    counts = np.bincount(np.minimum(bands, BANDS - 1), weights=used)
    first = int(bands[0])
    return [first, *(int(count) for count in counts[first:])]


def percentile_curve(histogram: Histogram) -> dict[str, list[float]]:
    """Return the percentile curve of a trend of times, as HdrHistogram's plotter draws it.

    ``x`` is 1 / (1 - p), for a log axis: 10 is p90, 100 is p99. It goes from 1 up to the number of values. ``y`` is the
    percentile in ms; the last one is the greatest value. Both lists are empty without values.
    """
    if not histogram.count:
        return {"x": [], "y": []}
    levels = _levels(histogram.count)
    values = histogram.quantiles([*(1 - 1 / level for level in levels[:-1]), 1.0])
    values[0] = histogram.min if histogram.count > 1 else values[0]
    return {"x": levels, "y": [value / _US_PER_MS for value in values]}


def _levels(count: int) -> list[float]:
    """Return the ``x`` of a curve's points: equal steps on the log axis, with p50, p90, p95, p99 and so on exactly."""
    steps = math.floor(math.log10(count) * _POINTS_PER_DECADE)
    levels = {float(f"{10 ** (step / _POINTS_PER_DECADE):.6g}") for step in range(steps + 1)} | {2.0, 20.0}
    return [*sorted(level for level in levels if level < count), float(count)]
