"""A VU in the test's own process: an engine and its context on a running loop, and a peer that misbehaves on demand."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fastload.load.client.context import ScenarioContext, WorkerContext
from fastload.load.client.reply_parts import ReplyParts
from fastload.load.client.request_options import RequestDefaults
from fastload.load.client.vu import VU
from fastload.load.engine.curl import CurlEngine
from fastload.load.recording.recorder import Recorder
from fastload.model.http_settings import HttpSettings
from fastload.model.metrics import Series
from fastload.model.records import Delta

SETTINGS = HttpSettings(timeout_s=20.0)

Run = Callable[[Coroutine[Any, Any, None]], None]
"""`asyncio.run` or `uvloop.run`."""


def open_fds() -> set[str]:
    """The descriptors of this process, by number."""
    # The one of the listing itself is gone when it is asked for.
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


@dataclass
class Harness:
    """An engine with its context. VUs made by `vu` are closed with it."""

    context: WorkerContext
    env: Mapping[str, str] = field(default_factory=dict)
    vus: list[VU] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def recorder(self) -> Recorder:
        return self.context.recorder

    @property
    def in_flight(self) -> int:
        return self.context.engine.in_flight

    def vu(
        self,
        *,
        body: bool = True,
        headers: bool = False,
        scenario: str = "test",
        tags: Mapping[str, str] | None = None,
        seed: int = 0,
        requests: RequestDefaults | None = None,
    ) -> VU:
        """A new VU of *scenario*, which has *tags* and says this of all *requests*; its replies keep these."""
        reply_parts = ReplyParts(body, headers, connection_info=headers, tls=headers)
        shared = ScenarioContext(scenario, reply_parts, tags or {}, self.env, seed, requests or RequestDefaults())
        self.vus.append(VU(next(self._numbers), self.context, shared))
        return self.vus[-1]

    def take(self) -> Delta:
        """What was recorded since the last call."""
        return self.recorder.take(vus=0, in_flight=self.in_flight, offered=0)

    def errors(self) -> dict[str, int]:
        """How many failures of each kind since the last `take`."""
        return {kind: count for kind, (count, _) in self.take().errors.entries.items()}


@asynccontextmanager
async def harness(
    base_url: str = "",
    *,
    http: HttpSettings = SETTINGS,
    env: Mapping[str, str] | None = None,
    filters: Iterable[Series] = (),
    resolve: tuple[str, ...] = (),
) -> AsyncIterator[Harness]:
    """A harness on the running loop; nothing may be in flight at its end. *filters* as a recorder takes them.
    *resolve*: addresses looked up before."""
    loop = asyncio.get_running_loop()
    engine = CurlEngine(loop)
    recorder = Recorder(0, filters)
    context = WorkerContext(engine=engine, recorder=recorder, loop=loop, http=http, base_url=base_url, resolve=resolve)
    made = Harness(context, env or {})
    try:
        yield made
        assert made.in_flight == 0
    finally:
        for vu in made.vus:
            vu._close()
        engine.close()


class Connection(asyncio.Protocol):
    """One connection of a `Peer`."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.number = -1
        self.body = b""
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.number = len(self.peer.connections)
        self.peer.connections.append(self)
        self.peer.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.peer.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = int(lines_of(head.decode("latin-1")).get("content-length", 0))
            if len(rest) < length:
                return
            self.body, self._buffer = rest[:length], rest[length:]
            self.peer.requests.append((self.number, head.decode("latin-1")))
            self.peer.answer(self, head)

    def reply(self, body: bytes = b"ok", *, status: str = "200 OK", headers: str = "") -> None:
        """Answer properly, and keep the connection."""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
        self.transport.write(head + body)

    def reset(self) -> None:
        """Close it with RST."""
        reset(self.transport)


def reset(transport: asyncio.Transport) -> None:
    """Close *transport* with RST."""
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def lines_of(head: str) -> dict[str, str]:
    """Header lines by lower-case name."""
    pairs = (line.partition(": ") for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, _, value in pairs}


Answer = Callable[[Connection, bytes], None]


class Peer:
    """An HTTP server on the test's own loop that does as it is told: *answer* is called with each whole request."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections: list[Connection] = []
        self.open: set[Connection] = set()
        self.requests: list[tuple[int, str]] = []
        """(connection, head) of each."""

    async def __aenter__(self) -> Peer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self.open):
            connection.transport.abort()
        await until(lambda: not self.open)
        await self._server.wait_closed()


async def until(condition: Callable[[], bool], *, deadline_s: float = 20.0) -> None:
    """Wait in the running loop until *condition* holds; fail at the deadline."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.002)
