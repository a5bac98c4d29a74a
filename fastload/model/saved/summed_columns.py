"""Columns: the values that a series has in neighbouring seconds of a saved run, on the way to their sum.

A column takes the plain data of a value as it is in the file, and checks and adds up all of them in one go. Neither an
object nor a list is kept for the value of a single second: millions of them would keep the garbage collector busy. The
sum is the one that reading and merging the values one by one gives, also where floats depend on the order.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import chain
from typing import Any, Protocol

import numpy as np

from fastload.model.histogram import Int64Array, indexes_of
from fastload.model.saved.codec import BUCKETS_AT_MOST, HIGHEST, trend_from_plain, value_from_plain
from fastload.model.saved.plain_types import MOST_WHOLE, any_number
from fastload.model.series import CounterValue, GaugeValue, RateValue, TrendValue

_NUMBERS = frozenset((int, float))
_MOMENTS = 6


class SummedColumn(Protocol):
    """The values of one series.

    Raises, from both methods:
        TypeError, ValueError, LookupError, OverflowError: a value has another form.
    """

    def add(self, plain: Any) -> None:
        """Add the plain data of the next value."""

    def total(self) -> Any:
        """Return the sum of the values, one or more."""


class _CounterColumn:
    def __init__(self) -> None:
        self._values: list[Any] = []

    def add(self, plain: Any) -> None:
        self._values.append(plain[0])

    def total(self) -> CounterValue:
        if not _NUMBERS.issuperset(map(type, self._values)):
            for value in self._values:
                any_number(value)
        return CounterValue(_in_order(self._values))


class _GaugeColumn:
    """SummedColumn of a gauge, of which a second has few: these are made one by one."""

    def __init__(self) -> None:
        self._values: list[GaugeValue] = []

    def add(self, plain: Any) -> None:
        self._values.append(value_from_plain("gauge", plain))

    def total(self) -> GaugeValue:
        whole, *others = self._values
        for value in others:
            whole.merge(value)
        return whole


class _RateColumn:
    def __init__(self) -> None:
        self._trues: list[Any] = []
        self._totals: list[Any] = []

    def add(self, plain: Any) -> None:
        if type(plain) is not list:
            raise ValueError("a rate has no numbers")
        self._trues.append(plain[0])
        self._totals.append(plain[1])

    def total(self) -> RateValue:
        trues, totals = self._trues, self._totals
        if set(map(type, chain(trues, totals))) != {int} or min(trues) < 0 or max(totals) > MOST_WHOLE:
            raise ValueError("a rate has no such numbers")
        if any(map(operator.gt, trues, totals)):
            raise ValueError("a rate has more true values than values")
        return RateValue(sum(trues), sum(totals))


class _TrendColumn:
    def __init__(self) -> None:
        # The first value, if it is one of no values: the sum counts up to what the first one counts up to.
        self._empty: TrendValue | None = None
        self._moments: list[Any] = []
        self._lengths: list[int] = []
        self._gaps, self._counts = array("q"), array("q")

    def add(self, plain: Any) -> None:
        gaps, counts = plain[_MOMENTS], plain[_MOMENTS + 1]
        if type(gaps) is not list or type(counts) is not list or len(gaps) != len(counts):
            raise ValueError("a histogram has no such buckets")
        if not gaps:
            empty = trend_from_plain(plain)
            if not self._lengths and self._empty is None:
                self._empty = empty
            return
        self._moments.extend(plain[:_MOMENTS])
        self._lengths.append(len(gaps))
        self._gaps.extend(gaps)
        self._counts.extend(counts)

    def total(self) -> TrendValue:
        if not self._lengths and self._empty is not None:
            return self._empty
        tops, clamped, totals, squares, lows, highs = (self._moments[place::_MOMENTS] for place in range(_MOMENTS))
        _check_bounds(tops, clamped, lows, highs)
        _check_sums(tops, totals, squares)
        index, counts, values = self._buckets()
        if any(map(operator.gt, clamped, values)):
            raise ValueError("a histogram has no such counts")
        moments = {"n": sum(values), "s": sum(totals), "q": _in_order([0.0, *squares]), "x": sum(clamped)}
        moments |= {"top": self._empty.highest if self._empty is not None else tops[0]}
        return TrendValue.from_parts(index, counts, moments | {"lo": min(lows), "hi": max(highs)})

    def _buckets(self) -> tuple[Int64Array, Int64Array, list[int]]:
        """Return the indexes and the counts of all buckets, and how many values each second has."""
        gaps, counts = (np.frombuffer(one, dtype=np.int64) for one in (self._gaps, self._counts))
        lengths = np.array(self._lengths)
        begins = np.cumsum(lengths) - lengths
        in_bounds = gaps.min() >= 0 and gaps.max() < BUCKETS_AT_MOST
        # Only the first index of a histogram may have no gap before it.
        ascending = in_bounds and np.count_nonzero(gaps == 0) == np.count_nonzero(gaps[begins] == 0)
        if not ascending or np.add.reduceat(gaps, begins).max() >= BUCKETS_AT_MOST:
            raise ValueError("a histogram has no such buckets")
        if counts.min() < 1 or counts.max() > HIGHEST // len(counts):
            raise ValueError("a histogram has no such counts")
        return indexes_of(gaps, lengths), counts, np.add.reduceat(counts, begins).tolist()


def _check_bounds(tops: Sequence[Any], clamped: Sequence[Any], lows: Sequence[Any], highs: Sequence[Any]) -> None:
    whole = set(map(type, chain(tops, clamped, lows, highs))) == {int}
    if not whole or min(tops) <= 0 or max(tops) > HIGHEST or min(*clamped, *lows, *highs) < 0:
        raise ValueError("a histogram has no such bounds")
    if any(map(operator.gt, lows, tops)) or any(map(operator.gt, highs, tops)):
        raise ValueError("a histogram has no such bounds")


def _check_sums(tops: Sequence[int], totals: Sequence[Any], squares: Sequence[Any]) -> None:
    whole = set(map(type, totals)) == {int}
    # The sum finds a value that is not a number: the least and the greatest of several do not.
    if not whole or min(totals) < 0 or not min(map(any_number, squares)) >= 0 or not sum(squares) >= 0:
        raise ValueError("a histogram has no such sum")
    if any(total > MOST_WHOLE * top for total, top in zip(totals, tops, strict=True)):
        raise ValueError("a histogram has no such sum")
    if any(square > float(MOST_WHOLE) * top * top for square, top in zip(squares, tops, strict=True)):
        raise ValueError("a histogram has no such sum")


def _in_order(values: Sequence[Any]) -> Any:
    """Return the sum of *values*, one after the other: since Python 3.12 `sum` adds floats in another way."""
    return reduce(operator.add, values)


COLUMNS: Mapping[str, Callable[[], SummedColumn]] = {
    "counter": _CounterColumn,
    "gauge": _GaugeColumn,
    "rate": _RateColumn,
    "trend": _TrendColumn,
}
"""How a column is made, by kind."""
