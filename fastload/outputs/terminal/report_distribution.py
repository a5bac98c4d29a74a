"""Sections of the report of ``bench``: the histogram of the latencies, and the distribution of the statuses."""

from __future__ import annotations

from collections import Counter

from rich.console import RenderableType

from fastload.model.headline import headline_trend
from fastload.model.series import TrendValue
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_ms, format_percent
from fastload.outputs.terminal.layout import Cell, Column, Columns
from fastload.outputs.terminal.style import BAD, GOOD, STRONG

_BARS = 10
_BAR_CELLS, _FEWEST_BAR_CELLS = 30, 10
_WIDTH, _GAP = 80, 2
_LABEL_WIDTH = 20
_NO_RESPONSE = "0"


def render_distribution(summary: Summary) -> list[RenderableType]:
    """Render both sections of a `bench`; nothing for a run of scenarios, whose requests are not alike."""
    if summary.plan.kind != "bench":
        return []
    return [*_latencies(summary), *_statuses(summary)]


def _latencies(summary: Summary) -> list[RenderableType]:
    """Render bars of equal width in time from the minimum to the 99th percentile, and one for what took longer.

    The slowest requests may take a hundred times the rest: up to the maximum, one bar would hold them all.
    """
    metric = headline_trend("http_req_duration", only_open=summary.plan.has_only_open_models)
    view = summary.metrics[metric]
    trend, least_ms, most_ms, longest_ms = view.sink, view.min, view.p(99), view.max
    if not isinstance(trend, TrendValue) or not trend.count:
        return []
    assert least_ms is not None
    assert most_ms is not None
    least, most = round(least_ms * 1000), round(most_ms * 1000)
    bounds = sorted({least + (most - least) * part // _BARS for part in range(1, _BARS + 1)})
    up_to = trend.counts_up_to(bounds)
    counts = [count - before for before, count in zip([0, *up_to], up_to, strict=False)]
    labels = [f"up to {format_ms(bound / 1000)}" for bound in bounds]
    if longer := trend.count - up_to[-1]:
        labels.append(f"up to {format_ms(longest_ms)}, the slowest")
        counts.append(longer)
    return [_table(f"LATENCIES of {metric}", labels, counts, [GOOD] * len(counts))]


def _statuses(summary: Summary) -> list[RenderableType]:
    counts: Counter[str] = Counter()
    for endpoint in summary.endpoints:
        counts.update(endpoint.statuses)
    if not counts:
        return []
    statuses = sorted(counts)
    labels = ["no response" if status == _NO_RESPONSE else status for status in statuses]
    styles = [GOOD if "100" <= status < "400" else BAD for status in statuses]
    return [_table("STATUSES", labels, [counts[status] for status in statuses], styles)]


def _table(title: str, labels: list[str], counts: list[int], styles: list[str]) -> RenderableType:
    # Bars give way, so that the metric in the title is whole in 80 columns.
    labels = [f"  {label}" for label in labels]
    numbers = [format_count(count) for count in counts]
    shares = [format_percent(count / sum(counts)) for count in counts]
    widths = [max(map(len, texts)) for texts in ((title, *labels), ("requests", *numbers), ("share", *shares))]
    cells = max(_FEWEST_BAR_CELLS, min(_BAR_CELLS, _WIDTH - sum(widths) - len(widths) * _GAP))
    columns = [
        Column(title, right=False, shrink_to=_LABEL_WIDTH, title_style=STRONG),
        Column("requests"),
        Column("share", drop=1),
        Column(right=False, drop=2),
    ]
    rows = [
        [
            Cell(label),
            Cell(number),
            Cell(share),
            Cell("■" * round(cells * count / max(counts)), style),
        ]
        for label, number, share, count, style in zip(labels, numbers, shares, counts, styles, strict=True)
    ]
    return Columns(columns, rows, first_width=_LABEL_WIDTH)
