"""Executor of the open model: iterations start at scheduled times, whether or not earlier ones have ended."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic_ns
from typing import Any

from fastload.load.engine.precise_timer import PreciseTimer
from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.slot_pool import SlotPool
from fastload.model import load_models
from fastload.model.schedule import NS_PER_S, Arrivals, RateCurve, TraceArrivals

# How many starts are made in one turn of the loop. Whatever the rate, reports go out and a stop is heard.
_STARTS_A_TURN = 256
# How long after its end an executor makes starts that are overdue. The rest counts as dropped.
_CATCH_UP_NS = NS_PER_S
# Before the start, `prepare` creates enough slots for this many seconds of starts.
_READY_S = 0.1

OpenSpec = load_models.ConstantArrivalRate | load_models.RampingArrivalRate | load_models.Trace


class ArrivalRateExecutor(LoadExecutor):
    """Executor that starts iterations at scheduled times.

    A start without a free slot waits in a queue (``_line``); its response time counts from its due time. After a stall,
    each slot that becomes free takes a start from the queue at once. Starts left in the queue at the end count as
    offered and dropped. With "drop" there is no queue: a start without a free slot is dropped.
    """

    is_open_model = True

    def __init__(self, spec: OpenSpec, slot_pool: SlotPool, segment: ExecutionSegment, graceful_stop_s: float) -> None:
        super().__init__(slot_pool, segment, graceful_stop_s)
        self._spec = spec
        # With fewer VUs than workers, some workers have neither VUs nor starts.
        mine = segment.among(spec.max_vus)
        self._arrivals = arrivals_of(spec, mine) if mine else None
        self._max_slots = mine.of(spec.max_vus) if mine else 0
        self._drops = spec.when_busy == "drop"
        self._due_ns = self._arrivals.next_due_ns() if self._arrivals else None
        self._idle: list[Any] = []
        self._slots = 0
        self._queued_starts: deque[int] = deque()
        # Changes of the rate, ``(rate_per_s, at_ns)``, that came before the executor began.
        self._pending_rate_changes: list[tuple[float, int]] = []
        self._timer: PreciseTimer | None = None

    def prepare(self) -> None:
        first_tenth = round(self._spec.begin_rate_per_s * _READY_S / self._segment.workers)
        ready = min(self._max_slots, max(10, first_tenth))
        while self._slots < ready:
            self._idle.append(self._add_slot())

    def set_rate(self, rate_per_s: float, at_ns: int) -> None:
        if isinstance(self._spec, load_models.Trace):
            super().set_rate(rate_per_s, at_ns)
        if self._is_starting:
            # During a pause the clock of the schedule is stopped.
            self._change_rate(rate_per_s, min(at_ns, self._paused_at_ns or at_ns))
            self._on_time()
        else:
            self._pending_rate_changes.append((rate_per_s, at_ns))

    def _change_rate(self, rate_per_s: float, at_ns: int) -> None:
        if isinstance(self._arrivals, Arrivals):
            self._arrivals.change_rate(max(0, at_ns - self._start_ns) / NS_PER_S, rate_per_s)
            self._due_ns = self._arrivals.next_due_ns()

    async def _drive(self) -> None:
        for asked in self._pending_rate_changes:
            self._change_rate(*asked)
        self._timer = PreciseTimer(self._slot_pool.context.loop, self._on_time)
        try:
            self._on_time()
            await self._sleep_until(round(self._spec.duration_s * NS_PER_S))
            await self._catch_up()
        finally:
            self._timer.close()
            self._timer = None
        self._slot_pool.context.recorder.record_dropped(len(self._queued_starts), self._slot_pool.scope)

    async def _catch_up(self) -> None:
        """Make the starts due since the timer's last call, in case the loop was busy when the duration ended."""
        until_ns = monotonic_ns() + _CATCH_UP_NS
        while self._make_starts() and monotonic_ns() < until_ns:
            await asyncio.sleep(0)
        if self._arrivals and self._is_starting and not self._paused_at_ns:
            left = self._arrivals.count_left()
            self._offered += left
            self._slot_pool.context.recorder.record_dropped(left, self._slot_pool.scope)

    def next(self, slot: Any) -> int | None:
        if not self._is_starting:
            self._slot_pool.release(slot)
            return None
        if self._queued_starts and not self._paused_at_ns:
            return self._queued_starts.popleft()
        self._idle.append(slot)
        return None

    def leave(self, slot: Any, due_ns: int) -> bool:  # noqa: ARG002 - a slot that iterates is in no list
        self._slots -= 1
        self._max_slots = self._slots
        if not self._slots:
            self.finish()
        if not self._is_starting:
            self._slot_pool.context.recorder.record_dropped(1, self._slot_pool.scope)
        elif self._paused_at_ns:
            self._queued_starts.appendleft(due_ns)
        else:
            self._start(due_ns)
        return not self._slots

    def _release_waiting(self) -> None:
        for slot in self._idle:
            self._slot_pool.release(slot)
        self._idle.clear()

    def _resumed(self, paused_ns: int) -> None:
        self._queued_starts = deque(due_ns + paused_ns for due_ns in self._queued_starts)
        while self._queued_starts and self._idle:
            self._slot_pool.start(self._idle.pop(), self._queued_starts.popleft(), self)
        self._on_time()

    def _add_slot(self) -> Any:
        self._slots += 1
        return self._slot_pool.acquire()

    def _on_time(self) -> None:
        if self._make_starts() and self._timer is not None:
            self._timer.arm(monotonic_ns())

    def _make_starts(self) -> bool:
        """Make the starts that are due, `_STARTS_A_TURN` at most. Return whether that were so many."""
        for _ in range(_STARTS_A_TURN):
            if not self._arrivals or self._due_ns is None or not self._is_starting or self._paused_at_ns:
                return False
            at_ns = self._start_ns + self._due_ns
            if at_ns > monotonic_ns():
                if self._timer is not None:
                    self._timer.arm(at_ns)
                return False
            self._arrivals.advance()
            self._due_ns = self._arrivals.next_due_ns()
            self._offered += 1
            self._start(at_ns)
        return True

    def _start(self, at_ns: int) -> None:
        if self._idle:
            self._slot_pool.start(self._idle.pop(), at_ns, self)
        elif self._slots < self._max_slots:
            self._slot_pool.start(self._add_slot(), at_ns, self)
        elif self._drops:
            self._slot_pool.context.recorder.record_dropped(1, self._slot_pool.scope)
        else:
            self._queued_starts.append(at_ns)
            self._slot_pool.context.recorder.record_queued(1, self._slot_pool.scope)


def rate_curve(spec: load_models.ConstantArrivalRate | load_models.RampingArrivalRate) -> RateCurve:
    """Return the rate of the starts of *spec* over time."""
    if isinstance(spec, load_models.RampingArrivalRate):
        return RateCurve(spec.start_rate_per_s, spec.stages)
    return RateCurve(spec.rate_per_s, ((spec.duration_s, spec.rate_per_s),))


def arrivals_of(spec: OpenSpec, segment: ExecutionSegment) -> Arrivals | TraceArrivals:
    """Return this worker's starts of *spec*."""
    if isinstance(spec, load_models.Trace):
        return TraceArrivals(spec.due_ns, worker=segment.worker, workers=segment.workers)
    # A constant rate has its first start at time 0. A ramp has its first start when the integral of its rate reaches 1,
    # and its last start may be due exactly at its end.
    ramps = isinstance(spec, load_models.RampingArrivalRate)
    return Arrivals(
        rate_curve(spec),
        kind=spec.arrivals,
        first=int(ramps),
        worker=segment.worker,
        workers=segment.workers,
        seed=segment.seed,
        end_counts=ramps,
    )
