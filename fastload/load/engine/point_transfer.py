"""Handles that tell more of each request than its times, for single samples."""

from __future__ import annotations

from typing import NamedTuple, cast

from fastload.load.engine.curl import Measurement, Transfer, WildcardTransfer
from fastload.model.http_settings import Body, without_credentials

MAX_FACTS = 10_000
"""Of so many URLs it is remembered what they were; then again of so many."""
_HTTPS = "https://"


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


class PointTransfer(Transfer):
    """A handle whose measurements have three items more: when the request ended (monotonic, ns), the number of its
    `Facts` in ``facts``, and the VU's."""

    __slots__ = ()

    def prepare(self, method: str, url: str, headers: tuple[str, ...], body: Body | None) -> None:
        if url[:8] == _HTTPS:
            self.hear_tls_version(url)
        super().prepare(method, url, headers, body)

    def measure(self) -> Measurement:
        url = self._url
        facts = Facts(url, self.protocol(), self.tls_version() if url[:8] == _HTTPS else "")
        return cast(Measurement, (*super().measure(), self.done_ns, self.facts.number(facts), self._number))


class _WildcardPointTransfer(PointTransfer, WildcardTransfer):
    __slots__ = ()


_TELLING: dict[type[Transfer], type[Transfer]] = {Transfer: PointTransfer, WildcardTransfer: _WildcardPointTransfer}


def let_tell(transfer: Transfer, facts: FactTable) -> None:
    """Make *transfer* one that tells more, if it makes requests; what it tells goes to *facts*."""
    telling = _TELLING.get(type(transfer))
    if telling is not None:
        transfer.facts = facts
        transfer.__class__ = telling
