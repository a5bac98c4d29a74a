"""Resource evidence: what is made of the samples of the target and the machine, and which growth is one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fastload.model.judging.resource_evidence import MachineUse, TargetUse, machine_use, memory_growth, target_use
from fastload.model.resources import ProcessSample
from tests.model.test_resources import HOST, PROCESS

MB = 1_000_000


def grown(bytes_at: Callable[[int], float], seconds: int = 30, *, processes: int = 1) -> list[tuple[float, int, int]]:
    return [(float(t_s), int(bytes_at(t_s)), processes) for t_s in range(1, seconds + 1)]


def noise(share: float, seed: int = 1) -> Callable[[int], float]:
    random_numbers = random.Random(seed)
    return lambda _: 100 * MB * (1 + share * random_numbers.uniform(-1, 1))


@pytest.mark.parametrize(
    ("samples", "per_s"),
    [
        (grown(lambda t: 100 * MB + 5 * MB * t), 5 * MB),
        (grown(lambda t: 100 * MB + 5 * MB * t + noise(0.02, t)(t)), 5 * MB),
        # 16 MB in the 20 s that count, and a tenth of what was there.
        (grown(lambda t: 50 * MB + 0.80 * MB * t), 0.80 * MB),
        (grown(lambda t: 50 * MB + 0.79 * MB * t), None),
        (grown(lambda t: 190 * MB + 1.01 * MB * t), 1.01 * MB),
        (grown(lambda t: 190 * MB + 0.99 * MB * t), None),
        # Noise is no growth, nor what levels off, nor what is freed again.
        (grown(noise(0.5)), None),
        (grown(lambda t: 100 * MB + min(t, 18) * 5 * MB), None),
        (grown(lambda t: 100 * MB + (t % 10) * 8 * MB), None),
        (grown(lambda t: 300 * MB - 5 * MB * t), None),
        # What starts up grows.
        (grown(lambda t: 20 * MB * min(t, 9)), None),
        # Eight samples are enough, seven are not.
        (grown(lambda t: 50 * MB + 9 * MB * t, 11), 9 * MB),
        (grown(lambda t: 50 * MB + 9 * MB * t, 10), None),
        ([], None),
    ],
)
def test_growth_is_steady_and_large(samples: list[tuple[float, int, int]], per_s: float | None) -> None:
    growth = memory_growth(samples)
    if per_s is None:
        assert growth is None
    else:
        assert growth is not None
        # Without noise the interval has no width.
        assert growth.low <= growth.per_s <= growth.high
        assert growth.per_s == pytest.approx(per_s, rel=0.1)


def test_more_processes_are_no_growth() -> None:
    early = grown(lambda _: 100 * MB, 15)
    late = [(t, size * 2, 2) for t, size, _ in grown(lambda _: 100 * MB, 30)[15:]]
    assert memory_growth([*early, *late]) is None
    assert memory_growth([(t, size * count, count) for count, t, size in [(2, t, 90 * MB) for t in range(40)]]) is None


def test_wandering_memory_is_seldom_called_growth() -> None:
    """Memory that wanders is high in one second because it was high in the last: its slope is luck."""
    called = 0
    for seed in range(200):
        steps = random.Random(seed)
        size, samples = 200.0 * MB, []
        for t_s in range(1, 61):
            size = max(50 * MB, size + steps.gauss(0, 4 * MB))
            samples.append((float(t_s), int(size), 1))
        called += memory_growth(samples) is not None
    assert called <= 10


def _target(**changes: Any) -> ProcessSample:
    return replace(PROCESS, **changes)


def test_the_target_is_what_its_samples_are() -> None:
    samples = [
        _target(busiest_thread="a", busiest_thread_percent=90.0, fds_of_fullest=90, fd_limit=100, accept_queue=5),
        _target(busiest_thread="b", busiest_thread_percent=50.0, fds_of_fullest=200, fd_limit=1000, blocked_threads=1),
        _target(busiest_thread="a", busiest_thread_percent=70.0, accept_queue=129, accept_backlog=128),
        _target(alive=False, busiest_thread_percent=0.0),
    ]
    use = target_use(samples)
    assert (use.thread, use.thread_percent) == ("a", 70.0)
    assert (use.fds, use.fd_limit) == (90, 100)
    assert (use.accept_queue, use.backlog) == (129, 128)
    assert use.blocked_threads == pytest.approx(1 / 3)
    assert target_use([_target(alive=False)]) == target_use([]) == TargetUse()


def test_the_machine_is_what_its_samples_are() -> None:
    samples = [
        replace(HOST, tcp_segments_sent=900, tcp_retransmits=9, busiest_disk="vda", disk_busy_percent=80.0),
        replace(HOST, tcp_segments_sent=100, tcp_retransmits=1, busiest_disk="vda", disk_busy_percent=100.0),
    ]
    use = machine_use(samples)
    assert use.retransmit_share == pytest.approx(0.01)
    assert (use.disk, use.disk_percent) == ("vda", 90.0)
    assert use.memory_free_bytes == samples[-1].memory_total_bytes - samples[-1].memory_used_bytes
    assert machine_use([]) == MachineUse()
