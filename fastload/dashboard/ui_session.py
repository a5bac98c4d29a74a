"""The session of one `fastload ui`, shared by all browsers: the form, the runs one after another, their reports."""

from __future__ import annotations

import shutil
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard.ui_command import UiCommands
from fastload.dashboard.ui_form import Form, FormError, env_names, first_form, run_arguments
from fastload.dashboard.ui_run import UiRun
from fastload.model.saved.run_file import SUFFIX

LIVE_PAGES = 5
"""Number of newest runs that keep a live page, of some 10 MB each. Older runs have only reports."""


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


class UiSession:
    """The runs of one ui, one at a time. Run files go into the folder *save*; without it, `close` deletes them.

    All methods may be called from any thread; most of them block.
    """

    def __init__(self, commands: UiCommands, save: Path | None) -> None:
        self._commands = commands
        self._save = save
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._runs: list[UiRun] = []
        self._is_closed = False
        self._plan: Mapping[str, Any] = {}
        self._folder: Path | None = None

    def open(self) -> None:
        """Read the script, and create the folder for the files of the runs.

        Raises:
            FormError: ``fastload run`` would refuse the script.
        """
        self._plan = self._commands.plan()
        self._folder = Path(tempfile.mkdtemp(prefix="fastload-ui-"))

    def close(self, *, timeout_s: float | None = None) -> bool:
        """Stop the current run gracefully, wait for its end, and delete the files that are not saved.

        Return False if the run did not end within *timeout_s*; nothing is deleted then, and the caller calls again.
        """
        with self._lock:
            self._is_closed = True
            current = self._current()
        if current is not None and not current.is_over:
            current.stop()
            if not current.wait(timeout_s):
                return False
        self._commands.close()
        with self._reporting:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
        return True

    def end_now(self) -> None:
        """Interrupt the current run, and kill it if it does not end within `_NOW_S`."""
        current = self._current()
        if current is not None and not current.is_over:
            current.stop(now=True)
            if not current.wait(_NOW_S):
                current.kill()

    @property
    def script(self) -> str:
        return self._commands.script

    def form(self, *, again: bool = False) -> dict[str, Any]:
        """Return the data of the page's form. *again*: read the script again first, unless a run is in progress.

        Raises:
            FormError: ``fastload run`` would refuse the script.
        """
        if again and not self._is_busy():
            self._plan = self._commands.plan()
        plan = self._plan
        last = self._current()
        return {
            "script": self.script,
            "target": plan["target"],
            "scenarios": plan["scenarios"],
            "thresholds": plan["thresholds"],
            "first": first_form(plan).to_dict(),
            "last": last.form.without_values(last.number).to_dict() if last else None,
            "env_names": env_names(plan),
            "duration_s": plan["duration_s"],
            "reports": {name: report.title for name, report in REPORTS.items()},
        }

    def preview(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan of a run with this form; the host may still be missing.

        Return an empty dict while a run is in progress, because making a plan would disturb it.

        Raises:
            FormError: a run with this form would be refused.
        """
        arguments = run_arguments(replace(self._form_in(data), needs_host=False), first_form(self._plan))
        if self._is_busy():
            return {}
        plan = self._commands.plan(arguments) if arguments else self._plan
        return {key: plan[key] for key in ("scenarios", "duration_s", "longest_s", "base_url", "target", "notes")}

    def start(self, data: Mapping[str, Any]) -> UiRun:
        """Start a run with this form, and wait until it has begun.

        Raises:
            FormError: the form is invalid, or the run does not begin.
            RequestRefused: another run is in progress, or the ui is closing.
        """
        form = self._form_in(data)
        arguments = run_arguments(form, first_form(self._plan))
        with self._lock:
            if self._is_busy() or self._is_closed:
                raise self._busy()
            run = self._make(form, arguments)
            self._runs.append(run)
        try:
            run.start()
        except BaseException:
            self._runs.remove(run)
            raise
        for old in self._runs[:-LIVE_PAGES]:
            old.forget()
        return run

    def run(self, number: int) -> UiRun:
        """Return run *number*; numbers start at 1.

        Raises:
            RequestRefused: 404, there is no such run.
        """
        for run in self._runs:
            if run.number == number:
                return run
        raise RequestRefused(HTTPStatus.NOT_FOUND, f"there is no run {number}", "GET /api/runs lists them")

    def describe(self) -> dict[str, Any]:
        """Return all runs, the newest first, and the number of the run in progress, if any."""
        runs = [run.describe() for run in reversed(list(self._runs))]
        current = next((run["run"] for run in runs if run["exit_code"] is None), None)
        return {"runs": runs, "current": current}

    def report(self, number: int, name: str) -> tuple[Path, str]:
        """Return the path of report *name* of a run, and its file name for a download.

        A report of a run in progress has the data so far.

        Raises:
            RequestRefused: there is no such run or report, the run has no data yet, or the ui is closing.
            FastloadError: the report cannot be made.
        """
        run = self.run(number)
        if name not in REPORTS:
            raise RequestRefused(
                HTTPStatus.NOT_FOUND, f"there is no report {name!r}", f"there are {', '.join(REPORTS)}"
            )
        if not run.has_begun:
            raise RequestRefused(HTTPStatus.CONFLICT, f"run {number} has measured nothing yet", "wait a second")
        report = REPORTS[name]
        title = f"{run.file.stem}{report.suffix}"
        if not report.option:
            return run.file, title
        is_final = run.is_over
        path = run.folder / (title if is_final else f"so-far-{title}")
        with self._reporting:
            if self._is_closed:
                raise RequestRefused(HTTPStatus.CONFLICT, "the ui ends", "look at the saved run")
            if not (is_final and path.exists()):
                self._make_report(run, report, path)
        return path, title

    def _make_report(self, run: UiRun, report: Report, path: Path) -> None:
        made = path.with_name(f"making-{path.name}")
        if not report.suffix.endswith(".zip"):
            self._commands.report(run.file, [f"{report.option}={made}"])
        else:
            with tempfile.TemporaryDirectory(dir=run.folder) as folder:
                self._commands.report(run.file, [f"{report.option}={Path(folder, run.file.stem)}"])
                with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                    for file in sorted(Path(folder).iterdir()):
                        archive.write(file, file.name)
        made.replace(path)

    def _form_in(self, data: Mapping[str, Any]) -> Form:
        """Return the form that a browser sent, completed with the environment values that it never gets.

        Raises:
            FormError: the form is invalid, or the run with these values does not exist.
        """
        form = Form.take(data)
        if not form.env_of:
            return form
        for run in self._runs:
            if run.number == form.env_of:
                return form.with_values(run.form)
        raise FormError(f"there is no run {form.env_of} whose environment could be taken", hint="load the page again")

    def _make(self, form: Form, arguments: list[str]) -> UiRun:
        assert self._folder is not None
        number = self._runs[-1].number + 1 if self._runs else 1
        folder = self._folder / f"run-{number}"
        folder.mkdir(exist_ok=True)
        stem = f"{Path(self.script.rpartition(':')[2]).stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        file = (self._save or folder) / f"{stem}{SUFFIX}"
        while file.exists():
            file = file.with_name(f"{file.stem}-{number}{SUFFIX}")
        return UiRun(number, form, partial(self._commands.run, arguments), folder, file)

    def _current(self) -> UiRun | None:
        return self._runs[-1] if self._runs else None

    def _is_busy(self) -> bool:
        current = self._current()
        return current is not None and not current.is_over

    def _busy(self) -> RequestRefused:
        if self._is_closed:
            return RequestRefused(HTTPStatus.CONFLICT, "the ui ends", "start it again")
        current = self._current()
        number = current.number if current else 0
        return RequestRefused(
            HTTPStatus.CONFLICT, f"run {number} is under way", "one at a time: stop it, or wait for its end"
        )


# Longest time for an interrupted run to end before it is killed.
_NOW_S = 10.0
