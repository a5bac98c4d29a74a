"""Who may look at a dashboard, and who may steer by it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastload.control.commands.command_queue import CommandQueue
from fastload.dashboard import command_routes, viewers
from fastload.dashboard import server as dashboard_server
from fastload.dashboard.app import plotly_path
from fastload.dashboard.command_routes import ROUTED_COMMANDS
from fastload.dashboard.dashboard_output import DashboardOutput
from fastload.model.errors import ControlError, PlanError
from tests.conftest import wait_until
from tests.dashboard.serving import Served, connect, serving

PATHS = ("/", "/events", "/data.json", "/report.html", "/control/stop", "/nowhere")


class Run:
    """Answers every command but those that *raises* has."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.raises: dict[str, ControlError] = {}

    def ask(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        assert arguments.pop("timeout_s") > 0
        if name in self.raises:
            raise self.raises[name]
        if name != "status":
            self.asked.append((name, arguments))
        return {"did": name, "phase": "running", "rate": float("inf")}


@pytest.fixture(scope="module")
def one_run() -> Run:
    return Run()


@pytest.fixture(scope="module")
def served(one_run: Run) -> Iterator[Served]:
    """One for all tests that leave it as it is."""
    with serving(ask=one_run.ask) as found:
        yield found


@pytest.fixture
def run(one_run: Run) -> Run:
    """The run of `served`, which was not asked for anything yet."""
    one_run.asked.clear()
    one_run.raises.clear()
    return one_run


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:5665", "10.0.0.1", "[", "a:b"])
def test_another_host_is_refused(served: Served, run: Run, host: str) -> None:
    for path in (*PATHS, plotly_path()):
        reply = served.ask(path, Host=host)
        assert (reply.status, "is not served here" in reply.json["error"]) == (403, True), path
    assert served.ask("/control/stop", "POST", {}, Host=host).status == 403
    assert run.asked == []
    assert served.ask("/data.json", Host="localhost:1").status == 200


NAVIGATION = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "unknown"])
def test_a_page_of_another_site_reads_nothing(served: Served, run: Run, site: str) -> None:
    for path in (*PATHS, plotly_path()):
        for method in ("GET", "HEAD"):
            assert served.ask(path, method, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403, path
    for dest in ("iframe", "object", "empty"):
        assert served.ask("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=dest).status == 403
    reply = served.ask("/report.html", Sec_Fetch_Site=site, **NAVIGATION)
    assert (reply.status, reply.json["error"]) == (403, "a page of another site asks")
    assert served.ask("/control/stop", "POST", {}, Sec_Fetch_Site=site).status == 403
    assert served.ask("/data.json", Origin="http://evil.example").status == 403
    assert run.asked == []


def test_a_link_opens_the_page_and_its_own_requests_are_answered(served: Served) -> None:
    assert served.ask("/", Sec_Fetch_Site="cross-site", **NAVIGATION).status == 200
    for site in ("same-origin", "none"):
        for path in ("/", "/data.json", "/report.html", plotly_path()):
            assert served.ask(path, Sec_Fetch_Site=site).status == 200, path


def test_every_response_keeps_to_itself(served: Served) -> None:
    for path in ("/data.json", "/nowhere", "/report.html", "/"):
        headers = served.ask(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers


def test_commands_reach_the_run(served: Served, run: Run) -> None:
    reply = served.ask("/control/scale", "POST", {"vus": 5, "scenario": None})
    # JSON has no infinity.
    assert (reply.status, reply.json) == (200, {"did": "scale", "phase": "running", "rate": None})
    assert served.ask("/control/stop", "POST").status == 200
    own = f"http://127.0.0.1:{served.port}"
    assert (
        served.ask("/control/pause", "POST", {}, Origin=own, Content_Type="application/json; charset=utf-8").status
        == 200
    )
    assert run.asked == [("scale", {"vus": 5}), ("stop", {"now": False}), ("pause", {})]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "error"),
    [
        ("GET", "/control/stop", None, {}, 405, "/control/stop does not take GET"),
        ("DELETE", "/control/stop", None, {}, 405, "/control/stop does not take DELETE"),
        ("POST", "/data.json", {}, {}, 405, "/data.json does not take POST"),
        ("POST", "/control/status", {}, {}, 404, "there is no /control/status"),
        ("POST", "/control/stop", {}, {"Content_Type": "text/plain"}, 415, "the body is not JSON"),
        ("POST", "/control/stop", {}, {"Content_Type": "application/x-www-form-urlencoded"}, 415, "the body is not"),
        ("POST", "/control/stop", b"", {"Content_Type": ""}, 415, "the body is not JSON"),
        ("POST", "/control/stop", {}, {"Origin": "http://evil.example"}, 403, "origin 'http://evil.example'"),
        ("POST", "/control/stop", {}, {"Origin": "http://127.0.0.1:1"}, 403, "origin 'http://127.0.0.1:1'"),
        ("POST", "/control/stop", {}, {"Origin": "null"}, 403, "origin 'null'"),
        ("POST", "/control/stop", {}, {"Origin": "http://["}, 403, "origin 'http://['"),
        ("POST", "/control/scale", b"{", {}, 400, "the body is not JSON"),
        ("POST", "/control/scale", [1], {}, 400, "the body is not a JSON object"),
        ("POST", "/control/scale", {"vsu": 1}, {}, 400, "scale has no argument 'vsu'"),
        ("POST", "/control/scale", {"vus": 1, "by": 1}, {}, 400, "scale: vus and by exclude each other"),
        ("POST", "/control/scale", {"vus": 10**9}, {}, 400, "scale: vus 1,000,000,000 is more than 1,000,000"),
        ("POST", "/control/scale", {"by": 10**9}, {}, 400, "scale: by 1,000,000,000 is more than 1,000,000"),
        ("POST", "/control/scale", {"timeout_s": 1}, {}, 400, "scale has no argument 'timeout_s'"),
        ("POST", "/control/scale", b" " * 70_000, {}, 413, "the body is over 65536 bytes"),
    ],
)
def test_mistakes_are_named(
    served: Served, run: Run, method: str, path: str, body: Any, headers: dict[str, str], status: int, error: str
) -> None:
    reply = served.ask(path, method, body, **headers)
    assert (reply.status, set(reply.json)) == (status, {"error", "hint"})
    assert reply.json["error"].startswith(error)
    assert run.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ControlError("visit has stages", hint="make it externally controlled"), 400),
        (ControlError("the run is over", reason="over"), 409),
        (ControlError("the run did not answer within 10 s", hint="ask again", reason="timeout"), 503),
    ],
)
def test_what_the_run_refuses_is_handed_on(served: Served, run: Run, error: ControlError, status: int) -> None:
    run.raises["scale"] = error
    reply = served.ask("/control/scale", "POST", {"vus": 1})
    assert (reply.status, reply.json) == (status, {"error": error.message, "hint": error.hint})


