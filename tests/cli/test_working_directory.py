"""A working directory that was deleted is an error with a hint, where a command reads or writes files in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import cli_command, cli_env

# A shell cannot start in a directory that is not there: the process deletes its own, and becomes the command.
DELETE = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.argv[1], sys.argv[1:])"


def in_deleted(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    command = [sys.executable, "-c", DELETE, *cli_command(*args)]
    return subprocess.run(command, cwd=folder, env=cli_env(), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "args",
    [
        ("run", "script.py", "--base-url", "http://127.0.0.1:9"),
        ("run", "scenario:ingest", "--base-url", "http://127.0.0.1:9"),
        ("plan", "script.py"),
        ("compare", "a.fastload", "b.fastload"),
        ("ui", "script.py"),
    ],
)
def test_a_deleted_working_directory_is_named(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = in_deleted(tmp_path / "gone", *args)
    assert (done.returncode, done.stdout) == (104, "")
    error, hint = done.stderr.splitlines()
    assert error == "Error: the working directory was deleted, and names of files begin there"
    assert hint == "Hint:  cd to another one"


def test_what_needs_no_file_needs_no_directory(tmp_path: Path) -> None:
    done = in_deleted(tmp_path / "gone", "--version")
    assert (done.returncode, done.stderr) == (0, "")
