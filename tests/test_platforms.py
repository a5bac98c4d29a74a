"""On another system than Linux: an error that says so, from the command and from what a script uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO, cli_env

COMMAND = "from fastload.__main__ import main; main()"
SCRIPT = "import fastload as fl; print(fl.__version__); fl.scenario"


def run_on(system: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    text = f"import sys; sys.platform = {system!r}; {code}"
    return subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env=cli_env(), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_the_command_says_that_it_needs_linux(system: str, tmp_path: Path) -> None:
    done = run_on(system, COMMAND, tmp_path)
    assert (done.returncode, done.stdout) == (104, "")
    assert done.stderr.splitlines() == [
        f"Error: fastload runs on Linux only, and this is {system}",
        "Hint:  use a container, WSL2 or a Linux machine: docs/platforms.md",
    ]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_a_script_says_that_it_needs_linux(system: str, tmp_path: Path) -> None:
    done = run_on(system, SCRIPT, tmp_path)
    assert done.returncode == 1
    assert f"ImportError: fastload runs on Linux only, and this is {system};" in done.stderr.splitlines()[-1]


def test_the_page_has_the_versions_of_the_package() -> None:
    page, project = ((REPO / name).read_text() for name in ("docs/platforms.md", "pyproject.toml"))
    for minor in (11, 12, 13):
        assert f"Python :: 3.{minor}" in project
        assert f"3.{minor}" in page