def test_after_the_end_of_the_run_there_is_nothing_to_steer() -> None:
    commands = CommandQueue()
    with serving(ask=commands.ask) as served:
        commands.close()
        reply = served.ask("/control/pause", "POST", {})
        assert (reply.status, reply.json["error"]) == (409, "the run is over")


def test_a_slow_body_is_given_up(served: Served, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_routes, "READ_S", 0.2)
    head = b"POST /control/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9"
    with connect(served.port) as client:
        client.sendall(head + b"\r\n\r\n{")
        assert client.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert run.asked == []


def test_one_who_sends_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_server, "_READ_S", 0.2)
    with serving() as served, connect(served.port) as silent, connect(served.port) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        for client in (silent, slow):
            assert _is_cut_off(client)


def test_too_many_connections_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_server, "MOST_CONNECTIONS", 3)
    with serving() as served:
        idle = [connect(served.port) for _ in range(3)]
        try:
            wait_until(lambda: _is_unheard(served))
        finally:
            for client in idle:
                client.close()
        wait_until(lambda: not _is_unheard(served))


def _is_cut_off(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def _is_unheard(served: Served) -> bool:
    try:
        return served.ask("/data.json").status != 200
    except OSError:
        return True


def test_without_control_there_is_no_route_to_steer() -> None:
    with serving() as served:
        for command in ROUTED_COMMANDS:
            reply = served.ask(f"/control/{command}", "POST", {})
            assert (reply.status, reply.json["error"]) == (404, f"there is no /control/{command}")


def test_with_a_token_everything_needs_it(run: Run) -> None:
    with serving(token="sécret", ask=run.ask) as served:
        wrong: tuple[dict[str, str], ...] = (
            {},
            {"Authorization": "Bearer secret"},
            {"Authorization": "sécret"},
            {"Cookie": f"fastload-{served.port}=sécret"},
            {"Cookie": f"fastload-{served.port}="},
        )
        for headers in wrong:
            for path in (*PATHS, plotly_path(), "/?token=secret", "/?token="):
                assert served.ask(path, **headers).status == 401, (path, headers)
            assert served.ask("/control/stop", "POST", {}, **headers).status == 401
            # What is in a link of another site must not do anything.
            assert served.ask("/control/stop?token=s%C3%A9cret", "POST", {}, **headers).status == 401
        assert run.asked == []
        refused = served.ask("/data.json")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.json["hint"] == "send it as Authorization: Bearer TOKEN"
        right = "Bearer sécret".encode().decode("latin-1")
        assert served.ask("/data.json", Authorization=right).status == 200
        assert served.ask("/control/stop", "POST", {}, Authorization=right).status == 200


def test_a_browser_gets_a_cookie_for_the_token_and_an_address_without_it() -> None:
    with serving(token="s&cret") as served:
        login = served.ask("/data.json?a=1&token=s%26cret&b=%2F")
        assert (login.status, login.headers["Location"]) == (303, "/data.json?a=1&b=%2F")
        cookie, *settings = login.headers["Set-Cookie"].split("; ")
        assert cookie.startswith(f"fastload-{served.port}=")
        assert {setting.lower() for setting in settings} == {"httponly", "samesite=strict", "path=/"}
        assert "s&cret" not in cookie
        assert served.ask("/data.json", Cookie=cookie).status == 200
        assert served.ask("/data.json", Cookie=cookie + "x").status == 401
        # Who is in already does not keep the token in the address, whatever it is.
        assert served.ask("/?token=old", Cookie=cookie).headers["Location"] == "/"
        assert served.ask("//evil.example/?token=s%26cret").headers["Location"] == "/evil.example/"
        with serving(token="s&cret") as other:
            renamed = cookie.replace(str(served.port), str(other.port))
            assert other.ask("/data.json", Cookie=renamed).status == 401


def test_a_browser_is_asked_for_the_token() -> None:
    with serving(token="secret") as served:
        page = served.ask("/<b>", Accept="text/html,*/*")
        assert (page.status, page.headers.get_content_type()) == (401, "text/html")
        assert b'name="token"' in page.body
        assert b"<b>" not in page.body
        assert b"A token is needed" in page.body
        assert b"The token is wrong" in served.ask("/?token=x", Accept="text/html").body


def test_the_address_that_is_opened_lets_in_once() -> None:
    with serving(token="secret") as served:
        url = served.output.login_url()
        assert "secret" not in url
        path = url.removeprefix(served.output.address)
        assert served.ask(path).status == 303
        assert served.ask(path).status == 401
    with serving() as served:
        assert served.output.login_url() == f"{served.output.address}/"


def test_other_machines_need_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(PlanError, match=r"dashboard on .* has no token") as error:
            DashboardOutput(host, 0)
        assert "FASTLOAD_DASHBOARD_TOKEN" in error.value.hint
    with serving(host="0.0.0.0", token="t") as served:

        def status_of(host: str) -> int:
            return served.ask("/data.json", Host=host, Authorization="Bearer t").status

        assert [status_of(host) for host in ("192.0.2.7:1", "localhost", socket.gethostname())] == [200] * 3
        assert status_of("evil.example") == 403


def test_a_port_that_is_taken_is_told_before_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PlanError, match=f"dashboard port {port} is in use by ") as error:
            DashboardOutput("127.0.0.1", port).check()
    assert error.value.hint == "choose another port; 0 takes a free one"
    with pytest.raises(PlanError, match=r"dashboard cannot listen on 192\.0\.2\.1 port 0"):
        DashboardOutput("192.0.2.1", 0, token="t").check()
    DashboardOutput("127.0.0.1", port).check()
    with socket.create_server(("127.0.0.1", port)):
        """The check left it free."""


def test_nothing_waits_for_the_time_outs_in_a_good_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_server, "_DRAIN_TIMEOUT_S", 30.0)
    begun = time.monotonic()
    with serving() as served:
        served.ask("/data.json")
    assert time.monotonic() - begun < 15


def test_a_second_that_fails_is_told_and_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "_STATUS_S", 0.05)
    asked: list[str] = []

    def ask(name: str, /, *, timeout_s: float, **_: Any) -> dict[str, Any]:
        assert timeout_s > 0
        asked.append(name)
        if len(asked) == 1:
            raise KeyError(name)
        return {"phase": "running"}

    with serving(ask=ask) as served, served.following() as follower:
        assert "KeyError" in follower.until("status")["trouble"]
        assert "trouble" not in follower.until("status", lambda status: "phase" in status)
