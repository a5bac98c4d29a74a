"""Aggregator: merges the deltas of all workers into the totals of the run and the window since the last snapshot."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from fastload.model.judging.stalls import StallTable
from fastload.model.metrics import BUILTIN, MAX_NAMES, OTHER_NAME, OTHER_TAGS, Series
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.results import REQUEST_NAMES
from fastload.model.series import CounterValue, SeriesTable, TrendValue

T = TypeVar("T")

_NAME_KINDS = {"name": REQUEST_NAMES, "check": "names of checks", "group": "names of groups"}
_NOT_SUMMED = ("vus", "vus_peak", "in_flight", "in_flight_peak", "lag_max_us")
# A delta may come some time after the end of its second; by then the next one may be there as well.
_KNOWN_SECONDS = 8
# Workers that stop this close to each other stop together.
_TOGETHER_NS = 100_000_000


@dataclass(slots=True)
class WorkerTotals:
    """Totals of one worker.

    *next_seq*: the lowest sequence number that is not merged yet. *stats*: the sums of its counts, its latest ``vus``
    and ``in_flight``, its highest ``vus_peak`` since the last gauges, and its highest ``lag_max_us`` and
    ``in_flight_peak``. *vus*: its latest numbers of active VUs, as (monotonic time, VUs). *lost*: it died before it was
    done; *reason* says how. *usage*: the body of its ``done`` frame. *stalls*: all stalls of its event loop.
    """

    next_seq: int = 0
    stats: WorkerStats = field(default_factory=WorkerStats)
    vus: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_KNOWN_SECONDS))
    lost: bool = False
    done: bool = False
    reason: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    stalls: StallTable = field(default_factory=StallTable)

    def vus_at(self, at_ns: int, near_ns: int = 0) -> int:
        """Return the active VUs at *at_ns*, by the last delta until then; or the most within *near_ns* before it."""
        known = [(known_ns, vus) for known_ns, vus in self.vus if known_ns <= at_ns]
        near = [vus for known_ns, vus in known if known_ns > at_ns - near_ns]
        return max(near) if near else known[-1][1] if known else 0


@dataclass(slots=True)
class Window:
    """Measurements since the last `Aggregator.take_window`.

    *tables*: one table per delta; `Aggregator.take_window` merges them into *table*. *windowed*: the series that the
    aggregator watches, without late values (see `Delta`). *in_time*: whether a delta came that was not late.
    *lag_max_us*: by worker. *late*: the late part of each counter, by `Series.label`.
    """

    requests: int = 0
    failed: int = 0
    offered: int = 0
    duration: TrendValue = field(default_factory=TrendValue)
    table: SeriesTable = field(default_factory=SeriesTable)
    windowed: SeriesTable = field(default_factory=SeriesTable)
    errors: ErrorTable = field(default_factory=ErrorTable)
    exceptions: ErrorTable = field(default_factory=ErrorTable)
    lag_max_us: dict[int, int] = field(default_factory=dict)
    points: list[Any] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)
    in_time: bool = False
    tables: list[SeriesTable] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the window has no values, errors or exceptions. Valid only before it is taken."""
        return not (any(table.series_values for table in self.tables) or self.errors.entries or self.exceptions.entries)

    def add(self, delta: Delta, table: SeriesTable) -> None:
        """Add *delta*. *table* is its table with limited names; from now on it belongs to the window."""
        # Warm-up requests count in no metric, but live displays must show that requests are made.
        self.requests += delta.stats.finished + delta.stats.failed + delta.stats.warmup
        self.failed += delta.stats.failed
        self.offered += delta.stats.offered
        # `take_window` merges the tables in one step. That keeps trends sparse: most have a few dozen values a second.
        self.tables.append(table)
        self.errors.merge(delta.errors)
        self.exceptions.merge(delta.exceptions)
        self.lag_max_us[delta.worker] = max(self.lag_max_us.get(delta.worker, 0), delta.stats.lag_max_us)
        self.points.extend(delta.points)


