"""Servers for staged verdicts: quick, slow, limited, failing, silent, busy, deaf. ``python -m tests.verdicts.servers``.

Each prints its port and serves until it is told to end. All speak as much HTTP/1.1 as a load test of bare GETs needs.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import sys
import time
from collections.abc import Awaitable, Callable

Answer = Callable[[], Awaitable[bytes | None]]
"""Function that returns the response to the next request; None to keep silent."""


def response(status: int = 200, body: bytes = b"ok", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Staged", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def slow(ms: str) -> Answer:
    """Each response takes *ms*, however many there are."""

    async def answer() -> bytes:
        await asyncio.sleep(float(ms) / 1000)
        return response()

    return answer


def limited(per_s: str) -> Answer:
    """One request after the other, *per_s* of them in a second."""
    free_s = 0.0

    async def answer() -> bytes:
        nonlocal free_s
        free_s = max(free_s, time.monotonic()) + 1 / float(per_s)
        await asyncio.sleep(free_s - time.monotonic())
        return response()

    return answer


def failing(percent: str, status: str) -> Answer:
    """*percent* of the requests get *status*."""
    numbers = itertools.count()

    async def answer() -> bytes:
        # Spread evenly, so that each part of a run has its share.
        failed = next(numbers) * 37 % 100 < float(percent)
        return response(int(status) if failed else 200)

    return answer


def silent(percent: str) -> Answer:
    """*percent* of the requests get no answer."""
    numbers = itertools.count()

    async def answer() -> bytes | None:
        return None if next(numbers) * 37 % 100 < float(percent) else response()

    return answer


def busy(ms: str) -> Answer:
    """Each response takes *ms* of a CPU."""

    async def answer() -> bytes:
        end_s = time.thread_time() + float(ms) / 1000
        while time.thread_time() < end_s:
            pass
        return response()

    return answer


def bomb(megabytes: str) -> Answer:
    """Each response is small, and *megabytes* when it is decompressed."""
    packed = response(200, gzip.compress(bytes(int(megabytes) * 1_000_000)), "Content-Encoding: gzip")

    async def answer() -> bytes:
        return packed

    return answer


KINDS = {made.__name__: made for made in (slow, limited, failing, silent, busy, bomb)}


async def serve(answer: Answer) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                answered = await answer()
                if answered is None:
                    await asyncio.sleep(3600)
                else:
                    writer.write(answered)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def deaf() -> None:
    """Accept nothing, with room for one connection in the queue."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        print(listener.getsockname()[1], flush=True)
        time.sleep(3600)


def main(kind: str, *arguments: str) -> None:
    if kind == "deaf":
        deaf()
    else:
        asyncio.run(serve(KINDS[kind](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
