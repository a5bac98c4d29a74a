"""Outputs that go to a named pipe which nobody reads: the run ends, says so, and its results are there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nginx, cli_command, cli_env

OUTPUTS = ("csv", "json", "hlog", "junit", "md", "html", "summary")


def begin(nginx: Nginx, folder: Path, *options: str) -> subprocess.Popen[str]:
    command = cli_command("bench", nginx.url + "/", "-n", "5", "-c", "1", "-q", "--json", *options)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=cli_env(), text=True, stdout=pipe, stderr=pipe)


def end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    stdout, stderr = process.communicate(timeout=100)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def bench(nginx: Nginx, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return end(begin(nginx, folder, *options))


def options(output: str) -> tuple[str, str]:
    return (f"--{output}", "pipe") if output in ("html", "summary") else ("--out", f"{output}=pipe")


@pytest.fixture(scope="module")
def unread(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """A run for each output whose pipe nobody reads, all at once: each waits 5 s for a reader."""
    started = {}
    for output in OUTPUTS:
        folder = tmp_path_factory.mktemp(output)
        os.mkfifo(folder / "pipe")
        started[output] = begin(nginx, folder, *options(output))
    return {output: end(process) for output, process in started.items()}


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_pipe_that_nobody_reads(unread: dict[str, subprocess.CompletedProcess[str]], output: str) -> None:
    done = unread[output]
    assert json.loads(done.stdout)["requests"]["finished"] == 5
    assert "nobody has read it for 5 s" in done.stderr


def test_a_pipe_whose_reader_has_stopped(nginx: Nginx, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = bench(nginx, tmp_path, *options("html"))
    finally:
        os.close(reader)
    assert json.loads(done.stdout)["requests"]["finished"] == 5
    assert "its reader has taken nothing for 5 s" in done.stderr


@pytest.mark.parametrize("output", ["csv", "html"])
def test_a_pipe_that_is_read(nginx: Nginx, tmp_path: Path, output: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "read").open("wb") as read, subprocess.Popen(["cat", "pipe"], cwd=tmp_path, stdout=read) as reader:
        done = bench(nginx, tmp_path, *options(output))
        reader.wait(30)
    assert done.returncode == 0, done.stderr
    assert (
        (tmp_path / "read").read_bytes().lower().startswith(b"metric_name," if output == "csv" else b"<!doctype html>")
    )
