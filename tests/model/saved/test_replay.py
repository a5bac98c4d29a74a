"""A run told again from its seconds says what the run itself said, as far as the seconds know it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import fastload as fl
from fastload.model.judging.verdict import Verdict
from fastload.model.load_models import ConstantVUs
from fastload.model.metrics import BUILTIN, Series
from fastload.model.records import Event, Snapshot
from fastload.model.resources import ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.saved.replay import NO_END, UNKNOWN, Replay
from fastload.model.series import SeriesTable
from fastload.outputs.streams.sink_output import SinkOutput
from tests.conftest import Nginx
from tests.outputs.samples import add_requests, durations, failing_threshold, make_plan, make_snapshot

# What no second knows: when the summary was made, how the run ended, and what a worker says of itself at its end.
ONLY_THE_END_KNOWS = ("started_at", "stopped_by", "passed", "notes", "verdict", "workers")
LATE = {"http_reqs": 100}


class Collector:
    """A sink that keeps what it gets."""

    required = True
    wants_points = False

    def __init__(self) -> None:
        self.header: RunHeader | None = None
        self.seconds: list[Snapshot] = []
        self.summary: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Always."""

    def open(self, header: RunHeader) -> None:
        self.header = header

    def write(self, snapshot: Snapshot) -> None:
        self.seconds.append(snapshot)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        self.summary = summary


def header(duration_s: float = 10.0, **changes: Any) -> RunHeader:
    plan = make_plan(ConstantVUs(2, duration_s), **changes)
    return RunHeader(plan.to_dict(), "2026-11-21T13:00:00.000+00:00", "abc", specs=BUILTIN)


def second(t_s: float, requests: int = 100, **changes: Any) -> Snapshot:
    """One second with so many requests in it."""
    table = SeriesTable()
    add_requests(table, durations(requests))
    return make_snapshot(t_s, **{"t_s": t_s, "table": table, **changes})


def replayed(seconds: list[Snapshot], duration_s: float = 10.0, **changes: Any) -> Replay:
    replay = Replay(header(duration_s, **changes))
    for one in seconds:
        replay.add(one)
    return replay


@pytest.fixture(scope="module")
def run(nginx: Nginx) -> tuple[Collector, dict[str, Any]]:
    """A real run with a bit of everything: what a sink got of it, and its true summary."""
    found = fl.Counter("found")
    size = fl.Trend("size", unit="bytes")

    @fl.scenario(thresholds={"http_req_duration": "p(95)<10s", "http_reqs{name:/status/{id}}": "count<1"})
    async def read(vu: fl.VU) -> None:
        reply = await vu.get("/")
        vu.check(
            reply, {"it is there": lambda reply: reply.status == 200, "it is not": lambda reply: reply.status == 0}
        )
        found.add(1, {"where": "nginx"})
        size.add(5)
        async with vu.group("wrong"):
            await vu.get("/status/500")
        await vu.sleep(0.005)

    async def fail(vu: fl.VU) -> None:
        await vu.get("/status/404")
        await vu.sleep(0.01)
        if vu.iteration == 1:
            raise ValueError("at first")

    async def late(vu: fl.VU) -> None:
        await vu.sleep(0.7)
        await vu.get("/", name="late")

    def once() -> tuple[Collector, fl.Summary]:
        collector, outputs = Collector(), []
        outputs.append(SinkOutput("collector", collector))
        return collector, fl.run(
            read, fail, late, vus=2, duration="1500ms", workers=2, base_url=nginx.url, outputs=outputs
        )

    # On a busy machine the second in which the load ended may end later, and does not tell when that was: again then.
    for _ in range(10):
        collector, summary = once()
        if any(one.t_s == pytest.approx(summary.duration_s, rel=1e-9) for one in collector.seconds):
            break
    return collector, summary.to_dict()


def test_the_seconds_of_a_run_add_up_to_its_summary(run: tuple[Collector, dict[str, Any]]) -> None:
    collector, true = run
    assert collector.header is not None
    replay = Replay(collector.header)
    for one in collector.seconds:
        replay.add(one)
    told = replay.summary()
    assert list(told) == list(true)
    assert true["metrics"]["http_reqs"]["count"] > 10
    rates = {label for label, metric in true["metrics"].items() if set(metric) == {"count", "rate"}}
    for label, metric in true["metrics"].items():
        if label in rates:
            assert told["metrics"][label]["count"] == metric["count"]
            assert told["metrics"][label]["rate"] == pytest.approx(metric["rate"], rel=1e-9)
        else:
            assert told["metrics"][label] == metric
    for key in true.keys() - {"metrics", "scenarios", *ONLY_THE_END_KNOWS}:
        assert told[key] == true[key], key
    assert [one["name"] for one in told["scenarios"]] == ["read", "fail", "late"]
    assert all(told[key] for key in ("checks", "endpoints", "groups", "errors", "exceptions", "thresholds"))
    assert told["stopped_by"] == UNKNOWN
    assert told["notes"] == [NO_END]
    assert not told["passed"]


def test_workers_are_told_as_far_as_they_were_sampled(run: tuple[Collector, dict[str, Any]]) -> None:
    collector, true = run
    assert collector.header is not None
    replay = Replay(collector.header)
    for one in collector.seconds:
        replay.add(one)
    for told, worker in zip(replay.summary()["workers"], true["workers"], strict=True):
        assert told["cpu_percent"] == worker["cpu_percent"]
        assert told["lag_max_ms"] == worker["lag_max_ms"]
        assert told["run_delay_share"] == worker["run_delay_share"]


