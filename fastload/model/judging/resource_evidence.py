"""Evidence of resources: how busy the target's processes and its machine were, from the samples of one run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from fastload.model.resources import HostSample, ProcessSample

LEAST_GROWTH_SHARE = 0.1
"""How much memory must have grown, beside what there was, to be told of."""
LEAST_GROWTH_BYTES = 16_000_000
"""How much it must have grown at least."""
LEAST_GROWTH_SAMPLES = 8
"""How many samples a slope needs, after those of the start."""
STEADY_SHARE = 0.5
"""How fast the second half of the samples must grow, beside all of them: what a cache or a heap takes at first levels
off."""
# The first third of a run is left out: what starts up grows.
_START_SHARE = 1 / 3
# Two-sided 95 % points of Student's t, by degrees of freedom from 1 on; above them that of the normal distribution.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
_T95_OF_MANY = 1.96


@dataclass(frozen=True, slots=True)
class Growth:
    """Steady growth: the slope in bytes per second with its 95 % interval, *low* to *high*, over *span_s* seconds."""

    per_s: float
    low: float
    high: float
    span_s: float

    @property
    def grown_bytes(self) -> float:
        return self.per_s * self.span_s


@dataclass(frozen=True, slots=True)
class TargetUse:
    """How busy the target's processes were. Percentages are means, 100 = one core. Zeros are what was not measured.

    - *process* is the busiest process and *process_percent* its CPU; *thread* and *thread_percent* are the same of the
      busiest thread, *full_threads* is the mean number of threads that used a whole core.
    - *throttled_share* is the share of the periods in which its cgroup had used up its CPU quota.
    - *fds* and *fd_limit* are the open file descriptors of the process that came nearest to its limit, and that limit.
    - *blocked_threads* is the mean number of threads that waited for a disk, or for something else that no signal ends.
    - *accept_queue* is the greatest number of connections that waited to be accepted, and *backlog* how many may.
    - *growth* is that of the resident memory, None if it did not grow steadily, or not by much.
    """

    process: str = ""
    process_percent: float = 0.0
    thread: str = ""
    thread_percent: float = 0.0
    full_threads: float = 0.0
    throttled_share: float = 0.0
    fds: int = 0
    fd_limit: int = 0
    blocked_threads: float = 0.0
    accept_queue: int = 0
    backlog: int = 0
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class MachineUse:
    """How busy the machine was. All are means over the run. Zeros are what was not measured.

    - *disk* is the busiest disk, *disk_percent* the share of the time in which it had a request, and *disk_queue* how
      many it had.
    - *run_queue* counts the threads that were ready to run, those on a CPU included.
    - Pressure is the share of the time, in per cent, in which some task waited for CPU, memory or a disk (PSI).
    - *swap_bytes_per_s* counts in and out. *retransmit_share* is the share of the TCP segments that were sent again.
    - *memory_free_bytes* is what was available to processes at the end.
    """

    disk: str = ""
    disk_percent: float = 0.0
    disk_queue: float = 0.0
    run_queue: float = 0.0
    cpu_pressure: float = 0.0
    memory_pressure: float = 0.0
    io_pressure: float = 0.0
    swap_bytes_per_s: float = 0.0
    tcp_retransmits: int = 0
    retransmit_share: float = 0.0
    memory_free_bytes: int = 0


def target_use(samples: Sequence[ProcessSample]) -> TargetUse:
    """Return how busy the target was; *samples* are in order of time."""
    alive = [sample for sample in samples if sample.alive]
    if not alive:
        return TargetUse()
    nearest = max(alive, key=lambda sample: sample.fds_of_fullest / sample.fd_limit if sample.fd_limit else 0.0)
    longest = max(alive, key=lambda sample: sample.accept_queue)
    return TargetUse(
        process=_most(sample.busiest_process for sample in alive),
        process_percent=fmean(sample.busiest_process_percent for sample in alive),
        thread=_most(sample.busiest_thread for sample in alive),
        thread_percent=fmean(sample.busiest_thread_percent for sample in alive),
        full_threads=fmean(sample.full_threads for sample in alive),
        throttled_share=fmean(sample.throttled_ratio for sample in alive),
        fds=nearest.fds_of_fullest,
        fd_limit=nearest.fd_limit,
        blocked_threads=fmean(sample.blocked_threads for sample in alive),
        accept_queue=longest.accept_queue,
        backlog=longest.accept_backlog,
        growth=memory_growth([(sample.t_s, sample.rss_bytes, sample.processes) for sample in alive]),
    )


def machine_use(samples: Sequence[HostSample]) -> MachineUse:
    """Return how busy the machine was; *samples* are in order of time."""
    if not samples:
        return MachineUse()
    sent, again = sum(one.tcp_segments_sent for one in samples), sum(one.tcp_retransmits for one in samples)
    return MachineUse(
        disk=_most(one.busiest_disk for one in samples),
        disk_percent=fmean(one.disk_busy_percent for one in samples),
        disk_queue=fmean(one.disk_queue for one in samples),
        run_queue=fmean(one.run_queue for one in samples),
        cpu_pressure=fmean(one.cpu_pressure_percent for one in samples),
        memory_pressure=fmean(one.memory_pressure_percent for one in samples),
        io_pressure=fmean(one.io_pressure_percent for one in samples),
        swap_bytes_per_s=fmean(one.swap_bytes_per_s for one in samples),
        tcp_retransmits=again,
        retransmit_share=again / sent if sent else 0.0,
        memory_free_bytes=samples[-1].memory_total_bytes - samples[-1].memory_used_bytes,
    )


def memory_growth(samples: Sequence[tuple[float, int, int]]) -> Growth | None:
    """Return the growth of memory that is steady and large; None if there is none.

    *samples* are the time in seconds, the bytes, and the number of processes. It is judged by least squares over the
    last samples with the same number of processes, without the first third of the run.
    """
    if not samples:
        return None
    last_s, _, processes = samples[-1]
    first_s = _START_SHARE * last_s
    points: list[tuple[float, float]] = []
    for t_s, size, count in reversed(samples):
        if count != processes or t_s < first_s:
            break
        points.append((t_s, float(size)))
    points.reverse()
    if len(points) < LEAST_GROWTH_SAMPLES:
        return None
    slope, error = _slope(points)
    half, _ = _slope(points[len(points) // 2 :])
    growth = Growth(slope, slope - error, slope + error, points[-1][0] - points[0][0])
    is_large = growth.grown_bytes >= max(LEAST_GROWTH_BYTES, LEAST_GROWTH_SHARE * points[0][1])
    return growth if is_large and growth.low > 0 and half >= STEADY_SHARE * slope else None


def _slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of a line through *points* by least squares, and half of its 95 % interval; times rise."""
    mean_t, mean_y = fmean(t for t, _ in points), fmean(y for _, y in points)
    spread = sum((t - mean_t) ** 2 for t, _ in points)
    slope = sum((t - mean_t) * (y - mean_y) for t, y in points) / spread
    squares = sum((y - mean_y - slope * (t - mean_t)) ** 2 for t, y in points)
    steps = [(y - before_y) / (t - before_t) for (before_t, before_y), (t, y) in pairwise(points)]
    # Memory that wanders is high in one second because it was in the last: its steps say how sure a slope is.
    of_steps = stdev(steps) / math.sqrt(len(steps))
    return slope, _t95(len(points) - 2) * max(math.sqrt(squares / (len(points) - 2) / spread), of_steps)


def _t95(degrees: int) -> float:
    return _T95[degrees - 1] if degrees <= len(_T95) else _T95_OF_MANY


def _most(names: Iterable[str]) -> str:
    """Return the most frequent of the names that are not empty; "" if all are."""
    counted = Counter(name for name in names if name)
    return max(counted, key=counted.__getitem__, default="")
