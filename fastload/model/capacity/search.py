"""Capacity search: which load to try next.

The load doubles until a step is bad; it grows faster while the target uses little of its CPUs. Then the distance
between the last good and the first bad load is halved, on a log scale, until it is as small as the precision asks. The
good load is confirmed in a longer step, and the bad one is repeated. Steps that contradict each other move the ends,
and too many of them end the search with a refusal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

from fastload.model.capacity.settings import CapacitySettings
from fastload.model.capacity.steps import StepOutcome

Purpose = Literal["first", "double", "narrow", "repeat", "confirm"]
FoundState = Literal["found", "at_least", "failing", "unstable", "unfinished"]

MOST_CONTRADICTIONS = 3
_FALL_STEPS = 4
"""By how many times the precision a second load must lie below the first: then not chance but the target fell."""
_NEAR_STEPS = 4
"""By how many times the precision steps above the good load may contradict each other: there, chance decides."""
_USED, _USED_QUICKLY = 0.5, 0.8
"""Share of its CPUs that the target shall use at the next load, as long as the load grows by that and not by doubling;
and the same in a quick search, which has only a few steps."""
_SLOWEST_QUICK_GROWTH = 1.4
_FASTEST_GROWTH = 8.0
_SHORTEST_QUICK_S = 1.0
_SHORTEST_S = 3.0
_SHORTEST_DOUBLE_S = 2.0


@dataclass(frozen=True, slots=True)
class StepRequest:
    """The next step: its load, what it is for, and how long it is measured at least and at most, in seconds."""

    load: float
    purpose: Purpose
    shortest_s: float
    longest_s: float

    def is_over(self, outcome: StepOutcome, measured_s: float) -> bool:
        """Return whether the step may end after *measured_s* seconds, with *outcome* so far.

        A load that is clearly too much is taken away at once: what waits must be let go afterwards.
        """
        if outcome.kind == "bad" and outcome.clear:
            return True
        return measured_s >= (self.shortest_s if outcome.clear else self.longest_s)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. *state*:

    - "found": *good* was confirmed, and *bad* (None for no such load) was too much
    - "at_least": *good* was carried, and more could not be made or was not to be tried; *why* says so
    - "failing": the lightest load was too much already
    - "unstable": steps contradict each other; *good* and *bad* are the highest good and the lowest bad load
    - "unfinished": the search was ended before; *good* is the highest load that was carried so far, not confirmed
    """

    state: FoundState
    good: float | None
    bad: float | None
    why: str = ""


Course = Generator[StepRequest, StepOutcome, Found]


class _SilentTarget(Exception):
    """The target answers nothing any more, since *load*."""

    def __init__(self, text: str, load: float) -> None:
        super().__init__(text)
        self.load = load


