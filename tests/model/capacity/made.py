"""A made-up capacity search with fixed figures: of a target with eight slots of 20 ms, which answers at most 400/s."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastload.model.capacity.objectives import ObjectiveResult
from fastload.model.capacity.result import CapacityResult, capacity_result
from fastload.model.capacity.search import Found, Purpose
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import CapacityStep, StepFigures, judge_step
from fastload.model.judging.thresholds import parse_threshold
from fastload.model.metrics import BUILTIN
from fastload.model.summary import Summary
from fastload.model.units import format_ms
from tests.model.runs import PLAN
from tests.outputs.samples import open_bench

OBJECTIVE = parse_threshold("http_req_response_time", "p(95)<60", BUILTIN)
SETTINGS = CapacitySettings(objectives=(OBJECTIVE,), at_least=300.0)
# Load, requests in flight, p50, p95, p99, and what each step was for.
_STEPS: tuple[tuple[float, float, float, float, float, Purpose], ...] = (
    (10.0, 0.2, 20.3, 21.2, 22.1, "first"),
    (20.0, 0.4, 20.3, 21.4, 22.3, "double"),
    (40.0, 0.8, 20.4, 22.0, 24.0, "double"),
    (80.0, 1.6, 20.4, 23.1, 28.2, "double"),
    (160.0, 3.3, 20.6, 26.8, 34.9, "double"),
    (320.0, 7.1, 21.7, 41.2, 52.7, "double"),
    (640.0, 21.0, 812.0, 1_430.0, 1_520.0, "double"),
    (453.0, 16.0, 240.0, 402.0, 431.0, "narrow"),
    (381.0, 9.7, 24.4, 55.1, 71.0, "narrow"),
    (415.0, 12.9, 71.2, 118.0, 131.0, "narrow"),
    (398.0, 11.8, 33.9, 88.5, 97.6, "narrow"),
    (381.0, 9.7, 24.1, 54.2, 69.3, "confirm"),
    (398.0, 11.8, 32.8, 85.7, 96.0, "repeat"),
)
_MOST_PER_S = 400.0


def made_steps(factor: float = 1.0) -> tuple[CapacityStep, ...]:
    """The steps, with loads *factor* times as high."""
    found, begin_s = [], 1.0
    for number, (load, in_flight, p50, p95, p99, purpose) in enumerate(_STEPS, 1):
        seconds = 12.0 if purpose == "confirm" else 4.0
        answered = min(load, _MOST_PER_S) * factor
        figures = StepFigures(
            load=load * factor,
            seconds=seconds,
            offered=round(load * factor * seconds),
            started=round(load * factor * seconds),
            answered_per_s=answered,
            ended_per_s=answered,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            mean_ms=1000 * in_flight / answered,
            in_flight=in_flight,
            vus=in_flight + 0.4,
            target_cpu_percent=4 + answered / 9,
            cpu_ms=(4 + answered / 9) * 10 / answered,
            nearest=f"CPU of the target, 2 cores {(4 + answered / 9) / 2:.0f}%",
            limit="" if load <= _MOST_PER_S else "nothing was busy: requests waited in the target",
        )
        objectives = (objective_result(p95),)
        step = CapacityStep(number, purpose, begin_s, figures, objectives, judge_step(figures, objectives))
        found.append(step)
        begin_s += seconds + 1.0
    return tuple(found)


def objective_result(p95_ms: float) -> ObjectiveResult:
    """The result of `OBJECTIVE` where p95 is *p95_ms*."""
    ok, low, high = OBJECTIVE.holds(p95_ms), 0.97 * p95_ms, 1.03 * p95_ms
    shown = f"p(95) {format_ms(p95_ms)}"
    return ObjectiveResult(OBJECTIVE.text, p95_ms, low, high, ok, clear=True, shown=shown, bound_ms=60.0)


def made_result(
    factor: float = 1.0, *, found: Found | None = None, settings: CapacitySettings = SETTINGS, **changes: Any
) -> CapacityResult:
    """The result of the search, with loads *factor* times as high; *changes* are fields of it that differ."""
    steps = made_steps(factor)
    found = found or Found("found", 381.0 * factor, 398.0 * factor, steps[-1].outcome.why)
    return replace(capacity_result(settings, found, [OBJECTIVE.text], steps), **changes)


def search_options(result: CapacityResult | None = None) -> dict[str, Any]:
    """What `tests.model.runs.save` takes for a run of the search: its plan, and its entries of the summary."""
    result = result or made_result()
    load = PLAN["scenarios"][0] | {
        "executor": "constant-arrival-rate",
        "model": "open",
        "rate_per_s": result.settings.first,
        "max_vus": 1000,
    }
    plan = {"scenarios": [load], "capacity": result.settings.to_dict()}
    return {"plan": plan, "summary": {"capacity": result.to_dict(), "passed": result.meets_demand}}


def searched_run(result: CapacityResult | None = None) -> Summary:
    """The summary of a run that made the search."""
    run, result = open_bench(), result or made_result()
    return replace(run, plan=replace(run.plan, capacity=result.settings), capacity=result)
