"""The validated run: what a parent forks with and what every worker reads. Built before the first request."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from fastload.model.errors import PlanError
from fastload.model.schedule import Stage
from fastload.model.thresholds import Threshold
from fastload.model.units import format_count, format_duration_s, format_number_of
from fastload.version import __version__

HttpVersion = Literal["", "1.1", "2", "2-prior", "3"]
OnWorkerLoss = Literal["continue", "stop"]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How every request is made, unless it says otherwise.

    *timeout_s* covers connecting and the whole response. *http_version* "" leaves the choice to ALPN, "2-prior"
    speaks HTTP/2 without asking. *ca_file* "" means the system's.
    """

    timeout_s: float = 60.0
    verify_tls: bool = True
    http_version: HttpVersion = ""
    user_agent: str = f"fastload/{__version__}"
    max_redirects: int = 10
    cookies: bool = True
    ca_file: str = ""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConstantVUs:
    """Closed model: *vus* VUs iterate for *duration_s*."""

    vus: int
    duration_s: float
    name: str = field(default="constant-vus", init=False)

    @property
    def max_vus(self) -> int:
        return self.vus

    def describe(self) -> str:
        return f"{format_number_of(self.vus, 'VU')} for {format_duration_s(self.duration_s)}"


@dataclass(frozen=True, slots=True)
class RampingVUs:
    """Closed model: the number of VUs follows *stages* linearly, starting from *start_vus*."""

    stages: tuple[Stage, ...]
    start_vus: int = 0
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
            f"over {format_number_of(len(self.stages), 'stage')}"
        )


@dataclass(frozen=True, slots=True)
class SharedIterations:
    """*iterations* in all, made by *vus* VUs; at most *duration_s*, after which none is started any more."""

    vus: int
    iterations: int
    duration_s: float = 600.0
    name: str = field(default="shared-iterations", init=False)

    @property
    def max_vus(self) -> int:
        return self.vus

    def describe(self) -> str:
        return (
            f"{format_number_of(self.iterations, 'iteration')} shared by {format_number_of(self.vus, 'VU')} "
            f"within {format_duration_s(self.duration_s)}"
        )


@dataclass(frozen=True, slots=True)
class ConstantArrivalRate:
    """Open model: start i is due at i / *rate_per_s*. With no VU of *max_vus* free it waits, and the wait counts."""

    rate_per_s: float
    duration_s: float
    max_vus: int
    name: str = field(default="constant-arrival-rate", init=False)

    def describe(self) -> str:
        return (
            f"{format_count(self.rate_per_s)} starts/s for {format_duration_s(self.duration_s)} "
            f"on at most {format_number_of(self.max_vus, 'VU')}"
        )


