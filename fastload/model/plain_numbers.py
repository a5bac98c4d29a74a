"""Plain numbers: the one rule by which numbers of other libraries, like those of numpy, become Python's own."""

from __future__ import annotations

import operator
from numbers import Integral, Real
from typing import Any


def as_whole(value: Any) -> int | None:
    """Return *value* as an `int` if it is a whole number of any library; None if it is something else.

    True and 2.0 are no whole numbers: neither is what somebody writes for a count.
    """
    return operator.index(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def as_flag(value: Any) -> bool | None:
    """Return *value* as a `bool` if it is one, of Python or of numpy; None if it is something else."""
    # By its name: to import numpy takes longer than all the rest.
    kind = type(value)
    is_flag = kind is bool or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"))
    return bool(value) if is_flag else None


def as_plain(value: Any) -> Any:
    """Return a number or a flag of any library as Python's own, and every other *value* as it is."""
    if type(value) in (int, float, bool, str):
        return value
    for plain in (as_flag(value), as_whole(value)):
        if plain is not None:
            return plain
    return float(value) if isinstance(value, Real) else value
