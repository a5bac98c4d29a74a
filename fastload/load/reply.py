"""What came back for a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fastload.load.curl import Measurement
from fastload.load.outcome import FAILED_FROM_STATUS
from fastload.model.errors import FastloadError


class ReplyError(FastloadError):
    """A reply was asked for something that it did not keep or does not have."""


class Reply:
    """What came back. A failed request is a reply too: ``ok`` is False, ``status`` 0 if there was no response.

    Times are milliseconds. ``duration_ms`` is k6's: sending, waiting and receiving, without connecting.
    """

    __slots__ = ("_body", "_header_lines", "_measurement", "error", "message", "method", "status", "url")

    def __init__(self, method: str, url: str, measurement: Measurement) -> None:
        self.method = method
        self.url = url
        self.status = measurement[0]
        self.error = ""
        self.message = ""
        self._measurement = measurement
        self._body: bytes | None = None
        self._header_lines: list[bytes] | None = None

    def __repr__(self) -> str:
        outcome = self.error or str(self.status)
        return f"<Reply {self.method} {self.url} {outcome} {self.duration_ms:.3f} ms>"

    @property
    def ok(self) -> bool:
        """A response came, with a status below 400."""
        return not self.error and 0 < self.status < FAILED_FROM_STATUS

    @property
    def duration_ms(self) -> float:
        """From sending the first byte to receiving the last."""
        return (self._measurement[7] - self._measurement[4]) / 1000

    @property
    def waiting_ms(self) -> float:
        """From the request sent to the first byte of the response."""
        return max(0, self._measurement[6] - self._measurement[5]) / 1000

    @property
    def total_ms(self) -> float:
        """All of it, looking up the name, connecting and TLS included."""
        return self._measurement[7] / 1000

    @property
    def body(self) -> bytes:
        """The whole body.

        Raises:
            ReplyError: bodies were dropped, because nothing in the scenario's code seemed to read them.
        """
        if self._body is None:
            raise ReplyError(
                "the body of this reply was not kept", hint="pass keep_body=True to the request or to the scenario"
            )
        return self._body

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are not become U+FFFD. Raises as `body`."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body parsed as JSON.

        Raises:
            ReplyError: it is not JSON, or as `body`.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise ReplyError(
                f"the body of {self.method} {self.url} ({self.status}) is not JSON: {error}",
                hint=f"it begins with {self.body[:60]!r}",
            ) from error

    @property
    def headers(self) -> Mapping[str, str]:
        """The response's headers by lower-case name; values of a repeated one are joined by ", ".

        Raises:
            ReplyError: headers were dropped, because nothing in the scenario's code seemed to read them.
        """
        if self._header_lines is None:
            raise ReplyError("the headers of this reply were not kept", hint="pass keep_headers=True to the scenario")
        found: dict[str, str] = {}
        for raw in self._header_lines:
            line = raw.decode("latin-1").strip()
            name, colon, value = line.partition(":")
            if line.startswith("HTTP/"):
                found.clear()
            elif colon:
                key = name.lower()
                found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
        return found


class JudgedReply(Reply):
    """A reply that the script judges by hand, within ``async with vu.expect(...)``. The last word counts."""

    __slots__ = ("judgement",)

    def __init__(self, method: str, url: str, measurement: Measurement) -> None:
        super().__init__(method, url, measurement)
        self.judgement: str | None = None
        """None as long as nothing was said, "" for a success, else why the request counts as failed."""

    def success(self) -> None:
        """The request did not fail, whatever its status, and even without a response."""
        self.judgement = ""

    def failure(self, reason: str) -> None:
        """The request failed. *reason* is counted as a kind of error of its own: leave figures and ids out of it."""
        self.judgement = str(reason) or "no reason given"
