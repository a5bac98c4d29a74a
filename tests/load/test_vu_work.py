"""VUs: what happens when one begins and leaves, and the ways in which a script ends an iteration or the test."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import fastload as fl
from fastload.load import vu_work as vu_work_module
from fastload.load.context import ScenarioContext
from fastload.load.data import DataExhausted
from fastload.load.executor import LoadExecutor, Part
from fastload.load.executors import make_executor
from fastload.load.flow import IterationFailed, TestAborted
from fastload.load.scenario import Scenario
from fastload.load.usage import ReplyUsage
from fastload.load.vu_work import VUWork
from fastload.model import load_models
from fastload.model.records import Delta
from tests.load.harness import Connection, Harness, Peer, Run, harness, until

Function = Callable[[fl.VU], Awaitable[Any]]


def ok(connection: Connection, _head: bytes) -> None:
    connection.reply()


def silent(_connection: Connection, _head: bytes) -> None:
    """Never answers."""


def work_of(made: Harness, function: Function, *, timeout_s: float = 0.0, **hooks: Function) -> VUWork:
    shared = ScenarioContext("test", ReplyUsage(body=False, headers=False))
    scenario = Scenario(function, "test", **hooks)  # type: ignore[arg-type]
    return VUWork(made.context, scenario, shared, itertools.count(1), itertools.count(), timeout_s=timeout_s)


def executor_of(work: VUWork, spec: load_models.Executor, graceful_stop_s: float = 5.0) -> LoadExecutor:
    executor = make_executor(spec, work, Part(), graceful_stop_s=graceful_stop_s)
    executor.prepare()
    return executor


async def play(work: VUWork, spec: load_models.Executor, graceful_stop_s: float = 5.0) -> None:
    """The whole life of *work* under *spec*."""
    await executor_of(work, spec, graceful_stop_s).run(time.monotonic_ns())
    assert work.active == 0
    work.close()


def stop_now(made: Harness, work: VUWork, executor: LoadExecutor, *, hurry: bool = False) -> None:
    """As a worker does when it is told to."""
    made.context.stopping = True
    made.context.hurry = hurry
    executor.stop(0.0)
    work.interrupt_idle()
    work.interrupt_all()


def count(delta: Delta, name: str) -> float:
    found = delta.table.get(name)
    return 0 if found is None else found.value


def failures(delta: Delta) -> dict[str, int]:
    return {kind: number for kind, (number, _) in delta.exceptions.entries.items()}


class Notes:
    """A scenario that notes what is called, by VU."""

    def __init__(self) -> None:
        self.calls: dict[int, list[str]] = {}

    def note(self, vu: fl.VU, what: str) -> None:
        self.calls.setdefault(vu.id, []).append(what)

    async def start(self, vu: fl.VU) -> None:
        self.note(vu, "start")

    async def visit(self, vu: fl.VU) -> None:
        self.note(vu, "visit")
        await vu.sleep(0.005)

    async def stop(self, vu: fl.VU) -> None:
        self.note(vu, "stop")

    @property
    def ended(self) -> int:
        return sum(calls[-1] == "stop" for calls in self.calls.values())


class TestHooks:
    @pytest.mark.parametrize(
        ("spec", "vus", "visits"),
        [
            (load_models.SharedIterations(3, 10), 3, 10),
            (load_models.PerVUIterations(3, 4), 3, 12),
            (load_models.PerVUIterations(3, 2, pacing_s=0.03), 3, 6),
            (load_models.ConstantArrivalRate(200.0, 0.1, 30), None, 20),
        ],
    )
    def test_each_vu_begins_and_leaves_once(
        self, run: Run, spec: load_models.Executor, vus: int | None, visits: int
    ) -> None:
        notes = Notes()

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, notes.visit, on_start=notes.start, on_stop=notes.stop), spec)
                for calls in notes.calls.values():
                    assert calls == ["start", *["visit"] * (len(calls) - 2), "stop"]
                    assert len(calls) > 2, "who never had an iteration neither begins nor leaves"
                assert vus in (None, len(notes.calls))
                delta = made.take()
                assert count(delta, "iterations") == visits
                assert delta.stats.iterations_interrupted == 0

        run(main())
        notes.calls.clear()

    @pytest.mark.parametrize(
        "spec", [load_models.SharedIterations(2, 6, 60.0), load_models.PerVUIterations(2, 3, 60.0)]
    )
    def test_a_slow_goodbye_does_not_keep_the_end(self, run: Run, spec: load_models.Executor) -> None:
        done: list[int] = []

        async def slow(vu: fl.VU) -> None:
            await asyncio.sleep(0.05 * vu.id)
            done.append(vu.id)

        async def visit(vu: fl.VU) -> None:
            await asyncio.sleep(0.01)

        async def main() -> None:
            async with harness() as made, asyncio.timeout(10):
                await play(work_of(made, visit, on_stop=slow), spec)
                assert sorted(done) == [1, 2]
                done.clear()

        run(main())

    def test_a_ramp_down_and_up_again(self, run: Run) -> None:
        notes = Notes()

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, notes.visit, on_start=notes.start, on_stop=notes.stop)
                executor = executor_of(work, load_models.ExternallyControlled(3, 9, 60.0))
                running = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: len(notes.calls) == 3)
                executor.set_vus(1)
                await until(lambda: notes.ended == 2)
                executor.set_vus(3)
                await until(lambda: sum(calls.count("start") == 2 for calls in notes.calls.values()) == 2)
                assert len(notes.calls) == 3, "a new user on the same slot"
                executor.stop(5.0)
                await running
                assert notes.ended == 3
                work.close()
                notes.calls.clear()

        run(main())

    @pytest.mark.parametrize("hurry", [False, True])
    def test_interrupted_by_a_stop(self, run: Run, hurry: bool) -> None:
        notes = Notes()

        async def visit(vu: fl.VU) -> None:
            await vu.get("/")
            await vu.get("/slow")

        async def goodbye(vu: fl.VU) -> None:
            reply = await vu.get("/logout")
            await vu.sleep(0.01)
            notes.note(vu, f"stop {reply.status}")

        def answer(connection: Connection, head: bytes) -> None:
            if b"/slow" not in head.split(b"\r\n")[0]:
                connection.reply()

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                work = work_of(made, visit, on_stop=goodbye)
                executor = executor_of(work, load_models.ConstantVUs(3, 60.0))
                running = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: sum("/slow" in head for _, head in peer.requests) == 3)
                stop_now(made, work, executor, hurry=hurry)
                await running
                assert work.active == 0
                work.close()
                assert sorted(notes.calls) == ([] if hurry else [1, 2, 3])
                assert all(calls == ["stop 200"] for calls in notes.calls.values())
                stats = made.take().stats
                assert stats.iterations_interrupted == 3
                assert (stats.started, stats.finished) == ((6, 3) if hurry else (9, 6))
                notes.calls.clear()

        run(main())

    def test_a_hurry_cuts_those_that_say_goodbye(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.sleep(60)

        async def hang(_vu: fl.VU) -> None:
            began.append(1)
            await asyncio.sleep(60)

        began: list[int] = []

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, visit, on_stop=hang)
                executor = executor_of(work, load_models.ConstantVUs(2, 60.0))
                running = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: work.active == 2)
                await asyncio.sleep(0.01)
                stop_now(made, work, executor)
                await until(lambda: len(began) == 2)
                assert work.active == 2
                stop_now(made, work, executor, hurry=True)
                await running
                assert work.active == 0
                assert made.take().stats.iterations_interrupted == 2
                work.close()
                began.clear()

        run(main())

    @pytest.mark.parametrize("leaves", ["itself", "interrupted"])
    def test_one_that_hangs_is_cut(self, run: Run, monkeypatch: pytest.MonkeyPatch, leaves: str) -> None:
        monkeypatch.setattr(vu_work_module, "GOODBYE_S", 0.1)
        cut: list[int] = []

        async def visit(vu: fl.VU) -> None:
            await vu.sleep(0.001 if leaves == "itself" else 60)

        async def hang(vu: fl.VU) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cut.append(vu.id)
                raise

        async def main() -> None:
            async with harness() as made, asyncio.timeout(10):
                work = work_of(made, visit, on_stop=hang)
                await play(work, load_models.ConstantVUs(2, 0.1), graceful_stop_s=0.1)
                assert sorted(cut) == [1, 2]
                assert made.take().stats.iterations_interrupted == (0 if leaves == "itself" else 2)
                cut.clear()

        run(main())

    def test_after_the_graceful_time_there_is_still_time_to_say_goodbye(self, run: Run) -> None:
        notes = Notes()

        async def slowly(vu: fl.VU) -> None:
            await asyncio.sleep(0.3)
            await notes.stop(vu)

        async def main() -> None:
            async with harness() as made:
                # The goodbye begins within the graceful time and is not over when that is.
                await play(work_of(made, notes.visit, on_stop=slowly), load_models.ConstantVUs(2, 0.05), 0.1)
                assert notes.ended == 2
                notes.calls.clear()

        run(main())

    def test_interrupted_before_the_first_step_of_a_later_iteration(self, run: Run) -> None:
        notes = Notes()

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, notes.visit, on_start=notes.start, on_stop=notes.stop)
                executor = executor_of(work, load_models.ConstantArrivalRate(1.0, 60.0, 1))
                running = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: 1 in notes.calls and work.active == 0)
                work.start(executor._idle.pop(), 0, executor)  # type: ignore[attr-defined]
                stop_now(made, work, executor)
                await running
                assert notes.calls == {1: ["start", "visit", "stop"]}
                assert made.take().stats.iterations_interrupted == 1
                work.close()
                notes.calls.clear()

        run(main())

    def test_a_start_that_raises_is_counted_and_tried_again(self, run: Run) -> None:
        notes = Notes()

        async def start(vu: fl.VU) -> None:
            notes.note(vu, "start")
            if notes.calls[vu.id].count("start") < 3:
                raise PermissionError("no login")

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, notes.visit, on_start=start, on_stop=notes.stop)
                await play(work, load_models.PerVUIterations(1, 4))
                assert notes.calls == {1: ["start", "start", "start", "visit", "visit", "stop"]}
                delta = made.take()
                assert failures(delta) == {"PermissionError": 2}
                assert (count(delta, "iterations_failed"), count(delta, "iterations")) == (2, 2)
                notes.calls.clear()

        run(main())

    def test_who_never_began_does_not_leave(self, run: Run) -> None:
        notes = Notes()

        async def start(_vu: fl.VU) -> None:
            raise PermissionError("no login")

        async def main() -> None:
            async with harness() as made:
                await play(
                    work_of(made, notes.visit, on_start=start, on_stop=notes.stop), load_models.PerVUIterations(2, 2)
                )
                assert notes.calls == {}
                assert failures(made.take()) == {"PermissionError": 4}

        run(main())

    def test_a_stop_that_raises_is_counted(self, run: Run) -> None:
        async def stop(_vu: fl.VU) -> None:
            raise PermissionError("no logout")

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, Notes().visit, on_stop=stop), load_models.SharedIterations(1, 1))
                delta = made.take()
                assert failures(delta) == {"PermissionError": 1}
                assert count(delta, "iterations") == 1

        run(main())

    def test_a_stop_after_an_interrupt_may_have_tasks_that_raise(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.sleep(60)

        async def logout() -> None:
            raise KeyError("token")

        async def stop(_vu: fl.VU) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(logout())
                group.create_task(asyncio.sleep(60))

        async def main() -> None:
            async with harness() as made, asyncio.timeout(10):
                await play(work_of(made, visit, on_stop=stop), load_models.ConstantVUs(2, 0.05), 0.0)
                delta = made.take()
                assert failures(delta) == {"KeyError": 2}
                assert delta.stats.iterations_interrupted == 2

        run(main())

    def test_what_a_hook_cancels_of_its_own_does_not_end_the_vu(self, run: Run) -> None:
        notes = Notes()

        async def start(vu: fl.VU) -> None:
            await notes.start(vu)
            if len(notes.calls[vu.id]) == 1:
                raise asyncio.CancelledError

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, notes.visit, on_start=start), load_models.PerVUIterations(1, 2))
                assert notes.calls == {1: ["start", "start", "visit"]}
                delta = made.take()
                assert failures(delta) == {"CancelledError": 1}
                assert delta.stats.iterations_interrupted == 0
                notes.calls.clear()

        run(main())

    def test_what_is_due_is_the_iterations_own_first_request(self, run: Run) -> None:
        async def ask(vu: fl.VU) -> None:
            if vu.iteration:
                await vu.sleep(60)
            await vu.get("/visit")

        async def login(vu: fl.VU) -> None:
            await vu.get("/login")
            await vu.sleep(0.06)

        async def logout(vu: fl.VU) -> None:
            await vu.get("/logout")

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                # Two starts; the second one is interrupted before it has asked for anything.
                spec = load_models.ConstantArrivalRate(10.0, 0.2, 1)
                await play(work_of(made, ask, on_start=login, on_stop=logout), spec, graceful_stop_s=0.1)
                table = made.take().table
                response, lateness = table.get("http_req_response_time"), table.get("iteration_lateness")
                assert (response.count, lateness.count) == (1, 2)
                # It began late, because its VU had to begin.
                assert 60_000 <= lateness.max <= response.min
                assert [head.split()[1] for _, head in peer.requests] == ["/login", "/visit", "/logout"]

        run(main())


class TestAbort:
    @staticmethod
    def told(made: Harness, work: VUWork, executor: LoadExecutor) -> list[str]:
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
                await play(work_of(made, visit, timeout_s=0.1), load_models.SharedIterations(1, 4))
                delta = made.take()
                assert failures(delta) == {"IterationTimeout": 1}
                (_, traceback) = delta.exceptions.entries["IterationTimeout"]
                assert traceback.splitlines()[-1].endswith("IterationTimeout: it took longer than 0.1 s")
                assert count(delta, "iterations") == 3
                stats = delta.stats
                assert (stats.started, stats.finished, stats.interrupted) == (4, 3, 1)
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
                shared = ScenarioContext("test", ReplyUsage(body=False, headers=False))
                numbers = itertools.count(worker, 3)
                work = VUWork(made.context, Scenario(visit, "test"), shared, itertools.count(worker + 1, 3), numbers)
                executor = make_executor(load_models.SharedIterations(6, 30), work, Part(worker, 3), graceful_stop_s=1)
                executor.prepare()
                await executor.run(time.monotonic_ns())
                work.close()
            assert sorted(seen) == list(range(30))
            seen.clear()

    run(main())
