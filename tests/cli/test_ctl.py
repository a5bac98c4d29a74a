"""`fastload ctl` against the real control API, in front of a run that answers from a table."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastload.cli.ctl import address_of, status_lines
from fastload.cli.main import run_cli
from fastload.control.commands.command_queue import Command, CommandQueue
from fastload.control.commands.control_server import ControlServer
from fastload.model.errors import PlanError
from tests.conftest import Nginx, free_port

STATUS: dict[str, Any] = {
    "phase": "running",
    "elapsed_s": 83.9,
    "progress": 0.42,
    "vus": 1250,
    "requests": 123456,
    "requests_per_s": 1543.6,
    "failed": 7,
    "workers_alive": 2,
    "scenarios": [
        {"name": "browse", "executor": "externally-controlled", "vus": 1200, "max_vus": 2000, "can_scale": True},
        {"name": "buy", "executor": "constant-arrival-rate", "rate_per_s": 12.5, "max_vus": 50, "can_scale": True},
        {"name": "once", "executor": "shared-iterations", "max_vus": 1, "can_scale": False},
    ],
}
SHOWN = """\
phase     running    1m23s, 42%
load      1,250 VUs  2 workers
requests  1,544/s    123,456 in all
failed               7 in all

SCENARIO  EXECUTOR               TARGET     MOST VUS
browse    externally-controlled  1,200 VUs  2,000     can be scaled
buy       constant-arrival-rate  12.5/s     50        can be scaled
once      shared-iterations      -          1
"""
METRICS = {
    "http_reqs": {"count": 5300, "rate": 1046.2},
    "http_req_duration": {"avg": 55.123, "p(95)": None},
}


class Run:
    """A run with the control API. Answers with *answers*, and refuses what is not in them."""

    def __init__(self, token: str = "") -> None:
        self.commands = CommandQueue()
        self.answers: dict[str, Any] = {
            "status": STATUS,
            "metrics": METRICS,
            "pause": STATUS,
            "scale": STATUS["scenarios"][0],
        }
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._server = ControlServer(self.commands, "127.0.0.1", 0, token)
        self._server.start()
        self.url = self._server.address
        self.port = self.url.rpartition(":")[2]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._conduct)
        self._thread.start()

    def _conduct(self) -> None:
        descriptor = self.commands.fd
        while not self._ending.is_set():
            # A test may close them meanwhile.
            with contextlib.suppress(OSError):
                select.select([descriptor], [], [], 0.02)
            for command in self.commands.take():
                self._obey(command)

    def _obey(self, command: Command) -> None:
        self.asked.append((command.name, dict(command.arguments)))
        if command.name in self.answers:
            command.answer(self.answers[command.name])
        else:
            command.refuse(f"cannot {command.name}", "not today")

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self.commands.close()
        self._server.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    for name in ("FASTLOAD_CONTROL", "FASTLOAD_CONTROL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # Nobody listens there: who asks it gets nowhere.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    found = Run()
    yield found
    found.close()


Ctl = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ctl(capsys: pytest.CaptureFixture[str]) -> Ctl:
    """Exit code, stdout and stderr of ``fastload ctl ARGS``."""

    def call(*args: str) -> tuple[int, str, str]:
        code = run_cli(["ctl", *args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_status_for_people_and_for_programs(run: Run, ctl: Ctl) -> None:
    code, out, err = ctl("--port", run.port, "status")
    assert (code, err) == (0, "")
    assert out == SHOWN
    run.answers["scale"] = STATUS["scenarios"][1]
    assert ctl("--port", run.port, "scale", "--rate", "12.5")[1] == "buy: 12.5/s\n"
    assert json.loads(ctl("--port", run.port, "--json", "scale", "--by", "1")[1]) == STATUS["scenarios"][1]
    code, out, err = ctl("--port", run.port, "--json", "status")
    assert (code, json.loads(out), err) == (0, STATUS, "")


def test_columns_are_aligned() -> None:
    lines = status_lines(STATUS)
    assert len({line.index("/s") for line in lines if line.startswith("requests")}) == 1
    heading, first, second, _ = lines[-4:]
    for title, one, other in (("EXECUTOR", "ext", "constant"), ("TARGET", "1,200", "12.5/s"), ("MOST", "2,000", "50")):
        assert heading.index(title) == first.index(one) == second.rindex(other)
    assert all(line == line.rstrip() for line in lines)


def test_metrics(run: Run, ctl: Ctl) -> None:
    code, out, _ = ctl("--port", run.port, "metrics")
    assert code == 0
    assert out.splitlines() == [
        "http_reqs          count=5,300  rate=1,046",
        "http_req_duration  avg=55.1     p(95)=-",
    ]
    assert json.loads(ctl("--port", run.port, "--json", "metrics")[1]) == METRICS
    run.answers["metrics"] = {}
    assert ctl("--port", run.port, "metrics")[1] == "no metrics yet\n"


def test_commands_and_their_arguments(run: Run, ctl: Ctl) -> None:
    run.answers |= {"resume": STATUS, "stop": {"phase": "stopping"}}
    said = {"scale": "browse: 1,200 VUs\n", "stop": "stopping\n"}
    for args in (
        ["pause"],
        ["resume"],
        ["scale", "--vus", "50"],
        ["scale", "--rate", "200/s", "--scenario", "buy"],
        ["scale", "--by", "+10"],
        ["scale", "--by", "-10"],
        ["stop"],
        ["stop", "--now"],
    ):
        code, out, err = ctl("--url", run.url, *args)
        assert (code, err) == (0, "")
        assert out == said.get(args[0], SHOWN)
    assert run.asked == [
        ("pause", {}),
        ("resume", {}),
        ("scale", {"vus": 50}),
        ("scale", {"rate": "200/s", "scenario": "buy"}),
        ("scale", {"by": 10}),
        ("scale", {"by": -10}),
        ("stop", {"now": False}),
        ("stop", {"now": True}),
    ]


def test_what_the_run_refuses(run: Run, ctl: Ctl) -> None:
    assert ctl("--port", run.port, "stop") == (104, "", "Error: cannot stop\nHint:  not today\n")
    run.commands.close()
    assert ctl("--port", run.port, "status") == (104, "", "Error: the run is over\n")


def test_where_the_address_comes_from(run: Run, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (run.port, f"127.0.0.1:{run.port}", f"http://localhost:{run.port}/", f":{run.port}"):
        monkeypatch.setenv("FASTLOAD_CONTROL", address)
        assert ctl("status")[0] == 0
    monkeypatch.setenv("FASTLOAD_CONTROL", str(free_port()))
    assert ctl("status")[0] == 104
    # What is on the command line goes before the environment.
    assert ctl("--port", run.port, "status")[0] == 0
    assert ctl("--url", run.port, "status")[0] == 0


def test_the_token(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Run(token="sécret")
    try:
        code, _, err = ctl("--port", guarded.port, "status")
        assert (code, err) == (104, "Error: a token is needed\nHint:  send it as Authorization: Bearer TOKEN\n")
        assert "the token is wrong" in ctl("--port", guarded.port, "--token", "secret", "status")[2]
        assert ctl("--port", guarded.port, "--token", "sécret", "status")[0] == 0
        monkeypatch.setenv("FASTLOAD_CONTROL_TOKEN", "sécret")
        assert ctl("--port", guarded.port, "status")[0] == 0
    finally:
        guarded.close()


def test_no_run_there(ctl: Ctl) -> None:
    port = free_port()
    code, out, err = ctl("--port", str(port), "status")
    assert (code, out) == (104, "")
    assert err.splitlines() == [
        f"Error: no run answers at http://127.0.0.1:{port}: Connection refused",
        f"Hint:  start one with 'fastload run SCRIPT.py --control {port}', or give its port: ctl --port N",
    ]


def test_something_else_is_there(ctl: Ctl, nginx: Nginx) -> None:
    for path in ("", "/status/404", "/redirect?"):
        code, _, err = ctl("--url", nginx.url + path, "status")
        assert (code, "is not the control API of a run" in err) == (104, True), path


def test_a_run_that_goes_away(ctl: Ctl) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        code, _, err = ctl("--port", str(listener.getsockname()[1]), "status")
        thread.join()
    assert code == 104
    assert err.startswith(f"Error: the run at http://127.0.0.1:{listener_port(err)} went away: ")


def listener_port(text: str) -> str:
    return text.partition("127.0.0.1:")[2].partition(" ")[0]


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--port", "1", "--url", "1", "status"], "--port and --url exclude each other", "give one of them"),
        (["scale"], "scale: nothing says how far", "give one of --vus, --rate or --by"),
        (["scale", "--vus", "1", "--by", "1"], "scale: --vus and --by exclude each other", "give one of --vus"),
        (["scale", "--vus", "-1"], "Invalid value for '--vus'", "see 'fastload ctl scale --help'"),
        (["--port", "0", "status"], "Invalid value for '--port'", "see 'fastload ctl --help'"),
    ],
)
def test_mistakes_are_named(run: Run, ctl: Ctl, args: list[str], message: str, hint: str) -> None:
    code, _, err = ctl(*args)
    first, second = err.splitlines()
    assert code == 104
    assert first.startswith(f"Error: {message}")
    assert second.startswith(f"Hint:  {hint}")
    assert run.asked == []


def test_addresses() -> None:
    assert address_of("6565") == "http://127.0.0.1:6565"
    assert address_of("[::1]:6565") == "http://[::1]:6565"
    assert address_of("https://load.example/fastload/") == "https://load.example/fastload"
    for wrong in ("file:///etc/passwd", "http://", "http://x:99999", "load.example", "ftp://x:1"):
        with pytest.raises(PlanError) as error:
            address_of(wrong)
        assert error.value.message.startswith(f"--url {wrong!r} is not ")
