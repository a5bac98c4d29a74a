"""Comparison of saved runs: the figures of a baseline and of one or more candidates, and whether they really differ.

A figure is better or worse only under two conditions:

- The difference is at least the *margin*, relative to the baseline. For a share that is better when higher, the margin
  is relative to 1 - share.
- The difference is not chance, by the intervals of `intervals`.

With many figures some would differ by chance alone. The procedure of Benjamini and Hochberg bounds these false alarms,
for two families of figures of each candidate: the *headline* (rate, share of failures, latency, checks), which decides
the verdict, and all *details*. With one family for both, the headline of a script with a hundred endpoints would need a
difference a hundred times as clear.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from fastload.model.compare.batches import FEWEST_BATCHES, BatchedRun
from fastload.model.compare.comparability import ComparabilityIssues, find_issues
from fastload.model.compare.figures import CPU_PER_REQUEST, Figure, figures_of
from fastload.model.compare.intervals import (
    FEWEST_VALUES,
    Difference,
    Estimate,
    benjamini_hochberg,
    compare_groups,
    compare_two,
    quantile_estimate,
    rate_estimate,
    share_estimate,
)
from fastload.model.metrics import Kind
from fastload.model.series import GaugeValue, RateValue, TrendValue
from fastload.model.student_t import CONFIDENCE

ComparisonVerdict = Literal["better", "worse", "changed", "no difference shown", ""]
COMPARISON_VERSION = 1
MARGIN_OF_REPEATED, MARGIN_OF_SINGLE = 0.01, 0.05
"""Default margins: the least relative difference that matters. It is larger for single runs, because their intervals
do not include the variation from run to run."""
NO_DIFFERENCE: ComparisonVerdict = "no difference shown"
UNSTEADY = "too unsteady"
"""Reason for no verdict: the values of a run are worth fewer than `FEWEST_VALUES` independent values."""
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names of the sides in every output, the baseline first."""
MOST_SIDES = len(LABELS)


@dataclass(frozen=True, slots=True)
class ComparisonSide:
    """Side of a comparison: one run, or repeated runs of the same test. *name* is the name of the file or directory."""

    name: str
    runs: Sequence[BatchedRun]


@dataclass(frozen=True, slots=True)
class Change:
    """Change of one figure from the baseline to a candidate.

    - *difference* is in the metric's unit; for a share it is a difference of shares.
    - *ratio* is the difference relative to the baseline: 0.1 is 10 % more.
    - *low* and *high* are the ends of the confidence interval of the ratio; for a share, of the difference.
    - *p* is the chance of a difference at least as large if there is no real difference.
    - *verdict* is "changed" for a difference where neither direction is better, and "" where no verdict is possible.

    Unknown values are None; *why* gives the reason.
    """

    difference: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    verdict: ComparisonVerdict = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Row of a comparison: one figure with its *values* by side, in the metric's unit.

    *changes* has one change for each candidate, so one fewer than *values*.
    """

    figure: Figure
    values: tuple[float | None, ...]
    changes: tuple[Change, ...]

    @property
    def is_headline(self) -> bool:
        return self.figure.section == "headline"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of *sides*, the baseline first, with one row for each figure.

    *margin* is the least relative difference that matters; for a share that is better when higher, relative to 1 -
    share.
    """

    sides: tuple[ComparisonSide, ...]
    rows: tuple[ComparisonRow, ...]
    issues: ComparabilityIssues
    margin: float

    @property
    def verdict(self) -> ComparisonVerdict:
        """Verdict on the headline over all candidates; "" when no headline figure could be judged."""
        return self._overall(headline=True)

    @property
    def detail_verdict(self) -> ComparisonVerdict:
        """Verdict on all details (figures that are not in the headline) over all candidates."""
        return self._overall(headline=False)

    def verdict_of(self, candidate: int) -> ComparisonVerdict:
        """Return the verdict on the headline of one candidate, numbered from 0."""
        return _worst([row.changes[candidate].verdict for row in self.rows if row.is_headline])

    def having(self, verdict: ComparisonVerdict, *, headline: bool) -> list[tuple[ComparisonRow, int]]:
        """Return (row, candidate) for each change with this verdict, from the headline or from the details."""
        rows = [row for row in self.rows if row.is_headline is headline]
        return [(row, index) for row in rows for index, one in enumerate(row.changes) if one.verdict == verdict]

    def _overall(self, *, headline: bool) -> ComparisonVerdict:
        rows = [row for row in self.rows if row.is_headline is headline]
        return _worst([change.verdict for row in rows for change in row.changes])


def _worst(verdicts: Iterable[ComparisonVerdict]) -> ComparisonVerdict:
    found = set(verdicts)
    order: tuple[ComparisonVerdict, ...] = ("worse", "better", "changed", NO_DIFFERENCE)
    return next((verdict for verdict in order if verdict in found), "")


