"""What a test is made of, with the real command: scenarios in order, VU hooks, tasks, iterations that end badly,
warm-up and shapes."""

from __future__ import annotations

import json

import pytest

from tests.life import Life

# Several scenarios.


def test_scenarios_one_after_the_other(life: Life) -> None:
    """In the order of the chain, whatever that in the file; each ends in all workers before the next one begins."""
    done = life.run(
        """
import fastload as fl
@fl.scenario(vus=2, iterations=4, after="second", start_time="200ms")
async def third(vu):
    await vu.get(f"/third/{vu.id}")
@fl.scenario(vus=2, iterations=6)
async def first(vu):
    await vu.sleep(0.05 * (vu.id % 2))
    await vu.get(f"/first/{vu.id}")
@fl.scenario(rate=50, duration="100ms", max_vus=6, after="first")
async def second(vu):
    await vu.get(f"/second/{vu.id}")
""",
        "-w",
        "2",
    )
    assert done.code == 0, done.stdout + done.stderr
    assert [path.split("/")[1] for path in done.paths] == ["first"] * 6 + ["second"] * 5 + ["third"] * 4
    vus = [{path.split("/")[2] for path in done.paths if path.startswith(f"/{name}")} for name in ("first", "third")]
    assert vus[0].isdisjoint(vus[1])
    plan = {one["name"]: (one["after"], one["start_s"]) for one in done.summary["plan"]["scenarios"]}
    assert plan == {"first": ("", 0), "second": ("first", 0), "third": ("second", 0.2)}
    assert "after second, from 200ms on" in " ".join(done.stdout.split())


def test_start_time(life: Life) -> None:
    done = life.run(
        """
import time, fastload as fl
begin = fl.Trend("begin", unit="s")
@fl.setup
async def before(vu):
    return time.monotonic()
@fl.scenario(vus=1, iterations=1)
async def at_once(vu):
    begin.add(time.monotonic() - vu.setup_data, {"who": "at_once"})
@fl.scenario(vus=1, iterations=1, start_time="600ms")
async def later(vu):
    begin.add(time.monotonic() - vu.setup_data, {"who": "later"})
"""
    )
    first, second = (done.metric(f"begin{{who:{who}}}")["min"] for who in ("at_once", "later"))
    assert second - first >= 0.55


def test_the_next_scenario_begins_although_a_worker_was_lost(life: Life) -> None:
    done = life.run(
        """
import os, fastload as fl
@fl.scenario(vus=2, iterations=4)
async def first(vu):
    await vu.get("/first")
    if vu.id == 1:
        os.kill(os.getpid(), 9)
@fl.scenario(vus=2, iterations=4, after="first")
async def second(vu):
    await vu.get("/second")
""",
        "-w",
        "2",
    )
    assert done.code == 97, done.stdout + done.stderr
    assert done.counts == {"/first": 3, "/second": 2}
    assert done.paths[-2:] == ["/second", "/second"]


