"""OTLP over real HTTP: every request is read with OpenTelemetry's own message classes, and equals the summary.

Debian has no collector, and none was found in a package that installs by itself. So the receiver is an HTTP server of
the standard library, and what it understands of a request is what `opentelemetry-proto` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from fastload.model.errors import OutputError, PlanError
from fastload.model.histogram import bucket_index
from fastload.model.series import TrendValue
from fastload.outputs.streams.buckets import HISTOGRAM_SCHEMA
from fastload.outputs.streams.otlp import Otlp
from tests.conftest import free_port
from tests.outputs.sinks import BEGIN_NS, carry, make_header, make_second, total_of
from tests.outputs.streams.receivers import Receiver, receiver

SECONDS = [make_second(number) for number in (1, 2, 3)]


@pytest.fixture(autouse=True)
def _no_variables_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("", "METRICS_"):
        for name in ("ENDPOINT", "HEADERS", "CERTIFICATE", "TEMPORALITY_PREFERENCE", "DEFAULT_HISTOGRAM_AGGREGATION"):
            monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{kind}{name}", raising=False)
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)


def metrics_of(kept: Receiver, number: int) -> dict[str, Any]:
    """The metrics of one request, by name."""
    message = ExportMetricsServiceRequest.FromString(kept.requests[number].body)
    return {one.name: one for one in message.resource_metrics[0].scope_metrics[0].metrics}


def attributes(of: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in of.attributes}


def test_the_run_so_far_is_sent_each_second() -> None:
    with receiver(status=200) as kept:
        carry(Otlp(kept.url), SECONDS)
        assert [one.path for one in kept.requests] == ["/v1/metrics"] * 3
        assert kept.connections == 1
        last = metrics_of(kept, 2)
    total = total_of(SECONDS)
    requests = last["fastload.http_reqs"].sum
    assert requests.is_monotonic
    assert requests.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert sum(point.as_double for point in requests.data_points) == total.get("http_reqs").value
    assert {attributes(point)["name"] for point in requests.data_points} == {"/users", 'odd "na,me"= \\'}
    (point,) = last["fastload.vus"].gauge.data_points
    assert point.as_double == 3
    assert {(point.start_time_unix_nano, point.time_unix_nano) for point in requests.data_points} == {
        (BEGIN_NS, BEGIN_NS + 3 * 10**9)
    }
    assert sum(point.as_double for point in last["fastload.checks.true"].sum.data_points) == 591
    assert sum(point.as_double for point in last["fastload.checks.samples"].sum.data_points) == 600
    units = {
        name: last[f"fastload.{name}"].unit for name in ("http_req_duration", "data_sent", "http_reqs", "batch_size")
    }
    assert units == {"http_req_duration": "ms", "data_sent": "By", "http_reqs": "1", "batch_size": "{rows}"}


def quantile_bounds(point: Any, share: float) -> tuple[float, float]:
    """The bucket that the quantile is in, as OTLP says: bucket i is over base**i up to base**(i+1)."""
    rank, seen = share * point.count, point.zero_count
    base = 2**2**-point.scale
    for number, count in enumerate(point.positive.bucket_counts, point.positive.offset):
        seen += count
        if seen >= rank:
            return base**number, base ** (number + 1)
    raise AssertionError("no such rank")


def test_trends_are_exponential_histograms_with_the_same_quantiles() -> None:
    with receiver(status=200) as kept:
        carry(Otlp(f"{kept.url}/v1/metrics"), SECONDS)
        last = metrics_of(kept, 2)
    trend = total_of(SECONDS).get("http_req_waiting")
    (point,) = last["fastload.http_req_waiting"].exponential_histogram.data_points
    assert point.scale == HISTOGRAM_SCHEMA
    assert (point.count, point.min, point.max) == (trend.count, trend.min / 1000, trend.max / 1000)
    assert point.sum == pytest.approx(trend.sum / 1000)
    assert point.zero_count + sum(point.positive.bucket_counts) == trend.count
    for share in (0.5, 0.95, 0.99):
        low, high = quantile_bounds(point, share)
        assert low < trend.quantile(share) / 1000 <= high
    (sizes,) = last["fastload.batch_size"].exponential_histogram.data_points
    assert sizes.zero_count == 6


def test_the_resource_says_which_run_it_is() -> None:
    with receiver(status=200) as kept:
        carry(Otlp(kept.url), SECONDS[:1])
        message = ExportMetricsServiceRequest.FromString(kept.requests[0].body)
    found = attributes(message.resource_metrics[0].resource)
    assert (
        found.items()
        >= {
            "service.name": "fastload",
            "service.version": "1.2.3",
            "service.instance.id": "c0ffee",
            "fastload.title": "shop.py",
            "team": "check out",
        }.items()
    )
    assert message.resource_metrics[0].scope_metrics[0].scope.name == "fastload"


def test_the_variables_of_opentelemetry_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(status=200) as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{kept.url}/base")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x=y")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "region=eu")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram")
        carry(Otlp(""), SECONDS)
        request = kept.requests[1]
        found = metrics_of(kept, 1)
        resource = attributes(ExportMetricsServiceRequest.FromString(request.body).resource_metrics[0].resource)
    assert request.path == "/base/v1/metrics"
    assert (request.headers["api-key"], request.headers["x"]) == ("a b", "y")
    assert (resource["service.name"], resource["region"]) == ("mine", "eu")
    requests = found["fastload.http_reqs"].sum
    assert requests.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    assert sum(point.as_double for point in requests.data_points) == 400
    assert {point.start_time_unix_nano for point in requests.data_points} == {BEGIN_NS + 10**9}
    trend: TrendValue = SECONDS[1].table.get("http_req_waiting")
    (point,) = found["fastload.http_req_waiting"].histogram.data_points
    assert sum(point.bucket_counts) == point.count == trend.count
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    at = list(point.explicit_bounds).index(50.0) + 1
    assert sum(point.bucket_counts[:at]) == trend.counts[: bucket_of(50_000) + 1].sum()


def bucket_of(value: int) -> int:
    """Where a histogram counts *value*."""
    return int(bucket_index(np.array([value]))[0])


def test_a_wrong_variable_is_an_error_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta1")
    with pytest.raises(PlanError, match="TEMPORALITY_PREFERENCE is 'delta1'") as caught:
        Otlp("")
    assert caught.value.hint == "did you mean 'delta'?"


def test_what_did_not_arrive_is_in_the_next_and_the_last_is_sent_again() -> None:
    port = free_port()
    sink = Otlp(f"http://127.0.0.1:{port}")
    sink.open(make_header())
    with pytest.raises(OutputError, match="could not be reached: Connection refused"):
        sink.write(SECONDS[0])
    with receiver(port, status=200) as kept:
        sink.write(SECONDS[1])
        kept.status = 503
        with pytest.raises(OutputError, match=f"http://127.0.0.1:{port}/v1/metrics answered 503"):
            sink.write(SECONDS[2])
        kept.status = 200
        sink.close({})
        sent = [metrics_of(kept, number)["fastload.http_reqs"].sum.data_points for number in range(3)]
    counts = [sum(point.as_double for point in points) for points in sent]
    assert counts == [800, 1200, 1200]
