"""Row of a time line: one second of a run, or several neighbouring seconds merged without loss."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.series import SeriesTable, TrendValue
from fastload.model.timeline.curves import band_counts

LATENCY_SOURCES = {
    "http_req": ("http_req_duration", "http_req_response_time"),
    "call": ("call_duration", "call_response_time"),
    "ws": ("ws_connecting", ""),
    "stream": ("stream_first_event", ""),
}
"""Sources of a run's latencies, with their metrics: (service time, response time, or "" without due times)."""
_TIMES = tuple(metric for metrics in LATENCY_SOURCES.values() for metric in metrics if metric)
REQUEST_PHASES = {
    "blocked": "http_req_blocked",
    "lookup": "http_req_lookup",
    "connecting": "http_req_connecting",
    "tls": "http_req_tls_handshaking",
    "sending": "http_req_sending",
    "waiting": "http_req_waiting",
    "receiving": "http_req_receiving",
}
"""Phases of a request, in order, with their metrics."""
_US_PER_MS = 1000
_COUNTERS = {
    "iterations_rate": ("iterations",),
    "dropped_rate": ("dropped_iterations",),
    "calls_rate": ("calls",),
    "sessions_rate": ("ws_sessions",),
    "messages_rate": ("ws_msgs_sent", "ws_msgs_received"),
    "events_rate": ("stream_events",),
}
ROW_METRICS = frozenset((*_TIMES, *REQUEST_PHASES.values(), *chain.from_iterable(_COUNTERS.values())))
"""All metrics that a row reads, without tags."""
_TREND_METRICS = (*_TIMES, *REQUEST_PHASES.values())
_QUANTILES = (0.5, 0.95, 0.99)
# Histograms of a row that wait to be pooled.
_MOST_PARTS = 32
_MERGED = ("rates", "request_phases_us", "trends", "errors", "workers")
"""Fields of a row that `TimelineRow.merge` adds up by name."""


class WeightedMean(NamedTuple):
    """Amount over a time. The quotient is a rate, or a mean weighted by time. Two weighted means can be added."""

    amount: float
    seconds: float

    def __add__(self, other: tuple[float, ...]) -> WeightedMean:  # type: ignore[override]
        return WeightedMean(self.amount + other[0], self.seconds + other[1])

    @property
    def quotient(self) -> float:
        return self.amount / self.seconds if self.seconds else 0.0


class RowTrend:
    """Distribution of times in one row: its histogram for merging, and its quantiles and bands for charts.

    Quantiles and bands are computed when they are first asked for: the rows of a long run are merged many times before.
    """

    __slots__ = ("_parts", "_shown")

    def __init__(self, parts: tuple[TrendValue, ...]) -> None:
        self._parts = (TrendValue.pooled(parts),) if len(parts) > _MOST_PARTS else parts
        self._shown: tuple[tuple[float, ...], list[int]] | None = None

    @classmethod
    def of(cls, series_value: TrendValue) -> RowTrend:
        return cls((series_value.compact_copy(),))

    @property
    def quantiles_ms(self) -> tuple[float, ...]:
        return self._figures()[0]

    @property
    def bands(self) -> list[int]:
        return self._figures()[1]

    def __add__(self, other: RowTrend) -> RowTrend:
        return RowTrend((*self._parts, *other._parts))

    def _figures(self) -> tuple[tuple[float, ...], list[int]]:
        if self._shown is None:
            if len(self._parts) > 1:
                self._parts = (TrendValue.pooled(self._parts),)
            [whole] = self._parts
            quantiles_ms = tuple(value / _US_PER_MS for value in whole.quantiles(_QUANTILES))
            self._shown = quantiles_ms, band_counts(whole)
        return self._shown


