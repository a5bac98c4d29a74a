"""A worker process: forked by the supervisor, it makes its share of the load and reports each second.

The talk with the parent, in `model.frames`: hello, ready, (start), delta..., done; or error. A ``stop`` frame ends
the run early, and the end of the stream means that the parent is gone: then so is the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import itertools
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns, process_time_ns
from typing import NamedTuple

import uvloop

from fastload.load.client import Context, ScenarioContext
from fastload.load.curl import CurlEngine
from fastload.load.executors import LoadExecutor, make_executor, warm_up_spec
from fastload.load.recorder import Recorder
from fastload.load.scenario import Scenario
from fastload.load.usage import ReplyUsage, usage_of
from fastload.load.work import RequestWork, VUWork, Work
from fastload.model.errors import FastloadError, user_traceback
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.plan import Executor, Plan, ScenarioPlan
from fastload.model.schedule import NS_PER_S

PROBE_INTERVAL_S = 0.01
_READ_BYTES = 65536
_PR_SET_PDEATHSIG = 1
# Young collections are the only ones that a run needs: everything older is frozen before the start.
_GC_THRESHOLDS = (50_000, 50, 1000)


def run_worker(channel: socket.socket, index: int, plan: Plan, resolve: tuple[str, ...]) -> None:
    """The whole life of worker *index*, in the child, until its last frame is delivered.

    *resolve*: addresses looked up by the parent, as `Transfer.configure` takes them.
    """
    die_with_parent()
    # Ctrl-C goes to every process of the terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.environ.update(plan.env)
    # Every VU has its own connection, and the usual soft limit is 1,024.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    uvloop.run(Worker(channel, index, plan, resolve).run())


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, however busy it is."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


class Worker:
    """One worker's engine, recorder and executors, and its talk with the parent."""

    def __init__(self, channel: socket.socket, index: int, plan: Plan, resolve: tuple[str, ...]) -> None:
        self._channel = channel
        self._index = index
        self._plan = plan
        self._resolve = resolve
        self._recorder = Recorder(index)
        self._start = asyncio.Event()
        self._start_ns = 0
        self._stopping = False
        self._warming_up = False
        self._late = False
        self._executors: list[LoadExecutor] = []
        self._works: list[Work] = []

    async def run(self) -> None:
        """Serve the parent until the run is over."""
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        listener = asyncio.create_task(self._listen(reader))
        self._send("hello", {"worker": self._index, "pid": os.getpid()})
        try:
            await self._load()
        except Exception as error:
            hint = error.hint if isinstance(error, FastloadError) else ""
            self._send("error", {"worker": self._index, "message": user_traceback(error), "hint": hint})
        listener.cancel()
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        engine = CurlEngine(loop)
        self._context = context = Context(
            engine=engine,
            recorder=self._recorder,
            loop=loop,
            http=self._plan.http,
            base_url=self._plan.base_url,
            resolve=self._resolve,
        )
        numbers = itertools.count(self._index + 1, self._plan.workers)
        self._works = [_make_work(scenario, self._plan, context, numbers) for scenario in self._plan.scenarios]
        if self._plan.warmup_s > 0:
            self._prepare(lambda scenario: warm_up_spec(scenario.executor, self._plan.warmup_s))
        else:
            self._prepare(lambda scenario: scenario.executor)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        self._send("ready", {"worker": self._index})
        await self._start.wait()
        before = _Usage.now()
        reports = asyncio.create_task(self._report())
        probe = asyncio.create_task(self._probe_loop())
        try:
            await self._run_phases()
        finally:
            probe.cancel()
            reports.cancel()
        used = _Usage.now().since(before)
        for work in self._works:
            work.close()
        engine.close()
        ended_ns = max((executor.ended_ns for executor in self._executors), default=0) or monotonic_ns()
        self._send_delta()
        self._send("done", {"worker": self._index, "ended_ns": ended_ns, **used})

    async def _run_phases(self) -> None:
        plan = self._plan
        start_ns = self._start_ns
        if plan.warmup_s > 0:
            self._warming_up = True
            await self._run_executors(start_ns)
            self._discard()
            self._warming_up = False
            # A slow target may take longer to end the warm-up: its backlog is not the measurement's.
            start_ns = max(start_ns + round(plan.warmup_s * NS_PER_S), monotonic_ns())
            self._prepare(lambda scenario: scenario.executor)
        if not self._stopping:
            await self._run_executors(start_ns)

    def _prepare(self, spec_of: Callable[[ScenarioPlan], Executor]) -> None:
        """Make the executors of the next phase; what they make ready costs nothing after the common start."""
        self._executors = [
            make_executor(
                spec_of(scenario),
                work,
                worker=self._index,
                workers=self._plan.workers,
                graceful_stop_s=scenario.graceful_stop_s,
            )
            for scenario, work in zip(self._plan.scenarios, self._works, strict=True)
        ]
        for executor in self._executors:
            executor.prepare()

    async def _run_executors(self, start_ns: int) -> None:
        running = asyncio.gather(*(executor.run(start_ns) for executor in self._executors))
        for executor in self._executors:
            await executor.closed.wait()
        if not self._warming_up:
            self._send_delta()
            self._late = True
        await running

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        decoder = FrameDecoder()
        # The parent may leave with frames unread: then the stream ends with a reset.
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ_BYTES):
                for frame in decoder.feed(data):
                    if frame.kind == "start":
                        self._start_ns = frame.body["at_ns"]
                        self._start.set()
                    elif frame.kind == "stop":
                        self._stop(now=frame.body["now"])
        os._exit(1)

    def _stop(self, *, now: bool) -> None:
        self._stopping = self._context.stopping = True
        grace_s = 0.0 if now else self._plan.grace_s
        for executor in self._executors:
            executor.stop(grace_s)
        for work in self._works:
            work.interrupt_idle()
            if now:
                work.interrupt_all()
            else:
                self._context.loop.call_later(grace_s, work.interrupt_all)

    async def _report(self) -> None:
        for second in itertools.count(1):
            await asyncio.sleep((self._start_ns + second * NS_PER_S - monotonic_ns()) / NS_PER_S)
            self._send_delta()

    async def _probe_loop(self) -> None:
        """Sleep for 10 ms over and over, and record how much longer it took: what everything else here waits too."""
        while True:
            before_ns = monotonic_ns()
            await asyncio.sleep(PROBE_INTERVAL_S)
            late_us = (monotonic_ns() - before_ns) // 1000 - round(PROBE_INTERVAL_S * 1_000_000)
            self._recorder.lag_us.append(max(0, late_us))

    def _discard(self) -> None:
        """Forget what the warm-up measured."""
        self._recorder.discard()
        for executor in self._executors:
            executor.take_offered()

    def _send_delta(self) -> None:
        if self._warming_up:
            self._discard()
        delta = self._recorder.take(
            vus=sum(work.take_peak() for work in self._works),
            in_flight=self._context.engine.in_flight,
            offered=sum(executor.take_offered() for executor in self._executors),
            late=self._late,
        )
        self._send("delta", delta.to_body())

    def _send(self, kind: str, body: dict[str, object]) -> None:
        self._writer.write(encode(Frame(kind, body)))


