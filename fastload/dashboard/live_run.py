"""A run that is under way, as a page shows it: totals so far, rows for the charts, and what is new of them.

`LiveRun` is fed by one thread (of the stream of a run, or of what reads a growing run file) and asked by another, the
server's. It makes the data of a second once, whoever watches.

Messages are `live_data` as JSON. The first that one gets has everything; the others have what is new since the message
before, as ``fastload.update`` of the page takes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.bounded_replay import BoundedReplay
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.page.page_data import live_data, report_data
from fastload.outputs.page.render import render_page
from fastload.outputs.summary_json import dump_json

STARTING, OVER = "starting", "over"
"""The phases before the first second and after the end; those between are those of a `Snapshot`."""
_SHOWN = ("phase", "elapsed_s", "progress", "vus", "workers_alive")
_SHOWN_IN_THE_END = ("elapsed_s", "progress")


class LiveRun:
    """The run of *header*, so far. `add` and `end` come from one thread, everything else from any.

    *number* counts what came: it changes with each second and at the end.
    """

    def __init__(self, header: RunHeader) -> None:
        self.header = header
        self.number = 0
        self._lock = threading.Lock()
        self._timeline = Timeline(header)
        self._totals: BoundedReplay | None = BoundedReplay(header)
        self._state: dict[str, Any] = {"phase": STARTING}
        self._summary: Mapping[str, Any] | None = None
        self._over = False
        self._changes = (-1, b"")
        self._whole = (-1, b"")
        self._listeners: list[Callable[[], None]] = []

    def add(self, snapshot: Snapshot) -> None:
        """One more second."""
        with self._lock:
            self._timeline.add(snapshot)
            if self._totals is not None:
                self._totals.add(snapshot)
            self._state = {name: getattr(snapshot, name) for name in _SHOWN}
            self.number += 1
            if self._listeners:
                self._changes = (self.number, dump_json(self._data(changes=True)))
        self._tell()

    def end(self, summary: Mapping[str, Any] | None) -> None:
        """The run is over. *summary* is `Summary.to_dict`, or None when it ended without one."""
        with self._lock:
            self._summary = summary
            if summary is not None:
                # Nobody asks any more what the seconds say, which is a lot to keep.
                self._totals = None
            last = self._state
            self._state = {"phase": OVER} | {name: last[name] for name in _SHOWN_IN_THE_END if name in last}
            self._over = True
            self.number += 1
        self._tell()

    @property
    def is_over(self) -> bool:
        return self._over

    def state(self) -> dict[str, Any]:
        """Where the run is, for those who may not ask it; in the end, where it was in its last second."""
        return dict(self._state)

    def message_after(self, number: int) -> tuple[int, bytes]:
        """What brings one up to date who has everything up to *number* (-1: nothing), and the number it is then."""
        with self._lock:
            made, changes = self._changes
            if made == self.number == number + 1:
                return made, changes
            if self._whole[0] != self.number:
                self._whole = (self.number, dump_json(self._data()))
                # Whoever is up to date has these rows from now on.
                self._timeline.take_changes()
            return self._whole

    def data(self) -> dict[str, Any]:
        """The data of the page with everything so far."""
        with self._lock:
            return self._data()

    def report(self) -> bytes:
        """The report so far, as a page in one file."""
        with self._lock:
            state = {"complete": self._over, **self.state()}
            data = report_data(self.header, self._timeline.copy(), self._summary_so_far(), state=state)
        return render_page(data, title=self.header.title)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have *listener* called, from the thread that feeds, whenever there is something new."""
        with self._lock:
            self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.remove(listener)

    def _data(self, *, changes: bool = False) -> dict[str, Any]:
        state = {"complete": self._over, **self.state()}
        summary = self._summary_so_far()
        return live_data(self.header, self._timeline, summary, state=state, changes=changes)

    def _summary_so_far(self) -> Mapping[str, Any]:
        if self._totals is None:
            assert self._summary is not None
            return self._summary
        return self._totals.summary(running=not self._over)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
