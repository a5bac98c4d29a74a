"""Ctrl-C at moments that a person hits by chance: a profiler in the script presses it, always at the same place."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import fastload as fl
from fastload.model.plan import Plan
from fastload.model.saved.run_file import load_run
from tests.conftest import REPO, Nginx, cli_command, cli_env, wait_until
from tests.life import Life

VISIT = """
import fastload as fl
@fl.scenario(vus=2, iterations=4)
async def visit(vu):
    await vu.get("/visit")
"""
# As if somebody pressed Ctrl-C when the parent's main thread enters that function.
PRESSES = """
import os, pathlib, signal, sys
parent, left = os.getpid(), [1]

def press(frame, event, _):
    code = frame.f_code
    if event == "call" and left[0] and code.co_qualname == "{where}" and os.getpid() == parent:
        left[0] -= 1
        pathlib.Path("pressed.txt").touch()
        signal.raise_signal(signal.SIGINT)

sys.setprofile(press)
"""
KEPT = ("--save", "run.fastload", "--html", "page.html", "--out", "junit=junit.xml")


@pytest.mark.parametrize(
    "where",
    [
        "Coordinator._summarize",
        "OutputManager.finish",
        "SinkOutput._await",
        "SummaryReport.stop",
        "AroundTest.close",
        "exit_code",
    ],
)
def test_ctrl_c_after_the_load_loses_nothing(life: Life, where: str) -> None:
    done = life.run(PRESSES.format(where=where) + VISIT, *KEPT)
    assert (life.folder / "pressed.txt").exists()
    assert (done.code, done.stderr) == (0, "")
    assert done.counts == {"/visit": 4}
    assert (done.metric("iterations")["count"], done.summary["notes"]) == (4, [])
    assert load_run(life.folder / "run.fastload").complete
    assert "</html>" in (life.folder / "page.html").read_text()
    assert "<testsuite" in (life.folder / "junit.xml").read_text()
    assert "iterations" in done.stdout


def test_ctrl_c_in_a_function_around_the_test_ends_that_function(life: Life) -> None:
    life.start(
        VISIT
        + """
import pathlib, time
@fl.handle_summary
def report(summary):
    pathlib.Path("began").touch()
    time.sleep(60)
@fl.test_stop
def ends(summary):
    print("the stop comes all the same")
""",
        *KEPT,
    )
    life.wait_for_file("began")
    life.signal()
    done = life.finish()
    assert done.code == 107, done.stdout + done.stderr
    assert [error["hook"] for error in done.summary["hook_errors"]] == ["handle_summary"]
    assert load_run(life.folder / "run.fastload").complete
    assert "the stop comes all the same" in done.stdout


def test_two_ctrl_c_end_a_test_start_that_hangs(life: Life) -> None:
    life.start(
        VISIT
        + """
import pathlib, signal, time
@fl.test_start
def begins(plan):
    signal.raise_signal(signal.SIGINT)
    pathlib.Path("began").touch()
    time.sleep(60)
"""
    )
    life.wait_for_file("began")
    life.signal()
    done = life.finish()
    assert done.code == 105, done.stdout + done.stderr
    assert done.paths == []
    assert (done.summary["stopped_by"], done.summary["hook_errors"][0]["hook"]) == ("interrupt", "test_start")


def test_ctrl_c_while_python_ends_is_too_late_to_matter(life: Life) -> None:
    script = "import atexit, signal\natexit.register(signal.raise_signal, signal.SIGINT)\n"
    done = life.run(script + VISIT)
    assert (done.code, done.stderr) == (0, "")


# As if somebody sent the signal at the call number {calls} of any function since its handlers are set.
SENDS = """
import signal, sys
left = [{calls}]

def send(frame, event, _):
    if event == "call" and (left[0] < {calls} or frame.f_code.co_filename.endswith("fastload/cli/main.py")):
        left[0] -= 1
        if not left[0]:
            sys.setprofile(None)
            signal.raise_signal(signal.{name})

sys.setprofile(send)
"""


@pytest.mark.parametrize(
    ("command", "name", "calls"),
    [
        ("run script.py", "SIGINT", 1),
        ("run script.py", "SIGTERM", 1_000),
        ("run script.py", "SIGINT", 20_000),
        ("bench", "SIGHUP", 5_000),
        ("bench", "SIGINT", 60_000),
        ("plan script.py", "SIGINT", 2_000),
    ],
)
def test_a_stop_signal_while_the_command_is_imported(tmp_path: Path, command: str, name: str, calls: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(SENDS.format(calls=calls, name=name))
    (tmp_path / "script.py").write_text(VISIT)
    env = cli_env(PYTHONPATH=f"{tmp_path}:{REPO}")
    done = subprocess.run(
        cli_command(*command.split()), cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (105, "", "Interrupted.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_at_any_time_is_no_traceback(nginx: Nginx, tmp_path: Path, number: signal.Signals) -> None:
    """At ten moments of the first second. Before fastload's first line Python itself may end with a traceback."""
    (tmp_path / "script.py").write_text(VISIT.replace("iterations=4", "duration='30s'"))
    command = cli_command("run", "script.py", "-q", "-w", "1", "--base-url", nginx.url, "--summary", "summary.json")
    begun_s = time.monotonic()
    processes = [
        subprocess.Popen(command, cwd=tmp_path, env=cli_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(10)
    ]
    try:
        for at, process in enumerate(processes):
            wait_until(lambda at=at: time.monotonic() - begun_s > at / 10)  # type: ignore[misc]
            process.send_signal(number)
        for process in processes:
            stdout, stderr = (text.decode() for text in process.communicate(timeout=60))
            if process.returncode == 105:
                # On a fast machine the load has begun by then, and there is a report.
                assert stderr in ("", "Interrupted.\n")
                assert not stdout or "interrupted after" in stdout
            else:
                assert process.returncode in (-number, 1)
                assert not re.findall(r"fastload/(?!__init__|__main__|cli/interrupts)", stderr), stderr
    finally:
        for process in processes:
            process.kill()


def test_ctrl_c_while_a_program_imports_the_library_comes_after_the_import(tmp_path: Path) -> None:
    """In the import of a C extension it crashed the process, or was lost."""
    program = """
import signal, sys
import fastload as fl

def press(frame, event, _):
    if event == "call" and frame.f_code.co_filename.endswith("saved/run_file.py"):
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
        print("pressed")

sys.setprofile(press)
try:
    fl.load_run
except KeyboardInterrupt:
    print("interrupted", "fastload.model.saved.run_file" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("pressed\ninterrupted True\n", "")


def test_ctrl_c_while_the_script_is_read(tmp_path: Path) -> None:
    # Within an exec, as of a dataclass: CPython would end as if killed, although the exception is caught.
    (tmp_path / "script.py").write_text("exec('import signal; signal.raise_signal(signal.SIGINT)')\n")
    command = cli_command("run", "script.py")
    done = subprocess.run(command, cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (105, "", "Interrupted.\n")


def test_a_run_under_nohup_outlives_its_terminal(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import os, signal\n" + VISIT + "@fl.test_start\ndef hang_up(plan):\n    os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    command = cli_command("run", "script.py", "-q", "-w", "1", "--base-url", nginx.url)
    done = subprocess.run(
        ["nohup", *command], cwd=tmp_path, env=cli_env(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_ctrl_c_while_a_run_of_the_library_starts_ends_that_run(nginx: Nginx) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    def press(_: Plan) -> None:
        # In the thread of the run, while the main one waits for the fork.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fl.start(visit, vus=1, duration="60s", workers=1, base_url=nginx.url, test_start=press)
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "fastload-run"])
