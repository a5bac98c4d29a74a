"""What a worker measured since its last delta. Raw integers are appended; numpy folds them by the thousand."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from fastload.load.curl import Measurement
from fastload.load.outcome import FAILED_FROM_STATUS, NO_DUE
from fastload.model.histogram import Int64Array
from fastload.model.metrics import Series, declared
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import SeriesTable

FOLD_AT_REQUESTS = 2048
MAX_ENDPOINTS = 1000
OTHER = "(other)"

# A row is [endpoint, response time or NO_DUE, *Measurement].
_WIDTH = 13
_ENDPOINT, _RESPONSE, _STATUS, _LOOKUP, _CONNECT, _TLS, _READY, _POST, _START, _TOTAL, _QUEUE, _SENT, _RECEIVED = range(
    _WIDTH
)


class Recorder:
    """Counts and times of one worker; `take` hands them over and starts anew.

    The hot path is `record`: one `list.extend`. A value costs about 0.1 us to append and to fold.
    """

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._seq = 0
        self._endpoints: dict[tuple[str, str], int] = {}
        self._tags: list[tuple[tuple[str, str], ...]] = []
        self._rows: list[int] = []
        self._no_response: dict[int, int] = {}
        self._reset()

    def _reset(self) -> None:
        self._rows.clear()
        self._no_response.clear()
        self.iteration_us: list[int] = []
        self.lateness_us: list[int] = []
        self.lag_us: list[int] = []
        self._checks: dict[str, list[int]] = {}
        self._table = SeriesTable()
        self._errors = ErrorTable()
        self._exceptions = ErrorTable()
        self.stats = WorkerStats()
        self._raised = self._dropped = 0

    def endpoint(self, name: str, method: str) -> int:
        """The number of a request name. Past `MAX_ENDPOINTS` names all share one, so that memory is bounded."""
        key = (name, method)
        number = self._endpoints.get(key)
        if number is None:
            if len(self._endpoints) >= MAX_ENDPOINTS and name != OTHER:
                return self.endpoint(OTHER, method)
            number = self._endpoints[key] = len(self._tags)
            self._tags.append((("method", method), ("name", name)))
        return number

    def record(self, endpoint: int, response_us: int, measurement: Measurement) -> None:
        """A request that got a response. *response_us* counts from when it was due, `NO_DUE` without a schedule."""
        rows = self._rows
        rows.extend((endpoint, response_us, *measurement))
        if measurement[0] >= FAILED_FROM_STATUS:
            self._record_bad_status(endpoint, measurement[0])
        if len(rows) >= FOLD_AT_REQUESTS * _WIDTH:
            self._fold_requests()

    def record_no_response(self, endpoint: int, kind: str, message: str) -> None:
        """A request that failed without a response: counted, but no latency is made up for it."""
        self._no_response[endpoint] = self._no_response.get(endpoint, 0) + 1
        self._errors.count(kind, message)

    def record_exception(self, kind: str, traceback: str) -> None:
        """An iteration that raised."""
        self._raised += 1
        self._exceptions.count(kind, traceback)

    def record_dropped(self, count: int) -> None:
        """Starts that were due and will never be made."""
        self._dropped += count

    def record_check(self, name: str, passed: bool) -> None:
        """One outcome of a check."""
        counts = self._checks.setdefault(name, [0, 0])
        counts[0] += passed
        counts[1] += 1

    def discard(self) -> None:
        """Forget what was measured, all but how many requests there were: the warm-up is over."""
        self._fold()
        kept = self.stats
        for metric in declared().values():
            metric.discard()
        self._reset()
        self.stats.started, self.stats.interrupted = kept.started, kept.interrupted
        self.stats.warmup = kept.warmup + kept.finished + kept.failed
        self.stats.lag_max_us = kept.lag_max_us

    def take(self, *, vus: int, in_flight: int, offered: int, late: bool = False) -> Delta:
        """Everything since the last `take`, folded; the recorder is empty afterwards."""
        self._fold()
        for metric in declared().values():
            metric.drain(self._table)
        stats = replace(self.stats, vus=vus, in_flight=in_flight, offered=offered)
        delta = Delta(self._worker, self._seq, self._table, self._errors, self._exceptions, stats, late)
        self._seq += 1
        self._reset()
        return delta

    def _record_bad_status(self, endpoint: int, status: int) -> None:
        (_, method), (_, name) = self._tags[endpoint]
        self._errors.count(f"http_{status}", f"{method} {name} answered {status}")

    def _fold(self) -> None:
        self._fold_requests()
        table = self._table
        for metric, values in (
            ("iteration_duration", self.iteration_us),
            ("iteration_lateness", self.lateness_us),
            ("loop_lag", self.lag_us),
        ):
            if values:
                table.trend(Series(metric)).fold(np.array(values, dtype=np.int64))
        if self.iteration_us:
            table.counter(Series("iterations")).value += len(self.iteration_us)
        if self._dropped:
            table.counter(Series("dropped_iterations")).value += self._dropped
        if self._raised:
            table.counter(Series("iterations_failed")).value += self._raised
        self.stats.lag_max_us = max(self.stats.lag_max_us, max(self.lag_us, default=0))
        for name, (trues, total) in self._checks.items():
            for series in (Series("checks"), Series.of("checks", check=name)):
                sink = table.rate(series)
                sink.trues += trues
                sink.total += total
        self.iteration_us, self.lateness_us, self.lag_us = [], [], []
        self._checks, self._raised, self._dropped = {}, 0, 0

    def _fold_requests(self) -> None:
        if self._rows:
            # A third of the time that numpy takes for a list.
            packed = struct.pack(f"={len(self._rows)}q", *self._rows)
            rows = np.frombuffer(packed, dtype=np.int64).reshape(-1, _WIDTH)
            self._rows.clear()
            self._fold_times(rows)
            self._fold_counts(rows)
        for endpoint, count in self._no_response.items():
            self._count_endpoint(endpoint, "0", count, failed=count)
        self._no_response.clear()

    def _fold_times(self, rows: Int64Array) -> None:
        (lookup, connect, tls, ready, post, start, total) = rows[:, _LOOKUP : _TOTAL + 1].T
        duration = np.maximum(total - ready, 0)
        columns = {
            "http_req_duration": duration,
            "http_req_blocked": rows[:, _QUEUE],
            "http_req_lookup": lookup,
            "http_req_connecting": np.maximum(connect - lookup, 0),
            "http_req_tls_handshaking": np.where(tls > 0, np.maximum(tls - connect, 0), 0),
            # A server may answer before it has read everything: no phase is negative then.
            "http_req_sending": np.clip(post - ready, 0, duration),
            "http_req_waiting": np.maximum(start - np.maximum(post, ready), 0),
            "http_req_receiving": np.maximum(total - np.maximum(start, ready), 0),
            "http_req_total": total,
        }
        for metric, values in columns.items():
            self._table.trend(Series(metric)).fold(values)
        scheduled = rows[:, _RESPONSE]
        scheduled = scheduled[scheduled != NO_DUE]
        if len(scheduled):
            self._table.trend(Series("http_req_response_time")).fold(scheduled)
        endpoints = rows[:, _ENDPOINT]
        for endpoint in np.unique(endpoints).tolist():
            self._table.trend(Series("http_req_duration", self._tags[endpoint])).fold(duration[endpoints == endpoint])

    def _fold_counts(self, rows: Int64Array) -> None:
        self._table.counter(Series("data_sent")).value += int(rows[:, _SENT].sum())
        self._table.counter(Series("data_received")).value += int(rows[:, _RECEIVED].sum())
        keys, counts = np.unique(rows[:, _ENDPOINT] * 1000 + rows[:, _STATUS], return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            endpoint, status = divmod(key, 1000)
            self._count_endpoint(endpoint, str(status), count, failed=count if status >= FAILED_FROM_STATUS else 0)

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
