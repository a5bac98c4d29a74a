"""Single samples in a worker: what they say, that nothing else changes by them, and that they are bounded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

import fastload as fl
from fastload.load.client.context import WorkerContext
from fastload.load.engine import request_info
from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_transfer import Measurement, Transfer
from fastload.load.engine.point_transfer import PointTransfer
from fastload.load.engine.request_info import RequestInfo, RequestInfoTable
from fastload.load.recording import points
from fastload.load.recording.outcome import JUDGED_GOOD, NO_DUE, UNEXPECTED
from fastload.load.recording.point_block import IterationEnd, bytes_by_iteration
from fastload.load.recording.points import PointRecorder
from fastload.load.recording.recorder import Recorder
from fastload.load.recording.scope import Scope
from fastload.load.worker import make_recorder
from fastload.model import metrics, user_metrics
from fastload.model.http_settings import HttpSettings
from fastload.model.load_models import ConstantVUs, PerVUIterations
from fastload.model.metrics import OTHER_NAME, Series
from fastload.model.points import PointBlock, RequestColumns, ValueColumns
from fastload.model.records import Delta
from tests.conftest import Nginx, free_port
from tests.load.executors.vus import ok, play, work_of
from tests.load.harness import SETTINGS, Connection, Harness, Peer
from tests.outputs.samples import make_plan

Found = list[tuple[float, dict[str, str]]]


@pytest.fixture(autouse=True)
def _own_metrics(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Metrics that a test declares are gone after it, and so is who listens to them."""
    monkeypatch.setattr(user_metrics, "_declared", {})
    monkeypatch.setattr(user_metrics, "_registry", user_metrics._FilterRegistry())


@asynccontextmanager
async def telling(
    base_url: str = "", *, http: HttpSettings = SETTINGS, filters: Iterable[Series] = ()
) -> AsyncIterator[Harness]:
    """A harness whose recorder keeps single samples."""
    loop = asyncio.get_running_loop()
    engine, recorder = CurlEngine(loop), PointRecorder(0, filters)
    recorder.attach(engine)
    made = Harness(WorkerContext(engine=engine, recorder=recorder, loop=loop, http=http, base_url=base_url), {})
    try:
        yield made
    finally:
        for vu in made.vus:
            vu._close()
        engine.close()


def take(recorder: Recorder, *, late: bool = False) -> Delta:
    return recorder.take(vus=0, in_flight=0, offered=0, late=late)


def block_of(delta: Delta) -> PointBlock:
    """Its samples, as they are after the pipe."""
    [plain] = Delta.from_body(msgpack.unpackb(msgpack.packb(delta.to_body()), strict_map_key=False)).points
    return PointBlock.from_plain(plain)


def samples(block: PointBlock, metric: str) -> Found:
    """``(value, tags)`` of what is no time of a request; those of requests with a response come first."""
    found: Found = []
    columns = [columns for columns in (block.requests, block.lost) if columns is not None]
    if columns and metric in ("http_reqs", "http_req_failed"):
        for tag_set in np.concatenate([one.sets for one in columns]).tolist():
            tags = block.tag_sets[tag_set]
            found.append((1.0 if metric == "http_reqs" else float(tags["expected_response"] == "false"), tags))
    own = block.values.get(metric)
    if own is not None:
        pairs = zip(own.values.tolist(), own.sets.tolist(), strict=True)
        found += [(value, block.tag_sets[tag_set]) for value, tag_set in pairs]
    return found


def total(block: PointBlock, metric: str) -> float:
    return sum(value for value, _ in samples(block, metric))


def measured(status: int = 200, facts: int = 0, done_ns: int = 0, vu: int = 1, sent: int = 10) -> Any:
    """What a `PointTransfer` measures."""
    return (status, 1, 2, 0, 3, 4, 5, 1000, 0, sent, 20, done_ns or time.monotonic_ns(), facts, vu)


