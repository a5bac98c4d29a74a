"""WebSockets: what a server sends to the opening and after it, and what a script gives to a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fastload.load.client.streaming_client import _check_subprotocols as check_subprotocols
from fastload.load.client.websocket import WebSocket, WebSocketClosed, WebSocketError
from fastload.load.client.ws_payloads import GOOD_CODES, close_payload, message_payload, read_close
from fastload.load.engine.error_kinds import ERROR_KINDS
from tests.fuzz.mutations import ODD_VALUES
from tests.fuzz.parsing import fuzz
from tests.fuzz.source import NUMBERS, Source
from tests.load.client.test_websocket import values
from tests.load.harness import Connection, Harness, Peer, harness

_HEADERS = (
    "Sec-WebSocket-Protocol: v2", "Sec-WebSocket-Protocol: v1, v2", "Sec-WebSocket-Extensions: permessage-deflate",
    "Sec-WebSocket-Version: 13", "Content-Length: 5", "Transfer-Encoding: chunked", "Set-Cookie: a=b", "X: \x7f",
    "Upgrade: h2c", "Connection: close", ": ", "é",
)  # fmt: skip
_STATUSES = ("101 Switching Protocols",) * 12 + ("101", "200 OK", "204 No", "302 Found", "401 No", "999", "100 Go", "")
_FIRST_BYTES = (0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A)
_CODES = (1000, 1001, 1002, 1011, 3000, 4999, 0, 999, 1004, 1005, 1006, 1015, 5000, 65535)


def _frame(source: Source) -> bytes:
    """A frame of a server, in every fourth case with something that no frame may have."""
    first = source.choice(_FIRST_BYTES) if source.randrange(8) else source.randrange(256)
    payload = source.choice(
        (b"", b"a", "é".encode(), b"x" * 125, b"x" * 126, b"y" * source.choice((300, 300, 70_000)), source.binary(6))
    )
    if first & 15 == 8:
        reason = source.choice((b"", b"bye", "é".encode(), b"\xff", b"x" * 123, b"x" * 124))
        payload = (struct.pack("!H", source.choice(_CODES)) + reason)[: source.choice((125, 125, 125, 2, 1, 0, 200))]
    size = len(payload)
    length = (
        bytes([size]) if size < 126 else struct.pack("!BH" if size < 65_536 else "!BQ", 126 + (size > 65_535), size)
    )
    if not source.randrange(12):
        length = source.choice(
            (b"\x7f" + b"\xff" * 8, b"\x7f\x7f" + b"\xff" * 7, b"\x7e\x00\x01", b"\xfe", b"\x81", b"")
        )
    return bytes([first]) + length + payload


def _opening(head: bytes, source: Source) -> bytes:
    """The answer to an opening handshake, mostly a right one."""
    (key,) = (line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
    if not source.randrange(6):
        lines.pop(source.randrange(3))
    lines += source.several(lambda: source.choice(_HEADERS), 2)
    return "\r\n".join((f"HTTP/1.1 {source.choice(_STATUSES)}", *lines, "", "")).encode()


async def _receive_all(ws: WebSocket) -> int:
    """Receive until there is no more; return how many messages."""
    count = 0
    with pytest.raises(WebSocketError) as ended:  # noqa: PT012 - it ends some time
        while True:
            assert isinstance(await ws.receive(5), str | bytes)
            count += 1
    end = ended.value
    if isinstance(end, WebSocketClosed):
        assert (end.code, end.reason) == (ws.code, ws.reason)
        assert ws.code == 1005 or read_close(close_payload(ws.code, ws.reason)) == (ws.code, ws.reason)
    else:
        assert (ws.code, end.kind in ERROR_KINDS) == (1006, True)
    return count


async def _session(made: Harness) -> None:
    """Open a WebSocket, receive all of it, and check that what is recorded adds up."""
    opened, received, broken = False, 0, ""
    try:
        async with made.vu().websocket("/", subprotocols=("v1", "v2")) as ws:
            opened = True
            assert isinstance(ws.subprotocol, str)
            received = await _receive_all(ws)
            failed = ws.code not in GOOD_CODES
    except WebSocketError as error:
        assert not opened
        failed, broken = True, error.kind
    made.vus.pop()._close()
    found = values(made)
    assert (found["ws_sessions"], found["ws_session_duration"], found["ws_connecting"]) == (opened,) * 3
    assert (found["ended"], found["failed"]) == (1, failed)
    # A text that is not UTF-8 is received, and ends the session.
    assert found["ws_msgs_received"] - received in (0, 1)
    assert broken in ERROR_KINDS or broken.startswith("http_") or opened


def test_any_server_is_messages_and_an_end_or_an_error() -> None:
    sent: list[tuple[Source, bytes]] = []

    def answer(connection: Connection, head: bytes) -> None:
        source, frames = sent[-1]
        connection.transport.write(_opening(head, source) + frames)
        connection.transport.close()

    async def serve(stack: AsyncExitStack) -> tuple[Harness, Peer]:
        peer = await stack.enter_async_context(Peer(answer))
        return await stack.enter_async_context(harness(peer.url)), peer

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        made, peer = runner.run(serve(stack))

        def run(source: Source) -> None:
            sent[:] = [(source, b"".join(source.several(lambda: _frame(source), 3)))]
            runner.run(_session(made))
            peer.connections.clear()
            peer.requests.clear()

        fuzz(run)
        runner.run(stack.aclose())


def test_any_close_of_a_server_is_a_code_or_an_error() -> None:
    def run(source: Source) -> None:
        code = source.choice((*_CODES, source.randrange(65_536)))
        payload = (struct.pack("!H", code) + source.text().encode("utf-8", "replace"))[source.choice((0, 0, 0, 1, 2)) :]
        found, reason = read_close(payload)
        assert found == 1005 or close_payload(found, reason) == payload

    fuzz(run)


def test_any_value_for_a_websocket_is_sent_or_an_error() -> None:
    def run(source: Source) -> None:
        values = (
            *ODD_VALUES,
            *_CODES,
            *NUMBERS,
            source.text(99),
            "\ud800",
            "\udc80",
            bytearray(b"x"),
            memoryview(b"ab"),
        )
        match source.randrange(3):
            case 0:
                code: Any = source.choice((*_CODES, source.choice(values)))
                payload = close_payload(code, source.choice(("", source.text(99), source.choice(values))))
                assert len(payload) <= 125
                assert read_close(payload)[0] == code
            case 1:
                message: Any = source.choice(values)
                payload = bytes(message_payload(message))
                assert not isinstance(message, str) or len(payload.decode()) == len(message)
            case _:
                offered: Any = source.choice((source.choice(values), source.several(lambda: source.choice(values), 3)))
                check_subprotocols(offered)

    fuzz(run)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x88\x01\x03",
        b"\x88\x02\x00\x00",
        b"\x88\x02\x03\xed",
        b"\x88\x04\x03\xe8\xff\xfe",
        b"\x88\x7e\x00\x7e" + b"x" * 126,
        b"\x81\x01\xff",
        b"\x83\x00",
        b"\xc1\x01a",
        b"\x80\x01a",
        b"\x09\x00",
        b"\x01\x01a\x81\x01b",
        b"\x81\x81abcdx",
        b"\x82\x7f" + b"\xff" * 8,
    ],
)
def test_a_frame_that_no_server_may_send_ends_it_as_protocol(frame: bytes) -> None:
    def answer(connection: Connection, head: bytes) -> None:
        connection.transport.write(_opening(head, Source(b"\x01")) + frame)

    async def main() -> None:
        async with Peer(answer) as peer, harness(peer.url) as made:
            async with made.vu().websocket("/") as ws:
                with pytest.raises(WebSocketError):
                    await ws.receive(20)
                assert (ws.code, ws.closed) == (1006, True)
            assert made.errors() == {"protocol": 1}

    asyncio.run(main())


def test_an_opening_that_closes_the_connection_is_refused() -> None:
    def answer(connection: Connection, head: bytes) -> None:
        connection.transport.write(
            _opening(head, Source(b"\x01")).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )

    async def main() -> None:
        async with Peer(answer) as peer, harness(peer.url) as made:
            with pytest.raises(
                WebSocketError, match="could not be opened: the server switches the protocol and closes"
            ):
                await made.vu().websocket("/").__aenter__()
            assert made.errors() == {"protocol": 1}

    asyncio.run(main())
