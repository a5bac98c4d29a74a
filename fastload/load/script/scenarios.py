"""Scenarios as a script declares them: ``@fl.scenario``."""

from __future__ import annotations

import bisect
import inspect
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack, overload

from fastload.load.client.callables import is_async, kind_of, layers_of
from fastload.load.client.request_options import RequestDefaults, defaults_of
from fastload.load.client.vu import VU
from fastload.load.engine.header_lines import HeaderOptions
from fastload.model.argument_types import CallArguments, check_lists, wrong_types_named
from fastload.model.errors import PlanError, nearest
from fastload.model.hooks import hook_of
from fastload.model.http_settings import RequestSettings
from fastload.model.load_models import ArrivalDistribution, ExecutorName, ShapeFunction, WhenBusy
from fastload.model.names import as_name
from fastload.model.public_types import PublicType, described_options
from fastload.model.statuses import StatusSpec

if TYPE_CHECKING:
    # Thresholds are parsed before a run: a script that declares them need not wait for that.
    from fastload.model.judging.thresholds import ThresholdSpec

ScenarioFunction = Callable[[VU], Awaitable[Any]]


class ScenarioOptions(TypedDict, total=False):
    """Options of a scenario. The settings of the run, or defaults, replace missing options.

    The load options that are given choose the executor, which decides when iterations start.

    Args:
        executor: name of the executor, as in k6; by default chosen by the other options.
        vus: number of VUs; with *stages* of VUs the number at the beginning; in an open model the maximum, unless
            *max_vus* is given.
        duration: duration of the load, like "30s"; with *vus* and without a duration each VU makes one iteration.
        iterations: total number of iterations, shared by the VUs; with executor "per-vu-iterations" the number for each
            VU.
        stages: ``["10s:20", "30s:100"]``: ramp to 20 VUs in 10 s, then to 100 VUs in another 30 s; ``["30s:100/s"]``:
            ramp to a rate.
        start_vus, start_rate: VUs or rate at the beginning of the first stage; 0 by default.
        rate: iterations to start per second, like 500 or "1k/s" (open model: by the clock, whatever the target does).
        max_vus: maximum number of VUs, for an open model, a *shape*, or the executor "externally-controlled".
        arrivals: distribution of the starts of a rate: "constant"; "uniform", each start at a random time within its
            interval; or "poisson".
        when_busy: a start without a free VU waits ("queue": the wait counts in the response time) or is dropped
            ("drop").
        pacing: minimum time between two iteration starts of a VU, like "5s" (closed model).
        trace: start times in seconds: a file with one time per line, or any iterable.
        shape: a function that takes the seconds since the start, and returns the number of VUs, a pair of that number
            and of VUs to add or remove per second, or None for the end.
        base_url: base URL of relative URLs, unless the run sets one.
        graceful_stop: time limit for running iterations after the end of the load, then they are interrupted; "30s" by
            default.
        graceful_ramp_down: the same for VUs that leave in a ramp down; "30s" by default.
        start_time: delay of the begin, from the start of the test, or from the end of the scenario *after*.
        after: name of the scenario after whose end this scenario begins.
        iteration_timeout: time limit of an iteration; an iteration that takes longer is interrupted and counts as
            failed.
        tags: tags of all samples of this scenario.
        env: values for ``vu.env`` of this scenario; those of -e override them.
        thresholds: expressions by metric, like ``{"http_req_failed": "rate<0.01"}``.
        on_start, on_stop: ``async def`` functions that take the VU; they run before its first iteration and when it
            leaves.
        keep_body, keep_headers: whether replies keep their body or headers; by default only if the code reads them.
        headers: headers of all requests; they override those of the run.
        http: `RequestSettings` of all requests, for example a time-out or `Auth`.
        expected: the statuses that are a success, like ``(200, 404)`` or "200-299"; by default those below 400.
        cookies: "keep" cookies as long as the VU lasts (the default), or "clear" them after each iteration.
    """

    executor: ExecutorName
    vus: int
    duration: str
    iterations: int
    stages: Iterable[str]
    start_vus: int
    rate: str | float
    start_rate: str | float
    max_vus: int
    arrivals: ArrivalDistribution
    when_busy: WhenBusy
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
    headers: HeaderOptions
    http: RequestSettings
    expected: StatusSpec
    cookies: Literal["keep", "clear"]


_SHOWN_BITS = 256
_NAMED = (FunctionType, BuiltinFunctionType, type)
_KINDS = {
    "": ("is not async", ""),
    "a wrapper": ("is not async", ", or put functools.wraps on the wrapper in its decorator"),
    "a class": ("is not async: it is a class", ", or give an object of it, with async def __call__(self, vu)"),
    "a lambda": ("is not async: it is a lambda", ""),
    "an async generator": ("is not async def: it is an async generator, because it has yield", ", without yield"),
    "a generator": ("is not async: it is a generator, because it has yield", ", without yield"),
}
"""What is said of a function that is no scenario by its kind: what it is, and what to add to "write: async def ..."."""


