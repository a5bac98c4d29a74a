"""Worker processes of a run: which are ready, done or lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastload.control.aggregator import Aggregator
from fastload.control.sampling.strays import Strays
from fastload.control.script_output import ScriptOutput
from fastload.control.supervisor import DID_NOT_EXIT, EXIT_S, ChildEvent, ChildFunction, Supervisor
from fastload.model.frames import Frame
from fastload.model.plan import Plan


class Workers:
    """Worker processes of *plan*, which run *function*, and the state of each.

    *aggregator* has the totals of each worker; *output* and *stdin_is_taken* are as in `Supervisor`. ``ended_ns``: the
    last possible start by worker (monotonic). ``notes``: one sentence for each worker that was lost or had to be killed
    at the end, and each process that the script left.
    """

    def __init__(
        self,
        plan: Plan,
        function: ChildFunction,
        aggregator: Aggregator,
        *,
        output: ScriptOutput | None = None,
        stdin_is_taken: bool = False,
    ) -> None:
        self._supervisor = Supervisor(
            function,
            plan.workers,
            cpus=plan.cpus,
            stdout_to_stderr=plan.stdout_is_data,
            output=output,
            stdin_is_taken=stdin_is_taken,
        )
        self._aggregator = aggregator
        self._ready: set[int] = set()
        self._strays = Strays()
        self.ended_ns: dict[int, int] = {}
        self.notes: list[str] = []

    def fork(self) -> None:
        """Fork the processes. Call this before the parent has any thread or event loop."""
        self._supervisor.start()

    def close(self) -> None:
        """End all worker processes. Kill those that do not exit although their work is over, and note it."""
        done = [index for index, worker in self._aggregator.workers.items() if worker.done]
        self.look_for_strays()
        self._supervisor.close(EXIT_S if self.all_over else 1.0)
        self.notes += [f"worker {index} {DID_NOT_EXIT}" for index in self._supervisor.killed if index in done]
        self.notes += self._strays.end()

    def look_for_strays(self) -> None:
        """Note the processes that the script has started in living workers: `close` ends those that are left."""
        for index, pid in self.pids.items():
            self._strays.note(pid, f"worker {index}")

    @property
    def pids(self) -> dict[int, int]:
        """PIDs of the living workers, by index."""
        return self._supervisor.pids

    @property
    def not_ready(self) -> set[int]:
        """Living workers that are not ready to start yet."""
        return set(self._supervisor.pids) - self._ready

    @property
    def not_lost(self) -> set[int]:
        """Workers that are not lost; a worker that is done is one of them."""
        return {index for index, worker in self._aggregator.workers.items() if not worker.lost}

    @property
    def all_over(self) -> bool:
        """Whether each worker is done or lost."""
        return all(worker.done or worker.lost for worker in self._aggregator.workers.values())

    def watch(self, fd: int) -> None:
        """Make `wait` return also when *fd* is readable. The caller must read *fd*."""
        self._supervisor.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Stop watching *fd*."""
        self._supervisor.unwatch(fd)

    def wait(self, timeout_s: float) -> Iterator[ChildEvent]:
        """Wait up to *timeout_s* until something happens, and yield the events of workers."""
        return self._supervisor.wait(timeout_s)

    def send(self, frame: Frame) -> None:
        """Send *frame* to all living workers."""
        self._supervisor.send(frame)

    def mark_ready(self, index: int) -> None:
        """Record that worker *index* is ready to start."""
        self._ready.add(index)

    def mark_done(self, index: int, usage: Mapping[str, Any]) -> None:
        """Record that worker *index* has sent everything. *usage* is the body of its ``done`` frame."""
        worker = self._aggregator.workers[index]
        worker.done, worker.usage = True, dict(usage)
        self.ended_ns[index] = usage["ended_ns"]
        self._dismiss(index)

    def is_unfinished(self, index: int) -> bool:
        """Whether worker *index* is neither done nor lost."""
        worker = self._aggregator.workers[index]
        return not worker.done and not worker.lost

    @property
    def unfinished(self) -> set[int]:
        """Workers that are neither done nor lost."""
        return set(filter(self.is_unfinished, self._aggregator.workers))

    def lose(self, index: int, reason: str) -> str:
        """Mark worker *index* as lost, and return the note that says why."""
        self._aggregator.lose(index, reason)
        self._dismiss(index)
        return self.note(index, reason)

    def note(self, index: int, what: str) -> str:
        """Note *what* is true of worker *index*, and return the note."""
        self.notes.append(f"worker {index} {what}")
        return self.notes[-1]

    def _dismiss(self, index: int) -> None:
        """Let worker *index* exit, if it still lives. It has waited for that, so its processes can be found now."""
        if (pid := self.pids.get(index)) is not None:
            self._strays.note(pid, f"worker {index}")
            self._supervisor.send(Frame("quit", {}), to=index)

    def kill(self, index: int) -> None:
        """Send SIGKILL to worker *index*."""
        self._supervisor.kill(index)
