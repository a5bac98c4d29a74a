"""The report of a run as text: first the verdict, then the run, the measurements, and the limit of the generator."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from io import StringIO
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from fastload.model.argument_types import CallArguments, wrong_types_named
from fastload.model.capacity.result import describe_search
from fastload.model.error_remedies import remedy_of
from fastload.model.http_settings import without_credentials
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.load_changes import changed_load, count_changes
from fastload.model.load_models import first_load
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_duration_s, format_percent, format_were
from fastload.model.wire_text import one_line
from fastload.outputs.base import writing
from fastload.outputs.figures import MARK, format_observed, raised_words
from fastload.outputs.terminal.layout import Cell, Column, Columns, Excerpt, Legible, Paragraph, legible
from fastload.outputs.terminal.report_breakdown import render_calls, render_endpoints, render_groups, render_scenarios
from fastload.outputs.terminal.report_capacity import render_capacity, render_steps
from fastload.outputs.terminal.report_cost import render_cost
from fastload.outputs.terminal.report_distribution import render_distribution
from fastload.outputs.terminal.report_metrics import render_latencies, render_metrics
from fastload.outputs.terminal.report_resources import render_resources
from fastload.outputs.terminal.style import BAD, DIM, STATE_STYLE, STRONG, WARN, heading, mark_style

_MEANING = {
    "VALID": "the numbers below can be trusted",
    "SUSPECT": "read the reasons before you use the numbers",
    "INVALID": "the generator was the limit: the latencies say more about this machine than about the target",
}
_STOPPED = {
    "interrupt": "interrupted after {after}: everything below is of the time until then",
    "worker-loss": "stopped after {after}, when a worker was lost",
    "threshold": "stopped after {after} by a threshold: {reason}",
    "abort": "stopped after {after} by the script: {reason}",
    "no-answer": "ended after {after}: {reason}",
    "control": "stopped after {after}, as it was told to",
    "error": "stopped after {after}, because a function of the script raised",
    "unknown": "known until {after}: the end of the run is not in its file",
}
_ERRORS_AT_MOST = 20
_EXCEPTIONS_AT_MOST = 5
_CHANGES_AT_MOST = 10


class SummaryReport:
    """An output that prints the report when the run is over. It must follow outputs that draw on the same terminal."""

    name = "report"

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, plan: Plan) -> None:
        """Do nothing before the end of the run."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Do nothing before the end of the run."""

    def stop(self, summary: Summary) -> None:
        with writing("the summary", last_to=self._console.file):
            if summary.report:
                self._console.out(legible(summary.report.rstrip("\n"), self._console.encoding), highlight=False)
            else:
                self._console.print(Legible(render_summary(summary)), highlight=False)


def summary_text(summary: Summary, *, width: int = 100) -> str:
    """Return the report of a run as plain text, at most *width* columns wide: ``print(fl.summary_text(summary))``."""
    text = StringIO()
    with wrong_types_named(CallArguments("fl.summary_text", summary_text, {"summary": summary, "width": width})):
        console = Console(file=text, width=width, color_system=None, highlight=False, markup=False, emoji=False)
        console.print(Legible(render_summary(summary)))
    return text.getvalue()


def render_summary(summary: Summary) -> RenderableType:
    """Render the report: all sections with an empty line between them; sections without content are left out."""
    sections = (
        _verdict(summary),
        _run(summary),
        render_capacity(summary),
        render_steps(summary),
        _hook_errors(summary),
        _thresholds(summary),
        _checks(summary),
        *_measurements(summary),
        _errors(summary),
        _exceptions(summary),
        render_resources(summary),
        render_cost(summary),
        _remarks(summary),
        _limit(summary),
    )
    lines: list[RenderableType] = []
    for section in sections:
        if section:
            lines += [Text(), *section]
    return Group(*lines)


def _measurements(summary: Summary) -> list[list[RenderableType]]:
    """Render what was measured over the whole run; nothing for a capacity search, whose steps differ."""
    if summary.plan.capacity is not None:
        return []
    return [
        render_latencies(summary),
        render_metrics(summary),
        *([one] for one in render_distribution(summary)),
        render_scenarios(summary),
        render_groups(summary),
        render_endpoints(summary),
        render_calls(summary),
    ]


def _verdict(summary: Summary) -> list[RenderableType]:
    verdict = summary.verdict
    lines: list[RenderableType] = [
        Paragraph(f"{verdict.state}  ", _MEANING[verdict.state], lead_style=STATE_STYLE[verdict.state]),
    ]
    lines += [Paragraph("  • ", one_line(reason)) for reason in verdict.reasons]
    if verdict.remedy:
        lines.append(Paragraph("  → ", one_line(verdict.remedy), lead_style=STRONG))
    return lines


