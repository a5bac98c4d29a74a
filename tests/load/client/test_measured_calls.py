"""``fl.measure``: calls of any code, in the process of the test."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

import fastload as fl
from fastload.load.recording.named_values import FOLD_AT_VALUES
from fastload.load.recording.scope import CURRENT_VU
from fastload.model.load_models import ConstantArrivalRate, SharedIterations
from fastload.model.metrics import MAX_NAMES, OTHER_NAME, Series
from fastload.model.series import SeriesTable
from tests.load.executors.vus import count, executor_of, ok, play, stop_now, work_of
from tests.load.harness import Harness, Peer, Run, harness

PLAN = SharedIterations(vus=1, iterations=1, duration_s=20)


def by_name(table: SeriesTable, metric: str) -> dict[str, float]:
    found = dict[str, float]()
    for tags, sink in table.of_metric(metric):
        if set(tags) == {"name"}:
            found[tags["name"]] = (
                sink.value if metric == "calls" else sink.trues if metric == "call_failed" else sink.count
            )
    return found


def visitor(made: Harness) -> fl.VU:
    """A VU in an iteration, as if its task were this one."""
    vu = made.vu()
    CURRENT_VU.set(vu)
    vu._begin_iteration(0, 0)
    return vu


class TestBlock:
    def test_it_is_timed_and_counted_by_name(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                visitor(made)
                async with fl.measure("grpc.Hello") as call:
                    assert call.duration_ms is None
                    await asyncio.sleep(0.02)
                async with fl.measure("sql.select"):
                    pass
                assert call.duration_ms is not None
                assert call.duration_ms >= 19
                table = made.take().table
                assert by_name(table, "calls") == {"grpc.Hello": 1, "sql.select": 1}
                assert (
                    table.get("calls").value == table.get("call_failed").total == table.get("call_duration").count == 2
                )
                assert table.get("call_failed").trues == 0
                hello = table.series_values[Series.of("call_duration", name_="grpc.Hello")]
                assert 19_000 <= hello.min == table.get("call_duration").max
                assert not made.take().table.series_values

        run(main())

    def test_an_exception_fails_it_and_goes_on(self, run: Run) -> None:
        async def main() -> None:
            async with harness(filters=[Series.of("calls", error="ValueError")]) as made:
                visitor(made)
                with pytest.raises(ValueError, match="boom"):
                    async with fl.measure("a"):
                        raise ValueError("boom")
                async with fl.measure("a"):
                    pass
                delta = made.take()
                assert (delta.table.get("call_failed").trues, delta.table.get("call_failed").total) == (1, 2)
                assert delta.table.get("call_duration").count == 1, "no latency is made up for it"
                assert delta.table.series_values[Series.of("calls", error="ValueError")].value == 1
                assert delta.errors.entries == {"ValueError": (1, "a: boom")}

        run(main())

    def test_the_script_judges(self, run: Run) -> None:
        async def main() -> None:
            async with harness(filters=[Series.of("calls", error="judged")]) as made:
                visitor(made)
                async with fl.measure("a") as call:
                    call.fail("stale")
                delta = made.take()
                assert (delta.table.get("call_failed").trues, delta.table.get("call_duration").count) == (1, 1)
                assert delta.table.series_values[Series.of("calls", error="judged")].value == 1
                assert delta.errors.entries == {"judged: stale": (1, "a: stale")}

        run(main())

    def test_as_a_decorator(self, run: Run) -> None:
        @fl.measure("hello")
        async def hello(name: str) -> str:
            await asyncio.sleep(0)
            return f"hello {name}"

        async def main() -> None:
            async with harness() as made:
                visitor(made)
                assert list(await asyncio.gather(hello("a"), hello("b"))) == ["hello a", "hello b"]
                assert by_name(made.take().table, "call_duration") == {"hello": 2}
            CURRENT_VU.set(None)
            assert await hello("nobody") == "hello nobody"

        run(main())

    def test_outside_of_an_iteration_nothing_is_recorded(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                made.vu()
                CURRENT_VU.set(None)
                async with fl.measure("a") as call:
                    pass
                assert call.duration_ms is not None
                assert not made.take().table.series_values

        run(main())

    @pytest.mark.parametrize(
        ("name", "tags", "said"),
        [("", None, "the name '' of a measured call"), ("a", {"error": "x"}, "the tag 'error' is set by fastload")],
    )
    def test_what_is_refused(self, name: str, tags: dict[str, str] | None, said: str) -> None:
        with pytest.raises(fl.PlanError, match=said):
            fl.measure(name, tags=tags)


class TestSeries:
    def test_filters_by_scenario_group_tags_and_name(self, run: Run) -> None:
        asked = [
            Series.of("calls", scenario="test", group="g"),
            Series.of("call_duration", name="b", kind="read"),
            Series.of("call_failed", group=""),
        ]

        async def main() -> None:
            async with harness(filters=asked) as made:
                vu = visitor(made)
                async with vu.group("g"):
                    for name, kind in itertools.product("ab", ("read", "write")):
                        async with fl.measure(name, tags={"kind": kind}):
                            pass
                async with fl.measure("b", tags={"kind": "read"}):
                    pass
                table = made.take().table
                assert [
                    table.series_values[asked[0]].value,
                    table.series_values[asked[1]].count,
                    table.series_values[asked[2]].total,
                ] == [
                    4,
                    2,
                    1,
                ]
                assert by_name(table, "calls") == {"a": 2, "b": 3}

        run(main())

    def test_names_are_bounded(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                visitor(made)
                for number in range(MAX_NAMES + 10):
                    async with fl.measure(f"call {number}"):
                        pass
                found = by_name(made.take().table, "calls")
                assert len(found) == MAX_NAMES + 1
                assert found[OTHER_NAME] == 10

        run(main())

    def test_many_values_are_folded_early(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = visitor(made)
                for number in range(FOLD_AT_VALUES + 5):
                    made.recorder.sample(vu._scope(), "call_duration", "a", number)
                assert sum(map(len, vu._scope().samples.values())) == 5
                assert by_name(made.take().table, "call_duration") == {"a": FOLD_AT_VALUES + 5}

        run(main())


class TestOpenModel:
    def test_the_first_call_counts_from_when_it_was_due(self, run: Run) -> None:
        async def late(vu: fl.VU) -> None:
            await asyncio.sleep(0.03)
            for _ in range(3):
                async with fl.measure("a"):
                    await asyncio.sleep(0.002)

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, late), ConstantArrivalRate(50.0, 0.2, 20))
                table = made.take().table
                assert table.get("call_response_time").count == table.get("iterations").value == 10
                assert table.get("call_duration").count == 30
                # A timer of uvloop may be early by less than a millisecond.
                assert table.get("call_response_time").min >= 29_000

        run(main())

    def test_not_after_a_request_and_neither_does_one_after_it(self, run: Run) -> None:
        async def request_first(vu: fl.VU) -> None:
            await vu.get("/")
            async with fl.measure("a"):
                pass

        async def call_first(vu: fl.VU) -> None:
            async with fl.measure("a"):
                pass
            await vu.get("/")

        async def within(vu: fl.VU) -> None:
            async with fl.measure("a"):
                await vu.get("/")

        async def main() -> None:
            async with Peer(ok) as peer, harness(peer.url) as made:
                for function, calls, requests in ((request_first, 0, 4), (call_first, 4, 0), (within, 4, 4)):
                    await play(work_of(made, function), ConstantArrivalRate(100.0, 0.04, 20))
                    table = made.take().table
                    times = [table.get(f"{kind}_response_time") for kind in ("call", "http_req")]
                    assert [one.count if one else 0 for one in times] == [calls, requests], function.__name__

        run(main())

    def test_only_one_call_of_an_iteration_has_the_due_time(self, run: Run) -> None:
        async def call() -> None:
            async with fl.measure("a"):
                await asyncio.sleep(0.001)

        async def side_by_side(vu: fl.VU) -> None:
            await asyncio.gather(call(), call(), call())

        async def after_one_that_raised(vu: fl.VU) -> None:
            with pytest.raises(ValueError, match="boom"):
                async with fl.measure("a"):
                    raise ValueError("boom")
            await call()

        async def main() -> None:
            async with harness() as made:
                for function, wanted in ((side_by_side, 4), (after_one_that_raised, 0)):
                    await play(work_of(made, function), ConstantArrivalRate(100.0, 0.04, 20))
                    times = made.take().table.get("call_response_time")
                    assert (times.count if times else 0) == wanted, function.__name__

        run(main())

    def test_no_due_time_in_a_closed_model(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            async with fl.measure("a"):
                pass

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit), PLAN)
                table = made.take().table
                assert (count_of(table, "call_duration"), table.get("call_response_time")) == (1, None)

        run(main())


def count_of(table: SeriesTable, metric: str) -> int:
    found: int = table.get(metric).count
    return found


class TestEnds:
    def test_an_interrupted_call_counts_nowhere(self, run: Run) -> None:
        entered = asyncio.Event()

        async def visit(vu: fl.VU) -> None:
            async with fl.measure("a"):
                entered.set()
                await asyncio.sleep(60)

        async def main() -> None:
            async with harness() as made:
                work = work_of(made, visit)
                executor = executor_of(work, PLAN)
                playing = asyncio.ensure_future(executor.run(time.monotonic_ns()))
                await asyncio.wait_for(entered.wait(), 20)
                stop_now(made, work, executor)
                await playing
                work.close()
                delta = made.take()
                assert (delta.table.get("calls"), delta.stats.iterations_interrupted) == (None, 1)

        run(main())

    def test_a_time_out_of_the_scripts_own_fails_it(self, run: Run) -> None:
        async def visit(vu: fl.VU) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), fl.measure("outside"):
                    await asyncio.sleep(60)
            with pytest.raises(TimeoutError):
                async with fl.measure("inside"), asyncio.timeout(0.01):
                    await asyncio.sleep(60)

        async def main() -> None:
            async with harness() as made:
                await play(work_of(made, visit), PLAN)
                delta = made.take()
                assert by_name(delta.table, "call_failed") == {"outside": 1, "inside": 1}
                assert set(delta.errors.entries) == {"CancelledError", "TimeoutError"}
                assert count(delta, "iterations") == 1

        run(main())

    def test_a_call_that_did_not_raise_counts_as_work_of_the_iteration(self, run: Run) -> None:
        """An iteration that raises before it did anything makes its VU pause."""

        async def main() -> None:
            async with harness() as made:
                vu = visitor(made)
                with pytest.raises(ConnectionRefusedError):
                    async with fl.measure("a"):
                        raise ConnectionRefusedError("nobody listens")
                assert vu._request_count == 0
                async with fl.measure("a"):
                    pass
                assert vu._request_count == 1

        run(main())
