"""What is known of a request beside its times, as a number that fits in a row of integers; for single samples."""

from __future__ import annotations

from typing import NamedTuple

from fastload.model.http_settings import without_credentials

MAX_REQUEST_INFOS = 10_000
"""Of so many URLs it is remembered what they were; then again of so many."""


class RequestInfo(NamedTuple):
    """What is known of a request beside its endpoint and its times; empty where there is none."""

    url: str
    protocol: str
    tls_version: str


class RequestInfoTable:
    """Numbers for `RequestInfo`, so that a row of integers can hold them. It forgets those of long ago."""

    def __init__(self) -> None:
        self._numbers: dict[RequestInfo, int] = {}
        self._known: dict[int, RequestInfo] = {}
        self._older: dict[int, RequestInfo] = {}
        self._next = 0

    def number(self, request_infos: RequestInfo) -> int:
        """The number of *facts*."""
        number = self._numbers.get(request_infos)
        if number is None:
            if len(self._numbers) >= MAX_REQUEST_INFOS:
                self._numbers, self._known, self._older = {}, {}, self._known
            number = self._numbers[request_infos] = self._next
            self._known[number] = request_infos
            self._next += 1
        return number

    def tags(self, number: int) -> dict[str, str]:
        """The tags of what has this number; none of what was forgotten."""
        request_infos = self._known.get(number) or self._older.get(number)
        if request_infos is None:
            return {}
        tags = {
            "url": without_credentials(request_infos.url),
            "proto": request_infos.protocol,
            "tls_version": request_infos.tls_version,
        }
        return {key: text for key, text in tags.items() if text}
