"""``fl.env``: values from outside, from ``-e NAME=VALUE`` or the shell, checked and converted before the run."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar, overload

from fastload.model.errors import PlanError, nearest

T = TypeVar("T")
D = TypeVar("D")
Plain = TypeVar("Plain", str, bool, int, float)

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")
_KIND = {
    bool: f"a bool: one of {', '.join(_TRUE + _FALSE)}",
    int: "an int: a whole number, like 10",
    float: "a float: a finite number, like 0.5",
}
_SECRET_PARTS = ("KEY", "TOKEN", "PASS", "PWD", "SECRET", "CREDENTIAL", "AUTH", "PRIVATE", "COOKIE")
# A name of the shell that merely resembles the wanted one a little is no help.
_CLOSE = 0.8


class _Required:
    """The default of a name that must be set."""


_REQUIRED: Final = _Required()


@overload
def env(name: str, *, choices: Collection[str] | None = None) -> str: ...
@overload
def env(name: str, *, type: Callable[[str], T], choices: Collection[T] | None = None) -> T: ...
@overload
def env(name: str, default: None, *, choices: Collection[str] | None = None) -> str | None: ...
@overload
def env(name: str, default: Plain, *, choices: Collection[Plain] | None = None) -> Plain: ...
@overload
def env(name: str, default: D, *, type: Callable[[str], T], choices: Collection[T] | None = None) -> T | D: ...


def env(
    name: str,
    default: Any = _REQUIRED,
    *,
    type: Callable[[str], Any] | None = None,  # noqa: A002 - the word that argparse and click use
    choices: Collection[Any] | None = None,
) -> Any:
    """The value of *name* in the environment, as given by ``-e``/``--env`` or the shell. Empty is as good as not set.

    Args:
        default: what it is when it is not set, returned as it stands; without one the name is required.
        type: ``str``, ``int``, ``float``, ``bool`` (1/0, true/false, yes/no, on/off), or any function of the text.
            Without it the type is that of a *default* that is a bool, an int or a float, else ``str``.
        choices: what the converted value may be.

    Raises:
        PlanError: it is required and not set, it does not convert, or it is none of *choices*.
    """
    text = os.environ.get(name, "")
    if not text:
        if default is _REQUIRED:
            guess = _near_name(name)
            hint = f"pass -e {name}=... or export it"
            raise PlanError(f"environment name {name} is not set", hint=f"{hint}; {guess}" if guess else hint)
        return default
    kind = default.__class__
    wanted = type or (kind if kind in _KIND else str)
    shown = "its value (not shown)" if _looks_secret(name) else repr(text)
    value = _converted(name, shown, text, wanted)
    if choices is not None and value not in choices:
        allowed = [str(choice) for choice in choices]
        guess = "" if _looks_secret(name) else nearest(text, allowed)
        raise PlanError(
            f"environment name {name}: {shown} is not allowed",
            hint=f"{guess} " * bool(guess) + f"one of: {', '.join(allowed)}",
        )
    return value


def convert_text(text: str, wanted: Callable[[str], Any]) -> Any:
    """*text* as *wanted*: a bool by its usual words, a float that is finite, else whatever ``wanted(text)`` is.

    Raises:
        Exception: whatever *wanted* raises; ValueError from the types of this module.
    """
    if wanted is bool:
        return _bool(text)
    return _finite(text) if wanted is float else wanted(text)


def described(wanted: Callable[[str], Any]) -> str:
    """What *wanted* takes, in words, for an error."""
    for kind, words in _KIND.items():
        if wanted is kind:
            return words
    return f"what {getattr(wanted, '__name__', repr(wanted))} takes"


def _converted(name: str, shown: str, text: str, wanted: Callable[[str], Any]) -> Any:
    try:
        return convert_text(text, wanted)
    except Exception:
        # The error of a conversion quotes the value: it must not hang on this one as its cause or context.
        pass
    raise PlanError(
        f"environment name {name}: {shown} is not {described(wanted)}", hint=f"pass -e {name}=... with such a value"
    )


def _near_name(name: str) -> str:
    by_upper = {other.upper(): other for other in os.environ if other != name}
    close = difflib.get_close_matches(name.upper(), by_upper, n=1, cutoff=_CLOSE)
    return f"did you mean {by_upper[close[0]]!r}?" if close else ""


def _looks_secret(name: str) -> bool:
    return any(part in name.upper() for part in _SECRET_PARTS)


def _bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(word)
    return word in _TRUE


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
