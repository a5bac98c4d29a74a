"""Worker process: forked by the supervisor, it makes its share of the load and sends a delta each second.

The protocol with the parent, in frames of `model/frames.py`: the worker sends hello and ready, waits for start, and
sends delta each second, then done; or it sends error. Then it waits for quit. Frames from the parent pause the worker,
change the load, or end it early. The end of the stream means that the parent has died; the worker then exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import random
import resource
import select
import socket
import threading
from collections import Counter
from time import monotonic_ns
from typing import Any

import numpy as np
import uvloop

# `fl.measure` is imported when a script first uses it, which must not be in a worker under load.
import fastload.load.client.measured_calls  # noqa: F401
from fastload.load.client.context import WorkerContext
from fastload.load.client.vu import VU, current_vu
from fastload.load.engine.curl import CurlEngine
from fastload.load.loop_runner import end_forks, hidden, own_task, run_to_end
from fastload.load.parent_death import adopt_orphans, die_with_parent, leave_signals_to_parent
from fastload.load.process_guard import guard_process
from fastload.load.recording.in_flight_watch import InFlightWatch
from fastload.load.recording.leftovers import unseen_errors
from fastload.load.recording.outcome import TestAborted
from fastload.load.recording.process_usage import ProcessUsage
from fastload.load.recording.recorder import Recorder
from fastload.load.recording.stall_watch import StallWatch
from fastload.load.recording.unawaited_watch import FIRST_S, UnawaitedWatch
from fastload.load.scenario_runner import ScenarioRunner, make_scenario_runners
from fastload.load.script import data_set
from fastload.load.script.advice import advised_traceback, raise_site
from fastload.model.errors import FastloadError, begins_in_fastload, worker_traceback
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.judging.stalls import StallTable, probe_intervals_us
from fastload.model.metrics import EXPECTED_DURATION, Series, scenario_series
from fastload.model.plan import Plan
from fastload.model.redaction import shortened
from fastload.model.schedule import NS_PER_S
from fastload.model.user_metrics import close_declarations

_READ_BYTES = 65536
_SAY_LAST_S = 1.0
# A run needs only collections of young objects: all objects from before the start are frozen.
_GC_THRESHOLDS = (50_000, 50, 1000)


def run_worker(channel: socket.socket, index: int, plan: Plan, resolve: tuple[str, ...]) -> None:
    """Run worker *index* in the forked child until its last frame is delivered.

    *resolve*: addresses looked up by the parent, in the form for `Transfer.configure`.
    """
    die_with_parent()
    adopt_orphans()
    leave_signals_to_parent()
    os.environ.update(plan.env)
    # Every VU has its own connection, and the usual soft limit of descriptors is 1,024.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    data_set.assign_rows(index, plan.workers)
    close_declarations()
    # A fork copies the state of the random generators: all workers would draw the same random numbers.
    random.seed(f"{plan.seed}:worker {index}")
    np.random.seed((plan.seed + index) % 2**32)
    rehearse(index, plan)
    run_to_end(Worker(channel, index, plan, resolve).run(), uvloop.new_event_loop)


class Worker:
    """Engine, recorder and scenario runners of one worker, and its protocol with the parent."""

    def __init__(self, channel: socket.socket, index: int, plan: Plan, resolve: tuple[str, ...]) -> None:
        self._channel = channel
        self._index = index
        self._plan = plan
        self._resolve = resolve
        self._recorder = make_recorder(index, plan)
        self._stall_watch = StallWatch(run_worker.__code__)
        self._in_flight_watch = InFlightWatch()
        self._unawaited_watch = UnawaitedWatch(self._note_unawaited)
        self._start = asyncio.Event()
        self._quit = asyncio.Event()
        self._start_ns = 0
        self._stopping = False
        self._warming_up = False
        self._late = False
        self._runners: list[ScenarioRunner] = []
        self._data_ends: set[str] = set()
        self._vus_without_data: Counter[tuple[str, str]] = Counter()
        self._loop_error: asyncio.Future[None] | None = None
        self._iterations = self._iterations_interrupted = 0
        self._is_over = False

    async def run(self) -> None:
        """Serve the parent until the run is over."""
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        listener = own_task(self._listen(reader))
        self._send("hello", {"worker": self._index, "pid": os.getpid()})
        try:
            await self._load()
        except Exception as error:
            self._send_error(_first_of(error))
        # The parent looks for processes that the script has left here, while they can be found.
        await self._quit.wait()
        listener.cancel()
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        engine = CurlEngine(loop)
        end_forks(loop, engine)
        self._recorder.attach(engine)
        self._context = context = WorkerContext(
            engine=engine,
            recorder=self._recorder,
            loop=loop,
            http=self._plan.http,
            base_url=self._plan.base_url,
            resolve=self._resolve,
        )
        context.on_abort = self._abort
        context.on_data_end = self._note_data_end
        context.on_vu_without_data = self._note_vu_without_data
        self._runners = make_scenario_runners(self._plan, context, self._index)
        for runner in self._runners:
            if self._plan.warmup_s > 0 and runner.warms_up:
                runner.prepare_warm_up(self._plan.warmup_s)
            else:
                runner.prepare()
        guard_process(self._say_last, engine.has_socket)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        self._send("ready", {"worker": self._index})
        await self._start.wait()
        before = ProcessUsage.now()
        self._unawaited_watch.start()
        loop.call_later(FIRST_S, self._unawaited_watch.end_first)
        # A task that fails ends the group, and with it the worker: without its reports counts would be lost silently.
        async with asyncio.TaskGroup() as tasks:
            works = (self._report(), self._probe_loop(), self._raise_loop_error())
            helpers = [hidden(tasks.create_task(one)) for one in works]
            try:
                await self._run_phases()
            finally:
                for task in helpers:
                    task.cancel()
        used = ProcessUsage.now().since(before)
        self._look_for_leftovers()
        for runner in self._runners:
            runner.work.close()
        engine.close()
        ended_ns = self._ended_ns()
        self._send_delta(monotonic_ns())
        self._send(
            "done",
            {
                "worker": self._index,
                "ended_ns": ended_ns,
                "unawaited": self._unawaited_watch.lines,
                "vus_without_data": [[*key, vus] for key, vus in self._vus_without_data.items()],
                **used,
            },
        )

    def _note_unawaited(self, line: str) -> bool:
        """Let the running iteration fail, and return True.

        An interrupted iteration may leave coroutines without a mistake: return False.
        """
        vu = current_vu()
        if vu is None:
            # Python has found it later, when it collected garbage.
            return (self._is_over and not self._iterations_interrupted) or not (self._late or self._context.stopping)
        if vu._was_interrupted():
            return False
        vu._unawaited = vu.iteration, line
        return True

    def _look_for_leftovers(self) -> None:
        """Find what the script has kept to the end: coroutines and blocks that it never used, and tasks that failed."""
        # It counts the iterations.
        self._send_delta(monotonic_ns())
        self._is_over = True
        self._unawaited_watch.find_kept(VU, self._was_forgotten)
        self._unawaited_watch.stop()
        for error in unseen_errors():
            self._record_task_exception(error)

    def _was_forgotten(self, vu: VU | None, count: int) -> bool:
        """Whether *count* unused coroutines or blocks of one line were forgotten.

        They were if each iteration left one. A script may also keep what it awaits in a later iteration: then fewer
        are left at the end.
        """
        if vu is None:
            return count >= max(1, self._iterations)
        least = 2 if vu._was_interrupted() else 1
        return vu.iteration >= least and count >= vu.iteration

    async def _run_phases(self) -> None:
        plan = self._plan
        start_ns = self._start_ns
        if plan.warmup_s > 0:
            self._warming_up = True
            warming = [runner for runner in self._runners if runner.warms_up]
            await asyncio.gather(*(own_task(runner.executor.run(start_ns)) for runner in warming))
            self._discard()
            self._warming_up = False
            # With a slow target the warm-up may end later. Its backlog must not delay starts of the measurement.
            start_ns = max(start_ns + round(plan.warmup_s * NS_PER_S), monotonic_ns())
            data_set.assign_rows(self._index, plan.workers)
            for runner in warming:
                runner.prepare()
        if not self._stopping:
            await self._measure(start_ns)

    async def _measure(self, start_ns: int) -> None:
        playing = asyncio.gather(*(own_task(self._run_scenario(runner, start_ns)) for runner in self._runners))
        for runner in self._runners:
            await runner.executor.closed.wait()
        self._send_delta(self._ended_ns(), vus=self._recorder.vu_count.at_end)
        self._late = True
        await playing

    async def _run_scenario(self, runner: ScenarioRunner, start_ns: int) -> None:
        await runner.run(start_ns)
        self._send("ended", {"scenario": runner.scenario.name})

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        decoder = FrameDecoder()
        # The parent may exit with unread frames: then the stream ends with a reset.
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ_BYTES):
                try:
                    for frame in decoder.feed(data):
                        self._handle_frame(frame.kind, frame.body)
                except Exception as error:
                    self._send_error(error)
                    await self._writer.drain()
                    break
        os._exit(1)

    def _handle_frame(self, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "start":
                self._start_ns = body["at_ns"]
                self._context.setup_data = body["setup_data"]
                self._start.set()
            case "quit":
                self._quit.set()
            case "stop":
                self._stop(now=body["now"], skip_on_stop=body["skip_on_stop"])
            case "pause":
                for runner in self._runners:
                    runner.pause(body["at_ns"])
            case "resume":
                for runner in self._runners:
                    runner.resume(body["at_ns"])
            case "begin" | "finish" | "scale":
                runner = next(one for one in self._runners if one.scenario.name == body["scenario"])
                self._steer_scenario(runner, kind, body)

    def _steer_scenario(self, runner: ScenarioRunner, kind: str, body: dict[str, Any]) -> None:
        if kind == "begin":
            runner.begin(body["at_ns"])
        elif kind == "finish":
            runner.executor.finish()
        elif body.get("vus") is not None:
            runner.set_vus(body["vus"])
        else:
            runner.set_rate(body["rate_per_s"], body["at_ns"])

    def _note_data_end(self, scenario: str, reason: str) -> None:
        """Tell the parent that *scenario* ends early here, because its data is used up, once in the measurement."""
        runner = next(one for one in self._runners if one.scenario.name == scenario)
        if not (self._warming_up or self._stopping or runner.executor.closed.is_set() or scenario in self._data_ends):
            self._data_ends.add(scenario)
            self._send("data_end", {"scenario": scenario, "reason": reason, "at_ns": monotonic_ns()})

    def _note_vu_without_data(self, scenario: str, reason: str) -> None:
        """Count a VU of *scenario* for whose ``on_start`` no data was left, in the measurement."""
        if not self._warming_up:
            self._vus_without_data[scenario, reason] += 1

    def _abort(self, reason: str) -> None:
        self._send("abort", {"reason": shortened(reason)})
        self._stop(now=True, skip_on_stop=False)

    def _stop(self, *, now: bool, skip_on_stop: bool) -> None:
        """Start no more iterations. *now*: interrupt running ones at once. *skip_on_stop*: run no VU's ``on_stop``."""
        self._stopping = self._context.stopping = True
        self._context.skip_on_stop = self._context.skip_on_stop or skip_on_stop
        grace_s = 0.0 if now else self._plan.grace_s
        for runner in self._runners:
            runner.stop(grace_s)
            runner.work.interrupt_idle()
            if now:
                runner.work.interrupt_all()
            else:
                self._context.loop.call_later(grace_s, runner.work.interrupt_all)

    async def _report(self) -> None:
        for second in itertools.count(1):
            at_ns = self._start_ns + second * NS_PER_S
            await asyncio.sleep((at_ns - monotonic_ns()) / NS_PER_S)
            self._send_delta(at_ns)

    def _ended_ns(self) -> int:
        """Return the last possible start; now if there was none."""
        return max((runner.executor.ended_ns for runner in self._runners), default=0) or monotonic_ns()

    async def _probe_loop(self) -> None:
        """Sleep for 10 ms or so, and record how much longer it took: the loop lag, which delays all tasks here."""
        self._note_in_flight()
        self._stall_watch.start()
        try:
            for interval_us in probe_intervals_us():
                self._stall_watch.arm(interval_us)
                await asyncio.sleep(interval_us / 1e6)
                # What holds up the loop once no iteration starts any more, like an on_stop, disturbs nothing measured.
                late_us = self._stall_watch.wake(StallTable() if self._late else self._recorder.stalls)
                self._note_in_flight()
                if not self._late:
                    self._recorder.lag_us.append(late_us)
        finally:
            self._note_in_flight()
            self._stall_watch.stop()

    def _note_in_flight(self) -> None:
        self._in_flight_watch.note(self._context.engine.in_flight, monotonic_ns())

    async def _raise_loop_error(self) -> None:
        """Wait for the first error of a callback of fastload's own, and raise it."""
        self._loop_error = asyncio.get_running_loop().create_future()
        await self._loop_error

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error that no task awaits. In a callback of fastload's own it means that something is not counted.

        Errors of tasks that the script started, and of its own callbacks, are recorded, and logged as asyncio does.
        """
        error, waiting = context.get("exception"), self._loop_error
        is_own = isinstance(error, Exception) and "handle" in context and begins_in_fastload(error)
        if isinstance(error, Exception) and is_own and waiting is not None and not waiting.done():
            waiting.set_exception(error)
            return
        if error is not None:
            self._record_task_exception(error)
        loop.default_exception_handler(context)

    def _record_task_exception(self, error: BaseException) -> None:
        if not isinstance(error, TestAborted):
            self._recorder.record_task_exception(type(error).__name__, advised_traceback(error), raise_site(error))

    def _discard(self) -> None:
        """Delete the measurements of the warm-up."""
        self._recorder.discard()
        self._in_flight_watch.reset()
        for runner in self._runners:
            runner.executor.take_offered()

    def _send_delta(self, at_ns: int, *, vus: int | None = None) -> None:
        """Send what was measured until *at_ns*, which is about now. *vus*: the active VUs then, if not those of now."""
        if self._warming_up:
            self._discard()
        delta = self._recorder.take(
            vus=vus,
            at_ns=at_ns,
            in_flight=self._context.engine.in_flight,
            offered=sum(runner.executor.take_offered() for runner in self._runners),
            late=self._late,
        )
        self._in_flight_watch.take(delta.stats)
        self._iterations += delta.iterations
        self._iterations_interrupted += delta.stats.iterations_interrupted
        self._send("delta", delta.to_body())

    def _send_error(self, error: Exception) -> None:
        hint = error.hint if isinstance(error, FastloadError) else ""
        self._send("error", {"worker": self._index, "message": worker_traceback(error), "hint": hint})

    def _say_last(self, reason: str) -> None:
        """Send what was measured, and the *reason* why this process ends now: its loop does not run again."""
        if threading.current_thread() is not threading.main_thread():
            said = threading.Event()
            self._context.loop.call_soon_threadsafe(self._say_last, reason)
            self._context.loop.call_soon_threadsafe(said.set)
            said.wait(_SAY_LAST_S)
        elif not self._writer.transport.get_write_buffer_size():
            # Of what is on its way already, only the loop can send the rest. From here on, frames go past the loop.
            setattr(self._writer, "write", self._write_now)  # noqa: B010 - for mypy, a method is no attribute to set
            self._send_delta(monotonic_ns())
            self._send("error", {"worker": self._index, "message": reason, "hint": ""})

    def _write_now(self, data: bytes) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLOUT)
        while data and poll.poll(_SAY_LAST_S * 1000):
            data = data[os.write(self._channel.fileno(), data) :]

    def _send(self, kind: str, body: dict[str, object]) -> None:
        self._writer.write(encode(Frame(kind, body)))


def rehearse(index: int, plan: Plan) -> None:
    """Record, fold and encode one request, so that everything that this imports is imported before the run.

    numpy imports some of its modules in the first call of a function. That stops the loop for 20 ms, and it fails when
    no file descriptor is left.
    """
    encode(Frame("delta", make_recorder(index, plan).rehearse().to_body()))


def make_recorder(index: int, plan: Plan) -> Recorder:
    """Return the recorder of worker *index*: a `PointRecorder` if an output wants points."""
    if not plan.points:
        return Recorder(index, filters_of(plan))
    from fastload.load.recording.points import PointRecorder

    return PointRecorder(index, filters_of(plan), iterates=plan.kind != "bench")


def filters_of(plan: Plan) -> tuple[Series, ...]:
    """Return the tagged series to keep in addition to those of every run: the series of thresholds, the duration of
    expected responses and, if the plan has several scenarios, the statistics of each scenario."""
    asked = (threshold.series for threshold in plan.thresholds)
    several = scenario_series(one.name for one in plan.scenarios)
    return (*(series for series in asked if series.tags), EXPECTED_DURATION, *several)


def _first_of(error: Exception) -> Exception:
    """Return the first error of a task group, or *error* itself if it is no group."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
