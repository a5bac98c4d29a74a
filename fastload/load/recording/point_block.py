"""Builder of the point block of a worker's second, and the assignment of bytes to iterations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from fastload.load.recording.filters import ROW_WIDTH, RequestBatch
from fastload.load.recording.outcome import JUDGED, JUDGED_FAILED, NO_DUE
from fastload.load.recording.scope import Scope
from fastload.model.histogram import FloatArray, Int64Array
from fastload.model.metrics import HTTP_TRENDS
from fastload.model.points import PointBlock, RequestColumns, ValueColumns

POINT_COLUMNS = 3
"""How many items a row has in addition to those of `filters.RequestBatch`: see `PointTransfer`."""
_DONE, _FACTS, _VU = range(ROW_WIDTH, ROW_WIDTH + POINT_COLUMNS)
_FACTS_BITS, _CODE_BITS = 31, 12
_JUDGEMENT = JUDGED_FAILED
_BY_HAND = 1


class IterationEnd(NamedTuple):
    """End of an iteration of a VU in *scope*, at *at_ns* (monotonic)."""

    vu: int
    at_ns: int
    scope: Scope


class RequestRows(NamedTuple):
    """Requests with a response. *endpoints* are numbers of the `PointRecorder`; *rows* include the `POINT_COLUMNS`."""

    batch: RequestBatch
    endpoints: Int64Array
    rows: Int64Array

    def moved(self) -> Int64Array:
        """Return the bytes that these requests moved, as an array for `bytes_by_iteration`."""
        volumes = self.batch.volumes
        columns = (self.rows[:, _VU], self.rows[:, _DONE], volumes["data_sent"], volumes["data_received"])
        return np.column_stack((*columns, self.endpoints))


class PointBlockBuilder:
    """Builder of a `PointBlock` from samples with monotonic times. *to_wall_ns*: what to add to get the wall clock's.

    A tag set is given as a key and a function that makes the tags. The function is called once for each key.
    """

    def __init__(self, to_wall_ns: int) -> None:
        self._to_wall_ns = to_wall_ns
        self._sets: dict[Hashable, int] = {}
        self._tag_sets: list[dict[str, str]] = []
        self._single: dict[str, tuple[list[int], list[float], list[int]]] = {}
        self._bulk: dict[str, list[tuple[Int64Array, FloatArray, Int64Array]]] = {}
        self._requests: RequestColumns | None = None
        self._lost: list[int] = []

    def set_of(self, key: Hashable, make: Callable[[], dict[str, str]]) -> int:
        """Return the number of the tag set of *key*; *make* makes a new tag set."""
        number = self._sets.get(key)
        if number is None:
            number = self._sets[key] = len(self._tag_sets)
            self._tag_sets.append(make())
        return number

    def add(self, metric: str, at_ns: int, value: float, tag_set: int) -> None:
        """Add one value, in the metric's unit."""
        columns = self._single.get(metric)
        if columns is None:
            columns = self._single[metric] = ([], [], [])
        columns[0].append(at_ns)
        columns[1].append(value)
        columns[2].append(tag_set)

    def add_many(
        self, metric: str, times_ns: Sequence[int] | Int64Array, values: Sequence[float] | FloatArray, tag_set: int
    ) -> None:
        """Add values with the same tags."""
        array = np.array(values, dtype=np.float64)
        sets = np.full(len(array), tag_set, dtype=np.int64)
        self._bulk.setdefault(metric, []).append((np.array(times_ns, dtype=np.int64), array, sets))

    def add_lost(self, tag_set: int, measurement: Sequence[int]) -> None:
        """Add a request without a response; *measurement* is that of a `PointTransfer`."""
        self._lost += (tag_set, NO_DUE, *measurement)

    def add_requests(self, all_rows: Sequence[RequestRows], tags_of: Callable[[int, int], dict[str, str]]) -> None:
        """Add all requests with a response; call it once per block.

        *tags_of* returns the tags for an endpoint and the number of a `RequestInfo`.
        """
        if not all_rows:
            return
        rows = np.concatenate([one.rows for one in all_rows])
        endpoints = np.concatenate([one.endpoints for one in all_rows])
        statuses, judgements, failed = (
            np.concatenate([getattr(one.batch, name) for one in all_rows])
            for name in ("statuses", "judgements", "failed")
        )
        codes = statuses + judgements * _JUDGEMENT
        keys = (((endpoints << _CODE_BITS) | codes) << _FACTS_BITS) | rows[:, _FACTS]
        _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
        sets = np.empty(len(firsts), dtype=np.int64)
        for index, first in enumerate(firsts.tolist()):
            sets[index] = len(self._tag_sets)
            tags = tags_of(int(endpoints[first]), int(rows[first, _FACTS]))
            self._tag_sets.append(tags | outcome_tags(int(statuses[first]), failed=bool(failed[first])))
            if judgements[first] == _BY_HAND:
                self._tag_sets[-1]["error"] = JUDGED
        times = {metric: np.concatenate([one.batch.times[metric] for one in all_rows]) for metric in HTTP_TRENDS}
        times["http_req_response_time"] = np.concatenate([one.batch.response for one in all_rows])
        self._requests = RequestColumns(rows[:, _DONE] + self._to_wall_ns, sets[inverse], times)

    def block(self) -> PointBlock:
        """Return the block of all samples added."""
        values = {}
        for metric in dict.fromkeys((*self._single, *self._bulk)):
            parts = [*self._bulk.get(metric, ())]
            if metric in self._single:
                times_ns, single, sets = self._single[metric]
                parts.append((np.array(times_ns, np.int64), np.array(single, np.float64), np.array(sets, np.int64)))
            joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
            values[metric] = ValueColumns(joined[0] + self._to_wall_ns, joined[1], joined[2])
        return PointBlock(self._tag_sets, self._requests, values, self._lost_requests())

    def _lost_requests(self) -> RequestColumns | None:
        if not self._lost:
            return None
        rows = np.array(self._lost, dtype=np.int64).reshape(-1, ROW_WIDTH + POINT_COLUMNS)
        batch = RequestBatch(rows)
        return RequestColumns(rows[:, _DONE] + self._to_wall_ns, batch.endpoints, batch.lost_times())


