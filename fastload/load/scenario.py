"""``@fl.scenario``: what a script declares, before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from fastload.load.client import VU
from fastload.model.errors import PlanError, nearest
from fastload.model.thresholds import ThresholdSpec

Function = Callable[[VU], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """An ``async def`` with the load it asks for; options left None are decided by the run.

    Call it like the function it wraps.
    """

    function: Function
    name: str
    vus: int | None = None
    duration: str | None = None
    iterations: int | None = None
    stages: tuple[str, ...] = ()
    start_vus: int = 0
    rate: str | float | None = None
    max_vus: int | None = None
    graceful_stop: str = "30s"
    thresholds: ThresholdSpec | None = None
    keep_body: bool | None = None
    keep_headers: bool | None = None

    def __call__(self, vu: VU) -> Awaitable[Any]:
        return self.function(vu)

    @property
    def where(self) -> str:
        """``file.py:line`` of the function."""
        return where(self.function)


@overload
def scenario(function: Function, /) -> Scenario: ...
@overload
def scenario(
    *,
    name: str = "",
    vus: int | None = None,
    duration: str | None = None,
    iterations: int | None = None,
    stages: Iterable[str] = (),
    start_vus: int = 0,
    rate: str | float | None = None,
    max_vus: int | None = None,
    graceful_stop: str = "30s",
    thresholds: ThresholdSpec | None = None,
    keep_body: bool | None = None,
    keep_headers: bool | None = None,
) -> Callable[[Function], Scenario]: ...
def scenario(
    function: Function | None = None, /, *, name: str = "", stages: Iterable[str] = (), **options: Any
) -> Scenario | Callable[[Function], Scenario]:
    """Declare an ``async def`` that takes a `VU` as a scenario; one call of it is one iteration.

    Args:
        name: by default the function's.
        vus: VUs (closed model), or the VUs ready at first (open model).
        duration: like "30s"; with *vus* alone each VU iterates once.
        iterations: how many in all, shared by the VUs.
        stages: like ``["10s:20", "30s:100"]``: reach 20 VUs in 10 s, then 100 in another 30 s.
        start_vus: VUs at the beginning of the first stage.
        rate: starts a second, like 500 or "1k/s" (open model: by the clock, whatever the target does).
        max_vus: at most so many VUs in an open model; starts that find none free wait, and the wait counts.
        graceful_stop: how long iterations may go on after the end before they are interrupted.
        thresholds: expressions by metric, like ``{"http_req_failed": "rate<0.01"}``.
        keep_body, keep_headers: keep those of replies; by default they are kept when the code reads them.

    Raises:
        PlanError: an unknown option; or the function is not ``async def``, or does not take exactly the VU.
    """
    for option in options:
        if option not in Scenario.__slots__:
            raise PlanError(
                f"@fl.scenario has no option {option!r}",
                hint=nearest(option, Scenario.__slots__) or f"it has {', '.join(Scenario.__slots__[1:])}",
            )

    def declare(function: Function) -> Scenario:
        check_function(function)
        return Scenario(function, name or name_of(function), stages=tuple(stages), **options)

    return declare if function is None else declare(function)


def check_function(function: Any) -> None:
    """That *function* can be a scenario.

    Raises:
        PlanError: it is not ``async def``, or cannot be called with one VU.
    """
    name = name_of(function)
    if not inspect.iscoroutinefunction(function):
        raise PlanError(
            f"scenario {name} ({where(function)}) is not async", hint=f"write: async def {name}(vu: fl.VU) -> None"
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise PlanError(
            f"scenario {name} ({where(function)}) cannot be called with the VU alone: {error}",
            hint=f"write: async def {name}(vu: fl.VU) -> None",
        ) from error


def name_of(function: Any) -> str:
    """The function's name, also of a `functools.partial`."""
    return str(getattr(getattr(function, "func", function), "__name__", "scenario"))


def where(function: Any) -> str:
    """``file.py:line``, or ``""`` for what has no source."""
    code = getattr(function, "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else ""
