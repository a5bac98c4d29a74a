"""Load options: find the executor that a set of options implies, as k6's short forms do, and reject wrong sets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any

from fastload.model.errors import PlanError, nearest
from fastload.model.load_models import (
    DEFAULT_MAX_VUS,
    DEFAULT_RATE_DURATION_S,
    EXECUTORS,
    LONGEST_ITERATIONS_S,
    LONGEST_SHAPE_S,
    MOST_VUS,
    SHAPE_MAX_VUS,
    ArrivalDistribution,
    ConstantArrivalRate,
    ConstantVUs,
    Executor,
    ExternallyControlled,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    Shape,
    ShapeFunction,
    SharedIterations,
    Trace,
    WhenBusy,
)
from fastload.model.schedule import NS_PER_S, RateStage, Stage
from fastload.model.units import format_number_of


@dataclass(frozen=True, slots=True)
class TraceSource:
    """Start times of a trace, in ascending nanoseconds; *name* is the name of their source for messages."""

    name: str
    due_ns: Any


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options for the start of iterations, from a script, a configuration file or the command line.

    None and empty mean that an option is not given. *executor* is one of `EXECUTORS`, or "" for the executor that the
    other options imply.
    """

    executor: str = ""
    vus: int | None = None
    duration_s: float | None = None
    iterations: int | None = None
    stages: tuple[Stage, ...] = ()
    start_vus: int | None = None
    rate_per_s: float | None = None
    rate_stages: tuple[RateStage, ...] = ()
    start_rate_per_s: float | None = None
    max_vus: int | None = None
    arrivals: ArrivalDistribution | None = None
    when_busy: WhenBusy | None = None
    pacing_s: float | None = None
    trace: TraceSource | None = None
    shape: ShapeFunction | None = None
    graceful_ramp_down_s: float | None = None

    def given(self) -> set[str]:
        """Return the names of the options that are given."""
        return {one.name for one in fields(self) if getattr(self, one.name) not in (None, "", ())}


_CLOSED = {"executor", "pacing_s"}
_OPEN = {"executor", "max_vus", "vus", "when_busy"}
_OPTIONS_OF_EXECUTOR: dict[str, set[str]] = {
    "shared-iterations": _CLOSED | {"vus", "iterations", "duration_s"},
    "per-vu-iterations": _CLOSED | {"vus", "iterations", "duration_s"},
    "constant-vus": _CLOSED | {"vus", "duration_s"},
    "ramping-vus": _CLOSED | {"vus", "stages", "start_vus", "graceful_ramp_down_s"},
    "constant-arrival-rate": _OPEN | {"rate_per_s", "duration_s", "arrivals"},
    "ramping-arrival-rate": _OPEN | {"rate_stages", "start_rate_per_s", "arrivals"},
    "trace": _OPEN | {"trace", "duration_s"},
    "shape": _CLOSED | {"shape", "max_vus", "duration_s"},
    "externally-controlled": _CLOSED | _OPEN | {"rate_per_s", "duration_s", "arrivals"},
}
DECIDING = ("trace", "shape", "rate_stages", "stages", "rate_per_s", "iterations")
"""Options that decide when iterations start. At most one of them may be given."""
_SHOWN = {
    "duration_s": "duration",
    "rate_per_s": "rate",
    "rate_stages": "stages of a rate",
    "start_rate_per_s": "start_rate",
    "pacing_s": "pacing",
    "graceful_ramp_down_s": "graceful_ramp_down",
}


def build_executor(options: LoadOptions) -> Executor:
    """Build the executor of *options*.

    Without the name of an executor, `implied_executor` chooses it. With only VUs given, each VU iterates once.

    Raises:
        PlanError: an unknown executor, an option that the executor does not take, a missing option, or a number out of
            range.
    """
    _check_numbers(options)
    name = options.executor or implied_executor(options.given())
    if name not in EXECUTORS:
        hint = nearest(name, EXECUTORS) or f"there are {', '.join(EXECUTORS)}"
        raise PlanError(f"there is no executor {name!r}", hint=hint)
    _check_taken(name, options)
    executor = _BUILD[name](options)
    if executor.max_vus > MOST_VUS:
        raise PlanError(f"{executor.max_vus:,} VUs are too many for one machine", hint=f"give {MOST_VUS:,} at most")
    return executor


