"""The own delay: what an event at any moment waits for a loop, from probes that a stall itself leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.judging.own_delay import own_delays_us
from fastload.model.judging.stalls import PROBE_INTERVAL_US
from fastload.model.series import TrendValue


def lag(*values_us: int) -> TrendValue:
    trend = TrendValue()
    trend.fold(np.array(values_us, dtype=np.int64))
    return trend


def test_without_probes_there_is_none() -> None:
    assert own_delays_us(None, (0.5,)) == []
    assert own_delays_us(TrendValue(), (0.5,)) == []


def test_short_delays_are_as_they_were_measured() -> None:
    probes = lag(*range(1, 101))
    assert (
        own_delays_us(probes, (0.5, 0.95, 0.99, 1.0)) == probes.quantiles((0.5, 0.95, 0.99, 1.0)) == [50, 95, 99, 100]
    )


def test_a_stall_counts_by_its_length() -> None:
    """1 s of 10 s: the closed form of a freeze, P(delay > x) = (F - x) / T."""
    probes = lag(*[0] * 900, 1_000_000)
    delays = own_delays_us(probes, (0.5, 0.95, 0.99))
    assert delays == pytest.approx([0, 500_000, 900_000], abs=PROBE_INTERVAL_US)
    assert probes.quantiles((0.5, 0.95, 0.99)) == [0, 0, 0], "the probes alone have one value for the second"


@given(st.lists(st.one_of(st.integers(0, 9_000), st.integers(0, 3_000_000)), min_size=1, max_size=40))
def test_it_is_what_probes_at_each_10_ms_would_have_measured(values_us: list[int]) -> None:
    each = [late for value in values_us for late in range(value, -1, -PROBE_INTERVAL_US)]
    shares = (0.05, 0.5, 0.9, 0.99, 1.0)
    for share, found in zip(shares, own_delays_us(lag(*values_us), shares), strict=True):
        exact = sorted(each)[max(0, int(np.ceil(share * len(each) - 1e-9)) - 1)]
        # A histogram knows a value to a thousandth, so it may be uncertain whether one event more waited for the loop.
        assert found == pytest.approx(exact, rel=0.002, abs=PROBE_INTERVAL_US + 0.002 * max(values_us))
