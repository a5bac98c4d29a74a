"""Pairs: names and values that a script gives as a mapping, or as pairs, in which a name may come twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastload.model.errors import PlanError

Params = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Parameters of a query string: by name, or as pairs."""


def pairs_of(given: Any, what: str, example: str) -> list[tuple[Any, Any]]:
    """Return the names and values of *given*. *what* names the option, and *example* shows it, in errors.

    Raises:
        PlanError: *given* is no mapping, and has no pairs either.
    """
    if isinstance(given, Mapping):
        return list(given.items())
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | bytearray | memoryview):
        pairs = list(given)
        if all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
            return [tuple(pair) for pair in pairs]
        raise PlanError(f"{what} is a {type(given).__name__} without names and values", hint=f"write {example}")
    raise PlanError(f"{what} is a {type(given).__name__}, which has no names and values", hint=f"write {example}")
