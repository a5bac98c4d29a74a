"""Redirects: which request follows, how often, and how a chain counts. The server reports what it got."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from fastload.load.client.vu import VU
from fastload.model.http_settings import Auth, HttpSettings
from tests.load.harness import Connection, Harness, Peer, Run, harness, lines_of

WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
# Kind of body, status, method, and the method that follows; the body follows if the method stays the same.
CASES = [
    (
        kind,
        status,
        method,
        "GET" if (status == 303 and method != "HEAD") or (status < 303 and method == "POST") else method,
    )
    for kind in ("none", "bytes", "file")
    for status in (301, 302, 303, 307, 308)
    for method in (*WITHOUT_BODY, "POST", "PUT", "PATCH", "DELETE")
    if kind == "none" or method not in WITHOUT_BODY
]
LENGTH = {"POST", "PUT", "PATCH"}


def redirecting(connection: Connection, head: bytes) -> None:
    """Answer /from/STATUS with a redirect to /to, which is answered with the request line and the body."""
    line = head.split(b"\r\n")[0].decode()
    path = line.split()[1]
    if path.startswith("/from/"):
        status = path.split("/")[2].partition("?")[0]
        connection.reply(
            b"" if line.startswith("HEAD") else b"moved", status=f"{status} Moved", headers="Location: /to\r\n"
        )
    elif line.startswith("HEAD"):
        connection.reply(b"")
    else:
        connection.reply(connection.body)


def asked(peer: Peer) -> list[str]:
    return [" ".join(head.split("\r\n")[0].split()[:2]) for _, head in peer.requests]


def counts(made: Harness) -> dict[tuple[str, str], int]:
    """How many requests were recorded, by method and name."""
    found: Counter[tuple[str, str]] = Counter()
    for tags, count in made.take().table.of_metric("http_reqs"):
        if "name" in tags:
            found[tags["method"], tags["name"]] += count.value
    return found


class TestMethods:
    @pytest.mark.parametrize(("kind", "status", "method", "then"), CASES)
    def test_what_follows(self, run: Run, tmp_path: Path, kind: str, status: int, method: str, then: str) -> None:
        (tmp_path / "body").write_bytes(b"a body")
        body = {"none": None, "bytes": b"a body", "file": tmp_path / "body"}[kind]

        async def main() -> None:
            async with Peer(redirecting) as peer, harness(peer.url) as made:
                reply = await made.vu().request(method, f"/from/{status}", data=body)
                assert asked(peer) == [f"{method} /from/{status}", f"{then} /to"]
                assert (reply.status, reply.error) == (200, "")
                kept = kind != "none" and then == method
                assert reply.body == (b"a body" if kept else b"")
                first, last = (lines_of(head) for _, head in peer.requests)
                lengths = {"none": "0" if method in LENGTH else None, "bytes": "6", "file": "6"}
                assert first.get("content-length") == lengths[kind]
                assert last.get("content-length") == (lengths[kind] if then == method else None)
                assert ("content-type" in last) == ("content-type" in first and then == method)

        run(main())

    def test_the_handle_is_as_before(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(redirecting) as peer, harness(peer.url) as made:
                vu = made.vu()
                for _ in range(2):
                    await vu.post("/from/302", json={"a": 1})
                    await vu.post("/to", json={"a": 1})
                    await vu.get("/to")
                assert asked(peer) == ["POST /from/302", "GET /to", "POST /to", "GET /to"] * 2
                assert len(peer.connections) == 1

        run(main())


class TestCounts:
    def test_each_request_counts(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(redirecting) as peer, harness(peer.url) as made:
                for _ in range(5):
                    await made.vu().get("/from/302")
                assert counts(made) == {("GET", "/from/{id}"): 5, ("GET", "/to"): 5}
                assert len(peer.requests) == 10

        run(main())

    def test_a_name_is_of_all(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(redirecting) as peer, harness(peer.url) as made:
                await made.vu().post("/from/302", json={}, name="login", tags={"a": "b"})
                await made.vu().get("/from/302", name="start")
                assert counts(made) == {("POST", "login"): 1, ("GET", "login"): 1, ("GET", "start"): 2}

        run(main())

    def test_only_the_last_is_judged(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(redirecting) as peer, harness(peer.url) as made:
                vu = made.vu()
                assert (await vu.get("/from/302", expected=200)).ok
                assert not (await vu.get("/from/302", expected=201)).ok
                async with vu.expect("GET", "/from/302") as reply:
                    reply.failure("no good")
                delta = made.take()
                assert {kind: count for kind, (count, _) in delta.errors.entries.items()} == {
                    "http_200": 1,
                    "judged: no good": 1,
                }
                assert len(peer.requests) == 6

        run(main())

    def test_too_many(self, run: Run) -> None:
        def again(connection: Connection, _head: bytes) -> None:
            connection.reply(status="302 Found", headers="Location: /again\r\n")

        async def main() -> None:
            async with Peer(again) as peer, harness(peer.url, http=HttpSettings(max_redirects=3)) as made:
                reply = await made.vu().get("/")
                assert (reply.status, reply.error) == (0, "redirects")
                assert "/again" in reply.message
                assert len(peer.requests) == 4
                assert counts(made) == {("GET", "/"): 1, ("GET", "/again"): 3}

        run(main())

    def test_a_redirect_that_gets_no_answer(self, run: Run) -> None:
        def lost(connection: Connection, head: bytes) -> None:
            if b"/from" in head:
                redirecting(connection, head)
            else:
                connection.transport.close()

        async def main() -> None:
            async with Peer(lost) as peer, harness(peer.url) as made:
                reply = await made.vu().post("/from/307", data=b"x")
                assert (reply.status, reply.error) == (0, "reset")
                assert asked(peer) == ["POST /from/307", "POST /to"]
                assert made.errors() == {"reset": 1}

        run(main())

    def test_one_timeout_for_the_chain(self, run: Run) -> None:
        def slow(connection: Connection, head: bytes) -> None:
            asyncio.get_running_loop().call_later(0.3, redirecting, connection, head)

        async def main() -> None:
            async with Peer(slow) as peer, harness(peer.url, http=HttpSettings(timeout_s=0.5)) as made:
                vu = made.vu()
                assert (await vu.get("/from/302")).error == "timeout"
                assert (await vu.get("/to")).status == 200
                assert (await vu.get("/to")).status == 200

        run(main())


class TestOtherServers:
    @pytest.mark.parametrize("same", [True, False])
    def test_get_no_credentials(self, run: Run, same: bool) -> None:
        async def main() -> None:
            async with Peer(redirecting) as other:

                def away(connection: Connection, head: bytes) -> None:
                    if b"/away" in head and not same:
                        connection.reply(status="307 Away", headers=f"Location: {other.url}/to\r\n")
                    else:
                        redirecting(connection, head.replace(b"/away", b"/from/307"))

                http = HttpSettings(auth=Auth("basic", "user", "secret"))
                async with Peer(away) as peer, harness(peer.url, http=http) as made:
                    vu = made.vu()
                    headers = {"Cookie": "a=1", "X-Own": "b"}
                    for _ in range(2):
                        assert (await vu.post("/away", data=b"x", headers=headers)).status == 200
                        assert (await vu.post("/away", data=b"x", cookies={"c": "2"})).status == 200
                    sent = [lines_of(head) for _, head in peer.requests if "/away" in head]
                    assert all("authorization" in lines and "cookie" in lines for lines in sent)
                    got = [lines_of(head) for _, head in (peer if same else other).requests if "/to" in head]
                    assert len(got) == 4
                    assert [("authorization" in lines, "cookie" in lines) for lines in got] == [(same, same)] * 4
                    assert [lines.get("x-own") for lines in got] == ["b", None] * 2

        run(main())


class TestReplies:
    def test_history_and_final_url(self, run: Run) -> None:
        def twice(connection: Connection, head: bytes) -> None:
            path = head.split()[1].decode()
            to = {"/a": "/b?x=1", "/b?x=1": "c"}.get(path)
            if to:
                connection.reply(
                    b"x" * 100_000, status="302 Found", headers=f"Location: {to}\r\nSet-Cookie: at={path}\r\n"
                )
            else:
                connection.reply(b"last")

        async def main() -> None:
            async with Peer(twice) as peer, harness(peer.url) as made:
                vu = made.vu(headers=True)
                for _ in range(2):
                    reply = await vu.get("/a")
                    assert (reply.url, reply.final_url) == (peer.url + "/a", peer.url + "/c")
                    assert [(one.status, one.url, one.location) for one in reply.history] == [
                        (302, peer.url + "/a", peer.url + "/b?x=1"),
                        (302, peer.url + "/b?x=1", peer.url + "/c"),
                    ]
                    assert reply.text == "last"
                assert (await vu.get("/c")).history == ()

        run(main())


class TestStreams:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_each_request_counts(self, run: Run, method: str) -> None:
        async def main() -> None:
            async with Peer(redirecting) as peer, harness(peer.url) as made:
                for status in (302, 307):
                    async with made.vu().stream(
                        method, f"/from/{status}", data=b"a body" if method == "POST" else None
                    ) as reply:
                        assert reply.status == 200
                        assert await reply.read() == (b"a body" if method == "POST" and status == 307 else b"")
                assert sum(counts(made).values()) == len(peer.requests) == 4

        run(main())

    def test_too_many(self, run: Run) -> None:
        def again(connection: Connection, _head: bytes) -> None:
            connection.reply(b"moved", status="302 Found", headers="Location: /again\r\n")

        async def main() -> None:
            async with Peer(again) as peer, harness(peer.url, http=HttpSettings(max_redirects=2)) as made:
                async with made.vu().stream("GET", "/") as reply:
                    assert await reply.read() == b""
                assert (reply.status, reply.error) == (0, "redirects")
                assert len(peer.requests) == sum(counts(made).values()) == 3

        run(main())

    def test_given_up(self, run: Run) -> None:
        """An interrupted chain leaves no request uncounted."""

        def stuck(connection: Connection, head: bytes) -> None:
            if b"/from" in head:
                redirecting(connection, head)

        async def main() -> None:
            async with Peer(stuck) as peer, harness(peer.url) as made:

                async def chain(vu: VU) -> None:
                    await vu.get("/from/302")

                task = asyncio.ensure_future(chain(made.vu()))
                while len(peer.requests) < 2:
                    await asyncio.sleep(0.002)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                stats = made.take().stats
                assert (stats.started, stats.finished, stats.failed, stats.interrupted) == (2, 1, 1, 0)

        run(main())
