"""Two runs, one file: the second is refused before its first request, and a dead run holds nothing."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fastload as fl
from fastload.model.saved.run_file import load_run
from fastload.outputs.destinations import WrittenFile
from fastload.outputs.file_locks import FileLocks
from tests.conftest import Cli, Nginx, cli_command, cli_env, wait_until
from tests.data.renew import RUN

OUTPUTS = {
    "--save": "kept.fastload",
    "--html": "report.html",
    "--summary": "summary.json",
    "--out csv": "samples.csv.gz",
    "--out json": "samples.json",
    "--out md": "report.md",
    "--out junit": "junit.xml",
    "--out hlog": "times.hlog",
    "--out locust": "locust",
}
"""Every output that writes files, and where."""


def arguments(option: str, where: str) -> list[str]:
    option, _, name = option.partition(" ")
    return [option, f"{name}={where}" if name else where]


def locks(folder: Path) -> list[Path]:
    return list(folder.glob(".fastload-*.lock"))


def has_second(path: Path) -> bool:
    return path.exists() and len(load_run(path).seconds) > 0


@contextmanager
def running(folder: Path, url: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run under way, whose saved run has a second; it is stopped at the end, unless it has ended."""
    command = cli_command("bench", url, "-d", "60s", "-c", "1", "-w", "1", "-q", "--save", "first.fastload", *options)
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=cli_env(), stdout=quiet, stderr=quiet) as process:
        try:
            wait_until(lambda: bool(locks(folder)) and has_second(folder / "first.fastload"))
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@contextmanager
def silent_server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_a_second_run_with_a_file_of_the_first_is_refused_before_its_first_request(
    cli: Cli, nginx: Nginx, tmp_path: Path
) -> None:
    all_of_them = [part for option, where in OUTPUTS.items() for part in arguments(option, where)]
    with silent_server() as server, running(tmp_path, nginx.url, *all_of_them[2:]) as first:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        for option, where in {**OUTPUTS, "--save": "first.fastload"}.items():
            refused = cli("bench", url, "-n", "1", *arguments(option, where))
            written = where + "_stats.csv" if option == "--out locust" else where
            told = f"Error: {option} {written!r} is being written by another run (process {first.pid})"
            assert (refused.returncode, refused.stderr.splitlines()[0]) == (104, told)
            assert "Hint:  wait for its end, or give this run another file" in refused.stderr
        with pytest.raises(BlockingIOError):
            server.accept()
        report = cli("report", str(RUN), "--html", OUTPUTS["--html"])
        compared = cli("compare", str(RUN), "first.fastload", "--force", "--md", "report.md")
        assert [report.returncode, compared.returncode] == [104, 104]
        assert "is being written by another run" in report.stderr + compared.stderr
    assert first.returncode == 105
    assert load_run(tmp_path / "first.fastload").complete
    assert locks(tmp_path) == []


def test_a_run_that_was_killed_holds_no_file(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    with running(tmp_path, nginx.url) as first:
        assert len(locks(tmp_path)) == 1
        first.kill()
        first.wait()
    # Its workers go after it.
    wait_until(lambda: is_free(tmp_path / "first.fastload"))
    again = cli("bench", nginx.url, "-n", "5", "--save", "first.fastload")
    assert again.returncode == 0, again.stderr
    assert load_run(tmp_path / "first.fastload").complete
    assert locks(tmp_path) == []


def is_free(path: Path) -> bool:
    try:
        FileLocks().take([WrittenFile("--save", str(path))]).release()
    except fl.PlanError:
        return False
    return True


def test_runs_that_save_into_one_directory_at_once_have_a_file_each(nginx: Nginx, tmp_path: Path) -> None:
    command = cli_command("bench", nginx.url, "-n", "5", "-w", "1", "-c", "1", "-q", "--save", "runs/")
    processes = [subprocess.Popen(command, cwd=tmp_path, env=cli_env(), stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    saved = [load_run(path) for path in (tmp_path / "runs").glob("*.fastload")]
    assert [run.complete for run in saved] == [True] * 3
    assert len({run.header.run_id for run in saved}) == 3


def test_two_runs_of_one_program_do_not_share_a_file(nginx: Nginx, tmp_path: Path) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    path = tmp_path / "one.fastload"
    with fl.start(visit, vus=1, workers=1, duration="60s", base_url=nginx.url, save=path) as run:
        with pytest.raises(fl.PlanError, match="is being written by another run"):
            fl.run(visit, vus=1, workers=1, iterations=1, base_url=nginx.url, save=path)
        run.stop()
        run.wait()
    fl.run(visit, vus=1, workers=1, iterations=1, base_url=nginx.url, save=path)
    assert locks(tmp_path) == []


def test_one_file_by_two_names_has_one_lock(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with FileLocks().take([WrittenFile("--html", str(tmp_path / "real" / "a.html"))]):
        with pytest.raises(fl.PlanError, match="--html"):
            FileLocks().take([WrittenFile("--html", str(tmp_path / "link" / "a.html"))])
        FileLocks().take([WrittenFile("--html", str(tmp_path / "link" / "b.html"))]).release()
    assert locks(tmp_path / "real") == []


def test_a_refusal_gives_back_what_was_taken_before_it(tmp_path: Path) -> None:
    mine, theirs = (WrittenFile("--html", str(tmp_path / name)) for name in ("mine", "theirs"))
    with FileLocks().take([theirs]):
        with pytest.raises(fl.PlanError):
            FileLocks().take([mine, theirs])
        FileLocks().take([mine]).release()


@pytest.mark.parametrize("path", ["-", "/dev/null", "/dev/stdout", "."])
def test_stdout_devices_and_directories_are_shared(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = [WrittenFile("--out md", path)]
    with FileLocks().take(written), FileLocks().take(written):
        assert list(tmp_path.iterdir()) == []


def test_the_longest_name_of_a_file_can_be_locked(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with FileLocks().take([WrittenFile("--html", str(path))]), pytest.raises(fl.PlanError):
        FileLocks().take([WrittenFile("--html", str(path))])


def test_a_file_system_without_locks_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with FileLocks().take([WrittenFile("--html", str(tmp_path / "a.html"))]):
        FileLocks().take([WrittenFile("--html", str(tmp_path / "a.html"))])
