"""Names: the one rule by which a value of a script becomes the text under which something is counted or sent.

Names of requests, groups, checks, calls, metrics and scenarios, tags, headers and cookies enter through this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from numbers import Number
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.redaction import shortened

LONGEST_NAME = 500
"""Most characters of a name: workers repeat all names each second. A longer one is cut; see `shortened`."""

# Characters that are no text (halves of surrogate pairs), or that would change what a terminal or a file shows.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HINTS = {
    bytes: "decode it: value.decode()",
    type(None): "leave it out, or give a text",
}


def as_text(value: Any, what: str) -> str:
    """Return *value* as a plain `str`.

    Texts (also of subclasses), numbers, and members of an Enum (by their value, or by their name if the value is
    neither) are texts, and so is what has a text of its own, as a UUID, a date or a path. *what* names the value in
    errors. Halves of surrogate pairs, which no encoding can write, become ``\\ud800``.

    Raises:
        PlanError: *value* is None, bytes, a container, or another object without a text.
    """
    if type(value) is not str:
        value = _text_of(value, what)
    return value if value.isascii() else _SURROGATE.sub(_escaped, value)


def as_name(value: Any, what: str) -> str:
    """Return *value* as a name: a text as of `as_text`, on one line, of at most `LONGEST_NAME` characters.

    Control characters are escaped, like ``\\n``.

    Raises:
        PlanError: as `as_text`.
    """
    name = as_text(value, what)
    if not name.isprintable():
        name = _UNFIT.sub(_escaped, name)
    return shortened(name, LONGEST_NAME)


def tag_texts(tags: Any, what: str = "tags") -> dict[str, str]:
    """Return *tags* with names and values as of `as_name`. *what* names the mapping in errors.

    Raises:
        PlanError: *tags* is no mapping, or a name or a value is no text.
    """
    if not isinstance(tags, Mapping):
        raise PlanError(f"{what} is a {type(tags).__name__}", hint=f'write {what}={{"kind": "read"}}')
    texts = {
        (key := as_name(name, f"a name in {what}")): as_name(value, f"{key!r} in {what}")
        for name, value in tags.items()
    }
    if "" in texts:
        raise PlanError(f"{what} has an empty name", hint=f'write {what}={{"kind": "read"}}')
    return texts


def are_plain(texts: Iterable[Any]) -> bool:
    """Return whether all *texts* are of the type `str` itself: then equal ones have equal texts, and may be cached.

    1, 1.0 and True are equal, although their texts are not.
    """
    return all(type(text) is str for text in texts)


def _text_of(value: Any, what: str) -> str:
    try:
        if isinstance(value, Enum):
            inner = value.value
            return _text_of(inner if isinstance(inner, str | Number) else value.name, what)
        if isinstance(value, str):
            # Not str(): a subclass may have changed it.
            return str.__str__(value)
        has_text = any("__str__" in vars(kind) for kind in type(value).__mro__[:-1])
        if isinstance(value, Number) or (has_text and not isinstance(value, Iterable)):
            return str.__str__(str(value))
    except Exception as error:
        kind = type(value).__name__
        raise PlanError(f"{what} is a {kind}, whose text cannot be made", hint=type(error).__name__) from None
    hint = _HINTS.get(type(value), "give a text, a number or a member of an Enum")
    raise PlanError(f"{what} is a {type(value).__name__}, which is no text", hint=hint)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
