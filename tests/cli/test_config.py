"""Configuration files, the environment and the command line: what they may say, and which of them goes over which."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import pytest

import fastload as fl
from fastload.cli.plan import plan as plan_command
from fastload.cli.run import run
from fastload.cli.run_options import FILE_VARIABLES, tiers_of
from fastload.load.script.scenarios import scenario
from fastload.model.errors import PlanError
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, PerVUIterations, RampingArrivalRate, RampingVUs
from fastload.planning import Draft, draft_plan
from fastload.planning.config_files import file_tier
from fastload.planning.k6 import k6_tier
from fastload.planning.options import OPTIONS, SCENARIO_OPTIONS
from tests.conftest import Cli, Nginx
from tests.test_docs import first_column, names, rows, section

TIERS = ("pyproject", "standing", "config", "script", "opts", "environment", "line")
BY = {
    "pyproject": "pyproject.toml",
    "standing": "fastload.toml",
    "config": "config.toml",
    "opts": "opts.json",
    "line": "command line",
}


async def visit(vu: fl.VU) -> None:
    """An iteration of nothing."""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FASTLOAD_")]:
        monkeypatch.delenv(name)


def draft_of(*args: str, script: dict[str, Any] | None = None, names: tuple[str, ...] = ("visit",)) -> Draft:
    """What `fastload run script.py ARGS` would do in this folder, with a script of these scenarios."""
    found = [scenario(name=name, **(script or {}))(visit) for name in names]
    with run.make_context("run", ["script.py", *args]) as ctx:
        return draft_plan(found, tiers_of(ctx))


def toml_of(options: dict[str, Any]) -> str:
    return "".join(f"{name} = {_toml(value)}\n" for name, value in options.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = {_toml(item)}' for name, item in value.items()) + " }"
    return json.dumps(value)


def given_in(tier: str, option: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, Any]]:
    """Say *value* of *option* in *tier*: arguments of the command, and options of the script."""
    if tier == "script":
        return [], {option: value}
    flat = [f"{name}={item}" for name, item in value.items()] if isinstance(value, dict) else [str(value)]
    if option == "thresholds":
        flat = [f"{name}:{item}" for name, item in value.items()]
    if tier == "environment":
        monkeypatch.setenv(f"FASTLOAD_{option.upper()}", ",".join(flat))
    if tier == "line":
        flag = {"tags": "--tag", "thresholds": "--threshold"}.get(option, "--" + option.replace("_", "-"))
        return [part for text in flat for part in (flag, text)], {}
    if tier == "pyproject":
        Path("pyproject.toml").write_text("[tool.fastload]\n" + toml_of({option: value}))
    if tier == "standing":
        Path("fastload.toml").write_text(toml_of({option: value}))
    if tier == "config":
        Path("config.toml").write_text(toml_of({option: value}))
        return ["--config", "config.toml"], {}
    if tier == "opts":
        Path("opts.json").write_text(json.dumps({option: value}))
        return ["--opts", "opts.json"], {}
    return [], {}


@pytest.mark.parametrize("highest", range(1, len(TIERS)))
@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("vus", (11, 12, 13, 14, 15, 16, 17)),
        ("graceful_stop", ("11s", "12s", "13s", "14s", "15s", "16s", "17s")),
        ("tags", tuple({"team": str(number)} for number in range(7))),
        ("thresholds", tuple({"checks": f"rate>0.{number}"} for number in range(7))),
    ],
)
def test_each_tier_goes_over_those_below(
    option: str, values: tuple[Any, ...], highest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    args: list[str] = []
    script: dict[str, Any] = {}
    for tier, value in zip(TIERS[: highest + 1], values, strict=False):
        more, own = given_in(tier, option, value, monkeypatch)
        args, script = args + more, script | own
    draft = draft_of(*args, script=script)
    plan, wanted = draft.plan.scenarios[0], values[highest]
    if option == "thresholds":
        assert [one.expression for one in draft.plan.thresholds] == [wanted["checks"]]
        assert len(draft.thresholds[0].lost) == highest
        return
    found = {"vus": plan.executor.max_vus, "graceful_stop": f"{plan.graceful_stop_s:g}s", "tags": plan.tags}[option]
    assert found == wanted
    name = "tags.team" if option == "tags" else option
    settled = draft.scenarios["visit"]
    by = {"script": "script test_config.py", "environment": f"FASTLOAD_{option.upper()}"} | BY
    assert settled.by(name).startswith(by[TIERS[highest]])
    assert len(settled.lost[name]) == highest


@pytest.mark.parametrize("highest", [tier for tier in TIERS if tier != "script"])
def test_options_of_the_run_have_the_same_tiers(highest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args: list[str] = []
    tiers = [tier for tier in TIERS if tier != "script"]
    for number, tier in enumerate(tiers[: tiers.index(highest) + 1]):
        args += given_in(tier, "seed", 10 + number, monkeypatch)[0]
    assert draft_of(*args).plan.seed == 10 + tiers.index(highest)


def test_a_load_of_a_higher_tier_wipes_what_it_contradicts() -> None:
    Path("fastload.toml").write_text('stages = ["10s:5"]\n')
    assert draft_of().plan.scenarios[0].executor == RampingVUs(((10.0, 5),))
    assert draft_of(script={"duration": "3s"}).plan.scenarios[0].executor == ConstantVUs(1, 3.0)
    Path("o.json").write_text('{"vus": 10, "duration": "30s"}')
    script = {"rate": "5/s", "max_vus": 3}
    assert draft_of("--opts", "o.json", script=script).plan.scenarios[0].executor == ConstantArrivalRate(5.0, 30.0, 3)
    assert draft_of("--opts", "o.json", "-s", "1s:2").plan.scenarios[0].executor == RampingVUs(((1.0, 2),))


def test_one_scenario_of_several_is_overridden() -> None:
    Path("fastload.toml").write_text(
        'vus = 3\n[scenarios.buy]\nvus = 7\nstart_time = "5s"\nkeep_body = true\n'
        '[scenarios.buy.thresholds]\nchecks = "rate>0.9"\n[scenarios.browse.tags]\nteam = "web"\n'
    )
    plan = draft_of(names=("browse", "buy")).plan
    browse, buy = plan.scenarios
    assert (browse.executor.max_vus, browse.start_s, browse.tags) == (3, 0.0, {"team": "web"})
    assert (buy.executor.max_vus, buy.start_s, buy.work.keep_body) == (7, 5.0, True)
    assert [one.label for one in plan.thresholds] == ["checks"]
    assert [one.executor.max_vus for one in draft_of("-u", "9", names=("browse", "buy")).plan.scenarios] == [9, 9]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('http_req_failed = ["rate<1%", "rate>2%"]', "thresholds 'rate<1%' and 'rate>2%' on http_req_failed can never"),
        ('of_another_script = "p(9x)<500"', "threshold 'p(9x)<500' on of_another_script is not AGGREGATE OP NUMBER"),
        ('of_another_script = "p(950)<500"', "a percentile is 0 to 100"),
        ('of_another_script = ["count>1", "mode<3"]', "threshold 'mode<3' on of_another_script: no metric has 'mode'"),
        ("of_another_script = 5", "threshold 5 on of_another_script is no text"),
    ],
)
def test_an_error_of_a_threshold_names_its_file(line: str, message: str) -> None:
    Path("fastload.toml").write_text(f"[thresholds]\n{line}\n")
    with pytest.raises(PlanError) as caught:
        draft_of()
    assert caught.value.message.startswith("fastload.toml: ")
    assert message in caught.value.message


@pytest.mark.parametrize("expression", ["p(95)<500EUR", "count>1", "rate<1%", "value<3 for 10s", "max<1GiB", "<5"])
def test_a_threshold_of_another_script_has_no_effect(expression: str) -> None:
    Path("fastload.toml").write_text(f'[thresholds]\nof_another_script = "{expression}"\n')
    [note] = draft_of().notes
    assert "of_another_script has no effect here" in note


def test_tables_of_scenarios_that_the_script_does_not_have() -> None:
    Path("fastload.toml").write_text("[scenarios.vist]\nvus = 3\n")
    with pytest.raises(PlanError, match=r"fastload.toml \[scenarios.vist\]: there is no scenario 'vist'") as caught:
        draft_of()
    assert caught.value.hint == "did you mean 'visit'?"
    # A standing file serves several scripts.
    Path("fastload.toml").write_text("[scenarios.checkout]\nvus = 3\n")
    assert draft_of().notes == ("fastload.toml: [scenarios.checkout] has no effect here, there is no such scenario",)
    with pytest.raises(PlanError, match="there is no scenario 'checkout'"):
        draft_of("--config", "fastload.toml")


@pytest.mark.parametrize("file", ["fastload.toml", "pyproject.toml"])
def test_a_threshold_of_a_project_file_on_a_scenario_of_another_script(file: str) -> None:
    def write(scenario: str) -> None:
        table = "tool.fastload.thresholds" if file == "pyproject.toml" else "thresholds"
        series = f"http_req_duration{{scenario:{scenario}}}"
        Path(file).write_text(f'[{table}]\n"{series}" = ["p(95)<500", "avg<300"]\nchecks = "rate>0.9"\n')

    write("checkout")
    draft = draft_of()
    assert [one.label for one in draft.plan.thresholds] == ["checks"]
    assert [one.threshold.label for one in draft.thresholds] == ["checks"]
    note = "the threshold on http_req_duration{scenario:checkout} has no effect here, there is no such scenario"
    assert draft.notes == (f"{file}: {note}",)
    of_checkout = draft_of(names=("checkout",))
    assert len(of_checkout.plan.thresholds) == 3
    assert of_checkout.notes == ()
    both = draft_of("--scenario", "visit", "--scenario", "checkout", names=("visit", "checkout"))
    assert (len(both.plan.thresholds), both.notes) == (3, ())
    write("vist")
    with pytest.raises(PlanError, match=rf"^{file}: threshold on .*: there is no scenario 'vist'") as caught:
        draft_of()
    assert caught.value.hint == "did you mean 'visit'?"


@pytest.mark.parametrize("file", ["fastload.toml", "pyproject.toml"])
@pytest.mark.parametrize(
    ("series", "why"),
    [
        ("xyzzy", "this script has no such metric"),
        ("xyzzy{kind:a}", "this script has no such metric"),
        ("iterations{region:eu}", "no scenario has the tag region:eu"),
    ],
)
def test_a_threshold_of_a_project_file_on_what_another_script_has(
    cli: Cli, nginx: Nginx, tmp_path: Path, file: str, series: str, why: str
) -> None:
    table = "tool.fastload.thresholds" if file == "pyproject.toml" else "thresholds"
    (tmp_path / file).write_text(f'[{table}]\n"{series}" = "count>1"\nhttp_reqs = "count==1"\n')
    (tmp_path / "script.py").write_text(
        "import fastload as fl\n\n@fl.scenario(vus=1)\nasync def visit(vu):\n    await vu.get('/')\n"
    )
    note = f"{file}: the threshold on {series} has no effect here, {why}"
    planned = json.loads(cli("plan", "script.py", "--base-url", nginx.url, "--json").stdout)
    assert (planned["thresholds"], planned["notes"]) == (["http_reqs: count==1"], [note])
    done = cli("run", "script.py", "--base-url", nginx.url, "-w", "1", "--summary", "s.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "s.json").read_text())["notes"] == [note]
    assert note in " ".join(done.stdout.split()), "the terminal says it as well"
    # Where it is for this run, it is a mistake.
    refused = cli("run", "script.py", "--base-url", nginx.url, "--threshold", f"{series}: count>1")
    assert refused.returncode == 104


@pytest.mark.parametrize("series", ["http_req_durtion", "iteratons", "iterations{scenario:vist}"])
def test_a_typing_error_in_a_threshold_of_a_project_file_is_found(series: str) -> None:
    Path("fastload.toml").write_text(f'[thresholds]\n"{series}" = "count>1"\n')
    with pytest.raises(PlanError) as caught:
        draft_of()
    assert "did you mean" in caught.value.hint


def test_a_note_names_the_nearest_metric_of_the_script() -> None:
    fl.Counter("orders_of_note")
    Path("fastload.toml").write_text('[thresholds]\n"orders_of_notes" = "count>1"\n')
    (note,) = draft_of().notes
    assert note.endswith("this script has no such metric: did you mean 'orders_of_note'?")


def test_a_threshold_on_no_scenario_is_refused_where_it_is_for_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    label, limit = "http_req_duration{scenario:checkout}", "p(95)<500"
    Path("fastload.toml").write_text(f'[thresholds]\n"{label}" = "{limit}"\n')
    refused = pytest.raises(PlanError, match="there is no scenario 'checkout'")
    with refused:
        draft_of("--threshold", f"{label}: {limit}")
    with refused:
        draft_of(script={"thresholds": {label: limit}})
    Path("c.toml").write_text(f'[thresholds]\n"{label}" = "{limit}"\n')
    with refused as caught:
        draft_of("--config", "c.toml")
    assert caught.value.hint == "there are visit"
    monkeypatch.setenv("FASTLOAD_THRESHOLDS", f"{label}: {limit}")
    with refused:
        draft_of()


OF_CHECKOUT = {"http_req_duration{scenario:checkout}": "p(95)<500", "checks": "rate>0.9"}


@pytest.mark.parametrize("source", ["fastload.toml", "pyproject.toml", "--config", "--opts", "environment", "script"])
def test_a_threshold_on_a_scenario_that_the_run_leaves_out(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = {"--config": "c.toml", "--opts": "o.toml"}.get(source, source)
    more: list[str] = []
    if source == "environment":
        monkeypatch.setenv("FASTLOAD_THRESHOLDS", "; ".join(f"{key}: {limit}" for key, limit in OF_CHECKOUT.items()))
    elif source != "script":
        table = "tool.fastload.thresholds" if source == "pyproject.toml" else "thresholds"
        Path(file).write_text(f"[{table}]\n" + "".join(f'"{key}" = "{limit}"\n' for key, limit in OF_CHECKOUT.items()))
        more = [source, file] if source.startswith("--") else []
    script = {"thresholds": OF_CHECKOUT} if source == "script" else None
    draft = draft_of("--scenario", "visit", *more, script=script, names=("visit", "checkout"))
    assert [one.label for one in draft.plan.thresholds] == ["checks"]
    (note,) = draft.notes
    why = "the threshold on http_req_duration{scenario:checkout} has no effect here, the run leaves out scenario"
    assert f"{why} 'checkout'" in note
    assert note.startswith({"environment": "FASTLOAD_THRESHOLDS", "script": "script test_config.py"}.get(source, file))


def test_who_chooses_the_scenarios_and_asks_for_another_one_is_told_before_the_run(
    cli: Cli, nginx: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.py").write_text(
        "import fastload as fl\n\n@fl.scenario(vus=1)\nasync def visit(vu):\n    await vu.get('/')\n\n"
        "@fl.scenario(vus=1)\nasync def checkout(vu):\n    await vu.get('/')\n"
    )
    asked = "http_reqs{scenario:checkout}: count>0"
    refused = cli("run", "shop.py", "--base-url", nginx.url, "--scenario", "visit", "--threshold", asked)
    assert refused.returncode == 104
    assert "threshold on 'http_reqs{scenario:checkout}': the run leaves out scenario 'checkout'" in refused.stderr
    assert "let checkout run too, or leave out this threshold; the run has visit" in " ".join(refused.stderr.split())
    # What overrides the choice, or chooses itself, knows of it.
    monkeypatch.setenv("FASTLOAD_SCENARIO", "visit")
    left_out = pytest.raises(PlanError, match="the run leaves out scenario 'checkout'")
    with left_out:
        draft_of("--threshold", asked, names=("visit", "checkout"))
    monkeypatch.setenv("FASTLOAD_THRESHOLDS", asked)
    with left_out:
        draft_of(names=("visit", "checkout"))
    (note,) = draft_of("--scenario", "vis*", names=("visit", "checkout")).notes
    assert note.startswith("FASTLOAD_THRESHOLDS: the threshold on http_reqs{scenario:checkout} has no effect here")


def test_a_threshold_on_a_scenario_of_an_options_file_that_the_run_leaves_out() -> None:
    chosen = {name: {"executor": "shared-iterations", "exec": "visit"} for name in ("peak", "base")}
    limits = {"http_req_duration{scenario:base}": ["p(95)<500"], "checks": ["rate>0.9"]}
    Path("o.json").write_text(json.dumps({"scenarios": chosen, "thresholds": limits}))
    assert len(draft_of("--opts", "o.json").plan.thresholds) == 2
    draft = draft_of("--opts", "o.json", "--scenario", "peak")
    assert [one.label for one in draft.plan.thresholds] == ["checks"]
    assert [note for note in draft.notes if "the run leaves out scenario 'base'" in note]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("vuss = 3", "c.toml: there is no option 'vuss'", "did you mean 'vus'?"),
        ("max-vus = 3", "c.toml: there is no option 'max-vus'", "did you mean 'max_vus'?"),
        ('vus = "3"', "c.toml: vus is '3', and takes a whole number", "write vus = 10"),
        ("vus = true", "c.toml: vus is True, and takes a whole number", "write vus = 10"),
        ("duration = 30", "c.toml: duration is 30, and takes a duration", 'write duration = "30s"'),
        ('duration = "30"', "c.toml: duration '30' is not a duration with a unit", "write 30s or 30m"),
        ('rate = "fast"', "c.toml: rate 'fast' is not a rate above zero", 'write it like "500", "1k/s" or "90/min"'),
        ("strict = 1", "c.toml: strict is 1, and takes a yes or no", "write strict = true or false"),
        ("tags = 1", "c.toml: tags is 1, and takes a table of texts", 'write tags = { team = "checkout" }'),
        ("stages = [1.5]", "c.toml: stages is [1.5], and takes a list of stages", 'write stages = ["30s:10", "1m:10"]'),
        ('arrivals = "poison"', "c.toml: arrivals 'poison' is unknown", "did you mean 'poisson'?"),
        (
            'after = "x"',
            "c.toml: there is no option 'after'",
            "it is an option of one scenario only: write it in [scenarios.NAME]",
        ),
        ("[scenarios.visit]\nseed = 3", "c.toml [scenarios.visit]: there is no option 'seed'", "the whole run"),
        ('shape = "x"', "c.toml: there is no option 'shape'", "a shape is a function: give it in the script"),
        ("scenarios = 3", "c.toml: scenarios is no table of tables", "write [scenarios.NAME] and its options below"),
        ("vus = 3\nduration 5", "c.toml is not TOML: Expected '=' after a key", "mend that line"),
        ('thresholds = { "http_reqs{staus:1}" = "count>1" }', "c.toml: threshold on", "did you mean 'status'?"),
        ('thresholds = { checks = "rate>95" }', "c.toml: threshold 'rate>95' on checks can never hold", "rate>0.95"),
        (
            '[scenarios.visit]\nthresholds = { checks = "rate>95" }',
            "c.toml [scenarios.visit]: threshold 'rate>95' on checks can never hold",
            "rate>0.95",
        ),
        ('thresholds = { nope = "rate<1" }', "c.toml: threshold on 'nope': there is no metric of that name", ""),
    ],
)
def test_mistakes_in_a_file_are_told_with_its_name(text: str, message: str, hint: str) -> None:
    Path("c.toml").write_text(text)
    with pytest.raises(PlanError) as caught:
        draft_of("--config", "c.toml")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_a_mistake_of_toml_is_told_with_its_line() -> None:
    Path("fastload.toml").write_text("vus = 3\n\nduration 5\n")
    with pytest.raises(PlanError, match=r"fastload\.toml is not TOML: .*line 3"):
        draft_of()


def test_files_that_cannot_be_read() -> None:
    Path("options.toml").write_text("vus = 3\n")
    with pytest.raises(PlanError, match=r"--config: there is no file 'option\.toml'") as caught:
        draft_of("--config", "option.toml")
    assert caught.value.hint == "did you mean 'options.toml'?"
    Path("latin.toml").write_bytes(b'tags = { a = "\xe9" }')
    with pytest.raises(PlanError, match=r"latin\.toml cannot be read: it is not UTF-8 text"):
        draft_of("--opts", "latin.toml")
    Path("broken.json").write_text('{"vus": 3,\n}')
    with pytest.raises(PlanError, match=r"broken\.json is not JSON: .*line 2"):
        draft_of("--opts", "broken.json")
    Path("list.json").write_text("[]")
    with pytest.raises(PlanError, match=r"list\.json has no JSON object"):
        draft_of("--opts", "list.json")


def test_pyproject_of_another_tool_says_nothing() -> None:
    Path("pyproject.toml").write_text("[tool.other]\nvus = 3\n")
    assert draft_of().plan.scenarios[0].executor.max_vus == 1
    Path("pyproject.toml").write_text("[tool.fastload]\nvuss = 3\n")
    with pytest.raises(PlanError, match=r"pyproject\.toml \[tool\.fastload\]: there is no option 'vuss'"):
        draft_of()


def test_files_of_a_configuration_are_relative_to_it() -> None:
    Path("conf").mkdir()
    Path("conf/starts.txt").write_text("0\n1\n")
    Path("conf/c.toml").write_text('trace = "starts.txt"\n')
    assert draft_of("--config", "conf/c.toml").plan.scenarios[0].executor.name == "trace"


SCENARIO = {"executor": "constant-vus", "duration": "10s"}


@pytest.mark.parametrize(
    ("given", "executor"),
    [
        ({"vus": 2, "duration": "10s"}, ConstantVUs(2, 10.0)),
        ({"vus": 2, "duration": 10000}, ConstantVUs(2, 10.0)),
        ({"stages": [{"duration": "10s", "target": 5}]}, RampingVUs(((10.0, 5),), 1)),
        ({"vus": 3, "stages": [{"duration": "10s", "target": 5}]}, RampingVUs(((10.0, 5),), 3)),
        ({"duration": "10s", "minIterationDuration": "2s"}, ConstantVUs(1, 10.0, pacing_s=2.0)),
        ({"scenarios": {"visit": SCENARIO}}, ConstantVUs(1, 10.0)),
        (
            {"scenarios": {"visit": {"executor": "per-vu-iterations", "vus": 2, "iterations": 3, "maxDuration": "1m"}}},
            PerVUIterations(2, 3, 60.0),
        ),
        (
            {
                "scenarios": {
                    "visit": {
                        "executor": "constant-arrival-rate",
                        "rate": 90,
                        "timeUnit": "1m",
                        "duration": "10s",
                        "preAllocatedVUs": 4,
                        "maxVUs": 8,
                    }
                }
            },
            ConstantArrivalRate(1.5, 10.0, 8),
        ),
        (
            {
                "scenarios": {
                    "visit": {
                        "executor": "ramping-arrival-rate",
                        "startRate": 10,
                        "timeUnit": "500ms",
                        "stages": [{"target": 20, "duration": "10s"}],
                        "preAllocatedVUs": 4,
                    }
                }
            },
            RampingArrivalRate(((10.0, 40.0),), 20.0, 4),
        ),
        (
            {
                "scenarios": {
                    "visit": {
                        "executor": "ramping-vus",
                        "stages": [{"target": 20, "duration": "10s"}],
                        "gracefulRampDown": "3s",
                    }
                }
            },
            RampingVUs(((10.0, 20),), 1, 3.0),
        ),
    ],
)
def test_options_files_of_k6(given: dict[str, Any], executor: Any) -> None:
    Path("o.json").write_text(json.dumps(given))
    script = {"vus": 30, "rate": "7/s", "start_time": "9s"} if "scenarios" in given else {}
    plan = draft_of("--opts", "o.json", script=script).plan
    assert plan.scenarios[0].executor == executor
    assert plan.scenarios[0].start_s == 0.0


def test_scenarios_of_k6_are_the_only_ones_and_may_share_a_function() -> None:
    spec = {
        "small": {**SCENARIO, "exec": "browse", "env": {"SIZE": 1}, "tags": {"size": "s"}, "gracefulStop": "1s"},
        "large": {**SCENARIO, "exec": "browse", "startTime": "5s", "vus": 9},
    }
    Path("o.json").write_text(json.dumps({"scenarios": spec}))
    plan = draft_of("--opts", "o.json", names=("browse", "buy")).plan
    small, large = plan.scenarios
    assert (small.name, small.env, small.tags, small.graceful_stop_s) == ("small", {"SIZE": "1"}, {"size": "s"}, 1.0)
    assert (large.name, large.start_s, large.executor) == ("large", 5.0, ConstantVUs(9, 10.0))
    assert small.work.function is large.work.function is visit


def test_the_only_scenario_is_the_default_function_of_k6() -> None:
    Path("o.json").write_text(json.dumps({"scenarios": {"spike": SCENARIO, "soak": {**SCENARIO, "exec": "default"}}}))
    assert [one.name for one in draft_of("--opts", "o.json").plan.scenarios] == ["spike", "soak"]
    with pytest.raises(PlanError, match=r"scenarios\.spike: there is no scenario 'spike' in the script"):
        draft_of("--opts", "o.json", names=("browse", "buy"))


def test_thresholds_of_k6_with_settings() -> None:
    given = {"http_req_failed": [{"threshold": "rate<0.1", "abortOnFail": True, "delayAbortEval": "10s"}, "rate<0.5"]}
    Path("o.json").write_text(json.dumps({"thresholds": given}))
    first, second = draft_of("--opts", "o.json").plan.thresholds
    assert (first.condition.aborts, first.condition.abort_after_s) == (True, 10.0)
    assert not second.condition.aborts


def test_other_options_of_k6() -> None:
    given = {
        "tags": {"team": "a"},
        "userAgent": "me",
        "insecureSkipTLSVerify": True,
        "maxRedirects": 0,
        "paused": True,
        "discardResponseBodies": True,
        "summaryTrendStats": ["avg"],
        "base_url": "http://localhost:1",
    }
    Path("o.json").write_text(json.dumps(given))
    draft = draft_of("--opts", "o.json")
    plan = draft.plan
    assert (plan.http.user_agent, plan.http.verify_tls, plan.http.max_redirects) == ("me", False, 0)
    assert (plan.paused, plan.base_url, plan.scenarios[0].tags) == (True, "http://localhost:1", {"team": "a"})
    assert draft.notes == ("o.json: discardResponseBodies, summaryTrendStats have no effect here",)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"vuss": 5}, "o.json: there is no option 'vuss'", "did you mean 'vus'?"),
        ({"rps": 5}, "o.json: rps is not supported", "give a rate, like rate = 100 or --rate 100"),
        ({"tlsVersion": "ssl3.0"}, 'o.json: tlsVersion "ssl3.0" is unknown', 'write "tls1.2"'),
        ({"vus": "five"}, 'o.json: vus is "five", and takes a whole number', 'write "vus": 10'),
        ({"stages": "10s:5"}, "o.json: stages is no list", ""),
        ({"stages": [{"duration": "10s"}]}, 'o.json: stage 1 is {"duration": "10s"}, and takes an object', ""),
        ({"scenarios": []}, "o.json: scenarios is not an object of objects", ""),
        ({"duration": "1s", "scenarios": {"visit": SCENARIO}}, "o.json: duration and scenarios exclude each other", ""),
        ({"scenarios": {"visit": {"vus": 1}}}, "o.json: scenarios.visit has no executor", "constant-vus"),
        (
            {"scenarios": {"visit": {"executor": "constant-vu"}}},
            "o.json: scenarios.visit has an unknown executor 'constant-vu'",
            "did you mean 'constant-vus'?",
        ),
        (
            {"scenarios": {"visit": {**SCENARIO, "gracefulStopp": "1s"}}},
            "o.json: scenarios.visit: there is no option 'gracefulStopp'",
            "did you mean 'gracefulStop'?",
        ),
        (
            {"scenarios": {"visit": {**SCENARIO, "exec": "vist"}}},
            "o.json: scenarios.visit: there is no scenario 'vist' in the script",
            "did you mean 'visit'?",
        ),
        (
            {"scenarios": {"visit": {"executor": "constant-arrival-rate", "rate": "x", "duration": "1s"}}},
            'o.json: scenarios.visit: rate is "x", and takes a number',
            "",
        ),
        (
            {"scenarios": {"visit": {"executor": "constant-arrival-rate", "rate": 1, "duration": 1000, "timeUnit": 0}}},
            "o.json: scenarios.visit: timeUnit is 0",
            "",
        ),
    ],
)
def test_mistakes_in_an_options_file_of_k6(given: dict[str, Any], message: str, hint: str) -> None:
    Path("o.json").write_text(json.dumps(given))
    with pytest.raises(PlanError) as caught:
        draft_of("--opts", "o.json")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert caught.value.hint


def test_k6_rates_are_exact() -> None:
    for rate, unit in ((7, "7s"), (1, "3s"), (2.5, "1s"), (1000, "1h")):
        spec = {"executor": "constant-arrival-rate", "rate": rate, "timeUnit": unit, "duration": "1s"}
        tier = k6_tier({"scenarios": {"a": spec}}, name="o.json", folder="")
        seconds = 3600 if unit == "1h" else int(unit[:-1])
        text = tier.scenarios["a"]["rate"]
        found = float(text[:-2]) / {"s": 1, "m": 60, "h": 3600}[text[-1]]
        assert found == pytest.approx(rate / seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("FASTLOAD_STAGES", "30s:10,1m:10", lambda plan: plan.scenarios[0].executor.duration_s == 90),
        ("FASTLOAD_THRESHOLDS", "checks: rate==1; http_reqs: count>1", lambda plan: len(plan.thresholds) == 2),
        ("FASTLOAD_TAGS", "a=b,c=d", lambda plan: plan.scenarios[0].tags == {"a": "b", "c": "d"}),
        ("FASTLOAD_ENV", "A=1,B=2", lambda plan: plan.env == {"A": "1", "B": "2"}),
        ("FASTLOAD_HEADERS", "A: 1, 2; B: 3", lambda plan: plan.http.headers == ("A: 1, 2", "B: 3")),
        ("FASTLOAD_WATCH", "80,nginx", lambda plan: plan.watch == ("80", "nginx")),
        ("FASTLOAD_STRICT", "1", lambda plan: plan.strict),
        ("FASTLOAD_INSECURE", "true", lambda plan: not plan.http.verify_tls),
        ("FASTLOAD_HTTP", "1.1", lambda plan: plan.http.http_version == "1.1"),
        ("FASTLOAD_TIMEOUT", "3s", lambda plan: plan.http.timeout_s == 3),
        ("FASTLOAD_MAX_VUS", "", lambda plan: plan.max_vus == 1),
    ],
)
def test_variables_of_the_environment(name: str, text: str, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    assert found(draft_of().plan)


def test_a_variable_can_take_back_what_a_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("fastload.toml").write_text("strict = true\n")
    assert draft_of().plan.strict
    monkeypatch.setenv("FASTLOAD_STRICT", "0")
    assert not draft_of().plan.strict


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLOAD_VUS", "many")
    with pytest.raises(PlanError, match="FASTLOAD_VUS: 'many' is not a valid integer"):
        draft_of()


def test_files_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("c.toml").write_text("vus = 3\n")
    Path("o.json").write_text('{"vus": 4}')
    monkeypatch.setenv("FASTLOAD_CONFIG", "c.toml")
    assert draft_of().plan.scenarios[0].executor.max_vus == 3
    monkeypatch.setenv("FASTLOAD_OPTS", "o.json")
    assert draft_of().plan.scenarios[0].executor.max_vus == 4


def test_the_shell_goes_over_the_environment_of_a_file_and_e_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("fastload.toml").write_text('[env]\nTENANT = "file"\nREGION = "file"\n')
    assert draft_of().plan.env == {"TENANT": "file", "REGION": "file"}
    monkeypatch.setenv("TENANT", "shell")
    assert draft_of().plan.env == {"TENANT": "shell", "REGION": "file"}
    assert draft_of("-e", "TENANT=line").plan.env["TENANT"] == "line"


def test_every_option_of_run_is_in_the_environment_and_in_files() -> None:
    """So that no option is forgotten in one of the three places."""
    names = {"http_version": "http", "summary_file": "summary", "as_json": "json"}
    options = [param for param in run.params if isinstance(param, click.Option)]
    for option in options:
        assert option.name is not None
        assert option.envvar == f"FASTLOAD_{names.get(option.name, option.name).upper()}"
    given = {names.get(str(option.name), str(option.name)) for option in options} - {"config", "opts"}
    only_files = {"start_vus", "graceful_ramp_down", "start_time", "cookies", "accept_encoding", "proxy_auth"}
    only_files |= {"expected", "fold_paths", "setup_timeout", "teardown_timeout"}
    assert {f"FASTLOAD_{name.upper()}" for name in only_files} == FILE_VARIABLES.keys()
    of_one_scenario = {name for name in SCENARIO_OPTIONS if OPTIONS[name].scope == "table"}
    assert given == OPTIONS.keys() - only_files - of_one_scenario


def test_plan_takes_the_options_of_run() -> None:
    assert [param.opts for param in plan_command.params] == [param.opts for param in run.params]


def test_other_names_that_users_of_other_tools_type() -> None:
    executor = draft_of("--users", "5", "--run-time", "9s").plan.scenarios[0].executor
    assert executor == draft_of("-u", "5", "-t", "9s").plan.scenarios[0].executor == ConstantVUs(5, 9.0)
    assert draft_of("--stages", "1m:50,2m:100,1m:0").plan.scenarios[0].executor == RampingVUs(
        ((60.0, 50), (120.0, 100), (60.0, 0))
    )


def test_a_file_of_a_directory_is_no_file() -> None:
    Path("folder.toml").mkdir()
    with pytest.raises(PlanError, match="there is no file"):
        file_tier("folder.toml", option="--config")


def test_every_option_of_files_is_documented() -> None:
    assert {*first_column(section("configuration.md", "Options of files"))} == OPTIONS.keys()
    by_scope = {name: row[2] for row in rows(section("configuration.md", "Options of files")) for name in names(row[0])}
    shown = {"load": "yes", "scenario": "yes", "table": "only", "run": "no"}
    assert by_scope == {name: shown[option.scope] for name, option in OPTIONS.items()}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("FASTLOAD_DURATION", "30", "FASTLOAD_DURATION: duration '30' is not a duration with a unit"),
        ("FASTLOAD_STAGES", "30s", "FASTLOAD_STAGES: stage '30s' is not DURATION:VUS"),
        ("FASTLOAD_RATE", "fast", "FASTLOAD_RATE: rate 'fast' is not a rate"),
        ("FASTLOAD_MAX_BODY", "much", "FASTLOAD_MAX_BODY: max_body 'much' is not a number of bytes"),
        ("FASTLOAD_EXECUTOR", "constant", "FASTLOAD_EXECUTOR: executor 'constant' is unknown"),
        ("FASTLOAD_THRESHOLDS", "nope: rate<1", "FASTLOAD_THRESHOLDS: threshold on 'nope'"),
        ("FASTLOAD_START_VUS", "two", "FASTLOAD_START_VUS: start_vus is 'two', and takes a whole number"),
        ("FASTLOAD_COOKIES", "some", "FASTLOAD_COOKIES: cookies is 'some', and takes a yes or no"),
        ("FASTLOAD_SETUP_TIMEOUT", "9", "FASTLOAD_SETUP_TIMEOUT: setup_timeout '9' is not a duration"),
    ],
)
def test_each_wrong_variable_is_named(name: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(PlanError) as caught:
        draft_of()
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_options_that_only_files_have_are_in_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("o.json").write_text('{"cookies": true, "start_time": "1s"}')
    for name, text in (("START_TIME", "3s"), ("COOKIES", "off"), ("EXPECTED", "200-299"), ("START_VUS", "2")):
        monkeypatch.setenv(f"FASTLOAD_{name}", text)
    draft = draft_of("--opts", "o.json", script={"stages": ("1s:5",)})
    plan = draft.plan
    assert (plan.scenarios[0].start_s, plan.http.cookies, plan.http.expected) == (3.0, False, "200-299")
    assert plan.scenarios[0].executor == RampingVUs(((1.0, 5),), 2)
    assert draft.scenarios["visit"].by("start_time") == "FASTLOAD_START_TIME"


def test_a_misspelt_variable_is_noted_and_one_of_k6_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLOAD_DURATOIN", "3s")
    monkeypatch.setenv("FASTLOAD_OF_THE_SCRIPT_ITSELF", "1")
    monkeypatch.setenv("K6_VUS", "7")
    draft = draft_of()
    assert draft.notes == ("FASTLOAD_DURATOIN has no effect: did you mean 'FASTLOAD_DURATION'?",)
    assert draft.plan.max_vus == 1
