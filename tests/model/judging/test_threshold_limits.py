"""Thresholds that decide nothing are refused, and so are those that exclude each other."""

from __future__ import annotations

import pytest

from fastload.model.errors import PlanError
from fastload.model.judging.threshold_limits import check_limits
from fastload.model.judging.thresholds import Threshold, parse_threshold_option
from fastload.model.metrics import BUILTIN, Kind, MetricSpec

KNOWN = BUILTIN | {
    "paid": MetricSpec("paid", Kind.RATE),
    "balance": MetricSpec("balance", Kind.COUNTER),
    "depth": MetricSpec("depth", Kind.GAUGE),
    "wait": MetricSpec("wait", Kind.TREND, "s"),
}


def parsed(*texts: str) -> list[Threshold]:
    return [parse_threshold_option(text, KNOWN) for text in texts]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "http_req_failed: rate<5",
            "threshold 'rate<5' on http_req_failed can never fail: a rate is between 0 and 1",
            "for 5 per cent write rate<0.05 or rate<5%",
        ),
        ("http_req_failed<5", "can never fail", "for 5 per cent write rate<0.05 or rate<5%"),
        (
            "http_req_failed{name:/a}: rate<=1",
            "'rate<=1' on http_req_failed{name:/a} can never fail",
            "between 0 and 1",
        ),
        ("http_req_failed: rate<0", "can never hold", "between 0 and 1"),
        ("http_req_failed: rate<500%", "can never fail", "between 0% and 100%"),
        ("http_req_failed: rate<101%", "can never fail", "between 0% and 100%, like rate<5%"),
        ("checks: rate>95", "can never hold", "for 95 per cent write rate>0.95 or rate>95%"),
        ("checks: rate>=-0.1", "can never fail", "between 0 and 1"),
        ("checks: rate==95", "can never hold", "rate==0.95"),
        ("checks: rate===95", "can never hold", "rate===0.95"),
        ("checks: rate!=95", "can never fail", "rate!=0.95"),
        ("checks: rate>1", "can never hold", "between 0 and 1"),
        ("paid: rate<5 over 10s", "can never fail", "for 5 per cent"),
        ("call_failed: rate<2 abort", "can never fail", "for 2 per cent"),
        ("http_reqs: count<0", "the count of http_reqs is 0 or more", "write count==0"),
        ("http_reqs: count>=-1", "can never fail", "above 0"),
        ("http_reqs: rate<0", "the rate of http_reqs is 0 or more", "write rate==0"),
        ("http_req_duration: min<0", "http_req_duration is 0 or more", "above 0"),
        ("http_req_duration: avg<0 for 5s", "can never hold", "above 0"),
        ("http_req_duration: p(95)>-1", "can never fail", "above 0"),
        ("http_req_duration: count>-1", "can never fail", "above 0"),
        ("wait: max<0s", "wait is 0 or more", "above 0"),
        ("vus: value<0", "can never hold", "above 0"),
        ("target_cpu<0", "target_cpu is 0 or more", "above 0"),
        ("host_memory: max>=-1B", "can never fail", "above 0"),
    ],
)
def test_what_decides_nothing_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_limits(parsed(text))
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "texts",
    [
        ("http_req_failed: rate<1",),
        ("http_req_failed: rate<=0", "http_req_failed: rate==0"),
        ("checks: rate>=1", "checks: rate>0", "checks: rate!=0"),
        ("http_req_failed: rate<5%",),
        ("http_reqs: count>0", "http_reqs: rate>10000", "http_reqs{status:500}: count<=0"),
        ("http_req_duration: p(95)<1e300", "http_req_duration: p(95)>0", "http_req_duration: min>=1"),
        # With these, users of k6 ask for a series.
        ("http_req_duration{name:/a}: max>=0", "http_req_duration{name:/a}: p(95)>=0ms", "http_req_waiting: avg>=0"),
        ("http_req_duration{name:/a}: max>=0", "http_req_duration{name:/a}: max<500"),
        ("http_reqs{name:/a}: count>=0", "http_reqs: rate>=0", "http_req_duration: count>=0"),
        ("http_req_failed{name:/a}: rate>=0", "checks>=0%", "vus: value >= 0", "host_memory: max>=0B"),
        # A script may add what is below 0.
        ("balance: count<0", "balance: rate>-5"),
        ("depth: min<0", "depth: max>=0"),
        ("verdict>=INVALID",),
        # Not of the same value, not of the same samples, or not at the same time.
        ("http_req_duration: p(50)<10", "http_req_duration: p(95)>20", "http_req_duration: max>30"),
        ("http_req_duration{name:/a}: avg<10", "http_req_duration{name:/b}: avg>20", "http_req_duration: avg>20"),
        ("http_reqs: rate<10 for 5s", "http_reqs: rate>20 for 5s"),
        ("http_reqs: rate<10 over 5s", "http_reqs: rate>20 over 9s", "http_reqs: rate>30"),
        ("checks: rate>=0.5", "checks: rate<=0.5", "checks: rate!=0.4"),
    ],
)
def test_what_can_hold_and_fail_is_taken(texts: tuple[str, ...]) -> None:
    check_limits(parsed(*texts))


@pytest.mark.parametrize(
    "texts",
    [
        ("http_req_failed: rate<0.1", "http_req_failed: rate>0.5"),
        ("checks: rate>=0.5", "http_reqs: count>1", "checks: rate<0.5"),
        ("checks: rate==0.5", "checks: rate!=0.5"),
        ("checks: rate===0.5", "checks: rate==0.6"),
        ("http_reqs{name:/a}: count<5", "http_reqs{name:/a}: count>=5"),
        ("http_req_duration: p(95)<0.2s", "http_req_duration: p(95)>200ms"),
        ("http_reqs: rate<10 over 5s", "http_reqs: rate>20 over 5s"),
        ("verdict==VALID", "verdict<SUSPECT"),
    ],
)
def test_what_excludes_each_other_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(PlanError, match="can never hold together") as caught:
        check_limits(parsed(*texts))
    assert parsed(texts[-1])[0].expression in caught.value.message