class TestRequests:
    def test_each_with_its_tags_its_times_and_when_it_ended(self, nginx: Nginx) -> None:
        async def main() -> None:
            async with telling(nginx.url) as made:
                vu = made.vu(tags={"team": "red"})
                before_ns = time.time_ns()
                async with vu.group("outer"), vu.group("inner"):
                    reply = await vu.get("/json?x=1", tags={"kind": "read"})
                between_ns = time.time_ns()
                await vu.post("/status/404", name="missing")
                after_ns = time.time_ns()
                delta = made.take()
            block = block_of(delta)
            assert block.requests is not None
            first, second = block.requests.sets.tolist()
            assert block.tag_sets[first] == {
                "scenario": "test",
                "group": "outer::inner",
                "team": "red",
                "kind": "read",
                "name": "/json",
                "method": "GET",
                "url": f"{nginx.url}/json?x=1",
                "proto": "1.1",
                "status": "200",
                "expected_response": "true",
            }
            assert block.tag_sets[second]["name"] == "missing"
            assert block.tag_sets[second]["expected_response"] == "false"
            times = block.requests.time_ns.tolist()
            assert before_ns < times[0] < between_ns < times[1] < after_ns
            timings = {
                "http_req_waiting": reply.timings.waiting_ms,
                "http_req_connecting": reply.timings.connecting_ms,
                "http_req_duration": reply.duration_ms,
                "http_req_total": reply.total_ms,
            }
            for metric, value_ms in timings.items():
                column = block.requests.times_us[metric]
                assert column[0] == pytest.approx(value_ms * 1000)
                assert column.sum() == delta.table.get(metric).sum
            assert (block.requests.times_us["http_req_response_time"] == NO_DUE).all()

        asyncio.run(main())

    def test_the_version_of_tls_is_heard_once(self, nginx: Nginx) -> None:
        async def main() -> None:
            http = HttpSettings(ca_file=str(nginx.ca_file))
            async with telling(nginx.tls, http=http) as made:
                vu = made.vu()
                await vu.get("/")
                block = block_of(made.take())
                [transfer] = vu._transfers
                assert transfer._watches_tls is True
                await vu.get("/")
                assert transfer._watches_tls is False
                assert [tags["tls_version"] for tags in block_of(made.take()).tag_sets] in (["1.2"], ["1.3"])
            assert {(tags["proto"], tags["tls_version"][:2]) for tags in block.tag_sets} == {("2", "1.")}

        asyncio.run(main())

    def test_without_a_response_there_are_no_times(self) -> None:
        async def main() -> None:
            async with telling() as made:
                vu = made.vu()
                url = f"http://user:secret@127.0.0.1:{free_port()}/a"
                await vu.get(url)
                async with vu.expect("GET", url) as reply:
                    reply.success()
                async with vu.expect("GET", url) as reply:
                    reply.failure("bad: luck")
                delta = made.take()
            block = block_of(delta)
            assert block.requests is None
            found = samples(block, "http_req_failed")
            assert [(value, tags.get("error"), tags["status"]) for value, tags in found] == [
                (1, "connect_refused", "0"),
                (0, None, "0"),
                (1, "judged", "0"),
            ]
            assert {tags["url"] for _, tags in found} == {url.replace("user:secret@", "")}
            assert total(block, "http_reqs") == delta.table.get("http_reqs").value == 3

        asyncio.run(main())

    def test_a_request_that_is_judged_later_is_that_request(self, nginx: Nginx) -> None:
        async def main() -> None:
            async with telling(nginx.url) as made:
                vu = made.vu()
                async with vu.expect("GET", "/json") as reply:
                    ended_ns = time.time_ns()
                    await vu.get("/cookie")
                    reply.failure("no")
                async with vu.stream("GET", "/method") as streamed:
                    await streamed.read()
                block = block_of(made.take())
            assert block.requests is not None
            by_name = {
                block.tag_sets[tag_set]["name"]: (at_ns, block.tag_sets[tag_set])
                for at_ns, tag_set in zip(block.requests.time_ns.tolist(), block.requests.sets.tolist(), strict=True)
            }
            assert by_name.keys() == {"/json", "/cookie", "/method"}
            at_ns, tags = by_name["/json"]
            assert at_ns < ended_ns
            assert (tags["expected_response"], tags["error"], tags["status"]) == ("false", "judged", "200")
            assert tags["url"] == f"{nginx.url}/json"

        asyncio.run(main())

    def test_hosts_by_wildcard(self, nginx: Nginx) -> None:
        async def main() -> None:
            port = int(nginx.url.rpartition(":")[2])
            http = HttpSettings(hosts={"*.test": f"127.0.0.1:{port}"})
            async with telling("http://shop.test", http=http) as made:
                reply = await made.vu().get("/json")
                assert reply.status == 200
                assert [tags["url"] for tags in block_of(made.take()).tag_sets] == ["http://shop.test/json"]

        asyncio.run(main())

    @settings(max_examples=40)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["record", "expected", "unexpected", "judged", "good", "lost", "lost and judged"]),
                st.integers(0, 5),
                st.sampled_from([200, 204, 404, 500]),
                st.sampled_from([NO_DUE, 5, 7_000]),
            ),
            max_size=40,
        )
    )
    def test_what_is_counted_is_the_same_as_without(self, ended: list[tuple[str, int, int, int]]) -> None:
        asked = [Series.of("http_reqs", kind="k1"), Series.of("http_req_waiting", status="404", kind="k2")]
        plain, telling = Recorder(0, asked), PointRecorder(0, asked)
        for recorder in (plain, telling):
            for how, number, status, due_us in ended:
                tags = {"kind": f"k{number}", "scenario": "s", "group": ""}
                endpoint = recorder.endpoint(f"/{number % 3}", "GET", tags)
                more = measured(status)
                measurement: Measurement = more if recorder is telling else more[:11]
                match how:
                    case "record":
                        recorder.record(endpoint, due_us, measurement)
                    case "expected":
                        recorder.record_expected(endpoint, due_us, measurement, JUDGED_GOOD)
                    case "unexpected":
                        recorder.record_expected(endpoint, due_us, measurement, UNEXPECTED)
                    case "judged":
                        recorder.record_judged(endpoint, due_us, measurement, "no good")
                    case "good":
                        recorder.record_judged(endpoint, due_us, measurement, "")
                    case "lost":
                        recorder.record_no_response(endpoint, "timeout", "slow", measurement)
                    case _:
                        recorder.record_judged(endpoint, NO_DUE, None, "gone", measurement)
        without, with_points = take(plain), take(telling)
        assert without.points == []
        assert with_points.table.to_plain() == without.table.to_plain()
        assert with_points.errors == without.errors
        assert with_points.stats == without.stats
        block = block_of(with_points) if ended else PointBlock()
        tallies = Tally(tags["name"] for _, tags in samples(block, "http_reqs"))
        assert tallies == Tally(f"/{number % 3}" for _, number, _, _ in ended)
        assert total(block, "http_req_failed") == (without.stats.failed)


