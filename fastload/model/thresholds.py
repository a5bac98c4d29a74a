"""Pass or fail: k6's threshold expressions over the metrics of a run.

Grammar: ``AGGREGATE OP NUMBER``. The aggregate depends on the metric's kind (`metrics.AGGREGATES`), OP is one of
< <= > >= == !=, and the number is in the metric's unit (milliseconds for built-in times).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fastload.model.errors import PlanError, nearest
from fastload.model.metrics import AGGREGATES, Kind, MetricSpec

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "===": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_EXPRESSION = re.compile(
    r"\s*(?P<aggregate>p\(\s*(?P<percent>\d+(?:\.\d+)?)\s*\)|[a-z]+)\s*"
    r"(?P<operator><=|>=|===|==|!=|<|>)\s*(?P<limit>-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*"
)

ThresholdSpec = Mapping[str, str | Iterable[str]]
"""Expressions by metric name, as a script writes them."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition on one metric. *aggregate* is one of the kind's, or ``p`` with *percent* (0..100)."""

    metric: str
    expression: str
    aggregate: str
    percent: float
    comparison: str
    limit: float

    def holds(self, observed: float) -> bool:
        """Whether *observed*, in the metric's unit, satisfies the condition."""
        return _OPERATORS[self.comparison](observed, self.limit)


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """How a threshold ended: *observed* is None, and *ok* False, when its metric got no data."""

    metric: str
    expression: str
    ok: bool
    observed: float | None


def parse_threshold(metric: str, expression: str, known: Mapping[str, MetricSpec]) -> Threshold:
    """The threshold that *expression* states about *metric*, one of *known*.

    Raises:
        PlanError: no such metric, an aggregate its kind does not have, or no expression at all.
    """
    metric = metric.strip()
    spec = known.get(metric)
    if spec is None:
        hint = nearest(metric, known) or "the built-in metrics are listed in the docs, page 'What the numbers mean'"
        raise PlanError(f"threshold on {metric!r}: there is no metric of that name", hint=hint)
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise PlanError(
            f"threshold {expression!r} on {metric} is not AGGREGATE OP NUMBER",
            hint=f"write {_example(spec)!r}",
        )
    aggregate = "p" if match["percent"] else match["aggregate"]
    if match["aggregate"] == "p":
        raise PlanError(f"threshold {expression!r}: which percentile?", hint=f"write {_example(spec)!r}")
    _check_aggregate(spec, aggregate, float(match["percent"] or 0), expression)
    return Threshold(
        metric,
        expression.strip(),
        aggregate,
        float(match["percent"] or 0),
        match["operator"],
        float(match["limit"]),
    )


def parse_threshold_option(text: str, known: Mapping[str, MetricSpec]) -> Threshold:
    """The threshold of a command-line option like ``"http_req_duration: p(95)<50"``.

    Raises:
        PlanError: no colon, or as `parse_threshold`.
    """
    metric, colon, expression = text.partition(":")
    if not colon:
        raise PlanError(
            f"threshold {text!r} has no metric",
            hint="write 'METRIC: EXPRESSION', like 'http_req_duration: p(95)<50'",
        )
    return parse_threshold(metric, expression, known)


def parse_thresholds(spec: ThresholdSpec, known: Mapping[str, MetricSpec]) -> tuple[Threshold, ...]:
    """Every threshold of a script's mapping, whose values are one expression or several."""
    return tuple(
        parse_threshold(metric, expression, known)
        for metric, expressions in spec.items()
        for expression in ([expressions] if isinstance(expressions, str) else expressions)
    )


def judge(threshold: Threshold, observed: float | None) -> ThresholdResult:
    """The result for an *observed* value, None when the metric got no data: that fails, it never passes silently."""
    ok = observed is not None and threshold.holds(observed)
    return ThresholdResult(threshold.metric, threshold.expression, ok, observed)


def _check_aggregate(spec: MetricSpec, aggregate: str, percent: float, expression: str) -> None:
    allowed = AGGREGATES[spec.kind]
    wanted = "p(N)" if aggregate == "p" else aggregate
    if wanted not in allowed:
        guess = nearest(aggregate, allowed)
        raise PlanError(
            f"threshold {expression!r}: a {spec.kind} like {spec.name} has no {wanted!r}",
            hint=f"it has {', '.join(allowed)}" + (f"; {guess}" if guess else ""),
        )
    if percent > 100:
        raise PlanError(f"threshold {expression!r}: a percentile is 0 to 100", hint=f"write {_example(spec)!r}")


def _example(spec: MetricSpec) -> str:
    return {
        Kind.COUNTER: "count>100",
        Kind.GAUGE: "value<10",
        Kind.RATE: "rate<0.01",
        Kind.TREND: "p(95)<500",
    }[spec.kind]
