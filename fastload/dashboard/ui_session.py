"""What a `fastload ui` has in common for all browsers: the form, the runs one after the other, and their reports."""

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
from fastload.dashboard.ui_form import Form, FormError, arguments_of, env_names, first_form
from fastload.dashboard.ui_run import UiRun

SUFFIX = ".fastload"
LIVE_PAGES = 5
"""Of so many runs, the newest, there is a live page; each takes some 10 MB. Of older ones there are the reports."""


class Report(NamedTuple):
    """A file of a run that can be downloaded: *option* of ``fastload report`` writes it, in the file named *suffix*."""

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
"""By the name that they have in a URL."""


class UiSession:
    """The runs of one ui, of which one at a time is under way. Saved runs go into *save*, or are gone at the end.

    Everything may be called from any thread; most of it blocks.
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
        """Read the script, and make the folder for what the runs leave.

        Raises:
            FormError: what ``fastload run`` would refuse of it.
        """
        self._plan = self._commands.plan()
        self._folder = Path(tempfile.mkdtemp(prefix="fastload-ui-"))

    def close(self, *, timeout_s: float | None = None) -> bool:
        """Stop the run under way gracefully, wait for its end, and remove what is not saved; whether all of that was
        done within *timeout_s*. May be repeated: what still runs is asked again."""
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
        """Interrupt what the run under way still does, and kill it if that does not help."""
        current = self._current()
        if current is not None and not current.is_over:
            current.stop(now=True)
            if not current.wait(_NOW_S):
                current.kill()

    @property
    def script(self) -> str:
        return self._commands.script

    def form(self, *, again: bool = False) -> dict[str, Any]:
        """What the page needs for its form; *again*: from the script as it is now, unless a run is under way.

        Raises:
            FormError: what ``fastload run`` would refuse of the script.
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
        """What a run with this form would do; the host may still be missing. Nothing while a run is under way, which a
        look at another plan would disturb.

        Raises:
            FormError: it would not begin.
        """
        arguments = arguments_of(replace(self._form_in(data), needs_host=False), first_form(self._plan))
        if self._is_busy():
            return {}
        plan = self._commands.plan(arguments) if arguments else self._plan
        return {key: plan[key] for key in ("scenarios", "duration_s", "longest_s", "base_url", "target", "notes")}

    def start(self, data: Mapping[str, Any]) -> UiRun:
        """Start a run with this form, and wait until it runs.

        Raises:
            FormError: it does not begin.
            Refusal: another one is under way.
        """
        form = self._form_in(data)
        arguments = arguments_of(form, first_form(self._plan))
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
        """Run *number*, from 1.

        Raises:
            Refusal: 404.
        """
        for run in self._runs:
            if run.number == number:
                return run
        raise RequestRefused(HTTPStatus.NOT_FOUND, f"there is no run {number}", "GET /api/runs lists them")

    def describe(self) -> dict[str, Any]:
        """All runs, the newest first, and which of them is under way."""
        runs = [run.describe() for run in reversed(list(self._runs))]
        current = next((run["run"] for run in runs if run["exit_code"] is None), None)
        return {"runs": runs, "current": current}

    def report(self, number: int, name: str) -> tuple[Path, str]:
        """Report *name* of a run, and what to call it. Of a run under way it says how that stands.

        Raises:
            Refusal: there is no such run or report, or nothing to report yet.
            FastloadError: it cannot be made.
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
        """The form that a browser sent, with the values that it was not shown.

        Raises:
            FormError: it is none, or the run that had them is not there.
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


# How long a run that is to end now may take to say goodbye.
_NOW_S = 10.0
