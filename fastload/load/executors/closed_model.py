"""Executors of the closed model: a VU starts its next iteration when the last one has ended."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from abc import abstractmethod
from time import monotonic_ns
from typing import Any

from fastload.load.client.handle_pool import LONG_PAUSE_S
from fastload.load.engine.precise_timer import PreciseTimer
from fastload.load.executors.base import STARTS_A_TURN, ExecutionSegment, LoadExecutor
from fastload.load.executors.slot_pool import SlotPool
from fastload.load.loop_runner import own_task
from fastload.model import load_models
from fastload.model.schedule import NS_PER_S, vu_changes

_LONG_PAUSE_NS = round(LONG_PAUSE_S * NS_PER_S)

ClosedSpec = (
    load_models.ConstantVUs
    | load_models.RampingVUs
    | load_models.SharedIterations
    | load_models.PerVUIterations
    | load_models.Shape
    | load_models.ExternallyControlled
)


class ClosedModelExecutor(LoadExecutor):
    """Base class of the closed-model executors: each slot makes one iteration after the other.

    With a pacing, a slot whose iteration ends early waits until its next start is due. When several slots begin
    together, their first starts are spread over one pacing, so that the load does not come in waves.

    A slot without an iteration is in one of three states: it waits for its next start (``_waiting``), a pause holds it
    (``_held``), or it begins together with many others and is not started yet (``_pending``).
    """

    def __init__(
        self, spec: ClosedSpec, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float
    ) -> None:
        super().__init__(slot_pool, segment, graceful_stop_s)
        self._pacing_ns = round(spec.pacing_s * NS_PER_S)
        self._duration_ns = round(spec.duration_s * NS_PER_S)
        self._started_ns: dict[Any, int] = {}
        self._waiting: dict[Any, int] = {}
        self._held: dict[Any, None] = {}
        self._pending: dict[Any, None] = {}
        self._queue: list[tuple[int, int, Any]] = []
        self._order = itertools.count()
        self._timer: PreciseTimer | None = None
        self._starting: set[asyncio.Future[None]] = set()

    async def run(self, from_ns: int, delay_ns: int = 0) -> None:
        if self._pacing_ns:
            self._timer = PreciseTimer(self._slot_pool.context.loop, self._on_time)
        try:
            await super().run(from_ns, delay_ns)
        finally:
            if self._timer is not None:
                self._timer.close()

    def next(self, slot: Any) -> int | None:
        return self._next_start(slot)

    def _set_starting(self, starting: bool) -> None:
        super()._set_starting(starting)
        self._can_start_at_once = self._can_start_at_once and not self._pacing_ns

    def _next_start(self, slot: Any) -> int | None:
        """Return the result of `next` for *slot*, which is in no iteration: 0 to start one now, None to park it."""
        if not self._is_starting or self._is_done(slot):
            self._release_slot(slot)
            return None
        if self._paused_at_ns:
            self._held[slot] = None
            self._slot_pool.hold(slot)
            return None
        if self._pacing_ns and self._waits(slot):
            return None
        self._count_start(slot)
        return 0

    def _is_done(self, slot: Any) -> bool:  # noqa: ARG002 - most keep their slots
        """Return whether *slot* must leave: its VU is being removed, or no iteration is left for it."""
        return False

    def _count_start(self, slot: Any) -> None:
        """Count the iteration that *slot* starts."""

    def _release_slot(self, slot: Any) -> None:
        self._started_ns.pop(slot, None)
        self._slot_pool.release(slot)

    def _make_ready(self, count: int) -> None:
        """Create *count* free slots, which `acquire` returns later."""
        for slot in [self._slot_pool.acquire() for _ in range(count)]:
            self._slot_pool.release(slot)

    def _begin(self, slots: list[Any], at_ns: int, first: int, count: int) -> None:
        """Start *slots*, this worker's share of *count* slots that begin at *at_ns* over all workers.

        *first*: the position (from 0) of the first slot among the *count* slots.
        """
        if not self._pacing_ns:
            self._start(slots)
            return
        for number, slot in enumerate(slots):
            position = first + number * self._segment.workers
            self._wait(slot, at_ns + position * self._pacing_ns // count)
        self._on_time()

    def _start(self, slots: list[Any]) -> None:
        """Start *slots*, `STARTS_A_TURN` in each turn of the loop: thousands of connects in one turn would block it."""
        if len(slots) <= STARTS_A_TURN:
            for slot in slots:
                self._start_one(slot)
            return
        self._pending.update(dict.fromkeys(slots))
        starting = own_task(self._start_pending(slots))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start_pending(self, slots: list[Any]) -> None:
        for number, slot in enumerate(slots, 1):
            if slot in self._pending:
                del self._pending[slot]
                self._start_one(slot)
            if number % STARTS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _end_starts(self) -> None:
        while self._starting:
            await asyncio.gather(*self._starting)

    def _start_one(self, slot: Any) -> None:
        due_ns = self._next_start(slot)
        if due_ns is not None:
            self._slot_pool.start(slot, due_ns, self)

    def _waits(self, slot: Any) -> bool:
        """Return whether *slot* has to wait for its next start; if not, record a start now."""
        now_ns = monotonic_ns()
        due_ns = self._started_ns[slot] + self._pacing_ns
        if due_ns > now_ns:
            self._wait(slot, due_ns)
            return True
        self._started_ns[slot] = now_ns
        return False

    def _wait(self, slot: Any, due_ns: int) -> None:
        self._waiting[slot] = due_ns
        self._slot_pool.hold(slot)
        if self._pacing_ns >= _LONG_PAUSE_NS:
            self._slot_pool.pause_slot(slot)
        heapq.heappush(self._queue, (due_ns, next(self._order), slot))
        if self._timer is not None and self._queue[0][2] is slot:
            self._timer.arm(due_ns)

    def _on_time(self) -> None:
        """Start the slots whose next start is due."""
        while self._queue and self._is_starting and not self._paused_at_ns:
            due_ns, _, slot = self._queue[0]
            if self._waiting.get(slot) != due_ns:
                heapq.heappop(self._queue)
                continue
            if due_ns >= self._start_ns + self._duration_ns:
                return
            if due_ns > monotonic_ns():
                if self._timer is not None:
                    self._timer.arm(due_ns)
                return
            heapq.heappop(self._queue)
            del self._waiting[slot]
            if self._is_done(slot):
                self._release_slot(slot)
            else:
                self._started_ns[slot] = due_ns
                self._count_start(slot)
                self._slot_pool.start(slot, 0, self)

    def _resumed(self, paused_ns: int) -> None:
        for moments in (self._waiting, self._started_ns):
            for slot in moments:
                moments[slot] += paused_ns
        self._queue = [(due_ns, next(self._order), slot) for slot, due_ns in self._waiting.items()]
        heapq.heapify(self._queue)
        held, self._held = list(self._held), {}
        self._start(held)
        self._on_time()

    def _release_waiting(self) -> None:
        idle = [*self._waiting, *self._held]
        self._waiting.clear()
        self._held.clear()
        self._queue.clear()
        for slot in idle:
            self._release_slot(slot)


class VUsExecutor(ClosedModelExecutor):
    """Executor of a number of slots that can change.

    A slot that has to leave may finish its iteration within the graceful time. It stays if the number grows again in
    that time.
    """

    def __init__(
        self, spec: ClosedSpec, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float
    ) -> None:
        super().__init__(spec, slot_pool, segment, graceful_stop_s)
        self._graceful_leave_s = graceful_stop_s
        self._slots: dict[Any, None] = {}
        self._total = 0
        self._takes_new_slots = True
        self._leaving: dict[Any, asyncio.TimerHandle] = {}

    async def run(self, from_ns: int, delay_ns: int = 0) -> None:
        try:
            await super().run(from_ns, delay_ns)
        finally:
            for timer in self._leaving.values():
                timer.cancel()

    def next(self, slot: Any) -> int | None:
        # The hot path of a full-speed run.
        return 0 if self._can_start_at_once else self._next_start(slot)

    def _set_starting(self, starting: bool) -> None:
        super()._set_starting(starting)
        self._can_start_at_once = self._can_start_at_once and not self._leaving

    def _is_done(self, slot: Any) -> bool:
        return slot in self._leaving

    def _release_slot(self, slot: Any) -> None:
        if slot in self._leaving:
            self._leaving.pop(slot).cancel()
            self._set_starting(self._is_starting)
        super()._release_slot(slot)

    def leave(self, slot: Any, due_ns: int) -> bool:  # noqa: ARG002 - a VU starts when it is free
        self._takes_new_slots = False
        self._started_ns.pop(slot, None)
        self._slots.pop(slot, None)
        if slot in self._leaving:
            self._leaving.pop(slot).cancel()
            self._set_starting(self._is_starting)
        if self._slots or self._leaving:
            return False
        self.finish()
        return True

    def _set_vus(self, total: int, at_ns: int) -> None:
        """Change the number of slots to this worker's share of *total* at *at_ns*."""
        before, self._total = self._total, total
        count = self._segment.of(total)
        while len(self._slots) < count and self._leaving:
            slot, timer = self._leaving.popitem()
            timer.cancel()
            self._slots[slot] = None
        if len(self._slots) < count and self._takes_new_slots:
            first = self._segment.worker + len(self._slots) * self._segment.workers - before
            new = [self._slot_pool.acquire() for _ in range(count - len(self._slots))]
            self._slots.update(dict.fromkeys(new))
            self._begin(new, at_ns, first, total - before)
        while len(self._slots) > count:
            self._remove_slot(self._slots.popitem()[0])
        self._set_starting(self._is_starting)

    def _remove_slot(self, slot: Any) -> None:
        for idle in (self._waiting, self._held, self._pending):
            if slot in idle:
                del idle[slot]
                self._release_slot(slot)
                return
        self._leaving[slot] = self._slot_pool.context.loop.call_later(self._graceful_leave_s, self._retire_slot, slot)

    def _retire_slot(self, slot: Any) -> None:
        del self._leaving[slot]
        self._set_starting(self._is_starting)
        self._started_ns.pop(slot, None)
        self._slot_pool.retire(slot)