def _run(summary: Summary) -> list[RenderableType]:
    plan = summary.plan
    shown = without_credentials(plan.base_url)
    title = one_line(plan.title if not shown or shown in plan.title else f"{plan.title} against {shown}")
    workers = f"{plan.workers} worker{'s' * (plan.workers != 1)}"
    load = changed_load(plan.scenarios[0].executor.describe(), plan.scenarios[0].name, summary.load_changes)
    if plan.capacity is not None:
        load = describe_search(plan.capacity)
    parts = [title, one_line(load), workers]
    if len(plan.scenarios) > 1:
        parts[1:2] = [f"{len(plan.scenarios)} scenarios"]
    lines: list[RenderableType] = [Paragraph("RUN  ", ", ".join(parts), lead_style=STRONG)]
    if len(plan.scenarios) > 1:
        lines += [Paragraph("  • ", f"{one_line(one.name)}: {_course(one, summary)}") for one in plan.scenarios]
    if (earlier := count_changes(summary.load_changes) - _CHANGES_AT_MOST) > 0:
        has = "them" if len(summary.load_changes) == earlier + _CHANGES_AT_MOST else "the newest of them"
        lines.append(Paragraph("  ↕ ", f"{format_count(earlier)} earlier changes: the summary as JSON has {has}"))
    for change in summary.load_changes[-_CHANGES_AT_MOST:]:
        lines.append(Paragraph("  ↕ ", f"{change.when}, {one_line(change.text)}"))
    if summary.stopped_by:
        text = _STOPPED.get(summary.stopped_by, "stopped after {after}: " + one_line(summary.stopped_by))
        after, reason = format_duration_s(summary.duration_s), one_line(summary.stop_reason)
        mark = "■" if summary.stopped_by == "control" else "✗"
        lines.append(Paragraph(f"  {mark} ", text.format(after=after, reason=reason), lead_style=BAD))
    return lines


def _course(scenario: ScenarioPlan, summary: Summary) -> str:
    """Describe the executor of a scenario, its start if that is not the start of the run, and changes of its load."""
    begin = [f"after {scenario.after}"] if scenario.after else []
    begin += [f"from {format_duration_s(scenario.start_s)} on"] if scenario.start_s else []
    load = changed_load(scenario.executor.describe(), scenario.name, summary.load_changes)
    if summary.plan.capacity is not None:
        loads = {one.name: first_load(one.executor) for one in summary.plan.scenarios}
        load = f"{format_percent(loads[scenario.name] / sum(loads.values()))} of the load"
    return ", ".join([load, *map(one_line, begin)])


def _hook_errors(summary: Summary) -> list[RenderableType]:
    """Render the errors of hooks, with the lines of the user's code."""
    lines: list[RenderableType] = []
    for error in summary.hook_errors:
        *before, last = error.message.splitlines() or [""]
        lines.append(Paragraph(f"FAILED  {error.hook}: ", one_line(last), lead_style=f"bold {BAD}", foreign=True))
        lines.append(Excerpt("    ", [_printable(line) for line in before], style=DIM))
    return lines


def _thresholds(summary: Summary) -> list[RenderableType]:
    if not summary.thresholds:
        return []
    by_metric: dict[str, list[ThresholdResult]] = defaultdict(list)
    for result in summary.thresholds:
        by_metric[result.metric].append(result)
    width = max(len(one_line(result.expression)) for result in summary.thresholds) + 6
    failed = sum(not result.ok for result in summary.thresholds)
    note = f"{failed} of {len(summary.thresholds)} failed" if failed else ""
    lines: list[RenderableType] = [heading("THRESHOLDS", note, BAD)]
    for metric, results in by_metric.items():
        lines.append(Text(f"  {one_line(metric)}", no_wrap=True, overflow="ellipsis"))
        rows = [
            [
                Cell(f"  {MARK[result.ok]} '{one_line(result.expression)}'", mark_style(result.ok)),
                Cell(format_observed(replace(result, reason="")), "" if result.ok else BAD),
            ]
            for result in results
        ]
        columns = [Column(right=False, shrink_to=12, cut="middle"), Column(right=False)]
        lines.append(Columns(columns, rows, first_width=width))
        reasons = dict.fromkeys(result.reason for result in results if result.reason)
        lines += [Paragraph("    → ", one_line(reason), style=DIM) for reason in reasons]
    return lines


