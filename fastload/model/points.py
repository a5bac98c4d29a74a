"""Single samples, for outputs that want them: what one worker measured in one second, as columns and tag sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from fastload.model.histogram import Int64Array
from fastload.model.metrics import HTTP_TRENDS

FloatArray = npt.NDArray[np.float64]


class RequestColumns(NamedTuple):
    """Requests that got a response, one item of each array (n,) for each of them.

    *time_ns*: when it ended, since the epoch. *sets*: the number of its tag set. *times_us*: by name all of
    `HTTP_TRENDS`, and ``http_req_response_time``, which is -1 without a due time.
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


@dataclass(slots=True)
class PointBlock:
    """The samples of one worker in one second. It means the same without the blocks before it.

    *tag_sets* are fastload's own tags: ``group`` has no ``::`` before it, ``error`` is the kind of error. Requests have
    ``url``, ``method``, ``name``, ``status``, ``expected_response`` ("true" or "false"), and ``proto`` ("1.1", "2"),
    ``tls_version`` ("1.3") and ``error`` where there is one.
    """

    tag_sets: list[dict[str, str]] = field(default_factory=list)
    requests: RequestColumns | None = None
    values: dict[str, ValueColumns] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Plain data for a frame: arrays are little-endian bytes."""
        requests = self.requests
        return {
            "tags": [[text for pair in tags.items() for text in pair] for tags in self.tag_sets],
            "requests": None
            if requests is None
            else [
                _ints(requests.time_ns),
                _ints(requests.sets),
                *(_ints(requests.times_us[metric]) for metric in _TIMES),
            ],
            "values": [
                [metric, _ints(columns.time_ns), columns.values.astype("<f8").tobytes(), _ints(columns.sets)]
                for metric, columns in self.values.items()
            ],
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """The block whose `to_plain` is *data*."""
        requests = None
        if data["requests"] is not None:
            time_ns, sets, *times = (_array(column) for column in data["requests"])
            requests = RequestColumns(time_ns, sets, dict(zip(_TIMES, times, strict=True)))
        return cls(
            [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in data["tags"]],
            requests,
            {
                metric: ValueColumns(_array(time_ns), np.frombuffer(values, dtype="<f8"), _array(sets))
                for metric, time_ns, values, sets in data["values"]
            },
        )


def _ints(values: Int64Array) -> bytes:
    return values.astype("<i8").tobytes()


def _array(data: bytes) -> Int64Array:
    return np.frombuffer(data, dtype="<i8")
