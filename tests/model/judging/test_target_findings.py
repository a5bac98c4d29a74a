"""What the target and its machine ran out of: each rule on both sides of its bound, its figures and its remedy."""

from __future__ import annotations

from typing import Any

import pytest

from fastload.model.judging.resource_evidence import Growth, MachineUse, TargetUse
from fastload.model.judging.verdict import Verdict, judge_run
from tests.model.judging.runs import OPEN, causes, evidence, worker

THREAD = "python (PID 71)"
LINE: dict[str, Any] = {"quickest_ms": 4.0, "median_ms": 40.0}
GROWTH = Growth(5e6, 4.8e6, 5.2e6, 20.0)


def judged(*, open_model: bool = False, target: Any = None, machine: Any = None, **changes: Any) -> Verdict:
    """Judge a run with *target* and *machine* as fields of the evidence of both."""
    uses = {"target_use": TargetUse(**(target or {})), "machine_use": MachineUse(**(machine or {}))}
    return judge_run(evidence(open_model=open_model, **(changes | uses)))


def full_thread(percent: float, **changes: Any) -> dict[str, Any]:
    facts = {"process": THREAD, "process_percent": percent, "thread": THREAD, "thread_percent": percent}
    return facts | {"full_threads": 1.0} | changes


@pytest.mark.parametrize(
    ("changes", "target", "machine", "cause", "limit", "remedy"),
    [
        (
            {},
            {"throttled_share": 0.25},
            {},
            "target_quota",
            "The target was the limit: its cgroup had used up its CPU quota in 25.00% of the periods, at 30% of a core",
            "raise the CPU quota",
        ),
        ({}, {"throttled_share": 0.24}, {}, "", "The concurrency", ""),
        (
            {"target_cpu_percent": 95.0},
            full_thread(90.0),
            {},
            "target_thread",
            f"The target was the limit: one thread was full: {THREAD} used 90% of a core, while the target used 95%",
            "run more workers",
        ),
        ({"target_cpu_percent": 95.0}, full_thread(89.0, process_percent=89.0), {}, "", "The concurrency", ""),
        # Threads that take turns: none is full, and their process is.
        (
            {"target_cpu_percent": 95.0},
            full_thread(30.0, process_percent=90.0),
            {},
            "target_core",
            f"The target was probably the limit: {THREAD} used a whole core with several threads",
            "more processes",
        ),
        (
            {"target_cpu_percent": 120.0},
            full_thread(70.0, process_percent=110.0),
            {},
            "target_core",
            "with several threads, as threads that share a lock do (a GIL)",
            "",
        ),
        ({"target_cpu_percent": 120.0}, full_thread(70.0, process_percent=111.0), {}, "", "The concurrency", ""),
        (
            {"target_cpu_percent": 170.0, "target_cpus": 4},
            full_thread(91.0, full_threads=1.9),
            {},
            "target_thread",
            "2 threads were full",
            "run more workers",
        ),
        (
            {"target_cpu_percent": 180.0},
            full_thread(91.0),
            {},
            "target_cpu",
            f"The target was the limit: its CPUs were full: 180% of 2 CPUs, most by {THREAD}",
            "more CPUs",
        ),
        (
            {"host_cpu_percent": 95.0, "target_run_delay": 0.24, "target_cpu_percent": 70.0},
            {},
            {"run_queue": 5.25, "cpu_pressure": 61.0},
            "host_cpu",
            "The machine was the limit: its CPUs were 95% busy, 5.2 threads ready to run, some waiting 61% of the time",
            "",
        ),
        (
            {},
            {},
            {"swap_bytes_per_s": 1e6},
            "memory_short",
            "The machine was the limit: its memory was short: 1.00 MB/s were swapped",
            "more memory",
        ),
        ({}, {}, {"swap_bytes_per_s": 0.9e6}, "", "The concurrency", ""),
        ({}, {}, {"memory_pressure": 10.0}, "memory_short", "tasks waited for memory 10% of the time", "more memory"),
        ({}, {}, {"memory_pressure": 9.0}, "", "The concurrency", ""),
        (
            {},
            {"blocked_threads": 0.3},
            {"disk": "vda", "disk_percent": 10.0, "disk_queue": 1.25},
            "target_disk",
            "The target was the limit: 0.3 of its threads waited for a disk at any time: vda was busy 10% of the time "
            "with 1.2 requests at once",
            "quicker disk",
        ),
        (
            {},
            {"blocked_threads": 0.3},
            {"disk": "vda", "disk_percent": 2.0, "io_pressure": 10.0},
            "target_disk",
            "requests at once, tasks waited for a disk 10% of the time",
            "quicker disk",
        ),
        (
            {},
            {"blocked_threads": 2.0},
            {"io_pressure": 44.0},
            "target_disk",
            "any time: tasks waited for a disk 44%",
            "",
        ),
        ({}, {"blocked_threads": 0.29}, {"disk": "vda", "disk_percent": 99.0}, "", "The concurrency", ""),
        ({}, {"blocked_threads": 3.0}, {"disk": "vda", "disk_percent": 9.0}, "", "The concurrency", ""),
        (
            {},
            {"fds": 922, "fd_limit": 1024},
            {},
            "target_fd",
            "The target was the limit: it had 922 of 1,024 file descriptors open",
            "ulimit -n",
        ),
        ({}, {"fds": 921, "fd_limit": 1024}, {}, "", "The concurrency", ""),
        ({}, {"fds": 921}, {}, "", "The concurrency", ""),
        (
            {"connections_dropped": 7},
            {"accept_queue": 129, "backlog": 128},
            {},
            "accept_queue",
            "its accept queue was full 7 times, at most 129 waited at a backlog of 128",
            "accepts so slowly, as it was not busy; raise its backlog",
        ),
        (
            {},
            {},
            {"retransmit_share": 0.02, "tcp_retransmits": 20},
            "retransmits",
            "The machine was the limit: 2.00% of the TCP segments were sent again (20)",
            "losses on the way",
        ),
        ({}, {}, {"retransmit_share": 0.019, "tcp_retransmits": 2_000}, "", "The concurrency", ""),
        ({}, {}, {"retransmit_share": 0.9, "tcp_retransmits": 19}, "", "The concurrency", ""),
        # Without a free CPU they are late.
        ({"host_cpu_percent": 90.0}, {}, {"retransmit_share": 0.9, "tcp_retransmits": 20}, "", "The concurrency", ""),
        # A line in a target in which nothing is busy: 1,000/s of 4 ms are 4 at a time, 624/s not 2.5.
        (
            LINE,
            {},
            {},
            "target_pool",
            "The target was probably the limit: requests waited in line in it: the median took 40.0ms, the quickest "
            "4.00ms, though nothing in it was busy; it answers as if it worked on about 4 at a time",
            "look for a pool of about 4 (connections",
        ),
        (LINE | {"requests_per_s": 626.0}, {}, {}, "target_pool", "on about 3 at a time", "a pool of about 3"),
        (LINE | {"requests_per_s": 624.0}, {}, {}, "target_pool", "on one or two at a time", "look for a lock"),
        # What is sampled may only hand requests on.
        (LINE, {"process": "docker-proxy (PID 7)"}, {}, "target_pool", "", "name the server behind docker-proxy with"),
        (LINE, {"thread_percent": 49.0}, {}, "target_pool", "nothing in it was busy", "a pool"),
        (
            LINE,
            {"thread_percent": 50.0},
            {},
            "target_queue",
            "requests waited in line in it",
            "make the target quicker",
        ),
        (LINE | {"target_cpu_percent": 200.0, "target_cpus": 4}, full_thread(40.0), {}, "target_queue", "", "quicker"),
        (LINE | {"target_cpu_percent": 199.0, "target_cpus": 4}, full_thread(40.0), {}, "target_pool", "", "a pool"),
        (LINE | {"target_cpu_percent": None}, {}, {}, "target_queue", "", "make the target quicker"),
        (
            {"failed": 4_000, "errors": {"http_429": 4_000}, "retry_after": 3_990},
            {},
            {},
            "rate_limit",
            "The target's rate limit was the limit: a rate limit refused 40.00% of the requests, 3,990 of them with a "
            "Retry-After, and 600 requests/s got through",
            "lower the load to what it lets through",
        ),
        ({"failed": 4_000, "errors": {"http_503": 4_000}, "retry_after": 2_000}, {}, {}, "rate_limit", "refused", ""),
        (
            {"failed": 4_000, "errors": {"http_503": 4_000}, "retry_after": 1_999},
            {},
            {},
            "target_failing",
            "The target failed: 40.00% of the requests failed, most with http_503",
            "see the errors",
        ),
        (
            {},
            {"growth": GROWTH},
            {"memory_free_bytes": 18_000_000_000},
            "target_memory",
            "The target's memory will be the limit: its memory grew by 5.00 MB/s (4.80 MB to 5.20 MB) in 20 s, which "
            "fills the 18.0 GB that are free in 1h00m",
            "a leak",
        ),
        ({}, {"growth": GROWTH}, {}, "target_memory", "grew by 5.00 MB/s (4.80 MB to 5.20 MB) in 20 s (", "a leak"),
    ],
)
def test_what_was_short_in_the_target_or_its_machine(
    changes: dict[str, Any], target: dict[str, Any], machine: dict[str, Any], cause: str, limit: str, remedy: str
) -> None:
    verdict = judged(target=target, machine=machine, **changes)
    assert limit in verdict.limit
    assert remedy in verdict.limit
    if cause:
        assert causes(verdict)[0] == cause
    else:
        assert causes(verdict) == ["concurrency"]
    assert verdict.further_limits == ()


