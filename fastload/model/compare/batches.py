"""A saved run cut into stretches of time (batches), which say how much its figures vary by chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastload.model.compare.intervals import FloatArray
from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterSink, SeriesTable

MOST_BATCHES = 10
FEWEST_BATCHES = 5
"""A run of fewer seconds says nothing about how much it varies."""
# What a second may begin before the end of the load and still be of the time after it, or end before its warm-up does.
_SLACK_S = 0.05


class BatchedRun:
    """The run of *header*, fed with its seconds in their order. *name* is what it is called, *summary* is
    `Summary.to_dict`.

    Few long batches, and not many short ones: what varies slowly must not look as if it did not vary. With ten of them,
    the price is an interval a tenth longer than it had to be if nothing varied slowly.
    """

    def __init__(self, name: str, header: RunHeader, summary: Mapping[str, Any], *, complete: bool = True) -> None:
        self.name = name
        self.header = header
        self.summary = summary
        self.complete = complete
        self.duration_s = float(summary["duration_s"])
        self.batches = tuple(SeriesTable() for _ in range(_batch_count(self.duration_s)))
        self._warmup_s = float(header.plan.get("warmup_s", 0.0))
        self._in_time: tuple[dict[Series, float], ...] = tuple({} for _ in self.batches)
        self._spans_s = np.zeros(len(self.batches))
        self._table: SeriesTable | None = None

    def add(self, second: Snapshot) -> None:
        """The next second. It is not changed, and nothing of it is shared."""
        middle_s = second.t_s - second.span_s / 2 - self._warmup_s
        if middle_s < -_SLACK_S:
            return
        last = len(self.batches) - 1
        index = min(last, int(max(0.0, middle_s) / self.duration_s * len(self.batches))) if self.duration_s else last
        self.batches[index].merge(second.table)
        if second.t_s - second.span_s > self._warmup_s + self.duration_s - _SLACK_S and self._spans_s.any():
            return
        self._spans_s[index] += second.span_s
        counts = self._in_time[index]
        for series, sink in second.table.sinks.items():
            if isinstance(sink, CounterSink):
                counts[series] = counts.get(series, 0.0) + sink.value

    @property
    def table(self) -> SeriesTable:
        """All of it, exactly. Ask for it when the last second has been added."""
        if self._table is None:
            self._table = SeriesTable()
            for batch in self.batches:
                self._table.merge(batch)
        return self._table

    @property
    def is_long_enough(self) -> bool:
        """Whether its batches say how much it varies."""
        return len(self.batches) >= FEWEST_BATCHES and bool(np.count_nonzero(self._spans_s) == len(self.batches))

    @property
    def state(self) -> str:
        """The verdict on the generator: VALID, SUSPECT or INVALID."""
        return str(self.summary["verdict"]["state"])

    def sinks(self, series: Series) -> list[Any]:
        """What each batch has of *series*, None where it has nothing."""
        return [batch.sinks.get(series) for batch in self.batches]

    def counts(self, *parts: Series) -> FloatArray:
        """What the counters *parts* together counted in each batch, without what came after the last start."""
        return np.array([sum(counts.get(series, 0.0) for series in parts) for counts in self._in_time])

    @property
    def spans_s(self) -> FloatArray:
        """How long each batch was."""
        return self._spans_s

    def rate(self, *parts: Series) -> float:
        """The counters *parts* together, per second: of one that the summary has, what it says."""
        told = self.summary["metrics"].get(parts[0].label, {}).get("rate") if len(parts) == 1 else None
        if told is not None:
            return float(told)
        span_s = float(self._spans_s.sum())
        return float(self.counts(*parts).sum()) / span_s if span_s else 0.0


def _batch_count(duration_s: float) -> int:
    """Ten, but of two seconds at least; down to five, of one second at least; and one for each second below that."""
    seconds = round(duration_s)
    return min(MOST_BATCHES, max(FEWEST_BATCHES, seconds // 2)) if seconds >= FEWEST_BATCHES else max(1, seconds)
