"""Samplers of a run: sample the host, the workers and the target each second, and keep the samples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from fastload.control.sampling.host import HostSampler, QuotaSampler, ThrottleSampler
from fastload.control.sampling.listeners import find_listener
from fastload.control.sampling.processes import ProcessSampler, process_name, resolve_watch
from fastload.control.sampling.sock_diag import AcceptQueue, accept_queues
from fastload.model.errors import PlanError
from fastload.model.plan import Plan
from fastload.model.resources import HostSample, ProcessSample, ResourceSeries


class Samplers:
    """Samplers of the host, of each worker, and of the target.

    *worker_pids*: PIDs by worker index. *watched*: PIDs of the target's processes. *label*: the target's name, "" for
    the names of its programs. *find_again* returns the PIDs when one of these has ended: others may have its place.
    *port*: the one it listens on, 0 if that is not known.
    ``last_workers``: the last sample of each worker that still lives. ``target_cpus``: how many CPUs the target may
    use.
    """

    def __init__(
        self,
        worker_pids: Mapping[int, int],
        watched: tuple[int, ...],
        label: str,
        find_again: Callable[[], tuple[int, ...]] = tuple,
        port: int = 0,
    ) -> None:
        self._port = port
        self._find_again = find_again
        self.target_cpus = allowed_cpus(watched)
        self._host = HostSampler()
        self._quota = QuotaSampler()
        self._throttle = ThrottleSampler()
        self._workers = {
            index: ProcessSampler([pid], children=False, label=f"worker {index}") for index, pid in worker_pids.items()
        }
        self._target = (
            ProcessSampler(watched, children=True, label=label or process_names(watched)) if watched else None
        )
        self.host_samples: list[HostSample] = []
        self.worker_samples: dict[int, list[ProcessSample]] = {index: [] for index in worker_pids}
        self.target_samples: list[ProcessSample] = []
        self.last_workers: tuple[ProcessSample, ...] = ()

    def prime(self) -> None:
        """Take the readings that are the baseline of the first samples."""
        self._host.prime()
        self._quota.prime()
        for sampler in (*self._workers.values(), *([self._target] if self._target else [])):
            sampler.prime()
        if self._target:
            self._throttle.sample(self._target.pids)

    def sample(self, live_workers: Mapping[int, int]) -> None:
        """Take one more sample of the host, of each living worker, and of the target. *live_workers*: PIDs by index."""
        self.host_samples.append(self._host.sample())
        self._quota.sample()
        taken = {index: self._workers[index].sample() for index in live_workers}
        for index, sample in taken.items():
            self.worker_samples[index].append(sample)
        self.last_workers = tuple(taken.values())
        if self._target:
            self.target_samples.append(self._sample_target(self._target))
            if self._target.has_lost_one and (found := self._find_again()):
                self._target.adopt(found)
                self.target_cpus = allowed_cpus(found) or self.target_cpus

    def _sample_target(self, target: ProcessSampler) -> ProcessSample:
        sample = target.sample()
        queues = accept_queues(self._port) if self._port else []
        fullest = max(queues, key=lambda queue: queue.length - queue.backlog, default=AcceptQueue(0, 0))
        return replace(
            sample,
            throttled_ratio=self._throttle.sample(target.pids),
            accept_queue=fullest.length,
            accept_backlog=fullest.backlog,
        )

    @property
    def throttled_share(self) -> float:
        """Share of the sampled time for which the cgroup of these processes was out of its CPU quota."""
        return self._quota.throttled_share

    @property
    def last_target(self) -> ProcessSample | None:
        return self.target_samples[-1] if self.target_samples else None

    def host_series(self) -> ResourceSeries[HostSample]:
        return ResourceSeries("host", tuple(self.host_samples))

    def target_series(self) -> ResourceSeries[ProcessSample] | None:
        return ResourceSeries(self._target.label, tuple(self.target_samples)) if self._target else None


class SampledSpan:
    """The samples that *samplers* takes from now on, with the same interface."""

    def __init__(self, samplers: Samplers) -> None:
        self._samplers = samplers
        self._host_from = len(samplers.host_samples)
        self._target_from = len(samplers.target_samples)
        self._workers_from = {index: len(samples) for index, samples in samplers.worker_samples.items()}

    @property
    def worker_samples(self) -> dict[int, list[ProcessSample]]:
        return {index: samples[self._workers_from[index] :] for index, samples in self._samplers.worker_samples.items()}

    @property
    def throttled_share(self) -> float:
        """As `Samplers.throttled_share`, of the whole run."""
        return self._samplers.throttled_share

    @property
    def target_cpus(self) -> int:
        return self._samplers.target_cpus

    def host_series(self) -> ResourceSeries[HostSample]:
        return ResourceSeries("host", tuple(self._samplers.host_samples[self._host_from :]))

    def target_series(self) -> ResourceSeries[ProcessSample] | None:
        series = self._samplers.target_series()
        return ResourceSeries(series.label, series.samples[self._target_from :]) if series else None


def find_target_processes(plan: Plan, known_pids: tuple[int, ...]) -> tuple[int, ...]:
    """Return the PIDs of the target: *known_pids* and those of ``watch``, or else the listeners on the base URL's port.

    Raises:
        PlanError: a process of ``watch`` does not exist.
    """
    found = set(known_pids)
    for text in plan.watch:
        found.update(resolve_watch(text))
    if not found and plan.base_url:
        found.update(find_listener(target_port(plan), urlsplit(plan.base_url).hostname or ""))
    return tuple(sorted(found - {os.getpid()}))


def target_port(plan: Plan) -> int:
    """Return the port of the base URL; 0 without one."""
    parts = urlsplit(plan.base_url)
    return (parts.port or (443 if parts.scheme == "https" else 80)) if plan.base_url else 0


def find_target_again(plan: Plan, known_pids: tuple[int, ...], watched: tuple[int, ...]) -> tuple[int, ...]:
    """Return the PIDs of the target now, of which *watched* were known at first; a PID cannot return.

    The names and ports of ``watch`` are looked up again, or the port of the base URL if that was what found it.
    """
    if known_pids:
        return ()
    is_pid = {text.strip() for text in plan.watch} & {str(pid) for pid in watched}
    names = tuple(text for text in plan.watch if text.strip() not in is_pid)
    if plan.watch and not names:
        return ()
    with contextlib.suppress(PlanError):
        return find_target_processes(replace(plan, watch=names), ())
    return ()


def allowed_cpus(pids: tuple[int, ...]) -> int:
    """Return how many CPUs these processes may use together; 0 without processes."""
    allowed: set[int] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            allowed |= os.sched_getaffinity(pid)
    return len(allowed)


def process_names(pids: tuple[int, ...]) -> str:
    """Return the program names of these processes, like ``"nginx"`` or ``"gunicorn, postgres"``."""
    return ", ".join(dict.fromkeys(name for name in map(process_name, pids) if name))
