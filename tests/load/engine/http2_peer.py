"""A server of HTTP/2 without TLS that misbehaves: it counts requests, and answers each as it is told."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from tests.load.harness import until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
REFUSED_STREAM = 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4


class Http2Connection(asyncio.Protocol):
    """One connection. *peer.answer* is called with it and the number of the stream for each request."""

    def __init__(self, peer: Http2Peer) -> None:
        self.peer = peer
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer.connections.append(self)
        self.peer.open.add(self)
        self.frame(SETTINGS, 0, 0)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.peer.open.discard(self)

    def frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Send a frame."""
        self.transport.write(
            len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload
        )

    def ok(self, stream: int) -> None:
        """Answer with status 200, which is entry 8 of HPACK's static table, and no body."""
        self.frame(HEADERS, END_STREAM | END_HEADERS, stream, b"\x88")

    def data_received(self, data: bytes) -> None:
        self._buffer = (self._buffer + data).removeprefix(PREFACE)
        while len(self._buffer) >= 9 and not self._buffer.startswith(b"PRI"):
            length = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + length:
                return
            kind, flags, stream = self._buffer[3], self._buffer[4], int.from_bytes(self._buffer[5:9], "big")
            self._buffer = self._buffer[9 + length :]
            if kind == SETTINGS and not flags & ACK:
                self.frame(SETTINGS, ACK, 0)
            elif kind == HEADERS:
                self.peer.requests += 1
                self.peer.answer(self, stream)


class Http2Peer:
    """The server, on the test's own loop."""

    def __init__(self, answer: Callable[[Http2Connection, int], None]) -> None:
        self.answer = answer
        self.requests = 0
        self.connections: list[Http2Connection] = []
        self.open: set[Http2Connection] = set()

    async def __aenter__(self) -> Http2Peer:
        self._server = await asyncio.get_running_loop().create_server(lambda: Http2Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self.open):
            connection.transport.abort()
        await until(lambda: not self.open)
        await self._server.wait_closed()