Executor = ConstantVUs | RampingVUs | SharedIterations | ConstantArrivalRate


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """One scenario of the run. *work* is what an iteration does, known to ``load/`` only.

    *graceful_stop_s*: how long iterations may go on after the executor's end before they are interrupted.
    """

    name: str
    executor: Executor
    work: Any = field(repr=False)
    graceful_stop_s: float = 30.0
    tags: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether starts come by the clock and not when a VU is free."""
        return isinstance(self.executor, ConstantArrivalRate)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run needs to know. ``kind`` is "bench" or "run".

    *grace_s*: how long requests in flight may go on after Ctrl-C. *watch*: what to sample beside the target that
    listens on the base URL's port (`control.host.resolve_watch`). *cpus*: where the workers may run; empty for no
    restriction.
    """

    kind: Literal["bench", "run"]
    title: str
    scenarios: tuple[ScenarioPlan, ...]
    workers: int
    base_url: str = ""
    http: HttpSettings = HttpSettings()
    thresholds: tuple[Threshold, ...] = ()
    warmup_s: float = 0.0
    grace_s: float = 5.0
    watch: tuple[str, ...] = ()
    on_worker_loss: OnWorkerLoss = "continue"
    strict: bool = False
    env: dict[str, str] = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    stdout_is_data: bool = False

    @property
    def duration_s(self) -> float:
        """From the common start to the end of the longest scenario, warm-up included."""
        return self.warmup_s + max(scenario.executor.duration_s for scenario in self.scenarios)

    @property
    def has_open_model(self) -> bool:
        return any(scenario.is_open for scenario in self.scenarios)

    @property
    def max_vus(self) -> int:
        return sum(scenario.executor.max_vus for scenario in self.scenarios)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the summary: no functions, no values of environment names (they may be secrets)."""
        return {
            "kind": self.kind,
            "title": self.title,
            "base_url": without_credentials(self.base_url),
            "workers": self.workers,
            "warmup_s": self.warmup_s,
            "http": {key: value for key, value in asdict(self.http).items() if key != "headers"},
            "env": sorted(self.env),
            "scenarios": [
                {
                    **asdict(scenario.executor),
                    "name": scenario.name,
                    "executor": scenario.executor.name,
                    "model": "open" if scenario.is_open else "closed",
                }
                for scenario in self.scenarios
            ],
        }


def check_base_url(url: str, *, what: str = "URL") -> str:
    """*url* without a slash at its end.

    Raises:
        PlanError: no http or https scheme, or no host.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise PlanError(f"{what} {url!r} is not a URL: {error}", hint="check the brackets of the IPv6 host") from error
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise PlanError(f"{what} {url!r} has no host", hint="write it like http://127.0.0.1:8080")
    if parts.scheme not in ("http", "https"):
        bare = url.split("://", 1)[-1]
        raise PlanError(f"{what} {url!r} has no http:// or https:// scheme", hint=f"write http://{bare}")
    try:
        _ = parts.port
    except ValueError as error:
        raise PlanError(f"{what} {url!r} has a port that is not a number up to 65535", hint="check the port") from error
    return url.rstrip("/")


def without_credentials(url: str) -> str:
    """*url* as it may be shown: without ``user:password@``."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def build_executor(
    *,
    vus: int | None = None,
    duration_s: float | None = None,
    iterations: int | None = None,
    stages: tuple[Stage, ...] = (),
    start_vus: int = 0,
    rate_per_s: float | None = None,
    max_vus: int | None = None,
) -> Executor:
    """The executor that these options ask for, as k6's short forms do: a rate makes arrivals, stages a ramp,
    iterations a shared count, a duration constant VUs; with nothing but *vus*, each VU iterates once.

    Raises:
        PlanError: options that exclude each other, or a number below one.
    """
    _check_positive(vus=vus, iterations=iterations, max_vus=max_vus)
    if duration_s is not None and duration_s <= 0:
        raise PlanError("duration is 0", hint="give it some time, like 10s")
    if rate_per_s is not None and rate_per_s <= 0:
        raise PlanError("rate is 0", hint="give it some starts a second, like 100/s")
    if max_vus is not None and rate_per_s is None:
        raise PlanError("max-vus goes with a rate only", hint="give a rate too, or vus instead")
    if stages and (iterations is not None or duration_s is not None or rate_per_s is not None):
        other = "iterations" if iterations is not None else "duration" if duration_s is not None else "rate"
        raise PlanError(f"stages and {other} exclude each other", hint="stages already say how long and how many")
    if rate_per_s is not None:
        if iterations is not None:
            raise PlanError("rate and iterations exclude each other", hint="give a rate and a duration")
        return ConstantArrivalRate(rate_per_s, duration_s or 10.0, max_vus or vus or 100)
    if stages:
        ramp = RampingVUs(stages, vus or start_vus)
        if ramp.duration_s <= 0 or ramp.max_vus < 1:
            raise PlanError("the stages have no time or no VUs", hint='write them like "30s:10"')
        return ramp
    if iterations is not None:
        if iterations < (vus or 1):
            raise PlanError(
                f"{format_number_of(iterations, 'iteration')} cannot be shared by {format_number_of(vus or 1, 'VU')}",
                hint="lower the VUs",
            )
        return SharedIterations(vus or 1, iterations, duration_s or 600.0)
    if duration_s is not None:
        return ConstantVUs(vus or 1, duration_s)
    return SharedIterations(vus or 1, vus or 1)


def _check_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise PlanError(f"{name.replace('_', '-')} {number} is below 1", hint="give at least 1")
