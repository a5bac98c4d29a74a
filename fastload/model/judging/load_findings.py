"""Findings about the load and the target: what was offered, what was answered well, and who kept it from being more.

What counts is what was answered well, not what was started.
"""

from __future__ import annotations

import math
from collections import Counter

from fastload.model.judging.evidence import SATURATED_CPU_PERCENT, Evidence
from fastload.model.judging.finding import Cause, Finding, Limit
from fastload.model.judging.generator_findings import FLOOR_MS, OWN_SHARE, TOUCHED_SHARE, is_queued, is_short
from fastload.model.units import format_count, format_ms, format_number_of, format_percent

MOST_FAILED_SHARE = 0.5
"""Share of failures from which on the latencies are those of too few."""
TARGET_RUN_DELAY_MAX = 0.25
"""Share of the time in which the target may wait for a CPU."""
QUEUE_FACTOR = 3.0
"""How many times the quickest response the median is, if requests wait in line in the target."""
_LINES_AT_MOST = 3
# Share of the offered rate from which on it counts as served, in words.
_SERVED_SHARE = 0.9


def script_findings(evidence: Evidence) -> list[Finding]:
    """Return the findings about mistakes in the script and about runs in which nothing was measured."""
    found = []
    lines: Counter[str] = Counter()
    for worker in evidence.workers:
        lines.update(worker.unawaited)
    if lines:
        named = "; ".join(
            f"{line}, {format_number_of(count, 'time')}" for line, count in lines.most_common(_LINES_AT_MOST)
        )
        text = f"calls without await did nothing: {named}"
        found.append(Finding("missing_await", "SUSPECT", text, "write await before them, and run it again"))
    if evidence.task_exceptions:
        raised = format_number_of(evidence.task_exceptions, "exception")
        text = f"{raised} in tasks that the script started and did not await"
        found.append(Finding("task_exceptions", "SUSPECT", text, "see the exceptions, and await the tasks"))
    counts = evidence.counts
    if not counts.ended and not evidence.iterations:
        found.append(_nothing_ended(evidence))
    elif not counts.ended and not evidence.recorded_itself:
        text = (
            f"nothing was measured: {format_number_of(evidence.iterations, 'iteration')} ended without a request "
            "of the VU, a measured call, a WebSocket, a check or a value of a metric"
        )
        remedy = "send requests with the VU (vu.get, not requests.get), or put what another client does into fl.measure"
        found.append(Finding("nothing_measured", "SUSPECT", text, remedy))
    return found


def _nothing_ended(evidence: Evidence) -> Finding:
    if evidence.interrupted:
        count, noun, remedy = evidence.interrupted, "request", "run longer than a request takes, or lower --timeout"
    elif evidence.iterations_interrupted:
        count, noun, remedy = evidence.iterations_interrupted, "iteration", "run longer than an iteration takes"
    else:
        text = "nothing was measured: no request and no iteration ended"
        return Finding("nothing_measured", "SUSPECT", text, "see what kept the load from starting")
    begun = f"{format_number_of(count, noun)} {'was' if count == 1 else 'were'} under way when the run ended"
    return Finding("nothing_measured", "SUSPECT", f"nothing was measured: {begun}, and none had ended before", remedy)


def failure_findings(evidence: Evidence) -> list[Finding]:
    """Return the findings about what the target did not answer well."""
    counts = evidence.counts
    if not counts.ended or counts.failed_share < TOUCHED_SHARE:
        return []
    noun, share = counts.noun, format_percent(counts.failed_share)
    kind = max(evidence.errors, key=lambda name: evidence.errors[name], default="")
    most = f", most with {kind}" if kind else ""
    if counts.failed == counts.ended:
        every = f"every {noun.removesuffix('s')} failed"
        why = f"all {format_count(counts.ended)} {noun} failed{most}"
        if counts.ended == 1:
            why = f"its only {noun.removesuffix('s')} failed" + (f" with {kind}" if kind else "")
        text = f"{every}: nothing below says how fast a working target is"
        return [Finding("target_failing", "SUSPECT", text, "see the errors", "target", why)]
    if evidence.target_ended_s is not None:
        when = f"the target's processes had ended after {evidence.target_ended_s:.0f} s"
        text = f"{when}: {share} of the {noun} failed{most}"
        remedy = "see the target's log for why it ended; judge the seconds before that"
        return [Finding("target_ended", "SUSPECT", text, remedy, "target", f"{when}, and {share} of the {noun} failed")]
    why = f"{share} of the {noun} failed{most}"
    if counts.failed_share < MOST_FAILED_SHARE:
        return [Finding("target_failing", "VALID", why, "see the errors", "target", why)]
    return [
        Finding(
            "target_failing",
            "SUSPECT",
            f"{why}: the latencies are not those of its work",
            "see the errors",
            "target",
            why,
        )
    ]


