"""Cost meter: takes the seconds of a run one by one, live or from a run file, and tells the cost per request."""

from __future__ import annotations

from collections.abc import Mapping

from fastload.model.bounded_rows import BoundedRows
from fastload.model.cost.aligned_seconds import AlignedRow, AlignedSeconds
from fastload.model.cost.target_cost import NOUNS, RECEIVED, SENT, TargetCost, Work, cost_of
from fastload.model.metrics import KEPT_TAGS, OTHER_NAME
from fastload.model.records import Snapshot
from fastload.model.series import CounterValue, RateValue, SeriesTable

_ENDED = {"http_req_failed": "request", "call_failed": "call"}
"""Metrics that count what ended by name, each with what that is."""
_COUNTERS = {
    "ws_msgs_sent": Work("message"),
    "ws_msgs_received": Work("message"),
    "data_sent": Work(SENT),
    "data_received": Work(RECEIVED),
}
COST_METRICS: frozenset[str | tuple[str, ...]] = frozenset(
    [*_COUNTERS, *((metric, *KEPT_TAGS[metric]) for metric in _ENDED)]
)
"""All metrics that are read: those without tags by name, the others as (name, tag, ...)."""
_MOST_ROWS = 1024
# More endpoints than can be told apart; the others of a run are one more.
_MOST_WORKS = 50


class CostMeter:
    """Meter of the cost per request in a run with a warm-up of *warmup_s*. Its memory is bounded: neighbouring seconds
    of a long run are added up."""

    def __init__(self, warmup_s: float) -> None:
        self._aligned: AlignedSeconds[Work] = AlignedSeconds(warmup_s)
        self._rows: BoundedRows[AlignedRow[Work]] = BoundedRows(_MOST_ROWS)
        self._works: set[Work] = set()
        self._is_sampled = False

    def add(self, snapshot: Snapshot) -> None:
        """Add the next second. It is neither kept nor changed."""
        if snapshot.target is None and not self._is_sampled:
            return
        self._is_sampled = True
        for row in self._aligned.add(snapshot, self._amounts(snapshot.table)):
            # A second without load says nothing of what a request costs.
            if any(amount for work, amount in row.amounts.items() if work.kind in NOUNS):
                self._rows.add(row)

    def cost(self) -> TargetCost | None:
        """Return the cost so far; None if no second tells it."""
        return cost_of(self._rows.rows)

    def _amounts(self, table: SeriesTable) -> Mapping[Work, float]:
        amounts: dict[Work, float] = {}
        amount: float
        for series, value in table.series_values.items():
            if isinstance(value, RateValue) and series.metric in _ENDED and series.is_kept:
                tags = dict(series.tags)
                work = self._admit(Work(_ENDED[series.metric], tags.get("method", ""), tags["name"]))
                amount = value.total
            elif isinstance(value, CounterValue) and series.metric in _COUNTERS and not series.tags:
                work, amount = _COUNTERS[series.metric], value.value
            else:
                continue
            amounts[work] = amounts.get(work, 0.0) + amount
        return amounts

    def _admit(self, work: Work) -> Work:
        if work in self._works:
            return work
        if len(self._works) >= _MOST_WORKS:
            return Work(work.kind, "", OTHER_NAME)
        self._works.add(work)
        return work
