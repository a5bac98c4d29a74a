"""Values in parsed JSON by a path like ``data.items.0.id``."""

from __future__ import annotations

import sys
from typing import Any

from fastload.model.errors import nearest
from fastload.model.units import parse_whole


class NoSuchPathError(LookupError):
    """There is no value at a path. The message says which part of the path is missing."""


def at_path(data: Any, path: str) -> Any:
    """Return the value at *path*: object keys and array indexes (negative ones count from the end), joined by dots.

    Raises:
        NoSuchPathError: there is no such value.
    """
    seen: list[str] = []
    for part in path.split("."):
        data = _step(data, part, ".".join(seen) or "the top")
        seen.append(part)
    return data


def _step(data: Any, part: str, where: str) -> Any:
    if isinstance(data, dict):
        if part in data:
            return data[part]
        guess = nearest(part, data) or f"it has {', '.join(map(str, list(data)[:10])) or 'no names'}"
        raise NoSuchPathError(f"there is no {part!r} at {where}: {guess}")
    if isinstance(data, list):
        size = parse_whole(part.removeprefix("-"), sys.maxsize)
        if size is None:
            raise NoSuchPathError(f"{where} is an array, and {part!r} is no number")
        number = -size if part.startswith("-") else size
        if not -len(data) <= number < len(data):
            raise NoSuchPathError(f"the array at {where} has {len(data)} items, and no {number}")
        return data[number]
    raise NoSuchPathError(f"there is no {part!r} in {type(data).__name__} {data!r:.40} at {where}")
