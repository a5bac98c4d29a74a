"""Commands that `fastload ui` starts: each plan, run, report and comparison is a process of its own.

The ui has threads, so it must not fork workers itself. A new process also imports the current text of the script.
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
from fastload.dashboard.ui_form import NO_THRESHOLDS, THRESHOLD, FormError
from fastload.model.errors import FastloadError

_ROOT = str(Path(__file__).resolve().parents[2])
_CHILD = "fastload.dashboard.ui_child"
_PLAN_S, _REPORT_S = 60.0, 300.0
# Variables not passed on: they would take control of a run from the ui, or make all runs write the same files.
_OURS = {
    f"FASTLOAD_{name}"
    for name in (
        *("CONTROL", "CONTROL_TOKEN", "DASHBOARD", "DASHBOARD_LINGER", "DASHBOARD_TOKEN", "OPEN", "PAUSED"),
        *("HTML", "JSON", "OUT", "QUIET", "SAVE", "SUMMARY"),
    )
}


@dataclass(frozen=True)
class UiCommands:
    """Starts ``fastload`` commands for *script*.

    *arguments* and *environment* apply to all runs. *environment* overrides variables of this process.
    """

    script: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    _open: set[subprocess.Popen[bytes]] = field(default_factory=set, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def plan(self, arguments: Sequence[str] = ()) -> dict[str, Any]:
        """Return the JSON of ``fastload plan`` for a run with additional *arguments*.

        Raises:
            FormError: ``fastload run`` would refuse the arguments; the message is that of the command.
        """
        done = self._run(["plan", *self._run_arguments(arguments), "--json"], _PLAN_S)
        if done.returncode:
            raise error_of(done.stderr.decode(errors="replace"))
        # The script may print text before the JSON. Only the first and last line of the document are not indented.
        text = "\n" + done.stdout.decode(errors="replace")
        try:
            found, _ = json.JSONDecoder().raw_decode(text[text.rindex("\n{\n") + 1 :])
        except ValueError as error:
            raise FormError("the plan of the script cannot be read", hint="see what 'fastload plan' prints") from error
        return dict(found)

    def report(self, run: Path, arguments: Sequence[str]) -> None:
        """Write files of the saved *run* with ``fastload report``.

        Raises:
            FastloadError: the command failed.
        """
        done = self._run(["report", str(run), *arguments], _REPORT_S)
        if done.returncode:
            said = error_of(done.stderr.decode(errors="replace"))
            raise FastloadError(said.message, hint=said.hint)

    def run(
        self, arguments: Sequence[str], *, save: Path, token: str, log: Path, report: Path
    ) -> subprocess.Popen[bytes]:
        """Start ``fastload run`` in a process group of its own.

        Call it from the thread that will wait for the end of the process: when this thread ends, the process gets
        SIGTERM. stderr goes to *log*, stdout to *report*; *token* is the token of the run's control API.
        """
        command = ["run", *self._run_arguments(arguments)]
        command += [f"--save={save}", "--control=127.0.0.1:0", "--quiet"]
        more = {"FASTLOAD_CONTROL_TOKEN": token, "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as errors, report.open("wb") as output:
            return self._start(command, stdout=output, stderr=errors, **more)

    def compare(self, baseline: Path, candidate: Path, page: Path, *, force: bool) -> None:
        """Write the *page* of ``fastload compare`` of two saved runs; *force*: also if their plans differ.

        Raises:
            FormError: the command refuses to compare them.
        """
        command = ["compare", str(baseline), str(candidate), f"--html={page}", "--fail-on=never"]
        done = self._run([*command, "--force"] if force else command, _REPORT_S)
        if done.returncode:
            raise error_of(done.stderr.decode(errors="replace"))

    def close(self) -> None:
        """Kill the processes of plans, reports and comparisons that still run."""
        with self._lock:
            for process in self._open:
                _kill(process)

    def _run_arguments(self, more: Sequence[str]) -> list[str]:
        """Return script and arguments of a run. Thresholds in *more* replace those of all runs."""
        own = self.arguments
        if NO_THRESHOLDS in more:
            own = [text for text in own if not text.startswith(THRESHOLD)]
        return [self.script, *own, *more]

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
        """Start ``fastload COMMAND`` in a process group of its own, with *variables* added to its environment."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _CHILD, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**self._env(), **variables, ARGUMENTS: json.dumps(list(command), ensure_ascii=False)},
            process_group=0,
        )

    def _env(self) -> dict[str, str]:
        """Return the environment of a command. It makes this copy of fastload importable from every directory."""
        left = {name: value for name, value in os.environ.items() if name not in _OURS}
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), _ROOT]))
        return {**left, **self.environment, "PYTHONPATH": path}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group. A process that the script started during its import would keep the pipes open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def error_of(stderr: str) -> FormError:
    """Return the message and hint at the end of a command's *stderr*; after a crash, its last line."""
    _, found, said = ("\n" + stderr).rpartition("\nError: ")
    if not found:
        last = said.strip().rpartition("\n")[2]
        return FormError(f"it crashed: {last}" if last else "it ended without a word", hint="see fastload run")
    message, _, hint = said.partition("\nHint:")
    return FormError(message.strip(), hint=hint.strip())
