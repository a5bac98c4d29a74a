"""What a scenario writes as ``async with``: groups, and requests that it judges by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import fastload as fl
from fastload.load.recording.scope import CURRENT_SCOPE, current_tags
from fastload.model.http_settings import HttpSettings
from fastload.model.metrics import Series
from fastload.model.series import SeriesTable
from tests.conftest import Nginx, free_port
from tests.load.harness import Connection, Peer, Run, harness, until


def groups_of(table: SeriesTable) -> dict[str, int]:
    """How often each group was timed."""
    return {tags["group"]: sink.count for tags, sink in table.of_metric("group_duration")}


def slow_on_request(connection: Connection, head: bytes) -> None:
    if b"/slow" not in head.split(b"\r\n")[0]:
        connection.reply(head.split()[1])


class TestGroups:
    def test_a_group_is_timed_as_a_whole(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu()
                async with vu.group("login"):
                    await asyncio.sleep(0.02)
                    async with vu.group("form"):
                        await asyncio.sleep(0.01)
                table = made.take().table
                assert groups_of(table) == {"login::form": 1, "login": 1}
                outer, inner = (
                    table.series_values[Series.of("group_duration", group=g)] for g in ("login", "login::form")
                )
                # A timer of uvloop may be early by less than a millisecond.
                assert outer.min >= 28_000
                assert 9_000 <= inner.min <= outer.min - 19_000
                assert (table.get("group_duration").count, table.get("group_duration").sum) == (
                    2,
                    outer.sum + inner.sum,
                )

        run(main())

    def test_what_happens_inside_is_tagged(self, run: Run, nginx: Nginx) -> None:
        asked = [Series.of("http_reqs", group=group) for group in ("", "a", "a::b", "c")]

        async def main() -> None:
            async with harness(nginx.url, filters=asked) as made:
                vu = made.vu()
                await vu.get("/")
                async with vu.group("a"):
                    await vu.get("/")
                    async with vu.group("b"):
                        await vu.get("/")
                        await vu.get("/", params={"a": 1})
                    await vu.get("/")
                async with vu.group("c"):
                    await vu.get("/")
                await vu.get("/")
                table = made.take().table
                assert [table.series_values[series].value for series in asked] == [2, 2, 2, 1]

        run(main())

    def test_groups_around_and_inside_of_gather(self, run: Run, nginx: Nginx) -> None:
        asked = [Series.of("http_reqs", group=group) for group in ("page", "page::x", "page::y", "z", "")]

        async def part(vu: fl.VU, name: str, count: int) -> None:
            async with vu.group(name):
                await asyncio.gather(*(vu.get("/") for _ in range(count)))

        async def main() -> None:
            async with harness(nginx.url, filters=asked) as made:
                vu = made.vu()
                async with vu.group("page"):
                    await asyncio.gather(part(vu, "x", 3), vu.get("/"), part(vu, "y", 2))
                    await vu.get("/")
                await asyncio.gather(part(vu, "z", 1), vu.get("/"))
                table = made.take().table
                assert [table.series_values[series].value for series in asked] == [2, 3, 2, 1, 1]
                assert groups_of(table) == {"page": 1, "page::x": 1, "page::y": 1, "z": 1}

        run(main())

    def test_one_vu_is_not_in_the_group_of_another_scenario(self, run: Run, nginx: Nginx) -> None:
        asked = [Series.of("http_reqs", scenario=name, group=group) for name in "st" for group in ("", "g")]

        async def main() -> None:
            async with harness(nginx.url, filters=asked) as made:
                first, second = made.vu(scenario="s"), made.vu(scenario="t")
                async with first.group("g"):
                    await first.get("/")
                    await second.get("/")
                table = made.take().table
                assert [series.label for series in asked if series in table.series_values] == [
                    "http_reqs{group:g,scenario:s}",
                    'http_reqs{group:"",scenario:t}',
                ]

        run(main())

    def test_an_exception_leaves_it_and_the_time_counts(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu()
                before = CURRENT_SCOPE.get()
                with pytest.raises(KeyError):
                    async with vu.group("a"), vu.group("b"):
                        raise KeyError
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01), vu.group("slow"):
                        await asyncio.sleep(10)
                assert CURRENT_SCOPE.get() is before
                assert groups_of(made.take().table) == {"a::b": 1, "a": 1, "slow": 1}

        run(main())

    @pytest.mark.parametrize("how", ["interrupted", "stopping"])
    def test_an_interrupted_one_is_not_recorded(self, run: Run, how: str) -> None:
        async def main() -> None:
            async with Peer(slow_on_request) as peer, harness(peer.url) as made:
                vu = made.vu()

                async def iteration() -> None:
                    async with vu.group("g"):
                        await vu.get("/slow")

                task = asyncio.create_task(iteration())
                await until(lambda: len(peer.requests) == 1)
                if how == "interrupted":
                    vu._interrupted = True
                else:
                    made.context.stopping = True
                task.cancel()
                await asyncio.wait([task])
                assert groups_of(made.take().table) == {}

        run(main())

    @pytest.mark.parametrize("name", ["", "a::b", "::a"])
    def test_names_that_cannot_be(self, run: Run, name: str) -> None:
        async def main() -> None:
            async with harness() as made:
                with pytest.raises(fl.PlanError, match="group name") as caught:
                    async with made.vu().group(name):
                        pass
                assert "::" in caught.value.hint

        run(main())

    def test_an_iteration_begins_outside_of_groups(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu(tags={"team": "blue"})
                block = vu.group("left open")
                await block.__aenter__()
                assert current_tags()["group"] == "left open"
                vu._begin_iteration(0, 0)
                assert current_tags() == {"team": "blue", "scenario": "test", "group": ""}

        run(main())


class TestExpect:
    @staticmethod
    def outcome(made: Any) -> tuple[dict[str, float], int, int, dict[str, int]]:
        """Statuses, finished and failed, and errors since the last call."""
        delta = made.take()
        statuses = {tags["status"]: sink.value for tags, sink in delta.table.of_metric("http_reqs")}
        errors = {kind: count for kind, (count, _) in delta.errors.entries.items()}
        return statuses, delta.stats.finished, delta.stats.failed, errors

    def test_without_a_word_it_counts_as_any_other(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                async with vu.expect("GET", "/") as reply:
                    assert reply.text == "hello"
                    assert made.take().stats.finished == 0, "recorded when the block ends"
                assert self.outcome(made) == ({"200": 1}, 1, 0, {})
                async with vu.expect("GET", "/status/404", name="missing"):
                    pass
                assert self.outcome(made) == ({"404": 1}, 0, 1, {"http_404": 1})

        run(main())

    def test_success_and_failure(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                async with vu.expect("GET", "/status/404") as reply:
                    reply.success()
                assert self.outcome(made) == ({"404": 1}, 1, 0, {})
                async with vu.expect("POST", "/method", data=b"x") as reply:
                    assert reply.text.split()[0] == "POST"
                    reply.failure("too slow")
                assert self.outcome(made) == ({"200": 1}, 0, 1, {"judged: too slow": 1})
                async with vu.expect("GET", "/") as reply:
                    reply.failure("a first thought")
                    reply.success()
                assert self.outcome(made) == ({"200": 1}, 1, 0, {})
                async with vu.expect("GET", "/") as reply:
                    reply.failure("")
                assert self.outcome(made)[3] == {"judged: no reason given": 1}

        run(main())

    def test_an_exception_fails_it_and_goes_on(self, run: Run, nginx: Nginx) -> None:
        async def judge(vu: fl.VU, error: Exception, failure: str = "") -> None:
            async with vu.expect("GET", "/json") as reply:
                reply.success()
                if failure:
                    reply.failure(failure)
                raise error

        async def main() -> None:
            async with harness(nginx.url) as made:
                vu = made.vu()
                with pytest.raises(AssertionError, match="no name"):
                    await judge(vu, AssertionError("no name"))
                assert self.outcome(made) == ({"200": 1}, 0, 1, {"judged: AssertionError: no name": 1})
                with pytest.raises(KeyError):
                    await judge(vu, KeyError(), "said before")
                assert self.outcome(made)[3] == {"judged: said before": 1}
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5), vu.expect("GET", "/"):
                        await asyncio.sleep(10)
                assert self.outcome(made) == ({"200": 1}, 1, 0, {}), "given up from outside is no judgement"

        run(main())

    def test_without_a_response(self, run: Run) -> None:
        async def main() -> None:
            async with harness(f"http://user:secret@127.0.0.1:{free_port()}") as made:
                vu = made.vu()
                async with vu.expect("GET", "/") as reply:
                    assert (reply.ok, reply.error) == (False, "connect_refused")
                delta = made.take()
                (kind, (count, message)) = next(iter(delta.errors.entries.items()))
                assert (kind, count) == ("connect_refused", 1)
                assert "secret" not in message
                async with vu.expect("GET", "/") as reply:
                    reply.success()
                assert self.outcome(made) == ({"0": 1}, 1, 0, {})
                async with vu.expect("GET", "/") as reply:
                    reply.failure("down")
                assert self.outcome(made) == ({"0": 1}, 0, 1, {"judged: down": 1})

        run(main())

    def test_one_that_is_interrupted_counts_once(self, run: Run) -> None:
        async def main() -> None:
            http = HttpSettings(timeout_s=20)
            async with Peer(slow_on_request) as peer, harness(peer.url, http=http) as made:
                vu = made.vu()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05), vu.expect("GET", "/slow"):
                        pytest.fail("there is no reply")
                stats = made.take().stats
                assert (stats.started, stats.interrupted, stats.finished, stats.failed) == (1, 0, 0, 1)

        run(main())

    def test_latency_and_tags_are_as_usual(self, run: Run, nginx: Nginx) -> None:
        asked = [Series.of("http_req_failed", error="judged", group="g", kind="read"), Series.of("http_reqs", error="")]

        async def main() -> None:
            async with harness(nginx.url, filters=asked) as made:
                vu = made.vu()
                vu._begin_iteration(1, 0)
                async with vu.group("g"):
                    for judge in ("failure", "success"):
                        async with vu.expect("GET", "/", name="home", tags={"kind": "read"}) as reply:
                            getattr(reply, judge)(*["bad"] * (judge == "failure"))
                table = made.take().table
                assert table.series_values[asked[0]].to_plain() == [1, 1]
                assert table.series_values[asked[1]].value == 1
                assert table.series_values[Series.of("http_req_duration", method="GET", name_="home")].count == 2
                assert table.get("http_req_response_time").count == 1, "of the first request of an iteration"

        run(main())

    def test_requests_reconcile_with_the_server(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            before = nginx.wait_requests(0)
            async with harness(nginx.url) as made:
                vu = made.vu()
                for number in range(30):
                    async with vu.expect("GET", "/status/500" if number % 2 else "/") as reply:
                        if number % 3 == 0:
                            reply.success()
                        elif number % 3 == 1:
                            reply.failure(f"reason {number % 2}")
                stats = made.take().stats
                assert stats.started == 30 == stats.finished + stats.failed
                assert stats.finished == 10 + 5
                assert nginx.wait_requests(before + 30) - before == 30

        run(main())


class TestTheRest:
    def test_tags_of_requests_that_are_refused(self, run: Run, nginx: Nginx) -> None:
        async def main() -> None:
            async with harness(nginx.url) as made:
                for tag in ("status", "name", "group"):
                    with pytest.raises(fl.PlanError, match=f"the tag '{tag}' is set by fastload itself"):
                        await made.vu().get("/", tags={tag: "x"})
                assert made.take().stats.started == 0

        run(main())

    def test_checks_are_told_apart_by_scenario(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                for name, holds in (("s", True), ("t", False)):
                    made.vu(scenario=name).check(None, {"ok": holds}, tags={"anything": "goes"})
                rates = {tags["scenario"]: sink.to_plain() for tags, sink in made.take().table.of_metric("checks")}
                assert rates == {"s": [1, 1], "t": [0, 1]}

        run(main())

    def test_iterations_are_numbered_over_the_whole_test(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made:
                vu = made.vu()
                assert vu.iteration_in_test == 0
                vu._begin_iteration(0, 17)
                assert (vu.iteration, vu.iteration_in_test) == (0, 17)

        run(main())

    def test_chance_repeats_with_the_seed(self, run: Run) -> None:
        async def main() -> None:
            async with harness() as made, harness() as again:
                first, second = made.vu(seed=7), made.vu(seed=7)
                drawn = [vu.random.random() for vu in (first, second)]
                assert drawn[0] != drawn[1]
                assert [again.vu(seed=7).random.random() for _ in range(2)] == drawn
                assert again.vu(seed=8).random.random() not in drawn

        run(main())
