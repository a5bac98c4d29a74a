"""Stopped workers: processes that a signal holds (SIGSTOP, Ctrl-Z, a debugger), which make no load and cannot end."""

from __future__ import annotations

from collections.abc import Mapping

from fastload.control.sampling.procfs import is_stopped

STOPPED_S = 3
"""How long a worker is stopped before that is said."""
STOPPED = "has been stopped by a signal (SIGSTOP) for 3 s: it makes no load"
STAYED_STOPPED = "was stopped by a signal (SIGSTOP) when the load was over"
ALONE_S = 10
"""How long a worker is stopped before it is ended, if no other worker has anything left to do."""
STOPPED_LAST = f"was stopped by a signal (SIGSTOP) for {ALONE_S} s, and nothing else was left to do"


class StoppedWorkers:
    """How often in a row each worker was found stopped. Look once a second."""

    def __init__(self) -> None:
        self._looks: dict[int, int] = {}
        self._ended: set[int] = set()

    def look(self, pids: Mapping[int, int]) -> list[int]:
        """Look at the workers with *pids*, and return those that are now stopped for `STOPPED_S`."""
        stopped = [index for index, pid in pids.items() if is_stopped(pid)]
        self._looks = {index: self._looks.get(index, 0) + 1 for index in stopped}
        return [index for index, looks in self._looks.items() if looks == STOPPED_S]

    def end(self, index: int) -> None:
        """Note that the worker is ended as it is: it stays one that was stopped for good."""
        self._ended.add(index)

    @property
    def for_good(self) -> frozenset[int]:
        """Workers that have been stopped for `STOPPED_S` or longer and still are, or were until they were ended."""
        return frozenset(self._ended.union(self.held))

    def held_for(self, seconds: int) -> list[int]:
        """Return the workers that have been stopped for so many looks or more."""
        return [index for index, looks in self._looks.items() if looks >= seconds]

    @property
    def held(self) -> list[int]:
        """Workers that have been stopped for `STOPPED_S` or longer."""
        return self.held_for(STOPPED_S)
