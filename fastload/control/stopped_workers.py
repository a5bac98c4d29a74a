"""Stopped workers: processes that a signal holds (SIGSTOP, Ctrl-Z, a debugger), which make no load and cannot end."""

from __future__ import annotations

from collections.abc import Mapping

from fastload.control.sampling.procfs import is_stopped

STOPPED_S = 3
"""How long a worker is stopped before that is said."""
STOPPED = "has been stopped by a signal (SIGSTOP) for 3 s: it makes no load"
STAYED_STOPPED = "was stopped by a signal (SIGSTOP) when the load was over"


class StoppedWorkers:
    """How often in a row each worker was found stopped. Look once a second."""

    def __init__(self) -> None:
        self._looks: dict[int, int] = {}

    def look(self, pids: Mapping[int, int]) -> list[int]:
        """Look at the workers with *pids*, and return those that are now stopped for `STOPPED_S`."""
        stopped = [index for index, pid in pids.items() if is_stopped(pid)]
        self._looks = {index: self._looks.get(index, 0) + 1 for index in stopped}
        return [index for index, looks in self._looks.items() if looks == STOPPED_S]

    @property
    def held(self) -> list[int]:
        """Workers that have been stopped for `STOPPED_S` or longer."""
        return [index for index, looks in self._looks.items() if looks >= STOPPED_S]
