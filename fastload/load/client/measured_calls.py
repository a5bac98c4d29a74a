"""Measured calls: ``fl.measure`` times any code of a scenario and counts its failures."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic_ns
from types import TracebackType
from typing import ParamSpec, TypeVar

from fastload.load.client.vu import VU, current_vu
from fastload.load.recording import blocks
from fastload.load.recording.outcome import JUDGED, is_failure
from fastload.model.errors import PlanError, text_of_error
from fastload.model.names import as_name, as_text, tag_texts
from fastload.model.public_types import called_by_fastload
from fastload.model.tags import check_own_tags

P = ParamSpec("P")
R = TypeVar("R")


class Measured:
    """A measured call: the value of ``async with fl.measure(...) as call:``.

    ``duration_ms`` is how long it took; None before the end of the block.
    """

    __slots__ = ("_due_ns", "_failure", "_name", "_scope", "_start_ns", "_tags", "_vu", "duration_ms")

    @called_by_fastload
    def __init__(self, name: str, tags: Mapping[str, str] | None) -> None:
        self._name = name
        self._tags = tags
        self._failure: str | None = None
        self._vu: VU | None = None
        self.duration_ms: float | None = None

    def fail(self, reason: str) -> None:
        """Count the call as failed, without an exception.

        Each *reason* is counted as a separate kind of error: leave numbers and ids out of it.
        """
        self._failure = as_text(reason, "the reason of a failure") or "no reason given"

    def _begin(self) -> None:
        """Start the clock. `Measure` calls this at the beginning of the block."""
        self._vu = vu = current_vu()
        self._due_ns = 0
        if vu is not None:
            self._scope = vu._scope()
            self._due_ns = vu._due_of_call()
        self._start_ns = monotonic_ns()

    def _end(self, error: BaseException | None) -> None:
        """Stop the clock and record the call. *error* is the exception that ended the block, if any."""
        done_ns = monotonic_ns()
        self.duration_ms = (done_ns - self._start_ns) / 1e6
        vu = self._vu
        if vu is None or _is_no_outcome(error, vu):
            return
        if error is None:
            vu._call_ended(self._due_ns)
        record, record_error = vu._recorder.sample, vu._recorder.record_error
        kind = type(error).__name__ if error is not None else JUDGED if self._failure is not None else ""
        for metric, value in (("calls", 1), ("call_failed", int(bool(kind)))):
            record(self._scope, metric, self._name, value, self._tags, kind)
        if error is None:
            record(self._scope, "call_duration", self._name, (done_ns - self._start_ns) // 1000, self._tags, kind)
            if self._due_ns:
                us = max(0, done_ns - self._due_ns) // 1000
                record(self._scope, "call_response_time", self._name, us, self._tags, kind)
        if error is not None:
            message = text_of_error(error)
            record_error(kind, f"{self._name}: {message}" if message else self._name, self._name)
        elif self._failure is not None:
            vu._recorder.record_judgement(self._name, self._failure)


class Measure(blocks.Block):
    """The context manager and decorator that `measure` returns."""

    __slots__ = ("_measured", "_name", "_tags")
    _call = "fl.measure(...)"

    def __init__(self, name: str, tags: Mapping[str, str] | None) -> None:
        self._name = name
        self._tags = tags
        if blocks.notes_makers:
            self._note_maker()

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Measure every call of the ``async def`` *function*."""
        self._is_entered = True

        @functools.wraps(function)
        async def measured(*args: P.args, **kwargs: P.kwargs) -> R:
            async with Measure(self._name, self._tags):
                return await function(*args, **kwargs)

        return measured

    async def __aenter__(self) -> Measured:
        self._is_entered = True
        self._measured = Measured(self._name, self._tags)
        self._measured._begin()
        return self._measured

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._measured._end(error)


def measure(name: str, *, tags: Mapping[str, str] | None = None) -> Measure:
    """Time any code, like a call of a gRPC, SQL or queue client: ``async with fl.measure("grpc.Hello"):``.

    The block counts as a call named *name* in the metrics ``calls``, ``call_failed`` and ``call_duration``. An
    exception in the block counts the call as failed, and is not suppressed. As a decorator of an ``async def``,
    `measure` measures every call of the function. Outside of an iteration, as in setup, nothing is recorded.

    Raises:
        PlanError: *name* is empty or no text, or *tags* are not valid, or have the name of a built-in tag.
    """
    if type(name) is not str:
        name = as_name(name, "the name of a measured call")
    if not name:
        raise PlanError(
            "the name '' of a measured call is not valid", hint='write: async with fl.measure("redis.get"):'
        )
    if tags is not None:
        tags = tag_texts(tags)
        check_own_tags(tags)
    return Measure(name, tags)


def _is_no_outcome(error: BaseException | None, vu: VU) -> bool:
    """Return whether *error* comes from an interruption or the end of the run, and says nothing about the call."""
    if isinstance(error, asyncio.CancelledError):
        return vu._was_interrupted()
    return error is not None and not is_failure(error)
