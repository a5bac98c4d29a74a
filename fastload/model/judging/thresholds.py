"""Thresholds: pass-or-fail conditions on the metrics of a run, on its resource usage, and on its verdict.

`threshold_grammar` parses the conditions; `control.threshold_judge` judges them during a run and at its end.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastload.model.errors import PlanError, nearest
from fastload.model.judging.threshold_grammar import (
    STATES,
    WORDS,
    Condition,
    Subject,
    check_expression,
    no_metric,
    parse_condition,
    parse_series,
    subject_of,
)
from fastload.model.metrics import AGGREGATES, MetricSpec, Series
from fastload.model.names import as_text
from fastload.model.plain_numbers import as_flag
from fastload.model.units import parse_duration_s

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "===": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_K6_KEYS = {"abortOnFail": "abort_on_fail", "delayAbortEval": "delay_abort"}
_KEYS = ("threshold", "abort_on_fail", "delay_abort", "optional")
_AGGREGATE_NAMES = {name.partition("(")[0] for names in AGGREGATES.values() for name in names}
_EXAMPLE = '{"http_req_duration": "p(95)<500"}'
_WORD = re.compile(rf"\s+(?:{'|'.join(WORDS)})\b")

Observed = float | str
"""Observed value of a threshold: a number in the metric's unit, or the state of the verdict."""
ThresholdText = str | Mapping[str, Any]
"""Expression of a threshold, alone or with settings: ``{"threshold": "p(95)<500", "abort_on_fail": True}``."""
ThresholdSpec = Mapping[str, ThresholdText | Sequence[ThresholdText]]
"""Expressions by metric name, as a script writes them."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Condition on one series. *expression* is the condition as the user wrote it.

    *kind* is the kind of the metric, ``resource`` or ``verdict``.
    """

    series: Series
    expression: str
    spec: MetricSpec
    kind: str
    condition: Condition

    @property
    def label(self) -> str:
        """Label of the series: the metric with its tags."""
        return self.series.label

    @property
    def aggregate(self) -> str:
        """Aggregate as the grammar writes it: ``p(95)``, ``rate``; empty for the verdict."""
        percent = f"({self.condition.percent:.15g})" if self.condition.aggregate == "p" else ""
        return self.condition.aggregate + percent

    @property
    def text(self) -> str:
        """The threshold as ``--threshold`` takes it: ``METRIC: EXPRESSION``. Settings of a script are words in it."""
        condition = self.condition
        if parse_condition(Subject(self.spec, self.kind), self.expression) == condition:
            return f"{self.label}: {self.expression}"
        window = (
            f" for {condition.for_s}s" if condition.for_s else f" over {condition.over_s}s" if condition.over_s else ""
        )
        after = f" after {condition.abort_after_s:g}s" if condition.abort_after_s else ""
        words = f"{window}{f' abort{after}' if condition.aborts else ''}{' optional' if condition.optional else ''}"
        return f"{self.label}: {_WORD.split(self.expression)[0]}{words}"

    @property
    def has_window(self) -> bool:
        return bool(self.condition.for_s or self.condition.over_s)

    def holds(self, observed: Observed) -> bool:
        """Return whether *observed* satisfies the condition."""
        value = STATES.index(observed) if isinstance(observed, str) else observed
        return _OPERATORS[self.condition.comparison](value, self.condition.limit)

    def result(self, observed: Observed | None, *, ok: bool, at_s: float | None = None) -> ThresholdResult:
        """Return the result of the threshold for *observed*."""
        return ThresholdResult(
            self.label,
            self.expression,
            ok,
            observed,
            aggregate=self.aggregate,
            kind=self.kind,
            unit="" if self.aggregate == "count" and self.kind == "trend" else self.spec.unit,
            optional=self.condition.optional,
            aborts=self.condition.aborts,
            at_s=at_s,
        )


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """Result of a threshold. Without data *observed* is None, and *ok* is False unless the threshold is *optional*.

    *reason*: why there is no data, at the end of the run, if that is known: which tag no sample had.

    *metric* includes the tags, like ``http_reqs{name:/}``. *unit* is the unit of *observed*; a ``rate`` of a counter is
    in *unit* per second. *at_s* is when a threshold with a window first failed, in seconds of the measurement.
    """

    metric: str
    expression: str
    ok: bool
    observed: Observed | None
    aggregate: str = ""
    kind: str = ""
    unit: str = ""
    optional: bool = False
    aborts: bool = False
    at_s: float | None = None
    reason: str = ""


