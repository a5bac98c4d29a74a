"""Prometheus: our endpoint as its own client reads it, and what a real Prometheus makes of both ways."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.request import urlopen

import cramjam
import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import fastload as fl
from fastload.model.errors import OutputError, PlanError
from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.records import Snapshot
from fastload.outputs.streams import prometheus
from fastload.outputs.streams.buckets import CLASSIC_BOUNDS_S
from fastload.outputs.streams.prometheus import PrometheusEndpoint
from fastload.outputs.streams.prometheus_names import base_name, labels
from fastload.outputs.streams.remote_write import RemoteWrite
from fastload.outputs.streams.remote_write_messages import WriteRequest
from fastload.outputs.streams.sender import POSTS_SKIPPED_AFTER_TIMEOUT
from tests.conftest import Nginx, answers, free_port, wait_until
from tests.outputs.sinks import carry, fastload_threads, make_header, make_second, total_of
from tests.outputs.streams.receivers import PrometheusServer, Receiver, prometheus_server, receiver

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def scrape() -> Iterator[tuple[PrometheusEndpoint, int]]:
    port = free_port()
    sink = PrometheusEndpoint(str(port))
    sink.check()
    sink.open(make_header())
    yield sink, port
    sink.close(None)


def families_at(port: int) -> dict[str, Metric]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        return {family.name: family for family in text_string_to_metric_families(reply.read().decode())}


def samples_of(families: dict[str, Metric], name: str) -> Samples:
    return {
        (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if k != "team"))): sample.value
        for sample in families[name].samples
    }


def test_what_is_scraped_is_the_run_so_far(scrape: tuple[PrometheusEndpoint, int]) -> None:
    sink, port = scrape
    seconds = [make_second(number) for number in (1, 2, 3)]
    for second in seconds:
        sink.write(second)
    total, families = total_of(seconds), families_at(port)
    requests = samples_of(families, "fastload_http_reqs")
    assert sum(requests.values()) == total.get("http_reqs").value == 1200
    odd = (("method", "GET"), ("name", 'odd "na,me"= \\'), ("status", "200"))
    assert requests["fastload_http_reqs_total", odd] == 597
    assert all(sample.labels["team"] == "check out" for sample in families["fastload_http_reqs"].samples)
    assert samples_of(families, "fastload_orders")["fastload_orders_total", (("region", "eu"),)] == 21
    assert samples_of(families, "fastload_data_sent_bytes") == {
        ("fastload_data_sent_bytes_total", ()): total.get("data_sent").value
    }
    check = (("check", "is fine"), ("scenario", "default"))
    assert samples_of(families, "fastload_checks_rate")["fastload_checks_rate", check] == 197 / 200
    assert samples_of(families, "fastload_checks_true")["fastload_checks_true_total", check] == 591
    assert samples_of(families, "fastload_checks_samples")["fastload_checks_samples_total", check] == 600
    assert samples_of(families, "fastload_vus") == {("fastload_vus", ()): 3}
    assert samples_of(families, "fastload_queue_depth") == {("fastload_queue_depth", ()): -1.5}
    assert samples_of(families, "fastload_host_cpu_percent")["fastload_host_cpu_percent", ()] == 79.4
    (run,) = families["fastload_run"].samples
    assert run.labels == {"run": "c0ffee", "title": "shop.py", "version": "1.2.3", "team": "check out"}


def test_a_trend_is_a_histogram_in_seconds_and_has_its_quantiles(scrape: tuple[PrometheusEndpoint, int]) -> None:
    sink, port = scrape
    sink.write(make_second(1))
    trend = make_second(1).table.get("http_req_waiting")
    families = families_at(port)
    histogram = samples_of(families, "fastload_http_req_waiting_seconds")
    name = "fastload_http_req_waiting_seconds"
    assert families[name].type == "histogram"
    assert histogram[f"{name}_count", ()] == histogram[f"{name}_bucket", (("le", "+Inf"),)] == trend.count
    assert histogram[f"{name}_sum", ()] == pytest.approx(trend.sum / 1e6)
    below = sum(value - 20 <= 50_000 for value in requested_us(1))
    assert histogram[f"{name}_bucket", (("le", "0.05"),)] == pytest.approx(below, abs=2)
    assert 0 < below < trend.count
    counts = [value for (what, _), value in histogram.items() if what.endswith("_bucket")]
    assert counts == sorted(counts)
    quantiles = samples_of(families, f"{name}_quantile")
    assert quantiles[f"{name}_quantile", (("quantile", "0.95"),)] == trend.quantile(0.95) / 1e6
    sizes = samples_of(families, "fastload_batch_size_rows")
    assert sizes["fastload_batch_size_rows_bucket", (("le", "0.1"),)] == 2


def requested_us(number: int) -> list[int]:
    """What `make_second` has for durations."""
    random = np.random.default_rng(number)
    return [int(value) for _ in range(2) for value in random.gamma(2.0, 40_000, 200)]


def test_a_port_that_is_taken_is_an_error_before_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PlanError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            PrometheusEndpoint(str(port)).check()


def test_nothing_is_left_of_an_endpoint_even_with_a_client_that_asks_nothing() -> None:
    port = free_port()
    sink = PrometheusEndpoint(f"localhost:{port}")
    sink.check()
    assert not answers(port)
    sink.open(make_header())
    with socket.create_connection(("127.0.0.1", port)):
        sink.close(None)
        assert not answers(port)
        assert fastload_threads() == []
        # And it can be had again at once.
        PrometheusEndpoint(str(port)).check()


def test_only_loopback_hears_unless_asked() -> None:
    port = free_port()
    sink = PrometheusEndpoint(str(port))
    sink.open(make_header())
    try:
        with socket.socket(socket.AF_INET) as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))
    finally:
        sink.close(None)


def test_the_end_waits_for_a_scrape_that_is_about_to_come(
    scrape: tuple[PrometheusEndpoint, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "SCRAPE_WAIT_S", 20.0)
    sink, port = scrape
    for _ in range(2):
        families_at(port)
    sink.write(make_second(1))
    closing = threading.Thread(target=sink.close, args=(None,))
    closing.start()
    assert sum(samples_of(families_at(port), "fastload_http_reqs").values()) == 400
    closing.join(15)
    assert not closing.is_alive()


def test_the_end_waits_until_an_answer_is_written_whole(
    scrape: tuple[PrometheusEndpoint, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "SCRAPE_WAIT_S", 20.0)
    sink, port = scrape
    # More than lies in the buffers of two sockets.
    big = make_second(1)
    for number in range(6000):
        big.table.counter(Series.of("orders", region=f"{number} {'x' * 1000}")).value += 1
    sink.write(big)
    with socket.socket() as slow:
        slow.connect(("127.0.0.1", port))
        slow.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert slow.recv(16).startswith(b"HTTP/1")
        closing = threading.Thread(target=sink.close, args=(None,))
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        answer = b"".join(iter(lambda: slow.recv(65_536), b""))
    closing.join(15)
    assert not closing.is_alive()
    assert answer.count(b"x" * 1000) == 6000


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("ms", "x_seconds"),
        ("us", "x_seconds"),
        ("s", "x_seconds"),
        ("bytes", "x_bytes"),
        ("", "x"),
        ("rows", "x_rows"),
        ("%", "x_percent"),
        ("req/s", "x_req_s"),
        ("é", "x"),
    ],
)
def test_names_have_base_units(unit: str, name: str) -> None:
    assert base_name(MetricSpec("x", Kind.TREND, unit)) == f"fastload_{name}"


def test_a_unit_that_a_name_ends_with_is_not_said_twice() -> None:
    assert base_name(MetricSpec("reply_bytes", Kind.TREND, "bytes")) == "fastload_reply_bytes"


def test_labels_are_what_prometheus_takes() -> None:
    tags = (("9lives", "a"), ("le", "b"), ("a-b", "c"), ("a.b", "d"), ("__name__", "e"), ("", "f"), ("ok", "\udcff"))
    found = labels(tags, {"ok": "common", "other": "x"})
    assert found == {
        "ok": "\\udcff",
        "other": "x",
        "tag_9lives": "a",
        "tag_le": "b",
        "a_b": "c",
        "a_b_2": "d",
        "tag_name__": "e",
        "tag_": "f",
    }


def posts(kept: Receiver) -> list[int]:
    return [len(one.body) for one in kept.requests]


def test_remote_write_sends_one_request_a_second_over_one_connection_and_ends_every_series() -> None:
    with receiver() as kept:
        carry(RemoteWrite(f"http://user:pa%20ss@127.0.0.1:{kept.port}/api/v1/write"), [make_second(n) for n in (1, 2)])
        assert len(posts(kept)) == 3
        assert kept.connections == 1
        first = kept.requests[0]
    assert first.path == "/api/v1/write"
    assert first.headers["Content-Encoding"] == "snappy"
    assert first.headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert first.headers["Authorization"] == "Basic dXNlcjpwYSBzcw=="


def test_remote_write_says_what_a_server_said_and_no_password() -> None:
    with receiver(status=500, reply=b"no\nroom") as kept:
        sink = RemoteWrite(f"http://user:secret@127.0.0.1:{kept.port}")
        sink.open(make_header())
        with pytest.raises(OutputError) as caught:
            sink.write(make_second(1))
        assert caught.value.message == f"http://127.0.0.1:{kept.port} answered 500: no room"
        kept.status = 200
        # What was lost is sent at the end, and then the ends of all series.
        sink.close({})
        assert len(posts(kept)) == 3


@contextlib.contextmanager
def first_answer_lost(*, hangs_up: bool) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a server that takes the first request without a word, and answers all others; and their bodies."""
    bodies: list[bytes] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                length = 0
                while line.strip():
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                    line = self.rfile.readline()
                bodies.append(self.rfile.read(length))
                if len(bodies) > 1:
                    self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                elif hangs_up:
                    return

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1], bodies
        finally:
            server.shutdown()
            thread.join()


