"""Slot pool: the slots that executors start. `vu_pool.py` has VUs as slots, `connection_pool.py` `bench`'s connections.

The pool owns its slots. An executor takes a free slot with `acquire`, decides when it iterates, and returns it with
`release`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Protocol

from fastload.load.client.context import WorkerContext

CANCEL_GRACE_S = 1.0


class IterationScheduler(Protocol):
    """The part of an executor that a slot pool calls when a slot is free."""

    is_open_model: bool

    def next(self, slot: Any) -> int | None:
        """Return the due time (monotonic, ns; 0 without a schedule) of the iteration that *slot* starts now; None to
        start none and park the slot."""
        ...

    def finish(self) -> None:
        """Start no more iterations: the data set that iterations need is exhausted."""
        ...

    def leave(self, slot: Any, due_ns: int) -> bool:
        """Let *slot* go, whose VU cannot begin: no data is left for it. No new slot takes its place.

        Its start, due at *due_ns*, is free for another slot. Finish if no slot is left, and return whether that is so.
        """
        ...


class SlotPool(ABC):
    """Slots of one scenario in one worker. ``cancel_grace_s``: how many seconds an interrupted slot may take to end."""

    cancel_grace_s = CANCEL_GRACE_S

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.scope = context.recorder.unscoped
        self._slots: set[Any] = set()
        self._parked: deque[Any] = deque()
        self._running: set[Any] = set()
        self._held: set[Any] = set()
        self._retired: set[Any] = set()
        self._closing = False
        self._vu_count = context.recorder.vu_count
        self._drained = asyncio.Event()

    @property
    def active(self) -> int:
        """The number of slots in an iteration."""
        return len(self._running)

    def acquire(self) -> Any:
        """Return a free slot: a released one, or else a new one."""
        if self._parked:
            return self._parked.popleft()
        slot = self._new()
        self._slots.add(slot)
        return slot

    def release(self, slot: Any) -> None:
        """Return *slot* to the pool for a later `acquire`."""
        self._let_go(slot)
        self._parked.append(slot)

    def hold(self, slot: Any) -> None:
        """Count *slot* as an active VU while it waits for its next iteration."""
        if slot not in self._held:
            self._held.add(slot)
            if slot not in self._running:
                self._vu_count.enter()

    def pause_slot(self, slot: Any) -> None:  # noqa: B027 - a bare request has nothing to release
        """Free the resources that a held *slot* does not need, because its wait is long."""

    def start(self, slot: Any, due_ns: int, scheduler: IterationScheduler) -> None:
        """Begin an iteration on a free slot; after each iteration *scheduler* decides whether it makes another one."""
        self._run(slot)
        self._begin(slot, due_ns, scheduler)

    def retire(self, slot: Any) -> None:
        """Close *slot* for good; interrupt its iteration, if it is in one."""
        if slot in self._running:
            self._retired.add(slot)
            self._interrupt(slot)
        else:
            self._discard(slot)

    async def drain(self, grace_s: float) -> None:
        """Wait until no iteration runs; interrupt the iterations that still run after *grace_s*."""
        if self._running and grace_s > 0:
            await self._wait_drained(grace_s)
        if self._running:
            self.interrupt_all()
            await self._wait_drained(self.cancel_grace_s)

    def interrupt_idle(self) -> None:  # noqa: B027 - a bare request is never idle
        """Interrupt the iterations that have no request in flight."""

    def interrupt_all(self) -> None:
        """Interrupt every iteration and close its slot, because no executor releases it."""
        for slot in list(self._running):
            self.retire(slot)

    def close(self) -> None:
        """Close all slots now."""
        self._closing = True
        self.interrupt_all()
        for slot in list(self._slots - self._running):
            self._discard(slot)
        self._parked.clear()

    def end_starts(self, now_ns: int) -> None:
        """Note that no more iterations start from *now_ns* on, before any slot is released for it."""
        self._vu_count.end(now_ns)

    def _run(self, slot: Any) -> None:
        """Count *slot* as running."""
        if slot in self._held:
            self._held.remove(slot)
        elif slot not in self._running:
            self._vu_count.enter()
        self._running.add(slot)
        self._drained.clear()

    def _let_go(self, slot: Any) -> None:
        """Hold *slot* no longer."""
        if slot in self._held:
            self._held.remove(slot)
            if slot not in self._running:
                self._vu_count.leave()

    def _ended(self, slot: Any) -> None:
        if slot in self._running:
            self._running.remove(slot)
            if slot not in self._held:
                self._vu_count.leave()
        if slot in self._retired:
            self._retired.discard(slot)
            self._discard(slot)
        if not self._running:
            self._drained.set()

    def _discard(self, slot: Any) -> None:
        self._slots.discard(slot)
        self._let_go(slot)
        self._close(slot)

    async def _wait_drained(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        except TimeoutError:
            pass

    @abstractmethod
    def _new(self) -> Any:
        """Return a new slot."""

    @abstractmethod
    def _begin(self, slot: Any, due_ns: int, scheduler: IterationScheduler) -> None:
        """Start to iterate on *slot*."""

    @abstractmethod
    def _interrupt(self, slot: Any) -> None:
        """Interrupt the iteration of a running slot now."""

    @abstractmethod
    def _close(self, slot: Any) -> None:
        """Free the resources of a slot."""
