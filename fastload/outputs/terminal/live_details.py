"""Lines of the live block that not every run has: those of its scenarios, the kinds of errors, a capacity search."""

from __future__ import annotations

from rich.console import RenderableType

from fastload.model.load_models import (
    ConstantArrivalRate,
    PerVUIterations,
    RampingArrivalRate,
    Shape,
    SharedIterations,
)
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import Snapshot
from fastload.model.units import format_count, format_number_of
from fastload.model.wire_text import one_line
from fastload.outputs.terminal.layout import Cell, Column, Columns
from fastload.outputs.terminal.recent import Recent
from fastload.outputs.terminal.style import BAD, DIM, GOOD, STRONG

SCENARIOS_AT_MOST = 6
_BAR_CELLS = 10
_KINDS_AT_MOST = 8


def scenario_table(plan: Plan, now: Snapshot, recent: Recent, first_width: int) -> list[RenderableType]:
    """Render the progress of each scenario, if there are several; nothing if they are too many for a live block."""
    if not 2 <= len(plan.scenarios) <= SCENARIOS_AT_MOST:
        return []
    columns = [
        Column("scenarios", right=False, shrink_to=12, cut="middle"),
        Column("", right=False, drop=3),
        Column("progress"),
        Column("iterations"),
        Column("per s", drop=1),
        Column("req/s", drop=2),
    ]
    return [
        Columns(columns, [_scenario_row(plan, one, now, recent) for one in plan.scenarios], first_width=first_width)
    ]


def _scenario_row(plan: Plan, scenario: ScenarioPlan, now: Snapshot, recent: Recent) -> list[Cell]:
    activity = recent.scenario(scenario.name)
    share = progress_of(plan, scenario, now.elapsed_s, activity.iterations)
    done = 0 if share is None else round(_BAR_CELLS * share)
    return [
        Cell(one_line(scenario.name)),
        Cell("━" * done + "─" * (_BAR_CELLS - done), GOOD if done else DIM),
        Cell("-" if share is None else f"{share:.0%}"),
        Cell(format_count(activity.iterations)),
        Cell(format_count(round(activity.iterations_per_s)), STRONG),
        Cell(format_count(round(activity.requests_per_s))),
    ]


def progress_of(plan: Plan, scenario: ScenarioPlan, elapsed_s: float, iterations: int) -> float | None:
    """Return how much of its load *scenario* has made, 0 to 1; None if nobody knows.

    That is its iterations if their number is planned, otherwise its time. Nobody knows when a shape ends, or when the
    scenario ends that one waits for.
    """
    executor = scenario.executor
    if isinstance(executor, SharedIterations):
        return min(1.0, iterations / executor.iterations)
    if isinstance(executor, PerVUIterations):
        return min(1.0, iterations / (executor.iterations * executor.vus))
    if scenario.after or isinstance(executor, Shape) or not executor.duration_s:
        return None
    begun_s = plan.warmup_s + scenario.start_s
    return min(1.0, max(0.0, (elapsed_s - begun_s) / executor.duration_s))


def error_kinds(recent: Recent, first_width: int) -> list[RenderableType]:
    """Render the kinds of errors so far with their counts, the most frequent first, on one line."""
    kinds = recent.errors.most_common(_KINDS_AT_MOST)
    if not kinds:
        return []
    text = ", ".join(f"{one_line(kind)} {format_count(count)}" for kind, count in kinds)
    return [
        Columns(
            [Column(right=False), Column(right=False, shrink_to=8, cut="parts")],
            [[Cell("errors", DIM), Cell(text, BAD)]],
            first_width=first_width,
        )
    ]


def searching(now: Snapshot, first_width: int) -> list[RenderableType]:
    """Render what a capacity search does now, and the highest load so far that met the objectives."""
    if now.search is None or not now.search.doing:
        return []
    so_far = now.search.so_far
    good = "" if so_far.capacity is None else f"good so far: {so_far.settings.text_of(so_far.capacity)}"
    cells = [Cell("search", DIM), Cell(one_line(now.search.doing), STRONG), Cell(good, DIM)]
    return [Columns([Column(right=False) for _ in cells], [cells], first_width=first_width)]


def offered(plan: Plan, now: Snapshot) -> str:
    """Return the load that is offered by open scenarios, like ``up to 500 starts/s offered``; "" without one."""
    if plan.capacity is not None:
        # The plan has the lightest load of the search.
        per_s = format_number_of(round(now.offered / now.span_s), "start")
        return f"{per_s}/s offered" if plan.capacity.by == "rate" else ""
    executors = [scenario.executor for scenario in plan.scenarios]
    constant = [executor.rate_per_s for executor in executors if isinstance(executor, ConstantArrivalRate)]
    ramps = [
        max(executor.start_rate_per_s, *(rate for _, rate in executor.stages))
        for executor in executors
        if isinstance(executor, RampingArrivalRate)
    ]
    if not constant and not ramps:
        return ""
    return f"{'up to ' if ramps else ''}{format_number_of(sum(constant) + sum(ramps), 'start')}/s offered"
