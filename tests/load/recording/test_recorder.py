"""What a worker's numbers mean: phases by k6's definitions, counts that reconcile, deltas that add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.load.engine.curl_transfer import Measurement
from fastload.load.recording.outcome import JUDGED_GOOD, NO_DUE, UNEXPECTED, response_us
from fastload.load.recording.recorder import FOLD_AT_REQUESTS, Recorder
from fastload.model import user_metrics
from fastload.model.metrics import HTTP_TRENDS, MAX_NAMES, OTHER_NAME
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import SeriesTable, TrendValue
from fastload.model.user_metrics import Counter


def measurement(
    status: int = 200,
    *,
    lookup: int = 0,
    connect: int = 0,
    tls: int = 0,
    ready: int = 0,
    sent: int = 0,
    first: int = 0,
    total: int = 0,
    queue: int = 0,
    bytes_sent: int = 0,
    bytes_received: int = 0,
) -> Measurement:
    return (status, lookup, connect, tls, ready, sent, first, total, queue, bytes_sent, bytes_received)


def take(recorder: Recorder) -> Delta:
    return recorder.take(vus=0, in_flight=0, offered=0)


def only(table: SeriesTable, metric: str, **tags: str) -> Any:
    """The one value of a trend, else the sink of the series."""
    wanted = tuple(sorted(tags.items()))
    sink = next(
        sink for series, sink in table.series_values.items() if (series.metric, series.tags) == (metric, wanted)
    )
    if isinstance(sink, TrendValue):
        assert sink.count == 1
        return sink.sum
    return sink


@pytest.fixture
def user_counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """A metric that a script declared."""
    monkeypatch.setattr(user_metrics, "_declared", {})
    return Counter("orders")


class TestPhases:
    def test_a_request_on_a_new_connection(self) -> None:
        recorder = Recorder(0)
        recorder.record(
            recorder.endpoint("/a", "GET"),
            NO_DUE,
            measurement(
                lookup=100,
                connect=350,
                tls=900,
                ready=910,
                sent=950,
                first=1950,
                total=2000,
                queue=7,
                bytes_sent=80,
                bytes_received=1200,
            ),
        )
        table = take(recorder).table
        values = {name: only(table, name) for name in HTTP_TRENDS}
        assert values == {
            "http_req_blocked": 7,
            "http_req_lookup": 100,
            "http_req_connecting": 250,
            "http_req_tls_handshaking": 550,
            "http_req_sending": 40,
            "http_req_waiting": 1000,
            "http_req_receiving": 50,
            "http_req_duration": 1090,
            "http_req_total": 2000,
        }
        assert only(table, "data_sent").value == 80
        assert only(table, "data_received").value == 1200
        assert only(table, "http_req_duration", method="GET", name="/a") == 1090

    def test_a_request_on_a_kept_connection(self) -> None:
        recorder = Recorder(0)
        recorder.record(
            recorder.endpoint("/", "GET"), NO_DUE, measurement(ready=10, sent=15, first=115, total=120, queue=10)
        )
        table = take(recorder).table
        assert [only(table, f"http_req_{phase}") for phase in ("lookup", "connecting", "tls_handshaking")] == [0, 0, 0]
        assert [only(table, f"http_req_{phase}") for phase in ("sending", "waiting", "receiving")] == [5, 100, 5]

    def test_without_tls_there_is_no_handshake(self) -> None:
        recorder = Recorder(0)
        recorder.record(recorder.endpoint("/", "GET"), NO_DUE, measurement(lookup=5, connect=300, total=400))
        assert only(take(recorder).table, "http_req_tls_handshaking") == 0

    @given(times=st.lists(st.integers(0, 10**7), min_size=7, max_size=7))
    @settings(deadline=None)
    def test_no_phase_is_negative_whatever_the_server_did(self, times: list[int]) -> None:
        lookup, connect, tls, ready, sent, first, total = times
        recorder = Recorder(0)
        recorder.record(
            recorder.endpoint("/", "PUT"),
            NO_DUE,
            measurement(lookup=lookup, connect=connect, tls=tls, ready=ready, sent=sent, first=first, total=total),
        )
        table = take(recorder).table
        assert all(only(table, name) >= 0 and table.get(name).clamped == 0 for name in HTTP_TRENDS)

    @given(steps=st.lists(st.integers(0, 10**6), min_size=7, max_size=7))
    @settings(deadline=None)
    def test_the_phases_make_up_the_duration(self, steps: list[int]) -> None:
        lookup, connect, tls, ready, sent, first, total = (sum(steps[: count + 1]) for count in range(7))
        recorder = Recorder(0)
        recorder.record(
            recorder.endpoint("/", "GET"),
            NO_DUE,
            measurement(lookup=lookup, connect=connect, tls=tls, ready=ready, sent=sent, first=first, total=total),
        )
        table = take(recorder).table
        phases = sum(only(table, f"http_req_{phase}") for phase in ("sending", "waiting", "receiving"))
        assert phases == only(table, "http_req_duration") == total - ready


class TestCounts:
    def test_by_endpoint_and_status(self) -> None:
        recorder = Recorder(0)
        for name, method, status, count in (
            ("/a", "GET", 200, 3),
            ("/a", "GET", 503, 2),
            ("/a", "POST", 201, 1),
            ("/b", "GET", 404, 4),
        ):
            for _ in range(count):
                recorder.record(recorder.endpoint(name, method), NO_DUE, measurement(status, total=10))
        delta = take(recorder)
        counts = {tuple(tags.values()): sink.value for tags, sink in delta.table.of_metric("http_reqs")}
        assert counts == {
            ("GET", "/a", "200"): 3,
            ("GET", "/a", "503"): 2,
            ("POST", "/a", "201"): 1,
            ("GET", "/b", "404"): 4,
        }
        assert only(delta.table, "http_reqs").value == 10
        failed = {tuple(tags.values()): sink.to_plain() for tags, sink in delta.table.of_metric("http_req_failed")}
        assert failed == {("GET", "/a"): [2, 5], ("POST", "/a"): [0, 1], ("GET", "/b"): [4, 4]}
        assert only(delta.table, "http_req_failed").to_plain() == [6, 10]
        assert (delta.stats.finished, delta.stats.failed) == (4, 6)
        assert delta.errors.entries == {"http_503": (2, "GET /a answered 503"), "http_404": (4, "GET /b answered 404")}

    def test_without_a_response_there_is_no_latency(self) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        for _ in range(3):
            recorder.record_no_response(endpoint, "connect_refused", "nobody listens")
        delta = take(recorder)
        assert not [series for series, sink in delta.table.series_values.items() if isinstance(sink, TrendValue)]
        assert only(delta.table, "http_reqs", method="GET", name="/", status="0").value == 3
        assert only(delta.table, "http_req_failed").to_plain() == [3, 3]
        assert delta.errors.entries == {"connect_refused": (3, "nobody listens")}
        assert (delta.stats.finished, delta.stats.failed) == (0, 3)

    def test_every_failure_is_in_the_errors_of_its_name(self) -> None:
        recorder = Recorder(0)
        a, b, other = recorder.endpoint("/a", "GET"), recorder.endpoint("/b", "GET"), recorder.endpoint("/b", "POST")
        recorder.record(a, NO_DUE, measurement(500))
        recorder.record(b, NO_DUE, measurement(500))
        recorder.record_expected(b, NO_DUE, measurement(404), JUDGED_GOOD)
        recorder.record_expected(b, NO_DUE, measurement(200), UNEXPECTED)
        recorder.record_no_response(a, "timeout", "slow")
        recorder.record_no_response(other, "timeout", "slow")
        recorder.record_judged(a, NO_DUE, measurement(500), "too dear")
        recorder.record_judged(other, NO_DUE, None, "too late")
        recorder.record_judged(other, NO_DUE, None, "")
        recorder.record_error("KeyError", "no key", "/a")
        recorder.record_judgement("/a", "too dear")
        recorder.record_error("ws", "a session")
        delta = take(recorder)
        assert delta.errors.by_name == {
            "http_500": {("GET", "/a"): 1, ("GET", "/b"): 1},
            "http_200": {("GET", "/b"): 1},
            "timeout": {("GET", "/a"): 1, ("POST", "/b"): 1},
            "judged: too dear": {("GET", "/a"): 1, ("", "/a"): 1},
            "judged: too late": {("POST", "/b"): 1},
            "KeyError": {("", "/a"): 1},
        }
        of_requests = sum(
            count for names in delta.errors.by_name.values() for (method, _), count in names.items() if method
        )
        assert of_requests == only(delta.table, "http_req_failed").trues == delta.stats.failed
        assert take(recorder).errors == ErrorTable()

    def test_response_time_only_where_there_was_a_due_time(self) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        recorder.record(endpoint, NO_DUE, measurement(total=5))
        recorder.record(endpoint, 0, measurement(total=5))
        recorder.record(endpoint, 900, measurement(total=5))
        response = take(recorder).table.get("http_req_response_time")
        assert (response.count, response.min, response.max) == (2, 0, 900)

    def test_without_any_due_time_there_is_no_such_metric(self) -> None:
        recorder = Recorder(0)
        recorder.record(recorder.endpoint("/", "GET"), NO_DUE, measurement(total=5))
        assert take(recorder).table.get("http_req_response_time") is None

    @pytest.mark.parametrize(
        ("due_ns", "done_ns", "expected"), [(0, 9_999, NO_DUE), (1_000, 9_999, 8), (9_999, 1_000, 0)]
    )
    def test_response_us(self, due_ns: int, done_ns: int, expected: int) -> None:
        assert response_us(due_ns, done_ns) == expected

    def test_endpoints_are_bounded(self) -> None:
        recorder = Recorder(0)
        for number in range(3 * MAX_NAMES):
            recorder.record(recorder.endpoint(f"/{number}", "GET"), NO_DUE, measurement(total=5))
        recorder.record(recorder.endpoint("/7", "GET"), NO_DUE, measurement(total=5))
        recorder.record(recorder.endpoint("/late", "POST"), NO_DUE, measurement(total=5))
        table = take(recorder).table
        counts = {(tags["name"], tags["method"]): sink.value for tags, sink in table.of_metric("http_reqs")}
        assert len(counts) == MAX_NAMES + 2
        assert counts[OTHER_NAME, "GET"] == 2 * MAX_NAMES
        assert counts[OTHER_NAME, "POST"] == 1
        assert counts["/7", "GET"] == 2
        assert sum(counts.values()) == only(table, "http_reqs").value == 3 * MAX_NAMES + 2
        recorder.record_no_response(recorder.endpoint("/late", "POST"), "reset", "")
        recorder.record_error("KeyError", "", "late")
        assert take(recorder).errors.by_name == {"reset": {("POST", OTHER_NAME): 1}, "KeyError": {("", OTHER_NAME): 1}}

    def test_checks_exceptions_and_iterations(self) -> None:
        recorder = Recorder(0)
        for passed in (True, True, False):
            recorder.record_check("is json", passed, recorder.unscoped)
        recorder.record_check("is small", True, recorder.unscoped)
        recorder.record_exception("KeyError", "Traceback ...")
        recorder.unscoped.iteration_us += [1_000, 3_000]
        recorder.unscoped.lateness_us += [50]
        recorder.lag_us += [10, 700, 20]
        delta = take(recorder)
        assert only(delta.table, "checks").to_plain() == [3, 4]
        assert only(delta.table, "checks", check="is json", scenario="").to_plain() == [2, 3]
        assert only(delta.table, "iterations").value == 2
        assert only(delta.table, "iterations_failed").value == 1
        assert delta.table.get("iteration_duration").sum == 4_000
        assert only(delta.table, "iteration_lateness") == 50
        assert delta.exceptions.entries == {"KeyError": (1, "Traceback ...")}
        assert delta.stats.lag_max_us == 700


class TestFolding:
    def test_rows_are_folded_by_the_thousand(self) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        for count in range(1, FOLD_AT_REQUESTS):
            recorder.record(endpoint, NO_DUE, measurement(total=count))
        assert recorder.stats.finished == 0
        recorder.record(endpoint, NO_DUE, measurement(total=FOLD_AT_REQUESTS))
        assert recorder.stats.finished == FOLD_AT_REQUESTS
        assert recorder._rows == []
        recorder.record(endpoint, NO_DUE, measurement(total=1))
        duration = take(recorder).table.get("http_req_duration")
        assert duration.count == FOLD_AT_REQUESTS + 1
        assert duration.sum == FOLD_AT_REQUESTS * (FOLD_AT_REQUESTS + 1) // 2 + 1

    def test_take_resets_and_counts_up(self, user_counter: Counter) -> None:
        recorder = Recorder(3)
        user_counter.add(5)
        recorder.stats.started += 1
        recorder.record(recorder.endpoint("/", "GET"), 10, measurement(500, total=5))
        recorder.record_check("ok", True, recorder.unscoped)
        first = recorder.take(vus=4, in_flight=2, offered=9)
        assert (first.worker, first.seq) == (3, 0)
        assert (first.stats.vus, first.stats.in_flight, first.stats.offered) == (4, 2, 9)
        assert only(first.table, "orders").value == 5
        second = take(recorder)
        assert second.seq == 1
        assert second.table.series_values == {}
        assert (second.errors, second.exceptions, second.stats) == (ErrorTable(), ErrorTable(), WorkerStats())
        assert only(first.table, "http_reqs").value == 1, "what was taken is not touched any more"

    def test_a_delta_survives_the_wire(self) -> None:
        recorder = Recorder(0)
        recorder.record(recorder.endpoint("/", "GET"), 10, measurement(500, total=5))
        delta = take(recorder)
        back = Delta.from_body(delta.to_body())
        assert back.to_body() == delta.to_body()


event = st.one_of(
    st.tuples(
        st.just("record"), st.integers(0, 4), st.sampled_from([200, 302, 404, 500]), st.integers(NO_DUE, 5 * 10**6)
    ),
    st.tuples(st.just("no response"), st.integers(0, 4), st.sampled_from(["timeout", "reset"]), st.just(0)),
    st.tuples(st.just("check"), st.integers(0, 2), st.booleans(), st.just(0)),
    st.tuples(st.just("exception"), st.integers(0, 2), st.just(0), st.just(0)),
    st.tuples(st.just("iteration"), st.integers(0, 10**7), st.just(0), st.just(0)),
    st.tuples(st.just("take"), st.just(0), st.just(0), st.just(0)),
)


def play(events: list[tuple[str, int, Any, int]], *, with_takes: bool) -> tuple[dict[str, Any], list[Delta]]:
    """Totals of all deltas when *events* happen."""
    recorder, deltas = Recorder(0), []
    for kind, number, detail, response in events:
        name = f"n{number}"
        if kind == "take":
            deltas += [take(recorder)] if with_takes else []
        elif kind == "record":
            recorder.stats.started += 1
            recorder.record(
                recorder.endpoint(name, "GET"), response, measurement(detail, total=number + max(response, 0))
            )
        elif kind == "no response":
            recorder.stats.started += 1
            recorder.record_no_response(recorder.endpoint(name, "GET"), detail, name)
        elif kind == "check":
            recorder.record_check(name, detail, recorder.unscoped)
        elif kind == "exception":
            recorder.record_exception(name, "trace")
        else:
            recorder.unscoped.iteration_us.append(number)
    deltas.append(take(recorder))
    table, errors, exceptions = SeriesTable(), ErrorTable(), ErrorTable()
    stats = dict.fromkeys(("started", "finished", "failed", "interrupted", "warmup"), 0)
    for delta in deltas:
        table.merge(delta.table)
        errors.merge(delta.errors)
        exceptions.merge(delta.exceptions)
        stats = {name: value + getattr(delta.stats, name) for name, value in stats.items()}
    plain = {(metric, *flat): sink for metric, flat, _, sink in table.to_plain()}
    return {"table": plain, "errors": errors, "exceptions": exceptions, "stats": stats}, deltas


@given(events=st.lists(event, max_size=60))
@settings(max_examples=80, deadline=None)
def test_totals_are_the_same_over_any_split_into_takes(events: list[tuple[str, int, Any, int]]) -> None:
    split, deltas = play(events, with_takes=True)
    whole, _ = play(events, with_takes=False)
    assert split == whole
    assert [delta.seq for delta in deltas] == list(range(len(deltas)))
    stats = split["stats"]
    assert stats["started"] == stats["finished"] + stats["failed"]


class TestDiscard:
    def test_what_was_measured_is_forgotten_but_accounted_for(self, user_counter: Counter) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        recorder.stats.started += 7
        recorder.stats.interrupted += 1
        for status in (200, 200, 500):
            recorder.record(endpoint, 5, measurement(status, total=9))
        recorder.record_no_response(endpoint, "timeout", "")
        recorder.record_check("ok", False, recorder.unscoped)
        recorder.record_exception("KeyError", "")
        recorder.unscoped.iteration_us.append(4)
        recorder.lag_us.append(30)
        user_counter.add(1)
        recorder.discard()
        delta = recorder.take(vus=1, in_flight=2, offered=0)
        assert delta.table.series_values == {}
        assert delta.errors.entries == delta.exceptions.entries == {}
        stats = delta.stats
        assert (stats.finished, stats.failed, stats.warmup) == (0, 0, 4)
        accounted = stats.finished + stats.failed + stats.interrupted + stats.warmup + stats.in_flight
        assert stats.started == accounted == 7
        assert stats.lag_max_us == 0

    def test_discarding_again_adds_up(self) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        for count in (2, 3):
            for _ in range(count):
                recorder.stats.started += 1
                recorder.record(endpoint, NO_DUE, measurement(total=9))
            recorder.discard()
        recorder.stats.started += 1
        recorder.record(endpoint, NO_DUE, measurement(total=9))
        stats = take(recorder).stats
        assert (stats.started, stats.warmup, stats.finished) == (6, 5, 1)

    def test_discarding_a_full_buffer(self) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        for _ in range(FOLD_AT_REQUESTS + 10):
            recorder.stats.started += 1
            recorder.record(endpoint, NO_DUE, measurement(total=9))
        recorder.discard()
        delta = take(recorder)
        assert delta.stats.warmup == delta.stats.started == FOLD_AT_REQUESTS + 10
        assert delta.table.series_values == {}
