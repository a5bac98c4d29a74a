"""What the servers of fastload are asked: the control API, the dashboard, and the targets that ship with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from starlette.applications import Starlette

from fastload.control.commands.control_api import ControlApi, ControlRequestHandler
from fastload.dashboard.access_guard import Guard, error_handlers
from fastload.dashboard.command_routes import ROUTED_COMMANDS, CommandRoutes, command_routes
from fastload.model.errors import ControlError
from fastload.targets.did.service import _Enrolment, _Verification
from fastload.targets.messages import ApiError, decode_body
from fastload.targets.sequencer.batches import BatchDecoder, StoredBody
from tests.fuzz.mutations import mutated
from tests.fuzz.parsing import fuzz
from tests.fuzz.source import NUMBERS, Source
from tests.targets.events import AGENT, make_event

_REQUEST = (
    "GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "/", "/v1/", "status", "metrics", "scale", "?token=", "?",
    " HTTP/1.1", " HTTP/1.0", " HTTP/0.9", " HTTP/2.0", "\r\n", "\n", "Host: 127.0.0.1", "Host: evil.test",
    "Content-Length: ", "Content-Type: application/json", "Transfer-Encoding: chunked", "Origin: http://evil.test",
    "Expect: 100-continue",
    "Authorization: Bearer t", ": ", ";", "é",
    '{"vus": 3}', "{", "[" * 20_000, "\0", *NUMBERS,
)  # fmt: skip
_HEAD = "Host: 127.0.0.1\r\nAuthorization: Bearer t\r\nContent-Type: application/json\r\n"
_REQUESTS = (
    f"GET /v1/status HTTP/1.1\r\n{_HEAD}\r\n",
    f'POST /v1/scale HTTP/1.1\r\n{_HEAD}Content-Length: 10\r\n\r\n{{"vus": 3}}',
    f"POST /v1/stop HTTP/1.0\r\n{_HEAD}Origin: http://127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}",
)


class Run:
    """What answers the commands in the place of a run."""

    def ask(self, name: str, /, *, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        if arguments.get("vus") == 7 or not timeout_s:
            raise ControlError("there is no such scenario")
        return {"phase": "running", "asked": name, **arguments}


def test_any_request_to_the_control_api_is_answered() -> None:
    api: Any = ControlApi(Run(), "127.0.0.1", "t")  # type: ignore[arg-type]

    def run(source: Source) -> None:
        sent = source.like(_REQUESTS, _REQUEST).encode("utf-8", "replace")[:60_000] + source.binary(3)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
            ours.settimeout(5)
            ours.sendall(sent)
            ours.shutdown(socket.SHUT_WR)
            ControlRequestHandler(api, theirs, ("127.0.0.1", 1), None)
            theirs.close()
            reply = b""
            # The rest of a refused request is left unread.
            with contextlib.suppress(ConnectionResetError):
                while piece := ours.recv(65_536):
                    reply += piece
        # The standard library has no answer for a request without a line.
        if reply:
            head, _, body = reply.partition(b"\r\n\r\n")
            status = HTTPStatus(int(head.split()[1]))
            assert status < 500 or status is HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, sent
            assert head.startswith(b"HTTP/1.0 ")
            assert not body or json.loads(body)
            # What is not admitted is not done.
            assert status is not HTTPStatus.OK or b"Bearer t" in sent

    fuzz(run)


_HEADER = (
    "127.0.0.1", "localhost", "evil.test", ":", "80", "Bearer ", "t", "fastload", "=", ";", "application/json", '"',
    "é", *NUMBERS,
)  # fmt: skip
_HEADERS = {
    "host": ("127.0.0.1", "127.0.0.1:80", "localhost"),
    "authorization": ("Bearer t",),
    "content-type": ("application/json", "application/json; charset=utf-8"),
    "origin": ("http://127.0.0.1",),
    "cookie": ("fastload=x", "fastload-80=x; a=b"),
    "accept": ("text/html", "*/*"),
}


def test_any_request_to_a_dashboard_is_answered() -> None:
    routes = command_routes(CommandRoutes(Run().ask).serve)
    app = Guard(Starlette(routes=routes, exception_handlers=error_handlers()), host="127.0.0.1", token="t")
    loop = asyncio.new_event_loop()

    def run(source: Source) -> None:
        headers = {"host": "127.0.0.1", "authorization": "Bearer t", "content-type": "application/json"}
        for _ in range(source.randrange(3)):
            name = source.choice(list(_HEADERS))
            headers[name] = source.like(_HEADERS[name], _HEADER, 4)
        path = source.choice(
            (f"/control/{source.choice(ROUTED_COMMANDS)}", "/", f"//{source.text()}", f"/{source.text()}")
        )
        query = source.choice(("", "", "token=t", "token=wrong", "token=%80&a=b", quote(source.text())))
        body = source.choice((b"{}", b'{"vus": 7}', b'{"now": true}', b"[" * 2_000, source.binary(9)))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "client": ("127.0.0.1", 1), "path": path,
            "method": source.choice(("POST", "POST", "GET", "HEAD", "PUT", source.text(3))),
            "root_path": "", "raw_path": quote(path).encode(),
            "query_string": query.encode(), "server": ("127.0.0.1", 80),
            "headers": [(name.encode(), text.encode("utf-8", "replace")) for name, text in headers.items()],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": source.choice(("http.request",) * 9 + ("http.disconnect",)), "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        loop.run_until_complete(app(scope, receive, send))
        assert 200 <= sent[0]["status"] < 500
        assert sent[0]["status"] != 200 or "t" in headers["authorization"]

    fuzz(run)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize("kind", [_Enrolment, _Verification])
def test_any_body_of_a_wallet_is_one_or_refused(kind: Any) -> None:
    right = {
        "wallet_address": "addr_test1abc",
        "biometric_hash": "0f" * 32,
        "timestamp": 1.5,
        "metadata": {"device_id": "x"},
    }
    decoder = msgspec.json.Decoder(kind)

    def run(source: Source) -> None:
        refused: list[ApiError] = []
        try:
            decode_body(decoder, _body(right, source))
        except ApiError as error:
            refused.append(error)
        assert all(400 <= error.status < 500 for error in refused)

    fuzz(run)


@pytest.mark.parametrize("plain", [False, True], ids=["ves", "plain"])
def test_any_batch_of_events_is_one_or_refused(plain: bool) -> None:
    events = [make_event(), make_event({"a": 1e300, "é": None})]
    if plain:
        events[0]["event_id"] = "----"
        del events[0]["payload_hash"], events[1]["source_agent"]
    right = {"agent_id": AGENT, "events": events}
    decoder = BatchDecoder(3, plain=plain)

    def run(source: Source) -> None:
        refused: list[ApiError] = []
        try:
            found = decoder.decode(_body(right, source))
            assert len(found.leaves) == 32 * len(found.events)
            stored = msgspec.json.decode(found.body, type=StoredBody).events
            assert all(event.payload_hash and event.source_agent for event in stored)
        except ApiError as error:
            refused.append(error)
        assert all(400 <= error.status < 500 for error in refused)

    fuzz(run)


def _body(right: Any, source: Source) -> bytes:
    text = json.dumps(mutated(right, source), default=str, skipkeys=True)
    if not source.randrange(9):
        text = source.choice(
            ("[" * 50_000, '{"events": ' + "9" * 5_000, "{", "null", text[:-9], text.replace('"', "'"))
        )
    return text.encode("utf-8", "surrogatepass") + source.binary(2) * (not source.randrange(9))
