"""What of a reply a scenario reads is found in its code, wherever that code lives."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

import fastload as fl
from fastload.load.client.reply import Reply
from fastload.load.client.reply_parts import ReplyParts, parts_read_by
from fastload.load.client.vu import VU

NOTHING, BODY, HEADERS, BOTH = (
    ReplyParts(body, headers) for body, headers in ((False, False), (True, False), (False, True), (True, True))
)


@pytest.mark.parametrize("function", [fl.abort, fl.fail, fl.measure, fl.Measured, fl.env, fl.data])
def test_what_a_script_calls_of_fastload_reads_no_part_of_a_reply(function: Callable[..., Any]) -> None:
    async def visit(vu: VU) -> None:
        function("text")

    assert parts_read_by(visit) == NOTHING


async def reads_nothing(vu: VU) -> None:
    reply = await vu.get("/")
    vu.check(reply, {"ok": reply.ok, "fast": reply.duration_ms < 5})


async def reads_json(vu: VU) -> Any:
    return (await vu.get("/")).json()


async def reads_text(vu: VU) -> str:
    return (await vu.get("/")).text


async def reads_body(vu: VU) -> bytes:
    return (await vu.get("/")).body


async def reads_headers(vu: VU) -> str:
    return (await vu.get("/")).headers["location"]


async def reads_both(vu: VU) -> tuple[str, str]:
    reply = await vu.get("/")
    return reply.text, reply.headers["etag"]


def helper(reply: Reply) -> Any:
    return reply.json()["id"]


def helper_of_helper(reply: Reply) -> Any:
    return helper(reply)


async def reads_in_a_helper(vu: VU) -> Any:
    return helper(await vu.get("/"))


async def reads_two_helpers_down(vu: VU) -> Any:
    return helper_of_helper(await vu.get("/"))


async def reads_in_a_lambda(vu: VU) -> None:
    vu.check(await vu.get("/"), {"small": lambda reply: len(reply.body) < 10})


async def reads_in_a_nested_function(vu: VU) -> Any:
    def inner(reply: Reply) -> Any:
        return [each.json() for each in (reply,)]

    return inner(await vu.get("/"))


async def posts_json(vu: VU) -> None:
    await vu.post("/", json={"a": 1}, headers={"X": "y"})


class Page:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def title(self) -> str:
        return self.reply.text[:10]


async def reads_in_a_class(vu: VU) -> str:
    return Page(await vu.get("/")).title()


module = types.ModuleType("helpers")
module.helper = helper  # type: ignore[attr-defined]


async def reads_in_another_module(vu: VU) -> Any:
    return module.helper(await vu.get("/"))


async def loops_for_ever(vu: VU) -> None:
    await loops_for_ever(vu)


def closing_over(read: Callable[[Reply], Any]) -> Callable[[VU], Any]:
    async def scenario(vu: VU) -> Any:
        return read(await vu.get("/"))

    return scenario


class Flow:
    async def step(self, vu: VU) -> Any:
        return (await vu.get("/")).json()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (reads_nothing, NOTHING),
        (reads_json, BODY),
        (reads_text, BODY),
        (reads_body, BODY),
        (reads_headers, HEADERS),
        (reads_both, BOTH),
        (reads_in_a_helper, BODY),
        (reads_two_helpers_down, BODY),
        (reads_in_a_lambda, BODY),
        (reads_in_a_nested_function, BODY),
        (reads_in_a_class, BODY),
        (reads_in_another_module, BODY),
        (loops_for_ever, NOTHING),
        (closing_over(helper), BODY),
        (closing_over(len), NOTHING),  # type: ignore[arg-type]
        (Flow().step, BODY),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_usage(function: Callable[..., Any], expected: ReplyParts) -> None:
    assert parts_read_by(function) == expected


def test_what_is_sent_is_not_what_is_read() -> None:
    assert parts_read_by(posts_json) == NOTHING


def test_an_empty_cell_is_passed_over() -> None:
    def outer() -> Callable[[VU], Any]:
        async def scenario(vu: VU) -> Any:
            return later(await vu.get("/"))

        if scenario.__name__ == "something else":
            later = helper
        return scenario

    assert parts_read_by(outer()) == NOTHING
