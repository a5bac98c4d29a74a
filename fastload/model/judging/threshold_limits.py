"""Limits that decide nothing: thresholds that hold whatever is measured, can never hold, or exclude each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from fastload.model.errors import PlanError
from fastload.model.judging.threshold_grammar import RESOURCE, VERDICT
from fastload.model.judging.thresholds import Threshold
from fastload.model.metrics import BUILTIN, Kind

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "===": "!=", "!=": "=="}


class _Range(NamedTuple):
    """Range of values, both ends included unless *low_open* or *high_open*. *words* describes it in messages."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False
    words: str = ""

    def overlaps(self, other: _Range) -> bool:
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low != high:
            return low < high
        low_open = any(one.low_open for one in (self, other) if one.low == low)
        return not (low_open or any(one.high_open for one in (self, other) if one.high == high))


_RATE = _Range(0, 1, words="a rate is between 0 and 1")
_ANY = _Range(-math.inf, math.inf)


def check_limits(thresholds: Iterable[Threshold]) -> None:
    """Check that each of *thresholds* can hold and can fail, and that no two of them exclude each other.

    ``>=0`` may be unable to fail: it asks for a series.

    Raises:
        PlanError: one holds or fails whatever is measured, or no value satisfies two of them.
    """
    alike: dict[object, list[Threshold]] = defaultdict(list)
    for threshold in thresholds:
        _check_limit(threshold)
        condition = threshold.condition
        if not condition.for_s:
            # With "for" both may hold: one breaks the condition for as long as the other allows.
            alike[threshold.series, condition.aggregate, condition.percent, condition.over_s].append(threshold)
    for several in alike.values():
        _check_compatible(several)


def _check_limit(threshold: Threshold) -> None:
    condition, possible = threshold.condition, _possible(threshold)
    if (condition.comparison, condition.limit) == (">=", 0):
        # The way of k6's users to ask for a series: nobody takes it for a limit.
        return
    if not _any_satisfies(possible, condition.comparison, condition.limit):
        never = "hold"
    elif not _any_satisfies(possible, _OPPOSITE[condition.comparison], condition.limit):
        never = "fail"
    else:
        return
    what = f"threshold {threshold.expression!r} on {threshold.label} can never {never}: {possible.words}"
    raise PlanError(what, hint=_hint(threshold, possible))


def _possible(threshold: Threshold) -> _Range:
    """Return the values that the threshold's metric can have."""
    name, aggregate = threshold.series.metric, threshold.condition.aggregate
    is_own = threshold.kind != RESOURCE and name not in BUILTIN
    if threshold.kind == Kind.RATE:
        return _RATE
    if threshold.kind == VERDICT or (is_own and threshold.kind in (Kind.COUNTER, Kind.GAUGE)):
        # A script may add negative values. The worst state of the verdict may be the limit: it says "any".
        return _ANY
    if aggregate in ("count", "rate"):
        return _Range(0, math.inf, words=f"the {aggregate} of {name} is 0 or more")
    return _Range(0, math.inf, words=f"{name} is 0 or more")


def _any_satisfies(possible: _Range, comparison: str, limit: float) -> bool:
    """Return whether any value of *possible* satisfies the condition."""
    if comparison == "!=":
        return possible.low != limit or possible.high != limit
    return possible.overlaps(_satisfying(comparison, limit))


def _satisfying(comparison: str, limit: float) -> _Range:
    """Return all values that satisfy the condition; ``!=`` is not one range, and satisfies any."""
    match comparison:
        case "<" | "<=":
            return _Range(-math.inf, limit, high_open=comparison == "<")
        case ">" | ">=":
            return _Range(limit, math.inf, low_open=comparison == ">")
        case "==" | "===":
            return _Range(limit, limit)
    return _ANY


def _hint(threshold: Threshold, possible: _Range) -> str:
    condition = threshold.condition
    sign, limit = condition.comparison, condition.limit
    if possible is _RATE:
        if threshold.expression.count("%"):
            return f"write a limit between 0% and 100%, like rate{sign}5%"
        if 1 < limit <= 100:
            return f"for {limit:.12g} per cent write rate{sign}{limit / 100:.12g} or rate{sign}{limit:.12g}%"
        return f"write a limit between 0 and 1, or in per cent, like rate{sign}0.05 or rate{sign}5%"
    if condition.aggregate in ("count", "rate") and limit == 0:
        return f"write {condition.aggregate}{'==0' if sign == '<' else '>0'}"
    return "write a limit above 0"


def _check_compatible(thresholds: Sequence[Threshold]) -> None:
    for one, other in combinations(thresholds, 2):
        first, second = one.condition, other.condition
        differs = "!=" in (first.comparison, second.comparison)
        excluded = (
            first.limit == second.limit and {first.comparison, second.comparison} & {"==", "==="}
            if differs
            else not _satisfying(first.comparison, first.limit).overlaps(_satisfying(second.comparison, second.limit))
        )
        if excluded:
            raise PlanError(
                f"thresholds {one.expression!r} and {other.expression!r} on {one.label} can never hold together",
                hint="leave one of them out, or turn one of the signs round",
            )
