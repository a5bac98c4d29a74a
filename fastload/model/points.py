"""Points (single samples) of one worker in one second, as columns and tag sets, for outputs that need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from fastload.model.histogram import FloatArray, Int64Array
from fastload.model.metrics import HTTP_TRENDS


class RequestColumns(NamedTuple):
    """Columns of n requests: arrays of shape (n,).

    - *time_ns*: when the request ended, since the epoch
    - *sets*: the index of its tag set in `PointBlock.tag_sets`
    - *times_us*: times by metric. Requests with a response have all of `HTTP_TRENDS`, and ``http_req_response_time``
      (-1 without a due time); requests without a response have `LOST_TRENDS`.
    """

    time_ns: Int64Array
    sets: Int64Array
    times_us: Mapping[str, Int64Array]


class ValueColumns(NamedTuple):
    """Columns of n single values of one metric, in its unit (0 and 1 for a rate). Arrays are as in `RequestColumns`."""

    time_ns: Int64Array
    values: FloatArray
    sets: Int64Array


_TIMES = (*HTTP_TRENDS, "http_req_response_time")
LOST_TRENDS = tuple(metric for metric in HTTP_TRENDS if metric not in ("http_req_lookup", "http_req_total"))
"""Trends in the points of a request without a response, as in k6: the time of each phase, 0 for a phase that the
request did not reach. These times are not in the metrics of a run."""


@dataclass(slots=True)
class PointBlock:
    """Points of one worker in one second. A block does not depend on earlier blocks.

    *requests* are requests with a response, *lost* are requests without one.

    *tag_sets* use fastload's own tags: ``group`` without a leading ``::``, ``error`` for the kind of error. The tags of
    requests are ``url``, ``method``, ``name``, ``status`` and ``expected_response`` ("true" or "false"); where known,
    also ``proto`` ("1.1", "2"), ``tls_version`` ("1.3") and ``error``.
    """

    tag_sets: list[dict[str, str]] = field(default_factory=list)
    requests: RequestColumns | None = None
    values: dict[str, ValueColumns] = field(default_factory=dict)
    lost: RequestColumns | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for a frame. Arrays become little-endian bytes."""
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
        """Return the block of *data*, the result of `to_plain`."""
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
