"""Finished runs as the runner would build them, from series tables: what the output tests render."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastload.control.threshold_judge import ThresholdJudge
from fastload.model.judging.evidence import JUDGED_PERCENTILES, Evidence, WorkerEvidence
from fastload.model.judging.thresholds import ThresholdResult, ThresholdSpec, parse_thresholds
from fastload.model.judging.verdict import judge_run
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, Executor
from fastload.model.metrics import BUILTIN, HTTP_TRENDS, Kind, MetricSpec, Series
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import ErrorTable, Snapshot
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries
from fastload.model.results import collect_calls, collect_checks, collect_endpoints, collect_groups, collect_scenarios
from fastload.model.series import SeriesTable
from fastload.model.summary import RequestCounts, Summary
from fastload.model.views import MetricView, view_metrics

SECONDS = 10.0
USER_SPECS = {
    "orders": MetricSpec("orders", Kind.COUNTER),
    "queue_depth": MetricSpec("queue_depth", Kind.GAUGE),
    "token_success": MetricSpec("token_success", Kind.RATE),
    "ingest_duration": MetricSpec("ingest_duration", Kind.TREND, "ms"),
    "batch_size": MetricSpec("batch_size", Kind.TREND, "rows"),
    "reply_bytes": MetricSpec("reply_bytes", Kind.TREND, "bytes"),
}


def fill(table: SeriesTable, metric: str, values: Iterable[int], **tags: str) -> None:
    """Add stored integers (µs for times) to a trend."""
    spec = BUILTIN.get(metric) or USER_SPECS[metric]
    table.trend(Series.of(metric, **tags), spec.highest).fold(np.array(list(values), dtype=np.int64))


def durations(count: int, base_us: int = 800, spread_us: int = 600) -> list[int]:
    """A right-skewed, deterministic set of times."""
    return [
        base_us + spread_us * step * step // (count * count) * (8 if step > 0.99 * count else 1)
        for step in range(count)
    ]


def add_requests(
    table: SeriesTable,
    values_us: list[int],
    *,
    name: str = "/",
    method: str = "GET",
    statuses: Mapping[str, int] | None = None,
) -> None:
    """Requests to one endpoint with these durations; statuses from 400 and 0 failed."""
    statuses = statuses or {"200": len(values_us)}
    failed = sum(count for status, count in statuses.items() if status == "0" or int(status) >= 400)
    total = sum(statuses.values())
    tags = {"method": method, "name_": name}
    table.counter(Series("http_reqs")).value += total
    for status, count in statuses.items():
        table.counter(Series.of("http_reqs", status=status, **tags)).value += count
    for series in (Series("http_req_failed"), Series.of("http_req_failed", **tags)):
        sink = table.rate(series)
        sink.trues += failed
        sink.total += total
    if values_us:
        _add_times(table, values_us, tags)
    table.counter(Series("data_sent")).value += 61 * total
    for received in (Series("data_received"), Series.of("data_received", **tags)):
        table.counter(received).value += 180 * len(values_us)


def add_calls(table: SeriesTable, name: str, values_us: list[int], *, raised: int = 0) -> None:
    """Measured calls that took so long, and some that *raised*."""
    total = len(values_us) + raised
    for series in (Series("calls"), Series.of("calls", name=name)):
        table.counter(series).value += total
    for series in (Series("call_failed"), Series.of("call_failed", name=name)):
        sink = table.rate(series)
        sink.trues += raised
        sink.total += total
    fill(table, "call_duration", values_us)
    fill(table, "call_duration", values_us, name=name)


def _add_times(table: SeriesTable, values_us: list[int], tags: dict[str, str]) -> None:
    phases = {
        "http_req_duration": values_us,
        "http_req_sending": [7] * len(values_us),
        "http_req_waiting": [value - 20 for value in values_us],
        "http_req_receiving": [13] * len(values_us),
        "http_req_connecting": [900] + [0] * (len(values_us) - 1),
        "http_req_total": values_us,
    }
    for metric in HTTP_TRENDS:
        fill(table, metric, phases.get(metric, [0] * len(values_us)))
    fill(table, "http_req_duration", values_us, **tags)


def make_plan(executor: Executor, **changes: Any) -> Plan:
    scenario = ScenarioPlan("default", executor, work=None)
    plan = Plan("bench", "GET http://127.0.0.1:8080/", (scenario,), 2, base_url="http://127.0.0.1:8080")
    return replace(plan, **changes)


def host_series(cpu: float = 78.4) -> ResourceSeries[HostSample]:
    samples = [
        HostSample(t, cpu + t, (cpu, cpu), 3_100_000_000, 8_200_000_000, 1.5, 6.1e7, 6.1e7, 6.0e7, 0, 0, 0, 9000.0)
        for t in (1.0, 2.0)
    ]
    return ResourceSeries("host", tuple(samples))


def target_series(cpu: float = 98.7, *, alive: bool = True) -> ResourceSeries[ProcessSample]:
    samples = [ProcessSample(t, "nginx", cpu + t, 12_300_000, 2, 80, 2, 100.0, 0.0, alive) for t in (1.0, 2.0)]
    return ResourceSeries("nginx", tuple(samples))


def steady_workers(count: int = 2, cpu: float = 45.0) -> tuple[WorkerEvidence, ...]:
    return tuple(
        WorkerEvidence(index, (cpu + index, cpu + index + 2), 1.2, 0.0012, 48_000_000) for index in range(count)
    )


def percentiles(view: MetricView) -> dict[int, float]:
    """The percentiles that the verdict looks at."""
    return {percent: value for percent in JUDGED_PERCENTILES if (value := view.p(percent)) is not None}


def summarise(
    table: SeriesTable,
    plan: Plan,
    *,
    specs: Mapping[str, MetricSpec] = BUILTIN,
    thresholds: ThresholdSpec | None = None,
    evidence: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Summary:
    """The summary of *table*, with a verdict from the same judge as in a run; *changes* replace fields."""
    metrics = view_metrics(table, specs, SECONDS)
    requests, failed = metrics["http_reqs"].count, metrics["http_req_failed"].fails
    workers = changes.pop("workers", steady_workers())
    facts: dict[str, Any] = {
        "open_model": plan.has_open_model,
        "requests": int(requests),
        "failed": failed,
        "requests_per_s": requests / SECONDS,
        "calls": int(metrics["calls"].count),
        "calls_failed": metrics["call_failed"].fails,
        "calls_per_s": metrics["calls"].rate or 0.0,
        "vus": plan.max_vus,
        "workers": workers,
        "lateness_ms": percentiles(metrics["iteration_lateness"]) if plan.has_open_model else {},
        "response_ms": percentiles(metrics["http_req_response_time"]) or percentiles(metrics["http_req_duration"]),
        "response_count": int(metrics["http_req_duration"].count),
        "own_delay_ms": {50: 0.1, 95: 0.3, 99: 0.9},
        "target_cpu_percent": 98.7,
        "target_cpus": 1,
        "host_cpu_percent": 78.4,
    }
    names = [scenario.name for scenario in plan.scenarios]
    summary = Summary(
        plan=plan,
        metrics=metrics,
        thresholds=ThresholdJudge(parse_thresholds(thresholds or {}, specs)).results(metrics),
        checks=collect_checks(table),
        endpoints=collect_endpoints(table, SECONDS),
        groups=collect_groups(table, SECONDS),
        calls=collect_calls(table, SECONDS),
        scenarios=collect_scenarios(metrics, names),
        errors=ErrorTable(),
        exceptions=ErrorTable(),
        verdict=judge_run(Evidence(**(facts | dict(evidence or {})))),
        requests=RequestCounts(started=int(requests), finished=int(requests) - failed, failed=failed),
        workers=workers,
        host=host_series(),
        target=target_series(),
        versions={"fastload": "0.1.0", "python": "3.11.7"},
        machine={"cpus": 2},
        started_at="2026-11-21T13:00:00Z",
        duration_s=SECONDS,
        table=table,
    )
    return replace(summary, **changes)


def closed_bench() -> Summary:
    """64 VUs at full speed: the simplest of all runs."""
    table = SeriesTable()
    add_requests(table, durations(20_000))
    table.counter(Series("iterations")).value = 20_000
    fill(table, "iteration_duration", [value + 30 for value in durations(20_000)])
    table.gauge(Series("vus")).set(64)
    return summarise(table, make_plan(ConstantVUs(64, SECONDS)))


def open_bench() -> Summary:
    """1,000 starts a second, a few of them late."""
    table = SeriesTable()
    add_requests(table, durations(10_000))
    fill(table, "http_req_response_time", [value + 45 for value in durations(10_000)])
    fill(table, "iteration_lateness", [45] * 9_800 + [9_300] * 200)
    fill(table, "iteration_duration", durations(10_000))
    table.counter(Series("iterations")).value = 10_000
    plan = make_plan(ConstantArrivalRate(1000, SECONDS, 100))
    return summarise(table, plan, evidence={"offered": 10_000, "started": 10_000, "target_cpu_percent": 41.0})


def full_run() -> Summary:
    """A script with checks, thresholds, user metrics, several endpoints, errors and exceptions."""
    table = SeriesTable()
    add_requests(table, durations(5_000), name="/users")
    add_requests(table, durations(4_000, 2_000), name="/orders/{id}", statuses={"200": 3_990, "500": 10})
    add_requests(table, durations(1_000, 9_000), name="/login", method="POST", statuses={"200": 1_000, "0": 2})
    table.counter(Series("iterations")).value = 3_000
    table.counter(Series("iterations_failed")).value = 12
    fill(table, "iteration_duration", durations(3_000, 12_000))
    for name, trues, total in (("status is 200", 9_990, 10_000), ("body has an id", 5_000, 5_000)):
        for series in (Series("checks"), Series.of("checks", check=name, scenario="default")):
            sink = table.rate(series)
            sink.trues += trues
            sink.total += total
    table.counter(Series("orders")).value = 4_321
    table.gauge(Series("queue_depth")).set(3)
    table.gauge(Series("queue_depth")).set(12)
    table.rate(Series("token_success")).merge(type(table.rate(Series("token_success")))(999, 1_000))
    fill(table, "ingest_duration", durations(500, 5_000_000))
    fill(table, "batch_size", [1_000 * size for size in range(1, 400)])
    table.gauge(Series("vus")).set(50)
    thresholds: ThresholdSpec = {
        "http_req_duration": ["p(95)<5", "p(99) < 1"],
        "http_req_failed": "rate<0.01",
        "orders": ["count>4000", "rate>1000"],
        "reply_bytes": "avg<1000",
        "data_received": "count>1000",
    }
    errors = ErrorTable({"http_500": (10, "GET /orders/{id} answered 500")})
    errors.count("connect_refused", "Failed to connect to 127.0.0.1 port 8080 after 0 ms: Could not connect to server")
    errors.count("connect_refused")
    trace = (
        'Traceback (most recent call last):\n  File "shop.py", line 12, in main\n    reply.json()["id"]\nKeyError: 7'
    )
    plan = make_plan(ConstantVUs(50, SECONDS), kind="run", title="shop.py")
    return summarise(
        table,
        plan,
        specs=BUILTIN | USER_SPECS,
        thresholds=thresholds,
        errors=errors,
        exceptions=ErrorTable({"KeyError": (12, trace)}),
        evidence={"target_cpu_percent": 55.0},
    )


def all_failed() -> Summary:
    """The target refused every connection."""
    table = SeriesTable()
    add_requests(table, [], statuses={"0": 500})
    table.counter(Series("iterations")).value = 500
    fill(table, "iteration_duration", [300] * 500)
    errors = ErrorTable({"connect_refused": (500, "Failed to connect to 127.0.0.1 port 8080")})
    thresholds: ThresholdSpec = {"http_req_duration": "p(95)<500"}
    return summarise(table, make_plan(ConstantVUs(8, SECONDS)), errors=errors, thresholds=thresholds, target=None)


def lost_worker() -> Summary:
    """One of two workers was killed, and the user interrupted the rest."""
    workers = (steady_workers(1)[0], WorkerEvidence(1, (40.0,), 1.0, 0.0, 47_000_000, lost=True))
    summary = closed_bench()
    counts = RequestCounts(21_596, 19_990, 10, 64, 1_500, lost=32)
    return summarise(
        summary.table,
        summary.plan,
        workers=workers,
        requests=counts,
        stopped_by="interrupt",
        notes=("3 values of ingest_duration were out of range and counted at its end",),
    )


SUMMARIES = {
    "closed_bench": closed_bench,
    "open_bench": open_bench,
    "full_run": full_run,
    "all_failed": all_failed,
    "lost_worker": lost_worker,
}


def make_snapshot(elapsed_s: float = 5.0, **changes: Any) -> Snapshot:
    """The middle of a run of ten seconds."""
    snapshot = Snapshot(
        elapsed_s=elapsed_s,
        progress=elapsed_s / SECONDS,
        phase="running",
        vus=64,
        in_flight=64,
        requests=61_725,
        failed=0,
        requests_per_s=12_345.0,
        failed_per_s=0.0,
        iterations=61_725,
        p50_ms=1.2,
        p95_ms=3.4,
        p99_ms=5.6,
        workers_alive=2,
        workers_lost=0,
        worker_cpu_percent=(45.0, 47.0),
        host=host_series().samples[0],
        target=target_series().samples[0],
        thresholds=(),
    )
    return replace(snapshot, **changes)


def failing_threshold() -> ThresholdResult:
    return ThresholdResult("http_req_duration", "p(95)<5", False, 6.2, aggregate="p(95)", kind="trend", unit="ms")
