"""Pure schedules: how many VUs at a time, which starts are due, and whose share is whose. No clock, no sleep."""

from __future__ import annotations

import math
from collections.abc import Sequence

NS_PER_S = 1_000_000_000

Stage = tuple[float, int]
"""``(seconds, VUs at its end)``; a stage of 0 s jumps."""


def share(total: int, worker: int, workers: int) -> int:
    """How many of *total* things (numbered from 0, dealt in turn) belong to *worker* of *workers*.

    The shares add up to *total* and differ by one at most.
    """
    return (total + workers - 1 - worker) // workers


def vus_at(start_vus: int, stages: Sequence[Stage], elapsed_s: float) -> int:
    """VUs that should run *elapsed_s* after the start: linear within a stage, rounded to the nearest.

    Before the start it is *start_vus*, after the last stage the last target.
    """
    begin_s, level = 0.0, start_vus
    for duration_s, target in stages:
        if elapsed_s < begin_s + duration_s:
            done = max(0.0, elapsed_s - begin_s) / duration_s
            return round(level + (target - level) * done)
        begin_s, level = begin_s + duration_s, target
    return level


def vu_changes(start_vus: int, stages: Sequence[Stage]) -> list[tuple[float, int]]:
    """When the number of VUs changes: ``(seconds, VUs from then on)``, ascending, the first at 0.

    One step for each VU, at the moment when the linear ramp crosses half a VU, as `vus_at` rounds.
    """
    changes = [(0.0, start_vus)]
    begin_s, level = 0.0, start_vus
    for duration_s, target in stages:
        if duration_s == 0:
            changes.append((begin_s, target))
        else:
            step = 1 if target > level else -1
            slope = abs(target - level)
            changes.extend(
                (begin_s + duration_s * (count - 0.5) / slope, level + step * count) for count in range(1, slope + 1)
            )
        begin_s, level = begin_s + duration_s, target
    return changes


def due_ns(index: int, rate_per_s: float, worker: int, workers: int) -> int:
    """When *worker*'s start number *index* (from 0) is due, in ns after the common start.

    The starts of the whole run are numbered 0, 1, 2..., number i is due at i / rate, and worker w takes those
    with i % workers == w: the workers start evenly in time, not in bursts.
    """
    return round((worker + index * workers) * NS_PER_S / rate_per_s)


def starts_within(duration_s: float, rate_per_s: float, worker: int, workers: int) -> int:
    """How many starts of *worker* are due in ``[0, duration)``."""
    # In the nanoseconds of `due_ns`: 0.07 * 100 is 7.000000000000001, and start 7 would be due at the very end.
    end_ns = round(duration_s * NS_PER_S)
    total = math.ceil(duration_s * rate_per_s)
    while total and due_ns(total - 1, rate_per_s, 0, 1) >= end_ns:
        total -= 1
    while due_ns(total, rate_per_s, 0, 1) < end_ns:
        total += 1
    return share(total, worker, workers)
