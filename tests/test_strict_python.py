"""fastload under the strict and the debugging modes of Python."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nginx, cli_command, cli_env

SCRIPT = """
import fastload as fl
@fl.setup
async def before(vu):
    await vu.get("/setup")
@fl.scenario(vus=2, iterations=6)
async def visit(vu):
    async with vu.group("part"), fl.measure("call"), vu.expect("GET", "/") as reply:
        reply.success()
    await vu.batch(["/a", "/b"])
"""
MODES = [
    {"PYTHONWARNINGS": "error"},
    {"PYTHONDEVMODE": "1"},
    {"PYTHONASYNCIODEBUG": "1"},
    {"PYTHONOPTIMIZE": "2"},
    {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"},
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: " ".join(mode))
def test_a_run(nginx: Nginx, tmp_path: Path, mode: dict[str, str]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = cli_command(
        "run", "script.py", "--base-url", nginx.url, "-w", "2", "-q", "--json", "--save", "a.fastload"
    )
    done = subprocess.run(command, cwd=tmp_path, env=cli_env(**mode), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["requests"]["finished"] == 18
    assert summary["exceptions"] == []
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr
