"""``--out github``: a job summary in Markdown and annotations of errors, for a step of GitHub Actions."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.outputs.base import mute
from fastload.outputs.files import check_file
from fastload.outputs.streams.base import SecondsNeeded
from fastload.outputs.streams.markdown_report import render_markdown
from fastload.outputs.streams.plain_summary import threshold_name, thresholds_in, verdict_line, why_failed

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_SUMMARY_BYTES = 1_000_000
"""Limit of the summary of a step. GitHub refuses a summary over 1 MiB as a whole."""
MOST_ANNOTATIONS = 10
"""Number of annotations of one kind that GitHub shows per step."""
_CUT = b"\n\n(The rest is left out: GitHub shows at most 1 MiB.)\n"


class GitHub:
    """A sink that appends to the job summary and writes annotations to stderr, when the run is over.

    GitHub reads annotations from stdout and stderr of a step. They go to stderr because ``--json`` may use stdout.

    Raises:
        PlanError: *argument* is not empty; this output takes none.
    """

    required = False
    wants_points = False

    def __init__(self, argument: str = "") -> None:
        if argument:
            raise PlanError(f"--out github takes no argument, and got {argument!r}", hint="write --out github")
        self._header: RunHeader | None = None

    def check(self) -> None:
        """See `Sink.check`."""
        check_file(_summary_file(), f"--out github: {VARIABLE}", example="summary.md")

    def expect_summary(self) -> SecondsNeeded:
        """See `Sink`: everything is in the summary."""
        return "none"

    def open(self, header: RunHeader) -> None:
        self._header = header

    def write(self, snapshot: Snapshot) -> None:
        """Do nothing before the end of the run."""

    def close(self, summary: Mapping[str, Any] | None) -> None:
        assert self._header is not None
        try:
            sys.stderr.write("".join(f"{line}\n" for line in workflow_commands(self._header, summary)))
            sys.stderr.flush()
        except BrokenPipeError:
            mute(sys.stderr)
        if summary is not None:
            _append(_summary_file(), render_markdown(self._header, summary))


def workflow_commands(header: RunHeader, summary: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the annotations of a run, one per line. *summary* is `Summary.to_dict`, or None if the run broke off."""
    if summary is None:
        yield _command("error", "fastload broke off", f"{header.title}: there is no summary")
        return
    errors = [
        (f"Threshold failed: {threshold_name(one)}", why_failed(one)) for one in thresholds_in(summary) if not one.ok
    ]
    if len(errors) > MOST_ANNOTATIONS:
        more = len(errors) - MOST_ANNOTATIONS + 1
        errors = [*errors[:-more], ("More thresholds failed", f"and {more} more")]
    if summary.get("capacity") and not summary["capacity"]["meets_demand"]:
        errors = [("The capacity that was asked for is not shown", summary["capacity"]["headline"]), *errors]
    for title, text in errors:
        yield _command("error", title, f"{text} ({header.title})")
    state = summary["verdict"]["state"]
    if state != "VALID":
        yield _command("warning", f"Verdict {state}", f"{verdict_line(summary)}\n({header.title})")


def _command(kind: str, title: str, text: str) -> str:
    shown = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={shown}::{_data(text)}"


def _data(text: str) -> str:
    """Escape *text* for a workflow command, which has one line."""
    legible = text.encode("utf-8", "backslashreplace").decode()
    return legible.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _summary_file() -> Path:
    name = os.environ.get(VARIABLE, "")
    if not name:
        raise PlanError(
            f"--out github: {VARIABLE} is not set, so this is no step of GitHub Actions",
            hint="elsewhere, write the same with --out md=FILE",
        )
    return Path(name)


def _append(path: Path, text: str) -> None:
    """Append *text*, cut to the free space: GitHub does not show a summary that is too long."""
    data = text.encode("utf-8", "backslashreplace")
    if data and not data.endswith(b"\n"):
        data += b"\n"
    size = path.stat().st_size if path.exists() else 0
    room = MOST_SUMMARY_BYTES - size
    if len(data) > room:
        cut = data[: max(0, room - len(_CUT))]
        data = cut[: cut.rfind(b"\n") + 1] + _CUT if room > len(_CUT) else b""
    try:
        with path.open("ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        # The summary belongs to the whole step: half a table in it would spoil what others write.
        with suppress(OSError):
            os.truncate(path, size)
        raise
