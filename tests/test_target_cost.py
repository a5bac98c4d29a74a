"""The cost per request in real runs, held against a server that measures its own CPU time."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastload.model.saved.run_file import load_run
from tests.conftest import REPO, Cli, cli_env
from tests.verdicts.stage import is_disturbed

# Both rates change all the time, and their shares with them. The server's core is a quarter full at most.
MIX = """
import fastload as fl


@fl.scenario(stages=["7s:50/s", "7s:5/s"], start_rate="2/s", max_vus=50)
async def quick(vu: fl.VU) -> None:
    await vu.get("/a")


@fl.scenario(stages=["14s:30/s"], start_rate="2/s", max_vus=50)
async def slow(vu: fl.VU) -> None:
    await vu.get("/b")
"""
_TRIES = 3


@contextmanager
def cost_server() -> Iterator[str]:
    """The server whose endpoints cost 2 ms and 6 ms of CPU time."""
    command = [sys.executable, "-m", "tests.cost_server"]
    with subprocess.Popen(command, cwd=REPO, env=cli_env(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def spent(url: str) -> dict[str, list[float]]:
    with urllib.request.urlopen(f"{url}/spent", timeout=10) as answer:
        return dict(json.load(answer))


@pytest.mark.timeout(120)
def test_the_estimates_are_what_the_server_measured_of_itself(cli: Cli, tmp_path: Path) -> None:
    """Where other processes take the CPU of the run, the intervals are long and say so; then it is run again."""
    (tmp_path / "script.py").write_text(MIX)
    for _ in range(_TRIES):
        with cost_server() as url:
            done = cli("run", "script.py", "--base-url", url, "--save", "m.fastload", "--summary", "s.json", "-w", "1")
            truth = {path: ms / count for path, (count, ms) in spent(url).items()}
            whole = sum(ms for _, ms in spent(url).values()) / sum(count for count, _ in spent(url).values())
        summary: dict[str, Any] = json.loads((tmp_path / "s.json").read_text())
        cost = summary["cost"]
        found = {one["name"]: one["cpu_ms"] for one in cost["endpoints"]}
        is_right = found.keys() == truth.keys() and all(
            abs(found[path]["value"] / ms - 1) < 0.1 for path, ms in truth.items()
        )
        if is_right and abs(cost["cpu_ms"]["value"] / whole - 1) < 0.1:
            break
        assert is_disturbed(summary), (cost, truth, whole)
    else:
        pytest.skip("other work on this machine took the CPU of each try")
    assert done.returncode == 0, done.stderr
    assert cost["noun"] == "request"
    assert cost["cpu_ms"]["low"] < cost["cpu_ms"]["value"] < cost["cpu_ms"]["high"]
    assert cost["per_core_per_s"]["value"] == pytest.approx(1000 / cost["cpu_ms"]["value"])
    assert cost["received_bytes"] == pytest.approx(40, abs=1)
    assert cost["context_switches"] > 0
    assert "COST PER REQUEST  of the target, over " in done.stdout
    assert "one core carries at most" in done.stdout
    assert "GET /b" in done.stdout.partition("COST PER REQUEST")[2]

    # The seconds of the file tell the same, where it has no summary or one of an earlier version.
    run = load_run(tmp_path / "m.fastload")
    assert run.to_summary().to_dict()["cost"] == cost
    assert run.summary is not None
    del run.summary["cost"]
    assert run.summary_dict()["cost"] == cost
    assert replace(run, summary=None).summary_dict()["cost"] == cost
