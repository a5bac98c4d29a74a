"""Snapshot maker: makes the snapshot of each second from the aggregator, the samplers and the threshold judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fastload.control.aggregator import Aggregator, Window
from fastload.control.sampling.samplers import Samplers
from fastload.control.summary_builder import SummaryBuilder
from fastload.control.threshold_judge import ThresholdJudge
from fastload.model.judging.verdict import Verdict
from fastload.model.plan import Plan
from fastload.model.records import Event, Snapshot
from fastload.model.schedule import NS_PER_S
from fastload.model.views import MetricView

# A verdict reads the samples of all seconds so far. So the first 1000 snapshots each get a new verdict, the next 1000
# only every second one, then every third one, and so on.
SNAPSHOTS_PER_VERDICT_STEP = 1000
# Delay of a snapshot after the workers' whole second: by then their deltas have come.
SNAPSHOT_LAG_S = 0.2


class WindowTime(NamedTuple):
    """The end of a window on the monotonic clock, and its length in seconds."""

    end_ns: int
    span_s: float


class SnapshotTime(NamedTuple):
    """Time of a snapshot, and the state of the run at that time.

    *t_s*: the end of the time that the received deltas cover. *time_ns*: the same moment on the wall clock.
    *elapsed_s*: now. *t_s* and *elapsed_s* count from the common start without pauses. *span_s*: the window's length.
    """

    t_s: float
    elapsed_s: float
    span_s: float
    time_ns: int
    phase: str
    progress: float
    message: str
    workers_alive: int


class SnapshotMaker:
    """Maker of one snapshot per second: samples, takes the window, and judges the thresholds.

    ``last_rate``: requests per second in the last window. ``last_ns``: the time of the last snapshot (monotonic).
    """

    def __init__(
        self, plan: Plan, aggregator: Aggregator, samplers: Samplers, judge: ThresholdJudge, summary: SummaryBuilder
    ) -> None:
        self._plan = plan
        self._aggregator = aggregator
        self._samplers = samplers
        self._judge = judge
        self._summary = summary
        self._events: list[Event] = []
        self._phase = ""
        self._made = 0
        self._verdict: Verdict | None = None
        self._start_ns = self._covered_ns = 0
        self._vus = 0
        self.last_ns = 0
        self.last_rate = 0.0

    def start(self, start_ns: int) -> None:
        """Begin the first window at *start_ns*, the common start (monotonic)."""
        self._start_ns = self._covered_ns = self.last_ns = start_ns

    def next_window(self, now_ns: int, ended_ns: Mapping[int, int] | None) -> WindowTime | None:
        """Return the window from the end of the last one to the workers' last whole second; None if it is too short.

        *ended_ns*, the last possible start of each worker, is given when the load is over. Then the window ends at the
        latest of these. If it would be too short but there are measurements, it ends at *now_ns*: so all windows
        together have all measurements.
        """
        is_last = ended_ns is not None
        end_ns = now_ns - (now_ns - self._start_ns) % NS_PER_S
        if ended_ns is not None:
            end_ns = max(ended_ns.values(), default=now_ns)
        if end_ns - self._covered_ns < SNAPSHOT_LAG_S * NS_PER_S and self._samplers.host_samples:
            # Too short for figures per second.
            if not (is_last and self._aggregator.has_window):
                return None
            end_ns = now_ns
        span_s = max((end_ns - self._covered_ns) / NS_PER_S, 1e-3)
        self._covered_ns, self.last_ns = end_ns, now_ns
        self._vus = self._aggregator.vus_at(end_ns, at_end=is_last and end_ns != now_ns)
        return WindowTime(end_ns, span_s)

    def note(self, t_s: float, kind: str, text: str) -> None:
        """Add an event to the next snapshot."""
        self._events.append(Event(round(max(t_s, 0.0), 3), kind, text))

    def make(self, moment: SnapshotTime, live_workers: Mapping[int, int], max_vus: int) -> Snapshot:
        """Return the snapshot of the window that ends at *moment*. *live_workers*: PIDs of living workers, by index."""
        aggregator, samplers = self._aggregator, self._samplers
        samplers.sample(live_workers)
        measured_s = moment.t_s - self._plan.warmup_s
        if measured_s > 0:
            aggregator.update_gauges(self._vus, max_vus)
        else:
            # The warm-up counts in no metric.
            aggregator.take_vus_peak()
        window = aggregator.take_window()
        if window.in_time:
            self._summary.add_second()
            host = samplers.host_samples[-1]
            self._judge.add_second(window.windowed, measured_s, host, samplers.last_workers, samplers.last_target)
        views = self._summary.views(measured_s)
        self.last_rate = window.requests / moment.span_s
        if moment.phase != self._phase:
            # A phase begins with the event that caused it; without an event, at the start of the window.
            since_s = self._events[-1].t_s if self._events else moment.t_s - moment.span_s
            self.note(since_s, "phase", moment.phase)
            self._phase = moment.phase
        events, self._events = tuple(self._events), []
        snapshot = self._snapshot(moment, window, views, events)
        self._summary.cost.add(snapshot)
        return snapshot

    def _snapshot(
        self, moment: SnapshotTime, window: Window, views: Mapping[str, MetricView], events: tuple[Event, ...]
    ) -> Snapshot:
        aggregator, samplers = self._aggregator, self._samplers
        p50_ms, p95_ms, p99_ms = (_ms(window.duration.quantile(q)) for q in (0.5, 0.95, 0.99))
        return Snapshot(
            elapsed_s=moment.elapsed_s,
            progress=moment.progress,
            phase=moment.phase,
            vus=self._vus,
            in_flight=aggregator.total("in_flight"),
            requests=aggregator.total("finished") + aggregator.total("failed"),
            failed=aggregator.total("failed"),
            requests_per_s=self.last_rate,
            failed_per_s=window.failed / moment.span_s,
            iterations=self._summary.iterations(),
            p50_ms=p50_ms,
            p95_ms=p95_ms,
            p99_ms=p99_ms,
            workers_alive=moment.workers_alive,
            workers_lost=sum(worker.lost for worker in aggregator.workers.values()),
            worker_cpu_percent=tuple(one[-1].cpu_percent for one in samplers.worker_samples.values() if one),
            host=samplers.host_samples[-1],
            target=samplers.last_target,
            thresholds=self._judge.results(views),
            message=moment.message,
            t_s=moment.t_s,
            time_ns=moment.time_ns,
            span_s=moment.span_s,
            table=window.table,
            errors=window.errors,
            exceptions=window.exceptions,
            offered=window.offered,
            late=window.late,
            workers=samplers.last_workers,
            lag_max_ms=tuple(window.lag_max_us.get(index, 0) / 1000 for index in aggregator.workers),
            events=events,
            points=tuple(window.points),
            verdict=self._verdict_so_far(views),
        )

    def _verdict_so_far(self, views: Mapping[str, MetricView]) -> Verdict:
        self._made += 1
        if self._verdict is None or self._made % (1 + self._made // SNAPSHOTS_PER_VERDICT_STEP) == 0:
            self._verdict = self._summary.verdict(views, self._summary.workers())
        return self._verdict


def _ms(value_us: int | None) -> float | None:
    return None if value_us is None else value_us / 1000
