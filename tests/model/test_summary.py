"""Summaries as data: k6's keys, what is no data, and what passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastload.control.threshold_judge import ThresholdJudge
from fastload.model.judging.evidence import WorkerEvidence
from fastload.model.judging.thresholds import ThresholdResult, parse_thresholds
from fastload.model.metrics import BUILTIN, MAX_NAMES, OTHER_NAME, OTHER_TAGS, Kind, MetricSpec, Series
from fastload.model.records import ErrorTable
from fastload.model.results import (
    CheckResult,
    collect_checks,
    collect_endpoints,
    collect_groups,
    collect_scenarios,
    name_limit_notes,
    names_note,
)
from fastload.model.series import RateValue, SeriesTable
from fastload.model.views import view_metrics
from tests.outputs.samples import add_requests, closed_bench, fill, full_run

SPECS = BUILTIN | {"rows": MetricSpec("rows", Kind.TREND, "rows"), "depth": MetricSpec("depth", Kind.GAUGE)}


def test_k6s_keys_for_each_kind() -> None:
    table = SeriesTable()
    add_requests(table, [1_000, 2_000, 3_000, 4_000], statuses={"200": 3, "500": 1})
    table.gauge(Series("vus")).set(5)
    table.gauge(Series("vus")).set(3)
    views = view_metrics(table, SPECS, duration_s=2.0)
    assert views["http_reqs"].to_dict() == {"count": 4, "rate": 2.0}
    assert views["vus"].to_dict() == {"value": 3, "min": 3, "max": 5}
    assert views["http_req_failed"].to_dict() == {"rate": 0.25, "passes": 3, "fails": 1}
    trend = views["http_req_duration"].to_dict()
    assert list(trend) == ["avg", "min", "med", "max", "p(90)", "p(95)", "p(99)", "p(99.9)", "count"]
    assert (trend["avg"], trend["min"], trend["max"], trend["count"]) == (2.5, 1.0, 4.0, 4)
    assert trend["med"] == pytest.approx(2.0, rel=0.001)


def test_passes_of_other_rates_are_their_true_values() -> None:
    table = SeriesTable()
    sink = table.rate(Series("checks"))
    sink.trues, sink.total = 3, 4
    view = view_metrics(table, SPECS, 1.0)["checks"]
    assert (view.rate, view.passes, view.fails) == (0.75, 3, 1)


def test_without_data_there_are_no_values() -> None:
    views = view_metrics(SeriesTable(), SPECS, duration_s=2.0)
    assert views["http_reqs"].to_dict() == {"count": 0, "rate": 0.0}
    assert views["http_req_failed"].to_dict() == {"rate": None, "passes": 0, "fails": 0}
    assert views["depth"].to_dict() == {"value": None, "min": None, "max": None}
    trend = views["http_req_duration"].to_dict()
    assert trend.pop("count") == 0
    assert set(trend.values()) == {None}


def test_values_are_in_the_unit_of_the_metric() -> None:
    table = SeriesTable()
    fill(table, "http_req_duration", [1_500])
    table.trend(Series("rows"), SPECS["rows"].highest).record(7_000)
    views = view_metrics(table, SPECS, 1.0)
    assert (views["http_req_duration"].med, views["rows"].max) == (1.5, 7.0)


def test_a_run_of_no_time_has_no_rates() -> None:
    assert view_metrics(SeriesTable(), SPECS, 0.0)["http_reqs"].rate is None


@pytest.mark.parametrize(
    ("metric", "expression", "ok", "observed"),
    [
        ("http_req_duration", "p(50)<3", True, 2.0),
        ("http_req_duration", "avg<2", False, 2.5),
        ("http_req_duration", "count==4", True, 4),
        ("http_req_failed", "rate<=0.25", True, 0.25),
        ("http_reqs", "rate>=2", True, 2.0),
        ("dropped_iterations", "count<1", True, 0),
        ("http_req_response_time", "p(95)<5", False, None),
        ("http_req_response_time", "count<5", False, None),
        ("checks", "rate>0.9", False, None),
        ("depth", "value<10", False, None),
        ("depth", "max<10", False, None),
    ],
)
def test_thresholds_observe_metrics_and_no_data_fails(
    metric: str, expression: str, ok: bool, observed: float | None
) -> None:
    table = SeriesTable()
    add_requests(table, [1_000, 2_000, 3_000, 4_000], statuses={"200": 3, "500": 1})
    (result,) = ThresholdJudge(parse_thresholds({metric: expression}, SPECS)).results(view_metrics(table, SPECS, 2.0))
    assert result.ok is ok
    assert result.observed == (None if observed is None else pytest.approx(observed, rel=0.001))


def test_checks_come_in_order_with_their_fails() -> None:
    table = SeriesTable()
    for name, trues, total in (("b", 3, 4), ("a", 5, 5)):
        sink = table.rate(Series.of("checks", check=name, scenario="s"))
        sink.trues, sink.total = trues, total
    table.rate(Series("checks")).total = 9
    assert [(check.name, check.passes, check.fails) for check in collect_checks(table)] == [("b", 3, 1), ("a", 5, 0)]


def test_endpoints_come_by_frequency_with_their_statuses() -> None:
    table = SeriesTable()
    add_requests(table, [1_000], name="/rare")
    add_requests(table, [2_000] * 5, name="/often", statuses={"200": 4, "404": 1, "0": 2})
    add_requests(table, [], name="/often", method="POST", statuses={"0": 3})
    often, posted, rare = collect_endpoints(table, 1.0)
    assert (often.name, often.method, often.requests, often.failed) == ("/often", "GET", 7, 3)
    assert often.statuses == {"200": 4, "404": 1, "0": 2}
    assert often.duration.count == 5
    assert (posted.method, posted.requests, posted.failed, posted.duration.med) == ("POST", 3, 3, None)
    assert (rare.name, rare.duration.max) == ("/rare", 1.0)


def test_what_passes_and_what_does_not() -> None:
    good = closed_bench()
    assert good.passed
    failed = ThresholdResult("http_reqs", "count>1", False, 0)
    assert not replace(good, thresholds=(failed,)).passed
    assert not replace(good, stopped_by="interrupt").passed
    lost = replace(good, workers=(WorkerEvidence(0), WorkerEvidence(1, lost=True)))
    assert lost.workers_lost == 1
    assert not lost.passed


def test_some_iterations_may_raise_but_not_all() -> None:
    table = SeriesTable()
    table.counter(Series("iterations_failed")).value = 3
    every = replace(closed_bench(), metrics=view_metrics(table, BUILTIN, 10.0))
    assert every.all_raised
    assert not every.passed
    table.counter(Series("iterations")).value = 1
    some = replace(every, metrics=view_metrics(table, BUILTIN, 10.0))
    assert not some.all_raised
    assert some.passed


def test_exceptions_outside_of_iterations_are_not_all_iterations() -> None:
    """Tasks that an iteration leaves behind raise too."""
    raised = ErrorTable({"KeyError": (3, "trace")})
    none = replace(closed_bench(), exceptions=raised, metrics=view_metrics(SeriesTable(), BUILTIN, 10.0))
    assert not none.all_raised


def test_histograms_of_trends_with_data_are_in_the_data() -> None:
    data = full_run().to_dict()
    assert "http_req_duration" in data["histograms"]
    assert "reply_bytes" not in data["histograms"]
    assert "http_reqs" not in data["histograms"]
    assert data["workers"][0]["cpu_percent"] == {"mean": 46.0, "max": 47.0, "series": [45.0, 47.0]}


class TestTags:
    def test_series_with_tags_come_after_their_metric(self) -> None:
        table = SeriesTable()
        add_requests(table, [1_000] * 3)
        table.trend(Series.of("rows", region="us"), SPECS["rows"].highest).record(3_000)
        table.trend(Series("rows", OTHER_TAGS), SPECS["rows"].highest).record(5_000)
        table.counter(Series.of("http_reqs", group="login")).value = 2
        views = view_metrics(table, SPECS, 2.0, {"http_reqs": 1, "http_reqs{group:login}": 1})
        labels = list(views)
        assert labels[labels.index("rows") :][:3] == ["rows", "rows{region:us}", "rows{tags:(other)}"]
        assert labels[labels.index("http_reqs") + 1] == "http_reqs{group:login}"
        assert views["rows{region:us}"].max == 3.0
        login = views["http_reqs{group:login}"]
        assert (login.spec.name, login.count, login.rate) == ("http_reqs", 2, 0.5)
        assert views["http_reqs"].rate == 1.0

    def test_what_every_run_keeps_is_shown_only_when_asked_for(self) -> None:
        table = SeriesTable()
        add_requests(table, [1_000] * 3)
        assert [label for label in view_metrics(table, SPECS, 1.0) if "{" in label] == []
        asked = Series.of("http_req_duration", method="GET", name_="/")
        assert view_metrics(table, SPECS, 1.0, asked=[asked])[asked.label].count == 3

    def test_filters_are_no_endpoints_and_no_checks(self) -> None:
        table = SeriesTable()
        add_requests(table, [1_000] * 3)
        table.counter(Series.of("http_reqs", group="login")).value = 2
        table.counter(Series.of("http_reqs", name_="/")).value = 2
        table.rate(Series.of("checks", check="ok")).total = 4
        table.rate(Series.of("checks", check="ok", scenario="s")).total = 4
        table.trend(Series.of("group_duration", scenario="s")).record(1)
        assert [(one.name, one.requests) for one in collect_endpoints(table, 1.0)] == [("/", 3)]
        assert collect_checks(table) == (CheckResult("ok", 0, 4, "s"),)
        assert collect_groups(table, 1.0) == ()

    def test_groups_come_in_order_with_those_inside_after_them(self) -> None:
        table = SeriesTable()
        for name in ("shop::pay::card", "shop::cart", "shop::pay", "shop", "about"):
            fill(table, "group_duration", [1_000, 3_000], group=name)
        groups = collect_groups(table, 1.0)
        assert [group.name for group in groups] == ["shop", "shop::cart", "shop::pay", "shop::pay::card", "about"]
        assert (groups[0].duration.avg, groups[0].to_dict()["group_duration"]["count"]) == (2.0, 2)


class TestScenarios:
    def test_one_is_the_total(self) -> None:
        assert collect_scenarios(view_metrics(SeriesTable(), SPECS, 1.0), ["only"]) == ()

    def test_several_are_told_apart(self) -> None:
        table = SeriesTable()
        table.counter(Series.of("http_reqs", scenario="a")).value = 6
        table.rate(Series.of("http_req_failed", scenario="a")).merge(RateValue(2, 6))
        fill(table, "http_req_duration", [4_000], scenario="a")
        table.counter(Series.of("iterations", scenario="a")).value = 3
        views = view_metrics(table, SPECS, 2.0, {"http_reqs{scenario:a}": 2})
        first, second = collect_scenarios(views, ["a", "b"])
        assert (first.name, second.name) == ("a", "b")
        data = first.to_dict()
        assert data["http_reqs"] == {"count": 6, "rate": 2.0}
        assert data["http_req_failed"]["fails"] == 2
        assert data["http_req_duration"]["max"] == 4.0
        assert second.to_dict()["http_reqs"] == {"count": 0, "rate": 0.0}
        assert second.to_dict()["http_req_duration"]["med"] is None
        assert list(data) == list(second.to_dict())


class TestNamesNote:
    def test_none_while_there_is_room(self) -> None:
        table = SeriesTable()
        add_requests(table, [1_000])
        assert names_note(table) is None

    def test_it_names_the_rarest_and_the_remedy(self) -> None:
        table = SeriesTable()
        add_requests(table, [1_000] * 9, name="/often")
        add_requests(table, [1_000], name="/users/bob")
        add_requests(table, [1_000] * 2, name="/users/ada")
        add_requests(table, [1_000] * 1234, name=OTHER_NAME)
        assert names_note(table) == (
            f"there were more than {MAX_NAMES:,} request names: 1,234 requests of the others are counted together as "
            "(other). Pass name= to requests whose paths vary, instead of names such as '/users/bob' and '/users/ada'"
        )


def test_every_crowd_of_names_is_told() -> None:
    table = SeriesTable()
    assert name_limit_notes((), table) == []
    (note,) = name_limit_notes(("request names", "tags of orders"), table)
    assert note.startswith("there were more than 1,000 tags of orders: the others are counted together as (other).")
    table.counter(Series.of("http_reqs", name_="(other)", method="GET", status="200")).value = 3
    assert [text.split(":")[0] for text in name_limit_notes(("request names", "names of groups"), table)] == [
        "there were more than 1,000 request names",
        "there were more than 1,000 names of groups",
    ]