def _checks(summary: Summary) -> list[RenderableType]:
    if not summary.checks:
        return []
    several = len({check.scenario for check in summary.checks}) > 1
    rows = []
    for check in summary.checks:
        ok, total = not check.fails, check.passes + check.fails
        rows.append(
            [
                Cell(f"  {MARK[ok]} {one_line(check.name)}", mark_style(ok)),
                *([Cell(one_line(check.scenario), DIM)] if several else []),
                Cell(format_count(check.passes)),
                Cell(format_count(check.fails), "" if ok else BAD),
                Cell(format_percent(check.passes / total) if total else "-"),
            ]
        )
    columns = [
        Column("CHECKS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
        *([Column("scenario", right=False, shrink_to=8, cut="middle", drop=1)] if several else []),
        Column("passed"),
        Column("failed"),
        Column("rate"),
    ]
    return [Columns(columns, rows, first_width=26)]


def _errors(summary: Summary) -> list[RenderableType]:
    found = summary.errors.to_list()
    if not found:
        return []
    rows = [
        [
            Cell(f"  {one_line(error['kind'])}", BAD),
            Cell(format_count(error["count"])),
            Cell(one_line(error["first"])),
        ]
        for error in found[:_ERRORS_AT_MOST]
    ]
    columns = [
        Column("ERRORS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
        Column("count"),
        Column("first message", right=False, shrink_to=10),
    ]
    return [Columns(columns, rows), *_more(len(found) - _ERRORS_AT_MOST), *_remedies(found[:_ERRORS_AT_MOST])]


def _remedies(errors: list[dict[str, Any]]) -> list[RenderableType]:
    """Render what to do about *errors*, each remedy once."""
    kinds: dict[str, list[str]] = {}
    for error in errors:
        kinds.setdefault(remedy_of(error["kind"], error["first"]), []).append(error["kind"].partition(":")[0])
    return [
        Paragraph("  → ", f"{one_line(', '.join(dict.fromkeys(names)))}: {remedy}", style=DIM)
        for remedy, names in kinds.items()
    ]


def _exceptions(summary: Summary) -> list[RenderableType]:
    found = summary.exceptions.raised_list()
    if not found:
        return []
    every = " (every iteration raised)" if summary.all_raised else ""
    lines: list[RenderableType] = [heading("EXCEPTIONS", f"iterations that raised{every}")]
    for entry in found[:_EXCEPTIONS_AT_MOST]:
        lines.append(Paragraph("  ", f"{one_line(entry['kind'])}  {raised_words(entry)}", style=BAD))
        lines.append(Excerpt("    ", [_printable(line) for line in entry["first"].splitlines()], style=DIM))
    return [*lines, *_more(len(found) - _EXCEPTIONS_AT_MOST)]


def _printable(line: str) -> str:
    return " " * (len(line) - len(line.lstrip())) + one_line(line)


def _remarks(summary: Summary) -> list[RenderableType]:
    """Render notes, and the counts of requests and iterations that are in no metric, like interrupted ones."""
    counts = summary.requests
    lines: list[RenderableType] = []
    if counts.interrupted or counts.lost or counts.warmup or counts.setup:
        parts = [f"{format_count(counts.finished)} finished", f"{format_count(counts.failed)} failed"]
        if counts.interrupted:
            parts.append(f"{format_count(counts.interrupted)} interrupted at the end")
        if counts.setup:
            parts.append(f"{format_count(counts.setup)} by setup and teardown, in no metric")
        if counts.warmup:
            parts.append(f"{format_count(counts.warmup)} during warm-up, in no metric")
        if counts.lost:
            parts.append(f"{format_count(counts.lost)} in flight in a lost worker")
        text = f"{format_count(counts.started)} started = {' + '.join(parts)}"
        lines.append(Paragraph("REQUESTS  ", text, lead_style=STRONG))
    if counts.challenges:
        verb = "was" if counts.challenges == 1 else "were"
        text = f"{format_count(counts.challenges)} more {verb} sent to answer challenges of digest or NTLM"
        lines.append(Paragraph("CHALLENGES  ", text, lead_style=STRONG))
    if counts.iterations_interrupted:
        text = f"{format_were(counts.iterations_interrupted)} interrupted before their end"
        lines.append(Paragraph("ITERATIONS  ", text, lead_style=STRONG))
    lines += [Paragraph("NOTE  ", one_line(note), lead_style=f"bold {WARN}") for note in summary.notes]
    return lines


def _limit(summary: Summary) -> list[RenderableType]:
    verdict = summary.verdict
    lines: list[RenderableType] = [Paragraph("LIMIT  ", one_line(verdict.limit), lead_style=STRONG)]
    return [*lines, *(Paragraph("  • ", one_line(line)) for line in verdict.further_limits)]


def _more(count: int) -> list[RenderableType]:
    return [Text(f"  … and {format_count(count)} more", DIM)] if count > 0 else []
