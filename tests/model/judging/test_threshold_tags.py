"""Tags of thresholds that no sample can have are refused before the run, with the nearest one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.model.judging.threshold_grammar import parse_series, split_thresholds
from fastload.model.judging.threshold_tags import PlannedTags, check_filters
from fastload.model.judging.thresholds import parse_threshold_option
from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series

KNOWN = BUILTIN | {"orders": MetricSpec("orders", Kind.COUNTER)}
WRITTEN = {"kind", "names", "status"}
PLANNED = PlannedTags(
    {"browse": {"team": "red"}, "buy": {"team": "blue"}}, others=["admin"], mentions=WRITTEN.__contains__
)
BENCH = PlannedTags({"bench": {}}, has_own_tags=False, mentions=lambda _text: False)
CONDITIONS = {Kind.COUNTER: "count>1", Kind.RATE: "rate>0.5", Kind.TREND: "p(95)<200", Kind.GAUGE: "value>1"}


def check(metric: str, planned: PlannedTags = PLANNED) -> None:
    kind = KNOWN[metric.partition("{")[0]].kind
    check_filters([parse_threshold_option(f"{metric}: {CONDITIONS[kind]}", KNOWN)], planned)


@pytest.mark.parametrize(
    ("metric", "message", "hint"),
    [
        ("http_req_duration{scenario:brwose}", "there is no scenario 'brwose'", "did you mean 'browse'?"),
        ("http_reqs{scenario:admin}", "the run leaves out scenario 'admin'", "the run has browse, buy"),
        ("iterations{scenario:xyz}", "there is no scenario 'xyz'", "there are browse, buy, admin"),
        ("http_req_duration{staus:200}", "http_req_duration has no tag 'staus'", "did you mean 'status'?"),
        ("http_reqs{nmae:/a}", "http_reqs has no tag 'nmae'", "did you mean 'name'?"),
        ("http_reqs{tema:red}", "http_reqs has no tag 'tema'", "did you mean 'team'?"),
        ("checks{chek:a}", "checks has no tag 'chek'", "did you mean 'check'?"),
        ("checks{status:200}", "checks has no tag 'status'", "it has scenario, group, check, team"),
        ("http_reqs{check:a}", "http_reqs has no tag 'check'", "it has scenario, group, name"),
        ("http_reqs{url:/a}", "http_reqs has no tag 'url'", "it has"),
        ("group_duration{name:/a}", "group_duration has no tag 'name'", "it has scenario, group, team"),
        ("iterations{kind:read}", "iterations has no tag 'kind'", "it has scenario, team"),
        ("iterations{team:rde}", "no scenario has the tag team:rde", "did you mean 'red'?"),
        ("vus{scenario:browse}", "vus has no tag 'scenario'", "it has no tags"),
        ("loop_lag{kind:x}", "loop_lag has no tag 'kind'", "it has no tags"),
        ("http_reqs{status:2xx}", "'2xx' is no status", "write a number"),
        ("http_reqs{status:OK}", "'OK' is no status", "write a number"),
        ("http_reqs{expected_response:yes}", "expected_response is true or false, and not 'yes'", "expected_response"),
        ("http_reqs{method:get}", "methods are in upper case, and not 'get'", "write method:GET"),
        ("http_reqs{method:GTE}", "there is no method 'GTE'", "did you mean 'GET'?"),
        ("http_reqs{error:timout}", "there is no kind of errors 'timout'", "did you mean 'timeout'?"),
        ("http_reqs{error:http_4xx}", "there is no kind of errors 'http_4xx'", "write error:http_404, or status:404"),
        ("http_reqs{error:4XX}", "there is no kind of errors '4XX'", "each status is a kind of its own"),
        ("http_reqs{error:503}", "there is no kind of errors '503'", "each status is a kind of its own"),
        ('http_reqs{method:""}', "a request always has a method", "write method:GET"),
        ('http_reqs{scenario:""}', "there is no scenario ''", "there are browse, buy, admin"),
        ("orders{senario:buy}", "orders has no tag 'senario'", "did you mean 'scenario'?"),
    ],
)
def test_what_no_sample_can_have_is_refused(metric: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        check(metric)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "metric",
    [
        "http_req_duration{scenario:browse,group:cart,name:/a,method:GET,status:200,expected_response:true}",
        "http_reqs{status:0}",
        "http_reqs{error:http_404}",
        "http_reqs{error:judged}",
        'http_reqs{error:""}',
        "http_req_duration{group:'',error: '' }",
        "http_reqs{method:PURGE}",
        "http_reqs{team:green}",
        # Written in the script: a tag of requests, though it is like one of fastload's.
        "http_reqs{names:x}",
        # Like none: a tag whose name the script may compute.
        "http_reqs{region:eu}",
        "checks{region:eu,check:a}",
        "calls{error:TimeoutError}",
        "orders{status:paid}",
        "orders{region:eu}",
        "iterations{team:red}",
        "data_sent{name:/a}",
    ],
)
def test_what_a_sample_may_have_is_taken(metric: str) -> None:
    check(metric)


def test_the_hint_has_each_scenario_once() -> None:
    planned = PlannedTags({"one": {}, "two": {}}, others=["one", "two", "rest"])
    with pytest.raises(PlanError) as caught:
        check("http_reqs{scenario:xyz}", planned)
    assert caught.value.hint == "there are one, two, rest"


@pytest.mark.parametrize("metric", ["http_reqs{region:eu}", "http_reqs{scenario:browse}", "http_reqs{method:GTE}"])
def test_in_bench_no_request_has_tags_of_its_own(metric: str) -> None:
    with pytest.raises(PlanError):
        check(metric, BENCH)
    check("http_reqs{status:200,name:/a,scenario:bench}", BENCH)


BOTH_QUOTES = ("""say "it's", ok""", """\"'""", "a\\, b", """\\"', """, """'a" \\""")


