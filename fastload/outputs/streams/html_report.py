"""``--html FILE``: the page with charts, in one file that opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.bounded_replay import BoundedReplay
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.files import check_file, replace_file
from fastload.outputs.page.page_data import report_data
from fastload.outputs.page.render import render_page
from fastload.outputs.streams.base import SecondsNeeded


class HtmlReport:
    """A sink that collects a time line (at most 900 rows) and totals, and writes the page atomically at the end.

    For a run without a summary, the page shows a summary of the seconds received.

    Raises:
        PlanError: *argument* is empty.
    """

    required = True
    wants_points = False

    def __init__(self, argument: str) -> None:
        if not argument:
            raise PlanError("--out html: no file is named", hint="write --html report.html")
        self._path = Path(argument)
        self._header: RunHeader | None = None
        self._has_summary = False
        self._timeline: Timeline | None = None
        self._totals: BoundedReplay | None = None

    def check(self) -> None:
        check_file(self._path, "--html", example="report.html")

    def expect_summary(self) -> SecondsNeeded:
        """See `Sink`: the charts need the seconds, and nothing needs the totals."""
        self._has_summary = True
        return "charts"

    def open(self, header: RunHeader) -> None:
        self._header, self._timeline, self._totals = header, Timeline(header), BoundedReplay(header)

    def write(self, snapshot: Snapshot) -> None:
        assert self._timeline is not None
        assert self._totals is not None
        self._timeline.add(snapshot)
        if not self._has_summary:
            self._totals.add(snapshot)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        assert self._header is not None
        assert self._timeline is not None
        assert self._totals is not None
        shown = self._totals.summary(running=False) if summary is None else summary
        data = report_data(self._header, self._timeline, shown)
        replace_file(self._path, render_page(data, title=f"{self._header.title} - fastload report"))
