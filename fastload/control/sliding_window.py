"""Sliding windows of thresholds: the data of the last second, or of the last seconds, of a metric or resource."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastload.model.judging.threshold_grammar import RESOURCE
from fastload.model.judging.thresholds import Threshold
from fastload.model.metrics import Kind
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesTable, SeriesValue, TrendValue
from fastload.model.views import MetricView

SLACK_S = 0.1
"""Tolerance of a full window: the parent's seconds are not exact, so data this much shorter than a window fills it."""

_EMPTY: dict[str, type[CounterValue] | type[GaugeValue] | type[RateValue]] = {
    Kind.COUNTER: CounterValue,
    Kind.GAUGE: GaugeValue,
    Kind.RATE: RateValue,
}


@dataclass(frozen=True, slots=True)
class Second:
    """Measurements of about one second: *length_s* long, up to *t_s* seconds after the measurement began.

    *table*: the watched series. *resources*: the sampled values of `resources.RESOURCE_METRICS`, by name.
    """

    t_s: float
    length_s: float
    table: SeriesTable
    resources: Mapping[str, float]


class SlidingWindow(ABC):
    """Window over the last seconds of one threshold's data, *keep_s* long: 0 keeps only the last second, inf all."""

    def __init__(self, threshold: Threshold, keep_s: float) -> None:
        self.threshold = threshold
        self.length_s = 0.0
        self._keep_s = keep_s
        self._lengths_s: deque[float] = deque()

    @property
    def is_full(self) -> bool:
        return self.length_s >= self._keep_s - SLACK_S

    def add(self, second: Second) -> None:
        """Add *second*, and drop the seconds that are too old now."""
        self._push(second)
        self._lengths_s.append(second.length_s)
        self.length_s += second.length_s
        while len(self._lengths_s) > 1 and self.length_s - self._lengths_s[0] >= self._keep_s - SLACK_S:
            self._drop()
            self.length_s -= self._lengths_s.popleft()

    @abstractmethod
    def observe(self) -> float | None:
        """Return the threshold's value over the window; None without data."""

    @abstractmethod
    def _push(self, second: Second) -> None:
        """Add the threshold's data of *second*."""

    @abstractmethod
    def _drop(self) -> None:
        """Drop the data of the oldest second."""


class _ResourceWindow(SlidingWindow):
    """Window of a resource: one value per second, None without a sample."""

    def __init__(self, threshold: Threshold, keep_s: float) -> None:
        super().__init__(threshold, keep_s)
        self._values: deque[float | None] = deque()
        self._sorted: list[float] = []
        self._last: float | None = None

    def observe(self) -> float | None:
        values, condition = self._sorted, self.threshold.condition
        if not values:
            return None
        match condition.aggregate:
            case "avg":
                return math.fsum(values) / len(values)
            case "value":
                return self._last
            case "min":
                return values[0]
            case "max":
                return values[-1]
        percent = 50.0 if condition.aggregate == "med" else condition.percent
        # The rank is rounded up, as in `Histogram.quantile`.
        return values[max(1, math.ceil(percent / 100 * len(values) - 1e-9)) - 1]

    def _push(self, second: Second) -> None:
        value = second.resources.get(self.threshold.series.metric)
        self._values.append(value)
        if value is not None:
            insort(self._sorted, value)
            self._last = value

    def _drop(self) -> None:
        value = self._values.popleft()
        if value is not None:
            del self._sorted[bisect_left(self._sorted, value)]


class _SeriesWindow(SlidingWindow):
    """Window of a counter, gauge or rate: one small sink of the metric per second, None without data."""

    def __init__(self, threshold: Threshold, keep_s: float) -> None:
        super().__init__(threshold, keep_s)
        self._sinks: deque[Any] = deque()

    def observe(self) -> float | None:
        merged: Any = _EMPTY[self.threshold.kind]()
        for series_value in self._sinks:
            if series_value is not None:
                merged.merge(series_value)
        return _observe(self, merged)

    def _push(self, second: Second) -> None:
        self._sinks.append(second.table.series_values.get(self.threshold.series))

    def _drop(self) -> None:
        self._sinks.popleft()


class _TrendWindow(SlidingWindow):
    """Window of a trend: one sparse histogram per second, and their sum, which each add and drop updates."""

    def __init__(self, threshold: Threshold, keep_s: float) -> None:
        super().__init__(threshold, keep_s)
        self._packed: deque[dict[str, Any] | None] = deque()
        self._sum = TrendValue(threshold.spec.highest)

    def observe(self) -> float | None:
        return _observe(self, self._sum)

    def _push(self, second: Second) -> None:
        series_value: TrendValue | None = second.table.series_values.get(self.threshold.series)
        has_data = series_value is not None and series_value.count
        self._packed.append(series_value.to_sparse() if series_value is not None and has_data else None)
        if series_value is not None:
            self._sum.merge(series_value)

    def _drop(self) -> None:
        packed = self._packed.popleft()
        if packed is None:
            return
        old, total = TrendValue.from_sparse(packed), self._sum
        size = min(len(old.counts), len(total.counts))
        total.counts[:size] -= old.counts[:size]
        total.count -= old.count
        total.sum -= old.sum
        rest = [entry for entry in self._packed if entry is not None]
        total.sum_squares = math.fsum(entry["q"] for entry in rest)
        total.min = min((entry["lo"] for entry in rest), default=total.highest)
        total.max = max((entry["hi"] for entry in rest), default=0)


def sliding_window(threshold: Threshold, keep_s: float) -> SlidingWindow:
    """Return a window of *keep_s* seconds for *threshold*, which must not be one on the verdict."""
    if threshold.kind == RESOURCE:
        return _ResourceWindow(threshold, keep_s)
    return _TrendWindow(threshold, keep_s) if threshold.kind == Kind.TREND else _SeriesWindow(threshold, keep_s)


def _observe(window: SlidingWindow, series_value: SeriesValue) -> float | None:
    return MetricView(window.threshold.spec, series_value, window.length_s)._observe(window.threshold)
