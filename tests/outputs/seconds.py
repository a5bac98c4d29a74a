"""Made-up runs second by second, for what draws them: header, snapshots, and the summary that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, Executor, RampingVUs
from fastload.model.metrics import BUILTIN, Series
from fastload.model.plan import Plan
from fastload.model.records import ErrorTable, Event, Snapshot
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable
from tests.outputs.samples import USER_SPECS, add_calls, add_requests, fill, make_plan, make_snapshot, summarise

START_NS = 1_790_000_000_000_000_000
NASTY = '</script><script>alert(1)</script><img src=x onerror=alert(2)> "it\'s" & <b>bold</b>'


class Made(NamedTuple):
    """A run as a sink gets it."""

    header: RunHeader
    seconds: list[Snapshot]
    summary: dict[str, Any]


def make_header(plan: Plan) -> RunHeader:
    return RunHeader(
        plan=plan.to_dict(),
        started_at="2026-09-21T14:13:20.000+00:00",
        run_id="0123456789abcdef",
        versions={"fastload": "0.3.0", "python": "3.11.7"},
        machine={"cpus": 2, "memory_total_bytes": 8_200_000_000},
        specs=BUILTIN | USER_SPECS,
        thresholds=("http_req_duration: p(95)<5",),
    )


def second(number: int, table: SeriesTable, **changes: Any) -> Snapshot:
    """The snapshot that ends *number* seconds after the start, of a window of one second."""
    requests = table.get("http_reqs")
    failed = table.get("http_req_failed")
    values: dict[str, Any] = {
        "t_s": float(number),
        "time_ns": START_NS + number * 1_000_000_000,
        "table": table,
        "requests_per_s": requests.value if requests else 0.0,
        "failed_per_s": float(failed.trues) if failed else 0.0,
        "workers": tuple(_process(f"worker {index}", 40.0 + 5 * index + number % 7) for index in range(2)),
        "worker_cpu_percent": (40.0, 45.0),
        "lag_max_ms": (0.4 + number % 3, 0.2),
        "host": _host(float(number)),
        "target": _process("nginx", 80.0 + number % 5),
    }
    return make_snapshot(float(number), **(values | changes))


def made_run(
    executor: Executor | None = None,
    *,
    seconds: int = 30,
    requests_per_s: int = 200,
    names: Iterable[str] = ("/users", "/orders/{id}"),
    calls: bool = False,
    changes: Mapping[str, Any] | None = None,
    **plan: Any,
) -> Made:
    """A run of *seconds*, an open model unless *executor* says otherwise; *changes* replace fields of the summary."""
    source = np.random.default_rng(7)
    made = make_plan(executor or ConstantArrivalRate(float(requests_per_s), seconds, 50), **({"kind": "run"} | plan))
    is_open = made.has_open_model
    whole, errors, exceptions = SeriesTable(), ErrorTable(), ErrorTable()
    snapshots = []
    for number in range(1, seconds + 1):
        table = SeriesTable()
        if calls:
            add_calls(table, "work", _times(source, requests_per_s), raised=1)
        else:
            _add_second(table, source, requests_per_s, tuple(names), is_open=is_open)
        failures = ErrorTable() if calls else ErrorTable({"http_500": (2, "GET /orders/{id} answered 500")})
        if not calls and number % 10 == 0:
            failures.count(f"judged: {NASTY}", f"GET /users: {NASTY}")
        table.counter(Series("iterations")).value = requests_per_s
        table.gauge(Series("vus")).set(10 + number % 4)
        whole.merge(table)
        errors.merge(failures)
        events = (Event(number - 0.5, "control", "scale vus=20"),) if number == 12 else ()
        snapshots.append(
            second(number, table, errors=failures, events=events, offered=requests_per_s if is_open else 0, vus=10)
        )
    exceptions.count("KeyError", f"Traceback (most recent call last):\nKeyError: {NASTY}")
    summary = summarise(
        whole,
        made,
        specs=BUILTIN | USER_SPECS,
        thresholds={"http_req_duration": ["p(95)<500", "p(99)<0.001"]},
        errors=errors,
        exceptions=exceptions,
        notes=(NASTY,),
        machine={"cpus": 2, "memory_total_bytes": 8_200_000_000},
        versions={"fastload": "0.3.0", "python": "3.11.7"},
    )
    summary = replace(summary, **(changes or {}))
    return Made(make_header(made), snapshots, summary.to_dict())


def closed_run(**changes: Any) -> Made:
    return made_run(ConstantVUs(10, 30.0), **changes)


def ramp() -> RampingVUs:
    return RampingVUs(((10.0, 40), (10.0, 40), (5.0, 0)))


def _add_second(
    table: SeriesTable, source: np.random.Generator, count: int, names: tuple[str, ...], *, is_open: bool
) -> None:
    share = count // len(names)
    for place, name in enumerate(names):
        times = _times(source, share)
        statuses = {"200": share} if place or share <= 2 else {"200": share - 2, "500": 2}
        add_requests(table, times, name=name, statuses=statuses)
        if is_open:
            fill(table, "http_req_response_time", [one + 40 for one in times])
            fill(table, "iteration_lateness", [40] * share)
    for check in ("status is 200", NASTY):
        for series in (Series("checks"), Series.of("checks", check=check, scenario="default")):
            sink = table.rate(series)
            sink.trues += count - (check == NASTY)
            sink.total += count
    fill(table, "group_duration", _times(source, 20))
    fill(table, "group_duration", _times(source, 20), group="visit")
    table.counter(Series("orders")).value += 3
    table.gauge(Series("queue_depth")).set(7)


def _times(source: np.random.Generator, count: int) -> list[int]:
    return [int(value) for value in source.lognormal(8.0, 0.6, count)]


def _process(label: str, cpu: float) -> ProcessSample:
    return ProcessSample(1.0, label, cpu, 50_000_000, 2, 30, 1, 100.0, 0.001, True)


def _host(t_s: float) -> HostSample:
    return HostSample(
        t_s, 60.0 + t_s % 9, (60.0, 60.0), 3_100_000_000, 8_200_000_000, 1.5, 6.1e6, 6.2e6, 6.0e6, 0, 0, 0, 9000.0
    )
