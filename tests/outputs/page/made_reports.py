"""Reports of made-up runs: as a file, and as the data of a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastload.model.timeline.timeline import Timeline
from fastload.outputs.page.page_data import page_data
from fastload.outputs.streams.html_report import HtmlReport
from tests.outputs.seconds import Made


def write(made: Made, path: Path, *, summary: bool = True) -> str:
    """The report of *made* as a file; its URL."""
    report = HtmlReport(str(path))
    report.check()
    report.open(made.header)
    for snapshot in made.seconds:
        report.write(snapshot)
    report.close(made.summary if summary else None)
    return path.as_uri()


def timeline_of(made: Made) -> Timeline:
    timeline = Timeline(made.header)
    for snapshot in made.seconds:
        timeline.add(snapshot)
    return timeline


def data_of(made: Made, **options: Any) -> Any:
    """The data of a page, as JSON has it."""
    return json.loads(json.dumps(page_data(made.header, timeline_of(made), made.summary, **options)))
