"""A load on something that speaks no HTTP: Redis, by its own asyncio client, measured with ``fl.measure``."""

from __future__ import annotations

import redis as blocking
import redis.asyncio as redis

import fastload as fl


async def connect(vu: fl.VU) -> None:
    vu.state["redis"] = redis.from_url(vu.env["REDIS"], decode_responses=True)


async def disconnect(vu: fl.VU) -> None:
    await vu.state["redis"].aclose()


@fl.scenario(on_start=connect, on_stop=disconnect)
async def cache(vu: fl.VU) -> None:
    client, key = vu.state["redis"], f"user:{vu.id}"
    async with fl.measure("set"):
        await client.set(key, vu.iteration)
    async with fl.measure("get") as call:
        if await client.get(key) != str(vu.iteration):
            call.fail("stale")
    if vu.iteration % 5 == 0:
        try:
            async with fl.measure("incr"):
                await client.hincrby(key, "field")
        except redis.ResponseError:
            pass


def commands_of(url: str) -> dict[str, tuple[int, int]]:
    """What the server counts: calls by command, and how many of them failed."""
    with blocking.from_url(url) as client:
        stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): (one["calls"], one["failed_calls"]) for name, one in stats.items()}


def test_both_sides_count_the_same(redis_url: str) -> None:
    with blocking.from_url(redis_url) as client:
        client.config_resetstat()
    summary = fl.run(cache, vus=4, iterations=100, workers=2, env={"REDIS": redis_url}, executor="shared-iterations")
    counted = commands_of(redis_url)
    calls = {call.name: (call.calls, call.failed) for call in summary.calls}
    assert summary.metrics["iterations"].count == 100
    assert calls["set"] == counted["set"] == (100, 0)
    assert calls["get"] == counted["get"] == (100, 0)
    assert calls["incr"] == counted["hincrby"]
    assert calls["incr"][1] == calls["incr"][0] > 0
    assert {error["kind"]: error["count"] for error in summary.errors.to_list()} == {"ResponseError": calls["incr"][1]}
    metrics = summary.metrics
    assert metrics["call_duration"].count == metrics["calls"].count - calls["incr"][1]
    assert (metrics["http_reqs"].count, summary.requests.started) == (0, 0)
    assert "othing was measured" not in fl.summary_text(summary)
    assert [call["name"] for call in summary.to_dict()["calls"]] == [call.name for call in summary.calls]


def test_an_open_model_judges_by_calls(redis_url: str) -> None:
    summary = fl.run(
        cache,
        rate=100,
        duration="500ms",
        workers=1,
        env={"REDIS": redis_url},
        thresholds={
            "call_response_time": "count==50",
            "calls{name:set,scenario:cache}": "count==50",
            "call_failed{name:set}": "rate==0",
        },
    )
    assert [result.ok for result in summary.thresholds] == [True, True, True]
    assert "call_response_time" in fl.summary_text(summary)
    assert "Nothing was measured" not in summary.verdict.limit


def test_a_server_that_is_not_there() -> None:
    summary = fl.run(cache, vus=1, iterations=1, workers=1, env={"REDIS": "redis://127.0.0.1:1"})
    assert summary.metrics["call_failed"].rate == 1.0
    assert [error["kind"] for error in summary.errors.to_list()] == ["ConnectionError"]
    assert "its only call failed with ConnectionError" in summary.verdict.limit
    assert summary.all_raised
