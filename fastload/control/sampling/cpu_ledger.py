"""CPU ledger: how much CPU time a changing tree of processes used, those included that end between two readings."""

from __future__ import annotations

from dataclasses import dataclass

ProcessKey = tuple[int, int]
"""``(start_ticks, pid)``: unique while the machine is up, and parents sort before their children."""


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU time of one process since its start; ``reaped_ns`` is the CPU time of the descendants that it waited for."""

    parent_pid: int
    own_ns: int
    reaped_ns: int


class CpuLedger:
    """Ledger of the CPU time of a changing process tree. It also counts processes that end between two readings.

    When a parent waits for an ended child, the kernel adds the child's total to the parent's ``reaped_ns``. The part
    that was counted while the child lived is then a debt of the parent, and is subtracted from ``reaped_ns``. The total
    may arrive there one interval late, because a tree cannot be read at one instant. If it is not there by then, the
    parent never waited (SIGCHLD ignored), and the debt is dropped. A parent must not be read after its children.
    """

    def __init__(self) -> None:
        self._last: dict[ProcessKey, CpuReading] = {}
        self._owed_ns: dict[ProcessKey, int] = {}

    def advance(self, now: dict[ProcessKey, CpuReading], *, born_since_ticks: int) -> int:
        """Return the CPU time in ns that all processes used since the last call.

        A new process counts from its start if it started at *born_since_ticks* or later. Otherwise (an old process
        that joins the tree) it counts from now on.
        """
        vanished_ns = self._vanished_ns(now)
        owed_ns: dict[ProcessKey, int] = {}
        used_ns = 0
        for key, reading in now.items():
            before = self._last.get(key)
            if before is None:
                used_ns += reading.own_ns + reading.reaped_ns if key[0] >= born_since_ticks else 0
                continue
            used_ns += max(0, reading.own_ns - before.own_ns)
            arrived = max(0, reading.reaped_ns - before.reaped_ns)
            owed_late, owed_new = self._owed_ns.get(key, 0), vanished_ns.get(key, 0)
            used_ns += max(0, arrived - owed_late - owed_new)
            still_owed = min(owed_new, max(0, owed_late + owed_new - arrived))
            if still_owed:
                owed_ns[key] = still_owed
        self._last, self._owed_ns = now, owed_ns
        return used_ns

    def _vanished_ns(self, now: dict[ProcessKey, CpuReading]) -> dict[ProcessKey, int]:
        """Return the already counted CPU time of processes that are gone, by the nearest ancestor that exists."""
        keys = {key[1]: key for key in self._last}
        vanished_ns: dict[ProcessKey, int] = {}
        for key, reading in self._last.items():
            heir: ProcessKey | None = key
            while heir is not None and heir not in now:
                heir = keys.get(self._last[heir].parent_pid)
            if key not in now and heir is not None:
                vanished_ns[heir] = vanished_ns.get(heir, 0) + reading.own_ns + reading.reaped_ns
        return vanished_ns
