"""The sentence on the limit: who kept the run from being more, on both sides of each bound."""

from __future__ import annotations

from typing import Any

import pytest

from fastload.model.judging.verdict import judge_run
from tests.model.judging.runs import CLOSED, OPEN, evidence, worker


@pytest.mark.parametrize(
    ("open_model", "changes", "limit"),
    [
        (CLOSED, {"requests": 0}, "Nothing was measured: no request ended"),
        (CLOSED, {"requests": 0, "recorded_itself": True, "iterations": 5}, "Not known: no request was measured"),
        (CLOSED, {"failed": 10_000}, "The target failed: all 10,000 requests failed ("),
        (
            CLOSED,
            {"vus_without_data": 8},
            "The concurrency was the limit: 8 VUs ended because no data was left for their on_start",
        ),
        (
            CLOSED,
            {"requests": 1, "failed": 1, "errors": {"http_500": 1}},
            "The target failed: its only request failed with http_500 (",
        ),
        (
            CLOSED,
            {"failed": 10_000, "errors": {"http_500": 1, "connect_refused": 9_999}},
            "most with connect_refused (",
        ),
        (CLOSED, {"failed": 99}, "The concurrency was the limit"),
        (
            CLOSED,
            {"failed": 300, "errors": {"http_503": 300}},
            "The target failed: 3.00% of the requests failed, most with http_503",
        ),
        (
            OPEN,
            {"failed": 6_800, "target_ended_s": 3.2},
            "The target failed: the target's processes had ended after 3 s",
        ),
        # A target that wanted a CPU nearly all the time, or whose requests took long because it waited for one.
        (CLOSED, {"target_run_delay": 0.6}, "The machine was the limit: the target waited for a CPU 60% of the time"),
        (CLOSED, {"target_run_delay": 0.59}, "The concurrency was the limit"),
        (CLOSED, {"target_run_delay": 0.26, "target_cpu_percent": 70.0}, "The machine was the limit"),
        (CLOSED, {"target_run_delay": 0.25, "target_cpu_percent": 70.0}, "The concurrency was the limit"),
        (CLOSED, {"target_run_delay": 0.5, "requests_per_s": 100.0}, "The machine was the limit"),
        (CLOSED, {"target_run_delay": 0.5, "requests_per_s": 101.0}, "The concurrency was the limit"),
        (OPEN, {"target_run_delay": 0.5, "started": 5_000}, "The concurrency was the limit: all 50 VUs were busy"),
        (
            CLOSED,
            {"workers": (worker(cpu_percent=(95.0,)),), "target_cpu_percent": 180.0},
            "The generator and the target were both",
        ),
        (
            CLOSED,
            {"workers": (worker(cpu_percent=(95.0,)),), "target_cpu_percent": 179.0},
            "The generator was the limit",
        ),
        (CLOSED, {"target_cpu_percent": 90.0}, "The target was probably the limit: it used a whole core"),
        (CLOSED, {"target_cpu_percent": 89.9}, "The concurrency was the limit"),
        (CLOSED, {"target_cpu_percent": 180.0}, "The target was the limit: its CPUs were full"),
        (
            CLOSED,
            {"target_cpu_percent": 95.0, "target_cpus": 0},
            "The target was probably the limit: it used a whole core",
        ),
        (
            CLOSED,
            {"host_cpu_percent": 90.0, "target_run_delay": 0.24, "target_cpu_percent": 66.0},
            "The machine was the limit: its CPUs were 90% busy",
        ),
        (
            CLOSED,
            {"host_cpu_percent": 90.0, "workers": (worker(run_delay_share=0.45),)},
            "The machine was the limit: its CPUs were 90% busy",
        ),
        # Busy with other work, and nobody here waited for it.
        (CLOSED, {"host_cpu_percent": 99.0, "target_run_delay": 0.24}, "The concurrency was the limit"),
        (CLOSED, {"host_cpu_percent": 99.0, "workers": (worker(run_delay_share=0.44),)}, "The concurrency was"),
        (CLOSED, {"connections_dropped": 7}, "The target was the limit: its accept queue was full 7 times"),
        (
            CLOSED,
            {"quickest_ms": 1.0, "median_ms": 30.0},
            "The target was probably the limit: requests waited in line in it: the median took 30.0ms, the quickest",
        ),
        (CLOSED, {"quickest_ms": 1.0, "median_ms": 30.0, "vus": 1}, "The concurrency was the limit"),
        (CLOSED, {"quickest_ms": 4.0, "median_ms": 12.0}, "The target was probably the limit: requests waited in line"),
        (CLOSED, {"quickest_ms": 4.0, "median_ms": 11.9}, "The concurrency was the limit: 50 VUs"),
        (CLOSED, {"quickest_ms": 1.0, "median_ms": 6.0}, "The target was probably the limit: requests waited in line"),
        (CLOSED, {"quickest_ms": 1.0, "median_ms": 5.9}, "The concurrency was the limit: 50 VUs"),
        (CLOSED, {"quickest_ms": 1.0, "median_ms": 6.0, "vus": 2}, "The target was probably the limit"),
        (OPEN, {}, "Nothing was at its limit: the offered rate was served at 1,000 requests/s"),
        (
            OPEN,
            {"is_mixed": True},
            "the offered rate was served, and with the closed scenarios that was 1,000 requests/s",
        ),
        (OPEN, {"backlog_grew": True}, "more and more requests"),
        (OPEN, {"requests_per_s": 899.0, "bench": True}, "the offered rate was started, and 899 requests/s ended"),
        (OPEN, {"requests_per_s": 900.0, "bench": True}, "the offered rate was served at 900 requests/s"),
        # Iterations are what was offered, however many requests each makes.
        (OPEN, {"iterations_per_s": 899.0}, "the offered rate was started, and 1,000 requests/s ended within"),
        (OPEN, {"iterations_per_s": 900.0}, "the offered rate was served at 1,000 requests/s"),
        (OPEN, {"started": 9_000, "interrupted": 25}, "25 requests had no response when the run ended"),
        (OPEN, {"started": 9_000, "interrupted": 24}, "The concurrency was the limit: all 50 VUs were busy"),
        # A rate that was served had no limit, however busy the target was.
        (OPEN, {"target_cpu_percent": 180.0}, "Nothing was at its limit"),
        (OPEN, {"target_cpu_percent": 180.0, "started": 9_000}, "The target was the limit: its CPUs were full"),
        (OPEN, {"started": 9_000}, "The concurrency was the limit: all 50 VUs were busy while starts waited"),
        (OPEN, {"target_cpu_percent": None}, "(busiest worker 45% CPU, target not sampled)."),
    ],
)
def test_what_limited_the_run(open_model: bool, changes: dict[str, Any], limit: str) -> None:
    verdict = judge_run(evidence(open_model=open_model, **changes))
    assert limit in verdict.limit or any(limit in one.text for one in verdict.findings)


