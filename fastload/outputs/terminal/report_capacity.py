"""Capacity in the report: the answer, what was too much, the steps, and what follows from them."""

from __future__ import annotations

from rich.console import RenderableType

from fastload.model.capacity.result import CapacityResult
from fastload.model.capacity.scalability import Scalability
from fastload.model.capacity.steps import CapacityStep, StepKind
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_ms, format_percent
from fastload.model.wire_text import one_line
from fastload.outputs.figures import MARK
from fastload.outputs.terminal.layout import Cell, Column, Columns, Paragraph
from fastload.outputs.terminal.style import BAD, DIM, STRONG, mark_style

NO_RESULT = "not known: the data end before the search did"
# A step whose load was not made says nothing about the target.
STEP_MARKS: dict[StepKind, str] = {"good": MARK[True], "bad": MARK[False], "generator": "•"}
_STYLES: dict[StepKind, str] = {"good": mark_style(True), "bad": mark_style(False), "generator": DIM}


def render_capacity(summary: Summary) -> list[RenderableType]:
    """Render the result of a capacity search, if the run was one."""
    result = summary.capacity
    if result is None:
        # The file of a search that was killed has its seconds, and no result.
        is_search = summary.plan.capacity is not None
        return [Paragraph("CAPACITY  ", NO_RESULT, lead_style=STRONG)] if is_search else []
    style = f"bold {BAD}" if not result.meets_demand or result.capacity is None else STRONG
    lines: list[RenderableType] = [Paragraph("CAPACITY  ", one_line(result.headline), lead_style=style)]
    lines += [Paragraph("  • ", one_line(text)) for text in capacity_lines(result)]
    if result.remedy and result.state == "at_least":
        lines.append(Paragraph("  → ", one_line(result.remedy), lead_style=STRONG))
    if demand := demand_text(result):
        lines.append(Paragraph(f"  {MARK[result.meets_demand]} ", demand, lead_style=mark_style(result.meets_demand)))
    return lines


def render_steps(summary: Summary) -> list[RenderableType]:
    """Render one row for each step of a capacity search, by load."""
    result = summary.capacity
    if result is None or not result.steps:
        return []
    columns = [
        Column("STEPS", right=False, title_style=STRONG),
        Column("answered/s"),
        Column("p50", drop=2),
        Column("p95"),
        Column("p99", drop=1),
        Column("failed"),
        Column("VUs", drop=3),
        Column("target CPU", drop=4),
        Column("CPU/req", drop=5),
        Column("", right=False, shrink_to=16),
    ]
    steps = sorted(result.steps, key=lambda step: (step.figures.load, step.number))
    return [Columns(columns, [_row(result, step) for step in steps])]


def capacity_lines(result: CapacityResult) -> list[str]:
    """Return what belongs to the answer: the objectives, what was too much, and the law of scalability."""
    lines = []
    if result.objectives:
        lines.append("objectives: " + "; ".join(result.objectives))
    if result.state == "found" and result.high is not None and result.why:
        lines.append(f"at {result.settings.text_of(result.high)}: {result.why}")
    if result.settings.quick:
        lines.append("a first look: --find-capacity takes a minute or two and comes much closer")
        return lines
    law = result.scalability
    lines.append(scalability_text(law) if isinstance(law, Scalability) else f"no law of scalability: {law}")
    return lines


def demand_text(result: CapacityResult) -> str:
    """Return whether the capacity that was asked for is shown: ``at least 300/s asked for: shown``. "" if none was."""
    if result.settings.at_least is None:
        return ""
    told = "shown" if result.meets_demand else "not shown"
    return f"at least {result.settings.text_of(result.settings.at_least)} asked for: {told}"


def scalability_text(law: Scalability) -> str:
    """Return the fit of the Universal Scalability Law as a sentence."""
    text = (
        f"scalability: one request at a time {format_count(law.rate_1)}/s, contention {format_percent(law.sigma)}, "
        f"coherence {law.kappa:.2g} (R2 {law.r2:.2f})"
    )
    if law.peak_n is not None and law.peak_per_s is not None:
        text += f"; its peak is {format_count(law.peak_per_s)}/s at {format_count(law.peak_n)} requests in flight"
    return f"{text}; twice the cores give at most {law.twice:.2g} times as much"


def outcome_text(step: CapacityStep) -> str:
    """Return why a step was not good, or what a good one was for."""
    return step.outcome.why or step.purpose.replace("confirm", "confirmed")


def _row(result: CapacityResult, step: CapacityStep) -> list[Cell]:
    one = step.figures
    kind = step.outcome.kind
    cpu = "" if one.target_cpu_percent is None else f"{one.target_cpu_percent:.0f}%"
    return [
        Cell(f"  {STEP_MARKS[kind]} {result.settings.text_of(one.load)}", _STYLES[kind]),
        Cell(format_count(one.answered_per_s)),
        Cell(format_ms(one.p50_ms)),
        Cell(format_ms(one.p95_ms)),
        Cell(format_ms(one.p99_ms)),
        Cell(format_percent(one.failed_share), BAD if one.failed_share else ""),
        Cell(format_count(one.vus)),
        Cell(cpu),
        Cell("" if one.cpu_ms is None else format_ms(one.cpu_ms)),
        Cell(one_line(outcome_text(step)), DIM),
    ]
