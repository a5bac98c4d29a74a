"""Secrets within longer texts: credentials of known forms, and values behind names of secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from fastload.convert.script.names import is_secret_field

JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
# Credentials that show by their form what they are, with a name for each.
_KNOWN = (
    ("token", JWT),
    ("token", re.compile(r"(?<=\bBearer )[\w.~+/=-]{16,}")),
    ("api key", re.compile(r"\bAIza[\w-]{30,}|\bAKIA[0-9A-Z]{16}\b|\bsk[-_][\w-]{20,}")),
    ("token", re.compile(r"\bgh[pousr]_\w{30,}|\bxox[abeprs]-[\w-]{10,}|\bglpat-[\w-]{20,}")),
)
# A value in a form or a URL, in JSON or GraphQL (whose types have no quotes), and in XML.
_PAIRS = (
    re.compile(r"""(?<![\w.-])([A-Za-z][\w.-]{0,60})=["']?([^\s&;,"'<>]+)"""),
    re.compile(r"""(?<![\w-])([A-Za-z][\w-]{0,60})\\?["']?\s*:\s*\\?["']([^"'\\]+)"""),
    re.compile(r"<(?:[\w-]{1,60}:)?([A-Za-z][\w-]{0,60})(?:\s[^<>]*)?>([^<>]+)</"),
)
_NUMBER = re.compile(r"""["']([A-Za-z][\w-]{0,60})["']\s*:\s*(-?[0-9][0-9.eE+-]*)""")
_SHORTEST_SECRET_NUMBER = 4
"""In digits. Of a PIN."""
# A number of this name counts what is secret, as max_tokens does.
_COUNT = re.compile(r"max|min|count|limit|total|size|length|ttl|expir|timeout|age|budget|version|tokens", re.IGNORECASE)
_KEY = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w-]{16,}")


class SecretSpan(NamedTuple):
    """A secret in a text, at ``start`` to ``end``, with a name for it."""

    start: int
    end: int
    name: str


def is_secret_value(text: str, name: str) -> bool:
    """Return whether *text*, the value of field *name*, is secret as a whole."""
    # What is called just "key" mostly names the value beside it, but not if it is a long mixture of signs.
    return bool(text) and (is_secret_field(name) or (name.lower() == "key" and bool(_KEY.fullmatch(text))))


def is_secret_number(number: str, name: str) -> bool:
    """Return whether *number*, the value of field *name*, is secret."""
    if not is_secret_field(name) or _COUNT.search(name):
        return False
    return sum(sign.isdigit() for sign in number) >= _SHORTEST_SECRET_NUMBER


def secrets_in(text: str) -> list[SecretSpan]:
    """Return the secrets within *text*, in order; none of them overlap."""
    found: list[SecretSpan] = []
    for span in sorted(_secrets_in(text)):
        if not found or span.start >= found[-1].end:
            found.append(span)
    return found


def _secrets_in(text: str) -> Iterator[SecretSpan]:
    for pattern in _PAIRS:
        for pair in pattern.finditer(text):
            if is_secret_value(pair[2].strip(), pair[1]):
                yield SecretSpan(*pair.span(2), pair[1])
    for pair in _NUMBER.finditer(text):
        if is_secret_number(pair[2], pair[1]):
            yield SecretSpan(*pair.span(2), pair[1])
    for name, pattern in _KNOWN:
        for known in pattern.finditer(text):
            yield SecretSpan(*known.span(), name)