def test_what_was_answered_counts_and_not_what_was_started() -> None:
    """A server that does 97 of 200 requests a second, and connections enough for all of them."""
    verdict = judge_run(
        evidence(open_model=True, requests_per_s=97.0, backlog_grew=True, quickest_ms=10.0, median_ms=4000.0)
    )
    assert "The target was probably the limit: requests waited in line in it" in verdict.limit
    assert "it answered 97 requests/s" in verdict.limit


NO_REQUESTS = {"requests": 0, "requests_per_s": 0.0}
CALLS = {**NO_REQUESTS, "calls": 500, "calls_per_s": 50.0}
ALL_FAILED = {**CALLS, "calls_failed": 500, "errors": {"OSError": 500}}
SESSIONS = {**NO_REQUESTS, "sessions": 20, "messages_per_s": 400.0}


@pytest.mark.parametrize(
    ("open_model", "changes", "state", "limit"),
    [
        (CLOSED, CALLS, "VALID", "50 VUs waiting for responses or pausing make 50 calls/s"),
        (OPEN, CALLS, "VALID", "the offered rate was served at 50 calls/s"),
        (OPEN, CALLS | {"calls_per_s": 1.0004}, "VALID", "the offered rate was served at 1 call/s"),
        (
            CLOSED,
            CALLS | {"calls_per_s": 1.0, "vus": 1.0},
            "VALID",
            "1 VU waiting for responses or pausing makes 1 call/s",
        ),
        (CLOSED, {"requests": 500, "requests_per_s": 1.0, "vus": 1.0}, "VALID", "makes 1 request/s"),
        (OPEN, SESSIONS, "VALID", "the offered rate was served at 400 messages/s"),
        (CLOSED, ALL_FAILED, "SUSPECT", "all 500 calls failed, most with OSError"),
        (CLOSED, SESSIONS | {"sessions_failed": 20}, "SUSPECT", "all 20 WebSocket sessions failed"),
        (CLOSED, CALLS | {"calls_failed": 5}, "VALID", "1.00% of the calls failed"),
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