class _Usage(NamedTuple):
    """What this process has used so far: a moment, CPU time, and time ready to run but waiting for a CPU."""

    at_ns: int
    cpu_ns: int
    waited_ns: int

    @classmethod
    def now(cls) -> _Usage:
        waited_ns = 0
        with contextlib.suppress(OSError, ValueError):
            waited_ns = int(Path("/proc/self/schedstat").read_text().split()[1])
        return cls(monotonic_ns(), process_time_ns(), waited_ns)

    def since(self, before: _Usage) -> dict[str, float]:
        """For runs too short to be sampled: CPU per cent of a core, peak memory, share of the time spent waiting."""
        elapsed_ns = max(1, self.at_ns - before.at_ns)
        return {
            "cpu_percent": 100 * (self.cpu_ns - before.cpu_ns) / elapsed_ns,
            "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "run_delay_share": (self.waited_ns - before.waited_ns) / elapsed_ns,
        }


def _make_work(scenario: ScenarioPlan, plan: Plan, context: Context, numbers: itertools.count[int]) -> Work:
    if not isinstance(scenario.work, Scenario):
        return RequestWork(context, scenario.work)
    declared = scenario.work
    used = usage_of(declared.function)
    usage = ReplyUsage(
        body=used.body if declared.keep_body is None else declared.keep_body,
        headers=used.headers if declared.keep_headers is None else declared.keep_headers,
    )
    shared = ScenarioContext(scenario.name, usage, scenario.tags, scenario.env | plan.env)
    return VUWork(context, declared.function, shared, numbers)
