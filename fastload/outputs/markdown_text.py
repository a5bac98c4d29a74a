"""Pieces of Markdown as GitHub renders it, in which nothing that a script or a server said means anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from fastload.outputs.figures import one_line

# What means something anywhere: the underscore not within a word, the colon around the name of an emoji.
_ANYWHERE = re.compile(r"[\\`*\[\]<|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#|\w+;)|:(?=[a-z+-][\w+-]*:)")
_AT_THE_START = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+#=](?:[-+#=\s]|$)|>))")
_LONGEST = 200


def prose(text: str) -> str:
    """*text* on one line, as it is: no emphasis, link, image, HTML or name of a user comes of it."""
    return _AT_THE_START.sub(r"\1\\", _ANYWHERE.sub(r"\\\g<0>", one_line(text)))


def code(text: str, *, longest: int = _LONGEST) -> str:
    """*text* on one line as a code span, also within a table; cut when it has more than *longest* characters."""
    shown = one_line(text)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    if not shown:
        return "-"
    fence = "`" * (1 + _backticks(shown))
    space = " " * (shown[0] in "` " or shown[-1] in "` ")
    return f"{fence}{space}{shown}{space}{fence}".replace("|", "\\|")


def code_block(text: str) -> str:
    """*text* as it is, line by line."""
    lines = [line[: len(line) - len(line.lstrip())] + one_line(line) for line in text.splitlines()]
    body = "\n".join(lines)
    fence = "`" * max(3, 1 + _backticks(body))
    return f"{fence}text\n{body}\n{fence}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table of cells that are Markdown already; all but the first *left* columns are figures and stand right."""
    rules = [":---" if number < left else "---:" for number in range(len(titles))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rules, *rows))


def _backticks(text: str) -> int:
    """The longest run of backticks in *text*."""
    return max((len(list(run)) for char, run in groupby(text) if char == "`"), default=0)
