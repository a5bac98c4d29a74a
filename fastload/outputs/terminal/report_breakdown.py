"""Tables of the report by scenario, group, request name and call."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fastload.model.results import CallResult, EndpointResult, GroupResult, ScenarioResult
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_ms
from fastload.model.wire_text import one_line
from fastload.outputs.terminal.layout import Cell, Column, Columns
from fastload.outputs.terminal.style import BAD, DIM, STRONG

ENDPOINTS_AT_MOST = 20
GROUPS_AT_MOST = 20


def render_scenarios(summary: Summary) -> list[RenderableType]:
    """Render one row per scenario, if there are several."""
    if not summary.scenarios:
        return []
    columns = [
        Column("SCENARIOS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
        Column("iterations"),
        Column("requests"),
        Column("failed"),
        Column("med", drop=1),
        Column("p95"),
        Column("p99", drop=2),
    ]
    return [Columns(columns, [_scenario_row(one) for one in summary.scenarios])]


def render_groups(summary: Summary) -> list[RenderableType]:
    """Render one row per group, if there are any."""
    groups = summary.groups
    if not groups:
        return []
    columns = [
        Column("GROUPS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
        Column("count"),
        Column("avg", drop=3),
        Column("med", drop=1),
        Column("p95"),
        Column("p99", drop=2),
        Column("max", drop=4),
    ]
    rows = [_group_row(one) for one in groups[:GROUPS_AT_MOST]]
    return [Columns(columns, rows), *_more(len(groups) - GROUPS_AT_MOST)]


def render_endpoints(summary: Summary) -> list[RenderableType]:
    """Render one row per request name, most frequent first, if there are at least two."""
    endpoints = summary.endpoints
    if len(endpoints) < 2:
        return []
    columns = [
        Column("ENDPOINTS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
        Column("requests"),
        Column("failed"),
        Column("med", drop=1),
        Column("p95"),
        Column("p99", drop=2),
        Column("statuses", right=False, shrink_to=8, cut="parts", drop=3),
    ]
    rows = [_endpoint_row(one) for one in endpoints[:ENDPOINTS_AT_MOST]]
    return [Columns(columns, rows), *_more(len(endpoints) - ENDPOINTS_AT_MOST)]


def render_calls(summary: Summary) -> list[RenderableType]:
    """Render one row per name of measured calls, most frequent first, if there are any."""
    calls = summary.calls
    if not calls:
        return []
    columns = [
        Column("CALLS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
        Column("calls"),
        Column("failed"),
        Column("avg", drop=3),
        Column("med", drop=1),
        Column("p95"),
        Column("p99", drop=2),
        Column("max", drop=4),
    ]
    rows = [_call_row(one) for one in calls[:ENDPOINTS_AT_MOST]]
    return [Columns(columns, rows), *_more(len(calls) - ENDPOINTS_AT_MOST)]


def _call_row(call: CallResult) -> list[Cell]:
    view = call.duration
    values = (view.avg, view.med, view.p(95), view.p(99), view.max)
    return [
        Cell(f"  {one_line(call.name)}"),
        Cell(format_count(call.calls)),
        Cell(format_count(call.failed), BAD if call.failed else ""),
        *(Cell(format_ms(value)) for value in values),
    ]


def _scenario_row(scenario: ScenarioResult) -> list[Cell]:
    metrics = scenario.metrics
    duration, failed = metrics["http_req_duration"], metrics["http_req_failed"].fails
    return [
        Cell(f"  {one_line(scenario.name)}"),
        Cell(format_count(metrics["iterations"].count)),
        Cell(format_count(metrics["http_reqs"].count)),
        Cell(format_count(failed), BAD if failed else ""),
        *(Cell(format_ms(value)) for value in (duration.med, duration.p(95), duration.p(99))),
    ]


def _group_row(group: GroupResult) -> list[Cell]:
    view = group.duration
    values = (view.avg, view.med, view.p(95), view.p(99), view.max)
    return [Cell(f"  {one_line(group.name)}"), Cell(format_count(view.count)), *(Cell(format_ms(v)) for v in values)]


def _endpoint_row(endpoint: EndpointResult) -> list[Cell]:
    duration = endpoint.duration
    return [
        Cell(f"  {one_line(endpoint.method)} {one_line(endpoint.name)}"),
        Cell(format_count(endpoint.requests)),
        Cell(format_count(endpoint.failed), BAD if endpoint.failed else ""),
        *(Cell(format_ms(value)) for value in (duration.med, duration.p(95), duration.p(99))),
        Cell(_statuses(endpoint.statuses)),
    ]


def _statuses(statuses: dict[str, int]) -> str:
    """Format ``200, 500 (12)``: the most frequent status, then the others with their counts. Status 0 (no response) is
    ``none``."""
    ordered = sorted(statuses.items(), key=lambda item: -item[1])
    names = ["none" if status == "0" else status for status, _ in ordered]
    others = zip(names[1:], ordered[1:], strict=True)
    return ", ".join([*names[:1], *(f"{name} ({format_count(count)})" for name, (_, count) in others)])


def _more(count: int) -> list[RenderableType]:
    return [Text(f"  … and {format_count(count)} more", DIM)] if count > 0 else []