class SteeredVUsExecutor(VUsExecutor):
    """Executor of a number of slots given by the plan, until a command or shape changes it.

    It ends when its duration is over, or when it is finished or stopped.
    """

    def __init__(
        self,
        spec: load_models.ConstantVUs | load_models.ExternallyControlled | load_models.Shape,
        slot_pool: SlotPool,
        segment: ExecutionSegment,
        graceful_stop_s: float,
    ) -> None:
        super().__init__(spec, slot_pool, segment, graceful_stop_s)
        # A shape gives its first number of VUs when the run has begun.
        self._wanted = 0 if isinstance(spec, load_models.Shape) else spec.vus

    def prepare(self) -> None:
        self._make_ready(self._segment.of(self._wanted))

    def set_vus(self, total: int) -> None:
        self._wanted = total
        if self._is_starting:
            self._set_vus(total, self._now_ns())

    async def _drive(self) -> None:
        self._set_vus(self._wanted, self._start_ns)
        await self._sleep_until(self._duration_ns)


class RampingVUsExecutor(VUsExecutor):
    """Executor of a number of slots that follows the stages, until a command sets another number."""

    def __init__(
        self, spec: load_models.RampingVUs, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float
    ) -> None:
        super().__init__(spec, slot_pool, segment, graceful_stop_s)
        self._spec = spec
        self._asked: int | None = None
        self._graceful_leave_s = spec.graceful_ramp_down_s

    def prepare(self) -> None:
        self._make_ready(self._segment.of(self._spec.start_vus))

    def set_vus(self, total: int) -> None:
        self._asked = total
        if self._is_starting:
            self._set_vus(total, self._now_ns())

    async def _drive(self) -> None:
        if self._asked is not None:
            self._set_vus(self._asked, self._start_ns)
        changes = [(round(at_s * NS_PER_S), vus) for at_s, vus in vu_changes(self._spec.start_vus, self._spec.stages)]
        for (at_ns, vus), (next_ns, _) in itertools.pairwise([*changes, (math.inf, 0)]):
            await self._sleep_until(int(at_ns))
            if self._is_finished or self._asked is not None:
                break
            # Of several changes that are due together, after a jump or a stall, only the last one is made.
            if self._start_ns + next_ns > monotonic_ns():
                self._set_vus(vus, self._start_ns + int(at_ns))
        await self._sleep_until(round(self._spec.duration_s * NS_PER_S))


