"""Control server: serves the control API over HTTP, in threads of the parent that only write to the command queue."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from functools import partial
from typing import Any

from fastload.control.commands.command_queue import CommandQueue
from fastload.control.commands.control_api import ControlApi, ControlRequestHandler
from fastload.control.commands.http_checks import (
    DEFAULT_HOST,
    bind_error,
    check_exposed,
    find_address,
    parse_address,
    url_of,
)

DEFAULT_CONTROL_PORT = 6565
# Limit of open connections: more are closed without a reply, because each one costs a thread beside the run.
MOST_CONNECTIONS = 16
# Pause after an accept that failed, for example because there is no free descriptor.
_PAUSE_S = 0.1


class ControlServer:
    """Server of the control API on *host* and *port* (0: a free one), from `start` to `close`.

    With a *token*, each request needs the header ``Authorization: Bearer TOKEN``.

    Raises:
        PlanError: other machines can reach *host*, and there is no *token*.
    """

    def __init__(
        self, commands: CommandQueue, host: str = DEFAULT_HOST, port: int = DEFAULT_CONTROL_PORT, token: str = ""
    ) -> None:
        check_exposed("control", host, token, variable="FASTLOAD_CONTROL_TOKEN")
        self._commands = commands
        self._host = host.strip("[]")
        self._port = port
        self._token = token
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Base URL, like ``http://127.0.0.1:6565``. Valid only while the server runs."""
        assert self._server is not None
        return url_of(self._host, self._server.server_address[1])

    def start(self) -> None:
        """Bind the port and serve. Call this only after the fork: no worker may inherit the socket.

        Raises:
            PlanError: the port is in use or not allowed, or *host* is no address of this machine.
        """
        try:
            family, address = find_address(self._host, self._port)
            self._server = _Server(family, address, ControlApi(self._commands, self._host, self._token))
        except OSError as error:
            raise bind_error("control", self._host, self._port, error) from error
        self._thread = threading.Thread(target=self._server.serve, name="fastload-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every connection and thread, and free the port. May be called again.

        Close the command queue first: this method waits for requests that wait for an answer of the run.
        """
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is not None and thread is not None:
            server.end()
            thread.join()
            server.server_close()


def parse_control(text: str, *, what: str = "--control") -> tuple[str, int]:
    """Return host and port of ``PORT`` or ``HOST:PORT``; without a host, the loopback address.

    Raises:
        PlanError: no port from 0 to 65535. *what* is the option's name, for the message.
    """
    return parse_address(text, what=what, port=DEFAULT_CONTROL_PORT)


class _Server(socketserver.ThreadingTCPServer):
    """TCP server that tracks its open connections, so that it can end them."""

    # A port with only connections in TIME_WAIT may be used again, but two runs must not share a port.
    allow_reuse_address = True
    allow_reuse_port = False
    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, family: int, address: Any, api: ControlApi) -> None:
        self.address_family = family
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._ending = False
        super().__init__(address, partial(ControlRequestHandler, api))

    def serve(self) -> None:
        """Accept connections until `end`."""
        while not self._ending:
            self.handle_request()

    def end(self) -> None:
        """Stop accepting, stop reading, let replies under way finish, and wait for the threads of the connections."""
        self._ending = True
        # The shutdown wakes the thread that waits for connections; a close alone would not.
        self.socket.shutdown(socket.SHUT_RDWR)
        with self._lock:
            threads = list(self._open.values())
            for connection in list(self._open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        for thread in threads:
            thread.join()

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError:
            if not self._ending:
                time.sleep(_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if self._ending or len(self._open) >= MOST_CONNECTIONS:
                self.shutdown_request(request)
                return
            thread = threading.Thread(
                target=self.process_request_thread,
                args=(request, client_address),
                name="fastload-control-request",
                daemon=True,
            )
            self._open[request] = thread
            thread.start()

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: a client that disconnects does not concern the run."""
