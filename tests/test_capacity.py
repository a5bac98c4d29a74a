"""Searches for the capacity against real targets: what they find, what they refuse, and that nothing is lost."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.model.capacity.result import CapacityResult
from fastload.targets import RunningTarget, find_target, running
from tests.conftest import Cli, Nginx
from tests.life import Life

# Any machine answers within that, however busy it is.
EASY = {"http_req_duration": "p(95)<20s"}
QUICK = ("--step", "2s", "--settle", "0s", "--within", "60s")


@pytest.fixture(scope="module")
def slots() -> Iterator[RunningTarget]:
    """A target that answers 200 requests a second: four at once, each for 20 ms."""
    with running("plain", find_target("plain").options_type(limits=("slots=4:20ms",))) as target:
        yield target


def capacity_of(summary: fl.Summary) -> CapacityResult:
    assert summary.capacity is not None
    return summary.capacity


def test_a_search_finds_what_the_slots_carry(slots: RunningTarget) -> None:
    """On a machine that other tests keep busy the answer may be "at least", but never more than the target can."""

    @fl.scenario
    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    summary = fl.find_capacity(
        visit,
        slo={"http_req_response_time": "p(95)<250"},
        first="50/s",
        precision=0.1,
        step="3s",
        settle="0.5s",
        within="90s",
        base_url=slots.base_url,
        workers=1,
    )
    result = capacity_of(summary)
    assert result.state in ("found", "at_least", "unstable", "unfinished"), result
    assert result.objectives == ("http_req_response_time: p(95)<250",)
    assert all(step.figures.load <= 210 for step in result.steps if step.outcome.kind == "good")
    if result.state == "found":
        assert result.capacity is not None
        assert 100 <= result.capacity <= 210, result.headline
        assert result.high is not None
    # Whatever the machine does: more than the slots can was offered, and they answered what they can.
    heaviest = max(result.steps, key=lambda step: step.figures.load)
    assert heaviest.figures.load > 200
    assert heaviest.figures.answered_per_s <= 215
    counts = summary.requests
    assert counts.started == counts.finished + counts.failed + counts.interrupted


def test_scenarios_share_the_load_as_they_would_alone(nginx: Nginx) -> None:
    @fl.scenario(rate="30/s", duration="1m")
    async def read(vu: fl.VU) -> None:
        await vu.get("/index.html")

    @fl.scenario(rate="10/s", duration="1m")
    async def write(vu: fl.VU) -> None:
        await vu.post("/index.html", expected=(200, 405))

    summary = fl.find_capacity(
        read,
        write,
        slo=EASY,
        first="40/s",
        up_to="80/s",
        at_least="80/s",
        step="2s",
        settle="0s",
        base_url=nginx.url,
        workers=1,
    )
    result = capacity_of(summary)
    assert (result.state, result.capacity, result.meets_demand) == ("at_least", 80, True), result.headline
    assert summary.passed
    counts = {endpoint.method: endpoint.requests for endpoint in summary.endpoints}
    assert counts["GET"] == pytest.approx(3 * counts["POST"], rel=0.1)
    assert [step.purpose for step in result.steps] == ["first", "double", "confirm"]


def test_vus_are_driven_as_well(nginx: Nginx) -> None:
    @fl.scenario(vus=7, duration="1m")
    async def read(vu: fl.VU) -> None:
        await vu.get("/index.html")
        await vu.sleep(0.05)

    summary = fl.find_capacity(read, slo=EASY, by="vus", up_to=4, step="2s", settle="0s", base_url=nginx.url, workers=1)
    result = capacity_of(summary)
    assert (result.state, result.capacity) == ("at_least", 4), result.headline
    assert result.headline.startswith("at least 4 VUs, which is ")
    vus = [step.figures.vus for step in result.steps]
    assert vus[0] == pytest.approx(1, abs=0.5)
    assert vus[-1] == pytest.approx(4, abs=0.5)


def test_thresholds_of_a_script_are_its_objectives(life: Life) -> None:
    done = life.run(
        """
        import fastload as fl

        @fl.scenario(rate=5, duration="9s", thresholds={"http_req_duration": "p(95)<20s", "http_reqs": "count>1000000"})
        async def visit(vu):
            await vu.get("/index.html")
        """.replace("\n        ", "\n"),
        *QUICK,
        "--from=10/s",
        "--up-to=10/s",
        command="capacity",
    )
    assert done.code == 0, done.stderr
    found = done.summary["capacity"]
    assert found["objectives"] == ["http_req_duration: p(95)<20s"]
    assert (found["state"], found["capacity"]) == ("at_least", 10)
    assert done.summary["thresholds"] == []
    # Three seconds at least in each of two steps, and all requests that were sent.
    assert done.at("/index.html") == done.summary["requests"]["started"]


def test_objectives_are_checked_as_thresholds_are_and_have_data(life: Life) -> None:
    """With tags, in a group, on a check, and on a metric of the script."""
    objectives = (
        "http_req_duration{name:page}: p(95)<20s",
        "group_duration{group:look}: p(95)<20s",
        "checks{check:ok}: rate>0.9",
        "size: p(95)<1000000",
    )
    done = life.run(
        """
        import fastload as fl

        size = fl.Trend("size")

        @fl.scenario
        async def visit(vu):
            async with vu.group("look"):
                reply = await vu.get("/index.html", name="page")
                vu.check(reply, {"ok": reply.ok})
                size.add(len(reply.body))
        """.replace("\n        ", "\n"),
        *(*QUICK, "--from=10/s", "--up-to=10/s"),
        *(word for text in objectives for word in ("--slo", text)),
        command="capacity",
    )
    assert done.code == 0, done.stderr
    found = done.summary["capacity"]
    assert sorted(found["objectives"]) == sorted(objectives)
    observed = {one["text"]: one["observed"] for step in found["steps"] for one in step["objectives"]}
    assert None not in observed.values()


def test_limits_of_a_target_hold_in_a_search(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import fastload as fl\n\n@fl.scenario\nasync def visit(vu):\n    await vu.get('/')\n"
    )
    done = cli(
        *("capacity", "script.py", "--target", "plain", "--target-limit", "errors=100%", "-q", "-w", "1", *QUICK),
        *("--from=10/s", "--json"),
    )
    assert done.returncode == 99, done.stderr
    assert "most failed with http_50" in json.loads(done.stdout)["capacity"]["why"]


def test_a_lost_worker_ends_the_search(life: Life) -> None:
    life.start(
        """
        import os
        import signal
        import fastload as fl

        @fl.scenario
        async def visit(vu):
            await vu.get("/index.html")
            if vu.iteration_in_test == 100:
                os.kill(os.getpid(), signal.SIGKILL)
        """.replace("\n        ", "\n"),
        *(*QUICK, "--from=20/s", "--up-to=80/s", "--at-least=80/s", "--slo=http_req_duration: p(95)<20s", "-w", "2"),
        command="capacity",
    )
    done = life.finish()
    assert done.code == 97, done.stderr
    found = done.summary["capacity"]
    assert (found["state"], found["why"], found["meets_demand"]) == ("unfinished", "a worker was lost", False)
    assert found["capacity"] in (None, 20, 40)


def test_a_capacity_that_is_not_shown_fails_the_run(nginx: Nginx, cli: Cli) -> None:
    done = cli(
        *("capacity", f"{nginx.url}/index.html", "-q", "-w", "1", *QUICK, "--from=5/s"),
        *("--slo", "http_req_duration: p(95)<0.001ms", "--at-least=1000/s"),
    )
    assert done.returncode == 99, done.stderr
    # On a busy machine nobody can say that it is the target.
    assert re.search(
        r"CAPACITY  (not even )?the lightest load, 5/s, (met the objectives|could not be judged)", done.stdout
    )
    assert "✗ at least 1,000/s asked for: not shown" in done.stdout


def test_a_target_that_fails_at_the_lightest_load_is_not_searched_on(slots: RunningTarget, cli: Cli) -> None:
    done = cli(
        "capacity", f"{slots.base_url}/nowhere", "-q", "-w", "1", *QUICK, "--json", "--from=20/s", "--up-to=1000/s"
    )
    found = json.loads(done.stdout)["capacity"]
    assert found["state"] == "failing", found
    assert found["why"] == "100.00% failed, not rate<0.01; most failed with http_404"
    assert {step["load"] for step in found["steps"]} == {20}


def test_ctrl_c_keeps_what_was_found(life: Life) -> None:
    life.start(
        """
        import fastload as fl

        @fl.scenario
        async def visit(vu):
            await vu.get("/index.html")
        """.replace("\n        ", "\n"),
        *(*QUICK, "--from=10/s", "--up-to=20/s", "--slo=http_req_duration: p(95)<20s", "--save=kept.run"),
        command="capacity",
    )
    # The first step takes three seconds, and all three steps ten.
    life.wait_for("/index.html", 50)
    life.signal(signal.SIGINT)
    done = life.finish()
    assert done.code == 105, done.stderr
    for found in (done.summary["capacity"], saved(life.folder / "kept.run")):
        assert found["state"] == "unfinished"
        assert found["capacity"] >= 10
        assert found["headline"].endswith("so far: the search was ended before it could be confirmed")


def saved(path: Path) -> dict[str, Any]:
    result = fl.load_summary(path).capacity
    assert result is not None
    return result.to_dict()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--slo", "http_req: p(95)<5"], "there is no metric of that name", "http_reqs"),
        (["--slo", "target_cpu: avg<50"], "is on the resource", "http_req_duration"),
        (["--slo", "http_reqs: count>5"], "is on a total", "http_req_duration"),
        (["--slo", "http_req_failed: rate<1% for 5s"], "has a window", "http_req_duration"),
        (["--by", "vus", "--from", "10/s"], "--from '10/s' is no number of VUs", "whole number"),
        (["--at-least", "10VUs"], "is a number of VUs", "go by vus"),
        (["--from", "10", "--up-to", "5"], "5/s, is below the lightest, 10/s", "swap"),
        (["--up-to", "50", "--at-least", "60"], "60/s are asked for, but no more than 50/s are tried", "raise"),
        (["--precision", "5"], "--precision '5' is no percentage", "5%"),
        (["--from", "0.1/s"], "at 0.1/s has fewer than 10 starts", "100s"),
        (["--by", "vus", "--slo", "http_req_response_time: p(95)<5"], "VUs have no due times", "http_req_duration"),
        (["--step", "1s"], "a step of 1 s is too short", "2s"),
        (["--max-vus", "0"], "--max-vus 0 is below 1", "at least 1"),
        (["--target", "sequencer"], "--target is for a script", "leave"),
        (["--base-url", "http://127.0.0.1:9"], "--base-url/--host is for a script, and a URL is given", "as a script"),
        (["--paused"], "-p/--paused is for a script, and a URL is given", "as a script"),
        (["-e", "A=b"], "-e/--env is for a script", "as a script"),
        (["--slow", "x"], "No such option", "--slo"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_request(
    cli: Cli, arguments: list[str], message: str, hint: str
) -> None:
    done = cli("capacity", "http://127.0.0.1:9/", *arguments)
    assert done.returncode == 104
    assert message in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("declared", "arguments", "message"),
    [
        ("rate=5, duration='9s'", ["--by", "vus"], "scenario visit has a rate of its own"),
        ("start_time='5s'", [], "scenario visit does not begin with the others"),
        ("", ["-X", "POST"], "-X/--method is for a URL"),
        ("", ["-d", "5s"], "No such option '-d'"),
    ],
)
def test_what_does_not_go_with_a_script(
    cli: Cli, tmp_path: Path, declared: str, arguments: list[str], message: str
) -> None:
    script = f"import fastload as fl\n\n@fl.scenario({declared})\nasync def visit(vu):\n    await vu.get('/')\n"
    (tmp_path / "script.py").write_text(script)
    done = cli("capacity", "script.py", "--base-url", "http://127.0.0.1:9", *arguments)
    assert done.returncode == 104, done.stdout
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--slo", "http_req_duration: p(95)<50"], "--slo belongs to a search for the capacity"),
        (["--at-least", "5/s"], "--at-least belongs to a search"),
        (["--find-capacity", "-r", "50"], "-r/--rate and --find-capacity exclude each other"),
        (["--find-capacity", "-d", "5s"], "-d/--duration and --find-capacity exclude"),
        (["--find-capacity", "-n", "5"], "-n/--requests and --find-capacity exclude"),
    ],
)
def test_what_does_not_go_with_bench(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli("bench", "http://127.0.0.1:9/", *arguments)
    assert done.returncode == 104
    assert message in done.stderr
