"""Recorder of points: it keeps every single request and value, for outputs that want them.

Runs without such an output do not import this module. A request's row has three additional columns here. They come
from its handle (`PointTransfer`) together with the measurement, so they are right however late the request is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic_ns, time_ns
from typing import Any, cast

import numpy as np

from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_transfer import RECEIVED_BYTES, SENT_BYTES, Measurement, Transfer
from fastload.load.engine.curl_websocket import WebSocketTransfer
from fastload.load.engine.header_lines import last_headers
from fastload.load.engine.point_transfer import make_point_transfer
from fastload.load.engine.request_info import RequestInfoTable
from fastload.load.recording.filters import ROW_WIDTH, RequestBatch
from fastload.load.recording.outcome import JUDGED, Unanswered, kind_tag
from fastload.load.recording.point_block import (
    POINT_COLUMNS,
    IterationEnd,
    PointBlockBuilder,
    RequestRows,
    bytes_by_iteration,
    outcome_tags,
)
from fastload.load.recording.recorder import Recorder
from fastload.load.recording.scope import CURRENT_SCOPE, CURRENT_VU, Scope, current_tags
from fastload.model.histogram import Int64Array
from fastload.model.http_settings import without_credentials
from fastload.model.metrics import BUILTIN, OTHER_TAGS, Kind, Series
from fastload.model.names import as_name, tag_texts
from fastload.model.raise_sites import NO_SITE, RaiseSite
from fastload.model.records import Delta
from fastload.model.user_metrics import set_metric_filters

MAX_TAG_SETS = 10_000
"""How many endpoints with their own tags one worker has. Requests with further tag sets get `OTHER_TAGS` instead."""
_NO_TAGS: Mapping[str, str] = {}
_NEVER_SENT = (0,) * (ROW_WIDTH - 2)
_NO_BYTES = np.zeros((0, 5), dtype=np.int64)

SampleTags = tuple[tuple[str, str | None], ...]
"""Tags of one sample, which override those of its scope; None removes a tag."""


class _TimedList(list[int]):
    """List that also keeps the time of each append (monotonic, ns)."""

    __slots__ = ("times_ns",)

    def __init__(self) -> None:
        super().__init__()
        self.times_ns: list[int] = []

    def append(self, value: int) -> None:
        super().append(value)
        self.times_ns.append(monotonic_ns())


class _IterationTimes(_TimedList):
    """Durations of iterations; each append also adds an `IterationEnd` with the current VU to *ends*."""

    __slots__ = ("_ends", "_scope")

    def __init__(self, scope: Scope, ends: list[IterationEnd]) -> None:
        super().__init__()
        self._scope, self._ends = scope, ends

    def append(self, value: int) -> None:
        super().append(value)
        self._ends.append(IterationEnd(_current_vu_id(), self.times_ns[-1], self._scope))


class _PointScope(Scope):
    __slots__ = ("_ends",)

    def __init__(self, tags: Mapping[str, str], scenario_scope: Scope | None, ends: list[IterationEnd]) -> None:
        self._ends = ends
        super().__init__(tags, scenario_scope)

    def reset(self) -> None:
        super().reset()
        self.iteration_us = _IterationTimes(self, self._ends)
        self.lateness_us, self.group_us = _TimedList(), _TimedList()


class PointRecorder(Recorder):
    """`Recorder` whose deltas also have all points.

    *iterates*: count bytes per iteration, as k6 does; otherwise per request, as for `bench`.
    """

    _row_width = ROW_WIDTH + POINT_COLUMNS

    def __init__(self, worker: int, filters: Iterable[Series] = (), *, iterates: bool = True) -> None:
        self._iterates = iterates
        # The wall clock is read only once, because it may be changed during the run.
        self._to_wall_ns = time_ns() - monotonic_ns()
        self._request_infos = RequestInfoTable()
        self._ends: list[IterationEnd] = []
        self._pending_values: list[tuple[str, int, float, Scope | None, SampleTags]] = []
        self._unassigned_bytes = _NO_BYTES
        self._scenario_scopes: dict[str, Scope] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._recorder_endpoint: list[int] = []
        self._endpoint_tags: list[dict[str, str]] = []
        filters = tuple(filters)
        super().__init__(worker, filters)
        set_metric_filters(filters, current_tags, self._record_value)

    def attach(self, engine: CurlEngine) -> None:
        """Make the handles of *engine* measure what points need."""
        engine.on_adopt = self._adopt

    def _adopt(self, transfer: Transfer) -> None:
        make_point_transfer(transfer, self._request_infos)

    # Endpoints have their own numbers here, because requests with different tags are different endpoints.
    # `_recorder_endpoint` maps them to the numbers of `Recorder`.

    def endpoint(self, name: str, method: str, tags: Mapping[str, str] = _NO_TAGS) -> int:
        base = super().endpoint(name, method, tags)
        key = (base, *sorted(tags.items()))
        number = self._numbers.get(key)
        if number is None and len(self._recorder_endpoint) >= MAX_TAG_SETS:
            scenario_scope = self._scenario_scopes.get(tags.get("scenario", ""), self.unscoped)
            tags = {**scenario_scope.tags, "group": tags.get("group", ""), **dict(OTHER_TAGS)}
            key = (base, *sorted(tags.items()))
            number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._recorder_endpoint)
            self._recorder_endpoint.append(base)
            self._endpoint_tags.append({**tags, **dict(self._tags[base])})
        return number

    def name_of(self, endpoint: int) -> str:
        return super().name_of(self._recorder_endpoint[endpoint])

    def _method_and_name(self, endpoint: int) -> tuple[str, str]:
        return super()._method_and_name(self._recorder_endpoint[endpoint])

    def _unanswered(self, endpoint: int | None, error: str | None) -> Unanswered:
        return super()._unanswered(None if endpoint is None else self._recorder_endpoint[endpoint], error)

    def _fold_rows(self, rows: Int64Array) -> RequestBatch:
        counted = rows[:, :ROW_WIDTH].copy()
        counted[:, 0] = np.array(self._recorder_endpoint, dtype=np.int64)[rows[:, 0]]
        batch = super()._fold_rows(counted)
        self._all_rows.append(RequestRows(batch, rows[:, 0], rows))
        return batch

    # Samples as they are measured.

    def scope(self, scenario: str, tags: Mapping[str, str] = _NO_TAGS) -> Scope:
        scenario_scope = self._scenario_scopes[scenario] = super().scope(scenario, tags)
        return scenario_scope

    def _new_scope(self, tags: dict[str, str], scenario_scope: Scope | None) -> Scope:
        return _PointScope(tags, scenario_scope, self._ends)

    def record_no_response(
        self, endpoint: int, kind: str, message: str, measurement: Measurement | None = None
    ) -> None:
        super().record_no_response(endpoint, kind, message, measurement)
        self._record_lost(endpoint, kind_tag(kind), measurement, failed=True)

    def record_interrupted(self, endpoint: int | None, transfer: Transfer) -> None:
        super().record_interrupted(endpoint, transfer)
        if endpoint is not None:
            self._lost_bytes.append((transfer.vu_number, monotonic_ns(), *transfer.volumes(), endpoint))

    def record_judged(
        self,
        endpoint: int,
        response_us: int,
        measurement: Measurement | None,
        failure: str,
        lost_measurement: Measurement | None = None,
    ) -> None:
        super().record_judged(endpoint, response_us, measurement, failure, lost_measurement)
        if measurement is None:
            self._record_lost(endpoint, JUDGED if failure else "", lost_measurement, failed=bool(failure))

    def sample(
        self,
        scope: Scope,
        metric: str,
        name: str,
        value: int,
        tags: Mapping[str, str] | None = None,
        error: str = "",
    ) -> None:
        super().sample(scope, metric, name, value, tags, error)
        own: SampleTags = (
            *_texts(tags),
            ("name", as_name(name, "the name of a call")),
            *((("error", error),) if error else ()),
        )
        self._add(metric, value / 1000 if BUILTIN[metric].kind is Kind.TREND else value, scope, own)

    def record_check(self, name: str, passed: bool, scope: Scope, tags: Mapping[str, str] | None = None) -> None:
        super().record_check(name, passed, scope, tags)
        self._add("checks", passed, scope, (*_texts(tags), ("check", as_name(name, "the name of a check"))))

    def record_exception(
        self, kind: str, traceback: str, scope: Scope | None = None, site: RaiseSite = NO_SITE
    ) -> None:
        super().record_exception(kind, traceback, scope, site)
        where = scope or self.unscoped
        self._add("iterations_failed", 1, where)
        self._ends.append(IterationEnd(_current_vu_id(), monotonic_ns(), where))

    def record_dropped(self, count: int, scope: Scope | None = None) -> None:
        super().record_dropped(count, scope)
        self._add_starts("dropped_iterations", count, scope)

    def record_queued(self, count: int, scope: Scope | None = None) -> None:
        super().record_queued(count, scope)
        self._add_starts("queued_iterations", count, scope)

    def socket_tags(
        self, tags: Mapping[str, str] | None, transfer: WebSocketTransfer, url: str
    ) -> Mapping[str, str] | None:
        protocol = last_headers(transfer.header_lines).get("sec-websocket-protocol")
        more = {"url": without_credentials(url), "status": str(transfer.status())}
        return {**(tags or {}), **more, **({"subproto": protocol} if protocol else {})}

    def _add_starts(self, metric: str, count: int, scope: Scope | None) -> None:
        if count:
            # An iteration that never began was in no group.
            self._add(metric, count, scope or self.unscoped, (("group", None),))

    def _add(self, metric: str, value: float, scope: Scope | None, own: SampleTags = (), at_ns: int = 0) -> None:
        self._block_builder.add(metric, at_ns or monotonic_ns(), value, self._set_of(scope, own))

    def _set_of(self, scope: Scope | None, own: SampleTags = ()) -> int:
        return self._block_builder.set_of((scope, own), lambda: _joined({} if scope is None else scope.tags, own))

    def _record_lost(self, endpoint: int, error: str, measurement: Measurement | None, *, failed: bool) -> None:
        """Record a request without a response."""
        # Without a measurement, the request never reached libcurl.
        every = cast(tuple[int, ...], measurement) if measurement else (*_NEVER_SENT, monotonic_ns(), -1, 0)
        facts = every[-POINT_COLUMNS + 1]
        key = (endpoint, facts, error, failed)
        moved = every[SENT_BYTES], every[RECEIVED_BYTES]
        self._lost_bytes.append((every[-1], every[-POINT_COLUMNS], *moved, endpoint))

        def tags() -> dict[str, str]:
            found = self._tags_of(endpoint, facts) | outcome_tags(0, failed=failed)
            return found | ({"error": error} if error else {})

        tag_set = self._block_builder.set_of(key, tags)
        self._block_builder.add_lost(tag_set, every)

    def _record_value(self, metric: str, value: Any, tags: Mapping[str, str]) -> None:
        """Record a value of a metric that the script declares; called from any thread."""
        try:
            number = float(value)
        except OverflowError:
            number = float("inf") if value > 0 else float("-inf")
        self._pending_values.append((metric, monotonic_ns(), number, CURRENT_SCOPE.get(), tuple(tags.items())))

    def _tags_of(self, endpoint: int, facts: int) -> dict[str, str]:
        return self._endpoint_tags[endpoint] | self._request_infos.tags(facts)

    # Once a second.

    def _reset(self) -> None:
        super()._reset()
        self.lag_us = _TimedList()
        self._block_builder = PointBlockBuilder(self._to_wall_ns)
        self._all_rows: list[RequestRows] = []
        self._lost_bytes: list[tuple[int, int, int, int, int]] = []

    def discard(self) -> None:
        super().discard()
        self._pending_values.clear()
        self._ends.clear()
        self._unassigned_bytes = _NO_BYTES

    def take(
        self, *, in_flight: int, offered: int, vus: int | None = None, at_ns: int = 0, late: bool = False
    ) -> Delta:
        self._fold()
        self._add_pending_values()
        self._add_iteration_bytes(late=late)
        self._block_builder.add_requests(self._all_rows, self._tags_of)
        block = self._block_builder.block()
        delta = super().take(in_flight=in_flight, offered=offered, vus=vus, at_ns=at_ns, late=late)
        if block.tag_sets:
            delta.points.append(block.to_plain())
        return delta

    def _fold(self) -> None:
        if isinstance(self.lag_us, _TimedList):
            self._add_times("loop_lag", self.lag_us, None)
        super()._fold()

    def _fold_scope(self, scope: Scope) -> None:
        self._add_times("iteration_lateness", scope.lateness_us, scope)
        self._add_times("group_duration", scope.group_us, scope)
        if scope.iteration_us:
            self._add_times("iteration_duration", scope.iteration_us, scope)
            times_ns = cast(_TimedList, scope.iteration_us).times_ns
            self._block_builder.add_many("iterations", times_ns, [1.0] * len(times_ns), self._set_of(scope))
        super()._fold_scope(scope)

    def _add_times(self, metric: str, values_us: list[int], scope: Scope | None) -> None:
        if values_us:
            times_ns = cast(_TimedList, values_us).times_ns
            self._block_builder.add_many(metric, times_ns, np.array(values_us) / 1000, self._set_of(scope))

    def _add_pending_values(self) -> None:
        told = self._pending_values.copy()
        # Not clear(): another thread may have added a value since the copy.
        del self._pending_values[: len(told)]
        for metric, at_ns, value, scope, own in told:
            self._add(metric, value, scope, own, at_ns)

    def _add_iteration_bytes(self, *, late: bool) -> None:
        lost = np.array(self._lost_bytes, dtype=np.int64).reshape(-1, _NO_BYTES.shape[1])
        moved = np.concatenate([self._unassigned_bytes, lost, *(rows.moved() for rows in self._all_rows)])
        if self._iterates:
            sums, self._unassigned_bytes = bytes_by_iteration(moved, self._ends)
            for end, (sent, received) in zip(self._ends, sums.tolist(), strict=True):
                self._add_bytes(end.at_ns, end.scope, sent, received)
            moved = _NO_BYTES
            if late:
                # Some of these iterations will never end.
                moved, self._unassigned_bytes = self._unassigned_bytes, moved
        self._ends.clear()
        for _, at_ns, sent, received, endpoint in moved.tolist():
            self._add_bytes(at_ns, self._scenario_scope_of(endpoint), sent, received)

    def _add_bytes(self, at_ns: int, scope: Scope, sent: int, received: int) -> None:
        tag_set = self._set_of(scope)
        self._block_builder.add("data_sent", at_ns, sent, tag_set)
        self._block_builder.add("data_received", at_ns, received, tag_set)

    def _scenario_scope_of(self, endpoint: int) -> Scope:
        return self._scenario_scopes.get(self._endpoint_tags[endpoint].get("scenario", ""), self.unscoped)


def _texts(tags: Mapping[str, str] | None) -> Iterable[tuple[str, str]]:
    return tag_texts(tags).items() if tags else ()


def _joined(tags: Mapping[str, str], own: SampleTags) -> dict[str, str]:
    found = {**tags, **dict(own)}
    return {key: text for key, text in found.items() if text is not None}


def _current_vu_id() -> int:
    vu = CURRENT_VU.get()
    return 0 if vu is None else vu.id
