"""``--out hlog=FILE``: a histogram log for the tools of HdrHistogram, which plot it, cut it by time and merge it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.metrics import HIGHEST_US
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import TrendValue
from fastload.model.wire_text import one_line
from fastload.outputs.files import check_file
from fastload.outputs.streams.appended_file import AppendedFile
from fastload.outputs.streams.base import SecondsNeeded

MAX_UNIT_RATIO = 1000
"""Divisor of the column Interval_Max: values are microseconds, the column has milliseconds."""
_LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'


class HistogramLog:
    """A sink that writes one line per second for each trend with values, tagged with the name of the trend.

    Of a saved run of more than 900 s, a line has several seconds.

    It does not use the log writer of the package hdrh, which writes no tags and no start time, and truncates the
    maximum to whole units.

    Raises:
        PlanError: *file* is empty.
    """

    required = True
    wants_points = False

    def __init__(self, file: str) -> None:
        if not file:
            raise PlanError("--out hlog has no file", hint="write it like hlog=latency.hlog")
        self._path = Path(file)
        self._start_s = 0.0
        self._pooled = False
        self._span_s = 0.0
        self._file: AppendedFile | None = None

    def check(self) -> None:
        """See `Sink.check`."""
        check_file(self._path, "--out hlog", example="latency.hlog")

    def expect_summary(self) -> SecondsNeeded:
        """See `Sink`: a line may have a longer interval."""
        self._pooled = True
        return "rows"

    def open(self, header: RunHeader) -> None:
        started = datetime.fromisoformat(header.started_at)
        self._start_s = round(started.timestamp(), 3)
        if self._file is None:
            self._file = AppendedFile(self._path)
        self._file.append(_head(header, started, self._start_s).encode("utf-8", "backslashreplace"))

    def write(self, snapshot: Snapshot) -> None:
        self._span_s += snapshot.span_s
        if self._pooled and not snapshot.table.series_values:
            return
        span_s, self._span_s = self._span_s, 0.0
        # Use the wall clock: `Snapshot.t_s` does not count pauses. It may have been set back, hence the max().
        begin_s = max(0.0, snapshot.time_ns / 1e9 - span_s - self._start_s)
        lines = [
            f"Tag={series.metric},{begin_s:.3f},{span_s:.3f},{trend.max / MAX_UNIT_RATIO:.3f},{trend.encode()}\n"
            for series, trend in snapshot.table.series_values.items()
            if isinstance(trend, TrendValue) and trend.count and not series.tags
        ]
        if lines and self._file is not None:
            self._file.append("".join(lines).encode())

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        if self._file is not None:
            self._file.close()


def _head(header: RunHeader, started: datetime, start_s: float) -> str:
    shown = started.astimezone(UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    lines = [
        f"#[fastload {header.versions.get('fastload', '')}, run {header.run_id}: {one_line(header.title)}]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {start_s:.3f} (seconds since epoch), {shown}]",
        f"#[BaseTime: {start_s:.3f} (seconds since epoch)]",
        f"#[Values are microseconds, Interval_Max is milliseconds (maximum value unit ratio {MAX_UNIT_RATIO})]",
        *(
            f"#[Values of {spec.name} are thousandths of {one_line(spec.unit) or 'its unit'}]"
            for spec in header.specs.values()
            if spec.kind == "trend" and spec.highest != HIGHEST_US
        ),
        _LEGEND,
    ]
    return "".join(f"{line}\n" for line in lines)
