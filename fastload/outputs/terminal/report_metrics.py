"""The metrics of the report.

Built-in trends are shown if they have data. Phases of a request are shown only if they matter: a connection phase
(blocked, lookup, connecting, TLS) is left out if fewer than one request in a hundred had it, so with kept connections
all of them are left out. Without any connection phase ``http_req_total`` is left out too, because it then equals
``http_req_duration``. ``loop_lag`` is about the generator and is shown with the workers. Metrics of the script are
always shown. Series with tags are listed below their metric, except those that have a table of their own. The JSON
summary has everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from rich.console import RenderableType
from rich.text import Text

from fastload.model.headline import RESPONSE_TIMES, coverage, headline_trend
from fastload.model.metrics import (
    BUILTIN,
    CALL_METRICS,
    EXPECTED_DURATION,
    FAILURE_RATES,
    SCENARIO_METRICS,
    STREAM_METRICS,
    WEBSOCKET_METRICS,
    Kind,
    Series,
)
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_ms, format_percent
from fastload.model.views import MetricView
from fastload.model.wire_text import one_line
from fastload.outputs.figures import format_rate, format_value, unit_label
from fastload.outputs.terminal.layout import Cell, Column, Columns, Paragraph
from fastload.outputs.terminal.style import BAD, DIM, STRONG

TAGGED_AT_MOST = 20
_CONNECTION_PHASES = ("http_req_blocked", "http_req_lookup", "http_req_connecting", "http_req_tls_handshaking")
_EXCHANGE_PHASES = ("http_req_sending", "http_req_waiting", "http_req_receiving")
_ITERATION_TRENDS = ("iteration_duration", "iteration_lateness")
_BESIDE_REQUESTS = (*CALL_METRICS, *STREAM_METRICS, *WEBSOCKET_METRICS)
_CONNECTING = "ws_connecting"
_CLOCKS = {"http_req_duration": "sent to done", "call_duration": "begun to done", _CONNECTING: "begun to opened"}
_REQUEST_TRENDS = ("http_req_response_time", "http_req_duration")
_NEGLIGIBLE_MS = 0.001
_FIRST_WIDTH = 22
_REDIRECTS = (301, 302, 303, 307, 308)


def headline_of(summary: Summary) -> str:
    """Return the name of the headline trend.

    It is that of `headline_trend`: of requests, or of calls if there were no requests. Without requests and calls it is
    the time to open a WebSocket.
    """
    return headline_trend(_service_of(summary), only_open=summary.plan.has_only_open_models)


def response_coverage(summary: Summary) -> str:
    """Return what the response times of the run cover, like ``http_req_response_time covers 585 of 36,829 requests:
    those with a due time``; "" if they cover all requests, or if there are none."""
    service = _service_of(summary)
    response = RESPONSE_TIMES.get(service)
    if response is None:
        return ""
    covered = coverage(service, summary.metrics[response].count, summary.metrics[service].count)
    return f"{response} covers {covered}" if covered else ""


def _service_of(summary: Summary) -> str:
    """Return the service time of the main work of the run."""
    metrics = summary.metrics
    if metrics["http_reqs"].count:
        return "http_req_duration"
    if summary.calls:
        return "call_duration"
    return _CONNECTING if metrics[_CONNECTING].count else "http_req_duration"


def render_latencies(summary: Summary) -> list[RenderableType]:
    """Render, for an open model, the latency from due to done beside its parts, and how many requests it covers.

    The table shows time spent waiting in the generator, which the duration of requests does not contain.
    """
    if not summary.plan.has_open_model:
        return []
    headline, service = headline_of(summary), _service_of(summary)
    meanings = {service: _CLOCKS[service], "iteration_lateness": "due to started"}
    if (response := RESPONSE_TIMES.get(service)) is not None:
        meanings = {response: "due to done", **meanings}
        meanings[headline] += ": the headline"
    rows = []
    for name, meaning in meanings.items():
        view = summary.metrics[name]
        values = [Cell(format_ms(view.p(percent)), STRONG if name == headline else "") for percent in (50, 99, 99.9)]
        rows.append([_name(name, headline, view), *values, Cell(meaning, DIM)])
    columns = [
        Column("LATENCY", right=False, title_style=STRONG),
        Column("p50"),
        Column("p99"),
        Column("p99.9"),
        Column(right=False, drop=1),
    ]
    covered = response_coverage(summary)
    return [
        Columns(columns, rows, first_width=_FIRST_WIDTH),
        *([Paragraph("  ", covered, style=DIM)] if covered else []),
    ]


def render_metrics(summary: Summary) -> list[RenderableType]:
    """Render the trends, then counters, rates and gauges; both tables have the same first column."""
    trends = _shown_trends(summary)
    others = _shown_others(summary)
    cells = [_name(name, "", summary.metrics[name]) for name in (*trends, *others)]
    first_width = min(30, max([_FIRST_WIDTH, *(len(cell.text) for cell in cells)]))
    lines: list[RenderableType] = []
    if trends:
        lines += [_trend_table(summary, trends, first_width)]
    if trends and others:
        lines.append(Text())
    if others:
        columns = [
            Column("" if trends else "METRICS", right=False, shrink_to=20, cut="middle", title_style=STRONG),
            Column(),
            Column(),
            Column(right=False, shrink_to=10, cut="parts", drop=1),
        ]
        rows = [row for name in others for row in _with_tagged(summary, name, _other_row)]
        lines.append(Columns(columns, rows, first_width=first_width))
    return lines


def _with_tagged(summary: Summary, name: str, row_of: Callable[[Summary, str], list[Cell]]) -> list[list[Cell]]:
    """Return the row of a metric, followed by the rows of its series with tags."""
    tagged = _tagged(summary, name)
    rows = [row_of(summary, name), *(_status_rows(summary) if name == "http_reqs" else ())]
    rows += [row_of(summary, label) for label in tagged[:TAGGED_AT_MOST]]
    if len(tagged) > TAGGED_AT_MOST:
        rows.append([Cell(f"    … and {format_count(len(tagged) - TAGGED_AT_MOST)} more", DIM), Cell("")])
    return rows


def _tagged(summary: Summary, name: str) -> list[str]:
    """Return the labels of a metric's series with tags, without those of `shown_elsewhere`."""
    begin = f"{name}{{"
    elsewhere = shown_elsewhere(summary)
    return [label for label in summary.metrics if label.startswith(begin) and label not in elsewhere]