def test_a_run_that_goes_on_has_no_end_to_speak_of() -> None:
    replay = replayed([second(1.0), second(2.0)])
    summary = replay.summary(running=True)
    assert (summary["stopped_by"], summary["notes"], summary["passed"]) == ("", [], True)
    assert summary["duration_s"] == 2.0
    assert summary["metrics"]["http_reqs"] == {"count": 200, "rate": 100.0}


def test_before_the_first_second_everything_is_empty() -> None:
    summary = replayed([]).summary()
    assert summary["metrics"]["http_reqs"]["count"] == 0
    assert summary["verdict"]["state"] == "SUSPECT"
    assert summary["requests"]["started"] == 0
    assert summary["workers"] == []


def test_nothing_of_a_snapshot_is_changed_or_shared() -> None:
    first = second(1.0, 100)
    before = first.table.to_plain()
    replay = replayed([first, second(2.0, 300)])
    assert first.table.to_plain() == before
    assert replay.table.get("http_reqs").value == 400


class _FilterRegistry(SeriesTable):
    """A table of which can be asked whether it is still there."""

    __slots__ = ("__weakref__",)


def test_no_second_is_kept() -> None:
    one = second(1.0, in_flight=3)
    one = replace(one, table=_FilterRegistry(one.table.series_values))
    table = weakref.ref(one.table)
    replay = Replay(header())
    replay.add(one)
    del one
    assert replay.table.series_values
    gc.collect()
    assert table() is None
    assert replay.summary()["requests"]["interrupted"] == 3


@pytest.mark.parametrize(
    ("seconds", "rate", "duration_s"),
    [
        # The load was over after 2 s by its plan: what came then counts, but in no rate.
        ([second(1.0), second(2.0), second(2.6, late=LATE)], 100.0, 2.0),
        # A second that ends a moment later than the plan is still the load's.
        ([second(1.0), second(2.01)], 200 / 2.01, 2.01),
        # Somebody stopped it within the second second.
        ([second(1.0), second(2.0, events=(Event(1.5, "stop", "control"),)), second(3.0, late=LATE)], 200 / 1.5, 1.5),
    ],
)
def test_what_came_after_the_load_is_in_no_rate(seconds: list[Snapshot], rate: float, duration_s: float) -> None:
    summary = replayed(seconds, 2.0).summary()
    assert summary["duration_s"] == pytest.approx(duration_s)
    assert summary["metrics"]["http_reqs"]["count"] == 100 * len(seconds)
    assert summary["metrics"]["http_reqs"]["rate"] == pytest.approx(rate)


def test_warm_up_and_pauses_are_no_measurement() -> None:
    # The pause is in the span, which is by the wall clock, and not in t_s.
    summary = replayed([second(1.0, 0), second(2.0), second(3.0, span_s=5.0)], warmup_s=1.0).summary()
    assert summary["duration_s"] == 2.0
    assert summary["metrics"]["http_reqs"]["rate"] == 100.0
    assert summary["notes"] == [NO_END]


def test_seconds_that_are_missing_are_told() -> None:
    assert (
        "2s of the run are missing: an output that was too slow lost them"
        in replayed([second(1.0), second(4.0)]).summary()["notes"]
    )


def test_requests_are_accounted_for_as_far_as_the_seconds_know() -> None:
    last = second(2.0, requests_per_s=120.0, in_flight=3, failed=4)
    last_of_all = second(3.0, 80, requests_per_s=0.0, in_flight=3, failed=4)
    requests = replayed([last, last_of_all]).summary()["requests"]
    counts = {"finished": 61_721, "failed": 4, "interrupted": 3, "warmup": 0}
    assert {name: requests[name] for name in counts} == counts
    assert requests["started"] == sum(counts.values())


def test_a_lost_worker_is_named() -> None:
    sample = ProcessSample(1.0, "worker 1", 40.0, 1_000, 1, 10, 1, 0.0, 0.0, True)
    event = Event(1.5, "worker", "worker 1 was lost: killed by SIGKILL")
    seconds = [second(1.0, workers=(sample,), lag_max_ms=(0.5, 2.0)), second(2.0, events=(event,), lag_max_ms=(1, 0))]
    summary = replayed(seconds).summary()
    assert [worker["lost"] for worker in summary["workers"]] == [False, True]
    assert [worker["lag_max_ms"] for worker in summary["workers"]] == [1, 2.0]
    assert summary["workers"][1]["cpu_percent"]["series"] == [40.0]
    assert event.text in summary["notes"]


def test_verdict_and_thresholds_are_those_of_the_last_second() -> None:
    verdict = Verdict("SUSPECT", ("for a reason",), "", "")
    seconds = [second(1.0, verdict=verdict), second(2.0, thresholds=(failing_threshold(),))]
    summary = replayed(seconds).summary()
    assert summary["verdict"]["reasons"] == ["for a reason"]
    assert summary["thresholds"][0]["observed"] == 6.2


def test_the_series_that_a_threshold_asks_for_is_a_metric() -> None:
    label = Series.of("http_reqs", method="GET", name="/", status="200").label
    threshold = failing_threshold()
    one = second(1.0, thresholds=(type(threshold)(label, "count>1", True, 100.0),))
    assert label in replayed([one]).summary()["metrics"]
    assert label not in replayed([second(1.0)]).summary()["metrics"]
