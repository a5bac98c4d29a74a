"""Simulated targets in virtual time, and a search that is driven against one."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fastload.model.capacity.objectives import default_objectives, judge_objectives
from fastload.model.capacity.search import CapacitySearch, Found
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import StepFigures, judge_step
from fastload.model.histogram import FloatArray
from fastload.model.judging.thresholds import Threshold, parse_threshold
from fastload.model.metrics import BUILTIN, Series
from fastload.model.series import SeriesTable
from fastload.model.views import MetricView, view_metrics

RESPONSE = "http_req_response_time"


@dataclass
class SimulatedTarget:
    """*servers* in parallel with one line before them. *service_s* is the mean time of a request, exponential unless
    *fixed*.

    *cliff_per_s*: from this rate on each request takes ten times as long, and with *hysteresis* until the rate falls to
    a tenth of it. *noise*: the chance that all servers stand still for 150 ms in a second. *slower_per_s*: by which
    share the service times grow in each second. *most_made_per_s*: what the generator can make.
    """

    seed: int
    servers: int = 1
    service_s: float = 0.005
    fixed: bool = False
    cliff_per_s: float = math.inf
    hysteresis: bool = False
    noise: float = 0.0
    slower_per_s: float = 0.0
    most_made_per_s: float = math.inf
    now_s: float = 0.0
    fell: bool = False
    random: np.random.Generator = field(init=False)
    free_s: list[float] = field(init=False)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.free_s = [0.0] * self.servers

    @property
    def capacity_per_s(self) -> float:
        return min(self.cliff_per_s, self.servers / self.service_s)

    def serve(self, rate_per_s: float, seconds: float) -> tuple[FloatArray, FloatArray]:
        """Return when the requests of the next *seconds* were due, and when they ended."""
        count = round(rate_per_s * seconds)
        due = self.now_s + np.arange(count) / rate_per_s
        self.now_s += seconds
        if rate_per_s > self.cliff_per_s:
            self.fell = True
        elif not self.hysteresis or rate_per_s < self.cliff_per_s / 10:
            self.fell = False
        mean_s = self.service_s * (10 if self.fell else 1) * (1 + self.slower_per_s * self.now_s)
        times = np.full(count, mean_s) if self.fixed else self.random.exponential(mean_s, count)
        pauses = np.arange(math.floor(self.now_s - seconds), self.now_s)
        pauses = pauses[self.random.random(len(pauses)) < self.noise]
        ends = np.empty(count)
        free, at = self.free_s, 0
        for number, (begin, service) in enumerate(zip(due.tolist(), times.tolist(), strict=True)):
            while at < len(pauses) and begin >= pauses[at]:
                free[:] = [max(one, pauses[at] + 0.15) for one in free]
                heapq.heapify(free)
                at += 1
            end = max(begin, free[0]) + service
            heapq.heapreplace(free, end)
            ends[number] = end
        return due, ends

    def drain(self) -> None:
        self.now_s = math.ceil(max(self.now_s, *self.free_s))
        self.fell = self.fell and self.hysteresis


@dataclass
class Driven:
    """A search that is over: what it found, how long it took, and its steps as (load, purpose, outcome)."""

    found: Found
    seconds: float
    steps: list[tuple[float, str, str]]


def objective(expression: str) -> tuple[Threshold, ...]:
    """Return the objective with this condition on the response time."""
    return (parse_threshold(RESPONSE, expression, BUILTIN),)


def drive(target: SimulatedTarget, settings: CapacitySettings) -> Driven:
    """Search for the capacity of *target* as the parent does, second by second. What ends later than a step is in none
    of its figures."""
    search = CapacitySearch(settings)
    objectives = settings.objectives
    steps: list[tuple[float, str, str]] = []
    while (request := search.request) is not None and target.now_s < settings.time_s:
        made_per_s = min(request.load, target.most_made_per_s)
        # A load begins in the middle of a second, and the first whole one after it has settled counts.
        due, ends = target.serve(made_per_s, settings.settle_s + 0.75)
        from_s, measured_s = target.now_s, 0
        waited = int((ends > from_s).sum())
        while True:
            more_due, more_ends = target.serve(made_per_s, 1.0)
            due, ends = np.concatenate([due, more_due]), np.concatenate([ends, more_ends])
            measured_s += 1
            inside = (ends > from_s) & (ends <= target.now_s)
            views = _views(due[inside], ends[inside], measured_s)
            figures = _figures(request.load, made_per_s, measured_s, int(inside.sum()))
            growth = int((ends > target.now_s).sum()) - waited + figures.offered - figures.started
            objectives = objectives or default_objectives(RESPONSE, "http_req_failed", views)
            outcome = judge_step(replace(figures, growth=growth), judge_objectives(objectives, views))
            if request.is_over(outcome, measured_s):
                break
        if outcome.kind != "good":
            target.drain()
        steps.append((request.load, request.purpose, f"{outcome.kind} {outcome.why}"))
        search.add(outcome)
    return Driven(search.found, target.now_s, steps)


def _views(due: FloatArray, ends: FloatArray, measured_s: int) -> Mapping[str, MetricView]:
    table = SeriesTable()
    table.trend(Series(RESPONSE)).fold(np.maximum(1, np.round((ends - due) * 1e6)).astype(np.int64))
    table.rate(Series("http_req_failed")).total = len(due)
    return view_metrics(table, BUILTIN, measured_s)


def _figures(load: float, made_per_s: float, measured_s: int, ended: int) -> StepFigures:
    return StepFigures(
        load=load,
        seconds=float(measured_s),
        offered=round(load * measured_s),
        started=round(made_per_s * measured_s),
        answered_per_s=ended / measured_s,
        ended_per_s=ended / measured_s,
        generator="a worker used its whole core" if made_per_s < load else "",
    )
