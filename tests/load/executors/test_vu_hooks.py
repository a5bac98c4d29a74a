"""What happens when a VU begins and when it leaves, however it does."""

from __future__ import annotations

import asyncio
import time

import pytest

import fastload as fl
from fastload.load.executors import vu_pool
from fastload.load.executors.slot_pool import CANCEL_GRACE_S
from fastload.model import load_models
from tests.load.executors.vus import Notes, count, executor_of, failures, ok, play, stop_now, work_of
from tests.load.harness import Connection, Peer, Run, harness, until


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

    @pytest.mark.parametrize("skip_on_stop", [False, True])
    def test_interrupted_by_a_stop(self, run: Run, skip_on_stop: bool) -> None:
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
                stop_now(made, work, executor, skip_on_stop=skip_on_stop)
                await running
                assert work.active == 0
                work.close()
                assert sorted(notes.calls) == ([] if skip_on_stop else [1, 2, 3])
                assert all(calls == ["stop 200"] for calls in notes.calls.values())
                stats = made.take().stats
                assert stats.iterations_interrupted == 3
                assert (stats.started, stats.finished) == ((6, 3) if skip_on_stop else (9, 6))
                notes.calls.clear()

        run(main())

    def test_a_hurry_cuts_those_that_say_goodbye(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.sleep(60)

        async def hang(_vu: fl.VU) -> None:
            on_start_done.append(1)
            await asyncio.sleep(60)

        on_start_done: list[int] = []

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, visit, on_stop=hang)
                executor = executor_of(work, load_models.ConstantVUs(2, 60.0))
                running = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: work.active == 2)
                await asyncio.sleep(0.01)
                stop_now(made, work, executor)
                await until(lambda: len(on_start_done) == 2)
                assert work.active == 2
                stop_now(made, work, executor, skip_on_stop=True)
                await running
                assert work.active == 0
                assert made.take().stats.iterations_interrupted == 2
                work.close()
                on_start_done.clear()

        run(main())

    @pytest.mark.parametrize("leaves", ["itself", "interrupted"])
    def test_one_that_hangs_is_cut(self, run: Run, monkeypatch: pytest.MonkeyPatch, leaves: str) -> None:
        monkeypatch.setattr(vu_pool, "ON_STOP_TIMEOUT_S", 0.1)
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

    def test_an_interrupted_vu_has_time_to_say_goodbye(self, run: Run) -> None:
        notes = Notes()

        async def visit(vu: fl.VU) -> None:
            await vu.sleep(60)

        async def slowly(vu: fl.VU) -> None:
            await asyncio.sleep(CANCEL_GRACE_S + 0.2)
            await notes.stop(vu)

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit, on_stop=slowly), load_models.ConstantVUs(2, 0.05), 0.0)
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

    def test_a_stop_after_an_interrupt_may_cancel_and_raise(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.sleep(60)

        async def logout() -> None:
            raise KeyError("token")

        async def stop(vu: fl.VU) -> None:
            if vu.id == 1:
                raise asyncio.CancelledError
            async with asyncio.TaskGroup() as group:
                group.create_task(logout())
                group.create_task(asyncio.sleep(60))

        async def main() -> None:
            async with harness() as made, asyncio.timeout(10):
                await play(work_of(made, visit, on_stop=stop), load_models.ConstantVUs(2, 0.05), 0.0)
                delta = made.take()
                assert failures(delta) == {"CancelledError": 1, "KeyError": 1}
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
                spec = load_models.ConstantArrivalRate(4.0, 0.5, 1)
                await play(work_of(made, ask, on_start=login, on_stop=logout), spec, graceful_stop_s=0.1)
                table = made.take().table
                response, lateness = table.get("http_req_response_time"), table.get("iteration_lateness")
                assert (response.count, lateness.count) == (1, 2)
                # It began late, because its VU had to begin.
                assert 59_000 <= lateness.max <= response.min
                assert [head.split()[1] for _, head in peer.requests] == ["/login", "/visit", "/logout"]

        run(main())
