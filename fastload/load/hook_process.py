"""The process in which setup and teardown run: forked like a worker, it does one of them whenever the parent says so.

What setup leaves in the module is there for teardown, and never for the VUs, however many workers there are: they get
what setup returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import socket
from typing import Any

from fastload.load.client import VU
from fastload.load.context import Context, ScenarioContext
from fastload.load.curl import CurlEngine
from fastload.load.flow import TestAborted
from fastload.load.parent_death import die_with_parent, leave_signals_to_parent
from fastload.load.recorder import Recorder
from fastload.load.usage import ReplyUsage
from fastload.model.errors import FastloadError, user_traceback
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.hooks import Hook
from fastload.model.plan import Plan

_READ_BYTES = 65536


def run_hook_process(channel: socket.socket, _index: int, plan: Plan, resolve: tuple[str, ...]) -> None:
    """Do what the parent says until it says quit, or closes *channel*."""
    die_with_parent()
    leave_signals_to_parent()
    os.environ.update(plan.env)
    random.seed(f"{plan.seed}:hooks")
    asyncio.run(_HookProcess(channel, plan, resolve).run())


class _HookProcess:
    def __init__(self, channel: socket.socket, plan: Plan, resolve: tuple[str, ...]) -> None:
        self._channel = channel
        self._plan = plan
        self._resolve = resolve
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        decoder = FrameDecoder()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ_BYTES):
                for frame in decoder.feed(data):
                    if frame.kind == "quit":
                        self._writer.close()
                        return
                    self._obey(frame)

    def _obey(self, frame: Frame) -> None:
        if frame.kind == "cancel":
            if self._task is not None:
                self._task.cancel()
        else:
            hook = getattr(self._plan.hooks, frame.kind)
            self._task = asyncio.ensure_future(self._call(hook, frame.body["setup_data"]))

    async def _call(self, hook: Hook, setup_data: Any) -> None:
        """Run *hook* and report: ``hook_done`` with its data, or ``hook_failed``; and the requests that it made."""
        body: dict[str, Any] = {"hook": hook.kind, "data": None, "message": "", "aborted": False}
        engine = CurlEngine(asyncio.get_running_loop())
        recorder = Recorder(0)
        vu = self._make_vu(engine, recorder, setup_data)
        try:
            async with asyncio.timeout(hook.timeout_s) as limit:
                body["data"] = check_plain(await hook.function(vu), hook.kind)
        except asyncio.CancelledError:
            body["message"] = "it was interrupted"
        except TimeoutError as error:
            took_too_long = f"it took longer than {hook.timeout_s:g} s"
            body["message"] = took_too_long if limit.expired() else user_traceback(error)
        except TestAborted as abort:
            body["message"], body["aborted"] = str(abort), True
        except (Exception, SystemExit) as error:
            body["message"] = user_traceback(error)
        vu.close()
        engine.close()
        delta = recorder.take(vus=0, in_flight=0, offered=0)
        body["requests"] = delta.stats.started
        body["errors"] = delta.errors.entries
        self._writer.write(encode(Frame("hook_failed" if body["message"] else "hook_done", body)))

    def _make_vu(self, engine: CurlEngine, recorder: Recorder, setup_data: Any) -> VU:
        plan = self._plan
        context = Context(
            engine=engine,
            recorder=recorder,
            loop=asyncio.get_running_loop(),
            http=plan.http,
            base_url=plan.base_url,
            resolve=self._resolve,
        )
        context.setup_data = setup_data
        # What a setup reads of its few replies is not worth a look at its code.
        usage = ReplyUsage(body=True, headers=True)
        return VU(0, context, ScenarioContext("", usage, {}, plan.env, plan.seed))


def check_plain(value: Any, hook: str) -> Any:
    """*value*, if it is plain data, which can go to other processes.

    Raises:
        FastloadError: it is not.
    """
    if inspect.isawaitable(value):
        raise FastloadError(f"{hook} returned something to await", hint="await it, and return its result")
    try:
        encode(Frame("hook_done", {"data": value}))
    except (TypeError, ValueError, OverflowError) as error:
        raise FastloadError(
            f"{hook} must return plain data (numbers, text, lists, dicts), not {type(value).__name__}: {error}",
            hint="return what VUs need, like a token",
        ) from error
    return value
