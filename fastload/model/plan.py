"""The validated run: what a parent forks with and what every worker reads. Built before the first request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fastload.model.capacity.settings import CapacitySettings
from fastload.model.hooks import Hooks
from fastload.model.http_settings import HttpSettings, without_credentials
from fastload.model.judging.thresholds import Threshold
from fastload.model.load_models import Executor, describe_executor
from fastload.model.public_types import PublicType

OnWorkerLoss = Literal["continue", "stop"]
OnNoAnswer = Literal["stop", "continue"]


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
class Plan(metaclass=PublicType):
    """Everything that a run needs to know. ``kind`` is "bench" or "run", ``title`` names what is run.

    *scenarios* are the scenarios with their load, *workers* the number of processes, *base_url* and *http* the settings
    of all requests, *thresholds* those of the run and of all scenarios, *env* the values for ``vu.env``. The first
    *warmup_s* seconds count in no metric. *on_worker_loss*: whether the run goes on ("continue") when a worker dies, or
    not ("stop"). *strict*: whether an INVALID verdict fails the run. *stdout_is_data*: an output writes to stdout.
    ``has_open_model``: whether a scenario starts iterations by the clock. ``max_vus``: the most VUs of all scenarios.

    *seed* is what all chance of the run comes from. *paused*: nothing starts before it is asked to. *hooks* are the
    functions around the test, known to ``load/`` and ``control/``.
    *grace_s*: how long requests in flight may go on after Ctrl-C. *watch*: what to sample beside the target that
    listens on the base URL's port. *cpus*: where the workers may run; empty for no restriction. *points*: whether
    single requests and iterations are kept for outputs that want them, which costs speed. *strict_outputs*: whether it
    counts as a failure when any output lost something. *on_no_answer*: what to do when no request gets an answer.
    *capacity*: the search that drives the load, None in a run without one. *notes*: what the summary says of the plan.
    """

    kind: Literal["bench", "run"]
    title: str
    scenarios: tuple[ScenarioPlan, ...]
    workers: int
    base_url: str = ""
    http: HttpSettings = field(default_factory=HttpSettings)
    thresholds: tuple[Threshold, ...] = ()
    warmup_s: float = 0.0
    grace_s: float = 5.0
    watch: tuple[str, ...] = ()
    on_worker_loss: OnWorkerLoss = "continue"
    on_no_answer: OnNoAnswer = "stop"
    strict: bool = False
    strict_outputs: bool = False
    env: dict[str, str] = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    stdout_is_data: bool = False
    seed: int = 0
    paused: bool = False
    points: bool = False
    notes: tuple[str, ...] = ()
    capacity: CapacitySettings | None = None
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
    def judged(self) -> tuple[Threshold, ...]:
        """All conditions that the run is judged by: its thresholds, and the objectives of a search."""
        return (*self.thresholds, *(self.capacity.objectives if self.capacity else ()))

    @property
    def has_open_model(self) -> bool:
        return any(scenario.is_open for scenario in self.scenarios)

    @property
    def has_only_open_models(self) -> bool:
        """Whether every scenario follows a schedule: then the response times are of all first requests."""
        return all(scenario.is_open for scenario in self.scenarios)

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
            "http": self.http.to_dict(),
            "env": sorted(self.env),
            "capacity": self.capacity.to_dict() if self.capacity else None,
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
