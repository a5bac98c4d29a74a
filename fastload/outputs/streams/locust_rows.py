"""The rows of Locust's CSV files (requests, failures, exceptions), made from the seconds of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from fastload.model.records import ErrorTable
from fastload.model.results import collect_calls, collect_endpoints
from fastload.model.series import SeriesTable, TrendValue

CellValue = str | int | float

LEVELS = ["50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"]
_TOTALS = ["Request Count", "Failure Count", "Median Response Time", "Average Response Time", "Min Response Time"]
_TOTALS += ["Max Response Time", "Average Content Size"]
STATS = ["Type", "Name", *_TOTALS, "Requests/s", "Failures/s", *LEVELS]
HISTORY = ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s", *LEVELS]
HISTORY += [f"Total {title}" for title in _TOTALS]
FAILURES = ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]
EXCEPTIONS = ["Count", "Message", "Traceback", "Nodes"]

CALL = "CALL"
"""Locust's column Type for measured calls, which have no HTTP method."""
AGGREGATED = "Aggregated"
_NODE = "local"
_METRICS = frozenset(
    ("http_reqs", "http_req_failed", "http_req_duration", "calls", "call_failed", "call_duration", "data_received")
)
_SHARES = [float(level.rstrip("%")) / 100 for level in LEVELS]
_NO_DATA = "N/A"


class LocustEntry(NamedTuple):
    """The results of one name.

    *times* are median, mean, minimum and maximum in ms, *levels* are the percentiles of `LEVELS` in ms. *size_bytes* is
    the mean size of a reply.
    """

    method: str
    name: str
    requests: int
    failed: int
    times: tuple[CellValue, ...] = (0, 0.0, 0, 0)
    levels: tuple[CellValue, ...] = (_NO_DATA,) * len(_SHARES)
    size_bytes: float = 0.0

    @classmethod
    def of(cls, method: str, name: str, requests: int, failed: int, trend: object) -> LocustEntry:
        """Return an entry with the times of *trend*, if it is a trend with values."""
        if not isinstance(trend, TrendValue) or not trend.count:
            return cls(method, name, requests, failed)
        levels = [_ms(value) for value in trend.quantiles(_SHARES)]
        times = (levels[0], round((trend.mean or 0.0) / 1000, 3), _ms(trend.min), _ms(trend.max))
        return cls(method, name, requests, failed, times, tuple(levels))

    def totals(self) -> list[CellValue]:
        """Return the cells from the count of requests to the mean size, in the order of Locust's columns."""
        return [self.requests, self.failed, *self.times, round(self.size_bytes, 3)]


def relevant(table: SeriesTable) -> SeriesTable:
    """Return the series of *table* that these files need."""
    return SeriesTable(
        {series: series_value for series, series_value in table.series_values.items() if series.metric in _METRICS}
    )


def entries_of(table: SeriesTable) -> list[LocustEntry]:
    """Return one entry per name, sorted by name and method, and at the end one entry for all names together."""
    requests, calls = collect_endpoints(table, 1.0), collect_calls(table, 1.0)
    found = [LocustEntry.of(one.method, one.name, one.requests, one.failed, one.duration.sink) for one in requests]
    found += [LocustEntry.of(CALL, one.name, one.calls, one.failed, one.duration.sink) for one in calls]
    ended = sum(one.requests for one in found)
    received = {
        (tags["method"], tags["name"]): series_value.value for tags, series_value in table.of_metric("data_received")
    }
    found = [one._replace(size_bytes=_each(received.get((one.method, one.name), 0), one.requests)) for one in found]
    size_bytes = _each(sum(received.values()), ended)
    failed = sum(one.failed for one in found)
    return [
        *sorted(found, key=lambda one: (one.name, one.method)),
        LocustEntry.of("", AGGREGATED, ended, failed, _all_times(table))._replace(size_bytes=size_bytes),
    ]


def _each(total: float, count: int) -> float:
    return total / count if count else 0.0


def stats_rows(entries: Iterable[LocustEntry], seconds: float) -> list[list[CellValue]]:
    """Return the rows of the stats file; *seconds* is the measured time, for the rates."""
    return [
        [one.method, one.name, *one.totals(), _per_s(one.requests, seconds), _per_s(one.failed, seconds), *one.levels]
        for one in entries
    ]


def history_rows(
    time_s: int, vus: int, totals: Iterable[LocustEntry], window: Iterable[LocustEntry], span_s: float
) -> list[list[CellValue]]:
    """Return the history rows of one second.

    Rates and percentiles are those of *window*, which is *span_s* long; *totals* are those of the run so far. *time_s*
    is in seconds since the epoch.
    """
    now = {(one.method, one.name): one for one in window}
    rows: list[list[CellValue]] = []
    for total in totals:
        one = now.get((total.method, total.name), LocustEntry(total.method, total.name, 0, 0))
        rates = [f"{_per_s(count, span_s):.6f}" for count in (one.requests, one.failed)]
        rows.append([time_s, vus, total.method, total.name, *rates, *one.levels, *total.totals()])
    return rows


