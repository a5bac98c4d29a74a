"""Checks of HTTP requests before they reach the run, and of listen addresses: for the control API and the dashboard."""

from __future__ import annotations

import errno
import hmac
import ipaddress
import json
import math
import socket
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastload.control.sampling.listeners import find_listener
from fastload.control.sampling.processes import process_name
from fastload.model.errors import ControlError, PlanError
from fastload.model.units import parse_whole

MOST_BODY_BYTES = 64 * 1024
DEFAULT_HOST = "127.0.0.1"
_MOST_PORT = 65535
_STATUS_OF = {
    "refused": HTTPStatus.BAD_REQUEST,
    "over": HTTPStatus.CONFLICT,
    "timeout": HTTPStatus.SERVICE_UNAVAILABLE,
}


class RequestRefused(Exception):
    """Refusal of an HTTP request, with the *status* of its reply."""

    def __init__(self, status: HTTPStatus, message: str, hint: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @classmethod
    def of(cls, error: ControlError) -> RequestRefused:
        """Return the refusal for a command that the run refused or did not answer."""
        return cls(_STATUS_OF[error.reason], error.message, error.hint)

    def to_dict(self) -> dict[str, str]:
        return {"error": self.message, "hint": self.hint}


def check_host(header: str, served: str) -> None:
    """Check that the ``Host`` *header* names the *served* address.

    This refuses DNS rebinding: a web page whose host name was pointed at this machine sends that name.

    Raises:
        RequestRefused: 403.
    """
    host = _host_of(header)
    if host in ("localhost", "127.0.0.1", "::1", served):
        return
    # A server on a wildcard address is reached by any address of the machine. A rebound DNS name is no address.
    if _is_wildcard(served) and (is_address(host) or host == socket.gethostname().lower()):
        return
    raise RequestRefused(HTTPStatus.FORBIDDEN, f"host {host!r} is not served here", f"ask {served} by its address")


def check_bearer(token: str, header: str) -> None:
    """Check that the ``Authorization`` *header* has *token*, if a token is set.

    Raises:
        RequestRefused: 401.
    """
    given = header.encode("latin-1")
    if token and not hmac.compare_digest(given, b"Bearer " + token.encode()):
        raise RequestRefused(
            HTTPStatus.UNAUTHORIZED,
            "the token is wrong" if given else "a token is needed",
            "send it as Authorization: Bearer TOKEN",
            WWW_Authenticate="Bearer",
        )


def check_origin(origin: str | None, host: str) -> None:
    """Check that a request does not come from a script of a page of another site.

    *origin*: the ``Origin`` header, None without one. *host*: the ``Host`` header of the same request.

    Raises:
        RequestRefused: 403.
    """
    try:
        sender = urlsplit(origin or "").netloc.lower()
    except ValueError:
        sender = ""
    if origin is not None and sender != host.strip().lower():
        raise RequestRefused(
            HTTPStatus.FORBIDDEN, f"origin {origin!r} is not served here", "requests come from this page, or from none"
        )


def check_site(site: str, *, opens_page: bool = False) -> None:
    """Check that a page of another site does not read this server: each report that it makes costs CPU of the run.

    *site*: the ``Sec-Fetch-Site`` header, which browsers send; "" without one. *opens_page*: a link from another site
    may open this page.

    Raises:
        RequestRefused: 403.
    """
    if site.strip().lower() not in ("", "same-origin", "none") and not opens_page:
        raise RequestRefused(HTTPStatus.FORBIDDEN, "a page of another site asks", "open the address in a window itself")


def check_json(content_type: str) -> None:
    """Check that the content type is JSON: forms cannot send it, and pages of other sites only after a CORS preflight.

    Raises:
        RequestRefused: 415.
    """
    header = Message()
    header["Content-Type"] = content_type or "text/plain"
    if header.get_content_type() != "application/json":
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is not JSON", "send Content-Type: application/json"
        )


def check_length(length_bytes: int) -> None:
    """Check that a body is not longer than `MOST_BODY_BYTES`, which is more than any command needs.

    Raises:
        RequestRefused: 413.
    """
    if length_bytes > MOST_BODY_BYTES:
        raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {MOST_BODY_BYTES} bytes")


def arguments_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; {} for an empty body.

    Raises:
        RequestRefused: 400.
    """
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body is not a JSON object", 'write it like {"vus": 50}')
    return found


def plain(value: Any) -> Any:
    """Return *value* with None for NaN and infinity, which JSON does not have, so that every client can read it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# Listen addresses.


def parse_address(text: str, *, what: str, port: int) -> tuple[str, int]:
    """Return host and port of ``PORT`` or ``HOST:PORT``; without a host, the loopback address.

    Raises:
        PlanError: no port from 0 to 65535. *what* is the option's name and *port* an example, both for the message.
    """
    host, _, digits = text.strip().rpartition(":")
    number = parse_whole(digits, _MOST_PORT)
    bracketed = host.startswith("[") and host.endswith("]")
    is_host = bool(host) and (bracketed or not any(sign in host for sign in ":[]"))
    if number is None or (not bracketed and any(sign in host for sign in ":[]")):
        raise PlanError(
            f"{what} {text!r} is not PORT or HOST:PORT",
            hint=f"write it like {port}, 0 (a free port) or {host if is_host else '0.0.0.0'}:{port}",
        )
    return host.strip("[]") or DEFAULT_HOST, number


def check_exposed(what: str, host: str, token: str, *, variable: str) -> None:
    """Check that the server *what* has a *token* if other machines can reach *host*.

    Raises:
        PlanError: it has no token. *variable* is the environment variable for it, for the message.
    """
    if not token and not is_loopback(host):
        raise PlanError(
            f"{what} on {host} can be reached from other machines and has no token",
            hint=f"set a token ({variable}), or serve on {DEFAULT_HOST}",
        )


def find_address(host: str, port: int) -> tuple[int, Any]:
    """Return the address family of *host*, and the address to bind a socket to.

    Raises:
        OSError: *host* cannot be resolved.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0][0], found[0][4]


def url_of(host: str, port: int) -> str:
    """Return the base URL, like ``http://127.0.0.1:6565``."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def bind_error(what: str, host: str, port: int, error: OSError) -> PlanError:
    """Return the error for a server *what* that cannot listen; it names the process that has the port."""
    if error.errno == errno.EADDRINUSE:
        holders = [f"{process_name(pid) or 'a process'} (pid {pid})" for pid in find_listener(port, host)[:1]]
        return PlanError(
            f"{what} port {port} is in use" + (f" by {holders[0]}" if holders else ""),
            hint="choose another port; 0 takes a free one",
        )
    hint = "choose a port from 1024 up" if error.errno == errno.EACCES else "choose an address of this machine"
    return PlanError(f"{what} cannot listen on {host} port {port}: {error.strerror or error}", hint=hint)


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    return is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    return is_address(host) and ipaddress.ip_address(host).is_unspecified


def _host_of(header: str) -> str:
    """Return the host of a ``Host`` header, without port and brackets, in lower case."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
