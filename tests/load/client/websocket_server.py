"""A WebSocket server for tests, in a process of its own: ``python -m tests.load.client.websocket_server [CERT KEY]``.

It says its port on stdout and ends when its stdin does. What it does depends on the path; ``/closes`` tells by HTTP
with which codes sessions were closed so far.
"""

from __future__ import annotations

import asyncio
import http
import json
import os
import ssl
import sys
from collections import Counter

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

MOST_BYTES = 16 * 2**20

closes: Counter[str] = Counter()


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


async def fragments(socket: ServerConnection) -> None:
    await socket.send(["one ", "message ", "in parts"])
    await socket.send([b"\x00" * 1000, b"\x01" * 1000])
    await socket.send("")
    await socket.close()


async def flood(socket: ServerConnection) -> None:
    """Send as fast as it is taken."""
    while True:
        await socket.send(b"x" * 65_536)


async def pings(socket: ServerConnection) -> None:
    pong = await socket.ping(b"are you there")
    await pong
    await socket.send("the pong came")
    await socket.wait_closed()


async def tells(socket: ServerConnection) -> None:
    """What the handshake had."""
    assert socket.request is not None
    headers = dict(socket.request.headers.raw_items())
    await socket.send(json.dumps({"path": socket.request.path, "headers": headers}))
    await socket.wait_closed()


async def serve_one(socket: ServerConnection) -> None:
    assert socket.request is not None
    path = socket.request.path.partition("?")[0]
    try:
        match path.removeprefix("/").split("/"):
            case ["close", code]:
                await socket.send("before")
                await socket.close(int(code), "as it was asked to")
            case ["drop"]:
                await socket.send("before")
                socket.transport.abort()
            case ["mute"]:
                # It never answers anything, not even a close.
                socket.transport.pause_reading()
                await asyncio.sleep(60)
            case [name]:
                await {"echo": echo, "fragments": fragments, "flood": flood, "pings": pings, "tells": tells}[name](
                    socket
                )
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    closes[str(socket.close_code)] += 1


def by_http(socket: ServerConnection, request: Request) -> Response | None:
    if request.path == "/closes":
        return socket.respond(http.HTTPStatus.OK, json.dumps(closes))
    if request.path == "/forbidden":
        return socket.respond(http.HTTPStatus.FORBIDDEN, "no")
    return None


async def main() -> None:
    tls = None
    if len(sys.argv) > 2:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[1], sys.argv[2])
    async with serve(
        serve_one, "127.0.0.1", 0, ssl=tls, process_request=by_http, max_size=MOST_BYTES, backlog=2000,
        select_subprotocol=lambda _socket, offered: offered[0] if offered else None, close_timeout=1,
    ) as server:  # fmt: skip
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        # Handlers that wait on purpose would have to be waited for.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
