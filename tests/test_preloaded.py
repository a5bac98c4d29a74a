"""What the tests take for the command is the command: as `subprocess` would run it."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import cli_command, cli_env, wait_until
from tests.preloaded import run_preloaded

PROGRAM = """
import os, subprocess, sys
print(os.getcwd(), os.environ["WHO"], sys.argv, __name__, flush=True)
subprocess.run(["sh", "-c", "echo a child; echo its error >&2"])
print("error", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize("command", [[sys.executable, "-c", PROGRAM], cli_command("plan", "none.py"), cli_command()])
def test_it_is_as_in_a_fresh_process(command: list[str], tmp_path: Path) -> None:
    env = cli_env(WHO="me")
    fresh = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    done = run_preloaded(command, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)


def test_an_error_is_one(tmp_path: Path) -> None:
    done = run_preloaded([sys.executable, "-c", "1 / 0"], cwd=tmp_path, env=cli_env())
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_each_of_many_has_its_own_answer(tmp_path: Path) -> None:
    def answer(number: int) -> tuple[int, str]:
        program = f"import sys; print('x' * {number * 50_000}); sys.exit({number})"
        done = run_preloaded([sys.executable, "-c", program], cwd=tmp_path, env=cli_env())
        return done.returncode, done.stdout

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answer, range(8))) == [(number, "x" * number * 50_000 + "\n") for number in range(8)]


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    program = f"import os, pathlib, time; pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))"
    begun = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        run_preloaded([sys.executable, "-c", f"{program}; time.sleep(60)"], cwd=tmp_path, env=cli_env(), timeout_s=0.5)
    assert time.monotonic() - begun < 30
    if (tmp_path / "pid").exists():
        wait_until(lambda: not Path("/proc", (tmp_path / "pid").read_text()).exists())
