"""What is measured beside requests, by name: calls of any code, events of streams, sessions and messages of WebSockets.

A place keeps the values until the recorder folds them. Values of trends are microseconds, those of counters amounts,
those of rates 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastload.load.place import Names, Place
from fastload.model.metrics import BUILTIN, Kind, Series
from fastload.model.series import SeriesTable

if TYPE_CHECKING:
    from fastload.load.filters import Filters

# Values of one series between two folds; a stream may have far more of them than a worker has requests.
FOLD_AT_VALUES = 65_536


class Sampler:
    """Takes values by metric and name, and folds those of a place into a table: the total, the series of the name,
    and those that thresholds ask for."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._names = Names(filters.values_of("name"))
        self._table = SeriesTable()

    def add(
        self, place: Place, metric: str, name: str, value: int, tags: Mapping[str, str] | None = None, error: str = ""
    ) -> None:
        """One *value* of *metric*, measured in *place* under *name*; *error* is why it failed."""
        key = (metric, name) if tags is None and not error else self._key(metric, name, tags or {}, error)
        values = place.samples.get(key)
        if values is None:
            admitted = self._names.admit(name)
            values = place.samples.setdefault((metric, admitted, *key[2:]), [])
        values.append(value)
        if len(values) >= FOLD_AT_VALUES:
            self._fold_key(place, (metric, self._names.admit(name), *key[2:]), values, self._table)
            values.clear()

    def fold(self, place: Place, table: SeriesTable) -> None:
        """Add what *place* has to *table*; the place forgets it."""
        for key, values in place.samples.items():
            if values:
                self._fold_key(place, key, values, table)
        place.samples.clear()

    def take(self, table: SeriesTable) -> None:
        """Add what was folded early to *table*."""
        table.merge(self._table)
        self._table = SeriesTable()

    def _key(self, metric: str, name: str, tags: Mapping[str, str], error: str) -> tuple[str, ...]:
        own = {**tags, "error": error} if error else tags
        return (metric, name, *(text for pair in self._filters.relevant(own) for text in pair))

    def _fold_key(self, place: Place, key: tuple[str, ...], values: list[int], table: SeriesTable) -> None:
        metric, name, *flat = key
        tags = {"error": "", **place.tags, **dict(zip(flat[::2], flat[1::2], strict=True)), "name": name}
        kind = BUILTIN[metric].kind
        for series in (*self._filters.series_of(metric, tags), Series.of(metric, name_=name)):
            if kind is Kind.TREND:
                table.trend(series).fold(np.array(values, dtype=np.int64))
            elif kind is Kind.COUNTER:
                table.counter(series).value += sum(values)
            else:
                rate = table.rate(series)
                rate.trues += sum(values)
                rate.total += len(values)