def series_of(body: bytes) -> dict[str, list[tuple[int, float]]]:
    """The samples by time in one request, and of histograms the counts, by the name of their series."""
    found: dict[str, list[tuple[int, float]]] = {}
    for one in WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body))).timeseries:
        named = " ".join(f"{label.name}={label.value}" for label in one.labels)
        samples = [(sample.timestamp, sample.value) for sample in one.samples]
        found[named] = samples + [(sample.timestamp, sample.count_int) for sample in one.histograms]
    return found


@pytest.mark.parametrize("hangs_up", [False, True], ids=["silent", "hangs up"])
def test_remote_write_begins_no_series_twice_when_an_answer_is_lost(hangs_up: bool) -> None:
    with first_answer_lost(hangs_up=hangs_up) as (port, bodies):
        sink = RemoteWrite(f"http://127.0.0.1:{port}")
        sink.open(make_header())
        lost = 1 if hangs_up else 1 + POSTS_SKIPPED_AFTER_TIMEOUT
        for number in range(1, lost + 1):
            with pytest.raises(OutputError):
                sink.write(make_second(number))
        sink.write(make_second(lost + 1))
        sink.close({})
    first, second, _ = map(series_of, bodies)
    begun = [name for name, samples in first.items() if [value for _, value in samples][:-1] == [0]]
    assert any("fastload_http_reqs_total" in name for name in begun)
    assert any("fastload_http_req_duration_seconds" in name for name in begun)
    assert {name: len(second[name]) for name in first} == dict.fromkeys(first, 1)
    assert all(first[name][-1][1] <= second[name][0][1] for name in begun), "a counter that is set back"


