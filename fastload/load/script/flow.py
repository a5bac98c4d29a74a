"""How a script ends an iteration, or the whole test, from wherever it is."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from fastload.load.client.vu import current_vu
from fastload.model.errors import FastloadError

if TYPE_CHECKING:
    from fastload.load.client.context import WorkerContext


class IterationFailed(FastloadError):
    """`fail` was called: this iteration counts as failed, under this name, and the next one begins."""


class IterationTimeout(FastloadError):
    """An iteration took longer than the scenario's ``iteration_timeout``."""


class TestAborted(BaseException):
    """`abort` was called. No `Exception`, so that a script's ``except Exception`` does not go on with the test."""

    __test__ = False


def fail(reason: str) -> NoReturn:
    """End this iteration as failed: it counts in ``iterations_failed``, and *reason* is in the summary.

    In setup or teardown it fails that function, and with it the test.
    """
    raise IterationFailed(reason)


def abort(reason: str) -> NoReturn:
    """End the whole test now: iterations are interrupted, teardown runs, and the exit code is 108."""
    vu = current_vu()
    task = _current_task()
    if vu is not None and task is not None:
        # In a task that nobody awaits, what is raised would be lost; who awaits it is told first, and ends as ever.
        task.add_done_callback(partial(_report_abort, vu._context))
    raise TestAborted(reason)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        # In a thread, whose caller gets what is raised.
        return None


def _report_abort(context: WorkerContext, task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and isinstance(error := task.exception(), TestAborted):
        context.abort(str(error))
