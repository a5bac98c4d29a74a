"""Outputs from end to end, with the command: whatever they do, the run is the same, and what was lost is told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import fastload as fl
from tests.conftest import REPO, Cli, Nginx, cli_command, cli_env, free_port, wait_until
from tests.outputs.sinks import fastload_threads
from tests.outputs.streams.receivers import Receiver, black_hole, packets, receiver

RATE, SECONDS = 100, 2
# How long waiting for sinks may make a run, with what a busy machine adds to everything; some would take a minute.
PATIENCE_S = 5.0 + 25.0
# As many as starts: whatever is held up, none is left in line at the end.
CONNECTIONS = str(RATE * SECONDS)

_ADDED = """
import pathlib, sys, time
from fastload.model.errors import OutputError

class Sink:
    required = wants_points = False
    def __init__(self, argument):
        self.path = pathlib.Path(argument)
    def check(self): ...
    def open(self, header): ...
    def write(self, snapshot): ...
    def close(self, summary):
        with self.path.open("a") as file:
            file.write(f"closed {summary['stopped_by']!r}\\n")

class Raising(Sink):
    def write(self, snapshot):
        sys.exit("no more")

class Sleeping(Sink):
    def write(self, snapshot):
        time.sleep(60)

class Hanging(Sink):
    def close(self, summary):
        time.sleep(60)
"""


@pytest.fixture
def added(tmp_path: Path) -> dict[str, str]:
    """The environment in which outputs of another package are installed."""
    return install_added(tmp_path)


def install_added(folder: Path) -> dict[str, str]:
    return install(folder / "site", "added", _ADDED, {name: f"added:{name.title()}" for name in _NAMES})


_NAMES = ("sink", "raising", "sleeping", "hanging")


def install(folder: Path, module: str, code: str, points: dict[str, str]) -> dict[str, str]:
    """Put *module* and its entry points into *folder*, as pip does, and return the environment that has it."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[fastload.outputs]", *lines, ""]))
    return {"PYTHONPATH": os.pathsep.join([str(REPO), str(folder)])}


def bench(
    cli: Cli, url: str, *out: str, extra: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], str]:
    """Exit code, summary and stderr of a second at `RATE`, with these outputs."""
    asked = [text for one in out for text in ("--out", one)]
    load = ("--rate", str(RATE), "-d", "1s", "-c", CONNECTIONS, "-w", "1")
    done = cli("bench", url, *load, "--json", "-q", *asked, *extra, **(env or {}))
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def lost(summary: dict[str, Any]) -> dict[str, str]:
    """What was lost, by output."""
    found = (re.fullmatch(r"output (\S+) (.*)", note) for note in summary["notes"])
    return {note[1]: note[2] for note in found if note}


def check_the_run(summary: dict[str, Any], seconds: int) -> None:
    """It is what it would be without outputs."""
    assert summary["metrics"]["http_reqs"]["count"] == RATE * seconds
    assert summary["metrics"]["dropped_iterations"]["count"] == 0
    assert seconds <= summary["duration_s"] < seconds + 4


