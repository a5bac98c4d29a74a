"""HDR histograms with three significant digits: recorded in bulk, merged exactly, quantiles never averaged.

The layout is HdrHistogram's (Gil Tene), so that hdrh writes and reads the same counts. The recording and the statistics
of hdrh are not used, because one `record_value` costs 600 ns and one mean 32 ms. Here a value costs about 7 ns: the
bucket index is computed for thousands of values at once.
"""

from __future__ import annotations

import math
import zlib
from array import array
from base64 import b64decode
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
from hdrh.histogram import HdrHistogram

from fastload.model.metrics import HIGHEST_US

if TYPE_CHECKING:
    # Importing numpy.typing takes 25 ms, which every import of fastload would cost.
    from numpy.typing import NDArray

Int64Array: TypeAlias = "NDArray[np.int64]"
FloatArray: TypeAlias = "NDArray[np.float64]"

SIGNIFICANT_DIGITS = 3
# Of HdrHistogram's V2 compressed encoding: what stands before the compressed part, and more than that ever unpacks to.
_ENCODED_HEAD_BYTES, _MOST_UNPACKED_BYTES = 8, 2**22

_HALF_BITS = 10  # HdrHistogram's sub-bucket half-count magnitude for 3 significant digits
_HALF = 1 << _HALF_BITS
_MASK = 2 * _HALF - 1
_FIRST_SIZE = 4 * _HALF


def bucket_index(values: Int64Array) -> Int64Array:
    """Return the bucket index of each value (>= 0, < 2**53), as HdrHistogram's ``countsArrayIndex``."""
    bucket = np.frexp((values | _MASK).astype(np.float64))[1].astype(np.int64) - (_HALF_BITS + 1)
    return (bucket << _HALF_BITS) + (values >> bucket)


def highest_equivalents(index: Int64Array) -> Int64Array:
    """Return the highest value that is counted in the bucket at each *index*."""
    bucket = np.maximum(0, (index >> _HALF_BITS) - 1)
    highest: Int64Array = ((index - (bucket << _HALF_BITS) + 1) << bucket) - 1
    return highest


