"""A plan as text: scenarios and their times, thresholds, and the source of each option."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from fastload.model.units import format_count, format_duration_s, format_number_of, format_percent
from fastload.model.wire_text import one_line
from fastload.outputs.base import writing
from fastload.outputs.terminal.layout import Cell, Column, Columns, Legible, Paragraph
from fastload.outputs.terminal.style import DIM, STRONG, WARN, heading

_LOST = "dim strike"
_NO_VALUE = "-"


def print_plan(console: Console, plan: Mapping[str, Any]) -> None:
    """Print *plan*, a description made by `fastload.planning.describe`.

    Raises:
        OutputError: the text cannot be written.
    """
    with writing("the plan", last_to=console.file):
        console.print(Legible(render_plan(plan)), highlight=False)


def plan_text(plan: Mapping[str, Any], *, width: int = 100) -> str:
    """Return the text of `print_plan` without styles, at most *width* columns wide."""
    text = StringIO()
    console = Console(file=text, width=width, color_system=None, highlight=False, markup=False, emoji=False)
    console.print(Legible(render_plan(plan)))
    return text.getvalue()


def render_plan(plan: Mapping[str, Any]) -> RenderableType:
    """Render all sections, with an empty line between them; sections without content are left out."""
    sections = (
        _head(plan),
        _timetable(plan),
        *map(_scenario, plan["scenarios"]),
        _thresholds_metrics_hooks(plan),
        _options(plan),
    )
    lines: list[RenderableType] = []
    for section in (*sections, _notes(plan)):
        if section:
            lines += [Text(), *section]
    return Group(*lines)


def _head(plan: Mapping[str, Any]) -> list[RenderableType]:
    longest = format_duration_s(plan["longest_s"])
    vus, workers = format_count(plan["max_vus"]), format_number_of(plan["workers"], "worker")
    against = f"target {plan['target']}, started for the run" if plan["target"] else plan["base_url"] or "no base URL"
    warmup = f", {format_duration_s(plan['warmup_s'])} of it warm-up" if plan["warmup_s"] else ""
    rows = [
        ("duration", f"{format_duration_s(plan['duration_s'])}, at most {longest} with graceful stops{warmup}"),
        ("VUs", f"{vus} at most, on {workers}: up to {format_count(plan['vus_per_worker'])} each"),
        ("against", against),
        ("seed", str(plan["seed"])),
    ]
    lines: list[RenderableType] = [Paragraph("PLAN  ", one_line(plan["title"]), lead_style=STRONG)]
    if plan["paused"]:
        rows.append(("paused", "nothing starts before it is asked for"))
    lines += [Paragraph(f"  {name:<10}", one_line(text), lead_style=DIM) for name, text in rows]
    return lines


def _timetable(plan: Mapping[str, Any]) -> list[RenderableType]:
    columns = [
        Column("SCENARIOS", right=False, shrink_to=12, cut="middle", title_style=STRONG),
        Column("executor", right=False),
        Column("model", right=False, drop=1),
        Column("VUs"),
        Column("starts"),
        Column("ends"),
        Column("latest"),
    ]
    rows = [
        [
            Cell(f"  {one_line(scenario['name'])}"),
            Cell(scenario["executor"]),
            Cell(scenario["model"]),
            Cell(format_count(scenario["max_vus"])),
            *(Cell(format_duration_s(scenario[when])) for when in ("starts_at_s", "ends_at_s", "ends_at_the_latest_s")),
        ]
        for scenario in plan["scenarios"]
    ]
    return [Columns(columns, rows)]


def _scenario(scenario: Mapping[str, Any]) -> list[RenderableType]:
    lines: list[RenderableType] = [
        Paragraph(f"{one_line(scenario['name'])}  ", scenario["description"], lead_style=STRONG)
    ]
    lines += [Paragraph(f"  {name:<10}", one_line(text), lead_style=DIM) for name, text in _facts(scenario)]
    return lines


def _facts(scenario: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if "iterations" in scenario:
        text = format_number_of(round(scenario["iterations"], 3), "iteration")
        if scenario["model"] == "open":
            text += f", {format_number_of(scenario['starts_per_s_per_worker'], 'start')}/s on each worker on average"
        yield "expected", text
    if scenario["after"]:
        yield "after", scenario["after"]
    if scenario["iteration_timeout_s"]:
        yield "timeout", f"{format_duration_s(scenario['iteration_timeout_s'])} for an iteration"
    if scenario["tags"]:
        yield "tags", ", ".join(f"{name}={value}" for name, value in scenario["tags"].items())
    functions = scenario["functions"]
    for function in functions:
        share = f", {format_percent(function['share'])} (weight {function['weight']:g})" if len(functions) > 1 else ""
        where = f" ({function['where']})" if function["where"] else ""
        yield "calls" if function is functions[0] else "", f"{function['name']}{where}{share}"
    yield from scenario["hooks"].items()


def _thresholds_metrics_hooks(plan: Mapping[str, Any]) -> list[RenderableType]:
    """Render the thresholds, the script's own metrics, and the hooks."""
    metrics = [
        f"{metric['name']} ({metric['kind']}{f', {unit}' if (unit := metric['unit']) else ''})"
        for metric in plan["metrics"]
    ]
    hooks = [f"{kind} {name}" for kind, name in plan["hooks"].items()]
    lines: list[RenderableType] = []
    for title, texts in (("THRESHOLDS", plan["thresholds"]), ("METRICS", metrics), ("HOOKS", hooks)):
        if texts:
            lines += [Text()] if lines else []
            lines += [heading(title), *(Paragraph("  ", one_line(text)) for text in texts)]
    return lines


def _options(plan: Mapping[str, Any]) -> list[RenderableType]:
    columns = [
        Column("OPTIONS", right=False, shrink_to=24, cut="middle", title_style=STRONG),
        Column("value", right=False, shrink_to=16, cut="middle"),
        Column("set by", right=False, shrink_to=16, cut="middle"),
    ]
    rows = []
    for option in plan["options"]:
        scenario = f"{option['scenario']}." if option["scenario"] else ""
        is_left = option["value"] is not None
        rows.append(
            [
                Cell(f"  {one_line(scenario + option['option'].removeprefix('thresholds.'))}"),
                Cell(one_line(option["value"]) if is_left else _NO_VALUE),
                Cell(one_line(option["set_by"] if is_left else f"replaced by {option['set_by']}"), _by_style(option)),
            ]
        )
        rows += (
            [Cell("    ✗", DIM), Cell(one_line(lost["value"]), _LOST), Cell(one_line(lost["set_by"]), DIM)]
            for lost in reversed(option["overridden"])
        )
    return [Columns(columns, rows)]


def _by_style(option: Mapping[str, Any]) -> str:
    return DIM if option["set_by"] in ("default", "by chance") or option["value"] is None else ""


def _notes(plan: Mapping[str, Any]) -> list[RenderableType]:
    return [Paragraph("• ", one_line(note), lead_style=WARN) for note in plan["notes"]]
