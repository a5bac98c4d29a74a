"""What one iteration is: a call of a scenario by a VU, or one request of `bench` without a coroutine around it.

Work owns its slots (a VU, or a transfer): an executor takes them with `acquire`, says when each may go on, and
gets them back. The loop of a busy slot is here, because it is the hot path.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine, Iterator
from time import monotonic_ns
from typing import Any, Protocol, cast

from fastload.load.client import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S, VU, Context, ScenarioContext
from fastload.load.curl import ConnectionCache, Transfer
from fastload.load.failures import error_kind
from fastload.load.outcome import response_us
from fastload.load.scenario import Function
from fastload.load.sources import RequestSource
from fastload.model.errors import user_traceback
from fastload.model.plan import without_credentials

CANCEL_GRACE_S = 1.0


class Feed(Protocol):
    """Where a free slot learns whether to go on: an executor."""

    is_open_model: bool

    def next(self, slot: Any) -> int | None:
        """The due time (ns, 0 without a schedule) of the iteration that *slot* shall start now; None to park it."""
        ...


class Work(ABC):
    """The slots of one scenario in one worker."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._parked: deque[Any] = deque()
        self._running: set[Any] = set()
        self._retired: set[Any] = set()
        self._peak = 0
        self._drained = asyncio.Event()

    @property
    def active(self) -> int:
        """How many slots are in an iteration."""
        return len(self._running)

    def active_beside(self, slot: Any) -> int:
        """How many slots other than *slot* are in an iteration."""
        return len(self._running) - (slot in self._running)

    def take_peak(self) -> int:
        """The most slots that were in an iteration at once since the last call."""
        peak, self._peak = self._peak, len(self._running)
        return peak

    def acquire(self) -> Any:
        """A slot that is free: one that was released, or a new one."""
        return self._parked.popleft() if self._parked else self._new()

    def release(self, slot: Any) -> None:
        """Give *slot* back for the next `acquire`."""
        self._parked.append(slot)

    def start(self, slot: Any, due_ns: int, feed: Feed) -> None:
        """Begin an iteration on a free slot; it goes on as long as *feed* says."""
        self._running.add(slot)
        self._peak = max(self._peak, len(self._running))
        self._drained.clear()
        self._begin(slot, due_ns, feed)

    def retire(self, slot: Any) -> None:
        """Close a slot whose user leaves; its iteration, if any, is interrupted."""
        if slot in self._running:
            self._retired.add(slot)
            self._interrupt(slot)
        else:
            self._close(slot)

    async def drain(self, grace_s: float) -> None:
        """Wait until no iteration runs; interrupt those that still do after *grace_s*."""
        if self._running and grace_s > 0:
            await self._wait_drained(grace_s)
        if self._running:
            self.interrupt_all()
            await self._wait_drained(CANCEL_GRACE_S)

    def interrupt_idle(self) -> None:  # noqa: B027 - a bare request is never idle
        """Interrupt the iterations that have no request in flight."""

    def interrupt_all(self) -> None:
        """Interrupt every iteration, and close its slot: no executor gives it back."""
        for slot in list(self._running):
            self.retire(slot)

    def close(self) -> None:
        """Close every slot there is."""
        self.interrupt_all()
        for slot in self._parked:
            self._close(slot)
        self._parked.clear()

    def _ended(self, slot: Any) -> None:
        self._running.discard(slot)
        if slot in self._retired:
            self._retired.discard(slot)
            self._close(slot)
        if not self._running:
            self._drained.set()

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
    def _begin(self, slot: Any, due_ns: int, feed: Feed) -> None:
        """Start to iterate."""

    @abstractmethod
    def _interrupt(self, slot: Any) -> None:
        """End the iteration of a running slot now."""

    @abstractmethod
    def _close(self, slot: Any) -> None:
        """Free what a slot holds."""


