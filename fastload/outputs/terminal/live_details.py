"""Lines of the live block that are drawn where there is room: one for each scenario, and the kinds of errors."""

from __future__ import annotations

from rich.console import RenderableType

from fastload.model.load_models import PerVUIterations, Shape, SharedIterations
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import Snapshot
from fastload.model.units import format_count
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
