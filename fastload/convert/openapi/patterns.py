"""Texts that match a regular expression: of the part of the language that patterns of schemas mostly use.

That is characters, classes, groups, alternatives and numbers of repetitions. Conditions on what is beside (look-ahead,
word boundaries) and back references are not known.
"""

from __future__ import annotations

import re
import string
import warnings
from dataclasses import dataclass

MOST_TEXT = 10_000
_ANY = string.ascii_lowercase + string.ascii_uppercase + string.digits + "-_ .:/@"
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": _ANY.translate({ord(sign): None for sign in string.digits}),
    "W": "-./:@ ",
    "S": _ANY.replace(" ", ""),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_COUNTS = re.compile(r"\{(\d+)(,(\d*))?\}")
_SIMPLE_COUNTS = {"*": (0, MOST_TEXT), "+": (1, MOST_TEXT), "?": (0, 1)}
_GROUP_HEADS = re.compile(r"\?(:|P?<[A-Za-z_]\w*>)")


class UnknownPatternError(Exception):
    """The pattern has a part that is not known here."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a pattern, and how often it comes: characters to choose from, or the alternatives of a group."""

    options: str | list[list[_Piece]]
    least: int
    most: int


def matching_text(pattern: str, least: int = 0, most: int = MOST_TEXT, variant: int = 0) -> str | None:
    """Return a text of *least* to *most* characters that matches *pattern*; None if none was found.

    *variant* chooses among those that match: other numbers mostly give other texts.
    """
    try:
        branches = _Parser(pattern).whole()
        writer = _Writer(variant, 0)
        shortest = len(writer.text(branches))
        # What is left of the variant after all choices is a number of repetitions.
        for extra in dict.fromkeys((writer.variant, max(0, least - shortest), 0, 1)):
            text = _Writer(variant, extra).text(branches)
            if least <= len(text) <= most and matches(pattern, text):
                return text
    except (UnknownPatternError, RecursionError, OverflowError, ValueError):
        pass
    return None


def matches(pattern: str, text: str) -> bool:
    """Return whether *pattern* matches somewhere in *text*; False if Python does not know the pattern."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.search(pattern, text) is not None
    except (re.error, RecursionError, OverflowError):
        return False


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern, self._at = pattern, 0

    def whole(self) -> list[list[_Piece]]:
        found = self._branches()
        if self._at < len(self._pattern):
            raise UnknownPatternError
        return found

    def _branches(self) -> list[list[_Piece]]:
        branches: list[list[_Piece]] = [[]]
        while (sign := self._peek()) and sign != ")":
            if sign == "|":
                self._at += 1
                branches.append([])
            elif sign in "^$":
                self._anchor(sign, first=not branches[-1])
            else:
                branches[-1].append(self._piece())
        return branches

    def _anchor(self, sign: str, *, first: bool) -> None:
        """Skip an anchor at the begin or end of a branch. Elsewhere nothing matches, which takes long to find out."""
        self._at += 1
        if not first if sign == "^" else self._peek() not in ("", "|", ")"):
            raise UnknownPatternError

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        if self._at > len(self._pattern):
            raise UnknownPatternError
        return self._pattern[self._at - 1]

    def _piece(self) -> _Piece:
        sign = self._next()
        options: str | list[list[_Piece]]
        if sign == "(":
            options = self._group()
        elif sign == "[":
            options = self._class()
        elif sign == "\\":
            options = self._escape()
        else:
            options = _ANY if sign == "." else sign
        least, most = self._counts()
        return _Piece(options, least, most)

    def _group(self) -> list[list[_Piece]]:
        if self._peek() == "?":
            head = _GROUP_HEADS.match(self._pattern, self._at)
            if head is None:
                raise UnknownPatternError
            self._at = head.end()
        branches = self._branches()
        if self._next() != ")":
            raise UnknownPatternError
        return branches

    def _class(self) -> str:
        negated = self._peek() == "^"
        self._at += negated
        chosen = ""
        while (sign := self._next()) != "]" or not chosen:
            first = self._escape() if sign == "\\" else sign
            following = self._pattern[self._at : self._at + 2]
            if len(first) == 1 and following[:1] == "-" and following[1:] not in ("]", ""):
                self._at += 1
                last = self._next()
                last = self._escape() if last == "\\" else last
                # All of a large range are not needed to choose from.
                chosen += "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 200) + 1)))
            else:
                chosen += first
        return "".join(sign for sign in _PRINTABLE if sign not in chosen) if negated else chosen

    def _escape(self) -> str:
        sign = self._next()
        if sign in "xu":
            size = 2 if sign == "x" else 4
            self._at += size
            return chr(int(self._pattern[self._at - size : self._at], 16))
        if sign in _CLASSES or sign in _CONTROLS:
            return _CLASSES.get(sign) or _CONTROLS[sign]
        if sign.isalnum():
            raise UnknownPatternError
        return sign

    def _counts(self) -> tuple[int, int]:
        least, most = 1, 1
        if self._peek() in _SIMPLE_COUNTS and self._peek():
            least, most = _SIMPLE_COUNTS[self._next()]
        elif found := _COUNTS.match(self._pattern, self._at):
            self._at = found.end()
            least = int(found[1])
            most = least if found[2] is None else int(found[3] or MOST_TEXT)
        else:
            return 1, 1
        # A lazy or possessive repetition matches the same texts.
        self._at += self._peek() in ("?", "+") and bool(self._peek())
        return least, most


class _Writer:
    """Writes a text for parsed pieces, with *extra* repetitions where they are allowed."""

    def __init__(self, variant: int, extra: int) -> None:
        self.variant, self._extra = variant, extra
        self._size = 0

    def text(self, branches: list[list[_Piece]]) -> str:
        return "".join(self._repeated(piece) for piece in branches[self._choice(len(branches))])

    def _repeated(self, piece: _Piece) -> str:
        more = max(0, min(self._extra, piece.most - piece.least))
        found = []
        for _ in range(piece.least + more):
            if isinstance(piece.options, str):
                found.append(piece.options[self._choice(len(piece.options))])
                self._size += 1
            else:
                found.append(self.text(piece.options))
            if self._size > MOST_TEXT or len(found) > MOST_TEXT:
                raise UnknownPatternError
        self._extra -= more
        return "".join(found)

    def _choice(self, count: int) -> int:
        if not count:
            raise UnknownPatternError
        self.variant, chosen = divmod(self.variant, count)
        return chosen
