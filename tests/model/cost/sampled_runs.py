"""Made-up runs with a sampled target: what is asked of it and what it uses are known at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.resources import ProcessSample
from fastload.model.series import SeriesTable
from tests.outputs.samples import make_snapshot

LAG_S = 0.2
PRIMED_S = 0.05
"""The samplers begin so long before the common start."""
Totals = Callable[[float], float]
"""How many requests have ended in the first so many seconds."""


def steady(rate: float) -> Totals:
    return lambda t_s: rate * max(0.0, t_s)


def ramp(begin: float, end: float, duration_s: float) -> Totals:
    """A rate that changes steadily."""
    return lambda t_s: begin * max(0.0, t_s) + (end - begin) * max(0.0, t_s) ** 2 / 2 / duration_s


def table_of(asked: Mapping[str, float], *, sent: float = 100.0, received: float = 300.0) -> SeriesTable:
    """The table of a second in which so many requests of each name ended."""
    table = SeriesTable()
    for name, count in asked.items():
        rate = table.rate(Series.of("http_req_failed", method="GET", name=name))
        rate.total = count  # type: ignore[assignment]  # parts of a request make a ramp exact
    table.counter(Series("data_sent")).value = sent * sum(asked.values())
    table.counter(Series("data_received")).value = received * sum(asked.values())
    return table


def sample(t_s: float, cpu_percent: float, **changes: Any) -> ProcessSample:
    values: dict[str, Any] = {
        "label": "server",
        "rss_bytes": 10**7,
        "threads": 1,
        "fds": 9,
        "processes": 1,
        "context_switches_per_s": 500.0,
        "run_delay_ratio": 0.0,
        "alive": True,
        "disk_read_bytes_per_s": 0.0,
        "disk_written_bytes_per_s": 4096.0,
    }
    return ProcessSample(t_s=t_s, cpu_percent=cpu_percent, **(values | changes))


def seconds(
    totals: Mapping[str, Totals],
    cost_ms: Mapping[str, float],
    duration_s: int,
    *,
    lag_s: float = LAG_S,
    noise: np.random.Generator | None = None,
    warmup_s: float = 0.0,
) -> Iterator[Snapshot]:
    """The seconds of a run: the counts are of whole seconds, the CPU time is that until the sample is taken."""
    sampled_s = -PRIMED_S
    for number in range(1, duration_s + 1):
        # The load ends with the last second, and so does the run.
        now_s = number + (lag_s if number < duration_s else 0.04)
        asked = {name: of(number) - of(number - 1) for name, of in totals.items()}
        ended_s = min(now_s, float(duration_s))
        used_ms = sum((of(ended_s) - of(max(0.0, sampled_s))) * cost_ms[name] for name, of in totals.items())
        if noise is not None:
            used_ms *= 1 + noise.normal(0, 0.02)
        in_warmup = number <= warmup_s
        yield make_snapshot(
            now_s,
            t_s=float(number),
            span_s=1.0,
            table=table_of({} if in_warmup else asked),
            requests_per_s=sum(asked.values()),
            target=sample(now_s + PRIMED_S, used_ms / 10 / (now_s - sampled_s)),
        )
        sampled_s = now_s
