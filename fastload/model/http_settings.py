"""HTTP settings of a run and of a single request, request bodies, and k6's error codes."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from fastload.model.errors import PlanError, nearest
from fastload.model.public_types import PublicType
from fastload.model.redaction import redacted_url
from fastload.model.statuses import MOST, StatusSpec
from fastload.model.units import parse_whole
from fastload.model.urls import encode_url, trim_url, with_ascii_host
from fastload.model.wire_text import check_line, utf8
from fastload.model.wire_text import shown as as_shown
from fastload.version import __version__

HttpVersion = Literal["", "1.1", "2", "2-prior", "3"]
AuthScheme = Literal["basic", "digest", "ntlm", "bearer"]
TlsVersion = Literal["", "1.0", "1.1", "1.2", "1.3"]
ConnectionReuse = Literal["vu", "iteration", "none"]
DebugLevel = Literal["", "headers", "full"]
DnsSelect = Literal["first", "random", "roundRobin"]

TO_THE_END = -1
PEM = "-----BEGIN "
"""Beginning of a certificate or key that is given as PEM text, and not as the path of a file."""


LEAST_UPLOAD_RATE = 16_384
"""Lowest upload rate, in bytes per second."""


@dataclass(frozen=True, slots=True)
class Auth(metaclass=PublicType):
    """Credentials of a request: *user* and *password*, or *token* for the scheme ``bearer``.

    *scheme* is "basic", "digest", "ntlm" or "bearer".
    """

    scheme: AuthScheme
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in ("user", "password", "token"):
            if isinstance(text := getattr(self, name), str):
                check_line(text, f"the {name} of auth")


@dataclass(frozen=True, slots=True)
class HttpSettings(metaclass=PublicType):
    """HTTP settings of all requests of a run. A request can override some. `docs/transport.md` explains each field.

    - *user_agent* and *headers* (``"name: value"``) are sent with every request. *auth*: credentials of every request.
    - *cookies*: keep the cookies that responses set. *max_redirects*: how many redirects are followed, at most.
    - *timeout_s* covers connecting and the whole response. *connect_timeout_s* and *idle_timeout_s* (no byte sent or
      received for so long) are off at 0.
    - *http_version*: "" leaves the choice to ALPN; "2-prior" uses HTTP/2 without negotiation.
    - *accept_encoding*: None asks for no compression, "" for gzip and deflate.
    - *ca_file*: "" means the system's certificates. *cert_file* and *key_file* are paths or the PEM text itself,
      and *key_password* opens the key. *verify_tls* False accepts every certificate. *tls_min* and *tls_max* bound the
      TLS version; *ciphers* is a list of OpenSSL.
    - *proxy*: a URL, "" for none, "env" for the proxies of the environment. *no_proxy*: hosts without it, with commas.
      *proxy_auth*: the scheme of the user and password in the URL.
    - *dns*: "pinned" (look up once), "each" (for each connection), or a duration after which to look up again.
    - *dns_select*: to which of several addresses of the base URL's host a VU connects: the "first" that answers, one at
      "random", or the next for each VU ("roundRobin").
    - *hosts*: ``name[:port]`` -> ``address[:port]``. *ip_version*: "4" or "6" for addresses of this kind only.
    - *source_addresses*: addresses of this machine that the VUs connect from, in turn.
    - *connection_reuse*: connections are kept by the "vu", for an "iteration", or for one request ("none").
    - *max_body_bytes*, *upload_bytes_per_s*, *download_bytes_per_s*, *max_connection_requests* and
      *max_connection_age_s*: 0 means no limit.
    - *fold_paths*: replace numbers, UUIDs and long hex in the names of requests by ``{id}``.
    - *debug*: print each request and response with "headers", or in "full".
    - *expected*: the statuses that are a success, like "200-399,404"; "" for all statuses below 400.
    """

    timeout_s: float = 60.0
    connect_timeout_s: float = 0.0
    idle_timeout_s: float = 0.0
    http_version: HttpVersion = ""
    user_agent: str = f"fastload/{__version__}"
    headers: tuple[str, ...] = ()
    max_redirects: int = 10
    cookies: bool = True
    auth: Auth | None = None
    accept_encoding: str | None = None
    max_body_bytes: int = 0
    upload_bytes_per_s: int = 0
    download_bytes_per_s: int = 0
    verify_tls: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = field(default="", repr=False)
    key_password: str = field(default="", repr=False)
    tls_min: TlsVersion = ""
    tls_max: TlsVersion = ""
    ciphers: str = ""
    proxy: str = field(default="", repr=False)
    no_proxy: str = ""
    proxy_auth: Literal["basic", "digest", "ntlm"] = "basic"
    hosts: Mapping[str, str] = field(default_factory=dict, hash=False)
    dns: str = "pinned"
    dns_select: DnsSelect = "first"
    ip_version: Literal["", "4", "6"] = ""
    source_addresses: tuple[str, ...] = ()
    connection_reuse: ConnectionReuse = "vu"
    max_connection_requests: int = 0
    max_connection_age_s: float = 0.0
    debug: DebugLevel = ""
    fold_paths: bool = True
    expected: StatusSpec = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data without secrets: without headers, passwords and tokens."""
        hidden = ("headers", "key_password", "auth", "proxy", "hosts", "cert_file", "key_file")
        public = {name: value for name, value in asdict(self).items() if name not in hidden}
        own = {
            "cert_file": "(PEM)" if self.cert_file.startswith(PEM) else self.cert_file,
            "key_file": "(PEM)" if self.key_file.startswith(PEM) else self.key_file,
            "auth": self.auth.scheme if self.auth else "",
            "proxy": without_credentials(self.proxy),
            "hosts": dict(self.hosts),
        }
        return public | own


