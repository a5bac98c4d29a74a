"""Runs whose accounts are made wrong on purpose: the verdict finds it, from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO, Cli, cli_env
from tests.verdicts.stage import is_disturbed

_TRIES = 3

SCRIPT = """
import fastload as fl


@fl.scenario(vus=20, duration="4s")
async def visit(vu: fl.VU) -> None:
    await vu.get("/")
"""
TIMES_HALVED = """
from fastload.load.recording import recorder


class Halved(recorder.RequestBatch):
    def __init__(self, rows):
        super().__init__(rows)
        self.times["http_req_duration"] = self.times["http_req_duration"] // 2


recorder.RequestBatch = Halved
"""
COUNTED_TWICE = """
from fastload.load.recording.recorder import Recorder

count_once = Recorder._count_endpoint
Recorder._count_endpoint = lambda self, endpoint, status, count, *, failed: count_once(
    self, endpoint, status, 2 * count, failed=failed
)
"""
READ_TWICE = """
from fastload.load.recording.in_flight_watch import InFlightWatch

note = InFlightWatch.note
InFlightWatch.note = lambda self, in_flight, at_ns: note(self, 2 * in_flight, at_ns)
"""


@pytest.fixture(scope="module")
def slow_url() -> Iterator[str]:
    """A server that takes half a second for each response: far more than a busy machine adds."""
    command = [sys.executable, "-m", "tests.verdicts.servers", "slow", "500"]
    with subprocess.Popen(command, cwd=REPO, env=cli_env(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.mark.parametrize(
    ("mistake", "is_found"),
    [("", False), (TIMES_HALVED, True), (COUNTED_TWICE, True), (READ_TWICE, True)],
    ids=["right", "times halved", "counted twice", "read twice"],
)
def test_a_mistake_in_the_accounts_is_found(
    cli: Cli, tmp_path: Path, slow_url: str, mistake: str, *, is_found: bool
) -> None:
    (tmp_path / "script.py").write_text(mistake + SCRIPT)
    for _ in range(_TRIES):
        done = cli("run", "script.py", "--base-url", slow_url, "-w", "2", "--summary", "summary.json")
        summary = json.loads((tmp_path / "summary.json").read_text())
        verdict = summary["verdict"]
        was_found = "own_accounts" in [one["cause"] for one in verdict["findings"]]
        if was_found or not is_found:
            break
        # Where the event loop waits for a CPU nearly all the time, the check cannot tell.
        assert is_disturbed(summary), done.stdout + done.stderr
    else:
        pytest.skip("other work on this machine took the CPU of each try")
    assert was_found is is_found, done.stdout + done.stderr
    assert ("fastload's own numbers contradict each other" in done.stdout) is is_found
    assert not is_found or verdict["state"] in ("SUSPECT", "INVALID")
