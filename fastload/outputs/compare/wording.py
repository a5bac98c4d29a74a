"""Texts and formatted numbers of a comparison, shared by all its outputs."""

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
SHOWN_VERDICTS: tuple[ComparisonVerdict, ...] = ("worse", "better", "changed")
"""Verdicts that every output shows: those that state a difference."""
_NAMED_AT_MOST = 3
_SHORT_NAME = 32
# From a factor of ten on, the factor is easier to read than per cent.
_MOST_PERCENT = 9.0


def format_figure(figure: Figure, value: float | None) -> str:
    """Format the value that one side has for *figure*."""
    if value is None:
        return "-"
    if figure.spec.kind is Kind.RATE:
        return format_percent(value)
    return (format_rate if figure.spec.kind is Kind.COUNTER else format_value)(figure.spec, value)


def format_change(figure: Figure, change: Change) -> str:
    """Format the difference in per cent of the baseline, ``+5.1%``; of shares, in percentage points, ``+0.30pp``."""
    if figure.spec.kind is Kind.RATE:
        return "-" if change.difference is None else _points(change.difference)
    return "-" if change.ratio is None else _percent(change.ratio)


def format_difference(figure: Figure, change: Change) -> str:
    """Format the difference in the unit of the metric, ``+1.2ms``; of shares, in percentage points."""
    if change.difference is None:
        return "-"
    if figure.spec.kind is Kind.RATE:
        return _points(change.difference)
    sign = "+" if change.difference > 0 else "-" if change.difference < 0 else ""
    return sign + format_figure(figure, abs(change.difference))


def format_interval(figure: Figure, change: Change) -> str:
    """Format the 95 % confidence interval of the difference, ``+1.2% to +9.3%``, or the reason why there is none."""
    if change.low is None or change.high is None:
        return change.why
    form = _points if figure.spec.kind is Kind.RATE else _percent
    return f"{form(change.low)} to {form(change.high)}"


def format_verdict(change: Change) -> str:
    """Return ``worse``, ``better``, ``changed`` or ``none shown``; without a verdict, ``not judged``."""
    if change.verdict == NO_DIFFERENCE:
        return "none shown"
    return change.verdict or "not judged"


def is_told(row: ComparisonRow, candidate: int) -> bool:
    """Return whether a row is told also where not everything is: the headline, steps, and what differs."""
    return row.figure.section in ("headline", "steps") or row.changes[candidate].verdict in SHOWN_VERDICTS


def row_name(row: ComparisonRow) -> str:
    """Return subject and name of the figure: ``http_req_duration p95``."""
    return f"{row.figure.subject} {row.figure.name}"


def format_lead(comparison: Comparison, candidate: int) -> str:
    """Return the verdict of a whole candidate as a heading: ``Worse``, ``No difference shown``, ``Not judged``.

    Of different plans it says so first: ``Different plans, better``.
    """
    words = comparison.verdict_of(candidate) or "not judged"
    return (f"different plans, {words}" if comparison.issues.refusals else words).capitalize()


def verdict_text(comparison: Comparison, candidate: int) -> str:
    """Return the result of one candidate as a phrase that follows `format_lead`."""
    base, name = (side_label(comparison, index) for index in (0, candidate + 1))
    verdict = comparison.verdict_of(candidate)
    if verdict == NO_DIFFERENCE:
        return f"between {name} and {base}"
    if not verdict:
        return f"{name} against {base}: {_why_not(comparison, candidate)}"
    parts = []
    for kind in SHOWN_VERDICTS:
        found = [row for row, index in comparison.having(kind, headline=True) if index == candidate]
        if found:
            parts.append(f"{kind} in {_named(found, candidate)}")
    return f"{name} against {base}: {'; '.join(parts)}"


def details_note(comparison: Comparison) -> str:
    """Return how many detail figures differ, by candidate and verdict, or ""."""
    parts = []
    for candidate in range(len(comparison.sides) - 1):
        verdicts = [row.changes[candidate].verdict for row in comparison.rows if not row.is_headline]
        if counts := [f"{verdicts.count(kind)} {kind}" for kind in SHOWN_VERDICTS if kind in verdicts]:
            parts.append(f"in the details of {LABELS[candidate + 1]}: {', '.join(counts)}")
    return "; ".join(parts)


def notes(comparison: Comparison) -> Iterator[str]:
    """Yield the notes that a reader needs to interpret the figures."""
    sides = comparison.sides
    if comparison.is_of_searches:
        yield (
            "the interval of a capacity is from the highest load that met the objectives to the lowest that did not; "
            f"capacities differ if their intervals do not overlap, and by {comparison.margin * 100:g} % at least"
        )
        return
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


def describe_side(side: ComparisonSide) -> list[str]:
    """Return a short description of a side: start and duration of its runs, and the state of their verdicts."""
    runs = side.runs
    if len(runs) == 1:
        return [_run_words(side, 0)]
    states = sorted({run.state for run in runs})
    first, last = min(run.header.started_at for run in runs), max(run.header.started_at for run in runs)
    seconds = format_duration_s(round(sum(run.duration_s for run in runs) / len(runs), 1))
    return [f"{len(runs)} runs of {seconds}", f"{_minute(first)} to {_minute(last)}", " and ".join(states)]


def _run_words(side: ComparisonSide, index: int) -> str:
    run = side.runs[index]
    search = run.summary.get("capacity")
    answer = f", {search['headline']}" if search else ""
    return f"{_minute(run.header.started_at)}, {format_duration_s(round(run.duration_s, 1))}, {run.state}{answer}"


def side_label(comparison: Comparison, index: int) -> str:
    """Return the label of a side for use in a sentence, with the name of the side if it is short."""
    name = comparison.sides[index].name
    return f"{LABELS[index]} ({name})" if len(name) <= _SHORT_NAME else LABELS[index]


def _is_close(change: Change) -> bool:
    """Whether the interval excludes 0 although no difference is shown: it would be shown for a single figure."""
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
    """Format a relative difference: ``+5.1%``, or ``×12`` from a factor of ten on."""
    if ratio >= _MOST_PERCENT:
        return f"×{1 + ratio:.3g}" if ratio < 1e6 else "×∞"
    return _signed(ratio * 100, "%")


def _points(share: float) -> str:
    """Format a difference of shares in percentage points: ``+0.30pp``."""
    return _signed(share * 100, "pp")


def _signed(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 0.95 else 2
    text = f"{value:+.{digits}f}"
    return ("0" if not float(text) else text) + unit
