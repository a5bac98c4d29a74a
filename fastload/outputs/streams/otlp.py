"""``--out otlp=URL``: OpenTelemetry metrics every second, over OTLP/HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.re import parse_env_headers

from fastload.model.errors import PlanError, nearest
from fastload.model.metrics import MetricSpec
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterValue, GaugeValue, RateValue, TrendValue
from fastload.outputs.streams.buckets import HISTOGRAM_SCHEMA, counts_up_to, to_exponential
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector, RunTotals, common_tags
from fastload.outputs.streams.sender import SendAddress, Sender, parse_send_address

OPTION = "--out otlp"
DEFAULT = "http://localhost:4318"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_AGGREGATION = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
_EXPONENTIAL, _EXPLICIT = "base2_exponential_bucket_histogram", "explicit_bucket_histogram"
_UNITS = {"": "1", "bytes": "By", "bytes/s": "By/s", "ms": "ms", "us": "us", "s": "s", "%": "%"}
# Upper bounds of explicit buckets, in the unit of the metric: 0.1 to 50,000 (50 s for milliseconds).
_BOUNDS = tuple(float(f"{step}e{power}") for power in range(-1, 5) for step in (1, 2.5, 5))


@dataclass(frozen=True, slots=True)
class _Span:
    """The time of OTLP data points: *start_ns* to *end_ns* of the wall clock, since the epoch."""

    start_ns: int
    end_ns: int


class Otlp:
    """A sink that sends the totals of the run so far each second, or the last second with the temporality "delta".

    *argument* is the base URL of a collector, or the full URL of its metrics endpoint. If it is empty, the environment
    variables of OpenTelemetry give the URL. They also give headers, certificate, temporality and kind of histograms.
    """

    required = False
    wants_points = False

    def __init__(self, argument: str) -> None:
        self._address = _address(argument)
        self._url = self._address.url_for(self._address.path)
        self._delta = _choice(_TEMPORALITY, ("cumulative", "delta", "lowmemory")) in ("delta", "lowmemory")
        self._explicit = _choice(_AGGREGATION, (_EXPONENTIAL, _EXPLICIT)) == _EXPLICIT
        self._headers = {**_headers(), "Content-Type": "application/x-protobuf", "User-Agent": "fastload"}
        self._sender = Sender(self._address, ca_file=_certificate())
        self._begin_ns = 0
        self._unsent: MetricsData | None = None

    def check(self) -> None:
        """Do nothing: the server may start later."""

    def open(self, header: RunHeader) -> None:
        version = header.versions.get("fastload", "")
        own = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "fastload"),
            "service.version": version,
            "service.instance.id": header.run_id,
            "fastload.title": header.title,
        }
        self._resource = Resource.create({**common_tags(header), **own})
        self._scope = InstrumentationScope("fastload", version)
        self._selector = DataPointSelector(header)
        self._totals = RunTotals(self._selector)

    def write(self, snapshot: Snapshot) -> None:
        end_ns = snapshot.time_ns
        second_ns = end_ns - round(snapshot.span_s * 1e9)
        self._begin_ns = self._begin_ns or second_ns
        if self._delta:
            self._unsent = self._data(
                self._selector.data_points(self._selector.window(snapshot)), _Span(second_ns, end_ns)
            )
        else:
            self._totals.add(snapshot)
            self._unsent = self._data(self._totals.data_points(), _Span(self._begin_ns, end_ns))
        self._flush()

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        try:
            self._flush()
        finally:
            self._sender.close()

    def _flush(self) -> None:
        """Send the unsent data, if any: `close` calls this again for a last second that failed."""
        if self._unsent is not None:
            self._sender.post(self._url, encode_metrics(self._unsent).SerializeToString(), self._headers)
            self._unsent = None

    def _data(self, data_points: Iterable[DataPoint], span: _Span) -> MetricsData:
        metrics = [
            metric
            for spec, group in groupby(data_points, key=lambda point: point.spec)
            for metric in self._metrics(spec, list(group), span)
        ]
        scope = ScopeMetrics(self._scope, metrics, schema_url="")
        return MetricsData([ResourceMetrics(self._resource, [scope], schema_url="")])

    def _metrics(self, spec: MetricSpec, data_points: list[DataPoint], span: _Span) -> Iterator[Metric]:
        temporality = AggregationTemporality.DELTA if self._delta else AggregationTemporality.CUMULATIVE
        named = _metric(spec)
        match data_points[0].series_value:
            case TrendValue() if self._explicit:
                yield replace(named, data=Histogram([_explicit(one, span) for one in data_points], temporality))
            case TrendValue():
                yield replace(
                    named, data=ExponentialHistogram([_exponential(one, span) for one in data_points], temporality)
                )
            case CounterValue():
                points = [_number(one, span, "value") for one in data_points]
                yield replace(named, data=Sum(points, temporality, is_monotonic=True))
            case RateValue():
                for suffix, field in (("true", "trues"), ("samples", "total")):
                    points = [_number(one, span, field) for one in data_points]
                    data = Sum(points, temporality, is_monotonic=True)
                    yield replace(named, name=f"{named.name}.{suffix}", data=data)
            case GaugeValue():
                yield replace(named, data=Gauge([_number(one, span, "value") for one in data_points]))


def _metric(spec: MetricSpec) -> Metric:
    unit = _UNITS.get(spec.unit, f"{{{spec.unit}}}")
    return Metric(f"fastload.{spec.name}", f"The {spec.kind.value} {spec.name}.", unit, Gauge([]))


def _number(point: DataPoint, span: _Span, field: str) -> NumberDataPoint:
    # Always a float: some backends refuse a metric whose type changes between integer and float.
    value = float(getattr(point.series_value, field))
    return NumberDataPoint(dict(point.tags), span.start_ns, span.end_ns, value)


def _exponential(point: DataPoint, span: _Span) -> ExponentialHistogramDataPoint:
    trend, scale = point.series_value, point.spec.scale
    assert isinstance(trend, TrendValue)
    zeros, index, counts = to_exponential(trend, scale)
    dense = [0] * (index[-1] - index[0] + 1) if index else []
    for bucket, count in zip(index, counts, strict=True):
        dense[bucket - index[0]] = count
    return ExponentialHistogramDataPoint(
        dict(point.tags),
        span.start_ns,
        span.end_ns,
        count=trend.count,
        sum=trend.sum / scale,
        scale=HISTOGRAM_SCHEMA,
        zero_count=zeros,
        # In OTLP bucket 0 starts at 1; in Prometheus' numbering, which `to_exponential` uses, bucket 0 ends at 1.
        positive=Buckets(index[0] - 1 if index else 0, dense),
        negative=Buckets(0, []),
        flags=0,
        min=trend.min / scale,
        max=trend.max / scale,
    )


def _explicit(point: DataPoint, span: _Span) -> HistogramDataPoint:
    trend, scale = point.series_value, point.spec.scale
    assert isinstance(trend, TrendValue)
    so_far = [0, *counts_up_to(trend, scale, _BOUNDS), trend.count]
    return HistogramDataPoint(
        dict(point.tags),
        span.start_ns,
        span.end_ns,
        count=trend.count,
        sum=trend.sum / scale,
        bucket_counts=[after - before for before, after in pairwise(so_far)],
        explicit_bounds=_BOUNDS,
        min=trend.min / scale,
        max=trend.max / scale,
    )


def _address(argument: str) -> SendAddress:
    """Return the URL for metrics. A URL without a path is that of a collector, whose endpoint is ``/v1/metrics``."""
    if not argument and (whole := os.environ.get(_METRICS_ENDPOINT)):
        return parse_send_address(whole, _METRICS_ENDPOINT, f"{DEFAULT}/v1/metrics")
    if argument:
        address = parse_send_address(argument, OPTION, DEFAULT)
        return address if address.path else replace(address, path="/v1/metrics")
    address = parse_send_address(os.environ.get(_ENDPOINT) or DEFAULT, _ENDPOINT, DEFAULT)
    return replace(address, path=f"{address.path}/v1/metrics")


def _choice(variable: str, allowed: tuple[str, ...]) -> str:
    given = os.environ.get(variable, "").strip().lower() or allowed[0]
    if given not in allowed:
        hint = nearest(given, allowed) or f"one of {', '.join(allowed)}"
        raise PlanError(f"{OPTION}: {variable} is {given!r}", hint=hint)
    return given


def _headers() -> dict[str, str]:
    text = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return dict(parse_env_headers(text, liberal=True))


def _certificate() -> str | None:
    names = ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