def test_remote_write_begins_series_late_when_nobody_was_there() -> None:
    port = free_port()
    sink = RemoteWrite(f"http://127.0.0.1:{port}")
    sink.open(make_header())
    with pytest.raises(OutputError, match="could not be reached"):
        sink.write(make_second(1))
    with receiver(port) as kept:
        sink.write(make_second(2))
        sink.close({})
        sent = series_of(kept.requests[0].body)
    (requests,) = (samples for name, samples in sent.items() if "fastload_http_req_sending_seconds" in name)
    assert [count for _, count in requests] == [0, 800]


async def visit(vu: fl.VU) -> None:
    await vu.get("/", name="root")
    reply = await vu.get("/status/404", name='odd "name", = \\ é')
    vu.check(reply, {"is 404": reply.status == 404})


class Last:
    """Remembers the last snapshot."""

    def start(self, plan: object) -> None: ...
    def snapshot(self, snapshot: Snapshot) -> None:
        self.time_s = snapshot.time_ns // 1_000_000 / 1000

    def stop(self, summary: fl.Summary) -> None: ...


def test_a_real_prometheus_has_our_numbers_both_ways(nginx: Nginx, tmp_path: Path) -> None:
    port = free_port()
    with prometheus_server(tmp_path, port) as server:
        # A Prometheus that has no time takes no answer, and has no last second then; but not each time.
        summary, at_s = next(filter(None, (run_that_is_scraped(nginx, server, port) for _ in range(3))))
        for job in ("scraped", "fastload"):
            # What is scraped has the last second a moment later.
            when_s = at_s + (4 if job == "scraped" else 0.0005)
            for metric in ("http_reqs", "iterations", "data_sent_bytes", "data_received_bytes", "checks_true"):
                counted = server.value(f'sum(last_over_time(fastload_{metric}_total{{job="{job}"}}[1m]))', when_s)
                name = metric.removesuffix("_bytes")
                view = summary.metrics[name.removesuffix("_true")]
                assert counted == (view.passes if name == "checks_true" else view.count), (job, metric)
        by_name = server.query('sum by (name, status) (fastload_http_reqs_total{job="fastload"})', at_s)
        assert {dict(tags)["name"]: value for tags, value in by_name.items()} == {
            endpoint.name: endpoint.requests for endpoint in summary.endpoints
        }
        check_quantiles(server.value, summary, at_s)
        # Everything ended: no series goes on for five minutes.
        assert server.query('{job="fastload"}', at_s + 1) == {}


