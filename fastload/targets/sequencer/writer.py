"""Group commit: one thread stores all waiting batches in one transaction, and answers after the commit."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading

from fastload.targets.sequencer.batches import EventBatch
from fastload.targets.sequencer.store import Outcome, Store

# Large enough to spread the cost of a commit. In a larger group, the first batch would only wait longer.
_MAX_GROUP_EVENTS = 10_000

_Waiting = tuple[EventBatch, "asyncio.Future[Outcome]"]


class GroupWriter:
    """Runs a store in a thread of its own. Create it in the event loop that submits the batches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sequencer-writer")
        self._thread.start()

    def submit(self, batch: EventBatch) -> asyncio.Future[Outcome]:
        """Queue *batch*. The future gets its outcome after the commit, or the ``sqlite3.Error``."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._queue.put((batch, future))
        return future

    async def stop(self) -> None:
        """Store the waiting batches, then end the thread."""
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        while True:
            group, is_last = self._take_group()
            if group:
                self._commit(group)
            if is_last:
                return

    def _take_group(self) -> tuple[list[_Waiting], bool]:
        """Wait for a batch, and return the waiting batches up to `_MAX_GROUP_EVENTS`, and whether the queue ended.

        The queue ends with `stop`. The list is empty if no batch was left before the end.
        """
        item = self._queue.get()
        group: list[_Waiting] = []
        events = 0
        while item is not None:
            group.append(item)
            events += len(item[0].events)
            if events >= _MAX_GROUP_EVENTS:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Waiting]) -> None:
        futures = [future for _, future in group]
        try:
            outcomes = self._store.add([batch for batch, _ in group])
        except sqlite3.Error as error:
            self._loop.call_soon_threadsafe(_fail, futures, error)
        else:
            self._loop.call_soon_threadsafe(_resolve, futures, outcomes)


def _resolve(futures: list[asyncio.Future[Outcome]], outcomes: list[Outcome]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if not future.done():
            future.set_result(outcome)


def _fail(futures: list[asyncio.Future[Outcome]], error: sqlite3.Error) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
