"""``--out md=FILE``: a report in Markdown, for a pull request, a wiki or a job summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastload.model.error_remedies import remedy_of
from fastload.model.errors import PlanError
from fastload.model.headline import coverage, headline_trend
from fastload.model.load_changes import changed_load
from fastload.model.metrics import BUILTIN, FAILURE_RATES, Kind
from fastload.model.records import Snapshot
from fastload.model.resources import running_spans, spans_text
from fastload.model.run_header import RunHeader
from fastload.model.saved.bounded_replay import BoundedReplay
from fastload.model.saved.replay import UNKNOWN
from fastload.model.saved.saved_summary import summary_from_plain
from fastload.model.summary import Summary
from fastload.model.units import (
    format_bytes,
    format_count,
    format_duration_s,
    format_ms,
    format_number_of,
    format_percent,
)
from fastload.model.views import MetricView
from fastload.outputs.cost_words import ENDPOINT_TITLES, cost_note, cost_sentences, cost_title, endpoint_row
from fastload.outputs.figures import (
    MARK,
    format_cpu,
    format_observed,
    format_rate,
    format_value,
    raised_words,
    unit_label,
)
from fastload.outputs.files import check_file, replace_file
from fastload.outputs.markdown_text import code, code_block, prose, table
from fastload.outputs.streams.base import SecondsNeeded
from fastload.outputs.streams.markdown_capacity import capacity_answer, capacity_steps
from fastload.outputs.streams.plain_summary import outcome_of
from fastload.outputs.terminal.report_metrics import response_coverage, shown_elsewhere

_ROWS_AT_MOST = 100
_EXCEPTIONS_AT_MOST = 5
_NEGLIGIBLE_MS = 0.001
_OUTCOME_MARK = {"Passed": "✅ ", "Failed": "❌ ", "Incomplete": "⚠️ "}
_STATE = {"VALID": "the numbers can be trusted", "SUSPECT": "read the reasons before you use the numbers"}
_GENERATOR = "the generator was the limit: the latencies say more about this machine than about the target"


class MarkdownReport:
    """A sink that writes the file when the run is over. If the run broke off, the report covers the seconds received.

    Raises:
        PlanError: *file* is empty.
    """

    required = True
    wants_points = False

    def __init__(self, file: str) -> None:
        if not file:
            raise PlanError("--out md has no file", hint="write it like md=report.md")
        self._path = Path(file)
        self._header: RunHeader | None = None
        self._totals: BoundedReplay | None = None

    def check(self) -> None:
        """See `Sink.check`."""
        check_file(self._path, "--out md", example="report.md")

    def expect_summary(self) -> SecondsNeeded:
        """See `Sink`: everything is in the summary."""
        return "none"

    def open(self, header: RunHeader) -> None:
        self._header, self._totals = header, BoundedReplay(header)

    def write(self, snapshot: Snapshot) -> None:
        assert self._totals is not None
        self._totals.add(snapshot)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        assert self._header is not None
        assert self._totals is not None
        shown = self._totals.summary(running=False) if summary is None else summary
        text = render_markdown(self._header, shown)
        replace_file(self._path, text.encode())


def render_markdown(header: RunHeader, summary: Mapping[str, Any]) -> str:
    """Return the report; *summary* is `Summary.to_dict`. Sections without content are left out."""
    result = summary_from_plain(summary, header)
    is_search = result.plan.capacity is not None
    sections = (
        capacity_answer(result.capacity) if is_search else (),
        _verdict(result, outcome_of(summary)),
        capacity_steps(result.capacity) if is_search else _headline(result),
        _hook_errors(result),
        _thresholds(result),
        _checks(result),
        *(() if is_search else _measurements(result)),
        _errors(result),
        _exceptions(result),
        _resources(summary),
        _cost(result),
        _notes(result),
        _environment(header, result),
    )
    return "\n\n".join([f"# {prose(header.title)}", *(part for section in sections for part in section)]) + "\n"


def _measurements(result: Summary) -> tuple[Iterator[str], ...]:
    """Return the sections of what was measured over the whole run, which a capacity search does not have: its steps
    differ."""
    return _endpoints(result), _calls(result), _scenarios(result), _groups(result), _trends(result), _others(result)


def _verdict(result: Summary, outcome: str) -> Iterator[str]:
    state = result.verdict.state
    why = prose("; ".join(_why(result)))
    meaning = _STATE.get(state, _GENERATOR)
    yield f"{_OUTCOME_MARK.get(outcome, '')}**{outcome}**{f': {why}' if why else ''}\n\n**{state}**: {meaning}"
    remedy = [f"→ {prose(result.verdict.remedy)}"] if result.verdict.remedy else []
    limits = map(prose, (result.verdict.limit, *result.verdict.further_limits))
    lines = [*map(prose, result.verdict.reasons), *remedy, *limits]
    yield "\n".join(f"- {text}" for text in lines)


def _why(result: Summary) -> Iterator[str]:
    """Yield the reasons why the run failed or ended early."""
    if result.thresholds_failed:
        failed = sum(not one.ok for one in result.thresholds)
        yield f"{failed} of {format_number_of(len(result.thresholds), 'threshold')} failed"
    if result.lacks_capacity:
        yield "the capacity that was asked for is not shown"
    if result.workers_lost:
        yield f"{format_number_of(result.workers_lost, 'worker')} lost"
    if result.all_raised:
        yield "every iteration raised"
    if result.hook_errors:
        yield f"in {', '.join(error.hook for error in result.hook_errors)}"
    after = format_duration_s(result.duration_s)
    if result.stopped_by == UNKNOWN:
        yield f"it broke off after {after}"
    elif result.stopped_by == "no-answer":
        yield f"ended after {after}: {result.stop_reason}"
    elif result.stopped_by:
        reason = f" ({result.stop_reason})" if result.stop_reason else ""
        yield f"stopped after {after} by {result.stopped_by}{reason}"


def _headline(result: Summary) -> Iterator[str]:
    metrics, (noun, ended, failures, service) = result.metrics, _subject(result)
    name = headline_trend(service, only_open=result.plan.has_only_open_models)
    counter, failed, view = metrics[ended], metrics[failures], metrics[name]
    quantiles = {f"p{percent:g}": format_ms(view.p(percent)) for percent in (50, 95, 99, 99.9)} if view.count else {}
    messages = metrics["ws_msgs_sent"].count + metrics["ws_msgs_received"].count
    figures = {
        noun: format_count(counter.count),
        "per second": format_rate(counter.spec, counter.rate),
        "failed": "-" if failed.rate is None else format_percent(failed.rate),
        **quantiles,
        **({"messages": format_count(messages)} if messages else {}),
        "VUs": format_count(metrics["vus"].max or 0),
        "iterations": format_count(metrics["iterations"].count),
        "measured": format_duration_s(result.duration_s),
    }
    yield table(list(figures), [list(figures.values())], left=0)
    if view.count:
        covered = coverage(service, view.count, metrics[service].count)
        yield f"Percentiles are those of `{name}`{f' ({covered})' if covered else ''}."


def _subject(result: Summary) -> tuple[str, str, str, str]:
    """Return the main kind of activity of the run: a noun, and its metrics for count, failures and durations."""
    metrics = result.metrics
    if metrics["http_reqs"].count:
        return _REQUESTS
    if result.calls:
        return "Calls", "calls", "call_failed", "call_duration"
    if metrics["ws_sessions"].count or metrics["ws_failed"].count:
        return "WebSockets", "ws_sessions", "ws_failed", "ws_connecting"
    if metrics["stream_events"].count:
        return "Stream events", "stream_events", _FAILED, "stream_first_event"
    return _REQUESTS


_FAILED = "http_req_failed"
_REQUESTS = ("Requests", "http_reqs", _FAILED, "http_req_duration")


def _hook_errors(result: Summary) -> Iterator[str]:
    if result.hook_errors:
        yield "## Failed around the load"
    for error in result.hook_errors:
        yield f"{code(error.hook)}:"
        yield code_block(error.message)


def _thresholds(result: Summary) -> Iterator[str]:
    if result.thresholds:
        yield "## Thresholds"
        rows = [
            [MARK[one.ok], code(one.metric), code(one.expression), prose(format_observed(one))]
            for one in result.thresholds
        ]
        yield table(("", "Metric", "Threshold", "Observed"), rows, left=3)


def _checks(result: Summary) -> Iterator[str]:
    if result.checks:
        yield "## Checks"
        rows = [
            [
                MARK[not one.fails],
                code(one.name),
                code(one.scenario),
                format_count(one.passes),
                format_count(one.fails),
                format_percent(one.passes / (one.passes + one.fails)) if one.passes + one.fails else "-",
            ]
            for one in result.checks
        ]
        yield from _cut(("", "Check", "Scenario", "passed", "failed", "rate"), rows, left=3)


def _endpoints(result: Summary) -> Iterator[str]:
    if result.endpoints:
        yield "## Requests"
        rows = [
            [
                code(f"{one.method} {one.name}"),
                format_count(one.requests),
                format_count(one.failed),
                *_times(one.duration),
                ", ".join(f"{_status(status)} ({format_count(count)})" for status, count in one.statuses.items()),
            ]
            for one in result.endpoints
        ]
        yield from _cut(("Request", "count", "failed", *_TIMES, "statuses"), rows)


def _calls(result: Summary) -> Iterator[str]:
    if result.calls:
        yield "## Calls"
        rows = [
            [code(one.name), format_count(one.calls), format_count(one.failed), *_times(one.duration)]
            for one in result.calls
        ]
        yield from _cut(("Call", "count", "failed", *_TIMES), rows)


def _scenarios(result: Summary) -> Iterator[str]:
    if result.scenarios:
        yield "## Scenarios"
        rows = [
            [
                code(one.name),
                format_count(one.metrics["iterations"].count),
                format_count(one.metrics["http_reqs"].count),
                format_count(one.metrics[_FAILED].fails),
                *_times(one.metrics["http_req_duration"]),
            ]
            for one in result.scenarios
        ]
        yield table(("Scenario", "iterations", "requests", "failed", *_TIMES), rows)


def _groups(result: Summary) -> Iterator[str]:
    if result.groups:
        yield "## Groups"
        rows = [[code(one.name), format_count(one.duration.count), *_times(one.duration)] for one in result.groups]
        yield from _cut(("Group", "count", *_TIMES), rows)


def _trends(result: Summary) -> Iterator[str]:
    shown = {
        label: view
        for label, view in _shown_metrics(result)
        if view.spec.kind is Kind.TREND and view.count and (view.max or 0) >= _NEGLIGIBLE_MS
    }
    if shown:
        yield "## Trends"
        rows = [
            [
                _metric(label, view),
                *(format_value(view.spec, value) for value in (view.avg, view.min, *_quantiles(view), view.max)),
                format_count(view.count),
            ]
            for label, view in shown.items()
        ]
        yield from _cut(("Trend", "avg", "min", "p50", "p95", "p99", "p99.9", "max", "count"), rows)
        if covered := response_coverage(result):
            yield f"{prose(covered)}."


def _others(result: Summary) -> Iterator[str]:
    """Render counters, rates and gauges that have data or belong to the script."""
    rows = []
    for label, view in _shown_metrics(result):
        value = _value(view)
        if view.spec.kind is not Kind.TREND and (value or view.spec.name not in BUILTIN):
            rows.append([_metric(label, view), value or "no data"])
    if rows:
        yield "## Counters, rates and gauges"
        yield from _cut(("Metric", "value"), rows)


def _metric(label: str, view: MetricView) -> str:
    """Return the cell that names a metric, with its unit; both are the script's."""
    unit = prose(unit_label(view.spec))
    return f"{code(label)} {unit}" if unit else code(label)


