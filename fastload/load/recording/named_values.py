"""Named values: samples beside requests, of measured calls, events of streams, and sessions and messages of WebSockets.

A scope keeps the values until the recorder folds them. Values are microseconds for trends, amounts for counters, and
0 or 1 for rates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastload.load.recording.filters import VOLUMES, Filters
from fastload.load.recording.scope import NameLimit, Scope
from fastload.model.metrics import BUILTIN, Kind, Series
from fastload.model.names import as_name
from fastload.model.series import SeriesTable

_COUNTED_AS_A_WHOLE = (*VOLUMES, "http_req_retried", "http_auth_challenges")
"""Metrics without a series of each name."""
# Between two deltas, streams may have far more events than a worker has requests.
FOLD_AT_VALUES = 16_384


class NamedValues:
    """Collector of values by metric and name. It folds the values of a scope into a table: into the total, the series
    of the name, and the series that thresholds ask for."""

    def __init__(self, filters: Filters, names: NameLimit) -> None:
        self._filters = filters
        self._names = names

    def add(
        self,
        scope: Scope,
        table: SeriesTable,
        metric: str,
        name: str,
        value: int,
        tags: Mapping[str, str] | None = None,
        error: str = "",
    ) -> None:
        """Add one *value* of *metric*, measured in *scope* under *name*; *error* is the kind of its failure.

        From `FOLD_AT_VALUES` values on, they go into *table* at once, so that memory is bounded.
        """
        key = (metric, name) if tags is None and not error else self._key(metric, name, tags or {}, error)
        values = scope.samples.get(key)
        if values is None:
            key = (metric, self._names.admit(as_name(name, "the name of a call")), *key[2:])
            values = scope.samples.setdefault(key, [])
        values.append(value)
        if len(values) >= FOLD_AT_VALUES:
            self.fold(scope, table)

    def fold(self, scope: Scope, table: SeriesTable) -> None:
        """Move the values of *scope* to *table*."""
        for (metric, name, *flat), values in scope.samples.items():
            tags = {"error": "", **scope.tags, **dict(zip(flat[::2], flat[1::2], strict=True)), "name": name}
            for series in self._filters.series_of(metric, tags):
                _fold_into(table, series, values)
            if metric not in _COUNTED_AS_A_WHOLE:
                _fold_into(table, Series.of(metric, name_=name), values)
        scope.samples.clear()

    def _key(self, metric: str, name: str, tags: Mapping[str, str], error: str) -> tuple[str, ...]:
        own = {**tags, "error": error} if error else tags
        return (metric, name, *(text for pair in self._filters.relevant(own) for text in pair))


def _fold_into(table: SeriesTable, series: Series, values: list[int]) -> None:
    match BUILTIN[series.metric].kind:
        case Kind.TREND:
            table.trend(series).fold(np.array(values, dtype=np.int64))
        case Kind.COUNTER:
            table.counter(series).value += sum(values)
        case _:
            rate = table.rate(series)
            rate.trues += sum(values)
            rate.total += len(values)
