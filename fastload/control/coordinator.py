"""The parent's part of a run, in the order in which it happens: `Coordinator.run`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypedDict

from fastload.control.aggregator import Aggregator
from fastload.control.answer_watch import AnswerWatch
from fastload.control.capacity.driver import CapacityDriver
from fastload.control.commands.command_handler import CommandHandler
from fastload.control.commands.command_queue import Command, CommandQueue
from fastload.control.commands.keyboard import KEYS_OF_SEARCH, Keyboard, keys_hint
from fastload.control.data_ends import DataEnds
from fastload.control.hook_runner import HookRunner
from fastload.control.run_state import RunState
from fastload.control.run_status import RunStatus
from fastload.control.sampling.samplers import Samplers, find_target_again, find_target_processes, target_port
from fastload.control.script_output import ScriptOutput
from fastload.control.signals import StopSignals
from fastload.control.snapshots import SNAPSHOT_LAG_S, SnapshotMaker
from fastload.control.steering import Steering
from fastload.control.stopped_workers import ALONE_S, STAYED_STOPPED, STOPPED, STOPPED_LAST, StoppedWorkers
from fastload.control.summary_builder import SummaryBuilder
from fastload.control.supervisor import ChildEvent, ChildFunction
from fastload.control.threshold_judge import ThresholdJudge
from fastload.control.workers import Workers
from fastload.model.errors import FrameError
from fastload.model.frames import Frame
from fastload.model.headline import headline_trend
from fastload.model.hooks import INTERRUPTED, HookError, Hooks
from fastload.model.http_settings import without_credentials
from fastload.model.load_changes import KIND as LOAD_CHANGE
from fastload.model.load_changes import changes_left_out
from fastload.model.metrics import FAILURE_RATES
from fastload.model.plan import Plan
from fastload.model.records import Delta, Snapshot
from fastload.model.schedule import NS_PER_S
from fastload.model.summary import Summary

READY_TIMEOUT_S = 60.0
# Between the last "ready" and the common start: time for the start frame to reach every worker.
START_DELAY_S = 0.05
# How much longer than planned a worker may take before it counts as hung.
HANG_S = 5.0
# How long the on_stop of VUs may take after an interrupt, beyond what requests may.
ON_STOP_S = 6.0
STOPPING = "the run is stopping"


class ChildFunctions(NamedTuple):
    """What the forked processes run: each *worker*, and the *hook_process* of setup and teardown."""

    worker: ChildFunction
    hook_process: ChildFunction


class KnownTarget(NamedTuple):
    """The processes of the target and what to call it, if they are known; otherwise they are found by the port."""

    pids: tuple[int, ...] = ()
    name: str = ""


class _Streams(TypedDict):
    """The standard streams of all processes; see `Supervisor`."""

    output: ScriptOutput | None
    stdin_is_taken: bool


class Coordinator:
    """One run of *plan*.

    *on_start* is called once, after the workers were forked; the `HookError` that it returns ends the run before any
    load. *on_snapshot* is called about once a second. *commands* is the queue in which others ask for things while
    the run lasts; with *keyboard* the keys of the terminal do the same. *output* writes what the processes print.
    """

    def __init__(
        self,
        plan: Plan,
        functions: ChildFunctions,
        *,
        on_start: Callable[[], HookError | None],
        on_snapshot: Callable[[Snapshot], None],
        target: KnownTarget = KnownTarget(),  # noqa: B008 - a tuple, which nobody can change
        commands: CommandQueue | None = None,
        keyboard: bool = False,
        output: ScriptOutput | None = None,
    ) -> None:
        self._plan = plan
        self._on_start, self._on_snapshot = on_start, on_snapshot
        self._target = target
        self._commands = commands
        self._keyboard = Keyboard() if keyboard else None
        self._judge = ThresholdJudge(plan.thresholds)
        self._answers = AnswerWatch(without_credentials(plan.base_url))
        self._aggregator = Aggregator(
            plan.workers,
            windowed=self._judge.windowed,
            threshold_series=frozenset(threshold.series for threshold in plan.judged),
            headline=headline_trend("http_req_duration", only_open=plan.has_only_open_models),
        )
        self._output = output
        streams: _Streams = {"output": output, "stdin_is_taken": keyboard and Keyboard.has_terminal()}
        self._workers = Workers(plan, functions.worker, self._aggregator, **streams)
        self._steering = Steering(plan, self._workers.send)
        self._state = RunState(plan, self._steering)
        self._hooks = HookRunner(
            plan.hooks or Hooks(),
            functions.hook_process,
            stdout_to_stderr=plan.stdout_is_data,
            **streams,
            event_fd=commands.fd if commands is not None else None,
            on_event=self._answer_commands,
        )
        self._capacity: CapacityDriver | None = None
        self._data_ends = DataEnds()
        self._stopped = StoppedWorkers()
        self._errors: list[HookError] = []

    def run(self, stop_signals: StopSignals) -> Summary:
        """The whole run, which *stop_signals* may end early.

        Raises:
            PlanError: a process to watch is not there.
        """
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._plan.paused:
            self._steering.pause(time.monotonic_ns())
        try:
            self._fork()
            self._open_outputs()
            if self._output is not None:
                self._output.capture()
            self._await_ready(stop_signals)
            self._set_up(stop_signals)
            with self._listening_to_keys():
                self._await_resume(stop_signals)
                self._start_load()
                self._watch_load(stop_signals)
            self._tear_down(stop_signals)
            self._judge_silence()
        finally:
            self._workers.close()
            self._hooks.close()
            if self._output is not None:
                self._output.release()
                self._output.close()
        return self._summarize(started_at)

    # The steps.

    def _fork(self) -> None:
        watched = find_target_processes(self._plan, self._target.pids)
        self._workers.fork()
        self._hooks.fork()
        if self._output is not None:
            self._output.start()
        find_again = partial(find_target_again, self._plan, self._target.pids, watched)
        self._samplers = Samplers(self._workers.pids, watched, self._target.name, find_again, target_port(self._plan))
        self._summary = SummaryBuilder(self._plan, self._aggregator, self._samplers)
        self._snapshots = SnapshotMaker(self._plan, self._aggregator, self._samplers, self._judge, self._summary)
        if self._plan.capacity is not None:
            self._capacity = CapacityDriver(
                self._plan, self._plan.capacity, self._steering, self._aggregator, self._samplers
            )
        self._status = RunStatus(self._plan, self._state, self._steering, self._workers, self._summary, self._snapshots)
        self._handler = CommandHandler(self._steering, self._status.status, self._status.metrics)

    def _open_outputs(self) -> None:
        error = self._on_start()
        if error is not None:
            self._errors.append(error)
            self._state.stop("error")

    def _await_ready(self, stop_signals: StopSignals) -> None:
        self._workers.watch(stop_signals.fd)
        if self._commands is not None:
            self._workers.watch(self._commands.fd)
        deadline_ns = time.monotonic_ns() + round(READY_TIMEOUT_S * NS_PER_S)
        while not self._workers.all_over and self._workers.not_ready:
            for event in self._workers.wait((deadline_ns - time.monotonic_ns()) / NS_PER_S):
                self._handle(event)
            self._take_commands()
            if stop_signals.take():
                self._state.stopped_by = "interrupt"
                return
            if time.monotonic_ns() > deadline_ns:
                for index in self._workers.not_ready:
                    self._give_up(index, f"was not ready within {READY_TIMEOUT_S:g} s")

    def _set_up(self, stop_signals: StopSignals) -> None:
        if self._state.is_stopping or self._workers.all_over or self._hooks.setup(stop_signals):
            return
        if self._hooks.aborted:
            self._state.stopped_by, self._state.stop_reason = "abort", self._hooks.aborted
        else:
            self._state.stop("interrupt" if self._hooks.interrupted else "error")

    @contextlib.contextmanager
    def _listening_to_keys(self) -> Iterator[None]:
        with self._keyboard or contextlib.nullcontext():
            fd = self._keyboard.fd if self._keyboard is not None else None
            if fd is not None:
                self._workers.watch(fd)
                # Until the first key: who does not know that there are keys finds out here.
                steering = self._steering
                self._status.message = KEYS_OF_SEARCH if steering.is_searched else keys_hint(steering.scalable)
            yield
            if fd is not None:
                self._workers.unwatch(fd)

    def _await_resume(self, stop_signals: StopSignals) -> None:
        """Wait, in a run that is paused before its start, until a command or a key resumes or stops it."""
        self._state.is_set_up = True
        while self._steering.is_paused and not self._state.is_stopping and not self._workers.all_over:
            for event in self._workers.wait(1.0):
                self._handle(event)
            self._take_commands()
            if stop_signals.take():
                self._state.stopped_by = "interrupt"

    def _start_load(self) -> None:
        """Send the common start; workers that shall make no load get a stop before it."""
        self._state.start_in(START_DELAY_S)
        start_ns = self._state.start_ns
        self._snapshots.start(start_ns)
        self._samplers.prime()
        if self._state.is_stopping:
            self._state.give_up_ns = start_ns + round((self._plan.grace_s + 2.0) * NS_PER_S)
            self._workers.send(Frame("stop", {"now": True, "skip_on_stop": False}))
        else:
            self._steering.start(start_ns)
            if self._capacity is not None:
                self._capacity.start(start_ns)
                self._status.search = self._capacity.progress()
        self._workers.send(Frame("start", {"at_ns": start_ns, "setup_data": self._hooks.data}))

    def _watch_load(self, stop_signals: StopSignals) -> None:
        """Merge, answer, steer, and make a snapshot each second, until all workers are done or lost."""
        next_ns = self._state.start_ns + round((1 + SNAPSHOT_LAG_S) * NS_PER_S)
        while not self._workers.all_over:
            wake_ns = min(next_ns, self._steering.next_ns() or next_ns)
            for event in self._workers.wait((wake_ns - time.monotonic_ns()) / NS_PER_S):
                self._handle(event)
            for _ in range(stop_signals.take()):
                self._stop("interrupt", skip_on_stop=self._state.is_stopping)
            self._take_commands()
            now_ns = time.monotonic_ns()
            self._steer(now_ns)
            if now_ns >= next_ns:
                self._take_snapshot(now_ns)
                next_ns += NS_PER_S * max(1, 1 + (now_ns - next_ns) // NS_PER_S)
            self._give_up_hung(now_ns)
        self._take_snapshot(time.monotonic_ns())

    def _tear_down(self, stop_signals: StopSignals) -> None:
        self._hooks.teardown(stop_signals)

    def _summarize(self, started_at: str) -> Summary:
        """The summary, from the final state; ``versions`` are left to the caller."""
        paused_ns, ended_ns = self._steering.paused_ns, self._workers.ended_ns
        first_ns = self._state.start_ns + round(self._plan.warmup_s * NS_PER_S)
        last_ns = max(ended_ns.values(), default=self._snapshots.last_ns)
        summary = self._summary.build(
            self._judge,
            started_at=started_at,
            duration_s=max(1e-3, (last_ns - first_ns - paused_ns(last_ns)) / NS_PER_S),
            stopped_by=self._state.stopped_by,
            stop_reason=self._state.stop_reason,
            hook_requests=self._hooks.requests,
            hook_challenges=self._hooks.challenges,
            hook_errors=(*self._errors, *self._hooks.errors),
            load_changes=tuple(self._steering.changes),
            notes=(
                *self._data_ends.notes(self._plan.workers),
                *self._workers.notes,
                *self._hooks.notes,
                *self._steering.notes,
                *changes_left_out(self._steering.changes.left_out),
                *self._output_notes(),
            ),
        )
        if self._capacity is None:
            return summary
        return replace(summary, capacity=self._capacity.result(), verdict=self._capacity.verdict(summary.verdict))

    def _output_notes(self) -> list[str]:
        return self._output.notes if self._output is not None else []

    # What happens each second.

    def _steer(self, now_ns: int) -> None:
        if not self._state.is_stopping:
            self._steering.tick(now_ns)
        if self._steering.error is not None:
            error, self._steering.error = self._steering.error, None
            self._errors.append(error)
            self._stop("error")

    def _take_snapshot(self, now_ns: int) -> None:
        is_last = self._workers.all_over
        self._workers.look_for_strays()
        for index in self._stopped.look(self._workers.pids):
            self._note_event("worker", self._workers.note(index, STOPPED))
        self._summary.held_workers = self._stopped.for_good
        window = self._snapshots.next_window(now_ns, self._workers.ended_ns if is_last else None)
        if window is None:
            return
        moment = self._status.moment(now_ns, window)
        snapshot = self._snapshots.make(moment, self._workers.pids, self._steering.max_vus)
        self._on_snapshot(snapshot)
        self._search_capacity(now_ns)
        failed = self._judge.first_aborting(moment.t_s - self._plan.warmup_s)
        if failed is not None and not self._state.is_stopping and not is_last:
            self._state.stop_reason = f"{failed.metric}: {failed.expression}"
            self._stop("threshold", now=True)
        silence = self._answers.add(snapshot)
        if silence and self._plan.on_no_answer == "stop" and moment.phase == "running" and not is_last:
            self._state.stop_reason = silence
            self._stop("no-answer", now=True)

    def _search_capacity(self, now_ns: int) -> None:
        if self._capacity is None or self._state.is_stopping:
            return
        step = self._capacity.look(now_ns, self._workers.pids)
        if step is not None and self._plan.capacity is not None:
            self._note_event("step", step.text(self._plan.capacity.by))
        self._status.search = self._capacity.progress()

    def _judge_silence(self) -> None:
        """Judge a run that came to its planned end without an answer as one that was ended for it.

        A threshold about failures has the last word: its run may be there to see them.
        """
        asked = any(threshold.series.metric in FAILURE_RATES for threshold in self._plan.thresholds)
        cut = HookError("teardown", INTERRUPTED) in self._hooks.errors
        cut = cut or self._workers.not_lost != self._aggregator.workers.keys()
        if self._plan.on_no_answer == "continue" or asked or cut or self._state.is_stopping:
            return
        if silence := self._answers.at_the_end():
            self._state.stop("no-answer", silence)

    def _give_up_hung(self, now_ns: int) -> None:
        hang_ns = self._state.start_ns + round((self._plan.longest_s + ON_STOP_S + HANG_S) * NS_PER_S)
        hang_ns += self._steering.paused_ns(now_ns)
        if now_ns > (self._state.give_up_ns or hang_ns):
            for index in list(self._workers.pids):
                self._give_up(index, "did not stop in time")
        is_load_over = (
            now_ns - self._steering.paused_ns(now_ns) > self._state.start_ns + self._plan.duration_s * NS_PER_S
        )
        if self._state.is_stopping or is_load_over:
            self._end_stopped(self._stopped.held, STAYED_STOPPED)
        alone = self._stopped.held_for(ALONE_S)
        if not self._steering.is_paused and self._workers.unfinished <= set(alone):
            # The longest time of a scenario of iterations is no plan: the others came to their end long before it.
            self._end_stopped(alone, STOPPED_LAST)

    def _end_stopped(self, indexes: list[int], reason: str) -> None:
        for index in filter(self._workers.is_unfinished, indexes):
            self._stopped.end(index)
            self._give_up(index, reason)

    def _stop(self, by: str, *, now: bool = False, skip_on_stop: bool = False) -> None:
        """Let requests in flight end; with *now*, interrupt them; with *skip_on_stop*, without any VU's ``on_stop``."""
        self._state.stop(by)
        self._note_event("stop", self._state.stop_reason or by)
        grace_s = 1.0 if skip_on_stop else (0.0 if now else self._plan.grace_s) + ON_STOP_S
        if self._state.has_started:
            self._state.give_up_ns = time.monotonic_ns() + round(grace_s * NS_PER_S)
            self._workers.send(Frame("stop", {"now": now or skip_on_stop, "skip_on_stop": skip_on_stop}))

    # What workers send.

    def _handle(self, event: ChildEvent) -> None:
        index = event.child
        if event.frame is None:
            if self._workers.is_unfinished(index):
                self._lose(index, f"was lost: {event.reason or 'it ended early'}")
            return
        body = event.frame.body
        match event.frame.kind:
            case "ready":
                self._workers.mark_ready(index)
            case "delta":
                self._add_delta(index, body)
            case "ended":
                self._steering.ended(body["scenario"], index, self._workers.not_lost, time.monotonic_ns())
            case "data_end":
                at_s = self._state.elapsed_s(body["at_ns"]) - self._plan.warmup_s
                self._data_ends.add(body["scenario"], body["reason"], index, at_s)
            case "abort":
                self._state.stop_reason = self._state.stop_reason or body["reason"]
                self._stop("abort", now=True)
            case "done":
                self._workers.mark_done(index, body)
                for scenario, reason, vus in body.get("vus_without_data", ()):
                    self._data_ends.add_vus(scenario, reason, vus)
                self._summary.vus_without_data = self._data_ends.vus
            case "error":
                self._lose(index, f"failed: {body['message']}")

    def _add_delta(self, index: int, body: dict[str, Any]) -> None:
        try:
            delta = Delta.from_body(body)
        except FrameError as error:
            self._give_up(index, f"sent garbage: {error.message}")
            return
        self._aggregator.add(delta)
        if self._capacity is not None:
            # A delta of its own: what merges one may go on to change it.
            self._capacity.add(Delta.from_body(body))

    def _give_up(self, index: int, reason: str) -> None:
        self._lose(index, reason)
        self._workers.kill(index)

    def _lose(self, index: int, reason: str) -> None:
        self._note_event("worker", self._workers.lose(index, reason))
        if self._plan.on_worker_loss == "stop" and not self._state.is_stopping:
            self._stop("worker-loss")
        self._steering.begin_successors(self._workers.not_lost, time.monotonic_ns())

    # What others ask for.

    def _answer_commands(self) -> bool:
        """Answer commands while a hook runs. Whether the run is to end, by one of them or by something before."""
        self._take_commands()
        return self._state.is_stopping

    def _take_commands(self) -> None:
        for command in self._commands.take() if self._commands is not None else ():
            self._answer(command)
        for action in self._keyboard.take() if self._keyboard is not None else ():
            if self._state.is_stopping and action.name != "help":
                self._status.message = STOPPING
                continue
            message = self._status.message = self._handler.press(action, time.monotonic_ns())
            if not self._tell_changes() and action.name != "help":
                self._note_event("control", message)

    def _answer(self, command: Command) -> None:
        if command.name == "stop":
            self._stop("control", now=command.arguments["now"])
            command.answer({"phase": "stopping"})
        elif self._state.is_stopping and command.name not in ("status", "metrics"):
            command.refuse(STOPPING, "start another one")
        elif self._handler.answer(command, time.monotonic_ns()) and command.name in ("pause", "resume", "scale"):
            self._tell_changes()
            if command.name != "scale":
                self._note_event("control", f"{command.name}, by {command.who}")

    def _tell_changes(self) -> bool:
        """Make events of the changes of the load since the last call. Return whether there were any."""
        changes = self._steering.take_changes()
        for change in changes:
            self._note_event(LOAD_CHANGE, change.text)
        return bool(changes)

    def _note_event(self, kind: str, text: str) -> None:
        self._snapshots.note(self._state.elapsed_s(time.monotonic_ns()), kind, text)
