"""A request is written once: no schedule of closes makes the server see a request twice, or one that is not counted.

The server is a process of its own, because libcurl reads right after it has written: only a server that runs at the
same time can close within this moment.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from fastload.model.http_settings import Auth, HttpSettings, HttpVersion
from tests.conftest import Cli
from tests.load.client.transport_servers import DigestServer, serving
from tests.load.engine.http2_peer import GOAWAY, PING, REFUSED_STREAM, RST_STREAM, Http2Connection, Http2Peer
from tests.load.engine.test_curl import answer
from tests.load.engine.test_curl import serving as serving_sockets
from tests.load.harness import Connection, Harness, Peer, Run, harness, reset, until

SERVER = Path(__file__).parent / "closing_server.py"
SMALL, LARGE = b"{}", b"x" * 200_000


class Seen(NamedTuple):
    """What the server saw: how often each request, by its number."""

    port: int
    process: subprocess.Popen[str]

    def end(self) -> Counter[int]:
        out, _ = self.process.communicate("end\n", timeout=30)
        return Counter({int(number): count for number, count in json.loads(out).items()})


@pytest.fixture
def closing(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """A server that does one of the parameter's actions after each request, by chance (with a seed)."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER), ",".join(request.param)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Seen(int(process.stdout.readline()), process)
    finally:
        process.kill()
        process.wait()


async def send(made: Harness, requests: int, at_once: int, method: str, body: Any, pauses: bool) -> Counter[str | int]:
    """Send numbered requests of one VU and return how many ended with each status or error."""
    ends: Counter[str | int] = Counter()
    numbers = iter(range(requests))
    vu = made.vu()

    async def loop() -> None:
        for number in numbers:
            reply = await vu.request(method, "/", data=body, headers={"x-number": str(number)})
            ends[reply.error or reply.status] += 1
            if pauses:
                await asyncio.sleep(0.002 * (number % 3))

    await asyncio.gather(*(loop() for _ in range(at_once)))
    return ends


def bodies(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "body").write_bytes(LARGE)
    return {"none": None, "small": SMALL, "large": LARGE, "file": tmp_path / "body", "form": {"a": "b"}}


KINDS = [("GET", "none"), ("DELETE", "none"), ("POST", "small"), ("POST", "large"), ("PUT", "file"), ("POST", "form")]
# The server reads the whole request, or at least its head, before it closes.
READ_FIRST = [("close", "ok"), ("reset", "ok"), ("head_close", "ok"), ("close", "reset", "head_close", "ok", "ok")]
# The server may close before it has read what was written.
RACES = [("answer_close", "ok"), ("answer_reset", "ok"), ("answer_close", "close", "answer_reset", "ok")]


class TestSchedules:
    @pytest.mark.parametrize("closing", READ_FIRST, indirect=True, ids="-".join)
    def test_the_server_saw_what_is_reported(self, closing: Seen, tmp_path: Path) -> None:
        async def main() -> None:
            async with harness(f"http://127.0.0.1:{closing.port}") as made:
                total = 0
                for at_once, pauses in ((1, False), (4, True)):
                    for method, kind in KINDS:
                        ends = await send(made, 40, at_once, method, bodies(tmp_path)[kind], pauses)
                        assert set(ends) == {200, "reset"}, (method, kind)
                        total += ends["reset"]
                assert made.errors() == {"reset": total}

        uvloop.run(main())
        seen = closing.end()
        # Every series of requests has the numbers 0 to 39.
        assert set(seen.values()) == {2 * len(KINDS)}
        assert set(seen) == set(range(40))

    @pytest.mark.parametrize("closing", RACES, indirect=True, ids="-".join)
    def test_nothing_is_sent_again_in_a_race(self, closing: Seen, tmp_path: Path) -> None:
        async def main() -> None:
            async with harness(f"http://127.0.0.1:{closing.port}") as made:
                ends: Counter[str | int] = Counter()
                for method, kind in KINDS:
                    ends += await send(made, 40, 1, method, bodies(tmp_path)[kind], pauses=False)
                assert set(ends) <= {200, "reset"}
                answered.append(ends[200])

        answered: list[int] = []
        uvloop.run(main())
        seen = closing.end()
        assert max(seen.values()) <= len(KINDS)
        assert answered[0] <= sum(seen.values()) <= 40 * len(KINDS)

    @pytest.mark.parametrize("closing", [("close", "ok"), ("reset", "head_close", "ok")], indirect=True, ids="-".join)
    def test_bench(self, closing: Seen, cli: Cli) -> None:
        url = f"http://127.0.0.1:{closing.port}/"
        done = cli("bench", url, "-n", "200", "-c", "2", "-X", "POST", "-b", "{}", "-H", "x-number: 1", "--json", "-q")
        metrics = json.loads(done.stdout)["metrics"]
        assert metrics["http_reqs"]["count"] == 200 == closing.end()[1]
        assert metrics["http_req_failed"]["passes"] > 0


