"""Checked conversion of plain data: a file may have any value in any place, and a dataclass takes it as it is.

The annotations of the dataclasses say what is right. A number is finite and has a bounded size, a whole number is not
negative: no figure of a run is anything else, and what reads a run can compute with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Converter = Callable[[Any], Any]

LARGEST = 1e18
"""Largest size of a number that is no value of a metric: ten times the nanoseconds of three years."""
MOST_WHOLE = 2**63 - 1
DEEPEST = 32
"""Limit of maps and lists within each other. What writes JSON goes down some hundred levels, and Python a thousand."""
_SCALARS = frozenset((NoneType, bool, int, float, str))


def made_of(kind: type[T], plain: Any, **made: Any) -> T:
    """Return a *kind*, a dataclass or a named tuple, of the entries of *plain* that it has as fields.

    *made* are fields that are there already, and not looked for.

    Raises:
        ValueError: *plain* is no map, lacks an entry, or an entry has another type than the field.
    """
    if type(plain) is dict and not made:
        # The usual case, for each sample of each second: every field is there and right.
        try:
            return kind(**{name: convert(plain[name]) for name, convert, _ in _fields_of(cast("Any", kind))})
        except (KeyError, ValueError):
            pass
    if not isinstance(plain, Mapping):
        raise ValueError(f"{_shown(plain)} is no map")
    values = dict(made)
    for name, convert, is_required in _fields_of(cast("Any", kind)):
        if name in made:
            continue
        if name in plain:
            try:
                values[name] = convert(plain[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        elif is_required:
            raise ValueError(f"there is no {name!r}")
    return kind(**values)


@lru_cache(maxsize=256)
def converter(annotation: Any) -> Converter:
    """Return the function that checks a value for *annotation*, and makes tuples of lists. It raises ValueError."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if annotation is Any:
        return _as_it_is
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _any_of(tuple(map(converter, inner)))
    if origin is Literal:
        return _one_of(inner)
    if origin is tuple and inner[-1] is Ellipsis:
        return _all(converter(inner[0]))
    if origin is tuple:
        return _each(tuple(map(converter, inner)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _by_name(converter(inner[1]))
    raise TypeError(f"there is no check for {annotation!r}")


def any_number(value: Any) -> Any:
    """Return *value* if it is a number of any kind: a script's own metric may be infinite, or not a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"{_shown(value)} is no number")


def check_plain_data(value: Any, depth: int = DEEPEST) -> None:
    """Check that *value* is plain data, as JSON has it, at most *depth* maps and lists deep.

    Raises:
        ValueError: it is not.
    """
    if type(value) is dict:
        if any(type(key) is not str for key in value):
            raise ValueError("a map has keys that are no text")
        inside: Any = value.values()
    elif type(value) in (list, tuple):
        inside = value
    elif type(value) in _SCALARS:
        return
    else:
        raise ValueError(f"{_shown(value)} is no plain data")
    if not depth:
        raise ValueError(f"there are more than {DEEPEST} maps and lists within each other")
    # A list of samples has hundreds of thousands of numbers.
    if not _SCALARS.issuperset(map(type, inside)):
        for one in inside:
            check_plain_data(one, depth - 1)


@lru_cache(maxsize=64)
def _fields_of(kind: type[Any]) -> tuple[tuple[str, Converter, bool], ...]:
    """Return name, check, and whether there has to be one, of each field of *kind* whose type is plain data."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        defaults = {
            one.name: one.default is MISSING and one.default_factory is MISSING for one in fields(kind) if one.init
        }
    else:
        defaults = {name: name not in kind._field_defaults for name in kind._fields}
    found = []
    for name, is_required in defaults.items():
        try:
            found.append((name, converter(hints[name]), is_required))
        except TypeError:
            # No plain data: the caller makes it.
            found.append((name, _refuse, is_required))
    return tuple(found)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{_shown(value)} is neither true nor false")


def _whole(value: Any) -> int:
    # The exact type first, here and below: looking for subclasses takes several times as long.
    if type(value) is int and 0 <= value <= MOST_WHOLE:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_WHOLE:
        return value
    raise ValueError(f"{_shown(value)} is no whole number from 0 on")


def _number(value: Any) -> float:
    if type(value) is float and -LARGEST <= value <= LARGEST:
        return value
    # Not a number is not within the bounds either.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return value
    raise ValueError(f"{_shown(value)} is no number of a run")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{_shown(value)} is no text")


def _as_it_is(value: Any) -> Any:
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise ValueError(f"{_shown(value)} is there")


def _refuse(value: Any) -> Any:
    raise ValueError(f"{_shown(value)} is no plain data")


def _any_of(converters: tuple[Converter, ...]) -> Converter:
    def convert(value: Any) -> Any:
        for one in converters:
            try:
                return one(value)
            except ValueError as error:
                last = error
        raise last

    return convert


def _one_of(choices: tuple[Any, ...]) -> Converter:
    def convert(value: Any) -> Any:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError(f"{_shown(value)} is none of {', '.join(choices)}")

    return convert


def _all(one: Converter) -> Converter:
    def convert(value: Any) -> tuple[Any, ...]:
        return tuple(map(one, _list(value)))

    return convert


def _each(converters: tuple[Converter, ...]) -> Converter:
    def convert(value: Any) -> tuple[Any, ...]:
        given = _list(value)
        # A later version may add more.
        if len(given) < len(converters):
            raise ValueError(f"{len(given)} values are too few")
        return tuple(one(entry) for one, entry in zip(converters, given, strict=False))

    return convert


def _by_name(one: Converter) -> Converter:
    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"{_shown(value)} is no map")
        return {_text(name): one(entry) for name, entry in value.items()}

    return convert


def _list(value: Any) -> list[Any] | tuple[Any, ...]:
    if type(value) is list or isinstance(value, list | tuple):
        return value
    raise ValueError(f"{_shown(value)} is no list")


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length():,} bits"
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    return f"{value!r:.40}"


_SIMPLE: dict[Any, Converter] = {
    bool: _flag,
    int: _whole,
    float: _number,
    str: _text,
    None: _nothing,
    NoneType: _nothing,
}
