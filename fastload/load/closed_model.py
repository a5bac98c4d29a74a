"""Executors of the closed model: a VU starts its next iteration when the last one has ended."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from abc import abstractmethod
from time import monotonic_ns
from typing import Any

from fastload.load.executor import STARTS_A_TURN, LoadExecutor, Part
from fastload.load.timer import PreciseTimer
from fastload.load.work import Work
from fastload.model import load_models
from fastload.model.schedule import NS_PER_S, vu_changes

Specs = (
    load_models.ConstantVUs
    | load_models.RampingVUs
    | load_models.SharedIterations
    | load_models.PerVUIterations
    | load_models.Shape
    | load_models.ExternallyControlled
)


class ClosedExecutor(LoadExecutor):
    """Slots that go on and on. With a pacing, a slot that ends early waits until its next start is due; the first
    starts are spread over one pacing, because a load that comes in waves tests something else."""

    def __init__(self, spec: Specs, work: Work, part: Part, graceful_stop_s: float) -> None:
        super().__init__(work, part, graceful_stop_s)
        self._pacing_ns = round(spec.pacing_s * NS_PER_S)
        self._slots: list[Any] = []
        self._started_ns: dict[Any, int] = {}
        self._waiting: dict[Any, int] = {}
        self._queue: list[tuple[int, int, Any]] = []
        self._order = itertools.count()
        self._timer: PreciseTimer | None = None
        self._held: list[Any] = []
        self._starting: set[asyncio.Future[None]] = set()

    async def run(self, start_ns: int) -> None:
        if self._pacing_ns:
            self._timer = PreciseTimer(self._work.context.loop, self._on_time)
        try:
            await super().run(start_ns)
        finally:
            if self._timer is not None:
                self._timer.close()

    async def _end_starts(self) -> None:
        while self._starting:
            await asyncio.gather(*self._starting)

    def next(self, slot: Any) -> int | None:
        if not self._going or self._leaves(slot):
            self._leave(slot)
            return None
        if self._paused_at_ns:
            self._held.append(slot)
            self._work.hold(slot)
            return None
        if self._pacing_ns and self._waits(slot):
            return None
        if not self._take(slot):
            self._leave(slot)
            return None
        return 0

    def _leaves(self, slot: Any) -> bool:  # noqa: ARG002 - most keep their slots
        """Whether *slot* was told to leave."""
        return False

    def _take(self, slot: Any) -> bool:  # noqa: ARG002 - most have no end of iterations
        """Whether there is another iteration for *slot*; it is taken."""
        return True

    def _leave(self, slot: Any) -> None:
        self._started_ns.pop(slot, None)
        self._work.release(slot)

    def _waits(self, slot: Any) -> bool:
        """Whether *slot* has to wait for its next start; if not, that start is now."""
        now_ns = monotonic_ns()
        due_ns = self._started_ns.get(slot, now_ns - self._pacing_ns) + self._pacing_ns
        if due_ns > now_ns:
            self._wait(slot, due_ns)
            return True
        self._started_ns[slot] = now_ns
        return False

    def _wait(self, slot: Any, due_ns: int) -> None:
        self._waiting[slot] = due_ns
        self._work.hold(slot)
        heapq.heappush(self._queue, (due_ns, next(self._order), slot))
        if self._timer is not None and self._queue[0][2] is slot:
            self._timer.arm(due_ns)

    def _on_time(self) -> None:
        """Start the slots whose time has come."""
        while self._queue and self._going and not self._paused_at_ns:
            due_ns, _, slot = self._queue[0]
            if self._waiting.get(slot) != due_ns:
                heapq.heappop(self._queue)
                continue
            if due_ns > monotonic_ns():
                if self._timer is not None:
                    self._timer.arm(due_ns)
                return
            heapq.heappop(self._queue)
            del self._waiting[slot]
            self._started_ns[slot] = due_ns
            if self._take(slot):
                self._work.start(slot, 0, self)
            else:
                self._leave(slot)

    def _resumed(self, paused_ns: int) -> None:
        for slot in self._waiting:
            self._waiting[slot] += paused_ns
        for slot in self._started_ns:
            self._started_ns[slot] += paused_ns
        self._queue = [(due_ns, next(self._order), slot) for slot, due_ns in self._waiting.items()]
        heapq.heapify(self._queue)
        held, self._held = self._held, []
        self._start_soon(held)
        self._on_time()

    def _let_go(self) -> None:
        for slot in [*self._waiting, *self._held]:
            self._leave(slot)
        self._waiting.clear()
        self._queue.clear()
        self._held.clear()

    def _start_soon(self, slots: list[Any]) -> None:
        starting = asyncio.ensure_future(self._start_all(slots))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start_all(self, slots: list[Any]) -> None:
        """Start *slots* a few at a time: thousands of connects in one go would stop the loop for their length."""
        for number, slot in enumerate(slots, 1):
            due_ns = self.next(slot)
            if due_ns is not None:
                self._work.start(slot, due_ns, self)
            if number % STARTS_A_TURN == 0:
                await asyncio.sleep(0)

    def _spread(self, slots: list[Any], vus: int) -> None:
        """Give each of the first *slots* its place within the first pacing: VU k of *vus* waits for k / vus of it."""
        for number, slot in enumerate(slots):
            place = self._part.worker + number * self._part.workers
            self._wait(slot, self._start_ns + place * self._pacing_ns // vus)
        self._on_time()

    def _begin_all(self, slots: list[Any], vus: int) -> None:
        if self._pacing_ns:
            self._spread(slots, vus)
        else:
            self._start_soon(slots)


class VUsExecutor(ClosedExecutor):
    """A number of slots that can change. Who leaves may finish its iteration for the graceful time; a slot that is
    wanted again in that time stays."""

    def __init__(self, spec: Specs, work: Work, part: Part, graceful_stop_s: float) -> None:
        super().__init__(spec, work, part, graceful_stop_s)
        self._graceful_leave_s = graceful_stop_s
        self._leaving: dict[Any, asyncio.TimerHandle] = {}

    async def run(self, start_ns: int) -> None:
        try:
            await super().run(start_ns)
        finally:
            for timer in self._leaving.values():
                timer.cancel()

    def set_vus(self, total: int) -> None:
        if self._going:
            self._set_vus(self._part.of(total))

    def _leaves(self, slot: Any) -> bool:
        return slot in self._leaving

    def _leave(self, slot: Any) -> None:
        if slot in self._leaving:
            self._leaving.pop(slot).cancel()
        super()._leave(slot)

    def _set_vus(self, count: int) -> None:
        while len(self._slots) < count and self._leaving:
            slot, timer = self._leaving.popitem()
            timer.cancel()
            self._slots.append(slot)
        new = [self._work.acquire() for _ in range(count - len(self._slots))]
        self._slots += new
        if len(new) > STARTS_A_TURN:
            self._start_soon(new)
        else:
            for slot in new:
                due_ns = self.next(slot)
                if due_ns is not None:
                    self._work.start(slot, due_ns, self)
        while len(self._slots) > count:
            self._send_away(self._slots.pop())

    def _send_away(self, slot: Any) -> None:
        if slot in self._waiting:
            del self._waiting[slot]
            self._leave(slot)
        elif slot in self._held:
            self._held.remove(slot)
            self._leave(slot)
        else:
            self._leaving[slot] = self._work.context.loop.call_later(self._graceful_leave_s, self._give_up, slot)

    def _give_up(self, slot: Any) -> None:
        if self._leaving.pop(slot, None) is not None:
            self._work.retire(slot)


class ConstantVUsExecutor(VUsExecutor):
    """A fixed number of slots until the time is over, or until somebody asks for another number."""

    def __init__(
        self,
        spec: load_models.ConstantVUs | load_models.ExternallyControlled,
        work: Work,
        part: Part,
        graceful_stop_s: float,
    ) -> None:
        super().__init__(spec, work, part, graceful_stop_s)
        self._spec = spec

    def prepare(self) -> None:
        self._slots = [self._work.acquire() for _ in range(self._part.of(self._spec.vus))]

    async def _drive(self) -> None:
        self._begin_all(list(self._slots), self._spec.vus)
        await self._sleep_until(round(self._spec.duration_s * NS_PER_S))

    def next(self, slot: Any) -> int | None:
        # The hot path of a full-speed run.
        if self._going and not (self._leaving or self._paused_at_ns or self._pacing_ns):
            return 0
        return super().next(slot)


class RampingVUsExecutor(VUsExecutor):
    """A number of slots that follows the stages."""

    def __init__(self, spec: load_models.RampingVUs, work: Work, part: Part, graceful_stop_s: float) -> None:
        super().__init__(spec, work, part, graceful_stop_s)
        self._spec = spec
        self._graceful_leave_s = spec.graceful_ramp_down_s

    async def _drive(self) -> None:
        for at_s, count in vu_changes(self._spec.start_vus, self._spec.stages):
            await self._sleep_until(round(at_s * NS_PER_S))
            if self._over:
                break
            self._set_vus(self._part.of(count))
        await self._sleep_until(round(self._spec.duration_s * NS_PER_S))


class ShapeExecutor(VUsExecutor):
    """A number of slots that the parent asks for, second by second, until it says that it is over."""

    def __init__(self, spec: load_models.Shape, work: Work, part: Part, graceful_stop_s: float) -> None:
        super().__init__(spec, work, part, graceful_stop_s)
        self._spec = spec
        self._wanted = 0

    def set_vus(self, total: int) -> None:
        self._wanted = total
        super().set_vus(total)

    async def _drive(self) -> None:
        self._set_vus(self._part.of(self._wanted))
        await self._sleep_until(round(self._spec.duration_s * NS_PER_S))


class IterationsExecutor(ClosedExecutor):
    """So many iterations; what is left when the time is over was never made and counts as dropped."""

    def __init__(
        self,
        spec: load_models.SharedIterations | load_models.PerVUIterations,
        work: Work,
        part: Part,
        graceful_stop_s: float,
    ) -> None:
        super().__init__(spec, work, part, graceful_stop_s)
        self._spec = spec
        self._left = 0

    async def _drive(self) -> None:
        if self._slots:
            self._begin_all(self._slots, self._spec.vus)
            await self._sleep_until(round(self._spec.duration_s * NS_PER_S))
        self._work.context.recorder.record_dropped(self._left, self._work.place)

    def _leave(self, slot: Any) -> None:
        super()._leave(slot)
        if self._left == 0 and not self._over:
            self._let_go_of_waiting()
            if not self._work.active_beside(slot):
                self.finish()

    def _let_go_of_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for slot in waiting:
            super()._leave(slot)

    @abstractmethod
    def _take(self, slot: Any) -> bool: ...


class SharedIterationsExecutor(IterationsExecutor):
    """A number of iterations, taken by whichever slot is free."""

    def prepare(self) -> None:
        self._left = self._part.of(self._spec.iterations)
        wanted = min(self._left, self._part.of(self._spec.vus))
        self._slots = [self._work.acquire() for _ in range(wanted)]

    def _take(self, slot: Any) -> bool:  # noqa: ARG002 - all slots take from one pot
        if self._left == 0:
            return False
        self._left -= 1
        return True


class PerVUIterationsExecutor(IterationsExecutor):
    """A number of iterations for each slot."""

    def prepare(self) -> None:
        self._slots = [self._work.acquire() for _ in range(self._part.of(self._spec.vus))]
        self._left_of = dict.fromkeys(self._slots, self._spec.iterations)
        self._left = self._spec.iterations * len(self._slots)

    def _take(self, slot: Any) -> bool:
        if self._left_of[slot] == 0:
            return False
        self._left_of[slot] -= 1
        self._left -= 1
        return True
