"""Which options make which executor, and which make none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastload.model.errors import PlanError
from fastload.model.load_models import (
    EXECUTORS,
    ConstantArrivalRate,
    ConstantVUs,
    ExternallyControlled,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    Shape,
    SharedIterations,
    Trace,
)
from fastload.model.load_options import LoadOptions, TraceSource, build_executor, implied_executor, options_of

STAGES = ((10.0, 5), (20.0, 0))
RATES = ((10.0, 5.0), (20.0, 0.0))
TRACE = TraceSource("starts.txt", np.array([0, 1_000_000_000, 2_000_000_000]))


def follow(_seconds: float) -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "executor"),
    [
        ({}, SharedIterations(1, 1)),
        ({"vus": 3}, SharedIterations(3, 3)),
        ({"duration_s": 5.0}, ConstantVUs(1, 5.0)),
        ({"vus": 3, "duration_s": 5.0}, ConstantVUs(3, 5.0)),
        ({"iterations": 9}, SharedIterations(1, 9)),
        ({"vus": 3, "iterations": 9}, SharedIterations(3, 9)),
        ({"vus": 3, "iterations": 3, "duration_s": 5.0}, SharedIterations(3, 3, 5.0)),
        ({"stages": STAGES}, RampingVUs(STAGES)),
        ({"stages": STAGES, "start_vus": 2}, RampingVUs(STAGES, 2)),
        ({"stages": STAGES, "vus": 4, "start_vus": 2}, RampingVUs(STAGES, 4)),
        ({"stages": ((10.0, 0),), "vus": 4}, RampingVUs(((10.0, 0),), 4)),
        ({"rate_per_s": 50.0}, ConstantArrivalRate(50.0, 10.0, 100)),
        ({"rate_per_s": 50.0, "duration_s": 3.0, "vus": 7}, ConstantArrivalRate(50.0, 3.0, 7)),
        ({"rate_per_s": 50.0, "vus": 7, "max_vus": 9}, ConstantArrivalRate(50.0, 10.0, 9)),
    ],
)
def test_options_make_an_executor(options: dict[str, Any], executor: Any) -> None:
    assert build_executor(LoadOptions(**options)) == executor


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vus": 0}, "vus 0 is below 1"),
        ({"vus": 10**9}, "1,000,000,000 VUs are too many for one machine"),
        ({"stages": ((1.0, 10**7), (1.0, 0))}, "10,000,000 VUs are too many for one machine"),
        ({"iterations": -1}, "iterations -1 is below 1"),
        ({"rate_per_s": 1.0, "max_vus": 0}, "max-vus 0 is below 1"),
        ({"duration_s": 0.0}, "duration is 0"),
        ({"rate_per_s": 0.0}, "rate is 0"),
        ({"rate_per_s": -5.0}, "rate is 0"),
        ({"stages": STAGES, "iterations": 5}, "stages and iterations exclude each other"),
        ({"stages": STAGES, "duration_s": 5.0}, "stages and duration exclude each other"),
        ({"stages": STAGES, "rate_per_s": 5.0}, "stages and rate exclude each other"),
        ({"rate_per_s": 5.0, "iterations": 5}, "rate and iterations exclude each other"),
        ({"stages": ((0.0, 5),)}, "the stages have no time or no VUs"),
        ({"stages": ((5.0, 0),)}, "the stages have no time or no VUs"),
        ({"vus": 5, "iterations": 4}, "4 iterations cannot be shared by 5 VUs"),
    ],
)
def test_options_that_make_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        build_executor(LoadOptions(**options))
    assert caught.value.message == message
    assert caught.value.hint


def test_max_vus_without_a_rate_is_refused() -> None:
    with pytest.raises(PlanError, match="max-vus goes with a rate"):
        build_executor(LoadOptions(max_vus=5, duration_s=1.0))


@pytest.mark.parametrize(
    ("options", "executor"),
    [
        ({"executor": "per-vu-iterations", "vus": 2, "iterations": 5}, PerVUIterations(2, 5)),
        ({"executor": "per-vu-iterations"}, PerVUIterations(1, 1)),
        ({"executor": "constant-vus", "duration_s": 5.0, "pacing_s": 1.0}, ConstantVUs(1, 5.0, pacing_s=1.0)),
        ({"rate_stages": RATES}, RampingArrivalRate(RATES, 0.0, 100)),
        ({"rate_stages": RATES, "start_rate_per_s": 3.0, "max_vus": 5}, RampingArrivalRate(RATES, 3.0, 5)),
        (
            {"rate_per_s": 5.0, "arrivals": "poisson", "when_busy": "drop"},
            ConstantArrivalRate(5.0, 10.0, 100, "poisson", when_busy="drop"),
        ),
        ({"shape": follow, "max_vus": 7, "duration_s": 5.0}, Shape(follow, 7, 5.0)),
        ({"trace": TRACE, "duration_s": 1.5, "vus": 3}, Trace("starts.txt", TRACE.due_ns[:2], 1.5, 3)),
        ({"executor": "externally-controlled", "duration_s": 60.0}, ExternallyControlled(1, 100, 60.0)),
        (
            {"executor": "externally-controlled", "duration_s": 60.0, "vus": 5, "max_vus": 9},
            ExternallyControlled(5, 9, 60.0),
        ),
        (
            {"executor": "externally-controlled", "duration_s": 60.0, "rate_per_s": 5.0},
            ConstantArrivalRate(5.0, 60.0, 100),
        ),
        ({"stages": STAGES, "graceful_ramp_down_s": 0.0}, RampingVUs(STAGES, 0, 0.0)),
    ],
)
def test_options_beyond_the_short_forms(options: dict[str, Any], executor: Any) -> None:
    assert build_executor(LoadOptions(**options)) == executor


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"executor": "constant-vu"}, "there is no executor 'constant-vu'", "did you mean 'constant-vus'?"),
        ({"executor": "constant-vus"}, "constant-vus needs duration", 'write it like duration="30s"'),
        ({"executor": "ramping-vus"}, "ramping-vus needs stages", 'write it like stages=["30s:10", "1m:10"]'),
        (
            {"executor": "constant-arrival-rate"},
            "constant-arrival-rate needs rate",
            'write it like rate="100/s"',
        ),
        (
            {"executor": "constant-vus", "duration_s": 1.0, "rate_per_s": 5.0},
            "rate does not go with constant-vus",
            "it takes duration, pacing, vus",
        ),
        (
            {"vus": 1, "duration_s": 1.0, "arrivals": "poisson"},
            "arrivals does not go with constant-vus",
            "it takes duration, pacing, vus",
        ),
        ({"shape": follow, "trace": TRACE}, "trace and shape exclude each other", "give one of them"),
        ({"rate_stages": ((0.0, 5.0),)}, "the stages have no time or no rate", 'write them like "30s:100/s"'),
        (
            {"executor": "externally-controlled", "duration_s": 1.0, "vus": 9, "max_vus": 5},
            "vus 9 is over max-vus 5",
            "raise max_vus",
        ),
        ({"start_vus": -1, "stages": STAGES}, "start_vus -1 is below 0", "give 0 or more"),
    ],
)
def test_mistakes_name_the_option_and_the_remedy(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        build_executor(LoadOptions(**options))
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_every_executor_takes_what_it_means() -> None:
    """What decides for an executor goes with it."""
    for given in ({"trace"}, {"shape"}, {"rate_stages"}, {"rate_per_s"}, {"stages"}, {"iterations"}, {"duration_s"}):
        assert given <= {*options_of(implied_executor(given))}
    assert all(options_of(name) for name in EXECUTORS)
    assert not options_of("no-such-executor")