@pytest.mark.parametrize(
    "value", ["", "a, b", "a}", "{", "a;b", "a: b", " a ", '"', "it's", "{a,b}", "/o/{id}", "a's, b", *BOTH_QUOTES]
)
def test_the_label_of_a_series_is_read_as_that_series(value: str) -> None:
    series = Series.of("checks", check=value, scenario="browse")
    assert parse_series(series.label) == (series, "")
    assert split_thresholds(f"{series.label}: rate>0.5; vus>1") == [f"{series.label}: rate>0.5", " vus>1"]


@given(st.text(st.sampled_from("a\"'\\,;:{} ")))
def test_any_label_is_read_as_its_series(value: str) -> None:
    series = Series.of("checks", check=value, scenario=value)
    assert parse_series(series.label) == (series, "")
    assert split_thresholds(f"{series.label}: rate>0.5;vus>1") == [f"{series.label}: rate>0.5", "vus>1"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"""checks{check:"say \"it's\", ok"}""", """say "it's", ok"""),
        (r"checks{check:'C:\temp, \\'}", "C:\\temp, \\"),
        (r"checks{check:C:\temp\\x}", "C:\\temp\\\\x"),
    ],
)
def test_a_backslash_in_quotes_escapes_a_quote_and_itself(text: str, value: str) -> None:
    assert parse_series(text) == (Series.of("checks", check=value), "")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("checks: rate==1; http_reqs: count>1", ["checks: rate==1", " http_reqs: count>1"]),
        ('checks{check:"a; b}"}: rate>0.5;vus>1', ['checks{check:"a; b}"}: rate>0.5', "vus>1"]),
        ("checks{check: 'a; {'}>0.5;vus>1", ["checks{check: 'a; {'}>0.5", "vus>1"]),
        ("http_reqs{name:/a;b,status:200}>1;vus>1", ["http_reqs{name:/a;b,status:200}>1", "vus>1"]),
        ("checks{check:it's ok}>0.5;vus>1", ["checks{check:it's ok}>0.5", "vus>1"]),
        ("http_reqs{name:/o/{id;x}}>1;vus>1", ["http_reqs{name:/o/{id;x}}>1", "vus>1"]),
        ("http_reqs{name:/a;vus>1", ["http_reqs{name:/a;vus>1"]),
    ],
)
def test_a_semicolon_in_braces_separates_nothing(text: str, parts: list[str]) -> None:
    assert split_thresholds(text) == parts
