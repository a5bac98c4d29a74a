"""Load models: one plain record of settings for each executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from fastload.model.schedule import RateStage, Stage
from fastload.model.units import format_count, format_duration_s, format_number_of

ArrivalDistribution = Literal["constant", "uniform", "poisson"]
WhenBusy = Literal["queue", "drop"]
ExecutorName = Literal[
    "shared-iterations",
    "per-vu-iterations",
    "constant-vus",
    "ramping-vus",
    "constant-arrival-rate",
    "ramping-arrival-rate",
    "trace",
    "shape",
    "externally-controlled",
]
ShapeFunction = Callable[[float], "int | tuple[int, float] | None"]
"""Shape: seconds since the scenario's start -> VUs, or (VUs, VUs to add or remove per second), or None for the end."""

MOST_VUS = 1_000_000
"""Most VUs of a scenario. A larger number is a typing error: so many VUs would take all memory of the machine."""
DEFAULT_MAX_VUS = 100
DEFAULT_RATE_DURATION_S = 10.0
LONGEST_ITERATIONS_S = 600.0
LONGEST_SHAPE_S = 86_400.0
_SLOW_PER_S = 0.1
SHAPE_MAX_VUS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closed:
    """Closed model: a VU starts its next iteration when its last one has ended.

    *pacing_s* is the least time between the starts of two iterations of a VU; 0 means no pacing.
    """

    pacing_s: float = 0.0
    is_open = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """Open model: iterations start at due times.

    When all *max_vus* VUs are busy, a start waits ("queue": the wait counts in the response time) or is given up at
    once ("drop").
    """

    when_busy: WhenBusy = "queue"
    is_open = True


@dataclass(frozen=True, slots=True)
class ConstantVUs(_Closed):
    """Closed model: *vus* VUs iterate for *duration_s*."""

    vus: int
    duration_s: float
    name: str = field(default="constant-vus", init=False)

    @property
    def max_vus(self) -> int:
        return self.vus

    def describe(self) -> str:
        return f"{format_number_of(self.vus, 'VU')} for {format_duration_s(self.duration_s)}{_paced(self)}"


@dataclass(frozen=True, slots=True)
class RampingVUs(_Closed):
    """Closed model: the number of VUs follows *stages* linearly, starting from *start_vus*; a stage of 0 s jumps.

    A VU that a ramp down removes may continue its iteration for *graceful_ramp_down_s*; a ramp up reuses such a VU.
    """

    stages: tuple[Stage, ...]
    start_vus: int = 0
    graceful_ramp_down_s: float = 30.0
    name: str = field(default="ramping-vus", init=False)

    @property
    def duration_s(self) -> float:
        return sum(duration for duration, _ in self.stages)

    @property
    def max_vus(self) -> int:
        return max(self.start_vus, *(target for _, target in self.stages))

    def describe(self) -> str:
        return (
            f"up to {format_number_of(self.max_vus, 'VU')} for {format_duration_s(self.duration_s)} "
            f"over {format_number_of(len(self.stages), 'stage')}{_paced(self)}"
        )


@dataclass(frozen=True, slots=True)
class SharedIterations(_Closed):
    """Closed model: *vus* VUs share *iterations* iterations. After *duration_s* no iteration is started any more."""

    vus: int
    iterations: int
    duration_s: float = LONGEST_ITERATIONS_S
    name: str = field(default="shared-iterations", init=False)

    @property
    def max_vus(self) -> int:
        return self.vus

    def describe(self) -> str:
        return (
            f"{format_number_of(self.iterations, 'iteration')} shared by {format_number_of(self.vus, 'VU')} "
            f"within {format_duration_s(self.duration_s)}{_paced(self)}"
        )


@dataclass(frozen=True, slots=True)
class PerVUIterations(_Closed):
    """Closed model: each of *vus* VUs makes *iterations* iterations. After *duration_s* none is started any more."""

    vus: int
    iterations: int
    duration_s: float = LONGEST_ITERATIONS_S
    name: str = field(default="per-vu-iterations", init=False)

    @property
    def max_vus(self) -> int:
        return self.vus

    def describe(self) -> str:
        return (
            f"{format_number_of(self.iterations, 'iteration')} for each of {format_number_of(self.vus, 'VU')} "
            f"within {format_duration_s(self.duration_s)}{_paced(self)}"
        )


@dataclass(frozen=True, slots=True)
class Shape(_Closed):
    """Closed model: *function* returns the number of VUs, at most *max_vus*.

    It is called once a second, until it returns None, for at most *duration_s*.
    """

    function: ShapeFunction = field(repr=False)
    max_vus: int = SHAPE_MAX_VUS
    duration_s: float = LONGEST_SHAPE_S
    name: str = field(default="shape", init=False)

    def describe(self) -> str:
        return f"VUs as {getattr(self.function, '__name__', 'a function')} says{_paced(self)}"


@dataclass(frozen=True, slots=True)
class ExternallyControlled(_Closed):
    """Closed model: *vus* VUs iterate for *duration_s*.

    The keyboard, the control API and the library can change the number of VUs during the run, up to *max_vus*.
    """

    vus: int
    max_vus: int
    duration_s: float
    name: str = field(default="externally-controlled", init=False)

    def describe(self) -> str:
        return (
            f"{format_number_of(self.vus, 'VU')} at first, up to {format_count(self.max_vus)} as asked for, "
            f"for {format_duration_s(self.duration_s)}{_paced(self)}"
        )


