"""Load changes: what somebody made of the load of a run while it lasted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fastload.model.units import format_count, format_duration_s, format_number_of

MOST_CHANGES = 200
"""How many changes a run lists; earlier ones are only counted."""
KIND = "load"
"""Kind of the event of a change."""
_TEXT = re.compile(r"(.*): ([\d.,]+) → ([\d.,]+) (VUs|starts/s), by (.*)", re.DOTALL)


class LoadChange(NamedTuple):
    """One change of the load of *scenario*, *before* → *after*, in VUs or in starts per second (*unit*).

    *t_s* counts from the begin of the measured part, after the warm-up, without pauses; 0: the measured part began with
    it. *who* is the way it came: "the dashboard", "fastload ui", "the control API", "the keyboard" or "the program".
    *number* counts the changes of the scenario within the measured part, from 1; it is 0 for one before that.
    """

    t_s: float
    scenario: str
    before: float
    after: float
    unit: str
    who: str
    number: int = 0

    @property
    def text(self) -> str:
        """The change as an event says it; `parse` reads it."""
        return f"{self.scenario}: {_plain(self.before)} → {_plain(self.after)} {self.unit}, by {self.who}"

    @property
    def when(self) -> str:
        """The time of the change as a report says it."""
        return f"at {format_duration_s(self.t_s)}" if self.t_s else "before the measured part"

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LoadChange:
        """Return the change of an entry of a summary; earlier versions had no *number*."""
        return cls(**{name: plain[name] for name in cls._fields if name in plain})

    @classmethod
    def parse(cls, t_s: float, text: str) -> LoadChange | None:
        """Return the change of an event, or None if its *text* is no `text`."""
        found = _TEXT.fullmatch(text)
        if not found:
            return None
        scenario, before, after, unit, who = found.groups()
        try:
            return cls(t_s, scenario, float(before.replace(",", "")), float(after.replace(",", "")), unit, who)
        except ValueError:
            return None


class LoadChanges:
    """The changes of the load of a run of which the first *warmup_s* are not measured, in order of time.

    At most `MOST_CHANGES` are kept: the newest, and the last one of each scenario within and before the measured part.
    ``left_out``: how many more there were.
    """

    def __init__(self, warmup_s: float) -> None:
        self._warmup_s = warmup_s
        self._kept: list[LoadChange] = []
        self._numbers: dict[str, int] = {}
        self.left_out = 0

    def __iter__(self) -> Iterator[LoadChange]:
        return iter(self._kept)

    def add(self, change: LoadChange) -> None:
        """Add a change whose time counts from the common start."""
        t_s = round(max(0.0, change.t_s - self._warmup_s), 3)
        number = self._numbers.get(change.scenario, 0) + (t_s > 0)
        self._numbers[change.scenario] = number
        self._kept.append(change._replace(t_s=t_s, number=number))
        if len(self._kept) > MOST_CHANGES:
            del self._kept[self._oldest()]
            self.left_out += 1

    def _oldest(self) -> int:
        """Return the index of the oldest change that another one of its scenario has followed."""
        last = {(change.scenario, bool(change.number)): at for at, change in enumerate(self._kept)}
        kept = set(last.values())
        return next((at for at in range(len(self._kept)) if at not in kept), 0)


def count_changes(changes: Iterable[LoadChange]) -> int:
    """Return how many changes there were, those that are not listed among them; before the measured part, how many of
    *changes*."""
    listed = list(changes)
    numbers = {change.scenario: change.number for change in listed}
    before = sum(not change.number for change in listed)
    return before + sum(numbers.values())


def changed_load(asked: str, scenario: str, changes: Iterable[LoadChange]) -> str:
    """Return *asked*, the load of *scenario* in words, and what became of it."""
    own = [change for change in changes if change.scenario == scenario]
    first = [change for change in own if not change.t_s]
    text = f"{asked}, begun with {_amount(first[-1])}" if first else asked
    if len(first) == len(own):
        return text
    last = own[-1]
    count = max(last.number, len(own) - len(first))
    times = "" if count == 1 else f"{format_count(count)} times, last "
    at_first = "" if first else " at first"
    return f"{text}{at_first}; changed {times}to {_amount(last)} at {format_duration_s(round(last.t_s))}"


def changes_left_out(count: int) -> Sequence[str]:
    """Return a note of the *count* changes that are not listed, if any."""
    verb = "is" if count == 1 else "are"
    return [f"{format_number_of(count, 'earlier change')} of the load {verb} not listed"] if count else []


def _amount(change: LoadChange) -> str:
    if change.unit == "VUs":
        return format_number_of(change.after, "VU")
    return f"{format_count(change.after)} {change.unit}"


def _plain(value: float) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".")
