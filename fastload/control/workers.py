"""The worker processes of a run: how far each has come, and which were lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastload.control.aggregator import Aggregator
from fastload.control.supervisor import ChildEvent, ChildFunction, Supervisor
from fastload.model.frames import Frame
from fastload.model.plan import Plan


class Workers:
    """Forks the workers of *plan*, each of which runs *function*, and keeps the state of each.

    What they measured goes to *aggregator*. ``ended_ns``: when nothing more could start, by worker (monotonic).
    ``notes``: one sentence for each worker that was lost.
    """

    def __init__(self, plan: Plan, function: ChildFunction, aggregator: Aggregator) -> None:
        self._supervisor = Supervisor(function, plan.workers, cpus=plan.cpus, stdout_to_stderr=plan.stdout_is_data)
        self._aggregator = aggregator
        self._ready: set[int] = set()
        self.ended_ns: dict[int, int] = {}
        self.notes: list[str] = []

    def fork(self) -> None:
        """Start the processes; before any thread or event loop of this one."""
        self._supervisor.start()

    def close(self) -> None:
        """Leave no process behind."""
        self._supervisor.close()

    @property
    def pids(self) -> dict[int, int]:
        """Process id by worker, of those that live."""
        return self._supervisor.pids

    @property
    def not_ready(self) -> set[int]:
        """The workers that live and are not ready to start yet."""
        return set(self._supervisor.pids) - self._ready

    @property
    def playing(self) -> set[int]:
        """The workers that were not lost."""
        return {index for index, worker in self._aggregator.workers.items() if not worker.lost}

    @property
    def all_over(self) -> bool:
        """Whether each worker is done or lost."""
        return all(worker.done or worker.lost for worker in self._aggregator.workers.values())

    def watch(self, fd: int) -> None:
        """Have `wait` return also when *fd* is readable."""
        self._supervisor.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Watch *fd* no longer."""
        self._supervisor.unwatch(fd)

    def wait(self, timeout_s: float) -> Iterator[ChildEvent]:
        """Yield what workers sent within *timeout_s*, and which of them ended; end early when there is something."""
        return self._supervisor.wait(timeout_s)

    def send(self, frame: Frame) -> None:
        """Send *frame* to all workers that live."""
        self._supervisor.send(frame)

    def is_ready(self, index: int) -> None:
        """Note that worker *index* could start."""
        self._ready.add(index)

    def is_done(self, index: int, usage: Mapping[str, Any]) -> None:
        """Note that worker *index* has sent everything; *usage* is the body of its frame ``done``."""
        worker = self._aggregator.workers[index]
        worker.done, worker.usage = True, dict(usage)
        self.ended_ns[index] = usage["ended_ns"]

    def is_unfinished(self, index: int) -> bool:
        """Whether worker *index* is neither done nor lost."""
        worker = self._aggregator.workers[index]
        return not worker.done and not worker.lost

    def lose(self, index: int, reason: str) -> str:
        """Count worker *index* as lost, and return the note that says why."""
        self._aggregator.lose(index, reason)
        self.notes.append(f"worker {index} {reason}")
        return self.notes[-1]

    def kill(self, index: int) -> None:
        """Send SIGKILL to worker *index*."""
        self._supervisor.kill(index)
