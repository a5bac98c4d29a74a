"""Plan of a capacity search: the scenarios of a plan, with the load that the search sets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, get_args

from fastload.model.capacity.settings import By, CapacitySettings
from fastload.model.errors import PlanError
from fastload.model.headline import RESPONSE_TIMES
from fastload.model.judging.thresholds import Threshold
from fastload.model.load_models import MOST_VUS, ConstantArrivalRate, ConstantVUs, Executor, first_load
from fastload.model.plan import Plan
from fastload.model.units import format_count, parse_duration_s, parse_rate_per_s, parse_whole

DEFAULT_MOST_VUS = 1000
LIGHTEST: Mapping[By, float] = {"rate": 10.0, "vus": 1.0}
"""The lightest load of a search, in starts per second or VUs, if nothing else is said."""
_CONFIRM_STEPS = 1.5
# A run may still have a step under way when the time of its search is over.
_SPARE_S = 60.0
_VUS = re.compile(r"\s*(\d[\d_,]*)\s*(?:vus?)?\s*", re.IGNORECASE).fullmatch
_NAMES = {
    "by": "by",
    "first": "first",
    "most": "up_to",
    "at_least": "at_least",
    "step": "step",
    "settle": "settle",
    "within": "within",
}


def search_settings(
    *,
    by: By,
    first: str | float | None,
    most: str | float | None,
    at_least: str | float | None,
    precision: float,
    step: str,
    settle: str,
    within: str,
    names: Mapping[str, str] = _NAMES,
) -> CapacitySettings:
    """Return the settings of a search, from what a user writes. *names*: what the user calls each of these.

    Raises:
        PlanError: a value is malformed, or contradicts another.
    """
    if by not in get_args(By):
        raise PlanError(f"{names['by']} {by!r} is unknown", hint='give "rate" or "vus"')
    parse = _vus if by == "vus" else _rate
    loads: dict[str, Any] = {
        name: parse(given, names[name])
        for name, given in (("first", first), ("most", most), ("at_least", at_least))
        if given is not None
    }
    if first is None:
        # A demand that is lighter than the usual beginning is where to begin.
        loads["first"] = min([LIGHTEST[by], *loads.values()])
    step_s = parse_duration_s(step, what=names["step"])
    return CapacitySettings(
        by=by,
        precision=precision,
        settle_s=parse_duration_s(settle, what=names["settle"]),
        step_s=step_s,
        confirm_s=_CONFIRM_STEPS * step_s,
        time_s=parse_duration_s(within, what=names["within"]),
        **loads,
    )


def checked_most_vus(given: int | None, name: str) -> int:
    """Return the most VUs of a search: *given*, or the default. *name*: what the user calls it.

    Raises:
        PlanError: it is below 1.
    """
    if given is not None and given < 1:
        raise PlanError(f"{name} {given} is below 1", hint="give at least 1")
    return given or DEFAULT_MOST_VUS


def shared_vus(settings: CapacitySettings, max_vus: int) -> int:
    """Return how many VUs the workers of a search share: *max_vus* if it goes by the rate; by VUs all that it may come
    to, within what one machine makes."""
    return max_vus if settings.by == "rate" else int(min(settings.most, DEFAULT_MOST_VUS))


def _rate(given: str | float, name: str) -> float:
    text = str(given)
    if "vu" in text.lower():
        raise PlanError(f"{name} {text!r} is a number of VUs, and the search goes by the rate", hint="go by vus")
    return parse_rate_per_s(text, what=name)


def _vus(given: str | float, name: str) -> float:
    match = _VUS(str(given))
    vus = parse_whole(re.sub("[_,]", "", match[1]), MOST_VUS) if match else None
    if not vus:
        hint = f"give a whole number from 1 to {format_count(MOST_VUS)}, like 50"
        raise PlanError(f"{name} {str(given)!r} is no number of VUs", hint=hint)
    return float(vus)


def capacity_plan(
    plan: Plan, settings: CapacitySettings, *, asked: Iterable[Threshold] = (), max_vus: int | None = None
) -> Plan:
    """Return *plan* as a search with *settings*. *max_vus*: the most VUs of an open model, over all scenarios. *asked*:
    the thresholds of the plan that the user gave as objectives of this very search.

    The thresholds of the plan are objectives, too; those that no step can be judged by have no effect, and a note says
    so. The load of the scenarios themselves says only in which proportion the search shares its load among them.

    Raises:
        PlanError: no step can be judged by one that was asked for, or the scenarios cannot run side by side with one
            load.
    """
    for threshold in asked:
        check_objective(threshold, settings.by)
    refused = {threshold.text: why for threshold in plan.thresholds if (why := _refusal(threshold, settings.by))}
    more = tuple(threshold for threshold in plan.thresholds if threshold.text not in refused)
    settings = replace(settings, objectives=tuple(dict.fromkeys((*settings.objectives, *more))))
    notes = (
        f"threshold {text!r} has no effect on a search for the capacity: it {why}" for text, why in refused.items()
    )
    _check_scenarios(plan, settings)
    kinds = {scenario.is_open for scenario in plan.scenarios}
    # A rate and a number of VUs have no proportion.
    weights = [first_load(scenario.executor) or 1.0 if len(kinds) == 1 else 1.0 for scenario in plan.scenarios]
    most_vus = max_vus or DEFAULT_MOST_VUS
    scenarios = tuple(
        replace(scenario, executor=_executor(settings, weight / sum(weights), most_vus))
        for scenario, weight in zip(plan.scenarios, weights, strict=True)
    )
    return replace(plan, scenarios=scenarios, thresholds=(), notes=(*plan.notes, *notes), capacity=settings)


def check_objective(threshold: Threshold, by: By) -> None:
    """Check that *threshold* can be judged in one step of a search that goes *by* the rate, or by VUs.

    Raises:
        PlanError: it cannot.
    """
    if why := _refusal(threshold, by):
        raise PlanError(
            f"the objective {threshold.text!r} {why}", hint="write it on a metric, like 'http_req_duration: p(95)<50'"
        )


def _refusal(threshold: Threshold, by: By) -> str:
    if by == "vus" and threshold.series.metric in RESPONSE_TIMES.values():
        return "is on the time since a request was due, and VUs have no due times"
    if threshold.kind in ("resource", "verdict"):
        return f"is on the {threshold.kind}, which steps are not judged by"
    if threshold.has_window:
        return "has a window, and each step is one"
    if threshold.kind in ("counter", "gauge") or threshold.aggregate == "count":
        return "is on a total, which grows with the load and the length of a step"
    return ""


def _check_scenarios(plan: Plan, settings: CapacitySettings) -> None:
    for scenario in plan.scenarios:
        if scenario.after or scenario.start_s:
            raise PlanError(
                f"scenario {scenario.name} does not begin with the others, and a search needs one load for all",
                hint="choose what runs together with --scenario",
            )
        if settings.by == "vus" and scenario.is_open and plan.kind == "run":
            raise PlanError(
                f"scenario {scenario.name} has a rate of its own, and the search is to go by VUs",
                hint="leave --by vus out, or give the scenario vus instead of a rate",
            )
    if settings.by == "vus" and settings.first < len(plan.scenarios):
        raise PlanError(
            f"{settings.text_of(settings.first)} are fewer than the {len(plan.scenarios)} scenarios",
            hint=f"begin with {len(plan.scenarios)} at least (--from)",
        )


def _executor(settings: CapacitySettings, share: float, most_vus: int) -> Executor:
    duration_s = settings.time_s + _SPARE_S
    if settings.by == "vus":
        return ConstantVUs(vus=max(1, round(settings.first * share)), duration_s=duration_s)
    return ConstantArrivalRate(
        rate_per_s=settings.first * share, duration_s=duration_s, max_vus=max(1, math.ceil(most_vus * share))
    )
