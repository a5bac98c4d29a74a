"""Functions that end an iteration (`fail`) or the whole test (`abort`) from any code of a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

from fastload.load.client.vu import current_vu
from fastload.load.recording.outcome import TestAborted
from fastload.model.errors import FastloadError

if TYPE_CHECKING:
    pass


class IterationFailed(FastloadError):
    """The script called `fail`: the iteration counts as failed, under this class name, and the next one begins."""


class NeverAwaited(FastloadError):
    """An iteration made a coroutine, like ``vu.get("/")``, and did not await it: it did nothing."""

    def __init__(self, line: str) -> None:
        super().__init__(f"without await this does nothing: {line}")


class NeverEnded(FastloadError):
    """Setup or teardown returned while a task of it still used its VU, which ends with it."""

    def __init__(self, hook: str, line: str) -> None:
        super().__init__(
            f"{hook} ended before a task that it started: {line}", hint=f"await the task, or cancel it, in {hook}"
        )


class IterationTimeout(FastloadError):
    """An iteration took longer than the scenario's ``iteration_timeout``."""


def fail(reason: str) -> NoReturn:
    """End this iteration as failed: it counts in ``iterations_failed``, and the summary shows *reason*.

    In setup or teardown, fail that function, and with it the test.
    """
    raise IterationFailed(reason)


def abort(reason: str) -> NoReturn:
    """End the whole test now: interrupt all iterations, run teardown, and exit with code 108."""
    text = _text_of(reason)
    vu = current_vu()
    task = _current_task()
    if vu is not None and task is not None:
        # At once: the exception would be lost in a task that nobody awaits, or in an "except:" of the script.
        vu._context.abort(text)
    raise TestAborted(text)


def _text_of(reason: Any) -> str:
    """Return *reason* as a text; of what has none the type, because the test has to end in any case."""
    try:
        return str(reason)
    except Exception:
        return f"a reason of type {type(reason).__name__}"


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        # In a thread there is no task; the caller of the thread gets the exception.
        return None