def load_findings(evidence: Evidence, *, is_limited: bool) -> list[Finding]:
    """Return the findings about load that was due and not made, or made and not answered.

    *is_limited*: it is known already who limited the run, like a generator or a target without a free CPU.
    """
    if not evidence.open_model:
        return []
    found = []
    limit: Limit = ""
    why = ""
    if not is_limited:
        limit, why = _limit_of_shortage(evidence)
    late = is_queued(evidence) and _is_wait_large(evidence)
    if is_short(evidence):
        text = (
            f"only {format_percent(evidence.started / evidence.offered)} of the offered load was started "
            f"({format_count(evidence.started)} of {format_count(evidence.offered)})"
        )
        if evidence.dropped:
            text += f"; {format_count(evidence.dropped)} were dropped"
        remedy = "lower the rate" if is_limited else _remedy_of_shortage(evidence, limit)
        cause: Cause = "target_queue" if limit == "target" else "not_started" if is_limited else "too_few_vus"
        found.append(Finding(cause, "SUSPECT", text, remedy, limit, why))
    elif late:
        share = format_percent(evidence.queued / max(1, evidence.started))
        text = (
            f"{share} of the starts waited for a free {_slot(evidence)}, p99 {format_ms(evidence.lateness_ms[99])}; "
            "the response times count the wait"
        )
        cause = "target_queue" if limit == "target" else "too_few_vus"
        found.append(Finding(cause, "SUSPECT", text, _remedy_of_shortage(evidence, limit), limit, why))
    waiting = max(evidence.interrupted, evidence.iterations_interrupted)
    if waiting >= max(1.0, TOUCHED_SHARE * evidence.started) and evidence.backlog_grew:
        text = (
            f"{format_number_of(waiting, 'request')} ({format_percent(waiting / max(1, evidence.started))}) had no "
            "response when the run ended: the percentiles leave out the slowest"
        )
        if found or is_limited:
            limit, why = "", ""
        found.append(Finding("unanswered", "SUSPECT", text, "lower the rate to what the target answers", limit, why))
    elif evidence.backlog_grew and not found and not is_limited:
        text = f"more and more requests waited for their response: {evidence.counts.pace} were answered"
        found.append(Finding("target_queue", "VALID", text, "lower the rate to what the target answers", "target", why))
    return found


def resource_findings(evidence: Evidence) -> list[Finding]:
    """Return remarks about CPUs that were full, or that the target did not get, and about connections it dropped."""
    found: list[Finding] = []
    target, host = evidence.target_cpu_percent, evidence.host_cpu_percent
    # An offered rate that was served was limited by nothing, however busy the CPUs were.
    served = evidence.open_model and not (is_short(evidence) or is_queued(evidence) or evidence.backlog_grew)

    def add(cause: Cause, who: str, limit: Limit, why: str, remedy: str = "") -> None:
        found.append(Finding(cause, "VALID", f"{who}: {why}", remedy, "" if served else limit, why))

    if evidence.connections_dropped:
        why = f"its accept queue was full {format_number_of(evidence.connections_dropped, 'time')}"
        add("accept_queue", "the target", "target", why, "raise its backlog and net.core.somaxconn")
    if target is not None and target >= SATURATED_CPU_PERCENT * max(1, evidence.target_cpus) and evidence.target_cpus:
        add("target_cpu", "the target", "target", "its CPUs were full")
    elif target is not None and target >= SATURATED_CPU_PERCENT:
        add("target_core", "the target", "target", "it used a whole core, as much as one thread can")
    if host is not None and host >= SATURATED_CPU_PERCENT and _most_cpu_wanted(evidence) >= SATURATED_CPU_PERCENT:
        add("host_cpu", "this machine", "machine", f"its CPUs were {host:.0f}% busy")
    if (evidence.target_run_delay or 0.0) > TARGET_RUN_DELAY_MAX:
        why = f"the target waited for a CPU {evidence.target_run_delay:.0%} of the time"
        add("target_starved", "this machine", "machine", why, "give the target CPUs of its own")
    return found


