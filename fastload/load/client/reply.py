"""What came back for a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from fastload.load.client.json_path import NoSuchPathError, at_path
from fastload.load.engine.header_lines import Redirect, cookies_set, last_headers, redirects
from fastload.load.recording.outcome import FAILED_FROM_STATUS
from fastload.model.errors import FastloadError
from fastload.model.http_settings import error_code, without_credentials

if TYPE_CHECKING:
    from fastload.load.engine.curl_transfer import Measurement


class ReplyError(FastloadError):
    """A reply was asked for something that it did not keep or does not have."""


class Timings(NamedTuple):
    """The parts of a request, in milliseconds, as the metrics of the same names have them. Those of connecting are 0
    on a connection that was there."""

    blocked_ms: float
    lookup_ms: float
    connecting_ms: float
    tls_ms: float
    sending_ms: float
    waiting_ms: float
    receiving_ms: float


class ConnectionInfo(NamedTuple):
    """What libcurl knows of a finished request beside its times."""

    protocol: str
    remote_address: tuple[str, int]
    local_address: tuple[str, int]
    tls_version: str
    final_url: str


class Reply:
    """What came back. A failed request is a reply too: ``ok`` is False, ``status`` 0 if there was no response.

    Times are milliseconds. ``duration_ms`` is k6's: sending, waiting and receiving, without connecting.
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
    # Set only where they differ from what every reply has: it costs time to set what nobody reads.
    _as_expected: bool
    _connection_info: ConnectionInfo
    _retry_after_s: float | None
    _tries: int

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
        """A response came, with a status below 400, or with one that the request, the scenario or the run expects."""
        by_status = not self.error and 0 < self.status < FAILED_FROM_STATUS
        return getattr(self, "_as_expected", by_status)

    @property
    def error_code(self) -> int:
        """k6's number for what went wrong, like 1212 for a refused connection and 1404 for a status 404; 0 for
        nothing."""
        return 0 if self.ok else error_code(self.error, self.status)

    @property
    def tries(self) -> int:
        """How often it was sent, with those that a `Retry` sent again."""
        return getattr(self, "_tries", 1)

    @property
    def what_failed(self) -> str:
        """For the errors of the summary: what was asked for, and what libcurl said."""
        return f"{self.method} {without_credentials(self.url)}: {self.message}"

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
    def timings(self) -> Timings:
        """The parts of the request."""
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
        """Head and body of the request."""
        return self._measurement[9]

    @property
    def bytes_received(self) -> int:
        """Head and body of the response, as it came: a compressed body counts as it is."""
        return self._measurement[10]

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

    def json(self, path: str = "") -> Any:
        """The body parsed as JSON; with a *path* like ``"data.items.0.id"`` what stands there.

        Raises:
            ReplyError: it is not JSON, there is nothing at *path*, or as `body`.
        """
        try:
            parsed = orjson.loads(self.body)
            return at_path(parsed, path) if path else parsed
        except NoSuchPathError as error:
            raise ReplyError(
                f"the body of {self.method} {self.url} ({self.status}) has no {path!r}", hint=str(error)
            ) from error
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
        return last_headers(self._lines())

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that this response set, by name. What the VU has kept of all is in `VU.cookies`. Raises as
        `headers`."""
        return cookies_set(self._lines())

    @property
    def history(self) -> tuple[Redirect, ...]:
        """The redirects that were followed, in their order. Raises as `headers`."""
        return redirects(self.url, self._lines())

    @property
    def final_url(self) -> str:
        """The URL that answered, after all redirects.

        Raises:
            ReplyError: the facts of the reply were dropped, because nothing in the scenario's code seemed to read them.
        """
        return self._known().final_url

    @property
    def protocol(self) -> str:
        """The version of HTTP: "1.0", "1.1", "2" or "3". Raises as `final_url`."""
        return self._known().protocol

    @property
    def remote_address(self) -> tuple[str, int]:
        """Address and port that the request went to. Raises as `final_url`."""
        return self._known().remote_address

    @property
    def local_address(self) -> tuple[str, int]:
        """Address and port that the request came from. Raises as `final_url`."""
        return self._known().local_address

    @property
    def tls_version(self) -> str:
        """Like "1.3", of the last handshake with the host; empty without TLS. Raises as `final_url`."""
        return self._known().tls_version

    def _lines(self) -> list[bytes]:
        if self._header_lines is None:
            raise ReplyError("the headers of this reply were not kept", hint="pass keep_headers=True to the scenario")
        return self._header_lines

    def _known(self) -> ConnectionInfo:
        facts: ConnectionInfo | None = getattr(self, "_connection_info", None)
        if facts is None:
            raise ReplyError(
                "protocol, addresses and final URL of this reply were not kept",
                hint="pass keep_headers=True to the scenario",
            )
        return facts


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
