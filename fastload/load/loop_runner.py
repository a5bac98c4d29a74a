"""Loop runner: runs the event loop of a process until its work is done, whatever the script's tasks raise or fork."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fastload.load.engine.curl import CurlEngine

T = TypeVar("T")


def run_to_end(main: Coroutine[Any, Any, None], loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Run *main* on a new event loop until it is done.

    asyncio ends the loop when any task or callback raises SystemExit or KeyboardInterrupt. Whoever awaits that task
    gets the exception as well, so the loop goes on. It also goes on after a ``stop()`` that the script called.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        task = own_task(main, loop)
        while not task.done():
            # A RuntimeError: somebody stopped the loop before the task was done.
            with contextlib.suppress(SystemExit, KeyboardInterrupt, RuntimeError):
                loop.run_until_complete(task)
        task.result()


def own_task(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Task[T]:
    """Return a `hidden` task that does *work*."""
    return hidden((loop or asyncio.get_running_loop()).create_task(work))


def hidden(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Let `asyncio.all_tasks` not list *task*, which is fastload's own, and return it: a script that cancels all tasks
    that it finds does not cancel this one."""
    # Python has this for the event loops of other packages, and documents it for them.
    asyncio.tasks._unregister_task(task)
    return task


def end_forks(loop: asyncio.AbstractEventLoop, engine: CurlEngine) -> None:
    """Let every fork that the script makes of this process end when it sends a request or comes back to *loop*.

    It would go on as a second worker, on the connections and the channel of the first one.
    """
    os.register_at_fork(after_in_child=partial(_end_soon, loop, engine))


def _end_soon(loop: asyncio.AbstractEventLoop, engine: CurlEngine) -> None:
    setattr(engine, "submit", _end)  # noqa: B010 - for mypy, a method is no attribute to set
    if not loop.is_closed():
        loop.call_soon(_end)


def _end(*_: Any) -> None:
    os._exit(1)
