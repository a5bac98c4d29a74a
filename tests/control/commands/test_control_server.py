"""The control API over real sockets, in front of a parent of the test's own that answers from a table."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fastload.control.commands import control_api
from fastload.control.commands.command_queue import Command, CommandQueue
from fastload.control.commands.control_server import MOST_CONNECTIONS, ControlServer, parse_control
from fastload.model.errors import ControlError, PlanError
from tests.conftest import DEADLINE_S, answers, wait_until

JSON = {"Content-Type": "application/json"}
STATUS = {"phase": "running", "vus": 3, "rate": float("inf"), "scenarios": [{"name": "visit"}]}
Answer = Callable[[Command], None]


def echo(command: Command) -> None:
    command.answer({"did": command.name})


def ignore(command: Command) -> None:
    """Take the command, and never answer it."""


def requests_open() -> int:
    """How many threads serve a connection."""
    return sum(thread.name == "fastload-control-request" for thread in threading.enumerate())


class Parent:
    """Answers every command with its own name and arguments, but ``status`` and what *special* says."""

    def __init__(self) -> None:
        self.commands = CommandQueue()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.special: dict[str, Answer] = {"status": lambda command: command.answer(STATUS)}
        self._thread = threading.Thread(target=self._run)
        self._ending = threading.Event()
        self._thread.start()

    def _run(self) -> None:
        descriptor = self.commands.fd
        while not self._ending.is_set():
            # A test may close them meanwhile.
            with contextlib.suppress(OSError):
                select.select([descriptor], [], [], 0.02)
            for command in self.commands.take():
                self.asked.append((command.name, dict(command.arguments)))
                self.special.get(command.name, echo)(command)

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self.commands.close()


@pytest.fixture
def parent() -> Iterator[Parent]:
    found = Parent()
    yield found
    found.close()


@contextmanager
def serving(parent: Parent, host: str = "127.0.0.1", token: str = "") -> Iterator[int]:
    """The port of a server that is up for the block."""
    server = ControlServer(parent.commands, host, 0, token)
    server.start()
    try:
        yield int(server.address.rpartition(":")[2])
    finally:
        server.close()


@pytest.fixture
def port(parent: Parent) -> Iterator[int]:
    with serving(parent) as found:
        yield found


def ask(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, host: str = "127.0.0.1"
) -> tuple[int, Any, http.client.HTTPMessage]:
    """Status, JSON and headers of one request; *body* is sent as it is when it is bytes."""
    connection = http.client.HTTPConnection(host, port, timeout=DEADLINE_S)
    try:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent, (JSON if method == "POST" else {}) if headers is None else headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers
    finally:
        connection.close()


def raw(port: int, data: bytes) -> bytes:
    """All that comes back for *data*, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_questions_and_commands_reach_the_run(parent: Parent, port: int) -> None:
    status, answer, headers = ask(port, "GET", "/v1/status?pretty")
    # JSON has no infinity: null, which every client can read.
    assert (status, answer) == (200, {**STATUS, "rate": None})
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert ask(port, "GET", "/v1/metrics")[:2] == (200, {"did": "metrics"})
    assert ask(port, "POST", "/v1/pause")[:2] == (200, {"did": "pause"})
    assert ask(port, "POST", "/v1/resume", {})[:2] == (200, {"did": "resume"})
    assert ask(port, "POST", "/v1/scale", {"vus": 5, "scenario": None})[:2] == (200, {"did": "scale"})
    assert ask(port, "POST", "/v1/scale", {"rate": "1k/s", "scenario": "visit"})[0] == 200
    assert ask(port, "POST", "/v1/stop", {"now": True})[0] == 200
    assert parent.asked == [
        ("status", {}),
        ("metrics", {}),
        ("pause", {}),
        ("resume", {}),
        ("scale", {"vus": 5}),
        ("scale", {"rate": "1k/s", "scenario": "visit"}),
        ("stop", {"now": True}),
    ]


