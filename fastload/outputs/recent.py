"""What a live view remembers of a run: its last minute, and how often each name came."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from fastload.model.records import Snapshot
from fastload.model.results import collect_calls, collect_endpoints
from fastload.model.series import CounterSink, SeriesTable
from fastload.model.views import MetricView

MINUTE_S = 60
SIDES = {
    "calls": ("calls",),
    "messages": ("ws_msgs_sent", "ws_msgs_received"),
    "events": ("stream_events",),
}
"""What a run counts beside requests, and the metrics that are it."""


class Second(NamedTuple):
    """The figures of one second that are drawn."""

    requests_per_s: float
    failed_per_s: float
    p95_ms: float | None


class Place(NamedTuple):
    """One name: *requests* and *failed* of the run so far, and what came of it in the last second."""

    label: str
    requests: int
    failed: int
    per_s: float
    duration: MetricView | None


class Recent:
    """Takes every snapshot of a run. ``seconds`` are the last ones, ``first`` the number of the first of them."""

    def __init__(self) -> None:
        self.seconds: deque[Second] = deque(maxlen=MINUTE_S)
        self.first = 0
        self._sides: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._now: dict[str, tuple[int, MetricView]] = {}
        self._span_s = 1.0
        self._sides_now: dict[str, float] = {}

    def add(self, now: Snapshot) -> None:
        """One second more."""
        self.first += len(self.seconds) == MINUTE_S
        self.seconds.append(Second(now.requests_per_s, now.failed_per_s, now.p95_ms))
        self._span_s = now.span_s or 1.0
        self._sides_now = count_sides(now.table)
        for what, count in self._sides_now.items():
            self._sides[what] += round(count)
        self._now = {}
        for one in collect_endpoints(now.table, self._span_s):
            self._add(f"{one.method} {one.name}", one.requests, one.failed, one.duration)
        for call in collect_calls(now.table, self._span_s):
            self._add(f"call {call.name}", call.calls, call.failed, call.duration)

    def sides(self) -> list[tuple[str, float, int]]:
        """What else the run counts, per second and in all; only what there is."""
        return [
            (what, self._sides_now.get(what, 0.0) / self._span_s, total)
            for what in SIDES
            if (total := self._sides[what])
        ]

    def places(self, most: int) -> list[Place]:
        """The names that came most often so far, and calls likewise."""
        places = []
        for label, requests in self._requests.most_common(most):
            count, duration = self._now.get(label, (0, None))
            places.append(Place(label, requests, self._failed[label], count / self._span_s, duration))
        return places

    @property
    def names(self) -> int:
        """How many names there are."""
        return len(self._requests)

    def _add(self, label: str, ended: int, failed: int, duration: MetricView) -> None:
        self._requests[label] += ended
        self._failed[label] += failed
        self._now[label] = (ended, duration)


def count_sides(table: SeriesTable) -> dict[str, float]:
    """How often each of `SIDES` came in the second of *table*."""
    counts = {}
    for what, metrics in SIDES.items():
        sinks = [table.get(metric) for metric in metrics]
        counts[what] = sum(sink.value for sink in sinks if isinstance(sink, CounterSink))
    return counts
