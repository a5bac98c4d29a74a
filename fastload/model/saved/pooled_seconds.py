"""Pooled seconds: a quick way through a long saved run, for readers that add up its tables anyway.

Decoding the histograms of a second one by one takes most of the time. Those of neighbouring seconds are pooled instead,
as they are in the file, with a few calls of numpy for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastload.model.records import Snapshot
from fastload.model.saved.codec import RunFileError, reason_of, series_from_row, snapshot_from_plain, unpack_payload
from fastload.model.series import SeriesTable, TrendValue

GroupOf = Callable[[int, float, float], Hashable]
"""Function of the number of a second (from 0), its ``t_s`` and ``span_s``: neighbours with one result are a group."""

# Rows that wait to be pooled: the memory of some 100 MB at most.
_MOST_ROWS = 20_000
_MOST_SECONDS = 64


def pooled_seconds(
    payloads: Iterable[bytes], group_of: GroupOf, metrics: Collection[str] | None = None
) -> Iterator[Snapshot]:
    """Yield the seconds of *payloads*. Only the last one of a group has a table: the exact sum of those of the group.

    A large group is cut into several. With *metrics*, the tables have only the series of these without tags.

    Raises:
        RunFileError: a second cannot be read.
    """
    pool = _TablePool(metrics)
    last: dict[str, Any] | None = None
    group: Hashable = None
    for number, payload in enumerate(payloads):
        plain = unpack_payload(payload)
        with _readable():
            its_group = group_of(number, plain["t_s"], plain["span_s"])
        if last is not None:
            yield snapshot_from_plain(last, pool.take() if its_group != group or pool.is_full else SeriesTable())
        with _readable():
            pool.add(plain)
        last, group = plain, its_group
    if last is not None:
        yield snapshot_from_plain(last, pool.take())


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise RunFileError(f"a second cannot be read: {reason_of(error)}") from error


class _TablePool:
    """The rows of the tables that were added since the last `take`, by series."""

    def __init__(self, metrics: Collection[str] | None) -> None:
        self._metrics = metrics
        self._rows: dict[Hashable, list[Any]] = {}
        self._count = self._seconds = 0

    @property
    def is_full(self) -> bool:
        return self._count >= _MOST_ROWS or self._seconds >= _MOST_SECONDS

    def add(self, plain: Mapping[str, Any]) -> None:
        rows, wanted = self._rows, self._metrics
        for row in plain["series"]:
            metric, tags = row[0], row[1]
            if wanted is not None and (tags or metric not in wanted):
                continue
            key = (metric, *tags) if tags else metric
            found = rows.get(key)
            if found is None:
                rows[key] = [row]
            else:
                found.append(row)
        self._count += len(plain["series"])
        self._seconds += 1

    def take(self) -> SeriesTable:
        """Return the sum of the tables."""
        table = SeriesTable()
        for rows in self._rows.values():
            with _readable():
                found = [one for row in rows if (one := series_from_row(row)) is not None]
            if not found:
                continue
            series, value = found[0]
            if any(type(other) is not type(value) for _, other in found):
                raise RunFileError(f"a second cannot be read: {series.metric:.40} has values of several kinds")
            if len(found) > 1 and type(value) is TrendValue:
                value = TrendValue.pooled_later([one for _, one in found])
            else:
                for _, other in found[1:]:
                    value.merge(other)
            table.series_values[series] = value
        self._rows, self._count, self._seconds = {}, 0, 0
        return table