@dataclass(slots=True)
class TimelineRow:
    """Row of a time line: the *span_s* seconds until *end_s*. *seconds* is the number of snapshots merged in the row.

    *rates* are rates per second, or means over the time. *most* are greatest values. *phases_us* are the sum and count
    of each request phase. *trends* are by metric. *errors* are numbers of failures by kind. *workers* are the CPU by
    index of the worker.
    """

    end_s: float
    span_s: float
    rates: dict[str, WeightedMean]
    maxima: dict[str, float]
    request_phases_us: dict[str, WeightedMean]
    trends: dict[str, RowTrend]
    errors: dict[str, int]
    workers: dict[str, WeightedMean]
    seconds: int = field(default=1)

    @classmethod
    def of(cls, snapshot: Snapshot, end_s: float, *, has_offered: bool) -> TimelineRow:
        """Return the row of one *snapshot*. *has_offered*: whether the row has a rate of due starts (open model)."""
        table, span_s = snapshot.table, snapshot.span_s
        if not table.series_values:
            amounts = dict.fromkeys(_COUNTERS, 0.0)
        else:
            amounts = {
                name: sum(_count(snapshot, metric) for metric in metrics) / span_s
                for name, metrics in _COUNTERS.items()
            }
        amounts |= {"rate": snapshot.requests_per_s, "failed_rate": snapshot.failed_per_s}
        amounts["raised_rate"] = snapshot.exceptions.total / span_s
        if has_offered:
            amounts["offered"] = snapshot.offered / span_s
        amounts |= _usage(snapshot)
        found = _trends(table) if table.series_values else {}
        return cls(
            end_s=end_s,
            span_s=span_s,
            rates={name: WeightedMean(per_s * span_s, span_s) for name, per_s in amounts.items()},
            maxima=_most(snapshot),
            request_phases_us={
                name: WeightedMean(found[metric].sum, found[metric].count)
                for name, metric in REQUEST_PHASES.items()
                if metric in found
            },
            trends={metric: RowTrend.of(found[metric]) for metric in _TIMES if metric in found},
            errors={kind: count for kind, (count, _) in snapshot.errors.entries.items()},
            workers={
                one.label.rpartition(" ")[2]: WeightedMean(one.cpu_percent * span_s, span_s) for one in snapshot.workers
            },
        )

    def copy(self) -> TimelineRow:
        """Return a copy. Merging rows into the copy does not change this row."""
        other = copy(self)
        for name in (*_MERGED, "maxima"):
            setattr(other, name, dict(getattr(self, name)))
        return other

    def merge(self, later: TimelineRow) -> None:
        """Add *later*, the next row, to this row."""
        self.end_s, self.span_s = later.end_s, self.span_s + later.span_s
        self.seconds += later.seconds
        for name in _MERGED:
            _add_up(getattr(self, name), getattr(later, name))
        for name, value in later.maxima.items():
            self.maxima[name] = max(self.maxima.get(name, value), value)


def _add_up(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        into[name] = into[name] + value if name in into else value


def _trends(table: SeriesTable) -> dict[str, TrendValue]:
    """Return the trends with values that a row reads, by metric."""
    return {metric: one for metric in _TREND_METRICS if (one := table.get(metric)) and one.count}


def _count(snapshot: Snapshot, metric: str) -> float:
    series_value = snapshot.table.series_values.get(Series(metric))
    return float(series_value.value) if series_value is not None else 0.0


def _usage(snapshot: Snapshot) -> dict[str, float]:
    """Return the resource usage of a snapshot that is a mean over its window."""
    used: dict[str, float] = {}
    if (host := snapshot.host) is not None:
        used |= {"host_cpu": host.cpu_percent}
        used |= {"net_sent": host.net_sent_bytes_per_s, "net_received": host.net_received_bytes_per_s}
    if (target := snapshot.target) is not None:
        used["target_cpu"] = target.cpu_percent
    return used


def _most(snapshot: Snapshot) -> dict[str, float]:
    maxima: dict[str, float] = {"vus": snapshot.vus}
    if snapshot.lag_max_ms:
        maxima["lag"] = max(snapshot.lag_max_ms)
    if snapshot.host is not None:
        maxima["host_memory"] = snapshot.host.memory_used_bytes
    if snapshot.target is not None:
        maxima["target_memory"] = snapshot.target.rss_bytes
    return maxima
