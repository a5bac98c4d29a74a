"""Raise sites: the lines of a script that raise exceptions, and the messages of these.

Exceptions of one class, from one line, whose messages differ only in words with a digit (numbers, ids, addresses) are a
*group*. A group has a count, the first traceback, and how many different messages it has. A table has a bounded size:

- the groups of a line after the first `MOST_OF_LINE` are one group, with the pattern 0;
- when there are `MOST_GROUPS` groups, the others of a class are one group, with no line;
- the different messages of a group are counted up to `MOST_MESSAGES`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from fastload.model.redaction import shortened

MOST_GROUPS = 100
MOST_OF_LINE = 5
MOST_MESSAGES = 100
_LONGEST_WHERE, _LONGEST_MESSAGE = 200, 1_000
_WORD = re.compile(r"[\w.:-]+")
_DIGIT = re.compile(r"\d")


class RaiseSite(NamedTuple):
    """Where one exception was raised, like ``shop.py:12`` ("" if not in the script), and checksums of its message.

    *pattern* is that of the message without what differs from one to the next; *message* is that of all of it.
    """

    where: str = ""
    pattern: int = 0
    message: int = 0

    @classmethod
    def of(cls, filename: str, line: int, message: str) -> Self:
        """Return the site in *line* of the file *filename*; "" if the script has no line of it."""
        text = message[:_LONGEST_MESSAGE]
        alike = _WORD.sub(lambda found: "*" if _DIGIT.search(found[0]) else found[0], text)
        where = f"{Path(filename).name}:{line}" if filename else ""
        # The pattern 0 is that of all others of a line. Files in different folders may have one name.
        return cls(where, max(1, _checksum(f"{filename}\n{alike}")), _checksum(text))


NO_SITE = RaiseSite()


@dataclass(slots=True)
class RaiseGroup:
    """One group: its count, its first traceback, and the checksums of its different messages."""

    count: int
    first: str
    messages: set[int]

    def add(self, count: int, messages: Iterable[int]) -> None:
        """Count *count* more, with these checksums of messages."""
        self.count += count
        for message in messages:
            if len(self.messages) >= MOST_MESSAGES:
                return
            self.messages.add(message)


@dataclass(slots=True)
class RaiseTable:
    """Groups by (class, line, pattern)."""

    groups: dict[tuple[str, str, int], RaiseGroup] = field(default_factory=dict)

    def count(self, kind: str, site: RaiseSite, traceback: str) -> None:
        """Count one exception of the class *kind*."""
        self._add(kind, site.where, site.pattern, 1, traceback, (site.message,))

    def merge(self, other: RaiseTable, kinds: Collection[str]) -> None:
        """Add the groups of *other* that are of *kinds*."""
        for (kind, where, pattern), group in other.groups.items():
            if kind in kinds:
                self._add(kind, where, pattern, group.count, group.first, group.messages)

    def of_kind(self, kind: str) -> Iterator[tuple[str, RaiseGroup]]:
        """Yield the groups of a class, each with its line."""
        return ((where, group) for (one, where, _), group in self.groups.items() if one == kind)

    def to_plain(self, kind: str) -> list[list[Any]]:
        """Return the groups of a class as plain data: ``[line, pattern, count, first traceback, checksums]`` each."""
        return [
            [where, pattern, group.count, group.first, sorted(group.messages)]
            for (one, where, pattern), group in self.groups.items()
            if one == kind
        ]

    def add_plain(self, kind: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add *rows*, the result of `to_plain`."""
        for where, pattern, count, first, messages, *_ in rows:
            self._add(kind, where, pattern, count, first, messages)

    def _add(self, kind: str, where: str, pattern: int, count: int, first: str, messages: Iterable[int]) -> None:
        group = self.groups.get((kind, where, pattern))
        if group is None:
            key = self._admitted(kind, shortened(where, _LONGEST_WHERE), pattern)
            group = self.groups.get(key)
            if group is None:
                group = self.groups[key] = RaiseGroup(0, shortened(first), set())
        group.add(count, messages)

    def _admitted(self, kind: str, where: str, pattern: int) -> tuple[str, str, int]:
        """Return the key of the group, or, if the table or the line is full, that of the group of all others."""
        of_line = sum(one == kind and line == where for one, line, _ in self.groups)
        key = (kind, where, pattern if of_line < MOST_OF_LINE else 0)
        return key if key in self.groups or len(self.groups) < MOST_GROUPS else (kind, "", 0)


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace"))
