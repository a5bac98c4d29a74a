"""The session of one `fastload ui`, shared by all browsers: the form, the runs one after another, their reports."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard.ui_command import UiCommands
from fastload.dashboard.ui_form import Form, FormError, env_names, first_form, run_arguments
from fastload.dashboard.ui_reports import REPORTS, ReportMaker
from fastload.dashboard.ui_run import UiRun, run_id
from fastload.dashboard.ui_saved import SavedRuns
from fastload.model.saved.run_file import SUFFIX

LIVE_PAGES = 5
"""Number of newest runs that keep a live page, of some 10 MB each. Older runs have only reports."""
MOST_COMPARISONS = 20
"""Number of newest comparisons whose pages are kept, of some 5 MB each."""
_FORCE = "--force"
_SHOWN = ("scenarios", "duration_s", "longest_s", "base_url", "target", "thresholds", "notes")


class UiSession:
    """The runs of one ui, one at a time. Run files go into the folder *save*; without it, `close` deletes them.

    All methods may be called from any thread; most of them block.
    """

    def __init__(self, commands: UiCommands, save: Path | None) -> None:
        self._commands = commands
        self._save = save
        self._saved = SavedRuns(save)
        self._reports = ReportMaker(commands)
        self._lock = threading.Lock()
        self._runs: list[UiRun] = []
        self._comparisons: list[Path] = []
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
        self._reports.refuse()
        if current is not None and not current.is_over:
            current.stop()
            if not current.wait(timeout_s):
                return False
        self._commands.close()
        self._reports.close()
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
        plan = self._planned(arguments) if arguments else self._plan
        return {key: plan[key] for key in _SHOWN}

    def _planned(self, arguments: list[str]) -> dict[str, Any]:
        try:
            return self._commands.plan(arguments)
        except FormError as error:
            raise error.at_field() from error

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
        except FormError as error:
            self._runs.remove(run)
            raise error.at_field() from error
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

    def saved(self) -> dict[str, Any]:
        """Return the saved runs in the folder of ``--save`` that are not of this session."""
        return self._saved.describe({run.file for run in list(self._runs)})

    def report(self, number: int, name: str) -> tuple[Path, str]:
        """Return the path of report *name* of a run, and its file name for a download.

        A report of a run in progress has the data so far.

        Raises:
            RequestRefused: there is no such run or report, the run has no data yet, or the ui is closing.
            FastloadError: the report cannot be made.
        """
        run = self.run(number)
        if not run.has_begun:
            raise RequestRefused(HTTPStatus.CONFLICT, f"run {number} has measured nothing yet", "wait a second")
        return self._reports.make(run.file, name, run.folder)

    def saved_report(self, saved_id: str, name: str) -> tuple[Path, str]:
        """Return the same for a saved run.

        Raises:
            RequestRefused: there is no such run or report, its file is gone, or the ui is closing.
            FastloadError: the report cannot be made.
        """
        return self._reports.make(self._saved.find(saved_id).path, name, self._opened_folder / saved_id)

    def compare(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Compare the two runs with the ids in ``runs`` of *data*; the one that began first is the baseline.

        Return the number of the ``comparison``. Runs of different plans are compared with ``force`` only; without it,
        return how they are ``different``.

        Raises:
            RequestRefused: *data* has another form, there is no such run, or the ui is closing.
            FormError: the runs cannot be compared.
        """
        ids, force = data.get("runs"), data.get("force", False)
        if not (isinstance(ids, list) and len(ids) == 2 and all(isinstance(one, str) for one in ids)):
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, "runs are not two ids", "GET /api/runs and /api/saved have them"
            )
        if not isinstance(force, bool):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, f"force {force!r} is not true or false")
        (_, baseline), (_, candidate) = sorted(map(self._file_of, ids))
        with self._lock:
            number = len(self._comparisons) + 1
            page = self._opened_folder / "comparisons" / f"{number}.html"
            self._comparisons.append(page)
        try:
            self._reports.compare(baseline, candidate, page, force=force)
        except FormError as error:
            if _FORCE in error.hint:
                return {"different": error.message}
            raise
        for old in self._comparisons[:-MOST_COMPARISONS]:
            old.unlink(missing_ok=True)
        return {"comparison": number}

    def comparison(self, number: int) -> Path:
        """Return the page of that comparison.

        Raises:
            RequestRefused: 404, there is none, or it is one of the older ones.
        """
        page = self._comparisons[number - 1] if 0 < number <= len(self._comparisons) else None
        if page is None or not page.exists():
            raise RequestRefused(HTTPStatus.NOT_FOUND, f"there is no comparison {number}", "compare the runs again")
        return page

    def _file_of(self, one: str) -> tuple[datetime, Path]:
        """Return when the run with that id began, and its file."""
        for run in self._runs:
            if run_id(run.number) == one and run.has_begun:
                return run.started_at, run.file
        saved = self._saved.find(one)
        return saved.started_at, saved.path

    @property
    def _opened_folder(self) -> Path:
        assert self._folder is not None
        return self._folder

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
        number = self._runs[-1].number + 1 if self._runs else 1
        folder = self._opened_folder / run_id(number)
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
