"""Schedules: the number of VUs over time, the due times of starts, and the share of each worker. No clock, no sleep."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NS_PER_S = 1_000_000_000
# Tolerance for rounding errors in sums of fractions: ten stages of 0.1 starts each must be one start.
_SLACK = 1e-9
_RELATIVE_SLACK = 1e-13

Stage = tuple[float, int]
"""Stage of VUs: ``(seconds, VUs at its end)``. A stage of 0 s changes the number of VUs at once."""


def share(total: int, worker: int, workers: int) -> int:
    """Return how many of *total* things belong to *worker* when they are dealt to all *workers* in turn.

    The shares add up to *total* and differ by at most 1.
    """
    return (total + workers - 1 - worker) // workers


def vus_at(start_vus: int, stages: Sequence[Stage], elapsed_s: float) -> int:
    """Return the VUs that should run *elapsed_s* after the start: linear within a stage, rounded to the nearest.

    Before the start the result is *start_vus*, after the last stage the last target.
    """
    begin_s, level = 0.0, start_vus
    if elapsed_s < 0:
        return level
    for duration_s, target in stages:
        if elapsed_s < begin_s + duration_s:
            done = (elapsed_s - begin_s) / duration_s
            return round(level + (target - level) * done)
        begin_s, level = begin_s + duration_s, target
    return level


def vu_changes(start_vus: int, stages: Sequence[Stage]) -> list[tuple[float, int]]:
    """Return the changes of the number of VUs: ``(seconds, VUs from then on)``, ascending, the first at 0.

    A ramp has one change for each VU, at the moment when the line crosses half a VU, as `vus_at` rounds.
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


RateStage = tuple[float, float]
"""Stage of a rate: ``(seconds, starts per second at its end)``. A stage of 0 s changes the rate at once."""


class RateCurve:
    """Rate over time, piecewise linear, with its integral in closed form. Times are in seconds from 0."""

    def __init__(self, start_rate_per_s: float, stages: Sequence[RateStage]) -> None:
        self._pieces: list[_Piece] = []
        begin_s, integral, rate = 0.0, 0.0, start_rate_per_s
        for duration_s, target in stages:
            if duration_s > 0:
                self._pieces.append(_Piece(begin_s, duration_s, rate, target, integral))
                begin_s += duration_s
                integral = self._pieces[-1].end_area
            rate = target
        self.end_s = begin_s
        self._first = 0

    @property
    def total(self) -> float:
        """Integral over the whole curve."""
        return self._pieces[-1].end_area if self._pieces else 0.0

    def integral(self, at_s: float) -> float:
        """Return the integral until *at_s*: the number of due starts, with fractions."""
        for piece in self._pieces:
            if at_s < piece.begin_s + piece.duration_s:
                return piece.area_at(max(0.0, at_s - piece.begin_s))
        return self.total

    def due_ns(self, integral: float) -> int | None:
        """Return the time at which the integral reaches *area*, in whole nanoseconds; None when it never does.

        *area* must ascend from call to call: earlier pieces are not searched again.
        """
        while self._first < len(self._pieces):
            piece = self._pieces[self._first]
            if piece.end_area > piece.integral and integral <= piece.end_area + max(_SLACK, _RELATIVE_SLACK * integral):
                return piece.due_ns(integral)
            self._first += 1
        return None

    def change(self, at_s: float, rate_per_s: float) -> None:
        """Set the rate to *rate_per_s* from *at_s* until the end of the curve."""
        if at_s >= self.end_s:
            return
        before = [piece for piece in self._pieces if piece.begin_s < at_s]
        integral = self.integral(at_s)
        if before and before[-1].begin_s + before[-1].duration_s > at_s:
            before[-1] = before[-1].cut(at_s)
        self._pieces = [*before, _Piece(at_s, self.end_s - at_s, rate_per_s, rate_per_s, integral)]
        self._first = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """Linear piece of a curve: from *rate* to *end_rate* in *duration_s*. *area* is the integral at its *begin_s*."""

    begin_s: float
    duration_s: float
    rate: float
    end_rate: float
    integral: float

    @property
    def end_area(self) -> float:
        return self.integral + self.duration_s * (self.rate + self.end_rate) / 2

    def area_at(self, elapsed_s: float) -> float:
        slope = (self.end_rate - self.rate) / self.duration_s
        return self.integral + elapsed_s * (self.rate + slope * elapsed_s / 2)

    def due_ns(self, integral: float) -> int:
        wanted = min(integral, self.end_area) - self.integral
        if wanted <= 0:
            return round(self.begin_s * NS_PER_S)
        if self.rate == self.end_rate:
            return round(self.begin_s * NS_PER_S + wanted * NS_PER_S / self.rate)
        # Solve rate * t + slope * t**2 / 2 = wanted for t, in the form without a subtraction (no cancellation).
        slope = (self.end_rate - self.rate) / self.duration_s
        root = math.sqrt(max(0.0, self.rate * self.rate + 2 * slope * wanted))
        return round((self.begin_s + min(self.duration_s, 2 * wanted / (self.rate + root))) * NS_PER_S)

    def cut(self, at_s: float) -> _Piece:
        """Return the part of the piece until *at_s*."""
        share = (at_s - self.begin_s) / self.duration_s
        end_rate = self.rate + (self.end_rate - self.rate) * share
        return _Piece(self.begin_s, at_s - self.begin_s, self.rate, end_rate, self.integral)


