"""``@fl.scenario``: its forms, and what it refuses before anything runs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import pytest

import fastload as fl
from fastload.load.script.scenarios import check_function, where


def line_of(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


class TestForms:
    def test_bare(self) -> None:
        @fl.scenario
        async def browse(vu: fl.VU) -> None:
            """Look around."""

        assert isinstance(browse, fl.Scenario)
        assert browse.name == "browse"
        assert (browse.vus, browse.duration, browse.stages, browse.rate) == (None, None, (), None)

    def test_with_options(self) -> None:
        @fl.scenario(name="Buy things", stages=["1s:2", "3s:4"], start_vus=1, thresholds={"checks": "rate>0.9"})
        async def buy(vu: fl.VU) -> None: ...

        assert buy.name == "Buy things"
        assert buy.stages == ("1s:2", "3s:4")
        assert buy.start_vus == 1
        assert buy.thresholds == {"checks": "rate>0.9"}
        assert buy.graceful_stop is None

    def test_with_empty_brackets(self) -> None:
        @fl.scenario()
        async def browse(vu: fl.VU) -> None: ...

        assert browse.name == "browse"

    def test_it_is_called_like_the_function(self) -> None:
        @fl.scenario
        async def browse(vu: fl.VU) -> str:
            return f"for {vu}"

        assert asyncio.run(cast(Any, browse("me"))) == "for me"  # type: ignore[arg-type]

    def test_defaults_after_the_vu_are_fine(self) -> None:
        @fl.scenario
        async def browse(vu: fl.VU, pages: int = 3, *, deep: bool = False) -> None: ...

        assert browse.name == "browse"

    def test_where_it_was_written(self) -> None:
        @fl.scenario
        async def browse(vu: fl.VU) -> None: ...

        assert browse.where == f"test_scenarios.py:{line_of(browse.function)}"
        assert where(len) == ""


class TestErrors:
    def test_not_async(self) -> None:
        def browse(vu: fl.VU) -> None: ...

        with pytest.raises(fl.PlanError) as caught:
            fl.scenario(browse)  # type: ignore[arg-type]
        assert caught.value.message == f"scenario browse (test_scenarios.py:{line_of(browse)}) is not async"
        assert caught.value.hint == "write: async def browse(vu: fl.VU) -> None"

    def test_not_async_with_options(self) -> None:
        with pytest.raises(fl.PlanError, match=r"scenario <lambda> \(test_scenarios.py:\d+\) is not async"):
            fl.scenario(vus=3)(lambda _vu: None)  # type: ignore[arg-type, return-value]

    def test_an_async_generator_is_not_async_def(self) -> None:
        async def browse(vu: fl.VU) -> Any:
            yield

        with pytest.raises(fl.PlanError, match="is not async"):
            fl.scenario(browse)

    def test_no_vu(self) -> None:
        async def browse() -> None: ...

        with pytest.raises(fl.PlanError) as caught:
            fl.scenario(browse)  # type: ignore[arg-type]
        assert f"scenario browse (test_scenarios.py:{line_of(browse)}) cannot be called with the VU alone" in str(
            caught.value
        )
        assert "too many positional arguments" in caught.value.message
        assert caught.value.hint == "write: async def browse(vu: fl.VU) -> None"

    def test_more_than_the_vu(self) -> None:
        async def browse(vu: fl.VU, pages: int) -> None: ...

        with pytest.raises(fl.PlanError, match="missing a required argument: 'pages'"):
            fl.scenario(browse)  # type: ignore[arg-type]

    def test_what_has_no_name(self) -> None:
        with pytest.raises(fl.PlanError, match="is not async"):
            check_function(partial(print))

    @pytest.mark.parametrize(("given", "shown"), [(42, "int: 42"), ("visit", "str: 'visit'"), (None, "NoneType")])
    def test_what_is_no_function(self, given: Any, shown: str) -> None:
        for declare in (check_function, fl.run):
            with pytest.raises(fl.PlanError) as caught:
                declare(given)
            assert caught.value.message == f"a scenario is an async function, and this is of the class {shown}"
            assert "async def visit(vu: fl.VU)" in caught.value.hint