def shown_elsewhere(summary: Summary) -> frozenset[str]:
    """Return the labels of series that a report has already: those of scenarios, which have their own table, and the
    duration of expected responses if that is the duration of all."""
    labels = {Series.of(name, scenario=one.name).label for one in summary.scenarios for name in SCENARIO_METRICS}
    expected = EXPECTED_DURATION.label
    if not summary.metrics["http_req_failed"].fails and all(one.metric != expected for one in summary.thresholds):
        labels.add(expected)
    return frozenset(labels)


def _status_rows(summary: Summary) -> list[list[Cell]]:
    """Return a row for each status of the responses, the most frequent first; none if all are 200."""
    counts: Counter[str] = Counter()
    for endpoint in summary.endpoints:
        counts.update(endpoint.statuses)
    asked = {result.metric for result in summary.thresholds}
    total = counts.total()
    return [
        [
            Cell(f"    {{ status:{status} }}"),
            Cell(format_count(count)),
            Cell(format_percent(count / total)),
            Cell(_status_words(status, is_bench=summary.plan.kind == "bench"), DIM),
        ]
        for status, count in counts.most_common(TAGGED_AT_MOST)
        if counts.keys() != {"200"} and Series.of("http_reqs", status=status).label not in asked
    ]


def _status_words(status: str, *, is_bench: bool) -> str:
    if status == "0":
        return "no response"
    try:
        words = HTTPStatus(int(status)).phrase
    except ValueError:
        words = ""
    return f"{words}, not followed" if is_bench and int(status) in _REDIRECTS else words


