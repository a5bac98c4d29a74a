"""Steps of a capacity search: what was measured at one load, and whether the target carried it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fastload.model.capacity.objectives import ObjectiveResult
from fastload.model.capacity.settings import By
from fastload.model.units import format_count, format_number_of, format_percent

StepKind = Literal["good", "bad", "generator"]
"""Outcome of a step: the target carried the load; it did not; the load was not made, so nothing is known."""

_LEAST_GROWTH, _GROWTH_SHARE = 10, 0.03
"""What waits has grown if it is more by this count, and by this share of the starts."""
_HANGING_FACTOR, _LEAST_HANGING = 3.0, 3
_NAMED_SHARE = 0.01
"""Share of failures from which on their most frequent kind is named."""
_STARTED_SHARE = 0.97
"""Share of the offered load that a good step has started at least."""


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Figures of one step, over its measured *seconds*.

    *load*: starts per second, or VUs. *offered* and *started* count starts (open model; 0 in a closed one).
    *answered_per_s*: requests that were answered well; *ended_per_s*: iterations that ended. Times are in ms: *p50_ms*
    and so on of the response time, *mean_ms* of the service time. *in_flight*: the mean of the requests under way, by
    Little's law the rate times the mean time. *vus*: the mean of the VUs in use. *growth*: how many more requests and
    starts waited at the end than at the beginning, *waiting* how many did at the end. *target_cpu_percent*: 100 is one
    core; None if it was not sampled. *target_cpu_share*: the same as a share of the CPUs that it may use. *cpu_ms*: CPU
    time of the target for each request. *nearest*: what was nearest to its limit. *generator*: why the generator, and
    not the target, may have been the limit, "" if it was not. *remedy*: what to do about that. *limit*: the sentence on
    the limit. *error*: the most frequent kind of failure.
    """

    load: float
    seconds: float
    offered: int = 0
    started: int = 0
    answered_per_s: float = 0.0
    ended_per_s: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    in_flight: float = 0.0
    vus: float = 0.0
    failed_share: float = 0.0
    growth: float = 0.0
    waiting: float = 0.0
    target_cpu_percent: float | None = None
    target_cpu_share: float | None = None
    cpu_ms: float | None = None
    nearest: str = ""
    generator: str = ""
    remedy: str = ""
    limit: str = ""
    error: str = ""

    @property
    def is_behind(self) -> bool:
        """Whether the target did not keep up: starts were not made, or more and more waited."""
        if not self.offered:
            return False
        return self.is_short or self.growth > max(_LEAST_GROWTH, _GROWTH_SHARE * self.offered) or self.has_unanswered

    @property
    def is_short(self) -> bool:
        """Whether starts that were due were not made; also those of a worker that was lost, which offers no more."""
        due = self.load * self.seconds
        return self.started < _STARTED_SHARE * due - _LEAST_GROWTH

    @property
    def has_unanswered(self) -> bool:
        """Whether more requests wait than responses explain: three times those of the slowest percent, and three."""
        expected = self.answered_per_s * (self.p99_ms or 0.0) / 1000
        return self.waiting > _HANGING_FACTOR * expected + _LEAST_HANGING


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """Outcome of a step. *why*: the first thing that was not as it should be, "" for a good step. *clear*: more
    seconds would not change it. *used_share*: how much of its CPUs the target used, None if it was not sampled.
    *is_silent*: nothing was answered at all."""

    load: float
    kind: StepKind
    clear: bool
    why: str = ""
    used_share: float | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """One step of a search: its number from 1, what it was for, when it was measured (seconds of the run), its figures,
    the objectives and the outcome. *purpose* is "first", "double", "narrow", "repeat" or "confirm"."""

    number: int
    purpose: str
    begin_s: float
    figures: StepFigures
    objectives: tuple[ObjectiveResult, ...]
    outcome: StepOutcome

    def text(self, by: By) -> str:
        """Return one line about the step, like ``step 4: 800/s, 798 answered/s, p99 12 ms: good``."""
        one = self.figures
        load = f"{format_count(one.load)}/s" if by == "rate" else format_number_of(one.load, "VU")
        said = self.outcome.why or "objectives met"
        return f"step {self.number}: {load}, {format_count(one.answered_per_s)}/s answered well: {said}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return {
            "number": self.number,
            "purpose": self.purpose,
            "begin_s": self.begin_s,
            **asdict(self.figures),
            "objectives": [asdict(one) for one in self.objectives],
            "outcome": self.outcome.kind,
            "clear": self.outcome.clear,
            "why": self.outcome.why,
        }


def judge_step(figures: StepFigures, objectives: tuple[ObjectiveResult, ...]) -> StepOutcome:
    """Return the outcome of a step so far.

    What the generator does can only make figures worse: a step that meets all objectives is good in any case, and one
    that does not says nothing about the target if the generator was in its way. That does not hold for failures.
    """
    broken = [one for one in objectives if not one.ok]
    if not broken and not figures.is_behind:
        clear = all(one.clear for one in objectives)
        return StepOutcome(figures.load, "good", clear=clear, used_share=figures.target_cpu_share)
    if missing := next((one for one in broken if one.observed is None), None):
        return StepOutcome(figures.load, "bad", clear=False, why=f"no data for {missing.text}")
    if figures.generator and not _has_failed_by_itself(figures, broken):
        return StepOutcome(figures.load, "generator", clear=False, why=figures.generator)
    if figures.is_behind and not any(one.clear for one in broken):
        return StepOutcome(figures.load, "bad", clear=True, why=_behind_text(figures))
    # What is known best is told first.
    worst = next((one for one in broken if one.clear), broken[0])
    why = f"{worst.shown}, not {_bound(worst)}"
    if figures.error and figures.failed_share >= _NAMED_SHARE:
        why += f"; most failed with {figures.error}"
    is_silent = figures.p50_ms is None and figures.failed_share == 1.0
    return StepOutcome(figures.load, "bad", clear=worst.clear, why=why, is_silent=is_silent)


def _has_failed_by_itself(figures: StepFigures, broken: Sequence[ObjectiveResult]) -> bool:
    """Return whether requests failed, or checks did, by the target: no machine is to blame for a 404."""
    by_this_side = figures.error.startswith("generator") and figures.failed_share > 0
    return not by_this_side and any(not one.is_of_time for one in broken)


def _bound(objective: ObjectiveResult) -> str:
    return objective.text.partition(": ")[2]


def _behind_text(figures: StepFigures) -> str:
    if figures.is_short:
        share = figures.started / (figures.load * figures.seconds)
        return f"only {format_percent(share)} of the offered load was started"
    if figures.has_unanswered and figures.growth <= max(_LEAST_GROWTH, _GROWTH_SHARE * figures.offered):
        return f"{format_number_of(figures.waiting, 'request')} had no answer at its end"
    return (
        f"more and more requests waited: {format_count(figures.ended_per_s)}/s ended of "
        f"{format_count(figures.offered / figures.seconds)}/s that were offered"
    )
