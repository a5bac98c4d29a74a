"""WebSockets against a real server in another process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

import fastload as fl
from fastload.load.client import websocket
from fastload.load.client.websocket import INBOX_BYTES
from fastload.model.http_settings import HttpSettings
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, PerVUIterations, SharedIterations
from fastload.model.metrics import Series
from tests.conftest import REPO, wait_until
from tests.load.executors.vus import count, executor_of, ok, play, stop_now, work_of
from tests.load.harness import Harness, Peer, Run, harness, until


@dataclass(frozen=True)
class Server:
    """A running `websocket_server`."""

    url: str

    @property
    def http(self) -> str:
        return self.url.replace("ws", "http", 1)

    def closes(self) -> dict[str, int]:
        """How many sessions were closed with which code."""
        with urllib.request.urlopen(f"{self.http}/closes") as answer:
            found: dict[str, int] = json.load(answer)
            return found

    def wait_for_closes(self, before: dict[str, int], code: int, wanted: int) -> None:
        """Until *wanted* more than *before* were closed with *code*."""
        wait_until(lambda: self.closes().get(str(code), 0) - before.get(str(code), 0) >= wanted)


def serving(*files: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.load.client.websocket_server", *files]
    process = subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    with process:
        try:
            port = process.stdout.readline().strip()
            yield Server(f"{'wss' if files else 'ws'}://127.0.0.1:{port}")
        finally:
            process.stdin.close()
            process.wait(20)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from serving()


@dataclass(frozen=True)
class Secure:
    server: Server
    ca_file: Path


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("wss")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    for made in serving(str(folder / "cert.pem"), str(folder / "key.pem")):
        yield Secure(made, folder / "ca.pem")


class Relay:
    """Stands between this side and *server*, and counts what passes."""

    def __init__(self, server: str) -> None:
        self._server_port = int(server.rpartition(":")[2])
        self.sent_bytes = self.received_bytes = self.open = 0

    async def __aenter__(self) -> Relay:
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await self._listener.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        await asyncio.gather(self._pump(reader, back, "sent_bytes"), self._pump(there, writer, "received_bytes"))
        self.open -= 1

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: str) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                setattr(self, counter, getattr(self, counter) + len(data))
                writer.write(data)
                await writer.drain()
        writer.close()


def values(made: Harness) -> dict[str, float]:
    """Counts and sums of the WebSocket metrics since the last call."""
    table = made.take().table
    found = {}
    for name in ("ws_sessions", "ws_msgs_sent", "ws_msgs_received"):
        found[name] = table.get(name).value if table.get(name) else 0
    for name in ("ws_connecting", "ws_session_duration", "ws_ping"):
        found[name] = table.get(name).count if table.get(name) else 0
    failed = table.get("ws_failed")
    return found | {"ended": failed.total if failed else 0, "failed": failed.trues if failed else 0}


class TestMessages:
    def test_text_and_bytes_come_back(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                before = server.closes()
                async with made.vu().websocket("/echo") as ws:
                    for message in ("hello", b"\x00\xff", "", b"", "ü" * 1000):
                        await ws.send(message)
                        assert await ws.receive() == message
                assert (ws.closed, ws.code) == (True, 1000)
                assert values(made) == {
                    "ws_sessions": 1,
                    "ws_connecting": 1,
                    "ws_session_duration": 1,
                    "ws_msgs_sent": 5,
                    "ws_msgs_received": 5,
                    "ws_ping": 0,
                    "ended": 1,
                    "failed": 0,
                }
                server.wait_for_closes(before, 1000, 1)

        run(main())

    def test_large_messages(self, run: Run, server: Server) -> None:
        message = bytes(range(256)) * 4096 * 4

        async def main() -> None:
            async with harness(server.url) as made, made.vu().websocket("/echo") as ws:
                await asyncio.gather(*(ws.send(message) for _ in range(3)))
                for _ in range(3):
                    assert await ws.receive(20) == message
                assert made.take().table.get("ws_msgs_received").value == 3

        run(main())

    def test_fragments_are_one_message(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                async with made.vu().websocket("/fragments") as ws:
                    seen = [message async for message in ws]
                assert seen == ["one message in parts", b"\x00" * 1000 + b"\x01" * 1000, ""]
                assert (ws.code, values(made)["failed"]) == (1000, 0)

        run(main())

    @pytest.mark.parametrize("path", ["/echo", "/fragments", "/pings", "/nowhere"])
    def test_bytes_are_those_on_the_wire(self, run: Run, server: Server, path: str) -> None:
        async def main() -> None:
            asked = (
                Series.of("data_sent", scenario="test"),
                Series.of("data_received", scenario="other"),
                Series.of("data_received", kind="chat"),
            )
            async with Relay(server.url) as relay, harness(relay.url, filters=asked) as made:
                with suppress(fl.WebSocketError):
                    async with made.vu().websocket(path, tags={"kind": "chat"}) as ws:
                        if path == "/echo":
                            for message in ("", "x" * 125, b"y" * 126, "ü" * 40_000, b"z" * 3_000_000):
                                await ws.send(message)
                                assert await ws.receive(20) == message
                            await ws.ping()
                        if path == "/pings":
                            await ws.receive(20)
                        if path == "/fragments":
                            assert len([message async for message in ws]) == 3
                await until(lambda: relay.open == 0)
                table = made.take().table
                moved = table.get("data_sent").value, table.get("data_received").value
                assert moved == (relay.sent_bytes, relay.received_bytes)
                assert (table.series_values[asked[0]].value, table.series_values[asked[2]].value) == moved
                assert asked[1] not in table.series_values
                assert [one.label for one in table.series_values if one.metric == "data_sent" and one not in asked] == [
                    "data_sent"
                ]
                if path == "/echo":
                    assert min(moved) > 3_080_000

        run(main())

    def test_receive_with_a_limit(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made, made.vu().websocket("/echo") as ws:
                with pytest.raises(TimeoutError):
                    await ws.receive(timeout_s=0.02)
                await ws.send("late")
                assert await ws.receive(timeout_s=20) == "late"

        run(main())

    def test_pings_of_both_sides(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                vu = made.vu()
                async with vu.websocket("/echo") as ws:
                    times_ms = [await ws.ping() for _ in range(3)]
                    assert all(0 < time_ms < 20_000 for time_ms in times_ms)
                    assert len(await asyncio.gather(ws.ping(), ws.ping())) == 2
                table = made.take().table
                assert (table.get("ws_ping").count, table.get("ws_msgs_sent")) == (5, None)
                async with vu.websocket("/pings") as ws:
                    # The answer to a ping is made while the script does something else.
                    await asyncio.sleep(0.05)
                    assert await ws.receive(20) == "the pong came"

        run(main())

    def test_one_that_is_slow_to_receive_makes_the_server_wait(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made, made.vu().websocket("/flood") as ws:
                await until(lambda: ws._paused)
                assert ws._inbox_bytes <= INBOX_BYTES + 65_536
                for _ in range(200):
                    assert len(await ws.receive()) == 65_536
                await until(lambda: ws._paused)
                assert ws._inbox_bytes <= INBOX_BYTES + 65_536
                async with asyncio.timeout(20):
                    # What waits is not in the way of the close.
                    await ws.close(timeout_s=60)

        run(main())

    def test_two_receivers_are_refused(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made, made.vu().websocket("/echo") as ws:
                first = asyncio.ensure_future(ws.receive())
                await asyncio.sleep(0)
                with pytest.raises(fl.FastloadError, match="two coroutines receive"):
                    await ws.receive()
                await ws.send("a")
                assert await first == "a"

        run(main())


class TestHandshake:
    def test_what_the_server_is_told(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.http, http=HttpSettings(headers=("X-Run: 1",))) as made:
                session = made.vu().websocket(
                    "/tells", params={"a": "b"}, headers={"X-Own": "2"}, subprotocols=("v2", "v1"), cookies={"id": "7"}
                )
                async with session as ws:
                    told: dict[str, Any] = json.loads(await ws.receive())
                    headers = {name.lower(): value for name, value in told["headers"].items()}
                    assert (told["path"], headers["x-run"], headers["x-own"]) == ("/tells?a=b", "1", "2")
                    assert headers["cookie"] == "id=7"
                    assert headers["user-agent"].startswith("fastload/")
                    assert ws.subprotocol == "v2"
                    assert ws.headers["upgrade"] == "websocket"

        run(main())

    def test_text_outside_ascii(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.http) as made:
                own: Any = {"params": {"ü": "ß"}, "cookies": {"id": "é"}, "headers": {"X-Own": "ü"}}
                async with made.vu().websocket("/tells?ä b", **own) as ws:
                    told = json.loads(await ws.receive())
                    assert told["path"] == "/tells?%C3%A4%20b&%C3%BC=%C3%9F"
                    headers = {name.lower(): value for name, value in told["headers"].items()}
                    sent = [headers[name].encode("latin-1") for name in ("x-own", "cookie")]
                    assert sent == ["ü".encode(), "id=é".encode()]

        run(main())

    def test_series_by_name_group_and_tags(self, run: Run, server: Server) -> None:
        asked = [Series.of("ws_msgs_sent", group="chat", kind="x"), Series.of("ws_failed", error="http_403")]

        async def main() -> None:
            async with harness(server.url, filters=asked) as made:
                vu = made.vu()
                async with vu.group("chat"), vu.websocket("/echo", name="chat", tags={"kind": "x"}) as ws:
                    await ws.send("a")
                with pytest.raises(fl.WebSocketError):
                    async with vu.websocket("/forbidden"):
                        pass
                table = made.take().table
                assert table.series_values[asked[0]].value == 1
                assert (table.series_values[asked[1]].trues, table.series_values[asked[1]].total) == (1, 1)
                assert table.series_values[Series.of("ws_sessions", name_="chat")].value == 1
                assert table.series_values[Series.of("ws_failed", name_="/forbidden")].trues == 1

        run(main())

    @pytest.mark.parametrize(
        ("path", "kind", "said"),
        [
            ("/forbidden", "http_403", "/forbidden could not be opened: the server answered 403"),
            ("ws://127.0.0.1:1/x", "connect_refused", "/x could not be opened: Failed to connect"),
        ],
    )
    def test_refused(self, run: Run, server: Server, path: str, kind: str, said: str) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                vu = made.vu()
                with pytest.raises(fl.WebSocketError, match=said) as refused:
                    async with vu.websocket(path):
                        pytest.fail("the block must not begin")
                assert refused.value.kind == kind
                assert vu._request_count == 0
                delta = made.take()
                assert (delta.table.get("ws_failed").trues, delta.table.get("ws_sessions")) == (1, None)
                assert {kind: count for kind, (count, _) in delta.errors.entries.items()} == {kind: 1}

        run(main())

    def test_a_server_that_speaks_only_http(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                with pytest.raises(fl.WebSocketError, match="the server answered 200"):
                    async with made.vu().websocket("/"):
                        pass
                assert made.errors() == {"http_200": 1}

        run(main())

    def test_a_server_that_never_answers(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(lambda _connection, _head: None) as peer, harness(peer.url) as made:
                with pytest.raises(fl.WebSocketError) as refused:
                    async with made.vu().websocket("/", timeout="50ms"):
                        pass
                assert refused.value.kind == "timeout"
                await until(lambda: not peer.open)

        run(main())

    def test_tls(self, run: Run, secure: Secure) -> None:
        message = "x" * 1_000_000

        async def main() -> None:
            settings = HttpSettings(ca_file=str(secure.ca_file))
            async with harness(secure.server.url, http=settings) as made, made.vu().websocket("/echo") as ws:
                for _ in range(3):
                    await ws.send(message)
                    assert await ws.receive(20) == message
                assert await ws.ping() > 0
            async with harness(secure.server.url) as made:
                with pytest.raises(fl.WebSocketError) as refused:
                    async with made.vu().websocket("/echo"):
                        pass
                assert refused.value.kind == "tls_verify"

        run(main())

    def test_options_that_make_no_sense(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                with pytest.raises(fl.PlanError, match="a WebSocket has no option 'json'"):
                    made.vu().websocket("/", json={})

        run(main())


class TestEnds:
    @pytest.mark.parametrize(("code", "failed"), [(1000, 0), (1001, 0), (1011, 1), (4000, 1)])
    def test_the_server_closes(self, run: Run, server: Server, code: int, failed: int) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                vu = made.vu()
                async with vu.websocket(f"/close/{code}") as ws:
                    assert await ws.receive() == "before"
                    with pytest.raises(fl.WebSocketClosed, match=f"closed with {code} as it was asked to") as closed:
                        await ws.receive(20)
                    assert (closed.value.code, closed.value.reason) == (code, "as it was asked to")
                    with pytest.raises(fl.WebSocketClosed):
                        await ws.send("too late")
                    with pytest.raises(fl.WebSocketClosed):
                        await ws.ping()
                delta = made.take()
                assert (delta.table.get("ws_failed").trues, delta.table.get("ws_failed").total) == (failed, 1)
                assert set(delta.errors.entries) == ({"ws_closed"} if failed else set())
                async with vu.websocket(f"/close/{code}") as ws:
                    if failed:
                        with pytest.raises(fl.WebSocketClosed):
                            _ = [message async for message in ws]
                    else:
                        assert [message async for message in ws] == ["before"]

        run(main())

    def test_the_connection_breaks(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                async with made.vu().websocket("/drop") as ws:
                    assert await ws.receive() == "before"
                    with pytest.raises(fl.WebSocketError, match="the connection broke") as broke:
                        await ws.receive(20)
                    assert (broke.value.kind, ws.code) == ("reset", 1006)
                assert made.errors() == {"reset": 1}

        run(main())

    def test_this_side_closes_with_a_code(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                before = server.closes()
                async with made.vu().websocket("/echo") as ws:
                    await ws.close(4001, "enough")
                    await ws.close()
                    assert (ws.code, ws.closed) == (4001, True)
                server.wait_for_closes(before, 4001, 1)
                assert values(made)["failed"] == 0

        run(main())

    def test_a_server_that_does_not_answer_the_close(
        self, run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.05)

        async def main() -> None:
            async with harness(server.url) as made:
                async with made.vu().websocket("/mute") as ws:
                    await ws.close(timeout_s=0.05)
                assert ws.code == 1000
                found = values(made)
                assert (found["ended"], found["failed"]) == (1, 0)

        run(main())

    def test_an_exception_in_the_block_closes_it_and_goes_on(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                before = server.closes()
                with pytest.raises(ValueError, match="odd"):
                    async with made.vu().websocket("/echo"):
                        raise ValueError("odd")
                server.wait_for_closes(before, 1000, 1)
                assert values(made)["failed"] == 0

        run(main())

    def test_at_the_end_of_the_run_sessions_are_closed(self, run: Run, server: Server) -> None:
        async def visit(vu: fl.VU) -> None:
            async with vu.websocket("/echo") as ws:
                await ws.receive()

        async def main() -> None:
            async with harness(server.url) as made:
                before = server.closes()
                work = work_of(made, visit)
                executor = executor_of(work, PerVUIterations(vus=5, iterations=1, duration_s=20))
                playing = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: sum(len(vu._sockets) for vu in work._running) == 5)
                stop_now(made, work, executor)
                await playing
                work.close()
                server.wait_for_closes(before, 1001, 5)
                delta = made.take()
                assert delta.stats.iterations_interrupted == 5
                assert (count(delta, "ws_sessions"), delta.table.get("ws_failed").trues) == (5, 0)
                assert delta.table.get("ws_session_duration").count == 5

        run(main())

    def test_interrupted_while_it_connects(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            async with vu.websocket("/"):
                pass

        async def main() -> None:
            async with Peer(lambda _connection, _head: None) as peer, harness(peer.url) as made:
                work = work_of(made, visit)
                executor = executor_of(work, SharedIterations(vus=1, iterations=1, duration_s=20))
                playing = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: bool(peer.requests))
                stop_now(made, work, executor)
                await playing
                work.close()
                await until(lambda: not peer.open)
                assert made.take().table.get("ws_failed") is None

        run(main())

    def test_a_vu_that_leaves_takes_its_sockets_along(self, run: Run, server: Server) -> None:
        async def main() -> None:
            async with harness(server.url) as made:
                vu = made.vu()
                ws = await vu.websocket("/echo").__aenter__()
                vu._close()
                assert (ws.closed, values(made)["failed"]) == (True, 0)

        run(main())


class TestMany:
    def test_a_thousand_sockets_in_one_worker(self, server: Server) -> None:
        async def chat(vu: fl.VU) -> None:
            async with vu.websocket("/echo") as ws:
                for number in range(3):
                    await ws.send(f"{vu.id} {number}")
                    if await ws.receive() != f"{vu.id} {number}":
                        fl.fail("another one's message")
                # Until all are there.
                await vu.sleep(1)

        summary = fl.run(chat, vus=1000, executor="per-vu-iterations", iterations=1, workers=1, base_url=server.http)
        metrics = summary.metrics
        assert summary.errors.to_list() == summary.exceptions.to_list() == []
        assert (metrics["ws_sessions"].count, metrics["ws_failed"].fails) == (1000, 0)
        assert metrics["ws_msgs_sent"].count == metrics["ws_msgs_received"].count == 3000
        assert metrics["ws_connecting"].count == metrics["ws_session_duration"].count == 1000
        assert "Nothing was measured" not in summary.verdict.limit
        assert "ws_session_duration" in fl.summary_text(summary)

    def test_sockets_and_requests_share_the_engine(self, run: Run, server: Server) -> None:
        async def visit(vu: fl.VU) -> None:
            async with vu.websocket(f"{server.url}/echo") as ws:
                for _ in range(5):
                    await asyncio.gather(vu.get("/"), ws.send("a"))
                    await ws.receive()

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                await play(work_of(made, visit), ConstantVUs(vus=10, duration_s=0.3))
                delta = made.take()
                assert not delta.errors.entries
                assert count(delta, "http_reqs") == count(delta, "ws_msgs_received") >= 50
                assert count(delta, "ws_sessions") >= 10

        run(main())

    def test_what_comes_after_it_has_no_due_time(self, run: Run, server: Server) -> None:
        async def visit(vu: fl.VU) -> None:
            async with vu.websocket(f"{server.url}/echo"):
                await vu.get("/")

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                await play(work_of(made, visit), ConstantArrivalRate(100.0, 0.03, 5))
                delta = made.take()
                assert (delta.table.get("http_req_response_time"), count(delta, "http_reqs")) == (None, 3)

        run(main())

    def test_descriptor_numbers_are_reused(self, run: Run, server: Server) -> None:
        """A socket that is closed leaves its number to the next, which may be a request's."""

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(20):
                    async with vu.websocket(f"{server.url}/echo") as ws:
                        await ws.send("a")
                        assert await ws.receive(20) == "a"
                    assert (await vu.get("/")).ok
                    for connection in list(peer.open):
                        connection.transport.abort()
                    await until(lambda: not peer.open)

        run(main())
