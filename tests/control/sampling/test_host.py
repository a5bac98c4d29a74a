from __future__ import annotations

import json
import os
import platform
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from fastload.control.sampling.host import HostSampler, describe_host, usable_cpus
from fastload.control.sampling.procfs import cgroup_quota_cpus, tcp_counters

DEADLINE_S = 30.0


@pytest.fixture
def sampler() -> HostSampler:
    sampler = HostSampler()
    sampler.prime()
    return sampler


def burn(cpu_s: float) -> None:
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        pass


def test_a_burning_process_shows_in_the_first_sample_and_on_a_cpu(sampler: HostSampler) -> None:
    cpu = min(os.sched_getaffinity(0))
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        burn(0.3)
    finally:
        os.sched_setaffinity(0, allowed)
    sample = sampler.sample()
    assert len(sample.cpus_percent) == psutil.cpu_count()
    assert max(sample.cpus_percent) > 70
    assert 0 < sample.cpu_percent <= 100
    assert sample.t_s >= 0.3
    assert sample.context_switches_per_s > 0


def test_memory_and_load_are_those_of_the_machine(sampler: HostSampler) -> None:
    sample = sampler.sample()
    assert sample.memory_total_bytes == psutil.virtual_memory().total
    assert 0 < sample.memory_used_bytes < sample.memory_total_bytes
    assert sample.load_1m >= 0


def test_loopback_traffic_counts_in_both_directions_and_on_its_own(sampler: HostSampler) -> None:
    sent_bytes = 4_000_000
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        with peer:
            writer = threading.Thread(target=client.sendall, args=(b"x" * sent_bytes,))
            writer.start()
            received = 0
            while received < sent_bytes:
                received += len(peer.recv(1 << 20))
            writer.join(DEADLINE_S)
    sample = sampler.sample()
    assert sample.loopback_bytes_per_s * sample.t_s >= sent_bytes
    assert sample.net_sent_bytes_per_s >= sample.loopback_bytes_per_s
    assert sample.net_received_bytes_per_s * sample.t_s >= sent_bytes


def test_a_full_accept_queue_shows_as_listen_overflows(sampler: HostSampler) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        clients = [socket.socket() for _ in range(8)]
        try:
            for client in clients:
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            sample = sampler.sample()
        finally:
            for client in clients:
                client.close()
    assert sample.listen_overflows > 0
    assert sample.listen_drops >= sample.listen_overflows


def test_each_sample_covers_the_time_since_the_last(sampler: HostSampler) -> None:
    burn(0.05)
    first, second = sampler.sample(), sampler.sample()
    assert second.t_s > first.t_s >= 0.05
    assert second.listen_overflows == 0


def test_sampling_needs_prime() -> None:
    with pytest.raises(RuntimeError, match="prime"):
        HostSampler().sample()


def test_a_sampler_starts_no_thread(sampler: HostSampler) -> None:
    before = threading.active_count()
    sampler.sample()
    assert threading.active_count() == before


def test_tcp_counters_are_there() -> None:
    assert all(count >= 0 for count in tcp_counters())


def test_the_description_is_json_and_does_not_name_the_machine() -> None:
    description = describe_host()
    assert json.loads(json.dumps(description)) == description
    assert description["usable_cpus"] == usable_cpus()
    assert description["cpus"] == psutil.cpu_count()
    assert description["python_version"] == platform.python_version()
    assert description["cpu_model"]
    assert platform.node() not in description.values()


class FakeCgroups:
    """A /proc/self/cgroup and a cgroup mount, written file by file."""

    def __init__(self, root: Path) -> None:
        self.proc, self.mount = root / "proc", root / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.mount.mkdir()

    def belongs_to(self, *lines: str) -> None:
        (self.proc / "self" / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def write(self, folder: str, **files: str) -> None:
        path = self.mount / folder
        path.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (path / name.replace("__", ".")).write_text(f"{text}\n")

    def quota(self) -> float | None:
        return cgroup_quota_cpus(self.proc, self.mount)

    def usable(self) -> int:
        return usable_cpus(self.proc, self.mount)


@pytest.fixture
def cgroups(tmp_path: Path) -> FakeCgroups:
    return FakeCgroups(tmp_path)


def test_without_cgroups_the_affinity_counts(cgroups: FakeCgroups) -> None:
    assert cgroups.quota() is None
    assert cgroups.usable() == len(os.sched_getaffinity(0))


def test_the_affinity_limits(cgroups: FakeCgroups) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cgroups.usable() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("quota_us", "cpus"), [("20000", 1), ("100000", 1), ("150000", 1)])
def test_a_quota_is_rounded_down_but_not_to_zero(cgroups: FakeCgroups, quota_us: str, cpus: int) -> None:
    cgroups.belongs_to("0::/job")
    cgroups.write("job", cpu__max=f"{quota_us} 100000")
    assert cgroups.usable() == cpus


def test_a_quota_above_the_affinity_does_not_raise_it(cgroups: FakeCgroups) -> None:
    cgroups.belongs_to("0::/job")
    cgroups.write("job", cpu__max="100000000 100000")
    assert cgroups.quota() == 1000
    assert cgroups.usable() == len(os.sched_getaffinity(0))


def test_the_tightest_quota_on_the_way_up_wins(cgroups: FakeCgroups) -> None:
    cgroups.belongs_to("0::/slice/pod/container")
    cgroups.write("slice", cpu__max="800000 100000")
    cgroups.write("slice/pod", cpu__max="250000 100000")
    cgroups.write("slice/pod/container", cpu__max="max 100000")
    cgroups.write("slice/other", cpu__max="10000 100000")
    assert cgroups.quota() == 2.5


def test_a_path_that_is_not_mounted_falls_back_to_the_top(cgroups: FakeCgroups) -> None:
    cgroups.belongs_to("0::/../host/docker/abc")
    cgroups.write("", cpu__max="300000 100000")
    assert cgroups.quota() == 3


def test_version_1_quota_with_its_joint_controllers(cgroups: FakeCgroups) -> None:
    cgroups.belongs_to("5:memory:/job", "3:cpu,cpuacct:/job", "0::/")
    cgroups.write("cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    cgroups.write("cpu,cpuacct/job", cpu__cfs_quota_us="150000", cpu__cfs_period_us="50000")
    assert cgroups.quota() == 3


def test_version_1_without_a_limit(cgroups: FakeCgroups) -> None:
    cgroups.belongs_to("3:cpuacct:/job", "1:cpu:/")
    cgroups.write("cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cgroups.quota() is None


def test_version_2_beside_version_1(cgroups: FakeCgroups) -> None:
    cgroups.belongs_to("1:cpu:/", "0::/job")
    cgroups.write("unified/job", cpu__max="200000 100000")
    assert cgroups.quota() == 2
