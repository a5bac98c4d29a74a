"""The live data of a run for its page: totals so far, rows of the charts, and the changes of the last second.

One thread adds the seconds (the thread of a `SinkOutput`, or the thread that reads a growing run file). Another
thread, the server's, reads. The data of a second is made once for all viewers.

A message is the JSON of `live_data`. The first message to a viewer has all data; a later one has only the changes
since the message before. The page's function ``fastload.update`` applies both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.capacity.result import SearchProgress
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.bounded_replay import BoundedReplay
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.page.page_data import live_data, report_data
from fastload.outputs.page.render import render_page
from fastload.outputs.summary_json import dump_json

READY, STARTING, OVER = "ready", "starting", "over"
"""The phases before the first second, if the run waits to be told to begin (``--paused``) and if not, and after the
end. Between them, the phase is that of the `Snapshot`."""
_SHOWN = ("phase", "elapsed_s", "progress", "vus", "workers_alive")
_SHOWN_IN_THE_END = ("elapsed_s", "progress")


class LiveRun:
    """The data so far of the run that *header* describes.

    Call `add` and `end` from one thread, and `close` after them; everything else may be called from any thread.
    ``number`` is a version number: it grows by 1 with each second and at the end.
    """

    def __init__(self, header: RunHeader) -> None:
        self.header = header
        self.number = 0
        self._lock = threading.Lock()
        self._timeline = Timeline(header)
        self._totals: BoundedReplay | None = BoundedReplay(header)
        waits = bool(header.plan.get("paused"))
        self._state: dict[str, Any] = {"phase": READY if waits else STARTING}
        self._summary: Mapping[str, Any] | None = None
        self._search: SearchProgress | None = None
        self._has_new_step = False
        self._found: Mapping[str, Any] = {}
        self._over = self._closed = False
        self._changes = (-1, b"")
        self._whole = (-1, b"")
        self._listeners: list[Callable[[], None]] = []

    def add(self, snapshot: Snapshot) -> None:
        """Add the snapshot of one more second."""
        with self._lock:
            self._timeline.add(snapshot)
            if self._totals is not None:
                self._totals.add(snapshot)
            self._state = {name: getattr(snapshot, name) for name in _SHOWN}
            self._add_search(snapshot.search)
            self.number += 1
            if self._listeners:
                self._changes = (self.number, dump_json(self._data(changes=True)))
        self._notify_viewers()

    def _add_search(self, search: SearchProgress | None) -> None:
        if search is None:
            return
        self._has_new_step = self._search is None or search.so_far is not self._search.so_far
        if self._has_new_step:
            self._found = search.so_far.to_dict()
        self._search = search
        self._state["search"] = search.doing

    def end(self, summary: Mapping[str, Any] | None) -> None:
        """Mark the run as over. *summary* is `Summary.to_dict`, or None if the run ended without a summary."""
        with self._lock:
            self._summary = summary
            if summary is not None:
                # The summary replaces the totals of the seconds, which take much memory.
                self._totals = None
            last = self._state
            self._state = {"phase": OVER} | {name: last[name] for name in _SHOWN_IN_THE_END if name in last}
            self._over = True
            self.number += 1
        self._notify_viewers()

    @property
    def is_over(self) -> bool:
        return self._over

    def close(self) -> None:
        """After `end`: let go of all viewers, whose streams of events end then. May be repeated."""
        self._closed = True
        self._notify_viewers()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def state(self) -> dict[str, Any]:
        """Return phase, time and progress of the last second. Needs no control API; stays available after the end."""
        return dict(self._state)

    def message_after(self, number: int) -> tuple[int, bytes]:
        """Return the current number, and the message for a viewer whose data is at *number* (-1: no data yet)."""
        with self._lock:
            made, changes = self._changes
            if made == self.number == number + 1:
                return made, changes
            if self._whole[0] != self.number:
                self._whole = (self.number, dump_json(self._data()))
                # This message has all rows, so the next message of changes must not repeat them.
                self._timeline.take_changes()
            return self._whole

    def data(self) -> dict[str, Any]:
        """Return all data of the page so far."""
        with self._lock:
            return self._data()

    def report(self) -> bytes:
        """Return the report so far, as a page in one file."""
        with self._lock:
            state = {"complete": self._over, **self.state()}
            timeline, summary = self._timeline.copy(), self._summary_so_far()
        # The next second of the run must not wait for the rest.
        data = report_data(self.header, timeline, summary, state=state)
        return render_page(data, title=self.header.title)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each change, from the thread that calls `add` and `end`."""
        with self._lock:
            self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.remove(listener)

    def _data(self, *, changes: bool = False) -> dict[str, Any]:
        state = {"complete": self._over, **self.state()}
        if not self._over:
            state["now"] = self._timeline.recent()
        summary = self._summary_so_far()
        if changes and self._search is not None and not self._has_new_step and not self._over:
            # The steps take more room than all other figures of a second, and a step takes many seconds.
            summary = {key: value for key, value in summary.items() if key != "capacity"}
        return live_data(self.header, self._timeline, summary, state=state, changes=changes)

    def _summary_so_far(self) -> Mapping[str, Any]:
        if self._totals is None:
            assert self._summary is not None
            return self._summary
        found = self._totals.summary(running=not self._over)
        if self._search is not None:
            found = {**found, "capacity": self._found}
        if self._over or len(self._timeline):
            return found
        # Nothing was sent yet: there is nothing to judge.
        waiting = [_waiting(text) for text in self.header.thresholds]
        return {**found, "passed": None, "verdict": None, "thresholds": waiting}

    def _notify_viewers(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def _waiting(text: str) -> dict[str, Any]:
    """Return the threshold *text* of a `RunHeader` as a result that nothing has been measured for."""
    metric, _, expression = text.rpartition(": ")
    return {"metric": metric, "expression": expression, "ok": False, "observed": None}
