"""HDR histograms with three significant digits: recorded in bulk, merged exactly, quantiles never averaged.

The layout is HdrHistogram's (Gil Tene), so hdrh writes and reads the same counts; its Python recording and
statistics are not used, because one `record_value` costs 600 ns and one mean 32 ms. Here a value costs about
7 ns: the bucket index is computed for thousands of values at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from hdrh.histogram import HdrHistogram

from fastload.model.metrics import HIGHEST_US

if TYPE_CHECKING:
    # numpy.typing takes 25 ms to import, and whoever imports fastload would pay for it.
    from numpy.typing import NDArray

Int64Array: TypeAlias = "NDArray[np.int64]"

SIGNIFICANT_DIGITS = 3

_HALF_BITS = 10  # HdrHistogram's sub-bucket half-count magnitude for 3 significant digits
_HALF = 1 << _HALF_BITS
_MASK = 2 * _HALF - 1
_FIRST_SIZE = 4 * _HALF


def bucket_index(values: Int64Array) -> Int64Array:
    """The counts index of each value (>= 0, < 2**53), as HdrHistogram's ``countsArrayIndex`` has it."""
    bucket = np.frexp((values | _MASK).astype(np.float64))[1].astype(np.int64) - (_HALF_BITS + 1)
    return (bucket << _HALF_BITS) + (values >> bucket)


def highest_equivalents(index: Int64Array) -> Int64Array:
    """The highest value that is counted at each *index*."""
    bucket = np.maximum(0, (index >> _HALF_BITS) - 1)
    highest: Int64Array = ((index - (bucket << _HALF_BITS) + 1) << bucket) - 1
    return highest


class Histogram:
    """Counts of non-negative integers up to *highest*, with the exact count, sum, minimum and maximum beside.

    Values outside ``0..highest`` are counted at the nearer end and in ``clamped``. Memory is bounded by
    *highest* and grows only as far as the largest value seen (188 KB for an hour in microseconds).
    """

    __slots__ = ("clamped", "count", "counts", "highest", "max", "min", "sum", "sum_squares")

    def __init__(self, highest: int = HIGHEST_US) -> None:
        self.highest = highest
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.counts: Int64Array = np.zeros(_FIRST_SIZE, dtype=np.int64)
        self.count = self.sum = self.max = self.clamped = 0
        self.min = self.highest
        self.sum_squares = 0.0

    def fold(self, values: Int64Array) -> None:
        """Record many *values* at once (any shape (n,), int64)."""
        if not len(values):
            return
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > self.highest:
            inside = np.clip(values, 0, self.highest)
            self.clamped += int(np.count_nonzero(inside != values))
            values, low, high = inside, int(inside.min()), int(inside.max())
        if high == 0:
            # The usual case of connect and TLS times on kept connections.
            self.counts[0] += len(values)
            self._add_moments(len(values), 0, 0.0, 0, 0)
            return
        added = np.bincount(bucket_index(values))
        self._grow(len(added))
        self.counts[: len(added)] += added
        as_float = values.astype(np.float64)
        # Past 2**63 numpy's sum wraps around: ten thousand values of 10**15 are enough.
        total = int(values.sum()) if high * len(values) < 2**63 else sum(values.tolist())
        self._add_moments(len(values), total, float(as_float @ as_float), low, high)

    def fold_floats(self, values: list[float], scale: int) -> None:
        """Record *values* times *scale*, rounded; what is not finite counts at the nearer end, NaN at the lower."""
        plain = np.nan_to_num(np.array(values, dtype=np.float64), nan=-1.0, posinf=1e15, neginf=-1.0)
        scaled = np.rint(np.clip(plain, -1, 1e15) * scale)
        self.fold(np.minimum(scaled, 2e18).astype(np.int64))

    def record(self, value: int) -> None:
        """Record one value; for the rare ones, `fold` is for the many."""
        self.fold(np.array([value], dtype=np.int64))

    def add(self, other: Histogram) -> None:
        """Merge *other* into this: exact, in any order and grouping."""
        if other.count:
            self._grow(len(other.counts))
            self.counts[: len(other.counts)] += other.counts
            self._add_moments(other.count, other.sum, other.sum_squares, other.min, other.max)
            self.clamped += other.clamped

    def quantile(self, q: float) -> int | None:
        """The value that a share *q* (0..1) of all values does not exceed, within 0.1 %; None without values.

        The rank is rounded up, as HdrHistogram's Java original does, and the result is clamped to the exact
        minimum and maximum.
        """
        return next(iter(self.quantiles((q,))), None)

    def quantiles(self, shares: Sequence[float]) -> list[int]:
        """As `quantile`, for many at once; empty without values."""
        if not self.count:
            return []
        ranks = np.maximum(1, np.ceil(np.asarray(shares, dtype=np.float64) * self.count - 1e-9))
        places = np.searchsorted(np.cumsum(self.counts), ranks)
        values: list[int] = np.clip(highest_equivalents(places), self.min, self.max).tolist()
        return values

    @property
    def mean(self) -> float | None:
        """Exact; None without values."""
        return self.sum / self.count if self.count else None

    @property
    def stddev(self) -> float | None:
        """Of the population; None without values."""
        if not self.count:
            return None
        mean = self.sum / self.count
        return math.sqrt(max(0.0, self.sum_squares / self.count - mean * mean))

    def to_sparse(self) -> dict[str, Any]:
        """The non-empty buckets and the moments, as plain data for a frame (little-endian arrays)."""
        index = np.flatnonzero(self.counts)
        return {
            "i": index.astype("<u4").tobytes(),
            "c": self.counts[index].astype("<u8").tobytes(),
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
        """The histogram whose `to_sparse` is *data*."""
        histogram = cls(data["top"])
        index = np.frombuffer(data["i"], dtype="<u4")
        if len(index):
            histogram._grow(int(index[-1]) + 1)
            histogram.counts[index] = np.frombuffer(data["c"], dtype="<u8").astype(np.int64)
            histogram._add_moments(data["n"], int(data["s"]), data["q"], data["lo"], data["hi"])
        histogram.clamped = data["x"]
        return histogram

    def to_hdr(self) -> HdrHistogram:
        """The same counts as an hdrh histogram, for its V2 encoding and its log files."""
        hdr = HdrHistogram(1, self.highest, SIGNIFICANT_DIGITS)
        view = np.frombuffer(hdr.counts, dtype=np.uint64)
        used = min(len(view), len(self.counts))
        view[:used] = self.counts[:used].astype(np.uint64)
        if self.count:
            hdr.total_count, hdr.min_value, hdr.max_value = self.count, self.min, self.max
        return hdr

    def encode(self) -> str:
        """HdrHistogram's V2 compressed encoding in base64, which other tools merge and plot."""
        return self.to_hdr().encode().decode("ascii")  # type: ignore[no-any-return]

    def _grow(self, size: int) -> None:
        if size > len(self.counts):
            grown = np.zeros(max(size, 2 * len(self.counts)), dtype=np.int64)
            grown[: len(self.counts)] = self.counts
            self.counts = grown

    def _add_moments(self, count: int, total: int, squares: float, low: int, high: int) -> None:
        self.count += count
        self.sum += total
        self.sum_squares += squares
        self.min = min(self.min, low)
        self.max = max(self.max, high)
