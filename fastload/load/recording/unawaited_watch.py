"""Unawaited watch: finds what a script makes and never uses, so that it does nothing: coroutines without an ``await``,
and blocks without an ``async with``."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import CoroutineType, FrameType
from typing import Any

from fastload.load.recording import blocks
from fastload.load.recording.blocks import Block
from fastload.load.recording.leftovers import leftovers
from fastload.load.recording.stall_watch import is_of_script, line_at, line_of
from fastload.model.judging.stalls import MOST_LINES

FIRST_S = 0.1
"""For how long from the start, at least, Python notes where each coroutine is made: what is kept is named by its first
ones."""
# How many calls may lie between the line of the script and the function that makes the coroutine.
_ORIGIN_DEPTH = 10
# The function of the module `warnings` that Python calls with each coroutine that ends unawaited. It is asked for by
# name each time, is there since Python 3.8, and sees every coroutine: a filter for warnings shows some only once.
_HOOK = "_warn_unawaited_coroutine"
_CLIENT = str(Path(__file__).parents[1] / "client")

_NO_BLOCK = " [a block: async with is missing]"
_NO_LOOP = " [an async generator: async for is missing]"


class UnawaitedWatch:
    """Watch for unused coroutines and blocks of the script and of fastload. Those of other code get Python's own
    warning.

    Python reports a coroutine when it is thrown away, so that the awaited ones cost nothing. A call that is a whole
    statement is thrown away at once: the running line is its own. A coroutine with a name is thrown away with the
    variables of its function. For the first `FIRST_S`, and from the first one that is found on, the line that makes
    each is noted, to name these as well. What is never thrown away is found by `find_kept`.

    ``lines`` counts what was not used by line. *on_found* is called with the line of each, and returns whether it
    counts.
    """

    def __init__(self, on_found: Callable[[str], bool]) -> None:
        self.lines: dict[str, int] = {}
        self._on_found = on_found
        self._has_found = False
        self._makers: dict[str, list[str]] = {}
        self._unknown: dict[str, str] = {}
        self._warn: Callable[[Coroutine[Any, Any, Any]], None]

    def start(self) -> None:
        """Begin to watch, in all threads of this process."""
        self._warn = getattr(warnings, _HOOK)
        setattr(warnings, _HOOK, self._on_unawaited)
        blocks.on_unused = self._on_unused
        _note_makers(notes=True)

    def end_first(self) -> None:
        """End the first `FIRST_S`. The caller has the clock."""
        if not self._has_found:
            _note_makers(notes=False)

    def stop(self) -> None:
        """Let Python warn again."""
        setattr(warnings, _HOOK, self._warn)
        blocks.on_unused = None
        _note_makers(notes=False)

    def find_kept(self, owner: type, counts: Callable[[Any, int], bool]) -> None:
        """Count what is still in memory and was never used, at the end of the work.

        *counts* is called with an owner, an object of the class *owner* that the coroutines or blocks belong to (None
        if there is none), and how many of one line it has. It returns whether they were forgotten.
        """
        found: dict[tuple[int, str], tuple[Any, int]] = {}
        kept = list(leftovers(owner, lambda one: isinstance(one, Block) or _is_concern(one)))
        for unused, _ in kept:
            self._learn_maker(unused)
        for unused, of in kept:
            key = id(of), self._line_of_kept(unused)
            found[key] = of, found.get(key, (of, 0))[1] + 1
        for (_, line), (of, count) in found.items():
            if counts(of, count):
                self._count(line, count)

    def _on_unused(self, block: Block, frame: FrameType) -> None:
        line = block.maker or (line_of(frame) if is_of_script(frame.f_code.co_filename) else block.call)
        self._note(line + _NO_BLOCK)

    def _on_unawaited(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        line = _line_that_made(coroutine, sys._getframe(1))
        if line:
            self._note(line)
        else:
            self._warn(coroutine)

    def _note(self, line: str) -> None:
        self._has_found = True
        _note_makers(notes=True)
        if self._on_found(line):
            self._count(line, 1)

    def _count(self, line: str, count: int) -> None:
        if line in self.lines or len(self.lines) < MOST_LINES:
            self.lines[line] = self.lines.get(line, 0) + count

    def _learn_maker(self, unused: Any) -> None:
        """Note which line made *unused*, if that is known, for calls that are equal or alike."""
        if not isinstance(unused, Block | CoroutineType):
            return
        call = _call_of(unused)
        if line := unused.maker if isinstance(unused, Block) else _origin_of(unused):
            for of in (call, _kind_of(call)):
                makers = self._makers.setdefault(of, [])
                if line not in makers:
                    makers.append(line)
        else:
            self._unknown.setdefault(_kind_of(call), call)

    def _line_of_kept(self, unused: Any) -> str:
        """Return the line that made *unused*; of one from after the first `FIRST_S`, that of an equal call.

        Calls differ where a script computes their URLs. If no line made an equal call, it is the line that made all
        calls of that kind, like ``vu.get``, or else the first call of that kind.
        """
        if not isinstance(unused, Block | CoroutineType):
            code = unused.ag_code
            return line_at(code.co_filename, code.co_firstlineno, code.co_name) + _NO_LOOP
        if isinstance(unused, Block):
            return (unused.maker or self._maker_of(unused.call)) + _NO_BLOCK
        return _origin_of(unused) or self._maker_of(_call_of(unused))

    def _maker_of(self, call: str) -> str:
        kind = _kind_of(call)
        alike = self._makers.get(kind, [])
        if equal := self._makers.get(call):
            return equal[0]
        return alike[0] if len(alike) == 1 else self._unknown[kind]


def line_that_holds(coroutine: Any, wanted: Any) -> str:
    """Return the line of *coroutine*, or of what it awaits, that holds *wanted* while it waits; "" if none does."""
    while isinstance(coroutine, CoroutineType) and (frame := coroutine.cr_frame):
        if any(one is wanted for one in gc.get_referents(coroutine)):
            code = frame.f_code
            here = line_at(code.co_filename, frame.f_lineno, code.co_name)
            return here if is_of_script(code.co_filename) else _origin_of(coroutine) or _call_of(coroutine)
        coroutine = coroutine.cr_await
    return ""


def _note_makers(*, notes: bool) -> None:
    blocks.notes_makers = notes
    sys.set_coroutine_origin_tracking_depth(_ORIGIN_DEPTH if notes else 0)


def _is_concern(unused: Any) -> bool:
    """Whether a coroutine or an async generator is of the script or of fastload."""
    code = unused.cr_code if isinstance(unused, CoroutineType) else unused.ag_code
    return is_of_script(code.co_filename) or code.co_filename.startswith(_CLIENT)


def _line_that_made(coroutine: Any, frame: FrameType) -> str:
    """Return the line of the script that made *coroutine*, or else what it would have done; "" if it is no concern of
    the script. *frame*: the one that threw it away."""
    if coroutine.cr_origin:
        return _origin_of(coroutine)
    if is_of_script(frame.f_code.co_filename):
        return line_of(frame)
    return _call_of(coroutine) if _is_concern(coroutine) else ""


def _origin_of(coroutine: Any) -> str:
    """Return the line of the script that made *coroutine*; "" if it was not noted, or if a library made it."""
    for filename, number, function in coroutine.cr_origin or ():
        if is_of_script(filename):
            return line_at(filename, number, function)
        if not filename.startswith(_CLIENT):
            break
    return ""


def _call_of(unused: Any) -> str:
    """Return the line of the function that *unused* would have run, or the call of fastload's that made it."""
    if isinstance(unused, Block):
        return unused.call
    code = unused.cr_code
    if is_of_script(code.co_filename):
        return line_at(code.co_filename, code.co_firstlineno, code.co_name)
    made_with = unused.cr_frame.f_locals
    return f"vu.{made_with['method'].lower()}({made_with['url']!r})" if "url" in made_with else f"vu.{code.co_name}"


def _kind_of(call: str) -> str:
    """Return a call of a VU without its arguments; any other as it is."""
    return call.partition("(")[0] if call.startswith("vu.") else call
