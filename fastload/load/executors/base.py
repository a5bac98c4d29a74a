"""What all executors share: the life of one, its clock, which a pause stops, and its end.

Executors decide when iterations start. Each is a small class over the pure schedule, one a scenario and worker. `run`
begins at a moment of the monotonic clock and returns when its last iteration has ended; meanwhile each slot that ends
an iteration asks `next` whether to go on.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from time import monotonic_ns
from typing import Any, NamedTuple

from fastload.load.executors.slot_pool import SlotPool
from fastload.model.schedule import NS_PER_S, share

# Slots that start before the loop gets another turn: about 3 ms of connects. With fewer, thousands of slots would
# take their time to start, because each turn also serves all those that run already.
STARTS_A_TURN = 64


class ExecutionSegment(NamedTuple):
    """Which part of the whole load is this worker's: *worker* of *workers*. *seed* is that of the scenario's chance."""

    worker: int = 0
    workers: int = 1
    seed: str = ""

    def of(self, total: int) -> int:
        """This worker's share of *total* things."""
        return share(total, self.worker, self.workers)

    def among(self, most: int) -> ExecutionSegment | None:
        """The same part of what only the first *most* workers share; None for the others."""
        return self._replace(workers=min(self.workers, most)) if self.worker < most else None

    def of_iterations(self, total: int, vus: int) -> int:
        """The iterations, of *total*, of this worker's share of *vus* VUs, when they are dealt to the VUs in turn."""
        return sum(share(total, vu, vus) for vu in range(self.worker, vus, self.workers))


class LoadExecutor(ABC):
    """One scenario's executor in one worker.

    ``offered`` counts the starts that were due since the last `take_offered`. ``closed`` is set when nothing more
    will be started, and ``ended_ns`` is when that was: the end of what is measured.

    Its clock counts from the start and stands still while it is paused, so that a pause lengthens the run and no
    start is late because of it.
    """

    is_open_model = False

    def __init__(self, work: SlotPool, segment: ExecutionSegment, graceful_stop_s: float) -> None:
        self._work = work
        self._segment = segment
        self._graceful_stop_s = graceful_stop_s
        self._is_starting = self._may_start = False
        self._over = False
        self._paused_at_ns = 0
        self._wake = asyncio.Event()
        self._from_ns = self._start_ns = 0
        self.closed = asyncio.Event()
        self._offered = 0
        self.ended_ns = 0

    def take_offered(self) -> int:
        """Starts that were due since the last call; 0 in a closed model."""
        offered, self._offered = self._offered, 0
        return offered

    async def run(self, from_ns: int, delay_ns: int = 0) -> None:
        """The whole life of the executor, after `prepare`. It starts *delay_ns* after *from_ns* of the monotonic clock;
        a pause between the two puts that off, and how long it was paused before does not count."""
        self._from_ns, self._start_ns = from_ns, from_ns + delay_ns
        if self._paused_at_ns:
            self._paused_at_ns = max(self._paused_at_ns, from_ns)
        try:
            await self._sleep_until(0)
            if not self._over:
                self._set_starting(True)
                await self._drive()
                self._set_starting(False)
                await self._end_starts()
        finally:
            self._set_starting(False)
            self.ended_ns = monotonic_ns()
            self.closed.set()
            self._release_waiting()
        await self._work.drain(self._graceful_stop_s)

    def stop(self, grace_s: float) -> None:
        """Start nothing more; what runs may go on for *grace_s* at most."""
        self._graceful_stop_s = min(self._graceful_stop_s, grace_s)
        self.finish()

    def finish(self) -> None:
        """Start nothing more; what runs may go on for the graceful time."""
        self._set_starting(False)
        self._over = True
        self._wake.set()

    def pause(self, at_ns: int) -> None:
        """Start nothing from *at_ns* on; what runs goes on. A second pause changes nothing."""
        if not self._paused_at_ns:
            self._paused_at_ns = max(at_ns, self._from_ns)
            self._may_start = False
            self._wake.set()

    def resume(self, at_ns: int) -> None:
        """Go on at *at_ns* where it was paused: everything is due so much later."""
        if self._paused_at_ns:
            paused_ns = max(0, at_ns - self._paused_at_ns)
            self._paused_at_ns = 0
            self._set_starting(self._is_starting)
            self._start_ns += paused_ns
            self._wake.set()
            self._resumed(paused_ns)

    def set_vus(self, total: int) -> None:
        """Go on with *total* VUs over all workers, or begin with them; only where the load is that of VUs that stay."""
        raise TypeError(f"{type(self).__name__} follows its own schedule: {total}")

    def set_rate(self, rate_per_s: float, at_ns: int) -> None:
        """Go on with *rate_per_s* over all workers from *at_ns* on, or begin with it; only in an open model that
        follows a rate."""
        raise TypeError(f"{type(self).__name__} follows its own schedule: {rate_per_s}, {at_ns}")

    def prepare(self) -> None:  # noqa: B027 - most make their slots at the start
        """Make ready what would cost time during the run."""

    @abstractmethod
    async def _drive(self) -> None:
        """Start iterations until the end."""

    @abstractmethod
    def next(self, slot: Any) -> int | None:
        """See `work.Feed`."""

    async def _end_starts(self) -> None:  # noqa: B027 - most start at once
        """Wait for what is just being started."""

    def _resumed(self, paused_ns: int) -> None:  # noqa: B027 - most need nothing
        """It goes on after a pause of *paused_ns*."""

    def _release_waiting(self) -> None:  # noqa: B027 - most hold nothing
        """Release the slots that wait for their next iteration: there will be none."""

    def _set_starting(self, starting: bool) -> None:
        """Whether iterations start; ``_straight``, which says whether nothing stands in their way, is read for each."""
        self._is_starting = starting
        self._may_start = starting and not self._paused_at_ns

    def _now_ns(self) -> int:
        """The present moment, which stands still during a pause."""
        return self._paused_at_ns or monotonic_ns()

    async def _sleep_until(self, at_ns: int) -> None:
        """Until *at_ns* after the start, or until it is stopped. Never early, though uvloop's timers are by a
        millisecond."""
        while not self._over:
            left_ns = None if self._paused_at_ns else self._start_ns + at_ns - monotonic_ns()
            if left_ns is not None and left_ns <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(None if left_ns is None else left_ns / NS_PER_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
