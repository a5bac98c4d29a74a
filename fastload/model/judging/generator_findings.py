"""Findings about the generator: what it added to the latencies, why, and what it ran out of.

A disturbance counts by what it did to the results. The own delay of the generator, at a percentile, is compared with
the latency that was reported there; a stall, with the time that was measured. What is small against both is a remark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from fastload.model.error_remedies import REMEDIES
from fastload.model.judging.evidence import (
    JUDGED_PERCENTILES,
    SATURATED_CPU_PERCENT,
    Evidence,
    WorkerEvidence,
)
from fastload.model.judging.finding import LINES_AT_MOST, Cause, Finding, Limit, State
from fastload.model.judging.stalls import StallCause, Stalls
from fastload.model.units import format_count, format_ms, format_number_of, format_percent

OWN_SHARE = 0.5
"""Share of a reported percentile from which on the generator's own delay makes it suspect."""
FLOOR_MS: Mapping[int, float] = {50: 1.0, 95: 5.0, 99: 5.0}
"""Own delay that a quiet machine, which others share, has at each percentile: it is no finding."""
VALUES_ABOVE = 5
"""How many values must lie above a percentile, for it to be judged: with fewer it is the luck of a few requests."""
STALLED_SHARE = 0.1
"""Share of the time without the event loop from which on rates do not hold either."""
LATE_SHARE: Mapping[State, float] = {"SUSPECT": 0.1, "INVALID": 0.25}
"""Share of the time by which the event loop was late, in stalls of any length, from which on a run is no better than
this, if it has no latencies of requests or calls that could be judged."""
LATE_MS = 100.0
"""How late the event loop must have been altogether for that."""
SATURATED_SHARE = 0.1
"""Share of the seconds with a saturated worker from which on latencies are suspect."""
WHOLE_SHARE = 0.5
"""The same share from which on the rate is the worker's own limit."""
RARE_STALL_MS = 100.0
"""A stall that a run without findings mentions."""
TOUCHED_SHARE = 0.01
"""Share of the samples from which on a p99 is touched."""
LINES_SHARE = 0.25
"""Share of what a cause did from which on lines of the script are to blame for it."""
CAUSE_SHARE = 0.2
"""Share of the wait from which on a cause is told beside others."""
LATENESS_FACTOR = 2.0
"""How many times the own delay of the event loop the lateness of starts is, if it is not that delay."""
_GENERATOR_ERRORS: Mapping[Cause, str] = {
    "generator_fd": "the generator ran out of file descriptors",
    "generator_port": "the generator ran out of local ports",
    "generator_memory": "the generator ran out of memory",
}


class Disturbance(NamedTuple):
    """What the generator's own delay did to the results.

    *state*: the best that the run can be. *touched*: the percentiles of which the delay is a large part. *text*: a
    clause with the figures.
    """

    state: State
    touched: tuple[int, ...]
    text: str


def disturbance_of(evidence: Evidence) -> Disturbance:
    """Return what the generator's own delay did to the reported latencies, and to the measured time."""
    counts = evidence.counts
    if counts.ended and counts.failed == counts.ended:
        # There is nothing that it could have disturbed.
        return Disturbance("VALID", (), "")
    own, reported = own_delays_ms(evidence), evidence.response_ms
    touched = tuple(
        percent
        for percent in JUDGED_PERCENTILES
        if is_judged(evidence, percent)
        and own.get(percent, 0.0) >= max(FLOOR_MS[percent], OWN_SHARE * reported[percent])
    )
    stalled, late = evidence.stalled_share, _late_share(evidence)
    parts = []
    if late:
        parts.append(f"the event loop was late by {format_percent(late)} of the time")
    elif stalled >= TOUCHED_SHARE:
        parts.append(f"the event loop stood still {format_percent(stalled)} of the time")
    if touched:
        parts.append(beside_reported(evidence, touched[0]))
    state: State = "VALID"
    if 50 in touched or stalled >= STALLED_SHARE or late >= LATE_SHARE["INVALID"]:
        state = "INVALID"
    elif touched or late:
        state = "SUSPECT"
    return Disturbance(state, touched, ", ".join(parts))


def beside_reported(evidence: Evidence, percent: int) -> str:
    """Return the own delay and the reported value at a percentile, as a clause."""
    own_ms, reported_ms = own_delays_ms(evidence)[percent], evidence.response_ms[percent]
    whose = f" of {evidence.response_of}" if evidence.response_of else ""
    return f"own delay p{percent} {format_ms(own_ms)} beside a reported p{percent}{whose} of {format_ms(reported_ms)}"


