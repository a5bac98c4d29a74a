"""VU pool: iterations that call a scenario function. Each running VU is one asyncio task."""

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
from fastload.load.recording.outcome import TestAborted
from fastload.load.recording.scope import CURRENT_VU
from fastload.load.script.advice import advised_traceback, raise_site
from fastload.load.script.data_set import DataExhausted
from fastload.load.script.flow import IterationTimeout, NeverAwaited
from fastload.load.script.scenarios import Scenario, ScenarioFunction

# How many seconds a VU's ``on_stop`` may take once the graceful time is over.
ON_STOP_TIMEOUT_S = 4.0


class VUPool(SlotPool):
    """Slot pool of one scenario: its slots are VUs.

    A VU's first iteration begins with the scenario's ``on_start``. When the VU leaves, its ``on_stop`` runs, also after
    an interrupt, but not if everything has to end at once.

    *numbers* yields the ids of new VUs, *iterations* those of iterations. *timeout_s*: how long an iteration may take,
    0 for no limit.
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
        self._without_data: dict[VU, str] = {}
        self._on_stop_limits: dict[VU, asyncio.TimerHandle] = {}
        if self._on_stop is not None:
            self.cancel_grace_s = ON_STOP_TIMEOUT_S + CANCEL_GRACE_S

    def release(self, slot: VU) -> None:
        if not self._owes_on_stop(slot):
            super().release(slot)
            return
        self._let_go(slot)
        self._leaving.add(slot)
        if slot not in self._tasks:
            self._start_on_stop(slot)

    def pause_slot(self, slot: VU) -> None:
        slot._release_handles()

    def interrupt_idle(self) -> None:
        for vu in list(self._tasks):
            if not vu._in_flight and vu not in self._leaving:
                self.retire(vu)

    def _new(self) -> VU:
        return VU(next(self._numbers), self.context, self._shared)

    def _begin(self, slot: VU, due_ns: int, scheduler: IterationScheduler) -> None:
        self._tasks[slot] = self.context.loop.create_task(self._iterate(slot, due_ns, scheduler))

    def _interrupt(self, slot: VU) -> None:
        task = self._tasks[slot]
        if slot in self._leaving and not self._skips_on_stop:
            # It already runs its on_stop.
            self._limit_on_stop(slot)
            return
        self._cancel(slot)
        if inspect.getcoroutinestate(cast(Coroutine[Any, Any, None], task.get_coro())) == inspect.CORO_CREATED:
            # A task that is cancelled before its first step never runs, so its own cleanup does not run either.
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
        slot._close()

    @property
    def _skips_on_stop(self) -> bool:
        """Whether no time is left for any ``on_stop``."""
        return self._closing or self.context.skip_on_stop

    def _owes_on_stop(self, vu: VU) -> bool:
        return self._on_stop is not None and vu._on_start_done and not self._skips_on_stop

    def _start_on_stop(self, vu: VU) -> None:
        """Start a task for the ``on_stop`` of a VU that is in no iteration."""
        self._run(vu)
        self._tasks[vu] = self.context.loop.create_task(self._run_on_stop_task(vu))

    def _limit_on_stop(self, vu: VU) -> None:
        """Cancel the ``on_stop`` of *vu* after `ON_STOP_TIMEOUT_S`."""
        if vu not in self._on_stop_limits:
            self._on_stop_limits[vu] = self.context.loop.call_later(ON_STOP_TIMEOUT_S, self._cancel, vu)

    def _cancel(self, vu: VU) -> None:
        """Cancel the task of *vu*, marked: the script may cancel it as well, which ends no more than an iteration."""
        vu._interrupted = True
        self._tasks[vu].cancel()

    async def _iterate(self, vu: VU, due_ns: int | None, scheduler: IterationScheduler) -> None:
        # One coroutine and not two saves 0.1 us per iteration.
        function, scope = self._function, self.scope
        CURRENT_VU.set(vu)
        try:
            while due_ns is not None:
                requests = vu._begin_iteration(due_ns, next(self._iterations))
                if vu._on_start_done or await self._run_on_start(vu, due_ns, scheduler):
                    start_ns = monotonic_ns()
                    if due_ns:
                        scope.lateness_us.append((start_ns - due_ns) // 1000)
                    try:
                        await function(vu)
                        if vu._unawaited is not None:
                            _raise_unawaited(vu)
                    except BaseException as error:
                        self._record_exception(vu, error, requests, scheduler)
                    else:
                        scope.iteration_us.append((monotonic_ns() - start_ns) // 1000)
                        if vu._request_count == requests:
                            # A good iteration without requests: no request has reset the back-off.
                            vu._back_off_s = 0.0
                elif vu in self._without_data:
                    self._end_without_data(vu, due_ns, scheduler)
                    return
                if vu._end_iteration() == requests or vu._back_off_s:
                    await self._pause(vu, scheduler)
                due_ns = scheduler.next(vu)
            if vu in self._leaving:
                await self._run_on_stop(vu)
        except (asyncio.CancelledError, TestAborted) as end:
            await self._interrupted(vu, end)
        finally:
            self._end(vu)

    async def _pause(self, vu: VU, scheduler: IterationScheduler) -> None:
        """Pause between iterations, for the back-off if there is one.

        Without requests an iteration may not have awaited anything: a pause of no length keeps it from starving the
        loop. If the script has cancelled the task of its own VU, record that.
        """
        try:
            await asyncio.sleep(0.0 if scheduler.is_open_model else vu._back_off_s)
        except BaseException as error:
            self._record_exception(vu, error, vu._request_count, scheduler)

    async def _run_on_stop_task(self, vu: VU) -> None:
        """Run ``on_stop`` and the end of a VU that is in no iteration."""
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

    async def _interrupted(self, vu: VU, end: asyncio.CancelledError | TestAborted) -> None:
        """Handle the end of a VU's task by a cancellation or by an abort of the test.

        In an iteration: count it as interrupted, and run ``on_stop`` if the VU needs it. In ``on_stop``: do nothing.
        """
        if vu in self._leaving:
            return
        self.context.recorder.stats.iterations_interrupted += 1
        if self._owes_on_stop(vu):
            # This must come before the abort, which interrupts every VU.
            self._leaving.add(vu)
        if isinstance(end, TestAborted):
            self.context.abort(str(end))
        if vu in self._leaving:
            self._uncancel(vu)
            vu._interrupted = False
            self._limit_on_stop(vu)
            with contextlib.suppress(asyncio.CancelledError):
                await self._run_on_stop(vu)

    async def _run_on_start(self, vu: VU, due_ns: int, scheduler: IterationScheduler) -> bool:
        """Run the VU's ``on_start``. Return False if it raised; the next iteration then calls it again.

        The due time applies to the first request of the iteration itself, not to the requests of ``on_start``.
        """
        if self._on_start is not None:
            vu._begin_iteration(0, vu.iteration_in_test)
            if not await self._run_hook(self._on_start, vu, scheduler):
                return False
            vu._begin_iteration(due_ns, vu.iteration_in_test)
        vu._on_start_done = True
        return True

    def _end_without_data(self, vu: VU, due_ns: int, scheduler: IterationScheduler) -> None:
        """Let *vu* go, which cannot begin: a data set had no row left for its ``on_start``."""
        name, reason = self._shared.name, self._without_data.pop(vu)
        self._retired.add(vu)
        self.context.on_vu_without_data(name, reason)
        if scheduler.leave(vu, due_ns):
            self.context.on_data_end(name, reason)

    async def _run_on_stop(self, vu: VU) -> None:
        """Run the VU's ``on_stop``, which may still send requests while the run stops.

        Afterwards the VU can begin again as a new user, with ``on_start``.
        """
        vu._in_on_stop = True
        vu._begin_iteration(0, vu.iteration_in_test)
        try:
            if self._on_stop is not None:
                await self._run_hook(self._on_stop, vu, None)
        except TestAborted as abort:
            self.context.abort(str(abort))
        finally:
            vu._in_on_stop = vu._on_start_done = False

    async def _run_hook(self, hook: ScenarioFunction, vu: VU, scheduler: IterationScheduler | None) -> bool:
        """Call *hook*. Return False if it raised; the exception is recorded like one of an iteration."""
        requests = vu._request_count
        try:
            await hook(vu)
            if vu._unawaited is not None:
                _raise_unawaited(vu)
        except BaseException as error:
            self._record_exception(vu, error, requests, scheduler)
            return False
        return True

    def _record_exception(
        self, vu: VU, error: BaseException, requests_before: int, scheduler: IterationScheduler | None
    ) -> None:
        """Record an exception of the script, or raise it again if it ends more than this iteration.

        If a data set is exhausted as planned, call ``finish`` of *scheduler* instead; in ``on_start``, note that there
        is no data for this VU.
        """
        error = innermost(error)
        if isinstance(error, asyncio.CancelledError):
            # The script may have raised it, or have cancelled its own task: that ends no more than this iteration.
            if self.context.stopping or vu._interrupted:
                raise error
            self._uncancel(vu)
        elif isinstance(error, DataExhausted) and error.planned and scheduler is not None:
            if not vu._on_start_done:
                self._without_data[vu] = error.reason
                return
            self.context.on_data_end(self._shared.name, error.reason)
            scheduler.finish()
            return
        elif isinstance(error, TestAborted) or (isinstance(error, GeneratorExit) and not self._runs(vu)):
            raise error
        site = raise_site(error)
        self.context.recorder.record_exception(type(error).__name__, advised_traceback(error), self.scope, site)
        if vu._request_count == requests_before:
            # It failed before it sent a request. Without a back-off, repeated failures would use a whole CPU.
            vu._back_off()

    def _uncancel(self, vu: VU) -> None:
        while self._tasks[vu].uncancel():
            pass

    def _runs(self, vu: VU) -> bool:
        """Whether the running code is that of *vu*. It is not while Python closes the coroutine of a lost task."""
        try:
            return asyncio.current_task() is self._tasks[vu]
        except RuntimeError:
            return False


def innermost(error: BaseException) -> BaseException:
    """Return the cause of *error*: from an exception group, as of `asyncio.TaskGroup`, the abort of the test or the
    only exception; otherwise *error* itself."""
    while isinstance(error, BaseExceptionGroup):
        aborts = error.subgroup(TestAborted)
        inner = (aborts or error).exceptions
        if aborts is None and len(inner) > 1:
            return error
        error = inner[0]
    return error


def _raise_unawaited(vu: VU) -> None:
    """Raise `NeverAwaited` if *vu* threw a coroutine away in this iteration, and not in one that raised before it."""
    assert vu._unawaited is not None
    (iteration, line), vu._unawaited = vu._unawaited, None
    if iteration == vu.iteration:
        raise NeverAwaited(line)


def _limited(function: ScenarioFunction, timeout_s: float) -> ScenarioFunction:
    """Return *function* with a time limit: it raises `IterationTimeout` if it takes longer than *timeout_s*."""

    async def limited(vu: VU) -> None:
        try:
            async with asyncio.timeout(timeout_s) as limit:
                await function(vu)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise IterationTimeout(f"it took longer than {timeout_s:g} s") from error

    return limited
