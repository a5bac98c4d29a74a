"""Data ends: scenarios and VUs that ended early because a data set had no row left for them."""

from __future__ import annotations

from collections import Counter

from fastload.model.units import format_number_of


class DataEnds:
    """What the workers say of it, and the notes that it makes for the summary."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str], dict[int, float]] = {}
        self._vus: Counter[tuple[str, str]] = Counter()

    def add(self, scenario: str, reason: str, worker: int, at_s: float) -> None:
        """Note that *scenario* ended in *worker* for *reason*, *at_s* after the beginning of the measurement."""
        self._ends.setdefault((scenario, reason), {})[worker] = at_s

    def add_vus(self, scenario: str, reason: str, vus: int) -> None:
        """Note that so many *vus* of *scenario* ended in their ``on_start`` for *reason*."""
        self._vus[scenario, reason] += vus

    @property
    def vus(self) -> int:
        """How many VUs ended in their ``on_start``."""
        return self._vus.total()

    def notes(self, workers: int) -> list[str]:
        """Return one sentence for each scenario and reason, of a run with so many *workers*."""
        return [
            f"{scenario} ended early, {_when(ends, workers)}: {reason}"
            for (scenario, reason), ends in self._ends.items()
        ] + [
            f"{format_number_of(vus, 'VU')} of {scenario} ended in on_start, without data: {reason}"
            for (scenario, reason), vus in self._vus.items()
        ]


def _when(ends: dict[int, float], workers: int) -> str:
    first_s, last_s = min(ends.values()), max(ends.values())
    if len(ends) < workers:
        return f"in {len(ends)} of {format_number_of(workers, 'worker')} after {last_s:.1f} s"
    if f"{first_s:.1f}" == f"{last_s:.1f}":
        return f"after {last_s:.1f} s"
    return f"after {first_s:.1f} s in the first worker and {last_s:.1f} s in the last one"