def _shown_metrics(result: Summary) -> Iterator[tuple[str, MetricView]]:
    """Return all metrics that the report has nowhere else."""
    elsewhere = shown_elsewhere(result)
    return ((label, view) for label, view in result.metrics.items() if label not in elsewhere)


def _value(view: MetricView) -> str:
    """Format the value of a counter, rate or gauge; "" without data."""
    match view.spec.kind:
        case Kind.COUNTER if view.count:
            return f"{format_value(view.spec, view.count)}, {format_rate(view.spec, view.rate)}"
        case Kind.RATE if view.rate is not None:
            trues = view.fails if view.spec.name in FAILURE_RATES else view.passes
            return f"{format_percent(view.rate)}, {format_count(trues)} of {format_count(view.count)}"
        case Kind.GAUGE if view.value is not None:
            least, last, most = (format_value(view.spec, value) for value in (view.min, view.value, view.max))
            return f"{last} (min {least}, max {most})"
    return ""


def _errors(result: Summary) -> Iterator[str]:
    found = result.errors.to_list()
    if found:
        yield "## Errors"
        rows = [
            [code(one["kind"]), code(one["first"]), remedy_of(one["kind"], one["first"]), format_count(one["count"])]
            for one in found
        ]
        yield from _cut(("Kind", "First message", "What to do", "count"), rows, left=3)


