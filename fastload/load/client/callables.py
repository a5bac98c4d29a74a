"""Callables: the functions within decorated functions, partial functions, methods, and objects that can be called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from types import CellType, FunctionType, MethodType
from typing import Any

_MOST_WRAPPED = 100


def layers_of(item: Any) -> Iterator[Any]:
    """Yield *item* and what it calls: the wrapped function, the function of a method, ``__call__`` of an object.

    Only types and namespaces are asked: an object of a script may run code for each attribute, and raise.
    """
    for _ in range(_MOST_WRAPPED):
        yield item
        if isinstance(item, functools.partial):
            item = item.func
        elif type(item) in (MethodType, staticmethod, classmethod):
            item = item.__func__
        elif (inner := _namespace(item).get("__wrapped__")) is not None:
            # Of `functools.wraps` and its like. The wrapper may do more, but calls this in the end.
            item = inner
        elif type(item) is not FunctionType and type(_call_of(item)) is FunctionType:
            item = _call_of(item)
        else:
            return


def is_async(item: Any) -> bool:
    """Return whether a call of *item* gives a coroutine, as far as can be seen without a call."""
    return not isinstance(item, type) and any(inspect.iscoroutinefunction(one) for one in layers_of(item))


def kind_of(item: Any) -> str:
    """Return what *item* is that is not async: "a class", "an async generator", "a generator", "a lambda",
    "a wrapper" of an async function, or ""."""
    layers = list(layers_of(item))
    if isinstance(item, type):
        return "a class"
    if any(inspect.isasyncgenfunction(one) for one in layers):
        return "an async generator"
    if any(inspect.isgeneratorfunction(one) for one in layers):
        return "a generator"
    if getattr(item, "__name__", "") == "<lambda>":
        return "a lambda"
    cells = item.__closure__ if isinstance(item, FunctionType) else ()
    return "a wrapper" if any(is_filled(cell) and is_async(cell.cell_contents) for cell in cells or ()) else ""


def is_filled(cell: CellType) -> bool:
    """Return whether a variable of an outer function has a value, and this can be called."""
    try:
        return callable(cell.cell_contents)
    except ValueError:
        return False


def _namespace(item: Any) -> dict[str, Any]:
    try:
        found = object.__getattribute__(item, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict and not isinstance(item, type) else {}


def _call_of(item: Any) -> Any:
    return (
        None
        if isinstance(item, type)
        else next((vars(one)["__call__"] for one in type(item).__mro__ if "__call__" in vars(one)), None)
    )
