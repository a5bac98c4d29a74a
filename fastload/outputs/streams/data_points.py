"""Data points for monitoring systems: the series of all metrics, without double counting, and the state of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from fastload.model.metrics import BUILTIN, SCENARIO_METRICS, Kind, MetricSpec, Series
from fastload.model.records import Snapshot
from fastload.model.resources import resource_values
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesTable, SeriesValue, TrendValue

_PLACE_TAGS = frozenset(("scenario", "group"))
_VERDICTS = {"VALID": 0, "SUSPECT": 1, "INVALID": 2}


def _specs(kind: Kind, unit: str, *names: str) -> dict[str, MetricSpec]:
    return {name: MetricSpec(name, kind, unit) for name in names}


RUN_STATE_SPECS: dict[str, MetricSpec] = {
    **_specs(Kind.COUNTER, "", "errors", "exceptions", "offered_iterations"),
    **_specs(Kind.GAUGE, "", "in_flight", "workers_alive", "workers_lost", "verdict", "threshold_ok", "target_fds"),
    **_specs(Kind.GAUGE, "%", "host_cpu", "worker_cpu", "target_cpu"),
    **_specs(Kind.GAUGE, "bytes", "host_memory", "worker_memory", "target_memory"),
    **_specs(Kind.GAUGE, "bytes/s", "host_net_sent", "host_net_received"),
    **_specs(Kind.GAUGE, "ms", "worker_lag_max"),
}
"""Metrics of the state of the run, which are sent too. A metric of the script with the same name replaces one."""


class DataPoint(NamedTuple):
    """One series to send: *spec* has name, kind and unit of the metric, *tags* are sorted (name, value) pairs."""

    spec: MetricSpec
    tags: tuple[tuple[str, str], ...]
    series_value: SeriesValue


class DataPointSelector:
    """Selects the series of a table to send, for the run of *header*.

    A metric may count one value in several series. Each value is sent in one of them only, so that the sum over all
    series of a metric is right. If series with tags are sent, the series without tags has only the values that are in
    none of them; for a gauge it has the whole value. Series of script metrics that a threshold asks for are left out if
    they have the tag ``scenario`` or ``group`` or a tag of a scenario, or if another series has the same tags and more.
    The series by scenario of a run with several scenarios are sent as metrics of their own, like
    ``scenario_http_reqs``; a metric of the script with that name replaces them.
    """

    def __init__(self, header: RunHeader) -> None:
        self._script = frozenset(name for name in header.specs if name not in BUILTIN)
        self._specs = {**RUN_STATE_SPECS, **BUILTIN, **header.specs}
        self._by_scenario = {
            name: MetricSpec(f"scenario_{name}", BUILTIN[name].kind, BUILTIN[name].unit)
            for name in SCENARIO_METRICS
            if f"scenario_{name}" not in header.specs
        }
        self._hidden = frozenset(name for name in RUN_STATE_SPECS if name in header.specs)
        self._threshold_series = frozenset(text.rpartition(": ")[0] for text in header.thresholds)
        self._scope_tags = _PLACE_TAGS.union(*_tags_of_scenarios(header))

    def specs(self) -> list[MetricSpec]:
        """Return all metrics that may be sent: fastload's own, and then those of the script, by name."""
        own = [spec for name, spec in self._specs.items() if name not in self._script]
        return [*own, *self._by_scenario.values(), *(self._specs[name] for name in sorted(self._script))]

    def window(self, snapshot: Snapshot) -> SeriesTable:
        """Return metrics and state of one second. The table shares sinks with *snapshot*: do not change it."""
        run_sinks = {
            series: series_value for series, series_value in _run_sinks(snapshot) if series.metric not in self._hidden
        }
        return SeriesTable({**snapshot.table.series_values, **run_sinks})

    def data_points(self, table: SeriesTable) -> Iterator[DataPoint]:
        """Yield the data points to send of *table*, metric by metric."""
        ordered = sorted(table.series_values.items(), key=lambda item: item[0])
        for metric, group in groupby(ordered, key=lambda item: item[0].metric):
            spec = self._specs.get(metric)
            if spec is not None:
                yield from self._of_metric(spec, dict(group))

    def _of_metric(self, spec: MetricSpec, series_values: dict[Series, Any]) -> Iterator[DataPoint]:
        parts = {
            series: series_value
            for series, series_value in series_values.items()
            if self._is_part(series, series_values)
        }
        for series, series_value in parts.items():
            yield DataPoint(spec, series.tags, series_value)
        total = series_values.get(Series(spec.name))
        if total is not None and (not parts or spec.kind is Kind.GAUGE):
            yield DataPoint(spec, (), total)
        elif total is not None and (rest := _without(total, parts.values())) is not None:
            yield DataPoint(spec, (), rest)
        own = self._by_scenario.get(spec.name)
        if own is not None:
            for series, series_value in series_values.items():
                if [key for key, _ in series.tags] == ["scenario"]:
                    yield DataPoint(own, series.tags, series_value)

    def _is_part(self, series: Series, series_values: Iterable[Series]) -> bool:
        if not series.tags:
            return False
        if series.metric in BUILTIN:
            return series.is_kept
        if series.label not in self._threshold_series:
            return True
        # A series of a threshold: its values are also in series with more tags, or in other series of the same scope.
        tags = set(series.tags)
        wider = any(tags < set(other.tags) for other in series_values)
        return not wider and not self._scope_tags & {key for key, _ in series.tags}


