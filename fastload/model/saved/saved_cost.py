"""Cost per request by the seconds of a saved run: the file has no summary, or one of an earlier version."""

from __future__ import annotations

from collections.abc import Iterable

from fastload.model.cost.cost_meter import CostMeter
from fastload.model.cost.target_cost import TargetCost
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.saved_plan import saved_plan


def cost_by_seconds(header: RunHeader, seconds: Iterable[Snapshot]) -> TargetCost | None:
    """Return the cost by *seconds*, which need no other series than those of `COST_METRICS`; None if none tells it."""
    meter = CostMeter(saved_plan(header.plan).warmup_s)
    for second in seconds:
        meter.add(second)
    return meter.cost()
