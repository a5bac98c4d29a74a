"""The parent's part of a run: fork, start together, merge, sample, judge each second, stop, and sum up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from fastload.control.aggregator import Aggregator
from fastload.control.commands.command_handler import CommandHandler
from fastload.control.commands.command_queue import Command, CommandQueue
from fastload.control.commands.keyboard import Keyboard
from fastload.control.hook_runner import HookRunner
from fastload.control.sampling.host import describe_host
from fastload.control.sampling.samplers import Samplers, find_target_processes
from fastload.control.signals import StopRequests
from fastload.control.snapshots import SnapshotMaker, SnapshotTime
from fastload.control.steering import Steering
from fastload.control.summary_builder import SummaryBuilder
from fastload.control.supervisor import ChildEvent, ChildFunction, Supervisor
from fastload.control.threshold_judge import ThresholdJudge
from fastload.model.frames import Frame
from fastload.model.hooks import HookError, Hooks
from fastload.model.load_models import PerVUIterations, SharedIterations
from fastload.model.metrics import MetricSpec
from fastload.model.plan import Plan
from fastload.model.records import Delta, Snapshot
from fastload.model.results import (
    collect_calls,
    collect_checks,
    collect_endpoints,
    collect_groups,
    collect_scenarios,
    crowd_notes,
)
from fastload.model.schedule import NS_PER_S
from fastload.model.summary import Summary

READY_TIMEOUT_S = 60.0
# Between the last "ready" and the common start: time for the start frame to reach every worker.
START_DELAY_S = 0.05
# Snapshots are made a little after the workers' own seconds, when their deltas have come.
SNAPSHOT_LAG_S = 0.2
# How much longer than planned a worker may take before it is taken for hung.
HANG_S = 5.0
# How long the on_stop of VUs may take after an interrupt, beyond what requests may.
LEAVE_S = 6.0


class Coordinator:
    """One run. *work* is what each forked worker does, *hook_work* the process of setup and teardown; *specs* are the
    metrics that can exist.

    *on_start* is called once, when the workers are forked; what it raises ends the run before any load, as a
    `HookError`. *target_pids* and *target_name*: the target's processes when they are known; otherwise they are
    looked for and named after their programs. *commands*: where others ask for things while the run lasts; *keyboard*:
    whether the terminal's keys do.
    """

    def __init__(
        self,
        plan: Plan,
        work: ChildFunction,
        *,
        hook_work: ChildFunction,
        specs: Mapping[str, MetricSpec],
        on_snapshot: Callable[[Snapshot], None],
        on_start: Callable[[], HookError | None],
        target_pids: tuple[int, ...] = (),
        target_name: str = "",
        versions: Mapping[str, str],
        commands: CommandQueue | None = None,
        keyboard: bool = False,
    ) -> None:
        self._plan = plan
        self._on_snapshot = on_snapshot
        self._on_start = on_start
        self._target_pids = target_pids
        self._target_name = target_name
        self._versions = dict(versions)
        self._commands = commands
        self._keyboard = Keyboard() if keyboard else None
        self._specs = specs
        self._judge = ThresholdJudge(plan.thresholds)
        self._aggregator = Aggregator(plan.workers, watched=self._judge.windowed, asked=self._judge.series)
        self._supervisor = Supervisor(work, plan.workers, cpus=plan.cpus, stdout_to_stderr=plan.stdout_is_data)
        self._hooks = HookRunner(
            plan.hooks or Hooks(),
            hook_work,
            stdout_to_stderr=plan.stdout_is_data,
            attend_fd=commands.fd if commands is not None else None,
            attend=self._attend,
        )
        self._steering = Steering(plan, self._supervisor.send)
        self._ready: set[int] = set()
        self._ended_ns: dict[int, int] = {}
        self._start_ns = 0
        self._started_ns = 0
        self._last_snapshot_ns = 0
        self._covered_ns = 0
        self._stopped_by = ""
        self._stop_reason = ""
        self._stop_at_ns = 0
        self._message = ""
        self._notes: list[str] = []
        self._errors: list[HookError] = []

    def run(self, requests: StopRequests) -> Summary:
        """The whole run, which *requests* may end early.

        Raises:
            PlanError: something to watch is not there.
        """
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            watched = find_target_processes(self._plan, self._target_pids)
            self._supervisor.start()
            self._hooks.fork()
            self._samplers = Samplers(self._supervisor.pids, watched, self._target_name)
            self._account = SummaryBuilder(self._plan, self._specs, self._aggregator, self._samplers)
            self._snapshots = SnapshotMaker(self._plan, self._aggregator, self._samplers, self._judge, self._account)
            self._answers = CommandHandler(self._steering, self._status, self._metrics)
            self._run_phases(requests)
        finally:
            self._supervisor.close()
            self._hooks.close()
        return self._summarize(started_at)

    # The order of things.

    def _run_phases(self, requests: StopRequests) -> None:
        self._give_up_on(self._on_start())
        self._supervisor.watch(requests.fd)
        if self._commands is not None:
            self._supervisor.watch(self._commands.fd)
        self._await_ready(requests)
        if not self._stopped_by and not self._all_over():
            self._set_up(requests)
        with self._listening_to_keys():
            if self._plan.paused and not self._stopped_by:
                self._await_resume(requests)
            self._start()
            self._watch_load(requests)
        self._hooks.teardown(requests)

    @contextlib.contextmanager
    def _listening_to_keys(self) -> Iterator[None]:
        with self._keyboard or contextlib.nullcontext():
            fd = self._keyboard.fd if self._keyboard is not None else None
            if fd is not None:
                self._supervisor.watch(fd)
            yield
            if fd is not None:
                self._supervisor.unwatch(fd)

    def _give_up_on(self, error: HookError | None) -> None:
        if error is not None:
            self._errors.append(error)
            self._stopped_by = self._stopped_by or "error"

    def _await_ready(self, requests: StopRequests) -> None:
        deadline_ns = time.monotonic_ns() + round(READY_TIMEOUT_S * NS_PER_S)
        while not self._all_over() and set(self._supervisor.pids) - self._ready:
            for event in self._supervisor.wait((deadline_ns - time.monotonic_ns()) / NS_PER_S):
                self._handle(event)
            self._take_commands()
            if requests.take():
                self._stopped_by = "interrupt"
                return
            if time.monotonic_ns() > deadline_ns:
                for index in set(self._supervisor.pids) - self._ready:
                    self._give_up(index, f"was not ready within {READY_TIMEOUT_S:g} s")

    def _set_up(self, requests: StopRequests) -> None:
        if self._hooks.setup(requests):
            return
        if self._hooks.aborted:
            self._stopped_by, self._stop_reason = "abort", self._hooks.aborted
        else:
            self._stopped_by = self._stopped_by or ("interrupt" if self._hooks.interrupted else "error")

    def _await_resume(self, requests: StopRequests) -> None:
        """Started paused: nothing begins before somebody says so."""
        self._steering.pause(time.monotonic_ns())
        while self._steering.is_paused and not self._stopped_by and not self._all_over():
            for event in self._supervisor.wait(1.0):
                self._handle(event)
            self._take_commands()
            if requests.take():
                self._stopped_by = "interrupt"

    def _start(self) -> None:
        self._start_ns = time.monotonic_ns() + round(START_DELAY_S * NS_PER_S)
        self._last_snapshot_ns = self._covered_ns = self._start_ns
        # The wall clock is read once: it may be set meanwhile.
        self._started_ns = time.time_ns() + round(START_DELAY_S * NS_PER_S)
        self._samplers.prime()
        if self._stopped_by:
            self._stop_at_ns = self._start_ns + round((self._plan.grace_s + 2.0) * NS_PER_S)
            self._supervisor.send(Frame("stop", {"now": True, "hurry": False}))
        else:
            self._steering.start(self._start_ns)
        self._supervisor.send(Frame("start", {"at_ns": self._start_ns, "setup_data": self._hooks.data}))

    def _watch_load(self, requests: StopRequests) -> None:
        next_ns = self._start_ns + round((1 + SNAPSHOT_LAG_S) * NS_PER_S)
        while not self._all_over():
            wake_ns = min(next_ns, self._steering.next_ns() or next_ns)
            for event in self._supervisor.wait((wake_ns - time.monotonic_ns()) / NS_PER_S):
                self._handle(event)
            for _ in range(requests.take()):
                self._stop("interrupt", hurry=bool(self._stopped_by))
            self._take_commands()
            now_ns = time.monotonic_ns()
            self._steer(now_ns)
            if now_ns >= next_ns:
                self._take_snapshot(now_ns)
                next_ns += NS_PER_S * max(1, 1 + (now_ns - next_ns) // NS_PER_S)
            self._give_up_hung(now_ns)
        self._take_snapshot(time.monotonic_ns())

    def _steer(self, now_ns: int) -> None:
        if not self._stopped_by:
            self._steering.tick(now_ns)
        if self._steering.error is not None:
            error, self._steering.error = self._steering.error, None
            self._errors.append(error)
            self._stop("error", hurry=False)

    def _give_up_hung(self, now_ns: int) -> None:
        hang_ns = self._start_ns + round((self._plan.longest_s + LEAVE_S + HANG_S) * NS_PER_S)
        hang_ns += self._steering.paused_ns(now_ns)
        if now_ns > (self._stop_at_ns or hang_ns):
            for index in list(self._supervisor.pids):
                self._give_up(index, "did not stop in time")

    def _all_over(self) -> bool:
        return all(worker.done or worker.lost for worker in self._aggregator.workers.values())

    # What workers say.

    def _handle(self, event: ChildEvent) -> None:
        if event.frame is None:
            self._worker_ended(event.worker, event.reason)
            return
        body = event.frame.body
        match event.frame.kind:
            case "ready":
                self._ready.add(event.worker)
            case "delta":
                self._aggregator.add(Delta.from_body(body))
            case "ended":
                self._steering.ended(body["scenario"], event.worker, self._playing(), time.monotonic_ns())
            case "abort":
                self._stop_reason = self._stop_reason or body["reason"]
                self._stop("abort", now=True)
            case "done":
                worker = self._aggregator.workers[event.worker]
                worker.done, worker.usage = True, body
                self._ended_ns[event.worker] = body["ended_ns"]
            case "error":
                self._lose(event.worker, f"failed: {body['message']}")

    def _playing(self) -> set[int]:
        return {index for index, worker in self._aggregator.workers.items() if not worker.lost}

    def _worker_ended(self, index: int, reason: str) -> None:
        worker = self._aggregator.workers[index]
        if not worker.done and not worker.lost:
            self._lose(index, f"was lost: {reason or 'it ended early'}")

    def _give_up(self, index: int, reason: str) -> None:
        self._lose(index, reason)
        self._supervisor.kill(index)

    def _lose(self, index: int, reason: str) -> None:
        self._aggregator.lose(index, reason)
        self._notes.append(f"worker {index} {reason}")
        self._note_event("worker", self._notes[-1])
        if self._plan.on_worker_loss == "stop" and not self._stopped_by:
            self._stop("worker-loss")
        self._steering.check_order(self._playing(), time.monotonic_ns())

    def _stop(self, why: str, *, now: bool = False, hurry: bool = False) -> None:
        """Let requests in flight end; with *now*, interrupt them; with *hurry*, without any VU's ``on_stop``."""
        self._stopped_by = self._stopped_by or why
        self._note_event("stop", self._stop_reason or why)
        grace_s = 1.0 if hurry else (0.0 if now else self._plan.grace_s) + LEAVE_S
        if self._start_ns:
            self._stop_at_ns = time.monotonic_ns() + round(grace_s * NS_PER_S)
            self._supervisor.send(Frame("stop", {"now": now or hurry, "hurry": hurry}))

    # What others ask for.

    def _attend(self) -> bool:
        """Answer commands while a hook runs; whether one of them, or something before, ends the run."""
        self._take_commands()
        return bool(self._stopped_by)

    def _take_commands(self) -> None:
        for command in self._commands.take() if self._commands is not None else ():
            self._answer(command)
        for action in self._keyboard.take() if self._keyboard is not None else ():
            self._message = self._answers.press(action, time.monotonic_ns())
            if action.name != "help":
                self._note_event("control", self._message)

    def _answer(self, command: Command) -> None:
        if command.name == "stop":
            self._stop("control", now=command.arguments["now"])
            command.answer({"phase": "stopping"})
        elif self._stopped_by and command.name not in ("status", "metrics"):
            command.refuse("the run is stopping", "start another one")
        else:
            if self._answers.answer(command, time.monotonic_ns()) and command.name in ("pause", "resume", "scale"):
                given = (f"{name}={value}" for name, value in command.arguments.items())
                self._note_event("control", " ".join((command.name, *given)))

    def _note_event(self, kind: str, text: str) -> None:
        now_ns = time.monotonic_ns()
        self._snapshots.note(self._elapsed_s(now_ns) if self._start_ns else 0.0, kind, text)

    def _status(self) -> dict[str, object]:
        now_ns = time.monotonic_ns()
        elapsed_s = self._elapsed_s(now_ns) if self._start_ns else 0.0
        aggregator = self._aggregator
        return {
            "phase": self._phase(elapsed_s),
            "elapsed_s": round(elapsed_s, 3),
            "progress": self._progress(elapsed_s) if self._start_ns else 0.0,
            "vus": aggregator.total("vus"),
            "requests": aggregator.total("finished") + aggregator.total("failed"),
            "requests_per_s": self._snapshots.last_rate,
            "failed": aggregator.total("failed"),
            "scenarios": self._steering.describe(),
            "workers_alive": len(self._supervisor.pids),
        }

    def _metrics(self) -> dict[str, object]:
        elapsed_s = self._elapsed_s(time.monotonic_ns()) if self._start_ns else 0.0
        views = self._account.views(elapsed_s - self._plan.warmup_s)
        return {name: view.to_dict() for name, view in views.items()}

    # Each second, and at the end.

    def _take_snapshot(self, now_ns: int) -> None:
        covered_ns = self._covered_until_ns(now_ns)
        window_s = (covered_ns - self._covered_ns) / NS_PER_S
        if window_s < SNAPSHOT_LAG_S and self._samplers.host_samples:
            # A last bit after the last whole second: too short for per-second figures.
            if not (self._all_over() and self._aggregator.has_window):
                return
            # Iterations came to their end in it: all seconds together have everything.
            covered_ns = now_ns
            window_s = (covered_ns - self._covered_ns) / NS_PER_S
        span_s = max(window_s, 1e-3)
        self._covered_ns, self._last_snapshot_ns = covered_ns, now_ns
        elapsed_s, t_s = self._elapsed_s(now_ns), self._elapsed_s(covered_ns)
        moment = SnapshotTime(
            t_s=t_s,
            elapsed_s=elapsed_s,
            span_s=span_s,
            time_ns=self._started_ns + (covered_ns - self._start_ns),
            phase=self._phase(elapsed_s),
            progress=self._progress(elapsed_s),
            message=self._message,
            workers_alive=len(self._supervisor.pids),
        )
        self._on_snapshot(self._snapshots.make(moment, self._supervisor.pids, self._steering.max_vus))
        self._message = ""
        failed = self._judge.abort(t_s - self._plan.warmup_s)
        if failed is not None and not self._stopped_by and not self._all_over():
            self._stop_reason = f"{failed.metric}: {failed.expression}"
            self._stop("threshold", now=True)

    def _covered_until_ns(self, now_ns: int) -> int:
        """Until when the deltas reach that are here now: the workers' last whole second, or their end."""
        if self._all_over():
            return max(self._ended_ns.values(), default=now_ns)
        return now_ns - (now_ns - self._start_ns) % NS_PER_S

    def _elapsed_s(self, now_ns: int) -> float:
        """Since the common start, without pauses."""
        return (now_ns - self._start_ns - self._steering.paused_ns(now_ns)) / NS_PER_S

    def _progress(self, elapsed_s: float) -> float:
        shares = [elapsed_s / self._plan.duration_s]
        wanted = planned_iterations(self._plan)
        if wanted:
            ended = self._aggregator.total("finished") + self._aggregator.total("failed")
            shares.append((ended if self._plan.kind == "bench" else self._account.iterations()) / wanted)
        return min(1.0, max(0.0, *shares))

    def _phase(self, elapsed_s: float) -> str:
        if self._stopped_by or elapsed_s > self._plan.duration_s:
            return "stopping"
        if self._steering.is_paused:
            return "paused"
        if not self._start_ns:
            return "starting"
        return "warm-up" if elapsed_s < self._plan.warmup_s else "running"

    def _summarize(self, started_at: str) -> Summary:
        aggregator, samplers, account = self._aggregator, self._samplers, self._account
        first_ns = self._start_ns + round(self._plan.warmup_s * NS_PER_S)
        last_ns = max(self._ended_ns.values(), default=self._last_snapshot_ns)
        paused_ns = self._steering.paused_ns(last_ns)
        duration_s = max(1e-3, (last_ns - first_ns - paused_ns) / NS_PER_S)
        views = account.views(duration_s)
        workers = account.workers()
        verdict = account.verdict(views, workers)
        names = [scenario.name for scenario in self._plan.scenarios]
        notes = [*self._notes, *self._steering.notes, *crowd_notes(aggregator.crowded, aggregator.table)]
        return Summary(
            plan=self._plan,
            metrics=views,
            thresholds=self._judge.results(views, verdict.state),
            checks=collect_checks(aggregator.table),
            endpoints=collect_endpoints(aggregator.table, duration_s),
            errors=aggregator.errors,
            exceptions=aggregator.exceptions,
            verdict=verdict,
            requests=account.requests(self._hooks.requests),
            workers=workers,
            host=samplers.host_series(),
            target=samplers.target_series(),
            versions=self._versions,
            machine=dict(describe_host()),
            started_at=started_at,
            duration_s=duration_s,
            stopped_by=self._stopped_by,
            stop_reason=self._stop_reason,
            hook_errors=(*self._errors, *self._hooks.errors),
            notes=tuple(notes),
            groups=collect_groups(aggregator.table, duration_s),
            calls=collect_calls(aggregator.table, duration_s),
            scenarios=collect_scenarios(views, names),
            table=aggregator.table,
        )


def planned_iterations(plan: Plan) -> int:
    """How many iterations *plan* is over with, 0 when time decides."""
    wanted = 0
    for scenario in plan.scenarios:
        match scenario.executor:
            case SharedIterations() as spec:
                wanted += spec.iterations
            case PerVUIterations() as spec:
                wanted += spec.iterations * spec.vus
            case _:
                return 0
    return wanted
