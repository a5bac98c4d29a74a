"""A run is saved while it goes: where, over what, and what is left of it when things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fastload.model.errors import PlanError
from fastload.model.load_models import ConstantVUs
from fastload.model.metrics import BUILTIN
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.codec import PREAMBLE
from fastload.model.saved.run_file import RunReader, load_run
from fastload.model.series import SeriesTable
from fastload.outputs.streams.run_file import RunFile, run_name
from tests.conftest import Cli, Nginx, cli_command, cli_env, wait_until
from tests.outputs.samples import add_requests, durations, full_run, make_plan, make_snapshot

SCRIPT = """
import fastload as fl


@fl.scenario(vus=2, duration="60s")
async def read(vu: fl.VU) -> None:
    await vu.get("/")
    await vu.sleep(0.01)
"""


def header(title: str = "shop.py", started_at: str = "2026-11-21T13:04:05.678+00:00") -> RunHeader:
    plan = make_plan(ConstantVUs(2, 10.0), title=title)
    return RunHeader(plan.to_dict(), started_at, "abc", specs=BUILTIN)


def second(t_s: float, requests: int = 10, spread_us: int = 600) -> Snapshot:
    table = SeriesTable()
    add_requests(table, durations(requests, spread_us=spread_us))
    return replace(make_snapshot(t_s), t_s=t_s, table=table)


def save(where: Path | str, seconds: int = 2, title: str = "shop.py") -> Path:
    """The file of a short run that is saved at *where*."""
    sink = RunFile(str(where))
    sink.check()
    sink.open(header(title))
    for t_s in range(1, seconds + 1):
        sink.write(second(float(t_s)))
    sink.close(full_run().to_dict())
    assert sink.path is not None
    return sink.path


def write_often(sink: RunFile, snapshot: Snapshot) -> None:
    for _ in range(50):
        sink.write(snapshot)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".fastload")]


def test_a_run_is_saved_in_a_file(tmp_path: Path) -> None:
    path = save(tmp_path / "today.fastload")
    run = load_run(path)
    assert path == tmp_path / "today.fastload"
    assert (len(run.seconds), run.complete, run.header.title) == (2, True, "shop.py")
    assert leftovers(tmp_path) == []


def test_in_a_directory_it_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = [save(tmp_path).name, save(f"{tmp_path}/").name, save(f"{tmp_path}/runs/deep/").name]
    assert names == [
        "20261121-130405-shop.fastload",
        "20261121-130405-shop-2.fastload",
        "20261121-130405-shop.fastload",
    ]
    assert all(load_run(path).complete for path in tmp_path.rglob("*.fastload"))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("GET http://127.0.0.1:8080/a?b=c", "20261121-130405-GET-http-127-0-0-1-8080-a-b-c.fastload"),
        ("../../etc/passwd", "20261121-130405-etc-passwd.fastload"),
        ("", "20261121-130405.fastload"),
        ("ünï\n", "20261121-130405-n.fastload"),
        ("x" * 300, f"20261121-130405-{'x' * 40}.fastload"),
    ],
)
def test_a_title_becomes_a_name_that_a_file_may_have(title: str, name: str) -> None:
    assert run_name(header(title)) == name


def test_an_earlier_run_is_replaced_once_the_new_one_has_begun(tmp_path: Path) -> None:
    path = save(tmp_path / "a.fastload", 5)
    sink = RunFile(str(path))
    sink.check()
    assert len(load_run(path).seconds) == 5
    with RunReader(path) as reader:
        sink.open(header())
        assert len(reader.poll()) == 7
    assert not load_run(path).complete
    sink.close(None)
    assert leftovers(tmp_path) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "latest.fastload"
    link.symlink_to(tmp_path / "real" / "a.fastload")
    save(link)
    assert link.is_symlink()
    assert load_run(tmp_path / "real" / "a.fastload").complete


def test_what_is_no_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").write_bytes(b"")
    for name, why in (
        (str(tmp_path / "notes.txt"), "is there already, and is no run file of fastload"),
        ("/dev/null", "is a pipe or a device, and a run file is a file"),
    ):
        with pytest.raises(PlanError, match=why):
            RunFile(name).check()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert load_run(save(tmp_path / "empty")).complete


def test_a_new_name_without_a_suffix_may_be_meant_as_a_directory(tmp_path: Path) -> None:
    where = f"{tmp_path}/runs"
    with pytest.raises(PlanError, match="is no directory, and has no suffix of a file") as caught:
        RunFile(where).check()
    assert caught.value.hint == f"write {where}/ for a directory of runs, or {where}.fastload for a file"
    assert list(tmp_path.iterdir()) == []
    save(tmp_path / "runs.fastload").rename(tmp_path / "old")
    assert save(tmp_path / "old", seconds=3) == tmp_path / "old"


def test_what_cannot_be_written_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PREAMBLE)
    expected = {"missing/a.fastload": "has no directory to be in", "file/": "cannot be made a directory"}
    for name, message in expected.items():
        with pytest.raises(PlanError, match=message):
            RunFile(f"{tmp_path}/{name}").check()
    with pytest.raises(PlanError, match="names no file and no directory"):
        RunFile("")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_each_second_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    sink = RunFile(str(tmp_path / "a.fastload"))
    sink.open(header())
    for t_s in range(1, 4):
        sink.write(second(float(t_s)))
        assert len(load_run(tmp_path / "a.fastload").seconds) == t_s
    sink.close(None)
    assert not load_run(tmp_path / "a.fastload").complete


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        # Somebody else's machine may not allow it; where tests decide, a test that is never run would go unnoticed.
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazy: a test that failed may hold a file open there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_costs_the_seconds_for_which_there_is_no_room(small_disk: Path) -> None:
    path = small_disk / "a.fastload"
    sink = RunFile(str(path))
    sink.check()
    sink.open(header())
    sink.write(second(1.0))
    (small_disk / "ballast").write_bytes(bytes(48 * 1024))
    big = second(2.0, 20_000, 30_000_000)
    with pytest.raises(OSError, match="No space left"):
        write_often(sink, big)
    kept = load_run(path)
    assert len(kept.seconds) >= 1
    assert not any("its last" in note for note in kept.notes)
    (small_disk / "ballast").unlink()
    sink.write(second(3.0))
    sink.close(full_run().to_dict())
    run = load_run(path)
    assert run.complete
    assert [one.t_s for one in run.seconds] == [*(one.t_s for one in kept.seconds), 3.0]


def test_a_disk_that_is_full_from_the_start_leaves_nothing(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(64 * 1024))
    for where in (small_disk, small_disk / "a.fastload"):
        sink = RunFile(str(where))
        with pytest.raises(OSError, match="No space left"):
            sink.open(header())
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_run_whose_disk_is_full_says_so_and_fails(small_disk: Path, cli: Cli, nginx: Nginx) -> None:
    (small_disk / "ballast").write_bytes(bytes(56 * 1024))
    path = small_disk / "a.fastload"
    options = ["-c", "4", "-d", "1500ms", "-w", "1", "-q"]
    done = cli("bench", nginx.url, *options, "--save", str(path))
    assert done.returncode == 104
    assert "output run" in done.stderr
    assert "No space left" in done.stderr
    (small_disk / "ballast").unlink()
    assert load_run(path).header.plan["kind"] == "bench"


def test_a_run_that_is_killed_leaves_all_but_its_last_second(tmp_path: Path, nginx: Nginx, cli: Cli) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    path = tmp_path / "killed.fastload"
    process = subprocess.Popen(
        cli_command("run", "script.py", "--base-url", nginx.url, "-w", "2", "-q", "--save", str(path)),
        cwd=tmp_path,
        env=cli_env(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: path.exists() and len(load_run(path).seconds) >= 2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    run = load_run(path)
    assert not run.complete
    # Each comes after its second; how long after is the machine's.
    times = [one.t_s for one in run.seconds]
    assert times == sorted(set(times))
    assert all(t_s >= number for number, t_s in enumerate(times, 1))
    done = cli("report", str(path), "--md", "-", "--junit", "junit.xml", "--html", "page.html")
    assert done.returncode == 0
    assert "it broke off after" in done.stdout
    assert f"of the {len(run.seconds)} seconds in it" in done.stderr
    assert 'errors="1"' in (tmp_path / "junit.xml").read_text()
    assert "</html>" in (tmp_path / "page.html").read_text()
