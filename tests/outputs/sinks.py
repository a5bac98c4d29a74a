"""Made-up runs for sinks, second by second, and sinks of every temper."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from fastload.model.metrics import BUILTIN, Series
from fastload.model.records import ErrorTable, Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable
from fastload.outputs.streams.base import Sink
from tests.outputs.samples import USER_SPECS, add_requests, fill, make_snapshot

BEGIN_NS = 1_700_000_000_000_000_000
TAGS = {"team": "check out"}


def make_header(**changes: Any) -> RunHeader:
    """Of a run of one scenario whose scenarios are tagged with `TAGS`."""
    plan = {"title": "shop.py", "base_url": "http://127.0.0.1:8080", "scenarios": [{"name": "default", "tags": TAGS}]}
    specs = BUILTIN | USER_SPECS
    given: dict[str, Any] = {"plan": plan, "started_at": "2026-11-21T13:00:00.000Z", "run_id": "c0ffee", "specs": specs}
    return RunHeader(**{**given, "versions": {"fastload": "1.2.3"}, **changes})


def make_second(number: int, *, begin_ns: int = BEGIN_NS, requests: int = 200) -> Snapshot:
    """The second *number*, from 1, with *requests* to each of two endpoints, checks, tags and what a script adds."""
    table = SeriesTable()
    random = np.random.default_rng(number)
    for name in ("/users", 'odd "na,me"= \\'):
        values = random.gamma(2.0, 40_000, requests).astype(np.int64)
        add_requests(table, values.tolist(), name=name, statuses={"200": requests - 1, "500": 1})
    for series in (Series("checks"), Series.of("checks", check="is fine", scenario="default")):
        sink = table.rate(series)
        sink.trues, sink.total = sink.trues + requests - 3, sink.total + requests
    for series, value in ((Series("orders"), 9.5), (Series.of("orders", region="eu"), 7)):
        table.counter(series).value += value
    table.gauge(Series("vus")).set(number)
    table.gauge(Series("queue_depth")).set(-1.5)
    fill(table, "batch_size", [0, 0, *range(1000, 1100)])
    errors = ErrorTable({"http_500": (2, "answered 500")})
    return make_snapshot(
        float(number), t_s=float(number), time_ns=begin_ns + number * 10**9, table=table, errors=errors, offered=5
    )


def total_of(snapshots: Iterable[Snapshot]) -> SeriesTable:
    """All of them in one table."""
    table = SeriesTable()
    for snapshot in snapshots:
        table.merge(snapshot.table)
    return table


class Keeper:
    """A sink that keeps everything, and does what *on* says, by method, before."""

    wants_points = False

    def __init__(self, *, required: bool = False, **on: Callable[[], None]) -> None:
        self.required = required
        self.header: RunHeader | None = None
        self.snapshots: list[Snapshot] = []
        self.closed: list[Mapping[str, Any] | None] = []
        self._on = on

    def check(self) -> None:
        self._do("check")

    def open(self, header: RunHeader) -> None:
        self._do("open")
        self.header = header

    def write(self, snapshot: Snapshot) -> None:
        self._do("write")
        self.snapshots.append(snapshot)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        self._do("close")
        self.closed.append(summary)

    def _do(self, what: str) -> None:
        if action := self._on.get(what):
            action()


def carry(sink: Sink, snapshots: Iterable[Snapshot], header: RunHeader | None = None) -> None:
    """The life of a sink."""
    sink.check()
    sink.open(header or make_header())
    for snapshot in snapshots:
        sink.write(snapshot)
    sink.close({})


def fastload_threads() -> list[str]:
    """The names of the threads that fastload made and that still run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fastload-")]
