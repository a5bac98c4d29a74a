"""Replay of a run from its seconds: totals and a summary for a run without a summary of its own, or not yet ended."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from fastload.model.cost.cost_meter import CostMeter
from fastload.model.judging.evidence import Evidence, WorkerEvidence
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict, judge_run
from fastload.model.load_changes import KIND, MOST_CHANGES, LoadChange
from fastload.model.records import KINDS_OF_ERRORS, TYPES_OF_EXCEPTIONS, ErrorTable, Snapshot
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries
from fastload.model.results import (
    collect_calls,
    collect_checks,
    collect_endpoints,
    collect_groups,
    collect_scenarios,
    names_note,
)
from fastload.model.run_header import RunHeader
from fastload.model.saved.saved_plan import SavedPlan, saved_plan
from fastload.model.series import SeriesTable, SeriesTotal
from fastload.model.summary import RequestCounts, Summary
from fastload.model.units import format_duration_s
from fastload.model.views import MetricView, view_metrics

UNKNOWN = "unknown"
"""Value of `Summary.stopped_by` for a run whose end is unknown."""
NO_END = "the end of the run is not there: all figures are of the seconds that are, and the verdict is the last of them"
# Tolerance: a second may end so much later than the load and still belong to it, because a snapshot is made only when
# the deltas have come.
_SLACK_S = 0.2
_WORKER = re.compile(r"worker (\d+)")


def worker_index(text: str) -> int | None:
    """Return the index of the worker in the label of a sample or the text of an event, or None."""
    found = _WORKER.match(text)
    return int(found[1]) if found else None


class _Last(NamedTuple):
    """Figures of the last second that a replay keeps. The whole snapshot has thousands of series."""

    requests: int
    failed: int
    in_flight: int
    thresholds: tuple[ThresholdResult, ...]


class Replay:
    """Totals of the run of *header*, added up second by second, in order.

    ``table``, ``errors`` and ``exceptions`` are exact sums over the seconds. The summary leaves out all that no second
    has: requests of setup and teardown, errors of hooks, and all notes except those about the missing end, missing
    seconds, lost workers and too many names.
    """

    def __init__(self, header: RunHeader) -> None:
        self.header = header
        self.plan: SavedPlan = saved_plan(header.plan)
        self._total = SeriesTotal()
        self.errors = ErrorTable()
        self.exceptions = ErrorTable()
        self._late: dict[str, float] = {}
        self._end_s = self.plan.duration_s or math.inf
        self._covered_s = self._in_time_s = self._missing_s = 0.0
        self._ended = 0.0
        self._last: _Last | None = None
        self._verdict: Verdict | None = None
        self._host: list[HostSample] = []
        self._target: list[ProcessSample] = []
        self._workers: dict[int, list[ProcessSample]] = {}
        self._lag_max_ms: list[float] = []
        self._lost: dict[int, str] = {}
        self._changes: list[LoadChange] = []
        self._cost = CostMeter(self.plan.warmup_s)

    def add(self, snapshot: Snapshot, *, keeps_samples: bool = True) -> None:
        """Add the next second. It is not changed, and must not change later; only its table is kept for a while.

        Without *keeps_samples*, the samples of processes and the machine are not kept for the summary.
        """
        self._total.add(snapshot.table)
        self.errors.merge(snapshot.errors)
        self.exceptions.merge(snapshot.exceptions)
        self._add_time(snapshot)
        self._add_lags(snapshot)
        if keeps_samples:
            self._add_samples(snapshot)
        self._cost.add(snapshot)
        for event in snapshot.events:
            if event.kind == KIND and (change := LoadChange.parse(event.t_s, event.text)) is not None:
                self._changes = [*self._changes, change][:MOST_CHANGES]
            if event.kind == "worker" and (index := worker_index(event.text)) is not None:
                self._lost[index] = event.text
        self._ended += snapshot.requests_per_s * snapshot.span_s
        self._verdict = snapshot.verdict or self._verdict
        self._last = _Last(snapshot.requests, snapshot.failed, snapshot.in_flight, snapshot.thresholds)

    @property
    def table(self) -> SeriesTable:
        """Sum of the tables of all seconds."""
        return self._total.table

    @property
    def duration_s(self) -> float:
        """Measured time so far, without warm-up, pauses, and the time in which the last iterations ended."""
        return max(1e-3, self._in_time_s - self.plan.warmup_s)

    def views(self) -> dict[str, MetricView]:
        """Return the metrics so far, by `Series.label`."""
        asked = {result.metric for result in self._last.thresholds} if self._last else set()
        series = [one for one in self.table.series_values if one.is_kept and one.label in asked] if asked else []
        return view_metrics(self.table, self.header.specs, self.duration_s, self._late, series)

    def result(self, *, running: bool = False) -> Summary:
        """Return the run so far as a `Summary`. *running*: the run goes on, so its end is not noted as missing."""
        views, duration_s = self.views(), self.duration_s
        last = self._last
        return Summary(
            plan=self.plan,
            metrics=views,
            thresholds=last.thresholds if last else (),
            checks=collect_checks(self.table),
            endpoints=collect_endpoints(self.table, duration_s),
            errors=self.errors,
            exceptions=self.exceptions,
            verdict=self._verdict or _no_verdict(self.plan),
            requests=self._requests(),
            workers=tuple(self._worker(index) for index in self._worker_indexes()),
            host=ResourceSeries("host", tuple(self._host)),
            target=ResourceSeries(self._target[-1].label, tuple(self._target)) if self._target else None,
            versions=dict(self.header.versions),
            machine=dict(self.header.machine),
            started_at=self.header.started_at,
            duration_s=duration_s,
            stopped_by="" if running else UNKNOWN,
            load_changes=tuple(self._changes),
            notes=tuple(self._notes(running=running)),
            groups=collect_groups(self.table, duration_s),
            calls=collect_calls(self.table, duration_s),
            scenarios=collect_scenarios(views, [scenario.name for scenario in self.plan.scenarios]),
            table=self.table,
            cost=self._cost.cost(),
        )

    def summary(self, *, running: bool = False) -> dict[str, Any]:
        """Return `result` as plain data, in the form of `Summary.to_dict`."""
        return self.result(running=running).to_dict()

    def _add_time(self, snapshot: Snapshot) -> None:
        stops = [event.t_s for event in snapshot.events if event.kind == "stop"]
        self._end_s = min([self._end_s, *stops])
        since_s, self._covered_s = self._covered_s, snapshot.t_s
        self._missing_s += max(0.0, snapshot.t_s - snapshot.span_s - since_s)
        for label, value in snapshot.late.items():
            self._late[label] = self._late.get(label, 0) + value
        if since_s < self._end_s:
            self._in_time_s = self._end_s if snapshot.t_s - self._end_s > _SLACK_S else snapshot.t_s

    def _add_samples(self, snapshot: Snapshot) -> None:
        if snapshot.host is not None:
            self._host.append(snapshot.host)
        if snapshot.target is not None:
            self._target.append(snapshot.target)
        for sample in snapshot.workers:
            if (index := worker_index(sample.label)) is not None:
                self._workers.setdefault(index, []).append(sample)

    def _add_lags(self, snapshot: Snapshot) -> None:
        known = len(self._lag_max_ms)
        self._lag_max_ms += [0.0] * (len(snapshot.lag_max_ms) - known)
        for index, lag_ms in enumerate(snapshot.lag_max_ms):
            self._lag_max_ms[index] = max(self._lag_max_ms[index], lag_ms)

    def _worker_indexes(self) -> Iterable[int]:
        return range(max([len(self._lag_max_ms), *(index + 1 for index in self._workers)]))

    def _worker(self, index: int) -> WorkerEvidence:
        samples = [sample for sample in self._workers.get(index, []) if sample.alive]
        return WorkerEvidence(
            index=index,
            cpu_percent=tuple(sample.cpu_percent for sample in samples),
            lag_max_ms=self._lag_max_ms[index] if index < len(self._lag_max_ms) else 0.0,
            run_delay_share=sum(sample.run_delay_ratio for sample in samples) / len(samples) if samples else 0.0,
            rss_bytes=max((sample.rss_bytes for sample in samples), default=0),
            lost=index in self._lost,
        )

    def _requests(self) -> RequestCounts:
        """Return the account of requests.

        Warm-up requests are computed from the rates of the seconds. Requests in flight at the end are interrupted.
        """
        if self._last is None:
            return RequestCounts()
        ended, failed, in_flight, _ = self._last
        counts = RequestCounts(
            finished=ended - failed, failed=failed, interrupted=in_flight, warmup=max(0, round(self._ended) - ended)
        )
        return replace(counts, started=counts.finished + failed + in_flight + counts.warmup)

    def _notes(self, *, running: bool) -> Iterable[str]:
        if not running:
            yield NO_END
        yield from self._lost.values()
        if self._missing_s > _SLACK_S:
            yield f"{format_duration_s(self._missing_s)} of the run are missing: an output that was too slow lost them"
        if note := names_note(self.table):
            yield note
        yield from self.errors.limit_notes(KINDS_OF_ERRORS)
        yield from self.exceptions.limit_notes(TYPES_OF_EXCEPTIONS)


def _no_verdict(plan: SavedPlan) -> Verdict:
    """Return the verdict before the first second."""
    verdict = judge_run(Evidence(plan.has_open_model, 0, 0, 0.0, 0))
    return replace(verdict, reasons=("nothing was measured: there is no second of the run",), remedy="")
