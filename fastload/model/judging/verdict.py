"""Verdict of a run: whether its numbers can be trusted, and what limited the run.

The verdict is computed from the evidence alone; its bounds are constants of this module.

States: VALID; SUSPECT (the rate holds, but read the reasons before the latencies); INVALID (the generator was the
limit: the latencies say more about this machine than about the target).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from fastload.model.error_remedies import REMEDIES
from fastload.model.units import format_count, format_ms, format_number_of, format_percent

State = Literal["VALID", "SUSPECT", "INVALID"]

LATENESS_FLOOR_MS = 1.0
LATENESS_SHARE_OF_P50 = 0.1
ACHIEVED_SHARE = 0.99
SATURATED_CPU_PERCENT = 90.0
SATURATED_S = 3
STALL_MS = 100.0
RUN_DELAY_SHARE = 0.05
_PLACES_AT_MOST = 3
TARGET_RUN_DELAY_MAX = 0.25
GENERATOR_ERRORS = {
    "generator_fd": ("the generator ran out of file descriptors", REMEDIES["generator_fd"]),
    "generator_port": ("the generator ran out of local ports", REMEDIES["generator_port"]),
    "generator_memory": ("the generator ran out of memory", REMEDIES["generator_memory"]),
}


@dataclass(frozen=True, slots=True)
class WorkerEvidence:
    """Evidence about one worker.

    *cpu_percent* has one value for each second (100 = one core). *lag_max_ms* is the longest stall of the event loop.
    *run_delay_share* is the share of the time in which the worker was ready to run and waited for a CPU. *rss_bytes*
    is its peak memory. *lost*: the worker died early. *stalls* maps the places in the script that are known to have
    blocked the loop to the longest stall of each, in ms. *unawaited* maps lines of the script to the number of
    coroutines that they made and never awaited.
    """

    index: int
    cpu_percent: tuple[float, ...] = ()
    lag_max_ms: float = 0.0
    run_delay_share: float = 0.0
    rss_bytes: int = 0
    lost: bool = False
    stalls: Mapping[str, float] = field(default_factory=dict)
    unawaited: Mapping[str, int] = field(default_factory=dict)

    @property
    def mean_cpu_percent(self) -> float:
        return sum(self.cpu_percent) / len(self.cpu_percent) if self.cpu_percent else 0.0

    @property
    def max_cpu_percent(self) -> float:
        return max(self.cpu_percent, default=0.0)

    @property
    def saturated_s(self) -> int:
        """Largest number of consecutive seconds over `SATURATED_CPU_PERCENT`."""
        longest = current = 0
        for percent in self.cpu_percent:
            current = current + 1 if percent > SATURATED_CPU_PERCENT else 0
            longest = max(longest, current)
        return longest


class MainCounts(NamedTuple):
    """Counts of the main work of a run: how many of *noun* *ended* and *failed*.

    *pace* is the rate as text, like ``1,000 requests/s``.
    """

    noun: str
    ended: int
    failed: int
    pace: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for the verdict. Times are in ms; None where nothing was measured.

    *offered* counts the starts that were due, *started* the starts that happened (open model; 0 in a closed model).
    *calls* are measured calls of the script, *sessions* are WebSocket sessions; a run may have these instead of
    requests. *recorded_itself*: the script has recorded checks or values of its own metrics. *bench*: the VUs are the
    connections of ``fastload bench``. *interrupted* counts requests, *iterations_interrupted* iterations that were
    under way when the run ended.
    *task_exceptions* counts the exceptions of tasks that the script started and did not await.
    *target_cpu_percent* is the mean, 100 = one core; *target_cpus* is the number of cores that the target may use.
    *target_run_delay* is the mean time in which threads of the target were ready and waited for a CPU, per wall time.
    *host_cpu_percent* is the mean of the host.
    """

    open_model: bool
    requests: int
    failed: int
    requests_per_s: float
    vus: int
    iterations: int = 0
    calls: int = 0
    calls_failed: int = 0
    calls_per_s: float = 0.0
    sessions: int = 0
    sessions_failed: int = 0
    messages_per_s: float = 0.0
    recorded_itself: bool = False
    bench: bool = False
    interrupted: int = 0
    iterations_interrupted: int = 0
    task_exceptions: int = 0
    workers: tuple[WorkerEvidence, ...] = ()
    offered: int = 0
    started: int = 0
    dropped: int = 0
    lateness_p99_ms: float | None = None
    response_p50_ms: float | None = None
    errors: dict[str, int] = field(default_factory=dict)
    target_cpu_percent: float | None = None
    target_cpus: int = 0
    target_run_delay: float | None = None
    host_cpu_percent: float | None = None

    @property
    def counts(self) -> MainCounts:
        """Counts of the requests; in a run without requests, of the measured calls or else the WebSocket sessions."""
        if self.calls and not self.requests:
            return MainCounts("calls", self.calls, self.calls_failed, f"{format_count(self.calls_per_s)} calls/s")
        if self.sessions and not self.requests:
            pace = f"{format_count(self.messages_per_s)} messages/s"
            return MainCounts("WebSocket sessions", self.sessions, self.sessions_failed, pace)
        return MainCounts("requests", self.requests, self.failed, f"{format_count(self.requests_per_s)} requests/s")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of a run: *state* is "VALID", "SUSPECT" or "INVALID".

    *reasons* are sentences with numbers, the worst first. *remedy* says what to do about the first reason; it is empty
    for a valid run. *limit* is a sentence that says what limited the run. All texts may be shown as they are.
    """

    state: State
    reasons: tuple[str, ...]
    remedy: str
    limit: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return {"state": self.state, "reasons": list(self.reasons), "remedy": self.remedy, "limit": self.limit}


def judge_run(evidence: Evidence) -> Verdict:
    """Return the verdict of a finished run, or of a run so far."""
    unawaited = _unawaited(evidence)
    invalid = _invalid(evidence)
    suspect = _suspect(evidence)
    state: State = "INVALID" if invalid else "SUSPECT" if unawaited or suspect else "VALID"
    # The mistake in the script leads: what was to be measured has not happened.
    found = unawaited + invalid + suspect
    reasons = tuple(reason for reason, _ in found) or (_valid_reason(evidence),)
    return Verdict(state, reasons, found[0][1] if found else "", limit_of(evidence))


def _invalid(evidence: Evidence) -> list[tuple[str, str]]:
    found = []
    for kind, (reason, remedy) in GENERATOR_ERRORS.items():
        if count := evidence.errors.get(kind, 0):
            found.append((f"{reason} ({format_count(count)} requests)", remedy))
    for worker in evidence.workers:
        if evidence.open_model and worker.saturated_s >= SATURATED_S:
            found.append(
                (
                    f"worker {worker.index} was over {SATURATED_CPU_PERCENT:.0f}% CPU for {worker.saturated_s} s "
                    f"(mean {worker.mean_cpu_percent:.0f}%)",
                    "lower the rate, or add workers or machines",
                )
            )
        stalled = worker.lag_max_ms > STALL_MS
        if stalled and worker.stalls:
            found.append(_stall(worker))
        if worker.run_delay_share > RUN_DELAY_SHARE:
            found.append(
                (
                    f"worker {worker.index} waited for a CPU {format_percent(worker.run_delay_share)} of the time",
                    "leave the workers a CPU of their own: fewer workers (-w), or the target on another machine",
                )
            )
        if stalled and not worker.stalls:
            # A worker that waits for a CPU stalls too. The wait is the cause then, so its reason comes first.
            found.append(_stall(worker))
    return found


def _unawaited(evidence: Evidence) -> list[tuple[str, str]]:
    """Return the reason that calls of the script did nothing, because an ``await`` is missing; empty without one."""
    lines: Counter[str] = Counter()
    for worker in evidence.workers:
        lines.update(worker.unawaited)
    if not lines:
        return []
    named = "; ".join(
        f"{line}, {format_number_of(count, 'time')}" for line, count in lines.most_common(_PLACES_AT_MOST)
    )
    return [(f"calls without await did nothing: {named}", "write await before them, and run it again")]


def _stall(worker: WorkerEvidence) -> tuple[str, str]:
    """Return the reason and the remedy for a stalled event loop, with the lines that blocked it if they are known."""
    text = f"the event loop of worker {worker.index} stood still for {format_ms(worker.lag_max_ms)}"
    if not worker.stalls:
        return text, "look for blocking calls in the scenario (time.sleep, file reads, heavy computing)"
    places = sorted(worker.stalls.items(), key=lambda item: -item[1])[:_PLACES_AT_MOST]
    named = "; ".join(f"{place}, {format_ms(stalled_ms)}" for place, stalled_ms in places)
    return f"{text}: a blocking call in {named}", "await instead: vu.sleep for time.sleep, vu.get for requests.get"


def _suspect(evidence: Evidence) -> list[tuple[str, str]]:
    found = [
        (f"worker {worker.index} was lost; what it had delivered is counted", "see the errors for what it said last")
        for worker in evidence.workers
        if worker.lost
    ]
    if evidence.task_exceptions:
        raised = format_number_of(evidence.task_exceptions, "exception")
        found.append((f"{raised} in tasks that the script started and did not await", "see the exceptions"))
    counts = evidence.counts
    if not counts.ended and not evidence.iterations:
        found.append(_nothing_ended(evidence))
    elif not counts.ended and not evidence.recorded_itself:
        found.append(
            (
                f"nothing was measured: {format_number_of(evidence.iterations, 'iteration')} ended without a request "
                "of the VU, a measured call, a WebSocket, a check or a value of a metric",
                "send requests with the VU (vu.get, not requests.get), or put what another client does into fl.measure",
            )
        )
    if counts.ended and counts.failed == counts.ended:
        every = f"every {counts.noun.removesuffix('s')} failed"
        found.append((f"{every}: nothing below says how fast a working target is", "see the errors"))
    if evidence.open_model:
        found += _suspect_open(evidence)
    else:
        busy = [worker for worker in evidence.workers if worker.mean_cpu_percent >= SATURATED_CPU_PERCENT]
        if busy:
            names = "worker" + ("s" if len(busy) > 1 else "") + " " + ", ".join(str(worker.index) for worker in busy)
            mean = sum(worker.mean_cpu_percent for worker in busy) / len(busy)
            found.append(
                (
                    f"{names} at {mean:.0f}% CPU: the rate of {counts.pace} is "
                    "the result, the latencies include the generator's own queue",
                    "for latencies, run at a fixed rate below this one: -r/--rate",
                )
            )
    return found


def _nothing_ended(evidence: Evidence) -> tuple[str, str]:
    """Return the reason and the remedy for a run in which neither a request nor an iteration ended."""
    if evidence.interrupted:
        count, noun, remedy = evidence.interrupted, "request", "run longer than a request takes, or lower --timeout"
    elif evidence.iterations_interrupted:
        count, noun, remedy = evidence.iterations_interrupted, "iteration", "run longer than an iteration takes"
    else:
        return "nothing was measured: no request and no iteration ended", "see what kept the load from starting"
    begun = f"{format_number_of(count, noun)} {'was' if count == 1 else 'were'} under way when the run ended"
    return f"nothing was measured: {begun}, and none had ended before", remedy


def _suspect_open(evidence: Evidence) -> list[tuple[str, str]]:
    found = []
    late_ms, p50_ms = evidence.lateness_p99_ms, evidence.response_p50_ms or 0.0
    more = "raise -c/--connections" if evidence.bench else "raise --max-vus"
    bound_ms = max(LATENESS_FLOOR_MS, LATENESS_SHARE_OF_P50 * p50_ms)
    if late_ms is not None and late_ms > bound_ms:
        found.append(
            (
                f"starts were late: p99 {format_ms(late_ms)}, over {format_ms(bound_ms)}",
                f"the response times count it; lower the rate, {more}, or add workers",
            )
        )
    if evidence.offered and evidence.started < ACHIEVED_SHARE * evidence.offered:
        found.append(
            (
                f"only {format_percent(evidence.started / evidence.offered)} of the offered load was started "
                f"({format_count(evidence.started)} of {format_count(evidence.offered)})",
                f"lower the rate, or {more}",
            )
        )
    if evidence.dropped:
        found.append((f"{format_count(evidence.dropped)} iterations were dropped", more))
    return found


def _valid_reason(evidence: Evidence) -> str:
    parts = []
    if evidence.workers:
        parts.append(f"worker CPU at most {max(worker.max_cpu_percent for worker in evidence.workers):.0f}%")
        parts.append(f"longest loop stall {format_ms(max(worker.lag_max_ms for worker in evidence.workers))}")
    if evidence.open_model and evidence.offered:
        parts.append(f"{format_percent(evidence.started / evidence.offered)} of the offered load started")
    if evidence.lateness_p99_ms is not None:
        parts.append(f"lateness p99 {format_ms(evidence.lateness_p99_ms)}")
    return "the generator kept up" + (": " + ", ".join(parts) if parts else "")


def limit_of(evidence: Evidence) -> str:
    """Return a sentence that says what limited the run, with the numbers behind it."""
    generator = max((worker.mean_cpu_percent for worker in evidence.workers), default=0.0)
    target = evidence.target_cpu_percent
    numbers = f"busiest worker {generator:.0f}% CPU, target " + ("not sampled" if target is None else f"{target:.0f}%")
    counts = evidence.counts
    if not counts.ended and evidence.recorded_itself:
        return f"Not known: no request was measured, only checks and metrics of the script ({numbers})."
    if not counts.ended:
        return f"Nothing was measured: no request ended ({numbers})."
    for kind, (reason, _) in GENERATOR_ERRORS.items():
        if evidence.errors.get(kind):
            return f"The generator was the limit: {reason.removeprefix('the generator ')} ({numbers})."
    if counts.failed == counts.ended:
        kind = max(evidence.errors, key=lambda name: evidence.errors[name], default="")
        why = f", most with {kind}" if kind else ""
        return (
            f"The target gave no good answer: all {format_count(counts.ended)} {counts.noun} failed{why} ({numbers})."
        )
    if generator >= SATURATED_CPU_PERCENT:
        also = target is not None and target >= SATURATED_CPU_PERCENT * max(1, evidence.target_cpus)
        return (
            f"The generator and the target were both at their limit ({numbers})."
            if also
            else f"The generator was the limit: this machine cannot send more with these workers ({numbers})."
        )
    if target is not None and target >= SATURATED_CPU_PERCENT:
        full = evidence.target_cpus and target >= SATURATED_CPU_PERCENT * evidence.target_cpus
        return (
            f"The target was the limit: its CPUs were full ({numbers})."
            if full
            else f"The target was probably the limit: it used a whole core, as much as one thread can ({numbers})."
        )
    if evidence.host_cpu_percent is not None and evidence.host_cpu_percent >= SATURATED_CPU_PERCENT:
        return f"The machine was the limit: its CPUs were {evidence.host_cpu_percent:.0f}% busy ({numbers})."
    if (evidence.target_run_delay or 0.0) > TARGET_RUN_DELAY_MAX:
        return (
            f"The machine was the limit: the target waited for a CPU {evidence.target_run_delay:.0%} of the time "
            f"({numbers}); give it CPUs of its own."
        )
    if evidence.open_model and evidence.started < ACHIEVED_SHARE * evidence.offered:
        return (
            f"The concurrency was the limit: all {format_number_of(evidence.vus, 'VU')} were busy while starts waited "
            f"({numbers}); the target is slow to answer, or there are too few VUs."
        )
    if evidence.open_model:
        return f"Nothing was at its limit: the offered rate was served at {counts.pace} ({numbers})."
    return (
        f"The concurrency was the limit: {format_number_of(evidence.vus, 'VU')} waiting for responses or pausing make "
        f"{counts.pace} ({numbers}); add VUs for more."
    )