class TestValues:
    def test_checks_calls_groups_and_what_failed(self) -> None:
        async def main() -> None:
            async with telling() as made:
                vu, recorder = made.vu(tags={"team": "red"}), made.recorder
                async with vu.group("pay"):
                    vu.check(None, {"ok": True, "not": False}, {"deep": "yes"})
                scope = vu._scope()
                recorder.sample(scope, "call_duration", "sql", 1_500, {"table": "t"})
                recorder.sample(scope, "call_failed", "sql", 1, None, "KeyError")
                recorder.record_exception("KeyError", "Traceback ...", scope)
                recorder.record_dropped(3, scope)
                recorder.record_queued(0, scope)
                recorder.lag_us.append(250)
                delta = made.take()
            block, home = block_of(delta), {"scenario": "test", "group": "", "team": "red"}
            inside = {**home, "group": "pay"}
            assert samples(block, "checks") == [
                (1, {**inside, "deep": "yes", "check": "ok"}),
                (0, {**inside, "deep": "yes", "check": "not"}),
            ]
            assert samples(block, "call_duration") == [(1.5, {**home, "name": "sql", "table": "t"})]
            assert samples(block, "call_failed") == [(1, {**home, "name": "sql", "error": "KeyError"})]
            assert samples(block, "iterations_failed") == [(1, home)]
            assert samples(block, "dropped_iterations") == [(3, {"scenario": "test", "team": "red"})]
            assert samples(block, "queued_iterations") == []
            assert samples(block, "loop_lag") == [(0.25, {})]
            [(value_ms, tags)] = samples(block, "group_duration")
            assert tags == inside
            assert value_ms * 1000 == pytest.approx(delta.table.get("group_duration").sum)

        asyncio.run(main())

    def test_metrics_of_the_script_with_and_without_tags_from_any_thread(self) -> None:
        early = fl.Counter("early")

        async def main() -> None:
            async with telling() as made:
                late, depth, good = fl.Trend("late"), fl.Gauge("depth"), fl.Rate("good")
                vu = made.vu()
                vu._begin_iteration(0, 0)
                async with vu.group("g"):
                    early.add(2)
                    early.add(3, {"shop": "a"})
                late.add(1.25)
                depth.add(4)
                good.add(True)
                early.add(10**90)
                thread = threading.Thread(target=early.add)
                thread.start()
                thread.join()
                delta = made.take()
                assert made.take().points == []
            block = PointBlock.from_plain(delta.points[0])
            inside = {"scenario": "test", "group": "g"}
            home = {"scenario": "test", "group": ""}
            assert samples(block, "early") == [(2, inside), (3, {**inside, "shop": "a"}), (1e90, home), (1, {})]
            assert [samples(block, name) for name in ("late", "depth", "good")] == [
                [(1.25, home)],
                [(4, home)],
                [(1, home)],
            ]
            tables = {series: sink for series, sink in delta.table.series_values.items() if series.metric == "early"}
            assert tables.keys() == {Series("early"), Series.of("early", shop="a")}
            assert tables[Series("early")].value == 10**90 + 6

        asyncio.run(main())

    def test_without_points_values_are_told_to_nobody(self) -> None:
        counter = fl.Counter("counter")
        PointRecorder(0)
        recorder = Recorder(0)
        counter.add(1)
        assert user_metrics._registry.listener is None
        assert counter._filters == []
        assert take(recorder).table.get("counter").value == 1

    def test_sessions_of_websockets_have_k6s_tags(self) -> None:
        async def echo(socket: ServerConnection) -> None:
            async for message in socket:
                await socket.send(message)

        async def main() -> None:
            async with serve(echo, "127.0.0.1", 0, subprotocols=["chat"]) as server:  # type: ignore[list-item]
                port = next(iter(server.sockets)).getsockname()[1]
                async with telling(f"http://127.0.0.1:{port}") as made:
                    async with made.vu().websocket("/a?b=1", subprotocols=("chat",), tags={"q": "1"}) as ws:
                        await ws.send("x")
                        await ws.receive()
                    block = block_of(made.take())
            for metric in ("ws_sessions", "ws_connecting", "ws_msgs_sent", "ws_msgs_received", "ws_session_duration"):
                [(_, tags)] = samples(block, metric)
                assert tags == {
                    "scenario": "test",
                    "group": "",
                    "q": "1",
                    "name": "/a",
                    "url": f"ws://127.0.0.1:{port}/a?b=1",
                    "status": "101",
                    "subproto": "chat",
                }

        asyncio.run(main())


