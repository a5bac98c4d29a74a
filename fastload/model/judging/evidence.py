"""Evidence for the verdict: what was measured of the generator, the load and the target in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fastload.model.judging.littles_law import LittlesLaw
from fastload.model.judging.resource_evidence import MachineUse, TargetUse
from fastload.model.judging.stalls import StallCause, Stalls
from fastload.model.resources import Spans
from fastload.model.units import format_number_of

SATURATED_CPU_PERCENT = 90.0
"""CPU from which on a core counts as fully used."""
JUDGED_PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class WorkerEvidence:
    """Evidence about one worker.

    *cpu_percent* has one value for each second (100 = one core). *run_delay_share* is the share of the time in which
    the worker was ready to run and waited for a CPU. *rss_bytes* is its peak memory. *lost*: the worker died early.
    *held*: a signal (SIGSTOP) has stopped it, and nothing has continued it.
    *unawaited* maps lines of the script to the number of coroutines that they made and never awaited.

    Of its event loop: *watched_ms* is the time that was watched, *late_ms* how late it was altogether, by cause (see
    `StallCause`), *waited_ms* how long events waited for it (see `StallTable`), *lag_max_ms* the longest stall, and
    *stalls* those of 25 ms and more, which took *stalled_ms*, and those of 5 ms and more by a line of the script.
    """

    index: int
    cpu_percent: tuple[float, ...] = ()
    lag_max_ms: float = 0.0
    run_delay_share: float = 0.0
    rss_bytes: int = 0
    lost: bool = False
    held: bool = False
    unawaited: Mapping[str, int] = field(default_factory=dict)
    watched_ms: float = 0.0
    late_ms: Mapping[str, float] = field(default_factory=dict)
    waited_ms: Mapping[str, float] = field(default_factory=dict)
    stalled_ms: float = 0.0
    stalls: tuple[Stalls, ...] = ()

    @property
    def mean_cpu_percent(self) -> float:
        return sum(self.cpu_percent) / len(self.cpu_percent) if self.cpu_percent else 0.0

    @property
    def max_cpu_percent(self) -> float:
        return max(self.cpu_percent, default=0.0)

    @property
    def saturated_s(self) -> int:
        """Number of seconds in which it used `SATURATED_CPU_PERCENT` or more."""
        return sum(percent >= SATURATED_CPU_PERCENT for percent in self.cpu_percent)

    @property
    def saturated_share(self) -> float:
        """Share of the seconds in which it used its whole core."""
        return self.saturated_s / len(self.cpu_percent) if self.cpu_percent else 0.0

    @property
    def stalled_share(self) -> float:
        """Share of the watched time in which the event loop stood still for over 25 ms at once."""
        return self.stalled_ms / self.watched_ms if self.watched_ms else 0.0

    @property
    def late_share(self) -> float:
        """Share of the watched time by which the event loop was late, in stalls of any length."""
        return sum(self.late_ms.values()) / self.watched_ms if self.watched_ms else 0.0


class MainCounts(NamedTuple):
    """Counts of the main work of a run: how many of *noun* *ended* and *failed*.

    *pace* is the rate as text, like ``1,000 requests/s``.
    """

    noun: str
    ended: int
    failed: int
    pace: str

    @property
    def failed_share(self) -> float:
        return self.failed / self.ended if self.ended else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence of one run. Times are in ms; None, or no entry, where nothing was measured.

    - Load: *offered* counts the starts that were due, *started* the starts that happened, *queued* those that waited
      for a free VU (open model; 0 in a closed model). *offered_per_s* is the mean of the rate. *is_mixed*: there are
      closed scenarios beside open ones. *bench*: the VUs are the connections of ``fastload bench``. All rates leave out
      what ended after the last possible start.
      *vus_without_data* counts VUs that ended because no data was left for their ``on_start``.
    - Work: *calls* are measured calls of the script, *sessions* are WebSocket sessions; a run may have these instead of
      requests. *recorded_itself*: the script has recorded checks or values of its own metrics. *iterations_failed*
      counts the iterations that raised; *iterations* has those that did not. *interrupted* counts
      requests, *iterations_interrupted* iterations that were under way when the run ended. *task_exceptions* counts the
      exceptions of tasks that the script started and did not await. *iteration_mean_ms* is the mean time that a VU is
      busy with one iteration. *backlog_grew*: more and more requests waited for their response or for a VU, until the
      end.
    - Times: *response_ms*, *lateness_ms* and *own_delay_ms* have the percentiles 50, 95 and 99 of the headline, of the
      lateness of starts, and of what the event loops added. *response_count* is the number of values of the headline.
      *response_of* is the trend that stands in for a headline with too few values; "" for the headline.
      *quickest_ms* and *median_ms* are of the requests alone.
    - The generator: *throttled_share* is the share of the time for which its cgroup was out of its CPU quota.
      *littles_law* has both sides of the check on its own numbers; None if no request was answered.
    - The target: *target_cpu_percent* is the mean, 100 = one core; *target_cpus* is the number of cores that it may
      use; *target_run_delay* is the mean time in which threads of it were ready and waited for a CPU, per wall time.
      *target_ended_s*: when its processes had ended, in seconds of the run. *target_ran_s*: from when to when they ran,
      if that was not all the time. *connections_dropped* counts what this machine's accept queues had no room for.
      *target_use* has what else was measured of its processes.
    - *retry_after* counts the responses with a status of 429 or 503 that said when to try again (Retry-After).
    - *host_cpu_percent* is the mean of the host, *machine_use* has what else was measured of it.
    """

    open_model: bool
    requests: int
    failed: int
    requests_per_s: float
    vus: int
    vus_without_data: int = 0
    iterations: int = 0
    iterations_failed: int = 0
    iterations_per_s: float = 0.0
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
    iteration_mean_ms: float | None = None
    workers: tuple[WorkerEvidence, ...] = ()
    offered: int = 0
    offered_per_s: float = 0.0
    is_mixed: bool = False
    started: int = 0
    queued: int = 0
    dropped: int = 0
    backlog_grew: bool = False
    response_ms: Mapping[int, float] = field(default_factory=dict)
    response_count: int = 0
    response_of: str = ""
    lateness_ms: Mapping[int, float] = field(default_factory=dict)
    own_delay_ms: Mapping[int, float] = field(default_factory=dict)
    quickest_ms: float | None = None
    median_ms: float | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    throttled_share: float = 0.0
    littles_law: LittlesLaw | None = None
    target_cpu_percent: float | None = None
    target_cpus: int = 0
    target_run_delay: float | None = None
    target_ended_s: float | None = None
    target_ran_s: Spans = ()
    target_use: TargetUse = field(default_factory=TargetUse)
    connections_dropped: int = 0
    retry_after: int = 0
    host_cpu_percent: float | None = None
    machine_use: MachineUse = field(default_factory=MachineUse)

    @property
    def counts(self) -> MainCounts:
        """Counts of the requests; in a run without requests, of the measured calls or else the WebSocket sessions."""
        if self.calls and not self.requests:
            return MainCounts("calls", self.calls, self.calls_failed, f"{format_number_of(self.calls_per_s, 'call')}/s")
        if self.sessions and not self.requests:
            pace = f"{format_number_of(self.messages_per_s, 'message')}/s"
            return MainCounts("WebSocket sessions", self.sessions, self.sessions_failed, pace)
        return MainCounts(
            "requests", self.requests, self.failed, f"{format_number_of(self.requests_per_s, 'request')}/s"
        )

    @property
    def ended_per_s(self) -> float:
        """Rate of the iterations that ended, to be held against the offered rate; for ``bench`` that of requests."""
        return self.requests_per_s if self.bench else self.iterations_per_s

    @property
    def busiest_percent(self) -> float:
        """Mean CPU of the busiest worker."""
        return max((worker.mean_cpu_percent for worker in self.workers), default=0.0)

    @property
    def stalled_share(self) -> float:
        """Largest share of the time in which the event loop of a worker stood still."""
        return max((worker.stalled_share for worker in self.workers), default=0.0)

    def late_ms(self, cause: StallCause) -> float:
        """Return how late the event loops of all workers were for one cause, added up."""
        return sum(worker.late_ms.get(cause, 0.0) for worker in self.workers)

    def waited_ms(self, cause: StallCause) -> float:
        """Return how long events waited for the event loops of all workers for one cause, added up."""
        return sum(worker.waited_ms.get(cause, 0.0) for worker in self.workers)