def test_each_scenario_has_tags_env_and_thresholds_of_its_own(life: Life) -> None:
    """A threshold of a scenario is about the whole test unless it names the scenario."""
    done = life.run(
        """
import fastload as fl
@fl.scenario(
    vus=1, iterations=2, tags={"kind": "read"}, env={"WHO": "reader", "MINE": "r"},
    thresholds={"http_reqs": "count==5", "http_reqs{scenario:read}": "count==2", "http_reqs{kind:read}": "count==2"},
)
async def read(vu):
    await vu.get(f"/{vu.env['WHO']}/{vu.env['MINE']}/{vu.env['ALL']}")
@fl.scenario(
    vus=1, iterations=3, tags={"kind": "write"}, env={"WHO": "writer", "MINE": "w"},
    thresholds={"http_reqs{kind:write}": "count==3", "http_req_failed{scenario:write}": "rate==0"},
)
async def write(vu):
    await vu.get(f"/{vu.env['WHO']}/{vu.env['MINE']}/{vu.env['ALL']}")
""",
        "-e",
        "ALL=1",
        "-e",
        "MINE=x",
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/reader/x/1": 2, "/writer/x/1": 3}
    assert [(one["metric"], one["observed"]) for one in done.summary["thresholds"]] == [
        ("http_reqs", 5),
        ("http_reqs{scenario:read}", 2),
        ("http_reqs{kind:read}", 2),
        ("http_reqs{kind:write}", 3),
        ("http_req_failed{scenario:write}", 0),
    ]
    by_name = {one["name"]: one["http_reqs"]["count"] for one in done.summary["scenarios"]}
    assert by_name == {"read": 2, "write": 3}


def test_each_scenario_has_its_own_graceful_stop(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
@fl.scenario(vus=3, duration="200ms", graceful_stop="0s")
async def cut(vu):
    await vu.get("/cut/begin")
    await vu.sleep(30)
    await vu.get("/cut/end")
@fl.scenario(vus=2, duration="200ms", graceful_stop="30s")
async def finished(vu):
    await vu.get("/finished/begin")
    await vu.sleep(0.6)
    await vu.get("/finished/end")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/cut/begin": 3, "/finished/begin": 2, "/finished/end": 2}
    assert done.summary["requests"]["iterations_interrupted"] == 3
    assert {one["name"]: one["iterations"]["count"] for one in done.summary["scenarios"]} == {"cut": 0, "finished": 2}
    assert "3 were interrupted before their end" in " ".join(done.stdout.split())


# VUs and their tasks.


def test_hooks_of_vus(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
async def arrive(vu):
    vu.state["id"] = vu.id
    await vu.post(f"/arrive/{vu.id}")
async def leave(vu):
    await vu.get(f"/leave/{vu.state['id']}")
@fl.scenario(executor="per-vu-iterations", vus=4, iterations=2, on_start=arrive, on_stop=leave)
async def visit(vu):
    await vu.get(f"/visit/{vu.state['id']}")
""",
        "-w",
        "2",
    )
    assert done.code == 0, done.stdout + done.stderr
    for vu in range(1, 5):
        assert [path for path in done.paths if path.endswith(f"/{vu}")] == [
            f"/arrive/{vu}",
            *[f"/visit/{vu}"] * 2,
            f"/leave/{vu}",
        ]
    assert done.metric("iterations")["count"] == 8
    assert done.metric("http_reqs")["count"] == len(done.paths) == 16


TASKS = """
import fastload as fl
async def read(vu):
    await vu.get("/read")
async def write(vu):
    await vu.get("/write")
mixed = fl.scenario(name="mixed", tasks={read: 3, write: 1}, executor="per-vu-iterations", vus=4, iterations=100)
"""


def test_tasks_are_chosen_by_weight_and_a_seed_repeats_them(life: Life) -> None:
    runs = [life.run(TASKS, "--seed", seed, "-w", "2") for seed in ("7", "7", "8")]
    for done in runs:
        assert done.code == 0, done.stdout + done.stderr
        # Of 400 with a chance of 3/4 each: five standard deviations of 8.7 on either side.
        assert 257 < done.counts["/read"] < 343
        assert done.at("/") == 400
        assert done.summary["endpoints"][0]["requests"] + done.summary["endpoints"][1]["requests"] == 400
    assert runs[0].counts == runs[1].counts
    assert runs[0].counts != runs[2].counts


# Iterations that end badly.


def test_iterations_that_raise_are_counted_by_type_with_the_first_traceback(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
def helper(number):
    return {}["missing"]
@fl.scenario(vus=2, iterations=12)
async def visit(vu):
    await vu.get("/visit")
    number = vu.iteration_in_test
    if number % 3 == 0:
        helper(number)
    if number % 3 == 1:
        fl.fail("no stock")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.metric("iterations")["count"] == 4
    assert done.metric("iterations_failed")["count"] == 8
    found = {one["kind"]: one for one in done.summary["exceptions"]}
    assert {kind: one["count"] for kind, one in found.items()} == {"KeyError": 4, "IterationFailed": 4}
    assert 'script.py", line 4, in helper' in found["KeyError"]["first"]
    assert "no stock" in found["IterationFailed"]["first"]
    assert "KeyError: 'missing'" in done.stdout
    assert "no stock" in done.stdout
    assert "fastload/load" not in done.stdout


def test_an_iteration_has_a_time_out(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
@fl.scenario(executor="per-vu-iterations", vus=2, iterations=2, iteration_timeout="600ms")
async def visit(vu):
    await vu.get("/begin")
    if vu.id == 1:
        await vu.sleep(60)
    await vu.get("/end")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/begin": 4, "/end": 2}
    assert [(one["kind"], one["count"]) for one in done.summary["exceptions"]] == [("IterationTimeout", 2)]
    assert "it took longer than 0.6 s" in done.stdout
    assert done.summary["requests"]["iterations_interrupted"] == 0


def test_the_verdict_names_what_blocks(life: Life) -> None:
    done = life.run(
        """
import time
import fastload as fl
def nap():
    time.sleep(0.15)
@fl.scenario(vus=1, iterations=5)
async def visit(vu):
    await vu.get("/visit")
    nap()
"""
    )
    verdict = done.summary["verdict"]
    assert verdict["state"] == "INVALID"
    assert any("nap (script.py:5): time.sleep(0.15)" in reason for reason in verdict["reasons"]), verdict


# Warm-up.


def test_the_warm_up_is_in_no_result(life: Life) -> None:
    rows = [{"row": number} for number in range(100)]
    (life.folder / "rows.json").write_text(json.dumps(rows))
    done = life.run(
        """
import fastload as fl
rows = fl.data("rows.json")
mine = fl.Counter("mine")
took = fl.Trend("took", unit="ms")

@fl.scenario(
    vus=2, iterations=10, tags={"kind": "read"},
    thresholds={
        "http_reqs": "count==10", "http_reqs{kind:read}": "count==10", "http_reqs{group:page}": "count==10",
        "mine": "count==10", "mine{where:here}": "count==10", "checks": "rate==1",
        "http_req_failed": "rate==0", "group_duration{group:page}": "count==10",
    },
)
async def visit(vu):
    async with vu.group("page"):
        row = rows.once()["row"]
        reply = await vu.get(f"/visit/{row}", name="visit")
        vu.check(reply, {"found": reply.status == 200})
    mine.add(1, {"where": "here"})
    took.add(1)
    await vu.sleep(0.02)
""",
        "--warmup",
        "300ms",
        "-w",
        "2",
    )
    assert done.code == 0, done.stdout + done.stderr
    assert all(one["ok"] for one in done.summary["thresholds"])
    counts = done.summary["requests"]
    assert counts["warmup"] > 0
    assert counts["started"] == counts["warmup"] + 10 == len(done.paths)
    assert done.metric("took")["count"] == done.metric("iterations")["count"] == 10
    assert done.metric("checks")["passes"] == 10
    assert [one["requests"] for one in done.summary["endpoints"]] == [10]
    # The rows that the warm-up had are there again.
    assert sorted(done.paths[-10:]) == sorted(f"/visit/{row}" for row in range(10))


def test_what_a_warm_up_says_of_failures_is_forgotten(life: Life) -> None:
    done = life.run(
        """
import time, fastload as fl
@fl.setup
async def before(vu):
    return time.monotonic() + 0.4
@fl.scenario(vus=1, iterations=3)
async def visit(vu):
    await vu.get("/visit")
    await vu.sleep(0.05)
    if time.monotonic() < vu.setup_data:
        raise ValueError("too early")
""",
        "--warmup",
        "600ms",
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.metric("iterations_failed")["count"] == 0
    assert done.summary["exceptions"] == []


# Shapes.

SHAPE = """
import fastload as fl
asked = []
def shape(seconds):
    print("asked", seconds)
    {body}
@fl.scenario(shape=shape, max_vus=4)
async def visit(vu):
    await vu.get(f"/visit/{{vu.id}}")
    await vu.sleep(0.1)
"""


@pytest.mark.parametrize("pair", ["(9, 1)", "[9, 1]", "__import__('numpy').array([9, 1])"])
def test_a_shape_is_followed_until_it_ends(life: Life, pair: str) -> None:
    done = life.run(SHAPE.format(body=f"return [2, {pair}, None][int(seconds)]"))
    assert done.code == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("asked")] == [
        "asked 0.0",
        "asked 1.0",
        "asked 2.0",
    ]
    assert done.metric("vus")["max"] == 3
    assert {path.split("/")[2] for path in done.paths} == {"1", "2", "3"}
    assert 2 <= done.summary["duration_s"] < 7
    assert done.summary["notes"] == []


def test_a_shape_keeps_to_max_vus_and_a_note_says_so(life: Life) -> None:
    done = life.run(SHAPE.format(body="return None if seconds else 9"))
    assert done.code == 0, done.stdout + done.stderr
    assert done.metric("vus")["max"] == 4
    assert done.summary["notes"] == ["the shape of visit asked for more than its max_vus, 4: it got these"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no plan for this')", "ValueError: no plan for this"),
        ("return 'many'", "a shape returns VUs, (VUs, VUs a second) or None, not 'many'"),
        ("return -1", "a shape returned -1 VUs"),
        ("return (3, 0)", "a shape returned 3 VUs at 0 a second"),
        ("return (1, 2, 3)", "a shape returns VUs"),
        ("return {1, 2}", "a shape returns VUs"),
        ("return '12'", "a shape returns VUs"),
        ("return (1, 'fast')", "a shape returns VUs"),
        ("return float('nan')", "a shape returned nan VUs"),
    ],
)
def test_a_shape_that_raises_ends_the_test(life: Life, body: str, message: str) -> None:
    done = life.run(SHAPE.format(body=body) + "\n@fl.teardown\nasync def after(vu):\n    await vu.get('/teardown')\n")
    assert done.code == 107, done.stdout + done.stderr
    assert done.summary["stopped_by"] == "error"
    (error,) = done.summary["hook_errors"]
    assert error["hook"] == "shape of visit"
    assert message in error["message"]
    assert message in " ".join(done.stdout.split())
    assert done.paths == ["/teardown"]
