"""Series: the values of metrics by tag set, and the table of series that workers send and the parent merges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastload.model.histogram import Histogram
from fastload.model.metrics import HIGHEST_US, Series


@dataclass(slots=True)
class CounterSink:
    """Sum of the values of a counter."""

    value: float = 0

    def merge(self, other: CounterSink) -> None:
        self.value += other.value

    def to_plain(self) -> list[float]:
        return [self.value]


@dataclass(slots=True)
class GaugeSink:
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

    def merge(self, other: GaugeSink) -> None:
        """Add *other*, whose values are later. It changes nothing when it was never set."""
        if other.is_set:
            self.value, self.min, self.max = other.value, min(self.min, other.min), max(self.max, other.max)

    def to_plain(self) -> list[float]:
        return [self.value, self.min, self.max]


@dataclass(slots=True)
class RateSink:
    """Numbers of true values and of all values of a rate."""

    trues: int = 0
    total: int = 0

    def merge(self, other: RateSink) -> None:
        self.trues += other.trues
        self.total += other.total

    def to_plain(self) -> list[int]:
        return [self.trues, self.total]


class TrendSink(Histogram):
    """Histogram of the values of a trend, with the interface of the other sinks."""

    __slots__ = ()

    def merge(self, other: TrendSink) -> None:
        self.add(other)

    def to_plain(self) -> dict[str, Any]:
        return self.to_sparse()


MetricSink = CounterSink | GaugeSink | RateSink | TrendSink
_SINK_OF_KIND: dict[str, type[CounterSink] | type[GaugeSink] | type[RateSink]] = {
    "counter": CounterSink,
    "gauge": GaugeSink,
    "rate": RateSink,
}
_KIND_OF_SINK: dict[type[Any], str] = {
    CounterSink: "counter",
    GaugeSink: "gauge",
    RateSink: "rate",
    TrendSink: "trend",
}


@dataclass(slots=True)
class SeriesTable:
    """Table of all series of one process, or of the whole run. Merging tables is exact and keeps every count."""

    sinks: dict[Series, Any] = field(default_factory=dict)

    def counter(self, series: Series) -> CounterSink:
        """Return the counter of *series*; make it if it is new. `gauge`, `rate` and `trend` do the same."""
        sink = self.sinks.get(series)
        if sink is None:
            sink = self.sinks[series] = CounterSink()
        return sink

    def gauge(self, series: Series) -> GaugeSink:
        sink = self.sinks.get(series)
        if sink is None:
            sink = self.sinks[series] = GaugeSink()
        return sink

    def rate(self, series: Series) -> RateSink:
        sink = self.sinks.get(series)
        if sink is None:
            sink = self.sinks[series] = RateSink()
        return sink

    def trend(self, series: Series, highest: int = HIGHEST_US) -> TrendSink:
        sink = self.sinks.get(series)
        if sink is None:
            sink = self.sinks[series] = TrendSink(highest)
        return sink

    def merge(self, other: SeriesTable) -> None:
        """Add *other*. Sinks that are new here are copied, so that the two tables share no sinks afterwards."""
        for series, sink in other.sinks.items():
            mine = self.sinks.get(series)
            if mine is None:
                mine = self.sinks[series] = TrendSink(sink.highest) if type(sink) is TrendSink else type(sink)()
            mine.merge(sink)

    @classmethod
    def merged(cls, tables: Sequence[SeriesTable]) -> SeriesTable:
        """Return the sum of *tables*, with trends that hold only non-empty buckets. It reuses sinks of *tables*."""
        if len(tables) == 1:
            return tables[0]
        found: dict[Series, list[Any]] = {}
        for table in tables:
            for series, sink in table.sinks.items():
                found.setdefault(series, []).append(sink)
        return cls({series: _merged(sinks) for series, sinks in found.items()})

    def of_metric(self, metric: str) -> Iterator[tuple[dict[str, str], Any]]:
        """Return an iterator over ``(tags, sink)`` of the tagged series of *metric*."""
        return (
            (dict(series.tags), sink) for series, sink in self.sinks.items() if series.metric == metric and series.tags
        )

    def get(self, metric: str) -> Any:
        """Return the sink of the series of *metric* without tags, or None."""
        return self.sinks.get(Series(metric))

    def to_plain(self) -> list[list[Any]]:
        """Return rows of [metric, flat tags, kind, sink] for a frame."""
        return [
            [
                series.metric,
                [text for pair in series.tags for text in pair],
                _KIND_OF_SINK[type(sink)],
                sink.to_plain(),
            ]
            for series, sink in self.sinks.items()
        ]

    @classmethod
    def from_plain(cls, rows: Iterable[list[Any]]) -> SeriesTable:
        """Return the table of *rows*, the result of `to_plain`."""
        sinks: dict[Series, Any] = {}
        for metric, flat, kind, plain in rows:
            series = Series(metric, tuple(zip(flat[::2], flat[1::2], strict=True)))
            sinks[series] = TrendSink.from_sparse(plain) if kind == "trend" else _SINK_OF_KIND[kind](*plain)
        return cls(sinks)


def _merged(sinks: Sequence[Any]) -> Any:
    """Return the sum of the *sinks* of one series. The first sink may be changed."""
    first, *others = sinks
    if others and type(first) is TrendSink:
        return TrendSink.pooled(sinks)
    for other in others:
        first.merge(other)
    return first
