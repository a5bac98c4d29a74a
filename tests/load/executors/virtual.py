"""Virtual time: a loop that jumps to its next timer instead of waiting, and work whose iterations follow a script."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import selectors
import unittest.mock
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from fastload.load.client.context import WorkerContext
from fastload.load.executors import base, closed_model, open_model
from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.registry import make_executor
from fastload.load.executors.slot_pool import IterationScheduler, SlotPool
from fastload.load.recording.recorder import Recorder
from fastload.model import load_models

NS_PER_US = 1_000
NS_PER_S = 1_000_000_000
START_NS = 1_000 * NS_PER_S
"""When every virtual run begins. Small enough that a float of seconds still tells nanoseconds apart."""


class Clock:
    """The time of a virtual loop."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def monotonic_ns(self) -> int:
        return self.now_ns


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("virtual time stands still: nothing is scheduled any more")
        if timeout > 0:
            self._clock.now_ns += max(1, round(timeout * NS_PER_S))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time()`` is *clock*, and which never waits."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(_JumpingSelector(clock))
        # Timers are nanoseconds apart here; asyncio would fire those of one nanosecond from now as well.
        self._clock_resolution = 1e-10
        self._clock = clock

    def time(self) -> float:
        return self._clock.now_ns / NS_PER_S


_LATE_TURNS = 4


class VirtualTimer:
    """`PreciseTimer` over the virtual loop's own timers.

    On time, but some turns of the loop after everything else that is due at the same moment: a loop may look at its
    descriptors last.
    """

    opened = 0

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.Handle | None = None
        type(self).opened += 1

    def arm(self, at_ns: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(at_ns / NS_PER_S, self._fire, _LATE_TURNS)

    def close(self) -> None:
        type(self).opened -= 1
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self, turns: int) -> None:
        if turns:
            self._handle = self._loop.call_soon(self._fire, turns - 1)
        else:
            self._callback()


@contextmanager
def virtual_time() -> Iterator[Clock]:
    """Executors live by the yielded clock."""
    clock = Clock()
    with contextlib.ExitStack() as patches:
        for module in (base, closed_model, open_model):
            patches.enter_context(unittest.mock.patch.object(module, "monotonic_ns", clock.monotonic_ns))
        for module in (closed_model, open_model):
            patches.enter_context(unittest.mock.patch.object(module, "PreciseTimer", VirtualTimer))
        yield clock


