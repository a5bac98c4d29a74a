"""Records of the resource usage of the machine and of watched processes, second by second. Nothing is sampled here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar


@dataclass(frozen=True, slots=True)
class HostSample:
    """Resource usage of the whole machine in one interval. Rates and counts cover the time since the previous sample.

    - ``t_s`` is the end of the interval, in seconds since the sampler's ``prime()``, on the monotonic clock.
    - CPU percentages are 0 to 100. All time that is neither idle nor waiting for a disk is busy. Time stolen by a
      hypervisor is busy too, because no process of this machine could use it.
    - ``memory_used_bytes`` is the memory that is not available to a new process: the page cache does not count.
    - ``net_*`` sum all network interfaces of this process's namespace, loopback included. ``loopback_bytes_per_s`` is
      the part of loopback in each direction (loopback receives all that it sends).
    - TCP figures are counts in the interval, 0 where the kernel does not report them: segments retransmitted,
      connections refused because an accept queue was full, and all SYNs and connections dropped at a listening socket
      (overflows included). ``tcp_segments_sent`` are all segments sent, without those sent again.
    - ``busiest_disk`` is the disk that had a request for the largest part of the interval, ``disk_busy_percent``, and
      ``disk_queue`` is how many requests it had on average.
    - ``run_queue`` counts the threads that were ready to run at the end of the interval, those on a CPU included.
    - ``*_pressure_percent`` are the parts of the interval in which some task waited for a CPU, for memory or for a disk
      (PSI).
    - ``swap_bytes_per_s`` is what was swapped in and out.
    """

    t_s: float
    cpu_percent: float
    cpus_percent: tuple[float, ...]
    memory_used_bytes: int
    memory_total_bytes: int
    load_1m: float
    net_sent_bytes_per_s: float
    net_received_bytes_per_s: float
    loopback_bytes_per_s: float
    tcp_retransmits: int
    listen_overflows: int
    listen_drops: int
    context_switches_per_s: float
    tcp_segments_sent: int = 0
    busiest_disk: str = ""
    disk_busy_percent: float = 0.0
    disk_queue: float = 0.0
    run_queue: int = 0
    cpu_pressure_percent: float = 0.0
    memory_pressure_percent: float = 0.0
    io_pressure_percent: float = 0.0
    swap_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """Resource usage of one process, or the sum over several processes, in one interval.

    - ``t_s`` is as in `HostSample`. ``cpu_percent``: 100 is one busy core.
    - ``rss_bytes`` counts a shared page once for each process that shares it.
    - ``fds`` leaves out processes that this user may not inspect.
    - ``context_switches_per_s`` counts how often a thread was put on a CPU.
    - ``run_delay_ratio`` is the time in which threads were ready to run and waited for a CPU, per wall time: 0.05 is
      50 ms in a second. The sum over many waiting threads can exceed 1.
    - The context switches and the run delay are 0 on a kernel without schedstat.
    - ``disk_*`` is what disks had to read and write for the processes: what the page cache answers is not read, and
      what is written counts when it goes to the page cache. None if this user may not see it, or in an old file.
    - ``processes`` counts the processes that ran at the end of the interval. ``alive`` is False when none ran; then all
      fields but the CPU time of the interval are 0.
    - ``busiest_process`` is the process that used most CPU, ``busiest_thread`` the thread; 100 % is one core, and
      ``full_threads`` counts the threads that used 90 % of one or more.
    - ``fds_of_fullest`` are the open descriptors of the process that is nearest to its limit, which is ``fd_limit``.
    - ``blocked_threads`` counts the threads that waited, at the end of the interval, for a disk or for something else
      that no signal ends.
    - ``throttled_ratio`` is the part of the periods in which the cgroup had used up its CPU quota.
    - ``accept_queue`` counts the connections that waited, at the end of the interval, to be accepted at the target's
      port, and ``accept_backlog`` is how many may: those of the fullest socket.
    """

    t_s: float
    label: str
    cpu_percent: float
    rss_bytes: int
    threads: int
    fds: int
    processes: int
    context_switches_per_s: float
    run_delay_ratio: float
    alive: bool
    disk_read_bytes_per_s: float | None = None
    disk_written_bytes_per_s: float | None = None
    busiest_process: str = ""
    busiest_process_percent: float = 0.0
    busiest_thread: str = ""
    busiest_thread_percent: float = 0.0
    full_threads: int = 0
    fds_of_fullest: int = 0
    fd_limit: int = 0
    blocked_threads: int = 0
    throttled_ratio: float = 0.0
    accept_queue: int = 0
    accept_backlog: int = 0


@dataclass(frozen=True, slots=True)
class ResourceMetric:
    """Resource metric for thresholds, with one value a second. *unit* is "%", "bytes" or empty."""

    name: str
    unit: str
    description: str


RESOURCE_METRICS: dict[str, ResourceMetric] = {
    metric.name: metric
    for metric in (
        ResourceMetric("host_cpu", "%", "CPU of the whole machine, 0 to 100"),
        ResourceMetric("host_memory", "bytes", "memory in use on the machine"),
        ResourceMetric("worker_cpu", "%", "CPU of the busiest worker, 100 being one core"),
        ResourceMetric("worker_memory", "bytes", "resident memory of all workers together"),
        ResourceMetric("target_cpu", "%", "CPU of the target, 100 being one core; more with several processes"),
        ResourceMetric("target_memory", "bytes", "resident memory of the target"),
        ResourceMetric("target_fds", "", "open file descriptors of the target"),
    )
}


def resource_values(
    host: HostSample | None, workers: Sequence[ProcessSample], target: ProcessSample | None
) -> dict[str, float]:
    """Return the values of `RESOURCE_METRICS` in one second, by name.

    Metrics of processes that were not sampled or did not run are left out.
    """
    values: dict[str, float] = {}
    if host is not None:
        values |= {"host_cpu": host.cpu_percent, "host_memory": host.memory_used_bytes}
    if running := [sample for sample in workers if sample.alive]:
        values["worker_cpu"] = max(sample.cpu_percent for sample in running)
        values["worker_memory"] = sum(sample.rss_bytes for sample in running)
    if target is not None and target.alive:
        values |= {"target_cpu": target.cpu_percent, "target_memory": target.rss_bytes, "target_fds": target.fds}
    return values


Spans = tuple[tuple[float, float], ...]
"""From when to when something was so, in seconds, in order of time."""
_SPANS_AT_MOST = 3


def running_spans(samples: Iterable[tuple[float, bool]]) -> Spans:
    """Return from when to when a process ran; *samples* are ``t_s`` and ``alive`` of each interval. The interval in
    which it ended does not count."""
    spans: list[tuple[float, float]] = []
    before_s = 0.0
    for t_s, alive in samples:
        if alive and spans and spans[-1][1] == before_s:
            spans[-1] = (spans[-1][0], t_s)
        elif alive:
            spans.append((before_s, t_s))
        before_s = t_s
    return tuple(spans)


def spans_text(spans: Spans) -> str:
    """Return ``from 0s to 2s, from 4s to 6s``, with three spans at most."""
    texts = [f"from {begin_s:.0f}s to {end_s:.0f}s" for begin_s, end_s in spans[:_SPANS_AT_MOST]]
    return ", ".join([*texts, "…"] if len(spans) > _SPANS_AT_MOST else texts)


SampleT = TypeVar("SampleT", HostSample, ProcessSample)

NOT_SUMMARISED = frozenset({"t_s", "label", "cpus_percent", "busiest_disk", "busiest_process", "busiest_thread"})
"""Fields that have no mean."""


@dataclass(frozen=True, slots=True)
class ResourceSeries(Generic[SampleT]):
    """Samples of one sampler, in order of time. ``label`` is the sampler's name in reports."""

    label: str
    samples: tuple[SampleT, ...]

    def mean(self, field: str) -> float | None:
        """Return the mean of a numeric field over the samples, without weights; None without a value.

        Samples in which no process ran are left out if others are left. For ``alive`` it is the share of samples with a
        running process.
        """
        ran = [sample for sample in self.samples if field == "alive" or getattr(sample, "alive", True)]
        values = _known(getattr(sample, field) for sample in ran or self.samples)
        return float(sum(values) / len(values)) if values else None

    def max(self, field: str) -> float | None:
        """Return the largest value of a numeric field; None without a value."""
        return max(_known(getattr(sample, field) for sample in self.samples), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: ``{"label", "series": {field: list}, "mean": {...}, "max": {...}}``.

        In ``mean`` and ``max``, ``cpus_percent`` is a list with one value for each CPU. Without samples ``series``,
        ``mean`` and ``max`` are empty.
        """
        if not self.samples:
            return {"label": self.label, "series": {}, "mean": {}, "max": {}}
        names = [field.name for field in fields(self.samples[0]) if field.name != "label"]
        series = {name: [_plain(getattr(sample, name)) for sample in self.samples] for name in names}
        numeric = [name for name in names if name not in NOT_SUMMARISED]
        mean: dict[str, Any] = {name: self.mean(name) for name in numeric}
        largest: dict[str, Any] = {name: self.max(name) for name in numeric}
        if "cpus_percent" in series:
            # A CPU that goes offline shortens later samples: summarise as many CPUs as the shortest sample has.
            by_cpu = list(zip(*series["cpus_percent"], strict=False))
            mean["cpus_percent"] = [sum(values) / len(values) for values in by_cpu]
            largest["cpus_percent"] = [max(values) for values in by_cpu]
        return {"label": self.label, "series": series, "mean": mean, "max": largest}


def _known(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
