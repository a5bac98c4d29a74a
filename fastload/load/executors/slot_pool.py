"""What executors start: slots that iterate. `vu_work` has those that call a scenario, `request_work` those of `bench`.

Work owns its slots (a VU, or a transfer): an executor takes them with `acquire`, says when each may go on, and
gets them back.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Protocol

from fastload.load.client.context import WorkerContext

CANCEL_GRACE_S = 1.0


class IterationScheduler(Protocol):
    """Where a free slot learns whether to go on: an executor."""

    is_open_model: bool

    def next(self, slot: Any) -> int | None:
        """The due time (ns, 0 without a schedule) of the iteration that *slot* shall start now; None to park it."""
        ...

    def finish(self) -> None:
        """Nothing more is to be started: the data that iterations need is used up."""
        ...


class SlotPool(ABC):
    """The slots of one scenario in one worker. ``cancel_grace_s`` is how long an interrupted slot may take to end."""

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
        self._peak = 0
        self._drained = asyncio.Event()

    @property
    def active(self) -> int:
        """How many slots are in an iteration."""
        return len(self._running)

    def take_peak(self) -> int:
        """The most slots that were in an iteration, or between two of them, at once since the last call."""
        peak, self._peak = self._peak, len(self._running) + len(self._held)
        return peak

    def acquire(self) -> Any:
        """A slot that is free: one that was released, or a new one."""
        if self._parked:
            return self._parked.popleft()
        slot = self._new()
        self._slots.add(slot)
        return slot

    def release(self, slot: Any) -> None:
        """Give *slot* back for the next `acquire`."""
        self._held.discard(slot)
        self._parked.append(slot)

    def hold(self, slot: Any) -> None:
        """*slot* waits for its next iteration, and is a VU of the run meanwhile."""
        self._held.add(slot)

    def pause_slot(self, slot: Any) -> None:  # noqa: B027 - a bare request has nothing to release
        """*slot*, which is held, waits for long."""

    def start(self, slot: Any, due_ns: int, scheduler: IterationScheduler) -> None:
        """Begin an iteration on a free slot; it goes on as long as *scheduler* says."""
        self._held.discard(slot)
        self._running.add(slot)
        self._peak = max(self._peak, len(self._running) + len(self._held))
        self._drained.clear()
        self._begin(slot, due_ns, scheduler)

    def retire(self, slot: Any) -> None:
        """Close a slot whose user leaves; its iteration, if any, is interrupted."""
        if slot in self._running:
            self._retired.add(slot)
            self._interrupt(slot)
        else:
            self._discard(slot)

    async def drain(self, grace_s: float) -> None:
        """Wait until no iteration runs; interrupt those that still do after *grace_s*."""
        if self._running and grace_s > 0:
            await self._wait_drained(grace_s)
        if self._running:
            self.interrupt_all()
            await self._wait_drained(self.cancel_grace_s)

    def interrupt_idle(self) -> None:  # noqa: B027 - a bare request is never idle
        """Interrupt the iterations that have no request in flight."""

    def interrupt_all(self) -> None:
        """Interrupt every iteration, and close its slot: no executor gives it back."""
        for slot in list(self._running):
            self.retire(slot)

    def close(self) -> None:
        """Close every slot there is, now."""
        self._closing = True
        self.interrupt_all()
        for slot in list(self._slots - self._running):
            self._discard(slot)
        self._parked.clear()

    def _ended(self, slot: Any) -> None:
        self._running.discard(slot)
        if slot in self._retired:
            self._retired.discard(slot)
            self._discard(slot)
        if not self._running:
            self._drained.set()

    def _discard(self, slot: Any) -> None:
        self._slots.discard(slot)
        self._held.discard(slot)
        self._close(slot)

    async def _wait_drained(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        except TimeoutError:
            pass

    @abstractmethod
    def _new(self) -> Any:
        """A new slot."""

    @abstractmethod
    def _begin(self, slot: Any, due_ns: int, scheduler: IterationScheduler) -> None:
        """Start to iterate."""

    @abstractmethod
    def _interrupt(self, slot: Any) -> None:
        """End the iteration of a running slot now."""

    @abstractmethod
    def _close(self, slot: Any) -> None:
        """Free what a slot holds."""
