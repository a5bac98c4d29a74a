"""The ways in which a script ends an iteration, a scenario or the test."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

import fastload as fl
from fastload.load.client.context import ScenarioContext
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.registry import make_executor
from fastload.load.executors.vu_pool import VUPool
from fastload.load.recording.outcome import TestAborted
from fastload.load.script.data_set import DataExhausted
from fastload.load.script.flow import IterationFailed
from fastload.load.script.scenarios import Scenario
from fastload.model import load_models
from tests.load.executors.vus import Notes, count, executor_of, failures, play, stop_now, work_of
from tests.load.harness import Connection, Harness, Peer, Run, harness


class TestAbort:
    @staticmethod
    def told(made: Harness, work: VUPool, executor: LoadExecutor) -> list[str]:
        """As a worker: an abort stops what there is."""
        reasons: list[str] = []

        def stop(reason: str) -> None:
            reasons.append(reason)
            stop_now(made, work, executor)

        made.context.on_abort = stop
        return reasons

    @pytest.mark.parametrize("way", ["plain", "caught", "gather", "group", "nested", "start", "timeout"])
    def test_from_wherever_it_is(self, run: Run, way: str) -> None:
        notes = Notes()

        async def deep() -> None:
            await asyncio.sleep(0.001)
            fl.abort("the shop is closed")

        async def visit(vu: fl.VU) -> None:
            if vu.id != 2:
                await vu.sleep(60)
            match way:
                case "caught":
                    try:
                        await deep()
                    except Exception:
                        await vu.sleep(60)
                case "gather":
                    await asyncio.gather(deep(), asyncio.sleep(0.01))
                case "group":
                    async with asyncio.TaskGroup() as group:
                        group.create_task(deep())
                        group.create_task(asyncio.sleep(60))
                case "nested":
                    async with vu.group("shop"), asyncio.TaskGroup() as group:
                        group.create_task(asyncio.wait_for(deep(), 10))
                case _:
                    await deep()

        async def start(vu: fl.VU) -> None:
            notes.note(vu, "start")
            if way == "start" and vu.id == 2:
                await deep()

        async def main() -> None:
            async with harness() as made, asyncio.timeout(10):
                timeout_s = 30.0 if way == "timeout" else 0.0
                work = work_of(made, visit, timeout_s=timeout_s, on_start=start, on_stop=notes.stop)
                executor = executor_of(work, load_models.ConstantVUs(3, 60.0))
                reasons = self.told(made, work, executor)
                await executor.run(time.monotonic_ns())
                assert work.active == 0
                work.close()
                assert reasons == ["the shop is closed"]
                delta = made.take()
                assert failures(delta) == {}
                assert delta.stats.iterations_interrupted == 3
                left = [vu for vu, calls in notes.calls.items() if calls[-1] == "stop"]
                # Also who aborted leaves, if it had begun.
                assert sorted(left) == ([1, 3] if way == "start" else [1, 2, 3])
                notes.calls.clear()

        run(main())

    def test_from_a_goodbye(self, run: Run) -> None:
        async def goodbye(_vu: fl.VU) -> None:
            fl.abort("too late")

        async def main() -> None:
            async with harness() as made:
                for spec in (load_models.SharedIterations(1, 1), load_models.ConstantArrivalRate(50.0, 0.05, 1)):
                    work = work_of(made, Notes().visit, on_stop=goodbye)
                    executor = executor_of(work, spec)
                    made.context.aborting = made.context.stopping = False
                    reasons = self.told(made, work, executor)
                    await executor.run(time.monotonic_ns())
                    work.close()
                    assert reasons == ["too late"]
                    assert made.take().stats.iterations_interrupted == 0

        run(main())

    def test_the_first_reason_counts(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            fl.abort(f"VU {vu.id}")

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, visit)
                executor = executor_of(work, load_models.ConstantVUs(3, 60.0))
                reasons = self.told(made, work, executor)
                await executor.run(time.monotonic_ns())
                work.close()
                assert reasons == ["VU 1"]

        run(main())

    def test_it_is_no_exception(self) -> None:
        assert not issubclass(TestAborted, Exception)
        with pytest.raises(TestAborted, match="why"):
            fl.abort("why")
        with pytest.raises(IterationFailed, match="why"):
            fl.fail("why")


class TestFail:
    def test_it_counts_as_failed_with_its_reason(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            if vu.iteration_in_test % 2:
                fl.fail("the cart is empty")

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit), load_models.SharedIterations(1, 4))
                delta = made.take()
                assert (count(delta, "iterations_failed"), count(delta, "iterations")) == (2, 2)
                ((kind, (number, traceback)),) = delta.exceptions.entries.items()
                assert (kind, number) == ("IterationFailed", 2)
                assert traceback.splitlines()[-1].endswith("IterationFailed: the cart is empty")
                assert 'fl.fail("the cart is empty")' in traceback

        run(main())

    def test_alone_in_a_task_group_it_keeps_its_name(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            async def step(which: int) -> None:
                if which <= vu.iteration:
                    raise KeyError(which) if which else fl.fail("no")

            async with asyncio.TaskGroup() as group:
                for which in range(2):
                    group.create_task(step(which))

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit), load_models.SharedIterations(1, 2))
                assert failures(made.take()) == {"IterationFailed": 1, "ExceptionGroup": 1}

        run(main())


class TestTimeout:
    def test_it_fails_the_iteration_and_the_next_begins(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.get("/slow" if vu.iteration == 1 else "/")

        def answer(connection: Connection, head: bytes) -> None:
            if b"/slow" not in head.split(b"\r\n")[0]:
                connection.reply()

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                await play(work_of(made, visit, timeout_s=0.5), load_models.SharedIterations(1, 4))
                delta = made.take()
                assert failures(delta) == {"IterationTimeout": 1}
                (_, traceback) = delta.exceptions.entries["IterationTimeout"]
                assert traceback.splitlines()[-1].endswith("IterationTimeout: it took longer than 0.5 s")
                assert count(delta, "iterations") == 3
                stats = delta.stats
                assert (stats.started, stats.finished, stats.failed, stats.interrupted) == (4, 3, 1, 0)
                assert stats.iterations_interrupted == 0

        run(main())

    def test_a_timeout_of_the_users_own_keeps_its_name(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            if vu.iteration == 0:
                raise TimeoutError("mine")
            async with asyncio.timeout(0.01):
                await vu.sleep(60)

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit, timeout_s=30.0), load_models.SharedIterations(1, 2))
                assert failures(made.take()) == {"TimeoutError": 2}

        run(main())

    def test_a_stop_is_no_timeout(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.sleep(60)

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit, timeout_s=30.0), load_models.ConstantVUs(2, 0.05), 0.0)
                delta = made.take()
                assert failures(delta) == {}
                assert delta.stats.iterations_interrupted == 2

        run(main())

    def test_hooks_are_not_within_it(self, run: Run) -> None:
        notes = Notes()

        async def slowly(vu: fl.VU) -> None:
            await asyncio.sleep(0.15)
            notes.note(vu, "hook")

        async def visit(vu: fl.VU) -> None:
            notes.note(vu, "visit")

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, visit, timeout_s=0.1, on_start=slowly, on_stop=slowly)
                await play(work, load_models.SharedIterations(1, 1))
                assert notes.calls == {1: ["hook", "visit", "hook"]}
                assert failures(made.take()) == {}
                notes.calls.clear()

        run(main())


class TestDataExhausted:
    @pytest.mark.parametrize("where", ["visit", "start", "group"])
    def test_it_ends_the_scenario_and_fails_nothing(self, run: Run, where: str) -> None:
        left = [5]

        async def take() -> None:
            if left[0] == 0:
                raise DataExhausted("all used")
            left[0] -= 1

        async def visit(vu: fl.VU) -> None:
            await vu.sleep(0.001)
            if where == "group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(take())
            elif where == "visit":
                await take()

        async def start(_vu: fl.VU) -> None:
            if where == "start":
                left[0] = 0
                await take()

        async def main() -> None:
            left[0] = 5
            async with harness() as made, asyncio.timeout(10):
                await play(work_of(made, visit, on_start=start), load_models.ConstantVUs(2, 60.0))
                delta = made.take()
                assert failures(delta) == {}
                assert count(delta, "iterations") == (0 if where == "start" else 5)
                assert delta.stats.iterations_interrupted == 0
                assert count(delta, "dropped_iterations") == 0

        run(main())

    def test_of_a_file_that_is_too_short_it_is_a_failure(self, run: Run) -> None:
        async def visit(_vu: fl.VU) -> None:
            raise DataExhausted("too few rows", planned=False)

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit), load_models.SharedIterations(1, 2))
                assert failures(made.take()) == {"DataExhausted": 2}

        run(main())


def test_numbers_of_iterations_over_workers(run: Run) -> None:
    seen: list[int] = []

    async def visit(vu: fl.VU) -> None:
        seen.append(vu.iteration_in_test)

    async def main() -> None:
        async with harness() as made:
            for worker in range(3):
                shared = ScenarioContext("test", ReplyParts(body=False, headers=False))
                numbers = itertools.count(worker, 3)
                work = VUPool(made.context, Scenario(visit, "test"), shared, itertools.count(worker + 1, 3), numbers)
                executor = make_executor(
                    load_models.SharedIterations(6, 30), work, ExecutionSegment(worker, 3), graceful_stop_s=1
                )
                executor.prepare()
                await executor.run(time.monotonic_ns())
                work.close()
            assert sorted(seen) == list(range(30))
            seen.clear()

    run(main())
