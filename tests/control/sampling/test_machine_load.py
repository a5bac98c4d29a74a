"""What a machine waits for: pressure, disks, swapping, the run queue, accept queues and the CPU quotas of others."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from fastload.control.sampling.host import HostSampler, ThrottleSampler
from fastload.control.sampling.machine_load import (
    parse_disks,
    parse_pressure,
    parse_run_queue,
    parse_swapped,
    read_machine_load,
)
from fastload.control.sampling.sock_diag import AcceptQueue, accept_queues
from tests.conftest import free_port, wait_until

DISKS = (
    b"   8       0 sda 10 0 80 5 20 0 160 9 1 700 1400 0 0 0 0\n"
    b"   8       1 sda1 10 0 80 5 20 0 160 9 1 700 1400 0 0 0 0\n"
    b" 254       0 vda 1 0 8 1 2 0 16 1 0 30 40\n"
)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        (b"some avg10=1.00 avg60=0.50 avg300=0.10 total=1234\nfull avg10=0.00 total=9\n", 1234),
        (b"full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n", 0),
        (b"some avg10=1.00\n", 0),
        (b"", 0),
    ],
)
def test_pressure_is_the_time_in_which_some_task_waited(text: bytes, total: int) -> None:
    assert parse_pressure(text) == total


def test_disks_are_whole_ones() -> None:
    assert parse_disks(DISKS, {"sda", "vda"}) == {"sda": (700, 1400), "vda": (30, 40)}
    assert parse_disks(b"", {"sda"}) == parse_disks(b"8 0 sda 1\n", {"sda"}) == {}


def test_swapping_and_the_run_queue() -> None:
    assert parse_swapped(b"pgpgin 5\npswpin 3\npswpout 4\n") == 7
    assert parse_swapped(b"pgpgin 5\n") == 0
    assert parse_run_queue(b"0.50 0.40 0.30 3/456 789\n") == 2
    assert parse_run_queue(b"") == parse_run_queue(b"0.5 0.4 0.3\n") == 0


def test_this_machine_has_a_load() -> None:
    load = read_machine_load()
    assert load.run_queue >= 0
    assert set(load.pressure_us) == {"cpu", "memory", "io"}
    assert not [name for name in load.disks if name.startswith(("loop", "ram"))]


def test_what_is_written_to_a_disk_is_seen_there(tmp_path: Path) -> None:
    if not read_machine_load().disks:
        pytest.skip("no disk is seen here")
    sampler = HostSampler()
    sampler.prime()
    end_s = time.monotonic() + 0.5
    with (tmp_path / "written").open("wb") as file:
        while time.monotonic() < end_s:
            file.write(os.urandom(100_000))
            file.flush()
            os.fsync(file.fileno())
    sample = sampler.sample()
    if not sample.busiest_disk:
        pytest.skip("the files of tests are on no disk here")
    assert 0 < sample.disk_busy_percent <= 100
    assert sample.disk_queue > 0
    assert 0 <= sample.io_pressure_percent <= 100


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_accept_queue_of_a_port_is_that_of_the_kernel(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family, backlog=5) as server:
        port = server.getsockname()[1]
        clients = [socket.create_connection((host, port)) for _ in range(3)]
        wait_until(lambda: accept_queues(port) == [AcceptQueue(3, 5)])
        server.accept()[0].close()
        assert accept_queues(port) == [AcceptQueue(2, 5)]
        for client in clients:
            client.close()
    assert accept_queues(port) == []
    assert accept_queues(free_port()) == []


def test_a_machine_with_many_listening_ports_tells_of_all_of_them() -> None:
    """The answer of the kernel has several parts then."""
    servers = [socket.create_server(("127.0.0.1", 0), backlog=index % 50 + 1) for index in range(600)]
    try:
        found = [accept_queues(server.getsockname()[1]) for server in servers[::60]]
        assert found == [[AcceptQueue(0, index % 50 + 1)] for index in range(0, 600, 60)]
    finally:
        for server in servers:
            server.close()


class TestThrottling:
    @pytest.fixture
    def group(self, tmp_path: Path) -> Path:
        """A cgroup in which the processes 7 and 8 are."""
        for pid in (7, 8):
            (tmp_path / "proc" / str(pid)).mkdir(parents=True)
            (tmp_path / "proc" / str(pid) / "cgroup").write_text("4:memory:/x\n1:cpu,cpuacct:/pod/one\n0::/\n")
        group = tmp_path / "cgroup" / "cpu" / "pod" / "one"
        group.mkdir(parents=True)
        return group

    def count(self, group: Path, periods: int, throttled: int) -> None:
        (group / "cpu.stat").write_text(f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time 12\n")

    def test_the_share_is_that_of_the_periods_since_the_last_call(self, tmp_path: Path, group: Path) -> None:
        sampler = ThrottleSampler(tmp_path / "proc", tmp_path / "cgroup")
        self.count(group, 100, 90)
        assert sampler.sample([7, 8]) == 0
        self.count(group, 110, 94)
        assert sampler.sample([7, 8]) == pytest.approx(0.4)
        assert sampler.sample([7, 8]) == 0

    def test_of_several_cgroups_the_tightest_counts(self, tmp_path: Path, group: Path) -> None:
        sampler = ThrottleSampler(tmp_path / "proc", tmp_path / "cgroup")
        self.count(group, 10, 0)
        self.count(group.parent, 10, 0)
        sampler.sample([7])
        self.count(group, 20, 2)
        self.count(group.parent, 20, 9)
        assert sampler.sample([7]) == pytest.approx(0.9)

    @pytest.mark.parametrize("text", ["", "nr_periods\n", "nr_periods x\nnr_throttled 3\n", "nr_periods 0\n"])
    def test_without_figures_nothing_was_throttled(self, tmp_path: Path, group: Path, text: str) -> None:
        sampler = ThrottleSampler(tmp_path / "proc", tmp_path / "cgroup")
        (group / "cpu.stat").write_text(text)
        assert sampler.sample([7]) == sampler.sample([7, 9]) == 0