def _shown_trends(summary: Summary) -> list[str]:
    metrics = summary.metrics
    headline = headline_of(summary)
    connection = [name for name in _CONNECTION_PHASES if (metrics[name].p(99) or 0.0) >= _NEGLIGIBLE_MS]
    exchange = [name for name in _EXCHANGE_PHASES if (metrics[name].max or 0.0) >= _NEGLIGIBLE_MS]
    shown = [headline] if metrics["http_reqs"].count or summary.calls or headline == _CONNECTING else []
    shown += [name for name in _REQUEST_TRENDS if name != headline and metrics[name].count]
    shown += [*exchange, *connection, *(["http_req_total"] if connection else [])]
    beside = [name for name in _BESIDE_REQUESTS if metrics[name].spec.kind is Kind.TREND and metrics[name].count]
    shown += [name for name in (*beside, *_ITERATION_TRENDS) if name != headline and metrics[name].count]
    return shown + [name for name in _own(summary) if metrics[name].spec.kind is Kind.TREND]


def _own(summary: Summary) -> list[str]:
    """Return the metrics of the script."""
    return [name for name, view in summary.metrics.items() if name == view.spec.name and name not in BUILTIN]


def _shown_others(summary: Summary) -> list[str]:
    """Return the counters, rates and gauges to show: built-in ones, then the script's, then data volumes and VUs."""
    metrics = summary.metrics
    shown = ["http_req_failed", "http_reqs"] if metrics["http_reqs"].count else []
    shown += [name for name in ("http_req_retried", "http_auth_challenges") if metrics[name].count]
    shown += [name for name in _BESIDE_REQUESTS if metrics[name].spec.kind is not Kind.TREND and metrics[name].count]
    if summary.plan.kind == "run" or metrics["iterations"].count:
        shown += ["iterations"]
    shown += [name for name in ("iterations_failed", "queued_iterations", "dropped_iterations") if metrics[name].count]
    shown += [name for name in _own(summary) if metrics[name].spec.kind is not Kind.TREND]
    shown += [name for name in ("data_sent", "data_received") if metrics[name].count]
    return shown + [name for name in ("vus",) if metrics[name].value is not None]


def _trend_table(summary: Summary, names: list[str], first_width: int) -> Columns:
    columns = [
        Column("METRICS", right=False, shrink_to=26, cut="middle", title_style=STRONG),
        Column("avg", drop=3),
        Column("min", drop=4),
        Column("med"),
        Column("p90", drop=5),
        Column("p95"),
        Column("p99", drop=1),
        Column("max", drop=2),
    ]
    rows = [row for name in names for row in _with_tagged(summary, name, _trend_row)]
    return Columns(columns, rows, first_width=first_width)


def _trend_row(summary: Summary, name: str) -> list[Cell]:
    view, headline = summary.metrics[name], headline_of(summary)
    style = STRONG if name == headline else ""
    label = _name(name, headline, view)
    if not view.count:
        missing = "no response" if name in BUILTIN else "no data"
        return [label, Cell(missing, BAD if name in BUILTIN else DIM)]
    values = (view.avg, view.min, view.med, view.p(90), view.p(95), view.p(99), view.max)
    return [label, *(Cell(format_value(view.spec, value), style) for value in values)]


def _other_row(summary: Summary, label: str) -> list[Cell]:
    view = summary.metrics[label]
    name = _name(label, "", view)
    if view.spec.kind is Kind.COUNTER:
        return [name, Cell(format_value(view.spec, view.count)), Cell(format_rate(view.spec, view.rate)), Cell("")]
    if view.spec.kind is Kind.GAUGE:
        if view.value is None:
            return [name, Cell("no data", DIM)]
        least, most = format_value(view.spec, view.min), format_value(view.spec, view.max)
        return [name, Cell(format_value(view.spec, view.value)), Cell(""), Cell(f"min {least}, max {most}", DIM)]
    if view.rate is None:
        return [name, Cell("no data", DIM)]
    trues = view.fails if view.spec.name in FAILURE_RATES else view.passes
    style = BAD if view.spec.name in FAILURE_RATES and trues else ""
    counts = f"{format_count(trues)} out of {format_count(view.count)}"
    return [name, Cell(format_percent(view.rate), style), Cell(""), Cell(counts)]


def _name(label: str, headline: str, view: MetricView) -> Cell:
    """Return ``metric (unit)``, or for a series with tags an indented ``{ key:value }``."""
    name = view.spec.name
    if label != name:
        return Cell(f"    {{ {one_line(label[len(name) + 1 : -1])} }}")
    unit = unit_label(view.spec)
    return Cell(f"▸ {name}{unit}", STRONG) if name == headline else Cell(f"  {name}{unit}")
