"""A comparison of runs as a page: the verdict, the figures with their intervals, and the charts of all runs overlaid.

The page uses the template, styles, charts and tables of ``outputs/page``. The script ``compare.js`` there builds the
page from these data::

    {
      "version": 1, "kind": "comparison", "title": text,
      "verdicts": [{"label", "verdict", "lead", "text"}],       one for each candidate
      "is_of_searches": whether all runs are capacity searches,
      "details": text, "refusals": [text], "warnings": [text], "notes": [text],
      "sides": [{"label", "name", "words": [text], "runs": [{"name", "versions", "machine", ...}], "lines": [line]}],
      "sections": [{"label", "rows": [row]}]                    one for each candidate
    }

A *line* is the time line of one run: the columns of `Timeline.columns` that are drawn, ``errors_rate`` (all kinds of
errors, per s), ``busiest`` (CPU of the busiest worker), ``curve``, and ``endpoints`` as in a report. A *row* is one
figure: texts as in the other outputs, and numbers for sorting and drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastload.model.compare.comparison import LABELS, Comparison, ComparisonRow, ComparisonSide, run_to_dict
from fastload.model.compare.figures import SECTIONS
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.compare.wording import (
    describe_side,
    details_note,
    format_change,
    format_difference,
    format_figure,
    format_interval,
    format_lead,
    format_verdict,
    notes,
    side_label,
    verdict_text,
)
from fastload.outputs.page.packed import pack_text
from fastload.outputs.page.page_data import MOST_PACKED_BYTES, labelled_endpoints
from fastload.outputs.page.render import asset, render_page
from fastload.outputs.summary_json import dump_json

MOST_CHART_ROWS = 300
"""Limit of time line rows of each run; it is lower than in a report, because a page has several runs."""
MOST_CHART_ENDPOINTS = 10
"""How many endpoints of each run are drawn over time, the most frequent ones."""
_FEWEST_CHART_ROWS = 50
_RATES = ("rate", "iterations_rate", "calls_rate", "sessions_rate", "messages_rate", "events_rate")
_COLUMNS = ("t", "span", "vus", *_RATES, "host_cpu", "target_cpu")
_LATENCIES = ("p50", "p95", "p99")


def comparison_page(comparison: Comparison, timelines: Sequence[Sequence[Timeline]]) -> bytes:
    """Render the page, as UTF-8. *timelines* has, for each side, the time lines of its runs.

    If the page would be too large, they get coarser, but none of them has fewer than 50 rows because of that.
    """
    drawn = [[timeline.copy() for timeline in of_side] for of_side in timelines]
    data = comparison_data(comparison, drawn)
    while len(pack_text(dump_json(data))) > MOST_PACKED_BYTES:
        coarser = [timeline for of_side in drawn for timeline in of_side if len(timeline) >= 2 * _FEWEST_CHART_ROWS]
        if not coarser:
            break
        for timeline in coarser:
            timeline.halve()
        data = comparison_data(comparison, drawn)
    scripts = [asset("compare_endpoints.js"), asset("compare.js")]
    return render_page(data, title=data["title"], scripts=scripts, styles=[asset("compare.css")])


def comparison_data(comparison: Comparison, timelines: Sequence[Sequence[Timeline]]) -> dict[str, Any]:
    """Return the data of the page (see the module)."""
    columns = [[timeline.columns() for timeline in of_side] for of_side in timelines]
    # As in the figures, the response time leads only if it does in all runs.
    response_leads = all(one["headline"] == "response" for of_side in columns for one in of_side)
    latency = "response" if response_leads else "service"
    first, *others = [side_label(comparison, index) for index in range(len(comparison.sides))]
    candidates = range(len(others))
    return {
        "version": 1,
        "kind": "comparison",
        "title": f"{', '.join(others)} against {first}",
        "verdicts": [
            {
                "label": LABELS[index + 1],
                "verdict": comparison.verdict_of(index),
                "lead": format_lead(comparison, index),
                "text": verdict_text(comparison, index),
            }
            for index in candidates
        ],
        "is_of_searches": comparison.is_of_searches,
        "details": details_note(comparison),
        "refusals": list(comparison.issues.refusals),
        "warnings": list(comparison.issues.warnings),
        "notes": list(notes(comparison)),
        "sides": [
            _side(label, side, [_line(one, latency) for one in of_side])
            for label, side, of_side in zip(LABELS, comparison.sides, columns, strict=False)
        ],
        "sections": [{"label": LABELS[index + 1], "rows": list(_rows(comparison.rows, index))} for index in candidates],
    }


def _side(label: str, side: ComparisonSide, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "label": label,
        "name": side.name,
        "words": describe_side(side),
        "runs": [run_to_dict(run) for run in side.runs],
        "lines": lines,
    }


def _line(columns: Mapping[str, Any], latency: str) -> dict[str, Any]:
    """Return the drawn data of one run. *latency*: which of its latencies, "response" or "service"."""
    workers = list(columns["workers"].values())
    errors = [columns["errors_other"], *columns["errors"].values()]
    return {
        **{name: columns[name] for name in _COLUMNS},
        **{name: columns[f"{latency}_{name}"] for name in _LATENCIES},
        "errors_rate": [round(sum(row), 3) for row in zip(*errors, strict=True)],
        "busiest": [_most(row) for row in zip(*workers, strict=True)],
        "latency": latency,
        "of": columns["of"],
        "phases": columns["phases"],
        "curve": columns["curves"][latency],
        "endpoints": labelled_endpoints(columns["endpoints"]),
    }


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _rows(rows: Iterable[ComparisonRow], candidate: int) -> Iterator[dict[str, Any]]:
    for row in rows:
        figure, change = row.figure, row.changes[candidate]
        is_share = figure.spec.kind.value == "rate"
        yield {
            "section": figure.section,
            "part": SECTIONS[figure.section],
            "subject": figure.subject,
            "figure": figure.name,
            "values": [row.values[0], row.values[candidate + 1]],
            "texts": [format_figure(figure, row.values[index]) for index in (0, candidate + 1)],
            "difference": format_difference(figure, change),
            "change": format_change(figure, change),
            "interval": format_interval(figure, change),
            "verdict": change.verdict,
            "word": format_verdict(change),
            "is_share": is_share,
            "at": change.difference if is_share else change.ratio,
            "low": change.low,
            "high": change.high,
            "better": figure.better,
        }
