"""Capacity driver: runs a search step by step. It sets the load, lets it settle, measures, and lets the backlog go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from fastload.control.aggregator import Aggregator
from fastload.control.capacity.meter import StepMeter
from fastload.control.sampling.samplers import Samplers
from fastload.control.steering import Steering
from fastload.model.capacity.result import CapacityResult, SearchProgress, capacity_result
from fastload.model.capacity.search import CapacitySearch, StepRequest
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import CapacityStep, judge_step
from fastload.model.judging.thresholds import Threshold
from fastload.model.judging.verdict import Verdict
from fastload.model.plan import Plan
from fastload.model.records import Delta
from fastload.model.schedule import NS_PER_S

LONGEST_DRAIN_S = 60.0
"""How long a backlog is let go at most, before the next step begins all the same."""


class CapacityDriver:
    """Driver of the search that *plan* asks for, by *steering*. *aggregator* and *samplers* are those of the run."""

    def __init__(
        self, plan: Plan, settings: CapacitySettings, steering: Steering, aggregator: Aggregator, samplers: Samplers
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._steering = steering
        self._aggregator = aggregator
        self._samplers = samplers
        self._search = CapacitySearch(settings)
        self._objectives: tuple[Threshold, ...] = settings.objectives
        self._steps: list[CapacityStep] = []
        self._verdicts: dict[int, Verdict] = {}
        self._seconds: defaultdict[int, list[Delta]] = defaultdict(list)
        self._start_ns = self._measure_from_ns = 0
        self._meter: StepMeter | None = None
        self._draining_since_ns = 0
        self._is_over = False
        self._why_ended = ""
        self._doing = ""
        self._result: CapacityResult | None = None

    def start(self, start_ns: int) -> None:
        """Begin the first step at *start_ns*, the common start; the workers begin with its load by themselves."""
        self._start_ns = start_ns + round(self._plan.warmup_s * NS_PER_S)
        self._settle(self._start_ns)

    def add(self, delta: Delta) -> None:
        """Take a delta of a worker."""
        if not delta.late:
            self._seconds[delta.at_ns].append(delta)

    def look(self, now_ns: int, live: Collection[int]) -> CapacityStep | None:
        """Go on with the search; called once a second. *live*: the workers that make load.

        Returns:
            The step that has ended, if one has.
        """
        if self._is_over:
            return None
        if len(live) < self._plan.workers:
            # Its share of every load is missing from now on.
            self._why_ended = "a worker was lost"
            self._result = None
            self._end()
            return None
        step = self._measure(live)
        request = self._search.request
        if request is None or now_ns - self._start_ns > self._settings.time_s * NS_PER_S:
            self._end()
        elif self._draining_since_ns:
            if not self._waiting() or now_ns - self._draining_since_ns > LONGEST_DRAIN_S * NS_PER_S:
                self._draining_since_ns = 0
                self._begin(request, now_ns)
        elif step is not None and step.outcome.kind == "good":
            self._begin(request, now_ns)
        elif step is not None:
            self._drain(now_ns)
        return step

    def result(self) -> CapacityResult:
        """Return what was found, so far or in the end."""
        if self._result is None:
            texts = [threshold.text for threshold in self._objectives]
            found = self._search.found
            if self._why_ended:
                found = replace(found, why=self._why_ended)
            self._result = capacity_result(self._settings, found, texts, self._steps)
        return self._result

    def progress(self) -> SearchProgress:
        """Return what the search does now and what it has found so far, for live displays."""
        return SearchProgress(self._doing, self.result())

    def verdict(self, of_run: Verdict) -> Verdict:
        """Return the verdict on what the search reports: that of the step that confirmed the capacity, with the limit
        of the step that was too much; *of_run* if there is no such step."""
        result = self.result()
        confirmed = result.confirmed
        if confirmed is None:
            return of_run
        verdict = self._verdicts[confirmed.number]
        limited = next((step for step in self._steps if step.figures.limit == result.limit), None)
        further = self._verdicts[limited.number].further_limits if limited is not None else ()
        limit = result.limit or verdict.limit
        return Verdict(verdict.state, verdict.reasons, verdict.remedy, limit, verdict.findings, further_limits=further)

    # The parts of a step.

    def _begin(self, request: StepRequest, now_ns: int) -> None:
        at_ns = self._steering.set_total(request.load, now_ns)
        self._settle(at_ns)

    def _settle(self, at_ns: int) -> None:
        """Measure from the first whole second on that begins after the load, set at *at_ns*, has settled."""
        settled_ns = at_ns + round(self._settings.settle_s * NS_PER_S)
        seconds = -(-(settled_ns - self._start_ns) // NS_PER_S)
        self._measure_from_ns = self._start_ns + seconds * NS_PER_S
        self._meter = None
        request = self._search.request
        if request is not None:
            self._doing = f"step {len(self._steps) + 1}: {self._settings.text_of(request.load)}"

    def _measure(self, live: Collection[int]) -> CapacityStep | None:
        """Add the seconds that all *live* workers have told, and return the step if it has ended."""
        request = self._search.request
        for at_ns in sorted(self._seconds):
            deltas = self._seconds[at_ns]
            if not {delta.worker for delta in deltas}.issuperset(live):
                return None
            del self._seconds[at_ns]
            if request is None or self._draining_since_ns or at_ns < self._measure_from_ns:
                continue
            if self._meter is None:
                self._meter = StepMeter(self._plan, request.load, self._samplers, self._waiting())
                if at_ns == self._measure_from_ns:
                    continue
            self._meter.add_second(deltas)
            if (step := self._step_of(request, self._meter, at_ns)) is not None:
                return step
        return None

    def _step_of(self, request: StepRequest, meter: StepMeter, end_ns: int) -> CapacityStep | None:
        has_good = any(step.outcome.kind == "good" for step in self._steps)
        if not has_good and not self._settings.objectives:
            self._objectives = meter.default_objectives()
        figures, objectives, verdict = meter.judge(self._objectives)
        outcome = judge_step(figures, objectives)
        if not request.is_over(outcome, meter.seconds):
            return None
        number = len(self._steps) + 1
        begin_s = (end_ns - self._start_ns) / NS_PER_S - meter.seconds
        step = CapacityStep(number, request.purpose, begin_s, figures, objectives, outcome)
        self._steps.append(step)
        self._verdicts[number] = verdict
        self._search.add(outcome)
        self._result = None
        return step

    def _drain(self, now_ns: int) -> None:
        self._draining_since_ns = now_ns
        self._steering.set_total(0.0, now_ns)
        self._doing = "letting the backlog go"

    def _end(self) -> None:
        self._is_over = True
        self._doing = ""
        self._steering.finish_all()

    def _waiting(self) -> int:
        """Return how many requests are under way, and how many starts wait for a VU."""
        started = self._aggregator.table.get("iteration_lateness")
        total = self._aggregator.total
        dropped = self._aggregator.table.get("dropped_iterations")
        not_started = total("offered") - (started.count if started else 0) - int(dropped.value if dropped else 0)
        return total("in_flight") + max(0, not_started)
