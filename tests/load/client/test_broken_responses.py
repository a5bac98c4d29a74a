"""Responses that end too early or are not valid, from a raw server: each is a failure of the right kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import fastload as fl
from fastload.load.executors.connection_pool import ConnectionPool
from fastload.load.executors.request_sources import FixedRequest
from fastload.model.http_settings import HttpSettings
from tests.load.client.transport_servers import client, serving
from tests.load.harness import Connection, Peer, Run, harness, until


def raw(data: bytes) -> Callable[[Connection, bytes], None]:
    """An answer of these bytes, after which the connection is closed."""

    def answer(connection: Connection, _head: bytes) -> None:
        connection.transport.write(data)
        connection.transport.close()

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CUT = {
    "after the status line": OK,
    "within a line": OK + b"Content-Le",
    "after the length": OK + b"Content-Length: 5\r\n",
    "after a length of 0": OK + b"Content-Length: 0\r\n",
    "after the encoding": OK + b"Transfer-Encoding: chunked\r\n",
    "with a status without a body": b"HTTP/1.1 204 No Content\r\nServer: b",
    "with a bad status": b"HTTP/1.1 404 Not Found\r\nServer: b",
    "within a redirect": b"HTTP/1.1 302 Found\r\nLocation: /a",
    "within an interim response": b"HTTP/1.1 100 Continue\r\n",
    "after an interim response": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: ",
}
COMPLETE = {
    "no body": OK + b"Content-Length: 0\r\n\r\n",
    "a status without a body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a body of no chunks": CHUNKED + b"0\r\n\r\n",
    "no chunks and a trailer": CHUNKED + b"0\r\nServer-Timing: a\r\n\r\n",
    "an empty body up to the close": OK + b"\r\n",
    "an empty body of HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "a body of HTTP/1.0 up to the close": b"HTTP/1.0 200 OK\r\n\r\nhello",
}


class Ten:
    """Ten requests, one after the other."""

    is_open_model = False
    left = 9

    def next(self, _slot: object) -> int | None:
        self.left -= 1
        return 0 if self.left >= 0 else None

    def finish(self) -> None:
        self.left = 0

    def leave(self, slot: object, due_ns: int) -> bool:
        raise AssertionError((slot, due_ns))


class TestCutHeaders:
    """libcurl takes a response without the end of its headers for a complete one."""

    @pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
    @pytest.mark.parametrize("keeps_headers", [False, True])
    def test_each_is_a_failure(self, run: Run, answer: bytes, keeps_headers: bool) -> None:
        async def main() -> None:
            async with Peer(raw(answer)) as peer, harness(peer.url) as made:
                vu = made.vu(headers=keeps_headers)
                for _ in range(3):
                    reply = await vu.get("/")
                    assert (reply.ok, reply.status, reply.error) == (False, 0, "partial")
                    assert "within the headers" in reply.message
                delta = made.take()
                assert {kind: count for kind, (count, _) in delta.errors.entries.items()} == {"partial": 3}
                assert delta.stats.finished == 0

        run(main())

    @pytest.mark.parametrize("answer", COMPLETE.values(), ids=COMPLETE)
    @pytest.mark.parametrize("keeps_headers", [False, True])
    def test_short_ones_that_are_complete_are_none(self, run: Run, answer: bytes, keeps_headers: bool) -> None:
        async def main() -> None:
            async with Peer(raw(answer)) as peer, harness(peer.url) as made:
                vu = made.vu(headers=keeps_headers)
                assert [(await vu.get("/")).ok for _ in range(3)] == [True] * 3

        run(main())

    def test_a_head_without_a_length(self, run: Run) -> None:
        async def main() -> None:
            def answer(connection: Connection, _head: bytes) -> None:
                connection.transport.write(OK + b"Server: a\r\n\r\n")

            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(body=False)
                assert [(await vu.head("/")).ok for _ in range(3)] == [True] * 3
                assert len(peer.connections) == 1

        run(main())

    def test_a_connection_that_said_it_would_close(self, run: Run) -> None:
        """libcurl has closed it as well, so only the lines tell; they are kept from the first such response on."""

        async def main() -> None:
            async with Peer(raw(b"HTTP/1.0 200 OK\r\nServer: ")) as peer, harness(peer.url) as made:
                vu = made.vu()
                await vu.get("/")
                assert [(await vu.get("/")).error for _ in range(3)] == ["partial"] * 3

        run(main())

    def test_behind_a_redirect(self, run: Run) -> None:
        def answer(connection: Connection, head: bytes) -> None:
            if head.startswith(b"GET /end "):
                raw(CUT["within a line"])(connection, head)
            else:
                connection.reply(status="302 Found", headers="Location: /end\r\n")

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu()
                assert [(await vu.get("/")).error for _ in range(3)] == ["partial"] * 3

        run(main())

    def test_in_a_stream_and_in_a_judged_request(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(raw(CUT["within a line"])) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(3):
                    async with vu.stream("GET", "/") as streamed:
                        assert [line async for line in streamed.lines()] == []
                    async with vu.expect("GET", "/") as judged:
                        pass
                    expected = await vu.get("/", expected=200)
                    assert [one.error for one in (streamed, judged, expected)] == ["partial"] * 3
                assert made.errors() == {"partial": 9}

        run(main())

    def test_of_bench(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(raw(CUT["within a line"])) as peer, harness(peer.url) as made:
                pool = ConnectionPool(made.context, FixedRequest("GET", peer.url, name="x"))
                pool.start(pool.acquire(), 0, Ten())
                await until(lambda: not pool.active)
                pool.close()
                assert made.errors() == {"partial": 10}

        run(main())


SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n"
FAILURES = {
    "chunk cut": (CHUNKED + b"5\r\nhel", "partial", "outstanding"),
    "no last chunk": (CHUNKED + b"5\r\nhello\r\n", "partial", "outstanding"),
    "trailer cut": (CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n", "partial", "outstanding"),
    "chunk length is no number": (CHUNKED + b"zz\r\nhello", "protocol", "chunk"),
    "chunk length is too large": (CHUNKED + b"f" * 20 + b"\r\nhello", "protocol", "chunk"),
    "chunk without its end": (CHUNKED + b"5\r\nhelloXX0\r\n\r\n", "protocol", "chunk"),
    "length is no number": (OK + b"Content-Length: abc\r\n\r\n", "protocol", "Content-Length"),
    "length is negative": (OK + b"Content-Length: -2\r\n\r\nok", "protocol", "Content-Length"),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nokok", "protocol", "Content-Length"),
    "length is too large": (OK + b"Content-Length: 99999999999999999999\r\n\r\nok", "protocol", "Content-Length"),
    "length is 2^63, no body": (OK + b"Content-Length: 9223372036854775808\r\n\r\n", "protocol", "below 2^63"),
    "an unknown transfer encoding": (OK + b"Transfer-Encoding: bogus\r\n\r\nok", "protocol", "Transfer-Encoding"),
    "status 000": (b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", "protocol", "response code"),
    "status 099": (b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "protocol", "response code"),
    "status 99": (b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n", "protocol", "HTTP/1"),
    "HTTP/0.9": (b"hello\n", "protocol", "HTTP/0.9"),
    "HTTP/9.9": (b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n", "protocol", "HTTP version"),
    "switched, closed": (SWITCHED, "protocol", "switched"),
    "switched, with bytes": (SWITCHED + b"hello", "protocol", "switched"),
    "switched, with a length": (SWITCHED[:-2] + b"Content-Length: 2\r\n\r\nok", "protocol", "switched"),
    "a header line of 110 KB": (OK + b"X: " + b"a" * 110_000 + b"\r\n\r\n", "too_large", "100 KB"),
    "headers of 350 KB": (OK + (b"X: " + b"a" * 1000 + b"\r\n") * 350 + b"\r\n", "too_large", "headers"),
    "6,000 headers": (OK + b"X: a\r\n" * 6000 + b"\r\n", "too_large", "headers"),
    "20,000 interim responses": (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, "too_large", "headers"),
    "only an interim response": (b"HTTP/1.1 103 Early Hints\r\n\r\n", "reset", "without an answer"),
    "redirect to a file": (
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\nContent-Length: 0\r\n\r\n",
        "redirects",
        "file",
    ),
    "redirect to ftp": (
        b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        "redirects",
        "ftp",
    ),
    **{
        f"redirect to {where}": (
            b"HTTP/1.1 302 Found\r\nLocation: " + where.encode() + b"\r\nContent-Length: 0\r\n\r\n",
            "redirects",
            f"redirects to {where}, which is not a URL: {why}",
        )
        for where, why in {
            "http://:bad:/": "Port",
            "http://": "it has no host",
            "http://a%20b/": "' ' is in its host",
            "http://a%3Cb/": "'<' is in its host",
            "http://127.0.0.1:99999/": "Port out of range",
            "https://[zz]/": "'zz'",
        }.items()
    },
    "redirect to no URL": (
        b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n",
        "redirects",
        "redirect",
    ),
}


@pytest.mark.parametrize(("answer", "kind", "words"), FAILURES.values(), ids=FAILURES)
def test_the_kind_of_each(run: Run, answer: bytes, kind: str, words: str) -> None:
    async def main() -> None:
        async with Peer(raw(answer)) as peer, harness(peer.url) as made:
            vu = made.vu()
            # Header lines are kept for the first responses of a handle only.
            for _ in range(3):
                reply = await vu.get("/")
                assert (reply.error, reply.status, reply.ok) == (kind, 0, False)
                assert words in reply.message
            assert made.take().stats.finished == 0

    run(main())


class TestSwitchingProtocols:
    def test_a_server_that_waits_for_the_other_protocol(self, run: Run) -> None:
        async def main() -> None:
            def answer(connection: Connection, _head: bytes) -> None:
                connection.transport.write(SWITCHED)

            async with Peer(answer) as peer, harness(peer.url, http=HttpSettings(timeout_s=0.3)) as made:
                reply = await made.vu().get("/")
                assert (reply.error, reply.status) == ("protocol", 0)
                assert "switched" in reply.message

        run(main())

    def test_a_request_that_asked_for_it(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(raw(SWITCHED + b"hello")) as peer, harness(peer.url) as made:
                reply = await made.vu().get("/", headers={"upgrade": "chat", "connection": "upgrade"})
                assert (reply.error, reply.status, reply.text) == ("", 101, "hello")

        run(main())

    def test_of_bench(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(raw(SWITCHED + b"hello")) as peer, harness(peer.url) as made:
                pool = ConnectionPool(made.context, FixedRequest("GET", peer.url, name="x"))
                pool.start(pool.acquire(), 0, Ten())
                await until(lambda: not pool.active)
                pool.close()
                assert made.errors() == {"protocol": 10}

        run(main())


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2: RFC 9113, section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS_FRAMES = frame(4, 0, 0) + frame(4, 1, 0)
STATUS_200 = b"\x88"
HTTP2 = {
    "closed before the response": (SETTINGS_FRAMES, ("reset",)),
    "within the headers": (SETTINGS_FRAMES + frame(1, 0, 1, STATUS_200), ("partial",)),
    "within the body": (SETTINGS_FRAMES + frame(1, 4, 1, STATUS_200) + frame(0, 0, 1, b"hello"), ("partial",)),
    "reset by the server": (SETTINGS_FRAMES + frame(1, 4, 1, STATUS_200) + frame(3, 0, 1, b"\0\0\0\2"), ("partial",)),
    "not HTTP/2": (COMPLETE["no body"], ("protocol",)),
    "complete": (SETTINGS_FRAMES + frame(1, 5, 1, STATUS_200), ("",)),
}


@pytest.mark.parametrize(("answer", "kinds"), HTTP2.values(), ids=HTTP2)
def test_http2(run: Run, answer: bytes, kinds: tuple[str, ...]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The request, whose HEADERS come after the preface and SETTINGS, must be read: unread bytes would reset.
        await reader.readuntil(b"\x01")
        writer.write(answer)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with serving(serve) as port, client(http_version="2-prior") as one:
            assert (await one.ask(f"http://127.0.0.1:{port}/")).error in kinds

    run(main())


class TestTlsTimeout:
    """A server that takes the connection, and says nothing in the handshake."""

    @pytest.mark.parametrize(
        "settings", [{"timeout_s": 0.3}, {"timeout_s": 15.0, "connect_timeout_s": 0.3}], ids=["timeout", "connect"]
    )
    def test_nothing_was_sent(self, run: Run, settings: dict[str, Any]) -> None:
        async def main() -> None:
            async with serving(_stalled) as port, client(**settings) as one:
                got = await one.ask(f"https://127.0.0.1:{port}/")
                assert (got.error, got.status) == ("tls_timeout", 0)

        run(main())

    def test_a_request_that_was_sent_is_another_kind(self, run: Run) -> None:
        async def main() -> None:
            async with serving(_stalled) as port, client(timeout_s=0.3) as one:
                assert (await one.ask(f"http://127.0.0.1:{port}/")).error == "timeout"

        run(main())


async def _stalled(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    await asyncio.Event().wait()


class TestSchemes:
    @pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "HTTTP://a/"])
    def test_others_are_refused_before_the_request(self, run: Run, url: str) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:1") as made:
                vu = made.vu()
                with pytest.raises(fl.PlanError, match="only http and https"):
                    await vu.get(url)
                with pytest.raises(fl.PlanError, match="only http and https"):
                    await vu.get(url, timeout=1)
                with pytest.raises(fl.PlanError, match="only http and https"):
                    async with vu.websocket(url):
                        pass
                with pytest.raises(fl.PlanError, match="only http and https"):
                    async with vu.stream("GET", url):
                        pass
                with pytest.raises(fl.PlanError, match="URL of a WebSocket") as raised:
                    await vu.get("ws://127.0.0.1/")
                assert "vu.websocket" in raised.value.hint
                with pytest.raises(fl.PlanError, match=r"scheme|no host"):
                    vu.base_url = url
                assert made.take().stats.started == 0

        run(main())

    def test_libcurl_speaks_no_other_either(self, run: Run) -> None:
        """What builds a URL in another way meets the second line of defence."""

        async def main() -> None:
            async with client() as one:
                got = await one.ask("file:///etc/hostname")
                assert (got.status, got.body, got.error) == (0, b"", "url")
                assert "disabled" in got.message

        run(main())


def test_run_and_bench_have_one_text_for_a_closed_connection(run: Run) -> None:
    async def main() -> None:
        async with Peer(lambda connection, _: connection.transport.close()) as peer, harness(peer.url) as made:
            reply = await made.vu().get("/")
            made.take()
            pool = ConnectionPool(made.context, FixedRequest("GET", peer.url, name="x"))
            pool.start(pool.acquire(), 0, Ten())
            await until(lambda: not pool.active)
            pool.close()
            (kind, (count, first)), *others = made.take().errors.entries.items()
            assert (kind, count, others) == ("reset", 10, [])
            assert reply.message == "the server closed the connection without an answer"
            assert first.endswith(reply.message)

    run(main())