def parse_threshold(
    metric: str,
    expression: ThresholdText,
    known: Mapping[str, MetricSpec],
    *,
    tags: Collection[str] | None = None,
) -> Threshold:
    """Parse the threshold with the condition *expression* on *metric*.

    *metric* is one of *known*, with or without tags, a resource, or the verdict. *tags* are the permitted tag names;
    None permits every name.

    Raises:
        PlanError: no such metric or tag, a malformed expression, an aggregate or unit that the metric does not have,
            or a setting that does not exist.
    """
    series, rest = parse_series(metric, tags)
    if rest.strip():
        raise PlanError(
            f"threshold on {metric!r}: {rest.strip()!r} is not part of a metric", hint=f"write {series[0]!r}"
        )
    text, settings = _settings(series.label, expression)
    text = text.strip()
    subject = subject_of(series, known)
    condition = parse_condition(subject, text)
    return Threshold(series, text, subject.spec, subject.kind, _with_settings(condition, text, settings))


def parse_threshold_option(
    text: str, known: Mapping[str, MetricSpec], *, tags: Collection[str] | None = None
) -> Threshold:
    """Parse a threshold of the command line, like ``"http_req_duration: p(95)<50"`` or ``"target_cpu<90"``.

    Raises:
        PlanError: no metric, or an error of `parse_threshold`.
    """
    series, rest = parse_series(text, tags)
    if series.metric in _AGGREGATE_NAMES and series.metric not in known:
        raise no_metric(text)
    return parse_threshold(text[: len(text) - len(rest)], rest.lstrip().removeprefix(":"), known, tags=tags)


def parse_thresholds(
    spec: ThresholdSpec, known: Mapping[str, MetricSpec], *, tags: Collection[str] | None = None
) -> tuple[Threshold, ...]:
    """Parse all thresholds of a script: a mapping from each metric to one expression or several.

    Raises:
        PlanError: *spec* is no such mapping, or an error of `parse_threshold`.
    """
    if not isinstance(spec, Mapping):
        raise PlanError(f"thresholds are {spec!r}, and no mapping", hint=f"write them like {_EXAMPLE}")
    pairs: list[tuple[str, ThresholdText]] = []
    for key, given in spec.items():
        metric = as_text(key, "a metric of thresholds")
        several: Sequence[ThresholdText] = [given] if isinstance(given, str | Mapping) else given
        if not isinstance(several, Sequence):
            raise _no_text(metric, given)
        pairs += ((metric, expression) for expression in several)
    return tuple(parse_threshold(metric, expression, known, tags=tags) for metric, expression in pairs)


def check_grammar(metric: str, given: Any) -> None:
    """Check the expressions *given* for *metric*, of which neither kind nor unit is known.

    Raises:
        PlanError: one is an expression of no kind of metric.
    """
    for expression in [given] if isinstance(given, str | Mapping) or not isinstance(given, Sequence) else given:
        text, _ = _settings(metric, expression)
        check_expression(metric, text.strip())


def evaluate_threshold(threshold: Threshold, observed: Observed | None) -> ThresholdResult:
    """Return the result of *threshold* for *observed*. Without data (None) it fails unless it is optional."""
    ok = threshold.condition.optional if observed is None else threshold.holds(observed)
    return threshold.result(observed, ok=ok)


def _settings(metric: str, given: ThresholdText) -> tuple[str, dict[str, Any]]:
    """Return the expression and its settings. Setting names of k6 are translated to fastload's."""
    if isinstance(given, str):
        return given, {}
    if not isinstance(given, Mapping):
        raise _no_text(metric, given)
    settings = {_K6_KEYS.get(key, key): value for key, value in given.items()}
    if unknown := next((key for key in settings if key not in _KEYS), None):
        hint = nearest(unknown, (*_KEYS, *_K6_KEYS)) or f"there are {', '.join(_KEYS)}"
        raise PlanError(f"threshold on {metric}: there is no setting {unknown!r}", hint=hint)
    text = settings.pop("threshold", None)
    if not isinstance(text, str):
        raise PlanError(
            f"threshold on {metric}: {dict(given)!r} has no expression", hint='add "threshold": "p(95)<500"'
        )
    for key in ("abort_on_fail", "optional"):
        if as_flag(settings.get(key, False)) is None:
            raise PlanError(f"threshold {text!r} on {metric}: {key} is {settings[key]!r}", hint="it is true or false")
    return text, settings


def _no_text(metric: str, given: object) -> PlanError:
    return PlanError(f"threshold {given!r} on {metric} is no text", hint=f"write it like {_EXAMPLE}")


def _with_settings(condition: Condition, text: str, settings: Mapping[str, Any]) -> Condition:
    if settings.get("optional"):
        condition = condition._replace(optional=True)
    if settings.get("abort_on_fail"):
        condition = condition._replace(aborts=True)
    delay = settings.get("delay_abort")
    if delay is None:
        return condition
    if not condition.aborts and "abort_on_fail" not in settings:
        raise PlanError(f"threshold {text!r}: delay_abort without abort_on_fail", hint='add "abort_on_fail": True')
    return condition._replace(abort_after_s=parse_duration_s(delay, what=f"threshold {text!r}: delay_abort"))
