"""Conversion of the histogram of a trend to the buckets of other systems."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from fastload.model.histogram import Int64Array, highest_equivalents
from fastload.model.series import TrendValue

HISTOGRAM_SCHEMA = 5
"""Schema of exponential histograms: 32 buckets per power of two, each 2.2 % wider than the one before."""

CLASSIC_BOUNDS_S = tuple(float(f"{step}e{power}") for power in range(-4, 2) for step in (1, 2.5, 5))
"""Upper bounds of classic buckets for times: 100 µs to 50 s."""
CLASSIC_BOUNDS = tuple(float(f"{step}e{power}") for power in range(-1, 9) for step in (1, 2.5, 5))
"""Upper bounds of classic buckets for values that are not times: 0.1 to 500 million."""


class Exponential(NamedTuple):
    """Counts by exponential bucket, without empty buckets, in ascending order.

    Bucket ``i`` counts the values over ``base ** (i - 1)`` and up to ``base ** i``, with base ``2 ** 2 ** -SCHEMA``.
    *zeros* is the count of values that are 0.
    """

    zeros: int
    buckets: list[int]
    counts: list[int]


def to_exponential(trend: TrendValue, per_unit: float) -> Exponential:
    """Convert *trend* to exponential buckets; its stored integers are divided by *per_unit*.

    A count goes to the bucket of the value that quantiles report for it, which is at most 0.1 % above the true value.
    """
    used = np.flatnonzero(trend.counts)
    counts = trend.counts[used]
    stored = np.clip(_highest_equivalents(len(trend.counts))[used], trend.min, trend.max)
    zeros = int(counts[stored <= 0].sum())
    values, counts = stored[stored > 0] / per_unit, counts[stored > 0]
    index = np.ceil(np.log2(values) * 2**HISTOGRAM_SCHEMA).astype(np.int64)
    buckets, places = np.unique(index, return_inverse=True)
    summed = np.zeros(len(buckets), dtype=np.int64)
    np.add.at(summed, places, counts)
    return Exponential(zeros, buckets.tolist(), summed.tolist())


def counts_up_to(trend: TrendValue, per_unit: float, bounds: Sequence[float]) -> list[int]:
    """Return how many values of *trend* do not exceed each of the ascending *bounds*, to 0.1 % of the bound."""
    so_far = np.cumsum(trend.counts)
    highest = _highest_equivalents(len(so_far))
    # A histogram bucket that contains a bound counts as below the bound.
    places = np.searchsorted(highest, np.floor(np.array(bounds) * per_unit + 1e-9))
    return [int(count) for count in so_far[np.minimum(places, len(so_far) - 1)]]


@cache
def _highest_equivalents(size: int) -> Int64Array:
    """Return the highest value of each of the first *size* buckets. Few sizes occur: histograms grow by doubling."""
    return highest_equivalents(np.arange(size, dtype=np.int64))
