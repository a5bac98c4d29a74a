"""Runs that are steered while they last: over HTTP, by `fastload ctl`, from the keyboard, and from the library.

What a command does must show in the run's own status and in the counters of the target.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import fastload as fl
from fastload.control.commands.command_queue import CommandQueue
from fastload.control.commands.control_server import ControlServer
from fastload.control.commands.keyboard import keys_hint
from fastload.model.load_models import SharedIterations
from fastload.model.plan import Plan, ScenarioPlan
from fastload.runner import execute
from fastload.targets import RunningTarget
from tests.conftest import DEADLINE_S, Cli, cli_command, cli_env, wait_until

PATH = "/api/v1/head?tenant_id=00000000-0000-0000-0000-000000000000&store_id=00000000-0000-0000-0000-000000000000"
# How long something must not happen until it is taken for stopped: many times the pause between two starts.
QUIET_S = 0.7
VUS = f"""
import fastload as fl


@fl.scenario(executor="externally-controlled", vus=2, max_vus=20, duration="60s", graceful_stop="5s")
async def visit(vu: fl.VU) -> None:
    await vu.get("{PATH}", name=f"vu {{vu.id}}")
    await vu.sleep(0.01)
"""
RATE = f"""
import fastload as fl


@fl.scenario(executor="externally-controlled", rate=40, max_vus=400, duration="60s", graceful_stop="5s")
async def visit(vu: fl.VU) -> None:
    await vu.get("{PATH}")
"""
BOTH = (
    VUS
    + f"""

@fl.scenario(iterations=1, vus=1)
async def once(vu: fl.VU) -> None:
    await vu.get("{PATH}")