def test_an_offered_rate_that_was_served_was_limited_by_nothing_that_is_full() -> None:
    target = full_thread(99.0, throttled_share=0.5, fds=99, fd_limit=100)
    served = judged(open_model=OPEN, target=target, target_cpu_percent=99.0)
    assert served.further_limits == ()
    assert served.limit.startswith("Nothing was at its limit: the offered rate was served at 1,000 requests/s")
    assert "the target: it had 99 of 100 file descriptors open" in served.reasons
    # What grows is told all the same: it is for later.
    growing = judged(open_model=OPEN, target={"growth": GROWTH})
    assert growing.limit.startswith("The target's memory will be the limit")
    assert growing.state == "VALID"


def test_several_limits_are_lines_with_the_cause_before_what_it_brings_about() -> None:
    verdict = judged(
        target=full_thread(97.0, growth=GROWTH, accept_queue=129, backlog=128),
        target_cpu_percent=97.0,
        connections_dropped=12,
        failed=300,
        errors={"connect_timeout": 290, "http_500": 10},
    )
    assert verdict.limit.startswith("The target was the limit: one thread was full")
    assert verdict.further_limits == (
        "the target: its accept queue was full 12 times, at most 129 waited at a backlog of 128; raise its backlog and "
        "net.core.somaxconn.",
        "3.00% of the requests failed, most with connect_timeout; see the errors.",
        "the target: its memory grew by 5.00 MB/s (4.80 MB to 5.20 MB) in 20 s; run it for longer, and if it goes on "
        "look for what it keeps: a leak, a cache or a queue without a bound.",
    )