class IterationsExecutor(ClosedModelExecutor):
    """Executor of a fixed number of iterations. Those not started when the time is over count as dropped."""

    def __init__(
        self,
        spec: load_models.SharedIterations | load_models.PerVUIterations,
        slot_pool: SlotPool,
        segment: ExecutionSegment,
        graceful_stop_s: float,
    ) -> None:
        super().__init__(spec, slot_pool, segment, graceful_stop_s)
        self._spec = spec
        self._vus = 0
        self._left = 0
        self._busy = 0

    def prepare(self) -> None:
        self._make_ready(self._vus)

    def next(self, slot: Any) -> int | None:
        self._busy -= 1
        due_ns = self._next_start(slot)
        if not self._left and not self._busy:
            self.finish()
        return due_ns

    def leave(self, slot: Any, due_ns: int) -> bool:  # noqa: ARG002 - a VU starts when it is free
        self._busy -= 1
        self._vus -= 1
        self._started_ns.pop(slot, None)
        self._give_back(slot)
        if not (self._busy or self._waiting or self._held or self._pending):
            self.finish()
        return not self._vus

    def _count_start(self, slot: Any) -> None:  # noqa: ARG002 - some count by slot
        self._left -= 1
        self._busy += 1

    async def _drive(self) -> None:
        if self._vus:
            slots = [self._slot_pool.acquire() for _ in range(self._vus)]
            self._assign_iterations(slots)
            self._begin(slots, self._start_ns, self._segment.worker, self._spec.vus)
            await self._sleep_until(round(self._spec.duration_s * NS_PER_S))
        if not self._is_finished:
            self._slot_pool.context.recorder.record_dropped(self._left, self._slot_pool.scope)

    @abstractmethod
    def _assign_iterations(self, slots: list[Any]) -> None:
        """Assign the iterations to *slots*."""

    @abstractmethod
    def _give_back(self, slot: Any) -> None:
        """Take the iterations back that *slot*, which leaves, has not made."""