def _late_share(evidence: Evidence) -> float:
    """Return the share of the time by which the event loop was late, if that matters by itself; else 0."""
    if is_judged(evidence, 50) and not evidence.response_of:
        return 0.0
    shares = [worker.late_share for worker in evidence.workers if sum(worker.late_ms.values()) >= LATE_MS]
    return max((share for share in shares if share >= LATE_SHARE["SUSPECT"]), default=0.0)


def is_judged(evidence: Evidence, percent: int) -> bool:
    """Return whether enough values lie above a percentile of the headline."""
    enough = evidence.response_count * (100 - percent) >= 100 * VALUES_ABOVE
    return percent in evidence.response_ms and enough


def own_delays_ms(evidence: Evidence) -> dict[int, float]:
    """Return the generator's own delay at each percentile: that of its event loops, or of its starts if that is more.

    Starts that waited for a free VU were late because of that; then the lateness says nothing about the generator.
    """
    own = dict(evidence.own_delay_ms)
    if not is_queued(evidence):
        for percent, late_ms in evidence.lateness_ms.items():
            own[percent] = max(own.get(percent, 0.0), late_ms)
    return own


def is_queued(evidence: Evidence) -> bool:
    """Return whether so many starts waited for a free VU that the percentiles of the lateness are of that wait."""
    return evidence.queued > TOUCHED_SHARE * evidence.started


def generator_findings(evidence: Evidence) -> list[Finding]:
    """Return the findings about the generator, the worst first."""
    disturbance = disturbance_of(evidence)
    saturated = [worker for worker in evidence.workers if worker.saturated_share >= SATURATED_SHARE]
    found = _exhausted(evidence)
    if disturbance.state != "VALID":
        found += _delay(evidence, disturbance, is_saturated=bool(saturated))
    if saturated:
        found.append(_saturation(evidence, disturbance, saturated))
    if disturbance.state == "VALID":
        found += _rare_stalls(evidence)
    return found + _missing_workers(evidence)


def _missing_workers(evidence: Evidence) -> list[Finding]:
    """Return the findings about workers whose share of the load is missing: stopped by a signal for good, or lost."""
    found = []
    held = [str(worker.index) for worker in evidence.workers if worker.held]
    if held:
        of_all = f"{len(held)} of {format_number_of(len(evidence.workers), 'worker')}"
        why = f"{_workers_were(held)} stopped by a signal (SIGSTOP) and not continued"
        text = f"{why}: the share of the load of {of_all} is missing from then on"
        found.append(Finding("stopped", "SUSPECT", text, _HELD_REMEDY, "generator", why))
    lost = [str(worker.index) for worker in evidence.workers if worker.lost and not worker.held]
    if lost:
        text = f"{_workers_were(lost)} lost"
        found.append(
            Finding(
                "worker_lost",
                "SUSPECT",
                f"{text}; what had been delivered is counted",
                "see the notes and the errors for what was said last",
                "generator",
                f"{text}, and its share of the load" if len(lost) == 1 else f"{text}, and their share of the load",
            )
        )
    return found


def _workers_were(indexes: list[str]) -> str:
    return f"workers {', '.join(indexes)} were" if len(indexes) > 1 else f"worker {indexes[0]} was"


def _exhausted(evidence: Evidence) -> list[Finding]:
    found = []
    for kind, text in _GENERATOR_ERRORS.items():
        if count := evidence.errors.get(kind, 0):
            state: State = "INVALID" if count >= TOUCHED_SHARE * max(1, evidence.counts.ended) else "SUSPECT"
            counted = f"{text} ({format_number_of(count, 'request')})"
            why = text.removeprefix("the generator ")
            found.append(Finding(kind, state, counted, REMEDIES[kind], "generator" if state == "INVALID" else "", why))
    return found


def _delay(evidence: Evidence, disturbance: Disturbance, *, is_saturated: bool) -> list[Finding]:
    """Return a finding for each cause of a disturbance, the worst first.

    There is none for what a saturated worker explains, which has a finding of its own.
    """
    if _is_lateness(evidence, disturbance):
        return [] if is_saturated else [_finding(disturbance, "late_starts", "starts were late", _LATE_REMEDY)]
    waited_ms = {cause: evidence.waited_ms(cause) for cause in _CAUSES}
    worst_first = sorted(_CAUSES, key=waited_ms.__getitem__, reverse=True)
    least_ms = CAUSE_SHARE * sum(waited_ms.values())
    causes = [cause for cause in worst_first if waited_ms[cause] >= least_ms > 0]
    found = [_of_cause(evidence, disturbance, cause) for cause in causes or ["busy"]]
    # The figures are told once.
    found[1:] = [replace(one, text=one.why) for one in found[1:]]
    by_load = is_saturated and evidence.stalled_share < STALLED_SHARE
    return [one for one in found if not (by_load and one.cause == "own_work")]


