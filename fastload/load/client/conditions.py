"""Conditions of checks and times of pauses: the errors for what a script gives in their place."""

from __future__ import annotations

import inspect
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType
from typing import Any

from fastload.model.errors import PlanError

_TRUE_WHATEVER_THEY_SAY = (tuple, set, frozenset, GeneratorType, FunctionType, MethodType, BuiltinFunctionType)


def truth_of(check: str, value: Any) -> bool:
    """Return whether *value* is true, as Python sees it.

    Raises:
        PlanError: it is true whatever it says: a text, a pair, a function that was not called, something to await.
    """
    if isinstance(value, _TRUE_WHATEVER_THEY_SAY):
        raise PlanError(
            f"check {check!r} is a {type(value).__name__}, and no condition",
            hint="give one condition, like reply.status == 200; several become all(...) or any(...)",
        )
    if isinstance(value, str | bytes | bytearray):
        raise PlanError(
            f"check {check!r} is a text, {value!r:.80}, and no condition",
            hint='compare it, like "ok" in reply.text, or write bool(...) if it only must not be empty',
        )
    if inspect.isawaitable(value) or inspect.isasyncgen(value):
        if inspect.iscoroutine(value):
            # Python warns of a coroutine that is neither awaited nor closed.
            value.close()
        raise PlanError(
            f"check {check!r} is something to await, which is true whatever its result",
            hint="await it before the check, and give the check the result",
        )
    return bool(value)


def pause_error(least_s: Any, most_s: Any) -> PlanError:
    """Return the error for a pause of *least_s* to *most_s* seconds that cannot be made."""
    given = repr(least_s) if most_s is None else f"{least_s!r}, {most_s!r}"
    what = f"vu.sleep({given:.80}): seconds are a number from 0 on"
    return PlanError(what, hint="write vu.sleep(1) for one second, or vu.sleep(1, 5) for a random time between")
