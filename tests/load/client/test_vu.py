"""A VU against real servers, on both loops: what is sent, what comes back, and what is counted."""

from __future__ import annotations

import asyncio
import contextvars
import json
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.load.client.context import fold_path
from fastload.load.client.vu import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S
from fastload.load.engine.curl_options import supports
from fastload.model.http_settings import HttpSettings
from tests.conftest import Nginx, free_port
from tests.load.harness import SETTINGS, Connection, Peer, Run, harness, lines_of, until


def ok(connection: Connection, _head: bytes) -> None:
    connection.reply()


def silent(_connection: Connection, _head: bytes) -> None:
    """Never answers."""


def slow_on_request(connection: Connection, head: bytes) -> None:
    if b"/slow" not in head.split(b"\r\n")[0]:
        connection.reply(head.split()[1])


def echo_head(connection: Connection, head: bytes) -> None:
    connection.reply(head)


def echo_body(connection: Connection, head: bytes) -> None:
    """Answer with the method, the content type and the body of the request."""
    content_type = lines_of(head.decode("latin-1")).get("content-type")
    seen = {"method": head.split()[0].decode(), "type": content_type, "body": connection.body.decode("latin-1")}
    connection.reply(json.dumps(seen).encode())


class TestRequests:
    def test_methods(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                for send in (vu.get, vu.post, vu.put, vu.patch, vu.delete, vu.options):
                    reply = await send("/method")
                    assert reply.text.split()[0] == send.__name__.upper() == reply.method
                    assert (reply.ok, reply.status, reply.error) == (True, 200, "")
                head = await vu.head("/method")
                assert (head.status, head.body, head.method) == (200, b"", "HEAD")
                # One handle makes all of them: nothing of a method is left for the next.
                order = [vu.head, vu.get, vu.delete, vu.post, vu.head, vu.put, vu.get]
                for send in order:
                    assert (await send("/method")).text.split()[:1] in ([send.__name__.upper()], [])
                assert (await vu.request("PURGE", "/method")).text.split()[0] == "PURGE"
                assert made.take().stats.finished == len(order) + 8

        run(main())

    def test_bodies(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(echo_body) as peer, harness(peer.url) as made:
                vu = made.vu()

                async def sent(method: str = "POST", **options: Any) -> tuple[str, str | None, str]:
                    seen = (await vu.request(method, "/", **options)).json()
                    return seen["method"], seen["type"], seen["body"]

                form = "application/x-www-form-urlencoded"
                assert await sent(json={"a": [1, "é"]}) == ("POST", "application/json", '{"a":[1,"Ã©"]}')
                assert await sent(json=b'{"a": 1}') == ("POST", "application/json", '{"a": 1}')
                assert await sent(json=0) == ("POST", "application/json", "0")
                assert await sent(data={"a": 1, "b": ["x y", "&"]}) == ("POST", form, "a=1&b=x+y&b=%26")
                assert (await sent(data=b"a\0b"))[2] == "a\0b"
                assert (await sent(data="é"))[2] == "Ã©"
                assert (await sent(data=b"x" * 3_000_000))[2] == "x" * 3_000_000
                typed = await sent(data=b"<a/>", headers={"content-type": "text/xml"})
                assert typed == ("POST", "text/xml", "<a/>")
                assert await sent("PUT", json=1) == ("PUT", "application/json", "1")
                assert await sent("PATCH", data=b"p", headers={"Content-Type": "t/p"}) == ("PATCH", "t/p", "p")
                assert await sent("DELETE", json={}) == ("DELETE", "application/json", "{}")
                assert await sent("GET") == ("GET", None, "")
                assert (await sent("POST"))[2] == ""

        run(main())

    def test_header_precedence(self, run: Run) -> None:
        http = HttpSettings(timeout_s=20, headers=("X-Run: run", "X-Both: run"), user_agent="tester/1")

        async def main() -> None:
            async with Peer(echo_head) as peer, harness(peer.url, http=http) as made:
                vu = made.vu()
                plain = lines_of((await vu.get("/")).text)
                assert (plain["x-run"], plain["x-both"], plain["user-agent"]) == ("run", "run", "tester/1")
                own = lines_of((await vu.get("/", headers={"x-both": "own", "User-Agent": "me"})).text)
                assert (own["x-run"], own["x-both"], own["user-agent"]) == ("run", "own", "me")
                assert "x-both: run" not in (await vu.get("/", headers={"x-both": "own"})).text.lower()
                again = lines_of((await vu.get("/")).text)
                assert again == plain, "nothing is left of the headers of one request"

        run(main())

    def test_no_expect_for_large_bodies(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                await made.vu().post("/", data=b"x" * 2_000_000)
                assert "expect" not in lines_of(peer.requests[0][1])

        run(main())

    def test_urls_and_params(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url + "/base") as made:
                vu = made.vu()

                async def asked(url: str, **options: Any) -> str:
                    return (await vu.get(url, **options)).text

                assert await asked("/a") == "/base/a"
                assert await asked("a") == "/base/a"
                assert await asked(peer.url + "/other") == "/other"
                assert await asked("/a", params={"q": "x y", "n": [1, 2]}) == "/base/a?q=x+y&n=1&n=2"
                assert await asked("/a?z=1", params={"q": 2}) == "/base/a?z=1&q=2"
                assert await asked("/a", params={}) == "/base/a"
                assert await asked("/login?next=http://elsewhere/") == "/base/login?next=http://elsewhere/"
                assert await asked("go?to=https://elsewhere/") == "/base/go?to=https://elsewhere/"

        run(main())

    def test_a_relative_url_needs_a_base(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu()
                with pytest.raises(fl.PlanError, match=r"'/a' is relative and there is no base URL") as caught:
                    await vu.get("/a")
                assert "base_url=" in caught.value.hint
                assert made.take().stats.started == 0
                assert (await vu.get(nginx.url + "/")).text == "hello"

        run(main())

    def test_names(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                for number in range(3):
                    await vu.get(f"/users/{number}", params={"page": number})
                await vu.get("/users/1", name="one user")
                await vu.post("/users/1")
                counts = {
                    (tags["method"], tags["name"]): sink.value
                    for tags, sink in made.take().table.of_metric("http_reqs")
                }
                assert counts == {("GET", "/users/{id}"): 3, ("GET", "one user"): 1, ("POST", "/users/{id}"): 1}

        run(main())

    def test_statuses(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                for status in (404, 500):
                    reply = await vu.get(f"/status/{status}")
                    assert (reply.ok, reply.status, reply.error) == (False, status, "")
                delta = made.take()
                assert (delta.stats.finished, delta.stats.failed) == (0, 2)
                assert [(kind, count) for kind, (count, _) in delta.errors.entries.items()] == [
                    ("http_404", 1),
                    ("http_500", 1),
                ]

        run(main())

    def test_times(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                for _ in range(3):
                    before = time.perf_counter()
                    reply = await vu.get("/")
                    wall_ms = (time.perf_counter() - before) * 1000
                    assert 0 < reply.duration_ms <= reply.total_ms <= wall_ms + 0.001
                    assert 0 <= reply.waiting_ms <= reply.duration_ms
                    assert repr(reply) == f"<Reply GET {nginx.url}/ 200 {reply.duration_ms:.3f} ms>"

        run(main())


class TestRedirects:
    def test_followed(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                reply = await made.vu(headers=True).get("/redirect")
                assert (reply.status, reply.json()) == (200, {"name": "fastload"})
                assert reply.headers["content-type"] == "application/json"
                assert "location" not in reply.headers

        run(main())

    def test_not_followed_when_told_so(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url, http=HttpSettings(max_redirects=0)) as made:
                reply = await made.vu(headers=True).get("/redirect")
                assert (reply.status, reply.ok) == (302, True)
                assert reply.headers["location"].endswith("/json")

        run(main())

    def test_too_many(self, run: Run) -> None:
        def again(connection: Connection, _head: bytes) -> None:
            connection.reply(status="302 Found", headers="Location: /again\r\n")

        async def main() -> None:
            http = HttpSettings(timeout_s=20, max_redirects=3)
            async with Peer(again) as peer, harness(peer.url, http=http) as made:
                reply = await made.vu().get("/")
                assert (reply.status, reply.error) == (0, "redirects")
                assert len(peer.requests) == 4

        run(main())


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
                vu.close()
                await until(lambda: not peer.open)
                vu.close()

        run(main())

    def test_concurrent_requests_of_one_vu(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(3):
                    replies = await asyncio.gather(*(vu.get(f"/{number}") for number in range(8)))
                    assert [reply.text for reply in replies] == [f"/{number}" for number in range(8)]
                    assert vu.in_flight == made.in_flight == 0
                assert len(peer.connections) == 8

        run(main())

    def test_in_flight(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(silent) as peer, harness(peer.url) as made:
                vu = made.vu()
                tasks = [asyncio.create_task(vu.request("GET", "/")) for _ in range(3)]
                await until(lambda: len(peer.requests) == 3)
                assert vu.in_flight == made.in_flight == 3
                for connection in peer.connections:
                    connection.reply()
                await asyncio.gather(*tasks)
                assert vu.in_flight == made.in_flight == 0

        run(main())


class TestReplies:
    def test_a_dropped_body_says_how_to_keep_it(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                reply = await made.vu(body=False).get("/")
                assert reply.ok
                for read in (lambda: reply.body, lambda: reply.text, reply.json):
                    with pytest.raises(fl.ReplyError, match="was not kept") as caught:
                        read()
                    assert "keep_body=True" in caught.value.hint

        run(main())

    def test_keep_body_decides_for_one_request(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                careless, careful = made.vu(body=False), made.vu(body=True)
                for _ in range(2):
                    assert (await careless.get("/", keep_body=True)).text == "hello"
                    with pytest.raises(fl.ReplyError):
                        _ = (await careless.get("/")).body
                    with pytest.raises(fl.ReplyError):
                        _ = (await careful.get("/", keep_body=False)).body
                    assert (await careful.get("/")).text == "hello"

        run(main())

    @pytest.mark.parametrize("keep", [True, False])
    def test_keep_body_is_over_when_its_request_is_given_up(self, run: Run, keep: bool) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                vu = made.vu(body=not keep)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.03):
                        await vu.get("/slow", keep_body=keep)
                assert len(vu._transfers) == 1
                await vu.get("/1")
                if not keep:
                    assert (await vu.get("/2")).text == "/2"
                assert vu._transfers[0].chunks == []
                assert (await vu.get("/3", keep_body=True)).text == "/3"

        run(main())

    def test_what_is_not_json(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                reply = await made.vu().get("/")
                with pytest.raises(fl.ReplyError, match=r"the body of GET http://.*/ \(200\) is not JSON") as caught:
                    reply.json()
                assert "b'hello'" in caught.value.hint

        run(main())

    def test_text_is_utf8_at_any_rate(self, run: Run) -> None:
        async def main() -> None:
            def answer(connection: Connection, _head: bytes) -> None:
                connection.reply(b"\xff\xc3\xa9")

            async with Peer(answer) as peer, harness(peer.url) as made:
                assert (await made.vu().get("/")).text == "\N{REPLACEMENT CHARACTER}é"

        run(main())

    def test_headers(self, run: Run) -> None:
        def answer(connection: Connection, _head: bytes) -> None:
            connection.reply(headers="X-One: 1\r\nX-Two: a\r\nx-two:  b \r\nX-Colon: a:b\r\n")

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                for _ in range(2):
                    reply = await vu.get("/")
                    assert reply.headers == {"content-length": "2", "x-one": "1", "x-two": "a, b", "x-colon": "a:b"}
                with pytest.raises(fl.ReplyError, match="headers of this reply were not kept") as caught:
                    _ = (await made.vu().get("/")).headers
                assert "keep_headers=True" in caught.value.hint

        run(main())


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
                assert vu.back_off_s == 0

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
                    seen.append(vu.back_off_s)
                doubled = [FIRST_BACK_OFF_S * 2**count for count in range(9)]
                assert seen == pytest.approx([min(LONGEST_BACK_OFF_S, pause) for pause in doubled])
                await vu.get(peer.url + "/")
                assert vu.back_off_s == 0
                await vu.get(refused)
                await vu.get(peer.url + "/slow")
                assert vu.back_off_s == 0, "a server that accepts and then fails is not refusing"

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
                assert await TestFailures.failure(url, HttpSettings(timeout_s=0.2)) in ("tls", "timeout")

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
                    assert vu.in_flight == made.in_flight == 0
                    assert (await vu.get("/after")).text == "/after"
                stats = made.take().stats
                assert (stats.started, stats.finished, stats.failed, stats.interrupted) == (6, 3, 0, 3)

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
                assert made.take().stats.interrupted == 1

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
                assert stats.started == stats.finished + stats.interrupted

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
                vu.begin_iteration(time.monotonic_ns() - 5_000_000, 0)
                await vu.get("/")
                await vu.get("/")
                vu.end_iteration()
                vu.begin_iteration(0, 1)
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


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("http://host:1", "/"),
        ("http://host:1/a?b=1#c", "/a"),
        ("/users/42", "/users/{id}"),
        ("/users/42/orders/7/", "/users/{id}/orders/{id}/"),
        ("/1/2/3", "/{id}/{id}/{id}"),
        ("/v1/users", "/v1/users"),
        ("/api/2fa", "/api/2fa"),
        ("/u/123e4567-e89b-12d3-a456-426614174000/x", "/u/{id}/x"),
        ("/u/123E4567-E89B-12D3-A456-426614174000", "/u/{id}"),
        ("/c/0123456789abcdef", "/c/{id}"),
        ("/c/0123456789abcde", "/c/0123456789abcde"),
        ("/c/" + "a" * 64, "/c/{id}"),
        ("/c/deadbeefdeadbeefg", "/c/deadbeefdeadbeefg"),
        ("/file-12.png", "/file-12.png"),
        ("https://host/users/42", "/users/{id}"),
        ("users/42", "users/{id}"),
    ],
)
def test_fold_path(url: str, expected: str) -> None:
    assert fold_path(url) == expected


@given(segments=st.lists(st.from_regex(r"[a-z]{1,8}|[0-9]{1,12}", fullmatch=True), max_size=6))
def test_folding_is_by_segment_and_stays(segments: list[str]) -> None:
    folded = fold_path("/" + "/".join(segments))
    assert folded == "/" + "/".join("{id}" if segment.isdigit() else segment for segment in segments)
    assert fold_path(folded) == folded