def _pace(rate_per_s: float) -> str:
    every = f" (one every {format_duration_s(1 / rate_per_s)})" if 0 < rate_per_s < _SLOW_PER_S else ""
    return f"{format_number_of(rate_per_s, 'start')}/s{every}"


@dataclass(frozen=True, slots=True)
class ConstantArrivalRate(_Open):
    """Open model: *rate_per_s* starts per second. *arrivals* sets when start i (from 0) is due.

    - "constant": at i / *rate_per_s*.
    - "uniform": at a random moment of the interval of length 1 / *rate_per_s* that begins at i / *rate_per_s*.
    - "poisson": the gaps between starts are exponential with mean 1 / *rate_per_s*.
    """

    rate_per_s: float
    duration_s: float
    max_vus: int
    arrivals: ArrivalDistribution = "constant"
    name: str = field(default="constant-arrival-rate", init=False)

    @property
    def begin_rate_per_s(self) -> float:
        return self.rate_per_s

    def describe(self) -> str:
        return (
            f"{_pace(self.rate_per_s)}{_arriving(self.arrivals)} for "
            f"{format_duration_s(self.duration_s)} on at most {format_number_of(self.max_vus, 'VU')}{_dropping(self)}"
        )


@dataclass(frozen=True, slots=True)
class RampingArrivalRate(_Open):
    """Open model: the rate of starts follows *stages* linearly, starting from *start_rate_per_s*.

    Start i (from 1) is due when the integral of the rate reaches i. A fraction of a start at the end of a stage counts
    in the next stage. *arrivals* is as in `ConstantArrivalRate`.
    """

    stages: tuple[RateStage, ...]
    start_rate_per_s: float
    max_vus: int
    arrivals: ArrivalDistribution = "constant"
    name: str = field(default="ramping-arrival-rate", init=False)

    @property
    def duration_s(self) -> float:
        return sum(duration for duration, _ in self.stages)

    @property
    def begin_rate_per_s(self) -> float:
        return self.start_rate_per_s

    def describe(self) -> str:
        most = max(self.start_rate_per_s, *(rate for _, rate in self.stages))
        return (
            f"up to {_pace(most)}{_arriving(self.arrivals)} for {format_duration_s(self.duration_s)} "
            f"over {format_number_of(len(self.stages), 'stage')} on at most "
            f"{format_number_of(self.max_vus, 'VU')}{_dropping(self)}"
        )


@dataclass(frozen=True, slots=True)
class Trace(_Open):
    """Open model: starts are due at *due_ns* (ascending nanoseconds after the scenario's start).

    *source* names the file with the times. Starts after *duration_s* are left out.
    """

    source: str
    due_ns: Any = field(repr=False, compare=False)
    duration_s: float
    max_vus: int
    name: str = field(default="trace", init=False)

    @property
    def starts(self) -> int:
        return len(self.due_ns)

    @property
    def begin_rate_per_s(self) -> float:
        return self.starts / self.duration_s

    def describe(self) -> str:
        return (
            f"{format_number_of(self.starts, 'start')} of {self.source} within {format_duration_s(self.duration_s)} "
            f"on at most {format_number_of(self.max_vus, 'VU')}{_dropping(self)}"
        )


Executor = (
    ConstantVUs
    | RampingVUs
    | SharedIterations
    | PerVUIterations
    | Shape
    | ExternallyControlled
    | ConstantArrivalRate
    | RampingArrivalRate
    | Trace
)
ClosedModelSpec = ConstantVUs | RampingVUs | SharedIterations | PerVUIterations | Shape | ExternallyControlled
EXECUTORS: dict[ExecutorName, type[Any]] = {
    "shared-iterations": SharedIterations,
    "per-vu-iterations": PerVUIterations,
    "constant-vus": ConstantVUs,
    "ramping-vus": RampingVUs,
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
    "trace": Trace,
    "shape": Shape,
    "externally-controlled": ExternallyControlled,
}


def first_load(executor: Executor) -> float:
    """Return the load that *executor* begins with: starts per second, or VUs; the most VUs where none are said."""
    if isinstance(executor, ConstantArrivalRate | RampingArrivalRate | Trace):
        return executor.begin_rate_per_s
    return float(getattr(executor, "vus", executor.max_vus))


def describe_executor(executor: Executor) -> dict[str, Any]:
    """Return the settings of *executor* as plain data: for a trace the number of starts, for a shape the name."""
    plain = {one.name: getattr(executor, one.name) for one in fields(executor) if one.name != "name"}
    if isinstance(executor, Trace):
        del plain["due_ns"]
        plain["starts"] = executor.starts
    if isinstance(executor, Shape):
        plain["function"] = getattr(executor.function, "__name__", "shape")
    return plain


def _paced(spec: _Closed) -> str:
    return f", an iteration every {format_duration_s(spec.pacing_s)}" if spec.pacing_s else ""


def _arriving(arrivals: ArrivalDistribution) -> str:
    return "" if arrivals == "constant" else f" ({arrivals})"


def _dropping(spec: _Open) -> str:
    return ", starts that find none free are dropped" if spec.when_busy == "drop" else ""