def run_that_is_scraped(nginx: Nginx, server: PrometheusServer, port: int) -> tuple[fl.Summary, float] | None:
    """The summary and the moment of its last second, if Prometheus scraped that too."""
    last = Last()
    out = (f"prometheus={port}", f"prometheus-rw={server.url}/api/v1/write")
    summary = fl.run(visit, vus=2, duration="2s", workers=2, base_url=nginx.url, out=out, outputs=[last])
    assert summary.notes == ()

    def is_stored() -> bool:
        asked = 'sum(last_over_time(fastload_iterations_total{job="scraped"}[1m]))'
        return summary.metrics["iterations"].count in server.query(asked, last.time_s + 4).values()

    # What was answered whole is stored a moment later.
    return (summary, last.time_s) if wait_until(is_stored, deadline_s=10, raising=False) else None


def bucket_around(value_s: float) -> tuple[float, float]:
    """The bounds of the classic bucket that has *value_s*; by one more if it is as near to one as it is exact."""
    bounds = [0.0, *CLASSIC_BOUNDS_S]
    return (
        max(bound for bound in bounds if bound <= value_s * 0.999),
        min(bound for bound in bounds if bound >= value_s * 1.001),
    )


def check_quantiles(value: object, summary: fl.Summary, at_s: float) -> None:
    assert callable(value)
    trend = "fastload_http_req_duration_seconds"
    for percent in (50, 90, 95, 99, 99.9):
        ours = summary.metrics["http_req_duration"].p(percent)
        assert ours is not None
        native = value(f'histogram_quantile({percent / 100}, sum({trend}{{job="fastload"}}))', at_s)
        # Within a bucket: the next bound below, or the next one above.
        assert ours / 1000 / 2 ** (1 / 32) <= native <= ours / 1000 * 2 ** (1 / 32), percent
    count = value(f'histogram_count(sum({trend}{{job="fastload"}}))', at_s)
    assert count == summary.metrics["http_req_duration"].count
    for percent in (50, 95):
        waiting = "fastload_http_req_waiting_seconds"
        ours_s = (summary.metrics["http_req_waiting"].p(percent) or 0) / 1000
        below, above = bucket_around(ours_s)
        buckets = f'sum by (le) (last_over_time({waiting}_bucket{{job="scraped"}}[1m]))'
        assert below <= value(f"histogram_quantile({percent / 100}, {buckets})", at_s + 4) <= above, percent
    scraped = value(
        'last_over_time(fastload_http_req_waiting_seconds_quantile{job="scraped", quantile="0.99"}[1m])', at_s + 4
    )
    assert scraped == pytest.approx((summary.metrics["http_req_waiting"].p(99) or 0) / 1000)
    assert BUILTIN["http_req_waiting"].unit == "ms"


