"""Intervals against published tables, and against what they promise: the truth is in them as often as they say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.compare.intervals import (
    Estimate,
    benjamini_hochberg,
    compare_groups,
    compare_two,
    quantile_estimate,
    rate_estimate,
    score_interval,
    share_estimate,
    variance_of,
)
from fastload.model.series import TrendValue
from fastload.model.student_t import t_quantile


def trend(values: object) -> TrendValue:
    sink = TrendValue()
    sink.fold(np.asarray(values, dtype=np.int64))
    return sink


def quantile_of(batches: Sequence[object], q: float) -> Estimate:
    series_values = [trend(values) for values in batches]
    whole = TrendValue()
    for sink in series_values:
        whole.merge(sink)
    return quantile_estimate(whole, series_values, q)


def test_the_score_interval_is_wilsons() -> None:
    assert score_interval(0.0, 10, 1.95996) == pytest.approx((0, 0.2775), abs=1e-4)
    assert score_interval(0.5, 10, 1.95996) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert score_interval(1.0, 10, 1.95996) == pytest.approx((0.7225, 1), abs=1e-4)


def test_the_interval_of_a_quantile_is_that_of_order_statistics() -> None:
    """Of 1,000 values the median lies between the 469th and the 532nd (binomial, 95 %)."""
    estimate = quantile_of([range(1, 1001)], 0.5)
    low, high = (math.exp(end) for end in estimate.bounds(1.95996, 1.0))
    assert (round(low), round(high)) == pytest.approx((469, 531), abs=1)
    assert math.exp(estimate.at) == pytest.approx(500)


def test_false_discoveries_are_those_of_the_paper() -> None:
    """The example of Benjamini and Hochberg (1995): four of fifteen hypotheses are rejected."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p += [0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg(p) == [True] * 4 + [False] * 11
    assert benjamini_hochberg(p[::-1]) == [False] * 11 + [True] * 4
    assert benjamini_hochberg([]) == []


def test_values_that_come_in_slow_and_quick_spells_have_a_wider_interval() -> None:
    chance = np.random.default_rng(1)
    even = [chance.integers(1, 1000, 200) for _ in range(10)]
    spells = [chance.integers(1, 1000, 200) + 300 * (number % 3) for number in range(10)]
    assert quantile_of(even, 0.5).effect < 3
    assert quantile_of(spells, 0.5).effect > 20


def test_a_course_that_both_runs_have_is_no_chance() -> None:
    chance = np.random.default_rng(1)
    a, b = ([chance.poisson(100 * (number + 1)) for number in range(10)] for _ in range(2))
    spans = np.ones(10)
    one, other = (rate_estimate(np.array(run, dtype=np.float64), spans, sum(run) / 10) for run in (a, b))
    paired, apart = compare_two(one, other, same_course=True), compare_two(one, other, same_course=False)
    assert paired is not None
    assert apart is not None
    assert paired.high - paired.low < 0.1
    assert apart.high - apart.low > 0.5


@given(
    st.integers(0, 2**32),
    st.sampled_from([0.5, 0.9, 0.99]),
    st.floats(0.7, 1.4),
    st.booleans(),
)
def test_the_chance_and_the_interval_say_the_same(seed: int, q: float, factor: float, same_course: bool) -> None:
    chance = np.random.default_rng(seed)
    a = quantile_of([chance.lognormal(8, 0.5, 200) for _ in range(8)], q)
    b = quantile_of([chance.lognormal(8, 0.5, 200) * factor for _ in range(8)], q)
    found = compare_two(a, b, same_course=same_course)
    if found is not None:
        assert found.low <= found.at <= found.high
        assert (found.p > 0.05) == (found.low <= 0 <= found.high) or found.p == pytest.approx(0.05, abs=1e-6)


def test_less_than_the_resolution_is_no_difference() -> None:
    """12 and 13 µs are stored values next to each other: between them there may be next to nothing."""
    a, b = quantile_of([[12] * 500] * 10, 0.5), quantile_of([[13] * 500] * 10, 0.5)
    c = quantile_of([[15] * 500] * 10, 0.5)
    near, far = compare_two(a, b, same_course=True), compare_two(a, c, same_course=True)
    assert near is not None
    assert far is not None
    assert near.low <= 0 <= near.high
    assert far.low > 0


def test_with_too_few_values_above_a_quantile_there_is_none() -> None:
    few, many = quantile_of([range(1, 91)] * 10, 0.99), quantile_of([range(1, 501)] * 10, 0.99)
    assert few.values == pytest.approx(9)
    assert compare_two(few, many, same_course=True) is None
    assert compare_two(many, many, same_course=True) is not None


def test_a_share_of_nothing_has_an_interval_too() -> None:
    none, some = (share_estimate(np.full(10, trues), np.full(10, 100.0)) for trues in (0.0, 2.0))
    assert none.bounds(1.96, 1.0) == pytest.approx((0, 0.0038), abs=1e-4)
    found = compare_two(none, some, same_course=True)
    assert found is not None
    assert found.at == pytest.approx(0.02)
    assert found.low > 0


def exactly(at: float) -> Estimate:
    """A figure that varies by nothing within its run."""
    return Estimate(at, np.zeros(5), 1.0, 0.0, lambda *_: (at, at), 100)


def test_repeated_runs_have_the_interval_of_welch() -> None:
    """Against a worked example: means 3 and 6 with variances 1 and 4 of three runs each."""
    a, b = ([exactly(at) for at in runs] for runs in ((2.0, 3.0, 4.0), (4.0, 6.0, 8.0)))
    found = compare_groups(a, b)
    error, freedom = math.sqrt(1 / 3 + 4 / 3), (5 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2)
    half = t_quantile(math.floor(freedom * 100) / 100) * error
    assert (found.at, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half))


def test_runs_that_agree_by_chance_prove_nothing() -> None:
    chance = np.random.default_rng(3)
    a, b = (quantile_of([chance.lognormal(8, 0.5, 50) for _ in range(10)], 0.5) for _ in range(2))
    found = compare_groups([a, a, a], [b, b, b])
    assert found.low < 0 < found.high


def test_a_run_alone_varies_as_the_repeated_ones_do() -> None:
    chance = np.random.default_rng(4)
    levels = 8 + chance.normal(0, 0.1, 6)
    runs = [quantile_of([chance.lognormal(level, 0.3, 400) for _ in range(10)], 0.5) for level in levels]
    alone, together = compare_groups(runs[:5], runs[5:]), compare_two(runs[0], runs[5], same_course=True)
    assert together is not None
    assert alone.high - alone.low > 3 * (together.high - together.low)


def test_the_truth_is_in_the_interval_as_often_as_it_says() -> None:
    chance = np.random.default_rng(5)
    missed = 0
    for _ in range(150):
        levels = chance.normal(8, 0.1, (2, 10))
        a, b = (quantile_of([chance.lognormal(one, 0.4, 100) for one in side], 0.95) for side in levels)
        found = compare_two(a, b, same_course=False)
        missed += found is not None and not found.low <= 0 <= found.high
    assert missed <= 13, "more than 9 % missed where 5 % may"


def test_the_variance_of_waves_is_that_of_their_sum() -> None:
    waves = np.random.default_rng(6).normal(0, 2, (4000, 8))
    found = [variance_of(one - one.mean()) for one in waves]
    assert np.mean(found) == pytest.approx(8 * 4, rel=0.05)
    assert variance_of(np.zeros(1)) == math.inf