@dataclass(frozen=True, slots=True)
class RequestSettings(metaclass=PublicType):
    """HTTP settings of one request. None keeps the setting of the run; the fields are as in `HttpSettings`.

    - *timeout_s*, *connect_timeout_s* and *idle_timeout_s*: time limits in seconds.
    - *max_redirects*, *auth*, *http_version*, *verify_tls* and *proxy*.
    - *upload_bytes_per_s*, *download_bytes_per_s* and *max_body_bytes*: 0 means no limit.
    - *source_address* is a single address. *accept_encoding* "identity" asks for no compression.
    """

    timeout_s: float | None = None
    connect_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    max_redirects: int | None = None
    auth: Auth | None = None
    upload_bytes_per_s: int | None = None
    download_bytes_per_s: int | None = None
    max_body_bytes: int | None = None
    http_version: HttpVersion | None = None
    accept_encoding: str | None = None
    verify_tls: bool | None = None
    proxy: str | None = field(default=None, repr=False)
    source_address: str | None = None

    def __post_init__(self) -> None:
        for name in ("accept_encoding", "proxy", "source_address"):
            if isinstance(text := getattr(self, name), str):
                check_line(text, name)
        for name in ("timeout_s", "connect_timeout_s", "idle_timeout_s"):
            seconds = getattr(self, name)
            # `check_types` refuses what is no number, with the place.
            if isinstance(seconds, int | float) and not (0 <= seconds < math.inf and (seconds or name != "timeout_s")):
                hint = "give it some seconds" + ("" if name == "timeout_s" else "; 0 is no limit")
                raise PlanError(f"{name} {seconds} is no time limit", hint=hint)
        check_upload_rate(self.upload_bytes_per_s)


