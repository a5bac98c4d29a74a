"""Replies: the result of a request, whether it got a response or failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from fastload.load.client.json_path import NoSuchPathError, at_path
from fastload.load.engine.header_lines import Redirect, cookies_set, last_headers, redirects
from fastload.load.recording.outcome import FAILED_FROM_STATUS
from fastload.model.errors import FastloadError
from fastload.model.http_settings import error_code, without_credentials
from fastload.model.names import as_text
from fastload.model.public_types import called_by_fastload

if TYPE_CHECKING:
    from fastload.load.engine.curl_transfer import Measurement


class ReplyError(FastloadError):
    """A script read a part of a reply that was not kept or does not exist."""


class Timings(NamedTuple):
    """The phases of a request, in milliseconds, as in the metrics of the same names.

    Lookup, connecting and TLS are 0 on a reused connection.
    """

    blocked_ms: float
    lookup_ms: float
    connecting_ms: float
    tls_ms: float
    sending_ms: float
    waiting_ms: float
    receiving_ms: float


class ConnectionInfo(NamedTuple):
    """Protocol, addresses, TLS version and final URL of a finished request, as libcurl reports them."""

    protocol: str
    remote_address: tuple[str, int]
    local_address: tuple[str, int]
    tls_version: str
    final_url: str


class Reply:
    """The result of a request. A failed request has a reply too: ``ok`` is False, ``status`` is 0 without a response.

    Attributes:
        status: status of the response; 0 without one.
        error: kind of error, like "timeout" or "connect_refused"; "" if there was a response.
        message: what libcurl says of the error; "" if there was a response.
        method, url: what was asked for: the method, and the absolute URL before redirects.

    Times are in milliseconds. ``duration_ms`` is defined as in k6: sending, waiting and receiving, without connecting.
    """

    __slots__ = (
        "_as_expected",
        "_body",
        "_connection_info",
        "_header_lines",
        "_measurement",
        "_retry_after_s",
        "_tries",
        "error",
        "message",
        "method",
        "status",
        "url",
    )
    if TYPE_CHECKING:
        # Set only if the value differs from the default: setting an attribute costs time, and most scripts read none.
        _as_expected: bool
        _connection_info: ConnectionInfo
        _retry_after_s: float | None
        _tries: int

    @called_by_fastload
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
        return f"<Reply {self._shown} {outcome} {self.duration_ms:.3f} ms>"

    @property
    def ok(self) -> bool:
        """Whether there was a response with an expected status; by default every status below 400 is expected."""
        by_status = not self.error and 0 < self.status < FAILED_FROM_STATUS
        return getattr(self, "_as_expected", by_status)

    @property
    def error_code(self) -> int:
        """k6's error code, like 1212 for a refused connection and 1404 for status 404; 0 if ``ok`` is True."""
        return 0 if self.ok else error_code(self.error, self.status)

    @property
    def tries(self) -> int:
        """How often the request was tried: first try, retries of a `Retry`, and moves to another connection.

        A request moves if the server has closed its connection before a byte of the request was written.
        """
        return getattr(self, "_tries", 1)

    @property
    def what_failed(self) -> str:
        """Method, URL without secrets, and error message, for the errors of the summary."""
        return f"{self._shown}: {self.message}"

    @property
    def _shown(self) -> str:
        return f"{self.method} {without_credentials(self.url)}"

    @property
    def duration_ms(self) -> float:
        """Time from the first byte sent to the last byte received."""
        return (self._measurement[7] - self._measurement[4]) / 1000

    @property
    def waiting_ms(self) -> float:
        """Time from the request sent to the first byte of the response."""
        return max(0, self._measurement[6] - self._measurement[5]) / 1000

    @property
    def total_ms(self) -> float:
        """Total time, with name lookup, connecting and TLS."""
        return self._measurement[7] / 1000

    @property
    def timings(self) -> Timings:
        """The phases of the request."""
        _, lookup, connect, tls, ready, sent, first, done, queue, *_ = self._measurement
        duration = max(done - ready, 0)
        parts = (
            queue,
            lookup,
            max(connect - lookup, 0),
            max(tls - connect, 0) if tls else 0,
            min(max(sent - ready, 0), duration),
            max(first - max(sent, ready), 0),
            max(done - max(first, ready), 0),
        )
        return Timings(*(part_us / 1000 for part_us in parts))

    @property
    def bytes_sent(self) -> int:
        """Bytes of the request, headers and body."""
        return self._measurement[9]

    @property
    def bytes_received(self) -> int:
        """Bytes of the response, headers and body. A compressed body counts with its compressed size."""
        return self._measurement[10]

    @property
    def body(self) -> bytes:
        """The whole body.

        Raises:
            ReplyError: the body was not kept, because no code of the scenario seemed to read it.
        """
        if self._body is None:
            raise ReplyError(
                "the body of this reply was not kept", hint="pass keep_body=True to the request or to the scenario"
            )
        return self._body

    @property
    def text(self) -> str:
        """The body decoded as UTF-8; invalid bytes become U+FFFD. Raises as `body`."""
        return self.body.decode("utf-8", "replace")

    def json(self, path: str = "") -> Any:
        """Return the body parsed as JSON, or only the value at a *path* like ``"data.items.0.id"``.

        Raises:
            ReplyError: there was no response, the body is empty or not JSON, there is no value at *path*, or as `body`.
        """
        try:
            parsed = orjson.loads(self.body)
            return at_path(parsed, path) if path else parsed
        except NoSuchPathError as error:
            raise ReplyError(f"the body of {self._shown} ({self.status}) has no {path!r}", hint=str(error)) from None
        except orjson.JSONDecodeError as error:
            if not self.status or not self.body:
                raise self._no_json() from None
            raise ReplyError(
                f"the body of {self._shown} ({self.status}) is not JSON: {error}",
                hint=f"it begins with {self.body[:60]!r}",
            ) from error

    def _no_json(self) -> ReplyError:
        """Return the error for a reply that has no body to parse, or the begin of one."""
        if not self.status:
            whole = "whole " if self.body else ""
            return ReplyError(f"{self._shown}: there was no {whole}response: {self.error}", hint=self.message)
        return ReplyError(f"the body of {self._shown} ({self.status}) is empty", hint="look at reply.status first")

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response by lower-case name; values of a repeated header are joined by ", ".

        Raises:
            ReplyError: the headers were not kept, because no code of the scenario seemed to read them.
        """
        return last_headers(self._lines())

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that this response set, by name. `VU.cookies` has all cookies of the VU. Raises as `headers`."""
        return cookies_set(self._lines())

    @property
    def history(self) -> tuple[Redirect, ...]:
        """The redirects that were followed, in order. Raises as `headers`."""
        return redirects(self.url, self._lines())

    @property
    def final_url(self) -> str:
        """The URL of the last response, after all redirects.

        Raises:
            ReplyError: protocol, addresses and final URL were not kept, because no code of the scenario seemed to read
                them.
        """
        return self._connection_info_or_raise().final_url

    @property
    def protocol(self) -> str:
        """The HTTP version: "1.0", "1.1", "2" or "3"; "" without a response. Raises as `final_url`."""
        return self._connection_info_or_raise().protocol

    @property
    def remote_address(self) -> tuple[str, int]:
        """IP address and port of the target. Raises as `final_url`."""
        return self._connection_info_or_raise().remote_address

    @property
    def local_address(self) -> tuple[str, int]:
        """IP address and port of the generator. Raises as `final_url`."""
        return self._connection_info_or_raise().local_address

    @property
    def tls_version(self) -> str:
        """The TLS version of the last handshake with the host, like "1.3"; "" without TLS. Raises as `final_url`."""
        return self._connection_info_or_raise().tls_version

    def _lines(self) -> list[bytes]:
        if self._header_lines is None:
            raise ReplyError("the headers of this reply were not kept", hint="pass keep_headers=True to the scenario")
        return self._header_lines

    def _connection_info_or_raise(self) -> ConnectionInfo:
        facts: ConnectionInfo | None = getattr(self, "_connection_info", None)
        if facts is None:
            raise ReplyError(
                "protocol, addresses and final URL of this reply were not kept",
                hint="pass keep_headers=True to the scenario",
            )
        return facts


class JudgedReply(Reply):
    """A reply that the script judges, within ``async with vu.expect(...)``. The last judgement counts."""

    __slots__ = ("_judgement",)

    @called_by_fastload
    def __init__(self, method: str, url: str, measurement: Measurement) -> None:
        super().__init__(method, url, measurement)
        self._judgement: str | None = None
        """None without a judgement, "" for a success, otherwise the reason of the failure."""

    def success(self) -> None:
        """Count the request as successful, whatever its status, and even without a response."""
        self._judgement = ""

    def failure(self, reason: str) -> None:
        """Count the request as failed.

        Each *reason* is counted as a separate kind of error: leave numbers and ids out of it.
        """
        self._judgement = as_text(reason, "the reason of a failure") or "no reason given"
