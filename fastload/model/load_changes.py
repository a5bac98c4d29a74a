"""Load changes: what somebody made of the load of a run while it lasted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastload.model.units import format_count, format_duration_s, format_number_of

MOST_CHANGES = 200
"""How many changes a run lists; more are only counted."""
KIND = "load"
"""Kind of the event of a change."""
_TEXT = re.compile(r"(.*): ([\d.,]+) → ([\d.,]+) (VUs|starts/s), by (.*)", re.DOTALL)


class LoadChange(NamedTuple):
    """One change of the load of *scenario*, *before* → *after*, in VUs or in starts per second (*unit*).

    *t_s* counts as `Snapshot.elapsed_s` does: from the common start, without pauses. *who* is the way it came:
    "the dashboard", "fastload ui", "the control API", "the keyboard" or "the program".
    """

    t_s: float
    scenario: str
    before: float
    after: float
    unit: str
    who: str

    @property
    def text(self) -> str:
        """The change as an event says it; `parse` reads it."""
        return f"{self.scenario}: {_plain(self.before)} → {_plain(self.after)} {self.unit}, by {self.who}"

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


def changed_load(asked: str, scenario: str, changes: Iterable[LoadChange]) -> str:
    """Return *asked*, the load of *scenario* in words, and what became of it."""
    every = list(changes)
    own = [change for change in every if change.scenario == scenario]
    if not own:
        return asked
    last = own[-1]
    more = " or more" if len(every) >= MOST_CHANGES else ""
    times = "" if len(own) == 1 else f"{format_count(len(own))} times{more}, last "
    now = f"{format_count(last.after)} {last.unit} at {format_duration_s(round(last.t_s))}"
    return f"{asked} at first; changed {times}to {now}"


def changes_left_out(count: int) -> Sequence[str]:
    """Return a note of the *count* changes that are not listed, if any."""
    verb = "is" if count == 1 else "are"
    return [f"{format_number_of(count, 'further change')} of the load {verb} not listed"] if count else []


def _plain(value: float) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".")
