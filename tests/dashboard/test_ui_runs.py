"""The runs of `fastload ui` and the commands that it starts, without a browser in front."""

from __future__ import annotations

import gc
import http.client
import http.server
import json
import os
import subprocess
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard import server as server_module
from fastload.dashboard import ui_command, ui_session
from fastload.dashboard.live_run import LiveRun
from fastload.dashboard.server import Server
from fastload.dashboard.ui_app import UiApp
from fastload.dashboard.ui_command import UiCommands
from fastload.dashboard.ui_form import Form, FormError
from fastload.dashboard.ui_run import UiRun
from fastload.dashboard.ui_session import UiSession
from fastload.model.errors import ControlError
from fastload.runner import make_header
from tests.conftest import cli_command, cli_env, wait_until
from tests.dashboard.serving import RUN, second

SCRIPT = """
import os

import fastload as fl

print("SECRET", os.environ.get("SECRET", "none")[::-1], sorted(name for name in os.environ if "ARGUMENTS" in name))


@fl.scenario(iterations=1)
async def visit(vu: fl.VU) -> None:
    print("vu", vu.env["SECRET"][::-1])
    await vu.sleep(0)
"""
SLEEPER = """
import pathlib, subprocess, sys, time

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "visit.py").write_text(SCRIPT)
    yield tmp_path
    assert [*tmp_path.glob("fastload-ui-*")] == []


def test_a_session_that_never_opened_removes_nothing(folder: Path) -> None:
    assert UiSession(UiCommands("visit.py"), None).close()
    assert (folder / "visit.py").exists()


def test_values_of_the_environment_stay_here_and_old_runs_leave_reports_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui_session, "LIVE_PAGES", 1)
    # So long a connection is kept, and what was served on it.
    monkeypatch.setattr(server_module, "_READ_S", 1.0)
    # Each run would write over what the one before had written.
    for name in ("SUMMARY", "HTML", "JSON"):
        monkeypatch.setenv(f"FASTLOAD_{name}", "1" if name == "JSON" else f"elsewhere.{name.lower()}")
    monkeypatch.setenv("FASTLOAD_OUT", "junit=elsewhere.xml")
    session = UiSession(UiCommands("visit.py", ["-w", "1"]), None)
    session.open()
    server = Server(UiApp(session).app, "127.0.0.1", 0, token="", what="ui", variable="")
    server.start()
    try:
        form = {"scenarios": ["visit"], "needs_host": False, "env": [["SECRET", "t0psecret"]]}
        first = session.start(form)
        assert first.wait(20)
        shown = json.loads(json.dumps(session.form()["last"]))
        assert (shown["env"], shown["env_of"]) == ([["SECRET", ""]], 1)
        assert shown == json.loads(json.dumps(first.describe()["form"]))
        live = weakref.ref(first.live) if first.live else None
        assert live
        assert get(server, "/runs/1/data.json").status == 200
        # What a browser has of it is enough to start the same again.
        again = session.start(shown)
        assert again.wait(20)
        for run in (first, again):
            assert run.describe()["outcome"] == "finished"
            assert "SECRET terces" in (log := run.log().replace("p0t", ""))
            assert "vu terces" in log
            assert "ARGUMENTS" not in log
        assert "t0psecret" not in repr([session.describe(), session.form()])
        with pytest.raises(FormError, match="there is no run 9"):
            session.start(shown | {"env_of": 9})
        assert (first.live, again.live is None) == (None, False)
        assert get(server, "/runs/2/data.json").status == 200
        wait_until(lambda: gc.collect() >= 0 and live() is None)
        page = get(server, "/runs/1/")
        assert (page.status, page.getheader("content-type", "").partition(";")[0]) == (200, "text/html")
        assert b'id="live"' not in page.read()
        assert get(server, "/runs/1/data.json").status == 410
        assert session.report(1, "json")[0].exists()
    finally:
        assert session.close()
        server.close()
    assert [*folder.glob("elsewhere*")] == []


def get(server: Server, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=20)
    connection.request("GET", path, headers={"Connection": "close"})
    return connection.getresponse()


class Planning:
    """A plan of *commands* that does not end by itself, in a thread."""

    def __init__(self, commands: UiCommands, *arguments: str) -> None:
        self._commands = commands
        self._arguments = arguments
        self._thread = threading.Thread(target=self._plan)
        self._thread.start()

    def close(self) -> None:
        self._commands.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _plan(self) -> None:
        with pytest.raises(FormError):
            self._commands.plan(self._arguments)


def has_begun(folder: Path) -> bool:
    """Whether the script of `SLEEPER` has started its child."""
    file = folder / "child"
    return file.exists() and bool(file.read_text())


def is_child_gone(folder: Path) -> bool:
    try:
        return psutil.Process(int((folder / "child").read_text())).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_no_argument_can_be_read_by_others_and_nothing_is_left_at_the_end(folder: Path) -> None:
    (folder / "visit.py").write_text(SLEEPER)
    planning = Planning(UiCommands("visit.py"), "--env=SECRET=t0psecret")
    wait_until(lambda: has_begun(folder))
    assert not is_child_gone(folder)
    words = [one.cmdline() for one in psutil.Process().children(recursive=True)]
    planning.close()
    assert ("t0psecret" in str(words), ui_command._CHILD in str(words)) == (False, True)
    wait_until(lambda: is_child_gone(folder))


def test_what_a_script_started_ends_with_a_plan_that_takes_too_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "visit.py").write_text(SLEEPER)
    # A busy machine may need more for the script to begin.
    for patience_s in (1.5, 6.0, 24.0):
        monkeypatch.setattr(ui_command, "_PLAN_S", patience_s)
        with pytest.raises(FormError, match=rf"did not end within {patience_s:g} s"):
            UiCommands("visit.py").plan()
        if has_begun(folder):
            break
    wait_until(lambda: is_child_gone(folder))


@pytest.mark.parametrize(("status", "reason"), [(400, "refused"), (409, "over"), (503, "timeout")])
def test_what_a_run_refuses_is_handed_on(status: int, reason: str, tmp_path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"error": "no", "hint": "later"}')

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        run = UiRun(1, Form(), subprocess.Popen, tmp_path, tmp_path / "run")
        run._port = server.server_port
        with pytest.raises(ControlError) as raised:
            run.ask("stop")
        thread.join()
    assert (raised.value.reason, raised.value.hint) == (reason, "later")
    assert RequestRefused.of(raised.value).status == status


def test_a_run_that_is_over_keeps_its_clock_and_not_its_totals() -> None:
    live = LiveRun(make_header(RUN.plan))
    live.add(second(1))
    live.add(replace(second(2), elapsed_s=2.0, progress=0.5))
    totals = weakref.ref(live._totals) if live._totals else None
    assert totals
    live.end(RUN.to_dict())
    assert live.state() == {"phase": "over", "elapsed_s": 2.0, "progress": 0.5}
    assert live.data()["state"] == {"complete": True, **live.state()}
    assert totals() is None


def test_nobody_has_to_read_stderr(tmp_path: Path) -> None:
    (tmp_path / "visit.py").write_text(SCRIPT)
    reads, writes = os.pipe()
    os.close(reads)
    args = ("run", "visit.py", "-q", "-w", "1", "-e", "SECRET=x", "--dashboard", "0", "--control", "0")
    try:
        done = subprocess.run(
            cli_command(*args), cwd=tmp_path, env=cli_env(), stdout=subprocess.DEVNULL, stderr=writes, timeout=60
        )
    finally:
        os.close(writes)
    assert done.returncode == 0
