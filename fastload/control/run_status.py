"""Status of a run at one moment, for the commands ``status`` and ``metrics`` and for each snapshot."""

from __future__ import annotations

import time
from typing import Any

from fastload.control.run_state import RunState
from fastload.control.snapshots import SnapshotMaker, SnapshotTime, WindowTime
from fastload.control.steering import Steering
from fastload.control.summary_builder import SummaryBuilder
from fastload.control.workers import Workers
from fastload.model.capacity.result import SearchProgress
from fastload.model.plan import Plan


class RunStatus:
    """Reader of the parts of a run; it changes none of them.

    ``message``: the answer to a pressed key. The next snapshot shows it once. ``search``: the state of a capacity
    search, None in other runs.
    """

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        steering: Steering,
        workers: Workers,
        summary: SummaryBuilder,
        snapshots: SnapshotMaker,
    ) -> None:
        self._plan = plan
        self._state = state
        self._steering = steering
        self._workers = workers
        self._summary = summary
        self._snapshots = snapshots
        self.message = ""
        self.search: SearchProgress | None = None

    def status(self) -> dict[str, Any]:
        """Return the answer to the command ``status``."""
        elapsed_s = self._state.elapsed_s(time.monotonic_ns())
        counts = self._summary.counts()
        return {
            "phase": self._state.phase(elapsed_s),
            "elapsed_s": round(elapsed_s, 3),
            "progress": self._progress(elapsed_s),
            "can_pause": self._plan.capacity is None,
            "vus": counts.vus,
            "requests": counts.requests,
            "requests_per_s": self._snapshots.last_rate,
            "failed": counts.failed,
            "scenarios": self._steering.describe(),
            "workers_alive": len(self._workers.pids),
        }

    def metrics(self) -> dict[str, Any]:
        """Return the answer to the command ``metrics``: each metric as `MetricView.to_dict`, by name."""
        elapsed_s = self._state.elapsed_s(time.monotonic_ns())
        views = self._summary.views(elapsed_s - self._plan.warmup_s)
        return {name: view.to_dict() for name, view in views.items()}

    def moment(self, now_ns: int, window: WindowTime) -> SnapshotTime:
        """Return the time of a snapshot of *window* that is made at *now_ns*. It takes ``message``."""
        elapsed_s = self._state.elapsed_s(now_ns)
        message, self.message = self.message, ""
        return SnapshotTime(
            t_s=self._state.elapsed_s(window.end_ns),
            elapsed_s=elapsed_s,
            span_s=window.span_s,
            time_ns=self._state.started_at_ns + (window.end_ns - self._state.start_ns),
            phase=self._state.phase(elapsed_s),
            progress=self._progress(elapsed_s),
            message=message,
            search=self.search,
            workers_alive=len(self._workers.pids),
        )

    def _progress(self, elapsed_s: float) -> float:
        counts = self._summary.counts()
        iterations = counts.requests if self._plan.kind == "bench" else self._summary.iterations()
        return self._state.progress(elapsed_s, iterations)
