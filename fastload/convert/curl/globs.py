"""Globs in URLs as curl expands them: ``{red,blue}`` and ``[1-3]``, ``[01-10:2]``, ``[a-e]``."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

GLOB = re.compile(
    r"\{(?P<set>[^{}]*)\}|\[(?:(?P<first>[0-9]+)-(?P<last>[0-9]+)|(?P<from>[A-Za-z])-(?P<to>[A-Za-z]))(?::(?P<step>[0-9]+))?\]"
)
"""One glob in a URL."""
MOST_URLS = 50
"""Of one URL with globs: each is a request of the script."""
_LONGEST_NUMBER = 18


def expanded(url: str) -> list[str]:
    """Return the URLs that curl makes of *url*: the last glob changes fastest.

    Raises:
        ValueError: they are more than `MOST_URLS`, or a range ends before it begins.
    """
    parts: list[Sequence[str]] = []
    at = 0
    for glob in GLOB.finditer(url):
        parts += [[url[at : glob.start()]], _values(glob)]
        at = glob.end()
    count = math.prod(map(len, parts))
    if count > MOST_URLS:
        raise ValueError(f"curl makes {count:,} URLs of {url!r}, and a script has up to {MOST_URLS}: write fewer")
    return ["".join(one) for one in itertools.product(*parts, [url[at:]])]


def _values(glob: re.Match[str]) -> Sequence[str]:
    if glob["set"] is not None:
        return glob["set"].split(",")
    step = int((glob["step"] or "1")[:_LONGEST_NUMBER])
    first, last = (glob["first"], glob["last"]) if glob["first"] else (glob["from"], glob["to"])
    is_number = glob["first"] is not None
    if max(len(first), len(last)) > _LONGEST_NUMBER:
        raise ValueError(f"the range {glob[0]!r} has numbers that are too large")
    numbers = range(int(first), int(last) + 1, step or 1) if is_number else range(ord(first), ord(last) + 1, step or 1)
    if not numbers or not step:
        raise ValueError(f"the range {glob[0]!r} has nothing in it")
    if len(numbers) > MOST_URLS:
        raise ValueError(
            f"curl makes {len(numbers):,} URLs of {glob[0]!r}, and a script has up to {MOST_URLS}: write fewer"
        )
    # A first number with zeros before it says how many digits all have.
    width = len(first) if is_number and first.startswith("0") else 0
    return [f"{number:0{width}}" if is_number else chr(number) for number in numbers]