def test_the_routes_are_listed(port: int) -> None:
    status, answer, _ = ask(port, "GET", "/")
    assert status == 200
    assert set(answer["routes"]) == set(control_api.ROUTES)
    assert answer["routes"]["/v1/pause"] == "POST: start nothing until resume"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error", "hint"),
    [
        ("GET", "/v1/statsu", None, 404, "there is no route /v1/statsu", "did you mean '/v1/status'?"),
        ("GET", "/favicon.ico", None, 404, "there is no route /favicon.ico", "GET / lists the routes"),
        ("GET", "/v1/stop", None, 405, "/v1/stop does not take GET", "use POST"),
        ("POST", "/v1/status", {}, 405, "/v1/status does not take POST", "use GET"),
        ("DELETE", "/v1/status", None, 405, "/v1/status does not take DELETE", "use GET"),
        ("OPTIONS", "/v1/scale", None, 405, "/v1/scale does not take OPTIONS", "use POST"),
        ("BREW", "/v1/scale", None, 405, "Unsupported method ('BREW')", ""),
        ("POST", "/v1/scale", b"{", 400, "the body is not JSON", ""),
        ("POST", "/v1/scale", b"\xff", 400, "the body is not JSON", ""),
        ("POST", "/v1/scale", b"[" * 60_000, 400, "the body is not JSON", ""),
        ("POST", "/v1/scale", [1], 400, "the body is not a JSON object", 'write it like {"vus": 50}'),
        ("POST", "/v1/scale", {"vsu": 1}, 400, "scale has no argument 'vsu'", "did you mean 'vus'?"),
        ("POST", "/v1/scale", {"timeout_s": 1}, 400, "scale has no argument 'timeout_s'", "it takes scenario, vus"),
        ("POST", "/v1/scale", {"vus": 1, "by": 1}, 400, "scale: vus and by exclude each other", "give one of"),
        ("POST", "/v1/scale", {"rate": 1e999}, 400, "scale: rate inf is not a rate", ""),
        ("POST", "/v1/pause", {"now": True}, 400, "pause has no argument 'now'", "it takes none"),
        ("POST", "/v1/scale", b" " * 65_537, 413, "the body is over 65536 bytes", ""),
        ("POST", "/v1/scale", b" " * 20_000_000, 413, "the body is over 65536 bytes", ""),
    ],
)
def test_mistakes_are_named(
    parent: Parent, port: int, method: str, path: str, body: Any, status: int, error: str, hint: str
) -> None:
    found, answer, headers = ask(port, method, path, body)
    assert (found, set(answer)) == (status, {"error", "hint"})
    assert answer["error"].startswith(error)
    assert answer["hint"].startswith(hint)
    if status == 405 and method != "BREW":
        assert headers["Allow"] == control_api.ROUTES[path][0]
    assert parent.asked == []


def test_what_the_run_refuses_is_handed_on(parent: Parent, port: int) -> None:
    parent.special["scale"] = lambda command: command.refuse("visit has stages", "make it externally controlled")
    refused = ask(port, "POST", "/v1/scale", {"vus": 1})
    assert refused[:2] == (400, {"error": "visit has stages", "hint": "make it externally controlled"})


def test_a_run_that_is_over_or_silent(parent: Parent, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_api, "ANSWER_S", 0.05)
    parent.special["pause"] = ignore
    status, answer, _ = ask(port, "POST", "/v1/pause")
    assert (status, answer["error"]) == (503, "the run did not answer within 0.05 s")
    parent.commands.close()
    status, answer, _ = ask(port, "GET", "/v1/status")
    assert (status, answer["error"]) == (409, "the run is over")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:6565", "127.0.0.1.evil.example", "10.0.0.1", "", "["])
def test_another_host_is_refused(parent: Parent, port: int, host: str) -> None:
    """DNS rebinding: a web site points its own name at this machine and lets its page ask."""
    status, answer, _ = ask(port, "GET", "/v1/status", headers={"Host": host})
    assert status == 403
    assert "is not served here" in answer["error"]
    assert raw(port, b"POST /v1/stop HTTP/1.0\r\nContent-Type: application/json\r\n\r\n").startswith(b"HTTP/1.0 403 ")
    assert parent.asked == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:6565", "[::1]:6565", "[::1]"])
def test_the_machine_s_own_names_are_served(port: int, host: str) -> None:
    assert ask(port, "GET", "/v1/status", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"]
)
def test_what_a_page_of_another_site_could_send_is_refused(parent: Parent, port: int, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    for body in (b'{"now": true}', b""):
        status, answer, _ = ask(port, "POST", "/v1/stop", body, headers)
        assert (status, answer["hint"]) == (415, "send Content-Type: application/json")
    assert parent.asked == []
    assert ask(port, "POST", "/v1/stop", {}, {"Content-Type": "Application/JSON; charset=utf-8"})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}],
)
def test_a_page_of_another_site_reads_nothing(parent: Parent, port: int, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/"), ("GET", "/v1/status"), ("POST", "/v1/stop")):
        status, answer, _ = ask(port, method, path, headers={"Content-Type": "application/json", **headers})
        assert (status, set(answer)) == (403, {"error", "hint"})
    assert parent.asked == []
    assert ask(port, "GET", "/v1/status", headers={"Sec-Fetch-Site": "none"})[0] == 200


def test_a_token_is_needed_where_there_is_one(parent: Parent) -> None:
    with serving(parent, token="sécret") as port:
        for wrong in (
            {},
            {"Authorization": "Bearer secret"},
            {"Authorization": "sécret"},
            {"Authorization": "Bearer "},
        ):
            for path in ("/", "/v1/status", "/nowhere"):
                status, answer, headers = ask(port, "GET", path, headers=wrong)
                assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
                assert answer["hint"] == "send it as Authorization: Bearer TOKEN"
        assert parent.asked == []
        right = {"Authorization": "Bearer sécret".encode().decode("latin-1")}
        assert ask(port, "GET", "/v1/status", headers=right)[0] == 200


def test_other_machines_need_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", ""):
        with pytest.raises(PlanError, match="has no token"):
            ControlServer(CommandQueue(), host, 0)
    for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"):
        ControlServer(CommandQueue(), host, 0)


def test_a_wildcard_address_is_served_by_any_address_and_no_foreign_name(parent: Parent) -> None:
    with serving(parent, "0.0.0.0", token="t") as port:

        def status_of(host: str) -> int:
            return ask(port, "GET", "/v1/status", headers={"Host": host, "Authorization": "Bearer t"})[0]

        assert [status_of(host) for host in ("192.0.2.7:1", "localhost", socket.gethostname())] == [200] * 3
        assert status_of("evil.example") == 403


def test_ipv6(parent: Parent) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    server = ControlServer(parent.commands, "[::1]", 0)
    server.start()
    try:
        assert server.address.startswith("http://[::1]:")
        assert ask(int(server.address.rpartition(":")[2]), "GET", "/v1/status", host="::1")[0] == 200
    finally:
        server.close()


def test_a_busy_port_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PlanError) as error:
            ControlServer(CommandQueue(), "127.0.0.1", port).start()
    assert error.value.message.startswith(f"control port {port} is in use by ")
    assert error.value.message.endswith(f"(pid {os.getpid()})")
    assert error.value.hint == "choose another port; 0 takes a free one"