@dataclass(frozen=True, slots=True)
class Scenario(metaclass=PublicType):
    """An ``async def`` function with its scenario options; the run sets the options that are None.

    A scenario can be called like the function that it wraps.

    Attributes:
        function: the function, or for *tasks* one that calls one of them.
        name: name of the scenario.
        tasks: functions with their weights; None for a scenario of one function.
        executor, vus, duration, iterations, stages, start_vus, rate, start_rate, max_vus, arrivals, when_busy: the load
            options of `scenario`; None if they are not given.
        pacing, trace, shape, base_url, graceful_stop, graceful_ramp_down, start_time, after, iteration_timeout: other
            options of `scenario`.
        tags, env, thresholds, on_start, on_stop, keep_body, keep_headers, headers, http, expected, cookies: the same.
    """

    function: ScenarioFunction
    name: str
    executor: ExecutorName | None = None
    vus: int | None = None
    duration: str | None = None
    iterations: int | None = None
    stages: tuple[str, ...] = ()
    start_vus: int | None = None
    rate: str | float | None = None
    start_rate: str | float | None = None
    max_vus: int | None = None
    arrivals: ArrivalDistribution | None = None
    when_busy: WhenBusy | None = None
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
    headers: HeaderOptions | None = None
    http: RequestSettings | None = None
    expected: StatusSpec | None = None
    cookies: Literal["keep", "clear"] | None = None
    tasks: Mapping[ScenarioFunction, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", as_name(self.name, "the name of a scenario"))

    def __call__(self, vu: VU) -> Awaitable[Any]:
        return self.function(vu)

    @property
    def _functions(self) -> list[ScenarioFunction]:
        """All functions of the scenario that a VU calls: the scenario function or its tasks, on_start, on_stop."""
        called = [*(self.tasks or [self.function]), self.on_start, self.on_stop]
        return [one.function if isinstance(one, Scenario) else one for one in called if one is not None]

    @property
    def _request_defaults(self) -> RequestDefaults:
        """Defaults of all requests of the scenario.

        Raises:
            PlanError: one of these options is not valid.
        """
        return defaults_of(self.name, self.headers, self.http, self.expected, self.cookies)

    @property
    def _folder(self) -> str:
        """Folder of the script, to which its file names are relative; "" for code without a file."""
        codes = [one.__code__ for one in layers_of(self._functions[0]) if isinstance(one, FunctionType)]
        path = Path(codes[-1].co_filename) if codes else Path()
        return str(path.parent) if path.is_file() else ""

    @property
    def where(self) -> str:
        """Source position of the function: ``file.py:line``."""
        return where(self.function)


@overload
def scenario(function: ScenarioFunction, /) -> Scenario: ...
@overload
def scenario(*, tasks: Mapping[ScenarioFunction, float], name: str, **options: Unpack[ScenarioOptions]) -> Scenario: ...
@overload
def scenario(*, name: str = "", **options: Unpack[ScenarioOptions]) -> Callable[[ScenarioFunction], Scenario]: ...
@described_options(ScenarioOptions)
def scenario(function: ScenarioFunction | None = None, /, *, name: str = "", **options: Any) -> Any:
    """Declare an ``async def`` that takes a `VU` as a scenario; one call of it is one iteration.

    Args:
        name: name of the scenario; by default the name of the function.
        tasks: several functions with weights, instead of one function: each iteration calls one of them at random. Then
            the call is not a decorator, but returns the scenario:
            ``mixed = fl.scenario(name="mixed", tasks={read: 3, write: 1})``.
        options: see below.

    Raises:
        PlanError: an option is unknown or not valid; or a function is not ``async def``, or cannot be called with the
            VU alone.
    """
    with wrong_types_named(CallArguments("fl.scenario", Scenario, {**options, "name": name})):
        return _declare(function, as_name(name, "the name of a scenario"), options)


class Declaration(NamedTuple):
    """A scenario as it was declared, at ``file`` and ``line``: where the call of `scenario` or of its decorator is.

    ``module`` names the module whose import made it, which is another one if it calls a factory.
    """

    scenario: Scenario
    file: str
    line: int
    module: str


@contextmanager
def declarations() -> Iterator[list[Declaration]]:
    """Collect what is declared in the block, also what no name of the script keeps."""
    global _declarations
    found: list[Declaration] = []
    _declarations = found
    try:
        yield found
    finally:
        _declarations = None


_declarations: list[Declaration] | None = None


def _declared(made: Scenario) -> Scenario:
    if _declarations is not None:
        frame = sys._getframe()
        while frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        file, line = frame.f_code.co_filename, frame.f_lineno
        while frame.f_code.co_name != "<module>" and frame.f_back is not None:
            frame = frame.f_back
        _declarations.append(Declaration(made, file, line, str(frame.f_globals.get("__name__"))))
    return made


def _declare(function: Any, name: str, options: dict[str, Any]) -> Any:
    _check_options(options)
    defaults_of(name, *(options.get(option) for option in ("headers", "http", "expected", "cookies")))
    check_lists("fl.scenario", {"stages": options.get("stages", ())})
    options["stages"] = tuple(options.get("stages", ()))
    for hook in ("on_start", "on_stop"):
        if options.get(hook) is not None:
            check_function(options[hook])
    if options.get("tasks") is not None:
        if not name:
            raise PlanError(
                "a scenario of tasks has no name", hint='give it one: fl.scenario(name="mixed", tasks={...})'
            )
        return _declared(Scenario(choose_task(options["tasks"], name), name, **options))

    def declare(function: ScenarioFunction) -> Scenario:
        check_undecorated("fl.scenario", function)
        check_function(function)
        return _declared(Scenario(function, name or name_of(function), **options))

    return declare if function is None else declare(function)


def check_undecorated(decorator: str, function: Any) -> None:
    """Check that no other decorator has declared *function*: of two, the script would lose one without a word.

    Raises:
        PlanError: it is a scenario or a hook already. *decorator* is the one that is asked now, like "fl.setup".
    """
    if type(function) is Scenario:
        function, known = function.function, "fl.scenario"
    elif hook := hook_of(function):
        known = f"fl.{hook.kind}"
    else:
        return
    twice = f"@{decorator} twice" if known == decorator else f"both @{decorator} and @{known}"
    both = "one, with all options" if known == decorator else "one, and write a function for the other"
    raise PlanError(f"{name_of(function)} ({where(function)}) has {twice}", hint=f"keep {both}")


def choose_task(tasks: Mapping[ScenarioFunction, float], name: str) -> ScenarioFunction:
    """Return a function that calls one of *tasks* at random (`VU.random`), in proportion to their weights.

    Raises:
        PlanError: there are no tasks, a task is not ``async def``, or a weight is not above 0.
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
    """Check that *function* can be a scenario.

    Raises:
        PlanError: *function* is not ``async def``, or cannot be called with one VU.
    """
    name = name_of(function)
    if not callable(function):
        raise PlanError(
            f"a scenario is an async function, and this is {class_and_value(function)}",
            hint="write: async def visit(vu: fl.VU) -> None, and give the function itself",
        )
    at = f" ({where(function)})" if where(function) else ""
    wanted = f"write: async def {name if name.isidentifier() else 'visit'}(vu: fl.VU) -> None"
    if not is_async(function):
        what, more = not_async(function)
        raise PlanError(f"scenario {name}{at} {what}", hint=wanted + more)
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise PlanError(
            f"scenario {name}{at} cannot be called with the VU alone: {error}",
            hint=wanted,
        ) from error


def not_async(function: Any) -> tuple[str, str]:
    """Return what a function that is not async is, for an error, and what to add to the hint ``write: async def``."""
    return _KINDS[kind_of(function)]


def name_of(function: Any) -> str:
    """Return the name of a function, also of a `functools.partial`; of an object that can be called, of its class."""
    of_object = ""
    for layer in layers_of(function):
        name = str(getattr(layer, "__name__", "")) if isinstance(layer, _NAMED) else ""
        if name:
            return of_object if name == "__call__" else name
        of_object = type(layer).__name__
    return "scenario"


def class_and_value(value: Any) -> str:
    """Return what *value* is, for an error: its class, and the value itself if it is a plain one."""
    # Python makes no text of an integer with thousands of digits.
    is_plain = type(value) in (str, bytes, float, bool) or (type(value) is int and value.bit_length() < _SHOWN_BITS)
    shown = f": {value!r:.80}" if is_plain else ""
    return f"of the class {type(value).__name__}{shown}"


def where(function: Any) -> str:
    """Return the source position ``file.py:line`` of *function*; "" if it has no code object."""
    layers = [function] if isinstance(function, type) else layers_of(function)
    # Of a decorated function the innermost: that is the one that the script has written.
    codes = [one.__code__ for one in layers if isinstance(one, FunctionType)]
    return f"{Path(codes[-1].co_filename).name}:{codes[-1].co_firstlineno}" if codes else ""
