"""Script output: what the processes of a run print reaches the parent through pipes, and is written as whole lines.

Processes that print to one terminal or file themselves would mix their lines, and tear the live block. Two threads do
the work. One empties the pipes at once, so that no process waits to print. The other one writes, and may have to wait
for a slow terminal; what does not fit into its queue meanwhile is left out and counted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from fcntl import F_SETPIPE_SZ, fcntl

Write = Callable[[int, bytes], None]
"""Function that writes whole lines to a descriptor: stdout or stderr of this process."""

QUEUE_BYTES = 4 << 20
LINE_BYTES = 65_536
"""The longest line. The rest of a longer one is a line of its own."""
_PIPE_BYTES = 1 << 18
_READ_BYTES = 1 << 16
# Many lines are written at once: each write redraws the live block.
_WRITE_EVERY_S = 0.1
# How long the start of a line waits for its end before it is shown on a terminal: it may be a question.
_PROMPT_S = 0.1
# How long a program that a script left running may print after the last process has ended.
_LINGER_S = 0.5
_PATIENCE_S = 5.0


class _Source:
    """One pipe: its reading end *fd*, the stream that its lines go *to*, and the *partial* line so far."""

    def __init__(self, fd: int, to: int) -> None:
        self.fd = fd
        self.to = to
        self.partial = b""
        self.since_s = 0.0


class ScriptOutput:
    """The output of child processes, which *write* gets as whole lines, in a thread of its own.

    *redrawn*: lines of the terminal are redrawn. What this process itself prints comes through a pipe then, too.
    Otherwise the start of a line is shown on a terminal when its end does not come, as of a question.

    Call `pipes` before each fork, and `start` after the first ones. ``notes``: one sentence for each kind of loss.
    """

    def __init__(self, write: Write, *, redrawn: bool = False) -> None:
        self._write = write
        self._redrawn = redrawn
        self._streams = {1: 1, 2: 2}
        self._epoll = select.epoll()
        self._wake = os.eventfd(0)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._sources: dict[int, _Source] = {}
        self._asked: dict[int, _Source] = {}
        self._queue: deque[tuple[int, bytes]] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._written = 0
        self._left_out = self._gap = 0
        self._errors: dict[int, OSError] = {}
        self._threads: list[threading.Thread] = []
        self._closing = self._all_read = False

    @property
    def notes(self) -> list[str]:
        notes = []
        if self._left_out:
            lines = "1 line that the script printed is" if self._left_out == 1 else None
            lines = lines or f"{self._left_out:,} lines that the script printed are"
            notes.append(f"{lines} left out: the terminal or the reader was too slow")
        # A reader that went away (`| head`) wants no more.
        reasons = {error.strerror: None for error in self._errors.values() if error.errno != errno.EPIPE}
        return notes + [f"what the script printed could not be written: {reason}" for reason in reasons]

    def pipes(self, *, stdout_to_stderr: bool) -> tuple[int, int]:
        """Return two descriptors for a child: its stdout and its stderr. The caller closes them after the fork.

        They are the same pipe if both lead to the same place, which keeps the order of all that the child prints.
        """
        if stdout_to_stderr or _is_same_file(1, 2):
            one = self._pipe(2 if stdout_to_stderr else 1)
            return one, os.dup(one)
        return self._pipe(1), self._pipe(2)

    def start(self) -> None:
        """Start to write. Call this after the fork of the workers."""
        for function in (self._read_pipes, self._write_queue):
            thread = threading.Thread(target=function, name="fastload-script-output", daemon=True)
            thread.start()
            self._threads.append(thread)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing be written within the block: a process that is forked meanwhile would inherit locks."""
        is_held = self._writing.acquire(timeout=1.0)
        try:
            yield
        finally:
            if is_held:
                self._writing.release()

    def close_in_child(self) -> None:
        """Close the pipes of all processes, in a forked child."""
        for fd in self._sources:
            os.close(fd)
        os.close(self._wake)
        self._epoll.close()

    def capture(self) -> None:
        """Let what this process prints come through a pipe from now on, if lines of the terminal are redrawn."""
        if self._redrawn:
            _flush()
            streams = {to: os.dup(to) for to in (1, 2)}
            become_output(*self.pipes(stdout_to_stderr=False))
            self._streams = streams

    def release(self) -> None:
        """Give this process its stdout and stderr back."""
        streams, self._streams = self._streams, {1: 1, 2: 2}
        if streams[1] != 1:
            _flush()
            with self._writing:
                for to, stream in streams.items():
                    os.dup2(stream, to)
                    os.close(stream)

    def close(self) -> None:
        """Write what is left, and free everything. Call this when the processes have ended; again, it does nothing.

        A terminal or reader that takes nothing for 5 s is given up.
        """
        if self._closing:
            return
        self._closing = True
        os.eventfd_write(self._wake, 1)
        if not self._threads:
            self._read_pipes()
            self._write_queue()
        seen, since_s = -1, time.monotonic()
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() - since_s < _PATIENCE_S:
            self._threads[-1].join(0.05)
            if self._written != seen:
                seen, since_s = self._written, time.monotonic()
        with self._changed:
            self._left_out += sum(data.count(b"\n") for _, data in self._queue)
            self._queue.clear()
        os.close(self._wake)
        self._epoll.close()

    def _pipe(self, to: int) -> int:
        ours, theirs = os.pipe()
        with contextlib.suppress(OSError):
            fcntl(theirs, F_SETPIPE_SZ, _PIPE_BYTES)
        self._sources[ours] = _Source(ours, to)
        self._epoll.register(ours, select.EPOLLIN)
        return theirs

    # The thread that reads.

    def _read_pipes(self) -> None:
        while not self._closing:
            for fd, _ in self._epoll.poll(self._patience_s()):
                if fd != self._wake:
                    self._read(self._sources[fd])
            self._show_prompts()
        # The processes have ended. Read what their pipes hold; a program that a script left running may print for ever.
        self._epoll.unregister(self._wake)
        ends_s = time.monotonic() + _LINGER_S
        while self._sources and time.monotonic() < ends_s and (ready := self._epoll.poll(0)):
            for fd, _ in ready:
                self._read(self._sources[fd])
        for source in list(self._sources.values()):
            self._end(source)
        with self._changed:
            self._all_read = True
            self._changed.notify()

    def _patience_s(self) -> float | None:
        waits = not self._redrawn and any(source.partial for source in list(self._sources.values()))
        return _PROMPT_S if waits else None

    def _read(self, source: _Source) -> None:
        data = os.read(source.fd, _READ_BYTES)
        if not data:
            self._end(source)
            return
        head, newline, source.partial = (source.partial + data).rpartition(b"\n")
        source.since_s = time.monotonic()
        lines = head + newline
        if len(source.partial) > LINE_BYTES:
            lines, source.partial = lines + source.partial + b"\n", b""
        if lines:
            self._enqueue(source, lines)

    def _end(self, source: _Source) -> None:
        self._epoll.unregister(source.fd)
        del self._sources[source.fd]
        os.close(source.fd)
        if source.partial:
            self._enqueue(source, source.partial + b"\n")

    def _show_prompts(self) -> None:
        """Show the start of a line whose end does not come, on a terminal: it is a question, as of a debugger."""
        if self._redrawn:
            return
        now_s = time.monotonic()
        for source in list(self._sources.values()):
            if source.partial and now_s - source.since_s >= _PROMPT_S and os.isatty(source.to):
                self._enqueue(source, source.partial)
                self._asked[source.to] = source
                source.partial = b""

    def _enqueue(self, source: _Source, data: bytes) -> None:
        asked = self._asked.pop(source.to, None)
        if asked not in (None, source):
            data = b"\n" + data
        with self._changed:
            if source.to in self._errors:
                return
            if self._queued_bytes + len(data) > QUEUE_BYTES:
                self._gap += data.count(b"\n")
                self._left_out += data.count(b"\n")
                return
            if self._gap:
                data = f"[{self._gap:,} line{'s' * (self._gap > 1)} left out]\n".encode() + data
                self._gap = 0
            self._queue.append((source.to, data))
            self._queued_bytes += len(data)
            self._changed.notify()

    # The thread that writes.

    def _write_queue(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._all_read)
            while lines := self._take():
                self._write_lines(*lines)
            if self._all_read and not self._queue:
                return
            if not self._closing:
                time.sleep(_WRITE_EVERY_S)

    def _take(self) -> tuple[int, bytes] | None:
        """Return the next lines of the queue that go to the same stream, about `_READ_BYTES` at most."""
        with self._changed:
            if not self._queue:
                return None
            to = self._queue[0][0]
            taken: list[bytes] = []
            size = 0
            while self._queue and self._queue[0][0] == to and size < _READ_BYTES:
                taken.append(self._queue.popleft()[1])
                size += len(taken[-1])
            self._queued_bytes -= size
        return to, b"".join(taken)

    def _write_lines(self, to: int, data: bytes) -> None:
        if to in self._errors:
            return
        try:
            with self._writing:
                self._write(self._streams[to], data)
        except OSError as error:
            self._errors[to] = error
        self._written += 1


def become_output(stdout: int, stderr: int) -> None:
    """Make two descriptors the stdout and stderr of this process. Each printed line is on its way at once."""
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _is_same_file(one: int, other: int) -> bool:
    try:
        first, second = os.fstat(one), os.fstat(other)
    except OSError:
        return False
    return os.path.samestat(first, second)