def _exceptions(result: Summary) -> Iterator[str]:
    found = result.exceptions.raised_list()
    if found:
        yield "## Exceptions"
    for one in found[:_EXCEPTIONS_AT_MOST]:
        yield f"{code(one['kind'])}, {prose(raised_words(one))}:"
        yield code_block(one["first"])
    if len(found) > _EXCEPTIONS_AT_MOST:
        yield f"… and {format_count(len(found) - _EXCEPTIONS_AT_MOST)} more"


def _resources(summary: Mapping[str, Any]) -> Iterator[str]:
    rows = [_worker(one) for one in summary["workers"]]
    host, target = summary["host"], summary["target"]
    if host and host["max"]:
        most = host["max"]
        cpus = f"{format_number_of(len(most['cpus_percent']), 'CPU')}, {format_bytes(most['memory_total_bytes'])}"
        rows.append(["host", *_cpu(host), format_bytes(most["memory_used_bytes"]), cpus])
    if target and target["max"]:
        most = target["max"]
        gone = "" if target["mean"]["alive"] >= 1 else f", it ran only {_ran(target['series'])}"
        remark = f"{format_number_of(most['threads'], 'thread')}{gone}"
        rows.append([f"target {code(target['label'])}", *_cpu(target), format_bytes(most["rss_bytes"]), remark])
    if rows:
        yield "## Resources"
        yield from _cut(("", "CPU mean", "CPU max", "memory", ""), rows)


