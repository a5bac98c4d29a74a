"""Findings about the load and the target: what was offered, what was answered well, and who kept it from being more.

What counts is what was answered well, not what was started.
"""

from __future__ import annotations

import math
from collections import Counter

from fastload.model.error_remedies import remedy_of
from fastload.model.judging.evidence import Evidence
from fastload.model.judging.finding import LINES_AT_MOST, Cause, Finding, Limit
from fastload.model.judging.generator_findings import FLOOR_MS, OWN_SHARE, TOUCHED_SHARE, is_queued, is_short
from fastload.model.judging.waiting_line import line_cause, line_remedy, line_text, waits_in_target
from fastload.model.units import format_count, format_ms, format_number_of, format_percent, format_were

MOST_FAILED_SHARE = 0.5
"""Share of failures from which on the latencies are those of too few."""
REFUSED_SHARE = 0.5
"""Share of the failures from which on those of a rate limit stand for all."""
SERVED_SHARE = 0.9
"""Share of the offered rate from which on it counts as served."""
NEEDED_FACTOR = 1.25
"""How many times the VUs that a rate needs on average are advised, because starts and iterations vary."""
HELD_SHARE = 0.5
"""Share of the VUs from which on requests without a response, at the end, have kept them busy."""


def script_findings(evidence: Evidence) -> list[Finding]:
    """Return the findings about mistakes in the script and about runs in which nothing was measured."""
    found = []
    lines: Counter[str] = Counter()
    for worker in evidence.workers:
        lines.update(worker.unawaited)
    if lines:
        named = "; ".join(
            f"{line}, {format_number_of(count, 'time')}" for line, count in lines.most_common(LINES_AT_MOST)
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
    elif evidence.iterations_failed:
        count = evidence.iterations_failed
        raised = "the iteration raised" if count == 1 else f"all {format_count(count)} iterations raised"
        lead = "" if evidence.recorded_itself else "nothing was measured: "
        text = f"{lead}{raised}, without a request, a measured call or a WebSocket that ended"
        return Finding("nothing_measured", "SUSPECT", text, "see the exceptions: an iteration_timeout raises as well")
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
    kind = max(filter(evidence.errors.get, evidence.errors), key=lambda name: evidence.errors[name], default="")
    most = f", most with {kind}" if kind else ""
    remedy = "see the errors"
    if counts.failed == counts.ended:
        every = f"every {noun.removesuffix('s')} failed"
        why = f"all {format_count(counts.ended)} {noun} failed{most}"
        if counts.ended == 1:
            why = f"its only {noun.removesuffix('s')} failed" + (f" with {kind}" if kind else "")
        if kind:
            remedy += f"; {kind}: {remedy_of(kind)}"
        text = f"{every}{most}: nothing below says how fast a working target is"
        return [Finding("target_failing", "SUSPECT", text, remedy, "target", why)]
    if evidence.target_ended_s is not None:
        when = f"the target's processes had ended after {evidence.target_ended_s:.0f} s"
        text = f"{when}: {share} of the {noun} failed{most}"
        log = "see the target's log for why it ended; judge the seconds before that"
        return [Finding("target_ended", "SUSPECT", text, log, "target", f"{when}, and {share} of the {noun} failed")]
    why = f"{share} of the {noun} failed{most}"
    cause: Cause = "target_failing"
    if refused := _refused(evidence):
        cause, why, remedy = "rate_limit", refused, "lower the load to what it lets through, or raise its rate limit"
    if counts.failed_share < MOST_FAILED_SHARE:
        return [Finding(cause, "VALID", why, remedy, "target", why)]
    text = f"{why}: the latencies are not those of its work"
    return [Finding(cause, "SUSPECT", text, remedy, "target", why)]


def _refused(evidence: Evidence) -> str:
    """Return how many requests a rate limit of the target refused, as a clause; "" if most failed for other reasons."""
    counts = evidence.counts
    refused = max(evidence.errors.get("http_429", 0), evidence.retry_after)
    if refused < REFUSED_SHARE * counts.failed:
        return ""
    share = format_percent(refused / counts.ended)
    later = f", {format_count(evidence.retry_after)} of them with a Retry-After" if evidence.retry_after else ""
    let_through = format_count(evidence.requests_per_s * (1 - counts.failed_share))
    return f"a rate limit refused {share} of the {counts.noun}{later}, and {let_through} {counts.noun}/s got through"


def load_findings(evidence: Evidence, *, is_limited: bool) -> list[Finding]:
    """Return the findings about load that was due and not made, or made and not answered.

    *is_limited*: it is known already who limited the run, like a generator or a target without a free CPU.
    """
    if not evidence.open_model:
        return []
    limit: Limit = ""
    why = ""
    if not is_limited:
        limit, why = _limit_of_shortage(evidence)
    found = _start_findings(evidence, limit, why, is_limited=is_limited)
    if found or is_limited:
        limit, why = "", ""
    waiting = max(evidence.interrupted, evidence.iterations_interrupted)
    if not evidence.backlog_grew:
        return found
    if waiting >= max(1.0, TOUCHED_SHARE * evidence.started):
        text = (
            f"{format_number_of(waiting, 'request')} ({format_percent(waiting / max(1, evidence.started))}) had no "
            "response when the run ended: the percentiles leave out the slowest"
        )
        found.append(Finding("unanswered", "SUSPECT", text, _with_line(evidence, _LOWER_REMEDY), limit, why))
    elif not found:
        found += _line_findings(evidence, "" if is_limited else "target", why)
    return found


_MORE_ROWS = "give the data a row for each VU, or use next(), which begins again"
_LOWER_REMEDY = "lower the rate to what the target answers"


def _with_line(evidence: Evidence, remedy: str) -> str:
    """Return *remedy*, and where to look for what the requests in the target wait for if that is known."""
    line = line_remedy(evidence)
    return f"{remedy}; {line}" if line else remedy


def _start_findings(evidence: Evidence, limit: Limit, why: str, *, is_limited: bool) -> list[Finding]:
    """Return the finding about starts that did not happen, or that waited for long; none if there is nothing."""
    if is_short(evidence):
        text = (
            f"only {format_percent(evidence.started / evidence.offered)} of the offered load was started "
            f"({format_count(evidence.started)} of {format_count(evidence.offered)})"
        )
        if evidence.dropped:
            text += f"; {format_were(evidence.dropped)} dropped"
        remedy = "lower the rate" if is_limited else _remedy_of_shortage(evidence, limit)
        cause: Cause = line_cause(evidence) if limit == "target" else "not_started" if is_limited else "too_few_vus"
        return [Finding(cause, "SUSPECT", text, remedy, limit, why)]
    if is_queued(evidence) and _is_wait_large(evidence):
        share = format_percent(evidence.queued / max(1, evidence.started))
        text = (
            f"{share} of the starts waited for a free {_slot(evidence)}, p99 {format_ms(evidence.lateness_ms[99])}; "
            "the response times count the wait"
        )
        cause = line_cause(evidence) if limit == "target" else "too_few_vus"
        return [Finding(cause, "SUSPECT", text, _remedy_of_shortage(evidence, limit), limit, why)]
    return []


def _line_findings(evidence: Evidence, limit: Limit, why: str) -> list[Finding]:
    """Return the finding about a line before the target that grew, and that was answered when the load was over."""
    remedy = _with_line(evidence, _LOWER_REMEDY)
    if _is_served(evidence):
        text = f"more and more requests waited for their response, and were answered: {evidence.counts.pace}"
        return [Finding(line_cause(evidence), "VALID", text, remedy, limit, why)] if limit else []
    noun = "request" if evidence.bench else "iteration"
    text = (
        f"{format_number_of(evidence.ended_per_s, noun)}/s ended of {format_count(evidence.offered_per_s)}/s that were "
        "offered, and more and more waited: the response times grow with the length of the run"
    )
    return [Finding(line_cause(evidence), "SUSPECT", text, remedy, limit, why)]


def _is_served(evidence: Evidence) -> bool:
    """Return whether the offered rate was answered while it lasted, as far as that is known."""
    return evidence.is_mixed or evidence.ended_per_s >= SERVED_SHARE * evidence.offered_per_s


def rest_finding(evidence: Evidence) -> Finding:
    """Return what limited a run in which nothing else did: requests that wait in the target, or the concurrency."""
    counts, vus = evidence.counts, format_number_of(evidence.vus, "VU")
    if evidence.open_model:
        text = f"the offered rate was served at {counts.pace}"
        if not _is_served(evidence):
            text = f"the offered rate was started, and {counts.pace} ended within the measured time"
        if evidence.is_mixed:
            text = f"the offered rate was served, and with the closed scenarios that was {counts.pace}"
        return Finding("none", "VALID", text)
    if waits_in_target(evidence):
        text = line_text(evidence)
        remedy = line_remedy(evidence) or "make the target quicker"
        return Finding(line_cause(evidence), "VALID", text, f"more VUs wait longer; {remedy}", "target", text)
    if evidence.vus_without_data:
        text = f"{_ended_without_data(evidence)}, and the others made {counts.pace}"
        return Finding("concurrency", "VALID", text, _MORE_ROWS, "concurrency", text)
    text = f"{vus} waiting for responses or pausing {'makes' if vus.startswith('1 ') else 'make'} {counts.pace}"
    return Finding("concurrency", "VALID", text, "add VUs for more", "concurrency", text)


def _limit_of_shortage(evidence: Evidence) -> tuple[Limit, str]:
    if waits_in_target(evidence):
        return "target", f"{line_text(evidence)}, and it answered {evidence.counts.pace}"
    slot = _slot(evidence)
    if evidence.interrupted >= max(1, HELD_SHARE * evidence.vus):
        held = format_number_of(evidence.interrupted, "request")
        return "target", f"{held} had no response when the run ended, and kept the {slot}s busy"
    if evidence.vus_without_data:
        return "concurrency", f"{_ended_without_data(evidence)}, and the others were busy while starts waited"
    busy = format_were(evidence.vus, slot)
    all_busy = f"{f'the only {slot} was' if busy.startswith('1 ') else f'all {busy}'} busy while starts waited"
    return "concurrency", f"{all_busy}; the target is slow to answer, or there are too few {slot}s"


def _remedy_of_shortage(evidence: Evidence, limit: str) -> str:
    if limit == "target":
        return _with_line(evidence, _LOWER_REMEDY) if line_remedy(evidence) else f"{_LOWER_REMEDY}, or make it quicker"
    if evidence.vus_without_data:
        return _MORE_ROWS
    option = "-c/--connections" if evidence.bench else "--max-vus"
    needed = vus_needed(evidence)
    return f"lower the rate, or raise {option}" + (f" to about {format_count(needed)}" if needed > evidence.vus else "")


def _ended_without_data(evidence: Evidence) -> str:
    return f"{format_number_of(evidence.vus_without_data, 'VU')} ended because no data was left for their on_start"


def vus_needed(evidence: Evidence) -> int:
    """Return how many VUs the offered rate needs, by Little's law: the rate times the time of an iteration; 0 if that
    is not known. A quarter is added, because starts and iterations vary."""
    busy_ms = evidence.median_ms if evidence.bench else evidence.iteration_mean_ms
    return math.ceil(NEEDED_FACTOR * evidence.offered_per_s * busy_ms / 1000) if busy_ms else 0


def _is_wait_large(evidence: Evidence) -> bool:
    late_ms, reported_ms = evidence.lateness_ms.get(99, 0.0), evidence.response_ms.get(99, 0.0)
    return late_ms >= max(FLOOR_MS[99], OWN_SHARE * reported_ms)


def _slot(evidence: Evidence) -> str:
    return "connection" if evidence.bench else "VU"