class TestIterations:
    def test_bytes_belong_to_the_iteration_that_moved_them(self) -> None:
        async def visit(vu: fl.VU) -> None:
            for _ in range(vu.id):
                await vu.get("/")

        async def main() -> None:
            async with Peer(ok) as peer, telling(peer.url) as made:
                await play(work_of(made, visit), PerVUIterations(vus=3, iterations=4, duration_s=5.0))
                delta = made.take()
            block = block_of(delta)
            home = {"scenario": "test", "group": ""}
            assert [tags for _, tags in samples(block, "iterations")] == [home] * 12
            assert total(block, "iteration_duration") * 1000 == pytest.approx(delta.table.get("iteration_duration").sum)
            one = delta.table.get("data_sent").value / 24
            sent = [value for value, _ in samples(block, "data_sent")]
            assert sorted(sent) == [one] * 4 + [2 * one] * 4 + [3 * one] * 4
            assert total(block, "data_received") == delta.table.get("data_received").value

        asyncio.run(main())

    def test_nothing_is_lost_of_iterations_that_never_end(self) -> None:
        async def visit(vu: fl.VU) -> None:
            await vu.get("/")
            await vu.sleep(60)

        async def main() -> None:
            async with Peer(ok) as peer, telling(peer.url) as made:
                work = work_of(made, visit)
                await play(work, ConstantVUs(vus=3, duration_s=0.2), graceful_stop_s=0.0)
                first, second = made.take(), take(made.recorder, late=True)
                assert made.take().points == []
            assert "data_sent" not in block_of(first).values
            block = block_of(second)
            assert len(samples(block, "data_sent")) == 3
            assert total(block, "data_sent") == first.table.get("data_sent").value
            assert {tuple(tags.items()) for _, tags in samples(block, "data_sent")} == {
                (("scenario", "test"), ("group", ""))
            }

        asyncio.run(main())

    @given(
        moved=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50), st.integers(0, 9), st.integers(0, 9))),
        ends=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50))),
    )
    def test_sharing_out(self, moved: list[tuple[int, int, int, int]], ends: list[tuple[int, int]]) -> None:
        rows = np.array([(*row, 7) for row in moved], dtype=np.int64).reshape(-1, 5)
        sums, left = bytes_by_iteration(rows, [IterationEnd(vu, at_ns, Scope({})) for vu, at_ns in ends])
        wanted = np.zeros((len(ends), 2), dtype=np.int64)
        rest: dict[int, list[int]] = {}
        for vu, at_ns, sent, received in moved:
            after = [(end_ns, index) for index, (who, end_ns) in enumerate(ends) if who == vu and end_ns >= at_ns]
            into = wanted[min(after)[1]] if after else rest.setdefault(vu, [0, 0])
            into[0] += sent
            into[1] += received
        # Of two ends at the same time either may be the first.
        by_end: dict[tuple[int, int], Any] = {}
        for index, end in enumerate(ends):
            by_end[end] = by_end.get(end, 0) + sums[index] - wanted[index]
        assert all((difference == 0).all() for difference in by_end.values())
        assert {row[0]: row[2:4] for row in left.tolist()} == rest
        assert set(left[:, 4].tolist()) <= {7}


