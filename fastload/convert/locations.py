"""Errors in a source file, with their location: line, column, or path in the JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

import orjson

from fastload.model.errors import PlanError

_WORD = re.compile(r"[\w-]+")


def malformed_json(name: str, data: bytes, message: str) -> PlanError:
    """Return the error for *data* of the file *name*, which is not valid JSON, with line and column."""
    where = name
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        where, message = f"{name}:{error.lineno}:{error.colno}", error.msg
    return PlanError(f"{where}: the JSON is malformed: {message}", hint="write the file anew; nothing was written")


def json_path(steps: Iterable[str | int]) -> str:
    """Return *steps* as a path, like ``paths["/pets"].get.parameters[0]``."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _WORD.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def refuse(name: str, where: str, message: str, *, hint: str = "", line: int | None = None) -> NoReturn:
    """Raise an error for the value at *where*, a path in the JSON of the file *name*.

    Raises:
        PlanError: always.
    """
    file = f"{name}:{line}" if line else name
    raise PlanError(f"{file}: {where or 'at the top'}: {message}", hint=hint)