@pytest.mark.parametrize(
    ("errors", "first"),
    [
        ({"timeout": 300}, "The target was the limit: its CPUs were full"),
        ({"http_500": 300}, "The target failed: 3.00% of the requests failed"),
    ],
)
def test_errors_lead_unless_what_was_full_explains_them(errors: dict[str, int], first: str) -> None:
    verdict = judged(target_cpu_percent=180.0, failed=300, errors=errors)
    assert verdict.limit.startswith(first)
    assert len(verdict.further_limits) == 1


def test_five_lines_are_told_at_most() -> None:
    verdict = judged(
        target=full_thread(97.0, growth=GROWTH, fds=99, fd_limit=100, blocked_threads=2.0),
        machine={"swap_bytes_per_s": 9e6, "disk": "vda", "disk_percent": 99.0},
        target_cpu_percent=97.0,
        connections_dropped=12,
        failed=300,
    )
    assert len({verdict.limit, *verdict.further_limits}) == 5
    assert len(verdict.further_limits) == 4


def test_a_quota_explains_the_wait_for_a_cpu_and_the_cpu_that_is_used() -> None:
    throttled = judged(target={"throttled_share": 0.9}, target_run_delay=0.9, target_cpu_percent=100.0)
    assert [one.cause for one in throttled.findings if one.limit] == ["target_quota", "concurrency"]


@pytest.mark.parametrize(
    ("percent", "first"), [(90.0, "The generator and the target were both"), (89.0, "The generator was")]
)
def test_a_full_thread_and_a_full_worker_are_both_the_limit(percent: float, first: str) -> None:
    workers = (worker(cpu_percent=(95.0,)),)
    verdict = judged(target=full_thread(percent), target_cpu_percent=percent, workers=workers)
    assert verdict.limit.startswith(first)
    assert ("one thread was full" in " ".join(verdict.further_limits)) is (percent == 90.0)


def test_a_pool_is_told_where_starts_waited_too() -> None:
    verdict = judged(open_model=OPEN, started=5_000, **LINE)
    assert causes(verdict)[0] == "target_pool"
    assert verdict.remedy == (
        "lower the rate to what the target answers; look for a pool of about 4 (connections, threads, workers), and "
        "make it larger"
    )
