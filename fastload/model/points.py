"""Single samples, for outputs that want them: what one worker measured in one second, as columns and tag sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from fastload.model.histogram import Int64Array
from fastload.model.metrics import HTTP_TRENDS

FloatArray = npt.NDArray[np.float64]


class RequestColumns(NamedTuple):
    """Requests, one item of each array (n,) for each of them.

    *time_ns*: when it ended, since the epoch. *sets*: the number of its tag set. *times_us*: of those that got a
    response, by name all of `HTTP_TRENDS`, and ``http_req_response_time``, which is -1 without a due time; of those
    that got none, `LOST_TRENDS`.
    """

    time_ns: Int64Array
    sets: Int64Array
    times_us: Mapping[str, Int64Array]


class ValueColumns(NamedTuple):
    """Values of one metric that come by themselves, in its unit; 0 and 1 for a rate. Arrays as of `RequestColumns`."""

    time_ns: Int64Array
    values: FloatArray
    sets: Int64Array


_TIMES = (*HTTP_TRENDS, "http_req_response_time")
LOST_TRENDS = tuple(metric for metric in HTTP_TRENDS if metric not in ("http_req_lookup", "http_req_total"))
"""The times that single samples have of a request without a response, as k6's have: how long each phase took, and 0 for
those that it did not come to. No metric of a run has them."""


@dataclass(slots=True)
class PointBlock:
    """The samples of one worker in one second. It means the same without the blocks before it.

    *requests* got a response, *lost* got none.

    *tag_sets* are fastload's own tags: ``group`` has no ``::`` before it, ``error`` is the kind of error. Requests have
    ``url``, ``method``, ``name``, ``status``, ``expected_response`` ("true" or "false"), and ``proto`` ("1.1", "2"),
    ``tls_version`` ("1.3") and ``error`` where there is one.
    """

    tag_sets: list[dict[str, str]] = field(default_factory=list)
    requests: RequestColumns | None = None
    values: dict[str, ValueColumns] = field(default_factory=dict)
    lost: RequestColumns | None = None

    def to_plain(self) -> dict[str, Any]:
        """Plain data for a frame: arrays are little-endian bytes."""
        return {
            "tags": [[text for pair in tags.items() for text in pair] for tags in self.tag_sets],
            "requests": _requests_to_plain(self.requests, _TIMES),
            "lost": _requests_to_plain(self.lost, LOST_TRENDS),
            "values": [
                [metric, _ints(columns.time_ns), columns.values.astype("<f8").tobytes(), _ints(columns.sets)]
                for metric, columns in self.values.items()
            ],
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """The block whose `to_plain` is *data*."""
        return cls(
            [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in data["tags"]],
            _requests_from_plain(data["requests"], _TIMES),
            {
                metric: ValueColumns(_array(time_ns), np.frombuffer(values, dtype="<f8"), _array(sets))
                for metric, time_ns, values, sets in data["values"]
            },
            _requests_from_plain(data["lost"], LOST_TRENDS),
        )


def _requests_to_plain(requests: RequestColumns | None, trends: Iterable[str]) -> list[bytes] | None:
    if requests is None:
        return None
    return [_ints(requests.time_ns), _ints(requests.sets), *(_ints(requests.times_us[metric]) for metric in trends)]


def _requests_from_plain(columns: Iterable[bytes] | None, trends: Iterable[str]) -> RequestColumns | None:
    if columns is None:
        return None
    time_ns, sets, *times = (_array(column) for column in columns)
    return RequestColumns(time_ns, sets, dict(zip(trends, times, strict=True)))


def _ints(values: Int64Array) -> bytes:
    return values.astype("<i8").tobytes()


def _array(data: bytes) -> Int64Array:
    return np.frombuffer(data, dtype="<i8")