def implied_executor(given: Collection[str]) -> str:
    """Return the name of the executor that the *given* options imply, by k6's short forms and fastload's own.

    *given* has names of fields of `LoadOptions`. A trace, a shape, stages, a rate, iterations or a duration decides.

    Raises:
        PlanError: two given options contradict each other about when iterations start.
    """
    _check_exclusive(given)
    if "trace" in given:
        return "trace"
    if "shape" in given:
        return "shape"
    if "rate_stages" in given or "start_rate_per_s" in given:
        return "ramping-arrival-rate"
    if "rate_per_s" in given:
        return "constant-arrival-rate"
    if "stages" in given:
        return "ramping-vus"
    if "iterations" not in given and "duration_s" in given:
        return "constant-vus"
    return "shared-iterations"


def options_of(executor: str) -> Collection[str]:
    """Return the options (fields of `LoadOptions`) that *executor* takes; none for an unknown executor."""
    return _OPTIONS_OF_EXECUTOR.get(executor, ())


def _check_exclusive(given: Collection[str]) -> None:
    deciding = [name for name in DECIDING if name in given]
    if len(deciding) > 1:
        first, second = (_SHOWN.get(name, name) for name in deciding[:2])
        raise PlanError(f"{first} and {second} exclude each other", hint="give one of them")
    if deciding and deciding[0] in ("stages", "rate_stages") and "duration_s" in given:
        raise PlanError("stages and duration exclude each other", hint="stages already say how long and how many")
    if "max_vus" in given and not {"rate_per_s", "rate_stages", "start_rate_per_s", "trace", "shape"} & {*given}:
        raise PlanError("max-vus goes with a rate, a trace or a shape only", hint="give a rate too, or vus instead")


def _check_taken(name: str, options: LoadOptions) -> None:
    surplus = sorted(options.given() - _OPTIONS_OF_EXECUTOR[name])
    if surplus:
        shown = _SHOWN.get(surplus[0], surplus[0])
        takes = ", ".join(sorted(_SHOWN.get(one, one) for one in _OPTIONS_OF_EXECUTOR[name] - {"executor"}))
        raise PlanError(f"{shown} does not go with {name}", hint=f"it takes {takes}")


