"""Unawaited watch: finds coroutines that a script throws away without an ``await``, so that they do nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

from fastload.load.recording.stall_watch import is_of_script, line_at, line_of
from fastload.model.judging.stalls import MOST_LINES

# How many calls may lie between the line of the script and the function that makes the coroutine.
_ORIGIN_DEPTH = 10
# The function of the module `warnings` that Python calls with each coroutine that ends unawaited. It is asked for by
# name each time, is there since Python 3.8, and sees every coroutine: a filter for warnings shows some only once.
_HOOK = "_warn_unawaited_coroutine"
_CLIENT = str(Path(__file__).parents[1] / "client")


class UnawaitedWatch:
    """Watch for unawaited coroutines of the script and of fastload. Those of other code get Python's own warning.

    Python reports a coroutine when it is thrown away, so that the awaited ones cost nothing. A call that is a whole
    statement is thrown away at once: the running line is its own. A coroutine with a name is thrown away with the
    variables of its function. From the first one on, Python notes where each coroutine is made, to name these as well.

    ``lines`` counts the coroutines by line. *on_found* is called with the line of each, and returns whether it counts.
    """

    def __init__(self, on_found: Callable[[str], bool]) -> None:
        self.lines: dict[str, int] = {}
        self._on_found = on_found
        self._warn: Callable[[Coroutine[Any, Any, Any]], None]

    def start(self) -> None:
        """Begin to watch, in all threads of this process."""
        self._warn = getattr(warnings, _HOOK)
        setattr(warnings, _HOOK, self._on_unawaited)

    def stop(self) -> None:
        """Let Python warn again."""
        setattr(warnings, _HOOK, self._warn)
        sys.set_coroutine_origin_tracking_depth(0)

    def _on_unawaited(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        line = _line_that_made(coroutine, sys._getframe(1))
        if not line:
            self._warn(coroutine)
            return
        sys.set_coroutine_origin_tracking_depth(_ORIGIN_DEPTH)
        if not self._on_found(line):
            return
        if line in self.lines or len(self.lines) < MOST_LINES:
            self.lines[line] = self.lines.get(line, 0) + 1


def _line_that_made(coroutine: Any, frame: FrameType) -> str:
    """Return the line of the script that made *coroutine*, or else what it would have done; "" if it is no concern of
    the script. *frame*: the one that threw it away."""
    for filename, number, function in coroutine.cr_origin or ():
        if is_of_script(filename):
            return line_at(filename, number, function)
    if is_of_script(frame.f_code.co_filename):
        return line_of(frame)
    code = coroutine.cr_code
    if is_of_script(code.co_filename):
        return line_at(code.co_filename, code.co_firstlineno, code.co_name)
    if not code.co_filename.startswith(_CLIENT):
        return ""
    made_with = coroutine.cr_frame.f_locals
    return f"vu.{made_with['method'].lower()}({made_with['url']!r})" if "url" in made_with else f"vu.{code.co_name}"
