"""A server for one ASGI application, in one thread. Closing it ends the thread and all its connections."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from fastload.control.commands.http_checks import bind_error, check_exposed, find_address, url_of

MOST_CONNECTIONS = 128
"""Most open connections at a time; further connections are closed at once."""
# A connection must send its whole first request within this time.
_READ_S = 10.0
_KEEP_ALIVE_S = 30
# At the end: longest time for responses in progress, and then for sending the rest of the socket buffers.
_DRAIN_TIMEOUT_S = 1.0
_FLUSH_S = 1


class Server:
    """A server of *app* on *host* and *port* (0: a free port), from `start` to `close`.

    *what* is its name in messages; *variable* is the environment variable for the token.

    Raises:
        PlanError: *host* can be reached from other machines, and there is no *token*.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, token: str, what: str, variable: str) -> None:
        check_exposed(what, host, token, variable=variable)
        self._app = app
        self._host = host.strip("[]")
        self._port = port
        self._what = what
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._ending = asyncio.Event()

    @property
    def address(self) -> str:
        """The base URL, like ``http://127.0.0.1:5665``; valid only after `start`."""
        assert self._listener is not None
        return url_of(self._host, self._listener.getsockname()[1])

    def check(self) -> None:
        """Check that the port can be bound, without keeping it.

        Raises:
            PlanError: the port is in use or not allowed, or *host* is not an address of this machine.
        """
        self._bind().close()

    def start(self) -> None:
        """Bind the port and start to serve. Call it only after the fork: workers must not inherit socket and thread.

        Raises:
            PlanError: as `check`.
        """
        self._listener = self._bind()
        self._thread = threading.Thread(target=self._run, name=f"fastload-{self._what}-server", daemon=True)
        self._thread.start()
        self._started.wait()

    def close(self) -> None:
        """Wait a moment for responses in progress, then close all connections and the port. May be repeated.

        A streaming response must end by itself within this time, or its connection is aborted.
        """
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ending.set)
            thread.join()

    def _bind(self) -> socket.socket:
        try:
            family, address = find_address(self._host, self._port)
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise bind_error(self._what, self._host, self._port, error) from error
        try:
            # Not SO_REUSEPORT: two runs must not share a port. SO_REUSEADDR only ignores connections in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(MOST_CONNECTIONS)
        except OSError as error:
            listener.close()
            raise bind_error(self._what, self._host, self._port, error) from error
        return listener

    def _run(self) -> None:
        assert self._listener is not None
        try:
            asyncio.run(self._serve(self._listener))
        finally:
            self._started.set()
            self._listener.close()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        server = _make_server(self._app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ending = asyncio.create_task(self._ending.wait())
        self._started.set()
        try:
            await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
            await _drain(server)
        finally:
            ending.cancel()
            server.should_exit = True
            await serving
            await _abort(server)


def _make_server(app: ASGIApp) -> uvicorn.Server:
    # Errors of viewers do not concern the run: no log line of uvicorn may reach the terminal.
    logging.getLogger("uvicorn.error").addHandler(_SILENT)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=MOST_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_FLUSH_S,
        )
    )


_SILENT = logging.NullHandler()


class _Connection(H11Protocol):
    """A connection of the server. It is aborted if there are too many, or if it sends no request in time."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(_READ_S, self._give_up_silent)

    def _give_up_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()


async def _drain(server: uvicorn.Server) -> None:
    """Wait a moment until no response is in progress, then abort the connections of the others."""
    end_s = asyncio.get_running_loop().time() + _DRAIN_TIMEOUT_S
    while _under_way(server) and asyncio.get_running_loop().time() < end_s:
        await asyncio.sleep(0.02)
    for connection in _under_way(server):
        connection.transport.abort()


def _under_way(server: uvicorn.Server) -> list[Any]:
    open_now: list[Any] = list(server.server_state.connections)
    return [one for one in open_now if one.cycle is not None and not one.cycle.response_complete]


async def _abort(server: uvicorn.Server) -> None:
    """Abort the connections that are still open, for example because the client does not read."""
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)
