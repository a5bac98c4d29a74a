"""Result of a capacity search: the capacity with its interval, all steps, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastload.model.capacity.scalability import Scalability, fit_scalability
from fastload.model.capacity.search import Found
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import CapacityStep, StepFigures
from fastload.model.judging.verdict import NOTHING_AT_ITS_LIMIT
from fastload.model.units import format_count, format_number_of


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """Result of a capacity search.

    *state* and *why* are as in `Found`. *capacity* is the highest load that met the *objectives* (None if none did):
    starts per second, or VUs, as *settings* drive it. *low* and *high* are the ends of its interval: the capacity and
    the lowest load that was too much (None without one). *steps* are all steps, in order; *limit* is the sentence on
    the limit of the step that was too much. *remedy*: what to do where not the target was the limit. *scalability* is
    the fit of the Universal Scalability Law, or the reason why there is none.
    """

    settings: CapacitySettings
    state: str
    capacity: float | None
    high: float | None
    why: str
    objectives: tuple[str, ...]
    steps: tuple[CapacityStep, ...]
    limit: str
    remedy: str
    scalability: Scalability | str

    @property
    def low(self) -> float | None:
        return self.capacity

    @property
    def meets_demand(self) -> bool:
        """Whether the run has shown the capacity that was asked for; True without such a demand."""
        wanted = self.settings.at_least
        is_shown = self.state in ("found", "at_least", "unfinished") and self.capacity is not None
        return wanted is None or (is_shown and (self.capacity or 0.0) >= wanted)

    @property
    def has_answer(self) -> bool:
        """Whether some load was carried, and lastingly."""
        return self.state != "unstable" and self.capacity is not None

    @property
    def confirmed(self) -> CapacityStep | None:
        """The longest good step at the capacity."""
        good = [one for one in self.steps if one.outcome.kind == "good" and one.figures.load == self.capacity]
        return max(good, key=lambda one: one.figures.seconds, default=None)

    @property
    def headline(self) -> str:
        """The answer as a sentence."""
        text_of, state = self.settings.text_of, self.state
        if self.capacity is None:
            first = text_of(self.settings.first)
            if state == "failing":
                return f"not even the lightest load, {first}, met the objectives: {self.why}"
            if state == "at_least":
                return f"the lightest load, {first}, could not be judged: {self.why}"
            if state == "unstable":
                return f"no lasting capacity: {self.why}"
            return "the search ended before its first step did" + (f": {self.why}" if self.why else "")
        answer = text_of(self.capacity)
        if (confirmed := self.confirmed) is not None and self.settings.by == "vus":
            answer += f", which is {format_count(confirmed.figures.answered_per_s)} requests/s"
        if state == "at_least":
            return f"at least {answer}: {self.why}"
        if state == "unstable":
            return f"no lasting capacity: {self.why}"
        if state == "unfinished":
            less = f" and less than {text_of(self.high)}" if self.high is not None else ""
            why = self.why or "the search was ended before it could be confirmed"
            return f"at least {answer}{less} so far: {why}"
        return f"{answer} within the objectives" + (f", and less than {text_of(self.high)}" if self.high else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return {
            "state": self.state,
            "headline": self.headline,
            "capacity": self.capacity,
            "low": self.low,
            "high": self.high,
            "why": self.why,
            "meets_demand": self.meets_demand,
            "objectives": list(self.objectives),
            "limit": self.limit,
            "remedy": self.remedy,
            # Without the objectives, which are above: a saved search has them only as texts.
            "settings": {name: value for name, value in self.settings.to_dict().items() if name != "objectives"},
            "steps": [step.to_dict() for step in self.steps],
            "scalability": self.scalability if isinstance(self.scalability, str) else self.scalability.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """State of a search that goes on. *doing*: what it does now, like ``step 4: 80/s``, "" when it is over. *so_far* is
    the result as if the search ended now."""

    doing: str
    so_far: CapacityResult


def capacity_result(
    settings: CapacitySettings, found: Found, objectives: Sequence[str], steps: Sequence[CapacityStep]
) -> CapacityResult:
    """Return the result of a search that *found* something in these *steps*."""
    failed = [
        step for step in steps if step.outcome.kind != "good" and (found.bad is None or step.figures.load <= found.bad)
    ]
    at_limit = next((step.figures for step in reversed(failed) if step.figures.limit), None)
    remedy = next(
        (step.figures.remedy for step in steps if step.figures.generator and step.outcome.why == found.why), ""
    )
    return CapacityResult(
        settings=settings,
        state=found.state,
        capacity=found.good,
        high=found.bad,
        why=found.why,
        objectives=tuple(objectives),
        steps=tuple(steps),
        limit=_limit_text(settings, at_limit) if at_limit else "",
        remedy=remedy,
        scalability=fit_scalability([(step.figures.in_flight, step.figures.answered_per_s) for step in steps]),
    )


def _limit_text(settings: CapacitySettings, figures: StepFigures) -> str:
    """Return the sentence on the limit of a step that was not good. Where nothing was full, what was nearest to it."""
    if not figures.limit.startswith(NOTHING_AT_ITS_LIMIT):
        return figures.limit
    return f"Nothing was full at {settings.text_of(figures.load)}; nearest to its limit: {figures.nearest}."


def describe_search(settings: CapacitySettings) -> str:
    """Return what a search does, like ``capacity from 10/s on``."""
    return f"search for the capacity from {settings.text_of(settings.first)} on" + (
        f", {format_number_of(len(settings.objectives), 'objective')}" if settings.objectives else ""
    )
