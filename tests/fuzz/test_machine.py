"""What the machine tells: names of processes, their command lines, limits of cgroups, processes to watch."""

from __future__ import annotations

import os
from pathlib import Path

from fastload.control.sampling import procfs
from fastload.control.sampling.processes import _executable_name, _interpreted_program, resolve_watch
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.source import NUMBERS, Source

_NAME = ("python", "(", ")", " ", "R", "S", "Z", "1", ") Z 1 2 3", "\n", "\t", "é", "\\", *NUMBERS)
_ARGUMENT = (
    "python3",
    "-m",
    "-c",
    "-",
    "--",
    "-W",
    "uvicorn",
    "/usr/bin/",
    "server.py",
    ": ",
    " ",
    "/",
    "é",
    "nginx: worker",
)
_CGROUP = ("0", "::", ":", "cpu", "cpu,cpuacct", "/", "..", "/a", "docker", "\n", "é", "name=systemd", *NUMBERS)
_CGROUPS = ("0::/\n", "0::/a/b\n", "4:cpu,cpuacct:/a\n3:memory:/a\n", "1:name=systemd:/\n0::/../a\n")


def test_any_name_of_a_process_is_read() -> None:
    # Every program may choose its name, so this process takes the name of each case in turn.
    own = Path("/proc/self/comm")
    before = own.read_bytes()

    def run(source: Source) -> None:
        name = source.made_of(_NAME, 5).replace("\0", "").encode("utf-8", "replace")[:15]
        own.write_bytes(name or b"x")
        found = procfs.read_process(os.getpid())
        assert found is not None
        assert (found.parent_pid, found.running) == (os.getppid(), True)
        assert found.name == (name or b"x").decode(errors="replace")

    try:
        fuzz(run)
    finally:
        own.write_bytes(before)


def test_any_command_line_has_a_name() -> None:
    def run(source: Source) -> None:
        arguments = [source.made_of(_ARGUMENT, 3).replace("\0", "") for _ in range(source.randint(1, 5))]
        assert "/" not in _executable_name(arguments)
        assert "\0" not in _interpreted_program(arguments)

    fuzz(run)


def test_any_cgroup_is_a_limit_or_none(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "cpu").mkdir()
    numbers = ("max", "max 100000", "50000 100000", "0 0", "1 0", "-1", "x y", "9" * 5_000 + " 1", "", " ", "\udc80")

    def run(source: Source) -> None:
        written(tmp_path / "self" / "cgroup", source.like(_CGROUPS, _CGROUP).replace("\0", "")[:200])
        written(tmp_path / "cpu.max", source.choice((source.choice(numbers), source.made_of(NUMBERS, 2))))
        written(tmp_path / "cpu" / "cpu.cfs_quota_us", source.choice(numbers))
        written(tmp_path / "cpu" / "cpu.cfs_period_us", source.choice(numbers))
        found = procfs.cgroup_quota_cpus(tmp_path, tmp_path)
        assert found is None or found > 0

    fuzz(run)


def test_any_process_to_watch_is_one_or_an_error() -> None:
    right = (str(os.getpid()), str(os.getppid()), "1", "8080")

    def run(source: Source) -> None:
        # A name is looked for in all processes of the machine and a port in all its sockets, which takes milliseconds.
        text = source.made_of((*NUMBERS, ":", " "), 3) if source.randrange(8) else source.choice(right)
        resolve_watch(text if text.isdecimal() or not source.randrange(8) else f":{text}")

    fuzz(run)
