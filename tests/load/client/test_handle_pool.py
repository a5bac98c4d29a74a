"""Handles that VUs lend while they pause: what goes with them, and what stays with the VU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.context import ScenarioContext
from fastload.load.client.handle_pool import LONG_PAUSE_S, is_poolable
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.recording.points import PointRecorder
from fastload.model.http_settings import Auth, HttpSettings
from fastload.model.load_models import PerVUIterations
from tests.conftest import Nginx
from tests.load.executors.vus import play, work_of
from tests.load.harness import SETTINGS, Connection, Harness, Peer, Run, harness, lines_of, until

LONG_S = 3600.0


def say_cookie(connection: Connection, head: bytes) -> None:
    """Answer with the request's cookies; give one to who asks for /login/VALUE."""
    path = head.split()[1].decode()
    given = f"Set-Cookie: id={path.removeprefix('/login/')}; Path=/\r\n" if path.startswith("/login/") else ""
    connection.reply(lines_of(head.decode()).get("cookie", "none").encode(), headers=given)


def users(made: Harness, count: int) -> list[fl.VU]:
    """VUs of one scenario."""
    shared = ScenarioContext("test", ReplyParts(True, True, connection_info=True, tls=True))
    made.vus += [fl.VU(number + 1, made.context, shared) for number in range(count)]
    return made.vus[-count:]


@asynccontextmanager
async def pausing(vu: fl.VU, pause_s: float = LONG_S) -> AsyncIterator[None]:
    """*vu* pauses for the length of the block."""
    pause = asyncio.create_task(vu.sleep(pause_s))
    await asyncio.sleep(0)
    yield
    pause.cancel()
    await asyncio.gather(pause, return_exceptions=True)


def test_one_handle_serves_all_who_take_turns_and_each_keeps_its_connection(run: Run) -> None:
    async def main() -> None:
        async with Peer(say_cookie) as peer, harness(peer.url) as made:
            crowd = users(made, 5)
            handles = set()
            for _ in range(3):
                for vu in crowd:
                    assert (await vu.post("/", json={"from": vu.id})).ok
                    (handle,) = vu._transfers
                    handles.add(id(handle))
                    async with pausing(vu):
                        assert vu._transfers == []
            assert len(handles) == 1
            assert [number for number, _ in peer.requests] == list(range(5)) * 3
            delta = made.take()
            assert delta.stats.finished == 15
            assert delta.table.get("http_req_connecting").count == 15

    run(main())


def test_cookies_stay_with_their_vu(run: Run) -> None:
    async def main() -> None:
        async with Peer(say_cookie) as peer, harness(peer.url) as made:
            crowd = users(made, 3)
            for vu in crowd:
                await vu.get(f"/login/{vu.id}")
                async with pausing(vu):
                    pass
            fresh = users(made, 1)[0]
            fresh._handle_pool = crowd[0]._handle_pool
            assert (await fresh.get("/")).text == "none"
            for vu in reversed(crowd):
                assert (await vu.get("/")).text == f"id={vu.id}"
                assert dict(vu.cookies) == {"id": str(vu.id)}
                async with pausing(vu):
                    pass
            # Also what a VU that holds no handle at all asks for and sets.
            assert [dict(vu.cookies) for vu in crowd] == [{"id": str(vu.id)} for vu in crowd]
            crowd[0].cookies["id"] = "other"
            assert [(await vu.get("/")).text for vu in crowd] == ["id=other", "id=2", "id=3"]

    run(main())


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_tls_connections_are_used_again(run: Run, nginx: Nginx, version: Any) -> None:
    async def main() -> None:
        http = HttpSettings(ca_file=str(nginx.ca_file), http_version=version)
        async with harness(nginx.tls, http=http) as made:
            crowd, ports = users(made, 4), []
            for _ in range(2):
                for vu in crowd:
                    reply = await vu.get("/")
                    assert (reply.ok, reply.protocol, reply.tls_version[:2]) == (True, version, "1.")
                    ports.append(reply.local_address[1])
                    async with pausing(vu):
                        pass
            assert ports[:4] == ports[4:]
            assert len(set(ports)) == 4

    run(main())


def test_requests_at_the_same_time_have_handles_of_their_own(run: Run) -> None:
    async def main() -> None:
        held: list[Connection] = []
        async with Peer(lambda connection, _: held.append(connection)) as peer, harness(peer.url) as made:
            first, second = users(made, 2)
            both = asyncio.gather(first.get("/a"), first.get("/b"))
            await until(lambda: len(held) == 2)
            for connection in held:
                connection.reply()
            await both
            under_way = asyncio.create_task(first.get("/c"))
            await until(lambda: len(held) == 3)
            async with pausing(first):
                # What is in flight stays; what is idle goes.
                assert len(first._transfers) == 1
                other = asyncio.create_task(second.get("/d"))
                await until(lambda: len(held) == 4)
                for connection in held[2:]:
                    connection.reply()
                assert (await under_way).ok
                assert (await other).ok
            assert len(made.context.engine._transfers) == 2
            assert [number for number, _ in peer.requests][3] == 2

    run(main())


