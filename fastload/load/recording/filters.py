"""Batches of finished requests as columns, and filters that add the requests of one series to the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastload.load.recording.outcome import FAILED_FROM_STATUS, JUDGED, JUDGED_FAILED, NO_DUE, UNEXPECTED, Unanswered
from fastload.model.histogram import Int64Array
from fastload.model.metrics import EXPECTED_DURATION, HTTP_TRENDS, Series
from fastload.model.names import are_plain, tag_texts
from fastload.model.points import LOST_TRENDS
from fastload.model.series import SeriesTable
from fastload.model.statuses import MOST
from fastload.model.units import parse_whole

# A row is [endpoint, response time or NO_DUE, *Measurement]. A judgement may be added to the status: see `outcome.py`.
ROW_WIDTH = 13
_ENDPOINT, _RESPONSE, _STATUS, _LOOKUP, _CONNECT, _TLS, _READY, _POST, _START, _TOTAL, _QUEUE, _SENT, _RECEIVED = range(
    ROW_WIDTH
)
_JUDGEMENT = JUDGED_FAILED
_MAX_TAG_SETS = 10_000
_BY_HAND, _BY_EXPECTATION = JUDGED_FAILED // _JUDGEMENT, UNEXPECTED // _JUDGEMENT

VOLUMES = ("data_sent", "data_received")
_COUNTERS = ("http_reqs", *VOLUMES)
REQUEST_METRICS = frozenset((*HTTP_TRENDS, "http_req_response_time", "http_reqs", "http_req_failed", *VOLUMES))


class RequestBatch:
    """Finished requests as columns: one array (n,) for each measured quantity, times in microseconds.

    For requests without a response, `lost_times` has the times.
    """

    def __init__(self, rows: Int64Array) -> None:
        self._rows = rows
        (lookup, connect, tls, ready, post, start, total) = rows[:, _LOOKUP : _TOTAL + 1].T
        duration = np.maximum(total - ready, 0)
        self.times: dict[str, Int64Array] = {
            "http_req_duration": duration,
            "http_req_blocked": rows[:, _QUEUE],
            "http_req_lookup": lookup,
            "http_req_connecting": np.maximum(connect - lookup, 0),
            "http_req_tls_handshaking": np.where(tls > 0, np.maximum(tls - connect, 0), 0),
            # A server may answer before it has read the whole request: clipping keeps every phase from being negative.
            "http_req_sending": np.clip(post - ready, 0, duration),
            "http_req_waiting": np.maximum(start - np.maximum(post, ready), 0),
            "http_req_receiving": np.maximum(total - np.maximum(start, ready), 0),
            "http_req_total": total,
        }
        self.volumes = dict(zip(VOLUMES, (rows[:, _SENT], rows[:, _RECEIVED]), strict=True))
        self.response = rows[:, _RESPONSE]
        self.endpoints = rows[:, _ENDPOINT]
        codes = rows[:, _STATUS]
        self.judgements = codes // _JUDGEMENT
        self.statuses = codes % _JUDGEMENT
        by_status = (self.judgements == 0) & (self.statuses >= FAILED_FROM_STATUS)
        self.failed = by_status | (self.judgements == _BY_HAND) | (self.judgements == _BY_EXPECTATION)

    def lost_times(self) -> dict[str, Int64Array]:
        """Return the times of requests without a response by metric of `LOST_TRENDS`: 0 for phases not reached."""
        # When libcurl gives up, it also sets times of phases that it never reached. The byte counts tell which phases
        # took place.
        is_sent = (self._rows[:, _SENT] > 0) & (self._rows[:, _POST] > 0)
        is_answered = self._rows[:, _RECEIVED] > 0
        times = {metric: np.where(is_sent, self.times[metric], 0) for metric in LOST_TRENDS}
        times["http_req_receiving"][~is_answered] = 0
        waited = times["http_req_duration"] - times["http_req_sending"]
        times["http_req_waiting"] = np.where(is_answered, times["http_req_waiting"], waited)
        # These phases end before the request is sent.
        for metric in ("http_req_connecting", "http_req_tls_handshaking"):
            times[metric] = self.times[metric]
        return times

    def times_of(self, metric: str, chosen: Any) -> Int64Array:
        """Return the values of the trend *metric* in the rows *chosen* by a mask or slice. Response times leave out
        requests without a due time."""
        values: Int64Array = (self.response if metric == "http_req_response_time" else self.times[metric])[chosen]
        return values[values != NO_DUE] if metric == "http_req_response_time" else values


class RequestFilter:
    """Filter that selects the requests of one series.

    Tags known when a request is sent are tested once for each endpoint; ``status``, ``error`` and ``expected_response``
    for each request.
    """

    def __init__(self, series: Series) -> None:
        self.series = series
        wanted = dict(series.tags)
        self._status, self._error = wanted.pop("status", None), wanted.pop("error", None)
        self._expected = wanted.pop("expected_response", None)
        self._fixed = Series(series.metric, tuple(sorted(wanted.items())))
        self._of_endpoint: list[bool] = []

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Return whether requests with *tags*, the tags known when they are sent, can belong to the series."""
        return self._fixed.matches(tags)

    def add_endpoint(self, *, matches: bool) -> None:
        """Add the next endpoint, numbered from 0: *matches* says whether its requests can belong to the series."""
        self._of_endpoint.append(matches)

    def fold(self, batch: RequestBatch, table: SeriesTable) -> None:
        """Add the requests of *batch* that belong to the series to *table*."""
        chosen = np.array(self._of_endpoint, dtype=bool)[batch.endpoints]
        if self.series.metric in _COUNTERS and chosen.any():
            # A sample had the tags of its endpoint: that it had no such outcome is a count of 0, and not no data.
            table.counter(self.series)
        if self._status is not None:
            chosen &= batch.statuses == _status_of(self._status)
        if self._error is not None:
            chosen &= self._has_error(batch, self._error)
        if self._expected is not None:
            chosen &= batch.failed if self._expected == "false" else ~batch.failed
        count = int(chosen.sum())
        if not count:
            return
        metric = self.series.metric
        if metric in batch.volumes:
            table.counter(self.series).value += int(batch.volumes[metric][chosen].sum())
        elif metric in ("http_reqs", "http_req_failed"):
            self._count(table, count, int(batch.failed[chosen].sum()))
        elif len(values := batch.times_of(metric, chosen)):
            table.trend(self.series).fold(values)

    def count_no_response(self, table: SeriesTable, endpoint: int, error: str | None, lost: Unanswered) -> None:
        """Add the requests *lost*; *error* is their tag: empty if the script judged them good, None if they did not
        end."""
        if not self._of_endpoint[endpoint]:
            return
        if self.series.metric in _COUNTERS and lost.count:
            table.counter(self.series)
        fits = self._status in (None, "0") and self._error in (None, error)
        if not fits or self._expected not in (None, "false" if error or error is None else "true"):
            return
        if self.series.metric in VOLUMES:
            moved = lost.sent if self.series.metric == "data_sent" else lost.received
            if moved:
                table.counter(self.series).value += moved
        elif lost.count:
            self._count(table, lost.count, lost.count if error else 0)

    def _count(self, table: SeriesTable, count: int, failed: int) -> None:
        if self.series.metric == "http_reqs":
            table.counter(self.series).value += count
        elif self.series.metric == "http_req_failed":
            rate = table.rate(self.series)
            rate.trues += failed
            rate.total += count

    @staticmethod
    def _has_error(batch: RequestBatch, error: str) -> Any:
        if not error:
            return ~batch.failed
        if error == JUDGED:
            return batch.judgements == _BY_HAND
        status = error.removeprefix("http_")
        wanted = _status_of(status) if error != status else -1
        return batch.failed & (batch.judgements != _BY_HAND) & (batch.statuses == wanted)


