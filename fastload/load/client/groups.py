"""Groups, timed parts of an iteration: ``async with vu.group("login"):``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from types import TracebackType

from fastload.load.recording import blocks
from fastload.load.recording.scope import CURRENT_SCOPE, Scope


class Group(blocks.Block):
    """A timed part of an iteration. Its duration is recorded also after an exception, but not after an interruption."""

    __slots__ = ("_enter", "_outer", "_scope", "_start_ns", "_was_interrupted")
    _call = "vu.group(...)"

    def __init__(self, enter: Callable[[], Scope], was_interrupted: Callable[[], bool]) -> None:
        self._enter = enter
        self._was_interrupted = was_interrupted
        if blocks.notes_makers:
            self._note_maker()

    async def __aenter__(self) -> None:
        self._is_entered = True
        self._outer = CURRENT_SCOPE.get()
        self._scope = self._enter()
        CURRENT_SCOPE.set(self._scope)
        self._start_ns = monotonic_ns()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        CURRENT_SCOPE.set(self._outer)
        gave_up = kind is not None and issubclass(kind, asyncio.CancelledError | GeneratorExit)
        if not (gave_up and self._was_interrupted()):
            self._scope.group_us.append((monotonic_ns() - self._start_ns) // 1000)
