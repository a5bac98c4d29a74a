"""Findings about what the target and its machine ran out of: CPU, memory, disks, descriptors, queues.

Causes come before what they bring about: a process that gets no CPU accepts no connections either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastload.model.judging.evidence import SATURATED_CPU_PERCENT, Evidence
from fastload.model.judging.finding import Cause, Finding, Limit
from fastload.model.judging.generator_findings import OWN_SHARE, is_queued, is_short
from fastload.model.resources import spans_text
from fastload.model.units import format_bytes, format_count, format_duration_s, format_number_of, format_percent

TARGET_RUN_DELAY_MAX = 0.25
"""Share of the time in which the target may wait for a CPU."""
THROTTLED_SHARE = 0.25
"""Share of the periods of a CPU quota in which the target may use it up."""
BLOCKED_THREADS = 0.3
"""How many threads of the target must be held up in the kernel, on average, as by a disk."""
DISK_PERCENT = 10.0
"""Share of the time, in per cent, in which a disk must have had requests, or tasks have waited for one, if it is that.
A sync waits for more than the disk: for the file system, and for others that write."""
SWAP_BYTES_PER_S = 1_000_000
"""Swapping from which on memory counts as short."""
PRESSURE_PERCENT = 10.0
"""Share of the time, in per cent, in which tasks may wait for memory."""
DESCRIPTORS_SHARE = 0.9
"""Share of the limit of open files from which on a process is near to it."""
RETRANSMIT_SHARE = 0.02
"""Share of the TCP segments that may be sent again. On a machine without a free CPU they are late and not lost."""
LEAST_RETRANSMITS = 20
"""How many segments must have been sent again, to be told of."""
SHARED_CORE_PERCENT = 110.0
"""CPU up to which a process of several threads may be held to one core by a lock that they share."""
IDLE_PERCENT = 50.0
"""CPU below which no thread, and no target as a whole, is busy."""
HOURS_AHEAD = 1000
"""How far ahead, in hours, it is told when memory will be full."""


def resource_findings(evidence: Evidence) -> list[Finding]:
    """Return remarks about what was full, or what the target did not get, the first cause first."""
    # An offered rate that was served was limited by nothing, however busy the CPUs were.
    served = evidence.open_model and not (is_short(evidence) or is_queued(evidence) or evidence.backlog_grew)
    found = [finding for rule in _RULES for finding in rule(evidence)]
    if served:
        found = [replace(one, limit="") for one in found]
    return found


def is_idle(evidence: Evidence) -> bool:
    """Return whether the target was sampled, and neither its CPUs, nor a thread of it, nor its disk were busy."""
    if evidence.target_cpu_percent is None or not evidence.target_cpus:
        return False
    used = evidence.target_cpu_percent / evidence.target_cpus
    is_calm = max(used, evidence.target_use.thread_percent) < IDLE_PERCENT
    return is_calm and not any(rule(evidence) for rule in (_throttled, _starved, _memory, _disk, _descriptors))


def growth_findings(evidence: Evidence) -> list[Finding]:
    """Return the finding about memory of the target that grows: it is a limit that is not reached yet."""
    growth = evidence.target_use.growth
    if growth is None:
        return []
    pace = f"{format_bytes(growth.per_s)}/s ({format_bytes(growth.low)} to {format_bytes(growth.high)})"
    why = f"its memory grew by {pace} in {growth.span_s:.0f} s"
    left_s = evidence.machine_use.memory_free_bytes / growth.per_s
    if 0 < left_s < HOURS_AHEAD * 3600:
        free = format_bytes(evidence.machine_use.memory_free_bytes)
        why += f", which fills the {free} that are free in {format_duration_s(left_s)}"
    remedy = "run it for longer, and if it goes on look for what it keeps: a leak, a cache or a queue without a bound"
    return [_of_target("target_memory", why, remedy)]


def _of_target(cause: Cause, why: str, remedy: str = "", limit: Limit = "target") -> Finding:
    return Finding(cause, "VALID", f"the target: {why}", remedy, limit, why)


def _of_machine(cause: Cause, why: str, remedy: str = "", limit: Limit = "machine") -> Finding:
    return Finding(cause, "VALID", f"this machine: {why}", remedy, limit, why)


def _ended(evidence: Evidence) -> list[Finding]:
    if not evidence.target_ran_s or evidence.target_ended_s is not None:
        return []
    why = f"its processes ended, and it was sampled only {spans_text(evidence.target_ran_s)}"
    remedy = "name it by its port or program (--watch), so that it is found again; see its log for why it ended"
    return [_of_target("target_ended", why, remedy, "")]


def _throttled(evidence: Evidence) -> list[Finding]:
    share = evidence.target_use.throttled_share
    if share < THROTTLED_SHARE:
        return []
    used = "" if evidence.target_cpu_percent is None else f", at {evidence.target_cpu_percent:.0f}% of a core"
    why = f"its cgroup had used up its CPU quota in {format_percent(share)} of the periods{used}"
    return [_of_target("target_quota", why, "raise the CPU quota of its container or service")]


def _cpu(evidence: Evidence) -> list[Finding]:
    percent, cpus, use = evidence.target_cpu_percent, evidence.target_cpus, evidence.target_use
    if percent is None or percent < SATURATED_CPU_PERCENT or _throttled(evidence):
        return []
    if cpus and percent >= SATURATED_CPU_PERCENT * cpus:
        why = "its CPUs were full"
        if use.process:
            why += f": {percent:.0f}% of {format_number_of(cpus, 'CPU')}, most by {use.process}"
        return [_of_target("target_cpu", why, "make its work cheaper, or give it more CPUs")]
    if use.thread_percent >= SATURATED_CPU_PERCENT:
        return [_full_thread(evidence)]
    if use.thread and not SATURATED_CPU_PERCENT <= use.process_percent <= SHARED_CORE_PERCENT:
        # Several threads or processes, and none of them is full.
        return []
    why = "it used a whole core, as much as one thread can"
    if use.thread:
        why = f"{use.process} used a whole core with several threads, as threads that share a lock do (a GIL)"
    return [_of_target("target_core", why, "run more processes of it")]


def _full_thread(evidence: Evidence) -> Finding:
    use, cpus = evidence.target_use, evidence.target_cpus
    full = max(1, round(use.full_threads))
    who = "one thread was full" if full == 1 else f"{full} threads were full"
    free = (
        f", while the target used {evidence.target_cpu_percent:.0f}% of {format_number_of(cpus, 'CPU')}" if cpus else ""
    )
    why = f"{who}: {use.thread} used {use.thread_percent:.0f}% of a core{free}"
    return _of_target(
        "target_thread", why, "run more workers or processes of it, or make the work of that thread cheaper"
    )


def _host_cpu(evidence: Evidence) -> list[Finding]:
    host = evidence.host_cpu_percent
    if host is None or host < SATURATED_CPU_PERCENT or _most_cpu_wanted(evidence) < SATURATED_CPU_PERCENT:
        return []
    queue, pressure = evidence.machine_use.run_queue, evidence.machine_use.cpu_pressure
    more = f", {queue:.1f} threads ready to run" if queue else ""
    more += f", some waiting {pressure:.0f}% of the time" if pressure else ""
    remedy = "look at what else runs on it, or make the load on another machine"
    return [_of_machine("host_cpu", f"its CPUs were {host:.0f}% busy{more}", remedy)]


def _starved(evidence: Evidence) -> list[Finding]:
    delay = evidence.target_run_delay or 0.0
    if delay <= TARGET_RUN_DELAY_MAX or _throttled(evidence):
        return []
    limit: Limit = "machine" if _is_slow_by_starvation(evidence) else ""
    why = f"the target waited for a CPU {delay:.0%} of the time"
    return [_of_machine("target_starved", why, "give the target CPUs of its own", limit)]


def _memory(evidence: Evidence) -> list[Finding]:
    use = evidence.machine_use
    if use.swap_bytes_per_s < SWAP_BYTES_PER_S and use.memory_pressure < PRESSURE_PERCENT:
        return []
    parts = [f"{format_bytes(use.swap_bytes_per_s)}/s were swapped"] if use.swap_bytes_per_s else []
    parts += [f"tasks waited for memory {use.memory_pressure:.0f}% of the time"] if use.memory_pressure else []
    why = f"its memory was short: {', '.join(parts)}"
    return [_of_machine("memory_short", why, "give it more memory, or let fewer programs run on it")]


def _disk(evidence: Evidence) -> list[Finding]:
    use, blocked = evidence.machine_use, evidence.target_use.blocked_threads
    if blocked < BLOCKED_THREADS or max(use.disk_percent, use.io_pressure) < DISK_PERCENT:
        return []
    waiting = f"{blocked:.1f} of its threads waited for a disk at any time"
    parts = [f"{use.disk} was busy {use.disk_percent:.0f}% of the time with {use.disk_queue:.1f} requests at once"]
    parts += [f"tasks waited for a disk {use.io_pressure:.0f}% of the time"] if use.io_pressure else []
    why = f"{waiting}: {', '.join(parts) if use.disk else parts[-1]}"
    return [_of_target("target_disk", why, "write less, or in larger groups for each fsync, or use a quicker disk")]


def _descriptors(evidence: Evidence) -> list[Finding]:
    use = evidence.target_use
    if not use.fd_limit or use.fds < DESCRIPTORS_SHARE * use.fd_limit:
        return []
    why = f"it had {format_count(use.fds)} of {format_count(use.fd_limit)} file descriptors open"
    return [
        _of_target("target_fd", why, "raise its limit (ulimit -n, LimitNOFILE), or look for what it does not close")
    ]


def _accept_queue(evidence: Evidence) -> list[Finding]:
    use = evidence.target_use
    if not evidence.connections_dropped:
        return []
    why = f"its accept queue was full {format_number_of(evidence.connections_dropped, 'time')}"
    if use.accept_queue:
        why += f", at most {format_count(use.accept_queue)} waited at a backlog of {format_count(use.backlog)}"
    remedy = "raise its backlog and net.core.somaxconn"
    if is_idle(evidence):
        remedy = f"look for why it accepts so slowly, as it was not busy; {remedy}"
    return [_of_target("accept_queue", why, remedy)]


def _retransmits(evidence: Evidence) -> list[Finding]:
    use = evidence.machine_use
    is_late = (evidence.host_cpu_percent or 0.0) >= SATURATED_CPU_PERCENT
    if is_late or use.retransmit_share < RETRANSMIT_SHARE or use.tcp_retransmits < LEAST_RETRANSMITS:
        return []
    why = (
        f"{format_percent(use.retransmit_share)} of the TCP segments were sent again "
        f"({format_count(use.tcp_retransmits)}): the network, or a full queue, lost them"
    )
    return [_of_machine("retransmits", why, "look for losses on the way (ss -ti, ip -s link), and for full queues")]


_RULES: tuple[Callable[[Evidence], list[Finding]], ...] = (
    *(_ended, _throttled, _cpu, _memory, _disk, _descriptors, _host_cpu, _starved, _accept_queue, _retransmits),
)


def _is_slow_by_starvation(evidence: Evidence) -> bool:
    """Return whether the target wanted a CPU nearly all the time, or requests took long because it had to wait for one.

    A target that has little to do waits often as well, and could do more all the same.
    """
    wait_ms = 1000 * (evidence.target_run_delay or 0.0) / evidence.requests_per_s if evidence.requests_per_s else 0.0
    is_large = evidence.median_ms is not None and wait_ms >= OWN_SHARE * evidence.median_ms
    return is_large or _target_cpu_wanted(evidence) >= SATURATED_CPU_PERCENT


def _target_cpu_wanted(evidence: Evidence) -> float:
    """Return how much CPU the target used or waited for, in per cent of a core."""
    return (evidence.target_cpu_percent or 0.0) + 100 * (evidence.target_run_delay or 0.0)


def _most_cpu_wanted(evidence: Evidence) -> float:
    """Return the most CPU that a worker or the target used or waited for, in per cent of a core."""
    wanted = [worker.mean_cpu_percent + 100 * worker.run_delay_share for worker in evidence.workers]
    return max([*wanted, _target_cpu_wanted(evidence)])
