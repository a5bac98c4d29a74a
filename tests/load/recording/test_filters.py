"""Series that thresholds ask for: each has exactly the values with its tags, and any partition adds up to the total."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter as Tally
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastload as fl
from fastload.load.engine.curl_transfer import Measurement
from fastload.load.recording.outcome import NO_DUE
from fastload.load.recording.recorder import FOLD_AT_REQUESTS, MAX_REASONS, Recorder
from fastload.model import metrics, user_metrics
from fastload.model.metrics import EXPECTED_DURATION, HTTP_TRENDS, MAX_NAMES, OTHER_NAME, Series, scenario_series
from fastload.model.records import Delta
from fastload.model.series import SeriesTable
from tests.conftest import Nginx, free_port
from tests.load.harness import Run, harness


class Request(NamedTuple):
    """One that ended. *status* 0 is no response; *judged*: None, "" for a success, or why it failed."""

    name: str
    method: str
    scenario: str
    group: str
    kind: str
    status: int
    judged: str | None
    due: int
    total_us: int
    sent: int

    @property
    def failed(self) -> bool:
        if self.judged is not None:
            return bool(self.judged)
        return self.status == 0 or self.status >= 400

    @property
    def tags(self) -> dict[str, str]:
        error = ""
        if self.failed:
            error = "judged" if self.judged else f"http_{self.status}" if self.status else "timeout"
        known = {"name": self.name, "method": self.method, "scenario": self.scenario, "group": self.group}
        expected = str(not self.failed).lower()
        return known | {
            "kind": self.kind,
            "status": str(self.status),
            "error": error,
            "expected_response": expected,
        }


requests = st.lists(
    st.builds(
        Request,
        name=st.sampled_from(["/a", "/b"]),
        method=st.sampled_from(["GET", "POST"]),
        scenario=st.sampled_from(["s", "t"]),
        group=st.sampled_from(["", "login", "login::form"]),
        kind=st.sampled_from(["read", "write"]),
        status=st.sampled_from([0, 200, 201, 404, 500]),
        judged=st.sampled_from([None, None, "", "too slow"]),
        due=st.sampled_from([NO_DUE, 7]),
        total_us=st.integers(0, 10**6),
        sent=st.integers(0, 500),
    ),
    max_size=40,
)
VALUES = {
    "name": ["/a", "/b"],
    "method": ["GET", "POST"],
    "scenario": ["s", "t"],
    "group": ["", "login", "login::form"],
    "kind": ["read", "write"],
    "status": ["0", "200", "201", "404", "500"],
    "error": ["", "judged", "timeout", "http_404", "http_500"],
    "expected_response": ["true", "false"],
}
METRICS = (*HTTP_TRENDS, "http_req_response_time", "http_reqs", "http_req_failed", "data_sent", "data_received")
asked_tags = st.dictionaries(st.sampled_from(sorted(VALUES)), st.integers(0, 10), min_size=1, max_size=3)
filters = st.lists(
    st.builds(
        lambda metric, tags: Series(
            metric, tuple(sorted((key, VALUES[key][at % len(VALUES[key])]) for key, at in tags.items()))
        ),
        st.sampled_from(METRICS),
        asked_tags,
    ),
    max_size=12,
)


def measurement(status: int, total_us: int = 5, sent: int = 0) -> Measurement:
    return (status, 0, 0, 0, 0, 0, 0, total_us, 0, sent, 2 * sent)


def take(recorder: Recorder) -> Delta:
    return recorder.take(vus=0, in_flight=0, offered=0)


def recorded(happened: list[Request], asked: list[Series]) -> SeriesTable:
    """The table of a recorder that was asked for these series, and saw these requests in two takes."""
    recorder, table = Recorder(0, asked), SeriesTable()
    for number, one in enumerate(happened):
        tags = {"scenario": one.scenario, "group": one.group, "kind": one.kind}
        endpoint = recorder.endpoint(one.name, one.method, tags)
        measured = measurement(one.status, one.total_us, one.sent) if one.status else None
        if one.judged is not None:
            recorder.record_judged(endpoint, one.due, measured, one.judged)
        elif measured:
            recorder.record(endpoint, one.due, measured)
        else:
            recorder.record_no_response(endpoint, "timeout", "")
        if number == len(happened) // 2:
            table.merge(take(recorder).table)
    table.merge(take(recorder).table)
    return table


def expected(happened: list[Request], series: Series) -> Any:
    """What *series* has to be, one request at a time."""
    mine = [one for one in happened if all(one.tags[key] == value for key, value in series.tags)]
    answered = [one for one in mine if one.status]
    match series.metric:
        case "http_reqs":
            return len(mine)
        case "http_req_failed":
            return [sum(one.failed for one in mine), len(mine)]
        case "data_sent" | "data_received":
            return sum(one.sent for one in answered) * (2 if series.metric == "data_received" else 1)
        case "http_req_response_time":
            due = [one.due for one in answered if one.due != NO_DUE]
            return len(due), sum(due)
        case "http_req_duration" | "http_req_total" | "http_req_receiving":
            return len(answered), sum(one.total_us for one in answered)
        case _:
            return len(answered), 0


@given(requests)
def test_the_duration_of_expected_responses_is_that_of_those_that_did_not_fail(happened: list[Request]) -> None:
    table = recorded(happened, [EXPECTED_DURATION])
    assert value_of(table, EXPECTED_DURATION) == expected(happened, EXPECTED_DURATION)
    assert (EXPECTED_DURATION in table.series_values) == bool(expected(happened, EXPECTED_DURATION)[0])


def value_of(table: SeriesTable, series: Series) -> Any:
    """The same of a table; what has no series is nothing."""
    sink = table.series_values.get(series)
    if series.metric == "http_req_failed":
        return sink.to_plain() if sink else [0, 0]
    if series.metric in ("http_reqs", "data_sent", "data_received"):
        return sink.value if sink else 0
    return (sink.count, sink.sum) if sink else (0, 0)


@given(happened=requests, asked=filters)
@settings(max_examples=150)
def test_each_series_has_exactly_the_requests_with_its_tags(happened: list[Request], asked: list[Series]) -> None:
    table = recorded(happened, asked)
    for series in (*asked, *map(Series, METRICS)):
        assert value_of(table, series) == expected(happened, series), series.label


@given(happened=requests, key=st.sampled_from(sorted(VALUES)), metric=st.sampled_from(METRICS))
@settings(max_examples=150)
def test_a_partition_by_any_tag_adds_up_to_the_total(happened: list[Request], key: str, metric: str) -> None:
    parts = [Series(metric, ((key, value),)) for value in VALUES[key]]
    table = recorded(happened, parts)
    found = [value_of(table, part) for part in parts]
    total = value_of(table, Series(metric))
    if isinstance(total, (list, tuple)):
        assert [sum(column) for column in zip(*found, strict=True)] == list(total)
    else:
        assert sum(found) == total


@given(happened=requests, asked=filters)
@settings(max_examples=60)
def test_what_nobody_asked_for_is_as_without_filters(happened: list[Request], asked: list[Series]) -> None:
    table, plain = recorded(happened, asked), recorded(happened, [])
    assert {series for series in plain.series_values if series.tags and not series.is_kept} == set()
    for series in plain.series_values:
        assert value_of(table, series) == value_of(plain, series), series.label
    assert set(table.series_values) - set(plain.series_values) <= set(asked)


def test_filters_hold_over_many_folds() -> None:
    asked = Series.of("http_req_duration", status="404")
    recorder = Recorder(0, [asked])
    endpoint = recorder.endpoint("/", "GET")
    for number in range(3 * FOLD_AT_REQUESTS + 5):
        recorder.record(endpoint, NO_DUE, measurement(404 if number % 4 == 0 else 200))
    assert take(recorder).table.series_values[asked].count == (3 * FOLD_AT_REQUESTS + 5 + 3) // 4


def test_a_name_that_a_filter_wants_is_never_among_the_others() -> None:
    late = Series.of("http_req_duration", name_="/late")
    recorder = Recorder(0, [late, Series.of("http_reqs", method="GET", name_="/later", status="200")])
    for number in range(MAX_NAMES + 7):
        recorder.record(recorder.endpoint(f"/{number}", "GET"), NO_DUE, measurement(200))
    for name in ("/late", "/later", "/other"):
        recorder.record(recorder.endpoint(name, "GET"), NO_DUE, measurement(200))
    table = take(recorder).table
    assert table.series_values[late].count == 1
    counts = {tags["name"]: sink.value for tags, sink in table.of_metric("http_reqs")}
    assert (counts["/late"], counts["/later"], counts[OTHER_NAME]) == (1, 1, 8)


class TestPlaces:
    """Iterations, checks and groups by scenario and group."""

    ASKED = (
        *(Series.of(metric, scenario=name) for metric in metrics.SCENARIO_METRICS[3:] for name in ("s", "t")),
        Series.of("iteration_lateness", scenario="s"),
        Series.of("iterations_failed", scenario="t"),
        Series.of("dropped_iterations", scenario="t"),
        Series.of("iterations", team="blue"),
        Series.of("group_duration", scenario="s"),
        Series.of("group_duration", group="a::b", scenario="s"),
        Series.of("checks", check="ok"),
        Series.of("checks", scenario="t"),
        Series.of("checks", group="a"),
        Series.of("checks", kind="read"),
    )

    def filled(self) -> SeriesTable:
        recorder = Recorder(0, self.ASKED)
        s, t = recorder.scope("s", {"team": "blue"}), recorder.scope("t", {"team": "red"})
        inner = recorder.group(recorder.group(s, "a"), "b")
        s.iteration_us += [10, 20]
        s.lateness_us += [1]
        t.iteration_us += [5]
        recorder.record_exception("KeyError", "", t)
        recorder.record_dropped(4, t)
        recorder.record_dropped(2, s)
        inner.group_us += [100]
        recorder.group(s, "a").group_us += [300]
        recorder.group(t, "a").group_us += [7]
        for scope, name, passed, tags in (
            (s, "ok", True, None),
            (t, "ok", False, {"kind": "read"}),
            (recorder.group(s, "a"), "ok", True, {"kind": "write"}),
            (t, "more", True, {"kind": "read"}),
        ):
            recorder.record_check(name, passed, scope, tags)
        return take(recorder).table

    def test_series_by_their_tags(self) -> None:
        table = self.filled()
        counters = {
            series.label: sink.value
            for series, sink in table.series_values.items()
            if series.metric in ("iterations", "iterations_failed", "dropped_iterations")
        }
        assert counters == {
            "iterations": 3,
            "iterations{scenario:s}": 2,
            "iterations{team:blue}": 2,
            "iterations{scenario:t}": 1,
            "iterations_failed": 1,
            "iterations_failed{scenario:t}": 1,
            "dropped_iterations": 6,
            "dropped_iterations{scenario:t}": 4,
        }
        trends = {
            series.label: (sink.count, sink.sum)
            for series, sink in table.series_values.items()
            if series.metric in ("iteration_duration", "iteration_lateness", "group_duration")
        }
        assert trends == {
            "iteration_duration": (3, 35),
            "iteration_duration{scenario:s}": (2, 30),
            "iteration_duration{scenario:t}": (1, 5),
            "iteration_lateness": (1, 1),
            "iteration_lateness{scenario:s}": (1, 1),
            "group_duration": (3, 407),
            "group_duration{scenario:s}": (2, 400),
            "group_duration{group:a::b,scenario:s}": (1, 100),
            "group_duration{group:a}": (2, 307),
            "group_duration{group:a::b}": (1, 100),
        }
        checks = {
            series.label: sink.to_plain() for series, sink in table.series_values.items() if series.metric == "checks"
        }
        assert checks == {
            "checks": [3, 4],
            "checks{check:ok}": [2, 3],
            "checks{scenario:t}": [1, 2],
            "checks{group:a}": [1, 1],
            "checks{kind:read}": [1, 2],
            "checks{check:ok,scenario:s}": [2, 2],
            "checks{check:ok,scenario:t}": [0, 1],
            "checks{check:more,scenario:t}": [1, 1],
        }

    def test_places_are_counted_anew_after_each_take(self) -> None:
        recorder = Recorder(0)
        recorder.scope("s").iteration_us.append(5)
        recorder.record_check("ok", True, recorder.scope("s"))
        take(recorder)
        assert take(recorder).table.series_values == {}
        assert recorder.scope("s") is recorder.scope("s")

    def test_groups_and_checks_are_bounded(self) -> None:
        recorder = Recorder(0, [Series.of("group_duration", group="wanted"), Series.of("checks", check="wanted")])
        home = recorder.scope("s")
        names = [*(f"n{number}" for number in range(MAX_NAMES + 20)), "wanted", "n7"]
        for name in names:
            recorder.group(home, name).group_us.append(1)
            recorder.record_check(name, True, home)
        table = take(recorder).table
        groups = {tags["group"]: sink.count for tags, sink in table.of_metric("group_duration")}
        checks = {tags["check"]: sink.total for tags, sink in table.of_metric("checks") if "scenario" in tags}
        for found in (groups, checks):
            assert len(found) == MAX_NAMES + 2
            assert (found[OTHER_NAME], found["wanted"], found["n7"], sum(found.values())) == (20, 1, 2, len(names))


def test_scenarios_are_told_apart_when_there_are_several() -> None:
    assert scenario_series(["only"]) == ()
    asked = scenario_series(["s", "t"])
    assert {series.tags for series in asked} == {(("scenario", "s"),), (("scenario", "t"),)}
    assert len(asked) == 2 * len(metrics.SCENARIO_METRICS)


class TestJudged:
    def test_the_status_stays_and_the_last_word_decides(self) -> None:
        unanswered = Series.of("http_req_failed", status="0")
        recorder = Recorder(0, [unanswered])
        endpoint = recorder.endpoint("/", "GET")
        recorder.record_judged(endpoint, 9, measurement(404, 30), "")
        recorder.record_judged(endpoint, NO_DUE, measurement(200, 40), "too slow")
        recorder.record_judged(endpoint, NO_DUE, None, "")
        recorder.record_judged(endpoint, NO_DUE, None, "no answer")
        recorder.record(endpoint, NO_DUE, measurement(404, 50))
        delta = take(recorder)
        statuses = {tags["status"]: sink.value for tags, sink in delta.table.of_metric("http_reqs")}
        assert statuses == {"404": 2, "200": 1, "0": 2}
        assert delta.table.get("http_req_failed").to_plain() == [3, 5]
        assert delta.table.series_values[unanswered].to_plain() == [1, 2]
        assert (delta.stats.finished, delta.stats.failed) == (2, 3)
        assert (delta.table.get("http_req_duration").count, delta.table.get("http_req_response_time").count) == (3, 1)
        assert delta.errors.entries == {
            "judged: too slow": (1, "GET /: too slow"),
            "judged: no answer": (1, "GET /: no answer"),
            "http_404": (1, "GET / answered 404"),
        }

    def test_reasons_are_bounded(self) -> None:
        recorder = Recorder(0)
        endpoint = recorder.endpoint("/", "GET")
        for _ in range(2):
            for number in range(3 * MAX_REASONS):
                recorder.record_judged(endpoint, NO_DUE, measurement(200), f"took {number} ms\nand more")
        recorder.record_judged(endpoint, NO_DUE, measurement(200), "x" * 500)
        entries = take(recorder).errors.entries
        assert len(entries) == MAX_REASONS + 1
        assert entries["judged: took 3 ms"][0] == 2
        assert entries["judged"][0] == 4 * MAX_REASONS + 1
        assert all(len(kind) < 100 for kind in entries)


@pytest.fixture
def own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """No metric of another test, and what is asked for is forgotten afterwards."""
    monkeypatch.setattr(user_metrics, "_declared", {})
    monkeypatch.setattr(user_metrics, "_registry", user_metrics._FilterRegistry())


@pytest.mark.usefixtures("own_metrics")
class TestOwnMetrics:
    def test_filters_know_where_code_runs(self, run: Run) -> None:
        early = fl.Counter("early")
        asked = [
            Series.of("early", scenario="s"),
            Series.of("early", scenario="s", group="g"),
            Series.of("late", group="g"),
            Series.of("late", group="g", region="eu"),
        ]

        async def main() -> None:
            async with harness(filters=asked) as made:
                late = fl.Trend("late")

                async def work(scenario: str) -> None:
                    vu = made.vu(scenario=scenario)
                    vu._begin_iteration(0, 0)
                    early.add(1)
                    async with vu.group("g"):
                        early.add(10)
                        late.add(1, {"region": "eu"})
                        late.add(2, {"region": "us"})
                        late.add(4)
                    early.add(100)

                await asyncio.gather(asyncio.create_task(work("s")), asyncio.create_task(work("t")))
                early.add(1000)
                table = made.take().table
                assert {
                    series.label: sink.value for series, sink in table.series_values.items() if series.metric == "early"
                } == {"early": 1222, "early{scenario:s}": 111, "early{group:g,scenario:s}": 10}
                assert {
                    series.label: sink.sum for series, sink in table.series_values.items() if series.metric == "late"
                } == {
                    "late": 14_000,
                    "late{region:eu}": 2_000,
                    "late{region:us}": 4_000,
                    "late{group:g}": 14_000,
                    "late{group:g,region:eu}": 2_000,
                }

        run(main())

    def test_a_recorder_without_filters_asks_for_nothing(self) -> None:
        counter = fl.Counter("c")
        Recorder(0, [Series.of("c", scenario="s")])
        assert counter._filters
        recorder = Recorder(0)
        assert not counter._filters
        counter.add(3)
        assert [series.label for series in take(recorder).table.series_values] == ["c"]


class TestAgainstTheAccessLog:
    """Real requests: what each filter counted is what the server logged."""

    def test_counts_by_group_tag_and_status(self, run: Run, nginx: Nginx) -> None:
        asked = [
            Series.of("http_reqs", group="login"),
            Series.of("http_reqs", group="login::form"),
            Series.of("http_reqs", kind="read"),
            Series.of("http_reqs", scenario="s"),
            Series.of("http_reqs", status="404"),
            Series.of("http_req_failed", error="http_500"),
            Series.of("http_req_duration", kind="read", status="200"),
            Series.of("http_reqs", error="connect_refused"),
            Series.of("http_reqs", team="blue", method="POST"),
            Series.of("data_received", group="login::form"),
        ]
        # The log says where a request was made: in its path, or in its query.
        paths: Tally[str] = Tally()
        # The log has other tests in it.
        mark = secrets.token_hex(8)

        async def iteration(vu: fl.VU, who: str) -> None:
            async def get(path: str, **options: Any) -> None:
                paths[f"{path}?{who}"] += 1
                await vu.get(f"{path}?{who}", **options)

            vu._begin_iteration(0, 0)
            await get("/outside")
            async with vu.group("login"):
                await asyncio.gather(get("/in/login"), get("/in/login", tags={"kind": "read"}))
                async with vu.group("form"):
                    await asyncio.gather(*(get("/in/form", tags={"kind": "read", "user": str(n)}) for n in range(3)))
                await get("/status/404", tags={"kind": "read"})
            await get("/status/500")
            with contextlib.suppress(ValueError):
                async with vu.group("login"):
                    raise ValueError
            await get("/after")
            await vu.post(f"/posted?{who}", data=b"1")
            paths[f"/posted?{who}"] += 1

        async def main() -> None:
            start = nginx.wait_requests(0)
            async with harness(nginx.url, filters=asked) as made:
                vus = [made.vu(scenario="s", tags={"team": "blue"}), made.vu(scenario="t", tags={"team": "red"})]
                for _ in range(3):
                    await asyncio.gather(*(asyncio.create_task(iteration(vu, f"vu{vu.id}-{mark}")) for vu in vus))
                await vus[0].get(f"http://127.0.0.1:{free_port()}/")
                table = made.take().table
            nginx.wait_requests(start + paths.total())
            logged: Tally[str] = Tally()
            for line in nginx.access_log.read_text().splitlines():
                target = line.split('"')[1].split()[1]
                if mark in target:
                    logged[target] += 1
            assert logged == paths
            by_path: Tally[str] = Tally()
            for target, count in logged.items():
                by_path[target.partition("?")[0]] += count
            found = {
                series.label: table.series_values[series].to_plain()
                for series in asked
                if "req_dur" not in series.metric
            }
            bytes_received = found.pop("data_received{group:login::form}")
            assert bytes_received[0] / by_path["/in/form"] == pytest.approx(160, abs=60)
            assert found == {
                "http_reqs{group:login}": [by_path["/in/login"] + by_path["/status/404"]],
                "http_reqs{group:login::form}": [by_path["/in/form"]],
                "http_reqs{kind:read}": [by_path["/in/login"] // 2 + by_path["/in/form"] + by_path["/status/404"]],
                "http_reqs{scenario:s}": [sum(n for target, n in logged.items() if "vu1-" in target) + 1],
                "http_reqs{status:404}": [by_path["/status/404"]],
                "http_req_failed{error:http_500}": [by_path["/status/500"]] * 2,
                "http_reqs{error:connect_refused}": [1],
                "http_reqs{method:POST,team:blue}": [by_path["/posted"] // 2],
            }
            fast = table.series_values[Series.of("http_req_duration", kind="read", status="200")]
            assert fast.count == by_path["/in/login"] // 2 + by_path["/in/form"]

        run(main())
