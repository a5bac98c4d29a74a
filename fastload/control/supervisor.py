"""Supervisor of child processes: forks them, exchanges frames, watches, kills and reaps them.

It does not know what the children do.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import selectors
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fastload.control.script_output import ScriptOutput, become_output
from fastload.control.signals import ignore_stop_signals, stop_signals_held
from fastload.model.errors import FrameError, user_traceback
from fastload.model.frames import Frame, FrameDecoder, encode

ChildFunction = Callable[[socket.socket, int], None]
"""Function that a child runs. Its arguments: the child's end of the channel, and the child's index."""

# How long a child may take to exit once it has closed its channel. A script can hold it up: with a task that catches
# its own cancellation, or a thread.
EXIT_S = 5.0
# Nearly all exit at once: they are waited for on the spot.
_EXITS_SOON_S = 0.05
DID_NOT_EXIT = "did not exit after its work, and was killed: a task or a thread of the script does not end"
_READ_BYTES = 1 << 20
_SEND_BUFFER_BYTES = 1 << 20


class ChildEvent(NamedTuple):
    """Event of a child: it sent *frame*, or, if that is None, it ended. *reason*: how it ended, ``""`` if normally."""

    child: int
    frame: Frame | None
    reason: str = ""


class _Child:
    """One forked process and the parent's end of its channel."""

    def __init__(self, index: int, pid: int, channel: socket.socket) -> None:
        self.index = index
        self.pid = pid
        self.channel = channel
        self.pidfd = os.pidfd_open(pid)
        self.decoder = FrameDecoder()
        self.kill_at_s = math.inf
        self.reaped = False

    def exits_within(self, timeout_s: float) -> bool:
        """Wait up to *timeout_s* for the end of the process, and return whether it came."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


class Supervisor:
    """Supervisor of *count* children that run *target* and send frames.

    *cpus*: the CPUs to which the children are bound, () for all. *stdout_to_stderr*: children print to stderr.
    *output*: it writes the lines that children print; without it they print where this process does.
    *stdin_is_taken*: children have no standard input, because this process reads it.

    Call `start` before this process has any thread or event loop. `close` ends all children in any case. No method
    waits for a child without a bound: one that closed its channel has `EXIT_S` to exit, and is killed then.

    ``killed``: the children that `close` had to kill.
    """

    def __init__(
        self,
        function: ChildFunction,
        count: int,
        *,
        cpus: tuple[int, ...] = (),
        stdout_to_stderr: bool = False,
        output: ScriptOutput | None = None,
        stdin_is_taken: bool = False,
    ) -> None:
        self._function = function
        self._count = count
        self._cpus = cpus
        self._stdout_to_stderr = stdout_to_stderr
        self._output = output
        self._stdin_is_taken = stdin_is_taken
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self.killed: tuple[int, ...] = ()

    @property
    def pids(self) -> dict[int, int]:
        """PIDs of the living children, by index."""
        return {child.index: child.pid for child in self._children.values() if not child.reaped}

    def start(self) -> None:
        """Fork the children."""
        for stream in (sys.stdout, sys.stderr):
            # A program without a terminal may have none.
            if stream is not None:
                stream.flush()
        for index in range(self._count):
            self._fork(index)

    def watch(self, fd: int) -> None:
        """Make `wait` return when *fd* is readable. The caller must read *fd*."""
        self._selector.register(fd, selectors.EVENT_READ, None)

    def unwatch(self, fd: int) -> None:
        """Stop watching *fd*."""
        self._selector.unregister(fd)

    def wait(self, timeout_s: float) -> Iterator[ChildEvent]:
        """Wait up to *timeout_s* until something happens, and yield the events of children."""
        kill_at_s = min((child.kill_at_s for child in self._children.values() if not child.reaped), default=math.inf)
        for key, _ in self._selector.select(max(0.0, min(timeout_s, kill_at_s - time.monotonic()))):
            if isinstance(key.data, _Child):
                yield from self._receive(key.data, is_pidfd=key.fd == key.data.pidfd)
        for child in self._children.values():
            if time.monotonic() >= child.kill_at_s:
                self.kill(child.index)

    def send(self, frame: Frame, *, to: int | None = None) -> None:
        """Send *frame* to child *to*, or to all living children. Skip a child that died meanwhile."""
        data = encode(frame)
        for child in self._children.values():
            if not child.reaped and to in (None, child.index):
                with contextlib.suppress(OSError):
                    child.channel.sendall(data)

    def kill(self, index: int) -> None:
        """Send SIGKILL to one child. `wait` reports its end."""
        child = self._children[index]
        if not child.reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)

    def close(self, grace_s: float = 1.0) -> None:
        """Wait up to *grace_s* for the children to end by themselves, kill the rest, and free everything."""
        deadline = time.monotonic() + grace_s
        while self.pids and time.monotonic() < deadline:
            for _ in self.wait(deadline - time.monotonic()):
                pass
        self.killed = tuple(self.pids)
        for index in self.killed:
            self.kill(index)
        for child in list(self._children.values()):
            if not child.reaped:
                os.waitpid(child.pid, 0)
                self._forget(child)
        self._children.clear()
        self._selector.close()

    def _fork(self, index: int) -> None:
        ours, theirs = socket.socketpair()
        output = self._output
        pipes = output.pipes(stdout_to_stderr=self._stdout_to_stderr) if output else ()
        # Ctrl-C goes to every process of the terminal. Hold it back until the child ignores it: the handler that the
        # child inherits would count it a second time.
        with warnings.catch_warnings(), output.held() if output else contextlib.nullcontext(), stop_signals_held():
            # Python 3.12 warns about threads (of a notebook, or of `fl.start`). The child uses none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
            if pid == 0:
                ignore_stop_signals()
        if pid == 0:
            ours.close()
            self._run_child(theirs, index, pipes)
        theirs.close()
        for pipe in pipes:
            os.close(pipe)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SEND_BUFFER_BYTES)
        child = self._children[index] = _Child(index, pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, child)
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)

    def _run_child(self, channel: socket.socket, index: int, pipes: tuple[int, ...]) -> None:
        """Run the target and exit. It never returns: the child must not continue as a second parent."""
        code = 1
        try:
            self._selector.close()
            for sibling in self._children.values():
                sibling.channel.close()
                os.close(sibling.pidfd)
            self._set_streams(pipes)
            if self._cpus:
                os.sched_setaffinity(0, self._cpus)
            self._function(channel, index)
            code = 0
        except BaseException as error:
            os.write(2, f"worker {index}: {user_traceback(error)}\n".encode())
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _set_streams(self, pipes: tuple[int, ...]) -> None:
        if self._output is not None:
            self._output.close_in_child()
            become_output(*pipes)
        elif self._stdout_to_stderr:
            os.dup2(2, 1)
        if self._stdin_is_taken:
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
            sys.breakpointhook = _refuse_breakpoint

    def _receive(self, child: _Child, *, is_pidfd: bool) -> Iterator[ChildEvent]:
        if child.reaped:
            return
        ended = is_pidfd
        while True:
            try:
                data = child.channel.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionError:
                data = b""
            if not data:
                ended = ended or child.exits_within(_EXITS_SOON_S)
                if not ended:
                    # Its end is an event of its pidfd then.
                    self._selector.unregister(child.channel)
                    child.kill_at_s = time.monotonic() + EXIT_S
                break
            try:
                for frame in child.decoder.feed(data):
                    yield ChildEvent(child.index, frame)
            except FrameError as error:
                self.kill(child.index)
                yield self._reap(child, f"sent garbage: {error.message}")
                return
            if not ended:
                break
        if ended:
            yield self._reap(child, "")

    def _reap(self, child: _Child, reason: str) -> ChildEvent:
        try:
            _, status = os.waitpid(child.pid, 0)
        except ChildProcessError:
            # The program ignores SIGCHLD, or a handler of its own has waited for all children.
            status = 0
        self._forget(child)
        code = os.waitstatus_to_exitcode(status)
        if not reason and code < 0 and time.monotonic() >= child.kill_at_s:
            reason = f"did not exit within {EXIT_S:g} s of its end, and was killed"
        elif not reason and code < 0:
            reason = f"killed by {signal.Signals(-code).name}"
        elif not reason and code > 0:
            reason = f"exited with code {code}"
        return ChildEvent(child.index, None, reason)

    def _forget(self, child: _Child) -> None:
        child.reaped = True
        if child.kill_at_s == math.inf:
            self._selector.unregister(child.channel)
        self._selector.unregister(child.pidfd)
        child.channel.close()
        os.close(child.pidfd)


def _refuse_breakpoint(*arguments: Any, **named: Any) -> Any:
    """Refuse ``breakpoint()``, unless PYTHONBREAKPOINT names a debugger, which may need no terminal."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*arguments, **named)
    raise RuntimeError("breakpoint() has no keyboard, because its keys steer the run: add -q -w 1 to debug")
