"""Thresholds as they are written: the grammar, what is refused with which hint, and judging a value."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.errors import PlanError
from fastload.model.judging.threshold_grammar import RESOURCE, STATES, VERDICT, Condition
from fastload.model.judging.thresholds import (
    evaluate_threshold,
    parse_threshold,
    parse_threshold_option,
    parse_thresholds,
)
from fastload.model.metrics import AGGREGATES, BUILTIN, Kind, MetricSpec, Series
from fastload.model.resources import RESOURCE_METRICS
from tests.conftest import REPO

KNOWN = BUILTIN | {
    "orders": MetricSpec("orders", Kind.COUNTER),
    "wait_s": MetricSpec("wait_s", Kind.TREND, "s"),
    "reply_bytes": MetricSpec("reply_bytes", Kind.TREND, "bytes"),
    "batch_size": MetricSpec("batch_size", Kind.TREND, "rows"),
}


def condition(metric: str, text: str) -> Condition:
    return parse_threshold(metric, text, KNOWN).condition


@pytest.mark.parametrize(
    ("metric", "expression", "aggregate", "percent", "comparison", "limit"),
    [
        ("http_req_duration", "p(95)<500", "p", 95, "<", 500),
        ("http_req_duration", " p( 99.9 ) <= 1.5 ", "p", 99.9, "<=", 1.5),
        ("http_req_duration", "p(0)>0", "p", 0, ">", 0),
        ("http_req_duration", "p(100)<1e3", "p", 100, "<", 1000),
        ("http_req_duration", "avg>=0.5", "avg", 0, ">=", 0.5),
        ("http_req_duration", "min > 1", "min", 0, ">", 1),
        ("http_req_duration", "med<5", "med", 0, "<", 5),
        ("http_req_duration", "max!=5", "max", 0, "!=", 5),
        ("http_req_duration", "count>100", "count", 0, ">", 100),
        ("http_req_failed", "rate<0.01", "rate", 0, "<", 0.01),
        ("http_req_failed", "rate<1e-3", "rate", 0, "<", 0.001),
        ("http_req_failed", "<.01", "rate", 0, "<", 0.01),
        ("checks", "rate==1", "rate", 0, "==", 1),
        ("checks", "rate===1", "rate", 0, "===", 1),
        ("orders", "count>=-1", "count", 0, ">=", -1),
        ("orders", "rate>10", "rate", 0, ">", 10),
        ("orders", ">+10", "count", 0, ">", 10),
        ("vus", "value<10", "value", 0, "<", 10),
        ("vus", "max<10", "max", 0, "<", 10),
        ("vus", "<10", "value", 0, "<", 10),
        ("target_cpu", "<90", "avg", 0, "<", 90),
        ("target_cpu", "p(90) < 90%", "p", 90, "<", 90),
        ("target_fds", "value<1000", "value", 0, "<", 1000),
        ("verdict", "==VALID", "", 0, "==", 2),
        ("verdict", ">= suspect", "", 0, ">=", 1),
        ("verdict", "!=INVALID", "", 0, "!=", 0),
        ("verdict", "verdict==VALID", "", 0, "==", 2),
    ],
)
def test_conditions(
    metric: str, expression: str, aggregate: str, percent: float, comparison: str, limit: float
) -> None:
    parsed = parse_threshold(metric, expression, KNOWN)
    assert parsed.series == Series(metric)
    assert parsed.expression == expression.strip()
    assert parsed.condition == Condition(aggregate, percent, comparison, limit)


@pytest.mark.parametrize(
    ("metric", "text", "limit"),
    [
        ("http_req_duration", "p(95)<500ms", 500),
        ("http_req_duration", "p(95)<500 ms", 500),
        ("http_req_duration", "p(95)<0.5s", 500),
        ("http_req_duration", "p(95)<1m", 60_000),
        ("http_req_duration", "p(95)<1h", 3_600_000),
        ("http_req_duration", "p(95)<7us", 0.007),
        ("http_req_duration", "p(95)<7µs", 0.007),
        ("wait_s", "max<1500ms", 1.5),
        ("wait_s", "max<2", 2),
        ("http_req_failed", "rate<7%", 0.07),
        ("http_req_failed", "rate < 0.1 %", 0.001),
        ("data_received", "count>5", 5),
        ("data_received", "count>5B", 5),
        ("data_received", "count>1.5kB", 1500),
        ("data_received", "count>1MB", 10**6),
        ("data_received", "count>1GiB", 2**30),
        ("data_received", "rate>1MB/s", 10**6),
        ("data_received", "rate>2 KiB/s", 2048),
        ("reply_bytes", "p(95)<64KiB", 65_536),
        ("orders", "rate>100/s", 100),
        ("batch_size", "avg<10rows", 10),
        ("target_memory", "max<2GB", 2 * 10**9),
        ("host_cpu", "<90%", 90),
        ("host_memory", "max<1TiB", 2**40),
    ],
)
def test_units_become_the_metrics_own(metric: str, text: str, limit: float) -> None:
    assert condition(metric, text).limit == limit


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("for 10s", {"for_s": 10}),
        ("over 1m30s", {"over_s": 90}),
        ("abort", {"aborts": True}),
        ("abort after 500ms", {"aborts": True, "abort_after_s": 0.5}),
        ("optional", {"optional": True}),
        ("over 5s  abort after 10s\toptional", {"over_s": 5, "aborts": True, "abort_after_s": 10, "optional": True}),
        ("optional abort for 1s", {"for_s": 1, "aborts": True, "optional": True}),
    ],
)
def test_words_after_the_number(words: str, changes: dict[str, Any]) -> None:
    plain = condition("http_req_duration", "p(95)<200")
    assert condition("http_req_duration", f"p(95)<200 {words}") == plain._replace(**changes)
    assert condition("http_req_duration", f"p(95)<200ms {words}") == plain._replace(**changes)


_NUMBERS = st.decimals(min_value=0, max_value=10**6, places=3, allow_nan=False).map(str)
_FACTOR: dict[str, int | Fraction] = {"": 1, "us": Fraction(1, 1000), "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


@given(
    aggregate=st.sampled_from(["avg", "min", "med", "max", "p(50)", "p(99.9)"]),
    comparison=st.sampled_from(["<", "<=", ">", ">=", "==", "===", "!="]),
    number=_NUMBERS,
    unit=st.sampled_from(list(_FACTOR)),
    window=st.sampled_from(["", "for", "over"]),
    window_s=st.integers(1, 10_000),
    after_s=st.none() | st.integers(0, 1000),
    optional=st.booleans(),
    gap=st.sampled_from(["", " ", "  "]),
)
def test_what_is_written_is_what_is_read(
    aggregate: str,
    comparison: str,
    number: str,
    unit: str,
    window: str,
    window_s: int,
    after_s: int | None,
    optional: bool,
    gap: str,
) -> None:
    text = f"{gap}{aggregate}{gap}{comparison}{gap}{number}{gap}{unit}"
    text += f" {window} {window_s}s" if window else ""
    text += "" if after_s is None else f" abort after {after_s}s"
    text += " optional" if optional else ""
    parsed = parse_threshold("http_req_duration", text, KNOWN)
    assert parsed.aggregate == aggregate
    assert parsed.condition._replace(aggregate="", percent=0) == Condition(
        "",
        0,
        comparison,
        float(Fraction(number) * _FACTOR[unit]),
        for_s=window_s if window == "for" else 0,
        over_s=window_s if window == "over" else 0,
        aborts=after_s is not None,
        abort_after_s=after_s or 0,
        optional=optional,
    )


@pytest.mark.parametrize(
    ("metric", "tags"),
    [
        ("http_reqs{name:/users}", {"name": "/users"}),
        ("http_reqs{status:200,name:/users}", {"name": "/users", "status": "200"}),
        ("http_reqs { name : /a b , status : 200 }", {"name": "/a b", "status": "200"}),
        ("http_reqs{name:http://127.0.0.1:80/?q=1}", {"name": "http://127.0.0.1:80/?q=1"}),
        ("http_reqs{name:/orders/{id}}", {"name": "/orders/{id}"}),
        ("http_reqs{name:/a/{b,c},status:0}", {"name": "/a/{b,c}", "status": "0"}),
        ('http_reqs{name:"a,b}c", status: "200"}', {"name": "a,b}c", "status": "200"}),
        ("http_reqs{name:'it \"is\" '}", {"name": 'it "is" '}),
        ("http_reqs{name:it's}", {"name": "it's"}),
        ("group_duration{group:::login}", {"group": "login"}),
        ("group_duration{group:login}", {"group": "login"}),
        ("http_reqs{name:a,name:a}", {"name": "a"}),
        ("checks{check:status is 200}", {"check": "status is 200"}),
    ],
)
def test_tag_filters(metric: str, tags: dict[str, str]) -> None:
    known = KNOWN | {"group_duration": MetricSpec("group_duration", Kind.TREND, "ms")}
    example = {"http_reqs": "count>1", "group_duration": "avg<5", "checks": "rate>0.9"}
    name = metric.partition("{")[0].strip()
    expected = Series(name, tuple(sorted(tags.items())))
    assert parse_threshold(metric, example[name], known).series == expected
    for gap in (": ", ":", " ", ""):
        assert parse_threshold_option(f"{metric}{gap}{example[name]}", known).series == expected


_PLAIN = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\"',{}"), min_size=1)


@given(st.dictionaries(_PLAIN.filter(lambda key: ":" not in key and key != "group"), _PLAIN, max_size=4))
def test_a_label_is_read_as_the_series_that_it_is_of(tags: dict[str, str]) -> None:
    series = Series("http_reqs", tuple(sorted(tags.items())))
    parsed = parse_threshold(series.label, "count>1", KNOWN)
    assert (parsed.series, parsed.label) == (series, series.label)


NO_FILTER = "what is in braces is not TAG:VALUE"
LIKE = "write it like http_req_duration{name:/users,status:200}"


@pytest.mark.parametrize(
    ("metric", "expression", "message", "hint"),
    [
        ("http_req_duratoin", "p(95)<5", "threshold on 'http_req_duratoin': there is no metric", "'http_req_duration'"),
        ("zzzzzzzz", "p(95)<5", "there is no metric of that name", "the built-in metrics are listed in the docs"),
        ("target_cup", "<5", "there is no metric of that name", "did you mean 'target_cpu'?"),
        ("verdikt", "==VALID", "there is no metric of that name", "did you mean 'verdict'?"),
        ("", "p(95)<5", "threshold '' has no metric", "write 'METRIC: EXPRESSION'"),
        ("http_reqs x", "count>5", "'x' is not part of a metric", "write 'http_reqs'"),
        ("http_reqs{}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:a", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:a,}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{:a}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:'a}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:'}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:'a'b}", "count>5", NO_FILTER, LIKE),
        ("http_reqs{name:a,name:b}", "count>5", "'name' cannot have two values", "write two thresholds"),
        ("host_cpu{name:a}", "<5", "threshold on 'host_cpu{name:a}': host_cpu has no tags", "write 'host_cpu'"),
        ("verdict{name:a}", "==VALID", "verdict has no tags", "write 'verdict'"),
        ("http_req_duration", "p95<500", "which percentile?", "write p(95)"),
        ("http_req_duration", "p<500", "which percentile?", "write 'p(95)<500'"),
        ("http_req_duration", "", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)<", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)<fast", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)<1,000", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)=<500", "is not AGGREGATE OP NUMBER", "write 'p(95)<=500'"),
        ("checks", "rate=1", "is not AGGREGATE OP NUMBER", "write 'rate==1'"),
        ("checks", "rate=>0.9", "is not AGGREGATE OP NUMBER", "write 'rate>=0.9'"),
        ("http_req_duration", "p(101)<500", "a percentile is 0 to 100", "write 'p(95)<500'"),
        ("http_req_duration", "<500", "which value of the trend http_req_duration?", "it has avg, min, med, max"),
        ("http_req_duration", "rate<5", "a trend like http_req_duration has no 'rate'", "it has avg, min, med, max"),
        ("http_req_duration", "mean<5", "has no 'mean'", "; write avg"),
        ("http_req_duration", "Average<5", "has no 'Average'", "; write avg"),
        ("http_req_duration", "median<5", "has no 'median'", "; write med"),
        ("http_req_duration", "MAX<5", "has no 'MAX'", "; write max"),
        ("target_cpu", "mean<90", "has no 'mean'", "; write avg"),
        ("http_req_duration", "mad<5", "has no 'mad'", "did you mean 'm"),
        ("http_req_failed", "count<5", "a rate like http_req_failed has no 'count'", "it has rate"),
        ("http_req_failed", "p(95)<5", "a rate like http_req_failed has no 'p(N)'", "it has rate"),
        ("orders", "value<5", "a counter like orders has no 'value'", "it has count, rate"),
        ("vus", "count<5", "a gauge like vus has no 'count'", "it has value, min, max"),
        ("host_cpu", "count<5", "a resource like host_cpu has no 'count'", "it has avg, min, med, max, value, p(N)"),
        ("http_req_failed", "nope", "is not AGGREGATE OP NUMBER", "write 'rate<0.01'"),
        ("orders", "nope", "is not AGGREGATE OP NUMBER", "write 'count>100'"),
        ("vus", "nope", "is not AGGREGATE OP NUMBER", "write 'value<10'"),
        ("host_cpu", "nope", "is not AGGREGATE OP NUMBER", "write 'avg<90%'"),
        ("host_memory", "nope", "is not AGGREGATE OP NUMBER", "write 'max<2GB'"),
        ("target_fds", "nope", "is not AGGREGATE OP NUMBER", "write 'max<1000'"),
        ("http_req_duration", "p(95)<5MB", "'MB' is no unit of http_req_duration", "units are us, µs, ms, s, m, h"),
        ("http_req_duration", "p(95)<5 sec", "'sec' is not understood", "after the number come"),
        ("http_req_duration", "p(95)<5sec", "'sec' is no unit of http_req_duration", "units are us, µs, ms, s, m, h"),
        ("http_req_duration", "p(95)<5%", "'%' is no unit of http_req_duration", "units are us, µs, ms, s, m, h"),
        ("http_req_duration", "count<5ms", "'ms' is no unit of http_req_duration", "write the number without a unit"),
        ("http_req_failed", "rate<5ms", "'ms' is no unit of http_req_failed", "units are %"),
        ("data_sent", "count<5mb", "'mb' is no unit of data_sent", "did you mean '"),
        ("data_sent", "count<5MB/s", "'MB/s' is no unit of data_sent", "units are B, kB, MB"),
        ("orders", "count>5k", "'k' is no unit of orders", "write the number without a unit"),
        ("vus", "value>5 s", "'s' is no unit of vus", "write the number without a unit"),
        ("host_cpu", "avg<5s", "'s' is no unit of host_cpu", "units are %"),
        ("batch_size", "avg<5 lines", "'lines' is not understood", "after the number come"),
        ("http_req_duration", "p(95)<500 and avg<3", "'and' is not understood", "a threshold for each condition"),
        ("http_req_duration", "p(95)<500 fro 10s", "'fro' is not understood", "did you mean 'for'?"),
        ("http_req_duration", "p(95)<500 for", "for how long?", "write it like 'for 10s'"),
        ("http_req_duration", "p(95)<500 for 10", "for '10' is not a duration with a unit", "write 10s or 10m"),
        ("http_req_duration", "p(95)<500 for 500ms", "a window is whole seconds, and one at least", "'for 10s'"),
        ("http_req_duration", "p(95)<500 for 0s", "a window is whole seconds, and one at least", "'for 10s'"),
        ("http_req_duration", "p(95)<500 over 1500ms", "a window is whole seconds", "'over 10s'"),
        ("http_req_duration", "p(95)<500 for 1s over 2s", "'over' is one too many", "one window each"),
        ("http_req_duration", "p(95)<500 abort abort", "'abort' is one too many", "write several"),
        ("http_req_duration", "p(95)<500 abort after", "after how long?", "write it like 'after 10s'"),
        ("verdict", "==GOOD", "on verdict is not OP STATE", "write 'verdict==VALID'"),
        (
            "verdict",
            "==VALIDE",
            "on verdict is not OP STATE",
            "write 'verdict==VALID'; the states are INVALID, SUSPECT",
        ),
        ("verdict", "==", "on verdict is not OP STATE", "write 'verdict==VALID'"),
        ("verdict", "VALID", "on verdict is not OP STATE", "write 'verdict==VALID'"),
        (
            "verdict",
            "value==VALID",
            "on verdict is not OP STATE",
            "write 'verdict==VALID'; the states are INVALID, SUSPECT",
        ),
        ("verdict", "==VALID for 10s", "the verdict is judged once, at the end", "write 'verdict==VALID'"),
        ("verdict", "==VALID abort", "the verdict is judged once, at the end", "write 'verdict==VALID'"),
    ],
)
def test_what_is_refused(metric: str, expression: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_threshold(metric, expression, KNOWN)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_tags_that_cannot_be_are_refused_when_all_are_known() -> None:
    tags = {"name", "status"}
    assert parse_threshold("http_reqs{name:a}", "count>1", KNOWN, tags=tags).series.tags == (("name", "a"),)
    with pytest.raises(PlanError, match="there is no tag 'nmae'") as caught:
        parse_threshold("http_reqs{nmae:a}", "count>1", KNOWN, tags=tags)
    assert caught.value.hint == "did you mean 'name'?"
    with pytest.raises(PlanError) as caught:
        parse_threshold_option("http_reqs{zzz:a}: count>1", KNOWN, tags=tags)
    assert caught.value.hint == "there are name, status"
    assert parse_threshold("http_reqs{nmae:a}", "count>1", KNOWN).series.tags == (("nmae", "a"),)


@pytest.mark.parametrize(
    ("text", "metric", "expression"),
    [
        (" http_req_duration : p(95)<50", "http_req_duration", "p(95)<50"),
        ("http_req_duration p(95)<50", "http_req_duration", "p(95)<50"),
        ("target_cpu<90", "target_cpu", "<90"),
        ("http_req_failed<1%", "http_req_failed", "<1%"),
        ("verdict==VALID", "verdict", "==VALID"),
        ("verdict: ==VALID", "verdict", "==VALID"),
        ("http_req_duration{name:a:b}: p(95)<5 for 10s", "http_req_duration{name:a:b}", "p(95)<5 for 10s"),
        ("http_req_duration{name:x} p(95)<5", "http_req_duration{name:x}", "p(95)<5"),
    ],
)
def test_an_option_begins_with_its_metric(text: str, metric: str, expression: str) -> None:
    assert parse_threshold_option(text, KNOWN) == parse_threshold(metric, expression, KNOWN)


@pytest.mark.parametrize("text", ["p(95)<50", "rate<0.01", "<5", "", "{name:a}: count>1"])
def test_an_option_without_a_metric_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="has no metric") as caught:
        parse_threshold_option(text, KNOWN)
    assert caught.value.hint == "write 'METRIC: EXPRESSION', like 'http_req_duration: p(95)<50'"


def test_a_metric_of_the_script_may_be_named_like_an_aggregate_or_a_resource() -> None:
    known = KNOWN | {name: MetricSpec(name, Kind.COUNTER) for name in ("count", "target_cpu")}
    assert parse_threshold_option("count>5", known).kind == "counter"
    assert parse_threshold_option("target_cpu: rate>5", known).kind == "counter"


def test_a_mapping_has_one_expression_or_several() -> None:
    parsed = parse_thresholds(
        {"http_req_duration": ["p(95)<5", {"threshold": "avg<1"}], "checks": "rate>0.9", "orders": {"threshold": ">1"}},
        KNOWN,
    )
    assert [(one.label, one.expression) for one in parsed] == [
        ("http_req_duration", "p(95)<5"),
        ("http_req_duration", "avg<1"),
        ("checks", "rate>0.9"),
        ("orders", ">1"),
    ]


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"abort_on_fail": True}, {"aborts": True}),
        ({"abort_on_fail": True, "delay_abort": "10s"}, {"aborts": True, "abort_after_s": 10}),
        ({"abortOnFail": True, "delayAbortEval": "1m"}, {"aborts": True, "abort_after_s": 60}),
        ({"abortOnFail": False, "delayAbortEval": "1m"}, {"abort_after_s": 60}),
        ({"optional": True}, {"optional": True}),
        ({"optional": False}, {}),
    ],
)
def test_settings_beside_the_expression(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    (parsed,) = parse_thresholds({"checks": {"threshold": "rate>0.9", **settings}}, KNOWN)
    assert parsed.condition == condition("checks", "rate>0.9")._replace(**changes)
    assert parsed.expression == "rate>0.9"


@pytest.mark.parametrize(
    ("metric", "given", "text"),
    [
        ("checks", "rate > 0.9", "checks: rate > 0.9"),
        ("http_reqs{name:'a,b; {c}',status:200}", "count>1", "http_reqs{name:'a,b; {c}',status:200}: count>1"),
        ("checks", {"threshold": "rate>0.9", "abort_on_fail": True}, "checks: rate>0.9 abort"),
        (
            *(
                "checks",
                {"threshold": "rate>0.9 over 1m", "abort_on_fail": True, "delay_abort": "10s", "optional": True},
            ),
            "checks: rate>0.9 over 60s abort after 10s optional",
        ),
        (
            "checks",
            {"threshold": "rate>0.9 for 5s abort", "delay_abort": "2s", "abort_on_fail": True},
            "checks: rate>0.9 for 5s abort after 2s",
        ),
        ("verdict", {"threshold": ">=SUSPECT", "optional": True}, "verdict: >=SUSPECT optional"),
        ("checks", {"threshold": "rate>0.9", "abort_on_fail": False, "delay_abort": "9s"}, "checks: rate>0.9"),
    ],
)
def test_the_text_of_a_threshold_says_all_of_it(metric: str, given: Any, text: str) -> None:
    (parsed,) = parse_thresholds({metric: given}, KNOWN)
    assert parsed.text.replace('"', "'") == text
    again = parse_threshold_option(parsed.text, KNOWN)
    delays = parsed.condition.aborts
    assert (again.series, again.condition) == (
        parsed.series,
        parsed.condition if delays else parsed.condition._replace(abort_after_s=0.0),
    )


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ({"checks": {"threshold": "rate>1", "abortOnFial": True}}, "no setting 'abortOnFial'", "'abortOnFail'"),
        ({"checks": {"threshold": "rate>1", "zzz": 1}}, "no setting 'zzz'", "there are threshold, abort_on_fail"),
        ({"checks": {"abort_on_fail": True}}, "has no expression", 'add "threshold": "p(95)<500"'),
        ({"checks": {"threshold": 5}}, "has no expression", 'add "threshold"'),
        ({"checks": {"threshold": "rate>1", "optional": "yes"}}, "optional is 'yes'", "it is true or false"),
        ({"checks": {"threshold": "rate>1", "abort_on_fail": 1}}, "abort_on_fail is 1", "it is true or false"),
        ({"checks": {"threshold": "rate>1", "delay_abort": "5s"}}, "delay_abort without abort_on_fail", "abort_on"),
        (
            {"checks": {"threshold": "rate>1", "abort_on_fail": True, "delay_abort": "soon"}},
            "delay_abort 'soon' is not a duration",
            "write it like",
        ),
        ({"checks": 5}, "threshold 5 on checks is no text", "write it like"),
        ({"checks": [5]}, "threshold 5 on checks is no text", "write it like"),
        (["checks: rate>1"], "thresholds are ['checks: rate>1'], and no mapping", "write them like"),
    ],
)
def test_what_is_refused_in_a_mapping(spec: Any, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_thresholds(spec, KNOWN)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
        ("===", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_comparisons(comparison: str, below: bool, equal: bool, above: bool) -> None:
    threshold = parse_threshold("orders", f"count{comparison}5", KNOWN)
    assert [evaluate_threshold(threshold, value).ok for value in (4, 5, 6)] == [below, equal, above]
    verdict = parse_threshold("verdict", f"{comparison}SUSPECT", KNOWN)
    assert [evaluate_threshold(verdict, state).ok for state in STATES] == [below, equal, above]
    assert evaluate_threshold(verdict, "VALID").observed == "VALID"


@pytest.mark.parametrize("expression", ["p(95)<5", "p(95)>5", "p(95)!=5"])
def test_no_data_fails_whatever_was_asked_unless_it_is_optional(expression: str) -> None:
    result = evaluate_threshold(parse_threshold("http_req_duration", expression, KNOWN), None)
    assert (result.ok, result.observed, result.optional) == (False, None, False)
    result = evaluate_threshold(parse_threshold("http_req_duration", f"{expression} optional", KNOWN), None)
    assert (result.ok, result.observed, result.optional) == (True, None, True)


def test_optional_data_is_judged_as_any() -> None:
    assert not evaluate_threshold(parse_threshold("http_req_duration", "p(95)<5 optional", KNOWN), 6.0).ok


@pytest.mark.parametrize(
    ("metric", "expression", "aggregate", "kind", "unit"),
    [
        ("http_req_duration{name:a}", "p(99.90)<5s", "p(99.9)", "trend", "ms"),
        ("http_req_duration", "count>5", "count", "trend", ""),
        ("data_sent", ">5kB", "count", "counter", "bytes"),
        ("http_req_failed", "<5%", "rate", "rate", ""),
        ("vus", "max<5", "max", "gauge", ""),
        ("host_cpu", "<5", "avg", RESOURCE, "%"),
        ("verdict", "==VALID", "", VERDICT, ""),
    ],
)
def test_a_result_says_what_was_observed_in_which_unit(
    metric: str, expression: str, aggregate: str, kind: str, unit: str
) -> None:
    result = evaluate_threshold(parse_threshold(metric, expression, KNOWN), None)
    assert (result.metric, result.expression) == (metric, expression)
    assert (result.aggregate, result.kind, result.unit) == (aggregate, kind, unit)


@pytest.mark.parametrize("name", [*BUILTIN, *RESOURCE_METRICS])
def test_every_metric_can_be_asked_for(name: str) -> None:
    kind = Kind.TREND if name in RESOURCE_METRICS else BUILTIN[name].kind
    asked = {"p(N)": "p(95)"}
    for aggregate in AGGREGATES[kind]:
        if name not in RESOURCE_METRICS or aggregate != "count":
            assert parse_threshold(name, f"{asked.get(aggregate, aggregate)}<5", KNOWN).label == name


def documented(heading: str) -> list[list[str]]:
    """The rows of the table under *heading* of the page on numbers, without its head."""
    text = (REPO / "docs" / "numbers.md").read_text().partition(f"### {heading}\n")[2]
    lines = [line for line in text.splitlines() if line.startswith(("|", "#"))]
    table = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table][2:]


def test_every_documented_example_can_be_read() -> None:
    examples = [row[1].strip("`") for row in documented("What can be written") if re.search("[<>=]", row[1])]
    assert len(examples) == 16
    parsed = [parse_threshold_option(text, KNOWN) for text in examples]
    assert {one.kind for one in parsed} >= {RESOURCE, VERDICT, "trend", "counter", "rate"}


def test_every_resource_is_documented() -> None:
    assert [(name.strip("`"), unit, text) for name, unit, text in documented("Resources in thresholds")] == [
        (metric.name, metric.unit, metric.description) for metric in RESOURCE_METRICS.values()
    ]
