"""Registry of the executors by load model, and the load of a scenario's warm-up."""

from __future__ import annotations

from typing import Any

from fastload.load.executors.base import ExecutionSegment, LoadExecutor
from fastload.load.executors.closed_model import (
    PerVUIterationsExecutor,
    RampingVUsExecutor,
    SharedIterationsExecutor,
    SteeredVUsExecutor,
)
from fastload.load.executors.open_model import ArrivalRateExecutor
from fastload.load.executors.slot_pool import SlotPool
from fastload.model import load_models

_EXECUTORS: dict[type[Any], Any] = {
    load_models.ConstantVUs: SteeredVUsExecutor,
    load_models.RampingVUs: RampingVUsExecutor,
    load_models.SharedIterations: SharedIterationsExecutor,
    load_models.PerVUIterations: PerVUIterationsExecutor,
    load_models.Shape: SteeredVUsExecutor,
    load_models.ExternallyControlled: SteeredVUsExecutor,
    load_models.ConstantArrivalRate: ArrivalRateExecutor,
    load_models.RampingArrivalRate: ArrivalRateExecutor,
    load_models.Trace: ArrivalRateExecutor,
}


def make_executor(
    spec: load_models.Executor, slot_pool: SlotPool, segment: ExecutionSegment, *, graceful_stop_s: float
) -> LoadExecutor:
    """Return the executor for the load model *spec* in one worker."""
    return _EXECUTORS[type(spec)](spec, slot_pool, segment, graceful_stop_s)  # type: ignore[no-any-return]


def warm_up_spec(spec: load_models.Executor, warmup_s: float) -> load_models.Executor:
    """Return the load of a warm-up of *warmup_s* before *spec*: its rate or VUs at the beginning; at least one VU, and
    one start a second instead of a rate of 0.

    A trace is warmed up with its mean rate, a shape with one VU.
    """
    match spec:
        case load_models.ConstantArrivalRate() | load_models.RampingArrivalRate() | load_models.Trace():
            rate_per_s = spec.begin_rate_per_s or 1.0
            return load_models.ConstantArrivalRate(rate_per_s, warmup_s, spec.max_vus, when_busy=spec.when_busy)
        case load_models.RampingVUs():
            vus = spec.start_vus
        case load_models.Shape():
            vus = 1
        case _:
            vus = spec.vus
    return load_models.ConstantVUs(max(1, vus), warmup_s, pacing_s=spec.pacing_s)
