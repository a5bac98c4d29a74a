"""Limits of a target that the kernel keeps: CPU quota, accept queue, descriptors, disk."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from fastload.model.errors import TargetError
from fastload.targets import running
from fastload.targets.limits.cpu_quota import CpuQuota
from tests.conftest import REPO, wait_until
from tests.targets.events import Client
from tests.targets.test_limits import limited, load

HOLDER = """
import time
from fastload.targets import PlainOptions, running
with running("plain", PlainOptions(limits=("quota=0.5",)), workers=2) as target:
    print(*target.pids, flush=True)
    time.sleep(60)
"""
_CACHESTAT = 451
ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def group_of(pid: int) -> Path:
    """The cgroup of *pid* in which its CPU is limited."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "fastload-target" in path:
            return Path("/sys/fs/cgroup", controllers, path.lstrip("/"))
    raise AssertionError(f"{pid} is in no cgroup of a target")


@pytest.fixture
def may_limit_cpu() -> None:
    """Skip a test where no cgroup can be made."""
    try:
        CpuQuota.create(0.5).remove()
    except TargetError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("may_limit_cpu")
def test_a_quota_throttles_all_processes_together() -> None:
    with running("plain", limited("quota=0.2", "one-thread=10ms"), workers=2) as target:
        groups = {group_of(pid) for pid in target.pids}
        made = load(target, clients=4, each=20)
        stat = dict(line.split() for line in (groups.pop() / "cpu.stat").read_text().splitlines())
    assert not groups
    assert int(stat["nr_throttled"]) > 0
    # Each period begins with what the quota allows: a tenth of 0.2 s.
    assert made.seconds >= (made.cpu_s - 0.05) / 0.2


@pytest.mark.usefixtures("may_limit_cpu")
def test_the_cgroup_is_removed_at_the_end() -> None:
    with running("plain", limited("quota=0.5")) as target:
        group = group_of(target.pids[0])
        assert group.exists()
    assert not group.exists()


@pytest.mark.usefixtures("may_limit_cpu")
def test_the_cgroup_is_removed_after_its_starter_was_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout
        pids = [int(word) for word in holder.stdout.readline().split()]
        group = group_of(pids[0])
        holder.kill()
    wait_until(lambda: not group.exists())
    wait_until(lambda: not any(map(psutil.pid_exists, pids)))


def test_a_quota_that_cannot_be_made_is_said_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="limit quota: there is no CPU controller") as caught:
        CpuQuota.create(0.5, tmp_path)
    assert "needs root" in caught.value.hint


def test_a_quota_in_version_2_of_cgroups(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory")
    (tmp_path / "cgroup.subtree_control").write_text("memory")
    with pytest.raises(TargetError, match=r"no group of .* hands out CPU time"):
        CpuQuota.create(0.5, tmp_path)
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory")
    quota = CpuQuota.create(0.5, tmp_path)
    assert quota.path.parent == tmp_path
    assert (quota.path / "cpu.max").read_text() == "50000 100000"


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that were begun, accepted or not."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            made.append(one)
        yield made


def waiting(port: int) -> int:
    """Connections in the accept queue of *port*."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            return int(fields[4].rpartition(":")[2], 16)
    raise AssertionError(f"nobody listens on {port}")


def overflows() -> int:
    """Connections of this machine that found an accept queue full."""
    names, values = (line.split() for line in Path("/proc/net/netstat").read_text().splitlines()[:2])
    return int(values[names.index("ListenOverflows")])


def test_an_accept_queue_is_full_while_accepts_are_slow() -> None:
    before = overflows()
    # No accept comes to an end in the time of this test, after those of the start.
    with running("plain", limited("accept-queue=3:1s")) as target:
        with Client(target.port) as accepted:
            assert accepted.get("/").status == 200
            with connections(target.port, 12):
                # Linux holds one more than it was told.
                wait_until(lambda: waiting(target.port) == 4)
                wait_until(lambda: overflows() > before)
                # Who is accepted is served at once.
                assert [accepted.get("/").status for _ in range(5)] == [200] * 5
        wait_until(lambda: waiting(target.port) == 0)
        with Client(target.port) as late:
            assert late.get("/").status == 200


def test_each_connection_costs_a_descriptor_until_none_is_left() -> None:
    with running("plain", limited("fds=64")) as target:
        process = psutil.Process(target.pids[0])
        with connections(target.port, 80) as made:
            replies = []
            for one in made:
                one.settimeout(20)
                with contextlib.suppress(OSError):
                    one.sendall(ASK)
                    replies.append(one.recv(12))
            assert process.num_fds() == 64
        served = replies.count(b"HTTP/1.1 200")
        assert 20 <= served < 64
        # The server goes on when connections are closed.
        wait_until(lambda: process.num_fds() < 64)
        with Client(target.port) as client:
            assert client.get("/").status == 200


class PageCache(ctypes.Structure):
    """What the kernel has of a file in memory, in pages: `struct cachestat`."""

    _fields_: ClassVar = [(name, ctypes.c_uint64) for name in ("cache", "dirty", "writeback", "evicted", "recent")]


def page_cache_of(path: Path) -> PageCache:
    """What of *path* is in memory; a test without a kernel that tells (6.5) is skipped."""
    found, whole_file = PageCache(), (ctypes.c_uint64 * 2)(0, 0)
    with path.open("rb") as file:
        if ctypes.CDLL(None).syscall(_CACHESTAT, file.fileno(), whole_file, ctypes.byref(found), 0):
            pytest.skip("this kernel has no cachestat")
    return found


def test_each_request_syncs_a_file(temporary: Path) -> None:
    (temporary / "control").write_bytes(bytes(81_920))
    if not page_cache_of(temporary / "control").dirty:
        pytest.skip("what is written here is never dirty")
    with running("plain", limited("fsync=8KiB")) as target:
        made = load(target, clients=4, each=10)
        (file,) = temporary.glob("*/limit-fsync-0")
        assert file.stat().st_size == 40 * 8192
        found = page_cache_of(file)
    assert (found.cache, found.dirty, found.writeback) == (80, 0, 0)
    assert made.statuses == {200: 40}


def test_a_sync_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Path("/dev/shm")
    monkeypatch.setattr("tempfile.tempdir", str(memory))
    left = {*memory.iterdir()}
    with (
        pytest.raises(TargetError, match="limit fsync: /dev/shm is in memory") as caught,
        running("plain", limited("fsync")),
    ):
        pass
    assert "TMPDIR" in caught.value.hint
    assert {*memory.iterdir()} == left
