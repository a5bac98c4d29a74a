"""Hook process: forked like a worker, it runs setup and teardown at the parent's request.

Teardown sees the module variables that setup has set. VUs never see them, whatever the number of workers: they get
the value that setup returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastload.load.client.context import ScenarioContext, WorkerContext
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.client.vu import VU
from fastload.load.engine.curl import CurlEngine
from fastload.load.executors.vu_pool import innermost
from fastload.load.loop_runner import end_forks, run_to_end
from fastload.load.parent_death import adopt_orphans, die_with_parent, leave_signals_to_parent
from fastload.load.process_guard import guard_process
from fastload.load.recording.leftovers import unseen_errors
from fastload.load.recording.outcome import TestAborted
from fastload.load.recording.recorder import Recorder
from fastload.load.recording.unawaited_watch import UnawaitedWatch, line_that_holds
from fastload.load.script.advice import advised_traceback
from fastload.load.script.flow import NeverAwaited, NeverEnded
from fastload.model.errors import FastloadError, FrameError, user_traceback
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.hooks import INTERRUPTED, Hook
from fastload.model.names import as_text
from fastload.model.plan import Plan
from fastload.model.redaction import shortened

_READ_BYTES = 65536
_MOST_NESTED = 200


def run_hook_process(channel: socket.socket, _index: int, plan: Plan, resolve: tuple[str, ...]) -> None:
    """Run the hooks that the parent requests until it sends ``quit`` or closes *channel*."""
    die_with_parent()
    adopt_orphans()
    leave_signals_to_parent()
    os.environ.update(plan.env)
    random.seed(f"{plan.seed}:hooks")
    run_to_end(_HookProcess(channel, plan, resolve).run(), asyncio.new_event_loop)


class _HookProcess:
    def __init__(self, channel: socket.socket, plan: Plan, resolve: tuple[str, ...]) -> None:
        self._channel = channel
        self._plan = plan
        self._resolve = resolve
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._engine: CurlEngine | None = None
        self._recorder = Recorder(0)
        self._kind = ""

    async def run(self) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        guard_process(self._say_last, lambda fd: self._engine is not None and self._engine.has_socket(fd))
        decoder = FrameDecoder()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ_BYTES):
                for frame in decoder.feed(data):
                    if frame.kind == "quit":
                        self._writer.close()
                        return
                    self._handle_frame(frame)

    def _handle_frame(self, frame: Frame) -> None:
        if frame.kind == "cancel":
            if self._task is not None:
                self._cancelled = True
                # Cancel it after its first step: a task that is cancelled before that sends no report.
                asyncio.get_running_loop().call_soon(self._task.cancel)
        else:
            self._cancelled = False
            hook = getattr(self._plan.hooks, frame.kind)
            self._task = asyncio.ensure_future(self._call(hook, frame.body["setup_data"]))

    async def _call(self, hook: Hook, setup_data: Any) -> None:
        """Run *hook* and send ``hook_done`` with its data, or ``hook_failed``; both with its numbers of requests."""
        body: dict[str, Any] = {"hook": hook.kind, "data": None, "message": "", "aborted": False}
        limit = asyncio.timeout(hook.timeout_s)
        engine = self._engine = CurlEngine(asyncio.get_running_loop())
        end_forks(asyncio.get_running_loop(), engine)
        recorder = self._recorder = Recorder(0)
        self._kind = hook.kind
        vu = self._make_vu(engine, recorder, setup_data)
        unawaited: dict[str, bool] = {}
        watch = UnawaitedWatch(lambda line: unawaited.setdefault(line, True))
        watch.start()
        failed: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(partial(_note_error, failed))
        try:
            async with limit:
                body["data"] = check_plain(await hook.function(vu), hook.kind)
            watch.find_kept(VU, lambda owner, _: owner is vu)
            unawaited |= dict.fromkeys(watch.lines, True)
            if unawaited:
                raise NeverAwaited(next(iter(unawaited)))
            _check_tasks(vu, hook.kind, [*failed, *unseen_errors()])
        except BaseException as raised:
            # BaseException, not only Exception, because the parent waits for a report in every case.
            body["message"], body["aborted"] = self._describe(innermost(raised), hook, expired=limit.expired())
        watch.stop()
        asyncio.get_running_loop().set_exception_handler(None)
        vu._close()
        engine.close()
        stats = recorder.take(vus=0, in_flight=0, offered=0).stats
        body["requests"], body["challenges"] = stats.started, stats.challenges
        self._writer.write(encode(Frame("hook_failed" if body["message"] else "hook_done", body)))

    def _say_last(self, reason: str) -> None:
        """Report that the hook failed for *reason*, which ends this process now."""
        stats = self._recorder.take(vus=0, in_flight=0, offered=0).stats
        body: dict[str, Any] = {"hook": self._kind, "data": None, "message": reason, "aborted": False}
        body |= {"requests": stats.started, "challenges": stats.challenges, "is_last": True}
        os.write(self._channel.fileno(), encode(Frame("hook_failed", body)))

    def _describe(self, error: BaseException, hook: Hook, *, expired: bool) -> tuple[str, bool]:
        """Return the message for *error*, which *hook* raised, and whether it aborts the test."""
        if isinstance(error, TestAborted):
            return shortened(str(error)) or "no reason given", True
        if isinstance(error, asyncio.CancelledError) and self._cancelled:
            return INTERRUPTED, False
        if isinstance(error, TimeoutError) and expired:
            # The traceback of the time-out's cancellation shows where the hook was waiting.
            lines = user_traceback(error.__cause__ or error).splitlines()[:-1]
            return "\n".join([*lines, f"it took longer than {hook.timeout_s:g} s"]), False
        return advised_traceback(error), False

    def _make_vu(self, engine: CurlEngine, recorder: Recorder, setup_data: Any) -> VU:
        plan = self._plan
        context = WorkerContext(
            engine=engine,
            recorder=recorder,
            loop=asyncio.get_running_loop(),
            http=plan.http,
            base_url=plan.base_url,
            resolve=self._resolve,
        )
        context.setup_data = setup_data
        # A hook has few replies: keep all their parts instead of analysing which ones its code reads.
        reply_parts = ReplyParts(body=True, headers=True, connection_info=True, tls=True)
        return VU(0, context, ScenarioContext("", reply_parts, {}, plan.env, plan.seed))


def _note_error(failed: list[BaseException], loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is None:
        loop.default_exception_handler(context)
    else:
        failed.append(error)


def _check_tasks(vu: VU, hook: str, failed: list[BaseException]) -> None:
    """Check that no task that the hook started has *failed* unseen, or still has its VU, which ends with the hook.

    Raises:
        BaseException: what the first one of them raised.
        NeverEnded: one still has the VU.
    """
    for error in failed:
        raise error
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if line := line_that_holds(task.get_coro(), vu):
            raise NeverEnded(hook, line)


def check_plain(value: Any, hook: str) -> Any:
    """Return *value* after a check that it is plain data, which can be sent to other processes.

    Raises:
        FastloadError: it is not plain data; the message says where. Or it is too large.
    """
    if inspect.isawaitable(value):
        raise FastloadError(f"{hook} returned something to await: await it, and return its result")
    try:
        where, problem = next(_problems(value, ""), ("", ""))
    except RecursionError:
        where, problem = "", "data that is nested too deeply, or contains itself"
    if problem:
        location = f" at {where}" if where else ""
        raise FastloadError(f"{hook} returned {problem}{location}: return plain data (numbers, text, lists, dicts)")
    try:
        encode(Frame("hook_done", {"data": value}))
    except FrameError as error:
        raise FastloadError(f"{hook} returned too much: {error.message}") from error
    return value


def _problems(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the parts of *value* that a frame would change or refuse: where, like ``["users"][3]``, and what it is."""
    if depth > _MOST_NESTED:
        raise RecursionError
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float | bytes | None):
                yield where, f"a dict with a key of {type(key).__name__}"
            elif problem := _problem_of(key):
                yield where, f"a dict with a key that is {problem}"
            yield from _problems(item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _problems(item, f"{where}[{index}]", depth + 1)
    elif problem := _problem_of(value):
        yield where, problem


def _problem_of(value: Any) -> str:
    """Return why *value*, which is no container, cannot be sent as it is; "" if it can."""
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**64 else "an int of more than 64 bits"
    if isinstance(value, str):
        return (
            "" if as_text(value, "") == value else "a text with half of a surrogate pair, which no encoding can write"
        )
    if isinstance(value, float | bytes | None):
        return ""
    of_numpy = " (of numpy: call its tolist())" if hasattr(value, "tolist") else ""
    return f"a value of type {type(value).__name__}{of_numpy}"
