"""Setup and teardown, in a process of their own that the parent forks, watches and bounds in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from fastload.control.signals import StopRequests
from fastload.control.supervisor import ChildEvent, ChildFunction, Supervisor
from fastload.model.frames import Frame
from fastload.model.hooks import INTERRUPTED, Hook, HookError, Hooks

# How much longer than its own time-out a hook may take: it may block the loop that would have stopped it.
_HANG_S = 2.0
_CANCEL_S = 1.0

KeepsWaiting = Callable[[], bool]
"""Answers others meanwhile; whether they want the hook to end."""


class HookRunner:
    """Runs the *hooks* that make requests. *work* is what their process does; *stdout_to_stderr* as of `Supervisor`.

    *attend* is called whenever *attend_fd* is readable while a hook runs.

    ``errors``: what went wrong. ``requests``: how many were made. ``aborted``: why setup wants no test, "" for no
    such wish. ``interrupted``: whether setup was, by a stop signal.
    """

    def __init__(
        self,
        hooks: Hooks,
        work: ChildFunction,
        *,
        stdout_to_stderr: bool,
        attend_fd: int | None = None,
        attend: KeepsWaiting = lambda: False,
    ) -> None:
        self._hooks = hooks
        self._attend_fd = attend_fd
        self._attend = attend
        self._began = False
        self._make = partial(Supervisor, work, 1, stdout_to_stderr=stdout_to_stderr)
        self._supervisor: Supervisor | None = None
        self.data: Any = None
        self.errors: list[HookError] = []
        self.requests = 0
        self.aborted = ""
        self.interrupted = False

    def fork(self) -> None:
        """Fork the process; before any thread or event loop."""
        if self._hooks.need_process:
            self._supervisor = self._make()
            self._supervisor.start()

    def setup(self, requests: StopRequests) -> bool:
        """Run setup; False when it was interrupted, raised, or took too long. Then no load is to be made."""
        self._began = True
        if self._hooks.setup is None:
            return True
        reply = self._run(self._hooks.setup, requests)
        self.data = reply.get("data")
        self.interrupted = reply["interrupted"]
        return not reply["message"]

    def teardown(self, requests: StopRequests) -> None:
        """Run teardown if setup or the load had begun. The first Ctrl-C from now on ends it."""
        if self._hooks.teardown is not None and self._began:
            # A Ctrl-C that came as the load ended was meant for the load.
            requests.take()
            self._run(self._hooks.teardown, requests)

    def close(self) -> None:
        """End the process."""
        if self._supervisor is not None:
            self._supervisor.send(Frame("quit", {}))
            self._supervisor.close()
            self._supervisor = None

    def _run(self, hook: Hook, requests: StopRequests) -> dict[str, Any]:
        """The process's report of *hook*; what went wrong is in ``message`` and is kept."""
        supervisor = self._ready()
        watched = [fd for fd in (requests.fd, self._attend_fd) if fd is not None]
        for fd in watched:
            supervisor.watch(fd)
        supervisor.send(Frame(hook.kind, {"setup_data": self.data}))
        reply = self._await(supervisor, hook, requests)
        for fd in watched:
            supervisor.unwatch(fd)
        self.requests += reply.get("requests", 0)
        if reply.get("aborted") and hook.kind == "setup":
            self.aborted = reply["message"]
        elif reply["message"]:
            self.errors.append(HookError(hook.kind, reply["message"]))
        return reply

    def _ready(self) -> Supervisor:
        """The process that there is, or, after setup cost it its life, another for teardown."""
        if self._supervisor is not None:
            # Its end may have come while nobody looked.
            list(self._supervisor.wait(0))
        if self._supervisor is None or not self._supervisor.pids:
            self.close()
            self._supervisor = self._make()
            self._supervisor.start()
        return self._supervisor

    def _await(self, supervisor: Supervisor, hook: Hook, requests: StopRequests) -> dict[str, Any]:
        deadline_s = time.monotonic() + hook.timeout_s + _HANG_S
        why = f"it took longer than {hook.timeout_s:g} s, and did not end"
        interrupted = cancelled = False
        while (left_s := deadline_s - time.monotonic()) > 0:
            for event in supervisor.wait(left_s):
                if reply := _reply(event):
                    if cancelled:
                        # It may have ended well all the same; what it was for is not wanted any more.
                        reply["message"] = reply["message"] or why
                    return reply | {"interrupted": interrupted}
            interrupted = bool(requests.take()) or interrupted
            unwanted = self._attend() and hook.kind == "setup"
            if not cancelled and (unwanted or interrupted):
                cancelled = True
                supervisor.send(Frame("cancel", {}))
                deadline_s, why = time.monotonic() + _CANCEL_S, INTERRUPTED
        supervisor.kill(0)
        # Reaps it.
        list(supervisor.wait(_CANCEL_S))
        return {"message": why, "interrupted": interrupted}


def _reply(event: ChildEvent) -> dict[str, Any]:
    """The report in *event*, or that the process is gone; empty for anything else."""
    if event.frame is None:
        return {"message": f"its process was lost: {event.reason or 'it ended'}"}
    return event.frame.body if event.frame.kind in ("hook_done", "hook_failed") else {}