CLASHES = {
    "login": Kind.RATE,
    "login_true": Kind.COUNTER,
    "login_samples_total": Kind.GAUGE,
    "login_rate": Kind.GAUGE,
    "size": Kind.TREND,
    "size_count": Kind.GAUGE,
    "size_bucket": Kind.COUNTER,
    "size_sum": Kind.TREND,
    "run": Kind.GAUGE,
    "http_reqs_total": Kind.GAUGE,
    "http_req_duration_seconds": Kind.GAUGE,
    "scenario_http_reqs": Kind.GAUGE,
}


def clashing_run() -> tuple[dict[str, MetricSpec], Snapshot]:
    """Metrics of a script, each of which has a name that another one is sent under; all of them have one value."""
    specs = {name: MetricSpec(name, kind) for name, kind in CLASHES.items()}
    second = make_second(1)
    for number, (name, kind) in enumerate(CLASHES.items(), 1):
        match kind:
            case Kind.RATE:
                second.table.rate(Series(name)).trues = second.table.rate(Series(name)).total = number
            case Kind.COUNTER:
                second.table.counter(Series(name)).value = number
            case Kind.GAUGE:
                second.table.gauge(Series(name)).set(number)
            case Kind.TREND:
                second.table.trend(Series(name), specs[name].highest).record(number * 1000)
    return specs, second


def test_metrics_whose_names_collide_are_numbered() -> None:
    specs, second = clashing_run()
    port = free_port()
    sink = PrometheusEndpoint(str(port))
    sink.open(make_header(specs=BUILTIN | specs))
    try:
        sink.write(second)
        families = families_at(port)
    finally:
        sink.close(None)
    for family in families.values():
        label_sets = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
        assert len(label_sets) == len(set(label_sets)), family.name
    found = {sample.name: sample.value for family in families.values() for sample in family.samples}
    expected = {
        "fastload_login_true_total": 1,
        "fastload_login_true_2_total": 2,
        "fastload_login_samples_total_2": 3,
        "fastload_login_rate_2": 4,
        "fastload_size_sum": 5,
        "fastload_size_count_2": 6,
        "fastload_size_bucket_2_total": 7,
        "fastload_size_sum_2_sum": 8,
        "fastload_run_2": 9,
        "fastload_http_reqs_total_2": 10,
        "fastload_http_req_duration_seconds_2": 11,
        "fastload_scenario_http_reqs": 12,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["fastload_run"] == 1


def test_remote_write_sends_no_series_twice() -> None:
    specs, second = clashing_run()
    with receiver() as got:
        carry(RemoteWrite(f"{got.url}/write"), [second], header=make_header(specs=BUILTIN | specs))
        sent = [
            tuple(sorted((label.name, label.value) for label in series.labels))
            for one in got.requests
            for series in WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(one.body))).timeseries
            if not all(np.isnan(sample.value) for sample in series.samples)
        ]
    assert len(sent) == len(set(sent))
    assert {"fastload_login_true_total", "fastload_login_true_2_total"} <= {dict(one)["__name__"] for one in sent}
