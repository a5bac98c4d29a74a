"""HTTP settings of a run and of a single request, request bodies, and k6's error codes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from fastload.model.errors import PlanError
from fastload.model.statuses import MOST, StatusSpec
from fastload.model.units import parse_whole
from fastload.version import __version__

HttpVersion = Literal["", "1.1", "2", "2-prior", "3"]
AuthScheme = Literal["basic", "digest", "ntlm", "bearer"]
TlsVersion = Literal["", "1.0", "1.1", "1.2", "1.3"]
ConnectionReuse = Literal["vu", "iteration", "none"]
DebugLevel = Literal["", "headers", "full"]

PEM = "-----BEGIN "
"""Beginning of a certificate or key that is given as PEM text, and not as the path of a file."""


@dataclass(frozen=True, slots=True)
class Auth:
    """Credentials of a request: *user* and *password*, or *token* for the scheme ``bearer``."""

    scheme: AuthScheme
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """HTTP settings of all requests of a run. A request can override some. `docs/transport.md` explains each field.

    - *timeout_s* covers connecting and the whole response. *connect_timeout_s* and *idle_timeout_s* (no byte sent or
      received for so long) are off at 0.
    - *http_version*: "" leaves the choice to ALPN; "2-prior" uses HTTP/2 without negotiation.
    - *accept_encoding*: None asks for no compression, "" for every compression that libcurl can decode.
    - *ca_file*: "" means the system's certificates. *cert_file* and *key_file* are paths or the PEM text itself.
    - *proxy*: a URL, "" for none, "env" for the proxies of the environment.
    - *dns*: "pinned" (look up once), "each" (for each connection), or a duration after which to look up again.
    - *hosts*: ``name[:port]`` -> ``address[:port]``.
    - *max_body_bytes*, *upload_bytes_per_s*, *download_bytes_per_s*, *max_connection_requests* and
      *max_connection_age_s*: 0 means no limit.
    - *fold_paths*: replace numbers, UUIDs and long hex in the names of requests by ``{id}``.
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
class RequestSettings:
    """HTTP settings of one request. None keeps the setting of the run; the fields are as in `HttpSettings`.

    *source_address* is a single address. *accept_encoding* "identity" asks for no compression.
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


@dataclass(frozen=True, slots=True)
class FileBody:
    """Streamed body: *size_bytes* of the file *path* from *offset*. A request has at most one chunk of it in memory."""

    path: str
    offset: int
    size_bytes: int


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
            found += [f"{head}\r\n\r\n".encode(), part.content, b"\r\n"]
        return [*found, f"--{self.boundary}--\r\n".encode()]


StreamedBody: TypeAlias = FileBody | Multipart
Body: TypeAlias = bytes | FileBody | Multipart

GENERIC_CODE = 1000
ERROR_CODES: dict[str, int] = {
    "url": 1020,
    "timeout": 1050,
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
    """Check a base URL, and return it without a slash at its end. *what* names the URL in messages.

    Raises:
        PlanError: malformed, no http or https scheme, no host, or an invalid port.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise PlanError(f"{what} {url!r} is not a URL: {error}", hint="check the brackets of the IPv6 host") from error
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise PlanError(f"{what} {url!r} has no host", hint="write it like http://127.0.0.1:8080")
    if parts.scheme not in ("http", "https"):
        bare = url.split("://", 1)[-1]
        if bare.startswith("/"):
            raise PlanError(
                f"{what} {url!r} has no host", hint=f"write it like http://127.0.0.1:8080{bare.rstrip('/')}"
            )
        raise PlanError(f"{what} {url!r} has no http:// or https:// scheme", hint=f"write http://{bare}")
    try:
        _ = parts.port
    except ValueError as error:
        raise PlanError(f"{what} {url!r} has a port that is not a number up to 65535", hint="check the port") from error
    return url.rstrip("/")


def without_credentials(url: str) -> str:
    """Return *url* without ``user:password@``, so that it can be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # No URL, but there may be a password in it.
        return url.rpartition("@")[2]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def _quoted(text: str) -> str:
    """Escape *text* for a quoted value in the header of a part, as browsers do."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
