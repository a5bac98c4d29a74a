"""Request handler of the control API: checks an HTTP request, passes its command to the run, and sends the reply."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from fastload.control.commands.command_queue import CommandQueue, check_command
from fastload.control.commands.http_checks import (
    MOST_BODY_BYTES,
    RequestRefused,
    arguments_of,
    check_bearer,
    check_host,
    check_json,
    check_length,
    check_origin,
    check_site,
    plain,
)
from fastload.model.errors import ControlError, nearest
from fastload.model.units import parse_whole

# Time limits: for the whole request to arrive, for the run to answer it, and for the client to read the reply.
READ_S, ANSWER_S, WRITE_S = 5.0, 10.0, 2.0
_LINGER_S = 1.0
CLIENT_HEADER = "X-Fastload-Client"
"""Request header in which a program of fastload's own says which one it is: a key of `CLIENTS`."""
CLIENTS: Mapping[str, str] = {"": "the control API", "ui": "fastload ui"}
"""What a run calls the one who asks, by client; the same as `LoadChange.who`."""

ROUTES: Mapping[str, tuple[str, str]] = {
    "/": ("GET", "this list"),
    "/v1/status": ("GET", "phase, progress, VUs, requests, scenarios and their targets"),
    "/v1/metrics": ("GET", "the metrics of the run so far, as in the summary"),
    "/v1/pause": ("POST", "start nothing until resume"),
    "/v1/resume": ("POST", "go on after pause, or begin a run that waits"),
    "/v1/scale": ("POST", "set vus or rate of a scenario, or change it by so many"),
    "/v1/stop": ("POST", "end the run, gracefully unless now is true"),
}
"""Method and description of each route, by path."""


class ControlApi:
    """Settings of one server for all its requests. *host*: its listen address. *token*: ``""`` for none."""

    def __init__(self, commands: CommandQueue, host: str, token: str) -> None:
        self.commands = commands
        self.host = host.lower()
        self.token = token


class ControlRequestHandler(BaseHTTPRequestHandler):
    """Handler of one connection with one request (HTTP/1.0: the reply ends the connection)."""

    server_version = "fastload"
    sys_version = ""

    def __init__(self, api: ControlApi, *args: Any) -> None:
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
            check_host(self.headers.get("Host", ""), self._api.host)
            check_origin(self.headers.get("Origin"), self.headers.get("Host", ""))
            check_site(self.headers.get("Sec-Fetch-Site", ""))
            check_bearer(self._api.token, self.headers.get("Authorization", ""))
            name = self._route()
            arguments = self._arguments() if self.command == "POST" else {}
        except RequestRefused as refusal:
            self._refuse(refusal)
            return
        except TimeoutError:
            self._reply(HTTPStatus.REQUEST_TIMEOUT, {"error": f"the request was not here within {READ_S:g} s"})
            return
        if not name:
            self._reply(HTTPStatus.OK, {"routes": {path: f"{how}: {what}" for path, (how, what) in ROUTES.items()}})
            return
        try:
            arguments = check_command(name, arguments)
            who = CLIENTS.get(self.headers.get(CLIENT_HEADER, ""), CLIENTS[""])
            self._reply(HTTPStatus.OK, self._api.commands.ask(name, timeout_s=ANSWER_S, who=who, **arguments))
        except ControlError as error:
            self._refuse(RequestRefused.of(error))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - names of the base class

    def _route(self) -> str:
        """Return the command's name; empty for the list of routes."""
        path = self.path.partition("?")[0]
        if path not in ROUTES:
            hint = nearest(path, ROUTES) or "GET / lists the routes"
            raise RequestRefused(HTTPStatus.NOT_FOUND, f"there is no route {path}", hint)
        method = ROUTES[path][0]
        if self.command != method:
            raise RequestRefused(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{path} does not take {self.command}", f"use {method}", Allow=method
            )
        return path.rpartition("/")[2]

    def _body_length(self) -> int:
        text = self.headers.get("Content-Length", "0")
        length = parse_whole(text, sys.maxsize)
        if "Transfer-Encoding" in self.headers or length is None:
            raise RequestRefused(HTTPStatus.LENGTH_REQUIRED, "the body has no length", "send Content-Length")
        return length

    def _arguments(self) -> dict[str, Any]:
        # A page of another site must send a CORS preflight (OPTIONS) before this type of body. The preflight gets 405.
        check_json(self.headers.get("Content-Type", ""))
        check_length(self._left_bytes)
        body = self.rfile.read(self._left_bytes)
        self._left_bytes = 0
        return arguments_of(body)

    def _refuse(self, refusal: RequestRefused) -> None:
        self._reply(refusal.status, refusal.to_dict(), refusal.headers)

    def _reply(self, status: HTTPStatus, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(plain(answer), indent=2).encode() + b"\n"
        self.connection.settimeout(WRITE_S)
        # The base class takes a malformed request for HTTP/0.9, which has neither status nor headers.
        self.request_version = self.protocol_version
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Reply to a request that the base class rejects, in the JSON form of every other error."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._reply(status, {"error": message or status.phrase, "hint": explain or ""})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Log nothing: the terminal shows the run's own output."""

    def _drain(self) -> None:
        """Read the rest of a refused body: a close with unread data resets the connection and loses the reply."""
        if not self._left_bytes:
            return
        self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _LINGER_S
        while (left_s := end - time.monotonic()) > 0:
            self.connection.settimeout(left_s)
            if not self.connection.recv(MOST_BODY_BYTES):
                return


class _DeadlineReader(io.RawIOBase):
    """Reader of a connection with one deadline for all reads together, however small each read is."""

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
