"""Scripts whose tasks and threads do not end: the run does, loses nothing, and says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastload.control.supervisor import DID_NOT_EXIT
from tests.conftest import REPO, Nginx, wait_until

ENDLESS = """
import asyncio
import pathlib

import fastload as fl

kept = []


async def endless():
    while True:
        try:
            await asyncio.sleep(1)
        except:
            pass


def begin():
    if not kept:
        kept.append(asyncio.get_running_loop().create_task(endless()))
        pathlib.Path("begun").touch()
"""
IN_AN_ITERATION = (
    ENDLESS
    + """

@fl.scenario(vus=2, iterations=4)
async def visit(vu):
    begin()
    await vu.get("/")
"""
)
IN_SETUP = (
    ENDLESS
    + """

@fl.setup
async def prepare(vu):
    begin()


@fl.scenario(vus=2, iterations=4)
async def visit(vu):
    await vu.get("/")
"""
)


def run_script(script: str, folder: Path, nginx: Nginx) -> dict[str, Any]:
    """The summary of a run of *script*, which has to end."""
    (folder / "visit.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-m", "fastload", "run", "visit.py", "--base-url", nginx.url, "-w", "1", "-q", "--json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("script", "who"), [(IN_AN_ITERATION, "worker 0"), (IN_SETUP, "the process of setup and teardown")]
)
def test_a_task_that_catches_its_cancellation_does_not_hold_the_run_up(
    nginx: Nginx, tmp_path: Path, script: str, who: str
) -> None:
    summary = run_script(script, tmp_path, nginx)
    assert summary["metrics"]["http_reqs"]["count"] == 4
    assert f"{who} {DID_NOT_EXIT}" in summary["notes"]
    assert not [worker for worker in summary["workers"] if worker["lost"]]


def test_ctrl_c_ends_such_a_run(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "visit.py").write_text(IN_AN_ITERATION.replace("iterations=4", 'duration="60s"'))
    command = [sys.executable, "-m", "fastload", "run", "visit.py", "--base-url", nginx.url, "-w", "1", "-q", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPO)}, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 105
    summary = json.loads(text)
    assert summary["stopped_by"] == "interrupt"
    assert f"worker 0 {DID_NOT_EXIT}" in summary["notes"]
