"""Loop runner: runs the event loop of a process until its work is done, whatever the script's tasks raise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any


def run_to_end(main: Coroutine[Any, Any, None], loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Run *main* on a new event loop until it is done.

    asyncio ends the loop when any task or callback raises SystemExit or KeyboardInterrupt. Whoever awaits that task
    gets the exception as well, so the loop goes on. It also goes on after a ``stop()`` that the script called.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        task = loop.create_task(main)
        while not task.done():
            # A RuntimeError: somebody stopped the loop before the task was done.
            with contextlib.suppress(SystemExit, KeyboardInterrupt, RuntimeError):
                loop.run_until_complete(task)
        task.result()