def _is_lateness(evidence: Evidence, disturbance: Disturbance) -> bool:
    """Return whether starts were late while the event loop was not."""
    if not disturbance.touched or is_queued(evidence) or evidence.stalled_share >= STALLED_SHARE:
        return False
    first = disturbance.touched[0]
    return evidence.lateness_ms.get(first, 0.0) > LATENESS_FACTOR * evidence.own_delay_ms.get(first, 0.0)


def _of_cause(evidence: Evidence, disturbance: Disturbance, cause: StallCause) -> Finding:
    lines = _lines(evidence, cause)
    match cause:
        case "stopped":
            return _finding(disturbance, "stopped", _stopped_text(evidence), _STOPPED_REMEDY)
        case "starved":
            return _starved(evidence, disturbance)
        case "blocked" if lines:
            return _finding(disturbance, "blocking_call", f"a blocking call in {_named(lines)}", _BLOCKING_REMEDY)
        case "busy" if lines:
            return _finding(disturbance, "busy_script", f"the script computes in {_named(lines)}", _BUSY_REMEDY)
        case "blocked" if not _longest(evidence, cause, of_script=False):
            text = "calls that do not await, a disk or swapped memory made the event loop wait, for a moment each time"
            return _finding(disturbance, "blocking_call", text, f"{_BLOCKING_REMEDY}; {_MACHINE_REMEDY}")
        case "blocked":
            text = "something other than the script made the event loop wait, like a disk or swapped memory"
            return _finding(disturbance, "own_work", text, _MACHINE_REMEDY)
    longest_ms = _longest(evidence, cause, of_script=False)
    text = "fastload's own work, or work of the script that is short each time"
    if longest_ms:
        text = f"fastload's own work took up to {format_ms(longest_ms)} at once"
    return _finding(disturbance, "own_work", text, _OWN_WORK_REMEDY)


_CAUSES: tuple[StallCause, ...] = ("busy", "stopped", "starved", "blocked")
_LATE_REMEDY = "lower the rate, spread starts that are due together, or add workers or machines"
_HELD_REMEDY = "find what stopped it (kill -STOP, a debugger, a job of the shell), and run it again"
_STOPPED_REMEDY = "run it again without a pause of this machine or its processes"
_BLOCKING_REMEDY = "await instead: vu.sleep for time.sleep, vu.get for requests.get"
_MACHINE_REMEDY = "look at the memory and the disk of this machine"
_BUSY_REMEDY = "compute it before the load, or less often; what has to be computed there needs more workers"
_OWN_WORK_REMEDY = "look for very large or compressed responses (--max-body), or lower the load"
_NO_CPU_REMEDY = "leave the workers a CPU of their own: fewer workers (-w), or the target and others on another machine"
_QUOTA_REMEDY = "raise the CPU quota of this container or service, or lower the load"


def _finding(disturbance: Disturbance, cause: Cause, text: str, remedy: str) -> Finding:
    limit: Limit = "generator" if disturbance.state == "INVALID" else ""
    return Finding(cause, disturbance.state, f"{text}: {disturbance.text}", remedy, limit, text)


def _starved(evidence: Evidence, disturbance: Disturbance) -> Finding:
    delays = max(worker.run_delay_share for worker in evidence.workers)
    if evidence.throttled_share >= max(TOUCHED_SHARE, delays / 2):
        text = f"the CPU quota was used up {format_percent(evidence.throttled_share)} of the time"
        return _finding(disturbance, "cpu_quota", text, _QUOTA_REMEDY)
    text = f"the workers waited for a CPU up to {format_percent(delays)} of the time"
    return _finding(disturbance, "no_cpu", text, _NO_CPU_REMEDY)


def _stopped_text(evidence: Evidence) -> str:
    stopped = [str(worker.index) for worker in evidence.workers if worker.waited_ms.get("stopped", 0.0)]
    who = f"worker{'s' * (len(stopped) > 1)} {', '.join(stopped)} {'were' if len(stopped) > 1 else 'was'} stopped"
    longest = format_ms(_longest(evidence, "stopped"))
    return f"{who} for up to {longest} (SIGSTOP, Ctrl-Z, a frozen container or a suspended machine)"


