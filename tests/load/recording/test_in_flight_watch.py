"""The number of requests in flight, as it is read, in simulated runs: what the check by Little's law makes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from fastload.load.recording.in_flight_watch import InFlightWatch
from fastload.model.judging.littles_law import LittlesLaw
from fastload.model.judging.stalls import probe_intervals_us
from fastload.model.points import FloatArray
from fastload.model.records import WorkerStats

DURATION_S = 10.0
SEEDS = 16


class Requests(NamedTuple):
    """When each request began and ended, in s."""

    begins: FloatArray
    ends: FloatArray


def constant(rate: float, chance: np.random.Generator) -> FloatArray:
    del chance
    return np.arange(0, DURATION_S, 1 / rate)


def poisson(rate: float, chance: np.random.Generator) -> FloatArray:
    return np.sort(chance.uniform(0, DURATION_S, chance.poisson(rate * DURATION_S)))


def bursts(rate: float, chance: np.random.Generator) -> FloatArray:
    """All requests of a second at once, at its begin."""
    del chance
    return np.repeat(np.arange(DURATION_S), int(rate))


def ramp(rate: float, chance: np.random.Generator) -> FloatArray:
    """From nothing to twice the rate."""
    return np.sort(DURATION_S * np.sqrt(chance.uniform(0, 1, int(rate * DURATION_S))))


def free(begins: FloatArray, mean_s: float, chance: np.random.Generator) -> Requests:
    """Each request takes a time of its own, a few of them very long."""
    return Requests(begins, begins + chance.lognormal(np.log(mean_s) - 0.5, 1.0, len(begins)))


def fixed(begins: FloatArray, mean_s: float, chance: np.random.Generator) -> Requests:
    del chance
    return Requests(begins, begins + mean_s)


def in_line(begins: FloatArray, mean_s: float, chance: np.random.Generator) -> Requests:
    """One after the other, so that a line grows where more come than are served."""
    ends, free_s = [], 0.0
    for begin, served in zip(begins, chance.exponential(mean_s, len(begins)), strict=True):
        free_s = max(free_s, begin) + served
        ends.append(free_s)
    return Requests(begins, np.array(ends))


CASES = [
    (arrivals, rate, service, mean_s)
    for arrivals in (constant, poisson, bursts, ramp)
    for rate, service, mean_s in (
        (5.0, free, 0.0005),
        (100.0, fixed, 0.01),
        (200.0, free, 0.05),
        (200.0, in_line, 0.0045),
        (50.0, in_line, 0.03),
        (1000.0, free, 0.002),
    )
]


FINDABLE = [case for case in CASES if case[0] is not bursts and case[3] >= 0.03]
"""Cases of long requests, which many readings see."""


def watched(requests: Requests, chance: np.random.Generator, *, times: float = 1.0) -> LittlesLaw:
    """Both sides in a run with these *requests*, of which the histograms have *times* what each took."""
    watch, at_s = InFlightWatch(), 0.0
    begins, ends = requests.begins, np.sort(requests.ends)
    intervals = probe_intervals_us()
    watch.note(0, 1)
    while at_s < ends[-1]:
        # The loop wakes up late now and then.
        at_s += next(intervals) / 1e6 + chance.exponential(0.0003) + (0.03 if chance.random() < 0.001 else 0.0)
        now = np.searchsorted(begins, at_s, side="right") - np.searchsorted(ends, at_s, side="right")
        watch.note(int(now), 1 + round(at_s * 1e9))
    stats = WorkerStats()
    watch.take(stats)
    # No VU has two of them at once.
    in_flight = np.arange(1, len(begins) + 1) - np.searchsorted(ends, begins, side="right")
    taken_s = times * (requests.ends - requests.begins)
    return LittlesLaw(
        watched_s=stats.watched_s,
        in_flight_s=stats.in_flight_s,
        variance=stats.in_flight_variance,
        peak=max(1, int(in_flight.max())),
        answered=len(begins),
        mean_s=float(taken_s.mean()),
        wait_s=0.0003,
    )


@pytest.mark.parametrize(("arrivals", "rate", "service", "mean_s"), CASES)
def test_right_accounts_never_alarm(arrivals: object, rate: float, service: object, mean_s: float) -> None:
    for seed in range(SEEDS):
        chance = np.random.default_rng(seed)
        law = watched(service(arrivals(rate, chance), mean_s, chance), chance)  # type: ignore[operator]
        assert law.holds, (seed, law, law.times_s, law.tolerance_s)


@pytest.mark.parametrize(("arrivals", "rate", "service", "mean_s"), FINDABLE)
@pytest.mark.parametrize("times", [0.5, 2.0])
def test_wrong_times_are_found(arrivals: object, rate: float, service: object, mean_s: float, times: float) -> None:
    for seed in range(SEEDS // 4):
        chance = np.random.default_rng(seed)
        law = watched(service(arrivals(rate, chance), mean_s, chance), chance, times=times)  # type: ignore[operator]
        assert not law.holds, (seed, law, law.times_s, law.tolerance_s)


def test_a_step_within_an_interval_counts_half_and_has_a_variance() -> None:
    watch, stats = InFlightWatch(), WorkerStats()
    for in_flight, at_s in ((0, 1.0), (4, 1.01), (4, 1.03), (0, 1.04)):
        watch.note(in_flight, round(at_s * 1e9))
    watch.take(stats)
    assert stats.watched_s == pytest.approx(0.04)
    assert stats.in_flight_s == pytest.approx(0.02 + 0.08 + 0.02)
    assert stats.in_flight_variance == pytest.approx(2 * 0.04**2 / 2)


def test_each_integral_begins_where_the_last_one_ended() -> None:
    watch, stats = InFlightWatch(), WorkerStats()
    watch.note(3, 1_000_000_000)
    watch.take(stats)
    watch.note(3, 1_500_000_000)
    watch.take(stats)
    assert (stats.watched_s, stats.in_flight_s) == (0.5, 1.5)
    watch.take(stats)
    assert (stats.watched_s, stats.in_flight_s) == (0.0, 0.0)
