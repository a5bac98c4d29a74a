"""The verdict: every finding on both sides of its bound, and one judgement that never contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastload.model.judging.evidence import Evidence, WorkerEvidence
from fastload.model.judging.resource_evidence import Growth, MachineUse, TargetUse
from fastload.model.judging.stalls import Stalls
from fastload.model.judging.verdict import judge_run
from tests.model.judging.runs import (
    CLOSED,
    LATE_STARTS,
    NAP,
    OF_TREND,
    OPEN,
    OTHERWISE,
    causes,
    evidence,
    late,
    stalled,
    worker,
)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "VALID"),
        # The own delay at the median: half of what was reported, and a millisecond at least.
        ({"own_delay_ms": {50: 4.9}}, "VALID"),
        ({"own_delay_ms": {50: 5.0}}, "INVALID"),
        ({"own_delay_ms": {50: 0.9}, "response_ms": {50: 0.5}}, "VALID"),
        ({"own_delay_ms": {50: 1.0}, "response_ms": {50: 0.5}}, "INVALID"),
        # At the p95 and the p99: half of it, and 5 ms at least. The median holds.
        ({"own_delay_ms": {95: 9.9}}, "VALID"),
        ({"own_delay_ms": {95: 10.0}}, "SUSPECT"),
        ({"own_delay_ms": {95: 4.9}, "response_ms": {95: 1.0}}, "VALID"),
        ({"own_delay_ms": {95: 5.0}, "response_ms": {95: 1.0}}, "SUSPECT"),
        ({"own_delay_ms": {99: 19.9}}, "VALID"),
        ({"own_delay_ms": {99: 20.0}}, "SUSPECT"),
        ({"own_delay_ms": {99: 4.9}, "response_ms": {99: 1.0}}, "VALID"),
        ({"own_delay_ms": {99: 5.0}, "response_ms": {99: 1.0}}, "SUSPECT"),
        # A percentile with less than five values above it is luck.
        ({"own_delay_ms": {99: 20.0}, "response_count": 500}, "SUSPECT"),
        ({"own_delay_ms": {99: 20.0}, "response_count": 499}, "VALID"),
        ({"own_delay_ms": {95: 10.0}, "response_count": 100}, "SUSPECT"),
        ({"own_delay_ms": {95: 10.0}, "response_count": 99}, "VALID"),
        ({"own_delay_ms": {50: 5.0}, "response_count": 10}, "INVALID"),
        ({"own_delay_ms": {50: 5.0}, "response_count": 9}, "VALID"),
        # Without any response there is no latency to disturb.
        ({"own_delay_ms": {99: 500.0}, "response_ms": {}}, "VALID"),
        # A tenth of the time without the loop: the rate does not hold either.
        ({"workers": (worker(stalled_ms=999.0, stalls=(stalled(999.0),), waited_ms={"blocked": 999.0}),)}, "VALID"),
        (
            {"workers": (worker(stalled_ms=1000.0, stalls=(stalled(1000.0),), waited_ms={"blocked": 1000.0}),)},
            "INVALID",
        ),
        # Without requests or calls there is no latency to compare with: the loop must be there most of the time.
        (OTHERWISE | {"workers": (worker(late_ms={"busy": 500.0, "blocked": 499.0}),)}, "VALID"),
        (OTHERWISE | {"workers": (worker(late_ms={"busy": 500.0, "blocked": 500.0}),)}, "SUSPECT"),
        (OTHERWISE | {"workers": (worker(late_ms={"starved": 2499.0}),)}, "SUSPECT"),
        (OTHERWISE | {"workers": (worker(late_ms={"starved": 2500.0}),)}, "INVALID"),
        (OTHERWISE | {"workers": (worker(), worker(1, late_ms={"starved": 2500.0}))}, "INVALID"),
        (OTHERWISE | {"workers": (worker(late_ms={"starved": 99.0}, watched_ms=150.0),)}, "VALID"),
        (OTHERWISE | {"workers": (worker(late_ms={"starved": 100.0}, watched_ms=150.0),)}, "INVALID"),
        ({"workers": (worker(late_ms={"starved": 9000.0}),)}, "VALID"),
        ({"workers": (worker(late_ms={"starved": 9000.0}),), "response_count": 9}, "INVALID"),
        # The times of the script, which stand in for them.
        (OF_TREND, "VALID"),
        (OF_TREND | {"own_delay_ms": {95: 10.0}}, "SUSPECT"),
        (OF_TREND | {"own_delay_ms": {50: 5.0}}, "INVALID"),
        (OF_TREND | {"workers": (worker(late_ms={"blocked": 1000.0}),)}, "SUSPECT"),
        # How much of the time is waited for a CPU does not matter by itself.
        ({"workers": (worker(run_delay_share=0.3),)}, "VALID"),
        # The machine ran out of something.
        ({"errors": {"generator_fd": 99}}, "SUSPECT"),
        ({"errors": {"generator_fd": 100}}, "INVALID"),
        ({"errors": {"generator_port": 100}}, "INVALID"),
        ({"errors": {"generator_fd": 0, "connect_refused": 9}}, "VALID"),
        ({"workers": (worker(lost=True),)}, "SUSPECT"),
        # Where nothing was answered, there is nothing to disturb.
        ({"failed": 10_000, "workers": (worker(stalled_ms=5000.0, waited_ms={"starved": 5000.0}),)}, "SUSPECT"),
        # Failures are the target's affair, until most of the latencies are theirs.
        ({"failed": 4_999}, "VALID"),
        ({"failed": 5_000}, "SUSPECT"),
        ({"failed": 10_000}, "SUSPECT"),
    ],
)
@pytest.mark.parametrize("open_model", [OPEN, CLOSED])
def test_the_state(open_model: bool, changes: dict[str, Any], state: str) -> None:
    assert judge_run(evidence(open_model=open_model, **changes)).state == state


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        # Starts that were late by the generator's own fault, and starts that waited for a VU.
        ({"lateness_ms": {50: 0.1, 95: 0.2, 99: 19.9}}, "VALID"),
        ({"lateness_ms": {50: 0.1, 95: 0.2, 99: 20.0}}, "SUSPECT"),
        ({"lateness_ms": {50: 5.0, 95: 6.0, 99: 7.0}}, "INVALID"),
        ({"lateness_ms": {50: 5.0, 95: 6.0, 99: 19.9}, "queued": 101}, "VALID"),
        ({"lateness_ms": {50: 5.0, 95: 6.0, 99: 20.0}, "queued": 101}, "SUSPECT"),
        # What was due and never started: a percent of it.
        ({"started": 9_901}, "VALID"),
        ({"started": 9_900}, "SUSPECT"),
        ({"offered": 0, "started": 0}, "VALID"),
        # What had no response at the end, while more and more waited.
        ({"interrupted": 99, "backlog_grew": True}, "VALID"),
        ({"interrupted": 100, "backlog_grew": True}, "SUSPECT"),
        # What was answered only after the load, from a line that grew: whoever was the limit.
        ({"iterations_per_s": 900.0, "backlog_grew": True}, "VALID"),
        ({"iterations_per_s": 899.0, "backlog_grew": True}, "SUSPECT"),
        ({"iterations_per_s": 899.0}, "VALID"),
        ({"requests_per_s": 899.0, "bench": True, "backlog_grew": True}, "SUSPECT"),
        ({"iterations_per_s": 899.0, "backlog_grew": True, "target_cpu_percent": 200.0}, "SUSPECT"),
        ({"iterations_per_s": 899.0, "backlog_grew": True, "is_mixed": True}, "VALID"),
        ({"iterations_interrupted": 100, "backlog_grew": True}, "SUSPECT"),
        ({"interrupted": 100}, "VALID"),
        # A full core does no harm if nothing was late.
        ({"workers": (worker(cpu_percent=(95.0,) * 10),)}, "VALID"),
        ({"workers": (worker(cpu_percent=(95.0,) * 10),), "own_delay_ms": {95: 10.0}}, "SUSPECT"),
        ({"workers": (worker(cpu_percent=(95.0,) * 10),), "own_delay_ms": {50: 5.0}}, "INVALID"),
        ({"workers": (worker(cpu_percent=(95.0,) * 10),), "started": 9_000}, "INVALID"),
    ],
)
def test_the_state_of_an_open_model(changes: dict[str, Any], state: str) -> None:
    assert judge_run(evidence(open_model=True, **changes)).state == state


@pytest.mark.parametrize(
    ("cpu_percent", "state", "limit"),
    [
        ((89.9,) * 10, "VALID", "The concurrency was the limit"),
        ((95.0,) * 10, "SUSPECT", "The generator was the limit"),
        # Four of nine seconds: more than a tenth have the generator's own queue, but most of the rate is not its.
        ((10.0,) * 5 + (99.0,) * 4, "SUSPECT", "The concurrency was the limit"),
        ((10.0,) * 5 + (99.0,) * 5, "SUSPECT", "The generator was the limit"),
        ((10.0,) * 9 + (99.0,), "SUSPECT", "The concurrency was the limit"),
        ((10.0,) * 10 + (99.0,), "VALID", "The concurrency was the limit"),
        ((10.0,) * 19 + (99.0,), "VALID", "The concurrency was the limit"),
    ],
)
def test_seconds_with_a_full_core(cpu_percent: tuple[float, ...], state: str, limit: str) -> None:
    verdict = judge_run(evidence(workers=(worker(), worker(1, cpu_percent=cpu_percent))))
    assert (verdict.state, verdict.limit.partition(":")[0]) == (state, limit)


def test_a_full_core_of_a_closed_model_explains_its_own_delay() -> None:
    verdict = judge_run(
        evidence(workers=(worker(cpu_percent=(99.0,) * 10, waited_ms={"busy": 900.0}),), own_delay_ms={50: 9.0})
    )
    assert verdict.state == "SUSPECT"
    assert causes(verdict)[0] == "worker_saturated"
    assert "the rate of 1,000 requests/s is the result" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("open_model", "changes", "cause", "reason", "remedy"),
    [
        (
            CLOSED,
            late("blocked", stalled(400.0)),
            "blocking_call",
            f"a blocking call in {NAP} (12x, at most 95.0ms)",
            "await instead",
        ),
        (
            CLOSED,
            late("busy", stalled(400.0, "busy")),
            "busy_script",
            f"the script computes in {NAP}",
            "before the load",
        ),
        (
            CLOSED,
            late("blocked", stalled(400.0, line="")),
            "own_work",
            "something other than the script",
            "the disk",
        ),
        # Stalls that were too short for anybody to see where.
        (
            CLOSED,
            late("blocked"),
            "blocking_call",
            "calls that do not await, a disk or swapped memory",
            "await instead",
        ),
        (
            CLOSED,
            late("busy", stalled(400.0, "busy", "")),
            "own_work",
            "fastload's own work took up to 95.0ms",
            "--max-body",
        ),
        # A line that has little of it is not to blame.
        (
            CLOSED,
            late("busy", stalled(125.0, "busy")),
            "busy_script",
            f"the script computes in {NAP}",
            "before the load",
        ),
        (CLOSED, late("busy", stalled(124.0, "busy")), "own_work", "fastload's own work", "--max-body"),
        # Starts that are late together with the loop, and starts that are late by themselves.
        (OPEN, LATE_STARTS | {"own_delay_ms": {99: 10.0}}, "own_work", "fastload's own work", "--max-body"),
        (OPEN, LATE_STARTS | {"own_delay_ms": {99: 9.9}}, "late_starts", "starts were late", "lower the rate"),
        (
            CLOSED,
            late("starved", stalled(400.0, "starved", "")),
            "no_cpu",
            "the workers waited for a CPU",
            "fewer workers",
        ),
        (
            CLOSED,
            late("starved") | {"throttled_share": 0.4},
            "cpu_quota",
            "the CPU quota was used up 40.00% of the time",
            "raise the CPU quota",
        ),
        (
            CLOSED,
            late("stopped", stalled(400.0, "stopped", "")),
            "stopped",
            "worker 0 was stopped for up to 95.0ms (SIGSTOP",
            "without a pause",
        ),
        (
            OPEN,
            {"lateness_ms": {99: 30.0}},
            "late_starts",
            "starts were late: own delay p99 30.0ms beside a reported p99 of 40.0ms",
            "lower the rate",
        ),
        (
            OPEN,
            {"started": 5_000, "offered": 10_000},
            "too_few_vus",
            "only 50.00% of the offered load was started (5,000 of 10,000)",
            "--max-vus",
        ),
        (OPEN, {"started": 5_000, "dropped": 4_000}, "too_few_vus", "4,000 were dropped", "--max-vus"),
        (OPEN, {"started": 5_000, "bench": True}, "too_few_vus", "only 50.00%", "raise -c/--connections"),
        (
            OPEN,
            {"started": 5_000, "iteration_mean_ms": 400.0},
            "too_few_vus",
            "only 50.00%",
            "raise --max-vus to about 500",
        ),
        (
            OPEN,
            {"lateness_ms": {99: 30.0}, "queued": 2_000},
            "too_few_vus",
            "20.00% of the starts waited for a free VU, p99 30.0ms",
            "--max-vus",
        ),
        (
            OPEN,
            {"started": 5_000, "quickest_ms": 1.0, "median_ms": 99.0, "target_cpu_percent": None},
            "target_queue",
            "only 50.00%",
            "what the target answers",
        ),
        (
            OPEN,
            {"interrupted": 3_000, "backlog_grew": True},
            "unanswered",
            "3,000 requests (30.00%) had no response",
            "lower the rate",
        ),
        (
            CLOSED,
            {"requests": 0, "interrupted": 8},
            "nothing_measured",
            "8 requests were under way when the run ended, and none had ended before",
            "run longer",
        ),
        (
            CLOSED,
            {"requests": 0, "iterations_interrupted": 1},
            "nothing_measured",
            "1 iteration was under way",
            "run longer",
        ),
        (
            CLOSED,
            {"requests": 0, "iterations_failed": 12},
            "nothing_measured",
            "nothing was measured: all 12 iterations raised",
            "iteration_timeout",
        ),
        (CLOSED, {"requests": 0, "iterations_failed": 1}, "nothing_measured", "the iteration raised", "exceptions"),
        (CLOSED, {"requests": 0}, "nothing_measured", "no request and no iteration ended", "from starting"),
        (
            CLOSED,
            {"requests": 0, "iterations": 5},
            "nothing_measured",
            "5 iterations ended without a request",
            "vu.get",
        ),
        (CLOSED, {"workers": (worker(3, lost=True),)}, "worker_lost", "worker 3 was lost", "see the notes"),
        (
            CLOSED,
            {"workers": (worker(1, held=True, lost=True), worker(2, held=True), worker(0))},
            "stopped",
            "workers 1, 2 were stopped by a signal (SIGSTOP) and not continued: the share of the load of 2 of 3",
            "kill -STOP",
        ),
        (
            CLOSED,
            {"workers": (worker(cpu_percent=(99.0,) * 10),)},
            "worker_saturated",
            "worker 0 used a whole core for 10 of 10 s",
            "-r/--rate",
        ),
        (
            CLOSED,
            {"errors": {"generator_fd": 700}},
            "generator_fd",
            "ran out of file descriptors (700 requests)",
            "ulimit -n",
        ),
        (
            CLOSED,
            {"errors": {"generator_port": 700}},
            "generator_port",
            "ran out of local ports (700 requests)",
            "ip_local_port_range",
        ),
        (CLOSED, {"failed": 10_000}, "target_failing", "every request failed: nothing below", "see the errors"),
        (
            OPEN,
            {"vus_without_data": 8, "started": 9_000},
            "too_few_vus",
            "of the offered load was started",
            "a row for each VU",
        ),
        (
            CLOSED,
            {"failed": 10_000, "errors": {"connect_refused": 10_000}},
            "target_failing",
            "every request failed, most with connect_refused: nothing below",
            "see the errors; connect_refused: start the server",
        ),
        (
            CLOSED,
            {"failed": 6_800, "errors": {"http_500": 6_800}},
            "target_failing",
            "68.00% of the requests failed, most with http_500",
            "see the errors",
        ),
        (
            CLOSED,
            {"failed": 6_800, "target_ended_s": 3.2},
            "target_ended",
            "the target's processes had ended after 3 s",
            "log",
        ),
    ],
)
def test_each_cause_has_its_figures_and_its_remedy(
    open_model: bool, changes: dict[str, Any], cause: str, reason: str, remedy: str
) -> None:
    verdict = judge_run(evidence(open_model=open_model, **changes))
    assert verdict.state != "VALID"
    assert causes(verdict)[0] == cause
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]
    assert remedy in verdict.remedy


def test_the_worst_comes_first_and_gives_the_remedy() -> None:
    verdict = judge_run(evidence(open_model=True, started=9_000, errors={"generator_fd": 1_000}))
    assert verdict.state == "INVALID"
    assert [reason.split(" (")[0] for reason in verdict.reasons] == [
        "the generator ran out of file descriptors",
        "only 90.00% of the offered load was started",
    ]
    assert verdict.remedy == "raise the limit: ulimit -n 65536"
    assert verdict.limit.startswith("The generator was the limit: ran out of file descriptors")


def test_each_cause_that_matters_is_told_and_the_worst_leads() -> None:
    """A long stall weighs more than many short waits of the same sum; what has little of it is left out."""
    waited_ms = {"starved": 600.0, "blocked": 900.0, "busy": 50.0}
    workers = (worker(late_ms=waited_ms, waited_ms=waited_ms, stalls=(stalled(300.0),)),)
    verdict = judge_run(evidence(workers=workers, own_delay_ms={99: 30.0}))
    assert causes(verdict)[:2] == ["blocking_call", "no_cpu"]
    assert len(verdict.reasons) == 2
    assert "beside a reported p99" not in verdict.reasons[1]


def test_a_target_that_was_not_sampled_all_the_time_is_told() -> None:
    spans = ((0.0, 2.0), (4.0, 6.0))
    verdict = judge_run(evidence(target_ran_s=spans))
    assert verdict.state == "VALID"
    told = "the target: its processes ended, and it was sampled only from 0s to 2s, from 4s to 6s"
    assert told in verdict.reasons
    assert verdict.limit.startswith("The concurrency was the limit")
    # That it ended, and that nothing answered after that, is told already.
    assert told not in judge_run(evidence(target_ran_s=spans, target_ended_s=6.0)).reasons


@pytest.mark.parametrize(("starved_ms", "told"), [(200.0, 2), (199.0, 1)])
def test_a_cause_is_told_beside_others_from_a_fifth_of_the_wait_on(starved_ms: float, told: int) -> None:
    waited_ms = {"blocked": 1000.0 - starved_ms, "starved": starved_ms}
    workers = (worker(late_ms=waited_ms, waited_ms=waited_ms, stalls=(stalled(500.0),)),)
    assert len(judge_run(evidence(workers=workers, own_delay_ms={99: 30.0})).reasons) == told


def test_three_lines_of_the_script_are_named() -> None:
    lines = [f"visit (shop.py:{number}): time.sleep(0.09)" for number in range(1, 5)]
    blocking = tuple(stalled(500.0 - 10 * number, line=line) for number, line in enumerate(lines))
    waited_ms = {"blocked": 2000.0}
    unawaited = {line: 9 - number for number, line in enumerate(lines)}
    workers = (worker(unawaited=unawaited, late_ms=waited_ms, waited_ms=waited_ms, stalls=blocking),)
    verdict = judge_run(evidence(workers=workers, own_delay_ms={99: 30.0}))
    assert [reason.count("shop.py") for reason in verdict.reasons] == [3, 3]
    assert all(line in reason for line in lines[:3] for reason in verdict.reasons)


def test_calls_without_await_lead_whatever_else_there_is() -> None:
    lines = {"a (x.py:1)": 2, "b (x.py:2)": 1}
    workers = (worker(unawaited=lines, cpu_percent=(99.0,)), worker(1, unawaited={"b (x.py:2)": 5}))
    verdict = judge_run(evidence(workers=workers))
    assert verdict.reasons[0] == "calls without await did nothing: b (x.py:2), 6 times; a (x.py:1), 2 times"
    assert verdict.remedy == "write await before them, and run it again"
    assert len(verdict.reasons) == 2


def test_a_valid_run_says_why_and_has_no_remedy() -> None:
    closed, opened = judge_run(evidence()), judge_run(evidence(open_model=True))
    kept_up = "the generator kept up: worker CPU at most 50%, own delay p99 2.00ms beside a reported p99 of 40.0ms"
    assert closed.reasons == (kept_up,)
    assert opened.reasons == (f"{kept_up}, 100.00% of the offered load started",)
    assert closed.remedy == ""
    assert judge_run(evidence(workers=(), own_delay_ms={})).reasons == ("the generator kept up",)


def test_a_rare_stall_is_a_remark() -> None:
    stalls = (Stalls("blocked", NAP, 1, 150.0, 150.0), Stalls("starved", "", 3, 60.0, 30.0))
    verdict = judge_run(evidence(workers=(worker(stalls=stalls),)))
    assert verdict.state == "VALID"
    assert verdict.reasons[1] == f"the event loop stood still for 150ms once in {NAP}: only times above the p99 have it"
    assert verdict.remedy == ""
    short = judge_run(evidence(workers=(worker(stalls=(Stalls("blocked", NAP, 1, 99.0, 99.0),)),)))
    assert len(short.reasons) == 1


def test_a_worker_without_readings_is_idle() -> None:
    idle = WorkerEvidence(0)
    assert (idle.mean_cpu_percent, idle.max_cpu_percent, idle.saturated_s, idle.stalled_share) == (0.0, 0.0, 0, 0.0)


def _share(most: float = 1.0) -> st.SearchStrategy[float]:
    return st.floats(0, most)


_times: st.SearchStrategy[dict[int, float]] = st.one_of(
    st.just({}), st.fixed_dictionaries({50: _share(50), 95: _share(200), 99: _share(900)})
)
_workers = st.lists(
    st.builds(
        worker,
        st.integers(0, 9),
        cpu_percent=st.lists(_share(130), max_size=6).map(tuple),
        run_delay_share=_share(),
        lost=st.booleans(),
        unawaited=st.dictionaries(st.just("a (x.py:1)"), st.integers(1, 9)),
        late_ms=st.dictionaries(st.sampled_from(["blocked", "busy", "starved", "stopped"]), _share(9_000)),
        waited_ms=st.dictionaries(st.sampled_from(["blocked", "busy", "starved", "stopped"]), _share(9_000)),
        stalled_ms=_share(3_000),
        stalls=st.lists(
            st.builds(
                Stalls,
                st.sampled_from(["blocked", "busy", "starved", "stopped"]),
                st.sampled_from(["", NAP]),
                st.integers(1, 9),
                _share(3_000),
                _share(900),
            ),
            max_size=3,
        ).map(tuple),
    ),
    max_size=3,
).map(tuple)
_counts = st.integers(0, 20_000)
_target_uses = st.builds(
    TargetUse,
    process=st.sampled_from(["", "nginx (PID 7)"]),
    process_percent=_share(200),
    thread=st.sampled_from(["", "worker of nginx (PID 7)"]),
    thread_percent=_share(110),
    full_threads=_share(4),
    throttled_share=_share(),
    fds=_counts,
    fd_limit=_counts,
    blocked_threads=_share(3),
    accept_queue=_counts,
    backlog=_counts,
    growth=st.one_of(st.none(), st.builds(Growth, *(st.floats(1.0, 1e9) for _ in range(4)))),
)
_machine_uses = st.builds(
    MachineUse,
    disk=st.just("vda"),
    disk_percent=_share(100),
    disk_queue=_share(30),
    run_queue=_share(30),
    cpu_pressure=_share(100),
    memory_pressure=_share(100),
    io_pressure=_share(100),
    swap_bytes_per_s=_share(1e8),
    tcp_retransmits=_counts,
    retransmit_share=_share(),
    memory_free_bytes=st.integers(0, 10**11),
)


@given(
    st.builds(
        evidence,
        open_model=st.booleans(),
        requests=_counts,
        failed=_counts,
        iterations=_counts,
        calls=_counts,
        sessions=_counts,
        recorded_itself=st.booleans(),
        bench=st.booleans(),
        interrupted=_counts,
        iterations_interrupted=_counts,
        workers=_workers,
        offered=_counts,
        started=_counts,
        queued=_counts,
        dropped=_counts,
        backlog_grew=st.booleans(),
        response_ms=_times,
        response_count=_counts,
        lateness_ms=_times,
        own_delay_ms=_times,
        errors=st.dictionaries(
            st.sampled_from(["generator_fd", "generator_port", "reset", "timeout", "http_500", "http_429", "http_503"]),
            _counts,
        ),
        retry_after=_counts,
        quickest_ms=st.one_of(st.none(), _share(50)),
        target_run_delay=st.one_of(st.none(), _share()),
        target_use=_target_uses,
        machine_use=_machine_uses,
        throttled_share=_share(2),
        target_cpu_percent=st.one_of(st.none(), _share(300)),
        target_ended_s=st.one_of(st.none(), _share(10)),
        host_cpu_percent=st.one_of(st.none(), _share(100)),
        connections_dropped=st.integers(0, 3),
    )
)
@example(evidence(failed=300, errors={"generator_fd": 0}))
def test_headline_and_limit_never_contradict_each_other(facts: Evidence) -> None:
    verdict = judge_run(facts)
    states = {finding.state for finding in verdict.findings}
    assert verdict.state == ("INVALID" if "INVALID" in states else "SUSPECT" if "SUSPECT" in states else "VALID")
    assert verdict.reasons
    assert all(text and "  " not in text for text in verdict.reasons)
    assert bool(verdict.remedy) is (verdict.state != "VALID")
    assert ("generator was the limit" in verdict.limit or "were both at their limit" in verdict.limit) is any(
        finding.limit in ("generator", "both") for finding in verdict.findings
    )
    if verdict.state == "INVALID":
        assert verdict.limit.startswith("The generator was the limit")
    if verdict.state == "VALID":
        assert "generator" not in verdict.limit
    if "Nothing was at its limit" in verdict.limit:
        assert not any(finding.limit for finding in verdict.findings)
        assert verdict.further_limits == ()
    lines = (verdict.limit, *verdict.further_limits)
    assert len(lines) == len(set(lines)) <= 5
    # Every further line is a finding with a limit, in the words of the finding.
    limiting = [finding for finding in verdict.findings if finding.limit]
    assert all(any(line.startswith(finding.text) for finding in limiting) for line in verdict.further_limits)
    # What the quota, or a line for nothing busy, explains is not blamed on the CPU.
    named = {finding.cause for finding in limiting}
    assert not named >= {"target_quota", "target_cpu"}
    assert not (named & {"target_pool"} and named & {"target_quota", "target_cpu", "target_thread", "target_disk"})