def test_an_address_of_another_machine() -> None:
    with pytest.raises(PlanError, match=r"control cannot listen on 192.0.2.1 port 0: .*assign") as error:
        ControlServer(CommandQueue(), "192.0.2.1", 0, "token").start()
    assert error.value.hint == "choose an address of this machine"


@pytest.mark.parametrize(
    "data",
    [
        b"GET",
        b"POST /v1/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 6000\r\n\r\n{",
    ],
)
def test_a_slow_client_is_given_up(parent: Parent, port: int, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """However little it sends at a time: what counts is when the request is whole."""
    monkeypatch.setattr(control_api, "READ_S", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
        client.sendall(data)

        def is_given_up() -> bool:
            try:
                client.sendall(b" ")
            except OSError:
                return True
            return bool(select.select([client], [], [], 0.05)[0])

        wait_until(is_given_up)
    wait_until(lambda: requests_open() == 0)
    assert parent.asked == []


def test_too_many_connections_are_not_heard(parent: Parent, port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) for _ in range(MOST_CONNECTIONS)]
    try:
        wait_until(lambda: requests_open() == MOST_CONNECTIONS)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            ask(port, "GET", "/v1/status")
        assert requests_open() == MOST_CONNECTIONS
    finally:
        for client in idle:
            client.close()
    wait_until(lambda: requests_open() == 0)
    assert ask(port, "GET", "/v1/status")[0] == 200


def test_rubbish_gets_json_too(parent: Parent, port: int) -> None:
    answer = raw(port, b"\x16\x03\x01 nonsense in four words\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith("Bad request")
    long = raw(port, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n")
    assert long == b"" or long.startswith(b"HTTP/1.0 414 ")
    chunked = b"POST /v1/stop HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert raw(port, chunked).startswith(b"HTTP/1.0 411 ")
    negative = b"POST /v1/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"
    assert raw(port, negative).startswith(b"HTTP/1.0 411 ")
    assert parent.asked == []


def test_closing_leaves_no_thread_and_no_socket(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_api, "READ_S", 30.0)
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    server = ControlServer(parent.commands, "127.0.0.1", 0)
    server.close()
    server.start()
    port = int(server.address.rpartition(":")[2])
    parent.special["pause"] = ignore
    with (
        socket.create_connection(("127.0.0.1", port)) as idle,
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as waiting,
    ):
        waiting.sendall(b"POST /v1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n")
        wait_until(lambda: parent.asked == [("pause", {})])
        wait_until(lambda: threading.active_count() == threads + 3)
        started = time.monotonic()
        parent.commands.close()
        server.close()
        server.close()
        # It waited for neither: the idle one was cut, and the other one got its answer.
        assert time.monotonic() - started < 20
        assert threading.active_count() <= threads
        assert not answers(port)
        assert b"the run is over" in b"".join(iter(lambda: waiting.recv(65536), b""))
        assert idle.recv(1) == b""
    assert len(os.listdir("/proc/self/fd")) <= files  # noqa: PTH208
    with pytest.raises(ControlError, match="the run is over"):
        parent.commands.ask("status")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("6565", ("127.0.0.1", 6565)),
        (" 0 ", ("127.0.0.1", 0)),
        (":6565", ("127.0.0.1", 6565)),
        ("0.0.0.0:6565", ("0.0.0.0", 6565)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:6565", ("::1", 6565)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_control(text) == address


@pytest.mark.parametrize(
    "text", ["", "abc", "65536", "-1", "1.5", "localhost", "localhost:", "::1:6565", "http://x:1", "٣"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(PlanError) as error:
        parse_control(text, what="--control")
    assert error.value.message == f"--control {text!r} is not PORT or HOST:PORT"
    assert "6565" in error.value.hint