def compare_sides(sides: Sequence[ComparisonSide], *, margin: float | None = None) -> Comparison:
    """Compare the other *sides* with the first. A difference of less than *margin* (0.01 is 1 %) counts as none."""
    if margin is None:
        margin = MARGIN_OF_SINGLE if any(len(side.runs) == 1 for side in sides) else MARGIN_OF_REPEATED
    runs = [run for side in sides for run in side.runs]
    issues = find_issues(runs)
    rows = [_row(figure, sides, same_plan=not issues.refusals) for figure in figures_of(runs)]
    for candidate in range(len(sides) - 1):
        for headline in (True, False):
            rows = _judged(rows, candidate, headline=headline, margin=margin)
    return Comparison(tuple(sides), tuple(rows), issues, margin)


@dataclass(frozen=True, slots=True)
class _RunFigure:
    """Figure of one run: its *value* in the metric's unit, and its *estimate* (or None, and *why* is the reason)."""

    value: float | None
    estimate: Estimate | None
    why: str = ""


def _row(figure: Figure, sides: Sequence[ComparisonSide], *, same_plan: bool) -> ComparisonRow:
    read = [[_figure_of_run(figure, run) for run in side.runs] for side in sides]
    values = tuple(_value_of(figure, one) for one in read)
    changes = tuple(
        _change(figure, sides, read, values, number, same_plan=same_plan) for number in range(1, len(sides))
    )
    return ComparisonRow(figure, values, changes)


def _figure_of_run(figure: Figure, run: BatchedRun) -> _RunFigure:
    """Return the value and the estimate of *figure* in one run."""
    if figure.spec is CPU_PER_REQUEST:
        return _cpu_of_run(run)
    if figure.spec.kind is Kind.COUNTER:
        rate, counts = run.rate(*figure.parts), run.counts(*figure.parts)
        if counts.sum() < FEWEST_VALUES:
            return _RunFigure(rate, None, "too few")
        return (
            _RunFigure(rate, rate_estimate(counts, run.spans_s, rate))
            if rate > 0
            else _RunFigure(rate, None, "no rate")
        )
    series_value, batches = run.table.series_values.get(figure.series), run.series_values(figure.series)
    if isinstance(series_value, GaugeValue) and series_value.is_set:
        return _RunFigure(series_value.value, None, "last value only")
    if isinstance(series_value, RateValue) and series_value.total:
        if series_value.total < FEWEST_VALUES:
            return _RunFigure(series_value.trues / series_value.total, None, "too few values")
        trues, totals = ([getattr(one, name) if one else 0 for one in batches] for name in ("trues", "total"))
        estimate = share_estimate(np.array(trues, dtype=np.float64), np.array(totals, dtype=np.float64))
        return _RunFigure(series_value.trues / series_value.total, estimate)
    if isinstance(series_value, TrendValue) and series_value.count:
        value = series_value.quantile(figure.q)
        shown = None if value is None else value / figure.spec.scale
        estimate = quantile_estimate(series_value, batches, figure.q)
        if estimate.values < FEWEST_VALUES:
            return _RunFigure(shown, None, "too few values")
        return _RunFigure(shown, estimate)
    return _RunFigure(None, None, "no values")


def _cpu_of_run(run: BatchedRun) -> _RunFigure:
    """Return the CPU time of the target for each request. As a ratio it is a rate, per request and not per second."""
    value = run.cpu_ms_per_request
    if value is None:
        return _RunFigure(None, None, "not sampled")
    if value <= 0 or float(run.cpu_requests.sum()) < FEWEST_VALUES or not run.cpu_requests.all():
        return _RunFigure(value, None, "too few")
    return _RunFigure(value, rate_estimate(run.cpu_ms, run.cpu_requests, value))


def _value_of(figure: Figure, runs: Sequence[_RunFigure]) -> float | None:
    """Return the value of a side: the mean over its runs. The mean is geometric except for shares, gauges and zeros."""
    values = [run.value for run in runs if run.value is not None]
    if len(values) < 2:
        return values[0] if values else None
    if _is_ratio(figure) and min(values) > 0:
        return math.exp(sum(map(math.log, values)) / len(values))
    return sum(values) / len(values)


def _change(
    figure: Figure,
    sides: Sequence[ComparisonSide],
    read: Sequence[Sequence[_RunFigure]],
    values: Sequence[float | None],
    number: int,
    *,
    same_plan: bool,
) -> Change:
    """Return the change from side 0 to side *number*. Its verdict is set later, when all changes are known."""
    one, other = values[0], values[number]
    if one is None or other is None:
        return Change(why="only in " + (LABELS[number] if one is None else LABELS[0]))
    change = Change(difference=other - one, ratio=(other - one) / one if one else None)
    missing = next((run.why for side in (read[0], read[number]) for run in side if run.estimate is None), "")
    if missing:
        return replace(change, why=missing)
    a, b = ([run.estimate for run in side if run.estimate] for side in (read[0], read[number]))
    if len(a) == len(b) == 1:
        runs = sides[0].runs[0], sides[number].runs[0]
        if not all(run.is_long_enough for run in runs):
            return replace(change, why=f"under {FEWEST_BATCHES} s of run")
        found = compare_two(a[0], b[0], same_course=same_plan and _same_time(*runs))
        if found is None:
            return replace(change, why=UNSTEADY)
    else:
        found = compare_groups(a, b)
    return _with_interval(figure, change, found)


