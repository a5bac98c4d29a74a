"""Executors decide when iterations start. Each is a small class over the pure schedule, one a scenario and worker.

`run` begins at a moment of the monotonic clock and returns when its last iteration has ended; meanwhile each slot
that ends an iteration asks `next` whether to go on.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from time import monotonic_ns
from typing import Any

from fastload.load.timer import PreciseTimer
from fastload.load.work import Work
from fastload.model import plan
from fastload.model.schedule import NS_PER_S, due_ns, share, starts_within, vu_changes

# Slots that an open model makes ready before the start: enough for a tenth of a second of starts.
_READY_S = 0.1
# Slots that start before the loop gets another turn: about 3 ms of connects. With fewer, thousands of slots would
# take their time to start, because each turn also serves all those that run already.
_STARTS_A_TURN = 64


class LoadExecutor(ABC):
    """What all executors share. *worker* of *workers* takes its share of the whole load.

    ``offered`` counts the starts that were due since the last `take_offered`. ``closed`` is set when nothing more
    will be started, and ``ended_ns`` is when that was: the end of what is measured.
    """

    is_open_model = False

    def __init__(self, work: Work, worker: int, workers: int, graceful_stop_s: float) -> None:
        self._work = work
        self._worker = worker
        self._workers = workers
        self._graceful_stop_s = graceful_stop_s
        self._going = False
        self._over = asyncio.Event()
        self.closed = asyncio.Event()
        self._offered = 0
        self.ended_ns = 0

    def take_offered(self) -> int:
        """Starts that were due since the last call; 0 in a closed model."""
        offered, self._offered = self._offered, 0
        return offered

    async def run(self, start_ns: int) -> None:
        """The whole life of the executor, from *start_ns* on the monotonic clock, after `prepare`."""
        try:
            await self._sleep_until(start_ns)
            if not self._over.is_set():
                self._going = True
                await self._drive(start_ns)
        finally:
            self._going = False
            self.ended_ns = monotonic_ns()
            self.closed.set()
        await self._work.drain(self._graceful_stop_s)

    def stop(self, grace_s: float) -> None:
        """Start nothing more; what runs may go on for *grace_s* at most."""
        self._going = False
        self._graceful_stop_s = min(self._graceful_stop_s, grace_s)
        self._over.set()

    def prepare(self) -> None:  # noqa: B027 - most make their slots at the start
        """Make ready what would cost time during the run."""

    @abstractmethod
    async def _drive(self, start_ns: int) -> None:
        """Start iterations until the end."""

    @abstractmethod
    def next(self, slot: Any) -> int | None:
        """See `work.Feed`."""

    async def _run_slots(self, slots: list[Any], end_ns: int) -> None:
        """Start *slots*, and wait until *end_ns* or until it is stopped."""
        starting = asyncio.ensure_future(self._start_all(slots))
        await self._sleep_until(end_ns)
        self._going = False
        await starting

    async def _start_all(self, slots: list[Any]) -> None:
        """Start *slots* a few at a time: thousands of connects in one go would stop the loop for their length."""
        for number, slot in enumerate(slots, 1):
            due = self.next(slot)
            if due is not None:
                self._work.start(slot, due, self)
            if number % _STARTS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _sleep_until(self, at_ns: int) -> None:
        """Until *at_ns*, or until it is stopped. Never early, though uvloop's timers are by a millisecond."""
        while not self._over.is_set() and (left_ns := at_ns - monotonic_ns()) > 0:
            try:
                async with asyncio.timeout(left_ns / NS_PER_S):
                    await self._over.wait()
            except TimeoutError:
                pass


class ConstantVUsExecutor(LoadExecutor):
    """A fixed number of slots, each going on without a pause until the time is over."""

    def __init__(self, spec: plan.ConstantVUs, work: Work, worker: int, workers: int, graceful_stop_s: float) -> None:
        super().__init__(work, worker, workers, graceful_stop_s)
        self._spec = spec
        self._slots: list[Any] = []

    def prepare(self) -> None:
        self._slots = [self._work.acquire() for _ in range(share(self._spec.vus, self._worker, self._workers))]

    async def _drive(self, start_ns: int) -> None:
        await self._run_slots(self._slots, start_ns + round(self._spec.duration_s * NS_PER_S))

    def next(self, slot: Any) -> int | None:
        if self._going:
            return 0
        self._work.release(slot)
        return None


class RampingVUsExecutor(LoadExecutor):
    """A number of slots that follows the stages; a user who leaves may finish the iteration first."""

    def __init__(self, spec: plan.RampingVUs, work: Work, worker: int, workers: int, graceful_stop_s: float) -> None:
        super().__init__(work, worker, workers, graceful_stop_s)
        self._spec = spec
        self._slots: list[Any] = []
        self._leaving: dict[Any, asyncio.TimerHandle] = {}

    async def run(self, start_ns: int) -> None:
        try:
            await super().run(start_ns)
        finally:
            for timer in self._leaving.values():
                timer.cancel()

    async def _drive(self, start_ns: int) -> None:
        for at_s, count in vu_changes(self._spec.start_vus, self._spec.stages):
            await self._sleep_until(start_ns + round(at_s * NS_PER_S))
            if self._over.is_set():
                return
            self._set_vus(share(count, self._worker, self._workers))
        await self._sleep_until(start_ns + round(self._spec.duration_s * NS_PER_S))

    def next(self, slot: Any) -> int | None:
        if self._going and slot not in self._leaving:
            return 0
        if slot in self._leaving:
            self._leaving.pop(slot).cancel()
        self._work.release(slot)
        return None

    def _set_vus(self, count: int) -> None:
        while len(self._slots) < count:
            slot = self._work.acquire()
            self._slots.append(slot)
            self._work.start(slot, 0, self)
        while len(self._slots) > count:
            slot = self._slots.pop()
            self._leaving[slot] = self._work.context.loop.call_later(self._graceful_stop_s, self._give_up, slot)

    def _give_up(self, slot: Any) -> None:
        del self._leaving[slot]
        self._work.retire(slot)


