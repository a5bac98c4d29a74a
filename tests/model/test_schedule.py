"""Schedules: shares, ramps and due times, in no time at all."""

from __future__ import annotations

import math
from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastload.model.schedule import NS_PER_S, Arrivals, RateCurve, TraceArrivals, share, vu_changes, vus_at

stages = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0]), st.integers(0, 40)), max_size=5)


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


# Rates.

quarters = st.integers(0, 80).map(lambda quarters: Fraction(quarters, 4))
rate_stages = st.lists(st.tuples(quarters, quarters.map(lambda rate: rate * 3)), min_size=1, max_size=6)
many = st.integers(1, 4)


def curve_of(start: Fraction, ramp: list[tuple[Fraction, Fraction]]) -> RateCurve:
    return RateCurve(float(start), [(float(duration), float(rate)) for duration, rate in ramp])


def exact_integral(start: Fraction, ramp: list[tuple[Fraction, Fraction]], at_s: Fraction) -> Fraction:
    """Trapezoids, in fractions."""
    begin_s, rate, integral = Fraction(0), start, Fraction(0)
    for duration_s, target in ramp:
        lasting_s = min(duration_s, max(Fraction(0), at_s - begin_s))
        if lasting_s:
            end_rate = rate + (target - rate) * lasting_s / duration_s
            integral += lasting_s * (rate + end_rate) / 2
        begin_s, rate = begin_s + duration_s, target
    return integral


def drained(arrivals: Arrivals | TraceArrivals, most: int = 100_000) -> list[int]:
    """All starts that are left."""
    starts: list[int] = []
    while (at_ns := arrivals.next_due_ns()) is not None and len(starts) < most:
        starts.append(at_ns)
        arrivals.advance()
    return starts


@given(quarters, rate_stages, st.fractions(0, 120, max_denominator=1000))
def test_the_integral_is_the_sum_of_trapezoids(
    start: Fraction, ramp: list[tuple[Fraction, Fraction]], at_s: Fraction
) -> None:
    curve = curve_of(start, ramp)
    assert curve.integral(float(at_s)) == pytest.approx(float(exact_integral(start, ramp, at_s)), abs=1e-6)
    end_s = sum((duration for duration, _ in ramp), Fraction(0))
    assert curve.end_s == float(end_s)
    assert curve.total == pytest.approx(float(exact_integral(start, ramp, end_s)), abs=1e-9)