"""
)
# Makes its standard input the terminal of its session, and becomes the command.
WITH_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Counter:
    """Answers that the target gave on the route of these scripts."""

    def __init__(self, target: RunningTarget) -> None:
        self._url = target.base_url

    def read(self) -> int:
        with urllib.request.urlopen(f"{self._url}/stats", timeout=DEADLINE_S) as reply:
            routes: dict[str, dict[str, int]] = json.load(reply)["routes"]
        return sum(routes.get("GET /api/v1/head", {}).values())

    def is_still(self) -> bool:
        """Whether nothing comes for a while."""
        before = self.read()
        return not wait_until(lambda: self.read() != before, deadline_s=QUIET_S, raising=False)

    def wait_for(self, more: int) -> None:
        """Until so many have come since now."""
        before = self.read()
        wait_until(lambda: self.read() >= before + more)


class Steered:
    """A ``fastload run --control 0`` under way."""

    def __init__(self, folder: Path, script: str, base_url: str, *args: str, prefix: tuple[str, ...] = (), **io: Any):
        (folder / "script.py").write_text(script)
        command = cli_command("run", "script.py", "--control", "0", "--base-url", base_url, "--json", "-w", "2", *args)
        if prefix:
            command = [*prefix, *command[1:]]
        self.process = subprocess.Popen(
            command, cwd=folder, env=cli_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **io
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("control: http://127.0.0.1:"):
                self.port = int(line.strip().rpartition(":")[2])
                break
        else:
            self.close()
            pytest.fail(f"no control: {''.join(self.said)}")
        self.wait_for(lambda status: bool(status["phase"] != "starting"))

    def ask(self, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer; with *arguments* by POST."""
        status, answer = self.try_to(command, arguments)
        assert status == 200, answer
        return answer

    def try_to(self, command: str, arguments: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            body = None if arguments is None else json.dumps(arguments)
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request("POST" if body else "GET", f"/v1/{command}", body, headers)
            response = connection.getresponse()
            return response.status, json.load(response)

    def scenario(self, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("status")["scenarios"][number]
        return found

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status that meets *condition*."""
        found: list[dict[str, Any]] = []

        def holds() -> bool:
            found.append(self.ask("status"))
            return condition(found[-1])

        wait_until(holds)
        return found[-1]

    def end(self, code: int = 0) -> dict[str, Any]:
        """The summary, after the run ended with *code*."""
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == code, "".join(self.said) + err
        summary: dict[str, Any] = json.loads(out)
        return summary

    def close(self) -> None:
        """End it, however the test went."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


Steer = Callable[..., Steered]


@pytest.fixture
def steer(tmp_path: Path, sequencer: RunningTarget) -> Iterator[Steer]:
    started: list[Steered] = []

    def begin(script: str, *args: str, **options: Any) -> Steered:
        started.append(Steered(tmp_path, script, sequencer.base_url, *args, **options))
        return started[-1]

    yield begin
    for run in started:
        run.close()


@pytest.fixture
def counter(sequencer: RunningTarget) -> Counter:
    return Counter(sequencer)


def test_vus_go_up_and_down(steer: Steer, counter: Counter) -> None:
    before = counter.read()
    run = steer(VUS)
    status = run.wait_for(lambda status: status["vus"] == 2 and status["requests"] > 0)
    assert (status["phase"], status["workers_alive"]) == ("running", 2)
    expected = {"name": "visit", "executor": "externally-controlled", "vus": 2, "max_vus": 20, "can_scale": True}
    assert run.scenario() == expected
    run.ask("scale", {"vus": 12})
    assert run.scenario()["vus"] == 12
    run.wait_for(lambda status: bool(status["vus"] == 12))
    run.ask("scale", {"by": -9, "scenario": "visit"})
    assert run.scenario()["vus"] == 3
    run.wait_for(lambda status: bool(status["vus"] == 3))
    run.ask("scale", {"vus": 0})
    wait_until(counter.is_still)
    run.ask("scale", {"by": 1})
    counter.wait_for(20)
    run.ask("stop", {})
    summary = run.end()
    assert summary["metrics"]["vus"]["max"] == 12
    # VUs that come back are the same users.
    assert {item["name"] for item in summary["endpoints"]} >= {f"vu {number}" for number in range(1, 13)}
    assert len(summary["endpoints"]) <= 20
    assert summary["metrics"]["http_reqs"]["count"] == counter.read() - before
    assert summary["exceptions"] == []


def test_a_rate_goes_up_and_down(steer: Steer, counter: Counter) -> None:
    def starts_per_s() -> float:
        begun, before = time.monotonic(), counter.read()
        wait_until(lambda: time.monotonic() > begun + 1)
        return (counter.read() - before) / (time.monotonic() - begun)

    run = steer(RATE)
    counter.wait_for(10)
    assert run.scenario()["rate_per_s"] == 40
    # A busy machine may hold up the starts of one second, and make up for them in the next.
    wait_until(lambda: 20 < starts_per_s() < 80)
    run.ask("scale", {"rate": "400/s"})
    assert run.scenario()["rate_per_s"] == 400
    wait_until(lambda: 200 < starts_per_s() < 800)
    run.ask("scale", {"by": -360})
    assert run.scenario()["rate_per_s"] == 40
    wait_until(lambda: 20 < starts_per_s() < 80)
    run.ask("stop", {})
    metrics = run.end()["metrics"]
    # A change of the rate makes nothing late and skips nothing.
    assert metrics["dropped_iterations"]["count"] == 0
    assert metrics["iteration_lateness"]["med"] < 500


@pytest.mark.parametrize("script", [VUS, RATE], ids=["vus", "rate"])
def test_pause_and_resume(steer: Steer, counter: Counter, script: str) -> None:
    run = steer(script)
    counter.wait_for(20)
    run.ask("pause", {})
    assert run.ask("status")["phase"] == "paused"
    wait_until(counter.is_still)
    held, before = time.monotonic(), counter.read()
    wait_until(lambda: time.monotonic() > held + 2)
    resumed = time.monotonic()
    run.ask("resume", {})
    assert run.ask("status")["phase"] == "running"
    counter.wait_for(20)
    run.ask("stop", {})
    going_s = time.monotonic() - resumed
    assert run.end()["passed"]
    if script == RATE:
        # What would have been due in the pause is not made up for: that were 40 a second.
        assert counter.read() - before < 40 * (going_s + 1)


def test_a_paused_start_sends_nothing_before_resume(steer: Steer, counter: Counter, cli: Cli) -> None:
    before = counter.read()
    run = steer(RATE, "--paused")
    run.wait_for(lambda status: bool(status["phase"] == "ready"))
    assert (run.ask("status")["progress"], run.ask("status")["elapsed_s"]) == (0, 0)
    assert "waits for resume" in cli("ctl", "--port", str(run.port), "status").stdout
    assert counter.is_still()
    assert counter.read() == before
    run.ask("scale", {"rate": 80})
    assert counter.is_still()
    resumed = time.monotonic()
    run.ask("resume", {})
    counter.wait_for(20)
    assert run.ask("status")["phase"] == "running"
    run.ask("stop", {})
    going_s = time.monotonic() - resumed
    summary = run.end()
    assert summary["metrics"]["http_reqs"]["count"] == counter.read() - before
    # What would have been due before is not made up for.
    assert counter.read() - before < 80 * (going_s + QUIET_S / 2)


def test_a_run_that_was_never_resumed_can_be_stopped(steer: Steer, counter: Counter) -> None:
    before = counter.read()
    run = steer(VUS, "--paused")
    run.ask("stop", {})
    assert run.end()["metrics"]["http_reqs"]["count"] == counter.read() - before == 0


@pytest.mark.parametrize(
    ("threshold", "now", "code"), [("http_req_failed: rate<0.5", False, 0), ("http_reqs: count<1", True, 99)]
)
def test_stop_ends_with_a_whole_summary_and_the_code_of_the_thresholds(
    steer: Steer, counter: Counter, threshold: str, now: bool, code: int
) -> None:
    before = counter.read()
    run = steer(VUS, "--threshold", threshold)
    counter.wait_for(10)
    run.ask("stop", {"now": now})
    summary = run.end(code)
    requests = summary["requests"]
    assert requests["started"] == sum(
        requests[how] for how in ("finished", "failed", "interrupted", "warmup", "lost")
    ), requests
    assert requests["finished"] <= counter.read() - before <= requests["started"]
    assert summary["stopped_by"] not in ("", "interrupt")
    assert summary["passed"] == (code == 0)


def test_metrics_so_far(steer: Steer) -> None:
    run = steer(VUS)
    run.wait_for(lambda status: bool(status["requests"] > 10))
    metrics = run.ask("metrics")
    assert metrics["http_reqs"]["count"] > 10
    assert set(metrics["http_req_duration"]) >= {"avg", "p(95)", "count"}
    run.ask("stop", {})
    assert set(metrics) == set(run.end()["metrics"])


def test_what_cannot_be_done_is_refused_and_harms_nothing(steer: Steer, counter: Counter) -> None:
    run = steer(BOTH)
    by_name = {scenario["name"]: scenario["can_scale"] for scenario in run.ask("status")["scenarios"]}
    assert by_name == {"visit": True, "once": False}
    for arguments, words in (
        ({"vus": 1, "scenario": "vizit"}, "visit"),
        ({"vus": 1, "scenario": "once"}, "once"),
        ({"vus": 21}, "20"),
        ({"rate": 100}, "rate"),
        ({"rate": "fast", "scenario": "visit"}, "rate"),
    ):
        status, answer = run.try_to("scale", arguments)
        assert (status, words in answer["error"] + answer["hint"]) == (400, True), (arguments, answer)
    # Without a name it means those that can be scaled.
    run.ask("scale", {"vus": 4})
    assert run.scenario()["vus"] == 4
    counter.wait_for(10)
    run.ask("stop", {})
    run.end()


def test_ctl(steer: Steer, cli: Cli) -> None:
    run = steer(VUS)
    port = str(run.port)
    done = cli("ctl", "--port", port, "scale", "--by", "+5")
    assert done.returncode == 0, done.stderr
    assert run.scenario()["vus"] == 7
    shown = cli("ctl", "status", FASTLOAD_CONTROL=port).stdout
    assert "7 VUs" in shown
    assert "externally-controlled" in shown
    assert "http_reqs" in cli("ctl", "--port", port, "metrics").stdout
    assert json.loads(cli("ctl", "--port", port, "--json", "pause").stdout)["phase"] == "paused"
    assert cli("ctl", "--port", port, "resume").returncode == 0
    assert cli("ctl", "--port", port, "scale", "--vus", "100").returncode == 104
    assert cli("ctl", "--port", port, "stop", "--now").returncode == 0
    run.end()
    assert "no run answers" in cli("ctl", "--port", port, "status").stderr


def test_a_change_in_the_warm_up_is_told_as_what_the_measured_part_began_with(
    steer: Steer, cli: Cli, tmp_path: Path
) -> None:
    run = steer(VUS, "--warmup", "3s", "--save", "run.fastload")
    run.ask("scale", {"vus": 8})
    assert run.ask("status")["phase"] == "warm-up"
    run.wait_for(lambda status: bool(status["phase"] == "running" and status["elapsed_s"] > 4))
    run.ask("scale", {"vus": 9})
    elapsed_s = run.ask("status")["elapsed_s"]
    run.ask("stop", {})
    first, second = run.end()["load_changes"]
    assert (first["t_s"], first["before"], first["after"], first["number"]) == (0, 2, 8, 0)
    assert 1 < second["t_s"] <= elapsed_s - 3
    assert (second["after"], second["number"]) == (9, 1)
    saved = tmp_path / "run.fastload"
    text = cli("report", str(saved)).stdout
    assert "for 1m, begun with 8 VUs; changed to 9 VUs at" in " ".join(text.split())
    # So does a report of the seconds alone, as of a run that was killed.
    saved.write_bytes(saved.read_bytes()[:-100])
    done = cli("report", str(saved))
    assert "for 1m, begun with 8 VUs; changed to 9 VUs at" in " ".join(done.stdout.split())
    assert "in it after the warm-up, and the verdict is the last" in " ".join(done.stdout.split())


def test_more_vus_than_open_files_are_refused(steer: Steer) -> None:
    script = VUS.replace('executor="externally-controlled", vus=2, max_vus=20', "vus=2")
    run = steer(script, prefix=("prlimit", "--nofile=364:364", sys.executable))
    assert run.ask("scale", {"vus": 6})["max_vus"] == 2 * 300
    assert run.scenario()["max_vus"] == 600
    status, answer = run.try_to("scale", {"vus": 601})
    assert (status, answer["error"]) == (400, "601 VUs are over the max_vus of visit, 600")
    assert run.scenario()["vus"] == 6
    run.ask("stop", {"now": True})
    run.end()


def test_a_port_that_is_taken_is_an_error_before_anything_is_sent(
    cli: Cli, counter: Counter, sequencer: RunningTarget, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(VUS)
    before = counter.read()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = cli("run", "script.py", "--base-url", sequencer.base_url, "--control", str(port))
    assert done.returncode == 104
    assert f"control port {port} is in use" in done.stderr
    done = cli("run", "script.py", "--base-url", sequencer.base_url, "--control", "0.0.0.0:0")
    assert done.returncode == 104
    assert "has no token" in done.stderr
    done = cli("run", "script.py", "--base-url", sequencer.base_url, "--control", "http")
    assert done.returncode == 104
    assert "--control 'http' is not PORT or HOST:PORT" in done.stderr
    assert counter.read() == before


def test_without_the_option_nothing_listens(cli: Cli, sequencer: RunningTarget, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        """
import os
import fastload as fl
import psutil

@fl.scenario(iterations=1, vus=1)
async def look(vu: fl.VU) -> None:
    listening = [c for c in psutil.Process(os.getppid()).net_connections() if c.status == psutil.CONN_LISTEN]
    vu.check(listening, {"nothing listens": not listening})
"""
    )
    done = cli("run", "script.py", "--json", "-q", "--base-url", sequencer.base_url)
    assert json.loads(done.stdout)["metrics"]["checks"] == {"rate": 1, "passes": 1, "fails": 0}, done.stderr


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_the_keyboard(steer: Steer, terminal: tuple[int, int]) -> None:
    master, slave = terminal
    before = termios.tcgetattr(slave)

    def is_cbreak() -> bool:
        return not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON)

    run = steer(VUS, prefix=(sys.executable, "-c", WITH_TERMINAL), stdin=slave, start_new_session=True)
    wait_until(is_cbreak)
    assert run.process.stderr is not None
    # The first line of the progress says that there are keys, and on what they act.
    assert any(keys_hint({"visit": False}) in line for line in run.process.stderr)
    os.write(master, b"Www")
    run.wait_for(lambda status: bool(status["scenarios"][0]["vus"] == 14))
    os.write(master, b"Ss")
    run.wait_for(lambda status: bool(status["scenarios"][0]["vus"] == 3))
    os.write(master, b"p")
    run.wait_for(lambda status: bool(status["phase"] == "paused"))
    os.write(master, b"p?")
    run.wait_for(lambda status: bool(status["phase"] == "running"))
    os.write(master, b"\x03")
    assert run.end(105)["stopped_by"] == "interrupt"
    assert termios.tcgetattr(slave) == before


def test_no_keyboard_with_quiet(steer: Steer, counter: Counter, terminal: tuple[int, int]) -> None:
    _, slave = terminal
    before = termios.tcgetattr(slave)
    run = steer(VUS, "-q", prefix=(sys.executable, "-c", WITH_TERMINAL), stdin=slave, start_new_session=True)
    counter.wait_for(10)
    assert termios.tcgetattr(slave) == before
    run.process.send_signal(signal.SIGINT)
    run.end(105)


# From the library.


@fl.scenario(executor="externally-controlled", vus=2, max_vus=10, duration="60s", graceful_stop="5s")
async def visit(vu: fl.VU) -> None:
    await vu.get(PATH)
    await vu.sleep(0.01)


@pytest.fixture
def clean() -> Iterator[None]:
    """Nothing is left of a run: no thread, no process, no descriptor."""
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    children = {child.pid for child in psutil.Process().children()}
    yield
    # What an earlier test left may end in this one.
    wait_until(lambda: threading.active_count() <= threads)
    assert {child.pid for child in psutil.Process().children()} <= children
    assert len(os.listdir("/proc/self/fd")) <= files  # noqa: PTH208


@pytest.mark.usefixtures("clean")
def test_a_run_with_a_handle(counter: Counter, sequencer: RunningTarget) -> None:
    before = counter.read()
    with fl.start(visit, base_url=sequencer.base_url, workers=2) as run:
        assert isinstance(run, fl.Run)
        counter.wait_for(10)
        run.scale(vus=6)
        wait_until(lambda: bool(run.status()["vus"] == 6))
        run.scale(by=-5, scenario="visit")
        assert run.status()["scenarios"][0]["vus"] == 1
        run.pause()
        assert run.status()["phase"] == "paused"
        wait_until(counter.is_still)
        run.resume()
        counter.wait_for(10)
        assert run.metrics()["http_reqs"]["count"] > 0
        with pytest.raises(fl.ControlError, match="vizit"):
            run.scale(vus=1, scenario="vizit")
        with pytest.raises(fl.ControlError, match="is not over"):
            _ = run.summary
        with pytest.raises(fl.ControlError, match="was not over within 0 s"):
            run.wait(0)
    assert run.summary is run.wait()
    assert run.summary.metrics["http_reqs"].count == counter.read() - before
    assert run.summary.metrics["vus"].max == 6
    assert run.summary.passed
    run.stop()
    with pytest.raises(fl.ControlError, match="the run is over"):
        run.status()


def test_the_queue_of_commands_is_closed_before_the_server_that_waits_for_it(sequencer: RunningTarget) -> None:
    """Otherwise a request that comes as the run ends waits for an answer that nobody gives."""
    closed: list[str] = []

    class Queue(CommandQueue):
        def close(self) -> None:
            closed.append("queue")
            super().close()

    class Server(ControlServer):
        def close(self) -> None:
            closed.append("server")
            super().close()

    queue = Queue()
    executor = SharedIterations(1, 1, 30.0)
    plan = Plan("run", "test", (ScenarioPlan("visit", executor, visit),), 1, base_url=sequencer.base_url)
    execute(plan, commands=queue, server=Server(queue, "127.0.0.1", 0))
    assert closed == ["queue", "server"]


@pytest.mark.usefixtures("clean")
def test_a_handle_of_a_run_that_waits(counter: Counter, sequencer: RunningTarget) -> None:
    before = counter.read()
    with fl.start(visit, base_url=sequencer.base_url, workers=1, paused=True) as run:
        wait_until(lambda: bool(run.status()["phase"] == "ready"))
        assert counter.is_still()
        assert counter.read() == before
        run.resume()
        counter.wait_for(5)
        run.stop(now=True)
        assert run.wait(DEADLINE_S).stopped_by not in ("", "interrupt")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("paused", [False, True])
def test_a_pause_or_resume_while_setup_runs_is_kept(
    counter: Counter, sequencer: RunningTarget, tmp_path: Path, paused: bool
) -> None:
    """What is asked for before the common start is what the run does then."""
    go_on = tmp_path / "go_on"

    async def wait(vu: fl.VU) -> None:
        while not go_on.exists():
            await vu.sleep(0.02)

    before = counter.read()
    with fl.start(visit, base_url=sequencer.base_url, workers=2, paused=paused, setup=wait) as run:
        if paused:
            run.resume()
        else:
            run.pause()
        go_on.touch()
        if not paused:
            wait_until(lambda: bool(run.status()["phase"] == "ready"))
            # Long enough for all processes to begin.
            assert not wait_until(lambda: counter.read() != before, deadline_s=3, raising=False)
            run.resume()
        counter.wait_for(5)
        run.stop(now=True)
        assert run.wait(DEADLINE_S).stopped_by not in ("", "interrupt")


@pytest.mark.usefixtures("clean")
def test_a_run_that_ends_by_itself(sequencer: RunningTarget) -> None:
    async def once(vu: fl.VU) -> None:
        await vu.get(PATH)

    seen: list[Any] = []

    class Seen:
        """An output of the caller's, which is fed beside the handle's own."""

        def start(self, plan: Any) -> None:
            seen.append(plan)

        def snapshot(self, snapshot: Any) -> None:
            seen.append(snapshot)

        def stop(self, summary: fl.Summary) -> None:
            seen.append(summary)

    run = fl.start(once, vus=1, iterations=3, base_url=sequencer.base_url, workers=1, outputs=[Seen()])
    summary = run.wait(DEADLINE_S)
    assert summary.metrics["iterations"].count == 3
    assert summary.stopped_by == ""
    assert isinstance(seen[0], Plan)
    assert isinstance(seen[-1], fl.Summary)


@pytest.mark.usefixtures("clean")
def test_what_is_wrong_before_the_first_request_is_raised_by_start(sequencer: RunningTarget) -> None:
    usual: dict[str, Any] = {"base_url": sequencer.base_url, "workers": 1}
    cases: list[dict[str, Any]] = [
        {"vus": 0},
        {"watch": ["no-such-process"]},
        {"base_url": "http://no-such-host.invalid"},
    ]
    for wrong in cases:
        with pytest.raises(fl.PlanError):
            fl.start(visit, **(usual | wrong))
    with pytest.raises(TypeError):
        fl.start(visit, vsu=1)  # type: ignore[call-arg]


@pytest.mark.usefixtures("clean")
def test_an_error_in_the_block_stops_the_run_and_comes_through(sequencer: RunningTarget) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        fl.start(visit, base_url=sequencer.base_url, workers=1) as run,
    ):
        _ = 1 / 0
    assert run.wait().stopped_by not in ("", "interrupt")


def test_a_script_that_steers_itself(sequencer: RunningTarget, tmp_path: Path) -> None:
    script = f"""
import fastload as fl

async def visit(vu: fl.VU) -> None:
    await vu.get("{PATH}")

with fl.start(visit, vus=2, duration="60s", base_url="{sequencer.base_url}", workers=2) as run:
    while run.status()["requests"] < 10:
        pass
print(run.summary.requests.finished >= 10, run.summary.passed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("True True\n", "")
