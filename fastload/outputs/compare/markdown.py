"""A comparison of runs in Markdown, for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fastload.model.compare.comparison import LABELS, NO_DIFFERENCE, Comparison, ComparisonRow, ComparisonVerdict
from fastload.model.compare.figures import SECTIONS
from fastload.model.units import format_number_of
from fastload.outputs.compare.wording import (
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
from fastload.outputs.markdown_text import code, prose, table

_SIGN: dict[ComparisonVerdict, str] = {"worse": "❌ ", "better": "✅ ", "changed": "🔸 ", NO_DIFFERENCE: "", "": ""}
_DETAILS_AT_MOST = 300


def comparison_markdown(comparison: Comparison) -> str:
    """Render verdict, warnings, headline figures and the details that differ; other details are collapsed."""
    parts = ["# Comparison of runs", *_verdicts(comparison), *_warnings(comparison), _sides(comparison)]
    for candidate in range(len(comparison.sides) - 1):
        parts += _figures(comparison, candidate)
    parts.append("\n".join(f"- {prose(note)}" for note in notes(comparison)))
    return "\n\n".join(parts) + "\n"


def _verdicts(comparison: Comparison) -> Iterator[str]:
    for candidate in range(len(comparison.sides) - 1):
        verdict = comparison.verdict_of(candidate)
        sign = "⚠️ " if comparison.issues.refusals else _SIGN[verdict] or "⚪ "
        yield f"{sign}**{format_lead(comparison, candidate)}** {prose(verdict_text(comparison, candidate))}"
    if note := details_note(comparison):
        yield note[:1].upper() + note[1:]


def _warnings(comparison: Comparison) -> Iterator[str]:
    issues = comparison.issues
    found = [f"- ⛔ **different plans**: {prose(text)}" for text in issues.refusals]
    found += [f"- ⚠️ {prose(text)}" for text in issues.warnings]
    if found:
        yield "\n".join(found)


def _sides(comparison: Comparison) -> str:
    rows = [
        [label, code(side.name), prose(", ".join(describe_side(side)))]
        for label, side in zip(LABELS, comparison.sides, strict=False)
    ]
    return table(["", "Runs", "What"], rows, left=3)


def _figures(comparison: Comparison, candidate: int) -> Iterator[str]:
    told = [row for row in comparison.rows if is_told(row, candidate)]
    others = [row for row in comparison.rows if not is_told(row, candidate)]
    yield f"## {LABELS[candidate + 1]} against A"
    yield _table(told, candidate, is_of_searches=comparison.is_of_searches)
    if others:
        shown = others[:_DETAILS_AT_MOST]
        more = f" (the first {len(shown)})" if len(shown) < len(others) else ""
        figures = format_number_of(len(others), "more figure")
        yield f"<details><summary>{figures} without a difference shown{more}</summary>"
        yield _table(shown, candidate, is_of_searches=comparison.is_of_searches)
        yield "</details>"


def _table(rows: Sequence[ComparisonRow], candidate: int, *, is_of_searches: bool) -> str:
    # A search knows between which loads the capacity is, and not how sure that is.
    interval = "Interval" if is_of_searches else "95 % interval"
    titles = ["", "", "A", LABELS[candidate + 1], "Difference", "Change", interval, "Verdict"]
    return table(titles, _rows(rows, candidate), left=2)


def _rows(rows: Iterable[ComparisonRow], candidate: int) -> Iterator[list[str]]:
    section = "headline"
    for row in rows:
        figure, change = row.figure, row.changes[candidate]
        if figure.section != section:
            section = figure.section
            yield [f"**{SECTIONS[section]}**", *[""] * 7]
        yield [
            code(figure.subject),
            figure.name,
            format_figure(figure, row.values[0]),
            format_figure(figure, row.values[candidate + 1]),
            format_difference(figure, change),
            format_change(figure, change),
            format_interval(figure, change),
            _SIGN[change.verdict] + format_verdict(change),
        ]
