"""The verdict: every rule on both sides of its bound."""

from __future__ import annotations

from typing import Any

import pytest

from fastload.model.judging.verdict import Evidence, WorkerEvidence, judge_run


def evidence(*, open_model: bool = False, **changes: Any) -> Evidence:
    """A run with nothing to complain about."""
    facts: dict[str, Any] = {
        "requests": 10_000,
        "failed": 0,
        "requests_per_s": 1000.0,
        "vus": 50,
        "workers": (WorkerEvidence(0, (40.0, 50.0), 1.0, 0.001),),
        "target_cpu_percent": 30.0,
        "target_cpus": 2,
        "host_cpu_percent": 40.0,
    }
    if open_model:
        facts |= {"offered": 10_000, "started": 10_000, "lateness_p99_ms": 0.2, "response_p50_ms": 1.0}
    return Evidence(open_model=open_model, **(facts | changes))


def worker(**changes: Any) -> dict[str, Any]:
    return {"workers": (WorkerEvidence(0, (10.0,)), WorkerEvidence(3, **({"cpu_percent": (10.0,)} | changes)))}


OPEN, CLOSED = True, False


@pytest.mark.parametrize(
    ("open_model", "changes", "state"),
    [
        (CLOSED, {}, "VALID"),
        (OPEN, {}, "VALID"),
        # Lateness: over the larger of 1 ms and a tenth of the response's p50.
        (OPEN, {"lateness_p99_ms": 1.0}, "VALID"),
        (OPEN, {"lateness_p99_ms": 1.01}, "SUSPECT"),
        (OPEN, {"lateness_p99_ms": 5.0, "response_p50_ms": 50.0}, "VALID"),
        (OPEN, {"lateness_p99_ms": 5.01, "response_p50_ms": 50.0}, "SUSPECT"),
        (OPEN, {"lateness_p99_ms": 1.01, "response_p50_ms": None}, "SUSPECT"),
        (OPEN, {"lateness_p99_ms": None}, "VALID"),
        (CLOSED, {"lateness_p99_ms": 500.0}, "VALID"),
        # Achieved: under 99 % of the offered load.
        (OPEN, {"started": 9_900}, "VALID"),
        (OPEN, {"started": 9_899}, "SUSPECT"),
        (OPEN, {"offered": 0, "started": 0}, "VALID"),
        # Nothing measured, and calls without await.
        (CLOSED, {"requests": 0, "iterations": 5}, "SUSPECT"),
        (OPEN, {"requests": 0, "iterations": 5}, "SUSPECT"),
        (CLOSED, {"requests": 0, "iterations": 5, "recorded_itself": True}, "VALID"),
        (CLOSED, {"requests": 0, "iterations": 5, "calls": 5}, "VALID"),
        (CLOSED, {"requests": 0, "iterations": 5, "sessions": 5}, "VALID"),
        (CLOSED, worker(unawaited={"visit (shop.py:3): vu.get('/')": 1}), "SUSPECT"),
        # Losses.
        (OPEN, {"dropped": 1}, "SUSPECT"),
        (CLOSED, worker(lost=True), "SUSPECT"),
        (OPEN, worker(lost=True), "SUSPECT"),
        # CPU, open: over 90 % for three seconds in a row.
        (OPEN, worker(cpu_percent=(91.0, 91.0, 10.0, 91.0)), "VALID"),
        (OPEN, worker(cpu_percent=(90.0, 90.0, 90.0)), "VALID"),
        (OPEN, worker(cpu_percent=(10.0, 90.1, 90.1, 90.1)), "INVALID"),
        # CPU, closed: a mean of 90 % makes the latencies suspect, never the rate invalid.
        (CLOSED, worker(cpu_percent=(89.9,) * 5), "VALID"),
        (CLOSED, worker(cpu_percent=(90.0,) * 5), "SUSPECT"),
        (CLOSED, worker(cpu_percent=(100.0,) * 5), "SUSPECT"),
        # Stalls of the loop, and waiting for a CPU.
        (CLOSED, worker(lag_max_ms=100.0), "VALID"),
        (CLOSED, worker(lag_max_ms=100.1), "INVALID"),
        (OPEN, worker(lag_max_ms=100.1), "INVALID"),
        (CLOSED, worker(run_delay_share=0.05), "VALID"),
        (CLOSED, worker(run_delay_share=0.051), "INVALID"),
        # The machine ran out of something.
        (CLOSED, {"errors": {"generator_fd": 1}}, "INVALID"),
        (OPEN, {"errors": {"generator_port": 1}}, "INVALID"),
        (CLOSED, {"errors": {"generator_fd": 0, "connect_refused": 9}}, "VALID"),
        # Failures are the target's affair; but with nothing else there is no latency to speak of.
        (CLOSED, {"failed": 9_999}, "VALID"),
        (CLOSED, {"failed": 10_000}, "SUSPECT"),
    ],
)
def test_the_state(open_model: bool, changes: dict[str, Any], state: str) -> None:
    assert judge_run(evidence(open_model=open_model, **changes)).state == state