class CapacitySearch:
    """Search for the highest load whose steps are good.

    ``request``: the next step; None when the search is over. ``found``: what was found so far.
    """

    def __init__(self, settings: CapacitySettings) -> None:
        self._settings = settings
        self._good: dict[float, str] = {}
        self._bad: dict[float, str] = {}
        # How often each load was bad.
        self._times_bad: Counter[float] = Counter()
        self._growth = 2.0
        self._contradictions: list[tuple[float, str]] = []
        # Loads that were good at first and then not.
        self._fallen: list[float] = []
        self._found: Found | None = None
        self._course = self._search()
        self.request: StepRequest | None = next(self._course)

    @property
    def found(self) -> Found:
        if self._found is not None:
            return self._found
        good, bad = self._ends()
        return Found("unfinished", good, bad)

    def add(self, outcome: StepOutcome) -> None:
        """Take the outcome of the step that ``request`` asked for."""
        try:
            self.request = self._course.send(outcome)
        except StopIteration as end:
            self.request, self._found = None, end.value

    def _ends(self) -> tuple[float | None, float | None]:
        """Return the highest good load below all bad ones, and the lowest bad load."""
        bad = min(self._bad, default=None)
        good = max((load for load in self._good if bad is None or load < bad), default=None)
        return good, bad

    @property
    def _is_unstable(self) -> bool:
        """Whether steps contradict each other too often, or loads that were good before are far too much now."""
        fell = len(self._fallen) > 1 and self._fallen[-1] < self._fallen[0] * (
            1 - _FALL_STEPS * self._settings.precision
        )
        return fell or len(self._contradictions) > MOST_CONTRADICTIONS

    def _undecided(self) -> Found:
        """Return what is known when steps contradict each other: a wider interval if that is only near the limit."""
        good, bad = self._ends()
        loads = [load for load, _ in self._contradictions]
        why = self._contradictions[-1][1]
        if good is None or bad is None or max(loads) > (good * (1 + _NEAR_STEPS * self._settings.precision)):
            return Found("unstable", good, bad, why)
        return Found("found", good, max(bad, *loads), why)

    # The course.

    def _search(self) -> Course:
        first = yield from self._tried(self._settings.first, "first")
        if first.kind != "good":
            state: FoundState = "failing" if first.kind == "bad" else "at_least"
            return Found(state, None, first.load if first.kind == "bad" else None, first.why)
        try:
            return (yield from self._go_on())
        except _SilentTarget as fell:
            return Found("unstable", max(self._good, default=None), fell.load, str(fell))

    def _go_on(self) -> Course:
        while True:
            ended = yield from self._double()
            ended = ended or (yield from self._narrow())
            if ended is None:
                ended = yield from self._confirm()
            if ended is not None:
                return ended
            if self._is_unstable:
                return self._undecided()

    def _double(self) -> Generator[StepRequest, StepOutcome, Found | None]:
        """Double the load until a step is bad. Return what was found if no load can be bad."""
        while not self._bad:
            load = max(self._good)
            if load >= self._settings.most:
                return (yield from self._at_least(f"more than {self._settings.text_of(load)} was not to be tried"))
            heavier = self._rounded(min(self._growth * load, self._settings.most))
            outcome = yield from self._tried(heavier, "double")
            if outcome.kind == "generator":
                # Half of the way may be made.
                yield from self._tried(self._rounded(math.sqrt(load * heavier)), "narrow")
                if not self._bad:
                    return (yield from self._at_least(outcome.why))
        return None

    def _narrow(self) -> Generator[StepRequest, StepOutcome, Found | None]:
        """Halve the distance between the ends until it is small enough. Return what was found if the load cannot be
        made."""
        while True:
            good, bad = self._ends()
            if good is None or bad is None:
                return Found("unstable", good, bad, self._contradictions[-1][1])
            middle = self._rounded(math.sqrt(good * bad))
            if bad <= good * (1 + self._settings.precision) or not good < middle < bad:
                return None
            outcome = yield from self._tried(middle, "narrow")
            if outcome.kind == "generator":
                return (yield from self._at_least(outcome.why))

    def _confirm(self) -> Course | Generator[StepRequest, StepOutcome, Found | None]:
        """Try the good end in a longer step, and the bad end once more: a disturbance can break any objective."""
        good, bad = self._ends()
        assert good is not None
        assert bad is not None
        outcome = yield self._request(good, "confirm")
        if outcome.kind != "good":
            outcome = yield self._request(good, "confirm")
        if outcome.kind == "generator":
            return (yield from self._at_least(outcome.why))
        if outcome.kind == "bad":
            self._fallen.append(good)
            self._contradict(outcome, f"{self._settings.text_of(good)} was good at first, and then not: {outcome.why}")
            return None
        if self._times_bad[bad] == 1 and not self._settings.quick:
            repeated = yield self._request(bad, "repeat")
            if repeated.kind == "generator":
                return Found("at_least", good, None, repeated.why)
            self._times_bad[bad] += 1
            if repeated.kind == "good":
                self._contradict(repeated, f"{self._settings.text_of(bad)} was too much at first, and then not")
                return None
        return Found("found", good, bad, self._bad[bad])

    def _at_least(self, why: str) -> Course:
        """Confirm the highest load that was good, when no heavier one can be tried."""
        while (good := self._ends()[0]) is not None:
            outcome = yield self._request(good, "confirm")
            if outcome.kind != "good":
                outcome = yield self._request(good, "confirm")
            if outcome.kind == "good":
                break
            # Also what could not be confirmed for a disturbance is not told.
            self._note(outcome)
            self._good.pop(good, None)
            why = outcome.why
        return Found("at_least", good, None, why)

    def _tried(self, load: float, purpose: Purpose) -> Generator[StepRequest, StepOutcome, StepOutcome]:
        """Try *load*; once more if the outcome was not good and not clear, because a disturbance passes."""
        outcome = yield self._request(load, purpose)
        is_doubtful = outcome.kind == "generator" or (outcome.kind == "bad" and purpose != "narrow")
        if is_doubtful and not outcome.clear and not self._settings.quick:
            outcome = yield self._request(load, "repeat")
        if purpose == "first" and outcome.kind == "bad" and outcome.clear:
            outcome = yield self._request(load, "repeat")
        if outcome.is_silent and self._good and purpose != "first":
            yield from self._look_for_it(outcome)
        self._note(outcome)
        return outcome

    def _look_for_it(self, silent: StepOutcome) -> Generator[StepRequest, StepOutcome, None]:
        """Try the lightest load, after a step in which nothing was answered.

        Raises:
            _SilentTarget: nothing is answered there either.
        """
        probe = yield self._request(self._settings.first, "repeat")
        if probe.kind != "good":
            best = self._settings.text_of(max(self._good))
            raise _SilentTarget(f"{best} was good at first, and then nothing was answered: {probe.why}", silent.load)

    def _note(self, outcome: StepOutcome) -> None:
        if outcome.kind == "good":
            # A part of what its CPUs would carry if nothing else were a limit.
            used, quick = outcome.used_share or 0.0, self._settings.quick
            wanted, least = (_USED_QUICKLY, _SLOWEST_QUICK_GROWTH) if quick else (_USED, 2.0)
            self._growth = min(max(wanted / used, least), _FASTEST_GROWTH) if used else 2.0
            self._good[outcome.load] = ""
            self._bad.pop(outcome.load, None)
        elif outcome.kind == "bad":
            self._bad[outcome.load] = outcome.why
            self._times_bad[outcome.load] += 1
            self._good.pop(outcome.load, None)

    def _contradict(self, outcome: StepOutcome, text: str) -> None:
        self._contradictions.append((outcome.load, text))
        self._note(outcome)

    def _request(self, load: float, purpose: Purpose) -> StepRequest:
        settings = self._settings
        shortest_s = _SHORTEST_DOUBLE_S if purpose == "double" else min(_SHORTEST_S, settings.step_s)
        if settings.quick:
            shortest_s = _SHORTEST_QUICK_S
        if purpose == "confirm":
            return StepRequest(load, purpose, settings.confirm_s, settings.confirm_s)
        return StepRequest(load, purpose, shortest_s, settings.step_s)

    def _rounded(self, load: float) -> float:
        """Return *load* as people write it: whole VUs, or a rate with three digits."""
        if self._settings.by == "vus":
            return float(round(load))
        digits = 2 - math.floor(math.log10(load))
        return round(load, digits)
