"""Pooled seconds: a quick way through a long saved run, for readers that add up its tables anyway.

Decoding the histograms of a second one by one takes most of the time. Those of neighbouring seconds are added up
instead, as they are in the file, with a few calls of numpy for all of them (`summed_columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastload.model.metrics import Series
from fastload.model.records import Snapshot
from fastload.model.saved.codec import RunFileError, reason_of, series_of, snapshot_from_plain, unpack_payload
from fastload.model.saved.summed_columns import COLUMNS, SummedColumn
from fastload.model.series import SeriesTable

GroupOf = Callable[[int, float, float], Hashable]
"""Function of the number of a second (from 0), its ``t_s`` and ``span_s``: neighbours with one result are a group."""
Wanted = Collection[str | tuple[str, ...]]
"""Metrics to be read: ``NAME`` is the series without tags, ``(NAME, TAG, ...)`` are those with just these tags."""

# Values that wait to be added up: the memory of some 100 MB at most.
_MOST_ROWS = 20_000
_MOST_SECONDS = 64
_ERRORS = (KeyError, TypeError, ValueError, IndexError, OverflowError)


def pooled_seconds(payloads: Iterable[bytes], group_of: GroupOf, metrics: Wanted | None = None) -> Iterator[Snapshot]:
    """Yield the seconds of *payloads*. Only the last one of a group has a table: the exact sum of those of the group.

    Likewise only that one has thresholds and a verdict. A large group is cut into several. With *metrics*, the tables
    have only the series of these.

    Raises:
        RunFileError: a second cannot be read.
    """
    pool = _TablePool(metrics)
    last: dict[str, Any] | None = None
    group: Hashable = None
    for number, payload in enumerate(payloads):
        plain = unpack_payload(payload)
        try:
            its_group = group_of(number, plain["t_s"], plain["span_s"])
        except _ERRORS as error:
            raise _unreadable(error) from error
        if last is not None:
            if its_group != group or pool.is_full:
                yield snapshot_from_plain(last, pool.take())
            else:
                yield snapshot_from_plain(last, SeriesTable(), has_state=False)
        pool.add(plain)
        last, group = plain, its_group
    if last is not None:
        yield snapshot_from_plain(last, pool.take())


def _unreadable(error: Exception) -> RunFileError:
    return RunFileError(f"a second cannot be read: {reason_of(error)}")


class _TablePool:
    """The values of the tables that were added since the last `take`, by series."""

    def __init__(self, metrics: Wanted | None) -> None:
        self._metrics = metrics
        self._columns: dict[Hashable, tuple[Series, str, SummedColumn]] = {}
        self._count = self._seconds = 0

    @property
    def is_full(self) -> bool:
        return self._count >= _MOST_ROWS or self._seconds >= _MOST_SECONDS

    def add(self, plain: Mapping[str, Any]) -> None:
        """Add the table of a second.

        Raises:
            RunFileError: it cannot be read.
        """
        try:
            self._add(plain)
        except _ERRORS as error:
            raise _unreadable(error) from error

    def _add(self, plain: Mapping[str, Any]) -> None:
        columns, wanted = self._columns, self._metrics
        for row in plain["series"]:
            metric, tags, kind = row[0], row[1], row[2]
            if wanted is not None and ((metric, *tags[::2]) if tags else metric) not in wanted:
                continue
            key = (metric, *tags) if tags else metric
            found = columns.get(key)
            if found is None or found[1] != kind:
                if kind not in COLUMNS:
                    continue
                found = self._new(key, row)
            found[2].add(row[3])
        self._count += len(plain["series"])
        self._seconds += 1

    def take(self) -> SeriesTable:
        """Return the sum of the tables.

        Raises:
            RunFileError: a value cannot be read.
        """
        try:
            table = SeriesTable({series: column.total() for series, _, column in self._columns.values()})
        except _ERRORS as error:
            raise _unreadable(error) from error
        self._columns, self._count, self._seconds = {}, 0, 0
        return table

    def _new(self, key: Hashable, row: Sequence[Any]) -> tuple[Series, str, SummedColumn]:
        series, kind = series_of(row[0], row[1]), row[2]
        if key in self._columns:
            raise ValueError(f"{series.metric:.40} has values of several kinds")
        found = self._columns[key] = (series, kind, COLUMNS[kind]())
        return found
