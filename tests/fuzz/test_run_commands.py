"""Hostile run files in the commands that read them: each command ends well or with one error, in all its outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastload.cli.main import run_cli
from fastload.dashboard.live_run import LiveRun
from fastload.model.saved.run_file import RunReader
from tests.data.renew import RUN as GOLDEN
from tests.fuzz.parsing import fuzz
from tests.fuzz.run_files import file_of, golden, hostile
from tests.fuzz.source import Source


def _commands(path: Path, folder: Path) -> list[list[str]]:
    files = {"html": "html", "md": "md", "junit": "xml", "json": "json", "hlog": "hlog"}
    made = [part for option, suffix in files.items() for part in (f"--{option}", str(folder / f"r.{suffix}"))]
    compared = [part for one in ("html", "md", "json") for part in (f"--{one}", str(folder / f"c.{one}"))]
    return [
        ["report", str(path)],
        ["report", str(path), *made, "--csv", str(folder / "r")],
        ["compare", str(path), str(GOLDEN), "--force", *compared],
        ["compare", str(GOLDEN), str(path), "--force", "--fail-on", "never"],
    ]


def _check_commands(path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run every command that reads run files on *path*: each ends well or with one error, and no output fails."""
    for command in _commands(path, folder):
        assert run_cli(command) in (0, 99, 104), command
        told = capsys.readouterr().err
        assert told.count("Error: ") <= 1, told
        assert "could not be written" not in told, told
        assert "Traceback" not in told, told


def _follow(path: Path) -> None:
    """Read *path* as ``fastload ui`` follows a run."""
    with RunReader(path) as reader:
        live: LiveRun | None = None
        for kind, body in reader.poll():
            if kind == "header":
                live = LiveRun(body)
            elif live is not None and kind == "second":
                live.add(body)
            elif live is not None:
                live.end(body)
        if live is not None:
            live.report()


def test_every_command_takes_a_hostile_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, path = golden(), tmp_path / "hostile.fastload"
    short = [*real[:3], real[-1]]

    def run(source: Source) -> None:
        file_of(path, hostile(short, source))
        _check_commands(path, tmp_path, capsys)
        _follow(path)

    # It is what is written that takes a tenth of a second for each: ten thousand are read in test_run_files.py.
    fuzz(run, cases=100)