class SharedIterationsExecutor(LoadExecutor):
    """A number of iterations, taken by whichever slot is free; at most for the maximum duration."""

    def __init__(
        self, spec: plan.SharedIterations, work: Work, worker: int, workers: int, graceful_stop_s: float
    ) -> None:
        super().__init__(work, worker, workers, graceful_stop_s)
        self._spec = spec
        self._left = share(spec.iterations, worker, workers)
        self._slots: list[Any] = []

    def prepare(self) -> None:
        wanted = min(self._left, share(self._spec.vus, self._worker, self._workers))
        self._slots = [self._work.acquire() for _ in range(wanted)]

    async def _drive(self, start_ns: int) -> None:
        if not self._slots:
            return
        await self._run_slots(self._slots, start_ns + round(self._spec.duration_s * NS_PER_S))

    def next(self, slot: Any) -> int | None:
        if self._going and self._left > 0:
            self._left -= 1
            return 0
        self._work.release(slot)
        if self._left == 0 and not self._work.active_beside(slot):
            self._over.set()
        return None


class ConstantArrivalRateExecutor(LoadExecutor):
    """Starts by the clock. A start that finds no free slot waits in line, and its response time counts from when
    it was due; after a stall the line is worked off as fast as slots come free. What is left in line at the end
    was offered and never made: it counts as dropped."""

    is_open_model = True

    def __init__(
        self, spec: plan.ConstantArrivalRate, work: Work, worker: int, workers: int, graceful_stop_s: float
    ) -> None:
        super().__init__(work, worker, workers, graceful_stop_s)
        self._spec = spec
        self._max_slots = max(1, share(spec.max_vus, worker, workers))
        self._starts = starts_within(spec.duration_s, spec.rate_per_s, worker, workers)
        self._index = 0
        self._start_ns = 0
        self._idle: list[Any] = []
        self._slots = 0
        self._line: deque[int] = deque()
        self._timer: PreciseTimer | None = None

    def prepare(self) -> None:
        ready = min(self._max_slots, max(10, round(self._spec.rate_per_s * _READY_S / self._workers)))
        while self._slots < ready:
            self._idle.append(self._add_slot())

    async def _drive(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._timer = PreciseTimer(self._work.context.loop, self._on_time)
        try:
            self._on_time()
            await self._sleep_until(start_ns + round(self._spec.duration_s * NS_PER_S))
            # What was due since the timer's last call, if the loop stood still over the end.
            self._on_time()
        finally:
            self._timer.close()
        for slot in self._idle:
            self._work.release(slot)
        self._work.context.recorder.record_dropped(len(self._line))

    def next(self, slot: Any) -> int | None:
        if self._line and self._going:
            return self._line.popleft()
        if self._going:
            self._idle.append(slot)
        else:
            self._work.release(slot)
        return None

    def _add_slot(self) -> Any:
        self._slots += 1
        return self._work.acquire()

    def _on_time(self) -> None:
        while self._index < self._starts and self._going:
            at_ns = self._start_ns + due_ns(self._index, self._spec.rate_per_s, self._worker, self._workers)
            if at_ns > monotonic_ns():
                if self._timer is not None:
                    self._timer.arm(at_ns)
                return
            self._index += 1
            self._offered += 1
            self._start(at_ns)

    def _start(self, at_ns: int) -> None:
        if self._idle:
            self._work.start(self._idle.pop(), at_ns, self)
        elif self._slots < self._max_slots:
            self._work.start(self._add_slot(), at_ns, self)
        else:
            self._line.append(at_ns)


_EXECUTORS: dict[type[Any], Any] = {
    plan.ConstantVUs: ConstantVUsExecutor,
    plan.RampingVUs: RampingVUsExecutor,
    plan.SharedIterations: SharedIterationsExecutor,
    plan.ConstantArrivalRate: ConstantArrivalRateExecutor,
}


def make_executor(
    spec: plan.Executor, work: Work, *, worker: int, workers: int, graceful_stop_s: float
) -> LoadExecutor:
    """The executor of a plan's *spec* for one worker."""
    return _EXECUTORS[type(spec)](spec, work, worker, workers, graceful_stop_s)  # type: ignore[no-any-return]


def warm_up_spec(spec: plan.Executor, warmup_s: float) -> plan.Executor:
    """The load of a warm-up of *warmup_s* before *spec*: the same rate, or the VUs it begins with."""
    if isinstance(spec, plan.ConstantArrivalRate):
        return plan.ConstantArrivalRate(spec.rate_per_s, warmup_s, spec.max_vus)
    vus = max(1, spec.start_vus) if isinstance(spec, plan.RampingVUs) else spec.vus
    return plan.ConstantVUs(vus, warmup_s)