def run_virtual(main: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
    """Run *main* to its end in virtual time; a run that would wait for ever raises instead."""
    with virtual_time() as clock, asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        runner.run(main(clock))


@dataclass
class Iteration:
    """One iteration as it happened, in ns after the common start; *end_ns* is -1 while it runs."""

    slot: int
    due_ns: int
    start_ns: int
    end_ns: int = -1
    interrupted: bool = False


@dataclass
class ScriptedWork(SlotPool):
    """Iterations that last as long as *lasting_ns* says for each of them, numbered from 0 in order of start."""

    clock: Clock
    lasting_ns: Callable[[int], int]
    iterations: list[Iteration] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = Recorder(0)
        loop = asyncio.get_running_loop()
        super().__init__(cast(WorkerContext, SimpleNamespace(loop=loop, recorder=self.recorder)))
        self._numbers = 0
        self._now: dict[int, tuple[Iteration, asyncio.TimerHandle]] = {}

    @property
    def slots(self) -> int:
        """How many were ever made."""
        return self._numbers

    def _new(self) -> int:
        self._numbers += 1
        return self._numbers - 1

    def _begin(self, slot: int, due_ns: int, scheduler: IterationScheduler) -> None:
        now_ns = self.clock.now_ns - START_NS
        iteration = Iteration(slot, due_ns - START_NS if due_ns else 0, now_ns)
        end_ns = self.clock.now_ns + self.lasting_ns(len(self.iterations))
        self.iterations.append(iteration)
        handle = self.context.loop.call_at(end_ns / NS_PER_S, self._finish, slot, scheduler)
        self._now[slot] = iteration, handle

    def _finish(self, slot: int, scheduler: IterationScheduler) -> None:
        self._now.pop(slot)[0].end_ns = self.clock.now_ns - START_NS
        due_ns = scheduler.next(slot)
        if due_ns is None:
            self._ended(slot)
        else:
            self._begin(slot, due_ns, scheduler)

    def _interrupt(self, slot: int) -> None:
        iteration, handle = self._now.pop(slot)
        handle.cancel()
        iteration.end_ns, iteration.interrupted = self.clock.now_ns - START_NS, True
        self._ended(slot)

    def _close(self, slot: int) -> None:
        self.closed.append(slot)

    def running_at(self, at_ns: int) -> int:
        """How many iterations ran at *at_ns* after the start."""
        return sum(one.start_ns <= at_ns and not 0 <= one.end_ns <= at_ns for one in self.iterations)

    @property
    def busiest(self) -> int:
        """The most iterations that ever ran at once."""
        lasting = [one for one in self.iterations if one.start_ns != one.end_ns]
        changes = sorted(
            [(one.end_ns, -1) for one in lasting if one.end_ns >= 0] + [(one.start_ns, 1) for one in lasting]
        )
        return max(itertools.accumulate(change for _, change in changes), default=0)


@dataclass
class Played:
    """An executor's whole life: what it started, when it was over (ns after the start), what it offered and what
    it counted as dropped and as queued."""

    work: ScriptedWork
    executor: LoadExecutor
    over_ns: int
    offered: int
    dropped: int
    queued: int

    @property
    def iterations(self) -> list[Iteration]:
        return self.work.iterations

    @property
    def ended_ns(self) -> int:
        """When the last start was possible, after the common start."""
        return self.executor.ended_ns - START_NS


Script = Callable[[Clock, LoadExecutor, ScriptedWork], None]
"""What else happens in a run: it schedules its events before the start."""


def play(
    spec: load_models.Executor,
    lasting_ns: int | Callable[[int], int],
    *,
    worker: int = 0,
    workers: int = 1,
    graceful_stop_s: float = 30.0,
    script: Script | None = None,
    lead_ns: int = 0,
    delay_ns: int = 0,
    seed: str = "",
) -> Played:
    """Run *spec* to its end with iterations that last *lasting_ns*; it is begun *lead_ns* before its start, of
    which its own time takes the last *delay_ns*.

    Every slot must have been closed once at the end.
    """
    result: list[Played] = []

    async def main(clock: Clock) -> None:
        clock.now_ns = START_NS - lead_ns
        last = lasting_ns if callable(lasting_ns) else (lambda _: lasting_ns)
        work = ScriptedWork(clock, last)
        executor = make_executor(spec, work, ExecutionSegment(worker, workers, seed), graceful_stop_s=graceful_stop_s)
        if script is not None:
            script(clock, executor, work)
        executor.prepare()
        await executor.run(START_NS - delay_ns, delay_ns)
        over_ns = clock.now_ns - START_NS
        assert work.active == 0
        # Each slot was given back, once, or closed where it was interrupted.
        assert sorted([*work._parked, *work.closed]) == list(range(work.slots))
        table = work.recorder.take(vus=0, in_flight=0, offered=0).table
        dropped, queued = (table.get(name) for name in ("dropped_iterations", "queued_iterations"))
        offered = executor.take_offered()
        result.append(
            Played(work, executor, over_ns, offered, dropped.value if dropped else 0, queued.value if queued else 0)
        )
        # A timer of the executor that fires after its end finds nothing to do.
        await asyncio.sleep(100.0)
        work.close()
        assert sorted(work.closed) == list(range(work.slots))

    run_virtual(main)
    assert VirtualTimer.opened == 0
    return result[0]


def at(clock: Clock, after_ns: int, action: Callable[[], object]) -> None:
    """Do *action* in the running loop, *after_ns* after the common start."""
    del clock
    asyncio.get_running_loop().call_at((START_NS + after_ns) / NS_PER_S, action)


def stall(clock: Clock, from_ns: int, to_ns: int) -> None:
    """The loop stands still between two moments after the common start."""

    def freeze() -> None:
        clock.now_ns = max(clock.now_ns, START_NS + to_ns)

    at(clock, from_ns, freeze)


def in_ns(seconds: float) -> int:
    """*seconds* as whole nanoseconds."""
    return round(seconds * NS_PER_S)


def stop_at(after_ns: int, grace_s: float) -> Script:
    """A script that stops the executor *after_ns* after its start."""

    def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
        at(clock, after_ns, lambda: executor.stop(grace_s))

    return script


def steered(*changes: tuple[float, Callable[[LoadExecutor], object]]) -> Script:
    """A script that does something to the executor at moments (in s) after the start."""

    def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
        for after_s, change in changes:
            at(clock, in_ns(after_s), partial(change, executor))

    return script


def to(total: int) -> Callable[[LoadExecutor], object]:
    return lambda executor: executor.set_vus(total)


def paused(*pauses: tuple[float, float]) -> Script:
    """A script of pauses from and until moments (in s) after the start."""

    def script(clock: Clock, executor: LoadExecutor, _work: ScriptedWork) -> None:
        for from_s, until_s in pauses:
            at(clock, in_ns(from_s), lambda: executor.pause(clock.now_ns))
            at(clock, in_ns(until_s), lambda: executor.resume(clock.now_ns))

    return script


def looks(peaks: list[int], *moments_s: float) -> Script:
    """A script that notes the peak of VUs since the last look."""

    def script(clock: Clock, _executor: LoadExecutor, work: ScriptedWork) -> None:
        for after_s in moments_s:
            at(clock, in_ns(after_s), lambda: peaks.append(work.recorder.vu_count.take_peak()))

    return script


def starts_of(runs: list[Played]) -> list[int]:
    return sorted(one.start_ns for run in runs for one in run.iterations)
