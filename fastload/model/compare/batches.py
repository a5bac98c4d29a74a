"""Batches: stretches of time of a saved run. Their differences say how much the run's figures vary by chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastload.model.cost.aligned_seconds import AlignedSeconds
from fastload.model.histogram import FloatArray
from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterValue, SeriesTable, SeriesTotal

MOST_BATCHES = 10
FEWEST_BATCHES = 5
"""Fewest batches that say how much a run varies. A batch has at least one second, so a run needs as many seconds."""
# Tolerance: a second that begins up to this time before the end of the load counts as after it, and a second whose
# middle is up to this time before the end of the warm-up counts as measured.
_SLACK_S = 0.05
# Tables may be pooled over several seconds, but each second has its rate.
_REQUESTS = "requests"


class BatchedRun:
    """Saved run in batches. Its seconds are added in order.

    *name* is the run's name in outputs, *summary* is `Summary.to_dict`. *complete*: False for a truncated run file.

    A run has few long batches, not many short ones: short batches would hide slow variation. The price of ten batches
    is an interval that is a tenth longer than necessary when nothing varies slowly.
    """

    def __init__(self, name: str, header: RunHeader, summary: Mapping[str, Any], *, complete: bool = True) -> None:
        self.name = name
        self.header = header
        self.summary = summary
        self.complete = complete
        self.duration_s = float(summary["duration_s"])
        self._totals = tuple(SeriesTotal() for _ in range(_batch_count(self.duration_s)))
        self._warmup_s = float(header.plan.get("warmup_s", 0.0))
        self._in_time: tuple[dict[Series, float], ...] = tuple({} for _ in self._totals)
        self._spans_s = np.zeros(len(self._totals))
        self._table: SeriesTable | None = None
        self._aligned: AlignedSeconds[str] = AlignedSeconds(self._warmup_s)
        self.cpu_ms, self.cpu_requests = np.zeros(len(self._totals)), np.zeros(len(self._totals))
        """CPU time of the target by batch, and the requests of the same time; 0 where it was not sampled."""

    def add(self, second: Snapshot) -> None:
        """Add the next second. It is not changed, and must not change after this."""
        for row in self._aligned.add(second, {_REQUESTS: second.requests_per_s * second.span_s}):
            batch, _ = self.part_of(row.end_s, row.span_s)
            # A damaged file may have a time of the target in which there is no second of the run.
            if requests := row.amounts.get(_REQUESTS):
                self.cpu_ms[batch] += row.cpu_ms
                self.cpu_requests[batch] += requests
        index, after = self.part_of(second.t_s, second.span_s)
        if index < 0:
            return
        self._totals[index].add(second.table)
        if after and self._spans_s.any():
            return
        self._spans_s[index] += second.span_s
        counts = self._in_time[index]
        for series, series_value in second.table.series_values.items():
            if isinstance(series_value, CounterValue):
                counts[series] = counts.get(series, 0.0) + series_value.value

    def part_of(self, t_s: float, span_s: float) -> tuple[int, bool]:
        """Return the index of the batch of a second, -1 in the warm-up; and whether it begins after the load."""
        middle_s = t_s - span_s / 2 - self._warmup_s
        if middle_s < -_SLACK_S:
            return -1, False
        last = len(self._totals) - 1
        index = min(last, int(max(0.0, middle_s) / self.duration_s * len(self._totals))) if self.duration_s else last
        return index, t_s - span_s > self._warmup_s + self.duration_s - _SLACK_S

    @property
    def batches(self) -> tuple[SeriesTable, ...]:
        """Series of each batch, merged exactly."""
        return tuple(total.table for total in self._totals)

    @property
    def table(self) -> SeriesTable:
        """Series of the whole run, merged exactly. Read it only after the last second was added."""
        if self._table is None:
            self._table = SeriesTable()
            for batch in self.batches:
                self._table.merge(batch)
        return self._table

    @property
    def is_long_enough(self) -> bool:
        """Whether the batches are enough to say how much the run varies."""
        return len(self.batches) >= FEWEST_BATCHES and bool(np.count_nonzero(self._spans_s) == len(self.batches))

    @property
    def state(self) -> str:
        """State of the run's verdict: VALID, SUSPECT or INVALID."""
        return str(self.summary["verdict"]["state"])

    def series_values(self, series: Series) -> list[Any]:
        """Return the sink of *series* in each batch; None for a batch without it."""
        return [batch.series_values.get(series) for batch in self.batches]

    def counts(self, *parts: Series) -> FloatArray:
        """Return the sum of the counters *parts* in each batch, without the counts after the last start."""
        return np.array([sum(counts.get(series, 0.0) for series in parts) for counts in self._in_time])

    @property
    def spans_s(self) -> FloatArray:
        """Length of each batch in seconds."""
        return self._spans_s

    @property
    def cpu_ms_per_request(self) -> float | None:
        """CPU time of the target for each request, in ms; None if it was not sampled, or there were no requests."""
        requests = float(self.cpu_requests.sum())
        return float(self.cpu_ms.sum()) / requests if requests else None

    def rate(self, *parts: Series) -> float:
        """Return the sum of the counters *parts* per second. For a single counter it is the summary's rate, if any."""
        told = self.summary["metrics"].get(parts[0].label, {}).get("rate") if len(parts) == 1 else None
        if told is not None:
            return float(told)
        span_s = float(self._spans_s.sum())
        return float(self.counts(*parts).sum()) / span_s if span_s else 0.0


def _batch_count(duration_s: float) -> int:
    """Return the number of batches: 10, but fewer so that each has at least 2 s.

    Runs of 5 s or more have at least 5 batches; shorter runs have one batch for each second.
    """
    seconds = round(duration_s)
    return min(MOST_BATCHES, max(FEWEST_BATCHES, seconds // 2)) if seconds >= FEWEST_BATCHES else max(1, seconds)
