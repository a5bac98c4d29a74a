"""Processes that a script leaves behind: they are ended with the run and named. The fixture looks for what is left."""

from __future__ import annotations

from tests.life import Life

LEFT = "left a process behind, which was ended: "


def notes(summary: dict[str, list[str]]) -> list[str]:
    return sorted(note.partition(" (PID")[0] for note in summary["notes"])


def test_they_do_not_outlive_the_run(life: Life) -> None:
    """Of setup, of an iteration, a daemon that has left its parent and session, and a fork that ignores SIGTERM."""
    done = life.run(
        """
import os, subprocess, time
import fastload as fl
@fl.setup
async def prepare(vu):
    subprocess.Popen(["sleep", "1001"])
@fl.scenario(vus=1, iterations=4)
async def visit(vu):
    await vu.get("/visit")
    if vu.iteration == 0:
        subprocess.Popen(["sleep", "1002"])
    if vu.iteration == 1:
        subprocess.run("sleep 1003 &", shell=True, start_new_session=True)
    if vu.iteration == 2 and os.fork() == 0:
        time.sleep(1000)
    if vu.iteration == 3:
        # What ends with its parent, or before, is no matter.
        subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        subprocess.run(["true"])
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/visit": 4}
    assert notes(done.summary) == [
        f"the process of setup and teardown {LEFT}sleep 1001",
        f"worker 0 {LEFT}a fork of itself",
        f"worker 0 {LEFT}sleep 1002",
        f"worker 0 {LEFT}sleep 1003",
    ]


def test_teardown_may_still_use_a_process_of_setup(life: Life) -> None:
    done = life.run(
        """
import subprocess
import fastload as fl
@fl.setup
async def prepare(vu):
    global server
    server = subprocess.Popen(["sleep", "1001"])
@fl.teardown
async def clean(vu):
    assert server.poll() is None
    server.terminate()
    server.wait()
@fl.scenario(vus=1, iterations=1)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.summary["notes"] == []


def test_those_of_a_killed_setup(life: Life) -> None:
    done = life.run(
        """
import subprocess
import fastload as fl
@fl.setup(timeout="100ms")
async def prepare(vu):
    subprocess.Popen(["sleep", "1001"])
    while True:
        pass
@fl.scenario(vus=1, iterations=1)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    assert f"the process of setup and teardown {LEFT}sleep 1001" in notes(done.summary)


def test_those_of_a_worker_that_died(life: Life) -> None:
    """It had lived for more than a second: each second they are looked for."""
    done = life.run(
        """
import os, subprocess
import fastload as fl
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    if vu.iteration == 0:
        subprocess.Popen(["sleep", "1002"])
        await vu.sleep(2.5)
    else:
        os.kill(os.getpid(), 9)
"""
    )
    assert done.code == 97, done.stdout + done.stderr
    assert f"worker 0 {LEFT}sleep 1002" in notes(done.summary)


def test_those_of_an_interrupted_run(life: Life) -> None:
    life.start(
        """
import pathlib, subprocess
import fastload as fl
@fl.scenario(vus=1, duration="60s")
async def visit(vu):
    subprocess.Popen(["sleep", "1002"])
    pathlib.Path("begun").touch()
    await vu.sleep(60)
"""
    )
    life.wait_for_file("begun")
    life.signal()
    done = life.finish()
    assert done.code == 105, done.stdout + done.stderr
    assert notes(done.summary) == [f"worker 0 {LEFT}sleep 1002"]


def test_a_fork_that_comes_back_to_the_event_loop_makes_no_load(life: Life) -> None:
    """It would be a second worker on the connections of the first one."""
    done = life.run(
        """
import os
import fastload as fl
@fl.setup
async def prepare(vu):
    os.fork()
    await vu.get("/setup")
@fl.scenario(vus=2, executor="per-vu-iterations", iterations=4)
async def visit(vu):
    await vu.get("/before")
    if vu.iteration == 1:
        os.fork()
    await vu.get("/after")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/setup": 1, "/before": 8, "/after": 8}
    assert done.metric("http_reqs")["count"] == 16
    assert (done.summary["notes"], done.stderr) == ([], "")
