"""One run of `fastload ui`: starts its process, reads its growing run file, and uses its control API."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastload.control.commands.command_queue import check_command
from fastload.control.commands.control_api import CLIENT_HEADER
from fastload.dashboard.live_run import LiveRun
from fastload.dashboard.ui_command import error_of
from fastload.dashboard.ui_form import Form
from fastload.dashboard.ui_saved import load_words, run_figures
from fastload.model.errors import ControlError, FastloadError
from fastload.model.records import Snapshot
from fastload.model.saved.run_file import RunReader

EXIT_CODES: Mapping[int, str] = {
    0: "finished",
    96: "the generator was too busy (--strict)",
    97: "a worker was lost",
    99: "a threshold failed",
    104: "refused, or an output failed",
    105: "interrupted",
    107: "the script raised",
    108: "aborted by the script, or nothing answered",
}
"""Short meanings of the exit codes of ``fastload run``."""
_Reason = Literal["refused", "over", "timeout"]
_REASONS: Mapping[int, _Reason] = {http.client.CONFLICT: "over", http.client.SERVICE_UNAVAILABLE: "timeout"}
_COUNTED = ("elapsed_s", "progress", "vus", "requests", "failed", "requests_per_s")
_ADDRESS = re.compile(rb"^control: http://127\.0\.0\.1:(\d+)$", re.MULTILINE)
_LOG_TAIL_BYTES = 64 * 1024
# Seconds between two reads of the run file; the run itself writes once a second.
_POLL_S = 0.1
# Longest time that the parent of a run may take to start a target and to fork.
_UP_S = 60.0

StartProcess = Callable[..., subprocess.Popen[bytes]]
"""`UiCommands.run` with the arguments of the form already given."""


class UiRun:
    """A run from its start to its reports. *folder* belongs to this run alone; *file* is its run file.

    A thread of its own starts the process, reads the file while it grows, and waits for the end. All methods may be
    called from any thread.
    """

    def __init__(self, number: int, form: Form, launch: StartProcess, folder: Path, file: Path) -> None:
        self.number = number
        self.form = form
        self.file = file
        self.folder = folder
        self.live: LiveRun | None = None
        self.started_at = datetime.now(UTC)
        self.has_begun = False
        self.exit_code: int | None = None
        self._launch = launch
        self._token = secrets.token_urlsafe(24)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: RunReader | None = None
        self._load: list[str] = []
        self._figures: dict[str, Any] = {
            "state": "starting",
            "p95_ms": None,
            "verdict": "",
            **dict.fromkeys(_COUNTED, 0),
        }
        self._has_thresholds = False
        self._summary: Mapping[str, Any] | None = None
        self._stopped = False
        self._up, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"fastload-ui-run-{number}")

    def start(self) -> None:
        """Start the process, and wait until the run has begun.

        Raises:
            FormError: the process ended before the run began; the message is that of the process.
        """
        self._thread.start()
        self._up.wait(_UP_S)
        if self.is_over and not self.has_begun:
            raise error_of(self._log("stderr"))

    @property
    def is_over(self) -> bool:
        return self.exit_code is not None

    @property
    def has_dropped_live_page(self) -> bool:
        """Whether the live page of the run was dropped (see `forget`)."""
        return self.has_begun and self.live is None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end. Return False if it did not come within *timeout_s*."""
        return self._done.wait(timeout_s)

    def forget(self) -> None:
        """Drop the live page, to free memory. The figures and the files of the run stay."""
        self.live = None

    def ask(self, name: str, /, *, timeout_s: float = 10.0, **arguments: Any) -> dict[str, Any]:
        """Return the run's answer to command *name*, with the interface of `CommandQueue.ask`.

        Raises:
            ControlError: the run refuses the command, is over, or does not answer within *timeout_s*.
        """
        given = check_command(name, arguments)
        if self.is_over or not self._port:
            raise ControlError("the run is over" if self.is_over else "the run has not begun", reason="over")
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout_s)
        how = "GET" if name in ("status", "metrics") else "POST"
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            CLIENT_HEADER: "ui",
        }
        try:
            connection.request(how, f"/v1/{name}", json.dumps(given) if how == "POST" else None, headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = isinstance(error, TimeoutError)
            raise ControlError(
                "the run does not answer", hint="it may be ending", reason="timeout" if late else "over"
            ) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            reason: _Reason = _REASONS.get(response.status, "refused")
            raise ControlError(str(answer.get("error")), hint=str(answer.get("hint") or ""), reason=reason)
        return answer

    def stop(self, *, now: bool = False) -> None:
        """Ask the run to end gracefully, or at once if *now*. Repeated graceful stops do nothing.

        If the control API cannot take the command yet, the process gets SIGINT, as by Ctrl-C.
        """
        if self._stopped and not now:
            return
        self._stopped = True
        try:
            self.ask("stop", now=now)
        except FastloadError:
            self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the run and its workers at once; nothing more is written."""
        self._signal(signal.SIGKILL)

    def log(self) -> str:
        """Return the end of stderr, then of stdout, which has the script's prints and the report."""
        stderr = "".join(line for line in self._log("stderr").splitlines(True) if not line.startswith("control: "))
        return "\n".join(filter(None, (stderr, self._log("stdout"))))

    def describe(self) -> dict[str, Any]:
        """Return the run as an entry of the list of runs.

        Rates and percentiles are of the last second while the run lasts, and of the whole run after its end.
        """
        over = {"state": "ended", "progress": 1.0} if self.is_over else {}
        return {
            "run": self.number,
            "id": run_id(self.number),
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "load": self._load,
            **self._figures,
            **over,
            "exit_code": self.exit_code,
            "outcome": self._outcome(),
            "meaning": self._meaning(),
            "form": self.form.without_values(self.number).to_dict(),
            "file": self.file.name,
        }

    def _outcome(self) -> str:
        """Return the report's word for the end of the run; without thresholds it is "finished", not "passed"."""
        if not self.is_over:
            return ""
        if self.exit_code:
            return "failed"
        return "passed" if self._has_thresholds else "finished"

    def _meaning(self) -> str:
        code = self.exit_code
        if not code:
            return self._outcome()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        if code == 104:
            return error_of(self._log("stderr")).message or EXIT_CODES[code]
        return EXIT_CODES.get(code, f"exit code {code}")

    def _log(self, name: str) -> str:
        path = self.folder / name
        with contextlib.suppress(OSError), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
        return ""

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if number is signal.SIGKILL:
                    os.killpg(process.pid, number)
                else:
                    os.kill(process.pid, number)

    def _follow(self) -> None:
        code = -signal.SIGKILL
        try:
            code = self._wait_and_read()
        finally:
            if self._process is not None and self._process.poll() is None:
                # After any error in this thread: no run may continue that nobody follows.
                self.kill()
                self._process.wait()
            if self._reader is not None:
                self._reader.close()
            self.exit_code = int(code)
            if self.live is not None:
                self.live.end(self._summary)
                self.live.close()
            self._summary = None
            self._up.set()
            self._done.set()

    def _wait_and_read(self) -> int:
        """Start the process, read its output until it ends, and return its exit code."""
        log = self.folder / "stderr"
        self._process = process = self._launch(
            save=self.file, token=self._token, log=log, report=self.folder / "stdout"
        )
        if self._stopped:
            self._signal(signal.SIGINT)
        while True:
            code = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(_POLL_S)
            if not self._port and (found := _ADDRESS.search(log.read_bytes())):
                self._port = int(found[1])
            # Also after the process ended: the file then has the last second and the summary.
            self._read()
            if self._port and self.has_begun:
                self._up.set()
            if code is not None:
                return code

    def _read(self) -> None:
        """Read the new records of the run file."""
        if self._reader is None:
            # The file exists once the workers have been forked.
            if not self.file.exists():
                return
            self._reader = RunReader(self.file)
        for kind, body in self._reader.poll():
            if kind == "header":
                self._load = load_words(body.plan)
                self.live = LiveRun(body)
                self._figures["state"] = self.live.state()["phase"]
                self.has_begun = True
            elif kind == "second" and self.live is not None:
                self._figures = _figures_of_second(body)
                self.live.add(body)
            elif kind == "summary":
                self._summary = body
                self._figures |= run_figures(body)
                self._has_thresholds = bool(body["thresholds"])


def run_id(number: int) -> str:
    """Return the id of run *number* among all runs of the page; `ui_saved` has those of other files."""
    return f"run-{number}"


def _figures_of_second(second: Snapshot) -> dict[str, Any]:
    shown = (*_COUNTED, "p95_ms")
    figures = {name: getattr(second, name) for name in shown}
    return {"state": second.phase, **figures, "verdict": second.verdict.state if second.verdict else ""}
