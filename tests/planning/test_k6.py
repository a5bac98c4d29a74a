"""Options files of k6: the plan is what k6 1.1 makes of the same file, by its ``inspect --execution-requirements``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastload import VU
from fastload.load.script.scenarios import scenario
from fastload.model.errors import PlanError
from fastload.model.hooks import Hook, Hooks
from fastload.model.judging.thresholds import parse_threshold, parse_thresholds
from fastload.model.load_models import (
    ConstantArrivalRate,
    ConstantVUs,
    Executor,
    ExternallyControlled,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    SharedIterations,
)
from fastload.model.metrics import BUILTIN
from fastload.model.plan import Plan
from fastload.planning import Draft, PlanContext, Tiers, draft_plan
from fastload.planning.config_files import file_tier
from fastload.planning.k6 import k6_tier
from tests.cli.test_config import draft_of, visit
from tests.cli.test_config import in_a_folder_of_its_own as in_a_folder_of_its_own  # the fixture holds here too


def k6_draft(given: Any, **more: Any) -> Draft:
    Path("o.json").write_text(given if isinstance(given, str) else json.dumps(given))
    return draft_of("--opts", "o.json", **more)


def one_scenario(**spec: Any) -> dict[str, Any]:
    return {"scenarios": {"visit": spec}}


# What k6 makes of a duration, in milliseconds.
DURATIONS = [
    ("1500", 1500), (1500, 1500), (1500.5, 1500.5), ("1500.5", 1500.5), ("1e3", 1000), ("+5s", 5000), (".5m", 30_000),
    ("5.s", 5000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("1d", 86_400_000), ("1d2h", 93_600_000), ("0d5s", 5000),
    ("1h1h", 7_200_000), ("1500ms", 1500), ("2000000us", 2000), ("2000000µs", 2000),
]  # fmt: skip
NO_DURATIONS: list[Any] = [
    "",
    " 5 x",
    "5 s",
    "s",
    "d",
    "1x",
    "5S",
    "1h-5m",
    "0x5",
    "inf",
    "NaN",
    "٣s",
    True,
    [1],
    {},
    1e300,
    "9" * 300,
]


@pytest.mark.parametrize(("given", "ms"), DURATIONS)
def test_a_duration_is_read_as_in_k6(given: Any, ms: float) -> None:
    executor = k6_draft({"duration": given}).plan.scenarios[0].executor
    assert executor.duration_s == pytest.approx(ms / 1000, rel=1e-12)
    shared = {"executor": "shared-iterations", "maxDuration": given, "startTime": given, "gracefulStop": given}
    plan = k6_draft(one_scenario(**shared)).plan.scenarios[0]
    assert (plan.executor.duration_s, plan.start_s, plan.graceful_stop_s) == pytest.approx((ms / 1000,) * 3)
    ramp = {"executor": "ramping-vus", "stages": [{"duration": given, "target": 3}], "gracefulRampDown": given}
    found = k6_draft(one_scenario(**ramp)).plan.scenarios[0].executor
    assert isinstance(found, RampingVUs)
    assert (found.duration_s, found.graceful_ramp_down_s) == pytest.approx((ms / 1000,) * 2)
    tier = k6_tier({"setupTimeout": given, "dns": {"ttl": given}, "minIterationDuration": given}, name="o", folder="")
    assert tier.options["setup_timeout"] == tier.options["dns"] == tier.options["pacing"]


@pytest.mark.parametrize("given", NO_DURATIONS)
@pytest.mark.parametrize("key", ["duration", "minIterationDuration", "setupTimeout"])
def test_what_is_no_duration_is_refused(key: str, given: Any) -> None:
    with pytest.raises(PlanError, match=f"^o.json: {key} is .*and takes a duration") as caught:
        k6_draft({key: given})
    assert f'write "{key}": "30s"' in caught.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"duration": "-1s"}, 'o.json: duration is "-1s", and is 0 at least'),
        ({"duration": -5}, "o.json: duration is -5, and is 0 at least"),
        ({"duration": "0"}, 'o.json: duration is "0", and is over 0'),
        ({"duration": 30}, "o.json: duration 30 is 30ms: a number without a unit is milliseconds"),
        ({"setupTimeout": "0"}, 'o.json: setupTimeout is "0", and is over 0'),
        ({"duration": "9999999h"}, 'o.json: duration is "9999999h", which is over a hundred years'),
        ({"duration": "1e999"}, "o.json: duration is"),
        (one_scenario(executor="constant-vus", duration="5s", startTime="-1s"), "o.json: scenarios.visit: startTime"),
        (one_scenario(executor="constant-vus"), "o.json: scenarios.visit: constant-vus needs duration"),
        (one_scenario(executor="constant-vus", duration="5s", iterations=4), "iterations does not go with constant"),
        (one_scenario(executor="shared-iterations", duration="5s"), "duration does not go with shared-iterations"),
        (one_scenario(executor="ramping-vus", vus=2, stages=[{"duration": 1, "target": 1}]), "vus does not go with"),
        (one_scenario(executor="ramping-vus", stages=[]), "ramping-vus needs stages"),
        (one_scenario(executor="constant-vus", duration="5s", vus=2.5), "vus is 2.5, and takes a whole number"),
        (one_scenario(executor="constant-vus", duration="5s", vus=0), "vus is 0, and is 1 at least"),
        (one_scenario(executor="constant-vus", duration="5s", exec=5), "exec is 5, and takes a text"),
        (one_scenario(executor="constant-vus", duration="5s", options={"browser": {}}), "options is not supported"),
        (one_scenario(executor="shared-iterations", vus=3), "1 iteration cannot be shared by 3 VUs"),
        (
            one_scenario(executor="constant-arrival-rate", rate=1, duration="5s", preAllocatedVUs=4, maxVUs=2),
            "maxVUs 2 is below preAllocatedVUs 4",
        ),
        ({"stages": [{"duration": "5s", "target": 5.5}]}, "o.json: stage 1: target is 5.5, and takes a whole number"),
        ({"stages": [{"duration": "5s", "target": -5}]}, "o.json: stage 1: target is -5, and is 0 at least"),
        ({"stages": [{"duration": None, "target": 5}]}, "o.json: stage 1 is "),
        ({"stages": [{"duration": "5s", "target": 5, "x": 1}]}, "o.json: stage 1 is "),
        ({"vus": 0, "duration": "5s"}, "o.json: vus is 0, and is 1 at least"),
        ({"vus": 0, "stages": []}, "o.json: vus is 0, and is 1 at least"),
        ({"vus": True}, "o.json: vus is true, and takes a whole number"),
        ({"paused": "true"}, 'o.json: paused is "true", and takes true or false'),
        ({"userAgent": 5}, "o.json: userAgent is 5, and takes a text"),
        ({"tags": ["a=b"]}, "o.json: tags is"),
        ({"vus": 1, "VUs": 2}, "o.json: vus is given twice, as VUs too"),
        ({"userAgent": "a", "user_agent": "b"}, "o.json: user_agent says again what is user_agent"),
        ({"dns": {"tll": "5m"}}, "o.json: dns has no 'tll'"),
        ({"dns": {"select": "roundrobin"}}, "o.json: dns.select 'roundrobin' is unknown"),
        ({"dns": {"ttl": "-5s"}}, 'o.json: dns: ttl is "-5s"'),
        ({"httpDebug": True}, "o.json: httpDebug is true, and takes headers or full"),
        ({"throw": True}, "o.json: throw is not supported"),
        ({"executionSegment": "0:1/4"}, "o.json: executionSegment is not supported"),
        ({"thresholds": []}, "o.json: thresholds is \\[\\], and takes an object"),
        ({"thresholds": {"http_reqs": 5}}, "o.json: thresholds: http_reqs is 5, and takes a list"),
        ({"thresholds": {"http_reqs": [None]}}, "o.json: thresholds: http_reqs is null"),
        ({"thresholds": {"http_reqs": [{"threshold": "count>1", "abortOnFial": True}]}}, "has no 'abortOnFial'"),
        ({"thresholds": {"http_reqs": [{"threshold": "count>1", "abortOnFail": "yes"}]}}, 'abortOnFail is "yes"'),
        ({"thresholds": {"http_reqs{url:http://a/}": ["count>1"]}}, "k6's tag 'url' is not supported"),
        ({"thresholds": {"http_reqs": ["count>1 x"]}}, "o.json: threshold 'count>1 x'"),
        ('{"vus": 1, "duration": "5s", "vus": 2}', "o.json: 'vus' is given twice in one object"),
        ('{"tags": {"a": 1, "a": 2}}', "o.json: 'a' is given twice in one object"),
        ('{"vus": NaN}', "o.json: NaN is no number of JSON"),
    ],
)
def test_what_k6_refuses_or_would_lose_is_refused(given: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        k6_draft(given)
    assert caught.value.hint


def test_nothing_is_said_by_null_and_by_values_that_ask_for_nothing() -> None:
    nothing: dict[str, Any] = {
        **dict.fromkeys(("vus", "duration", "iterations", "stages", "scenarios", "thresholds", "tags", "hosts", "dns")),
        **dict.fromkeys(("tlsAuth", "tlsVersion", "tlsCipherSuites", "userAgent", "localIPs", "rps", "paused")),
        "throw": False, "noThresholds": False, "linger": False, "blacklistIPs": [], "executionSegment": "0:1",
    }  # fmt: skip
    assert k6_draft(nothing).plan.scenarios == draft_of().plan.scenarios
    assert k6_draft(nothing).notes == ()
    empty = {"rps": 0, "tlsAuth": [], "tlsCipherSuites": [], "tlsVersion": "", "localIPs": "", "dns": {"ttl": ""}}
    assert k6_draft(empty).plan.http == draft_of().plan.http


def test_null_in_a_scenario_is_nothing() -> None:
    keys = ("vus", "startTime", "gracefulStop", "env", "tags", "exec", "options")
    plan = k6_draft(one_scenario(executor="constant-vus", duration="5s", **dict.fromkeys(keys))).plan.scenarios[0]
    assert (plan.executor, plan.start_s, plan.graceful_stop_s) == (ConstantVUs(1, 5.0), 0.0, 30.0)
    tags = k6_draft({"tags": {"a": None, "b": "c"}}).plan.scenarios[0].tags
    assert tags == {"b": "c"}


S = {"duration": "10s", "target": 5}
FILES: list[tuple[str, dict[str, Any], list[Executor]]] = [
    ("smoke", {"vus": 1, "duration": "1m", "thresholds": {"http_req_failed": ["rate<0.01"]}}, [ConstantVUs(1, 60.0)]),
    ("texts as numbers", {"vus": "10", "iterations": "100"}, [SharedIterations(10, 100)]),
    ("a bounded number", {"vus": 5.0, "iterations": 20, "duration": "90000"}, [SharedIterations(5, 20, 90.0)]),
    (
        "load in three stages",
        {"stages": [{"duration": "5m", "target": 100}, {"duration": "10m", "target": 100},
                    {"duration": 300000, "target": 0}]},
        [RampingVUs(((300.0, 100), (600.0, 100), (300.0, 0)), 1)],
    ),
    (
        "spike with a jump",
        one_scenario(
            executor="ramping-vus", startVUs=0, gracefulRampDown="0",
            stages=[{"duration": "10s", "target": 10}, {"duration": "0", "target": 200},
                    {"duration": "1m", "target": 200}],
        ),
        [RampingVUs(((10.0, 10), (0.0, 200), (60.0, 200)), 0, 0.0)],
    ),
    ("ramp from one", one_scenario(executor="ramping-vus", stages=[S]), [RampingVUs(((10.0, 5),), 1)]),
    ("other capitals", one_scenario(executor="ramping-vus", startvus=2, Stages=[S]), [RampingVUs(((10.0, 5),), 2)]),
    (
        "a rate a minute",
        one_scenario(
            executor="constant-arrival-rate", rate="90", timeUnit="1m", duration="2m", preAllocatedVUs="5", maxVUs=50
        ),
        [ConstantArrivalRate(1.5, 120.0, 50)],
    ),
    (
        "no more VUs than at first",
        one_scenario(executor="constant-arrival-rate", rate=10, duration="5s", preAllocatedVUs=4, maxVUs=None),
        [ConstantArrivalRate(10.0, 5.0, 4)],
    ),
    (
        "a ramp from nothing",
        {"vus": 0, "stages": [{"duration": "10s", "target": 5}]},
        [RampingVUs(((10.0, 5),), 0)],
    ),
    (
        "breakpoint",
        one_scenario(
            executor="ramping-arrival-rate", timeUnit=1000, preAllocatedVUs=0, maxVUs=900,
            stages=[{"duration": "1h", "target": "20000"}],
        ),
        [RampingArrivalRate(((3600.0, 20000.0),), 0.0, 900)],
    ),
    (
        "each VU its own",
        one_scenario(executor="per-vu-iterations", vus=10, iterations=20, maxDuration="1h30m"),
        [PerVUIterations(10, 20, 5400.0)],
    ),
    (
        "all at once",
        {
            "discardResponseBodies": True,
            "scenarios": {
                "shared": {"executor": "shared-iterations", "vus": 2, "iterations": 9, "startTime": "0s"},
                "each": {"executor": "per-vu-iterations", "vus": 2},
                "few": {"executor": "constant-vus", "vus": 2, "duration": "30s", "startTime": "1m"},
                "by_hand": {"executor": "externally-controlled", "vus": 2, "duration": "10m"},
            },
        },
        [SharedIterations(2, 9), PerVUIterations(2, 1), ConstantVUs(2, 30.0), ExternallyControlled(2, 2, 600.0)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "executors"), [one[1:] for one in FILES], ids=[one[0] for one in FILES])
def test_a_file_that_users_write_makes_the_plan_of_k6(given: dict[str, Any], executors: list[Executor]) -> None:
    plan: Plan = k6_draft(given).plan
    assert [one.executor for one in plan.scenarios] == executors


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http_req_duration{expected_response:true}", "http_req_duration{expected_response:true}"),
        ("http_req_duration{ expected_response : true , a:b }", "http_req_duration{a:b,expected_response:true}"),
        ('http_req_duration{"name":"/a"}', "http_req_duration{name:/a}"),
        ("http_req_duration{group:::a::b}", "http_req_duration{group:a::b}"),
        ("http_req_duration{name:/orders/{id},status:200}", "http_req_duration{name:/orders/{id},status:200}"),
        ("http_req_duration{scenario:visit}", "http_req_duration{scenario:visit}"),
    ],
)
def test_tags_of_thresholds(written: str, meant: str) -> None:
    expressions = ["p(95)<500", "p(99.9)<=5.5E3", "med < 5", "avg  >  .5", "max!=1", "min===0"]
    found = k6_draft({"thresholds": {written: expressions}}).plan.thresholds
    assert found == tuple(parse_threshold(meant, text, BUILTIN) for text in expressions)


def test_thresholds_in_each_form() -> None:
    given = {
        "checks{check:is 200}": "rate>0.9",
        "iterations": {"threshold": "count>=1"},
        "http_reqs": ["rate>1e3", {"Threshold": "count>5", "AbortOnFail": True, "delayAbortEval": 1500}],
        "vus": [{"threshold": "value>1", "abortOnFail": None, "delayAbortEval": "10s"}],
        "http_req_failed": [{"threshold": "rate<1", "abortOnFail": True, "delayAbortEval": "500"}],
        "data_sent": [],
        "data_received": None,
    }
    draft = k6_draft({"thresholds": given})
    meant: dict[str, Any] = {
        "checks{check:is 200}": "rate>0.9",
        "iterations": "count>=1",
        "http_reqs": ["rate>1e3", {"threshold": "count>5", "abort_on_fail": True, "delay_abort": "1500ms"}],
        "vus": "value>1",
        "http_req_failed": {"threshold": "rate<1", "abort_on_fail": True, "delay_abort": "500ms"},
    }
    assert draft.plan.thresholds == parse_thresholds(meant, BUILTIN)
    assert draft.notes == (
        "o.json: delayAbortEval without abortOnFail, thresholds.data_sent, thresholds.data_received have no effect "
        "here",
    )


def test_options_of_fastload_may_stand_in_a_scenario_of_k6() -> None:
    spec = {"executor": "constant-arrival-rate", "rate": 1, "timeUnit": "20000s", "duration": "5s", "when_busy": "drop"}
    executor = k6_draft(one_scenario(**spec)).plan.scenarios[0].executor
    assert isinstance(executor, ConstantArrivalRate)
    assert executor.when_busy == "drop"
    assert executor.rate_per_s == pytest.approx(1 / 20000, rel=1e-15)


def test_a_byte_order_mark_is_no_part_of_a_file() -> None:
    Path("o.json").write_bytes(b'\xef\xbb\xbf{"vus": 3}')
    Path("c.toml").write_bytes(b"\xef\xbb\xbfvus = 4\n")
    assert file_tier("o.json", option="--opts").options == {"vus": 3}
    assert file_tier("c.toml", option="--opts").options == {"vus": 4}


@pytest.mark.parametrize("name", ["o.yaml", "o.yml", "o.js", "o.ts", "o.py"])
def test_files_of_another_kind_are_refused_by_their_name(name: str) -> None:
    Path(name).write_text("vus: 0777\non: NO\n")
    with pytest.raises(PlanError, match=f"--opts: '{name}' is neither TOML nor JSON"):
        file_tier(name, option="--opts")


def test_time_outs_of_setup_and_teardown_go_over_those_of_the_script() -> None:
    async def prepare(vu: VU) -> None:
        """A setup of nothing."""

    hooks = Hooks(setup=Hook("setup", prepare), teardown=Hook("teardown", prepare, 7.0))
    Path("o.json").write_text('{"setupTimeout": "90000", "noTeardown": true}')
    tiers = Tiers(above=[file_tier("o.json", option="--opts")])
    plan = draft_plan([scenario(name="visit")(visit)], tiers, PlanContext(hooks=hooks)).plan
    assert plan.hooks == Hooks(setup=Hook("setup", prepare, 90.0))
