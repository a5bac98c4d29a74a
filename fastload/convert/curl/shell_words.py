"""Words of command lines as bash takes them apart: with the quotes that browsers write, among them ``$'...'``.

`shlex` does not know ``$'...'``, in which Chromium and Firefox write every text with a line break or a quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(
    r"""(?P<space>[ \t\r]+|\\\r?\n)|(?P<end>[\n;&|]+)|(?P<comment>(?:(?<=\s)|^)\#[^\n]*)"""
    r"""|\$'(?P<ansi>(?:[^'\\]|\\.)*)'|'(?P<single>[^']*)'|\$?"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)"""
    r"""|(?P<plain>[^\s;&|'"\\])""",
    re.DOTALL,
)
_IN_DOUBLE = re.compile(r'\\(\r?\n|[\\"$`!])')
_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in *text*; line ends, ``;``, ``&`` and ``|`` part commands.

    Raises:
        ValueError: a quote has no end.
    """
    words: list[str] = []
    word: str | None = None
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"the quote {text[at : at + 2]!r} in line {line} has no end")
        at = found.end()
        kind = found.lastgroup or ""
        if kind not in ("space", "end", "comment"):
            word = (word or "") + _plain(kind, found[kind])
            continue
        if word is not None:
            words.append(word)
            word = None
        if kind == "end" and words:
            yield words
            words = []
    if word is not None:
        words.append(word)
    if words:
        yield words


def _plain(kind: str, text: str) -> str:
    match kind:
        case "ansi":
            return _without_bytes(_ANSI.sub(_ansi_sign, text))
        case "double":
            return _IN_DOUBLE.sub(lambda found: found[1] if found[1][-1] != "\n" else "", text)
        case _:
            return text


def _ansi_sign(found: re.Match[str]) -> str:
    hexadecimal, octal, sign = found[1] or found[2] or found[3], found[4], found[5]
    if sign:
        return _SIGNS.get(sign, sign if sign in "\\'\"?" else f"\\{sign}")
    code = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
    if not (found[2] or found[3]) and code > 127:
        # A byte, which may be a part of a character.
        return chr(0xDC00 + (code & 0xFF))
    return chr(min(code, 0x10FFFF))


def _without_bytes(text: str) -> str:
    """Return *text* with the bytes in it decoded as UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if text.isascii() is False else text