@contextlib.contextmanager
def command(*args: str, cwd: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        cli_command(*args), cwd=cwd, env=cli_env(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def in_trouble(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> InTrouble:
    """One run whose outputs all have some trouble, but for one."""
    folder = tmp_path_factory.mktemp("trouble")
    gone = free_port()
    with black_hole() as hole, receiver(status=500, reply=b"on fire") as broken:
        out = {
            "influxdb": f"http://me:secret@127.0.0.1:{gone}/db?p=secret",
            "prometheus-rw": f"http://me:secret@127.0.0.1:{hole}",
            "otlp": broken.url,
            "opentelemetry": "http://me:secret@nowhere.invalid",
            "statsd": f"127.0.0.1:{gone}",
            **{name: str(folder / "closed.txt") for name in _NAMES},
        }
        asked = [text for name, argument in out.items() for text in ("--out", f"{name}={argument}")]
        started_s = time.monotonic()
        load = ("--rate", str(RATE), "-d", f"{SECONDS}s", "-c", CONNECTIONS, "-w", "1")
        args = ("bench", nginx.url, *load, "--json", "-q")
        with command(*args, *asked, cwd=folder, **install_added(folder)) as process:
            said, told = process.communicate(timeout=60)
        took_s = time.monotonic() - started_s
    ports = {"gone": gone, "hole": hole, "broken": broken.port}
    return InTrouble(process.returncode, json.loads(said), told, took_s, ports, folder)


class InTrouble(NamedTuple):
    code: int
    summary: dict[str, Any]
    said: str
    took_s: float
    ports: dict[str, int]
    folder: Path


def test_outputs_in_trouble_cost_the_run_nothing(in_trouble: InTrouble) -> None:
    assert in_trouble.code == 0
    check_the_run(in_trouble.summary, SECONDS)
    assert in_trouble.took_s < SECONDS + PATIENCE_S
    assert in_trouble.said.count("Warning: output ") == len(in_trouble.summary["notes"]) == 8
    assert "secret" not in in_trouble.said + json.dumps(in_trouble.summary)


def test_what_systems_that_are_down_lost_is_told(in_trouble: InTrouble) -> None:
    found, seconds = lost(in_trouble.summary), r"lost \d of \d seconds?: "
    gone, hole = f"127.0.0.1:{in_trouble.ports['gone']}", f"127.0.0.1:{in_trouble.ports['hole']}"
    assert re.fullmatch(f"{seconds}http://{gone}/db could not be reached: Connection refused", found["influxdb"])
    assert re.fullmatch(f"{seconds}{gone} could not be reached: Connection refused", found["statsd"])
    assert re.match(f"{seconds}http://{hole} did not answer within 2 s", found["prometheus-rw"])
    first, second = (note for note in in_trouble.summary["notes"] if note.startswith("output otlp"))
    assert f"http://127.0.0.1:{in_trouble.ports['broken']}/v1/metrics answered 500: on fire" in first
    assert "nowhere.invalid" in second or "it did not end within 5 s" in second


def test_outputs_that_raise_sleep_or_hang_are_left_behind(in_trouble: InTrouble) -> None:
    found = lost(in_trouble.summary)
    assert re.fullmatch(r"lost (\d) of \1 seconds: SystemExit: no more", found["raising"])
    assert re.match(r"lost \d of \d seconds: .*it did not end within 5 s", found["sleeping"])
    assert found["hanging"] == "is not complete: it did not end within 5 s"
    assert "sink" not in found
    # Those that could be closed were.
    assert (in_trouble.folder / "closed.txt").read_text() == "closed ''\n" * 2


def test_strict_outputs_make_a_loss_count(cli: Cli, nginx: Nginx) -> None:
    code, summary, said = bench(
        cli, nginx.url, f"influxdb=http://127.0.0.1:{free_port()}/db", extra=("--strict-outputs",)
    )
    assert code == 104
    check_the_run(summary, 1)
    assert "Error: output influxdb lost" in said


def test_strict_outputs_are_content_with_sinks_that_get_everything(cli: Cli, nginx: Nginx) -> None:
    with receiver() as kept, packets() as udp:
        code, summary, said = bench(
            cli,
            nginx.url,
            f"influxdb={kept.url}/db",
            f"statsd=127.0.0.1:{udp.getsockname()[1]}",
            f"prometheus={free_port()}",
            extra=("--strict-outputs",),
        )
        assert (code, said, summary["notes"]) == (0, "", [])
        assert counted(kept) == RATE


def counted(kept: Receiver) -> float:
    """The requests of all points."""
    lines = [line for one in kept.requests for line in one.body.decode().splitlines()]
    found = (re.fullmatch(r"http_reqs,\S+ value=(\d+) \d+", line) for line in lines)
    return sum(float(one[1]) for one in found if one)


def test_ctrl_c_ends_a_run_whose_sinks_get_everything(nginx: Nginx, added: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "closed.txt"
    with receiver() as kept:
        out = ("--out", f"influxdb={kept.url}/db", "--out", f"sink={path}")
        args = ("bench", nginx.url, "--rate", "100", "-d", "30s", "-c", "20", "-w", "1", "--json", "-q", *out)
        with command(*args, cwd=tmp_path, **added) as process:
            wait_until(lambda: counted(kept) > 0)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=20)
        assert process.returncode == 105
        summary = json.loads(said)
        assert counted(kept) == summary["metrics"]["http_reqs"]["count"] > 0
    assert summary["notes"] == []
    assert path.read_text() == "closed 'interrupt'\n"


async def visit(vu: fl.VU) -> None:
    await vu.get("/")


def test_nothing_is_left_after_a_run_of_the_library(nginx: Nginx) -> None:
    with receiver() as kept, packets() as udp:
        port = free_port()
        out = (
            f"influxdb={kept.url}/db",
            f"otlp={kept.url}",
            f"prometheus-rw={kept.url}",
            f"prometheus={port}",
            f"statsd=127.0.0.1:{udp.getsockname()[1]}",
        )
        before = descriptors()
        summary = fl.run(visit, vus=1, iterations=20, workers=1, base_url=nginx.url, out=out)
        assert summary.notes == ()
        assert fastload_threads() == []
        wait_until(lambda: descriptors() == before)


def descriptors() -> set[str]:
    """The sockets of this process that are connected, or listen, as far as they are not the receivers'."""
    here = Path(f"/proc/{os.getpid()}/fd")
    links = (str(one.readlink()) for one in here.iterdir() if one.is_symlink())
    return {link for link in links if link.startswith("socket:")}


@pytest.mark.parametrize(
    ("out", "error"),
    [
        ("influx=http://localhost/db", "Hint:  write influxdb=URL"),
        ("statsd=localhost", "Error: --out statsd: 'localhost' is not HOST:PORT"),
        ("prometheus={taken}", "Error: --out prometheus: cannot listen on 127.0.0.1:{taken}: Address already in use"),
    ],
)
def test_what_is_wrong_is_said_before_the_run(cli: Cli, nginx: Nginx, out: str, error: str) -> None:
    with receiver() as taken:
        done = cli("bench", nginx.url, "-n", "10", "--out", out.format(taken=taken.port))
    assert done.returncode == 104
    assert error.format(taken=taken.port) in done.stderr
    assert done.stdout == ""


def test_the_output_of_the_docs_can_be_installed(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    page = (REPO / "docs" / "outputs.md").read_text()
    blocks = dict(re.findall(r"^```\w+ title=\"([^\"]+)\"\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    points = tomllib.loads(blocks["pyproject.toml"])["project"]["entry-points"]["fastload.outputs"]
    (name,) = points
    env = install(tmp_path / "site", points[name].partition(":")[0], blocks["rates_out.py"], points)
    code, summary, _ = bench(cli, nginx.url, f"{name}={tmp_path / 'rates.txt'}", env=env)
    assert (code, summary["notes"]) == (0, [])
    assert len((tmp_path / "rates.txt").read_text().splitlines()) >= 1
    done = cli("bench", nginx.url, "-n", "10", "--out", f"{name}={tmp_path / 'no' / 'rates.txt'}", **env)
    assert done.returncode == 104
