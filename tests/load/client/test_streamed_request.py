"""Bodies that are read while they come, from a peer on the test's own loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest

import fastload as fl
from fastload.load.client.streamed_request import BUFFER_BYTES
from fastload.model.http_settings import HttpSettings
from fastload.model.load_models import ConstantArrivalRate, SharedIterations
from fastload.model.metrics import Series
from tests.conftest import Nginx
from tests.load.executors.vus import count, executor_of, ok, play, stop_now, work_of
from tests.load.harness import Connection, Peer, Run, harness, until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = chunk(b"")


def token(number: int) -> bytes:
    return chunk(b"event: token\nid: %d\ndata: %d\n\n" % (number, number))


class Stage:
    """A peer whose answers the test writes itself, piece by piece."""

    def __init__(self, head: bytes = HEAD) -> None:
        self.head = head
        self.connections: list[Connection] = []

    def __call__(self, connection: Connection, _head: bytes) -> None:
        self.connections.append(connection)
        connection.transport.write(self.head)

    def write(self, data: bytes) -> None:
        self.connections[-1].transport.write(data)


def answering(*pieces: bytes) -> Callable[[Connection, bytes], None]:
    def answer(connection: Connection, head: bytes) -> None:
        connection.transport.write(HEAD + b"".join(pieces))

    return answer


class TestEvents:
    def test_events_come_as_they_are_sent(self, run: Run) -> None:
        async def main() -> None:
            stage = Stage()
            async with Peer(stage) as peer, harness(peer.url) as made:
                vu = made.vu(body=False)
                async with vu.stream("POST", "/chat", json={"stream": True}) as reply:
                    assert (reply.status, reply.ok) == (200, True)
                    assert reply.headers["content-type"] == "text/event-stream"
                    seen = []
                    stage.write(token(0))
                    async for event in reply.events():
                        seen.append((event.event, event.id, event.data))
                        # The next one is not even sent before this one was seen.
                        stage.write(token(len(seen)) if len(seen) < 5 else END)
                    table = made.take().table
                    assert table.get("http_reqs") is None, "it is recorded when the block ends"
                assert seen == [("token", str(n), str(n)) for n in range(5)]
                assert table.get("stream_events").value == 5
                assert table.get("stream_first_event").count == 1
                assert table.get("stream_event_gap").count == 4
                assert table.series_values[Series.of("stream_events", name_="/chat")].value == 5
                table = made.take().table
                assert table.get("http_reqs").value == 1
                assert table.get("http_req_failed").trues == 0
                assert reply.duration_ms > 0
                assert json.loads(stage.connections[0].body) == {"stream": True}

        run(main())

    def test_times_are_those_of_arrival(self, run: Run) -> None:
        async def main() -> None:
            stage = Stage()
            async with Peer(stage) as peer, harness(peer.url) as made:
                async with made.vu().stream("GET", "/") as reply:
                    await asyncio.sleep(0.05)
                    stage.write(token(1))
                    await asyncio.sleep(0.03)
                    stage.write(token(2) + token(3))
                    stage.write(END)
                    await until(lambda: bool(reply.duration_ms))
                    # A reader that is late does not make the stream slow.
                    await asyncio.sleep(0.2)
                    assert len([event async for event in reply.events()]) == 3
                table = made.take().table
                first, gaps = table.get("stream_first_event"), table.get("stream_event_gap")
                assert first.min >= 45_000
                assert (gaps.count, gaps.max >= 25_000, gaps.min < 25_000) == (2, True, True)
                # The reader was late by 200 ms.
                assert first.max + gaps.sum < table.get("http_req_duration").max + 100_000

        run(main())

    def test_filters_by_group_scenario_and_tags(self, run: Run) -> None:
        asked = [Series.of("stream_events", group="g", kind="x"), Series.of("stream_event_gap", scenario="other")]

        async def main() -> None:
            async with Peer(answering(token(1), token(2), END)) as peer, harness(peer.url, filters=asked) as made:
                vu = made.vu()
                async with vu.group("g"), vu.stream("GET", "/", name="feed", tags={"kind": "x"}) as reply:
                    async for _ in reply.events():
                        pass
                table = made.take().table
                assert table.series_values[asked[0]].value == 2
                assert asked[1] not in table.series_values
                assert table.series_values[Series.of("stream_events", name_="feed")].value == 2

        run(main())


class TestBodies:
    def test_lines_chunks_and_the_whole(self, run: Run) -> None:
        pieces = answering(chunk(b"one\r\ntw"), chunk(b"o\n\nthree"), END)

        async def main() -> None:
            async with Peer(pieces) as peer, harness(peer.url) as made:
                vu = made.vu(body=False)
                async with vu.stream("GET", "/") as reply:
                    assert [line async for line in reply.lines()] == ["one", "two", "", "three"]
                async with vu.stream("GET", "/") as reply:
                    assert b"".join([piece async for piece in reply.chunks()]) == b"one\r\ntwo\n\nthree"
                async with vu.stream("GET", "/") as reply:
                    assert (await reply.read(), reply.text) == (b"one\r\ntwo\n\nthree", "one\r\ntwo\n\nthree")
                async with vu.stream("GET", "/") as reply:
                    with pytest.raises(fl.ReplyError, match="was not kept"):
                        _ = reply.body
                table = made.take().table
                assert table.get("stream_events").value == 3, "lines that are not empty are events, chunks are not"
                assert table.get("http_reqs").value == 4

        run(main())

    def test_a_slow_reader_pauses_the_transfer(self, run: Run) -> None:
        body_bytes = 20 * 2**20
        written = 0

        async def feed(connection: Connection) -> None:
            nonlocal written
            piece = bytes(65_536)
            while written < body_bytes:
                while connection.transport.get_write_buffer_size():
                    await asyncio.sleep(0.001)
                connection.transport.write(piece)
                written += len(piece)

        def answer(connection: Connection, head: bytes) -> None:
            connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % body_bytes)
            feeds.append(asyncio.ensure_future(feed(connection)))

        feeds: list[asyncio.Future[None]] = []

        async def main() -> None:
            async with Peer(answer) as peer, harness(peer.url) as made:
                async with made.vu().stream("GET", "/") as reply:
                    stalled = -1
                    while stalled != written or not written:
                        stalled = written
                        await asyncio.sleep(0.2)
                    assert reply._buffer._bytes <= BUFFER_BYTES + 2**20
                    assert stalled < body_bytes, "the peer could not send all of it"
                    total = 0
                    async for piece in reply.chunks():
                        total += len(piece)
                    assert total == body_bytes
                await asyncio.gather(*feeds)
                assert made.take().table.get("data_received").value > body_bytes

        run(main())

    def test_a_reader_that_pauses_for_long_is_no_idle_server(self, run: Run) -> None:
        body = bytes(BUFFER_BYTES * 4)

        async def main() -> None:
            idle = HttpSettings(timeout_s=20, idle_timeout_s=0.3)
            async with Peer(lambda connection, _: connection.reply(body)) as peer, harness(peer.url, http=idle) as made:
                vu = made.vu()
                async with vu.stream("GET", "/") as reply:
                    await until(lambda: reply._buffer._is_paused)
                    await asyncio.sleep(0.7)
                    assert len(await reply.read()) == len(body)
                # One that leaves while the transfer is held leaves the handle as it should be.
                async with vu.stream("GET", "/") as reply:
                    await until(lambda: reply._buffer._is_paused)
                async with vu.stream("GET", "/") as reply:
                    assert len(await reply.read()) == len(body)
                assert len(vu._transfers) == 1
                assert made.errors() == {}

        run(main())


class TestEnds:
    def test_leaving_early_ends_the_transfer_and_is_no_failure(self, run: Run) -> None:
        async def main() -> None:
            stage = Stage()
            async with Peer(stage) as peer, harness(peer.url) as made:
                vu = made.vu()
                async with vu.stream("GET", "/") as reply:
                    stage.write(token(1))
                    async for _ in reply.events():
                        break
                    assert made.in_flight == 1
                assert made.in_flight == 0
                await until(lambda: not peer.open)
                stage.head = HEAD + END
                await vu.get("/")
                delta = made.take()
                assert (delta.stats.started, delta.stats.finished, delta.stats.failed) == (2, 2, 0)
                assert (delta.table.get("http_req_failed").trues, delta.errors.entries) == (0, {})
                assert reply.duration_ms > 0

        run(main())

    def test_a_body_that_breaks_off(self, run: Run) -> None:
        async def main() -> None:
            stage = Stage()
            async with Peer(stage) as peer, harness(peer.url) as made:
                async with made.vu().stream("GET", "/") as reply:
                    stage.write(chunk(b"whole\nhal"))
                    lines = []
                    async for line in reply.lines():
                        lines.append(line)
                        stage.connections[-1].transport.close()
                    assert (lines, reply.ok, reply.error, reply.status) == (["whole"], False, "partial", 0)
                delta = made.take()
                assert (delta.stats.failed, set(delta.errors.entries)) == (1, {"partial"})

        run(main())

    def test_no_answer_at_all(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                async with made.vu().stream("GET", "http://127.0.0.1:1/") as reply:
                    assert (reply.ok, reply.status, reply.error) == (False, 0, "connect_refused")
                    assert [event async for event in reply.events()] == []
                assert made.errors() == {"connect_refused": 1}

        run(main())

    def test_a_bad_status_fails_it_unless_the_block_says_otherwise(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                async with vu.stream("GET", "/status/404") as reply:
                    assert (reply.status, reply.ok, await reply.read()) == (404, False, b"no")
                async with vu.stream("GET", "/status/404") as reply:
                    reply.success()
                async with vu.stream("GET", "/") as reply:
                    reply.failure("no token came")
                with pytest.raises(ValueError, match="odd"):
                    async with vu.stream("GET", "/") as reply:
                        raise ValueError("odd")
                async with vu.stream("GET", "/status/404", expected=404) as reply:
                    assert await reply.read() == b"no"
                assert reply.ok
                delta = made.take()
                kinds = {kind: count for kind, (count, _) in delta.errors.entries.items()}
                assert kinds == {"http_404": 1, "judged: no token came": 1, "judged: ValueError: odd": 1}
                assert (delta.stats.finished, delta.stats.failed) == (2, 3)

        run(main())

    def test_a_redirect_is_followed(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                async with vu.stream("GET", "/redirect") as reply:
                    assert (reply.status, await reply.read(), reply.json()) == (
                        200,
                        b'{"name": "fastload"}',
                        {"name": "fastload"},
                    )
                async with vu.stream("GET", "/redirect", max_redirects=0) as reply:
                    assert reply.status == 302

        run(main())

    def test_the_time_out_covers_the_body(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(Stage()) as peer, harness(peer.url) as made:
                async with made.vu().stream("GET", "/", timeout="50ms") as reply:
                    assert [line async for line in reply.lines()] == []
                    assert reply.error == "timeout"
                assert made.errors() == {"timeout": 1}

        run(main())

    def test_interrupted(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            async with vu.stream("GET", "/") as reply:
                async for _ in reply.events():
                    pass

        async def main() -> None:
            async with Peer(answering(token(1))) as peer, harness(peer.url) as made:
                work = work_of(made, visit)
                executor = executor_of(work, SharedIterations(vus=2, iterations=2, duration_s=20))
                playing = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await until(lambda: made.in_flight == 2 and len(peer.requests) == 2)
                stop_now(made, work, executor)
                await playing
                work.close()
                delta = made.take()
                assert (delta.stats.started, delta.stats.interrupted, delta.stats.iterations_interrupted) == (2, 2, 2)
                assert delta.table.get("http_reqs") is None

        run(main())

    def test_a_vu_that_leaves_in_the_midst_of_it(self, run: Run) -> None:
        async def main() -> None:
            stage = Stage()
            async with Peer(stage) as peer, harness(peer.url) as made:
                stream = made.vu().stream("GET", "/")
                await stream.__aenter__()
                made.vus[0]._close()
                assert made.in_flight == 0

        run(main())


class TestUse:
    def test_the_first_request_of_an_iteration_has_a_response_time(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            async with vu.stream("GET", "/") as reply:
                await reply.read()
            await vu.get("/")

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                await play(work_of(made, visit), ConstantArrivalRate(100.0, 0.05, 5))
                delta = made.take()
                assert delta.table.get("http_req_response_time").count == count(delta, "iterations") == 5
                assert count(delta, "http_reqs") == 10

        run(main())

    def test_many_streams_of_one_vu_side_by_side(self, run: Run) -> None:
        async def read(vu: fl.VU) -> int:
            async with vu.stream("GET", "/") as reply:
                return len([event async for event in reply.events()])

        async def main() -> None:
            async with Peer(answering(*map(token, range(9)), END)) as peer, harness(peer.url) as made:
                vu = made.vu()
                assert await asyncio.gather(*(read(vu) for _ in range(20))) == [9] * 20
                assert made.take().table.get("stream_events").value == 180
                assert await read(vu) == 9
                assert len(vu._transfers) == 20, "handles are used again"

        run(main())

    def test_two_readers_of_one_stream_are_refused(self, run: Run) -> None:
        async def main() -> None:
            stage = Stage()
            async with Peer(stage) as peer, harness(peer.url) as made:
                vu = made.vu()
                async with vu.stream("GET", "/") as reply:
                    first = asyncio.ensure_future(reply.read())
                    await asyncio.sleep(0)
                    with pytest.raises(fl.FastloadError, match="two coroutines read one stream"):
                        await reply.read()
                    stage.write(END)
                    assert await first == b""

        run(main())

    def test_options_that_make_no_sense(self, run: Run) -> None:
        async def main() -> None:
            async with harness("http://127.0.0.1:1") as made:
                with pytest.raises(fl.PlanError, match="a stream has no option 'keep_body'"):
                    made.vu().stream("GET", "/", keep_body=True)
                with pytest.raises(fl.PlanError, match="has no option 'nam'"):
                    async with made.vu().stream("GET", "/", nam="x"):  # type: ignore[call-arg]
                        pass

        run(main())
