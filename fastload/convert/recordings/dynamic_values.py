"""Which values of a recording look as if a server made them for this one visit: tokens, ids, and their like."""

from __future__ import annotations

import re

from fastload.convert.script.names import is_secret_field
from fastload.convert.script.secret_texts import JWT

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{16,}", re.IGNORECASE)
_TOKEN = re.compile(r"[\w.~+/=%$:-]+")
_TURN = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[a-zA-Z])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
_PIECE = re.compile(rf"{_UUID.pattern}|{JWT.pattern}|[\w~+/=%.-]{{8,}}", re.IGNORECASE)
_BEHIND = re.compile(r"(?<==)[^=].{7,}")
_WITHIN = re.compile(r"[\w~+%.-]{8,}")
# In a URL that is within another one, which is encoded once more.
_BEHIND_ESCAPE = re.compile(r"(?<=%[0-9A-Fa-f]{2})[\w~.-]{8,}")
# Names of what a server hands out to be sent back, beside names of secrets.
_HANDED_OUT = ("nonce", "state", "code", "ticket", "viewstate", "eventvalidation", "verifier", "cursor", "id", "ref")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Names of what stays the same from one visit to the next, although it looks random.
_CONSTANT = ("hash", "sha256", "digest", "checksum", "etag", "integrity", "version", "build", "boundary")
_SHORTEST = 4
_SHORTEST_RANDOM = 16
_SHORTEST_MIXED = 10
_SHORTEST_NUMBER = 5
_LONGEST_LOOKED_AT = 8_192
_LONGEST_ASKED = 512
"""The longest text, in characters, that is asked for: nobody types a picture."""


def looks_random(text: str) -> bool:
    """Return whether *text* is a UUID, long hexadecimal digits, a JWT, or a long mixture of letters and digits."""
    if is_id(text) or JWT.fullmatch(text):
        return True
    return len(text) >= _SHORTEST_RANDOM and _is_mixed(text)


def is_worth_a_search(text: str) -> bool:
    """Return whether *text* is looked for in the texts of responses: it looks random, or as a short token does."""
    return looks_random(text) or (len(text) >= _SHORTEST_MIXED and _is_mixed(text))


def _is_mixed(text: str) -> bool:
    if not _TOKEN.fullmatch(text) or _DATE.fullmatch(text):
        return False
    # Words and numbers, as in "summer-sale-2026-shoes", change from one kind of character to another less often.
    return len(_TURN.findall(text)) >= len(text) / 6


def is_id(text: str) -> bool:
    """Return whether *text* is a UUID, or long hexadecimal digits."""
    return bool(_UUID.fullmatch(text) or _HEX.fullmatch(text))


def is_asked_for(text: str, name: str) -> bool:
    """Return whether the value of the field *name* cannot be sent again by another user: it looks random."""
    return len(text) <= _LONGEST_ASKED and not _is_constant(name) and looks_random(text)


def is_worth_a_look(text: str) -> bool:
    """Return whether `may_be_handed_out` can be true of *text*, whatever it is called: most values of JSON are not."""
    return _SHORTEST <= len(text) <= _LONGEST_LOOKED_AT and (len(text) >= 2 * _SHORTEST or not text.isalpha())


def may_be_handed_out(text: str, sent_as: str, found_as: str) -> bool:
    """Return whether *text*, sent as *sent_as*, can be taken from an earlier response, which has it as *found_as*.

    That the two are equal is no proof: words, short numbers and dates are in many places.
    """
    if len(text) < _SHORTEST or any(sign.isspace() for sign in text) or _DATE.fullmatch(text):
        return False
    if looks_random(text):
        return True
    named = _is_handed_out(sent_as) or _is_handed_out(found_as) or _plain(sent_as) == _plain(found_as) != ""
    if text.isdecimal():
        return len(text) >= _SHORTEST_NUMBER and named
    if any(sign.isdigit() for sign in text):
        return len(text) >= _SHORTEST + 2 and named and "@" not in text and "://" not in text
    return len(text) >= 2 * _SHORTEST and is_secret_field(sent_as) and is_secret_field(found_as)


def pieces(text: str) -> list[re.Match[str]]:
    """Return the parts of *text* that may be values by themselves, as in ``Bearer TOKEN``."""
    return list(_PIECE.finditer(text))


def values_within(text: str, piece: re.Match[str]) -> list[re.Match[str]]:
    """Return the parts of *piece*, one of the `pieces` of *text*, that may be values: what is behind a ``=``, or
    between the separators of a URL, which may be encoded. Those that begin earlier, and longer ones, come first."""
    behind = _BEHIND.search(text, piece.start(), piece.end())
    found = [*_WITHIN.finditer(text, piece.start(), piece.end())]
    found += _BEHIND_ESCAPE.finditer(text, piece.start(), piece.end())
    return [*([behind] if behind else []), *sorted(found, key=lambda one: (one.start(), -one.end()))]


def _is_constant(name: str) -> bool:
    return any(part in name.lower() for part in _CONSTANT)


def _is_handed_out(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    return is_secret_field(name) or (bool(words) and (words[-1] in _HANDED_OUT or "viewstate" in _plain(name)))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
