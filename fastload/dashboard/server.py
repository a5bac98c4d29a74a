"""An ASGI application on a port of this machine, in one thread that ends with everything that it opened."""

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
"""More at the same time are closed unheard."""
# A connection has to have its first request, whole, within this time.
_READ_S = 10.0
_KEEP_ALIVE_S = 30
# At the end answers under way may take so long, and what is in the sockets' buffers then so long to go out.
_FAREWELL_S = 1.0
_FLUSH_S = 1


class Server:
    """Serves *app* on *host* and *port* (0: a free one) from `start` to `close`; *what* it is called in messages.

    Raises:
        PlanError: *host* can be reached from other machines and there is no *token*; *variable* could have one.
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
        """Its base URL, ``http://127.0.0.1:5665``; only while it serves."""
        assert self._listener is not None
        return url_of(self._host, self._listener.getsockname()[1])

    def check(self) -> None:
        """Find out whether the port can be bound, and leave it.

        Raises:
            PlanError: it is taken or not allowed, or *host* is no address of this machine.
        """
        self._bind().close()

    def start(self) -> None:
        """Bind the port and serve. Only after the fork: no worker may inherit the socket or the thread.

        Raises:
            PlanError: as of `check`.
        """
        self._listener = self._bind()
        self._thread = threading.Thread(target=self._run, name=f"fastload-{self._what}-server", daemon=True)
        self._thread.start()
        self._started.wait()

    def close(self) -> None:
        """Let answers under way end, for a moment, then free everything. May be repeated.

        Whoever streams has to end by itself, or is cut off.
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
            # Two runs must not share a port: only what a port's last user left in TIME_WAIT is passed over.
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
            await _farewell(server)
        finally:
            ending.cancel()
            server.should_exit = True
            await serving
            await _abort(server)


def _make_server(app: ASGIApp) -> uvicorn.Server:
    # What goes wrong with a viewer is none of the run's business: nothing goes to the terminal.
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
    """Gives up one of too many, and one that sends no request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(_READ_S, self._give_up_silent)

    def _give_up_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()


async def _farewell(server: uvicorn.Server) -> None:
    """Wait until no answer is under way, or nearly."""
    end_s = asyncio.get_running_loop().time() + _FAREWELL_S
    while _under_way(server) and asyncio.get_running_loop().time() < end_s:
        await asyncio.sleep(0.02)
    for connection in _under_way(server):
        connection.transport.abort()


def _under_way(server: uvicorn.Server) -> list[Any]:
    open_now: list[Any] = list(server.server_state.connections)
    return [one for one in open_now if one.cycle is not None and not one.cycle.response_complete]


async def _abort(server: uvicorn.Server) -> None:
    """Close what does not take what was sent to it."""
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)