class Aggregator:
    """Merged state of the run so far. Merging is exact, and a delta that comes twice counts once.

    *threshold_series*: the series of thresholds; the limit on names does not apply to their names. *windowed*: the
    series that `Window.windowed` keeps. *headline*: the trend that `Window.duration` has. ``late``: the late part of
    each counter (after the last possible start), by `Series.label`.
    """

    def __init__(
        self,
        workers: int,
        *,
        windowed: frozenset[Series] = frozenset(),
        threshold_series: frozenset[Series] = frozenset(),
        headline: str = "http_req_duration",
    ) -> None:
        self.table = SeriesTable()
        self.errors = ErrorTable()
        self.exceptions = ErrorTable()
        self.workers = {index: WorkerTotals() for index in range(workers)}
        self.late: dict[str, float] = {}
        self._window = Window()
        self._windowed = windowed
        self._headline = headline
        self._names = _NameLimit(threshold_series)

    @property
    def over_limit(self) -> tuple[str, ...]:
        """Kinds of names that went over `MAX_NAMES`, like "request names" or "tags of orders"; see `OTHER_NAME`."""
        return tuple(self._names.over_limit)

    def add(self, delta: Delta) -> None:
        """Merge *delta*, unless its sequence number was merged already."""
        worker = self.workers[delta.worker]
        if delta.seq < worker.next_seq:
            return
        worker.next_seq = delta.seq + 1
        _add_stats(worker.stats, delta.stats)
        worker.stalls.merge(delta.stalls)
        worker.vus.append((delta.at_ns, delta.stats.vus))
        table = self._names.limit_names(delta.table)
        self.table.merge(table)
        self.errors.merge(delta.errors)
        self.exceptions.merge(delta.exceptions)
        if delta.late:
            for series, series_value in table.series_values.items():
                if isinstance(series_value, CounterValue):
                    for late in (self.late, self._window.late):
                        late[series.label] = late.get(series.label, 0) + series_value.value
        else:
            self._window.in_time = True
            windowed = {
                series: table.series_values[series] for series in self._windowed if series in table.series_values
            }
            self._window.windowed.merge(SeriesTable(windowed))
        if duration := table.get(self._headline):
            self._window.duration.merge(duration)
        self._window.add(delta, table)

    def lose(self, worker: int, reason: str) -> None:
        """Mark *worker* as lost: it died before it was done. Its measurements are kept, its VUs become 0."""
        totals = self.workers[worker]
        totals.lost, totals.reason = True, reason
        totals.stats.vus = totals.stats.vus_peak = 0
        totals.vus.clear()

    def take_window(self) -> Window:
        """Return the current window and begin the next one."""
        window, self._window = self._window, Window()
        window.table, window.tables = SeriesTable.merged(window.tables or [window.table]), []
        return window

    @property
    def has_window(self) -> bool:
        """Whether anything was measured since the last `take_window`."""
        return not self._window.is_empty

    def total(self, name: str) -> int:
        """Return the sum of a field of `WorkerStats` over all workers."""
        return sum(getattr(worker.stats, name) for worker in self.workers.values())

    def vus_at(self, at_ns: int, *, at_end: bool = False) -> int:
        """Return the active VUs at *at_ns* (monotonic), over all workers.

        *at_end*: it is the end of the load, where the workers stop within some milliseconds. Those that stop first
        count with the VUs that they had.
        """
        return sum(worker.vus_at(at_ns, _TOGETHER_NS if at_end else 0) for worker in self.workers.values())

    def take_vus_peak(self) -> int:
        """Return the sum of the workers' largest numbers of VUs at once since the last call."""
        peak = self.total("vus_peak")
        for worker in self.workers.values():
            worker.stats.vus_peak = 0
        return peak

    def update_gauges(self, vus: int, max_vus: int) -> None:
        """Set ``vus`` to *vus*, the active VUs, and ``vus_max`` to *max_vus*, the highest possible number.

        The greatest value of ``vus`` is that of the whole second: the workers' largest numbers at once, summed.
        """
        peak = max(vus, self.take_vus_peak())
        of_window = SeriesTable()
        self._window.tables.append(of_window)
        for series, values in ((Series("vus"), (peak, vus)), (Series("vus_max"), (max_vus,))):
            gauges = [self.table.gauge(series), of_window.gauge(series)]
            if series in self._windowed:
                gauges.append(self._window.windowed.gauge(series))
            for gauge in gauges:
                for value in values:
                    gauge.set(value)


class _NameLimit:
    """Limit on the names of all workers together; each worker has the same limit. *threshold_series* are exempt."""

    def __init__(self, threshold_series: frozenset[Series]) -> None:
        self._threshold_series = threshold_series
        self._known: dict[str, set[Any]] = {}
        self._wanted = {pair for series in threshold_series for pair in series.tags}
        self.over_limit: dict[str, None] = {}

    def limit_names(self, table: SeriesTable) -> SeriesTable:
        """Return *table* with the series of names beyond `MAX_NAMES` merged under `OTHER_NAME`."""
        renamed = {
            series: new
            for series in table.series_values
            if series.tags and (new := self._limited(series)) is not series
        }
        if not renamed:
            return table
        bounded = SeriesTable(
            {series: series_value for series, series_value in table.series_values.items() if series not in renamed}
        )
        for series, new in renamed.items():
            bounded.merge(SeriesTable({new: table.series_values[series]}))
        return bounded

    def _limited(self, series: Series) -> Series:
        if series.is_kept:
            tags = tuple((key, self._admit_name(key, value)) for key, value in series.tags)
            return series if tags == series.tags else Series(series.metric, tags)
        if series.metric in BUILTIN or series in self._threshold_series:
            return series
        tags = self._admit(f"tags of {series.metric}", series.tags, OTHER_TAGS)
        return series if tags == series.tags else Series(series.metric, tags)

    def _admit_name(self, key: str, value: str) -> str:
        if key not in _NAME_KINDS or (key, value) in self._wanted:
            return value
        return self._admit(_NAME_KINDS[key], value, OTHER_NAME)

    def _admit(self, name_kind: str, name: T, other: T) -> T:
        """Return *name*, or *other* if its *crowd* (a kind of names) is full."""
        known = self._known.setdefault(name_kind, set())
        if name in known:
            return name
        if name != other and len(known) < MAX_NAMES:
            known.add(name)
            return name
        self.over_limit[name_kind] = None
        return other


def _add_stats(total: WorkerStats, delta: WorkerStats) -> None:
    for item in fields(WorkerStats):
        if item.name not in _NOT_SUMMED:
            setattr(total, item.name, getattr(total, item.name) + getattr(delta, item.name))
    total.vus, total.in_flight = delta.vus, delta.in_flight
    total.vus_peak = max(total.vus_peak, delta.vus_peak)
    total.lag_max_us = max(total.lag_max_us, delta.lag_max_us)
    total.in_flight_peak = max(total.in_flight_peak, delta.in_flight_peak)