def test_a_short_pause_lends_nothing(run: Run, nginx: Nginx) -> None:
    async def main() -> None:
        async with harness(nginx.url) as made:
            (vu,) = users(made, 1)
            await vu.get("/")
            async with pausing(vu, LONG_PAUSE_S / 2):
                assert len(vu._transfers) == 1

    run(main())


def test_who_lent_may_leave_before_who_borrowed(run: Run) -> None:
    async def main() -> None:
        async with Peer(say_cookie) as peer, harness(peer.url) as made:
            first, second = users(made, 2)
            await first.get("/")
            async with pausing(first):
                await second.get("/")
                assert len(peer.open) == 2
                first._close()
                await until(lambda: len(peer.open) == 1)
            assert (await second.get("/")).ok
            async with pausing(second):
                second._close()
                await until(lambda: not peer.open)

    run(main())


def test_a_request_that_is_given_up_leaves_nothing_in_its_handle(run: Run) -> None:
    async def main() -> None:
        held: list[Connection] = []

        def half(connection: Connection, head: bytes) -> None:
            if head.startswith(b"GET /half"):
                connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX: of first\r\n\r\nhalf")
                held.append(connection)
            else:
                connection.reply(b"whole")

        async with Peer(half) as peer, harness(peer.url) as made:
            first, second = users(made, 2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await first.get("/half")
            async with pausing(first):
                reply = await second.get("/")
                assert (reply.text, reply.headers.get("x")) == ("whole", None)

    run(main())


def test_single_samples_name_the_vu_that_sent(run: Run, nginx: Nginx) -> None:
    async def main() -> None:
        async with harness(nginx.url) as made:
            recorder = PointRecorder(0)
            recorder.attach(made.context.engine)
            made.context.recorder = recorder
            handles = set()
            for vu in users(made, 3):
                await vu.get("/")
                (handle,) = vu._transfers
                handles.add(id(handle))
                assert handle.measure()[-1] == vu.id
                async with pausing(vu):
                    pass
            assert len(handles) == 1

    run(main())


def test_handles_with_settings_of_requests_are_lent_to_requests_with_settings(run: Run) -> None:
    async def main() -> None:
        async with Peer(say_cookie) as peer, harness(peer.url) as made:
            first, second = users(made, 2)
            first.headers["X-Own"] = "first"
            await first.get("/", timeout=7, cookies={"c": "1"}, auth=("user", "password"))
            async with pausing(first):
                assert first._transfers == []
                await second.get("/")
                await second.get("/", timeout=7)
            assert len(made.context.engine._transfers) == 2
            heads = [lines_of(head) for _, head in peer.requests]
            own = [
                {name: head[name] for name in ("x-own", "cookie", "authorization") if name in head} for head in heads
            ]
            assert own == [{"x-own": "first", "cookie": "c=1", "authorization": "Basic dXNlcjpwYXNzd29yZA=="}, {}, {}]

    run(main())


def test_a_handle_that_knows_a_nonce_of_its_vu_stays(run: Run, nginx: Nginx) -> None:
    async def main() -> None:
        async with harness(nginx.url) as made:
            (vu,) = users(made, 1)
            await vu.get("/", auth=fl.Auth("digest", "user", "password"))
            await vu.get("/")
            async with pausing(vu):
                assert len(vu._transfers) == 1
            await vu.get("/", timeout=7)
            async with pausing(vu):
                assert vu._transfers == []

    run(main())


@pytest.mark.parametrize(("pacing_s", "kept"), [(LONG_PAUSE_S, 0), (LONG_PAUSE_S / 2, 1)])
def test_who_waits_for_its_pacing_lends(run: Run, nginx: Nginx, pacing_s: float, kept: int) -> None:
    had: list[int] = []

    async def once(vu: fl.VU) -> None:
        had.append(len(vu._transfers))
        await vu.get("/")

    async def main() -> None:
        async with harness(nginx.url) as made:
            await play(work_of(made, once), PerVUIterations(1, 2, 30, pacing_s=pacing_s))
            assert had == [0, kept]

    run(main())


@pytest.mark.parametrize(
    "changed",
    [
        {"source_addresses": ("127.0.0.1", "127.0.0.2")},
        {"auth": Auth("digest", "user", "password")},
        {"proxy_auth": "digest"},
        {"debug": "full"},
        {"connection_reuse": "iteration"},
        {"max_connection_requests": 3},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_handles_that_know_their_vu_are_not_lent(run: Run, nginx: Nginx, changed: dict[str, Any]) -> None:
    settings = replace(SETTINGS, **changed)
    assert is_poolable(SETTINGS)
    assert is_poolable(replace(SETTINGS, auth=Auth("basic", "user", "password")))
    assert not is_poolable(settings)

    async def main() -> None:
        async with harness(nginx.url, http=settings) as made:
            (vu,) = users(made, 1)
            await vu.get("/")
            async with pausing(vu):
                assert len(vu._transfers) == 1

    run(main())
