"""Who is on stdout, and standard streams that are closed, full or left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import cli_command, cli_env

SCRIPT = """
import atexit, os, subprocess
import fastload as fl

print("import says")
os.write(1, b"import writes\\n")
subprocess.run(["echo", "import calls"])
atexit.register(print, "exit says")

@fl.setup
async def prepare(vu):
    print("setup says")

@fl.test_start
def begin(plan):
    subprocess.run(["echo", "test_start calls"])

@fl.test_stop
def end(summary):
    subprocess.run(["echo", "test_stop calls"])

@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    print("VU says")
    subprocess.run(["echo", "VU calls"])
"""
IMPORT = ("import says", "import writes", "import calls", "exit says")
PRINTED = (*IMPORT, "setup says", "test_start calls", "test_stop calls", "VU says", "VU calls")

Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run ``fastload ARGS`` with what a shell does to its streams."""
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(args: str) -> subprocess.CompletedProcess[str]:
        command = [*cli_command(), args]
        return subprocess.run(
            ["sh", "-c", " ".join(command)], cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60
        )

    return run


def are_lines_of(text: str) -> list[bool]:
    return [one in text.splitlines() for one in PRINTED]


@pytest.mark.parametrize("args", ["--json", "--out json", "--out hlog=/dev/stdout"])
def test_what_a_script_prints_goes_to_stderr_when_stdout_is_an_outputs(shell: Shell, args: str) -> None:
    done = shell(f"run script.py -q {args}")
    assert done.returncode == 0
    assert are_lines_of(done.stderr) == [True] * len(PRINTED)
    if "hlog" in args:
        assert all(line[0] in '#T"' for line in done.stdout.splitlines())
        assert done.stdout.startswith("#[")
    else:
        for document in done.stdout.splitlines() if args == "--out json" else [done.stdout]:
            json.loads(document)


def test_else_what_it_prints_is_on_stdout(shell: Shell) -> None:
    done = shell("run script.py -q --summary summary.json")
    assert are_lines_of(done.stdout) == [True] * len(PRINTED)
    assert done.stderr == ""


def test_a_plan_in_json_is_alone_on_stdout(shell: Shell) -> None:
    done = shell("plan script.py --json")
    assert json.loads(done.stdout)["title"] == "script.py"
    assert sorted(done.stderr.splitlines()) == sorted(IMPORT)


@pytest.mark.parametrize(
    ("streams", "threshold", "code"),
    [
        ("2>&-", "iterations: count==2", 0),
        (">&-", "iterations: count==2", 0),
        ("<&- >&- 2>&-", "iterations: count>2", 99),
        ("2>/dev/full", "iterations: count>2", 99),
    ],
)
def test_a_run_needs_no_standard_streams(shell: Shell, streams: str, threshold: str, code: int) -> None:
    done = shell(f"run script.py --control 0 --threshold '{threshold}' {streams}")
    assert done.returncode == code, done


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_said_has_its_exit_code(shell: Shell, streams: str) -> None:
    assert shell(f"run script.py --vuss 2 {streams}").returncode == 104


@pytest.mark.parametrize("args", ["run script.py --json", "run script.py --out csv=-", "plan script.py --json"])
def test_what_would_go_to_a_closed_stdout_is_refused(shell: Shell, args: str) -> None:
    done = shell(f"{args} >&-")
    assert done.returncode == 104
    assert "would go to stdout, which is closed\nHint:  write it to a file\n" in done.stderr
    assert "import" not in done.stderr


def test_a_closed_stdin_is_an_empty_body(shell: Shell) -> None:
    done = shell("bench http://127.0.0.1:1 -n 1 -b - -q <&-")
    assert done.returncode == 0, done.stderr