class TestBounds:
    def test_tag_sets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(points, "MAX_TAG_SETS", 5)
        recorder = PointRecorder(0)
        scope = recorder.scope("s", {"team": "red"})
        numbers = [recorder.endpoint("/", "GET", {**scope.tags, "id": str(number)}) for number in range(50)]
        assert numbers == [0, 1, 2, 3, 4] + [5] * 45
        for number in numbers:
            recorder.record(number, NO_DUE, measured())
        delta = take(recorder)
        tallies = Tally(tags.get("id", tags.get("tags")) for _, tags in samples(block_of(delta), "http_reqs"))
        assert tallies == {"0": 1, "1": 1, "2": 1, "3": 1, "4": 1, OTHER_NAME: 45}
        assert {tags["team"] for _, tags in samples(block_of(delta), "http_reqs")} == {"red"}
        assert delta.table.get("http_reqs").value == 50

    def test_urls_are_forgotten_in_time_and_numbers_never_mean_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(request_info, "MAX_REQUEST_INFOS", 10)
        table = RequestInfoTable()
        numbers = [table.number(RequestInfo(f"http://h/{index}", "1.1", "")) for index in range(35)]
        assert numbers == list(range(35))
        assert table.number(RequestInfo("http://h/34", "1.1", "")) == 34
        assert table.tags(34) == {"url": "http://h/34", "proto": "1.1"}
        assert table.tags(20)["url"] == "http://h/20"
        assert table.tags(19) == {}
        assert len(table._numbers) + len(table._known) + len(table._older) <= 30

    def test_the_warm_up_leaves_nothing(self) -> None:
        counter = fl.Counter("counter")
        recorder = PointRecorder(0)
        endpoint = recorder.endpoint("/", "GET", recorder.scope("s").tags)
        recorder.record(endpoint, NO_DUE, measured())
        assert "data_sent" not in block_of(take(recorder)).values
        recorder.record(endpoint, NO_DUE, measured())
        recorder.record_no_response(endpoint, "timeout", "slow", measured())
        recorder.record_check("ok", True, recorder.unscoped)
        recorder.record_exception("KeyError", "Traceback ...")
        recorder.unscoped.iteration_us.append(5)
        recorder.lag_us.append(5)
        counter.add(1)
        recorder.discard()
        assert take(recorder, late=True).points == []
        recorder.record(endpoint, NO_DUE, measured())
        recorder.record_no_response(endpoint, "timeout", "slow", measured(sent=3))
        assert total(block_of(take(recorder, late=True)), "data_sent") == 13

    def test_the_bytes_of_failed_and_interrupted_requests_are_of_their_iteration(self) -> None:
        def answer(connection: Connection, head: bytes) -> None:
            connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
            if b"/cut" in head:
                connection.transport.close()

        async def visit(vu: fl.VU) -> None:
            await vu.get("/cut")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await vu.get("/slow")

        async def main() -> None:
            async with Peer(answer) as peer, telling(peer.url) as made:
                await play(work_of(made, visit), PerVUIterations(vus=2, iterations=2))
                delta = made.take()
            block = block_of(delta)
            assert len(samples(block, "data_received")) == 4
            assert total(block, "data_received") == delta.table.get("data_received").value == 8 * 46
            assert total(block, "data_sent") == delta.table.get("data_sent").value > 0

        asyncio.run(main())

    def test_a_block_comes_back_as_it_was(self) -> None:
        one = np.array([1, 2**62], dtype=np.int64)
        times = {metric: one + index for index, metric in enumerate((*metrics.HTTP_TRENDS, "http_req_response_time"))}
        values = {"depth": ValueColumns(one, np.array([0.1, float("inf")]), one)}
        block = PointBlock([{"a": "b", "c": ""}, {}], RequestColumns(one, one + 1, times), values)
        again = PointBlock.from_plain(msgpack.unpackb(msgpack.packb(block.to_plain())))
        assert again.tag_sets == block.tag_sets
        assert again.requests is not None
        assert {metric: column.tolist() for metric, column in again.requests.times_us.items()} == {
            metric: column.tolist() for metric, column in times.items()
        }
        assert again.requests.sets.tolist() == [2, 2**62 + 1]
        assert again.values["depth"].values.tolist() == [0.1, float("inf")]