@pytest.mark.parametrize(
    ("open_model", "changes", "reason", "remedy"),
    [
        (OPEN, {"lateness_p99_ms": 2.5}, "starts were late: p99 2.50ms, over 1.00ms", "lower the rate"),
        (OPEN, {"started": 5_000}, "only 50.00% of the offered load was started (5,000 of 10,000)", "raise"),
        (OPEN, {"dropped": 1200}, "1,200 iterations were dropped", "raise --max-vus"),
        (OPEN, {"dropped": 1200, "bench": True}, "1,200 iterations were dropped", "raise -c/--connections"),
        (OPEN, {"lateness_p99_ms": 2.5}, "starts were late", "raise --max-vus, or add workers"),
        (OPEN, {"lateness_p99_ms": 2.5, "bench": True}, "starts were late", "raise -c/--connections, or add"),
        (
            CLOSED,
            {"requests": 0, "interrupted": 8, "iterations_interrupted": 8},
            "nothing was measured: 8 requests were under way when the run ended, and none had ended before",
            "run longer",
        ),
        (
            CLOSED,
            {"requests": 0, "iterations_interrupted": 1},
            "nothing was measured: 1 iteration was under way when the run ended, and none had ended before",
            "run longer",
        ),
        (CLOSED, {"requests": 0}, "nothing was measured: no request and no iteration ended", "from starting"),
        (CLOSED, worker(lost=True), "worker 3 was lost", "see the errors"),
        (OPEN, worker(cpu_percent=(95.0,) * 4), "worker 3 was over 90% CPU for 4 s (mean 95%)", "lower the rate"),
        (CLOSED, worker(cpu_percent=(99.0,)), "worker 3 at 99% CPU: the rate of 1,000 requests/s is the result", "-r"),
        (CLOSED, worker(lag_max_ms=250.0), "the event loop of worker 3 stood still for 250ms", "blocking calls"),
        (CLOSED, worker(run_delay_share=0.2), "worker 3 waited for a CPU 20.00% of the time", "fewer workers"),
        (CLOSED, {"errors": {"generator_fd": 7}}, "ran out of file descriptors (7 requests)", "ulimit -n"),
        (CLOSED, {"errors": {"generator_port": 7}}, "ran out of local ports (7 requests)", "ip_local_port_range"),
    ],
)
def test_reasons_carry_their_numbers_and_a_remedy(
    open_model: bool, changes: dict[str, Any], reason: str, remedy: str
) -> None:
    verdict = judge_run(evidence(open_model=open_model, **changes))
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]
    assert remedy in verdict.remedy


def test_the_worst_comes_first_and_gives_the_remedy() -> None:
    verdict = judge_run(evidence(open_model=True, dropped=5, errors={"generator_fd": 1}))
    assert verdict.state == "INVALID"
    assert [reason.split(" (")[0] for reason in verdict.reasons] == [
        "the generator ran out of file descriptors",
        "5 iterations were dropped",
    ]
    assert verdict.remedy == "raise the limit: ulimit -n 65536"


def test_calls_without_await_lead_whatever_else_there_is() -> None:
    lines = {"a (x.py:1)": 2, "b (x.py:2)": 1}
    workers = (WorkerEvidence(0, lag_max_ms=500.0, unawaited=lines), WorkerEvidence(1, unawaited={"b (x.py:2)": 5}))
    verdict = judge_run(evidence(workers=workers))
    assert verdict.state == "INVALID"
    assert verdict.reasons[0] == "calls without await did nothing: b (x.py:2), 6 times; a (x.py:1), 2 times"
    assert verdict.remedy == "write await before them, and run it again"
    assert len(verdict.reasons) == 2


def test_a_valid_run_says_why_and_has_no_remedy() -> None:
    closed, opened = judge_run(evidence()), judge_run(evidence(open_model=True))
    assert closed.reasons == ("the generator kept up: worker CPU at most 50%, longest loop stall 1.00ms",)
    assert opened.reasons[0].endswith("100.00% of the offered load started, lateness p99 200µs")
    assert closed.remedy == ""
    assert judge_run(evidence(workers=())).reasons == ("the generator kept up",)