def _most_cpu_wanted(evidence: Evidence) -> float:
    """Return the most CPU that a worker or the target used or waited for, in per cent of a core."""
    wanted = [worker.mean_cpu_percent + 100 * worker.run_delay_share for worker in evidence.workers]
    if evidence.target_cpu_percent is not None:
        wanted.append(evidence.target_cpu_percent + 100 * (evidence.target_run_delay or 0.0))
    return max(wanted, default=0.0)


def rest_finding(evidence: Evidence) -> Finding:
    """Return what limited a run in which nothing else did: requests that wait in the target, or the concurrency."""
    counts, vus = evidence.counts, format_number_of(evidence.vus, "VU")
    if evidence.open_model:
        text = f"the offered rate was served at {counts.pace}"
        if evidence.requests_per_s < _SERVED_SHARE * evidence.offered_per_s and counts.noun == "requests":
            text = f"the offered rate was started, and {counts.pace} ended within the measured time"
        if evidence.is_mixed:
            text = f"the offered rate was served, and with the closed scenarios that was {counts.pace}"
        return Finding("none", "VALID", text)
    if _waits_in_target(evidence):
        text = _queue_text(evidence)
        return Finding("target_queue", "VALID", text, "more VUs wait longer; make the target quicker", "target", text)
    text = f"{vus} waiting for responses or pausing make {counts.pace}"
    return Finding("concurrency", "VALID", text, "add VUs for more", "concurrency", text)


def _limit_of_shortage(evidence: Evidence) -> tuple[Limit, str]:
    if _waits_in_target(evidence):
        return "target", f"{_queue_text(evidence)}, and it answered {evidence.counts.pace}"
    slot = _slot(evidence)
    if evidence.interrupted >= max(1, evidence.vus / 2):
        held = format_number_of(evidence.interrupted, "request")
        return "target", f"{held} had no response when the run ended, and kept the {slot}s busy"
    all_busy = f"all {format_number_of(evidence.vus, slot)} were busy while starts waited"
    return "concurrency", f"{all_busy}; the target is slow to answer, or there are too few {slot}s"


def _remedy_of_shortage(evidence: Evidence, limit: str) -> str:
    if limit == "target":
        return "lower the rate to what the target answers, or make it quicker"
    option = "-c/--connections" if evidence.bench else "--max-vus"
    needed = vus_needed(evidence)
    return f"lower the rate, or raise {option}" + (f" to about {format_count(needed)}" if needed > evidence.vus else "")


def vus_needed(evidence: Evidence) -> int:
    """Return how many VUs the offered rate needs, by Little's law: the rate times the time of an iteration; 0 if that
    is not known. A quarter is added, because starts and iterations vary."""
    busy_ms = evidence.median_ms if evidence.bench else evidence.iteration_mean_ms
    return math.ceil(1.25 * evidence.offered_per_s * busy_ms / 1000) if busy_ms else 0


def _is_wait_large(evidence: Evidence) -> bool:
    late_ms, reported_ms = evidence.lateness_ms.get(99, 0.0), evidence.response_ms.get(99, 0.0)
    return late_ms >= max(FLOOR_MS[99], OWN_SHARE * reported_ms)


def _waits_in_target(evidence: Evidence) -> bool:
    """Return whether requests wait in line in the target: most take several times as long as the quickest."""
    quickest, median = evidence.quickest_ms, evidence.median_ms
    if quickest is None or median is None or evidence.vus < 2:
        return False
    return median - quickest >= FLOOR_MS[99] and median >= QUEUE_FACTOR * quickest


def _queue_text(evidence: Evidence) -> str:
    return (
        f"requests waited in line in it: the median took {format_ms(evidence.median_ms or 0.0)}, "
        f"the quickest {format_ms(evidence.quickest_ms or 0.0)}"
    )


def _slot(evidence: Evidence) -> str:
    return "connection" if evidence.bench else "VU"
