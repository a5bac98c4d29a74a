"""The functions around the load: how they are declared, and what setup may return."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from datetime import date
from decimal import Decimal
from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.load.hook_process import check_plain
from fastload.load.script.hooks import as_hook, make_hooks
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.hooks import Hook, Hooks, hook_of


async def begin(vu: fl.VU) -> None: ...
async def end(vu: fl.VU) -> None: ...
async def nothing() -> None: ...
def plain(summary: Any) -> None: ...
def two(first: Any, second: Any) -> None: ...


def test_a_declared_function_stays_what_it_is() -> None:
    async def mine(vu: fl.VU) -> None: ...

    assert fl.setup(mine) is mine
    assert hook_of(mine) == Hook("setup", mine, 60.0)
    assert hook_of(begin) is None
    assert hook_of(object()) is None


def test_a_function_is_declared_once() -> None:
    async def mine(vu: fl.VU) -> None: ...

    visit = fl.scenario(mine)
    fl.setup(mine)
    declared = (fl.scenario, fl.scenario(vus=2), fl.setup, fl.setup(timeout="1s"), fl.teardown, fl.test_start)
    for decorator in declared:
        for function in (visit, mine):
            with pytest.raises(fl.PlanError, match=r"^mine \(test_hooks.py:\d+\) has "):
                decorator(function)
    with pytest.raises(fl.PlanError, match=r"\) has @fl\.scenario twice") as error:
        fl.scenario(vus=2)(visit)
    assert error.value.hint == "keep one, with all options"
    with pytest.raises(fl.PlanError, match=r"\) has both @fl\.teardown and @fl\.setup") as error:
        fl.teardown(mine)
    assert error.value.hint == "keep one, and write a function for the other"
    assert hook_of(mine) == Hook("setup", mine, 60.0)


def test_a_time_out_is_a_duration() -> None:
    async def mine(vu: fl.VU) -> None: ...

    found = hook_of(fl.teardown(timeout="1m30s")(mine))
    assert found == Hook("teardown", mine, 90.0)
    with pytest.raises(fl.PlanError, match=r"@fl.setup: timeout.*'soon'"):
        fl.setup(timeout="soon")


@pytest.mark.parametrize(
    ("kind", "function", "message", "hint"),
    [
        ("setup", plain, r"setup plain \(test_hooks.py:\d+\) is not async", "async def plain(vu)"),
        ("teardown", 7, "teardown is a function, and this is of the class int: 7", "async def teardown(vu)"),
        ("test_stop", "end", "test_stop is a function, and this is of the class str: 'end'", "write: def test_stop("),
        ("test_start", begin, "is async: it runs in the parent", "write: def begin(plan)"),
        ("handle_summary", end, "is async: it runs in the parent", "write: def end(summary)"),
        ("setup", nothing, "cannot be called with the vu alone", "async def nothing(vu)"),
        ("test_stop", two, "cannot be called with the summary alone", "write: def two(summary)"),
    ],
)
def test_what_cannot_be_called_as_one_is_refused(kind: str, function: Any, message: str, hint: str) -> None:
    for declare in (getattr(fl, kind), partial(as_hook, kind)):
        with pytest.raises(fl.PlanError, match=message) as caught:
            declare(function)
        assert hint in caught.value.hint


def test_bare_functions_become_hooks_and_declared_ones_stay() -> None:
    assert as_hook("setup", begin) == Hook("setup", begin, 60.0)

    async def mine(vu: fl.VU) -> None: ...

    fl.setup(timeout="5s")(mine)
    assert as_hook("setup", mine).timeout_s == 5.0
    assert as_hook("teardown", mine) == Hook("teardown", mine, 60.0)


def test_two_of_a_kind_are_refused() -> None:
    hooks = make_hooks([Hook("setup", begin), Hook("teardown", end)])
    assert hooks == Hooks(setup=Hook("setup", begin), teardown=Hook("teardown", end))
    assert hooks.need_process
    assert not make_hooks([Hook("test_stop", plain)]).need_process
    with pytest.raises(fl.PlanError, match=r"two functions with @fl.setup: begin \(.*\) and end \(.*\)"):
        make_hooks([Hook("setup", begin), Hook("setup", end)])


def test_pytest_does_not_take_them_for_tests() -> None:
    assert not fl.test_start.__test__  # type: ignore[attr-defined]
    assert not fl.test_stop.__test__  # type: ignore[attr-defined]


# What setup returns.

_scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
_keys = st.text() | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.binary()
_plain = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4))


def arrives_as(value: Any) -> Any:
    (frame,) = FrameDecoder().feed(encode(Frame("start", {"setup_data": check_plain(value, "setup")})))
    return frame.body["setup_data"]


@given(_plain)
def test_plain_data_arrives_as_it_is(value: Any) -> None:
    assert arrives_as(value) == value


def test_what_is_almost_plain_arrives_as_its_plain_form() -> None:
    class Colour(IntEnum):
        RED = 1

    pair = namedtuple("pair", "left right")
    value = {"t": (1, 2), "n": pair(1, 2), "o": OrderedDict(a=1), "e": Colour.RED}
    assert arrives_as(value) == {"t": [1, 2], "n": [1, 2], "o": {"a": 1}, "e": 1}


circular: list[Any] = []
circular.append(circular)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "setup returned a value of type object: return plain data"),
        ({"when": date(2026, 1, 2)}, "a value of type date at ['when']"),
        ([1, {"price": Decimal("1.1")}], "a value of type Decimal at [1]['price']"),
        ([np.int64(3)], "a value of type int64 (of numpy: call its tolist()) at [0]"),
        (["a", "\ud800"], "a text with half of a surrogate pair, which no encoding can write at [1]"),
        ({"\ud800": 1}, "a dict with a key that is a text with half of a surrogate pair"),
        ({1, 2}, "a value of type set"),
        ([0, [2**64]], "an int of more than 64 bits at [1][0]"),
        ({"a": {(1, 2): 3}}, "a dict with a key of tuple at ['a']"),
        (circular, "nested too deeply, or contains itself"),
        (begin, "a value of type function"),
    ],
)
def test_what_cannot_go_to_other_processes_is_an_error_that_says_where(value: Any, message: str) -> None:
    with pytest.raises(fl.FastloadError) as caught:
        check_plain(value, "setup")
    assert message in caught.value.message


def test_something_to_await_is_an_error() -> None:
    coroutine = nothing()
    with pytest.raises(fl.FastloadError, match="setup returned something to await"):
        check_plain(coroutine, "setup")
    coroutine.close()


def test_data_has_a_bound() -> None:
    with pytest.raises(fl.FastloadError, match=r"setup returned too much: .* bytes is over"):
        check_plain(b"x" * (65 * 2**20), "setup")
