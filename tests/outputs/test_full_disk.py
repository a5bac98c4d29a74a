"""Outputs on a full disk: what was measured is told all the same, files stay whole, and a note says what is lost."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fastload.model.saved.run_file import load_run
from tests.conftest import Cli, Nginx, cli_command, cli_env

REQUESTS = 3000
FILES = {
    "--save": "kept.fastload",
    "--html": "report.html",
    "--summary": "summary.json",
    "--out csv": "samples.csv",
    "--out json": "samples.json",
    "--out md": "report.md",
    "--out junit": "junit.xml",
    "--out hlog": "times.hlog",
    "--out locust": "locust",
}
"""Every output that writes files, and where."""
REPLACED = ("report.html", "summary.json", "report.md", "junit.xml")
OLD = b"of an earlier run"


def arguments(option: str, where: str) -> list[str]:
    option, _, name = option.partition(" ")
    return [option, f"{name}={where}" if name else where]


def run_with_room(folder: Path, room_bytes: int, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A run whose files may have *room_bytes* each, as the last bytes of a disk."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))

    return subprocess.run(
        cli_command(*command),
        cwd=folder,
        env=cli_env(PYTHONDONTWRITEBYTECODE="1", **env),
        preexec_fn=bound,
        capture_output=True,
        text=True,
        timeout=60,
    )


def bench(url: str, *options: str) -> list[str]:
    return ["bench", url, "-n", str(REQUESTS), "-c", "2", "-w", "1", "--json", "-q", *options]


@pytest.mark.parametrize("room_bytes", [0, 100, 1500])
def test_no_output_takes_the_numbers_of_a_run_with_it(nginx: Nginx, tmp_path: Path, room_bytes: int) -> None:
    for name in REPLACED:
        (tmp_path / name).write_bytes(OLD)
    options = [part for option, where in FILES.items() for part in arguments(option, where)]
    done = run_with_room(tmp_path, room_bytes, *bench(nginx.url, *options))
    assert done.returncode == 104, done.stderr
    assert "Traceback" not in done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["metrics"]["http_reqs"]["count"] == REQUESTS
    notes = "\n".join(summary["notes"])
    lost = ["run", "html", "csv", "json", "md", "junit", "hlog", *(["locust"] if room_bytes < 500 else [])]
    for name in lost:
        assert f"output {name} " in notes, notes
        assert f"output {name} " in done.stderr
    assert "File too large" in notes
    assert "--summary 'summary.json' could not be written: File too large" in done.stderr
    for name in REPLACED:
        assert (tmp_path / name).read_bytes() == OLD, name
    assert not list(tmp_path.glob(".fastload-*"))
    for path in tmp_path.iterdir():
        assert path.stat().st_size <= max(room_bytes, len(OLD)), path
        if path.suffix in (".csv", ".hlog") or path.name == "samples.json":
            assert path.read_bytes()[-1:] in (b"", b"\n"), f"{path} ends within a line"


HANDLED = """
import fastload as fl


@fl.scenario(vus=1, iterations=3)
async def visit(vu):
    await vu.get("/")


@fl.handle_summary
def end(summary):
    return {"own.txt": "x" * 5000, "small.txt": "small"}
"""


def test_a_file_of_handle_summary_is_replaced_whole_or_not_at_all(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(OLD)
    (tmp_path / "visit.py").write_text(HANDLED)

    done = run_with_room(tmp_path, 1000, "run", "visit.py", "--base-url", nginx.url, "-q")
    assert done.returncode == 104, done.stderr
    assert "'own.txt' could not be written: File too large" in done.stderr + done.stdout
    assert (tmp_path / "own.txt").read_bytes() == OLD
    assert (tmp_path / "small.txt").read_text() == "small"
    assert not list(tmp_path.glob(".fastload-*"))


def test_a_job_summary_gets_all_of_a_report_or_nothing(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "step.md").write_bytes(OLD)
    done = run_with_room(tmp_path, 500, *bench(nginx.url, "--out", "github"), GITHUB_STEP_SUMMARY="step.md")
    assert done.returncode == 0, done.stderr
    assert "output github is not complete: No space left on device" in done.stderr
    assert (tmp_path / "step.md").read_bytes() == OLD


@pytest.mark.parametrize("option", [option for option in FILES if option not in ("--save", "--out locust")])
def test_a_full_device_costs_only_the_output_that_goes_there(
    cli: Cli, nginx: Nginx, tmp_path: Path, option: str
) -> None:
    other = [] if option == "--summary" else ["--summary", "summary.json"]
    options = ["--save", "a.fastload", *arguments(option, "/dev/full"), *other]
    done = cli("bench", nginx.url, "-n", "50", "-c", "2", "-q", *options)
    assert done.returncode == 104, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    saved = load_run(tmp_path / "a.fastload")
    assert saved.complete
    assert saved.to_summary().metrics["http_reqs"].count == 50
    if other:
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert any("No space left on device" in note for note in summary["notes"])
