"""A comparison of runs for a terminal: the verdict, then warnings, then the figures."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.text import Text

from fastload.model.compare.comparison import LABELS, NO_DIFFERENCE, Comparison, ComparisonRow, ComparisonVerdict
from fastload.model.compare.figures import SECTIONS
from fastload.model.units import format_count
from fastload.model.wire_text import one_line
from fastload.outputs.base import writing
from fastload.outputs.compare.wording import (
    MARKS,
    SHOWN_VERDICTS,
    describe_side,
    details_note,
    format_change,
    format_difference,
    format_figure,
    format_interval,
    format_lead,
    format_verdict,
    is_told,
    notes,
    verdict_text,
)
from fastload.outputs.terminal.layout import Cell, Column, Columns, Legible, Paragraph
from fastload.outputs.terminal.style import BAD, DIM, GOOD, STRONG, WARN

_STYLE: dict[ComparisonVerdict, str] = {"worse": BAD, "better": GOOD, "changed": WARN, NO_DIFFERENCE: DIM, "": DIM}
_SUBJECT_AT_LEAST = 20


def print_comparison(console: Console, comparison: Comparison, *, everything: bool = False) -> None:
    """Print *comparison*. *everything*: include details in which no difference is shown.

    Raises:
        OutputError: the text cannot be written.
    """
    with writing("the comparison", last_to=console.file):
        console.print(Legible(render_comparison(comparison, everything=everything)), highlight=False)


def render_comparison(comparison: Comparison, *, everything: bool = False) -> RenderableType:
    """Render all sections, with an empty line between them."""
    sections = [_verdict(comparison), _warnings(comparison), _sides(comparison)]
    sections += [
        _figures(comparison, candidate, everything=everything) for candidate in range(len(comparison.sides) - 1)
    ]
    sections.append(_notes(comparison))
    lines: list[RenderableType] = []
    for section in sections:
        if section:
            lines += [*([Text()] if lines else []), *section]
    return Group(*lines)


def _verdict(comparison: Comparison) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for candidate in range(len(comparison.sides) - 1):
        verdict = comparison.verdict_of(candidate)
        style = STRONG if verdict in (NO_DIFFERENCE, "") else f"bold {_STYLE[verdict]}"
        if comparison.issues.refusals and verdict == "better":
            # Another load may be why.
            style = f"bold {WARN}"
        lead = f"{format_lead(comparison, candidate).upper()}  "
        lines.append(Paragraph(lead, one_line(verdict_text(comparison, candidate)), lead_style=style))
    if note := details_note(comparison):
        lines.append(Paragraph("  • ", note))
    return lines


def _warnings(comparison: Comparison) -> list[RenderableType]:
    issues = comparison.issues
    lines: list[RenderableType] = [
        Paragraph("DIFFERENT PLANS  ", one_line(text), lead_style=f"bold {BAD}") for text in issues.refusals
    ]
    return lines + [Paragraph("WARNING  ", one_line(text), lead_style=f"bold {WARN}") for text in issues.warnings]


def _sides(comparison: Comparison) -> list[RenderableType]:
    return [
        Paragraph(f"{label}  ", f"{one_line(side.name)}: {', '.join(describe_side(side))}", lead_style=STRONG)
        for label, side in zip(LABELS, comparison.sides, strict=False)
    ]


def _figures(comparison: Comparison, candidate: int, *, everything: bool) -> list[RenderableType]:
    """Render the figures of one candidate beside those of the baseline."""
    label = LABELS[candidate + 1]
    shown, left_out = list[ComparisonRow](), list[ComparisonRow]()
    for row in comparison.rows:
        told = everything or is_told(row, candidate)
        (shown if told else left_out).append(row)
    rows = list(_grouped(shown, candidate))
    columns = [
        Column(f"{label} AGAINST A", right=False, shrink_to=_SUBJECT_AT_LEAST, cut="middle", title_style=STRONG),
        Column("", right=False),
        Column("A", drop=2),
        Column(label, drop=1),
        Column("difference", drop=4),
        Column("change"),
        Column("interval" if comparison.is_of_searches else "95% interval", right=False, drop=3),
        Column("verdict", right=False),
    ]
    lines: list[RenderableType] = [Columns(columns, rows)]
    if left_out:
        unjudged = sum(not row.changes[candidate].verdict for row in left_out)
        counts = {"with no difference shown": len(left_out) - unjudged, "not judged": unjudged}
        parts = [f"{format_count(count)} {what}" for what, count in counts.items() if count]
        lines.append(Paragraph("  … ", f"and {', '.join(parts)} (--all lists them)", lead_style=DIM, style=DIM))
    return lines


def _grouped(rows: Iterable[ComparisonRow], candidate: int) -> Iterable[list[Cell]]:
    """Yield the rows, with a heading before each section; successive rows of one subject name it only once."""
    section, subject = "headline", ""
    for row in rows:
        if row.figure.section != section:
            section, subject = row.figure.section, ""
            yield [Cell(SECTIONS[row.figure.section].upper(), STRONG), Cell("")]
        name, subject = "" if row.figure.subject == subject else row.figure.subject, row.figure.subject
        yield _row(row, name, candidate)


def _row(row: ComparisonRow, name: str, candidate: int) -> list[Cell]:
    figure, change = row.figure, row.changes[candidate]
    style, mark = _STYLE[change.verdict], MARKS[change.verdict] or " "
    return [
        Cell(f"  {one_line(name)}"),
        Cell(figure.name),
        Cell(format_figure(figure, row.values[0])),
        Cell(format_figure(figure, row.values[candidate + 1])),
        Cell(format_difference(figure, change)),
        Cell(format_change(figure, change), style if change.verdict in SHOWN_VERDICTS else ""),
        Cell(format_interval(figure, change), "" if change.low is not None else DIM),
        Cell(f"{mark} {format_verdict(change)}", style),
    ]


def _notes(comparison: Comparison) -> list[RenderableType]:
    return [Paragraph("NOTE  ", text, lead_style=STRONG) for text in notes(comparison)]
