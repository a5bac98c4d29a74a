"""VU count: how many VUs of a worker are active, over all of its scenarios."""

from __future__ import annotations

# Scenarios that end this close to each other end together.
_TOGETHER_NS = 10_000_000


class VUCount:
    """Number of active VUs. A VU is active in an iteration, in its ``on_stop``, and while it waits for its next start.

    ``now``: the number at this moment. ``at_end``: the number just before the last executor started its last iteration.
    """

    __slots__ = ("_ended_ns", "_peak", "at_end", "now")

    def __init__(self) -> None:
        self.now = self.at_end = 0
        self._peak = self._ended_ns = 0

    def enter(self) -> None:
        """Count one more."""
        self.now += 1
        if self.now > self._peak:
            self._peak = self.now

    def leave(self) -> None:
        """Count one less."""
        self.now -= 1

    def take_peak(self) -> int:
        """Return the largest number at once since the last call."""
        peak, self._peak = self._peak, self.now
        return peak

    def end(self, now_ns: int) -> None:
        """Note that an executor starts no more iterations from *now_ns* on, before any of its VUs leaves."""
        self.at_end = max(self.now, self.at_end) if now_ns - self._ended_ns < _TOGETHER_NS else self.now
        self._ended_ns = now_ns
