"""Values of every kind that a script may give where a text, a number or an option is expected."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import types
import uuid
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from hypothesis import strategies as st


class Color(enum.Enum):
    """An Enum with values of several kinds."""

    RED = "red"
    SEVEN = 7
    PAIR = ("a", 1)


class HostileText(str):
    """A text that can do nothing but be one."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __format__ = __str__  # type: ignore[assignment]


class HostileObject:
    """An object whose every use raises."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __bool__ = __iter__ = __len__ = __str__

    def __eq__(self, other: object) -> NoReturn:
        raise RuntimeError("not equal to anything")

    __hash__ = None  # type: ignore[assignment]


class ShownText(HostileText):
    """The same with a repr: hypothesis shows what it has drawn."""

    __slots__ = ()

    def __repr__(self) -> str:  # type: ignore[override]
        return "<ShownText>"


class ShownObject(HostileObject):
    """The same with a repr."""

    def __repr__(self) -> str:  # type: ignore[override]
        return "<ShownObject>"


class HostileError(Exception):
    """An exception without a message."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")


class Point(types.SimpleNamespace):
    """An object of the script."""


SINGLE: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "0": 0,
    "7": 7,
    "-1": -1,
    "1.5": 1.5,
    "NaN": float("nan"),
    "inf": float("inf"),
    "huge integer": 10**400,
    "more digits than Python writes": 10**5000,
    "65 bits": 2**64,
    "complex": 1j,
    "decimal": decimal.Decimal("1.5"),
    "numpy integer": np.int64(7),
    "numpy float": np.float32(1.5),
    "numpy bool": np.bool_(1),
    "numpy array": np.array([1, 2]),
    "empty text": "",
    "text": "text",
    "duration": "1ms",
    "surrogate": "a\ud800b",
    "NUL": "a\0b",
    "control characters": "a\x1b[31m\r\nb: c",
    "not ASCII": "é😀",
    "group name": "a::b",
    "a megabyte": "x" * 1_000_000,
    "bytes": b"bytes",
    "tuple": ("a", 1),
    "list": ["a"],
    "set": {1},
    "dict": {"a": 1},
    "dict of everything": {None: b"x", ("a",): [1], 7: {}},
    "Enum": Color.RED,
    "Enum of number": Color.SEVEN,
    "Enum of pair": Color.PAIR,
    "path": pathlib.Path("nowhere") / "x",
    "UUID": uuid.UUID(int=7),
    "date": datetime.date(2026, 1, 2),
    "hostile text": HostileText("hostile"),
    "hostile object": HostileObject(),
    "object": Point(),
    "class": dict,
    "function": print,
    "module": types,
}
"""A value of each kind, by what it is called in a failing test."""

_UNSHOWN = ("a megabyte", "hostile text", "hostile object")
anything = st.one_of(
    st.sampled_from([value for name, value in SINGLE.items() if name not in _UNSHOWN]),
    st.sampled_from([ShownText("hostile"), ShownObject()]),
    st.text(st.characters(), max_size=8),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.binary(max_size=4),
    st.lists(st.sampled_from([1, "a", None, b"x", 1.5]), max_size=3),
    st.dictionaries(st.sampled_from(["a", "name", "scenario", 1, None]), st.sampled_from([1, "a", None, b"x", [1]])),
)
