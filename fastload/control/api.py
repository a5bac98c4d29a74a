"""What the control API answers: one request of HTTP, checked, and put to the run."""

from __future__ import annotations

import contextlib
import hmac
import io
import ipaddress
import json
import math
import socket
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from fastload.control.commands import Commands, check_command
from fastload.model.errors import ControlError, nearest

MOST_BODY_BYTES = 64 * 1024
# A request has to be here, whole, within this time; then the run has this long to answer it, and the client to read.
READ_S, ANSWER_S, WRITE_S = 5.0, 10.0, 2.0
_LINGER_S = 1.0

ROUTES: Mapping[str, tuple[str, str]] = {
    "/": ("GET", "this list"),
    "/v1/status": ("GET", "phase, progress, VUs, requests, scenarios and their targets"),
    "/v1/metrics": ("GET", "the metrics of the run so far, as in the summary"),
    "/v1/pause": ("POST", "start nothing until resume"),
    "/v1/resume": ("POST", "go on after pause, or begin a run that waits"),
    "/v1/scale": ("POST", "set vus or rate of a scenario, or change it by so many"),
    "/v1/stop": ("POST", "end the run, gracefully unless now is true"),
}
"""Method and meaning by path."""

_STATUS_OF = {
    "refused": HTTPStatus.BAD_REQUEST,
    "over": HTTPStatus.CONFLICT,
    "timeout": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Api:
    """What the requests of one server have in common. *host* is where it listens; *token* ``""`` is none."""

    def __init__(self, commands: Commands, host: str, token: str) -> None:
        self.commands = commands
        self.host = host.lower()
        self.token = token.encode()


class Handler(BaseHTTPRequestHandler):
    """One connection with one request (HTTP/1.0: the answer ends it)."""

    server_version = "fastload"
    sys_version = ""

    def __init__(self, api: Api, *args: Any) -> None:
        self._api = api
        super().__init__(*args)

    def setup(self) -> None:
        super().setup()
        self._deadline = time.monotonic() + READ_S
        self._left_bytes = 0
        self.rfile = io.BufferedReader(_DeadlineReader(self.connection, self._deadline))

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
            self._drain()

    def _serve(self) -> None:
        try:
            self._left_bytes = self._body_length()
            self._check_host()
            self._check_token()
            name = self._route()
            arguments = self._arguments() if self.command == "POST" else {}
        except _HttpError as refusal:
            self._reply(refusal.status, {"error": refusal.message, "hint": refusal.hint}, **refusal.headers)
            return
        except TimeoutError:
            self._reply(HTTPStatus.REQUEST_TIMEOUT, {"error": f"the request was not here within {READ_S:g} s"})
            return
        if not name:
            self._reply(HTTPStatus.OK, {"routes": {path: f"{how}: {what}" for path, (how, what) in ROUTES.items()}})
            return
        try:
            arguments = check_command(name, arguments)
            self._reply(HTTPStatus.OK, self._api.commands.ask(name, timeout_s=ANSWER_S, **arguments))
        except ControlError as error:
            self._reply(_STATUS_OF[error.reason], {"error": error.message, "hint": error.hint})

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - names of the base class

    def _check_host(self) -> None:
        """A page of a web site whose name was pointed at this machine sends that name, and is refused."""
        host = _host_of(self.headers.get("Host", ""))
        served = self._api.host
        if host in ("localhost", "127.0.0.1", "::1", served):
            return
        # On a wildcard address it is reached by whichever address of the machine; a rebound name is no address.
        if _is_wildcard(served) and (is_address(host) or host == socket.gethostname().lower()):
            return
        raise _HttpError(
            HTTPStatus.FORBIDDEN, f"host {host!r} is not served here", f"ask {self._api.host} by its address"
        )

    def _check_token(self) -> None:
        wanted = self._api.token
        given = self.headers.get("Authorization", "").encode("latin-1")
        if wanted and not hmac.compare_digest(given, b"Bearer " + wanted):
            raise _HttpError(
                HTTPStatus.UNAUTHORIZED,
                "the token is wrong" if given else "a token is needed",
                "send it as Authorization: Bearer TOKEN",
                WWW_Authenticate="Bearer",
            )

    def _route(self) -> str:
        """The command's name; empty for the list of routes."""
        path = self.path.partition("?")[0]
        if path not in ROUTES:
            hint = nearest(path, ROUTES) or "GET / lists the routes"
            raise _HttpError(HTTPStatus.NOT_FOUND, f"there is no route {path}", hint)
        method = ROUTES[path][0]
        if self.command != method:
            raise _HttpError(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{path} does not take {self.command}", f"use {method}", Allow=method
            )
        return path.rpartition("/")[2]

    def _body_length(self) -> int:
        text = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdecimal()):
            raise _HttpError(HTTPStatus.LENGTH_REQUIRED, "the body has no length", "send Content-Length")
        return int(text)

    def _arguments(self) -> dict[str, Any]:
        # Forms and pages of other sites cannot send this type without asking first, and that is answered with 405.
        if self.headers.get_content_type() != "application/json":
            raise _HttpError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is not JSON", "send Content-Type: application/json"
            )
        if self._left_bytes > MOST_BODY_BYTES:
            raise _HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {MOST_BODY_BYTES} bytes")
        body = self.rfile.read(self._left_bytes)
        self._left_bytes = 0
        try:
            found = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise _HttpError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise _HttpError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object", 'write it like {"vus": 50}')
        return found

    def _reply(self, status: HTTPStatus, answer: Mapping[str, Any], **headers: str) -> None:
        body = json.dumps(_plain(answer), indent=2).encode() + b"\n"
        self.connection.settimeout(WRITE_S)
        # Nonsense is taken for HTTP/0.9, which has neither status nor headers.
        self.request_version = self.protocol_version
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no HTTP at all, in the same form as every other error."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._reply(status, {"error": message or status.phrase, "hint": explain or ""})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Nothing: the run's own output is on the terminal."""

    def _drain(self) -> None:
        """Read what was refused unread: closing on top of it would take the answer back from the client."""
        if not self._left_bytes:
            return
        self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _LINGER_S
        while (left_s := end - time.monotonic()) > 0:
            self.connection.settimeout(left_s)
            if not self.connection.recv(MOST_BODY_BYTES):
                return


class _HttpError(Exception):
    """A request that is answered with *status* before it gets to the run."""

    def __init__(self, status: HTTPStatus, message: str, hint: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = headers


class _DeadlineReader(io.RawIOBase):
    """Reads from a connection until a moment, however little comes at a time."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


def _plain(value: Any) -> Any:
    """*value* with null for what JSON has no number for, so that every client can read it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _host_of(header: str) -> str:
    """The host of a ``Host`` header, without port and brackets, in lower case."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_wildcard(host: str) -> bool:
    return is_address(host) and ipaddress.ip_address(host).is_unspecified


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
