"""Whole runs in virtual time: scenarios of every load model together, with starts, warm-up, `after`, shapes and pauses.

The steering of the parent and the scenario runners of all workers are the real ones; frames go from one to the other
without a delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.control.steering import Steering
from fastload.load.executors.base import ExecutionSegment
from fastload.load.executors.open_model import arrivals_of
from fastload.load.scenario_runner import ScenarioRunner
from fastload.model import load_models
from fastload.model.frames import Frame
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.schedule import share
from tests.load.executors.virtual import NS_PER_S, START_NS, Clock, ScriptedWork, in_ns, run_virtual

MS = 1_000_000
NAMES = "abcd"


@dataclass
class NumberedWork(ScriptedWork):
    """Iterations of slots that have the numbers of VUs."""

    numbers: Iterator[int] = field(default_factory=itertools.count)
    made: list[int] = field(default_factory=list)

    def _new(self) -> int:
        self.made.append(next(self.numbers))
        return self.made[-1]


@dataclass
class Part:
    """One scenario in one worker. *begin_ns* and *over_ns*: of its measured time, after the common start."""

    plan: ScenarioPlan
    runner: ScenarioRunner
    work: NumberedWork
    begin_ns: int = -1
    over_ns: int = -1
    warmed_up: int = 0

    @property
    def starts(self) -> list[int]:
        """When the measured iterations started, after the beginning of the scenario."""
        return [one.start_ns - self.begin_ns for one in self.work.iterations[self.warmed_up :]]

    def take(self) -> int:
        """How many starts were dropped."""
        table = self.work.recorder.take(in_flight=0, offered=0).table
        dropped = table.get("dropped_iterations")
        return int(dropped.value) if dropped else 0


class Run:
    """The run of *plan* with iterations of *lasting_ns*, paused in the *pauses* (seconds from and to)."""

    def __init__(self, plan: Plan, lasting_ns: int, pauses: tuple[tuple[float, float], ...] = ()) -> None:
        self.plan = plan
        self._lasting_ns = lasting_ns
        self._pauses = pauses
        self.parts: dict[str, list[Part]] = {scenario.name: [] for scenario in plan.scenarios}
        self.dropped: dict[str, int] = {}
        self.over_ns = 0
        run_virtual(self._main)

    def all(self) -> Iterator[Part]:
        return itertools.chain.from_iterable(self.parts.values())

    def starts(self, name: str) -> list[int]:
        return sorted(itertools.chain.from_iterable(part.starts for part in self.parts[name]))

    async def _main(self, clock: Clock) -> None:
        clock.now_ns = START_NS - 50 * MS
        self._clock = clock
        self._steering = Steering(self.plan, self._deliver)
        for worker in range(self.plan.workers):
            numbers = itertools.count(worker + 1, self.plan.workers)
            for scenario in self.plan.scenarios:
                work = NumberedWork(clock, lambda _: self._lasting_ns, numbers=numbers)
                segment = ExecutionSegment(worker, self.plan.workers, f"{self.plan.seed}:{scenario.name}")
                self.parts[scenario.name].append(Part(scenario, ScenarioRunner(scenario, work, segment), work))
        for part in self.all():
            if self.plan.warmup_s and part.runner.warms_up:
                part.runner.prepare_warm_up(self.plan.warmup_s)
            else:
                part.runner.prepare()
        self._steering.start(START_NS)
        has_shape = any(isinstance(one.executor, load_models.Shape) for one in self.plan.scenarios)
        tick = asyncio.ensure_future(self._tick() if has_shape else asyncio.sleep(0))
        for from_s, to_s in self._pauses:
            loop = asyncio.get_running_loop()
            loop.call_at(START_NS / NS_PER_S + from_s, lambda: self._steering.pause(clock.now_ns))
            loop.call_at(START_NS / NS_PER_S + to_s, lambda: self._steering.resume(clock.now_ns))
        await asyncio.gather(*(self._work(worker) for worker in range(self.plan.workers)))
        tick.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tick
        self.over_ns = clock.now_ns - START_NS
        self.dropped = {name: sum(part.take() for part in parts) for name, parts in self.parts.items()}
        for part in self.all():
            part.work.close()

    async def _tick(self) -> None:
        while True:
            next_ns = self._steering.next_ns()
            left_ns = 100 * MS if next_ns is None else min(100 * MS, max(0, next_ns - self._clock.now_ns))
            await asyncio.sleep((left_ns + 1) / NS_PER_S)
            self._steering.tick(self._clock.now_ns)

    async def _work(self, worker: int) -> None:
        """As `Worker._run_phases`."""
        parts = [parts[worker] for parts in self.parts.values()]
        start_ns = START_NS
        if self.plan.warmup_s:
            warming = [part for part in parts if part.runner.warms_up]
            await asyncio.gather(*(part.runner.executor.run(start_ns) for part in warming))
            for part in warming:
                part.take()
                part.runner.executor.take_offered()
                part.warmed_up = len(part.work.iterations)
            start_ns = max(start_ns + in_ns(self.plan.warmup_s), self._clock.now_ns)
            for part in warming:
                part.runner.prepare()
        await asyncio.gather(*(self._play(part, worker, start_ns) for part in parts))

    async def _play(self, part: Part, worker: int, start_ns: int) -> None:
        if not part.plan.after:
            part.begin_ns = start_ns + in_ns(part.plan.start_s) - START_NS
        await part.runner.run(start_ns)
        part.over_ns = self._clock.now_ns - START_NS
        self._steering.ended(part.plan.name, worker, set(range(self.plan.workers)), self._clock.now_ns)

    def _deliver(self, frame: Frame) -> None:
        body = frame.body
        for part in self.all():
            if frame.kind in ("pause", "resume"):
                getattr(part.runner, frame.kind)(body["at_ns"])
            elif part.plan.name != body["scenario"]:
                continue
            elif frame.kind == "begin":
                part.begin_ns = body["at_ns"] + in_ns(part.plan.start_s) - START_NS
                part.runner.begin(body["at_ns"])
            elif frame.kind == "finish":
                part.runner.executor.finish()
            else:
                part.runner.set_vus(body["vus"])


seconds = st.sampled_from([0.05, 0.3, 1.0, 2.5]) | st.floats(0.01, 3.0)
rates = st.sampled_from([1 / 20_000, 0.3, 1.0, 7.0, 40.0]) | st.floats(0.01, 60.0)
pacings = st.sampled_from([0.0, 0.0, 0.05, 0.7, 30.0])
vus = st.integers(1, 7)
zero_or = st.just(0.0) | seconds


@st.composite
def executors(draw: st.DrawFn) -> load_models.Executor:
    kind = draw(st.sampled_from(sorted(load_models.EXECUTORS)))
    pacing_s = draw(pacings)
    duration_s = draw(seconds)
    match kind:
        case "constant-vus":
            return load_models.ConstantVUs(draw(vus), duration_s, pacing_s=pacing_s)
        case "externally-controlled":
            return load_models.ExternallyControlled(draw(vus), 9, duration_s, pacing_s=pacing_s)
        case "ramping-vus":
            stages = draw(st.lists(st.tuples(zero_or, st.integers(0, 9)), min_size=1, max_size=5))
            return load_models.RampingVUs(
                (*stages, (0.1, 1)), draw(st.integers(0, 5)), draw(zero_or), pacing_s=pacing_s
            )
        case "shared-iterations":
            number = draw(vus)
            iterations = number + draw(st.sampled_from([0, 1, 20, 10**30]))
            return load_models.SharedIterations(number, iterations, duration_s, pacing_s=pacing_s)
        case "per-vu-iterations":
            return load_models.PerVUIterations(
                draw(vus), draw(st.sampled_from([1, 3, 10**30])), duration_s, pacing_s=pacing_s
            )
        case "shape":
            answers = draw(
                st.lists(
                    st.integers(0, 12) | st.tuples(st.floats(0, 9), st.floats(0.1, 5)) | st.just(1e308),
                    min_size=1,
                    max_size=4,
                )
            )
            function: Any = lambda at_s: answers[int(at_s)] if at_s < len(answers) else None  # noqa: E731
            return load_models.Shape(
                function,
                8,
                duration_s,
                pacing_s=pacing_s,
            )
        case "constant-arrival-rate":
            return load_models.ConstantArrivalRate(
                draw(rates),
                duration_s,
                draw(vus),
                draw(st.sampled_from(["constant", "uniform", "poisson"])),
                when_busy=draw(st.sampled_from(["queue", "drop"])),
            )
        case "ramping-arrival-rate":
            rate_stages = draw(st.lists(st.tuples(zero_or, st.just(0.0) | rates), max_size=4))
            return load_models.RampingArrivalRate(
                (*rate_stages, (0.1, 1.0)),
                draw(st.just(0.0) | rates),
                draw(vus),
                draw(st.sampled_from(["constant", "uniform", "poisson"])),
                when_busy=draw(st.sampled_from(["queue", "drop"])),
            )
        case _:
            due = sorted(draw(st.lists(st.integers(0, in_ns(duration_s) - 1), min_size=1, max_size=20)))
            return load_models.Trace("test", np.array(due, dtype=np.int64), duration_s, draw(vus))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    scenarios = []
    for number in range(draw(st.integers(1, 4))):
        after = draw(st.sampled_from(["", *NAMES[:number]]))
        scenarios.append(
            ScenarioPlan(
                NAMES[number],
                draw(executors()),
                None,
                graceful_stop_s=draw(st.sampled_from([0.0, 0.4, 30.0])),
                start_s=draw(st.sampled_from([0.0, 0.0, 0.2, 1.7])),
                after=after,
            )
        )
    return Plan(
        "run",
        "test",
        tuple(scenarios),
        workers=draw(st.integers(1, 4)),
        warmup_s=draw(st.sampled_from([0.0, 0.0, 0.3, 1.2])),
        seed=draw(st.integers(0, 3)),
    )


lastings_ns = st.sampled_from([23 * MS, 67 * MS, 400 * MS, 9_000 * MS])


@settings(max_examples=80)
@given(plans(), lastings_ns)
def test_every_run_keeps_its_schedule(plan: Plan, lasting_ns: int) -> None:
    run = Run(plan, lasting_ns)
    slack_ns = in_ns(plan.warmup_s and max(one.graceful_stop_s for one in plan.scenarios)) + 400 * MS
    assert run.over_ns <= in_ns(plan.longest_s) + slack_ns, "nothing stalls"
    for part in run.all():
        check_window(part)
    for scenario in plan.scenarios:
        parts = run.parts[scenario.name]
        check_counts(scenario, plan, parts, run)
        if scenario.after:
            before = max(part.over_ns for part in run.parts[scenario.after])
            assert min(part.begin_ns for part in parts) >= before + in_ns(scenario.start_s)
    made = [number for part in run.all() for number in part.work.made]
    assert len(made) == len(set(made)), "VU ids are unique over scenarios and workers"
    assert {part.work.recorder.vu_count.now for part in run.all()} == {0}


def check_window(part: Part) -> None:
    spec = part.plan.executor
    assert part.begin_ns >= 0
    end_ns = in_ns(spec.duration_s)
    # A ramp may have its last start at its very end, and a queued start waits for a slot until the end.
    assert all(0 <= at_ns <= end_ns for at_ns in part.starts)
    assert part.over_ns <= part.begin_ns + end_ns + in_ns(part.plan.graceful_stop_s) + MS
    assert all(one.end_ns >= one.start_ns for one in part.work.iterations), "each has ended"


def check_counts(scenario: ScenarioPlan, plan: Plan, parts: list[Part], run: Run) -> None:
    spec, starts, dropped = scenario.executor, run.starts(scenario.name), run.dropped[scenario.name]
    if isinstance(spec, load_models.SharedIterations):
        assert len(starts) + dropped == spec.iterations
    elif isinstance(spec, load_models.PerVUIterations):
        assert len(starts) + dropped == spec.iterations * spec.vus
    elif scenario.is_open:
        due = due_of(spec, ExecutionSegment(seed=f"{plan.seed}:{scenario.name}"))
        assert len(starts) + dropped == len(due)
        offered = sum(part.runner.executor.take_offered() for part in parts)
        assert offered == len(due)
    elif isinstance(spec, load_models.ConstantVUs | load_models.ExternallyControlled):
        assert dropped == 0
        for worker, part in enumerate(parts):
            mine = share(spec.vus, worker, plan.workers)
            assert len({one.slot for one in part.work.iterations[part.warmed_up :]}) <= mine
            if not spec.pacing_s:
                assert part.starts.count(0) == mine, "all begin at once"
    most = sum(part.work.busiest for part in parts)
    assert most <= max(spec.max_vus, plan.workers if plan.warmup_s else 0)


def due_of(spec: Any, segment: ExecutionSegment) -> list[int]:
    arrivals = arrivals_of(spec, segment)
    due = []
    while (at_ns := arrivals.next_due_ns()) is not None:
        due.append(at_ns)
        arrivals.advance()
    return due


@settings(max_examples=40)
@given(plans(), lastings_ns, st.lists(st.floats(0.001, 2.0), min_size=2, max_size=6))
def test_no_pause_loses_a_start_or_stalls_a_run(plan: Plan, lasting_ns: int, gaps_s: list[float]) -> None:
    times = list(itertools.accumulate(gaps_s))
    pauses = tuple(zip(times[::2], times[1::2], strict=False))
    run = Run(plan, lasting_ns, pauses)
    paused_s = sum(to_s - from_s for from_s, to_s in pauses)
    slack_ns = in_ns(plan.warmup_s and max(one.graceful_stop_s for one in plan.scenarios)) + 400 * MS
    assert run.over_ns <= in_ns(plan.longest_s + paused_s) + slack_ns, "nothing stalls"
    for scenario in plan.scenarios:
        starts, dropped = run.starts(scenario.name), run.dropped[scenario.name]
        if scenario.is_open:
            due = due_of(scenario.executor, ExecutionSegment(seed=f"{plan.seed}:{scenario.name}"))
            assert len(starts) + dropped == len(due)
    for part in run.all():
        assert not any(at_ns < 0 for at_ns in part.starts)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_first_stage_of_no_time_in_a_late_scenario(workers: int) -> None:
    jump = load_models.RampingVUs(((0.0, 4), (1.0, 4)), 1)
    plan = Plan("run", "test", (ScenarioPlan("a", jump, None, start_s=1.0),), workers=workers, warmup_s=0.5)
    run = Run(plan, 10 * MS)
    assert run.starts("a").count(0) == 4


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_smallest_rate_makes_its_first_start(workers: int) -> None:
    spec = load_models.ConstantArrivalRate(1 / 20_000, 45_000.0, 9)
    run = Run(Plan("run", "test", (ScenarioPlan("a", spec, None),), workers=workers), MS)
    assert run.starts("a") == [0, in_ns(20_000), in_ns(40_000)]