def _with_interval(figure: Figure, change: Change, found: Difference) -> Change:
    if not _is_ratio(figure):
        return replace(change, low=found.low, high=found.high, p=found.p)
    if change.ratio is None:
        # A baseline of 0 gives no ratio, but p still says whether the difference is chance.
        return replace(change, p=found.p)
    return replace(change, low=_ratio_of(found.low), high=_ratio_of(found.high), p=found.p)


def _ratio_of(logarithm: float) -> float:
    return math.expm1(min(logarithm, 700.0))


def _is_ratio(figure: Figure) -> bool:
    """Return whether differences of *figure* are relative: true for trends and counters."""
    return figure.spec.kind in (Kind.TREND, Kind.COUNTER)


def _same_time(a: BatchedRun, b: BatchedRun) -> bool:
    """Return whether the batches of two runs of one plan are at the same times."""
    return len(a.batches) == len(b.batches) and math.isclose(a.duration_s, b.duration_s, rel_tol=0.02, abs_tol=0.5)


def _judged(rows: Sequence[ComparisonRow], candidate: int, *, headline: bool, margin: float) -> list[ComparisonRow]:
    """Return *rows* with the verdicts of *candidate* set in one family: the headline or the details."""
    tested = {
        index: p
        for index, row in enumerate(rows)
        if row.is_headline is headline and (p := row.changes[candidate].p) is not None
    }
    judged = list(rows)
    for index, is_shown in zip(tested, benjamini_hochberg([*tested.values()]), strict=True):
        row = rows[index]
        changes = list(row.changes)
        verdict = _verdict(row, changes[candidate], is_shown, margin)
        changes[candidate] = replace(changes[candidate], verdict=verdict)
        judged[index] = replace(row, changes=tuple(changes))
    return judged


def _verdict(row: ComparisonRow, change: Change, is_shown: bool, margin: float) -> ComparisonVerdict:
    if not is_shown or not change.difference or not _matters(row, change, margin):
        return NO_DIFFERENCE
    if not row.figure.better:
        return "changed"
    return "better" if (change.difference > 0) == (row.figure.better == "higher") else "worse"


def _matters(row: ComparisonRow, change: Change, margin: float) -> bool:
    """Return whether a difference is at least *margin*. From a baseline of 0 every difference matters."""
    ratio, base = change.ratio, row.values[0]
    if row.figure.spec.kind is Kind.RATE and row.figure.better == "higher":
        # Compare with the share of failures: from 100 % to 96 % passed checks is not 4 % less, but all the failures.
        lacking = 0.0 if base is None else 1 - base
        ratio = (change.difference or 0.0) / lacking if lacking > 0 else None
    return ratio is None or abs(ratio) >= margin


def comparison_to_dict(comparison: Comparison) -> Mapping[str, Any]:
    """Return the comparison as plain data, version `COMPARISON_VERSION`; `docs/reports.md` describes it."""
    return {
        "version": COMPARISON_VERSION,
        "verdict": comparison.verdict or None,
        "detail_verdict": comparison.detail_verdict or None,
        "margin": comparison.margin,
        "confidence": CONFIDENCE,
        "refusals": list(comparison.issues.refusals),
        "warnings": list(comparison.issues.warnings),
        "sides": [
            {"label": label, "name": side.name, "runs": [run_to_dict(run) for run in side.runs]}
            for label, side in zip(LABELS, comparison.sides, strict=False)
        ],
        "rows": [_row_dict(row) for row in comparison.rows],
    }


def run_to_dict(run: BatchedRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "run_id": run.header.run_id,
        "title": run.header.title,
        "started_at": run.header.started_at,
        "duration_s": run.duration_s,
        "complete": run.complete,
        "state": run.state,
        "versions": dict(run.header.versions),
        "machine": dict(run.header.machine),
    }


def _row_dict(row: ComparisonRow) -> dict[str, Any]:
    figure = row.figure
    is_share = figure.spec.kind is Kind.RATE
    return {
        "section": figure.section,
        "subject": figure.subject,
        "figure": figure.name,
        "unit": "" if is_share else f"{figure.spec.unit}/s" if figure.spec.kind is Kind.COUNTER else figure.spec.unit,
        "better": figure.better or None,
        "values": list(row.values),
        "changes": [
            {
                "difference": change.difference,
                "ratio": change.ratio,
                "interval": None if change.low is None else [change.low, change.high],
                "interval_of": "difference" if is_share else "ratio",
                "p": change.p,
                "verdict": change.verdict or None,
                "why": change.why,
            }
            for change in row.changes
        ],
    }