class TestIdleConnections:
    def test_one_that_the_server_closed_is_not_used(self, run: Run) -> None:
        """Nothing is written to it: also a POST goes to a new connection, and does not count as sent twice."""

        async def main() -> None:
            async with Peer(lambda connection, _head: connection.reply()) as peer, harness(peer.url) as made:
                vu = made.vu()
                for method in ("GET", "POST", "PUT"):
                    assert (await vu.request(method, "/")).tries == 1
                    peer.connections[-1].transport.close()
                    await until(lambda: not peer.open)
                    await asyncio.sleep(0.01)
                    reply = await vu.request(method, "/", data=b"x" if method != "GET" else None)
                    assert (reply.status, reply.error, reply.tries) == (200, "", 2)
                assert len(peer.requests) == 6
                retried = made.take().table.get("http_req_retried")
                assert retried.value == 3

        run(main())

    def test_one_with_an_unasked_answer_is_not_used(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(lambda connection, _head: connection.reply(b"mine")) as peer, harness(peer.url) as made:
                vu = made.vu()
                assert (await vu.get("/")).text == "mine"
                peer.connections[-1].reply(b"of nobody", status="201 Created")
                await asyncio.sleep(0.05)
                reply = await vu.get("/")
                assert (reply.status, reply.text, reply.tries) == (200, "mine", 2)
                assert len(peer.connections) == 2

        run(main())

    @pytest.mark.parametrize(
        ("how", "version"),
        [(how, "1.1") for how in ("closed", "half closed", "unasked")]
        + [("closed", "2-prior"), ("half closed", "2-prior")],
    )
    def test_one_that_is_of_no_use_is_closed_at_once(self, run: Run, how: str, version: HttpVersion) -> None:
        """The server sees its end although no further request is made."""

        def end(transport: asyncio.Transport) -> None:
            if how == "half closed":
                transport.write_eof()
            elif how == "unasked":
                transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            else:
                transport.close()

        async def main() -> None:
            http = HttpSettings(timeout_s=10, http_version=version)
            peer = (
                Peer(lambda connection, _head: connection.reply())
                if version == "1.1"
                else Http2Peer(Http2Connection.ok)
            )
            async with peer as server, harness(server.url, http=http) as made:
                vu = made.vu()
                for number in range(1, 4):
                    assert (await vu.get("/")).status == 200
                    end(server.connections[-1].transport)
                    await until(lambda: not server.open, deadline_s=10)
                    assert len(server.connections) == number
                # What is noted of a connection goes with its descriptor.
                assert len(made.context.engine._unusable) <= 1

        run(main())

    @pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"])
    def test_bench_closes_it_at_once(self, cli: Cli, unasked: bytes) -> None:
        """The next request is due two seconds later."""
        ended_after_s: list[float] = []

        def handle(connection: socket.socket) -> None:
            with connection:
                while answer(connection):
                    # What comes with the response is read with it.
                    time.sleep(0.1)
                    connection.sendall(unasked) if unasked else connection.shutdown(socket.SHUT_WR)
                    begun_s = time.monotonic()
                    connection.settimeout(20)
                    if not connection.recv(1):
                        ended_after_s.append(time.monotonic() - begun_s)
                    return

        with serving_sockets(handle) as port:
            cli("bench", f"http://127.0.0.1:{port}/", "-c", "1", "-d", "5s", "--rate", "0.5", "-q")
        assert len(ended_after_s) >= 2
        assert max(ended_after_s) < 1


class TestHttp2:
    HTTP = HttpSettings(timeout_s=10, http_version="2-prior")

    @pytest.mark.parametrize("at_once", [1, 5])
    @pytest.mark.parametrize("how", ["refused", "closed", "goaway"])
    def test_a_request_is_written_once(self, run: Run, how: str, at_once: int) -> None:
        def answer(connection: Http2Connection, stream: int) -> None:
            if peer.requests % 3:
                connection.ok(stream)
            elif how == "refused":
                connection.frame(RST_STREAM, 0, stream, REFUSED_STREAM.to_bytes(4, "big"))
            else:
                if how == "goaway":
                    connection.frame(GOAWAY, 0, 0, bytes(8))
                connection.transport.close()

        peer = Http2Peer(answer)

        async def main() -> None:
            async with peer, harness(peer.url, http=self.HTTP) as made:
                vu = made.vu()
                for _ in range(30 // at_once):
                    replies = await asyncio.gather(*(vu.get("/") for _ in range(at_once)))
                    assert all(reply.status == 200 or reply.error in ("reset", "protocol") for reply in replies)
                reported = made.take().table.get("http_reqs").value
                assert reported == 30 == peer.requests

        run(main())

    @pytest.mark.parametrize("how", ["refused", "goaway", "reset"])
    def test_what_was_not_processed_looks_like_a_reset(self, run: Run, how: str) -> None:
        """libcurl tells them apart in its verbose output only, so none of them is sent again."""

        def answer(connection: Http2Connection, stream: int) -> None:
            if peer.requests % 2:
                connection.ok(stream)
            elif how == "refused":
                connection.frame(RST_STREAM, 0, stream, REFUSED_STREAM.to_bytes(4, "big"))
            elif how == "goaway":
                connection.frame(GOAWAY, 0, 0, (stream - 2).to_bytes(4, "big") + bytes(4))
            else:
                reset(connection.transport)

        async def main() -> None:
            async with peer, harness(peer.url, http=self.HTTP) as made:
                vu = made.vu()
                assert (await vu.get("/")).status == 200
                reply = await vu.get("/")
                assert (reply.error, reply.tries, peer.requests) == ("reset", 1, 2)
                assert reply.message == "the server closed the connection without an answer"

        peer = Http2Peer(answer)
        run(main())

    def test_frames_on_an_idle_connection_are_no_answer(self, run: Run) -> None:
        """A ping is not for a request: the connection stays in use until it ends."""

        async def main() -> None:
            async with Http2Peer(Http2Connection.ok) as peer, harness(peer.url, http=self.HTTP) as made:
                vu = made.vu()
                for _ in range(3):
                    assert (await vu.get("/")).status == 200
                    peer.connections[-1].frame(PING, 0, 0, bytes(8))
                    await asyncio.sleep(0.02)
                assert len(peer.connections) == 1
                peer.connections[-1].transport.close()
                await until(lambda: not peer.open)
                await asyncio.sleep(0.02)
                reply = await vu.get("/")
                assert (reply.status, reply.message, reply.tries, len(peer.connections)) == (200, "", 2, 2)

        run(main())


class TestChallenges:
    def test_what_digest_sends_in_addition_is_counted(self, run: Run) -> None:
        async def main() -> None:
            server, http = DigestServer(), HttpSettings(timeout_s=10, auth=Auth("digest", "ada", "lovelace"))
            async with serving(server) as port, harness(f"http://127.0.0.1:{port}", http=http) as made:
                vu = made.vu()
                for _ in range(3):
                    assert (await vu.post("/a", data=b"x")).status == 200
                    server.nonce += "a"
                table = made.take().table
                assert table.get("http_reqs").value == 3
                assert table.get("http_reqs").value + table.get("http_auth_challenges").value == len(server.seen)

        run(main())

    def test_a_request_that_died_is_no_challenge(self, run: Run) -> None:
        """The server answers the first request of a connection, and reads the second and closes."""

        def dying(connection: Connection, _head: bytes) -> None:
            if sum(number == connection.number for number, _ in peer.requests) == 1:
                connection.reply()
            else:
                connection.transport.close()

        peer = Peer(dying)

        async def main() -> None:
            http = HttpSettings(timeout_s=10, auth=Auth("digest", "ada", "lovelace"))
            async with peer, harness(peer.url, http=http) as made:
                vu = made.vu()
                assert [(await vu.get("/")).error for _ in range(6)] == ["", "reset"] * 3
                assert len(peer.requests) == 6
                assert made.take().table.get("http_auth_challenges") is None

        run(main())


class TestScriptsThatCompute:
    def test_a_connection_that_was_closed_meanwhile_is_not_written_to(self) -> None:
        """The loop stands still while the script computes, and the server closes."""

        async def main() -> None:
            process = subprocess.Popen(
                [sys.executable, str(SERVER), "answer_close"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            try:
                port = int(process.stdout.readline())
                async with harness(f"http://127.0.0.1:{port}") as made:
                    vu = made.vu()
                    for number in range(20):
                        reply = await vu.post("/", data=b"x", headers={"x-number": str(number)})
                        assert (reply.status, reply.error, reply.tries) == (200, "", 1 + (number > 0))
                        deadline = time.perf_counter() + 0.05
                        while time.perf_counter() < deadline:
                            pass
                    assert made.take().table.get("http_req_retried").value == 19
            finally:
                process.kill()
                process.communicate()

        uvloop.run(main())

    def test_the_request_after_a_reply_cut_within_its_headers(self, run: Run) -> None:
        def cut(connection: Connection, head: bytes) -> None:
            if b"/cut" in head:
                connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                connection.transport.close()
            else:
                connection.reply()

        async def main() -> None:
            async with Peer(cut) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(5):
                    assert (await vu.get("/cut")).error == "partial"
                    assert (await vu.get("/ok")).status == 200
                assert len(peer.requests) == 10

        run(main())


class TestConnectionsClosedHere:
    @pytest.mark.parametrize("limit", [{"max_connection_requests": 2}, {"connection_reuse": "iteration"}])
    def test_to_leave_one_is_no_retry(self, run: Run, limit: dict[str, Any]) -> None:
        async def main() -> None:
            http = HttpSettings(timeout_s=10, **limit)
            async with Peer(lambda connection, _head: connection.reply()) as peer, harness(peer.url, http=http) as made:
                vu = made.vu()
                for number in range(4):
                    vu._begin_iteration(0, number)
                    for _ in range(2):
                        assert (await vu.get("/")).tries == 1
                    vu._end_iteration()
                assert len(peer.connections) == 4
                assert made.take().table.get("http_req_retried") is None

        run(main())

    def test_a_paused_stream_is_not_idle(self, run: Run) -> None:
        async def main() -> None:
            body = b"x" * 2_000_000
            async with Peer(lambda connection, _head: connection.reply(body)) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(5):
                    async with vu.stream("GET", "/") as reply:
                        await asyncio.sleep(0.02)
                        assert len(await reply.read()) == len(body)
                assert (len(peer.connections), len(peer.requests)) == (1, 5)

        run(main())