def test_nothing_is_kept_unless_it_is_wanted(nginx: Nginx) -> None:
    plan = make_plan(ConstantVUs(vus=1, duration_s=1.0))
    assert type(make_recorder(0, plan)) is Recorder

    async def main() -> None:
        loop = asyncio.get_running_loop()
        engine, recorder = CurlEngine(loop), make_recorder(0, plan)
        recorder.attach(engine)
        made = Harness(
            WorkerContext(engine=engine, recorder=recorder, loop=loop, http=SETTINGS, base_url=nginx.url), {}
        )
        vu = made.vu()
        await vu.get("/")
        assert [type(transfer) for transfer in vu._transfers] == [Transfer]
        assert made.take().points == []
        assert type(recorder.unscoped) is Scope
        vu._close()
        engine.close()

    asyncio.run(main())


def test_a_plan_that_wants_them_gets_them(nginx: Nginx) -> None:
    recorder = make_recorder(0, replace(make_plan(ConstantVUs(vus=1, duration_s=1.0)), points=True))
    assert isinstance(recorder, PointRecorder)

    async def main() -> None:
        async with telling(nginx.url) as made:
            vu = made.vu()
            await vu.get("/")
            assert [type(transfer) for transfer in vu._transfers] == [PointTransfer]

    asyncio.run(main())
