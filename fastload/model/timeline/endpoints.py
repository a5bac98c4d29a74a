"""Endpoints over time: rate, failures and latency of the most frequent request names, as data for charts.

`EndpointLines` takes the table of each second and keeps rows of its own, at most `MOST_ENDPOINT_ROWS`, which are merged
two by two as those of a `Timeline` are: counts and histograms are added, exactly. At most `MOST_ENDPOINTS` endpoints
are followed, so that memory and data stay bounded whatever names a script uses.

An endpoint is followed from its first request on, as long as there is room. Where there is none, it takes the place of
the rarest followed endpoint once it has twice as many requests in all; its earlier rows are None then. Measured calls
are endpoints too, with the method "".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastload.model.bounded_rows import BoundedRows
from fastload.model.histogram import Int64Array
from fastload.model.metrics import HIGHEST_US, KEPT_TAGS, Series
from fastload.model.series import SeriesTable, TrendValue

MOST_ENDPOINTS = 20
MOST_ENDPOINT_ROWS = 300
_SOURCES = {"http_req_failed": "http_req_duration", "call_failed": "call_duration"}
"""Metrics that count what ended and what failed, each with the metric of its latency."""
ENDPOINT_METRICS = frozenset((metric, *KEPT_TAGS[metric]) for pair in _SOURCES.items() for metric in pair)
"""The metrics that are read, each with the names of its tags."""
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_US_PER_MS = 1000
_UINT16, _UINT32 = 2**16 - 1, 2**32 - 1
# Histograms of a cell that wait to be pooled.
_MOST_PARTS = 8
# How many times as many requests as the rarest followed endpoint a newcomer must have. Of many equally frequent
# endpoints, none takes the place of another.
_TAKES_OVER = 2


class Endpoint(NamedTuple):
    """Name of requests and their method, or of measured calls, with the method ""."""

    method: str
    name: str


class _Times(NamedTuple):
    """A histogram of times in less than half of the memory: bucket indexes and counts as small integers."""

    indexes: np.ndarray[Any, np.dtype[np.uint16]]
    counts: np.ndarray[Any, np.dtype[np.uint32]]
    low: int
    high: int

    @classmethod
    def of(cls, trend: TrendValue) -> _Times:
        index, counts = (np.asarray(column) for column in trend.used())
        # A trend of times has fewer than 2**16 buckets, and no second 2**32 requests; a damaged file may.
        return cls(
            np.minimum(index, _UINT16).astype(np.uint16),
            np.minimum(counts, _UINT32).astype(np.uint32),
            trend.min,
            trend.max,
        )


def _pooled(parts: Iterable[_Times]) -> TrendValue:
    """Return the sum of *parts* (one or more); only its buckets, count, minimum and maximum are right."""
    every = list(parts)
    index: Int64Array = np.concatenate([one.indexes for one in every]).astype(np.int64)
    counts: Int64Array = np.concatenate([one.counts for one in every]).astype(np.int64)
    moments = {"lo": min(one.low for one in every), "hi": max(one.high for one in every), "n": int(counts.sum())}
    return TrendValue.from_parts(index, counts, {"top": HIGHEST_US, "s": 0, "q": 0.0, "x": 0, **moments})


@dataclass(slots=True)
class _Cell:
    """One endpoint in one row: what ended, what failed, and how long it took."""

    requests: int
    failed: int
    times: tuple[_Times, ...] = ()
    _shown: tuple[float, ...] | None = None

    def add(self, later: _Cell) -> _Cell:
        """Return the sum of this cell and *later*; neither is changed."""
        times = (*self.times, *later.times)
        if len(times) > _MOST_PARTS:
            times = (_Times.of(_pooled(times)),)
        return _Cell(self.requests + later.requests, self.failed + later.failed, times)

    @property
    def quantiles_ms(self) -> tuple[float | None, ...]:
        if not self.times:
            return (None,) * len(_QUANTILES)
        if self._shown is None:
            whole = _pooled(self.times)
            self._shown = tuple(value / _US_PER_MS for value in whole.quantiles(tuple(_QUANTILES.values())))
        return self._shown


@dataclass(slots=True)
class _Row:
    """The *span_s* seconds until *end_s*, *measured_s* of them after the warm-up: *seconds* tables."""

    end_s: float
    span_s: float
    measured_s: float
    cells: dict[Endpoint, _Cell] = field(default_factory=dict)
    seconds: int = 1

    def copy(self) -> _Row:
        other = copy(self)
        other.cells = dict(self.cells)
        return other

    def merge(self, later: _Row) -> None:
        """Add *later*, the next row, to this row."""
        self.end_s, self.span_s = later.end_s, self.span_s + later.span_s
        self.measured_s += later.measured_s
        self.seconds += later.seconds
        for endpoint, cell in later.cells.items():
            known = self.cells.get(endpoint)
            self.cells[endpoint] = cell if known is None else known.add(cell)


class EndpointLines:
    """The most frequent endpoints over time; *most_endpoints* may be 0, where nobody needs them."""

    def __init__(self, *, most_endpoints: int = MOST_ENDPOINTS, most_rows: int = MOST_ENDPOINT_ROWS) -> None:
        self._most_endpoints = most_endpoints
        self._rows: BoundedRows[_Row] = BoundedRows(most_rows)
        self._totals: Counter[Endpoint] = Counter()
        # The followed endpoints, each with the moment from which on its rows are whole.
        self._since_s: dict[Endpoint, float] = {}

    def add(self, table: SeriesTable, end_s: float, span_s: float, *, is_measured: bool = True) -> None:
        """Add the next second, of which *table* has the series. The table is neither kept nor changed.

        *is_measured* is false in the warm-up, which counts in no series.
        """
        if not self._most_endpoints:
            return
        row = _Row(end_s, span_s, span_s if is_measured else 0.0)
        counted = {endpoint: (ended, failed, latency) for endpoint, ended, failed, latency in _counted(table)}
        self._totals.update({endpoint: ended for endpoint, (ended, _, _) in counted.items()})
        self._follow(counted.keys() - self._since_s.keys(), row)
        for endpoint in self._since_s.keys() & counted.keys():
            ended, failed, latency = counted[endpoint]
            times = table.series_values.get(latency)
            row.cells[endpoint] = _Cell(ended, failed, (_Times.of(times),) if times is not None and times.count else ())
        self._rows.add(row)

    def columns(self, first: int = 0) -> dict[str, Any]:
        """Return the rows from number *first* on, as plain data for JSON.

        - ``first``: the number of the first row; ``step_s``: the seconds of a row; ``t``, ``span``: as in a `Timeline`
        - ``lines``: the followed endpoints, most frequent first: ``{"method", "name", "rate", "failed_rate", "p50",
          "p95", "p99"}``. These columns are what ended and what failed per s, and the latency from sent to done in ms;
          None in the warm-up, and where the endpoint was not yet followed
        - ``left_out``: the number of endpoints that are not followed
        """
        rows = self._rows.rows[first:]
        return {
            "first": first,
            "step_s": self._rows.seconds_per_row,
            "t": [round(row.end_s, 3) for row in rows],
            "span": [round(row.span_s, 6) for row in rows],
            "lines": [self._line(endpoint, rows) for endpoint in sorted(self._since_s, key=self._rank)],
            "left_out": len(self._totals) - len(self._since_s),
        }

    def take_changes(self) -> dict[str, Any]:
        """Return `columns` from the first row on that is new or changed since the last call."""
        return self.columns(self._rows.take_first_changed())

    def copy(self) -> EndpointLines:
        """Return a copy. Merging rows of the copy does not change these."""
        other = copy(self)
        other._rows = self._rows.copy()
        other._totals, other._since_s = self._totals.copy(), dict(self._since_s)
        return other

    def halve(self) -> None:
        """Merge neighbouring rows two by two."""
        self._rows.halve()

    def _rank(self, endpoint: Endpoint) -> tuple[int, Endpoint]:
        return -self._totals[endpoint], endpoint

    def _follow(self, newcomers: Iterable[Endpoint], row: _Row) -> None:
        """Follow those of *newcomers* for which there is room, the most frequent one first, from *row* on."""
        if len(self._since_s) >= self._most_endpoints:
            least = _TAKES_OVER * min(self._totals[endpoint] for endpoint in self._since_s)
            newcomers = [endpoint for endpoint in newcomers if self._totals[endpoint] >= least]
        for endpoint in sorted(newcomers, key=self._rank):
            begin_s = float("-inf")
            if len(self._since_s) >= self._most_endpoints:
                rarest = max(self._since_s, key=self._rank)
                if self._totals[endpoint] < _TAKES_OVER * self._totals[rarest]:
                    break
                begin_s = row.end_s - row.span_s
                self._forget(rarest)
            self._since_s[endpoint] = begin_s
            # All rows have another line now.
            self._rows.change_all()

    def _forget(self, endpoint: Endpoint) -> None:
        del self._since_s[endpoint]
        for row in self._rows.rows:
            row.cells.pop(endpoint, None)

    def _line(self, endpoint: Endpoint, rows: Iterable[_Row]) -> dict[str, Any]:
        since_s = self._since_s[endpoint]
        names = ("rate", "failed_rate", *_QUANTILES)
        columns: dict[str, list[float | None]] = {name: [] for name in names}
        for row in rows:
            cell = row.cells.get(endpoint, _NOTHING)
            values: tuple[float | None, ...] = (None,) * len(names)
            if row.measured_s and row.end_s - row.span_s >= since_s - _ROUNDING_S:
                per_s = (round(count / row.measured_s, 4) for count in (cell.requests, cell.failed))
                values = (*per_s, *cell.quantiles_ms)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        return {"method": endpoint.method, "name": endpoint.name, **columns}


_NOTHING = _Cell(0, 0)
# Moments on the wall clock are rounded to milliseconds.
_ROUNDING_S = 0.002


def _counted(table: SeriesTable) -> Iterator[tuple[Endpoint, int, int, Series]]:
    """Yield each endpoint of *table*: what ended, what failed, and the series of its latency."""
    for series, value in table.series_values.items():
        latency = _SOURCES.get(series.metric)
        if latency is not None and series.is_kept and value.total:
            tags = dict(series.tags)
            endpoint = Endpoint(tags.get("method", ""), tags["name"])
            yield endpoint, value.total, value.trues, Series(latency, series.tags)