class Arrivals:
    """Due times of one worker's starts, in order.

    The starts of the whole run are numbered; worker w of W takes every W-th start from start w. So the starts of the
    workers are evenly spread in time, without bursts, and random starts are the same for any W.

    *kind* sets the integral of the rate at which start i is due: "constant" at *first* + i, "uniform" at a random
    point of ``[i, i + 1)``, "poisson" at the i-th point of a Poisson process with mean 1. A start that is due exactly
    at the end of the curve is made only with *end_counts*.
    """

    def __init__(
        self,
        curve: RateCurve,
        *,
        kind: str = "constant",
        first: int = 0,
        worker: int = 0,
        workers: int = 1,
        seed: str = "",
        end_counts: bool = False,
    ) -> None:
        self._curve = curve
        self._index = worker
        self._workers = workers
        self._end_ns = round(curve.end_s * NS_PER_S) + end_counts
        self._integrals = self._random_areas(kind, seed) if kind != "constant" else None
        self._first = first
        self._integral = self._next_area(worker + 1)

    def next_due_ns(self) -> int | None:
        """Return when the next start is due, in nanoseconds from the beginning of the curve; None after the last."""
        due_ns = self._curve.due_ns(self._integral)
        return due_ns if due_ns is not None and due_ns < self._end_ns else None

    def advance(self) -> None:
        """Mark the next start as made, and move on to the one after it."""
        self._index += self._workers
        self._integral = self._next_area(self._workers)

    def count_left(self) -> int:
        """Return how many starts are left, and mark them as made."""
        left = 0
        if self._integrals is None:
            # Nearly all of them at once: the last ones may be due at the very end.
            left = max(0, math.floor((self._curve.total - self._integral) / self._workers))
            self._index += left * self._workers
            self._integral = self._next_area(0)
        while self.next_due_ns() is not None:
            self.advance()
            left += 1
        return left

    def change_rate(self, at_s: float, rate_per_s: float) -> None:
        """Change the rate: see `RateCurve.change`."""
        self._curve.change(at_s, rate_per_s)

    def _next_area(self, steps: int) -> float:
        if self._integrals is None:
            return float(self._first + self._index)
        return next(itertools.islice(self._integrals, steps - 1, None))

    def _random_areas(self, kind: str, seed: str) -> Iterator[float]:
        chance = random.Random(seed)
        if kind == "uniform":
            yield from (index + chance.random() for index in itertools.count())
        integral = 0.0
        while True:
            integral += chance.expovariate(1.0)
            yield integral


class TraceArrivals:
    """Due times of one worker's starts from an ascending list: worker w of W takes every W-th start from start w."""

    def __init__(self, due_ns: Sequence[int], *, worker: int = 0, workers: int = 1) -> None:
        self._due_ns = due_ns
        self._index = worker
        self._workers = workers

    def next_due_ns(self) -> int | None:
        """See `Arrivals.next_due_ns`."""
        return int(self._due_ns[self._index]) if self._index < len(self._due_ns) else None

    def advance(self) -> None:
        """See `Arrivals.advance`."""
        self._index += self._workers

    def count_left(self) -> int:
        """See `Arrivals.count_left`."""
        left = len(range(self._index, len(self._due_ns), self._workers))
        self._index += left * self._workers
        return left