class RunTotals:
    """Totals of the run so far: the sum of all added seconds. Gauges have their last value."""

    def __init__(self, selector: DataPointSelector) -> None:
        self._selector = selector
        self._table = SeriesTable()

    def add(self, snapshot: Snapshot) -> None:
        self._table.merge(self._selector.window(snapshot))

    def data_points(self) -> Iterator[DataPoint]:
        return self._selector.data_points(self._table)


def common_tags(header: RunHeader) -> dict[str, str]:
    """Return the tags that all scenarios have with the same value, like those of ``--tag``."""
    first, *others = [*_tags_of_scenarios(header)] or [{}]
    return {key: value for key, value in first.items() if all(tags.get(key) == value for tags in others)}


def _tags_of_scenarios(header: RunHeader) -> Iterator[dict[str, str]]:
    for scenario in header.plan.get("scenarios", ()):
        yield {str(key): str(value) for key, value in scenario.get("tags", {}).items()}


def _run_sinks(snapshot: Snapshot) -> Iterator[tuple[Series, CounterValue | GaugeValue]]:
    for name, table in (("errors", snapshot.errors), ("exceptions", snapshot.exceptions)):
        for kind, (count, _) in table.entries.items():
            yield Series.of(name, kind=kind), CounterValue(count)
    if snapshot.offered:
        yield Series("offered_iterations"), CounterValue(snapshot.offered)
    for series, value in _run_gauges(snapshot):
        yield series, GaugeValue(value, value, value)


def _run_gauges(snapshot: Snapshot) -> Iterator[tuple[Series, float]]:
    for name in ("in_flight", "workers_alive", "workers_lost"):
        yield Series(name), getattr(snapshot, name)
    values = resource_values(snapshot.host, (), snapshot.target)
    yield from ((Series(name), value) for name, value in values.items())
    if snapshot.host is not None:
        yield Series("host_net_sent"), snapshot.host.net_sent_bytes_per_s
        yield Series("host_net_received"), snapshot.host.net_received_bytes_per_s
    for sample in snapshot.workers:
        worker = sample.label.removeprefix("worker ")
        yield Series.of("worker_cpu", worker=worker), sample.cpu_percent
        yield Series.of("worker_memory", worker=worker), sample.rss_bytes
    for index, lag_ms in enumerate(snapshot.lag_max_ms):
        yield Series.of("worker_lag_max", worker=str(index)), lag_ms
    for result in snapshot.thresholds:
        yield Series.of("threshold_ok", threshold=f"{result.metric}: {result.expression}"), float(result.ok)
    if snapshot.verdict is not None:
        yield Series("verdict"), _VERDICTS[snapshot.verdict.state]


def _without(total: Any, parts: Iterable[Any]) -> SeriesValue | None:
    """Return *total* without the values of *parts*, which do not overlap; None if nothing is left."""
    parts = list(parts)
    if isinstance(total, CounterValue):
        value = total.value - sum(part.value for part in parts)
        # With floats, the sum of all parts may differ from the total in the last bits.
        return CounterValue(value) if abs(value) > 1e-9 * abs(total.value) else None
    if isinstance(total, RateValue):
        trues, of = (getattr(total, name) - sum(getattr(part, name) for part in parts) for name in ("trues", "total"))
        return RateValue(trues, of) if of > 0 else None
    return _trend_without(total, parts)


def _trend_without(total: TrendValue, parts: Iterable[TrendValue]) -> TrendValue | None:
    if total.count <= sum(part.count for part in parts):
        return None
    rest = TrendValue(total.highest)
    rest.merge(total)
    for part in parts:
        size = min(len(part.counts), len(rest.counts))
        rest.counts[:size] -= part.counts[:size]
        rest.count -= part.count
        rest.sum -= part.sum
    np.maximum(rest.counts, 0, out=rest.counts)
    return rest
