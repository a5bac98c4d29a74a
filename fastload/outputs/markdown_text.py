"""Parts of GitHub-flavoured Markdown; text of scripts and servers is escaped, so that it has no Markdown meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from fastload.model.wire_text import one_line

# Characters with a meaning anywhere in a line: also underscores outside of words, and colons before an emoji's name.
_ANYWHERE = re.compile(r"[\\`*\[\]<|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#|\w+;)|:(?=[a-z+-][\w+-]*:)")
_AT_THE_START = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+#=](?:[-+#=\s]|$)|>))")
# No escape keeps GitHub from a mention, which sends mail to somebody; a comment in between does.
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_LONGEST = 200


def prose(text: str) -> str:
    """Escape *text* and put it on one line: GitHub renders no emphasis, link, image, HTML, emoji or mention from it."""
    escaped = _AT_THE_START.sub(r"\1\\", _ANYWHERE.sub(r"\\\g<0>", one_line(text)))
    return _MENTION.sub("@<!-- -->", escaped)


def code(text: str, *, longest: int = _LONGEST) -> str:
    """Return *text* on one line as a code span that is safe in a table, cut to *longest* characters; "" gives ``-``."""
    shown = one_line(text)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    if not shown:
        return "-"
    fence = "`" * (1 + _backticks(shown))
    space = " " * (shown[0] in "` " or shown[-1] in "` ")
    return f"{fence}{space}{shown}{space}{fence}".replace("|", "\\|")


def code_block(text: str) -> str:
    """Return *text* as a fenced code block, without unprintable characters."""
    lines = [line[: len(line) - len(line.lstrip())] + one_line(line) for line in text.splitlines()]
    body = "\n".join(lines)
    fence = "`" * max(3, 1 + _backticks(body))
    return f"{fence}text\n{body}\n{fence}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Return a table. Cells are Markdown already; columns after the first *left* ones are right-aligned (numbers)."""
    rules = [":---" if number < left else "---:" for number in range(len(titles))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rules, *rows))


def _backticks(text: str) -> int:
    """The longest run of backticks in *text*."""
    return max((len(list(run)) for char, run in groupby(text) if char == "`"), default=0)