@pytest.mark.parametrize(
    ("open_model", "changes", "limit"),
    [
        (CLOSED, {"requests": 0}, "Nothing was measured: no request ended"),
        (CLOSED, {"failed": 10_000}, "The target gave no good answer: all 10,000 requests failed ("),
        (
            CLOSED,
            {"failed": 10_000, "errors": {"http_500": 1, "connect_refused": 9_999}},
            "all 10,000 requests failed, most with connect_refused (",
        ),
        (CLOSED, {"target_run_delay": 0.58}, "The machine was the limit: the target waited for a CPU 58% of the time"),
        (CLOSED, {"target_run_delay": 0.25}, "The concurrency was the limit"),
        (CLOSED, {"failed": 9_999}, "The concurrency was the limit: 50 VUs"),
        (CLOSED, worker(cpu_percent=(90.0,)), "The generator was the limit"),
        (CLOSED, worker(cpu_percent=(89.9,)), "The concurrency was the limit"),
        (CLOSED, worker(cpu_percent=(95.0,)) | {"target_cpu_percent": 180.0}, "The generator and the target were both"),
        (CLOSED, worker(cpu_percent=(95.0,)) | {"target_cpu_percent": 179.0}, "The generator was the limit"),
        (CLOSED, {"target_cpu_percent": 90.0}, "The target was probably the limit: it used a whole core"),
        (CLOSED, {"target_cpu_percent": 89.9}, "The concurrency was the limit"),
        (CLOSED, {"target_cpu_percent": 180.0}, "The target was the limit: its CPUs were full"),
        (
            CLOSED,
            {"target_cpu_percent": 95.0, "target_cpus": 0},
            "The target was probably the limit: it used a whole core",
        ),
        (CLOSED, {"host_cpu_percent": 90.0}, "The machine was the limit: its CPUs were 90% busy"),
        (CLOSED, {"host_cpu_percent": 89.9}, "The concurrency was the limit"),
        (OPEN, {}, "Nothing was at its limit: the offered rate was served at 1,000 requests/s"),
        (OPEN, {"started": 9_000}, "The concurrency was the limit: all 50 VUs were busy while starts waited"),
        (
            CLOSED,
            {"failed": 10_000, "errors": {"generator_port": 10_000}},
            "The generator was the limit: ran out of local ports",
        ),
        (OPEN, {"target_cpu_percent": None}, "(busiest worker 45% CPU, target not sampled)."),
    ],
)
def test_what_limited_the_run(open_model: bool, changes: dict[str, Any], limit: str) -> None:
    assert limit in judge_run(evidence(open_model=open_model, **changes)).limit


def test_a_worker_without_readings_is_idle() -> None:
    idle = WorkerEvidence(0)
    assert (idle.mean_cpu_percent, idle.max_cpu_percent, idle.saturated_s) == (0.0, 0.0, 0)


def test_saturation_is_the_longest_run_of_seconds() -> None:
    assert WorkerEvidence(0, (95.0, 95.0, 90.0, 95.0, 95.0, 95.0, 1.0)).saturated_s == 3


NO_REQUESTS = {"requests": 0, "requests_per_s": 0.0}
CALLS = {**NO_REQUESTS, "calls": 500, "calls_per_s": 50.0}
ALL_FAILED = {**CALLS, "calls_failed": 500, "errors": {"OSError": 500}}
SESSIONS = {**NO_REQUESTS, "sessions": 20, "messages_per_s": 400.0}


@pytest.mark.parametrize(
    ("open_model", "changes", "state", "limit"),
    [
        (CLOSED, CALLS, "VALID", "50 VUs waiting for responses or pausing make 50 calls/s"),
        (OPEN, CALLS, "VALID", "the offered rate was served at 50 calls/s"),
        (OPEN, SESSIONS, "VALID", "the offered rate was served at 400 messages/s"),
        (CLOSED, ALL_FAILED, "SUSPECT", "all 500 calls failed, most with OSError"),
        (CLOSED, SESSIONS | {"sessions_failed": 20}, "SUSPECT", "all 20 WebSocket sessions failed"),
        (CLOSED, CALLS | {"calls_failed": 499}, "VALID", "50 calls/s"),
        (CLOSED, {"calls": 500, "calls_failed": 500}, "VALID", "1,000 requests/s"),
        (CLOSED, NO_REQUESTS, "SUSPECT", "Nothing was measured"),
    ],
)
def test_a_run_without_requests_is_told_of_in_what_it_did(
    open_model: bool, changes: dict[str, Any], state: str, limit: str
) -> None:
    verdict = judge_run(evidence(open_model=open_model, **changes))
    assert verdict.state == state
    assert limit in verdict.limit
    assert ("Nothing was measured" in verdict.limit) is (changes is NO_REQUESTS)
    if state == "SUSPECT" and changes is not NO_REQUESTS:
        noun = "call" if "calls" in changes else "WebSocket session"
        assert verdict.reasons[0].startswith(f"every {noun} failed")
