"""Reports of `fastload ui`: made by `fastload report` and `fastload compare` when they are asked for, and then kept."""

from __future__ import annotations

import os
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard.ui_command import UiCommands
from fastload.model.saved.run_file import SUFFIX


class Report(NamedTuple):
    """A downloadable report of a run. *option* of ``fastload report`` writes it; its file name ends with *suffix*.

    An empty *option* stands for the run file itself.
    """

    title: str
    suffix: str
    option: str


REPORTS: Mapping[str, Report] = {
    "html": Report("HTML report", ".html", "--html"),
    "md": Report("Markdown", ".md", "--md"),
    "junit": Report("JUnit XML", ".xml", "--junit"),
    "csv": Report("Locust's CSV files", "-csv.zip", "--csv"),
    "json": Report("Summary as JSON", ".json", "--json"),
    "hlog": Report("Histogram log", ".hlog", "--hlog"),
    "run": Report("Everything of the run", SUFFIX, ""),
}
"""Name of the report in a URL -> report."""


class ReportMaker:
    """Makes reports of run files, one at a time. A report is made again only if its run file has changed since.

    All methods may be called from any thread; they block.
    """

    def __init__(self, commands: UiCommands) -> None:
        self._commands = commands
        self._lock = threading.Lock()
        self._made: dict[Path, tuple[int, int]] = {}
        self._is_closed = False

    def refuse(self) -> None:
        """Refuse all further reports."""
        self._is_closed = True

    def close(self) -> None:
        """After `refuse`, and when the processes were killed: wait until no report is being made."""
        with self._lock:
            self._made.clear()

    def make(self, file: Path, name: str, folder: Path) -> tuple[Path, str]:
        """Return the path of report *name* of the run in *file*, and its file name for a download.

        The report is kept in *folder*, which belongs to this run alone. If the run goes on, it has the data so far.

        Raises:
            RequestRefused: there is no such report, the run file is gone, or the ui is closing.
            FastloadError: the report cannot be made.
        """
        if name not in REPORTS:
            raise RequestRefused(
                HTTPStatus.NOT_FOUND, f"there is no report {name!r}", f"there are {', '.join(REPORTS)}"
            )
        report = REPORTS[name]
        title = f"{shown_name(file.stem)}{report.suffix}"
        path = folder / f"report{report.suffix}"
        with self._lock:
            stamp = self._stamp_of(file)
            if not report.option:
                return file, title
            if self._made.get(path) != stamp:
                folder.mkdir(exist_ok=True)
                self._write(file, report, path)
                self._made[path] = stamp
        return path, title

    def compare(self, baseline: Path, candidate: Path, page: Path, *, force: bool) -> None:
        """Write the *page* that compares two run files; *force*: also if their plans differ.

        Raises:
            RequestRefused: a run file is gone, or the ui is closing.
            FormError: the runs cannot be compared.
        """
        with self._lock:
            for file in (baseline, candidate):
                self._stamp_of(file)
            page.parent.mkdir(exist_ok=True)
            self._commands.compare(baseline, candidate, page, force=force)

    def _stamp_of(self, file: Path) -> tuple[int, int]:
        """Return what changes with the content of *file*."""
        if self._is_closed:
            raise RequestRefused(HTTPStatus.CONFLICT, "the ui ends", "look at the saved run")
        try:
            found = file.stat()
        except OSError as error:
            hint = "load the page again"
            raise RequestRefused(HTTPStatus.GONE, f"{shown_name(file.name)} is gone", hint) from error
        return found.st_mtime_ns, found.st_size

    def _write(self, file: Path, report: Report, path: Path) -> None:
        made = path.with_name(f"making-{path.name}")
        if not report.suffix.endswith(".zip"):
            self._commands.report(file, [f"{report.option}={made}"])
        else:
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                self._commands.report(file, [f"{report.option}={Path(folder, file.stem)}"])
                with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                    for part in sorted(Path(folder).iterdir()):
                        archive.write(part, shown_name(part.name))
        made.replace(path)


def shown_name(name: str) -> str:
    """Return the file *name* as text that can be shown and sent, also if it is not UTF-8."""
    return os.fsencode(name).decode(errors="replace")
