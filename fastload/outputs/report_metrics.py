"""The report's metrics and endpoints.

What is shown of the built-in metrics: a trend with data, and of the phases of a request only those that tell
something. A phase of getting a connection (blocked, lookup, connecting, TLS) that fewer than one request in a
hundred had is left out, which is all of them when connections are kept; with the last of them goes
``http_req_total``, because it is then ``http_req_duration`` again. ``loop_lag`` is the generator's and is shown
with the workers. The JSON summary has everything. A metric of the script is always shown.
"""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fastload.model.metrics import BUILTIN, Kind
from fastload.model.summary import EndpointResult, MetricView, Summary
from fastload.model.units import format_count, format_ms, format_percent
from fastload.outputs.layout import Cell, Column, Columns, one_line
from fastload.outputs.style import BAD, DIM, STRONG, format_rate, format_value, unit_label

ENDPOINTS_AT_MOST = 20
_CONNECTION_PHASES = ("http_req_blocked", "http_req_lookup", "http_req_connecting", "http_req_tls_handshaking")
_EXCHANGE_PHASES = ("http_req_sending", "http_req_waiting", "http_req_receiving")
_ITERATION_TRENDS = ("iteration_duration", "iteration_lateness")
_NEGLIGIBLE_MS = 0.001
_FIRST_WIDTH = 22


def headline_of(summary: Summary) -> str:
    """The trend that a reader should look at first: the response time where starts come by the clock."""
    return "http_req_response_time" if summary.plan.has_open_model else "http_req_duration"


def render_latencies(summary: Summary) -> list[RenderableType]:
    """Open model only: the three clocks side by side, so that waiting in the generator cannot hide."""
    if not summary.plan.has_open_model:
        return []
    headline = headline_of(summary)
    rows = []
    for name, meaning in (
        ("http_req_response_time", "due to done: the headline"),
        ("http_req_duration", "sent to done"),
        ("iteration_lateness", "due to started"),
    ):
        view = summary.metrics[name]
        values = [Cell(format_ms(view.p(percent)), STRONG if name == headline else "") for percent in (50, 99, 99.9)]
        rows.append([_name(name, headline), *values, Cell(meaning, DIM)])
    columns = [
        Column("LATENCY", right=False, title_style=STRONG),
        Column("p50"),
        Column("p99"),
        Column("p99.9"),
        Column(right=False, drop=1),
    ]
    return [Columns(columns, rows, first_width=_FIRST_WIDTH)]


def render_metrics(summary: Summary) -> list[RenderableType]:
    """Trends, then counters, rates and gauges, their names in one column."""
    trends = _shown_trends(summary)
    others = _shown_others(summary)
    names = [name + unit_label(summary.metrics[name].spec) for name in (*trends, *others)]
    first_width = min(30, max([_FIRST_WIDTH, *(len(name) + 2 for name in names)]))
    lines: list[RenderableType] = []
    if trends:
        lines += [_trend_table(summary, trends, first_width)]
    if trends and others:
        lines.append(Text())
    if others:
        columns = [
            Column("" if trends else "METRICS", right=False, shrink_to=20, title_style=STRONG),
            Column(),
            Column(),
            Column(right=False, shrink_to=10),
        ]
        lines.append(Columns(columns, [_other_row(summary.metrics[name]) for name in others], first_width=first_width))
    return lines


def render_endpoints(summary: Summary) -> list[RenderableType]:
    """One row for each request name, most frequent first, when there is more than one."""
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
        Column("statuses", right=False, shrink_to=8, drop=3),
    ]
    lines: list[RenderableType] = [Columns(columns, [_endpoint_row(one) for one in endpoints[:ENDPOINTS_AT_MOST]])]
    if len(endpoints) > ENDPOINTS_AT_MOST:
        lines.append(Text(f"  … and {format_count(len(endpoints) - ENDPOINTS_AT_MOST)} more", DIM))
    return lines