def _ran(series: Mapping[str, Any]) -> str:
    return spans_text(running_spans(zip(series["t_s"], series["alive"], strict=True))) or "before the load"


def _worker(one: Mapping[str, Any]) -> list[str]:
    name = f"worker {one['index']}{' (lost)' if one['lost'] else ''}"
    stall = f"stall {format_ms(one['lag_max_ms'])}"
    # A sampled process always uses memory, so 0 means that the worker was never sampled.
    if not one["rss_bytes"]:
        return [name, "-", "-", "-", f"not sampled, {stall}"]
    used = [format_cpu(one["cpu_percent"][what]) for what in ("mean", "max")]
    return [name, *used, format_bytes(one["rss_bytes"]), f"run delay {format_percent(one['run_delay_share'])}, {stall}"]


def _cpu(used: Mapping[str, Any]) -> list[str]:
    return [format_cpu(used[what]["cpu_percent"]) for what in ("mean", "max")]


def _cost(result: Summary) -> Iterator[str]:
    if (cost := result.cost) is None:
        return
    yield f"## {cost_title(cost)}"
    yield "\n".join(f"- {prose(text)}" for text in (cost_note(cost), *cost_sentences(cost)))
    if cost.endpoints:
        rows = [[code(name), *cells] for name, *cells in map(endpoint_row, cost.endpoints)]
        yield table(ENDPOINT_TITLES, rows)


def _notes(result: Summary) -> Iterator[str]:
    if result.notes:
        yield "## Notes"
        yield "\n".join(f"- {prose(note)}" for note in result.notes)


def _environment(header: RunHeader, result: Summary) -> Iterator[str]:
    yield "## Plan and environment"
    rows = [["Started", prose(result.started_at)], ["Run", code(header.run_id)]]
    if header.base_url:
        rows.append(["Base URL", code(header.base_url)])
    for one in result.plan.scenarios:
        load = changed_load(one.executor.describe(), one.name, result.load_changes)
        rows.append([f"Load of {code(one.name)}", prose(load)])
    rows += [[f"Load changed {one.when}", prose(one.text)] for one in result.load_changes]
    rows += [["Workers", format_count(result.plan.workers)], ["Seed", str(result.plan.seed)]]
    rows += [[prose(name), _fact(name, value)] for name, value in result.machine.items()]
    rows += [[prose(name), prose(text)] for name, text in result.versions.items()]
    yield table(("", ""), rows, left=2)


def _fact(name: str, value: Any) -> str:
    is_size = name.endswith("_bytes") and isinstance(value, int)
    return format_bytes(value) if is_size else prose(str(value))


_TIMES = ("p50", "p95", "p99", "max")


def _times(view: MetricView) -> list[str]:
    return [format_ms(value) for value in (view.med, view.p(95), view.p(99), view.max)]


def _quantiles(view: MetricView) -> Iterable[float | None]:
    return (view.p(percent) for percent in (50, 95, 99, 99.9))


def _status(status: str) -> str:
    return "no response" if status == "0" else prose(status)


def _cut(titles: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    yield table(titles, rows[:_ROWS_AT_MOST], left=left)
    if len(rows) > _ROWS_AT_MOST:
        yield f"… and {format_count(len(rows) - _ROWS_AT_MOST)} more"
