"""The interface of a sink: where the seconds of a run go, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader

SecondsNeeded = Literal["each", "rows", "charts", "none"]
"""What a sink needs of a saved run: ``each`` second; ``rows``, so that the seconds of a row of a time line may be
pooled (`fastload.model.saved.pooled_seconds`); of these the metrics of the ``charts`` only; or ``none``, because
everything is in the summary. There are at most 900 rows, and one for each second if the run is not longer."""


class Sink(Protocol):
    """Takes a run second by second: live, from a thread of its own, or saved (``fastload report``).

    All methods may block: that costs seconds of this sink when its queue is full, and never anything of the run. What
    they raise is counted and told at the end, and the next second is tried again. Constructors do no I/O.

    ``required``: the run's exit code is 104 when something was lost, as for a file that somebody asked for.
    ``wants_points``: single requests and iterations are measured for it, in `Snapshot.points`.

    A sink may have a method ``linger(*, waits: bool) -> None``, which is called when all outputs are written, from the
    thread of the run: it may wait for those who still read from it, until `KeyboardInterrupt`. Without *waits* it only
    frees what it holds.

    A sink may have a method ``expect_summary() -> SecondsNeeded``, which is called before it gets a saved run: `close`
    will get a summary, and the sink says which seconds it needs.
    """

    required: bool
    wants_points: bool

    def check(self) -> None:
        """Before the run, and before the workers are forked: open nothing that a worker would inherit.

        Raises:
            PlanError: it cannot work: a file that may not be written, a port that is taken.
        """

    def open(self, header: RunHeader) -> None:
        """The run begins."""

    def write(self, snapshot: Snapshot) -> None:
        """One second: what came in it (``table``, ``errors``, ``host`` ...), and how the run stands."""

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """The run is over. *summary* is `Summary.to_dict`, or None when the run ended without one. Called once."""
