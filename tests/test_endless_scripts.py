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
from tests.life import Life

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


def test_no_function_or_thread_of_the_script_holds_the_run_up(life: Life) -> None:
    """It waits in turn for what may end by itself: on_stop, tasks, teardown, threads. Hence it takes some 15 s."""
    done = life.run(
        """
import asyncio, atexit, threading, time
import fastload as fl
def forever():
    while True:
        time.sleep(1)
async def endless(vu):
    while True:
        try:
            await asyncio.sleep(1)
        except BaseException:
            pass
@fl.teardown(timeout="100ms")
async def clean(vu):
    await endless(vu)
@fl.scenario(vus=2, executor="per-vu-iterations", iterations=1, on_stop=endless, duration="1s", graceful_stop="100ms")
async def leave(vu):
    await vu.get("/leave")
@fl.scenario(vus=2, executor="per-vu-iterations", iterations=1, duration="1s", graceful_stop="100ms")
async def visit(vu):
    await vu.get("/visit")
    threading.Thread(target=forever).start()
    atexit.register(forever)
    vu.state["thread"] = asyncio.get_running_loop().run_in_executor(None, forever)
    try:
        await vu.sleep(1000)
    finally:
        await endless(vu)
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    assert done.counts == {"/visit": 2, "/leave": 2}
    (error,) = done.summary["hook_errors"]
    assert (error["hook"], "longer than 100ms" in error["message"] or "0.1 s" in error["message"]) == ("teardown", True)
    assert f"worker 0 {DID_NOT_EXIT}" in done.summary["notes"]
    assert not [worker for worker in done.summary["workers"] if worker["lost"]]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("threading.Thread(target=forever, name='mine').start()", "the thread mine"),
        ("atexit.register(forever)", "a function of atexit"),
    ],
)
def test_nothing_of_the_script_keeps_the_command_from_exiting(life: Life, line: str, what: str) -> None:
    """At its import the script is in the parent. It waits for 5 s."""
    done = life.run(
        f"""
import atexit, threading, time
import fastload as fl
def forever():
    while True:
        time.sleep(1)
{line}
@fl.scenario(vus=1, iterations=2, thresholds={{"http_reqs": "count>2"}})
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 99, done.stdout + done.stderr
    assert f"because {what} of the script did not end within 5 s" in done.stderr
    assert "count>2" in done.stdout


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
