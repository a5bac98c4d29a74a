"""The commands that `fastload ui` starts: each plan, run and report is a process of its own.

The ui has threads, so it never forks an engine itself; and a script is read anew each time, as it is then.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastload.dashboard.ui_child import ARGUMENTS
from fastload.dashboard.ui_form import FormError

_ROOT = str(Path(__file__).resolve().parents[2])
_CHILD = "fastload.dashboard.ui_child"
_PLAN_S, _REPORT_S = 60.0, 300.0
# What would take a run out of the ui's hands, or write into the same files after each run.
_OURS = {
    f"FASTLOAD_{name}"
    for name in (
        *("CONTROL", "CONTROL_TOKEN", "DASHBOARD", "DASHBOARD_TOKEN", "OPEN", "PAUSED"),
        *("HTML", "JSON", "OUT", "QUIET", "SAVE", "SUMMARY"),
    )
}


@dataclass(frozen=True)
class UiCommands:
    """Starts ``fastload`` for *script*. *arguments* and *environment* (variables over this process's own) are what was
    said to the ui of all runs."""

    script: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    _open: set[subprocess.Popen[bytes]] = field(default_factory=set, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def plan(self, arguments: Sequence[str] = ()) -> dict[str, Any]:
        """What ``fastload plan`` says of a run with *arguments* more.

        Raises:
            FormError: what ``fastload run`` would refuse, in its words.
        """
        done = self._run(["plan", self.script, *self.arguments, *arguments, "--json"], _PLAN_S)
        if done.returncode:
            raise error_of(done.stderr.decode(errors="replace"))
        # What the script itself prints comes before: only the first and the last line of the document are at the edge.
        text = "\n" + done.stdout.decode(errors="replace")
        try:
            found, _ = json.JSONDecoder().raw_decode(text[text.rindex("\n{\n") + 1 :])
        except ValueError as error:
            raise FormError("the plan of the script cannot be read", hint="see what 'fastload plan' prints") from error
        return dict(found)

    def report(self, run: Path, arguments: Sequence[str]) -> None:
        """Have ``fastload report`` write files of the saved *run*.

        Raises:
            FastloadError: it does not.
        """
        done = self._run(["report", str(run), *arguments], _REPORT_S)
        if done.returncode:
            raise error_of(done.stderr.decode(errors="replace"))

    def run(
        self, arguments: Sequence[str], *, save: Path, token: str, log: Path, report: Path
    ) -> subprocess.Popen[bytes]:
        """Start ``fastload run`` in a process group of its own, from the thread that will wait for its end. stderr goes
        to *log*, stdout to *report*; *token* is that of its control API."""
        command = ["run", self.script, *self.arguments, *arguments]
        command += [f"--save={save}", "--control=127.0.0.1:0", "--quiet"]
        more = {"FASTLOAD_CONTROL_TOKEN": token, "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as errors, report.open("wb") as output:
            return self._start(command, stdout=output, stderr=errors, **more)

    def close(self) -> None:
        """End the plans and reports under way."""
        with self._lock:
            for process in self._open:
                _kill(process)

    def _run(self, arguments: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[bytes]:
        with self._start(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with self._lock:
                self._open.add(process)
            try:
                output, errors = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise FormError(
                    f"'fastload {arguments[0]}' did not end within {timeout_s:g} s",
                    hint="see what the script does when it is imported",
                ) from None
            finally:
                with self._lock:
                    self._open.discard(process)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def _start(self, command: Sequence[str], *, stdout: Any, stderr: Any, **variables: str) -> subprocess.Popen[bytes]:
        """``fastload COMMAND`` in a process group of its own, with more *variables* in its environment."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _CHILD, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**self._env(), **variables, ARGUMENTS: json.dumps(list(command), ensure_ascii=False)},
            process_group=0,
        )

    def _env(self) -> dict[str, str]:
        """The environment, with this very package importable, also from another directory."""
        left = {name: value for name, value in os.environ.items() if name not in _OURS}
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), _ROOT]))
        return {**left, **self.environment, "PYTHONPATH": path}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it started: what a script starts while it is read would go on, and hold its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def error_of(stderr: str) -> FormError:
    """The message and the hint with which a command ended; of one that crashed, the last line."""
    _, found, said = ("\n" + stderr).rpartition("\nError: ")
    if not found:
        last = said.strip().rpartition("\n")[2]
        return FormError(f"it crashed: {last}" if last else "it ended without a word", hint="see fastload run")
    message, _, hint = said.partition("\nHint:")
    return FormError(message.strip(), hint=hint.strip())
