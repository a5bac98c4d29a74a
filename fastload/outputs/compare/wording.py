"""A comparison in words and figures, the same in every output of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fastload.model.compare.comparison import (
    LABELS,
    NO_DIFFERENCE,
    UNSTEADY,
    Change,
    Comparison,
    ComparisonRow,
    ComparisonSide,
    ComparisonVerdict,
)
from fastload.model.compare.figures import Figure
from fastload.model.metrics import Kind
from fastload.model.units import format_duration_s, format_percent
from fastload.outputs.figures import format_rate, format_value

MARKS: dict[ComparisonVerdict, str] = {"worse": "✗", "better": "✓", "changed": "•", NO_DIFFERENCE: "", "": ""}
TOLD: tuple[ComparisonVerdict, ...] = ("worse", "better", "changed")
"""The verdicts that a reader is shown in any case."""
_NAMED_AT_MOST = 3
_SHORT_NAME = 32
# From ten times as much on, the factor says more than per cents.
_MOST_PERCENT = 9.0


def format_figure(figure: Figure, value: float | None) -> str:
    """A value of one side."""
    if value is None:
        return "-"
    if figure.spec.kind is Kind.RATE:
        return format_percent(value)
    return (format_rate if figure.spec.kind is Kind.COUNTER else format_value)(figure.spec, value)


def format_change(figure: Figure, change: Change) -> str:
    """The difference in per cent of the baseline, ``+5.12%``; of shares in percentage points, ``+0.30pp``."""
    if figure.spec.kind is Kind.RATE:
        return "-" if change.difference is None else _points(change.difference)
    return "-" if change.ratio is None else _percent(change.ratio)


def format_difference(figure: Figure, change: Change) -> str:
    """The difference in the metric's unit, ``+1.2ms``; of shares in percentage points."""
    if change.difference is None:
        return "-"
    if figure.spec.kind is Kind.RATE:
        return _points(change.difference)
    sign = "+" if change.difference > 0 else "-" if change.difference < 0 else ""
    return sign + format_figure(figure, abs(change.difference))


def format_interval(figure: Figure, change: Change) -> str:
    """What the difference is with 95 % confidence, ``+1.2% to +9.3%``, or why that is not known."""
    if change.low is None or change.high is None:
        return change.why
    form = _points if figure.spec.kind is Kind.RATE else _percent
    return f"{form(change.low)} to {form(change.high)}"


def format_verdict(change: Change) -> str:
    """``worse``, ``better``, ``changed``, ``none shown``; ``not judged`` without a verdict."""
    if change.verdict == NO_DIFFERENCE:
        return "none shown"
    return change.verdict or "not judged"


def row_name(row: ComparisonRow) -> str:
    """``http_req_duration p95``."""
    return f"{row.figure.subject} {row.figure.name}"


def format_lead(verdict: ComparisonVerdict) -> str:
    """The verdict of a whole candidate as a heading: ``Worse``, ``No difference shown``, ``Not judged``."""
    return (verdict or "not judged").capitalize()


def verdict_text(comparison: Comparison, candidate: int) -> str:
    """What came out for one candidate, after `format_lead`."""
    base, name = (called(comparison, index) for index in (0, candidate + 1))
    verdict = comparison.verdict_of(candidate)
    if verdict == NO_DIFFERENCE:
        return f"between {name} and {base}"
    if not verdict:
        return f"{name} against {base}: {_why_not(comparison, candidate)}"
    parts = []
    for kind in TOLD:
        found = [row for row, index in comparison.having(kind, headline=True) if index == candidate]
        if found:
            parts.append(f"{kind} in {_named(found, candidate)}")
    return f"{name} against {base}: {'; '.join(parts)}"


def details_note(comparison: Comparison) -> str:
    """What the details say beside the headlines, or ""."""
    parts = []
    for candidate in range(len(comparison.sides) - 1):
        verdicts = [row.changes[candidate].verdict for row in comparison.rows if not row.is_headline]
        if counts := [f"{verdicts.count(kind)} {kind}" for kind in TOLD if kind in verdicts]:
            parts.append(f"in the details of {LABELS[candidate + 1]}: {', '.join(counts)}")
    return "; ".join(parts)


def notes(comparison: Comparison) -> Iterator[str]:
    """What a reader has to know to read the figures right."""
    sides = comparison.sides
    if all(len(side.runs) == 1 for side in sides):
        yield (
            "one run each: how much runs vary from one to the next is in no interval. Save several of each into two "
            "directories, and compare those"
        )
    elif any(len(side.runs) == 1 for side in sides):
        yield "a run alone is taken to vary as much as the repeated ones do"
    yield (
        f"intervals are of 95 % confidence; a difference under {comparison.margin * 100:g} % counts as none; the "
        "headline and the details each have a chance of 5 % at most to show a difference where nothing differs"
    )
    if any(_is_close(change) for row in comparison.rows for change in row.changes):
        yield (
            "where an interval leaves out 0 and no difference is shown all the same, so many figures were looked at "
            "that one of them may do so by chance"
        )
    if any(change.why == UNSTEADY for row in comparison.rows for change in row.changes):
        yield (
            f"{UNSTEADY}: the slowest values came in so few spells that they tell no more than a handful of values; "
            "longer runs, or repeated ones, can tell"
        )


def side_words(side: ComparisonSide) -> list[str]:
    """What a side is: when, how long, and whether it can be trusted."""
    runs = side.runs
    if len(runs) == 1:
        return [_run_words(side, 0)]
    states = sorted({run.state for run in runs})
    first, last = min(run.header.started_at for run in runs), max(run.header.started_at for run in runs)
    seconds = format_duration_s(round(sum(run.duration_s for run in runs) / len(runs), 1))
    return [f"{len(runs)} runs of {seconds}", f"{_minute(first)} to {_minute(last)}", " and ".join(states)]


def _run_words(side: ComparisonSide, index: int) -> str:
    run = side.runs[index]
    return f"{_minute(run.header.started_at)}, {format_duration_s(round(run.duration_s, 1))}, {run.state}"


def called(comparison: Comparison, index: int) -> str:
    """A side in a sentence: its label, and its name if that is short."""
    name = comparison.sides[index].name
    return f"{LABELS[index]} ({name})" if len(name) <= _SHORT_NAME else LABELS[index]


def _is_close(change: Change) -> bool:
    """Whether a difference would have been shown if it were the only figure."""
    return change.verdict == NO_DIFFERENCE and change.low is not None and not change.low <= 0 <= (change.high or 0.0)


def _minute(started_at: str) -> str:
    return started_at[:16].replace("T", " ")


def _named(rows: list[ComparisonRow], candidate: int) -> str:
    named = [
        f"{row_name(row)} ({format_change(row.figure, row.changes[candidate])})" for row in islice(rows, _NAMED_AT_MOST)
    ]
    more = len(rows) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _why_not(comparison: Comparison, candidate: int) -> str:
    reasons = [row.changes[candidate].why for row in comparison.rows if row.is_headline]
    return next((why for why in reasons if why), "nothing was measured")


def _percent(ratio: float) -> str:
    """``+5.1%``; ``×12`` from ten times on."""
    if ratio >= _MOST_PERCENT:
        return f"×{1 + ratio:.3g}" if ratio < 1e6 else "×∞"
    return _signed(ratio * 100, "%")


def _points(share: float) -> str:
    """``+0.30pp``."""
    return _signed(share * 100, "pp")


def _signed(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 0.95 else 2
    text = f"{value:+.{digits}f}"
    return ("0" if not float(text) else text) + unit
