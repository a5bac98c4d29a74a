"""Iterations that call a scenario: a running VU is one task."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Iterator
from time import monotonic_ns
from typing import Any, cast

from fastload.load.client import VU
from fastload.load.context import Context, ScenarioContext
from fastload.load.data import DataExhausted
from fastload.load.flow import IterationTimeout, TestAborted
from fastload.load.scenario import Function, Scenario
from fastload.load.work import CANCEL_GRACE_S, Feed, Work
from fastload.model.errors import user_traceback

HOOK_GRACE_S = 5.0


class VUWork(Work):
    """The VUs of one scenario. *numbers* are the ids of VUs that are made, *iterations* those of iterations.

    A VU's first iteration begins with the scenario's ``on_start``, and when the VU leaves there is ``on_stop``, also
    when it was interrupted, but not when everything has to end at once.
    """

    def __init__(
        self,
        context: Context,
        scenario: Scenario,
        shared: ScenarioContext,
        numbers: Iterator[int],
        iterations: Iterator[int],
        *,
        timeout_s: float = 0.0,
    ) -> None:
        super().__init__(context)
        self.place = context.home(shared)
        self._function = _limited(scenario.function, timeout_s) if timeout_s else scenario.function
        self._on_start, self._on_stop = scenario.on_start, scenario.on_stop
        self._shared = shared
        self._numbers = numbers
        self._iterations = iterations
        self._tasks: dict[VU, asyncio.Task[None]] = {}
        self._leaving: set[VU] = set()
        if self._on_stop is not None:
            self.cancel_grace_s = HOOK_GRACE_S

    def release(self, slot: VU) -> None:
        if self._on_stop is None or not slot.began:
            super().release(slot)
            return
        self._held.discard(slot)
        self._leaving.add(slot)
        if slot not in self._tasks:
            self._running.add(slot)
            self._drained.clear()
            self._tasks[slot] = self.context.loop.create_task(self._leave(slot))

    def interrupt_idle(self) -> None:
        for vu in list(self._tasks):
            if not vu.in_flight and vu not in self._leaving:
                self.retire(vu)

    def _new(self) -> VU:
        return VU(next(self._numbers), self.context, self._shared)

    def _begin(self, slot: VU, due_ns: int, feed: Feed) -> None:
        self._tasks[slot] = self.context.loop.create_task(self._iterate(slot, due_ns, feed))

    def _interrupt(self, slot: VU) -> None:
        task = self._tasks[slot]
        slot.interrupted = True
        task.cancel()
        if inspect.getcoroutinestate(cast(Coroutine[Any, Any, None], task.get_coro())) == inspect.CORO_CREATED:
            # Cancelled before its first step, it never runs and cannot say that it ended.
            if slot not in self._leaving:
                self.context.recorder.stats.iterations_interrupted += 1
            self._end(slot)

    def _close(self, slot: VU) -> None:
        slot.close()

    async def _iterate(self, vu: VU, due_ns: int | None, feed: Feed) -> None:
        try:
            while due_ns is not None:
                requests = vu.begin_iteration(due_ns, next(self._iterations))
                if vu.began or await self._enter(vu):
                    await self._call(vu, due_ns, feed)
                if vu.end_iteration() == requests:
                    # Nothing was awaited that the engine knows: without this an empty iteration starves the loop.
                    await asyncio.sleep(0)
                if vu.back_off_s and not feed.is_open_model:
                    await asyncio.sleep(vu.back_off_s)
                due_ns = feed.next(vu)
            if vu in self._leaving:
                await self._exit(vu)
        except asyncio.CancelledError:
            await self._interrupted(vu)
        except TestAborted as abort:
            self.context.recorder.stats.iterations_interrupted += 1
            self.context.abort(str(abort))
        finally:
            self._end(vu)

    async def _leave(self, vu: VU) -> None:
        """The end of a VU that is in no iteration."""
        try:
            await self._exit(vu)
        except (asyncio.CancelledError, TestAborted):
            pass
        finally:
            self._end(vu)

    def _end(self, vu: VU) -> None:
        del self._tasks[vu]
        if vu in self._leaving:
            self._leaving.discard(vu)
            if vu not in self._retired:
                super().release(vu)
        self._ended(vu)

    async def _interrupted(self, vu: VU) -> None:
        """The task was cancelled, in an iteration or in ``on_stop``."""
        if vu in self._leaving:
            return
        self.context.recorder.stats.iterations_interrupted += 1
        if self._on_stop is not None and vu.began and not self.context.hurry:
            task = self._tasks[vu]
            while task.uncancel():
                pass
            self._leaving.add(vu)
            try:
                async with asyncio.timeout(HOOK_GRACE_S - CANCEL_GRACE_S):
                    await self._exit(vu)
            except (asyncio.CancelledError, TimeoutError, TestAborted):
                pass

    async def _enter(self, vu: VU) -> bool:
        """The VU's ``on_start``; False when it raised, and then it is called again for the next iteration."""
        vu.began = self._on_start is None or await self._call_hook(self._on_start, vu)
        return vu.began

    async def _exit(self, vu: VU) -> None:
        """The VU's ``on_stop``. It may still send, although everything stops; a new user may come after it."""
        vu.leaving = True
        try:
            if self._on_stop is not None:
                await self._call_hook(self._on_stop, vu)
        finally:
            vu.leaving = vu.began = False

    async def _call_hook(self, hook: Function, vu: VU) -> bool:
        requests = vu.requests
        try:
            await hook(vu)
        except (Exception, SystemExit) as error:
            self._record_exception(vu, error, requests)
            return False
        return True

    async def _call(self, vu: VU, due_ns: int, feed: Feed) -> None:
        """One iteration; what it raises is recorded."""
        place = self.place
        start_ns = monotonic_ns()
        if due_ns:
            place.lateness_us.append((start_ns - due_ns) // 1000)
        requests = vu.requests
        try:
            await self._function(vu)
        except asyncio.CancelledError as error:
            if self.context.stopping or self._tasks[vu].cancelling():
                raise
            self._record_exception(vu, error, requests)
        except DataExhausted as error:
            if error.planned:
                feed.finish()
            else:
                self._record_exception(vu, error, requests)
        except (Exception, SystemExit) as error:
            self._record_exception(vu, error, requests)
        else:
            place.iteration_us.append((monotonic_ns() - start_ns) // 1000)
            if vu.requests == requests:
                # There was no request whose success would end the pauses.
                vu.back_off_s = 0.0

    def _record_exception(self, vu: VU, error: BaseException, requests_before: int) -> None:
        self.context.recorder.record_exception(type(error).__name__, user_traceback(error), self.place)
        if vu.requests == requests_before:
            # It failed before it sent anything: over and over, that would only heat a CPU.
            vu.back_off()


def _limited(function: Function, timeout_s: float) -> Function:
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
