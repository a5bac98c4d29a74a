"""Types of arguments: which argument is to blame when a call of a script fails with an error of Python's own."""

from __future__ import annotations

import collections.abc
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from fastload.model.errors import PlanError, ends_in_fastload, text_of_error
from fastload.model.names import as_text
from fastload.model.plain_numbers import as_flag

_TEXTS = (str, bytes)
_UNIONS = (Union, types.UnionType)
_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    bytes: "bytes",
    Any: "anything",
    collections.abc.Callable: "a function",
}


class CallArguments(NamedTuple):
    """Arguments of one call by name. *callee* is the function or class, whose annotations say which types it takes."""

    where: str
    callee: Any
    given: Mapping[str, Any]

    @classmethod
    def of(cls, where: str, made: Any) -> CallArguments:
        """Return the arguments with which the dataclass *made* was made."""
        return cls(where, type(made), {one.name: getattr(made, one.name) for one in fields(made) if one.init})


@contextmanager
def wrong_types_named(*calls: CallArguments) -> Iterator[None]:
    """Turn an error of Python's own in the block into a `PlanError`, if an argument of *calls* has a wrong type.

    Without an error this costs nothing: what works is not refused because of its type.

    Raises:
        PlanError: an argument has a type that the annotations do not name, or a value cannot be used.
        Exception: as the block, if all types are right.
    """
    try:
        yield
    except PlanError:
        raise
    except Exception as error:
        for call in calls:
            check_types(call, cause=error)
        if isinstance(error, OverflowError | ValueError) or not ends_in_fastload(error):
            what = f"{calls[0].where}: a value cannot be used: {type(error).__name__}: {text_of_error(error)}"
            raise PlanError(what, hint="look at the values that it is given") from error
        raise


def check_types(call: CallArguments, *, cause: Exception | None = None) -> None:
    """Check that all arguments of *call* have types that the annotations name.

    Raises:
        PlanError: one has not; *cause* is the error that it caused.
    """
    hints = _hints_of(call.callee)
    for name, value in call.given.items():
        if not _fits(value, hints.get(name, Any)):
            what = f"{call.where}: {name} is a {type(value).__name__}"
            raise PlanError(what, hint=f"it takes {_described(hints[name])}") from cause


def check_lists(where: str, given: Mapping[str, Any]) -> None:
    """Check that no argument that takes several values is a single text, which has one for each character.

    Raises:
        PlanError: one is.
    """
    for name, value in given.items():
        if isinstance(value, _TEXTS):
            shown = value if isinstance(value, str) else "..."
            raise PlanError(f"{where}: {name} is a {type(value).__name__}", hint=f"write {name}=[{shown!r:.80}]")


# The types of one class take a third of a millisecond to find out, and it is asked again and again.
@lru_cache(maxsize=256)
def _hints_of(callee: Any) -> dict[str, Any]:
    scope = vars(sys.modules[callee.__module__])
    return {name: _evaluated(text, scope) for name, text in callee.__annotations__.items()}


def _evaluated(text: Any, scope: dict[str, Any]) -> Any:
    try:
        annotated = type("Annotated", (), {"__annotations__": {"value": text}})
        return get_type_hints(annotated, scope)["value"]
    except NameError:
        # A name that is imported for type checkers only.
        return Any


def _fits(value: Any, hint: Any, *, nested: bool = False) -> bool:
    """Return whether *value* has the type *hint*. *nested*: it is in a mapping, where other values become texts."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in _UNIONS:
        return any(_fits(value, one, nested=nested) for one in inner)
    if origin is Literal:
        # Another text is refused elsewhere, with the nearest one.
        return isinstance(value, str)
    if hint is bool:
        return as_flag(value) is not None
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    if hint is str and nested:
        return _is_text(value)
    kind = origin or hint
    if kind is collections.abc.Callable:
        return callable(value)
    if not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return True
    if not isinstance(value, kind) or (isinstance(value, _TEXTS) and kind not in _TEXTS):
        return False
    if isinstance(value, Mapping) and len(inner) == 2:
        return all(
            _fits(key, inner[0], nested=True) and _fits(item, inner[1], nested=True) for key, item in value.items()
        )
    if isinstance(value, Collection) and inner:
        return all(_fits(item, inner[0]) for item in value)
    return True


def _is_text(value: Any) -> bool:
    try:
        as_text(value, "")
    except PlanError:
        return False
    return True


def _described(hint: Any) -> str:
    """Return a type as words: ``a whole number``."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in _UNIONS:
        return " or ".join(dict.fromkeys(_described(one) for one in inner if one is not type(None)))
    if origin is Literal:
        return " or ".join(repr(one) for one in inner)
    if words := _WORDS.get(origin or hint):
        return words
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(inner) == 2:
        return f"a mapping of {_described(inner[0])} to {_described(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Iterable) and inner:
        return f"several, each {_described(inner[0])}"
    return f"a {getattr(hint, '__name__', hint)}"