class Histogram:
    """Histogram of non-negative integers up to *highest*, with the exact count, sum, minimum and maximum.

    Values outside ``0..highest`` are counted at the nearer end and in ``clamped``. Memory is bounded by *highest* and
    grows only as far as the largest value seen (192 KB for an hour in microseconds).

    A histogram from `from_sparse`, `from_gaps` or `pooled` holds only its non-empty buckets, mostly a few dozen, until
    values are added to it. Reading changes nothing, so that several threads may read the same histogram.
    """

    __slots__ = ("_dense", "_sparse", "clamped", "count", "highest", "max", "min", "sum", "sum_squares")

    # Either the counts of all buckets, or the indexes (ascending) and the counts of the non-empty buckets; these may be
    # the lists of `from_gaps`, or what `from_parts` got, until they are read, because most histograms of a saved run
    # never are.
    _dense: Int64Array | None
    _sparse: tuple[Int64Array, Int64Array] | tuple[list[int], list[int]] | _Unsummed

    def __init__(self, highest: int = HIGHEST_US) -> None:
        self.highest = highest
        self.reset()

    def reset(self) -> None:
        """Remove all values."""
        self._dense = np.zeros(_FIRST_SIZE, dtype=np.int64)
        self._forget_moments()

    @property
    def counts(self) -> Int64Array:
        """Counts of all buckets up to the last non-empty bucket, or further.

        For a histogram that holds only non-empty buckets, each access makes a new read-only array: see `used`.
        """
        if self._dense is not None:
            return self._dense
        counts = self._expanded()
        counts.flags.writeable = False
        return counts

    def used(self) -> tuple[Int64Array, Int64Array]:
        """Return the indexes (ascending) and the counts of the non-empty buckets."""
        if self._dense is None:
            if isinstance(self._sparse, _Unsummed):
                self._sparse = _summed(*self._sparse)
            elif isinstance(self._sparse[0], list):
                self._sparse = _joined([self])
            return self._sparse
        index = np.flatnonzero(self._dense)
        return index, self._dense[index]

    def fold(self, values: Int64Array) -> None:
        """Record many *values* at once: shape (n,), int64."""
        if not len(values):
            return
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > self.highest:
            inside = np.clip(values, 0, self.highest)
            self.clamped += int(np.count_nonzero(inside != values))
            values, low, high = inside, int(inside.min()), int(inside.max())
        if high == 0:
            # The usual case for connect and TLS times on reused connections.
            self._own(1)[0] += len(values)
            self._add_moments(len(values), 0, 0.0, 0, 0)
            return
        added = np.bincount(bucket_index(values))
        self._own(len(added))[: len(added)] += added
        as_float = values.astype(np.float64)
        # numpy's sum wraps around at 2**63: ten thousand values of 10**15 are enough for that.
        total = int(values.sum()) if high * len(values) < 2**63 else sum(values.tolist())
        self._add_moments(len(values), total, float(as_float @ as_float), low, high)

    def fold_floats(self, values: list[float], scale: int) -> None:
        """Record *values* times *scale*, rounded. Infinite values count at the nearer end, NaN at the lower end."""
        plain = np.nan_to_num(np.array(values, dtype=np.float64), nan=-1.0, posinf=1e15, neginf=-1.0)
        scaled = np.rint(np.clip(plain, -1, 1e15) * scale)
        self.fold(np.minimum(scaled, 2e18).astype(np.int64))

    def record(self, value: int) -> None:
        """Record one value. Use `fold` for many values."""
        self.fold(np.array([value], dtype=np.int64))

    def add(self, other: Histogram) -> None:
        """Merge *other* into this histogram. The result is exact, in any order and grouping of merges."""
        if not other.count:
            return
        if other._dense is None:
            index, counts = other.used()
            self._own(int(index[-1]) + 1)[index] += counts
        else:
            self._own(len(other._dense))[: len(other._dense)] += other._dense
        self._add_moments(other.count, other.sum, other.sum_squares, other.min, other.max)
        self.clamped += other.clamped

    def add_all(self, others: Sequence[Histogram]) -> None:
        """Merge *others*, one after the other: the same result as of `add`, and several times as fast for many."""
        index, counts = _joined(others)
        if len(index):
            np.add.at(self._own(int(index.max()) + 1), index, counts)
        for other in others:
            if other.count:
                self._add_moments(other.count, other.sum, other.sum_squares, other.min, other.max)
                self.clamped += other.clamped

    @classmethod
    def pooled(cls, parts: Sequence[Histogram]) -> Self:
        """Return the sum of *parts* (one or more), as a histogram that holds only its non-empty buckets."""
        pooled = cls._bare(parts[0].highest)
        pooled._forget_moments()
        pooled._sparse = _summed(*_joined(parts))
        for part in parts:
            if part.count:
                pooled._add_moments(part.count, part.sum, part.sum_squares, part.min, part.max)
                pooled.clamped += part.clamped
        return pooled

    def quantile(self, q: float) -> int | None:
        """Return the value that a share *q* (0..1) of all values does not exceed, within 0.1 %; None without values.

        The rank is rounded up, as HdrHistogram's Java original does, and the result is clamped to the exact
        minimum and maximum.
        """
        return next(iter(self.quantiles((q,))), None)

    def quantiles(self, shares: Sequence[float]) -> list[int]:
        """Return many quantiles at once, as `quantile`; empty without values."""
        if not self.count:
            return []
        ranks = np.maximum(1, np.ceil(np.asarray(shares, dtype=np.float64) * self.count - 1e-9))
        if self._dense is None:
            index, counts = self.used()
            places = index[np.minimum(np.searchsorted(np.cumsum(counts), ranks), len(index) - 1)]
        else:
            places = np.searchsorted(np.cumsum(self._dense), ranks)
        values: list[int] = np.clip(highest_equivalents(places), self.min, self.max).tolist()
        return values

    def counts_up_to(self, bounds: Sequence[int]) -> list[int]:
        """Return for each of *bounds*, in ascending order, how many values do not exceed it, within 0.1 % of it."""
        index, counts = self.used()
        places = np.searchsorted(highest_equivalents(index), np.asarray(bounds, dtype=np.int64), side="right")
        summed: list[int] = np.concatenate([[0], np.cumsum(counts)])[places].tolist()
        return summed

    @property
    def mean(self) -> float | None:
        """Exact mean; None without values."""
        return self.sum / self.count if self.count else None

    @property
    def stddev(self) -> float | None:
        """Standard deviation of the population; None without values."""
        if not self.count:
            return None
        mean = self.sum / self.count
        return math.sqrt(max(0.0, self.sum_squares / self.count - mean * mean))

    def to_sparse(self) -> dict[str, Any]:
        """Return the non-empty buckets and the moments, as plain data for a frame (little-endian arrays)."""
        index, counts = self.used()
        return {
            "i": index.astype("<u4").tobytes(),
            "c": counts.astype("<u8").tobytes(),
            "n": self.count,
            "s": self.sum,
            "q": self.sum_squares,
            "lo": self.min,
            "hi": self.max,
            "x": self.clamped,
            "top": self.highest,
        }

    @classmethod
    def from_sparse(cls, data: dict[str, Any]) -> Self:
        """Return the histogram of *data*, the result of `to_sparse`."""
        histogram = cls._bare(data["top"])
        # Use the int64 type of all other arrays: adding to one of these is twice as fast then.
        index = np.frombuffer(data["i"], dtype="<u4").astype(np.int64)
        histogram._sparse = index, np.frombuffer(data["c"], dtype="<i8")
        if len(index):
            histogram.count, histogram.sum, histogram.sum_squares = data["n"], int(data["s"]), data["q"]
            histogram.min, histogram.max, histogram.clamped = data["lo"], data["hi"], data["x"]
        else:
            histogram._forget_moments()
        return histogram

    @classmethod
    def from_gaps(cls, gaps: list[int], counts: list[int], data: dict[str, Any]) -> Self:
        """Return the histogram of *data*, as of `from_sparse`; its buckets are *counts* with *gaps* between indexes.

        Raises:
            ValueError: the indexes do not ascend, or there are not as many as counts.
        """
        total = sum(counts)
        # A sum of whole numbers is one: so nothing else is among them.
        whole = isinstance(total, int) and total < 2**63 and isinstance(sum(gaps), int)
        ascending = not gaps or (gaps[0] >= 0 and min(gaps[1:], default=1) >= 1)
        if not (whole and ascending and len(gaps) == len(counts) and min(counts, default=0) >= 0):
            raise ValueError("a histogram has no such buckets")
        histogram = cls._bare(data["top"])
        histogram._sparse = gaps, counts
        if gaps:
            histogram.count, histogram.sum, histogram.sum_squares = total, int(data["s"]), data["q"]
            histogram.min, histogram.max, histogram.clamped = data["lo"], data["hi"], data["x"]
        else:
            histogram._forget_moments()
        return histogram

    @classmethod
    def from_parts(cls, index: Int64Array, counts: Int64Array, data: dict[str, Any]) -> Self:
        """Return the sum of several histograms; *data* has the moments of the sum, as in `to_sparse`.

        *index* and *counts* are the non-empty buckets of one after the other. They are added up when they are read.
        """
        histogram = cls._bare(data["top"])
        histogram._sparse = _Unsummed(index, counts)
        histogram.count, histogram.sum, histogram.sum_squares = data["n"], data["s"], data["q"]
        histogram.min, histogram.max, histogram.clamped = data["lo"], data["hi"], data["x"]
        return histogram

    def compact_copy(self) -> Self:
        """Return a copy that holds only non-empty buckets; it may share them with this histogram."""
        copy = self._bare(self.highest)
        copy._sparse = self.used() if self._dense is not None else self._sparse
        copy.count, copy.sum, copy.sum_squares = self.count, self.sum, self.sum_squares
        copy.min, copy.max, copy.clamped = self.min, self.max, self.clamped
        return copy

    def to_hdr(self) -> HdrHistogram:
        """Return the same counts as an hdrh histogram, for its V2 encoding and its log files."""
        hdr = HdrHistogram(1, self.highest, SIGNIFICANT_DIGITS)
        view = np.frombuffer(hdr.counts, dtype=np.uint64)
        counts = self.counts
        used = min(len(view), len(counts))
        view[:used] = counts[:used].astype(np.uint64)
        if self.count:
            hdr.total_count, hdr.min_value, hdr.max_value = self.count, self.min, self.max
        return hdr

    def encode(self) -> str:
        """Return HdrHistogram's V2 compressed encoding in base64, which other tools can merge and plot."""
        return self.to_hdr().encode().decode("ascii")  # type: ignore[no-any-return]

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the histogram whose `encode` is *text*; sum, minimum and maximum are those of its buckets.

        Raises:
            ValueError: *text* is no such encoding, or one of a histogram with another layout.
        """
        try:
            unpacked = zlib.decompressobj()
            unpacked.decompress(b64decode(text, validate=True)[_ENCODED_HEAD_BYTES:], _MOST_UNPACKED_BYTES)
            hdr = None if unpacked.unconsumed_tail else HdrHistogram.decode(text)
        # hdrh raises errors of its own, of struct, of ctypes and of zlib.
        except Exception as error:
            raise ValueError(f"a histogram cannot be decoded: {error}") from error
        if hdr is None or (hdr.lowest_trackable_value, hdr.significant_figures) != (1, SIGNIFICANT_DIGITS):
            raise ValueError("a histogram cannot be decoded: it has another layout")
        counts = np.frombuffer(hdr.counts, dtype=np.uint64).astype(np.int64)
        index = np.flatnonzero(counts)
        used, values = counts[index], highest_equivalents(index)
        least, most = (int(values[0]), int(values[-1])) if len(index) else (0, 0)
        moments = {"n": int(used.sum()), "s": int(used @ values), "q": float(used @ values.astype(np.float64) ** 2)}
        return cls.from_parts(
            index, used, {"top": hdr.highest_trackable_value, "lo": least, "hi": most, "x": 0, **moments}
        )

    @classmethod
    def _bare(cls, highest: int) -> Self:
        """Return a histogram without buckets and moments. The caller sets both, so `__init__` would waste time."""
        histogram = cls.__new__(cls)
        histogram.highest, histogram._dense = highest, None
        return histogram

    def _own(self, size: int) -> Int64Array:
        """Return the writable counts of all buckets, for *size* buckets or more."""
        dense = self._dense
        if dense is None:
            dense = self._dense = self._expanded()
            del self._sparse
        if size > len(dense):
            grown = np.zeros(_room_for(size), dtype=np.int64)
            grown[: len(dense)] = dense
            dense = self._dense = grown
        return dense

    def _expanded(self) -> Int64Array:
        """Return the counts of all buckets, made from the non-empty buckets."""
        index, counts = self.used()
        dense = np.zeros(_room_for(int(index[-1]) + 1 if len(index) else 0), dtype=np.int64)
        dense[index] = counts
        return dense

    def _forget_moments(self) -> None:
        self.count = self.sum = self.max = self.clamped = 0
        self.min = self.highest
        self.sum_squares = 0.0

    def _add_moments(self, count: int, total: int, squares: float, low: int, high: int) -> None:
        self.count += count
        self.sum += total
        self.sum_squares += squares
        # Not min() and max(): this runs for each series in each second, and they take four times as long.
        if low < self.min:
            self.min = low
        if high > self.max:
            self.max = high


class _Unsummed(NamedTuple):
    """Buckets of several histograms, one after the other: an index may be there more than once."""

    indexes: Int64Array
    numbers: Int64Array


def _joined(parts: Sequence[Histogram]) -> tuple[Int64Array, Int64Array]:
    """Return the indexes and counts of the non-empty buckets of *parts*, one after the other."""
    gaps, counts, ready = [], [], []
    for part in parts:
        held = None if part._dense is not None else part._sparse
        if isinstance(held, _Unsummed):
            ready.append((held.indexes, held.numbers))
        elif held is not None and isinstance(held[0], list) and isinstance(held[1], list):
            if held[0]:
                gaps.append(held[0])
                counts.append(held[1])
        else:
            ready.append(part.used())
    if gaps:
        # All lists at once: one call of numpy costs as much as some hundred numbers.
        lengths = np.array([len(one) for one in gaps])
        ready.append((indexes_of(_as_array(gaps), lengths), _as_array(counts)))
    if len(ready) == 1:
        return ready[0]
    empty = [np.zeros(0, dtype=np.int64)]
    return np.concatenate([one for one, _ in ready] or empty), np.concatenate([one for _, one in ready] or empty)


def _summed(index: Int64Array, counts: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the indexes in order, each once, with the sums of their *counts*."""
    if not len(index):
        return index, counts
    order = index.argsort(kind="stable")
    index, counts = index[order], counts[order]
    begins = np.empty(len(index), dtype=np.bool_)
    begins[0] = True
    np.not_equal(index[1:], index[:-1], out=begins[1:])
    firsts = begins.nonzero()[0]
    return index[firsts], np.add.reduceat(counts, firsts)


def indexes_of(gaps: Int64Array, lengths: Int64Array) -> Int64Array:
    """Return the bucket indexes of several histograms of so many buckets, each one or more, from the gaps between."""
    index = np.cumsum(gaps)
    begins = np.cumsum(lengths) - lengths
    index -= np.repeat(index[begins] - gaps[begins], lengths)
    return index


def _as_array(lists: Sequence[list[int]]) -> Int64Array:
    """Return the numbers of *lists*; an array of the standard library takes them twice as fast as numpy does."""
    return np.frombuffer(array("q", chain.from_iterable(lists) if len(lists) > 1 else lists[0]), dtype=np.int64)


def _room_for(size: int) -> int:
    """Return the length of the counts array for *size* buckets: a multiple of `_HALF`, at least `_FIRST_SIZE`."""
    return max(_FIRST_SIZE, -(-size // _HALF) * _HALF)
