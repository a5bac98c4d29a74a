"""What is a VU's own, on both loops: its cookies, its connections, and what its script does with it."""

from __future__ import annotations

import asyncio
import contextvars
import time

import pytest

import fastload as fl
from fastload.model.http_settings import HttpSettings
from tests.conftest import Nginx
from tests.load.client.peer_answers import ok, silent, slow_on_request
from tests.load.harness import Connection, Peer, Run, harness, lines_of, until


class TestCookies:
    @staticmethod
    def answer(connection: Connection, head: bytes) -> None:
        asked = lines_of(head.decode())
        given = "Set-Cookie: id=7; Path=/\r\n" if "/login" in head.decode() else ""
        connection.reply(asked.get("cookie", "none").encode(), headers=given)

    def test_of_one_vu(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu, other = made.vu(), made.vu()
                assert [(await vu.get("/cookie")).text for _ in range(2)] == ["c=", "c=id=7"]
                assert (await other.get("/cookie")).text == "c="

        run(main())

    def test_of_one_vu_over_all_its_transfers(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(self.answer) as peer, harness(peer.url) as made:
                vu = made.vu()
                # Two at once need two transfers; later requests may take either.
                await asyncio.gather(vu.get("/login"), vu.get("/"))
                replies = await asyncio.gather(*(vu.get("/") for _ in range(3)))
                assert [reply.text for reply in replies] == ["id=7"] * 3
                assert (await made.vu().get("/")).text == "none"

        run(main())

    def test_none_when_told_so(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(self.answer) as peer, harness(peer.url, http=HttpSettings(cookies=False)) as made:
                vu = made.vu()
                await asyncio.gather(vu.get("/login"), vu.get("/login"))
                assert [(await vu.get("/")).text for _ in range(2)] == ["none"] * 2

        run(main())


class TestConnections:
    def test_one_vu_keeps_its_own(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                first, second = made.vu(), made.vu()
                for _ in range(5):
                    await first.get("/")
                    await second.get("/")
                assert [number for number, _ in peer.requests] == [0, 1] * 5

        run(main())

    def test_closing_a_vu_closes_its_connections(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                vu = made.vu()
                await asyncio.gather(vu.get("/"), vu.get("/"))
                assert len(peer.open) == 2
                vu._close()
                await until(lambda: not peer.open)
                vu._close()

        run(main())

    def test_concurrent_requests_of_one_vu(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(3):
                    replies = await asyncio.gather(*(vu.get(f"/{number}") for number in range(8)))
                    assert [reply.text for reply in replies] == [f"/{number}" for number in range(8)]
                    assert vu._in_flight == made.in_flight == 0
                assert len(peer.connections) == 8

        run(main())

    def test_in_flight(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                vu = made.vu()
                tasks = [asyncio.create_task(vu.request("GET", "/")) for _ in range(3)]
                await until(lambda: len(peer.requests) == 3)
                assert vu._in_flight == made.in_flight == 3
                for connection in peer.connections:
                    connection.reply()
                await asyncio.gather(*tasks)
                assert vu._in_flight == made.in_flight == 0

        run(main())


class TestTheUser:
    def test_checks(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                reply = await vu.get("/")
                assert vu.check(reply, {"ok": reply.ok, "says hello": lambda got: got.text == "hello"}) is True
                assert vu.check(reply, {"ok": True, "is json": lambda got: got.text.startswith("{")}) is False
                assert vu.check(None, {}) is True
                table = made.take().table
                rates = {tags["check"]: sink.to_plain() for tags, sink in table.of_metric("checks")}
                assert rates == {"ok": [2, 2], "says hello": [1, 1], "is json": [0, 1]}
                assert table.get("checks").to_plain() == [3, 4]

        run(main())

    def test_sleep(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu()
                pauses: list[float] = []

                async def note(delay: float) -> None:
                    pauses.append(delay)

                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("fastload.load.client.vu.asyncio.sleep", note)
                    await vu.sleep(0.5)
                    for _ in range(200):
                        await vu.sleep(1.0, 3.0)
                assert pauses[0] == 0.5
                drawn = pauses[1:]
                assert all(1.0 <= pause <= 3.0 for pause in drawn)
                assert min(drawn) < 1.2 < 2.8 < max(drawn)
                before = time.monotonic()
                await vu.sleep(0.02, 0.03)
                assert time.monotonic() - before > 0.018

        run(main())

    def test_chance_is_its_own_and_repeatable(self, run: Run) -> None:
        async def main() -> None:
            draws = []
            for _ in range(2):
                async with harness() as made:
                    draws.append([made.vu().random.random() for _ in range(3)])
            assert draws[0] == draws[1]
            assert len(set(draws[0])) == 3

        run(main())

    def test_env_and_state(self, run: Run) -> None:
        async def main() -> None:
            async with harness(env={"KEY": "value"}) as made:
                vu, other = made.vu(), made.vu()
                assert vu.env["KEY"] == "value"
                vu.state["token"] = "t"
                assert other.state == {}
                assert (vu.id, other.id) == (1, 2)

        run(main())

    def test_only_the_first_request_of_an_iteration_has_a_due_time(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                vu._begin_iteration(time.monotonic_ns() - 5_000_000, 0)
                await vu.get("/")
                await vu.get("/")
                vu._end_iteration()
                vu._begin_iteration(0, 1)
                await vu.get("/")
                response = made.take().table.get("http_req_response_time")
                assert response.count == 1
                assert response.min >= 5_000
                assert vu.iteration == 1

        run(main())

    def test_context_variables_stay_with_their_task(self, run: Run, nginx: Nginx) -> None:
        user = contextvars.ContextVar("user", default="nobody")

        async def iterate(vu: fl.VU, name: str) -> list[str]:
            token = user.set(name)
            seen = []
            for _ in range(3):
                await vu.get("/")
                seen.append(user.get())
            user.reset(token)
            return seen

        async def main() -> None:
            async with harness(nginx.url) as made:
                seen = await asyncio.gather(*(iterate(made.vu(), f"user {number}") for number in range(3)))
                assert seen == [[f"user {number}"] * 3 for number in range(3)]

        run(main())
