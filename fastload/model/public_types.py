"""Public classes as ``help`` and completion show them: what a script may use, and nothing else."""

from __future__ import annotations

import re
from abc import ABCMeta
from collections.abc import Callable
from inspect import Parameter, Signature, cleandoc
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")

# Of all special methods, those that have an operator or a statement which a script writes.
_SPECIAL = frozenset(
    (
        *("__call__", "__getitem__", "__len__", "__iter__", "__contains__", "__reversed__", "__aiter__"),
        *("__enter__", "__exit__", "__aenter__", "__aexit__"),
    )
)
# What belongs to one class, and is not to be copied into another.
_OF_ONE_CLASS = frozenset(
    ("__dict__", "__weakref__", "__slots__", "__annotations__", "__abstractmethods__", "_abc_impl")
)
_OPTION = re.compile(r"^    (?=\w)", re.MULTILINE)


class PublicType(type):
    """The class of public classes. ``dir`` of one, which ``help`` goes by, has its public names only.

    Calls of such a class are not specialized by Python 3.13: those of which each request makes an object have none.
    """

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_") or name in _SPECIAL]


class PublicABC(PublicType, ABCMeta):
    """The same of classes with abstract methods."""


def flattened(cls: type[C]) -> type[C]:
    """Return *cls* with what its bases have, and without bases: how it is made up of parts is no matter of a script."""
    names: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):
        names |= {name: value for name, value in vars(base).items() if name not in _OF_ONE_CLASS}
    made: Any = PublicType(cls.__name__, (), {**names, "__dir__": _public_names})
    for name, value in names.items():
        if callable(value) and hasattr(value, "__qualname__"):
            # Python begins its messages with it, as for a missing argument.
            value.__qualname__ = f"{cls.__name__}.{name}"
    return cast("type[C]", made)


def _public_names(self: object) -> list[str]:
    """Return what the completion of a debugger offers of an object."""
    return [name for name in object.__dir__(self) if not name.startswith("_")]


def called_by_fastload(constructor: F) -> F:
    """Take the parameters of a *constructor* that no script calls out of its help."""
    constructor.__signature__ = Signature([Parameter("self", Parameter.POSITIONAL_ONLY)])  # type: ignore[attr-defined]
    constructor.__doc__ = "fastload makes it; a script does not."
    return constructor


def described_options(options: type, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Return a decorator that appends what *options*, a TypedDict, says of each to the description of a function.

    It returns the function itself: a call costs nothing more.
    """

    def describe(function: F) -> F:
        # There is no description with python -OO.
        if function.__doc__ and options.__doc__:
            about = cleandoc(options.__doc__).partition("Args:\n")[2]
            entries = [one for one in _OPTION.split(about) if one and one.partition(":")[0] not in without]
            text = "".join(f"    {one}" for one in entries)
            function.__doc__ = f"{cleandoc(function.__doc__)}\n\nOptions (`{options.__name__}`):\n{text}"
        return function

    return describe