def _status_of(text: str) -> int:
    """Return the status that *text* writes; -1, which no request has, if it is none."""
    number = parse_whole(text, MOST)
    return -1 if number is None else number


class Filters:
    """Filters of all *asked* series with tags, beside the series that every run keeps."""

    def __init__(self, asked: Iterable[Series]) -> None:
        every = tuple(dict.fromkeys(series for series in asked if series.tags))
        # The recorder has the duration of expected responses by itself, almost for nothing.
        wanted = [series for series in every if not series.is_kept and series != EXPECTED_DURATION]
        self.of_requests = [RequestFilter(series) for series in wanted if series.metric in REQUEST_METRICS]
        self._of_scopes: dict[str, list[Series]] = {}
        for series in wanted:
            if series.metric not in REQUEST_METRICS or series.metric in VOLUMES:
                self._of_scopes.setdefault(series.metric, []).append(series)
        self._tags = frozenset(pair for series in every for pair in series.tags)
        self._relevant: dict[tuple[Any, ...], tuple[tuple[str, str], ...]] = {}

    def values_of(self, key: str) -> frozenset[str]:
        """Return the values of the tag *key* in all asked series."""
        return frozenset(value for name, value in self._tags if name == key)

    def relevant(self, tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the pairs of *tags* that an asked series contains, sorted. No filter depends on the other tags.

        Raises:
            PlanError: *tags* is no mapping, or has what is no text (see `tag_texts`).
        """
        try:
            key = tuple(tags.items())
            found = self._relevant.get(key)
        except (AttributeError, TypeError):
            # No mapping, or what cannot be hashed: the error says which it is.
            key, found = (), None
        if found is None:
            texts = tag_texts(tags)
            found = tuple(sorted(pair for pair in texts.items() if pair in self._tags))
            if texts == tags and are_plain((*texts, *texts.values())) and len(self._relevant) < _MAX_TAG_SETS:
                self._relevant[key] = found
        return found

    def series_of(self, metric: str, tags: Mapping[str, str]) -> list[Series]:
        """Return the series in which a value of *metric* with *tags* counts: the total and the matching asked series.

        *metric* is not a request metric, except for the `VOLUMES`.
        """
        return [Series(metric), *(series for series in self._of_scopes.get(metric, ()) if series.matches(tags))]
