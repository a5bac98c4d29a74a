"""``@fl.scenario``: what a script declares, before anything runs."""

from __future__ import annotations

import bisect
import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from fastload.load.client.request_options import RequestDefaults, defaults_of
from fastload.load.client.vu import VU
from fastload.load.engine.header_lines import Headers
from fastload.model.errors import PlanError, nearest
from fastload.model.http_settings import RequestSettings
from fastload.model.judging.thresholds import ThresholdSpec
from fastload.model.load_models import ShapeFunction
from fastload.model.statuses import StatusSpec

ScenarioFunction = Callable[[VU], Awaitable[Any]]


class ScenarioOptions(TypedDict, total=False):
    """What a scenario may say of itself; what it leaves out is decided by the run, or by default.

    Which of the load's options are given decides when iterations start; *executor* names it, with k6's names.

    Args:
        executor: by default the one that the other options mean.
        vus: VUs (closed model), or the VUs ready at first (open model).
        duration: like "30s"; with *vus* alone each VU iterates once.
        iterations: how many in all, shared by the VUs; for each VU with executor "per-vu-iterations".
        stages: ``["10s:20", "30s:100"]``: reach 20 VUs in 10 s, then 100 in another 30 s; ``["30s:100/s"]``: the
            same with a rate.
        start_vus, start_rate: at the beginning of the first stage.
        rate: starts a second, like 500 or "1k/s" (open model: by the clock, whatever the target does).
        max_vus: at most so many VUs in an open model.
        arrivals: "constant", or at random: "uniform" (each start within its own interval), "poisson".
        when_busy: a start that finds no VU free waits ("queue": the wait counts) or is dropped ("drop").
        pacing: each VU starts an iteration every so often, like "5s" (closed model).
        trace: start times in seconds: a file with one a line, or any iterable.
        shape: a function of the seconds since the start that returns the VUs, or None for the end.
        base_url: what relative URLs are relative to, when the run does not say.
        graceful_stop: how long iterations may go on after the end before they are interrupted; "30s".
        graceful_ramp_down: the same for VUs that leave in a ramp down; "30s".
        start_time: begin so long after the start of the test, or after the end of the scenario *after*.
        after: begin when the scenario of this name has ended.
        iteration_timeout: an iteration that takes longer is interrupted, and has failed.
        tags: of everything that this scenario measures.
        env: for ``vu.env`` of this scenario; what is given by -e goes first.
        thresholds: expressions by metric, like ``{"http_req_failed": "rate<0.01"}``.
        on_start, on_stop: ``async def`` with the VU: before its first iteration, and when it leaves.
        keep_body, keep_headers: keep those of replies; by default they are kept when the code reads them.
        headers: of all requests, over those of the run.
        http: `RequestSettings` of all requests, with a time-out or `Auth` for example.
        expected: the statuses that are a success, like ``(200, 404)`` or "200-299"; by default those below 400.
        cookies: "keep" them as long as the VU lasts, by default, or "clear" them after each iteration.
    """

    executor: str
    vus: int
    duration: str
    iterations: int
    stages: Iterable[str]
    start_vus: int
    rate: str | float
    start_rate: str | float
    max_vus: int
    arrivals: str
    when_busy: str
    pacing: str
    trace: str | Path | Iterable[float]
    shape: ShapeFunction
    base_url: str
    graceful_stop: str
    graceful_ramp_down: str
    start_time: str
    after: str
    iteration_timeout: str
    tags: Mapping[str, str]
    env: Mapping[str, str]
    thresholds: ThresholdSpec
    on_start: ScenarioFunction
    on_stop: ScenarioFunction
    keep_body: bool | None
    keep_headers: bool | None
    headers: Headers
    http: RequestSettings
    expected: StatusSpec
    cookies: Literal["keep", "clear"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """An ``async def`` with the load it asks for; options left None are decided by the run.

    Call it like the function it wraps.
    """

    function: ScenarioFunction
    name: str
    executor: str | None = None
    vus: int | None = None
    duration: str | None = None
    iterations: int | None = None
    stages: tuple[str, ...] = ()
    start_vus: int | None = None
    rate: str | float | None = None
    start_rate: str | float | None = None
    max_vus: int | None = None
    arrivals: str | None = None
    when_busy: str | None = None
    pacing: str | None = None
    trace: str | Path | Iterable[float] | None = None
    shape: ShapeFunction | None = None
    base_url: str | None = None
    graceful_stop: str | None = None
    graceful_ramp_down: str | None = None
    start_time: str | None = None
    after: str | None = None
    iteration_timeout: str | None = None
    tags: Mapping[str, str] | None = None
    env: Mapping[str, str] | None = None
    thresholds: ThresholdSpec | None = None
    on_start: ScenarioFunction | None = None
    on_stop: ScenarioFunction | None = None
    keep_body: bool | None = None
    keep_headers: bool | None = None
    headers: Headers | None = None
    http: RequestSettings | None = None
    expected: StatusSpec | None = None
    cookies: Literal["keep", "clear"] | None = None
    tasks: Mapping[ScenarioFunction, float] | None = None

    def __call__(self, vu: VU) -> Awaitable[Any]:
        return self.function(vu)

    @property
    def functions(self) -> list[ScenarioFunction]:
        """Everything of the script that a VU calls."""
        called = [*(self.tasks or [self.function]), self.on_start, self.on_stop]
        return [one.function if isinstance(one, Scenario) else one for one in called if one is not None]

    @property
    def requests(self) -> RequestDefaults:
        """What all of its requests have.

        Raises:
            PlanError: an option of them that makes no sense.
        """
        return defaults_of(self.name, self.headers, self.http, self.expected, self.cookies)

    @property
    def folder(self) -> str:
        """Where the script is, for the files that it names; "" for code without a file."""
        code = getattr(self.functions[0], "__code__", None)
        path = Path(code.co_filename) if code else Path()
        return str(path.parent) if path.is_file() else ""

    @property
    def where(self) -> str:
        """``file.py:line`` of the function."""
        return where(self.function)


@overload
def scenario(function: ScenarioFunction, /) -> Scenario: ...
@overload
def scenario(*, tasks: Mapping[ScenarioFunction, float], name: str, **options: Unpack[ScenarioOptions]) -> Scenario: ...
@overload
def scenario(*, name: str = "", **options: Unpack[ScenarioOptions]) -> Callable[[ScenarioFunction], Scenario]: ...
def scenario(function: ScenarioFunction | None = None, /, *, name: str = "", **options: Any) -> Any:
    """Declare an ``async def`` that takes a `VU` as a scenario; one call of it is one iteration.

    Args:
        name: by default the function's.
        tasks: instead of one function, several with weights: each iteration calls one of them, by chance. Then this
            is no decorator, but gives the scenario: ``mixed = fl.scenario(name="mixed", tasks={read: 3, write: 1})``.
        options: see `ScenarioOptions`.

    Raises:
        PlanError: an unknown option; or a function is not ``async def``, or does not take exactly the VU.
    """
    _check_options(options)
    defaults_of(name, *(options.get(option) for option in ("headers", "http", "expected", "cookies")))
    options["stages"] = tuple(options.get("stages", ()))
    for hook in ("on_start", "on_stop"):
        if options.get(hook) is not None:
            check_function(options[hook])
    if options.get("tasks") is not None:
        if not name:
            raise PlanError(
                "a scenario of tasks has no name", hint='give it one: fl.scenario(name="mixed", tasks={...})'
            )
        return Scenario(choose_task(options["tasks"], name), name, **options)

    def declare(function: ScenarioFunction) -> Scenario:
        check_function(function)
        return Scenario(function, name or name_of(function), **options)

    return declare if function is None else declare(function)


def choose_task(tasks: Mapping[ScenarioFunction, float], name: str) -> ScenarioFunction:
    """One function that calls one of *tasks*, each with a chance in proportion to its weight, by `VU.random`.

    Raises:
        PlanError: there is none, one is not ``async def``, or a weight is not above zero.
    """
    functions = [task.function if isinstance(task, Scenario) else task for task in tasks]
    for function, weight in zip(functions, tasks.values(), strict=True):
        check_function(function)
        if not weight > 0:
            raise PlanError(
                f"scenario {name}: the weight {weight!r} of {name_of(function)} is not above 0",
                hint="give each task a positive number; leave out tasks that never run",
            )
    if not functions:
        raise PlanError(f"scenario {name} has no task", hint="write tasks={read: 3, write: 1}")
    bounds = list(itertools.accumulate(tasks.values()))

    async def choose(vu: VU) -> None:
        await functions[bisect.bisect_right(bounds, vu.random.random() * bounds[-1], hi=len(bounds) - 1)](vu)

    return choose


def _check_options(options: Mapping[str, Any]) -> None:
    known = Scenario.__slots__[1:]
    for option in options:
        if option not in known:
            raise PlanError(
                f"@fl.scenario has no option {option!r}",
                hint=nearest(option, known) or f"it has {', '.join(known)}",
            )


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
