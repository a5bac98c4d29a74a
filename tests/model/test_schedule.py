"""Schedules: shares, ramps and due times, in no time at all."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastload.model.schedule import NS_PER_S, due_ns, share, starts_within, vu_changes, vus_at

stages = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0]), st.integers(0, 40)), max_size=5)
rates = st.floats(0.05, 50_000) | st.integers(1, 2_000).map(float)


@given(st.integers(0, 10**6), st.integers(1, 64))
def test_shares_add_up_and_differ_by_one_at_most(total: int, workers: int) -> None:
    shares = [share(total, worker, workers) for worker in range(workers)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@given(st.integers(0, 200), st.integers(1, 9))
def test_a_share_is_what_dealing_in_turn_gives(total: int, workers: int) -> None:
    assert [share(total, worker, workers) for worker in range(workers)] == [
        len(range(worker, total, workers)) for worker in range(workers)
    ]


@pytest.mark.parametrize(
    ("elapsed_s", "vus"), [(-1, 2), (0, 2), (5, 6), (9.99, 10), (10, 10), (15, 10), (20, 4), (25, 4), (99, 4)]
)
def test_vus_follow_the_stages(elapsed_s: float, vus: int) -> None:
    assert vus_at(2, [(10.0, 10), (10.0, 10), (0.0, 4)], elapsed_s) == vus


@given(st.integers(0, 20), stages, st.floats(0, 60))
def test_the_changes_say_what_vus_at_says(start: int, ramp: list[tuple[float, int]], elapsed_s: float) -> None:
    changes = vu_changes(start, ramp)
    times = [time for time, _ in changes]
    # At the very moment of a change, rounding decides; a nanosecond beside it, nothing does.
    if min(abs(elapsed_s - time) for time in times) > 1e-9:
        assert changes[bisect_right(times, elapsed_s) - 1][1] == vus_at(start, ramp, elapsed_s)


@given(st.integers(0, 20), stages)
def test_changes_ascend_one_vu_at_a_time_within_a_stage(start: int, ramp: list[tuple[float, int]]) -> None:
    changes = vu_changes(start, [(max(duration, 0.5), target) for duration, target in ramp])
    assert changes[0] == (0.0, start)
    for (before_s, before), (after_s, after) in pairwise(changes):
        assert before_s < after_s
        assert abs(after - before) == 1
    assert changes[-1][1] == (ramp[-1][1] if ramp else start)


def test_a_stage_of_no_time_jumps() -> None:
    assert vu_changes(1, [(0.0, 5), (10.0, 5), (0.0, 0)]) == [(0.0, 1), (0.0, 5), (10.0, 0)]


def test_a_ramp_changes_where_it_crosses_half_a_vu() -> None:
    assert vu_changes(0, [(10.0, 2)]) == [(0.0, 0), (2.5, 1), (7.5, 2)]


@given(rates, st.integers(1, 16), st.integers(0, 300))
def test_the_workers_together_keep_one_schedule(rate_per_s: float, workers: int, count: int) -> None:
    alone = [due_ns(index, rate_per_s, 0, 1) for index in range(count)]
    together = sorted(
        due_ns(index, rate_per_s, worker, workers)
        for worker in range(workers)
        for index in range(share(count, worker, workers))
    )
    assert together == alone


def test_due_times_do_not_drift() -> None:
    assert due_ns(3, 3.0, 0, 1) == NS_PER_S
    assert due_ns(7_000_000, 7.0, 0, 1) == 1_000_000 * NS_PER_S
    assert due_ns(1, 10.0, 2, 4) == 6 * NS_PER_S // 10


@given(st.floats(0.01, 20) | st.integers(1, 3000).map(lambda hundredths: hundredths / 100), st.floats(0.05, 500))
@example(0.07, 100.0)
@example(0.29, 100.0)
@example(1.1, 10.0)
@example(10.0, 0.1)
def test_starts_within_counts_the_due_times_before_the_end(duration_s: float, rate_per_s: float) -> None:
    end_ns = round(duration_s * NS_PER_S)
    expected = 0
    while due_ns(expected, rate_per_s, 0, 1) < end_ns:
        expected += 1
    assert starts_within(duration_s, rate_per_s, 0, 1) == expected


@given(st.integers(1, 2_000), st.integers(1, 500))
def test_starts_within_has_no_rounding_errors(hundredths: int, rate: int) -> None:
    exact = Fraction(hundredths, 100) * rate
    assert starts_within(hundredths / 100, float(rate), 0, 1) == -(-exact.numerator // exact.denominator)


@given(st.integers(1, 1000), st.integers(1, 500), st.integers(1, 9))
def test_every_workers_starts_are_before_the_end(hundredths: int, rate: int, workers: int) -> None:
    duration_s, rate_per_s = hundredths / 100, float(rate)
    counts = [starts_within(duration_s, rate_per_s, worker, workers) for worker in range(workers)]
    assert sum(counts) == starts_within(duration_s, rate_per_s, 0, 1)
    for worker, count in enumerate(counts):
        assert due_ns(count, rate_per_s, worker, workers) >= round(duration_s * NS_PER_S)
        assert count == 0 or due_ns(count - 1, rate_per_s, worker, workers) < round(duration_s * NS_PER_S)


def test_no_duration_has_no_starts() -> None:
    assert starts_within(0.0, 1000.0, 0, 1) == 0
