"""Carries a run to a sink through a bounded queue, in a thread of its own, so that no sink ever slows a run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastload.model.errors import FastloadError
from fastload.model.header import Header
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_number_of
from fastload.outputs.streams.base import Sink

# Each second in the queue is a few megabytes when there are many series.
CAPACITY_SECONDS = 10
# How long a sink may take at the end for what is still in its queue.
PATIENCE_S = 5.0


class Stream:
    """An output that gives *sink* what comes, as long as it keeps up. *name* is what it is called when it does not.

    What a full queue has no room for is dropped and counted; so is what the sink raises for. ``header`` is set by
    whoever made this, before `start`.
    """

    def __init__(
        self, name: str, sink: Sink, *, capacity: int = CAPACITY_SECONDS, patience_s: float = PATIENCE_S
    ) -> None:
        self.name = name
        self.header: Header | None = None
        self._sink = sink
        self._capacity = capacity
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._waiting: deque[Snapshot] = deque()
        self._thread: threading.Thread | None = None
        self._ending = self._opened = self._unfinished = False
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
    def trouble(self) -> str:
        """What was lost so far and why, in words; empty while nothing was."""
        lost = self._dropped + self._refused
        if not lost and not self._error and not self._unfinished:
            return ""
        reasons = [self._error] if self._error else []
        if self._dropped:
            reasons.append("it is too slow")
        if self._unfinished:
            reasons.append(f"it did not end within {self._patience_s:g} s")
        seconds = format_number_of(self._offered, "second")
        what = f"lost {format_count(lost)} of {seconds}" if lost else "is not complete"
        return f"output {self.name} {what}: {'; '.join(reasons)}"

    def check(self) -> None:
        """See `Sink.check`."""
        self._sink.check()

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        self._thread = threading.Thread(target=self._carry, name=f"fastload-{self.name}", daemon=True)
        self._thread.start()

    def snapshot(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._offered += 1
            if len(self._waiting) >= self._capacity:
                self._dropped += 1
                return
            self._waiting.append(snapshot)
            self._changed.notify()

    def end(self, summary: Mapping[str, Any] | None) -> None:
        """Nothing more comes. It does not wait: see `join`."""
        with self._changed:
            self._summary, self._ending = summary, True
            self._changed.notify()

    def join(self, deadline_s: float | None = None) -> None:
        """After `end`: wait until the sink has everything, but not past *deadline_s* on the monotonic clock.

        A sink that hangs is left behind in its thread, which does not keep the program from ending.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        end_s = time.monotonic() + self._patience_s if deadline_s is None else deadline_s
        thread.join(max(0.0, end_s - time.monotonic()))
        if thread.is_alive():
            with self._changed:
                self._unfinished = True
                self._dropped += len(self._waiting)
                self._waiting.clear()

    def stop(self, summary: Summary) -> None:
        self.end(summary.to_dict())
        self.join()

    def close(self) -> None:
        """The run failed without a summary."""
        self.end(None)
        self.join()

    def _carry(self) -> None:
        self._opened = self._try(self._open)
        while (snapshot := self._next()) is not None:
            # What could not be opened may be there by now.
            self._opened = self._opened or self._try(self._open)
            if not self._opened or not self._try(partial(self._sink.write, snapshot)):
                self._refused += 1
        if self._opened:
            self._try(partial(self._sink.close, self._summary))

    def _open(self) -> None:
        assert self.header is not None
        self._sink.open(self.header)

    def _next(self) -> Snapshot | None:
        """The next second, waited for; None when there will be no more."""
        with self._changed:
            while not self._waiting and not self._ending:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except FastloadError as error:
            self._error = error.message
        except OSError as error:
            self._error = error.strerror or str(error)
        except Exception as error:
            # A sink may be anybody's: what it raises must not end the thread without a word.
            self._error = f"{type(error).__name__}: {error}"
        else:
            return True
        return False
