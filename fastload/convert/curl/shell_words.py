"""Words of command lines as bash takes them apart: with the quotes that browsers write, among them ``$'...'``.

`shlex` does not know ``$'...'``, in which Chromium and Firefox write every text with a line break or a quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SHELL_VALUE = r"`|\$[(\[0-9?!$#@*-]|\$\{(?![A-Za-z_]\w*\})"
_VARIABLE_WORD = r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))"
_WORD = re.compile(
    r"(?P<space>[ \t\r]+|\\\r?\n)|(?P<comment>(?:(?<=\s)|^)\#[^\n]*)"
    rf"|(?P<refused>[<>]\(|<<(?!<)|{_SHELL_VALUE})"
    r"|(?P<redirection>&>>?|(?:(?<![^\s;&|()])[0-9]+)?(?:<<<|<&|<>|<|>>|>&|>\||>))"
    r"|(?P<end>[\n;&|()]+)"
    r"""|\$'(?P<ansi>(?:[^'\\]|\\.)*)'|'(?P<single>[^']*)'|\$?"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)"""
    rf"""|{_VARIABLE_WORD}|(?P<plain>[^\s;&|()<>'"\\])""",
    re.DOTALL,
)
_IN_DOUBLE = re.compile(rf'\\(?P<escaped>\r?\n|[\\"$`!])|(?P<refused>{_SHELL_VALUE})|{_VARIABLE_WORD}')
_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
# Private characters around the name of a variable: no shell and no server gives them a meaning.
_BEGIN, _END = "\ue000", "\ue001"
VARIABLE = re.compile(f"{_BEGIN}([A-Za-z_][A-Za-z0-9_]*){_END}")
"""A variable in a word, as `variable` writes it; its name is the group."""
_SHOWN = re.compile(rf"(?:{_BEGIN}|\\ue000)(\w+?)(?:{_END}|\\ue001)")


@dataclass(slots=True)
class ShellCommand:
    """A command: its words, and the redirections of its input and output, like ``2>&1``."""

    words: list[str] = field(default_factory=list)
    redirections: list[str] = field(default_factory=list)


def variable(name: str) -> str:
    """Return what stands in a word for the value of the variable *name*."""
    return f"{_BEGIN}{name}{_END}"


def variables_shown(text: str) -> str:
    """Return *text* with its variables as the shell has them, like ``$NAME``; also those that `repr` has escaped."""
    return _SHOWN.sub(r"$\1", text)


def variables_left(text: str) -> list[str]:
    """Return the names of the variables in *text*, also of those that `repr` has escaped."""
    return _SHOWN.findall(text)


def commands(text: str, values: Mapping[str, str]) -> Iterator[ShellCommand]:
    """Yield the commands in *text*; line ends, ``;``, ``&``, ``|`` and parentheses part them.

    *values* are those of variables, also such as are set while a command is taken. Outside of single quotes, ``$NAME``
    is its value, or else a `variable` stands for it.

    Raises:
        ValueError: a quote has no end, or a shell would have to run something for a value, as with ``$(...)``.
    """
    command = ShellCommand()
    word: str | None = None
    redirection = ""
    at = 0
    # The line end closes the last word, and the last command.
    text += "\n"
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise ValueError(f"the quote {text[at : at + 2].strip()!r} in line {_line(text, at)} has no end")
        kind = found.lastgroup or ""
        if kind in ("braced", "bare") and found[kind] in values:
            # Without quotes, it may be several words.
            for number, one in enumerate(values[found[kind]].split()):
                command.words += [word or ""] if number else []
                word = one if number else (word or "") + one
        elif kind not in ("space", "comment", "redirection", "end"):
            word = (word or "") + _plain(kind, found[kind], f"in line {_line(text, at)}", values)
        elif word is not None:
            if redirection:
                command.redirections.append(f"{redirection}{word}")
            else:
                command.words.append(word)
            word, redirection = None, ""
        if kind == "redirection":
            redirection = found[kind]
        at = found.end()
        if kind == "end" and (command.words or command.redirections):
            yield command
            command = ShellCommand()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _plain(kind: str, text: str, where: str, values: Mapping[str, str]) -> str:
    match kind:
        case "ansi":
            return _without_bytes(_ANSI.sub(_ansi_sign, text), where)
        case "double":
            return _IN_DOUBLE.sub(lambda found: _in_double(found, where, values), text)
        case "braced" | "bare":
            return values[text] if text in values else variable(text)
        case "refused":
            raise ValueError(f"{text!r} {where} is for a shell to work out: write its value, or $NAME for a variable")
        case _:
            return text


def _in_double(found: re.Match[str], where: str, values: Mapping[str, str]) -> str:
    kind = found.lastgroup or ""
    return _plain(kind, found[kind], where, values) if found[kind][-1] != "\n" else ""


def _ansi_sign(found: re.Match[str]) -> str:
    hexadecimal, octal, sign = found[1] or found[2] or found[3], found[4], found[5]
    if sign:
        return _SIGNS.get(sign, sign if sign in "\\'\"?" else f"\\{sign}")
    code = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
    if not (found[2] or found[3]) and code > 127:
        # A byte, which may be a part of a character.
        return chr(0xDC00 + (code & 0xFF))
    return chr(min(code, 0x10FFFF))


def _without_bytes(text: str, where: str) -> str:
    """Return *text* with the bytes in it decoded as UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        message = f"a text {where} has bytes that are not UTF-8: put it into a file, and give --data-binary @FILE"
        raise ValueError(message) from error
