"""Series: the values of metrics by tag set, and the table of series that workers send and the parent merges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastload.model.histogram import Histogram
from fastload.model.metrics import HIGHEST_US, Series


@dataclass(slots=True)
class CounterValue:
    """Sum of the values of a counter."""

    value: float = 0

    def merge(self, other: CounterValue) -> None:
        self.value += other.value

    def to_plain(self) -> list[float]:
        return [self.value]


@dataclass(slots=True)
class GaugeValue:
    """Last, least and greatest value of a gauge."""

    value: float = 0
    min: float = float("inf")
    max: float = float("-inf")

    @property
    def is_set(self) -> bool:
        return self.min <= self.max

    def set(self, value: float) -> None:
        """Make *value* the last value."""
        self.value, self.min, self.max = value, min(self.min, value), max(self.max, value)

    def merge(self, other: GaugeValue) -> None:
        """Add *other*, whose values are later. It changes nothing when it was never set."""
        if other.is_set:
            self.value, self.min, self.max = other.value, min(self.min, other.min), max(self.max, other.max)

    def to_plain(self) -> list[float]:
        return [self.value, self.min, self.max]


@dataclass(slots=True)
class RateValue:
    """Numbers of true values and of all values of a rate."""

    trues: int = 0
    total: int = 0

    def merge(self, other: RateValue) -> None:
        self.trues += other.trues
        self.total += other.total

    def to_plain(self) -> list[int]:
        return [self.trues, self.total]


class TrendValue(Histogram):
    """Histogram of the values of a trend, with the interface of the other sinks."""

    __slots__ = ()

    def merge(self, other: TrendValue) -> None:
        self.add(other)

    def to_plain(self) -> dict[str, Any]:
        return self.to_sparse()


SeriesValue = CounterValue | GaugeValue | RateValue | TrendValue
_VALUE_OF_KIND: dict[str, type[CounterValue] | type[GaugeValue] | type[RateValue]] = {
    "counter": CounterValue,
    "gauge": GaugeValue,
    "rate": RateValue,
}
_KIND_OF_VALUE: dict[type[Any], str] = {
    CounterValue: "counter",
    GaugeValue: "gauge",
    RateValue: "rate",
    TrendValue: "trend",
}

# Tables and series that wait to be merged: enough to be fast, and few enough to take no time at once, nor much memory.
_GROUP_TABLES, _GROUP_SERIES = 32, 4096


@dataclass(slots=True)
class SeriesTable:
    """Table of all series of one process, or of the whole run. Merging tables is exact and keeps every count."""

    series_values: dict[Series, Any] = field(default_factory=dict)

    def counter(self, series: Series) -> CounterValue:
        """Return the counter of *series*; make it if it is new. `gauge`, `rate` and `trend` do the same."""
        series_value = self.series_values.get(series)
        if series_value is None:
            series_value = self.series_values[series] = CounterValue()
        return series_value

    def gauge(self, series: Series) -> GaugeValue:
        series_value = self.series_values.get(series)
        if series_value is None:
            series_value = self.series_values[series] = GaugeValue()
        return series_value

    def rate(self, series: Series) -> RateValue:
        series_value = self.series_values.get(series)
        if series_value is None:
            series_value = self.series_values[series] = RateValue()
        return series_value

    def trend(self, series: Series, highest: int = HIGHEST_US) -> TrendValue:
        series_value = self.series_values.get(series)
        if series_value is None:
            series_value = self.series_values[series] = TrendValue(highest)
        return series_value

    def merge(self, other: SeriesTable) -> None:
        """Add *other*. Sinks that are new here are copied, so that the two tables share no sinks afterwards."""
        for series, series_value in other.series_values.items():
            mine = self.series_values.get(series)
            if mine is None:
                mine = self.series_values[series] = (
                    TrendValue(series_value.highest) if type(series_value) is TrendValue else type(series_value)()
                )
            mine.merge(series_value)

    def merge_all(self, tables: Sequence[SeriesTable]) -> None:
        """Add *tables*, one after the other: the same result as of `merge`, and several times as fast for many."""
        trends: dict[Series, list[TrendValue]] = {}
        for table in tables:
            for series, series_value in table.series_values.items():
                mine = self.series_values.get(series)
                if type(series_value) is TrendValue:
                    if mine is None:
                        self.series_values[series] = TrendValue(series_value.highest)
                    trends.setdefault(series, []).append(series_value)
                    continue
                if mine is None:
                    mine = self.series_values[series] = type(series_value)()
                mine.merge(series_value)
        for series, series_values in trends.items():
            self.series_values[series].add_all(series_values)

    @classmethod
    def merged(cls, tables: Sequence[SeriesTable]) -> SeriesTable:
        """Return the sum of *tables*, with trends that hold only non-empty buckets. It reuses sinks of *tables*."""
        if len(tables) == 1:
            return tables[0]
        found: dict[Series, list[Any]] = {}
        for table in tables:
            for series, series_value in table.series_values.items():
                found.setdefault(series, []).append(series_value)
        return cls({series: _merged(series_values) for series, series_values in found.items()})

    def of_metric(self, metric: str) -> Iterator[tuple[dict[str, str], Any]]:
        """Return an iterator over ``(tags, sink)`` of the tagged series of *metric*."""
        return (
            (dict(series.tags), series_value)
            for series, series_value in self.series_values.items()
            if series.metric == metric and series.tags
        )

    def get(self, metric: str) -> Any:
        """Return the sink of the series of *metric* without tags, or None."""
        return self.series_values.get(Series(metric))

    def to_plain(self) -> list[list[Any]]:
        """Return rows of [metric, flat tags, kind, sink] for a frame."""
        return [
            [
                series.metric,
                [text for pair in series.tags for text in pair],
                _KIND_OF_VALUE[type(series_value)],
                series_value.to_plain(),
            ]
            for series, series_value in self.series_values.items()
        ]

    @classmethod
    def from_plain(cls, rows: Iterable[list[Any]]) -> SeriesTable:
        """Return the table of *rows*, the result of `to_plain`."""
        series_values: dict[Series, Any] = {}
        for metric, flat, kind, plain in rows:
            series = Series(metric, tuple(zip(flat[::2], flat[1::2], strict=True)))
            series_values[series] = TrendValue.from_sparse(plain) if kind == "trend" else _VALUE_OF_KIND[kind](*plain)
        return cls(series_values)


class SeriesTotal:
    """Sum of many tables, which it merges in groups: they must not change after they were added."""

    def __init__(self) -> None:
        self._table = SeriesTable()
        self._waiting: list[SeriesTable] = []
        self._waiting_series = 0

    def add(self, table: SeriesTable) -> None:
        self._waiting.append(table)
        self._waiting_series += len(table.series_values)
        if len(self._waiting) >= _GROUP_TABLES or self._waiting_series >= _GROUP_SERIES:
            self._merge()

    @property
    def table(self) -> SeriesTable:
        """The sum so far."""
        self._merge()
        return self._table

    def _merge(self) -> None:
        self._table.merge_all(self._waiting)
        self._waiting, self._waiting_series = [], 0


def _merged(series_values: Sequence[Any]) -> Any:
    """Return the sum of the *sinks* of one series. The first sink may be changed."""
    first, *others = series_values
    if others and type(first) is TrendValue:
        return TrendValue.pooled(series_values)
    for other in others:
        first.merge(other)
    return first
