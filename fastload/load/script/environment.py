"""Environment values (``fl.env``) from ``-e NAME=VALUE`` or the shell, checked and converted before the run."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeVar, overload

from fastload.model.errors import PlanError, nearest
from fastload.model.names import as_text
from fastload.model.redaction import is_secret

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
# Minimum similarity of a suggested name: a less similar one is no help.
_CLOSE = 0.8


class _Required:
    """Marker for the default of a required name."""

    def __repr__(self) -> str:
        return "required"


_REQUIRED: Final = _Required()


class UnsetNameError(PlanError):
    """The required *name* of the environment is not set."""

    def __init__(self, name: str, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.name = name


def unset_error(names: Iterable[str]) -> UnsetNameError:
    """Return the error for those of the required *names* that are not set: at least the first is not."""
    unset = [name for name in dict.fromkeys(names) if not os.environ.get(name)]
    *others, last = unset
    message = f"environment name{'s' * bool(others)} {' and '.join(filter(None, (', '.join(others), last)))}"
    guesses = (f"for {name}: {guess}" if others else guess for name in unset if (guess := _near_name(name)))
    given = f"pass {' '.join(f'-e {name}=...' for name in unset)} or export {'them' if others else 'it'}"
    return UnsetNameError(unset[0], f"{message} {'are' if others else 'is'} not set", hint="; ".join([given, *guesses]))


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
    """Return the environment value *name*, as set by ``-e``/``--env`` or the shell. An empty value counts as not set.

    Args:
        default: value if *name* is not set, returned without conversion; without a default the name is required.
        type: ``str``, ``int``, ``float``, ``bool`` (1/0, true/false, yes/no, on/off), or any function of the text. By
            default the type of *default* if that is a bool, an int or a float, otherwise ``str``.
        choices: the allowed values, compared after the conversion.

    Raises:
        PlanError: the name is required and not set, or its value cannot be converted or is not one of *choices*.
    """
    name = as_text(name, "a name of the environment")
    text = os.environ.get(name, "")
    if not text:
        if default is _REQUIRED:
            raise unset_error([name])
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
    """Return *text* converted to *wanted*: a bool by the usual words, a finite float, otherwise ``wanted(text)``.

    Raises:
        ValueError: *text* is not a bool, or not a finite float.
        Exception: any exception that *wanted* raises.
    """
    if wanted is bool:
        return _bool(text)
    return _finite(text) if wanted is float else wanted(text)


def described(wanted: Callable[[str], Any]) -> str:
    """Return a description of the texts that *wanted* accepts, for an error message."""
    for kind, words in _KIND.items():
        if wanted is kind:
            return words
    return f"what {getattr(wanted, '__name__', repr(wanted))} takes"


def _converted(name: str, shown: str, text: str, wanted: Callable[[str], Any]) -> Any:
    try:
        return convert_text(text, wanted)
    except Exception:
        # The exception of a conversion quotes the value, which may be secret. The error below is raised outside of this
        # block, so that the exception is neither its cause nor its context.
        pass
    raise PlanError(
        f"environment name {name}: {shown} is not {described(wanted)}", hint=f"pass -e {name}=... with such a value"
    )


def _near_name(name: str) -> str:
    by_upper = {other.upper(): other for other in os.environ if other != name}
    close = difflib.get_close_matches(name.upper(), by_upper, n=1, cutoff=_CLOSE)
    return f"did you mean {by_upper[close[0]]!r}?" if close else ""


def _looks_secret(name: str) -> bool:
    # Environment names often have no joints between words, as in DBPASS.
    return is_secret(name) or any(part in name.lower() for part in ("key", "pass", "auth"))


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
