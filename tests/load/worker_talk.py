"""Workers that a test forks and talks to, as the parent of a run does."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastload.control.supervisor import Supervisor
from fastload.load.worker import run_worker
from fastload.model import load_models
from fastload.model.frames import Frame
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import Delta
from fastload.model.series import SeriesTable
from tests.conftest import DEADLINE_S

LEAD_NS = 30_000_000


def work(the_plan: Plan, channel: socket.socket, index: int) -> None:
    run_worker(channel, index, the_plan, ())


def plan_of(
    what: Any,
    executor: load_models.Executor,
    *,
    workers: int = 1,
    base_url: str = "",
    graceful_stop_s: float = 30.0,
    then: ScenarioPlan | None = None,
    **more: Any,
) -> Plan:
    """A plan of a scenario that calls or sends *what*, and of another one."""
    scenario = ScenarioPlan("test", executor, what, graceful_stop_s)
    scenarios = (scenario,) if then is None else (scenario, then)
    return Plan("run", "test", scenarios, workers, base_url=base_url, **more)


@dataclass
class Talk:
    """Workers under a supervisor, and every frame of each so far."""

    supervisor: Supervisor
    frames: dict[int, list[Frame]]
    ends: dict[int, str] = field(default_factory=dict)

    def until(self, condition: Callable[[], bool]) -> None:
        """Listen until *condition* holds; fail at the deadline."""
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, f"got no further than {self.kinds()}, {self.ends}"
            for event in self.supervisor.wait(0.05):
                if event.frame is None:
                    self.ends[event.child] = event.reason
                else:
                    self.frames[event.child].append(event.frame)
                    if event.frame.kind in ("done", "error"):
                        self.supervisor.send(Frame("quit", {}), to=event.child)

    def kinds(self, worker: int = 0) -> list[str]:
        return [frame.kind for frame in self.frames[worker]]

    def until_all(self, kind: str) -> None:
        """Listen until every worker has sent a frame of *kind*."""
        self.until(lambda: all(kind in self.kinds(worker) for worker in self.frames))

    def until_ended(self) -> None:
        self.until(lambda: len(self.ends) == len(self.frames))

    def start(self, setup_data: Any = None) -> int:
        """Wait until all are ready and send the start; returns when that is."""
        self.until_all("ready")
        at_ns = time.monotonic_ns() + LEAD_NS
        self.send("start", at_ns=at_ns, setup_data=setup_data)
        return at_ns

    def stop(self, *, now: bool, skip_on_stop: bool = False) -> None:
        self.send("stop", now=now, skip_on_stop=skip_on_stop)

    def send(self, kind: str, **body: Any) -> None:
        self.supervisor.send(Frame(kind, body))

    def until_finished(self, more: int) -> None:
        """Listen until *more* requests have ended than until now."""
        wanted = self.total("finished") + more
        self.until(lambda: self.total("finished") >= wanted)

    def body(self, kind: str, worker: int = 0) -> dict[str, Any]:
        """Of the only frame of *kind*."""
        (body,) = [frame.body for frame in self.frames[worker] if frame.kind == kind]
        return body

    def deltas(self, worker: int = 0) -> list[Delta]:
        return [Delta.from_body(frame.body) for frame in self.frames[worker] if frame.kind == "delta"]

    def total(self, name: str) -> int:
        """The sum of a field of the stats over all workers and deltas."""
        return sum(getattr(delta.stats, name) for worker in self.frames for delta in self.deltas(worker))

    def table(self) -> SeriesTable:
        merged = SeriesTable()
        for worker in self.frames:
            for delta in self.deltas(worker):
                merged.merge(delta.table)
        return merged

    def assert_reconciled(self) -> None:
        accounted = sum(self.total(name) for name in ("finished", "failed", "interrupted", "warmup"))
        assert self.total("started") == accounted
        assert [self.deltas(worker)[-1].stats.in_flight for worker in self.frames] == [0] * len(self.frames)


@contextmanager
def talk(the_plan: Plan) -> Iterator[Talk]:
    supervisor = Supervisor(partial(work, the_plan), the_plan.workers)
    supervisor.start()
    try:
        yield Talk(supervisor, {worker: [] for worker in range(the_plan.workers)})
    finally:
        supervisor.close(0)
