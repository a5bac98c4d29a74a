"""Iterations of both kinds of work: what users' code may do, how an iteration ends, and what is closed then."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.context import ScenarioContext
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.executors.base import ExecutionSegment
from fastload.load.executors.connection_pool import ConnectionPool
from fastload.load.executors.registry import make_executor
from fastload.load.executors.request_sources import FixedRequest
from fastload.load.executors.slot_pool import IterationScheduler, SlotPool
from fastload.load.executors.vu_pool import VUPool
from fastload.load.script.scenarios import Scenario
from fastload.model import load_models
from tests.conftest import free_port
from tests.load.executors.vus import count
from tests.load.harness import Connection, Harness, Peer, Run, harness, until

Function = Callable[[fl.VU], Awaitable[Any]]


def ok(connection: Connection, _head: bytes) -> None:
    connection.reply()


def silent(_connection: Connection, _head: bytes) -> None:
    """Never answers."""


def slow_on_request(connection: Connection, head: bytes) -> None:
    if b"/slow" not in head.split(b"\r\n")[0]:
        connection.reply()


@dataclass
class Turns:
    """A feed that gives every slot *left* more iterations in all, and takes it back then."""

    work: SlotPool
    left: int
    is_open_model: bool = False
    ended: list[Any] = field(default_factory=list)

    def finish(self) -> None:
        self.left = 0

    def leave(self, slot: Any, due_ns: int) -> bool:
        raise AssertionError((slot, due_ns))

    def next(self, slot: Any) -> int | None:
        if self.left > 0:
            self.left -= 1
            return 0
        self.ended.append(slot)
        self.work.release(slot)
        return None


def vu_work(made: Harness, function: Function) -> VUPool:
    shared = ScenarioContext("test", ReplyParts(body=False, headers=False))
    return VUPool(made.context, Scenario(function, "test"), shared, itertools.count(1), itertools.count())


def request_work(made: Harness, url: str, *, method: str = "GET", payload: bytes | None = None) -> ConnectionPool:
    return ConnectionPool(made.context, FixedRequest(method, url, ("X-Test: 1",), payload, name="fixed"))


def begin(work: SlotPool, turns: int, *, due_ns: int = 0) -> tuple[Any, Turns]:
    """Start one slot that iterates *turns* times."""
    scheduler = Turns(work, turns - 1)
    slot = work.acquire()
    work.start(slot, due_ns, scheduler)
    return slot, scheduler


async def iterate(made: Harness, function: Function, turns: int) -> Any:
    """All of *turns* iterations on one VU, and what was recorded."""
    work = vu_work(made, function)
    begin(work, turns)
    await work.drain(20)
    assert work.active == 0
    work.close()
    return made.take()


class TestUserCode:
    def test_an_exception_ends_the_iteration_only(self, run: Run) -> None:
        async def broken(vu: fl.VU) -> None:
            if vu.iteration % 2:
                raise KeyError("token")

        async def main() -> None:
            async with harness() as made:
                delta = await iterate(made, broken, 6)
                assert delta.table.get("iterations").value == 3
                assert delta.table.get("iterations_failed").value == 3
                (count, traceback) = delta.exceptions.entries["KeyError"]
                assert count == 3
                assert traceback.splitlines()[0] == "Traceback (most recent call last):"
                assert traceback.splitlines()[-1] == "KeyError: 'token'"
                assert traceback.count("  File ") == 1
                assert "test_slot_pool.py" in traceback
                assert "fastload/load" not in traceback

        run(main())

    def test_an_error_of_fastload_is_the_users_line(self, run: Run) -> None:
        async def careless(vu: fl.VU) -> None:
            await vu.get("/relative")

        async def main() -> None:
            async with harness() as made:
                delta = await iterate(made, careless, 1)
                (_, traceback) = delta.exceptions.entries["PlanError"]
                assert 'await vu.get("/relative")' in traceback
                assert traceback.count("  File ") == 1
                assert delta.stats.started == 0

        run(main())

    def test_cancelled_error_of_the_users_own_does_not_end_the_vu(self, run: Run) -> None:
        async def cancels(vu: fl.VU) -> None:
            if vu.iteration == 0:
                raise asyncio.CancelledError
            if vu.iteration == 1:
                inner = asyncio.ensure_future(asyncio.sleep(60))
                inner.cancel()
                await inner

        async def main() -> None:
            async with harness() as made:
                delta = await iterate(made, cancels, 4)
                assert delta.exceptions.entries["CancelledError"][0] == 2
                assert delta.table.get("iterations").value == 2
                assert delta.stats.iterations_interrupted == 0

        run(main())

    def test_a_timeout_of_the_users_own(self, run: Run) -> None:
        async def impatient(vu: fl.VU) -> None:
            try:
                async with asyncio.timeout(0.02):
                    await vu.get("/slow")
            except TimeoutError:
                await vu.get("/fast")

        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                delta = await iterate(made, impatient, 3)
                assert delta.table.get("iterations").value == 3
                assert (delta.stats.started, delta.stats.finished, delta.stats.failed) == (6, 3, 3)
                assert delta.errors.entries["given_up"][0] == 3

        run(main())

    def test_an_empty_iteration_does_not_starve_the_loop(self, run: Run) -> None:
        async def empty(_vu: fl.VU) -> None: ...

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, empty)
                _, scheduler = begin(work, 10**9)
                for _ in range(50):
                    await asyncio.sleep(0)
                scheduler.left = 0
                await work.drain(20)
                assert 10 < work.acquire().iteration < 200

        run(main())

    def test_raising_before_any_request_heats_no_cpu(self, run: Run) -> None:
        async def broken(vu: fl.VU) -> None:
            raise ValueError(vu.id)

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, broken)
                executor = make_executor(load_models.ConstantVUs(2, 0.4), work, ExecutionSegment(), graceful_stop_s=0.0)
                executor.prepare()
                await executor.run(time.monotonic_ns())
                work.close()
                # Pauses of 10, 20, 40, 80, 160, 320 ms; fewer starts if it is held up.
                assert 2 <= made.take().table.get("iterations_failed").value <= 12

        run(main())

    def test_after_an_iteration_that_went_well_there_is_no_pause(self, run: Run) -> None:
        pauses = []

        async def broken_at_first(vu: fl.VU) -> None:
            pauses.append(vu._back_off_s)
            if vu.iteration < 2:
                raise ValueError

        async def main() -> None:
            async with harness() as made:
                await iterate(made, broken_at_first, 5)
                assert pauses == pytest.approx([0.0, 0.01, 0.02, 0.0, 0.0])
                pauses.clear()

        run(main())

    def test_numbers_of_iterations_and_of_vus(self, run: Run) -> None:
        seen: list[tuple[int, int]] = []

        async def note(vu: fl.VU) -> None:
            seen.append((vu.id, vu.iteration))

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, note)
                for _ in range(2):
                    begin(work, 3)
                await work.drain(20)
                begin(work, 1)
                await work.drain(20)
                assert sorted(seen) == [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2)]
                work.close()

        run(main())


class TestInterrupting:
    def test_after_the_grace(self, run: Run) -> None:
        async def wait(vu: fl.VU) -> None:
            await vu.get("/")

        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                work = vu_work(made, wait)
                for _ in range(3):
                    begin(work, 1)
                await until(lambda: len(peer.requests) == 3)
                before = time.monotonic()
                await work.drain(0.05)
                assert 0.04 < time.monotonic() - before < 20
                assert (work.active, made.in_flight) == (0, 0)
                stats = made.take().stats
                assert (stats.started, stats.interrupted, stats.iterations_interrupted) == (3, 3, 3)
                await until(lambda: not peer.open)

        run(main())

    def test_an_interrupted_slot_is_closed(self, run: Run) -> None:
        async def linger(vu: fl.VU) -> None:
            await vu.get("/")
            await vu.sleep(600)

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                work = vu_work(made, linger)
                begin(work, 1)
                await until(lambda: made.in_flight == 0 and len(peer.requests) == 1)
                assert len(peer.open) == 1
                await work.drain(0.0)
                # No executor has this VU any more: nobody else would close its connection.
                await until(lambda: not peer.open)

        run(main())

    @pytest.mark.parametrize("grace_s", [0.0, 0.03])
    def test_before_the_first_step(self, run: Run, grace_s: float) -> None:
        async def never(_vu: fl.VU) -> None:
            raise AssertionError("it never began")

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, never)
                begin(work, 1)
                work.interrupt_all()
                assert work.active == 0
                await work.drain(grace_s)
                stats = made.take().stats
                assert stats.iterations_interrupted == 1
                work.close()

        run(main())

    def test_idle_iterations_only(self, run: Run) -> None:
        async def wait(vu: fl.VU) -> None:
            if vu.id % 2:
                await vu.get("/")
            else:
                await vu.sleep(60)

        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                work = vu_work(made, wait)
                for _ in range(4):
                    begin(work, 1)
                await until(lambda: len(peer.requests) == 2)
                work.interrupt_idle()
                await until(lambda: work.active == 2)
                for connection in peer.connections:
                    connection.reply()
                await work.drain(20)
                delta = made.take()
                assert delta.table.get("iterations").value == 2
                assert (delta.stats.iterations_interrupted, delta.stats.interrupted) == (2, 0)
                work.close()

        run(main())

    def test_stopping_lets_no_new_request_begin(self, run: Run) -> None:
        async def two_steps(vu: fl.VU) -> None:
            await vu.get("/")
            await vu.get("/")

        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                work = vu_work(made, two_steps)
                begin(work, 9)
                await until(lambda: len(peer.requests) == 1)
                made.context.stopping = True
                peer.connections[0].reply()
                await work.drain(20)
                stats = made.take().stats
                assert (stats.started, stats.finished, stats.iterations_interrupted) == (1, 1, 1)

        run(main())

    def test_who_does_not_listen_is_left_behind(self, run: Run) -> None:
        free = asyncio.Event()

        async def stubborn(_vu: fl.VU) -> None:
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    continue

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, stubborn)
                work.cancel_grace_s = 0.05
                begin(work, 1)
                await asyncio.sleep(0)
                await work.drain(0.0)
                assert work.active == 1
                free.set()
                await until(lambda: work.active == 0)

        run(main())

    def test_retiring_interrupts_and_then_closes(self, run: Run) -> None:
        ends: list[str] = []

        async def tidy(vu: fl.VU) -> None:
            try:
                await vu.get("/slow")
            finally:
                ends.append(f"{len(vu._transfers)} left")

        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                work = vu_work(made, tidy)
                vu, scheduler = begin(work, 5)
                await until(lambda: len(peer.requests) == 1)
                work.retire(vu)
                assert work.active == 1, "its task has yet to hear of it"
                await until(lambda: work.active == 0)
                assert ends == ["1 left"]
                assert vu._transfers == []
                assert scheduler.ended == []
                await until(lambda: not peer.open)
                assert made.take().stats.iterations_interrupted == 1

        run(main())

    def test_closing_closes_every_slot(self, run: Run) -> None:
        async def ask(vu: fl.VU) -> None:
            await vu.get("/")

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                for work in (vu_work(made, ask), request_work(made, peer.url)):
                    for _ in range(3):
                        begin(work, 2)
                    await work.drain(20)
                    assert len(peer.open) == 3
                    work.close()
                    await until(lambda: not peer.open)

        run(main())


class Instant(SlotPool):
    """Iterations that are over at once."""

    started = 0

    def _new(self) -> object:
        return object()

    def _begin(self, slot: object, due_ns: int, scheduler: IterationScheduler) -> None:
        assert time.monotonic_ns() >= due_ns
        self.started += 1
        self.context.loop.call_soon(self._finish, slot, scheduler)

    def _finish(self, slot: object, scheduler: IterationScheduler) -> None:
        due_ns = scheduler.next(slot)
        if due_ns is None:
            self._ended(slot)
        else:
            self._begin(slot, due_ns, scheduler)

    def _interrupt(self, slot: object) -> None:
        self._ended(slot)

    def _close(self, slot: object) -> None: ...


def test_the_last_starts_of_a_high_rate_are_not_lost(run: Run) -> None:
    async def main() -> None:
        async with harness() as made:
            for _ in range(8):
                work = Instant(made.context)
                # As many slots as starts: whatever is held up, none is left in line at the end.
                spec = load_models.ConstantArrivalRate(10_000.0, 0.05, 500)
                executor = make_executor(spec, work, ExecutionSegment(), graceful_stop_s=5.0)
                executor.prepare()
                start_ns = time.monotonic_ns() + 5_000_000
                await executor.run(start_ns)
                assert executor.ended_ns >= start_ns + 50_000_000
                assert executor.take_offered() == work.started == 500

    run(main())


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_a_rate_that_no_worker_can_make_stops_nothing_else(run: Run, kind: Any) -> None:
    """Reports go out, a stop is heard, the end comes, and what was due is either started or dropped."""

    async def main() -> None:
        async with harness() as made:
            work = Instant(made.context)
            spec = load_models.ConstantArrivalRate(2e6, 0.3, 1, kind, when_busy="drop")
            executor = make_executor(spec, work, ExecutionSegment(seed="1"), graceful_stop_s=5.0)
            executor.prepare()
            turns = 0

            async def look() -> None:
                nonlocal turns
                while True:
                    await asyncio.sleep(0.01)
                    turns += 1

            looking = asyncio.ensure_future(look())
            async with asyncio.timeout(60):
                await executor.run(time.monotonic_ns())
            looking.cancel()
            assert turns > 1
            offered = executor.take_offered()
            assert offered == 600_000 if kind == "constant" else abs(offered - 600_000) < 8_000
            assert offered == work.started + count(made.take(), "dropped_iterations")

    run(main())


class TestRefused:
    @pytest.mark.parametrize("kind", ["scenario", "requests"])
    def test_a_refusing_server_is_asked_seldom(self, run: Run, kind: str) -> None:
        url = f"http://127.0.0.1:{free_port()}/"

        async def ask(vu: fl.VU) -> None:
            await vu.get(url)

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, ask) if kind == "scenario" else request_work(made, url)
                executor = make_executor(load_models.ConstantVUs(2, 0.5), work, ExecutionSegment(), graceful_stop_s=0.0)
                executor.prepare()
                await executor.run(time.monotonic_ns())
                work.close()
                stats = made.take().stats
                # Pauses of 10, 20, 40, 80, 160, 320 ms: six attempts each, fewer if it is held up.
                assert 2 <= stats.started <= 12
                assert stats.failed + stats.interrupted == stats.started

        run(main())

    @pytest.mark.parametrize("kind", ["scenario", "requests"])
    def test_an_open_model_does_not_pause(self, run: Run, kind: str) -> None:
        url = f"http://127.0.0.1:{free_port()}/"

        async def ask(vu: fl.VU) -> None:
            await vu.get(url)

        async def main() -> None:
            async with harness() as made:
                work = vu_work(made, ask) if kind == "scenario" else request_work(made, url)
                spec = load_models.ConstantArrivalRate(200.0, 1.0, 2)
                executor = make_executor(spec, work, ExecutionSegment(), graceful_stop_s=5.0)
                executor.prepare()
                # 100 starts are due already, and wait in line for two slots.
                await executor.run(time.monotonic_ns() - 500_000_000)
                work.close()
                assert executor.take_offered() == 200
                # Slots that paused would make 14.
                assert made.take().stats.failed > 50

        run(main())

    @pytest.mark.parametrize("kind", ["scenario", "requests"])
    def test_a_server_that_accepts_is_not_spared(self, run: Run, kind: str) -> None:
        async def ask(vu: fl.VU) -> None:
            await vu.get("/")

        async def main() -> None:
            async with Peer(lambda connection, _: connection.reset()) as peer, harness(peer.url) as made:
                work = vu_work(made, ask) if kind == "scenario" else request_work(made, peer.url)
                begin(work, 100)
                async with asyncio.timeout(20):
                    await work.drain(20)
                assert made.take().stats.failed == 100
                work.close()

        run(main())


class TestRequestWork:
    def test_requests_of_a_source(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness() as made:
                work = request_work(made, peer.url + "/path")
                begin(work, 5)
                begin(work, 5)
                await work.drain(20)
                delta = made.take()
                assert (delta.stats.started, delta.stats.finished) == (10, 10)
                assert {tags["name"] for tags, _ in delta.table.of_metric("http_reqs")} == {"fixed"}
                assert all(head.startswith("GET /path HTTP/1.1\r\n") for _, head in peer.requests)
                assert all("X-Test: 1" in head for _, head in peer.requests)
                assert sorted(number for number, _ in peer.requests) == [0] * 5 + [1] * 5
                work.close()

        run(main())

    def test_a_due_time_is_where_the_response_time_begins(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness() as made:
                work = request_work(made, peer.url)
                begin(work, 3, due_ns=time.monotonic_ns() - 8_000_000)
                await work.drain(20)
                table = made.take().table
                response, lateness = table.get("http_req_response_time"), table.get("iteration_lateness")
                # The feed gives the later ones no due time.
                assert response.count == lateness.count == 1
                assert 8_000 <= lateness.min <= response.min
                work.close()

        run(main())

    def test_interrupted_requests_are_accounted_for(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness() as made:
                work = request_work(made, peer.url)
                for _ in range(4):
                    begin(work, 1)
                await until(lambda: len(peer.requests) == 4)
                peer.connections[0].reply()
                await until(lambda: work.active == 3)
                await work.drain(0.0)
                assert (work.active, made.in_flight) == (0, 0)
                stats = made.take().stats
                assert (stats.started, stats.finished, stats.interrupted) == (4, 1, 3)
                work.close()
                await until(lambda: not peer.open)

        run(main())

    def test_interrupted_while_it_pauses(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                work = request_work(made, f"http://127.0.0.1:{free_port()}/")
                begin(work, 10**6)
                await until(lambda: made.recorder.stats.started >= 4)
                await until(lambda: made.in_flight == 0)
                work.interrupt_all()
                assert work.active == 0
                stats = made.take().stats
                assert (stats.started, stats.interrupted) == (stats.failed, 0)
                # Its pause is over later, and finds a slot that is gone.
                await asyncio.sleep(0.2)
                assert made.take().stats.started == 0
                work.close()

        run(main())

    def test_bodies(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness() as made:
                work = request_work(made, peer.url, method="PUT", payload=b"x" * 1000)
                begin(work, 2)
                await work.drain(20)
                assert [head.split("\r\n")[0] for _, head in peer.requests] == ["PUT / HTTP/1.1"] * 2
                assert made.take().table.get("data_sent").value > 2_000
                work.close()

        run(main())
