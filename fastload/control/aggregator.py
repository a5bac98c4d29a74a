"""Merges the deltas of all workers: totals of the run, and the window since the last snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from fastload.model.metrics import Series
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import CounterSink, SeriesTable, TrendSink

_STATES = ("vus", "in_flight", "lag_max_us")


@dataclass(slots=True)
class WorkerTotals:
    """What one worker delivered. ``stats`` sums its counts and holds its last states; *lost* when it died early."""

    next_seq: int = 0
    stats: WorkerStats = field(default_factory=WorkerStats)
    lost: bool = False
    done: bool = False
    reason: str = ""
    usage: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Window:
    """What came since the last `Aggregator.take_window`."""

    requests: int = 0
    failed: int = 0
    duration: TrendSink = field(default_factory=TrendSink)


class Aggregator:
    """The state of the run so far. Adding is exact, and a delta that comes twice counts once.

    ``late``: how much of each counter came after the last start was possible.
    """

    def __init__(self, workers: int) -> None:
        self.table = SeriesTable()
        self.errors = ErrorTable()
        self.exceptions = ErrorTable()
        self.workers = {index: WorkerTotals() for index in range(workers)}
        self.late: dict[str, float] = {}
        self._window = Window()

    def add(self, delta: Delta) -> None:
        """Merge *delta*, unless its sequence number was merged already."""
        worker = self.workers[delta.worker]
        if delta.seq < worker.next_seq:
            return
        worker.next_seq = delta.seq + 1
        vus = worker.stats.vus
        _add_stats(worker.stats, delta.stats)
        if delta.late:
            # Who only ends an iteration is no user any more; the last figure stays that of the load.
            worker.stats.vus = vus
        self.table.merge(delta.table)
        self.errors.merge(delta.errors)
        self.exceptions.merge(delta.exceptions)
        if delta.late:
            for series, sink in delta.table.sinks.items():
                if isinstance(sink, CounterSink) and not series.tags:
                    self.late[series.metric] = self.late.get(series.metric, 0) + sink.value
        # Warm-up requests are in no metric, but who watches wants to see that something goes on.
        self._window.requests += delta.stats.finished + delta.stats.failed + delta.stats.warmup
        self._window.failed += delta.stats.failed
        if duration := delta.table.get(self.headline(delta.table)):
            self._window.duration.merge(duration)

    def lose(self, worker: int, reason: str) -> None:
        """*worker* died before it was done: what it delivered is kept, its VUs are gone."""
        totals = self.workers[worker]
        totals.lost, totals.reason = True, reason
        totals.stats.vus = 0

    def take_window(self) -> Window:
        """The window so far; the next one begins."""
        window, self._window = self._window, Window()
        return window

    def total(self, name: str) -> int:
        """The sum over workers of a field of `WorkerStats`."""
        return sum(getattr(worker.stats, name) for worker in self.workers.values())

    def update_gauges(self, max_vus: int) -> None:
        """Set ``vus`` to what runs now, and ``vus_max`` to the most there can be."""
        self.table.gauge(Series("vus")).set(self.total("vus"))
        self.table.gauge(Series("vus_max")).set(max_vus)

    @staticmethod
    def headline(table: SeriesTable) -> str:
        """The latency to show first: from the due time in an open model, else from when it was sent."""
        return "http_req_response_time" if table.get("http_req_response_time") else "http_req_duration"


def _add_stats(total: WorkerStats, delta: WorkerStats) -> None:
    for item in fields(WorkerStats):
        if item.name not in _STATES:
            setattr(total, item.name, getattr(total, item.name) + getattr(delta, item.name))
    total.vus, total.in_flight = delta.vus, delta.in_flight
    total.lag_max_us = max(total.lag_max_us, delta.lag_max_us)
