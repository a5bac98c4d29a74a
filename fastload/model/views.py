"""Metrics as they are read: a series table with specs and a duration becomes values in the metrics' units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastload.model.metrics import FAILURE_RATES, Kind, MetricSpec, Series
from fastload.model.series import CounterSink, GaugeSink, MetricSink, RateSink, SeriesTable, TrendSink

if TYPE_CHECKING:
    from fastload.model.judging.thresholds import Threshold

_PERCENTILES = {"p(90)": 0.9, "p(95)": 0.95, "p(99)": 0.99, "p(99.9)": 0.999}


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric of a run, read only. Values are in the metric's unit, times in ms (built in) or as declared.

    ``count`` is a counter's sum or a trend's number of values; ``rate`` a rate's share, or a counter's sum per
    second: of what came within *duration_s*, without the *late* part that came while the last iterations ended.
    What a kind does not have, and a trend or gauge without values, is None.
    """

    spec: MetricSpec
    sink: MetricSink
    duration_s: float
    late: float = 0.0

    def p(self, percent: float) -> float | None:
        """The percentile (0..100) of a trend: exact over all workers, to 0.1 % of the value."""
        if not isinstance(self.sink, TrendSink):
            return None
        value = self.sink.quantile(percent / 100)
        return None if value is None else value / self.spec.scale

    @property
    def avg(self) -> float | None:
        if not isinstance(self.sink, TrendSink) or self.sink.mean is None:
            return None
        return self.sink.mean / self.spec.scale

    @property
    def med(self) -> float | None:
        return self.p(50)

    @property
    def min(self) -> float | None:
        return self._extreme("min")

    @property
    def max(self) -> float | None:
        return self._extreme("max")

    @property
    def count(self) -> float:
        if isinstance(self.sink, CounterSink):
            return self.sink.value
        if isinstance(self.sink, RateSink):
            return self.sink.total
        return self.sink.count if isinstance(self.sink, TrendSink) else 0

    @property
    def rate(self) -> float | None:
        if isinstance(self.sink, RateSink):
            return self.sink.trues / self.sink.total if self.sink.total else None
        if not isinstance(self.sink, CounterSink) or not self.duration_s:
            return None
        return (self.sink.value - self.late) / self.duration_s

    @property
    def value(self) -> float | None:
        return self.sink.value if isinstance(self.sink, GaugeSink) and self.sink.is_set else None

    @property
    def passes(self) -> int:
        """The good ones: true values, and for ``http_req_failed`` and its like those that did not fail."""
        if not isinstance(self.sink, RateSink):
            return 0
        return self.sink.total - self.sink.trues if self.spec.name in FAILURE_RATES else self.sink.trues

    @property
    def fails(self) -> int:
        """All others."""
        return self.sink.total - self.passes if isinstance(self.sink, RateSink) else 0

    def observe(self, threshold: Threshold) -> float | None:
        """The value that *threshold* is about; None without data. A counter that counted nothing is 0."""
        condition = threshold.condition
        if condition.aggregate == "p":
            return self.p(condition.percent)
        value: float | None = getattr(self, condition.aggregate)
        empty_trend = isinstance(self.sink, TrendSink) and not self.sink.count
        return None if empty_trend else value

    def to_dict(self) -> dict[str, float | None]:
        """k6's keys for the metric's kind."""
        if self.spec.kind is Kind.COUNTER:
            return {"count": self.count, "rate": self.rate}
        if self.spec.kind is Kind.GAUGE:
            return {"value": self.value, "min": self.min, "max": self.max}
        if self.spec.kind is Kind.RATE:
            return {"rate": self.rate, "passes": self.passes, "fails": self.fails}
        assert isinstance(self.sink, TrendSink)
        # All at once: a page that shows a thousand series asks for them each second.
        values: list[float | None] = [
            value / self.spec.scale for value in self.sink.quantiles((0.5, *_PERCENTILES.values()))
        ]
        median, *high = values or [None] * (1 + len(_PERCENTILES))
        trend = {"avg": self.avg, "min": self.min, "med": median, "max": self.max}
        return trend | dict(zip(_PERCENTILES, high, strict=True)) | {"count": self.count}

    def _extreme(self, which: str) -> float | None:
        if isinstance(self.sink, GaugeSink) and self.sink.is_set:
            return float(getattr(self.sink, which))
        if isinstance(self.sink, TrendSink) and self.sink.count:
            return float(getattr(self.sink, which)) / self.spec.scale
        return None


def view_metrics(
    table: SeriesTable,
    specs: Mapping[str, MetricSpec],
    duration_s: float,
    late: Mapping[str, float] | None = None,
    asked: Iterable[Series] = (),
) -> dict[str, MetricView]:
    """Every metric of *specs*, with the data of *table* or empty; *late* is what of a counter is in no rate, by label.

    After each metric come its series with tags, by label: those of metrics of the script, those that a filter asked
    for, and of what every run keeps, which is a lot, only those of *asked*.
    """
    late, asked = late or {}, frozenset(asked)
    tagged: dict[str, list[Series]] = {}
    for series in table.sinks:
        if series.tags and (not series.is_kept or series in asked):
            tagged.setdefault(series.metric, []).append(series)
    views = {}
    for name, spec in specs.items():
        for series in (Series(name), *tagged.get(name, ())):
            label = series.label
            views[label] = MetricView(
                spec, table.sinks.get(series) or empty_sink(spec), duration_s, late.get(label, 0.0)
            )
    return views


def empty_sink(spec: MetricSpec) -> MetricSink:
    """What a metric without any value has."""
    match spec.kind:
        case Kind.TREND:
            return TrendSink(spec.highest)
        case Kind.COUNTER:
            return CounterSink()
        case Kind.RATE:
            return RateSink()
        case Kind.GAUGE:
            return GaugeSink()
