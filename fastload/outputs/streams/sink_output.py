"""Carries a run to a sink through a bounded queue, in a thread of its own, so that no sink ever slows a run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from fastload.model.errors import FastloadError, OutputError, PlanError
from fastload.model.plan import Plan
from fastload.model.public_types import PublicType
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_number_of
from fastload.outputs.destinations import WrittenFile
from fastload.outputs.streams.base import Sink

CAPACITY_SECONDS = 10
# A series of one second takes 1 to 2 kB: this is some 60 MB at most, and enough for 10 s of a run with a thousand
# request names.
CAPACITY_SERIES = 40_000
# How long a sink may take at the end for what is still in its queue: a system, and what somebody asked for as a file,
# which may be the only thing that is left of the run.
PATIENCE_S = 5.0
FILES_PATIENCE_S = 60.0
# And a file after the first Ctrl-C, which costs it only if it does not get on. The second one is obeyed at once.
HURRY_S = 3.0
_SHOWN_ERROR = 300


class SinkOutput(metaclass=PublicType):
    """An output that gives *sink* what comes, as long as it keeps up. *name* is what it is called when it does not.

    What a full queue has no room for is dropped and counted; so is what the sink raises for. A queue is full with
    *capacity* seconds, or with very many series in them. After `end`, the first failure is the last: what still
    waits would only keep the program from ending. ``header`` is set by whoever made this, before ``start``.
    ``required`` and ``wants_points`` are those of the sink; ``start``, ``snapshot`` and ``stop`` are called as those of
    `Output`.
    ``patience_s``: how long the sink may take at the end; by default less if it is not required. ``on_stdout``: what
    it writes is this process' stdout, where nothing else may be. ``written``: the files that the sink writes.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        capacity: int = CAPACITY_SECONDS,
        patience_s: float | None = None,
        on_stdout: bool = False,
        written: tuple[WrittenFile, ...] = (),
    ) -> None:
        self.name = name
        self.on_stdout = on_stdout
        self.written = written
        self.patience_s = patience_s or (FILES_PATIENCE_S if sink.required else PATIENCE_S)
        self.header: RunHeader | None = None
        self._sink = sink
        self._capacity = capacity
        self._changed = threading.Condition()
        self._waiting: deque[Snapshot] = deque()
        self._waiting_series = 0
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._ending = self._opened = self._unfinished = self._interrupted = False
        self._summary: Mapping[str, Any] | None = None
        self._offered = self._dropped = self._refused = 0
        self._error = ""

    @property
    def required(self) -> bool:
        return self._sink.required

    @property
    def wants_points(self) -> bool:
        return self._sink.wants_points

    @property
    def interrupted(self) -> bool:
        """Whether somebody pressed Ctrl-C while it was waited for."""
        return self._interrupted

    @property
    def trouble(self) -> str:
        """What was lost so far and why, in words; empty while nothing was."""
        lost = self._dropped + self._refused
        if not lost and not self._error and not self._unfinished:
            return ""
        reasons = [self._error] if self._error else []
        if self._dropped:
            reasons.append("it is too slow")
        if self._unfinished:
            reasons.append(
                "nobody waited for it" if self._interrupted else f"it did not end within {self.patience_s:g} s"
            )
        seconds = format_number_of(self._offered, "second")
        what = f"lost {format_count(lost)} of {seconds}" if lost else "is not complete"
        return f"output {self.name} {what}: {'; '.join(reasons)}"

    def check(self) -> None:
        """See `Sink.check`.

        Raises:
            PlanError: it cannot work, or its check raised something else.
        """
        try:
            self._sink.check()
        except PlanError:
            raise
        except Exception as error:
            what = _one_line(f"output {self.name} cannot work: {type(error).__name__}: {error}")
            raise PlanError(what, hint="mend it, or leave this output out") from error

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        thread = threading.Thread(target=self._carry, name=f"fastload-{self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OutputError(f"{self.name} has no thread to run in: {error}") from error
        self._thread = thread

    def snapshot(self, snapshot: Snapshot) -> None:
        series = len(snapshot.table.series_values)
        with self._changed:
            self._offered += 1
            # One second fits in whatever its size.
            is_full = self._waiting and self._waiting_series + series > CAPACITY_SERIES
            if is_full or len(self._waiting) >= self._capacity:
                self._dropped += 1
                return
            self._waiting.append(snapshot)
            self._waiting_series += series
            self._changed.notify()

    def end(self, summary: Mapping[str, Any] | None) -> None:
        """Nothing more comes. It does not wait: see `join`."""
        with self._changed:
            if not self._ending:
                self._summary, self._ending = summary, True
                self._changed.notify()

    def join(
        self,
        deadline_s: float | None = None,
        *,
        waits: bool = True,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """After `end`: wait until the sink has everything, but not past *deadline_s* on the monotonic clock. Without
        *waits*, somebody has pressed Ctrl-C already: then it waits a little, and only for what is required.

        It waits in blocks of *interruptible*, where Ctrl-C raises. A sink that hangs is left behind in its thread,
        which does not keep the program from ending.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        end_s = time.monotonic() + self.patience_s if deadline_s is None else deadline_s
        self._interrupted = not waits or not self._await(end_s, interruptible)
        if self._interrupted and self.required:
            self._await(min(end_s, time.monotonic() + HURRY_S), interruptible)
        if self._ended.is_set():
            thread.join()
        else:
            with self._changed:
                self._unfinished = True
                self._dropped += len(self._waiting)
                self._waiting.clear()

    def linger(self, *, waits: bool = True) -> None:
        """Everything is written: let the sink wait for its readers, if it has any (see `Sink`)."""
        linger = getattr(self._sink, "linger", None)
        if linger is not None:
            linger(waits=waits)

    def stop(self, summary: Summary) -> None:
        self.end(summary.to_dict())
        self.join()

    def close(self) -> None:
        """The run failed without a summary."""
        self.end(None)
        self.join()

    def _await(self, end_s: float, interruptible: Callable[[], AbstractContextManager[None]]) -> bool:
        """Until the sink has everything or *end_s* has come; False when Ctrl-C did."""
        try:
            with interruptible():
                # Not thread.join(): a thread counts as ended for it when Ctrl-C comes meanwhile (Python 3.11).
                self._ended.wait(max(0.0, end_s - time.monotonic()))
        except KeyboardInterrupt:
            # Somebody who does not want to wait still wants the summary.
            return False
        return True

    def _carry(self) -> None:
        self._try_to_open()
        while (snapshot := self._next()) is not None:
            # What could not be opened may be there by now.
            if not self._try_to_open() or not self._try(partial(self._sink.write, snapshot)):
                self._refuse()
        if self._opened:
            self._try(partial(self._sink.close, self._summary))
        self._ended.set()

    def _try_to_open(self) -> bool:
        if not self._opened and self._try(self._open):
            self._opened = True
            if not self._refused:
                # It was too early, and nothing was lost by that.
                self._error = ""
        return self._opened

    def _open(self) -> None:
        assert self.header is not None
        self._sink.open(self.header)

    def _next(self) -> Snapshot | None:
        """The next second, waited for; None when there will be no more."""
        with self._changed:
            while not self._waiting and not self._ending:
                self._changed.wait()
            if not self._waiting:
                return None
            snapshot = self._waiting.popleft()
            self._waiting_series -= len(snapshot.table.series_values)
            return snapshot

    def _refuse(self) -> None:
        """One second was lost, and at the end all others with it."""
        with self._changed:
            self._refused += 1
            if self._ending:
                self._refused += len(self._waiting)
                self._waiting.clear()

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except FastloadError as error:
            self._error = _one_line(error.message)
        except OSError as error:
            self._error = _one_line(error.strerror or str(error) or type(error).__name__)
        except BaseException as error:
            # A sink may be anybody's: what it raises, SystemExit included, must not end the thread without a word.
            self._error = _one_line(f"{type(error).__name__}: {error}")
        else:
            return True
        return False


def _one_line(text: str) -> str:
    """*text* as it may be shown: on one line, without control characters, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(line.split())[:_SHOWN_ERROR]