def _check_numbers(options: LoadOptions) -> None:
    for name in ("vus", "iterations", "max_vus"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise PlanError(f"{name.replace('_', '-')} {number} is below 1", hint="give at least 1")
    if options.start_vus is not None and options.start_vus < 0:
        raise PlanError(f"start_vus {options.start_vus} is below 0", hint="give 0 or more")
    if options.duration_s is not None and options.duration_s <= 0:
        raise PlanError("duration is 0", hint="give it some time, like 10s")
    if options.rate_per_s is not None and options.rate_per_s <= 0:
        raise PlanError("rate is 0", hint="give it some starts a second, like 100/s")


def _need(options: LoadOptions, name: str, executor: str, example: str) -> Any:
    value = getattr(options, name)
    if value in (None, (), ""):
        raise PlanError(f"{executor} needs {_SHOWN.get(name, name)}", hint=f"write it like {example}")
    return value


def _max_vus(options: LoadOptions) -> int:
    return options.max_vus or options.vus or DEFAULT_MAX_VUS


def _shared_iterations(options: LoadOptions) -> Executor:
    vus = options.vus or 1
    iterations = vus if options.iterations is None else options.iterations
    if iterations < vus:
        raise PlanError(
            f"{format_number_of(iterations, 'iteration')} cannot be shared by {format_number_of(vus, 'VU')}",
            hint="lower the VUs",
        )
    return SharedIterations(vus, iterations, options.duration_s or LONGEST_ITERATIONS_S, pacing_s=_pacing(options))


def _per_vu_iterations(options: LoadOptions) -> Executor:
    return PerVUIterations(
        options.vus or 1,
        options.iterations or 1,
        options.duration_s or LONGEST_ITERATIONS_S,
        pacing_s=_pacing(options),
    )


def _constant_vus(options: LoadOptions) -> Executor:
    duration_s = _need(options, "duration_s", "constant-vus", 'duration="30s"')
    return ConstantVUs(options.vus or 1, duration_s, pacing_s=_pacing(options))


def _ramping_vus(options: LoadOptions) -> Executor:
    stages = _need(options, "stages", "ramping-vus", 'stages=["30s:10", "1m:10"]')
    start_vus = options.start_vus if options.vus is None else options.vus
    graceful_s = 30.0 if options.graceful_ramp_down_s is None else options.graceful_ramp_down_s
    ramp = RampingVUs(stages, start_vus or 0, graceful_s, pacing_s=_pacing(options))
    if ramp.duration_s <= 0 or ramp.max_vus < 1:
        raise PlanError("the stages have no time or no VUs", hint='write them like "30s:10"')
    return ramp


def _constant_arrival_rate(options: LoadOptions) -> Executor:
    rate_per_s = _need(options, "rate_per_s", "constant-arrival-rate", 'rate="100/s"')
    duration_s = options.duration_s or DEFAULT_RATE_DURATION_S
    return ConstantArrivalRate(
        rate_per_s,
        duration_s,
        _max_vus(options),
        options.arrivals or "constant",
        when_busy=options.when_busy or "queue",
    )


def _ramping_arrival_rate(options: LoadOptions) -> Executor:
    stages = _need(options, "rate_stages", "ramping-arrival-rate", 'stages=["30s:100/s", "1m:100/s"]')
    ramp = RampingArrivalRate(
        stages,
        options.start_rate_per_s or 0.0,
        _max_vus(options),
        options.arrivals or "constant",
        when_busy=options.when_busy or "queue",
    )
    if ramp.duration_s <= 0 or max(ramp.start_rate_per_s, *(rate for _, rate in stages)) <= 0:
        raise PlanError("the stages have no time or no rate", hint='write them like "30s:100/s"')
    return ramp


def _trace(options: LoadOptions) -> Executor:
    source: TraceSource = _need(options, "trace", "trace", 'trace="starts.txt"')
    due_ns, duration_s = source.due_ns, options.duration_s
    if duration_s is None:
        duration_s = (int(due_ns[-1]) + 1) / NS_PER_S
    due_ns = due_ns[due_ns < round(duration_s * NS_PER_S)]
    if not len(due_ns):
        raise PlanError(f"no start of {source.name} is within the duration", hint="give a longer duration, or none")
    return Trace(source.name, due_ns, duration_s, _max_vus(options), when_busy=options.when_busy or "queue")


def _shape(options: LoadOptions) -> Executor:
    function = _need(options, "shape", "shape", "shape=a_function_of_seconds")
    return Shape(
        function,
        options.max_vus or SHAPE_MAX_VUS,
        options.duration_s or LONGEST_SHAPE_S,
        pacing_s=_pacing(options),
    )


def _externally_controlled(options: LoadOptions) -> Executor:
    duration_s = _need(options, "duration_s", "externally-controlled", 'duration="10m"')
    if options.rate_per_s is not None:
        return _constant_arrival_rate(options)
    vus = options.vus or 1
    max_vus = options.max_vus or max(vus, DEFAULT_MAX_VUS)
    if vus > max_vus:
        raise PlanError(f"vus {vus} is over max-vus {max_vus}", hint="raise max_vus")
    return ExternallyControlled(vus, max_vus, duration_s, pacing_s=_pacing(options))


def _pacing(options: LoadOptions) -> float:
    return options.pacing_s or 0.0


_BUILD: dict[str, Callable[[LoadOptions], Executor]] = {
    "shared-iterations": _shared_iterations,
    "per-vu-iterations": _per_vu_iterations,
    "constant-vus": _constant_vus,
    "ramping-vus": _ramping_vus,
    "constant-arrival-rate": _constant_arrival_rate,
    "ramping-arrival-rate": _ramping_arrival_rate,
    "trace": _trace,
    "shape": _shape,
    "externally-controlled": _externally_controlled,
}
