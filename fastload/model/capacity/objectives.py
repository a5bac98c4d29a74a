"""Objectives of a capacity search: what every step must meet, and how sure its figures are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastload.model.intervals import score_interval
from fastload.model.judging.thresholds import Threshold, parse_threshold
from fastload.model.metrics import BUILTIN
from fastload.model.series import RateValue, TrendValue
from fastload.model.units import format_ms, format_percent
from fastload.model.views import MetricView

SLOWER_FACTOR = 3.0
"""How many times that of the lightest step the p99 may be, if no objective is given."""
LEAST_BOUND_MS = 5.0
"""The lowest bound of that objective: below it, what timers and schedulers add is as large."""
MOST_FAILED = 0.01
"""The share of failures that is allowed if no objective is given."""
_WHOLE_MS = 100.0
_STANDARD_ERRORS = 1.96
_DESIGN_EFFECT = 5.0
"""Times that follow each other are alike: so many of them tell as much as one that is independent."""


@dataclass(frozen=True, slots=True)
class ObjectiveResult:
    """Result of an objective in one step. *observed* is in the metric's unit, None without data; *low* and *high* are
    its 95 % interval. *ok*: it was met. *clear*: the whole interval says the same. *shown*: the figure as text.
    *is_of_time*: it is on times, which a busy machine makes worse; failures and checks are the target's. *bound_ms*:
    what a time may be at most, in ms; None for any other objective.
    """

    text: str
    observed: float | None
    low: float | None
    high: float | None
    ok: bool
    clear: bool
    shown: str = ""
    is_of_time: bool = True
    bound_ms: float | None = None


def default_objectives(headline: str, failures: str, lightest: Mapping[str, MetricView]) -> tuple[Threshold, ...]:
    """Return the objectives of a search without any: p99 under `SLOWER_FACTOR` times that of the lightest step, and
    fewer than 1 % failed. *headline* is the trend and *failures* the rate that they are on."""
    p99_ms = lightest[headline].p(99) if headline in lightest else None
    found = []
    if p99_ms is not None:
        bound_ms = max(LEAST_BOUND_MS, SLOWER_FACTOR * p99_ms)
        found.append(
            parse_threshold(
                headline, f"p(99)<{bound_ms:.0f}" if bound_ms >= _WHOLE_MS else f"p(99)<{bound_ms:.3g}", BUILTIN
            )
        )
    found.append(parse_threshold(failures, f"rate<{MOST_FAILED:g}", BUILTIN))
    return tuple(found)


def judge_objectives(objectives: Sequence[Threshold], views: Mapping[str, MetricView]) -> tuple[ObjectiveResult, ...]:
    """Return the result of each objective in a step with the metrics *views*, by label."""
    return tuple(_judge(threshold, views.get(threshold.label)) for threshold in objectives)


def _judge(threshold: Threshold, view: MetricView | None) -> ObjectiveResult:
    observed = view._observe(threshold) if view is not None else None
    if observed is None or view is None:
        return ObjectiveResult(
            threshold.text, None, None, None, ok=False, clear=False, shown="no data", **_kind_of(threshold)
        )
    low, high = _interval(threshold, view) or (observed, observed)
    ok = threshold.holds(observed)
    clear = threshold.holds(low) == threshold.holds(high) == ok
    return ObjectiveResult(
        threshold.text, observed, low, high, ok, clear, shown=_shown(threshold, observed), **_kind_of(threshold)
    )


def _kind_of(threshold: Threshold) -> dict[str, Any]:
    return {"is_of_time": threshold.kind == "trend", "bound_ms": _bound_ms(threshold)}


def _bound_ms(threshold: Threshold) -> float | None:
    condition, spec = threshold.condition, threshold.spec
    if not spec.is_time or condition.aggregate == "count" or not condition.comparison.startswith("<"):
        return None
    return condition.limit * spec.scale / 1000


def _interval(threshold: Threshold, view: MetricView) -> tuple[float, float] | None:
    """Return the interval of the observed value of *threshold*; None for a figure that has none."""
    sink, condition = view.sink, threshold.condition
    if isinstance(sink, RateValue):
        return score_interval(sink.trues / sink.total, max(1.0, sink.total / _DESIGN_EFFECT), _STANDARD_ERRORS)
    if not isinstance(sink, TrendValue) or condition.aggregate not in ("p", "med"):
        return None
    share = 0.5 if condition.aggregate == "med" else condition.percent / 100
    # Woodruff 1952: the interval of the share of values up to the quantile, read off the histogram.
    low, high = score_interval(share, max(1.0, sink.count / _DESIGN_EFFECT), _STANDARD_ERRORS)
    ends = sink.quantiles([low, high])
    return ends[0] / view.spec.scale, ends[1] / view.spec.scale


def _shown(threshold: Threshold, observed: float) -> str:
    """Return the figure as a sentence has it, like ``p(95) 61 ms`` or ``2.5 % failed``."""
    spec, aggregate = threshold.spec, threshold.aggregate
    if spec.is_time and aggregate != "count":
        return f"{aggregate} {format_ms(observed * spec.scale / 1000)}"
    if threshold.kind == "rate":
        failed = threshold.series.metric.endswith("failed")
        return f"{format_percent(observed)} failed" if failed else f"{threshold.label} {format_percent(observed)}"
    return f"{threshold.label} {aggregate} {observed:g}"
