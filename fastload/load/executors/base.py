"""Base class of the executors, which decide when iterations start.

There is one executor for each scenario and worker: a small class over the pure functions of `model/schedule.py`. `run`
begins at a time of the monotonic clock and returns when the last iteration has ended. Each slot that ends an iteration
calls `next`, which starts another iteration or parks the slot.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from time import monotonic_ns
from typing import Any, NamedTuple

from fastload.load.executors.slot_pool import SlotPool
from fastload.model.schedule import NS_PER_S, share

# How many slots start in one turn of the loop: about 3 ms of connects. With a smaller number, thousands of slots would
# start slowly, because each turn also serves all the slots that already run.
STARTS_A_TURN = 64


class ExecutionSegment(NamedTuple):
    """Execution segment: this worker's part of the load, *worker* of *workers*. *seed*: for random start times."""

    worker: int = 0
    workers: int = 1
    seed: str = ""

    def of(self, total: int) -> int:
        """Return this worker's share of *total* VUs or iterations."""
        return share(total, self.worker, self.workers)

    def among(self, most: int) -> ExecutionSegment | None:
        """Return this worker's segment of a load for only the first *most* workers; None if it is not one of them."""
        return self._replace(workers=min(self.workers, most)) if self.worker < most else None

    def of_iterations(self, total: int, vus: int) -> int:
        """Return how many of *total* iterations this worker's share of *vus* VUs makes, if the VUs of all workers take
        the iterations in turn."""
        return sum(share(total, vu, vus) for vu in range(self.worker, vus, self.workers))


class LoadExecutor(ABC):
    """Executor of one scenario in one worker.

    ``closed`` is set when no more iterations will start; ``ended_ns`` is the time of that, the end of the measurement.

    The executor's clock counts from the start and stops during a pause. So a pause lengthens the run, and no start is
    late because of it.
    """

    is_open_model = False

    def __init__(self, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float) -> None:
        self._slot_pool = slot_pool
        self._segment = segment
        self._graceful_stop_s = graceful_stop_s
        self._is_starting = self._can_start_at_once = False
        self._is_finished = False
        self._paused_at_ns = 0
        self._wake = asyncio.Event()
        self._from_ns = self._start_ns = 0
        self.closed = asyncio.Event()
        self._offered = 0
        self.ended_ns = 0

    def take_offered(self) -> int:
        """Return how many starts were due since the last call; 0 in a closed model."""
        offered, self._offered = self._offered, 0
        return offered

    async def run(self, from_ns: int, delay_ns: int = 0) -> None:
        """Run the load from start to end; call `prepare` before.

        The first iterations start *delay_ns* after *from_ns* of the monotonic clock. A pause after *from_ns* delays
        that; the part of a pause before *from_ns* does not count.
        """
        self._from_ns, self._start_ns = from_ns, from_ns + delay_ns
        if self._paused_at_ns:
            self._paused_at_ns = max(self._paused_at_ns, from_ns)
        try:
            await self._sleep_until(0)
            if not self._is_finished:
                self._set_starting(True)
                await self._drive()
                self._set_starting(False)
                await self._end_starts()
        finally:
            self._set_starting(False)
            self.ended_ns = monotonic_ns()
            if not self._is_finished:
                self._slot_pool.end_starts(self.ended_ns)
            self.closed.set()
            self._release_waiting()
        await self._slot_pool.drain(self._graceful_stop_s)

    def stop(self, grace_s: float) -> None:
        """Start no more iterations; running ones may continue for *grace_s* at most."""
        self._graceful_stop_s = min(self._graceful_stop_s, grace_s)
        self.finish()

    def finish(self) -> None:
        """Start no more iterations; running ones may continue for the graceful stop time."""
        self._set_starting(False)
        if not self._is_finished:
            self._slot_pool.end_starts(monotonic_ns())
        self._is_finished = True
        self._wake.set()

    def pause(self, at_ns: int) -> None:
        """Start no iterations from *at_ns* on; running ones continue. A second pause changes nothing."""
        if not self._paused_at_ns:
            self._paused_at_ns = max(at_ns, self._from_ns)
            self._can_start_at_once = False
            self._wake.set()

    def resume(self, at_ns: int) -> None:
        """Continue at *at_ns*: every later start is due later by the length of the pause."""
        if self._paused_at_ns:
            paused_ns = max(0, at_ns - self._paused_at_ns)
            self._paused_at_ns = 0
            self._set_starting(self._is_starting)
            self._start_ns += paused_ns
            self._wake.set()
            self._resumed(paused_ns)

    def set_vus(self, total: int) -> None:
        """Change the load to *total* VUs over all workers, or begin with them.

        Raises:
            TypeError: this executor's number of VUs cannot be changed.
        """
        raise TypeError(f"{type(self).__name__} follows its own schedule: {total}")

    def set_rate(self, rate_per_s: float, at_ns: int) -> None:
        """Change the load to *rate_per_s* over all workers from *at_ns* on, or begin with it.

        Raises:
            TypeError: this executor follows no rate.
        """
        raise TypeError(f"{type(self).__name__} follows its own schedule: {rate_per_s}, {at_ns}")

    def prepare(self) -> None:  # noqa: B027 - most make their slots at the start
        """Create in advance the slots whose creation would cost time during the run."""

    @abstractmethod
    async def _drive(self) -> None:
        """Start iterations until the end of the load."""

    @abstractmethod
    def next(self, slot: Any) -> int | None:
        """See `IterationScheduler.next`."""

    @abstractmethod
    def leave(self, slot: Any, due_ns: int) -> bool:
        """See `IterationScheduler.leave`."""

    async def _end_starts(self) -> None:  # noqa: B027 - most start at once
        """Wait until all pending starts are made."""

    def _resumed(self, paused_ns: int) -> None:  # noqa: B027 - most need nothing
        """Adjust to the end of a pause of *paused_ns*."""

    def _release_waiting(self) -> None:  # noqa: B027 - most hold nothing
        """Release the slots that wait for their next iteration, because no more iterations will start."""

    def _set_starting(self, starting: bool) -> None:
        """Set whether iterations start, and update ``_may_start``, which subclasses read on their hot path: it is true
        if a free slot can start at once, without any other test."""
        self._is_starting = starting
        self._can_start_at_once = starting and not self._paused_at_ns

    def _now_ns(self) -> int:
        """Return the monotonic time now; during a pause, the time of its beginning."""
        return self._paused_at_ns or monotonic_ns()

    async def _sleep_until(self, at_ns: int) -> None:
        """Wait until *at_ns* after the start, or until the executor is stopped. It never returns early, although
        uvloop's timers fire up to a millisecond early."""
        while not self._is_finished:
            left_ns = None if self._paused_at_ns else self._start_ns + at_ns - monotonic_ns()
            if left_ns is not None and left_ns <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(None if left_ns is None else left_ns / NS_PER_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
