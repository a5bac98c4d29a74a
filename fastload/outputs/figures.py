"""Formatting of numbers as text, shared by all outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.metrics import Kind, MetricSpec
from fastload.model.raise_sites import MOST_MESSAGES
from fastload.model.records import Snapshot
from fastload.model.units import (
    format_bytes,
    format_count,
    format_duration_s,
    format_ms,
    format_number_of,
    format_percent,
)
from fastload.model.wire_text import one_line

MARK = {True: "✓", False: "✗"}
_MS_OF_UNIT = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def format_value(spec: MetricSpec, value: float | None) -> str:
    """Format *value* in the metric's unit, a time in a unit of suitable size. None, NaN and infinity give ``"-"``."""
    if value is None or not math.isfinite(value):
        return "-"
    if spec.unit in _MS_OF_UNIT:
        return format_ms(value * _MS_OF_UNIT[spec.unit])
    return format_bytes(value) if spec.unit == "bytes" else format_count(value)


def format_rate(spec: MetricSpec, per_s: float | None) -> str:
    """Format the rate of a counter, in units per second; None gives ``"-"``."""
    return "-" if per_s is None else f"{format_bytes(per_s) if spec.unit == 'bytes' else format_count(per_s)}/s"


def unit_label(spec: MetricSpec) -> str:
    """Return `` (unit)`` for a metric, or "" if its formatted values already contain the unit."""
    return "" if not spec.unit or spec.unit in _MS_OF_UNIT or spec.unit == "bytes" else f" ({spec.unit})"


def format_observed(result: ThresholdResult) -> str:
    """Format the observed value of a threshold: ``p(95)=1.23ms``, or ``no data`` with the reason, if it is known."""
    observed = result.observed
    if observed is None:
        return f"no data: {one_line(result.reason)}" if result.reason else "no data"
    shown = observed if isinstance(observed, str) else _format_number(result, observed)
    when = "" if result.at_s is None else f" after {format_duration_s(round(result.at_s, 1))}"
    return f"{result.aggregate}={shown}{when}" if result.aggregate else f"{shown}{when}"


def _format_number(result: ThresholdResult, observed: float) -> str:
    if result.kind == Kind.RATE:
        return format_percent(observed)
    if result.unit == "%":
        return f"{observed:.3g}%" if observed < 100 else f"{observed:.0f}%"
    spec = MetricSpec(result.metric, Kind.GAUGE, result.unit)
    is_per_s = result.kind == Kind.COUNTER and result.aggregate == "rate"
    return format_rate(spec, observed) if is_per_s else format_value(spec, observed)


def raised_words(row: Mapping[str, Any]) -> str:
    """Describe a row of `ErrorTable.raised_list`: ``12 times at shop.py:7, first of 5 messages``."""
    messages = row.get("messages") or 0
    where = f" at {one_line(row['where'])}" if row.get("where") else ""
    at_least = " or more" if messages >= MOST_MESSAGES else ""
    of = f", first of {format_count(messages)}{at_least} messages" if messages > 1 else ""
    return f"{format_number_of(row['count'], 'time')}{where}{of}"


def format_cpu(percent: float | None) -> str:
    """Format CPU usage in per cent (100 % is one core); None gives ``"-"``."""
    return "-" if percent is None else f"{percent:.0f}%"


def format_clock(seconds: float) -> str:
    """Format an elapsed time in whole seconds: ``5s``, ``1m05s`` or ``1h00m05s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m{rest:02d}s"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def cpu_line(workers: tuple[float, ...], *, most: int = 8) -> str:
    """Format the CPU usage of each worker, ``45% 47%``; for more than *most* workers, the mean and the range."""
    if len(workers) <= most:
        return " ".join(format_cpu(percent) for percent in workers)
    mean = sum(workers) / len(workers)
    return f"{format_cpu(mean)} mean of {len(workers)}, {format_cpu(min(workers))} to {format_cpu(max(workers))}"


def failing_now(snapshot: Snapshot) -> list[ThresholdResult]:
    """Return the thresholds that fail in *snapshot*.

    A threshold whose metric has no data yet is left out: it can fail only at the end of the run.
    """
    return [result for result in snapshot.thresholds if not result.ok and result.observed is not None]
