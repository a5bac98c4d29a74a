"""Scenarios in a worker, in virtual time: when each begins, and what is asked of it before and between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import fastload as fl
from fastload.load.executors.base import ExecutionSegment
from fastload.load.executors.connection_pool import ConnectionPool
from fastload.load.executors.request_sources import FixedRequest
from fastload.load.executors.vu_pool import VUPool
from fastload.load.scenario_runner import ScenarioRunner, make_scenario_runners
from fastload.model import load_models
from fastload.model.plan import Plan, ScenarioPlan
from tests.load.executors.virtual import START_NS, Clock, ScriptedWork, at, in_ns, run_virtual
from tests.load.harness import Run, harness

MS = 1_000_000
SPEC = load_models.ConstantVUs(1, 1.0)


def perform(
    main: Callable[[Clock, ScenarioRunner, ScriptedWork], Coroutine[Any, Any, None]],
    spec: load_models.Executor = SPEC,
    **options: Any,
) -> list[int]:
    """Run *main* with a runner of *spec*, of iterations of 300 ms; when they started, in ms after the common start."""
    made: list[ScriptedWork] = []

    async def whole(clock: Clock) -> None:
        clock.now_ns = START_NS - in_ns(1)
        work = ScriptedWork(clock, lambda _: 300 * MS)
        made.append(work)
        await main(clock, ScenarioRunner(ScenarioPlan("test", spec, None, **options), work, ExecutionSegment()), work)
        work.close()
        assert sorted(work.closed) == list(range(work.slots))

    run_virtual(whole)
    return [one.start_ns // MS for one in made[0].iterations]


async def simply(_clock: Clock, runner: ScenarioRunner, _work: ScriptedWork) -> None:
    runner.prepare()
    await runner.run(START_NS)


class TestBeginning:
    def test_at_the_common_start(self) -> None:
        assert perform(simply) == [0, 300, 600, 900]

    def test_so_long_after_it(self) -> None:
        assert perform(simply, start_s=2.5) == [2500, 2800, 3100, 3400]

    @pytest.mark.parametrize("start_s", [0.0, 1.5])
    def test_after_another(self, start_s: float) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, _work: ScriptedWork) -> None:
            runner.prepare()
            at(clock, in_ns(7), lambda: runner.begin(START_NS + in_ns(7.1)))
            await runner.run(START_NS)

        expected = [round(7100 + 1000 * start_s) + 300 * number for number in range(4)]
        assert perform(main, after="other", start_s=start_s) == expected

    @pytest.mark.parametrize("options", [{"after": "other"}, {"start_s": 60.0}, {"after": "other", "start_s": 9.0}])
    def test_stop_before_it_begins(self, options: dict[str, Any]) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, _work: ScriptedWork) -> None:
            runner.prepare()
            at(clock, in_ns(2), lambda: runner.stop(5.0))
            await runner.run(START_NS)
            assert runner.executor.ended_ns == clock.now_ns == START_NS + in_ns(2)

        assert perform(main, **options) == []

    def test_stop_between_the_end_of_the_other_and_its_start(self) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, _work: ScriptedWork) -> None:
            runner.prepare()
            at(clock, in_ns(2), lambda: runner.begin(clock.now_ns))
            at(clock, in_ns(3), lambda: runner.stop(5.0))
            await runner.run(START_NS)
            assert clock.now_ns == START_NS + in_ns(3)

        assert perform(main, after="other", start_s=9.0) == []


class TestPause:
    @pytest.mark.parametrize(
        ("pause_s", "resume_s", "first_ms"),
        [
            (2.0, 4.0, 7000),  # over before the other one ends: its time has not begun
            (6.0, 9.0, 9000),  # the other one ends in the pause, which is all that is left of it
            (7.5, 9.0, 7000),  # what runs goes on
        ],
    )
    def test_around_the_end_of_the_other(self, pause_s: float, resume_s: float, first_ms: int) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, _work: ScriptedWork) -> None:
            runner.prepare()
            at(clock, in_ns(pause_s), lambda: runner.pause(clock.now_ns))
            at(clock, in_ns(resume_s), lambda: runner.resume(clock.now_ns))
            at(clock, in_ns(7), lambda: runner.begin(clock.now_ns))
            await runner.run(START_NS)

        starts = perform(main, after="other")
        assert (starts[0], len(starts)) == (first_ms, 4)

    def test_of_a_delayed_start(self) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, _work: ScriptedWork) -> None:
            runner.prepare()
            at(clock, in_ns(1), lambda: runner.pause(clock.now_ns))
            at(clock, in_ns(4), lambda: runner.resume(clock.now_ns))
            await runner.run(START_NS)

        assert perform(main, start_s=2.0)[0] == 5000

    def test_that_outlasts_the_warm_up(self) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, work: ScriptedWork) -> None:
            runner.prepare_warm_up(0.5)
            at(clock, in_ns(0.55), lambda: runner.pause(clock.now_ns))
            at(clock, in_ns(5), lambda: runner.resume(clock.now_ns))
            await runner.executor.run(START_NS)
            assert clock.now_ns == START_NS + in_ns(0.6), "its last iteration ends in the pause"
            runner.prepare()
            await runner.run(clock.now_ns)

        assert perform(main) == [0, 300, 5000, 5300, 5600, 5900]


class TestAskedInTheWarmUp:
    @staticmethod
    async def main(clock: Clock, runner: ScenarioRunner, change: Callable[[], object]) -> None:
        runner.prepare_warm_up(0.5)
        at(clock, in_ns(0.1), change)
        await runner.executor.run(START_NS)
        runner.prepare()
        await runner.run(START_NS + in_ns(1))

    def test_vus(self) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, work: ScriptedWork) -> None:
            await self.main(clock, runner, lambda: runner.set_vus(3))

        for spec in (SPEC, load_models.Shape(lambda _: 1, 9, 1.0)):
            starts = perform(main, spec)
            assert starts.count(100) == 2
            assert [start for start in starts if start >= 1000] == [1000] * 3 + [1300] * 3 + [1600] * 3 + [1900] * 3

    def test_a_rate(self) -> None:
        async def main(clock: Clock, runner: ScenarioRunner, work: ScriptedWork) -> None:
            await self.main(clock, runner, lambda: runner.set_rate(4.0, clock.now_ns))

        starts = perform(main, load_models.ConstantArrivalRate(2.0, 1.0, 9))
        assert [start for start in starts if start >= 1000] == [1000, 1250, 1500, 1750]


def test_ids_are_unique_over_workers_and_scenarios(run: Run) -> None:
    @fl.scenario
    async def visit(vu: fl.VU) -> None: ...

    the_plan = Plan(
        "run",
        "test",
        (
            ScenarioPlan("one", SPEC, visit),
            ScenarioPlan("two", SPEC, visit),
            ScenarioPlan("bare", SPEC, FixedRequest("GET", "http://127.0.0.1:9/", name="bare")),
        ),
        3,
    )

    async def main() -> None:
        async with harness() as made:
            vus: list[int] = []
            iterations: dict[str, list[int]] = {"one": [], "two": []}
            for index in range(3):
                scenario_runners = make_scenario_runners(the_plan, made.context, index)
                assert isinstance(scenario_runners[2].work, ConnectionPool)
                for _ in range(4):
                    for runner in scenario_runners[:2]:
                        work = runner.work
                        assert isinstance(work, VUPool)
                        vus.append(work.acquire().id)
                        iterations[runner.scenario.name].append(next(work._iterations))
                for runner in scenario_runners:
                    runner.work.close()
            assert sorted(vus) == list(range(1, 25))
            assert {name: sorted(numbers) for name, numbers in iterations.items()} == {
                "one": list(range(12)),
                "two": list(range(12)),
            }

    run(main())


def test_two_scenarios_in_order_share_no_time() -> None:
    async def main(clock: Clock, runner: ScenarioRunner, work: ScriptedWork) -> None:
        first = ScenarioRunner(ScenarioPlan("first", SPEC, None), work, ExecutionSegment())
        first.prepare()
        runner.prepare()

        async def then() -> None:
            await first.run(START_NS)
            runner.begin(clock.now_ns)

        await asyncio.gather(then(), runner.run(START_NS))

    assert perform(main, after="first") == [0, 300, 600, 900, 1200, 1500, 1800, 2100]
