"""Capacity in a Markdown report: the answer, what belongs to it, and the table of steps."""

from __future__ import annotations

from collections.abc import Iterator

from fastload.model.capacity.result import CapacityResult
from fastload.model.capacity.steps import CapacityStep
from fastload.model.units import format_count, format_ms, format_percent
from fastload.outputs.figures import MARK
from fastload.outputs.markdown_text import prose, table
from fastload.outputs.terminal.report_capacity import NO_RESULT, STEP_MARKS, capacity_lines, demand_text, outcome_text

_TITLES = (
    *("", "Load", "answered/s", "p50", "p95", "p99", "failed", "VUs", "target CPU", "CPU/request"),
    *("nearest to its limit", "outcome"),
)
_STEPS_AT_MOST = 100


def capacity_answer(result: CapacityResult | None) -> Iterator[str]:
    """Yield the answer, and what belongs to it. *result* is None if the data end before the search did."""
    if result is None:
        yield f"**Capacity: {NO_RESULT}**"
        return
    yield f"**Capacity: {prose(result.headline)}**"
    lines = [prose(text) for text in capacity_lines(result)]
    if result.remedy and result.state == "at_least":
        lines.append(f"→ {prose(result.remedy)}")
    if demand := demand_text(result):
        lines.append(f"{MARK[result.meets_demand]} {demand}")
    yield "\n".join(f"- {line}" for line in lines)


def capacity_steps(result: CapacityResult | None) -> Iterator[str]:
    """Yield the table of steps, by load."""
    if result is None or not result.steps:
        return
    yield "## Steps of the search"
    steps = sorted(result.steps, key=lambda step: (step.figures.load, step.number))
    yield table(_TITLES, [_row(result, step) for step in steps[:_STEPS_AT_MOST]], left=1)
    if len(steps) > _STEPS_AT_MOST:
        yield f"… and {format_count(len(steps) - _STEPS_AT_MOST)} more"


def _row(result: CapacityResult, step: CapacityStep) -> list[str]:
    one = step.figures
    return [
        STEP_MARKS[step.outcome.kind],
        result.settings.text_of(one.load),
        format_count(one.answered_per_s),
        *(format_ms(value) for value in (one.p50_ms, one.p95_ms, one.p99_ms)),
        format_percent(one.failed_share),
        format_count(one.vus),
        "-" if one.target_cpu_percent is None else f"{one.target_cpu_percent:.0f}%",
        "-" if one.cpu_ms is None else format_ms(one.cpu_ms),
        prose(one.nearest),
        prose(outcome_text(step)),
    ]