def outcome_tags(status: int, *, failed: bool) -> dict[str, str]:
    """Return the tags for the outcome of a request."""
    return {"status": str(status), "expected_response": "false" if failed else "true"}


def bytes_by_iteration(moved: Int64Array, ends: Sequence[IterationEnd]) -> tuple[Int64Array, Int64Array]:
    """Assign the bytes of requests to iterations: to the VU's first iteration that ends at or after the request's end.

    *moved*: an array (n, 5), one row for each request: VU, end (monotonic, ns), bytes sent, bytes received, endpoint.
    Return the bytes sent and received by each iteration of *ends*, an array (len(ends), 2), and the bytes of requests
    whose iteration has not ended, an array (m, 5) like *moved* with one row for each VU.
    """
    sums = np.zeros((len(ends), 2), dtype=np.int64)
    if ends and len(moved):
        vus, times = (np.array([end[column] for end in ends], dtype=np.int64) for column in (0, 1))
        order = np.lexsort((times, vus))
        vus, times = vus[order], times[order]
        first_ns, last_ns = int(times.min()), int(times.max())
        ranks = np.unique(vus)
        # One sort key combines the VU and the time within this second.
        span = last_ns - first_ns + 2
        keys = np.searchsorted(ranks, vus) * span + (times - first_ns)
        when = np.clip(moved[:, 1], first_ns, last_ns + 1) - first_ns
        at = np.searchsorted(keys, np.searchsorted(ranks, moved[:, 0]) * span + when)
        near = np.minimum(at, len(keys) - 1)
        found = (at < len(keys)) & (vus[near] == moved[:, 0])
        np.add.at(sums, order[near[found]], moved[found, 2:4])
        moved = moved[~found]
    return sums, _by_vu(moved)


def _by_vu(moved: Int64Array) -> Int64Array:
    _, firsts, inverse = np.unique(moved[:, 0], return_index=True, return_inverse=True)
    left = moved[firsts].copy()
    left[:, 2:4] = 0
    np.add.at(left[:, 2:4], inverse, moved[:, 2:4])
    return left
