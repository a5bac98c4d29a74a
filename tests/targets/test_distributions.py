"""Distributions of times: what the texts mean, and what is said of those that mean nothing."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.targets.distributions import parse_distribution

SAMPLES = 20_000


def draw(text: str, count: int = SAMPLES) -> list[float]:
    source = random.Random(5)
    distribution = parse_distribution(text, what="latency")
    return [distribution.sample_s(source) for _ in range(count)]


@given(low=st.integers(0, 5000), width=st.integers(0, 5000), seed=st.integers())
def test_a_range_is_kept(low: int, width: int, seed: int) -> None:
    distribution = parse_distribution(f"{low}ms..{low + width}ms", what="latency")
    source = random.Random(seed)
    for _ in range(20):
        assert low / 1e3 - 1e-9 <= distribution.sample_s(source) <= (low + width) / 1e3 + 1e-9


@given(
    text=st.sampled_from(["20ms", "normal(1ms,20ms)", "exp(5ms)", "lognormal(1ms,1h)", "0s", "normal(0s,1s)"]),
    seed=st.integers(),
)
def test_no_time_is_below_zero(text: str, seed: int) -> None:
    distribution, source = parse_distribution(text, what="latency"), random.Random(seed)
    assert min(distribution.sample_s(source) for _ in range(50)) >= 0


def test_a_fixed_time_is_always_the_same() -> None:
    assert set(draw("1m30s", 5)) == {90.0}


def test_a_range_is_uniform() -> None:
    quartiles = statistics.quantiles(draw("10ms..50ms"))
    assert quartiles == pytest.approx([0.02, 0.03, 0.04], rel=0.03)


def test_normal_has_its_mean_and_deviation() -> None:
    drawn = draw("normal(20ms,5ms)")
    assert statistics.mean(drawn) == pytest.approx(0.02, rel=0.02)
    assert statistics.stdev(drawn) == pytest.approx(0.005, rel=0.03)


def test_exp_has_its_mean_and_shape() -> None:
    drawn = draw("exp(20ms)")
    assert statistics.mean(drawn) == pytest.approx(0.02, rel=0.03)
    assert statistics.median(drawn) == pytest.approx(0.02 * 0.6931, rel=0.03)


def test_lognormal_has_its_percentiles() -> None:
    percentiles = statistics.quantiles(draw("lognormal(p50=20ms,p99=200ms)"), n=100)
    assert percentiles[49] == pytest.approx(0.02, rel=0.03)
    assert percentiles[98] == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize(
    ("by_order", "by_name"),
    [
        ("normal(20ms,5ms)", " normal( sd=5ms , mean=20ms ) "),
        ("exp(20ms)", "exp(mean=20ms)"),
        ("lognormal(20ms,200ms)", "lognormal(20ms,p99=200ms)"),
    ],
)
def test_parameters_go_by_order_or_by_name(by_order: str, by_name: str) -> None:
    assert draw(by_order, 100) == draw(by_name, 100)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("20", "--latency '20' is not a duration", "20s"),
        ("", "--latency '' is not a duration", "10s|30s"),
        ("50ms..10ms", "ends before it begins", "10ms..50ms"),
        ("10ms..", "is not a duration", ""),
        ("norm(20ms,5ms)", "no distribution is called 'norm'", "did you mean 'normal'"),
        ("pareto(1s)", "no distribution is called 'pareto'", "lognormal"),
        ("exp()", "is not a duration", ""),
        ("exp(1s,2s)", "exp takes mean", "exp"),
        ("normal(1s)", "normal takes mean and sd", ""),
        ("normal(1s,mean=2s)", "normal takes mean and sd", ""),
        ("normal(1s,var=2s)", "normal takes mean and sd", ""),
        ("lognormal(200ms,20ms)", "p99 not below", ""),
        ("lognormal(0s,20ms)", "p50 must be above zero", ""),
        ("normal(20,5ms)", "mean '20' is not a duration", "20s"),
    ],
)
def test_what_means_nothing_is_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        parse_distribution(text, what="--latency")
    if hint:
        assert any(part in caught.value.hint for part in hint.split("|"))
