"""Views of metrics: values in the metrics' units, computed from a series table, specs and a duration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastload.model.metrics import FAILURE_RATES, Kind, MetricSpec, Series
from fastload.model.public_types import PublicType
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesTable, SeriesValue, TrendValue

if TYPE_CHECKING:
    from fastload.model.judging.thresholds import Threshold

_PERCENTILES = {"p(90)": 0.9, "p(95)": 0.95, "p(99)": 0.99, "p(99.9)": 0.999}


@dataclass(frozen=True, slots=True)
class MetricView(metaclass=PublicType):
    """View of one metric of a run, read only. Values are in the metric's unit; built-in times are in ms.

    ``spec`` has the metric's ``name``, ``kind`` and ``unit``; ``sink`` has its values as they were merged. ``avg``,
    ``min``, ``med`` and ``max`` are of a trend, ``min`` and ``max`` also of a gauge, whose last value is ``value``.
    ``count`` is the sum of a counter, or the number of values of a trend or rate. ``rate`` is the share of a rate, or
    the sum of a counter per second: the counts within *duration_s*, without the *late* part that came while the last
    iterations ended. A value is None if the kind does not have it, or if a trend or gauge has no values.
    """

    spec: MetricSpec
    sink: SeriesValue
    duration_s: float
    late: float = 0.0

    def p(self, percent: float) -> float | None:
        """Return a percentile (0..100) of a trend, over all workers, to 0.1 % of the value; None for other kinds."""
        if not isinstance(self.sink, TrendValue):
            return None
        value = self.sink.quantile(percent / 100)
        return None if value is None else value / self.spec.scale

    @property
    def avg(self) -> float | None:
        if not isinstance(self.sink, TrendValue) or self.sink.mean is None:
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
        if isinstance(self.sink, CounterValue):
            return self.sink.value
        if isinstance(self.sink, RateValue):
            return self.sink.total
        return self.sink.count if isinstance(self.sink, TrendValue) else 0

    @property
    def rate(self) -> float | None:
        if isinstance(self.sink, RateValue):
            return self.sink.trues / self.sink.total if self.sink.total else None
        if not isinstance(self.sink, CounterValue) or not self.duration_s:
            return None
        return (self.sink.value - self.late) / self.duration_s

    @property
    def value(self) -> float | None:
        return self.sink.value if isinstance(self.sink, GaugeValue) and self.sink.is_set else None

    @property
    def passes(self) -> int:
        """Good values of a rate: the true values; for failure rates like ``http_req_failed`` the false values."""
        if not isinstance(self.sink, RateValue):
            return 0
        return self.sink.total - self.sink.trues if self.spec.name in FAILURE_RATES else self.sink.trues

    @property
    def fails(self) -> int:
        """Bad values of a rate: all values that are not `passes`."""
        return self.sink.total - self.passes if isinstance(self.sink, RateValue) else 0

    def _observe(self, threshold: Threshold) -> float | None:
        """Return the observed value of *threshold*; None without data. A counter that counted nothing is 0."""
        condition = threshold.condition
        if condition.aggregate == "p":
            return self.p(condition.percent)
        value: float | None = getattr(self, condition.aggregate)
        empty_trend = isinstance(self.sink, TrendValue) and not self.sink.count
        return None if empty_trend else value

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data with k6's keys for the kind of the metric."""
        if self.spec.kind is Kind.COUNTER:
            return {"count": self.count, "rate": self.rate}
        if self.spec.kind is Kind.GAUGE:
            return {"value": self.value, "min": self.min, "max": self.max}
        if self.spec.kind is Kind.RATE:
            return {"rate": self.rate, "passes": self.passes, "fails": self.fails}
        assert isinstance(self.sink, TrendValue)
        # All quantiles in one call: a page with a thousand series asks for them each second.
        values: list[float | None] = [
            value / self.spec.scale for value in self.sink.quantiles((0.5, *_PERCENTILES.values()))
        ]
        median, *high = values or [None] * (1 + len(_PERCENTILES))
        trend = {"avg": self.avg, "min": self.min, "med": median, "max": self.max}
        return trend | dict(zip(_PERCENTILES, high, strict=True)) | {"count": self.count}

    def _extreme(self, which: str) -> float | None:
        if isinstance(self.sink, GaugeValue) and self.sink.is_set:
            return float(getattr(self.sink, which))
        if isinstance(self.sink, TrendValue) and self.sink.count:
            return float(getattr(self.sink, which)) / self.spec.scale
        return None


def view_metrics(
    table: SeriesTable,
    specs: Mapping[str, MetricSpec],
    duration_s: float,
    late: Mapping[str, float] | None = None,
    asked: Iterable[Series] = (),
) -> dict[str, MetricView]:
    """Return the views of all metrics of *specs* by label, with the data of *table* or empty.

    After each metric come its series with tags: series of user metrics, and series that a filter asked for. Of the many
    series that every run keeps, only those in *asked* are included. *late* is the part of each counter that counts in
    no rate per second, by label.
    """
    late, asked = late or {}, frozenset(asked)
    tagged: dict[str, list[Series]] = {}
    for series in table.series_values:
        if series.tags and (not series.is_kept or series in asked):
            tagged.setdefault(series.metric, []).append(series)
    views = {}
    for name, spec in specs.items():
        for series in (Series(name), *tagged.get(name, ())):
            label = series.label
            views[label] = MetricView(
                spec, table.series_values.get(series) or empty_value(spec), duration_s, late.get(label, 0.0)
            )
    return views


def empty_value(spec: MetricSpec) -> SeriesValue:
    """Return the sink of a metric without values."""
    match spec.kind:
        case Kind.TREND:
            return TrendValue(spec.highest)
        case Kind.COUNTER:
            return CounterValue()
        case Kind.RATE:
            return RateValue()
        case Kind.GAUGE:
            return GaugeValue()