def _shown_trends(summary: Summary) -> list[str]:
    metrics = summary.metrics
    headline = headline_of(summary)
    connection = [name for name in _CONNECTION_PHASES if (metrics[name].p(99) or 0.0) >= _NEGLIGIBLE_MS]
    exchange = [name for name in _EXCHANGE_PHASES if (metrics[name].max or 0.0) >= _NEGLIGIBLE_MS]
    shown = [headline] if metrics["http_reqs"].count else []
    shown += [name for name in ("http_req_duration",) if name != headline and metrics[name].count]
    shown += [*exchange, *connection, *(["http_req_total"] if connection else [])]
    shown += [name for name in _ITERATION_TRENDS if metrics[name].count]
    return shown + [name for name, view in metrics.items() if name not in BUILTIN and view.spec.kind is Kind.TREND]


def _shown_others(summary: Summary) -> list[str]:
    """Failures first, then what the script counts, then the volumes."""
    metrics = summary.metrics
    shown = ["http_req_failed", "http_reqs"] if metrics["http_reqs"].count else []
    if summary.plan.kind == "run" or metrics["iterations"].count:
        shown += ["iterations"]
    shown += [name for name in ("iterations_failed", "dropped_iterations") if metrics[name].count]
    shown += [name for name, view in metrics.items() if name not in BUILTIN and view.spec.kind is not Kind.TREND]
    shown += [name for name in ("data_sent", "data_received") if metrics[name].count]
    return shown + [name for name in ("vus",) if metrics[name].value is not None]


def _trend_table(summary: Summary, names: list[str], first_width: int) -> Columns:
    headline = headline_of(summary)
    columns = [
        Column("METRICS", right=False, shrink_to=26, title_style=STRONG),
        Column("avg", drop=3),
        Column("min", drop=4),
        Column("med"),
        Column("p90", drop=5),
        Column("p95"),
        Column("p99", drop=1),
        Column("max", drop=2),
    ]
    return Columns(columns, [_trend_row(summary, name, headline) for name in names], first_width=first_width)


def _trend_row(summary: Summary, name: str, headline: str) -> list[Cell]:
    view = summary.metrics[name]
    style = STRONG if name == headline else ""
    label = _name(name, headline, unit_label(view.spec))
    if not view.count:
        missing = "no response" if name in BUILTIN else "no data"
        return [label, Cell(missing, BAD if name in BUILTIN else DIM)]
    values = (view.avg, view.min, view.med, view.p(90), view.p(95), view.p(99), view.max)
    return [label, *(Cell(format_value(view.spec, value), style) for value in values)]


def _other_row(view: MetricView) -> list[Cell]:
    name = _name(view.spec.name, "", unit_label(view.spec))
    if view.spec.kind is Kind.COUNTER:
        return [name, Cell(format_value(view.spec, view.count)), Cell(format_rate(view.spec, view.rate)), Cell("")]
    if view.spec.kind is Kind.GAUGE:
        if view.value is None:
            return [name, Cell("no data", DIM)]
        least, most = format_value(view.spec, view.min), format_value(view.spec, view.max)
        return [name, Cell(format_value(view.spec, view.value)), Cell(""), Cell(f"min {least}, max {most}", DIM)]
    if view.rate is None:
        return [name, Cell("no data", DIM)]
    trues = view.fails if view.spec.name == "http_req_failed" else view.passes
    style = BAD if view.spec.name == "http_req_failed" and trues else ""
    counts = f"{format_count(trues)} out of {format_count(view.count)}"
    return [name, Cell(format_percent(view.rate), style), Cell(""), Cell(counts)]


def _name(name: str, headline: str, unit: str = "") -> Cell:
    return Cell(f"▸ {name}{unit}", STRONG) if name == headline else Cell(f"  {name}{unit}")


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
    """``200, 500 (12)``: the most frequent, then the others with their counts; status 0 is no response at all."""
    ordered = sorted(statuses.items(), key=lambda item: -item[1])
    names = ["none" if status == "0" else status for status, _ in ordered]
    others = zip(names[1:], ordered[1:], strict=True)
    return ", ".join([*names[:1], *(f"{name} ({format_count(count)})" for name, (_, count) in others)])
