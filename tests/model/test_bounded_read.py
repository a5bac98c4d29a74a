"""Files that are none: pipes, devices, sockets and folders where a file is read."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fastload.cli.bench import read_body
from fastload.convert.documents import _read
from fastload.load.script.data_files import READERS, DataSource
from fastload.load.script.trace_files import read_trace
from fastload.model import bounded_read
from fastload.model.bounded_read import MOST_OF_STREAM_BYTES, read_bounded
from fastload.model.errors import PlanError
from tests.conftest import cli_command, cli_env

READ: dict[str, Callable[[Path], object]] = {
    "body": lambda path: read_body(f"@{path}"),
    "trace": read_trace,
    "description": _read,
    "data": lambda path: READERS["jsonl"](DataSource(path, path.name)),
}


def make(kind: str, folder: Path) -> Path:
    path = folder / kind
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    return path


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fifo", "nothing was written to it for 0.1 s"),
        ("socket", "it is a socket, and no file"),
        ("folder", "Is a directory"),
        ("device", "it has more than 64.0 MB, the most that is read of a device"),
    ],
)
def test_what_is_no_file_is_refused_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str, read: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(bounded_read, "SILENCE_S", 0.1)
    path = make(kind, tmp_path)
    with pytest.raises((PlanError, OSError)) as caught:
        read(path)
    assert said in str(caught.value)


def test_a_pipe_that_is_written_to_is_read_to_its_end(tmp_path: Path) -> None:
    path = make("fifo", tmp_path)
    content = os.urandom(3_000_000)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    assert read_bounded(path) == content
    writer.join()


def test_a_pipe_has_a_limit(tmp_path: Path) -> None:
    path = make("fifo", tmp_path)
    with subprocess.Popen(["/bin/sh", "-c", 'exec yes > "$0"', str(path)], stderr=subprocess.DEVNULL) as writer:
        with pytest.raises(OSError, match=r"more than 64\.0 MB, the most that is read of a pipe"):
            read_bounded(path)
        writer.wait(30)


def test_a_file_may_be_larger_than_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(MOST_OF_STREAM_BYTES + 1)
    assert len(read_bounded(path)) == MOST_OF_STREAM_BYTES + 1


@pytest.mark.parametrize("source", ["/dev/zero", "yes |"])
def test_a_body_from_an_endless_stdin_is_refused(tmp_path: Path, source: str) -> None:
    command = " ".join(cli_command("bench", "http://127.0.0.1:1/", "-n", "1", "-q", "-b", "-"))
    line = f"{source} {command}" if source.endswith("|") else f"{command} < {source}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 104
    assert "stdin cannot be read: it has more than 64.0 MB" in done.stderr


def test_a_body_from_stdin(tmp_path: Path) -> None:
    program = "from fastload.cli.bench import read_body; print(len(read_body('-')))"
    command = [*cli_command()[:1], "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=cli_env(), input="a" * 100_000, capture_output=True, text=True)
    assert done.stdout == "100000\n"
