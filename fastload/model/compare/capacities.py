"""Figures of capacity searches in a comparison: the capacity with its interval, and steps whose loads are near."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.figures import Figure
from fastload.model.metrics import Kind, MetricSpec, Series
from fastload.model.units import format_count

NEAR = 0.1
"""By how much two loads may differ, as a share, for their steps to stand side by side."""
_RATE = MetricSpec("capacity", Kind.COUNTER, "")
_VUS = MetricSpec("capacity", Kind.GAUGE, "")
_ANSWERED = MetricSpec("answered", Kind.COUNTER, "")
_RESPONSE = MetricSpec("response", Kind.TREND, "ms")
_QUANTILES = {0.5: "p50_ms", 0.95: "p95_ms", 0.99: "p99_ms"}
_NO_ANSWER = {"unstable": "no lasting capacity", "unfinished": "the search was ended before"}


@dataclass(frozen=True, slots=True)
class CapacityRange:
    """Capacity of a side: its *value* (None if no load met the objectives), and the ends *low* and *high* of its
    interval; *high* is infinite where no load was too much. *why* there is no interval, "" if there is one."""

    value: float | None
    low: float
    high: float
    why: str = ""


def is_search(run: BatchedRun) -> bool:
    """Return whether *run* is a capacity search."""
    return bool(run.header.plan.get("capacity"))


def capacity_figure(runs: Sequence[BatchedRun]) -> Figure:
    """Return the figure of the capacity, for *runs* that all search for one."""
    spec = _VUS if runs[0].header.plan["capacity"].get("by", "rate") == "vus" else _RATE
    return Figure("headline", "capacity", spec, (Series("capacity"),), "higher")


def capacity_range(runs: Sequence[BatchedRun]) -> CapacityRange:
    """Return the capacity of a side. Of repeated *runs* it is the mean, and the interval holds those of all of them."""
    ranges = [_range(run.summary.get("capacity")) for run in runs]
    values = [one.value for one in ranges if one.value is not None]
    return CapacityRange(
        value=sum(values) / len(values) if values else None,
        low=min(one.low for one in ranges),
        high=max(one.high for one in ranges),
        why=next((one.why for one in ranges if one.why), ""),
    )


def _range(result: Mapping[str, Any] | None) -> CapacityRange:
    if result is None:
        return CapacityRange(None, 0.0, math.inf, "the search has no result")
    value, high = result["capacity"], result["high"]
    why = _NO_ANSWER.get(result["state"], "")
    if value is None and high is None:
        why = why or "not even the lightest load could be made"
    return CapacityRange(value, value or 0.0, math.inf if high is None else high, why)


def step_figures(sides: Sequence[Sequence[BatchedRun]]) -> Iterator[tuple[Figure, tuple[float | None, ...]]]:
    """Yield the figures of each step of the baseline beside those of the steps of the others with a load that is near;
    loads without one are left out."""
    steps = [[_steps(run) for run in runs] for runs in sides]
    unit = " VUs" if sides[0][0].header.plan["capacity"].get("by") == "vus" else "/s"
    for load in sorted(steps[0][0]):
        near = [[step for run in of_side if (step := _nearest(steps[0][0], run, load))] for of_side in steps]
        if not any(near[1:]):
            continue
        subject = f"at {format_count(load)}{unit}"
        part = (Series("steps"),)
        answered = Figure("steps", subject, _ANSWERED, part, "higher")
        yield answered, tuple(_mean(step["answered_per_s"] for step in of_side) for of_side in near)
        for q, key in _QUANTILES.items():
            yield (
                Figure("steps", subject, _RESPONSE, part, "lower", q),
                tuple(_mean(step[key] for step in of_side) for of_side in near),
            )


def _steps(run: BatchedRun) -> dict[float, Mapping[str, Any]]:
    """Return the steps that say something of the target by their load: the longest one of each."""
    found: dict[float, Mapping[str, Any]] = {}
    for step in (run.summary.get("capacity") or {}).get("steps", ()):
        load = step["load"]
        is_longer = load not in found or found[load]["seconds"] <= step["seconds"]
        if step["outcome"] != "generator" and load > 0 and is_longer:
            found[load] = step
    return found


def _nearest(
    first: Mapping[float, Mapping[str, Any]], steps: Mapping[float, Mapping[str, Any]], load: float
) -> Mapping[str, Any] | None:
    """Return the step whose load is the nearest to *load*, one of *first*, if it is near and nearer to no other one."""
    if not steps:
        return None
    nearest = _closest(steps, load)
    is_near = _distance(nearest, load) <= math.log1p(NEAR)
    return steps[nearest] if is_near and _closest(first, nearest) == load else None


def _closest(loads: Iterable[float], load: float) -> float:
    return min(loads, key=lambda one: _distance(one, load))


def _distance(one: float, other: float) -> float:
    return abs(math.log(one) - math.log(other))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
