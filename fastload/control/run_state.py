"""State of a run: its clock, its phase, and what stopped it."""

from __future__ import annotations

import time

from fastload.control.steering import Steering
from fastload.model.load_models import PerVUIterations, SharedIterations
from fastload.model.plan import Plan
from fastload.model.schedule import NS_PER_S


class RunState:
    """Clock and phase of the run of *plan*. *steering* has the pauses.

    ``start_ns``: the common start on the monotonic clock, 0 before it is known. ``started_at_ns``: the same on the
    wall clock. ``stopped_by``: what stopped the run early ("interrupt", "abort", "threshold", "control",
    "worker-loss", "no-answer", "error"), "" if nothing did. ``stop_reason``: the reason as text. ``give_up_ns``: when
    workers that still run after a stop count as lost, 0 without a stop. ``is_set_up``: all that comes before the load
    is done; a run that is paused then is ready, and waits to be told to begin.
    """

    def __init__(self, plan: Plan, steering: Steering) -> None:
        self._plan = plan
        self._steering = steering
        self._planned_iterations = planned_iterations(plan)
        self.start_ns = 0
        self.started_at_ns = 0
        self.stopped_by = ""
        self.stop_reason = ""
        self.give_up_ns = 0
        self.is_set_up = False

    @property
    def has_started(self) -> bool:
        return bool(self.start_ns)

    @property
    def is_stopping(self) -> bool:
        return bool(self.stopped_by)

    def start_in(self, delay_s: float) -> None:
        """Set the common start *delay_s* ahead of now."""
        delay_ns = round(delay_s * NS_PER_S)
        self.start_ns = time.monotonic_ns() + delay_ns
        # The wall clock is read only once: somebody may set it during the run.
        self.started_at_ns = time.time_ns() + delay_ns

    def stop(self, by: str, reason: str = "") -> None:
        """Record what stops the run. Only the first call counts."""
        self.stopped_by = self.stopped_by or by
        self.stop_reason = self.stop_reason or reason

    def elapsed_s(self, now_ns: int) -> float:
        """Return the seconds from the common start to *now_ns* without pauses; 0 before the start is known."""
        if not self.start_ns:
            return 0.0
        return (now_ns - self.start_ns - self._steering.paused_ns(now_ns)) / NS_PER_S

    def phase(self, elapsed_s: float) -> str:
        """Return the phase at *elapsed_s*: "starting", "ready", "warm-up", "running", "paused" or "stopping"."""
        if self.stopped_by or elapsed_s > self._plan.duration_s:
            return "stopping"
        if not self.start_ns:
            return "ready" if self.is_set_up and self._steering.is_paused else "starting"
        if self._steering.is_paused:
            return "paused"
        return "warm-up" if elapsed_s < self._plan.warmup_s else "running"

    def progress(self, elapsed_s: float, iterations: int) -> float:
        """Return the share of the run that is over, 0 to 1: of its time or its planned iterations, the larger share."""
        if not self.start_ns:
            return 0.0
        shares = [elapsed_s / self._plan.duration_s]
        if self._planned_iterations:
            shares.append(iterations / self._planned_iterations)
        return min(1.0, max(0.0, *shares))


def planned_iterations(plan: Plan) -> int:
    """Return how many iterations end the run of *plan*; 0 if time ends it. An iteration of ``bench`` is a request."""
    planned = 0
    for scenario in plan.scenarios:
        match scenario.executor:
            case SharedIterations() as spec:
                planned += spec.iterations
            case PerVUIterations() as spec:
                planned += spec.iterations * spec.vus
            case _:
                return 0
    return planned
