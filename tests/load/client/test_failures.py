"""Requests of a VU that get no answer, on both loops: what failed, and what is given up; and TLS, which may fail."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.vu import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S
from fastload.load.engine.curl_options import supports
from fastload.model.http_settings import HttpSettings
from tests.conftest import Nginx, free_port
from tests.load.client.peer_answers import ok, silent, slow_on_request
from tests.load.harness import SETTINGS, Connection, Peer, Run, harness, until


class TestFailures:
    """A failed request is a reply: no exception, status 0, and the kind of the failure."""

    @staticmethod
    async def failure(url: str, http: HttpSettings = SETTINGS) -> str:
        """The kind, after checking all that failures have in common."""
        async with harness(url, http=http) as made:
            reply = await made.vu(headers=True).get("/x")
            assert (reply.ok, reply.status) == (False, 0)
            assert reply.error
            assert reply.message
            assert reply.error in repr(reply)
            delta = made.take()
            assert (delta.stats.started, delta.stats.failed, delta.stats.finished) == (1, 1, 0)
            (kind, (count, message)) = next(iter(delta.errors.entries.items()))
            assert (kind, count) == (reply.error, 1)
            assert message == f"GET {url}/x: {reply.message}"
            assert delta.table.get("http_req_duration") is None
            return reply.error

    def test_refused(self, run: Run) -> None:
        async def main() -> None:
            assert await self.failure(f"http://127.0.0.1:{free_port()}") == "connect_refused"

        run(main())

    def test_timeout(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer:
                assert await self.failure(peer.url, HttpSettings(timeout_s=0.1)) == "timeout"

        run(main())

    def test_timeout_on_a_kept_connection(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url, http=HttpSettings(timeout_s=0.1)) as made:
                vu = made.vu()
                assert (await vu.get("/")).ok
                assert (await vu.get("/slow")).error == "timeout"
                assert len(peer.connections) == 1
                assert vu._back_off_s == 0

        run(main())

    def test_connect_timeout(self, run: Run) -> None:
        async def main() -> None:
            with socket.socket() as full, socket.socket() as filler:
                full.bind(("127.0.0.1", 0))
                # The kernel drops further SYNs when the queue of one is taken.
                full.listen(0)
                filler.connect(full.getsockname())
                url = f"http://127.0.0.1:{full.getsockname()[1]}"
                assert await self.failure(url, HttpSettings(timeout_s=0.2)) == "connect_timeout"

        run(main())

    def test_unknown_host(self, run: Run) -> None:
        async def main() -> None:
            assert await self.failure("http://nowhere.invalid") == "dns"

        run(main())

    def test_malformed(self, run: Run) -> None:
        async def main() -> None:
            assert await self.failure("http://127.0.0.1:99999999") == "url"

        run(main())

    def test_garbage(self, run: Run) -> None:
        def answer(connection: Connection, _head: bytes) -> None:
            connection.transport.write(b"this is no HTTP\r\n\r\n")

        async def main() -> None:
            async with Peer(answer) as peer:
                assert await self.failure(peer.url) == "protocol"

        run(main())

    def test_reset(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(lambda connection, _: connection.reset()) as peer:
                assert await self.failure(peer.url) == "reset"

        run(main())

    def test_closed_without_an_answer(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(lambda connection, _: connection.transport.close()) as peer:
                assert await self.failure(peer.url) == "reset"
            async with Peer(lambda connection, _: connection.transport.close()) as peer, harness(peer.url) as made:
                reply = await made.vu().get("/")
                assert reply.message == "the server closed the connection without an answer"

        run(main())

    def test_partial(self, run: Run) -> None:
        def answer(connection: Connection, _head: bytes) -> None:
            connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            connection.transport.close()

        async def main() -> None:
            async with Peer(answer) as peer:
                assert await self.failure(peer.url) == "partial"

        run(main())

    def test_the_next_request_is_not_touched(self, run: Run) -> None:
        def answer(connection: Connection, head: bytes) -> None:
            if b"/half" in head:
                connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Half: 1\r\n\r\nhalf")
                connection.transport.close()
            else:
                connection.reply(b"whole")

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                assert (await vu.get("/half")).error == "partial"
                reply = await vu.get("/")
                assert (reply.text, reply.headers) == ("whole", {"content-length": "5"})

        run(main())

    def test_back_off_grows_and_ends(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(http=HttpSettings(timeout_s=0.5)) as made:
                vu = made.vu()
                refused = f"http://127.0.0.1:{free_port()}/"
                seen = []
                for _ in range(9):
                    await vu.get(refused)
                    seen.append(vu._back_off_s)
                doubled = [FIRST_BACK_OFF_S * 2**count for count in range(9)]
                assert seen == pytest.approx([min(LONGEST_BACK_OFF_S, pause) for pause in doubled])
                await vu.get(peer.url + "/")
                assert vu._back_off_s == 0
                await vu.get(refused)
                await vu.get(peer.url + "/slow")
                assert vu._back_off_s == 0, "a server that accepts and then fails is not refusing"

        run(main())


class TestTls:
    def test_an_unknown_authority(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            assert await TestFailures.failure(nginx.tls) == "tls_verify"

        run(main())

    def test_a_known_authority(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.tls, http=HttpSettings(ca_file=str(nginx.ca_file))) as made:
                assert (await made.vu().get("/")).text == "hello"
                assert made.take().table.get("http_req_tls_handshaking").max > 0

        run(main())

    def test_unverified(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.tls, http=HttpSettings(verify_tls=False)) as made:
                assert (await made.vu().get("/")).ok

        run(main())

    def test_tls_where_plain_http_is_spoken(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer:
                url = peer.url.replace("http:", "https:")
                assert await TestFailures.failure(url, HttpSettings(timeout_s=0.2)) in ("tls", "tls_timeout")

        run(main())

    def test_http_2(self, run: Run, nginx: Nginx) -> None:
        if not supports("2"):
            pytest.skip("this libcurl has no HTTP/2")

        async def main() -> None:
            for version, line in (("2", "HTTP/2"), ("1.1", "HTTP/1.1")):
                http = HttpSettings(ca_file=str(nginx.ca_file), http_version=version)  # type: ignore[arg-type]
                async with harness(nginx.tls, http=http) as made:
                    vu = made.vu(headers=True)
                    first = await vu.get("/")
                    assert first.text == "hello"
                    assert first._header_lines is not None
                    assert first._header_lines[0].decode().split()[0] == line
                    replies = await asyncio.gather(*(vu.get("/") for _ in range(5)))
                    assert [reply.text for reply in replies] == ["hello"] * 5

        run(main())


class TestCancelling:
    def test_a_slow_request_is_given_up(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(3):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.03):
                            await vu.get("/slow")
                    assert vu._in_flight == made.in_flight == 0
                    assert (await vu.get("/after")).text == "/after"
                stats = made.take().stats
                assert (stats.started, stats.finished, stats.failed, stats.interrupted) == (6, 3, 3, 0)

        run(main())

    def test_half_a_body_is_forgotten(self, run: Run) -> None:
        def answer(connection: Connection, head: bytes) -> None:
            if b"/half" in head:
                connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Half: 1\r\n\r\nhalf")
            else:
                connection.reply(b"whole")

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                half = asyncio.create_task(vu.request("GET", "/half"))
                await until(lambda: bool(vu._transfers and vu._transfers[0].chunks))
                half.cancel()
                await asyncio.wait([half])
                reply = await vu.get("/")
                assert (reply.text, reply.headers) == ("whole", {"content-length": "5"})

        run(main())

    def test_one_of_many(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                vu = made.vu()
                slow = asyncio.create_task(vu.request("GET", "/slow"))
                await until(lambda: len(peer.requests) == 1)
                assert (await vu.get("/1")).text == "/1"
                slow.cancel()
                replies = await asyncio.gather(slow, vu.get("/2"), return_exceptions=True)
                assert isinstance(replies[0], asyncio.CancelledError)
                assert isinstance(replies[1], fl.Reply)
                assert replies[1].text == "/2"
                assert made.take().stats.failed == 1

        run(main())

    def test_before_it_was_sent(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                task = asyncio.create_task(vu.request("GET", "/"))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert (await vu.get("/")).text == "hello"
                stats = made.take().stats
                assert stats.started == stats.finished + stats.failed

        run(main())

    def test_while_the_run_stops_nothing_is_sent(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                made.context.stopping = True
                with pytest.raises(asyncio.CancelledError):
                    await vu.get("/")
                with pytest.raises(asyncio.CancelledError):
                    await vu.sleep(10)
                assert made.take().stats.started == 0

        run(main())


class TestRefusals:
    """Responses with a bad status that say when to try again, as those of a rate limit do."""

    @pytest.mark.parametrize(
        ("status", "header", "options", "counted"),
        [
            ("429", "Retry-After: 7", {}, 1),
            ("503", "retry-after: 1", {}, 1),
            ("429", "", {}, 0),
            ("500", "Retry-After: 7", {}, 0),
            ("200", "Retry-After: 7", {}, 0),
            ("429", "Retry-After: 7", {"expected": 200}, 1),
            # A status that the script expects is no refusal.
            ("429", "Retry-After: 7", {"expected": 429}, 0),
        ],
    )
    def test_are_counted(self, run: Run, status: str, header: str, options: dict[str, Any], counted: int) -> None:
        def refuse(connection: Connection, _head: bytes) -> None:
            connection.reply(status=f"{status} Status", headers=f"{header}\r\n" if header else "")

        async def main() -> None:
            async with Peer(refuse) as peer, harness(peer.url) as made:
                await made.vu().get("/", **options)
                assert made.take().stats.retry_after == counted

        run(main())
