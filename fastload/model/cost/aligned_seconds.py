"""Aligned seconds: what the target used, beside what was asked of it in the same seconds.

The two are measured by different clocks. The workers count in whole seconds after the common start; the sample of the
target is taken when their counts have come, 0.2 s later (`SNAPSHOT_LAG_S`), so it is of the time from 0.2 s to 1.2 s.
Held against the counts as they are, a ramp would make requests look dearer than they are on its way up. So the counts
are cut to the interval of each sample: of a second that it covers in part it gets that part of the counts. While a rate
is steady or changes steadily, no bias is left; and a mix of endpoints that changes by chance is only known less well.

A second is left out if it is of the warm-up, if it has measurements of after the last possible start, if the target did
not run all the time, or if the run was paused in it. So is the time after the last whole second, which has no counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from fastload.model.records import Snapshot
from fastload.model.resources import ProcessSample

K = TypeVar("K")

# By so much the bounds of seconds, on clocks that are read one after the other, may miss each other.
_SLACK_S = 0.05
# The clock of the run stands still in a pause. A sample that is late by less is taken for one that had to wait.
_PAUSE_S = 0.5
_KNOWN_SAMPLES = 10
_MS_PER_S = 1000.0


@dataclass(slots=True)
class AlignedRow(Generic[K]):
    """The *span_s* seconds until *end_s* (as `Snapshot.t_s`): what was asked, and what the target used.

    *amounts* are how much was asked of each kind. *disk_read_bytes* and *disk_written_bytes* are None if unknown.
    """

    end_s: float
    span_s: float
    amounts: dict[K, float]
    cpu_ms: float
    context_switches: float
    disk_read_bytes: float | None
    disk_written_bytes: float | None
    seconds: int = 1

    def copy(self) -> AlignedRow[K]:
        return replace(self, amounts=dict(self.amounts))

    def merge(self, later: AlignedRow[K]) -> None:
        """Add *later*, a row of a later time, to this row."""
        self.end_s, self.span_s = later.end_s, self.span_s + later.span_s
        self.seconds += later.seconds
        self.cpu_ms += later.cpu_ms
        self.context_switches += later.context_switches
        self.disk_read_bytes = _sum(self.disk_read_bytes, later.disk_read_bytes)
        self.disk_written_bytes = _sum(self.disk_written_bytes, later.disk_written_bytes)
        for kind, amount in later.amounts.items():
            self.amounts[kind] = self.amounts.get(kind, 0.0) + amount


@dataclass(frozen=True, slots=True)
class _Window(Generic[K]):
    begin_s: float
    end_s: float
    amounts: Mapping[K, float]
    is_usable: bool


@dataclass(frozen=True, slots=True)
class _Use:
    """Interval of a sample of the target; it is *wall_s* long."""

    begin_s: float
    end_s: float
    wall_s: float
    sample: ProcessSample


class AlignedSeconds(Generic[K]):
    """Aligns the seconds of a run with a warm-up of *warmup_s*, which are added in order."""

    def __init__(self, warmup_s: float) -> None:
        self._warmup_s = warmup_s
        self._windows: deque[_Window[K]] = deque()
        self._uses: deque[_Use] = deque()
        self._last: ProcessSample | None = None
        # By how much the clock of the samples is ahead of that of the run. A snapshot has the time at which it began,
        # and its sample is taken some time later where the parent has to wait for a CPU: the least is right.
        self._ahead_s: deque[float] = deque(maxlen=_KNOWN_SAMPLES)

    def add(self, snapshot: Snapshot, amounts: Mapping[K, float]) -> list[AlignedRow[K]]:
        """Add the next second, in which *amounts* were asked, and return the rows that are complete by that."""
        begin_s = snapshot.t_s - snapshot.span_s
        is_usable = begin_s >= self._warmup_s - _SLACK_S and not snapshot.late
        self._windows.append(_Window(begin_s, snapshot.t_s, amounts, is_usable))
        if snapshot.target is not None:
            self._add_use(snapshot.target, snapshot.elapsed_s)
        rows = []
        while self._uses and self._uses[0].end_s <= snapshot.t_s:
            use = self._uses.popleft()
            if (row := self._row(use)) is not None:
                rows.append(row)
            while self._windows and self._windows[0].end_s <= use.end_s:
                self._windows.popleft()
        if not self._uses:
            # Nobody will ask for what is before the next sample.
            while len(self._windows) > 1:
                self._windows.popleft()
        return rows

    def _add_use(self, sample: ProcessSample, elapsed_s: float) -> None:
        last = self._last
        # The first sample is of the time since the samplers began, just before the common start.
        wall_s = sample.t_s - (last.t_s if last else 0.0)
        ahead_s = sample.t_s - elapsed_s
        was_paused = bool(self._ahead_s) and ahead_s > min(self._ahead_s) + _PAUSE_S
        if was_paused:
            self._ahead_s.clear()
        self._ahead_s.append(ahead_s)
        end_s = sample.t_s - min(self._ahead_s)
        ran = sample.alive and (last is None or last.alive)
        if ran and not was_paused and wall_s > 0:
            self._uses.append(_Use(end_s - wall_s, end_s, wall_s, sample))
        self._last = sample

    def _row(self, use: _Use) -> AlignedRow[K] | None:
        amounts: dict[K, float] = {}
        covered_s = 0.0
        for window in self._windows:
            common_s = min(window.end_s, use.end_s) - max(window.begin_s, use.begin_s)
            if common_s <= 0:
                continue
            if not window.is_usable:
                return None
            covered_s += common_s
            part = common_s / (window.end_s - window.begin_s)
            for kind, amount in window.amounts.items():
                amounts[kind] = amounts.get(kind, 0.0) + part * amount
        if covered_s < use.end_s - max(0.0, use.begin_s) - _SLACK_S:
            return None
        sample, wall_s = use.sample, use.wall_s
        return AlignedRow(
            use.end_s,
            wall_s,
            amounts,
            sample.cpu_percent / 100 * _MS_PER_S * wall_s,
            sample.context_switches_per_s * wall_s,
            _times(sample.disk_read_bytes_per_s, wall_s),
            _times(sample.disk_written_bytes_per_s, wall_s),
        )


def _times(per_s: float | None, seconds: float) -> float | None:
    return None if per_s is None else per_s * seconds


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
