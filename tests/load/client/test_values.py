"""Names, tags, headers and cookies that are no texts: what is counted and sent, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

import fastload as fl
from fastload.load.engine.curl_transfer import Transfer
from fastload.load.recording.scope import CURRENT_VU
from fastload.model.metrics import Series
from tests.conftest import Nginx
from tests.hostile import Color, HostileError, HostileText
from tests.load.harness import Connection, Peer, harness, lines_of


def names_of(table: Any) -> dict[str, float]:
    return {tags["name"]: value.value for tags, value in table.of_metric("http_reqs") if "name" in tags}


def answer(connection: Connection, head: bytes) -> None:
    connection.reply()


def test_names_that_are_equal_but_not_the_same_are_apart(nginx: Nginx) -> None:
    """1, 1.0 and True are one key of a dict, and three names."""

    async def main() -> None:
        async with harness(nginx.url) as made:
            vu: Any = made.vu()
            for _ in range(2):
                for name in (1, True, 1.0, "1", HostileText("text"), Color.RED, 0, False, None, ""):
                    await vu.get("/", name=name)
            assert names_of(made.take().table) == {
                "1": 4,
                "True": 2,
                "1.0": 2,
                "text": 2,
                "red": 2,
                "0": 2,
                "False": 2,
                "/": 4,
            }

    asyncio.run(main())


def test_tags_that_are_no_texts_count_in_the_series_that_thresholds_ask_for(nginx: Nginx) -> None:
    asked = [Series.of(metric, page="7") for metric in ("http_reqs", "checks", "calls")]

    async def main() -> None:
        async with harness(nginx.url, filters=asked) as made:
            vu: Any = made.vu()
            CURRENT_VU.set(vu)
            pages: tuple[Any, ...] = (7, "7", 7.0, True)
            for page in pages:
                await vu.get("/", tags={"page": page})
                vu.check(None, {"good": True}, {"page": page})
                async with fl.measure("call", tags={"page": page}):
                    pass
            table = made.take().table
            requests, checks, calls = (table.series_values[series] for series in asked)
            assert (requests.value, checks.total, calls.value) == (2, 2, 2)

    asyncio.run(main())


def test_headers_and_cookies_are_sent_as_texts() -> None:
    async def main() -> None:
        async with Peer(answer) as peer, harness(peer.url) as made:
            vu: Any = made.vu()
            for number in (1, True, "1"):
                await vu.get("/", headers={"X-Number": number, Color.RED: 7}, cookies={"a": number, 2: Color.SEVEN})
            vu.headers = {"X-Run": 5}
            vu.cookies["id"] = 7
            await vu.get("/", headers={"X-Number": 2})
            heads = [lines_of(head) for _, head in peer.requests]
            assert [head["x-number"] for head in heads] == ["1", "True", "1", "2"]
            assert [head.get("cookie") for head in heads] == ["a=1; 2=7", "a=True; 2=7", "a=1; 2=7", "id=7"]
            assert (heads[0]["red"], heads[3]["x-run"]) == ("7", "5")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": ["a"]}, "name= is a list"),
        ({"name": ("a", 1)}, "name= is a tuple"),
        ({"name": b"a"}, "name= is a bytes"),
        ({"retry": True}, "retry is a bool"),
        ({"tags": 5}, "tags is a int"),
        ({"tags": {"a": [1]}}, "'a' in tags is a list"),
        ({"headers": 5}, "headers is a int"),
        ({"headers": {"a": [1]}}, "the header 'a' is a list"),
        ({"headers": {"a": b"x"}}, "the header 'a' is a bytes"),
        ({"headers": {None: "x"}}, "a name in headers is a NoneType"),
        ({"headers": {"": "x"}}, "'' is no name of a header"),
        ({"headers": {"a": "x\0"}}, "the header 'a' has a NUL"),
        ({"cookies": 5}, "cookies is a int"),
        ({"cookies": {"a": None}}, "the cookie 'a' is a NoneType"),
        ({"cookies": {"a": "1\r\nX: y"}}, "'1\\r\\nX: y' cannot be a part of the cookie 'a'"),
    ],
)
def test_what_is_no_text_fails_the_iteration_with_its_reason(nginx: Nginx, options: dict[str, Any], said: str) -> None:
    async def main() -> None:
        async with harness(nginx.url) as made:
            vu: Any = made.vu()
            for more in ({}, {"timeout": "5s"}):
                with pytest.raises(fl.PlanError) as caught:
                    await vu.get("/", **options, **more)
                assert caught.value.message.startswith(said)
                assert caught.value.hint
            stats = made.take().stats
            assert (stats.started, stats.finished) == (0, 0)

    asyncio.run(main())


@pytest.mark.parametrize(
    "options",
    [{"http": fl.RequestSettings(timeout_s="x")}, {"http": fl.RequestSettings(source_address="x")}],  # type: ignore[arg-type]
    ids=["of a wrong type", "no address"],
)
def test_a_request_that_cannot_be_prepared_leaves_no_handle_behind(nginx: Nginx, options: dict[str, Any]) -> None:
    """A script that fails so in each iteration does not grow."""

    def handles() -> int:
        gc.collect()
        return sum(isinstance(one, Transfer) for one in gc.get_objects())

    async def main() -> None:
        async with harness(nginx.url) as made:
            vu: Any = made.vu()
            await vu.get("/")
            before = handles()
            for _ in range(20):
                with pytest.raises(fl.PlanError):
                    await vu.get("/", **options)
            assert handles() <= before
            assert (await vu.get("/", timeout="5s")).ok

    asyncio.run(main())


@pytest.mark.parametrize("measured", [False, True], ids=["judged request", "measured call"])
def test_an_exception_without_a_text_is_a_failure_like_others(nginx: Nginx, measured: bool) -> None:
    async def main() -> None:
        async with harness(nginx.url) as made:
            vu: Any = made.vu()
            block: Callable[[], Any] = (lambda: fl.measure("call")) if measured else (lambda: vu.expect("GET", "/"))
            with pytest.raises(HostileError):
                async with block():
                    raise HostileError
            delta = made.take()
            assert measured or (delta.stats.started, delta.stats.failed) == (1, 1)

    asyncio.run(main())