class VUWork(Work):
    """Iterations that call a scenario function. A running VU is one task."""

    def __init__(self, context: Context, function: Function, scenario: ScenarioContext, numbers: Iterator[int]) -> None:
        super().__init__(context)
        self._function = function
        self._scenario = scenario
        self._numbers = numbers
        self._tasks: dict[VU, asyncio.Task[None]] = {}

    def interrupt_idle(self) -> None:
        for vu in list(self._tasks):
            if not vu.in_flight:
                self.retire(vu)

    def _new(self) -> VU:
        return VU(next(self._numbers), self.context, self._scenario)

    def _begin(self, slot: VU, due_ns: int, feed: Feed) -> None:
        self._tasks[slot] = self.context.loop.create_task(self._iterate(slot, due_ns, feed))

    def _interrupt(self, slot: VU) -> None:
        task = self._tasks[slot]
        task.cancel()
        if inspect.getcoroutinestate(cast(Coroutine[Any, Any, None], task.get_coro())) == inspect.CORO_CREATED:
            # Cancelled before its first step, it never runs and cannot say that it ended.
            self.context.recorder.stats.iterations_interrupted += 1
            del self._tasks[slot]
            self._ended(slot)

    def _close(self, slot: VU) -> None:
        slot.close()

    async def _iterate(self, vu: VU, due_ns: int | None, feed: Feed) -> None:
        try:
            while due_ns is not None:
                requests = vu.begin_iteration(due_ns)
                await self._call(vu, due_ns)
                if vu.end_iteration() == requests:
                    # Nothing was awaited that the engine knows: without this an empty iteration starves the loop.
                    await asyncio.sleep(0)
                if vu.back_off_s and not feed.is_open_model:
                    await asyncio.sleep(vu.back_off_s)
                due_ns = feed.next(vu)
        except asyncio.CancelledError:
            self.context.recorder.stats.iterations_interrupted += 1
        finally:
            del self._tasks[vu]
            self._ended(vu)

    async def _call(self, vu: VU, due_ns: int) -> None:
        """One iteration; what it raises is recorded."""
        recorder = self.context.recorder
        start_ns = monotonic_ns()
        if due_ns:
            recorder.lateness_us.append((start_ns - due_ns) // 1000)
        requests = vu.requests
        try:
            await self._function(vu)
        except asyncio.CancelledError as error:
            if self.context.stopping or self._tasks[vu].cancelling():
                raise
            self._record_exception(vu, error, requests)
        except (Exception, SystemExit) as error:
            self._record_exception(vu, error, requests)
        else:
            recorder.iteration_us.append((monotonic_ns() - start_ns) // 1000)
            if vu.requests == requests:
                # There was no request whose success would end the pauses.
                vu.back_off_s = 0.0

    def _record_exception(self, vu: VU, error: BaseException, requests_before: int) -> None:
        self.context.recorder.record_exception(type(error).__name__, user_traceback(error))
        if vu.requests == requests_before:
            # It failed before it sent anything: over and over, that would only heat a CPU.
            vu.back_off()


class RequestWork(Work):
    """Iterations that are one request each, of a source; a slot is a connection. No coroutine in the way."""

    def __init__(self, context: Context, source: RequestSource) -> None:
        super().__init__(context)
        self._source = source
        self._endpoint = context.recorder.endpoint(source.name, source.method)
        self._caches: dict[Transfer, ConnectionCache] = {}
        self._back_off_s: dict[Transfer, float] = {}

    def _new(self) -> Transfer:
        context = self.context
        transfer = Transfer()
        cache = self._caches[transfer] = ConnectionCache()
        transfer.configure(context.http, cache=cache, resolve=context.resolve, keep_body=False)
        context.engine.adopt(transfer)
        transfer.on_done = self._on_done
        return transfer

    def _begin(self, slot: Transfer, due_ns: int, feed: Feed) -> None:
        slot.owner = feed
        self._send(slot, due_ns)

    def _interrupt(self, slot: Transfer) -> None:
        if self.context.engine.cancel(slot):
            self.context.recorder.stats.interrupted += 1
        self._ended(slot)

    def _close(self, slot: Transfer) -> None:
        slot.close()
        self._caches.pop(slot).close()

    def _send(self, transfer: Transfer, due_ns: int) -> None:
        if transfer not in self._running:
            return
        source, recorder = self._source, self.context.recorder
        transfer.prepare(source.method, source.url, source.headers, source.body())
        if due_ns:
            recorder.lateness_us.append((monotonic_ns() - due_ns) // 1000)
        transfer.due_ns = due_ns
        recorder.stats.started += 1
        self.context.engine.submit(transfer)

    def _on_done(self, transfer: Transfer, error: tuple[int, str] | None) -> None:
        recorder = self.context.recorder
        if error is None:
            recorder.record(self._endpoint, response_us(transfer.due_ns, transfer.done_ns), transfer.measure())
            pause_s = 0.0
        else:
            pause_s = self._record_failure(transfer, error)
        feed: Feed = transfer.owner
        due_ns = feed.next(transfer)
        if due_ns is None:
            self._ended(transfer)
        elif pause_s and not feed.is_open_model:
            self.context.loop.call_later(pause_s, self._send, transfer, due_ns)
        else:
            self._send(transfer, due_ns)

    def _record_failure(self, transfer: Transfer, error: tuple[int, str]) -> float:
        """Count it, and say how long to pause: refused connections end so fast that they would fill a CPU."""
        source = self._source
        message = f"{source.method} {without_credentials(source.url)}: {error[1]}"
        self.context.recorder.record_no_response(self._endpoint, error_kind(transfer, error[0]), message)
        if transfer.connected():
            self._back_off_s.pop(transfer, None)
            return 0.0
        pause_s = min(LONGEST_BACK_OFF_S, 2 * self._back_off_s.get(transfer, FIRST_BACK_OFF_S / 2))
        self._back_off_s[transfer] = pause_s
        return pause_s
