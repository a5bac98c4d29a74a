"""Threads of a target: the busiest one, those that are blocked, and that none is lost where some take turns."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fastload.control.sampling import procfs, threads
from fastload.control.sampling.processes import ProcessSampler
from tests.conftest import wait_until
from tests.control.sampling.puppet import Puppet

SPIN = "threading.Thread(target=spin, daemon=True).start()"
IDLE = "[threading.Thread(target=threading.Event().wait, daemon=True).start() for _ in range({})]"


def watch(*pids: int) -> ProcessSampler:
    sampler = ProcessSampler(pids, children=True, label="target")
    sampler.prime()
    return sampler


def test_one_busy_thread_is_told_from_its_idle_neighbours(puppet: Puppet) -> None:
    puppet.do(IDLE.format(5))
    puppet.do(SPIN)
    sampler = watch(puppet.pid)
    time.sleep(0.5)
    sample = sampler.sample()
    assert sample.busiest_thread_percent == pytest.approx(sample.cpu_percent, rel=0.1)
    assert sample.busiest_process_percent == pytest.approx(sample.cpu_percent, rel=0.1)
    assert sample.busiest_process.endswith(f"(PID {puppet.pid})")
    assert sample.busiest_thread.endswith(f" of {sample.busiest_process}")
    assert sample.full_threads == (sample.busiest_thread_percent >= 90)


def test_threads_that_share_a_lock_share_a_core_and_none_is_full(puppet: Puppet) -> None:
    for _ in range(3):
        puppet.do(SPIN)
    sampler = watch(puppet.pid)
    time.sleep(0.8)
    sample = sampler.sample()
    assert sample.busiest_thread_percent < 0.75 * sample.busiest_process_percent
    assert sample.full_threads == 0


def test_the_busiest_process_of_several_is_named(puppets: Callable[..., Puppet]) -> None:
    busy, calm = puppets(), puppets()
    sampler = watch(calm.pid, busy.pid)
    busy.do("burn(0.3)")
    sample = sampler.sample()
    assert sample.busiest_process.endswith(f"(PID {busy.pid})")
    assert sample.busiest_thread == sample.busiest_process
    assert sampler.sample().busiest_process_percent <= 100


def test_what_a_thread_used_before_does_not_count(puppet: Puppet) -> None:
    puppet.do("burn(0.5)")
    sampler = watch(puppet.pid)
    puppet.do("time.sleep(0.3)")
    assert sampler.sample().busiest_thread_percent < 30


def test_a_thread_that_no_signal_ends_is_blocked(puppet: Puppet, tmp_path: Path) -> None:
    """A process that starts another one waits like for a disk until that runs: here it waits for a pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sampler = watch(puppet.pid)
    assert sampler.sample().blocked_threads == 0
    actions = f"[(os.POSIX_SPAWN_OPEN, 0, {str(pipe)!r}, os.O_RDONLY, 0)]"
    assert puppet.process.stdin
    puppet.process.stdin.write(f"os.waitpid(os.posix_spawn('/bin/true', ['true'], {{}}, file_actions={actions}), 0)\n")
    puppet.process.stdin.flush()
    try:
        wait_until(lambda: sampler.sample().blocked_threads == 1)
        # It uses no CPU, so nothing of it is read any more: it is where it was.
        assert sampler.sample().blocked_threads == 1
    finally:
        pipe.write_bytes(b"")
    wait_until(lambda: sampler.sample().blocked_threads == 0)


def test_threads_that_take_turns_lose_nothing(puppet: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST_THREADS", 2)
    puppet.do("napping = threading.Event()")
    nap = "lambda: [napping.wait(), [time.sleep(0.0005) for _ in range(50)], threading.Event().wait()]"
    puppet.do(f"[threading.Thread(target={nap}, daemon=True).start() for _ in range(6)]")
    sampler = watch(puppet.pid)
    puppet.do("napping.set(); time.sleep(1)")
    switches, before_s = 0.0, 0.0
    for _ in range(8):
        puppet.do("burn(0.01)")
        sample = sampler.sample()
        switches += sample.context_switches_per_s * (sample.t_s - before_s)
        before_s = sample.t_s
    # Two of them have 100; each nap is one, but for a few that another thread made needless.
    assert switches >= 5 * 50


def test_descriptors_beside_their_limit(puppets: Callable[..., Puppet]) -> None:
    full, empty = puppets(), puppets()
    resource.prlimit(full.pid, resource.RLIMIT_NOFILE, (64, 64))
    full.do("held = [os.open('/dev/null', os.O_RDONLY) for _ in range(40)]")
    sample = watch(empty.pid, full.pid).sample()
    assert sample.fd_limit == 64
    assert 40 < sample.fds_of_fullest < sample.fds


def test_a_thread_is_read_no_more_often_than_it_can_have_changed(
    puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppet.do(IDLE.format(20))
    sampler = watch(puppet.pid)
    read: list[str] = []
    schedule = procfs.thread_schedule

    def noted(pid: int, thread: str) -> tuple[int, int, int]:
        read.append(thread)
        return schedule(pid, thread)

    def reads() -> int:
        read.clear()
        sampler.sample()
        return len(read)

    monkeypatch.setattr(procfs, "thread_schedule", noted)
    # Until it waits for the next line it uses a little.
    wait_until(lambda: reads() == 0)
    assert reads() == 0
    puppet.do("burn(0.01)")
    assert reads() == 21
