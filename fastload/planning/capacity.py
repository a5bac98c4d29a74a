"""Plan of a capacity search: the scenarios of a plan, with the load that the search sets."""

from __future__ import annotations

import math
from dataclasses import replace

from fastload.model.capacity.settings import CapacitySettings
from fastload.model.errors import PlanError
from fastload.model.judging.thresholds import Threshold
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, Executor
from fastload.model.plan import Plan

DEFAULT_MOST_VUS = 1000
_SPARE_S = 60.0


def capacity_plan(plan: Plan, settings: CapacitySettings, *, max_vus: int | None = None) -> Plan:
    """Return *plan* as a search with *settings*. *max_vus*: the most VUs of an open model, over all scenarios.

    Without objectives the thresholds of the plan are the objectives. The load of the scenarios themselves says only in
    which proportion the search shares its load among them.

    Raises:
        PlanError: an objective cannot be judged in a step, or the scenarios cannot run side by side with one load.
    """
    objectives = settings.objectives
    for threshold in objectives:
        check_objective(threshold)
    if not objectives:
        objectives = tuple(threshold for threshold in plan.thresholds if not _refusal(threshold))
    settings = replace(settings, objectives=objectives)
    _check_scenarios(plan, settings)
    weights = [_weight(scenario.executor) for scenario in plan.scenarios]
    most_vus = max_vus or DEFAULT_MOST_VUS
    scenarios = tuple(
        replace(scenario, executor=_executor(settings, weight / sum(weights), most_vus))
        for scenario, weight in zip(plan.scenarios, weights, strict=True)
    )
    return replace(plan, scenarios=scenarios, thresholds=(), capacity=settings)


def check_objective(threshold: Threshold) -> None:
    """Check that *threshold* can be judged in one step of a search.

    Raises:
        PlanError: it cannot.
    """
    if why := _refusal(threshold):
        raise PlanError(
            f"the objective {threshold.text!r} {why}", hint="write it on a metric, like 'http_req_duration: p(95)<50'"
        )


def _refusal(threshold: Threshold) -> str:
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


def _weight(executor: Executor) -> float:
    """Return what the share of a scenario in the load is in proportion to: its own rate or its own VUs."""
    if isinstance(executor, ConstantArrivalRate):
        return executor.rate_per_s
    return float(executor.max_vus) or 1.0


def _executor(settings: CapacitySettings, share: float, most_vus: int) -> Executor:
    duration_s = settings.time_s + _SPARE_S
    if settings.by == "vus":
        return ConstantVUs(vus=max(1, round(settings.first * share)), duration_s=duration_s)
    return ConstantArrivalRate(
        rate_per_s=settings.first * share, duration_s=duration_s, max_vus=max(1, math.ceil(most_vus * share))
    )
