"""Redirects: the request that follows a response with a Location.

Each request of a chain is sent and counted by itself. libcurl could follow redirects alone, but then a chain would be
one request in the results and several at the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fastload.load.engine.curl_transfer import NOT_FOLLOWED
from fastload.load.engine.header_lines import REDIRECTS
from fastload.model.http_settings import Body

if TYPE_CHECKING:
    from fastload.load.engine.curl_transfer import Transfer

_OF_A_BODY = ("content-type", "content-length", "content-encoding", "content-language", "content-location")
_CREDENTIALS = ("authorization", "cookie")
# What libcurl refuses in the name of a host (hostname_check in lib/urlapi.c), and an IPv6 address.
_NOT_IN_A_HOST = re.compile(r"""[\s/:#?!@{}\[\]\\$'"^`*<>=;,+&()]""").search
_IN_BRACKETS = re.compile(r"(?:^|@)\[[^\]]*\](?::\d*)?$").search
_NS_PER_S = 10**9


@dataclass(slots=True)
class Chain:
    """A request and the redirects after it: the request that was sent last, and what is left of the limits.

    *ends_ns* is when the time-out of the chain ends (monotonic, ns); 0 without a time-out.
    """

    method: str
    url: str
    lines: tuple[str, ...]
    body: Body | None
    ends_ns: int
    redirects_left: int

    @classmethod
    def begin(
        cls, transfer: Transfer, started_ns: int, method: str, url: str, lines: tuple[str, ...], body: Body | None
    ) -> Chain:
        """Return the chain that begins with the request of *transfer*, which started at *started_ns* (monotonic)."""
        ends_ns = started_ns + round(transfer.timeout_s * _NS_PER_S) if transfer.timeout_s else 0
        return cls(method, url, lines, body, ends_ns, transfer.max_redirects)

    def follow(self, transfer: Transfer, status: int, url: str) -> None:
        """Prepare *transfer* for the request that follows a response with *status* and the Location *url*.

        Raises:
            OSError: a file of the body cannot be opened.
        """
        self.redirects_left -= 1
        self._take_method(status)
        if _origin(url) != _origin(self.url):
            # As libcurl and browsers do: another server does not get the credentials of this one.
            self.lines = _without(self.lines, _CREDENTIALS)
            transfer.withhold_credentials()
        else:
            url = _with_user_of(self.url, url)
        self.url = url
        if self.ends_ns:
            transfer.limit_time(max(0.001, (self.ends_ns - monotonic_ns()) / _NS_PER_S))
        transfer.chunks.clear()
        transfer.prepare(self.method, self.url, self.lines, self.body)

    def error(self, status: int, url: str) -> tuple[int, str] | None:
        """Return the error of a response whose redirect to *url* is not allowed; None if it is, or if it is no
        redirect."""
        if status not in REDIRECTS or not url:
            return None
        if error := url_error(url):
            return error
        if self.redirects_left > 0:
            return None
        return (
            NOT_FOLLOWED,
            f"the server redirects again, to {url}, after as many redirects as max_redirects allows",
        )

    def _take_method(self, status: int) -> None:
        """Choose the next method as the Fetch standard (section 4.4) does.

        A 303 asks for a GET, and a POST after 301 or 302 becomes a GET. All others keep method and body.
        """
        to_get = (status == 303 and self.method not in ("GET", "HEAD")) or (
            status in (301, 302) and self.method == "POST"
        )
        if to_get:
            self.method, self.body = "GET", None
            self.lines = _without(self.lines, _OF_A_BODY)


def url_error(url: str) -> tuple[int, str] | None:
    """Return the error of a redirect to *url* if it is not a URL with http or https; None if it is."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return NOT_FOLLOWED, f"the server redirects to {url}, which is not a URL: {error}"
    if parts.scheme not in ("http", "https"):
        return NOT_FOLLOWED, f"the server redirects to {url}, and only http and https are followed"
    if not host:
        return NOT_FOLLOWED, f"the server redirects to {url}, which is not a URL: it has no host"
    if not _IN_BRACKETS(parts.netloc) and (wrong := _NOT_IN_A_HOST(unquote(host))):
        return NOT_FOLLOWED, f"the server redirects to {url}, which is not a URL: {wrong[0]!r} is in its host"
    return None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    host = parts.netloc.rpartition("@")[2].lower()
    return scheme, host.removesuffix(":443" if scheme == "https" else ":80")


def _with_user_of(before: str, url: str) -> str:
    """Return *url* with the ``user:password@`` of the URL *before*, unless it has its own."""
    parts, (user, at, _) = urlsplit(url), urlsplit(before).netloc.rpartition("@")
    return url if not at or "@" in parts.netloc else parts._replace(netloc=f"{user}@{parts.netloc}").geturl()


def _without(lines: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line for line in lines if line.partition(":")[0].strip(" ;").lower() not in names)
