"""Names, labels and values for Prometheus: a prefix, base units, and only valid characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fastload.model.metrics import Kind, MetricSpec
from fastload.model.series import CounterValue, GaugeValue, RateValue
from fastload.outputs.streams.data_points import DataPoint

PREFIX = "fastload_"

_SECONDS = {"us": 1e6, "ms": 1e3, "s": 1.0}
_UNIT_NAMES = {"%": "percent", "bytes/s": "bytes_per_second"}
_SUFFIXES = {
    Kind.COUNTER: ("total",),
    Kind.GAUGE: (),
    Kind.RATE: ("true", "true_total", "samples", "samples_total", "rate"),
    Kind.TREND: ("bucket", "count", "sum", "quantile"),
}
_TAKEN_LABELS = frozenset(("le", "quantile", "job", "instance"))


def per_base_unit(spec: MetricSpec) -> float:
    """Return how many units of the metric make one base unit of Prometheus: 1,000 for ms, whose base unit is s."""
    return _SECONDS.get(spec.unit, 1.0)


def is_time(spec: MetricSpec) -> bool:
    return spec.unit in _SECONDS


def base_name(spec: MetricSpec) -> str:
    """Return the name of the metric with prefix and unit, like ``fastload_http_req_duration_seconds``."""
    unit = "seconds" if is_time(spec) else _UNIT_NAMES.get(spec.unit, re.sub(r"\W+", "_", spec.unit).strip("_"))
    unit = unit.encode("ascii", "ignore").decode()
    name = PREFIX + spec.name
    return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


class PrometheusNames:
    """Names of the metrics *specs* of a run, each with a name of its own.

    A metric is sent under several names, like ``_total``, ``_true_total`` or ``_bucket``. If one of them is that of an
    earlier metric of *specs*, the metric gets a number: ``fastload_login_true_2_total``.
    """

    def __init__(self, specs: Iterable[MetricSpec]) -> None:
        self._names: dict[str, str] = {}
        taken = {f"{PREFIX}run"}
        for spec in specs:
            number, name = 1, base_name(spec)
            while not taken.isdisjoint(_exported(spec.kind, name)):
                number += 1
                name = f"{base_name(spec)}_{number}"
            taken.update(_exported(spec.kind, name))
            self._names[spec.name] = name

    def of(self, spec: MetricSpec) -> str:
        """Return the name of the metric, with prefix and unit."""
        return self._names[spec.name]


def _exported(kind: Kind, name: str) -> set[str]:
    """Return the names of all samples and families of a metric."""
    return {name, *(f"{name}_{suffix}" for suffix in _SUFFIXES[kind])}


def help_text(spec: MetricSpec) -> str:
    """Return the HELP text of the metric, one line."""
    of = f" in {'seconds' if is_time(spec) else spec.unit}" if spec.unit else ""
    return f"The {spec.kind.value} {spec.name}{of}."


def labels(tags: Iterable[tuple[str, str]], common: Mapping[str, str]) -> dict[str, str]:
    """Convert *tags* of a series and *common* tags to labels; tags of the series override common tags.

    Invalid label names are changed; names that become equal get a number.
    """
    found: dict[str, str] = {}
    for key, value in {**common, **dict(tags)}.items():
        name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
        if not name.strip("_") or name[0].isdigit() or name.startswith("__") or name in _TAKEN_LABELS:
            name = f"tag_{name.lstrip('_')}"
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found[free] = clean(value)
    return found


def clean(text: str) -> str:
    """Return *text* as valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


class PrometheusValue(NamedTuple):
    """One value of the metric *name*; *kind* is "counter" or "gauge"."""

    name: str
    kind: str
    value: float


def values_of(point: DataPoint, name: str) -> list[PrometheusValue]:
    """Return the values of a data point that is not a trend, and whose metric is called *name* here.

    A rate has its share so far, and both counts.
    """
    spec, series_value = point.spec, point.series_value
    if isinstance(series_value, CounterValue):
        return [PrometheusValue(f"{name}_total", "counter", series_value.value / per_base_unit(spec))]
    if isinstance(series_value, RateValue):
        counts = [
            PrometheusValue(f"{name}_true_total", "counter", series_value.trues),
            PrometheusValue(f"{name}_samples_total", "counter", series_value.total),
        ]
        return (
            [*counts, PrometheusValue(f"{name}_rate", "gauge", series_value.trues / series_value.total)]
            if series_value.total
            else counts
        )
    if isinstance(series_value, GaugeValue) and series_value.is_set:
        return [PrometheusValue(name, "gauge", series_value.value / per_base_unit(spec))]
    return []