class SharedIterationsExecutor(IterationsExecutor):
    """Executor of a number of iterations for all slots together: each free slot takes the next one."""

    def __init__(
        self, spec: load_models.SharedIterations, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float
    ) -> None:
        super().__init__(spec, slot_pool, segment, graceful_stop_s)
        self._left = segment.of_iterations(spec.iterations, spec.vus)
        self._vus = min(self._left, segment.of(spec.vus))

    def next(self, slot: Any) -> int | None:
        # The hot path: `_busy` does not change, because the slot ends one iteration and starts another.
        if self._left and self._can_start_at_once:
            self._left -= 1
            return 0
        return super().next(slot)

    def _is_done(self, slot: Any) -> bool:  # noqa: ARG002 - all slots share the iterations
        return self._left == 0

    def _assign_iterations(self, slots: list[Any]) -> None:
        """Assign nothing: all slots share the iterations."""

    def _give_back(self, slot: Any) -> None:  # noqa: ARG002 - all slots share the iterations
        self._left += 1


class PerVUIterationsExecutor(IterationsExecutor):
    """Executor of a number of iterations for each slot."""

    def __init__(
        self, spec: load_models.PerVUIterations, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float
    ) -> None:
        super().__init__(spec, slot_pool, segment, graceful_stop_s)
        self._each = spec.iterations
        self._vus = segment.of(spec.vus)
        self._left = spec.iterations * self._vus

    def _is_done(self, slot: Any) -> bool:
        return self._left_of[slot] == 0

    def _give_back(self, slot: Any) -> None:
        """Take the slot's iterations back. Nobody else makes them."""
        self._left -= self._left_of[slot]
        self._left_of[slot] = 0

    def _count_start(self, slot: Any) -> None:
        self._left_of[slot] -= 1
        super()._count_start(slot)

    def _assign_iterations(self, slots: list[Any]) -> None:
        self._left_of = dict.fromkeys(slots, self._each)
