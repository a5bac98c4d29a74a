"""``--out locust=PREFIX``: Locust's four CSV files, with Locust's names and columns, for tools that read them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.records import ErrorTable, Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable
from fastload.outputs.files import check_file, replace_file
from fastload.outputs.streams.appended_file import AppendedFile
from fastload.outputs.streams.base import SecondsNeeded
from fastload.outputs.streams.locust_rows import (
    EXCEPTIONS,
    FAILURES,
    HISTORY,
    STATS,
    CellValue,
    Failures,
    LocustEntry,
    entries_of,
    exception_rows,
    history_rows,
    relevant,
    stats_rows,
)

_NS_PER_S = 1_000_000_000


class LocustCsv:
    """A sink that writes ``PREFIX_stats.csv``, ``_stats_history.csv``, ``_failures.csv`` and ``_exceptions.csv``.

    Each second the history gets one row per name and one row for all names together. The stats are replaced atomically
    each second; the other two files are replaced atomically when they change.

    Raises:
        PlanError: *prefix* is empty.
    """

    required = True
    wants_points = False

    def __init__(self, prefix: str) -> None:
        if not prefix:
            raise PlanError("--out locust has no prefix for its files", hint="write it like locust=results")
        self._stats, self._history, self._failures, self._exceptions = (
            Path(f"{prefix}_{name}.csv") for name in ("stats", "stats_history", "failures", "exceptions")
        )
        self._warmup_s = self._measured_s = 0.0
        self._table = SeriesTable()
        self._failed = Failures()
        self._raised = ErrorTable()
        self._new_failures = self._new_exceptions = False
        self._pooled = False
        self._span_s = 0.0
        self._errors = ErrorTable()
        self._named = False
        self._appended: AppendedFile | None = None

    def check(self) -> None:
        """See `Sink.check`."""
        for path in (self._stats, self._history, self._failures, self._exceptions):
            check_file(path, "--out locust", example="results_stats.csv")

    def expect_summary(self) -> SecondsNeeded:
        """See `Sink`: a row of the history may have several seconds, and nobody reads the other files meanwhile."""
        self._pooled = True
        return "rows"

    def open(self, header: RunHeader) -> None:
        self._warmup_s = float(header.plan.get("warmup_s", 0.0))
        self._write_stats()
        replace_file(self._failures, _csv(FAILURES))
        replace_file(self._exceptions, _csv(EXCEPTIONS))
        if self._appended is None:
            self._appended = AppendedFile(self._history)
        self._appended.append(_csv(HISTORY))

    def write(self, snapshot: Snapshot) -> None:
        time_s = snapshot.time_ns // _NS_PER_S
        window = relevant(snapshot.table)
        self._table.merge(window)
        self._measured_s = max(0.0, snapshot.t_s - self._warmup_s)
        if snapshot.exceptions.entries:
            self._raised.merge(snapshot.exceptions)
            self._new_exceptions = True
        self._span_s += snapshot.span_s
        if snapshot.errors.by_name:
            self._new_failures |= self._failed.add(window, snapshot.errors, time_s)
            self._named = True
        self._errors.merge(snapshot.errors)
        if self._pooled and not snapshot.table.series_values:
            return
        if not self._named:
            self._new_failures |= self._failed.add(window, self._errors, time_s)
        totals = entries_of(self._table)
        rows = history_rows(time_s, snapshot.vus, totals, entries_of(window), self._span_s)
        self._span_s, self._errors, self._named = 0.0, ErrorTable(), False
        if self._appended is not None:
            self._appended.append(_csv(*rows))
        if not self._pooled:
            self._write_stats(totals)
            self._write_failures()

    def close(self, summary: Mapping[str, Any] | None) -> None:
        if self._appended is not None:
            self._appended.close()
        if summary is not None:
            self._measured_s = float(summary["duration_s"])
        self._write_stats()
        self._write_failures()

    def _write_failures(self) -> None:
        if self._new_failures:
            replace_file(self._failures, _csv(FAILURES, *self._failed.rows()))
            self._new_failures = False
        if self._new_exceptions:
            replace_file(self._exceptions, _csv(EXCEPTIONS, *exception_rows(self._raised)))
            self._new_exceptions = False

    def _write_stats(self, entries: Sequence[LocustEntry] | None = None) -> None:
        rows = stats_rows(entries or entries_of(self._table), self._measured_s)
        replace_file(self._stats, _csv(STATS, *rows))


def _csv(*rows: Sequence[CellValue] | Sequence[str]) -> bytes:
    """Return *rows* as CSV in Locust's format: quotes only if needed, line ends CRLF."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
