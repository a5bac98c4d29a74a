"""The validated run: what a parent forks with and what every worker reads. Built before the first request."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from fastload.model.errors import PlanError
from fastload.model.hooks import Hooks
from fastload.model.load_models import Executor, describe_executor
from fastload.model.thresholds import Threshold
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
class ScenarioPlan:
    """One scenario of the run. *work* is what an iteration does, known to ``load/`` only.

    It begins *start_s* after the common start, or after the end of the scenario *after*. *graceful_stop_s*: how long
    iterations may go on after the executor's end before they are interrupted. *iteration_timeout_s*: how long one may
    take, 0 for no limit. *tags* and *env* belong to all of its VUs.
    """

    name: str
    executor: Executor
    work: Any = field(repr=False)
    graceful_stop_s: float = 30.0
    start_s: float = 0.0
    after: str = ""
    iteration_timeout_s: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether starts come by the clock and not when a VU is free."""
        return self.executor.is_open


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run needs to know. ``kind`` is "bench" or "run".

    *seed* is what all chance of the run comes from. *paused*: nothing starts before it is asked to. *hooks* are the
    functions around the test, known to ``load/`` and ``control/``.
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
    seed: int = 0
    paused: bool = False
    hooks: Hooks | None = field(default=None, repr=False)

    @property
    def duration_s(self) -> float:
        """From the common start to the latest possible end of the last scenario, warm-up included."""
        return self.warmup_s + max(self.end_s(scenario) for scenario in self.scenarios)

    @property
    def longest_s(self) -> float:
        """As `duration_s`, with the time that iterations may go on after it."""
        return self.warmup_s + max(self.end_s(scenario) + scenario.graceful_stop_s for scenario in self.scenarios)

    def start_s(self, scenario: ScenarioPlan) -> float:
        """When *scenario* begins at the latest, after the warm-up."""
        before = next((other for other in self.scenarios if other.name == scenario.after), None)
        return scenario.start_s + (self.end_s(before) + before.graceful_stop_s if before else 0.0)

    def end_s(self, scenario: ScenarioPlan) -> float:
        """When *scenario* starts its last iteration at the latest, after the warm-up."""
        return self.start_s(scenario) + scenario.executor.duration_s

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
            "seed": self.seed,
            "http": {key: value for key, value in asdict(self.http).items() if key != "headers"},
            "env": sorted(self.env),
            "scenarios": [
                {
                    "name": scenario.name,
                    "executor": scenario.executor.name,
                    "model": "open" if scenario.is_open else "closed",
                    **describe_executor(scenario.executor),
                    "start_s": scenario.start_s,
                    "after": scenario.after,
                    "graceful_stop_s": scenario.graceful_stop_s,
                    "tags": scenario.tags,
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
