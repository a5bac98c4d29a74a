"""Advice on the mistakes of scripts, also on names of other tools."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.load.script.advice import advised_traceback
from tests.conftest import Nginx
from tests.hostile import HostileError
from tests.load.harness import harness

Mistake = Callable[[Any], Awaitable[Any]]


def read(name: str) -> Mistake:
    """A mistake: a name that replies do not have."""

    async def mistake(vu: Any) -> None:
        getattr(await vu.get("/"), name)

    return mistake


async def unknown_option(vu: Any) -> None:
    await vu.get("/", header={"a": "b"})


async def unknown_argument(vu: Any) -> None:
    await vu.batch(["/"], limits=5)


async def unknown_method(vu: Any) -> None:
    await vu.gett("/")


async def of_locust(vu: Any) -> None:
    await vu.client.get("/")


async def of_k6(vu: Any) -> None:
    await vu.http.get("/")


async def of_the_module(_vu: Any) -> None:
    fl.check(None, {})


async def unknown_in_the_module(_vu: Any) -> None:
    fl.Countr("x")


async def duration_of_timings(vu: Any) -> None:
    _ = (await vu.get("/")).timings.duration


async def no_await(vu: Any) -> None:
    _ = vu.get("/").status


async def no_await_of_a_subscript(vu: Any) -> None:
    vu.get("/")["id"]


async def await_of_a_block(vu: Any) -> None:
    await vu.expect("GET", "/")


async def await_of_nothing(vu: Any) -> None:
    await vu.check(None, {"a": True})


async def await_of_a_generator(vu: Any) -> None:
    async def pages() -> Any:
        yield 1

    await pages()


async def block_without_async(vu: Any) -> None:
    with vu.group("login"):
        pass


async def block_of_a_request(vu: Any) -> None:
    async with vu.get("/"):
        pass


async def upper_case_header(vu: Any) -> None:
    reply = await vu.get("/")
    reply.headers["Content-Type"]


async def unknown_variable(_vu: Any) -> None:
    response = 1
    _ = respnse + response  # type: ignore[name-defined]  # noqa: F821


async def missing_file(vu: Any) -> None:
    await vu.post("/", data=Path(__file__).parent / "test_advise.py")


async def metric_of_another_tool(_vu: Any) -> None:
    fl.Counter("advice_counter").inc()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (unknown_option, "did you mean 'headers'?"),
        (unknown_argument, "did you mean 'limit'?"),
        (unknown_method, "did you mean 'get'?"),
        (of_locust, "requests are methods of the VU: await vu.get(...)"),
        (of_k6, "requests are methods of the VU: await vu.get(...)"),
        (of_the_module, "write vu.check"),
        (unknown_in_the_module, "did you mean 'Counter'?"),
        (read("status_code"), "did you mean 'status'?"),
        (read("content"), "did you mean 'body'?"),
        (read("elapsed"), "did you mean 'duration_ms'?"),
        (read("is_success"), "did you mean 'ok'?"),
        (read("raise_for_status"), "write 'if not reply.ok: fl.fail(...)'"),
        (read("staus"), "did you mean 'status'?"),
        (duration_of_timings, "write reply.duration_ms"),
        (no_await, "await is missing: write await before the call"),
        (no_await_of_a_subscript, "await is missing: write await before the call"),
        (await_of_a_block, "write 'async with' before the call, and 'as NAME' behind it"),
        (await_of_nothing, "leave await out: there is nothing to wait for"),
        (await_of_a_generator, "it is an async generator (it has yield): write 'async for item in' before the call"),
        (block_without_async, "write 'async with'"),
        (block_of_a_request, "await is missing: write await before the call"),
        (upper_case_header, "names of headers are in lower case: 'content-type'"),
        (unknown_variable, "did you mean 'response'?"),
        (missing_file, "did you mean 'test_advice.py'?"),
        (metric_of_another_tool, "did you mean 'add'?"),
    ],
)
def test_what_the_last_line_says(nginx: Nginx, mistake: Mistake, said: str) -> None:
    async def main() -> str:
        async with harness(nginx.url) as made:
            try:
                await mistake(made.vu(headers=True))
            except Exception as error:
                return advised_traceback(error)
        pytest.fail("it is no mistake")

    with warnings.catch_warnings():
        # Of coroutines that are never awaited.
        warnings.simplefilter("ignore", RuntimeWarning)
        lines = asyncio.run(main()).splitlines()
    assert lines[-1].endswith(f"; {said}")
    assert f'File "{__file__}"' in "".join(lines)


def test_an_error_that_says_nothing_about_itself() -> None:
    assert "HostileError" in advised_traceback(HostileError())


def test_the_summary_of_a_run_says_file_line_and_what_is_meant(nginx: Nginx) -> None:
    @fl.scenario(vus=1, iterations=2)
    async def wrong(vu: fl.VU) -> None:
        await vu.get("/", header={})  # type: ignore[call-arg]

    summary = fl.run(wrong, base_url=nginx.url, workers=1)
    ((kind, (count, message)),) = summary.exceptions.entries.items()
    assert (kind, count) == ("PlanError", 2)
    assert f'File "{__file__}", line ' in message
    assert message.endswith("a request has no option 'header'; did you mean 'headers'?")
    assert "did you mean 'headers'?" in " ".join(fl.summary_text(summary).split())


def test_setup_says_it_too(nginx: Nginx) -> None:
    async def setup(vu: fl.VU) -> None:
        _ = (await vu.get("/")).status_code  # type: ignore[attr-defined]

    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    summary = fl.run(visit, setup=setup, base_url=nginx.url, vus=1, iterations=1, workers=1)
    (error,) = summary.hook_errors
    assert error.message.endswith("did you mean 'status'?")
