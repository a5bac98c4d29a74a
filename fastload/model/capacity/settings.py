"""Settings of a capacity search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fastload.model.errors import PlanError
from fastload.model.judging.thresholds import Threshold
from fastload.model.units import format_count, format_number_of, format_percent

By = Literal["rate", "vus"]
"""What a search drives: starts per second (open model), or VUs (closed model)."""

FINEST_PRECISION, COARSEST_PRECISION = 0.01, 0.5
SHORTEST_STEP_S = 2.0
FEWEST_STARTS = 10
"""How many starts the longest step at the lightest load has at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacitySettings:
    """Settings of a capacity search.

    *by*: what is driven. *first* and *most* are the lightest and the heaviest load, in starts per second or VUs.
    *objectives*: what every good step meets; empty for the objectives that follow from the lightest step (see
    `fastload.model.capacity.objectives.default_objectives`). *precision*: the largest distance between the last good
    and the first bad load, as a share of the good one (0.01 to 0.5). Each step first has *settle_s* seconds that do not
    count, then at most *step_s* seconds that do; the last step has *confirm_s*. *at_least*: the capacity that the run
    must show to pass; None for no such demand. *time_s*: when the search ends at the latest. *quick*: a first answer in
    a few seconds: steps of a second, and none is repeated.
    """

    by: By = "rate"
    first: float = 10.0
    most: float = 1_000_000.0
    objectives: tuple[Threshold, ...] = ()
    precision: float = 0.05
    settle_s: float = 1.0
    step_s: float = 8.0
    confirm_s: float = 12.0
    at_least: float | None = None
    time_s: float = 300.0
    quick: bool = False

    def __post_init__(self) -> None:
        if not FINEST_PRECISION <= self.precision <= COARSEST_PRECISION:
            raise PlanError(
                f"precision {format_percent(self.precision)} is not "
                f"{format_percent(FINEST_PRECISION)} to {format_percent(COARSEST_PRECISION)}",
                hint="5% is usual",
            )
        if self.by == "vus" and (self.first < 1 or self.first != int(self.first)):
            raise PlanError(
                f"the lightest load, {format_count(self.first)} VUs, is no whole number", hint="give 1 or more"
            )
        if self.first <= 0:
            raise PlanError("the lightest load is 0", hint="give a load that the target surely answers, like 10/s")
        if self.most < self.first:
            raise PlanError(
                f"the heaviest load, {self.text_of(self.most)}, is below the lightest, {self.text_of(self.first)}",
                hint="swap them, or leave one of them out",
            )
        if self.step_s < SHORTEST_STEP_S:
            raise PlanError(
                f"a step of {self.step_s:g} s is too short to measure", hint=f"give {SHORTEST_STEP_S:g}s or more"
            )
        if self.by == "rate" and self.first * self.step_s < FEWEST_STARTS:
            raise PlanError(
                f"a step of {self.step_s:g} s at {self.text_of(self.first)} has fewer than {FEWEST_STARTS} starts",
                hint=f"begin with more, or make the steps {FEWEST_STARTS / self.first:g}s long",
            )
        if self.settle_s < 0:
            raise PlanError("the time to settle is negative", hint="give 0s or more")
        if self.time_s < self.settle_s + self.step_s:
            raise PlanError(
                f"the search ends after {self.time_s:g} s, before its first step does",
                hint="give it a minute or more, or shorter steps",
            )
        if self.at_least is not None and self.at_least > self.most:
            raise PlanError(
                f"{self.text_of(self.at_least)} are asked for, but no more than {self.text_of(self.most)} are tried",
                hint="raise the heaviest load",
            )

    def text_of(self, load: float) -> str:
        """Return *load* with its unit, like ``1,200/s`` or ``64 VUs``."""
        return f"{format_count(load)}/s" if self.by == "rate" else format_number_of(load, "VU")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return {
            "by": self.by,
            "first": self.first,
            "most": self.most,
            "objectives": [threshold.text for threshold in self.objectives],
            "precision": self.precision,
            "settle_s": self.settle_s,
            "step_s": self.step_s,
            "confirm_s": self.confirm_s,
            "at_least": self.at_least,
            "time_s": self.time_s,
            "quick": self.quick,
        }
