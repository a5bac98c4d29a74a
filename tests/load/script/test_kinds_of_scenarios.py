"""What can be a scenario: all that gives something to await, with one iteration in it; and what is said of the rest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest

import fastload as fl
from fastload.load.client.callables import is_async
from fastload.load.client.reply_parts import parts_read_by
from fastload.model.errors import PlanError
from tests.life import Life


async def visit(vu: Any) -> None:
    (await vu.get("/visit")).json()


async def browse(vu: Any, page: int) -> None:
    (await vu.get(f"/{page}")).json()


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def lost(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(vu: Any) -> Any:
        return function(vu)

    return wrapper


class Shop:
    async def __call__(self, vu: Any) -> None:
        (await vu.get("/shop")).json()

    async def visit(self, vu: Any) -> None:
        (await vu.get("/visit")).json()

    @staticmethod
    async def look(vu: Any) -> None:
        (await vu.get("/visit")).json()


async def pages(_vu: Any) -> Any:
    yield 1


def steps(_vu: Any) -> Any:
    yield 1


def plain(_vu: Any) -> None: ...


GOOD = {
    "async def": visit,
    "wraps": logged(visit),
    "wraps twice": logged(logged(visit)),
    "an object": Shop(),
    "a method": Shop().visit,
    "a static method": Shop.look,
    "partial": functools.partial(browse, page=1),
    "partial of an object": functools.partial(Shop()),
    "wraps of a partial": logged(functools.partial(browse, page=1)),
}


@pytest.mark.parametrize("function", GOOD.values(), ids=GOOD)
def test_what_gives_a_coroutine_is_a_scenario(function: Any) -> None:
    made = fl.scenario(vus=1, iterations=1)(function)
    assert made.name in ("visit", "browse", "Shop", "look", "wrapper")
    # What its code reads is kept.
    assert parts_read_by(*made._functions).body
    assert fl.scenario(name="mixed", tasks={function: 1})._functions == [function]


def test_a_mock_is_a_scenario() -> None:
    assert is_async(AsyncMock())


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            pages,
            "scenario pages ({}) is not async def: it is an async generator, because it has yield; write: async de",
        ),
        (logged(pages), "scenario pages ({}) is not async def: it is an async generator"),
        (functools.partial(pages), "scenario pages ({}) is not async def: it is an async generator"),
        (steps, "scenario steps ({}) is not async: it is a generator, because it has yield"),
        (plain, "scenario plain ({}) is not async; write: async def plain(vu: fl.VU) -> None"),
        (
            lost(visit),
            "scenario wrapper ({}) is not async; write: async def wrapper(vu: fl.VU) -> None, or put functools",
        ),
        (lambda vu: visit(vu), "scenario <lambda> ({}) is not async: it is a lambda; write: async def visit("),
        (
            Shop,
            "scenario Shop is not async: it is a class; write: async def Shop(vu: fl.VU) -> None, or give an object",
        ),
        (print, "scenario print is not async"),
        (browse, "scenario browse ({}) cannot be called with the VU alone: missing a required argument: 'page'"),
    ],
)
def test_what_is_said_of_the_rest(function: Any, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        fl.scenario(vus=1, iterations=1)(function)
    text = f"{caught.value.message}; {caught.value.hint}"
    before, _, after = said.partition("{}")
    assert text.startswith(before)
    assert after in text
    assert ("test_kinds_of_scenarios.py:" in text) == ("{}" in said)


def test_setup_may_be_decorated() -> None:
    assert fl.setup(logged(visit)) is not None
    with pytest.raises(PlanError, match=r"setup pages .* is not async def: it is an async generator"):
        fl.setup(pages)


def test_they_run(life: Life) -> None:
    done = life.run(
        """
import functools
import fastload as fl
def logged(function):
    @functools.wraps(function)
    def wrapper(vu):
        return function(vu)
    return wrapper
def returns_nothing(function):
    @functools.wraps(function)
    def wrapper(vu):
        if vu.iteration % 2:
            return function(vu)
    return wrapper
class Shop:
    async def __call__(self, vu):
        assert (await vu.get("/json")).json()["name"]
@fl.scenario(vus=1, iterations=2)
@logged
async def first(vu):
    assert (await vu.get("/json")).json()["name"]
@fl.scenario(vus=1, iterations=4)
@returns_nothing
async def second(vu):
    await vu.get("/second")
third = fl.scenario(vus=1, iterations=2)(Shop())
"""
    )
    assert done.counts == {"/json": 4, "/second": 2}
    (error,) = done.summary["exceptions"]
    assert error["count"] == 2
    assert error["first"].endswith(
        "the scenario gave NoneType, and not what it awaits: return the call in its decorator"
    )