@dataclass(slots=True)
class _Seen:
    count: int
    first_s: int
    last_s: int


class Failures:
    """Counts of failures by method, name and kind of error.

    Run files of format version 1.0 do not have the kinds of each name. They are then derived from the counts of names
    and kinds. If several names failed with several kinds in the same second, the row of a name lists all these kinds.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], _Seen] = {}

    def add(self, table: SeriesTable, errors: ErrorTable, time_s: int) -> bool:
        """Count the failures of one second, which ended at *time_s* since the epoch. Return whether there were any."""
        if errors.by_name:
            for kind, names in errors.by_name.items():
                for (method, name), count in names.items():
                    self._count(method or CALL, name, kind, count, time_s)
            return True
        return self._conclude(table, {kind: count for kind, (count, _) in errors.entries.items()}, time_s)

    def _conclude(self, table: SeriesTable, kinds: dict[str, int], time_s: int) -> bool:
        left: dict[tuple[str, str], int] = {}
        any_failed = False
        for method, name, failed, statuses in _outcomes(table):
            any_failed = any_failed or failed > 0
            if rest := self._by_status(method, name, statuses, failed, kinds, time_s):
                left[method, name] = rest
        self._by_kind(left, {kind: count for kind, count in kinds.items() if count > 0}, time_s)
        return any_failed

    def rows(self) -> list[list[CellValue]]:
        return [
            [*key, seen.count, _moment(seen.first_s), _moment(seen.last_s)] for key, seen in sorted(self._seen.items())
        ]

    def _by_status(
        self, method: str, name: str, statuses: Mapping[str, int], failed: int, kinds: dict[str, int], time_s: int
    ) -> int:
        """Count the failures of kind ``http_STATUS`` and subtract them from *kinds*. Return the number of others."""
        for status, count in statuses.items():
            kind = f"http_{status}"
            share = min(count, failed, kinds.get(kind, 0))
            if share > 0:
                kinds[kind] -= share
                failed -= share
                self._count(method, name, kind, share, time_s)
        return failed

    def _by_kind(self, left: Mapping[tuple[str, str], int], kinds: Mapping[str, int], time_s: int) -> None:
        if len(left) == 1 and sum(kinds.values()) == sum(left.values()):
            ((method, name),) = left
            for kind, count in kinds.items():
                self._count(method, name, kind, count, time_s)
            return
        error = " or ".join(sorted(kinds)) or "failed"
        for (method, name), count in left.items():
            self._count(method, name, error, count, time_s)

    def _count(self, method: str, name: str, error: str, count: int, time_s: int) -> None:
        seen = self._seen.setdefault((method, name, error), _Seen(0, time_s, time_s))
        seen.count += count
        seen.last_s = time_s


def exception_rows(exceptions: ErrorTable) -> list[list[CellValue]]:
    """Return the rows of the exceptions file, most frequent first."""
    rows = exceptions.raised_list()
    return [[one["count"], _message(one["kind"], one["first"]), one["first"], _NODE] for one in rows]


def _message(kind: str, traceback: str) -> str:
    """Return the end of a traceback: the class of the exception and its message, which may have several lines."""
    starts = [match.start() for match in re.finditer(rf"^(?:[\w.]+\.)?{re.escape(kind)}\b", traceback, re.MULTILINE)]
    return traceback[starts[-1] :].rstrip() if starts else kind


def _outcomes(table: SeriesTable) -> list[tuple[str, str, int, Mapping[str, int]]]:
    """Return method, name, failures and counts by status of each request name and call."""
    requests = collect_endpoints(table, 1.0)
    calls = collect_calls(table, 1.0)
    return [
        *((one.method, one.name, one.failed, one.statuses) for one in requests),
        *((CALL, one.name, one.failed, {}) for one in calls),
    ]


def _all_times(table: SeriesTable) -> TrendValue:
    merged = TrendValue()
    for metric in ("http_req_duration", "call_duration"):
        if (series_value := table.get(metric)) is not None:
            merged.merge(series_value)
    return merged


def _ms(value_us: int) -> float | int:
    """Return milliseconds, as an integer if they are whole, like Locust."""
    return value_us // 1000 if value_us % 1000 == 0 else value_us / 1000


def _per_s(count: int, seconds: float) -> float:
    return round(count / seconds, 6) if seconds > 0 else 0.0


def _moment(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
