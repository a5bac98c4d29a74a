"""Stalls of a worker's event loop: how late it was, for which cause, and which lines of the script caused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Literal, Self

StallCause = Literal["blocked", "busy", "starved", "stopped"]
"""What the process did in the time by which its event loop was late.

``blocked``: it waited in a call, like ``time.sleep``. ``busy``: it ran code. ``starved``: it was ready to run and had
no CPU. ``stopped``: it was stopped by a signal, or frozen together with others.
"""
PROBE_INTERVAL_US = 10_000
"""Mean time between two wake-ups that measure ``loop_lag``."""
MOST_LINES = 20
"""How many lines of a script are kept for each worker; stalls by other lines are counted without a line."""


def probe_intervals_us() -> Iterator[int]:
    """Yield the times between wake-ups: `PROBE_INTERVAL_US`, and up to half of it more or less, evenly spread.

    A loop that is blocked for 10 ms, again and again, would come to be in step with a fixed interval: each wake-up
    would be punctual, and the loop look free.
    """
    share = 0.0
    while True:
        # Steps by the golden ratio never repeat, and fill the range evenly.
        share = (share + _GOLDEN_RATIO) % 1
        yield round(PROBE_INTERVAL_US * (0.5 + share))


_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(slots=True)
class StallCount:
    """Number of stalls, their total length and the length of the longest, in us."""

    count: int = 0
    total_us: int = 0
    longest_us: int = 0

    def add(self, other: StallCount) -> None:
        self.count += other.count
        self.total_us += other.total_us
        self.longest_us = max(self.longest_us, other.longest_us)


@dataclass(slots=True)
class StallTable:
    """Lateness of one event loop, which is asked to wake up each 10 ms on average.

    *watched_us*: the time that was watched. *late_us*: by how much the wake-ups were late, added up by cause, however
    short each was. *waited_us*: how long events, one for each 10 ms, waited for the loop, by cause. One that is late by
    300 ms holds up thirty of them, and weighs more than 300 that are late by 1 ms. *stalled_us*: what of *late_us* came
    in stalls. *stalls*: these, by cause and line of the script, and the shorter ones of a known line; the line is "" if
    it was not the script.
    """

    watched_us: int = 0
    late_us: dict[str, int] = field(default_factory=dict)
    waited_us: dict[str, int] = field(default_factory=dict)
    stalled_us: int = 0
    stalls: dict[tuple[str, str], StallCount] = field(default_factory=dict)

    def add_late(self, cause: StallCause, part_us: int, late_us: int) -> None:
        """Add *part_us* of a wake-up that was late by *late_us*; nothing if it is 0."""
        if part_us > 0:
            self.late_us[cause] = self.late_us.get(cause, 0) + part_us
            # Those that come while the loop stands still wait for half of it on average.
            events = 1 + late_us / (2 * PROBE_INTERVAL_US)
            self.waited_us[cause] = self.waited_us.get(cause, 0) + round(part_us * events)

    def add_stall(self, cause: str, line: str, stall: StallCount) -> None:
        """Add stalls of one cause and line."""
        key = cause, line
        if key not in self.stalls and len(self.stalls) >= MOST_LINES:
            key = cause, ""
        self.stalls.setdefault(key, StallCount()).add(stall)

    def merge(self, other: StallTable) -> None:
        """Add *other*."""
        self.watched_us += other.watched_us
        self.stalled_us += other.stalled_us
        for mine, others in ((self.late_us, other.late_us), (self.waited_us, other.waited_us)):
            for cause, value in others.items():
                mine[cause] = mine.get(cause, 0) + value
        for (cause, line), stall in other.stalls.items():
            self.add_stall(cause, line, stall)

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for a frame."""
        return {
            "watched_us": self.watched_us,
            "late_us": self.late_us,
            "waited_us": self.waited_us,
            "stalled_us": self.stalled_us,
            "stalls": [[*key, *astuple(stall)] for key, stall in self.stalls.items()],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the table of *plain*, the result of `to_plain`."""
        late_us, waited_us = (
            {str(cause): int(value) for cause, value in plain[name].items()} for name in ("late_us", "waited_us")
        )
        stalls = {
            (str(cause), str(line)): StallCount(int(count), int(total_us), int(longest_us))
            for cause, line, count, total_us, longest_us in plain["stalls"]
        }
        return cls(int(plain["watched_us"]), late_us, waited_us, int(plain["stalled_us"]), stalls)


@dataclass(frozen=True, slots=True)
class Stalls:
    """Stalls of one worker's event loop by one cause: *count* of them, in ms. *line*: of the script, or "" """

    cause: str
    line: str
    count: int
    total_ms: float
    longest_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return asdict(self)


def worst_first(table: StallTable) -> tuple[Stalls, ...]:
    """Return the stalls of *table* in ms, those with the largest total first."""
    ordered = sorted(table.stalls.items(), key=lambda item: -item[1].total_us)
    return tuple(
        Stalls(cause, line, stall.count, stall.total_us / 1000, stall.longest_us / 1000)
        for (cause, line), stall in ordered
    )