@given(quarters, rate_stages)
def test_start_i_is_where_the_integral_reaches_i(start: Fraction, ramp: list[tuple[Fraction, Fraction]]) -> None:
    starts = drained(Arrivals(curve_of(start, ramp), first=1, end_counts=True))
    end_s = sum((duration for duration, _ in ramp), Fraction(0))
    assert len(starts) == int(exact_integral(start, ramp, end_s)), "the fraction that is left at the end is no start"
    assert starts == sorted(starts)
    nanosecond = Fraction(1, NS_PER_S)
    for number, at_ns in list(enumerate(starts, 1))[:: max(1, len(starts) // 40)]:
        at_s = Fraction(at_ns, NS_PER_S)
        # Within a nanosecond, and what rounding may take from sums of fractions.
        slack = Fraction(1, 10**8)
        assert exact_integral(start, ramp, at_s - nanosecond) <= number + slack
        assert exact_integral(start, ramp, at_s + nanosecond) >= number - slack


def test_a_ramp_from_zero_has_its_starts_at_square_roots() -> None:
    starts = drained(Arrivals(RateCurve(0.0, [(5.0, 1.0)]), first=1, end_counts=True))
    assert starts == [round(math.sqrt(10 * number) * NS_PER_S) for number in (1, 2)]
    assert [round(at_ns / 1e6) for at_ns in starts] == [3162, 4472]


def test_fractions_carry_over_stages() -> None:
    # Ten stages of 0.1 starts each are one start, at the very end; a twentieth one is the second.
    assert drained(Arrivals(RateCurve(1.0, [(0.1, 1.0)] * 10), first=1, end_counts=True)) == [NS_PER_S]
    assert drained(Arrivals(RateCurve(0.1, [(1.0, 0.1)] * 20), first=1, end_counts=True)) == [
        10 * NS_PER_S,
        20 * NS_PER_S,
    ]
    # 1.5 starts in the first second, 1.5 in the second: the second start is 1/3 s into the second stage.
    starts = drained(Arrivals(RateCurve(1.5, [(1.0, 1.5), (0.0, 0.75), (2.0, 0.75)]), first=1, end_counts=True))
    assert starts == [round(NS_PER_S / 1.5), round(NS_PER_S * (1 + 0.5 / 0.75)), 3 * NS_PER_S]


def test_a_stage_of_no_time_jumps_to_its_rate() -> None:
    curve = RateCurve(1.0, [(2.0, 1.0), (0.0, 10.0), (0.5, 10.0)])
    assert [curve.integral(at_s) for at_s in (1.0, 2.0, 2.25, 2.5, 9.0)] == [1.0, 2.0, 4.5, 7.0, 7.0]
    starts = drained(Arrivals(curve, first=1, end_counts=True))
    assert starts == [at * NS_PER_S // 10 for at in (10, 20, 21, 22, 23, 24, 25)]


def test_a_stage_of_rate_zero_is_a_gap() -> None:
    starts = drained(Arrivals(RateCurve(2.0, [(1.0, 2.0), (0.0, 0.0), (60.0, 0.0), (0.0, 2.0), (1.0, 2.0)]), first=1))
    assert starts == [at * NS_PER_S // 2 for at in (1, 2, 123)]
    assert drained(Arrivals(RateCurve(0.0, [(60.0, 0.0)]))) == []
    assert drained(Arrivals(RateCurve(5.0, []))) == []


def test_what_is_due_at_the_end_counts_only_when_asked() -> None:
    curve = [(2.0, 1.0)]
    assert len(drained(Arrivals(RateCurve(1.0, curve), first=1, end_counts=True))) == 2
    assert len(drained(Arrivals(RateCurve(1.0, curve), first=1))) == 1
    assert drained(Arrivals(RateCurve(1.0, curve))) == [0, NS_PER_S]


@given(st.floats(0.05, 5_000) | st.integers(1, 2_000).map(float), st.floats(0.01, 3))
@example(100.0, 0.07)
@example(100.0, 0.29)
@example(10.0, 1.1)
def test_a_constant_rate_is_i_over_rate(rate: float, duration_s: float) -> None:
    starts = drained(Arrivals(RateCurve(rate, [(duration_s, rate)])))
    assert starts == [round(number * NS_PER_S / rate) for number in range(len(starts))]
    end_ns = round(duration_s * NS_PER_S)
    assert starts[-1] < end_ns <= round(len(starts) * NS_PER_S / rate)


@given(quarters, rate_stages, many, st.sampled_from(["constant", "uniform", "poisson"]), st.booleans(), st.data())
def test_what_is_left_is_counted_as_if_it_were_made(
    start: Fraction,
    ramp: list[tuple[Fraction, Fraction]],
    workers: int,
    kind: str,
    end_counts: bool,
    data: st.DataObject,
) -> None:
    def made() -> Arrivals:
        curve = curve_of(start, ramp)
        return Arrivals(curve, kind=kind, seed="7", worker=workers - 1, workers=workers, end_counts=end_counts)

    starts = drained(made())
    arrivals = made()
    before = data.draw(st.integers(0, len(starts)))
    for _ in range(before):
        arrivals.advance()
    assert arrivals.count_left() == len(starts) - before
    assert arrivals.count_left() == 0
    assert arrivals.next_due_ns() is None


def test_what_is_left_of_a_high_rate_is_counted_at_once() -> None:
    arrivals = Arrivals(RateCurve(1e6, [(10 * 3600.0, 1e6)]), worker=1, workers=2)
    assert arrivals.count_left() == 18_000_000_000
    trace = TraceArrivals(range(1_000_000), worker=2, workers=3)
    assert (trace.count_left(), trace.count_left(), trace.next_due_ns()) == (333_333, 0, None)


def test_due_times_do_not_drift() -> None:
    curve = RateCurve(7.0, [(2_000_000.0, 7.0)])
    assert curve.due_ns(7_000_000.0) == 1_000_000 * NS_PER_S
    ramp = RateCurve(0.0, [(1_000_000.0, 100.0)])
    # rate = t / 10,000, so the integral is t**2 / 20,000.
    assert ramp.due_ns(50_000_000.0) == 1_000_000 * NS_PER_S


@given(quarters, rate_stages, many, st.sampled_from(["constant", "uniform", "poisson"]))
def test_the_workers_together_keep_one_schedule(
    start: Fraction, ramp: list[tuple[Fraction, Fraction]], workers: int, kind: str
) -> None:
    alone = drained(Arrivals(curve_of(start, ramp), kind=kind, first=1, seed="7:visit"))
    parts = [
        drained(Arrivals(curve_of(start, ramp), kind=kind, first=1, seed="7:visit", worker=worker, workers=workers))
        for worker in range(workers)
    ]
    assert parts == [alone[worker::workers] for worker in range(workers)], "they take turns: no bursts"


class TestByChance:
    SECONDS = 20_000

    def starts(self, kind: str, seed: str = "1:visit", rate: float = 1.0) -> list[float]:
        curve = RateCurve(rate, [(self.SECONDS / rate, rate)])
        return [at_ns / NS_PER_S for at_ns in drained(Arrivals(curve, kind=kind, seed=seed))]

    def test_uniform_has_one_start_in_each_interval(self) -> None:
        starts = self.starts("uniform")
        assert [int(at_s) for at_s in starts] == list(range(self.SECONDS))
        places = [at_s % 1 for at_s in starts]
        assert sum(places) / len(places) == pytest.approx(0.5, abs=5 / math.sqrt(12 * self.SECONDS))
        tenths = [sum(int(place * 10) == tenth for place in places) for tenth in range(10)]
        assert min(tenths) > 1_800
        assert max(tenths) < 2_200

    def test_poisson_has_exponential_gaps(self) -> None:
        starts = self.starts("poisson")
        # The count has the variance of its mean.
        assert abs(len(starts) - self.SECONDS) < 4 * math.sqrt(self.SECONDS)
        gaps = [after - before for before, after in pairwise([0.0, *starts])]
        mean = sum(gaps) / len(gaps)
        assert mean == pytest.approx(1.0, abs=4 / math.sqrt(self.SECONDS))
        variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
        # The fourth moment of gaps about their mean is 9: the variance of the variance is 8 / n.
        assert variance == pytest.approx(1.0, abs=4 * math.sqrt(8 / self.SECONDS))
        longer = sum(gap > 1 for gap in gaps) / len(gaps)
        assert longer == pytest.approx(math.exp(-1), abs=0.02)

    def test_poisson_counts_by_second_have_the_variance_of_the_mean(self) -> None:
        counts = [0] * (self.SECONDS // 10)
        for at_s in self.starts("poisson", rate=10.0):
            counts[int(at_s)] += 1
        mean = sum(counts) / len(counts)
        variance = sum((count - mean) ** 2 for count in counts) / len(counts)
        assert 0.85 < variance / mean < 1.15

    @pytest.mark.parametrize("kind", ["uniform", "poisson"])
    def test_the_seed_decides(self, kind: str) -> None:
        assert self.starts(kind) == self.starts(kind)
        assert self.starts(kind) != self.starts(kind, seed="2:visit")

    @pytest.mark.parametrize("kind", ["uniform", "poisson"])
    def test_it_follows_a_ramp(self, kind: str) -> None:
        curve = RateCurve(0.0, [(100.0, 200.0)])
        starts = [at_ns / NS_PER_S for at_ns in drained(Arrivals(curve, kind=kind, seed="3"))]
        for at_s in (25.0, 50.0, 75.0, 100.0):
            made, due = sum(one < at_s for one in starts), at_s**2
            assert abs(made - due) < (2 if kind == "uniform" else 4 * math.sqrt(due))


class TestChangeOfRate:
    @given(
        quarters,
        rate_stages,
        st.lists(st.tuples(st.floats(0, 60), st.sampled_from([0.0, 0.5, 3.0, 17.3])), min_size=1, max_size=4),
    )
    def test_the_integral_goes_on_from_where_it_was(
        self, start: Fraction, ramp: list[tuple[Fraction, Fraction]], changes: list[tuple[float, float]]
    ) -> None:
        curve = curve_of(start, ramp)
        for at_s, rate in sorted(changes):
            before = [curve.integral(at_s * part) for part in (0.25, 0.5, 1.0)]
            curve.change(at_s, rate)
            assert [curve.integral(at_s * part) for part in (0.25, 0.5, 1.0)] == pytest.approx(before, abs=1e-6)
            later_s = max(at_s, min(curve.end_s, at_s + 2.0))
            grown = curve.integral(later_s) - curve.integral(at_s)
            assert grown == pytest.approx(rate * (later_s - at_s), abs=1e-6)
            assert curve.total == pytest.approx(curve.integral(curve.end_s + 1), abs=1e-6)

    def test_starts_after_a_change(self) -> None:
        arrivals = Arrivals(RateCurve(1.0, [(10.0, 1.0)]))
        for _ in range(3):
            arrivals.advance()
        # 2.5 starts were due by then: the next, of number 3, is half a start away.
        arrivals.change_rate(2.5, 5.0)
        assert drained(arrivals)[:3] == [2_600_000_000, 2_800_000_000, 3_000_000_000]

    def test_to_zero_and_back(self) -> None:
        arrivals = Arrivals(RateCurve(1.0, [(10.0, 1.0)]))
        arrivals.advance()
        arrivals.change_rate(0.5, 0.0)
        assert arrivals.next_due_ns() is None
        arrivals.change_rate(8.0, 1.0)
        assert drained(arrivals) == [8_500_000_000, 9_500_000_000]

    def test_before_the_stage_of_the_next_start(self) -> None:
        arrivals = Arrivals(RateCurve(0.0, [(1.0, 0.0), (1.0, 0.0), (0.0, 10.0), (1.0, 10.0)]), first=1)
        assert arrivals.next_due_ns() == 2_100_000_000
        arrivals.change_rate(0.5, 4.0)
        assert arrivals.next_due_ns() == 750_000_000

    def test_after_the_end_it_changes_nothing(self) -> None:
        curve = RateCurve(1.0, [(10.0, 1.0)])
        curve.change(10.0, 99.0)
        curve.change(12.0, 99.0)
        assert (curve.integral(9.0), curve.integral(11.0), curve.total, curve.end_s) == (9.0, 10.0, 10.0, 10.0)

    def test_workers_change_together(self) -> None:
        def made(worker: int, workers: int) -> list[int]:
            arrivals = Arrivals(RateCurve(10.0, [(5.0, 10.0)]), worker=worker, workers=workers)
            before = []
            while (at_ns := arrivals.next_due_ns()) is not None and at_ns < 1.23 * NS_PER_S:
                before.append(at_ns)
                arrivals.advance()
            arrivals.change_rate(1.23, 37.0)
            return before + drained(arrivals)

        alone = made(0, 1)
        assert len(alone) == int(12.3 + 3.77 * 37) + 1
        assert [made(worker, 3) for worker in range(3)] == [alone[worker::3] for worker in range(3)]


@given(st.lists(st.integers(0, 10**12), max_size=50).map(sorted), many)
def test_a_trace_is_dealt_in_turn(due_ns: list[int], workers: int) -> None:
    parts = [drained(TraceArrivals(due_ns, worker=worker, workers=workers)) for worker in range(workers)]
    assert parts == [due_ns[worker::workers] for worker in range(workers)]
