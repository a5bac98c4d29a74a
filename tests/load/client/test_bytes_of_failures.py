"""Requests that fail or are given up: what they have sent and received counts, as the server has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fastload.load.executors.connection_pool import ConnectionPool
from fastload.load.executors.request_sources import FixedRequest
from fastload.model.http_settings import HttpSettings
from fastload.model.metrics import Series
from tests.load.harness import Connection, Harness, Peer, Run, harness, until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"
ANSWERS = {
    "nothing": (b"", "reset"),
    "a part of the headers": (HEAD, "partial"),
    "a part of the body": (HEAD + b"\r\n" + b"x" * 300, "partial"),
}
STALLED = HEAD + b"\r\n" + b"x" * 300
BY_NAME = Series.of("data_received", method="POST", name="/x")
FILTER = Series.of("data_received", status="0", name="/x")


class CountingPeer(Peer):
    """Answers each request with *response*, and then closes, or waits. It counts the bytes of its connections."""

    def __init__(self, response: bytes, *, closes: bool) -> None:
        super().__init__(self._respond)
        self.response, self.closes = response, closes
        self.received = self.sent = 0

    def _respond(self, connection: Connection, head: bytes) -> None:
        self.received += len(head) + 4 + len(connection.body)
        self.sent += len(self.response)
        connection.transport.write(self.response)
        if self.closes:
            connection.transport.close()


@asynccontextmanager
async def made_for(peer: CountingPeer, timeout_s: float = 10.0) -> AsyncIterator[Harness]:
    """A harness for *peer*."""
    async with peer, harness(peer.url, http=HttpSettings(timeout_s=timeout_s), filters=[FILTER]) as made:
        yield made


def moved(made: Harness) -> tuple[int, int]:
    """The bytes sent and received."""
    table = made.take().table
    sent, received = table.get("data_sent"), table.get("data_received")
    return sent.value, 0 if received is None else received.value


@pytest.mark.parametrize(("answer", "kind"), ANSWERS.values(), ids=ANSWERS)
def test_failed_requests(run: Run, answer: bytes, kind: str) -> None:
    async def main() -> None:
        peer = CountingPeer(answer, closes=True)
        async with made_for(peer) as made:
            vu = made.vu()
            for body in (None, b"x" * 500, b"x" * 200_000):
                reply = await vu.post("/x", data=body)
                assert reply.error == kind
            async with vu.expect("POST", "/x") as judged:
                judged.success()
            table = made.take().table
            assert table.get("data_sent").value == peer.received
            for series in (Series("data_received"), BY_NAME, FILTER) if answer else ():
                assert table.series_values[series].value == peer.sent

    run(main())


def test_a_timeout(run: Run) -> None:
    async def main() -> None:
        peer = CountingPeer(STALLED, closes=False)
        async with made_for(peer, timeout_s=0.5) as made:
            assert (await made.vu().get("/x")).error == "timeout"
            assert moved(made) == (peer.received, peer.sent)

    run(main())


@pytest.mark.parametrize("how", ["request", "stream", "left"])
def test_one_that_is_given_up(run: Run, how: str) -> None:
    async def main() -> None:
        peer = CountingPeer(STALLED, closes=False)
        async with made_for(peer) as made:
            vu = made.vu()

            async def request() -> None:
                if how == "stream":
                    async with vu.stream("GET", "/x") as reply:
                        await reply.read()
                await vu.get("/x")

            task = asyncio.create_task(request())
            await until(lambda: peer.sent > 0)
            await until(lambda: vu._transfers[0].volumes()[1] == peer.sent)
            if how == "left":
                vu._close()
            vu._interrupted = True
            task.cancel()
            await asyncio.wait([task])
            table = made.take().table
            assert (table.get("data_sent").value, table.get("data_received").value) == (peer.received, peer.sent)

    run(main())


class Two:
    """Two requests, one after the other."""

    is_open_model = False
    left = 1

    def next(self, _slot: object) -> int | None:
        self.left -= 1
        return 0 if self.left >= 0 else None

    def finish(self) -> None:
        self.left = 0

    def leave(self, slot: object, due_ns: int) -> bool:
        raise AssertionError((slot, due_ns))


@pytest.mark.parametrize("closes", [True, False], ids=["failed", "given up"])
def test_bench(run: Run, closes: bool) -> None:
    async def main() -> None:
        peer = CountingPeer(STALLED, closes=closes)
        async with made_for(peer) as made:
            pool = ConnectionPool(made.context, FixedRequest("GET", f"{peer.url}/x", name="/x"))
            slot = pool.acquire()
            pool.start(slot, 0, Two())
            if not closes:
                await until(lambda: slot.volumes()[1] == len(STALLED))
                pool.interrupt_all()
            await until(lambda: not pool.active)
            pool.close()
            assert moved(made) == (peer.received, peer.sent)

    run(main())
