"""Threshold expressions: the grammar, what is refused with which hint, and judging."""

from __future__ import annotations

from typing import Any

import pytest

from fastload.model.errors import PlanError
from fastload.model.metrics import BUILTIN, Kind, MetricSpec
from fastload.model.thresholds import Threshold, judge, parse_threshold, parse_threshold_option, parse_thresholds

KNOWN = BUILTIN | {"orders": MetricSpec("orders", Kind.COUNTER)}


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
        ("checks", "rate==1", "rate", 0, "==", 1),
        ("checks", "rate===1", "rate", 0, "===", 1),
        ("orders", "count>=-1", "count", 0, ">=", -1),
        ("orders", "rate>10", "rate", 0, ">", 10),
        ("vus", "value<10", "value", 0, "<", 10),
        ("vus", "max<10", "max", 0, "<", 10),
    ],
)
def test_the_grammar(
    metric: str, expression: str, aggregate: str, percent: float, comparison: str, limit: float
) -> None:
    parsed = parse_threshold(metric, expression, KNOWN)
    assert parsed == Threshold(metric, expression.strip(), aggregate, percent, comparison, limit)


@pytest.mark.parametrize(
    ("metric", "expression", "message", "hint"),
    [
        ("http_req_duratoin", "p(95)<5", "threshold on 'http_req_duratoin': there is no metric", "'http_req_duration'"),
        ("zzzzzzzz", "p(95)<5", "there is no metric of that name", "the built-in metrics are listed in the docs"),
        ("http_req_duration", "p(95)<500ms", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p95<500", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)<500 and avg<3", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p(95)=<500", "is not AGGREGATE OP NUMBER", "write 'p(95)<500'"),
        ("http_req_duration", "p<500", "which percentile?", "write 'p(95)<500'"),
        ("http_req_duration", "p(101)<500", "a percentile is 0 to 100", "write 'p(95)<500'"),
        ("http_req_duration", "rate<5", "a trend like http_req_duration has no 'rate'", "it has avg, min, med, max"),
        ("http_req_duration", "mad<5", "has no 'mad'", "did you mean 'm"),
        ("http_req_failed", "count<5", "a rate like http_req_failed has no 'count'", "it has rate"),
        ("http_req_failed", "p(95)<5", "a rate like http_req_failed has no 'p(N)'", "it has rate"),
        ("orders", "value<5", "a counter like orders has no 'value'", "it has count, rate"),
        ("vus", "count<5", "a gauge like vus has no 'count'", "it has value, min, max"),
        ("http_req_failed", "nope", "is not AGGREGATE OP NUMBER", "write 'rate<0.01'"),
        ("orders", "nope", "is not AGGREGATE OP NUMBER", "write 'count>100'"),
        ("vus", "nope", "is not AGGREGATE OP NUMBER", "write 'value<10'"),
    ],
)
def test_what_is_refused(metric: str, expression: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_threshold(metric, expression, KNOWN)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_option_names_its_metric_before_the_colon() -> None:
    assert parse_threshold_option(" http_req_duration : p(95)<50", KNOWN) == parse_threshold(
        "http_req_duration", "p(95)<50", KNOWN
    )
    with pytest.raises(PlanError, match="has no metric") as caught:
        parse_threshold_option("p(95)<50", KNOWN)
    assert caught.value.hint == "write 'METRIC: EXPRESSION', like 'http_req_duration: p(95)<50'"


def test_a_mapping_has_one_expression_or_several() -> None:
    parsed = parse_thresholds({"http_req_duration": ["p(95)<5", "avg<1"], "checks": "rate>0.9"}, KNOWN)
    assert [(one.metric, one.expression) for one in parsed] == [
        ("http_req_duration", "p(95)<5"),
        ("http_req_duration", "avg<1"),
        ("checks", "rate>0.9"),
    ]


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
    assert [judge(threshold, value).ok for value in (4, 5, 6)] == [below, equal, above]


@pytest.mark.parametrize("expression", ["p(95)<5", "p(95)>5", "p(95)!=5"])
def test_no_data_fails_whatever_was_asked(expression: str) -> None:
    result: Any = judge(parse_threshold("http_req_duration", expression, KNOWN), None)
    assert (result.ok, result.observed) == (False, None)
