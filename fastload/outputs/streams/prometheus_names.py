"""Names and labels as Prometheus has them: a prefix, base units, and nothing that it would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fastload.model.metrics import MetricSpec
from fastload.model.series import CounterSink, GaugeSink, RateSink
from fastload.outputs.streams.data_points import DataPoint

PREFIX = "fastload_"

_SECONDS = {"us": 1e6, "ms": 1e3, "s": 1.0}
_UNIT_NAMES = {"%": "percent", "bytes/s": "bytes_per_second"}
_TAKEN_LABELS = frozenset(("le", "quantile", "job", "instance"))


def per_base_unit(spec: MetricSpec) -> float:
    """How many of the metric's unit make one of Prometheus': 1,000 for milliseconds, which are told in seconds."""
    return _SECONDS.get(spec.unit, 1.0)


def is_time(spec: MetricSpec) -> bool:
    return spec.unit in _SECONDS


def base_name(spec: MetricSpec) -> str:
    """The metric's name with prefix and unit, like ``fastload_http_req_duration_seconds``."""
    unit = "seconds" if is_time(spec) else _UNIT_NAMES.get(spec.unit, re.sub(r"\W+", "_", spec.unit).strip("_"))
    unit = unit.encode("ascii", "ignore").decode()
    name = PREFIX + spec.name
    return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


def help_text(spec: MetricSpec) -> str:
    """One line of what it is."""
    of = f" in {'seconds' if is_time(spec) else spec.unit}" if spec.unit else ""
    return f"The {spec.kind.value} {spec.name}{of}."


def labels(tags: Iterable[tuple[str, str]], common: Mapping[str, str]) -> dict[str, str]:
    """*tags* and the *common* ones as labels; a tag of the series goes over a common one of its name.

    What no label may be called is changed, and what two of them would be called then is numbered.
    """
    found: dict[str, str] = {}
    for key, value in {**common, **dict(tags)}.items():
        name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
        if not name or name[0].isdigit() or name.startswith("__") or name in _TAKEN_LABELS:
            name = f"tag_{name.lstrip('_')}"
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found[free] = clean(value)
    return found


def clean(text: str) -> str:
    """*text* as valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


class PrometheusValue(NamedTuple):
    """One number to tell under *name*: *kind* is "counter" or "gauge"."""

    name: str
    kind: str
    value: float


def values_of(reading: DataPoint) -> list[PrometheusValue]:
    """What is told of a reading that is no trend. Of a rate it is its share so far, and both counts."""
    spec, sink = reading.spec, reading.sink
    name = base_name(spec)
    if isinstance(sink, CounterSink):
        return [PrometheusValue(f"{name}_total", "counter", sink.value / per_base_unit(spec))]
    if isinstance(sink, RateSink):
        counts = [
            PrometheusValue(f"{name}_true_total", "counter", sink.trues),
            PrometheusValue(f"{name}_samples_total", "counter", sink.total),
        ]
        return [*counts, PrometheusValue(f"{name}_rate", "gauge", sink.trues / sink.total)] if sink.total else counts
    if isinstance(sink, GaugeSink) and sink.is_set:
        return [PrometheusValue(name, "gauge", sink.value / per_base_unit(spec))]
    return []
