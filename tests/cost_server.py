"""Server whose endpoints cost a known CPU time each: ``python -m tests.cost_server``.

It has one thread, which looks at its own CPU clock after each request: all that it has used since the last one was for
this one, reading and writing included. ``GET /a`` computes for 2 ms, ``GET /b`` for 6 ms, and ``GET /spent`` answers
what was measured of each: ``{"/a": [requests, CPU time in ms], ...}``.
"""

from __future__ import annotations

import asyncio
import json
import time

BURNT_MS = {"/a": 2.0, "/b": 6.0}


class Spent:
    """What each path has cost, by the process's own clock."""

    def __init__(self) -> None:
        self.by_path: dict[str, list[float]] = {path: [0, 0.0] for path in BURNT_MS}
        self._before_s = time.process_time()

    def note(self, path: str) -> None:
        now_s = time.process_time()
        if path in self.by_path:
            self.by_path[path][0] += 1
            self.by_path[path][1] += 1000 * (now_s - self._before_s)
        self._before_s = now_s


def burn(ms: float) -> None:
    end_s = time.thread_time() + ms / 1000
    while time.thread_time() < end_s:
        pass


async def serve() -> None:
    spent = Spent()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1].decode()
                burn(BURNT_MS.get(path, 0.0))
                body = json.dumps(spent.by_path).encode() if path == "/spent" else b"ok"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                spent.note(path)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
