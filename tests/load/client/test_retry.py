"""Requests that are sent again: how often, after which wait, and what is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import fastload as fl
from tests.conftest import Nginx
from tests.load.harness import Connection, Peer, Run, harness


class Flaky:
    """Fails *times* times in the way that the path names, then answers."""

    def __init__(self, times: int, headers: str = "") -> None:
        self.left = times
        self.headers = headers

    def __call__(self, connection: Connection, head: bytes) -> None:
        if not self.left:
            connection.reply(connection.body or b"ok")
            return
        self.left -= 1
        kind = head.split()[1].decode().removeprefix("/")
        if kind == "reset":
            connection.reset()
        elif kind != "silent":
            connection.reply(status=f"{kind} Status", headers=self.headers)


def waits(retry: fl.Retry, count: int, *, chance: float = 0.0) -> list[float]:
    reply: Any = object()
    return [retry._next_wait_s(tries, reply, chance) for tries in range(1, count + 1)]


class TestWaits:
    def test_grow_up_to_the_longest(self) -> None:
        assert waits(fl.Retry(wait="200ms", factor=2, longest="1s"), 5) == [0.2, 0.4, 0.8, 1, 1]
        assert waits(fl.Retry(wait="1s", factor=1), 3) == [1, 1, 1]
        assert waits(fl.Retry(wait="0s"), 2) == [0, 0]

    def test_jitter_takes_a_share_away(self) -> None:
        assert waits(fl.Retry(wait="1s", jitter=0.5), 2, chance=1) == [0.5, 1]
        assert waits(fl.Retry(wait="1s", jitter=0.5), 2, chance=0.5) == [0.75, 1.5]

    def test_retry_after_goes_first(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(Flaky(100, "Retry-After: 7\r\n")) as peer, harness(peer.url) as made:
                vu = made.vu()
                slept: list[float] = []

                async def sleep(least_s: float, most_s: float | None = None) -> None:
                    slept.append(least_s)

                vu.sleep = sleep  # type: ignore[method-assign]
                await vu.get("/429", retry=fl.Retry(times=2))
                await vu.get("/503", retry=fl.Retry(times=1, longest="3s"))
                await vu.get("/503", retry=fl.Retry(times=1, wait="5ms", retry_after=False))
                assert slept == [7, 7, 3, 0.005]

        run(main())


class TestTries:
    @pytest.mark.parametrize(("kind", "error"), [("503", "http_503"), ("429", "http_429"), ("reset", "reset")])
    def test_each_is_counted(self, run: Run, kind: str, error: str) -> None:
        async def main() -> None:
            async with Peer(Flaky(2)) as peer, harness(peer.url) as made:
                retry = fl.Retry(on=(503, 429, "reset"), wait="1ms")
                reply = await made.vu().post(f"/{kind}", json={"a": 1}, retry=retry)
                assert (reply.ok, reply.tries, reply.text) == (True, 3, '{"a":1}')
                assert len(peer.requests) == 3
                delta = made.take()
                assert (delta.stats.started, delta.stats.failed, delta.stats.finished) == (3, 2, 1)
                assert {name: count for name, (count, _) in delta.errors.entries.items()} == {error: 2}

        run(main())

    def test_end_with_the_last_reply(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(Flaky(100)) as peer, harness(peer.url) as made:
                vu = made.vu()
                reply = await vu.get("/503", retry=fl.Retry(times=2, wait="1ms"))
                assert (reply.ok, reply.status, reply.tries, len(peer.requests)) == (False, 503, 3, 3)
                other = await vu.get("/500", retry=fl.Retry(wait="1ms"))
                assert (other.status, other.tries, len(peer.requests)) == (500, 1, 4)
                assert (await vu.get("/reset", retry=fl.Retry(wait="1ms"))).tries == 1
                assert (await vu.get("/reset", retry=fl.Retry(times=1, on="error", wait="1ms"))).tries == 2
                late = await vu.get("/silent", retry=fl.Retry(times=1, on=["timeout"], wait="1ms"), timeout="30ms")
                assert (late.error, late.tries) == ("timeout", 2)

        run(main())

    def test_reconcile_with_the_log_of_the_server(self, nginx: Nginx) -> None:
        before = nginx.wait_requests(0)

        @fl.scenario(vus=2, iterations=10)
        async def insist(vu: fl.VU) -> None:
            reply = await vu.get("/status/500", retry=fl.Retry(times=2, on=500, wait="1ms"))
            vu.check(reply, {"three tries": reply.tries == 3})

        summary = fl.run(insist, base_url=nginx.url, workers=1)
        assert all(not check.fails for check in summary.checks), summary.exceptions
        assert summary.metrics["http_reqs"].count == 30
        assert nginx.wait_requests(before + 30) == before + 30

    def test_the_last_try_is_the_one_that_is_judged(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(Flaky(1)) as peer, harness(peer.url) as made:
                async with made.vu().expect("GET", "/503", retry=fl.Retry(wait="1ms")) as reply:
                    assert (reply.status, reply.tries) == (200, 2)
                    reply.failure("not good enough")
                delta = made.take()
                assert (delta.stats.started, delta.stats.failed, delta.stats.finished) == (2, 2, 0)
                assert set(delta.errors.entries) == {"http_503", "judged: not good enough"}

        run(main())

    def test_an_expected_status_may_be_tried_again(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(Flaky(2)) as peer, harness(peer.url) as made:
                reply = await made.vu().get("/404", expected=(200, 404), retry=fl.Retry(on=404, wait="1ms"))
                assert (reply.status, reply.tries) == (200, 3)
                delta = made.take()
                assert (delta.stats.failed, delta.stats.finished) == (0, 3)

        run(main())

    def test_end_when_the_run_ends(self, run: Run) -> None:
        async def main() -> None:
            async with Peer(Flaky(1000)) as peer, harness(peer.url) as made:
                task = asyncio.create_task(made.vu().get("/503", retry=fl.Retry(times=1000, wait="1h", longest="1h")))
                while not peer.requests:
                    await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert made.take().stats.started == 1

        run(main())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"times": 0}, "times 0 is below 1"),
        ({"factor": 0.5}, "factor 0.5 is below 1"),
        ({"jitter": 2}, "jitter 2 is not from 0 to 1"),
        ({"wait": "1"}, "Retry: wait"),
        ({"on": (99,)}, "99 is no HTTP status"),
        ({"on": ("rest",)}, "Retry: on has 'rest'"),
    ],
)
def test_mistakes(options: dict[str, Any], said: str) -> None:
    with pytest.raises(fl.PlanError) as caught:
        fl.Retry(**options)
    assert said in caught.value.message