def _saturation(evidence: Evidence, disturbance: Disturbance, saturated: list[WorkerEvidence]) -> Finding:
    names = f"worker{'s' * (len(saturated) > 1)} {', '.join(str(worker.index) for worker in saturated)}"
    worst = max(saturated, key=lambda worker: worker.saturated_share)
    whole = worst.saturated_share >= WHOLE_SHARE
    text = f"{names} used a whole core for {worst.saturated_s} of {len(worst.cpu_percent)} s"
    why = "this machine cannot send more with these workers"
    if not evidence.open_model:
        limit = _limit_of_saturation(evidence) if whole else ""
        text += f": the rate of {evidence.counts.pace} is the result, the latencies include the generator's own queue"
        return Finding("worker_saturated", "SUSPECT", text, _FIXED_RATE, limit, why)
    if disturbance.state == "INVALID" or (is_short(evidence) and (whole or not is_queued(evidence))):
        return Finding("worker_saturated", "INVALID", _joined(text, disturbance), _LATE_REMEDY, "generator", why)
    return Finding("worker_saturated", disturbance.state, _joined(text, disturbance), _LATE_REMEDY)


_FIXED_RATE = "for latencies, run at a fixed rate below this one: -r/--rate"


def _joined(text: str, disturbance: Disturbance) -> str:
    return f"{text}: {disturbance.text}" if disturbance.text else text


def _limit_of_saturation(evidence: Evidence) -> Literal["both", "generator"]:
    cpu = evidence.target_cpu_percent
    full = cpu is not None and cpu >= SATURATED_CPU_PERCENT * max(1, evidence.target_cpus)
    return "both" if full or evidence.target_use.thread_percent >= SATURATED_CPU_PERCENT else "generator"


def is_short(evidence: Evidence) -> bool:
    """Return whether so many of the starts that were due did not happen that a p99 is touched."""
    return evidence.offered - evidence.started >= max(1.0, TOUCHED_SHARE * evidence.offered)


def _rare_stalls(evidence: Evidence) -> list[Finding]:
    """Return a remark about the longest stall, if only what lies above the p99 can be its."""
    stalls = [one for worker in evidence.workers for one in worker.stalls if one.longest_ms >= RARE_STALL_MS]
    if not stalls:
        return []
    worst = max(stalls, key=lambda one: one.longest_ms)
    where = f" in {worst.line}" if worst.line else f" ({_CAUSE_TEXT[worst.cause]})"
    text = f"the event loop stood still for {format_ms(worst.longest_ms)} once{where}: only times above the p99 have it"
    remedy = {"blocked": _BLOCKING_REMEDY, "busy": _BUSY_REMEDY}.get(worst.cause, "") if worst.line else ""
    cause: Cause = "blocking_call" if worst.line and worst.cause == "blocked" else _CAUSE_NAME[worst.cause]
    return [Finding(cause, "VALID", text, remedy)]


_CAUSE_TEXT = {
    "blocked": "a call of the system",
    "busy": "fastload's own work",
    "starved": "it waited for a CPU",
    "stopped": "it was stopped",
}
_CAUSE_NAME: Mapping[str, Cause] = {
    "blocked": "own_work",
    "busy": "own_work",
    "starved": "no_cpu",
    "stopped": "stopped",
}


def _lines(evidence: Evidence, cause: StallCause) -> list[Stalls]:
    """Return the stalls by lines of the script, the worst first, if they are a good part of what *cause* did."""
    stalls = [one for worker in evidence.workers for one in worker.stalls if one.cause == cause]
    by_line: dict[str, Stalls] = {}
    for one in stalls:
        known = by_line.get(one.line)
        by_line[one.line] = one if known is None else _added(known, one)
    of_script = sorted((one for line, one in by_line.items() if line), key=lambda one: -one.total_ms)
    total = sum(one.total_ms for one in of_script)
    return of_script if total >= LINES_SHARE * evidence.late_ms(cause) else []


def _added(one: Stalls, other: Stalls) -> Stalls:
    longest = max(one.longest_ms, other.longest_ms)
    return Stalls(one.cause, one.line, one.count + other.count, one.total_ms + other.total_ms, longest)


def _named(lines: list[Stalls]) -> str:
    return "; ".join(
        f"{one.line} ({format_count(one.count)}x, at most {format_ms(one.longest_ms)})" for one in lines[:LINES_AT_MOST]
    )


def _longest(evidence: Evidence, cause: StallCause, *, of_script: bool = True) -> float:
    """Return the longest stall by *cause*, in ms; without *of_script*, of those without a known line of the script."""
    stalls = [one for worker in evidence.workers for one in worker.stalls if one.cause == cause]
    return max((one.longest_ms for one in stalls if of_script or not one.line), default=0.0)
