"""From scenarios and tiers to the plan: what replaces what, who set each value, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.load.executors.base import ExecutionSegment
from fastload.load.executors.open_model import arrivals_of
from fastload.model.errors import PlanError
from fastload.model.hooks import Hook, Hooks
from fastload.model.http_settings import HttpSettings
from fastload.model.load_models import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    SharedIterations,
    Trace,
)
from fastload.planning import Draft, PlanContext, Tier, Tiers, as_scenario, draft_plan, on_target
from fastload.planning.describe import describe_draft, expected_starts, origins
from fastload.planning.load import merge_load, replaced_by
from fastload.planning.options import LOAD_OPTIONS
from fastload.planning.tiers import Layer, merge_layers


async def visit(vu: fl.VU) -> None:
    """An iteration of nothing."""


def declare(name: str = "visit", **options: Any) -> fl.Scenario:
    declared: fl.Scenario = fl.scenario(name=name, **options)(visit)
    return declared


def plan_of(script: dict[str, Any], given: dict[str, Any], *, config: dict[str, Any] | None = None) -> Draft:
    tiers = Tiers([Tier("fastload.toml", config or {}, is_project_file=True)], [Tier("command line", given)])
    return draft_plan([declare(**script)], tiers)


def executor_of(script: dict[str, Any], given: dict[str, Any], *, config: dict[str, Any] | None = None) -> Any:
    return plan_of(script, given, config=config).plan.scenarios[0].executor


RAMP: dict[str, Any] = {"stages": ["10s:20", "30s:20"], "start_vus": 2}
RATE: dict[str, Any] = {"rate": "50/s", "duration": "45s", "max_vus": 50}
RATES: dict[str, Any] = {"stages": ["10s:20/s"], "start_rate": 5, "max_vus": 50, "arrivals": "poisson"}
USERS: dict[str, Any] = {"vus": 10, "duration": "30s"}


@pytest.mark.parametrize(
    ("script", "given", "executor"),
    [
        (USERS, {}, ConstantVUs(10, 30.0)),
        (USERS, {"vus": 3}, ConstantVUs(3, 30.0)),
        (USERS, {"duration": "5s"}, ConstantVUs(10, 5.0)),
        (USERS, {"iterations": 50}, SharedIterations(10, 50)),
        (USERS, {"iterations": 4}, SharedIterations(4, 4)),
        (USERS, {"iterations": 4, "vus": 2}, SharedIterations(2, 4)),
        (USERS, {"rate": "5"}, ConstantArrivalRate(5.0, 30.0, 10)),
        (USERS, {"stages": ("5s:3",)}, RampingVUs(((5.0, 3),))),
        (USERS, {"stages": ("5s:3/s",), "max_vus": 7}, RampingArrivalRate(((5.0, 3.0),), 0.0, 7)),
        (USERS, {"executor": "per-vu-iterations", "iterations": 4}, PerVUIterations(10, 4)),
        (RAMP, {"duration": "5s"}, ConstantVUs(1, 5.0)),
        (RAMP, {"vus": 5}, RampingVUs(((10.0, 20), (30.0, 20)), 5)),
        (RAMP, {"stages": ("5s:3",)}, RampingVUs(((5.0, 3),), 2)),
        (RAMP, {"iterations": 4}, SharedIterations(1, 4)),
        (RATE, {"duration": "5s"}, ConstantArrivalRate(50.0, 5.0, 50)),
        (RATE, {"rate": 9}, ConstantArrivalRate(9.0, 45.0, 50)),
        (RATE, {"max_vus": 9}, ConstantArrivalRate(50.0, 45.0, 9)),
        (RATE, {"iterations": 4}, SharedIterations(1, 4)),
        (RATE, {"stages": ("5s:3",)}, RampingVUs(((5.0, 3),))),
        (RATE, {"executor": "constant-vus"}, ConstantVUs(1, 45.0)),
        (RATES, {"duration": "5s"}, ConstantVUs(1, 5.0)),
        (RATES, {"stages": ("5s:3",)}, RampingVUs(((5.0, 3),))),
        (RATES, {"stages": ("5s:3/s",)}, RampingArrivalRate(((5.0, 3.0),), 0.0, 50, "poisson")),
        (RATES, {"rate": 9}, ConstantArrivalRate(9.0, 10.0, 50, "poisson")),
        ({"executor": "per-vu-iterations", "iterations": 4}, {"vus": 3}, PerVUIterations(3, 4)),
        ({"executor": "per-vu-iterations", "vus": 9}, {"iterations": 4}, PerVUIterations(9, 4)),
        ({"executor": "per-vu-iterations", "iterations": 4}, {"duration": "5s"}, ConstantVUs(1, 5.0)),
        ({"executor": "ramping-vus", **RAMP}, {"stages": ("5s:3/s",)}, RampingArrivalRate(((5.0, 3.0),), 0.0, 100)),
    ],
)
def test_what_is_given_replaces_what_it_contradicts(
    script: dict[str, Any], given: dict[str, Any], executor: Any
) -> None:
    assert executor_of(script, given) == executor


@pytest.mark.parametrize(
    ("script", "given", "message"),
    [
        (USERS, {"max_vus": 5}, "visit: max-vus goes with a rate, a trace or a shape only"),
        (USERS, {"when_busy": "drop"}, "visit: when_busy does not go with constant-vus"),
        (USERS | {"arrivals": "poisson"}, {}, "visit: arrivals does not go with constant-vus"),
        (USERS | {"arrivals": "poisson"}, {"vus": 3}, "visit: arrivals does not go with constant-vus"),
        ({}, {"rate": 5, "iterations": 5}, "visit: rate and iterations exclude each other"),
        ({}, {"stages": ("5s:3",), "duration": "5s"}, "visit: stages and duration exclude each other"),
        ({"vus": "5"}, {}, "visit: vus '5' is not a whole number"),
        ({"executor": "fast"}, {}, "visit: there is no executor 'fast'"),
        ({"graceful_stop": "soon"}, {}, "visit: graceful_stop 'soon' is not a duration with a unit"),
        ({"tags": {"name": "x"}}, {}, "visit: the tag 'name' is set by fastload itself"),
    ],
)
def test_what_does_not_go_together_is_refused(script: dict[str, Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(script, given)
    assert caught.value.message == message
    assert caught.value.hint


def test_what_a_standing_file_says_in_vain_is_no_mistake() -> None:
    assert executor_of(USERS, {}, config={"arrivals": "poisson", "max_vus": 5}) == ConstantVUs(10, 30.0)
    assert executor_of(RATE, {}, config={"arrivals": "poisson", "pacing": "1s"}).arrivals == "poisson"
    # Nobody says here when iterations start.
    assert executor_of({}, {}, config={"arrivals": "poisson"}) == SharedIterations(1, 1)
    with pytest.raises(PlanError, match="arrivals does not go with shared-iterations"):
        executor_of({}, {"arrivals": "poisson"})


def test_an_option_for_all_goes_to_those_that_can_use_it() -> None:
    found = [declare("users", **USERS), declare("arrivals", **RATE)]
    users, arrivals = draft_plan(found, Tiers(above=[Tier("command line", {"when_busy": "drop"})])).plan.scenarios
    assert users.executor == ConstantVUs(10, 30.0)
    assert arrivals.executor == ConstantArrivalRate(50.0, 45.0, 50, when_busy="drop")


VALUES = {
    "vus": st.integers(1, 50),
    "duration": st.sampled_from(["5s", "1m"]),
    "iterations": st.integers(50, 99),
    "stages": st.sampled_from([("5s:3",), ("1m:9", "0s:1")]),
    "rate": st.sampled_from(["5", "1k/s"]),
    "start_vus": st.integers(0, 5),
    "max_vus": st.integers(1, 50),
    "pacing": st.sampled_from(["1s", "2s"]),
}
LAYERS = st.fixed_dictionaries({}, optional=VALUES).map(lambda options: Layer("layer", options))


@given(LAYERS, LAYERS)
def test_the_highest_layer_always_has_its_way(low: Layer, high: Layer) -> None:
    settled = merge_layers([low, high], replaced_by)
    assert high.options.items() <= settled.values.items()
    # Nothing comes from nowhere, and nothing is lost without a trace.
    assert settled.values.items() <= {**low.options, **high.options}.items()
    gone = {name for name, value in low.options.items() if settled.values.get(name) != value}
    assert gone == settled.lost.keys()


@given(LAYERS)
def test_empty_layers_change_nothing(layer: Layer) -> None:
    empty = Layer("empty", {"vus": None, "stages": (), "executor": ""})
    assert merge_layers([empty, layer, empty], replaced_by).values == layer.options


@given(LAYERS, LAYERS, LAYERS)
def test_merging_is_associative_where_the_middle_stays_whole(low: Layer, middle: Layer, high: Layer) -> None:
    """A layer that is itself replaced has still had its effect on those below: k6 does the same."""
    upper = merge_layers([middle, high], replaced_by).values
    if middle.options.keys() <= upper.keys():
        lower = merge_layers([low, middle], replaced_by).values
        one = merge_layers([Layer("", lower), high], replaced_by).values
        assert one == merge_layers([low, Layer("", upper)], replaced_by).values
        assert one == merge_layers([low, middle, high], replaced_by).values


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers()), max_size=4))
def test_options_that_do_not_contradict_each_other_are_a_plain_union(layers: list[dict[str, int]]) -> None:
    union: dict[str, int] = {}
    for layer in layers:
        union |= layer
    assert merge_layers([Layer("layer", layer) for layer in layers]).values == union


def test_merging_two_sets_of_options() -> None:
    assert merge_load(RAMP, {"duration": "5s"}) == {"duration": "5s"}
    assert merge_load(RATE, {"duration": "5s", "vus": None}) == RATE | {"duration": "5s"}


def test_traces_are_relative_to_the_script_and_replace_the_rest(tmp_path: Path) -> None:
    (tmp_path / "starts.txt").write_text("0\n0.5\n1\n")
    executor = executor_of(RATE, {"trace": str(tmp_path / "starts.txt")})
    assert isinstance(executor, Trace)
    assert (executor.starts, executor.max_vus) == (3, 50)
    assert executor_of({"trace": [0.25, 0.5]}, {}).starts == 2


def test_tags_and_environment_add_up_by_name() -> None:
    config = {"tags": {"team": "a", "stage": "ci"}, "env": {"SIZE": "1", "HOST": "x", "RUN": "no"}}
    script = {"tags": {"team": "b"}, "env": {"SIZE": "2", "OWN": "y"}}
    plan = plan_of(script, {"tags": {"run": "7"}, "env": {"RUN": "nightly"}}, config=config).plan
    assert plan.scenarios[0].tags == {"team": "b", "stage": "ci", "run": "7"}
    # As a worker has it.
    assert plan.scenarios[0].env | plan.env == {"SIZE": "2", "HOST": "x", "OWN": "y", "RUN": "nightly"}
    assert plan.env == {"HOST": "x", "RUN": "nightly"}


def test_thresholds_add_up_and_replace_those_of_the_same_metric() -> None:
    config = {"thresholds": {"http_req_failed": "rate<0.5", "http_reqs": ["count>1", "count<9"]}}
    script = {"thresholds": {"http_req_failed": ["rate<0.1", "rate<0.2"], "checks": "rate>0.9"}}
    draft = plan_of(script, {"thresholds": ("checks: rate==1", "http_req_failed{name:a}: rate<1")}, config=config)
    assert [(one.label, one.expression) for one in draft.plan.thresholds] == [
        ("http_req_failed", "rate<0.1"),
        ("http_req_failed", "rate<0.2"),
        ("http_reqs", "count>1"),
        ("http_reqs", "count<9"),
        ("checks", "rate==1"),
        ("http_req_failed{name:a}", "rate<1"),
    ]
    checks = next(one for one in draft.thresholds if one.threshold.label == "checks")
    assert checks.by == "command line"
    assert [(lost.value, lost.by.split(":")[0]) for lost in checks.lost] == [("rate>0.9", "script test_draft.py")]


def test_no_thresholds_removes_those_of_lower_tiers_and_keeps_its_own() -> None:
    config = {"thresholds": {"http_reqs": "count>1"}}
    script = {"thresholds": {"checks": "rate>0.9"}}
    draft = plan_of(script, {"no_thresholds": True}, config=config)
    assert draft.plan.thresholds == ()
    draft = plan_of(script, {"no_thresholds": True, "thresholds": ("http_reqs: count>5",)}, config=config)
    assert [one.text for one in draft.plan.thresholds] == ["http_reqs: count>5"]
    # In a file below the script it removes nothing of the script's.
    draft = plan_of(script, {"no_thresholds": False}, config=config | {"no_thresholds": True})
    assert [one.text for one in draft.plan.thresholds] == ["http_reqs: count>1", "checks: rate>0.9"]


def test_options_of_the_run_become_the_plan() -> None:
    given = {
        "base_url": "http://localhost:1/",
        "warmup": "5s",
        "timeout": "3s",
        "insecure": True,
        "headers": ("X-A: 2",),
        "seed": 7,
        "paused": True,
        "strict": True,
        "watch": ("80",),
        "on_worker_loss": "stop",
        "workers": 2,
        "user_agent": "me",
    }
    config = {"headers": ("x-a: 1", "Accept: a/b"), "seed": 3, "cookies": False}
    plan = plan_of(USERS, given, config=config).plan
    assert plan.http == HttpSettings(
        timeout_s=3.0, verify_tls=False, headers=("X-A: 2", "Accept: a/b"), user_agent="me", cookies=False
    )
    assert (plan.base_url, plan.warmup_s, plan.seed, plan.workers) == ("http://localhost:1", 5.0, 7, 2)
    assert (plan.paused, plan.strict, plan.watch, plan.on_worker_loss) == (True, True, ("80",), "stop")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timeout": "0s"}, "--timeout is 0"),
        ({"workers": 0}, "0 workers are below 1"),
        ({"workers": 11}, "10 VUs cannot be shared by 11 workers"),
        ({"base_url": "localhost"}, "base URL 'localhost' has no http:// or https:// scheme"),
        ({"base_url": "http://a", "target": "sequencer"}, "--target and --base-url exclude each other"),
        ({"thresholds": ("http_req: p(95)<1",)}, "threshold on 'http_req': there is no metric of that name"),
        ({"max_redirects": -1}, "max_redirects -1 is below 0"),
        ({"scenario": ("vist",)}, "there is no scenario 'vist' in the script"),
    ],
)
def test_options_of_the_run_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(USERS, given)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_target_and_a_base_url_of_different_tiers() -> None:
    config = {"base_url": "http://localhost:1"}
    draft = plan_of(USERS, {"target": "sequencer"}, config=config)
    assert draft.plan.base_url == ""
    assert draft.run.lost["base_url"][0].by == "fastload.toml"
    draft = plan_of(USERS, {"base_url": "http://localhost:2"}, config={"target": "sequencer"})
    assert "target" not in draft.run.values


def test_a_scenario_states_the_base_url_that_nothing_else_gives() -> None:
    script, config = USERS | {"base_url": "http://script"}, {"base_url": "http://config"}
    assert plan_of(script, {}).plan.base_url == plan_of(script, {}, config=config).plan.base_url == "http://script"
    draft = plan_of(script, {"base_url": "http://given"})
    assert draft.plan.base_url == "http://given"
    assert [lost.value for lost in draft.run.lost["base_url"]] == ["http://script"]
    assert plan_of(script, {"target": "sequencer"}).plan.base_url == ""
    two = [declare("a", base_url="http://a", **USERS), declare("b", base_url="http://b", **USERS)]
    with pytest.raises(PlanError, match="scenarios a and b state different base URLs") as caught:
        draft_plan(two, Tiers([], []))
    assert "--scenario" in caught.value.hint
    assert draft_plan(two, Tiers([], [Tier("command line", {"scenario": ("b",)})])).plan.base_url == "http://b"


def test_scenarios_are_picked_by_name_and_pattern() -> None:
    found = [declare(name) for name in ("read_a", "write", "read_b")]

    def picked(*patterns: str) -> list[str]:
        plan = draft_plan(found, Tiers(above=[Tier("command line", {"scenario": patterns})])).plan
        return [one.name for one in plan.scenarios]

    assert picked() == ["read_a", "write", "read_b"]
    assert picked("read_*") == ["read_a", "read_b"]
    assert picked("read_b", "w?ite") == ["write", "read_b"]


def test_order_of_scenarios() -> None:
    def ordered(**after: str) -> Any:
        return draft_plan([declare(name, after=other, start_time="1s") for name, other in after.items()], Tiers()).plan

    plan = ordered(login="", browse="login")
    assert [one.after for one in plan.scenarios] == ["", "login"]
    assert plan.start_s(plan.scenarios[1]) == 1 + 600 + 30 + 1
    with pytest.raises(PlanError, match="there is no scenario 'logn' to come after") as caught:
        ordered(login="", browse="logn")
    assert caught.value.hint == "did you mean 'login'?"
    with pytest.raises(PlanError, match="a after b after a"):
        ordered(a="b", b="a")


def test_two_scenarios_of_one_name_and_none_at_all() -> None:
    with pytest.raises(PlanError, match="two scenarios are called 'a'"):
        draft_plan([declare("a"), declare("a")], Tiers())
    with pytest.raises(PlanError, match="there is no scenario to run"):
        draft_plan([], Tiers())


def test_a_seed_is_chosen_by_chance_unless_it_is_given() -> None:
    seeds = {plan_of({}, {}).plan.seed for _ in range(5)}
    assert len(seeds) > 1
    assert plan_of({}, {"seed": 0}).plan.seed == 0


def test_bare_functions_are_scenarios() -> None:
    assert as_scenario(visit).name == "visit"
    with pytest.raises(PlanError, match="is not async"):
        as_scenario(len)  # type: ignore[arg-type]


def test_who_set_each_value() -> None:
    tiers = Tiers(
        [Tier("fastload.toml", {"vus": 3, "pacing": "1s"}, {"visit": {"vus": 4}}, is_project_file=True)],
        [Tier("environment", {"vus": 5}, who={"vus": "FASTLOAD_VUS"}), Tier("command line", {"duration": "5s"})],
    )
    draft = draft_plan([declare(**RAMP)], tiers)
    rows = {row.option: row for row in origins(draft)}
    assert (rows["vus"].value, rows["vus"].by) == ("5", "FASTLOAD_VUS")
    assert rows["vus"].lost == (("3", "fastload.toml"), ("4", "fastload.toml [scenarios.visit]"))
    assert (rows["pacing"].value, rows["pacing"].by) == ("1s", "fastload.toml")
    assert (rows["duration"].value, rows["duration"].by) == ("5s", "command line")
    assert (rows["executor"].value, rows["executor"].by) == ("constant-vus", "from duration")
    assert (rows["stages"].value, rows["stages"].by) == (None, "duration (command line)")
    assert [lost.value for lost in rows["stages"].lost] == ["10s:20, 30s:20"]
    assert (rows["graceful_stop"].value, rows["graceful_stop"].by) == ("30s", "default")
    assert rows["seed"].by == "by chance"


def test_what_was_overridden_is_told_in_order() -> None:
    tiers = Tiers(
        [Tier("pyproject.toml", {"duration": "1s"}), Tier("fastload.toml", {}, {"visit": {"duration": "2s"}})],
        [Tier("o.toml", {"duration": "4s"}), Tier("command line", {"duration": "5s"})],
    )
    rows = {row.option: row for row in origins(draft_plan([declare(**USERS)], tiers))}
    assert [(lost.value, lost.by.split(":")[0]) for lost in rows["duration"].lost] == [
        ("1s", "pyproject.toml"),
        ("2s", "fastload.toml [scenarios.visit]"),
        ("30s", "script test_draft.py"),
        ("4s", "o.toml"),
    ]


def test_secrets_are_not_shown() -> None:
    given = {
        "env": {"TOKEN": "hunter2"},
        "headers": ("Authorization: hunter2",),
        "base_url": "http://me:hunter2@localhost:1",
    }
    described = describe_draft(plan_of({"env": {"KEY": "hunter2"}}, given, config={"base_url": "http://hunter2@a"}))
    assert "hunter2" not in str(described)
    assert {"env.TOKEN", "env.KEY", "headers.authorization"} <= {row["option"] for row in described["options"]}


def test_weights_and_expected_starts_are_described() -> None:
    async def other(vu: fl.VU) -> None:
        """Another iteration of nothing."""

    mixed = fl.scenario(name="mixed", tasks={visit: 3, other: 1}, rate="90/min", duration="2m", on_start=other)
    described = describe_draft(draft_plan([mixed], Tiers(above=[Tier("command line", {"workers": 2})])))
    (shown,) = described["scenarios"]
    assert [(one["name"], one["weight"], one["share"]) for one in shown["functions"]] == [
        ("visit", 3, 0.75),
        ("other", 1, 0.25),
    ]
    assert shown["hooks"] == {"on_start": "other"}
    assert (shown["iterations"], shown["starts_per_s_per_worker"]) == (180.0, 0.75)
    assert (shown["starts_at_s"], shown["ends_at_s"], shown["ends_at_the_latest_s"]) == (0.0, 120.0, 150.0)


@pytest.mark.parametrize(
    ("executor", "starts"),
    [
        (ConstantArrivalRate(1.5, 4.0, 1), 6),
        (ConstantArrivalRate(1.5, 3.0, 1), 5),
        (ConstantArrivalRate(1 / 20_000, 1.0, 1), 1),
        (ConstantArrivalRate(0.1, 30.0, 1), 3),
        (ConstantArrivalRate(1.5, 3.0, 1, arrivals="poisson"), 4.5),
        (RampingArrivalRate(((1.0, 1.9),), 0.0, 1), 0),
        (RampingArrivalRate(((3.0, 1.5),), 0.0, 1), 2),
        (RampingArrivalRate(((10.0, 20.0), (5.0, 20.0), (0.0, 4.0), (10.0, 0.0)), 10.0, 1), 150 + 100 + 20),
        (SharedIterations(2, 9), 9),
        (PerVUIterations(2, 9), 18),
        (ConstantVUs(2, 9.0), None),
    ],
)
def test_expected_starts(executor: Any, starts: float | None) -> None:
    assert expected_starts(executor) == starts
    if isinstance(executor, ConstantArrivalRate | RampingArrivalRate) and executor.arrivals == "constant":
        made = 0
        for worker in range(3):
            arrivals = arrivals_of(executor, ExecutionSegment(worker, 3))
            while arrivals.next_due_ns() is not None:
                arrivals.advance()
                made += 1
        assert made == starts


def test_hooks_that_the_run_does_without() -> None:
    hooks = Hooks(setup=Hook("setup", visit), teardown=Hook("teardown", visit))
    draft = draft_plan([declare()], Tiers(above=[Tier("", {"no_setup": True})]), PlanContext(hooks=hooks))
    assert draft.plan.hooks == Hooks(teardown=hooks.teardown)


def test_every_option_of_a_load_is_known_to_scenarios() -> None:
    assert {*LOAD_OPTIONS} <= {*fl.Scenario.__slots__}


def test_fl_run_goes_over_its_file_and_its_scenarios(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('vus = 3\nseed = 9\nduration = "9s"\n[tags]\nteam = "shop"\n')
    summary = fl.run(declare(iterations=2), config=tmp_path / "c.toml", workers=1, tags={"run": "7"}, vus=1)
    assert summary.plan.scenarios[0].executor == SharedIterations(1, 2)
    assert (summary.plan.seed, summary.plan.scenarios[0].tags) == (9, {"team": "shop", "run": "7"})
    with pytest.raises(PlanError, match="config: there is no file"):
        fl.run(visit, config=tmp_path / "d.toml")


def test_fl_run_checks_its_hooks() -> None:
    with pytest.raises(PlanError, match="setup"):
        fl.run(visit, setup=len)  # type: ignore[arg-type]


def test_a_target_takes_the_place_of_the_base_url_and_leaves_cpus() -> None:
    """Made from the plan that there is: a trace that can be read only once is not read again."""
    starts = (at for at in (0.0, 1.0))
    draft = draft_plan([declare(trace=starts, vus=9)], Tiers())
    plan = on_target(draft, "http://127.0.0.1:9", (0,))
    assert (plan.base_url, plan.workers, plan.cpus, plan.seed) == ("http://127.0.0.1:9", 1, (0,), draft.plan.seed)
    asked = draft_plan([declare(vus=9)], Tiers(above=[Tier("command line", {"workers": 3})]))
    plan = on_target(asked, "http://127.0.0.1:9", (0,))
    assert (plan.workers, plan.cpus) == (3, ())
