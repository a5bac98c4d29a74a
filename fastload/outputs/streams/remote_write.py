"""``--out prometheus-rw=URL``: Prometheus remote write every second, with native histograms for trends."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import cramjam

from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import TrendValue
from fastload.outputs.streams.buckets import HISTOGRAM_SCHEMA, to_exponential
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector, RunTotals, common_tags
from fastload.outputs.streams.prometheus_names import PrometheusNames, clean, labels, per_base_unit, values_of
from fastload.outputs.streams.remote_write_messages import (
    BucketSpan,
    HistogramMessage,
    Label,
    Sample,
    TimeSeries,
    WriteRequest,
)
from fastload.outputs.streams.sender import NotSentError, RefusedError, Sender, parse_send_address

OPTION = "--out prometheus-rw"
EXAMPLE = "http://localhost:9090/api/v1/write"
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "fastload",
}
# Prometheus' staleness marker: it ends a series. Without it Prometheus shows the last value for five more minutes.
STALE: float = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]
# Width of the zero bucket, the same as in the Prometheus client libraries.
_ZERO_THRESHOLD = 2.0**-128
_MOST_SERIES = 5_000
_BAD_REQUEST = 400

_Labels = tuple[tuple[str, str], ...]
_T = TypeVar("_T")


class RemoteWrite:
    """A sink that sends the totals of the run so far each second: the next request makes up for a failed one."""

    required = False
    wants_points = False

    def __init__(self, argument: str) -> None:
        self._address = parse_send_address(argument, OPTION, EXAMPLE)
        self._url = self._address.url_for(self._address.path or "/api/v1/write")
        self._sender = Sender(self._address)
        # The series whose first sample the server may have, and whether each is a trend.
        self._started_series: dict[_Labels, bool] = {}
        # The series whose first sample the server refused, and the time of that sample, in ms since the epoch.
        self._refused_ms: dict[_Labels, int] = {}
        self._has_unsent = False
        self._begin_ms = self._last_ms = 0

    def check(self) -> None:
        """Do nothing: the server may start later."""

    def open(self, header: RunHeader) -> None:
        selector = DataPointSelector(header)
        self._totals = RunTotals(selector)
        self._names = PrometheusNames(selector.specs())
        self._common = {"run": header.run_id, **common_tags(header)}

    def write(self, snapshot: Snapshot) -> None:
        self._totals.add(snapshot)
        # Prometheus takes no second sample of the same millisecond.
        self._last_ms = max(snapshot.time_ns // 1_000_000, self._last_ms + 1)
        self._begin_ms = self._last_ms - max(1, round(snapshot.span_s * 1000))
        self._has_unsent = True
        self._flush()

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        try:
            self._flush()
            stale = [_stale(named, self._last_ms + 1, is_trend) for named, is_trend in self._started_series.items()]
            for some in _pieces(stale):
                self._send(some)
        finally:
            self._sender.close()

    def _flush(self) -> None:
        if self._has_unsent:
            for some in _pieces([one for point in self._totals.data_points() for one in self._series(point)]):
                self._send_with_start(some)
            self._has_unsent = False

    def _send_with_start(self, some: Sequence[tuple[_Labels, Any]]) -> None:
        """Send the last second of some series.

        If the request may have arrived, new series count as begun, even without a reply. A second start sample would
        look like a counter reset to Prometheus, which would then count the earlier values twice.
        """
        new = {named: bool(series.histograms) for named, series in some if named not in self._started_series}
        self._started_series |= new
        try:
            self._send([series for _, series in some])
        except NotSentError:
            for named in new:
                del self._started_series[named]
            raise
        except RefusedError as error:
            self._retry_start(new, error.status)
            raise

    def _retry_start(self, new: Iterable[_Labels], status: int) -> None:
        """Prepare a new start of the series *new*, whose first samples the server refused with *status*.

        The server may have stored some of these series nevertheless. The next request therefore sends their start
        sample again, with the same time: the server either lacks this sample or has the same one. If the server already
        has later samples, it replies 400 (bad request), and the series continue without a start sample.
        """
        for named in new:
            if status != _BAD_REQUEST or named not in self._refused_ms:
                del self._started_series[named]
                self._refused_ms.setdefault(named, self._begin_ms)

    def _series(self, point: DataPoint) -> Iterable[tuple[_Labels, Any]]:
        base = self._names.of(point.spec)
        if isinstance(point.series_value, TrendValue):
            named = self._labels(base, point)
            per_unit = point.spec.scale * per_base_unit(point.spec)
            histograms = [_histogram(point.series_value, per_unit, self._last_ms)]
            if named not in self._started_series:
                histograms.insert(
                    0, _histogram(TrendValue(point.series_value.highest), per_unit, self._begin_of(named))
                )
            yield named, TimeSeries(labels=_messages(named), histograms=histograms)
            return
        for name, kind, value in values_of(point, base):
            named = self._labels(name, point)
            samples = [Sample(value=value, timestamp=self._last_ms)]
            if kind == "counter" and named not in self._started_series:
                # A start sample of 0: otherwise rate() in Prometheus misses the values of the first second.
                samples.insert(0, Sample(value=0.0, timestamp=self._begin_of(named)))
            yield named, TimeSeries(labels=_messages(named), samples=samples)

    def _begin_of(self, named: _Labels) -> int:
        return self._refused_ms.get(named, self._begin_ms)

    def _labels(self, name: str, point: DataPoint) -> _Labels:
        named = {"job": "fastload", **labels(point.tags, self._common), "__name__": name}
        return tuple(sorted(named.items()))

    def _send(self, series: Sequence[Any]) -> None:
        body = bytes(cramjam.snappy.compress_raw(WriteRequest(timeseries=series).SerializeToString()))
        self._sender.post(self._url, body, _HEADERS)


def _pieces(series: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Split *series* into the parts for one request each."""
    for first in range(0, len(series), _MOST_SERIES):
        yield series[first : first + _MOST_SERIES]


def _messages(named: _Labels) -> list[Any]:
    return [Label(name=name, value=clean(value)) for name, value in named]


def _stale(named: _Labels, time_ms: int, is_trend: bool) -> Any:
    if is_trend:
        return TimeSeries(
            labels=_messages(named),
            histograms=[HistogramMessage(sum=STALE, schema=HISTOGRAM_SCHEMA, timestamp=time_ms)],
        )
    return TimeSeries(labels=_messages(named), samples=[Sample(value=STALE, timestamp=time_ms)])


def _histogram(trend: TrendValue, per_unit: float, time_ms: int) -> Any:
    zeros, index, counts = to_exponential(trend, per_unit)
    histogram = HistogramMessage(
        count_int=trend.count,
        sum=trend.sum / per_unit,
        schema=HISTOGRAM_SCHEMA,
        zero_threshold=_ZERO_THRESHOLD,
        zero_count_int=zeros,
        timestamp=time_ms,
        positive_deltas=[count - before for count, before in zip(counts, [0, *counts], strict=False)],
    )
    end = 0
    for bucket in index:
        if histogram.positive_spans and bucket == end:
            histogram.positive_spans[-1].length += 1
        else:
            histogram.positive_spans.append(BucketSpan(offset=bucket - end, length=1))
        end = bucket + 1
    return histogram
