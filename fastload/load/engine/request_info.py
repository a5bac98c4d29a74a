"""What is known of a request beside its times, as a number that fits in a row of integers; for single samples."""

from __future__ import annotations

from typing import NamedTuple

from fastload.model.http_settings import without_credentials

MAX_FACTS = 10_000
"""Of so many URLs it is remembered what they were; then again of so many."""


class Facts(NamedTuple):
    """What is known of a request beside its endpoint and its times; empty where there is none."""

    url: str
    protocol: str
    tls_version: str


class FactTable:
    """Numbers for `Facts`, so that a row of integers can hold them. It forgets those of long ago."""

    def __init__(self) -> None:
        self._numbers: dict[Facts, int] = {}
        self._known: dict[int, Facts] = {}
        self._older: dict[int, Facts] = {}
        self._next = 0

    def number(self, facts: Facts) -> int:
        """The number of *facts*."""
        number = self._numbers.get(facts)
        if number is None:
            if len(self._numbers) >= MAX_FACTS:
                self._numbers, self._known, self._older = {}, {}, self._known
            number = self._numbers[facts] = self._next
            self._known[number] = facts
            self._next += 1
        return number

    def tags(self, number: int) -> dict[str, str]:
        """The tags of what has this number; none of what was forgotten."""
        facts = self._known.get(number) or self._older.get(number)
        if facts is None:
            return {}
        tags = {"url": without_credentials(facts.url), "proto": facts.protocol, "tls_version": facts.tls_version}
        return {key: text for key, text in tags.items() if text}
