"""What a script raises that is no `Exception`: it counts, and the VU, the worker and the run go on."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.life import Life

# Each raises in every second iteration, after one request.
RAISED = {
    "pytest.fail('no')": "Failed",
    "raise GeneratorExit": "GeneratorExit",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise asyncio.CancelledError": "CancelledError",
    "raise Own('no')": "Own",
    "raise BaseExceptionGroup('two', [Own('a'), Own('b')])": "BaseExceptionGroup",
    "asyncio.current_task().cancel(); await asyncio.sleep(0)": "CancelledError",
    "await asyncio.create_task(leave())": "SystemExit",
    "vu.check(reply, {'good': lambda _: pytest.fail('no')})": "Failed",
}
HEAD = """
import asyncio, sys, pytest
import fastload as fl
class Own(BaseException): pass
async def leave(): sys.exit(3)
"""


def test_it_counts_as_a_raise_and_the_vu_goes_on(life: Life) -> None:
    scenarios = "".join(
        f"""
@fl.scenario(vus=2, executor="per-vu-iterations", iterations=4)
async def visit_{number}(vu):
    reply = await vu.get("/{number}")
    if vu.iteration % 2 == 0:
        {code}
"""
        for number, code in enumerate(RAISED)
    )
    done = life.run(HEAD + scenarios)
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {f"/{number}": 8 for number in range(len(RAISED))}
    raised: Counter[str] = Counter()
    for one in done.summary["exceptions"]:
        raised[one["kind"]] += one["count"]
    assert raised == {kind: 4 * count for kind, count in Counter(RAISED.values()).items()}
    assert {one["iterations"]["count"] for one in done.summary["scenarios"]} == {4}
    assert done.summary["requests"]["iterations_interrupted"] == 0


def test_a_vu_that_cancels_its_own_task_goes_on(life: Life) -> None:
    """At the next thing that the task awaits, which may be in the pause between two iterations."""
    done = life.run(
        HEAD
        + """
@fl.scenario(vus=1, executor="per-vu-iterations", iterations=4)
async def visit(vu):
    if vu.iteration == 0:
        asyncio.current_task().cancel()
    if vu.iteration > 1:
        await vu.get("/visit")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/visit": 2}
    assert [(one["kind"], one["count"]) for one in done.summary["exceptions"]] == [("CancelledError", 1)]


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_it_counts_in_the_hooks_of_a_vu(life: Life, hook: str) -> None:
    done = life.run(
        HEAD
        + f"""
async def around(vu):
    if vu.state.setdefault("around", 0) < 1:
        vu.state["around"] += 1
        pytest.fail("no")
@fl.scenario(vus=2, executor="per-vu-iterations", iterations=3, {hook}=around)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/visit": 6 if hook == "on_stop" else 4}
    assert [(one["kind"], one["count"]) for one in done.summary["exceptions"]] == [("Failed", 2)]


def test_it_counts_for_the_block_that_it_ends(life: Life) -> None:
    done = life.run(
        HEAD
        + """
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    async with vu.group("part"), fl.measure("call"), vu.expect("GET", "/visit"):
        pytest.fail("no")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    assert done.metric("http_req_failed")["passes"] == 0
    assert (done.metric("calls")["count"], done.metric("call_failed")["passes"]) == (2, 0)
    assert done.metric("group_duration")["count"] == 2
    assert {one["kind"]: one["count"] for one in done.summary["errors"]} == {"judged: Failed: no": 2, "Failed": 2}


@pytest.mark.parametrize("hook", ["setup", "teardown", "test_start", "handle_summary", "test_stop"])
def test_in_a_function_around_the_test_it_is_the_error_of_that_function(life: Life, hook: str) -> None:
    is_async = "async " if hook in ("setup", "teardown") else ""
    done = life.run(
        HEAD
        + f"""
@fl.{hook}
{is_async}def around(_):
    pytest.fail("no")
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    assert not done.stderr.startswith("Traceback")
    if hook != "test_stop":
        assert [one["hook"] for one in done.summary["hook_errors"]] == [hook]
    assert done.counts == ({} if hook in ("setup", "test_start") else {"/visit": 2})


def test_setup_may_await_a_task_that_exits(life: Life) -> None:
    done = life.run(
        HEAD
        + """
@fl.setup
async def before(vu):
    await asyncio.create_task(leave())
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    (error,) = done.summary["hook_errors"]
    assert error["message"].endswith("SystemExit: 3")


def test_a_shape_that_raises_it_ends_the_run(life: Life) -> None:
    done = life.run(
        HEAD
        + """
@fl.scenario(shape=lambda _: pytest.fail("no"), max_vus=2)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    (error,) = done.summary["hook_errors"]
    assert error["hook"] == "shape of visit"


def test_a_script_that_raises_it_does_not_import(life: Life) -> None:
    done = life.run("import pytest\npytest.skip('not here', allow_module_level=True)")
    assert done.code == 104
    assert "Skipped: not here" in done.stderr


def test_a_script_cannot_end_the_loop(life: Life) -> None:
    done = life.run(
        HEAD
        + """
@fl.scenario(vus=2, iterations=6)
async def visit(vu):
    if vu.iteration_in_test % 2:
        asyncio.get_running_loop().stop()
    else:
        asyncio.get_running_loop().call_soon(sys.exit)
    await vu.get("/visit")
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/visit": 6}
    assert done.metric("iterations")["count"] == 6
