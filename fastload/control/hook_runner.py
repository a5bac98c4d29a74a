"""Hook runner: runs setup and teardown in the hook process, which the parent forks, watches and limits in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from fastload.control.sampling.strays import Strays
from fastload.control.script_output import ScriptOutput
from fastload.control.signals import StopSignals
from fastload.control.supervisor import DID_NOT_EXIT, EXIT_S, ChildEvent, ChildFunction, Supervisor
from fastload.model.frames import Frame
from fastload.model.hooks import INTERRUPTED, Hook, HookError, Hooks

# Time beyond a hook's own time-out before its process is killed: a hook may block the loop that should stop it.
_HANG_S = 2.0
# Time for a cancelled hook to end before its process is killed.
_CANCEL_S = 1.0
_WHO = "the process of setup and teardown"

OnEvent = Callable[[], bool]
"""Function that handles other events, such as commands, while a hook runs; True means that setup must end."""


class HookRunner:
    """Runner of the *hooks* that make requests: setup and teardown.

    *work*: the function of the hook process. *stdout_to_stderr*, *output*, *stdin_is_taken*: as in `Supervisor`.
    *on_event*: called whenever *event_fd* is readable while a hook runs.

    ``data``: what setup returned. ``errors``: the errors of hooks. ``requests``: how many requests the hooks made.
    ``challenges``: how many they sent in addition, to answer challenges.
    ``notes``: what a reader of the summary should know. ``aborted``: why setup aborted the test, "" if it did
    not. ``interrupted``: whether a stop signal ended setup.
    """

    def __init__(
        self,
        hooks: Hooks,
        work: ChildFunction,
        *,
        stdout_to_stderr: bool,
        output: ScriptOutput | None = None,
        stdin_is_taken: bool = False,
        event_fd: int | None = None,
        on_event: OnEvent = lambda: False,
    ) -> None:
        self._hooks = hooks
        self._event_fd = event_fd
        self._on_event = on_event
        self._began = False
        self._make = partial(
            Supervisor, work, 1, stdout_to_stderr=stdout_to_stderr, output=output, stdin_is_taken=stdin_is_taken
        )
        self._supervisor: Supervisor | None = None
        self._strays = Strays()
        self.data: Any = None
        self.errors: list[HookError] = []
        self.notes: list[str] = []
        self.requests = self.challenges = 0
        self.aborted = ""
        self.interrupted = False

    def fork(self) -> None:
        """Fork the hook process if there is a hook for it. Call this before any thread or event loop exists."""
        if self._hooks.need_process:
            self._supervisor = self._make()
            self._supervisor.start()

    def setup(self, stop_signals: StopSignals) -> bool:
        """Run setup. Return False if it raised, aborted, took too long or was interrupted: then no load may start."""
        self._began = True
        if self._hooks.setup is None:
            return True
        reply = self._run(self._hooks.setup, stop_signals)
        self.data = reply.get("data")
        self.interrupted = reply["interrupted"]
        return not reply["message"]

    def teardown(self, stop_signals: StopSignals) -> None:
        """Run teardown if setup or the load had begun. From now on the first Ctrl-C ends teardown."""
        if self._hooks.teardown is not None and self._began:
            # Discard earlier signals: a Ctrl-C at the end of the load was meant for the load.
            stop_signals.take()
            self._run(self._hooks.teardown, stop_signals)

    def close(self) -> None:
        """End the hook process."""
        if self._supervisor is not None:
            self._note_strays(self._supervisor)
            self._supervisor.send(Frame("quit", {}))
            self._supervisor.close(EXIT_S)
            if self._supervisor.killed:
                self.notes.append(f"{_WHO} {DID_NOT_EXIT}")
            self.notes += self._strays.end()
            self._supervisor = None

    def _run(self, hook: Hook, stop_signals: StopSignals) -> dict[str, Any]:
        """Run *hook* and return the report of the hook process. An error is in ``message``, and is recorded here."""
        supervisor = self._ready()
        watched = [fd for fd in (stop_signals.fd, self._event_fd) if fd is not None]
        for fd in watched:
            supervisor.watch(fd)
        supervisor.send(Frame(hook.kind, {"setup_data": self.data}))
        reply = self._await(supervisor, hook, stop_signals)
        self._note_strays(supervisor)
        if reply.get("is_last"):
            # The script ends the process, which may live for some moments more: no other hook may run in it.
            _kill(supervisor)
        for fd in watched:
            supervisor.unwatch(fd)
        self.requests += reply.get("requests", 0)
        self.challenges += reply.get("challenges", 0)
        if reply.get("aborted") and hook.kind == "setup":
            self.aborted = reply["message"]
        elif reply["message"]:
            self.errors.append(HookError(hook.kind, reply["message"]))
        return reply

    def _ready(self) -> Supervisor:
        """Return the supervisor of a living hook process. If setup ended the process, fork a new one for teardown."""
        if self._supervisor is not None:
            # Handle pending events: the process may have ended since the last wait.
            list(self._supervisor.wait(0))
        if self._supervisor is None or not self._supervisor.pids:
            self.close()
            self._supervisor = self._make()
            self._supervisor.start()
        return self._supervisor

    def _await(self, supervisor: Supervisor, hook: Hook, stop_signals: StopSignals) -> dict[str, Any]:
        deadline_s = time.monotonic() + hook.timeout_s + _HANG_S
        why = f"it took longer than {hook.timeout_s:g} s, and did not end"
        interrupted = cancelled = False
        while (left_s := deadline_s - time.monotonic()) > 0:
            for event in supervisor.wait(left_s):
                if reply := _reply(event):
                    if cancelled:
                        # A cancelled hook may still end without an error. Its result is not wanted any more.
                        reply["message"] = reply["message"] or why
                    return reply | {"interrupted": interrupted}
            interrupted = bool(stop_signals.take()) or interrupted
            unwanted = self._on_event() and hook.kind == "setup"
            if not cancelled and (unwanted or interrupted):
                cancelled = True
                supervisor.send(Frame("cancel", {}))
                deadline_s, why = time.monotonic() + _CANCEL_S, INTERRUPTED
        self._note_strays(supervisor)
        _kill(supervisor)
        return {"message": why, "interrupted": interrupted}

    def _note_strays(self, supervisor: Supervisor) -> None:
        for pid in supervisor.pids.values():
            self._strays.note(pid, _WHO)


def _kill(supervisor: Supervisor) -> None:
    """Kill the hook process, and reap it. Other descriptors may be readable meanwhile."""
    supervisor.kill(0)
    deadline_s = time.monotonic() + _CANCEL_S
    while supervisor.pids and (left_s := deadline_s - time.monotonic()) > 0:
        list(supervisor.wait(left_s))


def _reply(event: ChildEvent) -> dict[str, Any]:
    """Return the hook's report in *event*, or an error if the process ended; empty for any other event."""
    if event.frame is None:
        return {"message": f"its process was lost: {event.reason or 'it ended'}"}
    return event.frame.body if event.frame.kind in ("hook_done", "hook_failed") else {}
