"""Requests of a VU to real servers, on both loops: what is sent, what comes back, and what is counted."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

import fastload as fl
from fastload.model.http_settings import HttpSettings
from tests.conftest import Nginx
from tests.load.client.peer_answers import ok, slow_on_request
from tests.load.harness import Connection, Peer, Run, harness, lines_of


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

    def test_methods_in_lower_case_are_those_of_http(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                head = await vu.request("head", "/method", timeout=5)
                assert (head.status, head.method, head.error) == (200, "HEAD", "")
                assert (await vu.request("Purge", "/method")).text.split()[0] == "PURGE"
                (put,) = await vu.batch([("put", "/method")])
                assert put.text.split()[0] == "PUT"
                async with vu.expect("delete", "/method") as deleted:
                    assert deleted.text.split()[0] == "DELETE"
                async with vu.stream("patch", "/method") as patched:
                    assert (await patched.read()).split()[0] == b"PATCH"

        run(main())

    @pytest.mark.parametrize("method", ["", "GE T", "GET\r\nX: y", "GÉT", b"GET", None, 7])
    def test_what_is_no_method_is_refused(self, run: Run, nginx: Nginx, method: Any) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                for refuse in (
                    lambda: vu.request(method, "/"),
                    lambda: vu.expect(method, "/"),
                    lambda: vu.stream(method, "/"),
                ):
                    with pytest.raises(fl.PlanError, match="is no HTTP method"):
                        refuse()
                assert made.take().stats.started == 0

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
