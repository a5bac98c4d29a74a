"""Leftovers: coroutines, async generators and blocks that are in memory at the end, and were never begun."""

from __future__ import annotations

import asyncio
import dis
import gc
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import AsyncGeneratorType, CellType, CoroutineType, FunctionType, MethodType
from typing import Any

from fastload.load.recording.blocks import Block, is_unused

_CONTAINERS = (list, tuple, dict, set, deque)
# How deep what is kept may lie in containers of running code, and its owner in what was made of it.
_DEPTH = 4
_LEADS_TO_OWNER = (*_CONTAINERS, FunctionType, MethodType, CoroutineType, CellType)


def leftovers(owner: type, is_concern: Callable[[Any], bool]) -> Iterator[tuple[Any, Any]]:
    """Yield each object that was never begun and that *is_concern*, with the object of the class *owner* that it
    belongs to, or None.

    What running code holds is left out: a task that has not ended may still begin it. So is what was there before the
    last ``gc.freeze``.
    """
    gc.collect()
    objects = gc.get_objects()
    unused = [one for one in objects if _is_unused(one) and is_concern(one)]
    if not unused:
        return
    held = _held_by(one for one in objects if _may_go_on(one))
    for one in unused:
        if id(one) not in held:
            yield one, _owner_of(one, owner)


def unseen_errors() -> Iterator[BaseException]:
    """Yield the exceptions of tasks that are kept, and that nothing has asked for; asyncio reports them no more."""
    for one in gc.get_objects():
        if issubclass(type(one), asyncio.Future) and getattr(one, "_log_traceback", False) and one.done():
            one._log_traceback = False
            if error := one.exception():
                yield error


def _is_unused(one: Any) -> bool:
    kind = type(one)
    if kind is CoroutineType:
        return inspect.getcoroutinestate(one) == inspect.CORO_CREATED
    if kind is AsyncGeneratorType:
        return _is_unstarted(one)
    # By the type, because an object of a script may answer anything that it is asked.
    return issubclass(kind, Block) and is_unused(one)


def _is_unstarted(generator: AsyncGeneratorType[Any, Any]) -> bool:
    if sys.version_info >= (3, 12):
        return inspect.getasyncgenstate(generator) == inspect.AGEN_CREATED
    frame = generator.ag_frame
    return frame is not None and frame.f_code.co_code[max(frame.f_lasti, 0)] == dis.opmap["RETURN_GENERATOR"]


def _may_go_on(one: Any) -> bool:
    """Whether *one* is code that is not over, or a task."""
    return type(one) in (CoroutineType, AsyncGeneratorType) or issubclass(type(one), asyncio.Future)


def _held_by(running: Iterable[Any]) -> set[int]:
    """Return the ids of what *running* code and tasks hold, also in containers."""
    held: set[int] = set()
    level = list(running)
    for _ in range(_DEPTH):
        inner = [one for one in gc.get_referents(*level) if id(one) not in held]
        held.update(map(id, inner))
        level = [one for one in inner if type(one) in _CONTAINERS]
    return held


def _owner_of(one: Any, owner: type) -> Any:
    level, seen = [one], {id(one)}
    for _ in range(_DEPTH):
        inner = [each for each in gc.get_referents(*level) if id(each) not in seen]
        for each in inner:
            if type(each) is owner:
                return each
        seen.update(map(id, inner))
        level = [each for each in inner if type(each) in _LEADS_TO_OWNER]
    return None
