"""The target's CPU time per request, compared over made-up runs whose costs are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.comparison import NO_DIFFERENCE, ComparisonSide, compare_sides
from tests.model.cost.sampled_runs import ramp, seconds
from tests.model.runs import PLAN, batched, lognormal, make_header, seconds_of


def sampled(name: str, cost_ms: float, *, seed: int = 1, warmup_s: float = 0.0) -> BatchedRun:
    """A run on a ramp, whose target uses so much CPU time for each request."""
    noise = np.random.default_rng(seed)
    run = list(seconds({"/": ramp(20, 200, 30)}, {"/": cost_ms}, 30, noise=noise, warmup_s=warmup_s))
    header = make_header({"warmup_s": warmup_s, "scenarios": [PLAN["scenarios"][0] | {"duration_s": 30.0 - warmup_s}]})
    return batched(name, run, header)


@pytest.mark.parametrize(("cost_ms", "verdict"), [(2.0, NO_DIFFERENCE), (2.5, "worse"), (1.6, "better")])
def test_the_cpu_time_per_request_is_judged_as_a_detail(cost_ms: float, verdict: str) -> None:
    sides = [ComparisonSide("a", [sampled("a", 2.0)]), ComparisonSide("b", [sampled("b", cost_ms, seed=2)])]
    compared = compare_sides(sides)
    [row] = [row for row in compared.rows if row.figure.section == "target"]
    assert (row.figure.subject, row.figure.name, row.figure.better) == ("target_cpu_per_request", "mean", "lower")
    assert row.values == pytest.approx((2.0, cost_ms), rel=0.02)
    assert row.changes[0].verdict == verdict
    assert not row.is_headline
    low, high = row.changes[0].low, row.changes[0].high
    assert low is not None
    assert high is not None
    assert low < cost_ms / 2 - 1 < high


def test_the_cpu_time_per_request_leaves_out_the_warm_up() -> None:
    run = sampled("a", 2.0, warmup_s=5.0)
    assert run.cpu_ms_per_request == pytest.approx(2.0, rel=0.02)
    assert run.cpu_requests.all()
    # From 5.2 s to 29.2 s, at 20 + 6 t requests a second.
    assert run.cpu_requests.sum() == pytest.approx(20 * 24 + 3 * (29.2**2 - 5.2**2), rel=0.001)


def test_without_a_sampled_target_there_is_no_cpu_time_per_request() -> None:
    made = seconds_of(lognormal(), np.random.default_rng(1))
    plain = batched("a", [replace(second, target=None) for second in made])
    assert plain.cpu_ms_per_request is None
    compared = compare_sides([ComparisonSide("a", [plain]), ComparisonSide("b", [plain])])
    assert not [row for row in compared.rows if row.figure.section == "target"]
    other = compare_sides([ComparisonSide("a", [plain]), ComparisonSide("b", [sampled("b", 2.0)])])
    [row] = [row for row in other.rows if row.figure.section == "target"]
    assert (row.values[0], row.changes[0].why) == (None, "only in B")
