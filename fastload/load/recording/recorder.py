"""Recorder of a worker's measurements since its last delta.

It appends raw integers; numpy folds them into histograms and counts, thousands at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from fastload.load.engine.curl import CurlEngine
from fastload.load.engine.curl_transfer import RECEIVED_BYTES, SENT_BYTES, Measurement, Transfer
from fastload.load.engine.curl_websocket import WebSocketTransfer
from fastload.load.recording.filters import ROW_WIDTH, VOLUMES, Filters, RequestBatch
from fastload.load.recording.named_values import NamedValues
from fastload.load.recording.outcome import (
    FAILED_FROM_STATUS,
    JUDGED,
    JUDGED_FAILED,
    JUDGED_GOOD,
    REFUSING_STATUSES,
    UNEXPECTED,
    Unanswered,
    kind_tag,
)
from fastload.load.recording.scope import NameLimit, Scope, current_tags
from fastload.load.recording.vu_count import VUCount
from fastload.model.errors import PlanError
from fastload.model.histogram import Int64Array
from fastload.model.judging.stalls import StallTable
from fastload.model.metrics import EXPECTED_DURATION, Series
from fastload.model.names import as_name
from fastload.model.raise_sites import NO_SITE, RaiseSite
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.redaction import redacted
from fastload.model.series import SeriesTable
from fastload.model.tags import BUILTIN_TAGS, check_own_tags
from fastload.model.user_metrics import declared, set_metric_filters

FOLD_AT_REQUESTS = 2048
MAX_REASONS = 20
_LONGEST_REASON = 80
# More than any code ``2 * status + failed``.
_CODES = 4096
_NO_TAGS: Mapping[str, str] = {}


class Recorder:
    """Recorder of the counts and times of one worker; `take` returns them and starts anew.

    The hot path is `record`: one `list.extend`. To append and fold a value costs about 0.1 us. *filters* are series
    that thresholds ask for, such as ``http_req_waiting{group:login,status:200}``. They are counted in addition to the
    series that every run keeps; other series cost nothing.
    """

    _row_width = ROW_WIDTH

    def __init__(self, worker: int, filters: Iterable[Series] = ()) -> None:
        filters = tuple(filters)
        self._worker = worker
        self._seq = 0
        self._filters = Filters(filters)
        self._keeps_expected = EXPECTED_DURATION in filters
        set_metric_filters(filters, current_tags)
        self._names = NameLimit(self._filters.values_of("name"))
        self._named_values = NamedValues(self._filters, self._names)
        self._check_names = NameLimit(self._filters.values_of("check"))
        self._group_names = NameLimit(self._filters.values_of("group"))
        self._reasons: set[str] = set()
        self._endpoints: dict[tuple[str, str, tuple[bool, ...]], int] = {}
        self._tags: list[tuple[tuple[str, str], ...]] = []
        self._scopes: dict[tuple[tuple[str, str], ...], Scope] = {}
        self._rows: list[int] = []
        self._no_response: dict[tuple[int | None, str | None], Unanswered] = {}
        self.unscoped = self.scope("")
        self.vu_count = VUCount()
        self._reset()

    def attach(self, engine: CurlEngine) -> None:
        """Prepare *engine* for recording. This class needs only its measurements; see `PointRecorder.attach`."""

    def _reset(self) -> None:
        self._rows.clear()
        self._no_response.clear()
        self.lag_us: list[int] = []
        self.stalls = StallTable()
        self._has_failures = False
        self._table = SeriesTable()
        self._errors = ErrorTable()
        self._exceptions = ErrorTable()
        self.stats = WorkerStats()

    def scope(self, scenario: str, tags: Mapping[str, str] = _NO_TAGS) -> Scope:
        """Return the scope of *scenario* outside of groups; *tags* are the scenario's own."""
        return self._scope({**tags, "scenario": scenario, "group": ""}, None)

    def group(self, outer: Scope, name: str) -> Scope:
        """Return the scope of the group *name* within *outer*. Groups after the first `MAX_NAMES` share one scope, so
        that memory is bounded.

        Raises:
            PlanError: *name* is no text, is empty, or contains ``::``.
        """
        try:
            scope = outer.nested.get(name)
        except TypeError:
            # What cannot be hashed is no text: the error says so.
            scope = None
        if scope is None:
            text = _group_name(name)
            path = self._group_names.admit(f"{outer.group}::{text}" if outer.group else text)
            scope = self._scope({**outer.tags, "group": path}, outer.scenario_scope)
            if text == name and (path == name or path.endswith(f"::{name}")):
                outer.nested[text] = scope
        return scope

    @property
    def has_iterations(self) -> bool:
        """Whether an iteration has ended since the last `take`."""
        return any(scope.iteration_us or scope.raised for scope in self._scopes.values())

    def _scope(self, tags: dict[str, str], scenario_scope: Scope | None) -> Scope:
        key = tuple(sorted(tags.items()))
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = self._new_scope(tags, scenario_scope)
        return scope

    def _new_scope(self, tags: dict[str, str], scenario_scope: Scope | None) -> Scope:
        return Scope(tags, scenario_scope)

    def endpoint(self, name: str, method: str, tags: Mapping[str, str] = _NO_TAGS) -> int:
        """Return the number of an endpoint: of all requests with the same name, method and matching filters.

        The filters see all *tags*. Names after the first `MAX_NAMES` share one name, so that memory is bounded.
        """
        name = redacted(name)
        every = {**tags, "name": name, "method": method}
        matches = tuple(one.matches(every) for one in self._filters.of_requests)
        key = (self._names.admit(name), method, matches)
        number = self._endpoints.get(key)
        if number is None:
            number = self._endpoints[key] = len(self._tags)
            self._tags.append((("method", method), ("name", key[0])))
            for one, belongs in zip(self._filters.of_requests, matches, strict=True):
                one.add_endpoint(matches=belongs)
        return number

    def name_of(self, endpoint: int) -> str:
        """Return the name under which the requests of *endpoint* are counted."""
        return dict(self._tags[endpoint])["name"]

    def socket_tags(
        self,
        tags: Mapping[str, str] | None,
        transfer: WebSocketTransfer,  # noqa: ARG002 - for `PointRecorder`
        url: str,  # noqa: ARG002
    ) -> Mapping[str, str] | None:
        """Return the tags for the samples of the WebSocket *transfer* to *url*: the script's own *tags*, to which only
        `PointRecorder` adds more."""
        return tags

    def record(self, endpoint: int, response_us: int, measurement: Measurement, wanted: str = "") -> bool:
        """Record a request with a response; return whether its status is bad. *response_us* counts from its due time;
        `NO_DUE` without a schedule.

        *wanted* is added to the message of a bad status: what was expected.
        """
        rows = self._rows
        rows.extend((endpoint, response_us, *measurement))
        if len(rows) >= FOLD_AT_REQUESTS * ROW_WIDTH:
            self._fold_requests()
        if measurement[0] >= FAILED_FROM_STATUS:
            self._record_bad_status(endpoint, measurement[0], wanted)
            return True
        return False

    def record_refusal(self, status: int, transfer: Transfer) -> None:
        """Record whether a response with a bad *status* says when to try again (Retry-After), as rate limits do."""
        if status in REFUSING_STATUSES and transfer.retry_after_s():
            self.stats.retry_after += 1

    def record_expected(
        self, endpoint: int, response_us: int, measurement: Measurement, judgement: int, wanted: str = ""
    ) -> None:
        """Record a request with a response and the *judgement* of its expected statuses: `JUDGED_GOOD`, `UNEXPECTED`,
        or 0 if the status alone decides. *wanted*: as in `record`."""
        if not judgement:
            self.record(endpoint, response_us, measurement, wanted)
            return
        if judgement == UNEXPECTED:
            self._record_bad_status(endpoint, measurement[0], wanted)
        self._append(endpoint, response_us, measurement[0] + judgement, measurement)

    def record_no_response(
        self,
        endpoint: int,
        kind: str,
        message: str,
        measurement: Measurement | None = None,
    ) -> None:
        """Record a request that failed without a response: it counts, and the bytes that it moved, but in no latency.

        *measurement*: the measurement of the failed transfer, if there is one.
        """
        self._count_no_response(endpoint, kind_tag(kind), measurement)
        self._errors.count(kind, message, self._method_and_name(endpoint))

    def record_interrupted(self, endpoint: int | None, transfer: Transfer) -> None:
        """Record the request of *transfer*, which was given up before its end; its *endpoint* is None if unknown.

        Of its figures, only the bytes that it moved count.
        """
        self.stats.interrupted += 1
        self.stats.challenges += max(0, transfer.writes - 1)
        self._unanswered(endpoint, None).add_bytes(*transfer.volumes())

    def record_judged(
        self,
        endpoint: int,
        response_us: int,
        measurement: Measurement | None,
        failure: str,
        lost_measurement: Measurement | None = None,
    ) -> None:
        """Record a request that the script judged: *failure* is the reason of a failure, empty for a success.

        *measurement* is None without a response; *lost_measurement* is then that of the failed transfer.
        """
        if failure:
            what = self._method_and_name(endpoint)
            self._errors.count(self._kind_of(failure), f"{' '.join(what)}: {failure}", what)
        if measurement is None:
            self._count_no_response(endpoint, JUDGED if failure else "", lost_measurement)
            return
        self._append(endpoint, response_us, measurement[0] + (JUDGED_FAILED if failure else JUDGED_GOOD), measurement)

    def sample(
        self,
        scope: Scope,
        metric: str,
        name: str,
        value: int,
        tags: Mapping[str, str] | None = None,
        error: str = "",
    ) -> None:
        """Record one *value* of a metric that is not of requests, under *name*; *error* is the kind of its failure."""
        self._named_values.add(scope, self._table, metric, name, value, tags, error)

    def record_sent_again(self, scope: Scope, name: str, transfer: Transfer) -> None:
        """Record that the request of *transfer* went to another connection, or answered a challenge of the server."""
        if transfer.moves:
            self.sample(scope, "http_req_retried", name, transfer.moves)
        if transfer.writes > 1:
            self.stats.challenges += transfer.writes - 1
            self.sample(scope, "http_auth_challenges", name, transfer.writes - 1)

    def record_error(self, kind: str, message: str, call: str = "") -> None:
        """Record a failure outside of requests; *call* is the name of the measured call, if it is one."""
        self._errors.count(kind, message, self._call_and_name(call) if call else None)

    def record_judgement(self, call: str, reason: str) -> None:
        """Record that the script judged a measured call failed."""
        self._errors.count(self._kind_of(reason), f"{call}: {reason}", self._call_and_name(call))

    def record_exception(
        self, kind: str, traceback: str, scope: Scope | None = None, site: RaiseSite = NO_SITE
    ) -> None:
        """Record an iteration that raised an exception, at *site*."""
        (scope or self.unscoped).raised += 1
        self._exceptions.count_raised(kind, traceback, site)

    def record_task_exception(self, kind: str, traceback: str, site: RaiseSite = NO_SITE) -> None:
        """Record an exception of a task or a callback of the script that nothing has awaited. No iteration failed."""
        self.stats.task_exceptions += 1
        self._exceptions.count_raised(f"{kind} in a task", traceback, site)

    def record_dropped(self, count: int, scope: Scope | None = None) -> None:
        """Record *count* starts that were due and will never be made."""
        (scope or self.unscoped).dropped += count

    def record_queued(self, count: int, scope: Scope | None = None) -> None:
        """Record *count* starts that were due and wait because no VU was free."""
        (scope or self.unscoped).queued += count

    def record_check(self, name: str, passed: bool, scope: Scope, tags: Mapping[str, str] | None = None) -> None:
        """Record one outcome of a check.

        Raises:
            PlanError: *name* or one of *tags* is no text, or a tag has the name of a built-in tag.
        """
        key: tuple[str, ...] = (name,)
        if tags is not None:
            key = (name, *(text for pair in self._filters.relevant(tags) for text in pair))
            if not BUILTIN_TAGS.isdisjoint(tags):
                check_own_tags(tags)
        counts = scope.checks.get(key)
        if counts is None:
            key = (self._check_names.admit(as_name(name, "the name of a check")), *key[1:])
            counts = scope.checks.setdefault(key, [0, 0])
        counts[0] += passed
        counts[1] += 1

    def rehearse(self) -> Delta:
        """Record one made-up request and take it; for a recorder that is used for nothing else."""
        self._rows.extend((self.endpoint("", ""), 1, *[1] * (self._row_width - 2)))
        return self.take(in_flight=0, offered=0)

    def discard(self) -> None:
        """Delete all measurements of the warm-up, except for the counts of requests."""
        self._fold()
        kept = self.stats
        for metric in declared().values():
            metric._discard()
        self.vu_count.take_peak()
        self._reset()
        self.stats.started, self.stats.interrupted = kept.started, kept.interrupted
        self.stats.challenges = kept.challenges
        self.stats.warmup = kept.warmup + kept.finished + kept.failed

    def take(
        self, *, in_flight: int, offered: int, vus: int | None = None, at_ns: int = 0, late: bool = False
    ) -> Delta:
        """Return the folded measurements since the last `take` as a delta; the recorder is empty afterwards.

        *vus*: the active VUs at *at_ns*, by default those of now.
        """
        self._fold()
        if self._keeps_expected and not self._has_failures:
            self._copy_expected()
        for metric in declared().values():
            metric._drain(self._table)
        stats = replace(
            self.stats,
            vus=self.vu_count.now if vus is None else vus,
            vus_peak=self.vu_count.take_peak(),
            in_flight=in_flight,
            offered=offered,
        )
        delta = Delta(
            self._worker,
            self._seq,
            self._table,
            self._errors,
            self._exceptions,
            stats,
            late,
            at_ns,
            stalls=self.stalls,
        )
        self._seq += 1
        self._reset()
        return delta

    def _append(self, endpoint: int, response_us: int, code: int, measurement: Measurement) -> None:
        """Append a request's row with *code*: its status plus its judgement."""
        self._rows.extend((endpoint, response_us, code, *measurement[1:]))
        if len(self._rows) >= FOLD_AT_REQUESTS * ROW_WIDTH:
            self._fold_requests()

    def _method_and_name(self, endpoint: int) -> tuple[str, str]:
        """Return the method and name of *endpoint*."""
        (_, method), (_, name) = self._tags[endpoint]
        return method, name

    def _call_and_name(self, name: str) -> tuple[str, str]:
        return "", self._names.admit(as_name(name, "the name of a call"))

    def _record_bad_status(self, endpoint: int, status: int, wanted: str) -> None:
        what = self._method_and_name(endpoint)
        self._errors.count(f"http_{status}", f"{' '.join(what)} answered {status}{wanted}", what)

    def _count_no_response(self, endpoint: int, error: str, measurement: Measurement | None) -> None:
        lost = self._unanswered(endpoint, error)
        lost.count += 1
        if measurement is not None:
            lost.add_bytes(measurement[SENT_BYTES], measurement[RECEIVED_BYTES])

    def _unanswered(self, endpoint: int | None, error: str | None) -> Unanswered:
        key = (endpoint, error)
        lost = self._no_response.get(key)
        if lost is None:
            lost = self._no_response[key] = Unanswered()
        return lost

    def _kind_of(self, failure: str) -> str:
        """Return ``judged: REASON`` for the first `MAX_REASONS` reasons, and ``judged`` for all others."""
        reason = failure.partition("\n")[0][:_LONGEST_REASON]
        if reason not in self._reasons:
            if len(self._reasons) >= MAX_REASONS:
                return JUDGED
            self._reasons.add(reason)
        return f"{JUDGED}: {reason}"

    def _fold(self) -> None:
        self._fold_requests()
        if self.lag_us:
            self._table.trend(Series("loop_lag")).fold(np.array(self.lag_us, dtype=np.int64))
            self.stats.lag_max_us = max(self.stats.lag_max_us, *self.lag_us)
            self.lag_us = []
        for scope in self._scopes.values():
            self._fold_scope(scope)
            scope.reset()

    def _fold_scope(self, scope: Scope) -> None:
        table, series_of = self._table, self._filters.series_of
        self._named_values.fold(scope, table)
        for metric, values in (
            ("iteration_duration", scope.iteration_us),
            ("iteration_lateness", scope.lateness_us),
            ("group_duration", scope.group_us),
        ):
            if values:
                array = np.array(values, dtype=np.int64)
                for series in series_of(metric, scope.tags):
                    table.trend(series).fold(array)
        if scope.group_us:
            by_group = table.trend(Series.of("group_duration", group=scope.group))
            by_group.fold(np.array(scope.group_us, dtype=np.int64))
        for metric, count in (
            ("iterations", len(scope.iteration_us)),
            ("dropped_iterations", scope.dropped),
            ("queued_iterations", scope.queued),
            ("iterations_failed", scope.raised),
        ):
            if count:
                for series in series_of(metric, scope.tags):
                    table.counter(series).value += count
        for (name, *flat), (trues, total) in scope.checks.items():
            by_check = Series.of("checks", check=name, scenario=scope.tags["scenario"])
            tags = {**scope.tags, **dict(zip(flat[::2], flat[1::2], strict=True)), "check": name}
            for series in (*series_of("checks", tags), by_check):
                series_value = table.rate(series)
                series_value.trues += trues
                series_value.total += total

    def _fold_requests(self) -> None:
        if self._rows:
            # This takes a third of the time of a conversion of the list by numpy.
            packed = struct.pack(f"={len(self._rows)}q", *self._rows)
            rows = np.frombuffer(packed, dtype=np.int64).reshape(-1, self._row_width)
            self._fold_rows(rows)
            # Not before they are folded: an error must not cost the rows.
            self._rows.clear()
        for (endpoint, error), lost in self._no_response.items():
            self._fold_unanswered(endpoint, error, lost)
        self._no_response.clear()

    def _fold_unanswered(self, endpoint: int | None, error: str | None, lost: Unanswered) -> None:
        counter = self._table.counter
        for metric, moved in zip(VOLUMES, (lost.sent, lost.received), strict=True):
            if moved:
                counter(Series(metric)).value += moved
        if endpoint is None:
            return
        if lost.received:
            counter(Series("data_received", self._tags[endpoint])).value += lost.received
        if lost.count:
            self._count_endpoint(endpoint, "0", lost.count, failed=lost.count if error else 0)
        for one in self._filters.of_requests:
            one.count_no_response(self._table, endpoint, error, lost)

    def _fold_rows(self, rows: Int64Array) -> RequestBatch:
        batch = RequestBatch(rows)
        self._fold_times(batch)
        self._fold_counts(batch)
        for one in self._filters.of_requests:
            one.fold(batch, self._table)
        return batch

    def _fold_times(self, batch: RequestBatch) -> None:
        if self._keeps_expected and not self._has_failures and batch.failed.any():
            self._has_failures = True
            self._copy_expected()
        if self._has_failures and len(expected := batch.times["http_req_duration"][~batch.failed]):
            self._table.trend(EXPECTED_DURATION).fold(expected)
        for metric, values in batch.times.items():
            self._table.trend(Series(metric)).fold(values)
        scheduled = batch.times_of("http_req_response_time", slice(None))
        if len(scheduled):
            self._table.trend(Series("http_req_response_time")).fold(scheduled)
        duration, received = batch.times["http_req_duration"], batch.volumes["data_received"]
        endpoints = batch.endpoints
        for endpoint in np.unique(endpoints).tolist():
            chosen, tags = endpoints == endpoint, self._tags[endpoint]
            self._table.trend(Series("http_req_duration", tags)).fold(duration[chosen])
            self._table.counter(Series("data_received", tags)).value += int(received[chosen].sum())

    def _copy_expected(self) -> None:
        """Copy the series of all durations to that of expected responses: until a request fails, they are the same.

        So the series costs next to nothing as long as nothing fails.
        """
        every = self._table.get("http_req_duration")
        if every is not None:
            self._table.trend(EXPECTED_DURATION).merge(every)

    def _fold_counts(self, batch: RequestBatch) -> None:
        for metric, values in batch.volumes.items():
            self._table.counter(Series(metric)).value += int(values.sum())
        codes = batch.endpoints * _CODES + batch.statuses * 2 + batch.failed
        keys, counts = np.unique(codes, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            endpoint, code = divmod(key, _CODES)
            self._count_endpoint(endpoint, str(code // 2), count, failed=count * (code % 2))

    def _count_endpoint(self, endpoint: int, status: str, count: int, *, failed: int) -> None:
        tags = self._tags[endpoint]
        table = self._table
        table.counter(Series("http_reqs")).value += count
        table.counter(Series("http_reqs", (*tags, ("status", status)))).value += count
        for series in (Series("http_req_failed"), Series("http_req_failed", tags)):
            rate = table.rate(series)
            rate.trues += failed
            rate.total += count
        self.stats.failed += failed
        self.stats.finished += count - failed


def _group_name(name: str) -> str:
    text = as_name(name, "the name of a group")
    if not text or "::" in text:
        raise PlanError(
            f"group name {text!r} is {'not valid' if text else 'empty'}",
            hint="give it a name without ::, which joins the names of groups within groups",
        )
    return text