@dataclass(frozen=True, slots=True)
class FileBody:
    """Streamed body: *size_bytes* of the file *path* from *offset*. A request has at most one chunk of it in memory.

    `TO_THE_END`: as many as the file has when the request begins.
    """

    path: str
    offset: int = 0
    size_bytes: int = TO_THE_END


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a multipart body. *filename* and *content_type* are left out when empty."""

    name: str
    content: bytes | FileBody
    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Multipart:
    """Body of multipart/form-data. Its files are streamed. *boundary* is random, so that no part contains it."""

    parts: tuple[Part, ...]
    boundary: str = field(default_factory=lambda: f"fastload-{secrets.token_hex(16)}")

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self.boundary}"

    def segments(self) -> list[bytes | FileBody]:
        """Return the pieces of the body, in the order in which they are sent."""
        found: list[bytes | FileBody] = []
        for part in self.parts:
            head = f'--{self.boundary}\r\nContent-Disposition: form-data; name="{_quoted(part.name)}"'
            if part.filename:
                head += f'; filename="{_quoted(part.filename)}"'
            if part.content_type:
                head += f"\r\nContent-Type: {part.content_type}"
            found += [utf8(f"{head}\r\n\r\n"), part.content, b"\r\n"]
        return [*found, f"--{self.boundary}--\r\n".encode()]


StreamedBody: TypeAlias = FileBody | Multipart
Body: TypeAlias = bytes | FileBody | Multipart

GENERIC_CODE = 1000
ERROR_CODES: dict[str, int] = {
    "url": 1020,
    "timeout": 1050,
    "tls_timeout": 1050,
    "idle_timeout": 1050,
    "dns": 1101,
    "connect_failed": 1210,
    "connect_timeout": 1211,
    "connect_refused": 1212,
    "connect_unreachable": 1213,
    "reset": 1220,
    "tls": 1300,
    "tls_verify": 1310,
    "decompress": 1701,
}
"""Error codes of k6, by kind of error. All other kinds have `GENERIC_CODE`."""


def check_upload_rate(bytes_per_s: Any) -> None:
    """Check an upload rate: libcurl sends nothing if its buffer, of 16 KiB at least, holds more than one second.

    Raises:
        PlanError: it is above 0 and below 16 KiB.
    """
    if isinstance(bytes_per_s, int | float) and 0 < bytes_per_s < LEAST_UPLOAD_RATE:
        raise PlanError(
            f"an upload rate of {bytes_per_s:g} bytes per second is below {LEAST_UPLOAD_RATE:,}",
            hint='write it like "16KiB"',
        )


def error_code(kind: str, status: int = 0) -> int:
    """Return k6's ``error_code`` of a kind of error; 0 without an error.

    For a status of 400 or more it is 1000 + status; such a status may also be given as a kind, like ``http_404``.
    """
    if kind.startswith("http_") and (named := parse_whole(kind[5:], MOST)) is not None:
        status, kind = named, ""
    if kind:
        return ERROR_CODES.get(kind, GENERIC_CODE)
    return GENERIC_CODE + status if status >= 400 else 0


def check_base_url(url: str, *, what: str = "URL") -> str:
    """Check a base URL, and return it with its host in ASCII and without a slash at its end. *what* names the URL in
    messages.

    Raises:
        PlanError: as `check_url`; or it has a query or a fragment, to which no path can be added.
    """
    url = check_url(url, what=what)
    for mark, part in (("#", "fragment"), ("?", "query")):
        before, found, _ = url.partition(mark)
        if found and mark not in before:
            hint = f"write {without_credentials(before).rstrip('/')}"
            hint += "" if mark == "#" else ", and give parameters to the requests: params={...}"
            raise PlanError(f"{what} {without_credentials(url)!r} has a {part}", hint=hint)
    return url.rstrip("/")


def check_url(url: str, *, what: str = "URL") -> str:
    """Check an absolute URL, and return it with its host in ASCII. *what* names the URL in messages.

    Raises:
        PlanError: malformed, no http or https scheme, no host, a host that is no name, or an invalid port.
    """
    url = trim_url(url)
    if as_shown(url) != url:
        # Bytes that are no UTF-8 could not be printed.
        url = encode_url(url)
    shown = without_credentials(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise PlanError(
            f"{what} {shown!r} is not a URL: {error}", hint="check the brackets of the IPv6 host"
        ) from error
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise PlanError(f"{what} {shown!r} has no host", hint="write it like http://127.0.0.1:8080")
    if parts.scheme not in ("http", "https"):
        bare = shown.split("://", 1)[-1]
        if bare.startswith("/"):
            raise PlanError(
                f"{what} {shown!r} has no host", hint=f"write it like http://127.0.0.1:8080{bare.rstrip('/')}"
            )
        raise PlanError(f"{what} {shown!r} has no http:// or https:// scheme", hint=f"write http://{bare}")
    try:
        _ = parts.port
    except ValueError as error:
        raise PlanError(
            f"{what} {shown!r} has a port that is not a number up to 65535", hint="check the port"
        ) from error
    try:
        return with_ascii_host(url)
    except ValueError as error:
        raise PlanError(f"{what} {shown!r} has a host that is no name: {error}") from error


def check_scheme(url: str, scheme: str) -> None:
    """Check that the *scheme* of the absolute *url* of a request is http or https.

    Raises:
        PlanError: it is another one.
    """
    scheme = scheme.lower()
    if scheme in ("ws", "wss"):
        raise PlanError(
            f"{without_credentials(url)!r} is the URL of a WebSocket", hint="write async with vu.websocket(...) as ws:"
        )
    if scheme not in ("http", "https"):
        raise PlanError(
            f"{without_credentials(url)!r} has the scheme {scheme!r}, and only http and https are requests",
            hint=nearest(scheme, ("http", "https")) or "use http:// or https://",
        )


def without_credentials(url: str) -> str:
    """Return *url* without ``user:password@`` and the values of secret parameters, so that it can be shown."""
    return redacted_url(url)


def _quoted(text: str) -> str:
    """Escape *text* for a quoted value in the header of a part, as browsers do."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").replace("\0", "%00")
