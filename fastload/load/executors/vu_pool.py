"""Iterations that call a scenario: a running VU is one task."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Coroutine, Iterator
from time import monotonic_ns
from typing import Any, cast

from fastload.load.client.context import ScenarioContext, WorkerContext
from fastload.load.client.vu import VU
from fastload.load.executors.slot_pool import CANCEL_GRACE_S, IterationScheduler, SlotPool
from fastload.load.recording.scope import CURRENT_VU
from fastload.load.script.data_set import DataExhausted
from fastload.load.script.flow import IterationTimeout, TestAborted
from fastload.load.script.scenarios import Scenario, ScenarioFunction
from fastload.model.errors import user_traceback

# How long a VU's ``on_stop`` may take once the graceful time is over.
ON_STOP_TIMEOUT_S = 4.0


class VUPool(SlotPool):
    """The VUs of one scenario. *numbers* are the ids of VUs that are made, *iterations* those of iterations.

    A VU's first iteration begins with the scenario's ``on_start``, and when the VU leaves there is ``on_stop``, also
    when it was interrupted, but not when everything has to end at once. *timeout_s*: how long an iteration may take.
    """

    def __init__(
        self,
        context: WorkerContext,
        scenario: Scenario,
        shared: ScenarioContext,
        numbers: Iterator[int],
        iterations: Iterator[int],
        *,
        timeout_s: float = 0.0,
    ) -> None:
        super().__init__(context)
        self.scope = context.scenario_scope(shared)
        self._function = _limited(scenario.function, timeout_s) if timeout_s else scenario.function
        self._on_start, self._on_stop = scenario.on_start, scenario.on_stop
        self._shared = shared
        self._numbers = numbers
        self._iterations = iterations
        self._tasks: dict[VU, asyncio.Task[None]] = {}
        self._leaving: set[VU] = set()
        self._on_stop_limits: dict[VU, asyncio.TimerHandle] = {}
        if self._on_stop is not None:
            self.cancel_grace_s = ON_STOP_TIMEOUT_S + CANCEL_GRACE_S

    def release(self, slot: VU) -> None:
        if not self._owes_on_stop(slot):
            super().release(slot)
            return
        self._held.discard(slot)
        self._leaving.add(slot)
        if slot not in self._tasks:
            self._start_on_stop(slot)

    def pause_slot(self, slot: VU) -> None:
        slot.release_handles()

    def interrupt_idle(self) -> None:
        for vu in list(self._tasks):
            if not vu.in_flight and vu not in self._leaving:
                self.retire(vu)

    def _new(self) -> VU:
        return VU(next(self._numbers), self.context, self._shared)

    def _begin(self, slot: VU, due_ns: int, scheduler: IterationScheduler) -> None:
        self._tasks[slot] = self.context.loop.create_task(self._iterate(slot, due_ns, scheduler))

    def _interrupt(self, slot: VU) -> None:
        task = self._tasks[slot]
        if slot in self._leaving and not self._hurries:
            # It is saying goodbye already.
            self._limit_on_stop(slot)
            return
        slot.interrupted = True
        task.cancel()
        if inspect.getcoroutinestate(cast(Coroutine[Any, Any, None], task.get_coro())) == inspect.CORO_CREATED:
            # Cancelled before its first step, it never runs and cannot say that it ended.
            self._never_began(slot)

    def _never_began(self, vu: VU) -> None:
        if vu not in self._leaving:
            self.context.recorder.stats.iterations_interrupted += 1
            if self._owes_on_stop(vu):
                self._leaving.add(vu)
                self._start_on_stop(vu)
                self._limit_on_stop(vu)
                return
        self._end(vu)

    def _close(self, slot: VU) -> None:
        slot.close()

    @property
    def _hurries(self) -> bool:
        """Whether there is no time left for any ``on_stop``."""
        return self._closing or self.context.hurry

    def _owes_on_stop(self, vu: VU) -> bool:
        return self._on_stop is not None and vu.began and not self._hurries

    def _start_on_stop(self, vu: VU) -> None:
        """Call the ``on_stop`` of a VU that is in no iteration."""
        self._running.add(vu)
        self._drained.clear()
        self._tasks[vu] = self.context.loop.create_task(self._run_on_stop_task(vu))

    def _limit_on_stop(self, vu: VU) -> None:
        """End an ``on_stop`` that takes too long."""
        if vu not in self._on_stop_limits:
            self._on_stop_limits[vu] = self.context.loop.call_later(ON_STOP_TIMEOUT_S, self._tasks[vu].cancel)

    async def _iterate(self, vu: VU, due_ns: int | None, scheduler: IterationScheduler) -> None:
        # One coroutine and not two: a tenth of a microsecond for each iteration.
        function, scope = self._function, self.scope
        CURRENT_VU.set(vu)
        try:
            while due_ns is not None:
                requests = vu.begin_iteration(due_ns, next(self._iterations))
                if vu.began or await self._run_on_start(vu, due_ns, scheduler):
                    start_ns = monotonic_ns()
                    if due_ns:
                        scope.lateness_us.append((start_ns - due_ns) // 1000)
                    try:
                        await function(vu)
                    except BaseException as error:
                        self._record_exception(vu, error, requests, scheduler)
                    else:
                        scope.iteration_us.append((monotonic_ns() - start_ns) // 1000)
                        if vu.requests == requests:
                            # There was no request whose success would end the pauses.
                            vu.back_off_s = 0.0
                if vu.end_iteration() == requests:
                    # Nothing was awaited that the engine knows: without this an empty iteration starves the loop.
                    await asyncio.sleep(0)
                if vu.back_off_s and not scheduler.is_open_model:
                    await asyncio.sleep(vu.back_off_s)
                due_ns = scheduler.next(vu)
            if vu in self._leaving:
                await self._run_on_stop(vu)
        except asyncio.CancelledError:
            await self._interrupted(vu)
        except TestAborted as abort:
            await self._interrupted(vu, abort)
        finally:
            self._end(vu)

    async def _run_on_stop_task(self, vu: VU) -> None:
        """The end of a VU that is in no iteration."""
        CURRENT_VU.set(vu)
        try:
            await self._run_on_stop(vu)
        except asyncio.CancelledError:
            pass
        finally:
            self._end(vu)

    def _end(self, vu: VU) -> None:
        del self._tasks[vu]
        if vu in self._leaving:
            self._leaving.discard(vu)
            if vu in self._on_stop_limits:
                self._on_stop_limits.pop(vu).cancel()
            if vu not in self._retired:
                super().release(vu)
        self._ended(vu)

    async def _interrupted(self, vu: VU, abort: TestAborted | None = None) -> None:
        """The task was cancelled, or the test was aborted, in an iteration; or ``on_stop`` was cut."""
        if vu in self._leaving:
            return
        self.context.recorder.stats.iterations_interrupted += 1
        if self._owes_on_stop(vu):
            # Before the abort, which interrupts every VU.
            self._leaving.add(vu)
        if abort is not None:
            self.context.abort(str(abort))
        if vu in self._leaving:
            while self._tasks[vu].uncancel():
                pass
            self._limit_on_stop(vu)
            with contextlib.suppress(asyncio.CancelledError):
                await self._run_on_stop(vu)

    async def _run_on_start(self, vu: VU, due_ns: int, scheduler: IterationScheduler) -> bool:
        """The VU's ``on_start``; False when it raised, and then it is called again for the next iteration.

        What is due is the iteration's own first request, and none of this.
        """
        if self._on_start is not None:
            vu.begin_iteration(0, vu.iteration_in_test)
            if not await self._run_hook(self._on_start, vu, scheduler):
                return False
            vu.begin_iteration(due_ns, vu.iteration_in_test)
        vu.began = True
        return True

    async def _run_on_stop(self, vu: VU) -> None:
        """The VU's ``on_stop``. It may still send, although everything stops; a new user may come after it."""
        vu.leaving = True
        vu.begin_iteration(0, vu.iteration_in_test)
        try:
            if self._on_stop is not None:
                await self._run_hook(self._on_stop, vu, None)
        except TestAborted as abort:
            self.context.abort(str(abort))
        finally:
            vu.leaving = vu.began = False

    async def _run_hook(self, hook: ScenarioFunction, vu: VU, scheduler: IterationScheduler | None) -> bool:
        """Call *hook*; False when it raised, which is recorded as of an iteration."""
        requests = vu.requests
        try:
            await hook(vu)
        except BaseException as error:
            self._record_exception(vu, error, requests, scheduler)
            return False
        return True

    def _record_exception(
        self, vu: VU, error: BaseException, requests_before: int, scheduler: IterationScheduler | None
    ) -> None:
        """Record what the script raised, or raise what ends more than this iteration.

        *scheduler* is told when the data is used up.
        """
        error = innermost(error)
        if isinstance(error, asyncio.CancelledError):
            # It may be of the script's own.
            if self.context.stopping or self._tasks[vu].cancelling():
                raise error
        elif isinstance(error, DataExhausted) and error.planned and scheduler is not None:
            scheduler.finish()
            return
        elif not isinstance(error, Exception | SystemExit):
            raise error
        self.context.recorder.record_exception(type(error).__name__, user_traceback(error), self.scope)
        if vu.requests == requests_before:
            # It failed before it sent anything: over and over, that would only heat a CPU.
            vu.back_off()


def innermost(error: BaseException) -> BaseException:
    """What *error* is about: of a group, as of `asyncio.TaskGroup`, the abort of the test or the only one in it."""
    while isinstance(error, BaseExceptionGroup):
        aborts = error.subgroup(TestAborted)
        inner = (aborts or error).exceptions
        if aborts is None and len(inner) > 1:
            return error
        error = inner[0]
    return error


def _limited(function: ScenarioFunction, timeout_s: float) -> ScenarioFunction:
    """*function*, which raises `IterationTimeout` when it takes longer than *timeout_s*."""

    async def limited(vu: VU) -> None:
        try:
            async with asyncio.timeout(timeout_s) as limit:
                await function(vu)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise IterationTimeout(f"it took longer than {timeout_s:g} s") from error

    return limited
