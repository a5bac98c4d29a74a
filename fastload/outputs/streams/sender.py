"""HTTP posts to a monitoring system: one kept connection, a short timeout, and error messages without credentials."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import urllib3

from fastload.model.errors import OutputError, PlanError

TIMEOUT_S = 2.0
# Number of posts that fail at once after a timeout (a sink posts about once per second).
POSTS_SKIPPED_AFTER_TIMEOUT = 2
_SHOWN_REPLY = 200
_MOST_REPLY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class SendAddress:
    """The parsed URL of a monitoring system. *origin* is ``scheme://host:port``, *headers* has the credentials."""

    origin: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The URL for messages: without user, password and query."""
        return self.origin + self.path

    def url_for(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return the URL of *path* at this origin, with *query*, or by default with the query of this address."""
        asked = self.query if query is None else query
        return f"{self.origin}{path}{'?' + urlencode(asked) if asked else ''}"


def parse_send_address(text: str, option: str, example: str) -> SendAddress:
    """Parse the URL *text*. *option*, like ``--out otlp``, names it in an error; *example* is for the hint.

    Raises:
        PlanError: *text* is no http or https URL. The message contains nothing that may be a password.
    """
    hint = f"write it like {option}={example}"
    if not text:
        raise PlanError(f"{option} needs a URL", hint=hint)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise PlanError(f"{option}: this is not a URL: {_without_secrets(text)!r}", hint=hint) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = f"{option}: {_without_secrets(text)!r} is no http:// or https:// URL with a host"
        raise PlanError(what, hint=hint)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    origin = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}"
    headers = {}
    if parts.username or parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return SendAddress(origin, parts.path.rstrip("/"), dict(parse_qsl(parts.query)), headers)


class NotSentError(OutputError):
    """The request was not sent, so it cannot have arrived."""


class RefusedError(OutputError):
    """The server replied with *status*, which is not 2xx."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Sender:
    """An HTTP client that posts to one host. Its errors contain only the address without credentials, and the reason.

    After a timeout the next two posts fail at once: a sink that waits for a timeout each second would fall further and
    further behind.
    """

    def __init__(self, address: SendAddress, *, ca_file: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._posts_to_skip = 0
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=1, retries=False, timeout=urllib3.Timeout(total=timeout_s), ca_certs=ca_file
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send *body* to *url*, and wait for the reply.

        Raises:
            NotSentError: the request was not sent.
            RefusedError: the reply has no 2xx status.
            OutputError: there was no reply; the request may have arrived.
        """
        if self._posts_to_skip:
            self._posts_to_skip -= 1
            raise NotSentError(self._message(f"did not answer within {self._timeout_s:g} s"))
        try:
            reply = self._pool.request(
                "POST", url, body=body, headers={**self._address.headers, **headers}, preload_content=False
            )
            said = reply.read(_MOST_REPLY_BYTES)
            if not reply.closed:
                # The rest of a longer reply would be read as the start of the next reply on this connection.
                reply.close()
            reply.release_conn()
        except urllib3.exceptions.NewConnectionError as error:
            raise NotSentError(self._message(f"could not be reached: {_reason(error)}")) from error
        except urllib3.exceptions.TimeoutError as error:
            self._posts_to_skip = POSTS_SKIPPED_AFTER_TIMEOUT
            kind = NotSentError if isinstance(error, urllib3.exceptions.ConnectTimeoutError) else OutputError
            raise kind(self._message(f"did not answer within {self._timeout_s:g} s")) from error
        except urllib3.exceptions.HTTPError as error:
            raise OutputError(self._message(f"could not be reached: {_reason(error)}")) from error
        if not 200 <= reply.status < 300:
            text = " ".join(said.decode("utf-8", "replace").split())[:_SHOWN_REPLY]
            raise RefusedError(self._message(f"answered {reply.status}{': ' + text if text else ''}"), reply.status)

    def close(self) -> None:
        self._pool.clear()

    def _message(self, what: str) -> str:
        return f"{self._address.shown} {what}"


def _reason(error: BaseException) -> str:
    """Return the message of the operating system for the cause of *error*."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _without_secrets(text: str) -> str:
    return text.rpartition("@")[2].partition("?")[0]
