"""What processes and their children use, and how their CPU time is added up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.control.sampling import procfs
from fastload.control.sampling.processes import ProcessSampler
from fastload.control.sampling.usage_ledger import ProcessKey, UsageLedger, UsageReading
from fastload.model.resources import ProcessSample
from tests.control.sampling.puppet import DEADLINE_S, Puppet


def watch(*pids: int, children: bool = True) -> ProcessSampler:
    sampler = ProcessSampler(pids, children=children, label="target")
    sampler.prime()
    return sampler


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "not within the deadline"
        time.sleep(0.005)


def cpu_s(sample: ProcessSample, previous: ProcessSample | None = None) -> float:
    """CPU seconds in the interval: the same on a busy machine, where the per cent are not."""
    return sample.cpu_percent / 100 * (sample.t_s - (previous.t_s if previous else 0))


def written(sample: ProcessSample, previous: ProcessSample | None = None) -> float:
    """Bytes written in the interval."""
    assert sample.disk_written_bytes_per_s is not None
    return sample.disk_written_bytes_per_s * (sample.t_s - (previous.t_s if previous else 0))


def writes_are_counted(folder: Path) -> bool:
    """Whether the kernel counts what goes to files of *folder*: it does not in memory."""
    before = procfs.disk_bytes(os.getpid())
    (folder / "probe").write_bytes(b"x" * 100_000)
    after = procfs.disk_bytes(os.getpid())
    return before is not None and after is not None and after[1] > before[1]


def is_about(found_s: float, burnt_s: float) -> bool:
    """Whether that was found which was burnt: no less than the clock can tell, and a little more for all the rest that
    a process does, which takes longer on a busy machine."""
    return burnt_s - 0.02 <= found_s <= burnt_s + 0.08


class TestSampling:
    def test_cpu_time_is_exact_in_the_first_sample(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        puppet.do("burn(0.3)")
        sample = sampler.sample()
        assert is_about(cpu_s(sample), 0.3)
        assert sample.cpu_percent <= 101
        assert sample.label == "target"

    def test_an_idle_interval_reads_nothing(self, puppet: Puppet) -> None:
        puppet.do("burn(0.3)")
        sampler = watch(puppet.pid)
        puppet.do("time.sleep(0.05)")
        assert is_about(cpu_s(sampler.sample()), 0)

    def test_a_burning_process_keeps_one_core_busy_less_what_it_waited(self, puppet: Puppet) -> None:
        puppet.do("threading.Thread(target=spin, daemon=True).start()")
        sampler = watch(puppet.pid)
        first = sampler.sample()
        time.sleep(0.3)
        sample = sampler.sample()
        assert sample.t_s > first.t_s
        assert sample.cpu_percent / 100 + sample.run_delay_ratio == pytest.approx(1, abs=0.2)

    def test_bytes_written_to_a_disk_count_once_also_those_of_children_that_end(
        self, puppet: Puppet, tmp_path: Path
    ) -> None:
        if os.statvfs(tmp_path).f_flag & os.ST_RDONLY or not writes_are_counted(tmp_path):
            pytest.skip("the kernel does not count what is written here")
        puppet.do("def put(path, size): open(path, 'wb').write(b'x' * size)")
        puppet.do(f"put({str(tmp_path / 'before')!r}, 500_000)")
        sampler = watch(puppet.pid)
        puppet.do(f"put({str(tmp_path / 'own')!r}, 1_000_000)")
        first = sampler.sample()
        assert written(first) == pytest.approx(1_000_000, abs=50_000)
        # The child is sampled while it lives, and again as a part of its parent when that has waited for it.
        path = str(tmp_path / "child")
        puppet.do(f"child = fork(0, lambda: (put({path!r}, 2_000_000), signal.pause()))")
        wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").stat().st_size == 2_000_000)
        second = sampler.sample()
        puppet.do("end(child)")
        third = sampler.sample()
        fourth = sampler.sample()
        total = written(second, first) + written(third, second) + written(fourth, third)
        assert total == pytest.approx(2_000_000, abs=100_000)
        assert first.disk_read_bytes_per_s is not None

    def test_bytes_of_disks_that_this_user_may_not_see_are_not_known(self, puppet: Puppet) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root may become another user")
        sampler = watch(puppet.pid)
        os.seteuid(65534)
        try:
            sample = sampler.sample()
        finally:
            os.seteuid(0)
        assert sample.alive
        assert (sample.disk_read_bytes_per_s, sample.disk_written_bytes_per_s) == (None, None)

    def test_memory_threads_and_descriptors(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        before = sampler.sample()
        puppet.do("block = b'x' * 50_000_000")
        puppet.do("held = [os.open('/dev/null', os.O_RDONLY) for _ in range(20)]")
        puppet.do("threading.Thread(target=threading.Event().wait, daemon=True).start()")
        after = sampler.sample()
        assert after.rss_bytes - before.rss_bytes == pytest.approx(50_000_000, rel=0.2)
        assert after.fds - before.fds == 20
        assert (before.threads, after.threads) == (1, 2)
        assert (after.processes, after.alive) == (1, True)

    def test_context_switches_of_all_threads_count(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        work = "lambda: [time.sleep(0.0005) for _ in range(100)]"
        puppet.do(f"workers = [threading.Thread(target={work}) for _ in range(2)]")
        puppet.do("[worker.start() for worker in workers]")
        wait_until(lambda: len(procfs.thread_ids(puppet.pid)) == 1)
        puppet.do("last = threading.Thread(target=threading.Event().wait, daemon=True); last.start()")
        puppet.do("[time.sleep(0.0005) for _ in range(100)]")
        sample = sampler.sample()
        assert sample.context_switches_per_s * sample.t_s >= 100

    def test_two_processes_on_one_cpu_wait_for_each_other(self, puppets: Callable[..., Puppet]) -> None:
        one, two = puppets(), puppets()
        cpu = min(os.sched_getaffinity(0))
        for puppet in (one, two):
            os.sched_setaffinity(puppet.pid, {cpu})
            puppet.do("threading.Thread(target=spin, daemon=True).start()")
        sampler = watch(one.pid)
        time.sleep(0.4)
        sample = sampler.sample()
        assert sample.run_delay_ratio > 0.25
        assert sample.cpu_percent < 75

    def test_several_processes_are_one_sample(self, puppets: Callable[..., Puppet]) -> None:
        one, two = puppets(), puppets()
        sampler = watch(one.pid, two.pid, children=False)
        one.do("burn(0.2)")
        two.do("burn(0.1)")
        sample = sampler.sample()
        assert is_about(cpu_s(sample), 0.3)
        assert sample.processes == 2

    def test_a_process_named_twice_counts_once(self, puppet: Puppet) -> None:
        child = int(puppet.do("result = fork_ready(0)"))
        assert watch(child, puppet.pid, puppet.pid).sample().processes == 2

    def test_sampling_needs_prime(self) -> None:
        with pytest.raises(RuntimeError, match="prime"):
            ProcessSampler([os.getpid()], children=False, label="self").sample()

    def test_no_thread_is_started(self) -> None:
        before = threading.active_count()
        watch(os.getpid()).sample()
        assert threading.active_count() == before


class TestChildren:
    def test_a_child_born_in_the_interval_counts_from_its_birth(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        puppet.do("fork_ready(0.2)")
        first = sampler.sample()
        assert is_about(cpu_s(first), 0.2)
        assert first.processes == 2
        assert is_about(cpu_s(sampler.sample(), first), 0)

    def test_context_switches_of_a_new_child_count_from_its_birth(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        puppet.do("reader, writer = os.pipe()")
        puppet.do("nap = lambda: [time.sleep(0.0005) for _ in range(100)]")
        puppet.do("fork(0, lambda: (nap(), os.write(writer, b'.'), signal.pause()))")
        puppet.do("os.read(reader, 1)")
        sample = sampler.sample()
        assert sample.context_switches_per_s * sample.t_s >= 100

    def test_children_that_were_there_before_do_not_spike(self, puppet: Puppet) -> None:
        puppet.do("fork_ready(0.3)")
        sample = watch(puppet.pid).sample()
        assert is_about(cpu_s(sample), 0)
        assert sample.processes == 2

    def test_grandchildren_count(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        puppet.do("fork(then=lambda: (fork_ready(0.2), signal.pause()))")
        wait_until(lambda: sampler.sample().processes == 3)

    def test_children_can_be_left_out(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid, children=False)
        puppet.do("end(fork_ready(0.2))")
        sample = sampler.sample()
        assert is_about(cpu_s(sample), 0)
        assert sample.processes == 1

    def test_a_child_that_was_born_and_ended_in_the_interval_counts(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        puppet.do("end(fork_ready(0.2))")
        sample = sampler.sample()
        assert is_about(cpu_s(sample), 0.2)
        assert sample.processes == 1

    def test_the_last_cpu_time_of_a_child_that_ended_is_not_lost(self, puppet: Puppet) -> None:
        puppet.do("reader, writer = os.pipe()")
        puppet.do("child = fork(0.3, lambda: (os.read(reader, 1), burn(0.2)))")
        child = int(puppet.do("result = child"))
        wait_until(lambda: time.clock_gettime(~child << 3 | 2) > 0.3)
        sampler = watch(puppet.pid)
        puppet.do("os.write(writer, b'.'); os.waitpid(child, 0)")
        sample = sampler.sample()
        assert is_about(cpu_s(sample), 0.2)
        assert sample.processes == 1

    def test_a_long_lived_child_that_ends_does_not_spike(self, puppet: Puppet) -> None:
        child = puppet.do("result = fork_ready(0.5)")
        sampler = watch(puppet.pid)
        puppet.do(f"end({child})")
        first = sampler.sample()
        assert is_about(cpu_s(first), 0)
        assert is_about(cpu_s(sampler.sample(), first), 0)

    def test_children_that_nobody_waits_for_do_not_turn_it_negative(self, puppet: Puppet) -> None:
        puppet.do("signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
        child = int(puppet.do("result = fork_ready(0.3)"))
        sampler = watch(puppet.pid)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: procfs.read_process(child) is None)
        first = sampler.sample()
        puppet.do("burn(0.1)")
        second = sampler.sample()
        assert is_about(cpu_s(first), 0)
        assert is_about(cpu_s(second, first), 0.1)

    def test_a_child_stays_watched_when_its_parent_ends(self, puppet: Puppet) -> None:
        puppet.do("reader, writer = os.pipe()")
        puppet.do("child = fork(0, lambda: (os.write(writer, b'%d\\n' % fork_ready(0)), signal.pause()))")
        puppet.do("os.read(reader, 20)")
        sampler = watch(puppet.pid)
        assert sampler.sample().processes == 3
        puppet.do("end(child)")
        assert sampler.sample().processes == 2


class TestDeath:
    def test_a_zombie_is_not_alive_and_its_cpu_time_counts(self, puppet: Puppet) -> None:
        puppet.do("reader, writer = os.pipe()")
        child = int(puppet.do("result = fork(0, lambda: (os.read(reader, 1), burn(0.1)))"))
        sampler = watch(child)
        puppet.do("os.write(writer, b'.')")
        wait_until(lambda: (stat := procfs.read_process(child)) is not None and not stat.running)
        sample = sampler.sample()
        assert is_about(cpu_s(sample), 0.1)
        assert (sample.alive, sample.processes, sample.threads, sample.rss_bytes, sample.fds) == (False, 0, 0, 0, 0)

    def test_a_process_that_is_gone_reads_zero(self, puppet: Puppet) -> None:
        sampler = watch(puppet.pid)
        puppet.close()
        sample = sampler.sample()
        assert (sample.alive, sample.processes, sample.cpu_percent) == (False, 0, 0.0)
        assert not sampler.sample().alive

    def test_a_pid_that_never_was_reads_zero(self) -> None:
        unused = int(Path("/proc/sys/kernel/pid_max").read_text())
        assert not watch(unused).sample().alive

    def test_one_of_two_dies(self, puppets: Callable[..., Puppet]) -> None:
        one, two = puppets(), puppets()
        sampler = watch(one.pid, two.pid)
        one.close()
        two.do("burn(0.1)")
        sample = sampler.sample()
        assert (sample.alive, sample.processes) == (True, 1)
        assert is_about(cpu_s(sample), 0.1)

    def test_a_name_with_parentheses_and_spaces_is_read(self, puppet: Puppet) -> None:
        puppet.do("open('/proc/self/comm', 'w').write('a) S 1 (b')")
        stat = procfs.read_process(puppet.pid)
        assert stat is not None
        assert (stat.name, stat.parent_pid) == ("a) S 1 (b", os.getpid())

    def test_descriptors_that_may_not_be_inspected_count_zero(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def deny(path: str) -> os.stat_result:
            raise PermissionError(path)

        sampler = watch(os.getpid())
        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", deny)
            sample = sampler.sample()
        assert (sample.fds, sample.alive) == (0, True)


def reading(own: int, reaped: int = 0, parent_pid: int = 1) -> UsageReading:
    return UsageReading(parent_pid, own, reaped)


PARENT: ProcessKey = (100, 10)
CHILD: ProcessKey = (200, 20)


class TestLedger:
    def test_time_that_arrives_an_interval_after_the_child_is_gone_is_not_a_spike(self) -> None:
        ledger = UsageLedger()
        ledger.advance({PARENT: reading(0), CHILD: reading(900, parent_pid=10)}, born_since_ticks=1000)
        assert ledger.advance({PARENT: reading(5)}, born_since_ticks=1000) == 5
        assert ledger.advance({PARENT: reading(5, reaped=910)}, born_since_ticks=1000) == 10

    def test_a_debt_is_forgotten_after_that(self) -> None:
        ledger = UsageLedger()
        ledger.advance({PARENT: reading(0), CHILD: reading(900, parent_pid=10)}, born_since_ticks=1000)
        for _ in range(2):
            ledger.advance({PARENT: reading(0)}, born_since_ticks=1000)
        assert ledger.advance({PARENT: reading(0, reaped=300)}, born_since_ticks=1000) == 300

    def test_an_old_process_that_joins_counts_from_then(self) -> None:
        ledger = UsageLedger()
        assert ledger.advance({CHILD: reading(900)}, born_since_ticks=201) == 0
        assert ledger.advance({CHILD: reading(950)}, born_since_ticks=201) == 50

    def test_a_reused_pid_is_another_process(self) -> None:
        ledger = UsageLedger()
        ledger.advance({(200, 20): reading(900)}, born_since_ticks=0)
        assert ledger.advance({(300, 20): reading(7)}, born_since_ticks=250) == 7

    @given(st.data())
    def test_a_tree_whose_parents_wait_loses_nothing(self, data: st.DataObject) -> None:
        """A model tree burns, forks and ends at random: what the ledger reports is all that was burnt."""
        root = 1
        own, reaped, parents = {root: 0}, {root: 0}, {root: 0}
        ledger = UsageLedger()
        burnt = counted = 0
        born, next_pid = {root: 1}, 2

        def end(pid: int) -> None:
            for child in [child for child, parent in parents.items() if parent == pid]:
                end(child)
            reaped[parents[pid]] += own.pop(pid) + reaped.pop(pid)
            del parents[pid]

        for now in range(1, data.draw(st.integers(1, 8)) + 1):
            for _ in range(data.draw(st.integers(0, 6))):
                pid = data.draw(st.sampled_from(sorted(parents)))
                action = data.draw(st.sampled_from(["burn", "fork", "end"]))
                if action == "burn":
                    amount = data.draw(st.integers(1, 1000))
                    own[pid] += amount
                    burnt += amount
                elif action == "fork":
                    own[next_pid], reaped[next_pid], parents[next_pid], born[next_pid] = 0, 0, pid, now
                    next_pid += 1
                elif pid != root:
                    end(pid)
            tree = {(born[pid], pid): UsageReading(parents[pid], own[pid], reaped[pid]) for pid in sorted(parents)}
            counted += ledger.advance(tree, born_since_ticks=now)
        assert counted == burnt
