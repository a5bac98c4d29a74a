"""Replay with bounded memory, for a run of any length: like `Replay`, but without the samples of each second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fastload.model.records import Snapshot
from fastload.model.resources import NOT_SUMMARISED, HostSample, ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.saved.replay import Replay, worker_index


class BoundedReplay:
    """Totals of the run of *header*, added up second by second. Of resource samples only mean and maximum are kept."""

    def __init__(self, header: RunHeader) -> None:
        self._replay = Replay(header)
        self._host = MeanAndMax("host")
        self._target: MeanAndMax | None = None
        self._workers: dict[int, MeanAndMax] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Add the next second."""
        self._replay.add(snapshot, keeps_samples=False)
        if snapshot.host is not None:
            self._host.add(snapshot.host)
        if snapshot.target is not None:
            if self._target is None:
                self._target = MeanAndMax(snapshot.target.label)
            self._target.add(snapshot.target)
        for sample in snapshot.workers:
            if sample.alive and (index := worker_index(sample.label)) is not None:
                self._workers.setdefault(index, MeanAndMax(sample.label)).add(sample)

    def summary(self, *, running: bool) -> dict[str, Any]:
        """Return the summary like `Summary.to_dict`, without series of samples. *running*: the run goes on."""
        found = self._replay.summary(running=running)
        found["host"] = self._host.to_dict()
        found["target"] = self._target.to_dict() if self._target is not None else None
        found["workers"] = [self._worker(worker) for worker in found["workers"]]
        return found

    def _worker(self, worker: Mapping[str, Any]) -> dict[str, Any]:
        means = self._workers.get(worker["index"])
        if means is None:
            return dict(worker)
        told = means.to_dict()
        mean, largest = told["mean"], told["max"]
        return {
            **worker,
            "cpu_percent": {"mean": mean["cpu_percent"], "max": largest["cpu_percent"], "series": []},
            "run_delay_share": mean["run_delay_ratio"],
            "rss_bytes": largest["rss_bytes"],
        }


class MeanAndMax:
    """Mean and maximum so far of each numeric field of a sampler's samples, in the form of `ResourceSeries`."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0
        self._sum: dict[str, float] = {}
        self._known: dict[str, int] = {}
        self._max: dict[str, float | None] = {}
        self._cpus_sum: list[float] = []
        self._cpus_max: list[float] = []

    def add(self, sample: HostSample | ProcessSample) -> None:
        """Add a sample."""
        for field in fields(sample):
            if field.name not in NOT_SUMMARISED:
                self._add_value(field.name, getattr(sample, field.name))
        if isinstance(sample, HostSample):
            self._add_cpus(sample.cpus_percent)
        self._count += 1

    def _add_value(self, name: str, value: float | None) -> None:
        most = self._max.setdefault(name, value)
        if value is not None:
            self._sum[name] = self._sum.get(name, 0) + value
            self._known[name] = self._known.get(name, 0) + 1
            self._max[name] = value if most is None else max(most, value)

    def _add_cpus(self, percents: tuple[float, ...]) -> None:
        if not self._count:
            self._cpus_sum, self._cpus_max = list(percents), list(percents)
            return
        # A CPU that goes offline shortens later samples: summarise as many CPUs as the shortest sample has.
        self._cpus_sum = [before + value for before, value in zip(self._cpus_sum, percents, strict=False)]
        self._cpus_max = [max(before, value) for before, value in zip(self._cpus_max, percents, strict=False)]

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"label", "series": {}, "mean": {...}, "max": {...}}``."""
        mean: dict[str, Any] = {
            name: self._sum[name] / known if (known := self._known.get(name)) else None for name in self._max
        }
        largest: dict[str, Any] = dict(self._max)
        if self._cpus_sum:
            mean["cpus_percent"] = [total / self._count for total in self._cpus_sum]
            largest["cpus_percent"] = list(self._cpus_max)
        return {"label": self._label, "series": {}, "mean": mean, "max": largest}
