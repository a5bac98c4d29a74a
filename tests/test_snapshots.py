"""The snapshots of a run: what came in each second, nothing twice and nothing missing, and what happened when."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

import fastload as fl
from fastload.model.plan import Plan
from fastload.model.records import ErrorTable, Snapshot
from fastload.model.series import SeriesTable
from fastload.targets import RunningTarget
from tests.conftest import wait_until

PATH = "/api/v1/head?tenant_id=00000000-0000-0000-0000-000000000000&store_id=00000000-0000-0000-0000-000000000000"


class Collector:
    """An output that keeps all that it is told."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.started_ns = 0

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        self.started_ns = time.time_ns()

    def snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def stop(self, summary: fl.Summary) -> None:
        """Nothing more."""


async def visit(vu: fl.VU) -> None:
    reply = await vu.get(PATH, name="head")
    vu.check(reply, {"status is 200": reply.status == 200})
    await vu.get("/missing", name="missing")
    await vu.sleep(0.005)


@pytest.fixture(scope="module")
def collected(sequencer: RunningTarget) -> tuple[Collector, fl.Summary]:
    seen = Collector()
    summary = fl.run(visit, vus=4, duration="2.5s", workers=2, base_url=sequencer.base_url, outputs=[seen])
    return seen, summary


def test_the_seconds_add_up_to_the_summary(collected: tuple[Collector, fl.Summary]) -> None:
    seen, summary = collected
    table, errors = SeriesTable(), ErrorTable()
    for snapshot in seen.snapshots:
        table.merge(snapshot.table)
        errors.merge(snapshot.errors)
    assert table.series_values.keys() == summary.table.series_values.keys()
    assert errors.entries == summary.errors.entries
    for series, sink in summary.table.series_values.items():
        assert table.series_values[series].to_plain() == sink.to_plain(), series.label
    last = seen.snapshots[-1]
    assert last.verdict == summary.verdict
    assert last.requests == summary.requests.finished + summary.requests.failed


def test_each_second_follows_the_one_before(collected: tuple[Collector, fl.Summary]) -> None:
    seen, summary = collected
    snapshots = seen.snapshots
    # A snapshot comes after its second; how long after is the machine's.
    assert [int(snapshot.t_s) >= number for number, snapshot in enumerate(snapshots[:2], 1)] == [True, True]
    assert len(snapshots) <= 4
    assert summary.duration_s - 0.25 < snapshots[-1].t_s < summary.duration_s + 5
    for before, after in pairwise(snapshots):
        assert after.t_s - before.t_s == pytest.approx(after.span_s, abs=1e-6)
        assert (after.time_ns - before.time_ns) / 1e9 == pytest.approx(after.span_s, abs=1e-6)
    assert 0 < snapshots[0].time_ns - seen.started_ns < 30e9
    for snapshot in snapshots:
        assert len(snapshot.lag_max_ms) == 2
        assert all(sample.label.startswith("worker") for sample in snapshot.workers)
    assert [event.text for event in snapshots[0].events if event.kind == "phase"] == ["running"]


def test_a_second_has_the_requests_of_its_own_time_only(collected: tuple[Collector, fl.Summary]) -> None:
    seen, _ = collected
    totals = [0, *(snapshot.requests for snapshot in seen.snapshots)]
    own = [snapshot.table.get("http_reqs").value for snapshot in seen.snapshots]
    assert own == [after - before for before, after in pairwise(totals)]


def test_events_tell_what_was_done_to_the_run(sequencer: RunningTarget) -> None:
    seen = Collector()
    options: dict[str, Any] = {"base_url": sequencer.base_url, "workers": 1, "outputs": [seen]}
    with fl.start(visit, executor="externally-controlled", vus=1, duration="30s", max_vus=3, **options) as run:
        assert wait_until(lambda: bool(seen.snapshots))
        run.scale(vus=2)
        run.pause()
        assert wait_until(lambda: seen.snapshots[-1].phase == "paused")
        run.resume()
        assert wait_until(lambda: seen.snapshots[-1].phase == "running")
    events = [event for snapshot in seen.snapshots for event in snapshot.events]
    assert [event.t_s for event in events] == sorted(event.t_s for event in events)
    assert [event.text for event in events if event.kind == "control"] == [
        "pause, by the program",
        "resume, by the program",
    ]
    assert [event.text for event in events if event.kind == "load"] == ["visit: 1 → 2 VUs, by the program"]
    assert [event.text for event in events if event.kind == "phase"] == ["running", "paused", "running", "stopping"]
    assert [event.text for event in events if event.kind == "stop"] == ["control"]
