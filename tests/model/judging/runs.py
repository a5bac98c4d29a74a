"""Evidence of runs with nothing to complain about, and with what is changed in them."""

from __future__ import annotations

from typing import Any

from fastload.model.judging.evidence import Evidence, WorkerEvidence
from fastload.model.judging.stalls import Stalls
from fastload.model.judging.verdict import Verdict

NAP = "visit (shop.py:12): time.sleep(0.09)"


def evidence(*, open_model: bool = False, **changes: Any) -> Evidence:
    """A run with nothing to complain about: 10 s, 50 VUs, responses of 10 to 40 ms."""
    facts: dict[str, Any] = {
        "requests": 10_000,
        "failed": 0,
        "requests_per_s": 1000.0,
        "vus": 50,
        "workers": (worker(),),
        "response_ms": {50: 10.0, 95: 20.0, 99: 40.0},
        "response_count": 10_000,
        "own_delay_ms": {50: 0.1, 95: 0.5, 99: 2.0},
        "quickest_ms": 8.0,
        "median_ms": 10.0,
        "target_cpu_percent": 30.0,
        "target_cpus": 2,
        "host_cpu_percent": 40.0,
    }
    if open_model:
        lateness = {50: 0.1, 95: 0.2, 99: 0.3}
        facts |= {"offered": 10_000, "started": 10_000, "offered_per_s": 1000.0, "lateness_ms": lateness}
        facts |= {"iterations": 10_000, "iterations_per_s": 1000.0}
    return Evidence(open_model=open_model, **(facts | changes))


def worker(index: int = 0, **changes: Any) -> WorkerEvidence:
    facts: dict[str, Any] = {"cpu_percent": (40.0, 50.0) * 5, "lag_max_ms": 1.0, "watched_ms": 10_000.0}
    return WorkerEvidence(index, **(facts | changes))


def late(cause: str, *stalls: Stalls, **delays: Any) -> dict[str, Any]:
    """A loop that was late for *cause* so much that the p95 is half the generator's own."""
    own = {"own_delay_ms": {50: 0.2, 95: 10.0, 99: 30.0}} | delays
    late_ms = {"busy": 9.0, cause: 500.0}
    return own | {"workers": (worker(late_ms=late_ms, waited_ms=late_ms, stalls=stalls),)}


def stalled(total_ms: float, cause: str = "blocked", line: str = NAP) -> Stalls:
    return Stalls(cause, line, 12, total_ms, 95.0)


def causes(verdict: Verdict) -> list[str]:
    return [finding.cause for finding in verdict.findings]


OPEN, CLOSED = True, False
OTHERWISE: dict[str, Any] = {
    "requests": 0,
    "requests_per_s": 0.0,
    "iterations": 500,
    "recorded_itself": True,
    "response_ms": {},
    "response_count": 0,
}
"""A run that has checks and metrics of the script alone."""
LATE_STARTS: dict[str, Any] = {"lateness_ms": {99: 20.0}}
OF_TREND = OTHERWISE | {"response_ms": {50: 10.0, 95: 20.0}, "response_count": 500, "response_of": "login_time"}
