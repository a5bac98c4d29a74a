"""Usage ledger: what a changing tree of processes used, those included that end between two readings."""

from __future__ import annotations

from dataclasses import dataclass

ProcessKey = tuple[int, int]
"""``(start_ticks, pid)``: unique while the machine is up, and parents sort before their children."""


@dataclass(frozen=True, slots=True)
class UsageReading:
    """What one process has used since its start, like ns of CPU time or bytes of a disk.

    ``reaped`` is what the descendants used that it waited for. The kernel keeps bytes of disks in one number with those
    of the process itself: all of that is ``reaped``.
    """

    parent_pid: int
    own: int
    reaped: int


class UsageLedger:
    """Ledger of what a changing process tree uses. It also counts processes that end between two readings.

    When a parent waits for an ended child, the kernel adds the child's total to the parent's ``reaped``. The part
    that was counted while the child lived is then a debt of the parent, and is subtracted from ``reaped``. The total
    may arrive there one interval late, because a tree cannot be read at one instant. If it is not there by then, the
    parent never waited (SIGCHLD ignored), and the debt is dropped. A parent must not be read after its children.
    """

    def __init__(self) -> None:
        self._last: dict[ProcessKey, UsageReading] = {}
        self._owed: dict[ProcessKey, int] = {}

    def advance(self, now: dict[ProcessKey, UsageReading], *, born_since_ticks: int) -> int:
        """Return what all processes used since the last call.

        A new process counts from its start if it started at *born_since_ticks* or later. Otherwise (an old process
        that joins the tree) it counts from now on.
        """
        vanished = self._vanished(now)
        owed: dict[ProcessKey, int] = {}
        used = 0
        for key, reading in now.items():
            before = self._last.get(key)
            if before is None:
                used += reading.own + reading.reaped if key[0] >= born_since_ticks else 0
                continue
            used += max(0, reading.own - before.own)
            arrived = max(0, reading.reaped - before.reaped)
            owed_late, owed_new = self._owed.get(key, 0), vanished.get(key, 0)
            used += max(0, arrived - owed_late - owed_new)
            still_owed = min(owed_new, max(0, owed_late + owed_new - arrived))
            if still_owed:
                owed[key] = still_owed
        self._last, self._owed = now, owed
        return used

    def _vanished(self, now: dict[ProcessKey, UsageReading]) -> dict[ProcessKey, int]:
        """Return what was already counted of processes that are gone, by the nearest ancestor that exists."""
        keys = {key[1]: key for key in self._last}
        vanished: dict[ProcessKey, int] = {}
        for key, reading in self._last.items():
            heir: ProcessKey | None = key
            while heir is not None and heir not in now:
                heir = keys.get(self._last[heir].parent_pid)
            if key not in now and heir is not None:
                vanished[heir] = vanished.get(heir, 0) + reading.own + reading.reaped
        return vanished
