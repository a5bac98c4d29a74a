"""Request info for points: URL, protocol and TLS version of a request, by a number that fits in a row of integers."""

from __future__ import annotations

from typing import NamedTuple

from fastload.model.http_settings import without_credentials

MAX_REQUEST_INFOS = 10_000
"""How many entries a generation of the table has. The table keeps two generations, the current and the previous one."""


class RequestInfo(NamedTuple):
    """Facts of a request beside its endpoint and its times; empty strings for unknown facts."""

    url: str
    protocol: str
    tls_version: str


class RequestInfoTable:
    """Table that numbers each `RequestInfo`, so that a row of integers can refer to it. It forgets old entries."""

    def __init__(self) -> None:
        self._numbers: dict[RequestInfo, int] = {}
        self._known: dict[int, RequestInfo] = {}
        self._older: dict[int, RequestInfo] = {}
        self._next = 0

    def number(self, request_infos: RequestInfo) -> int:
        """Return the number of *request_infos*; a new one gets the next number."""
        number = self._numbers.get(request_infos)
        if number is None:
            if len(self._numbers) >= MAX_REQUEST_INFOS:
                self._numbers, self._known, self._older = {}, {}, self._known
            number = self._numbers[request_infos] = self._next
            self._known[number] = request_infos
            self._next += 1
        return number

    def tags(self, number: int) -> dict[str, str]:
        """Return the tags of the request info with this number; none if the table has forgotten it."""
        request_infos = self._known.get(number) or self._older.get(number)
        if request_infos is None:
            return {}
        tags = {
            "url": without_credentials(request_infos.url),
            "proto": request_infos.protocol,
            "tls_version": request_infos.tls_version,
        }
        return {key: text for key, text in tags.items() if text}
