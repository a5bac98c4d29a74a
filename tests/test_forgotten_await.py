"""Scripts that forget an ``await``, and scripts that measure nothing: neither is a good run.

The methods have other names here: what the source shows for certain is refused before the run.
"""

from __future__ import annotations

from tests.life import Life


def test_what_is_thrown_away_is_named_counted_and_leads_the_verdict(life: Life) -> None:
    done = life.run(
        """
import asyncio
import fastload as fl
async def login(vu):
    await vu.get("/login")
def forget(vu):
    get = vu.get
    get("/health")
@fl.scenario(vus=1, iterations=11)
async def visit(vu):
    await vu.get("/visit")
    if vu.iteration in (1, 2):
        forget(vu)
    if vu.iteration == 3:
        reply = vu.get("/named")
    if vu.iteration == 4:
        batch = vu.batch
        batch(["/"])
    if vu.iteration == 5:
        helper = login
        helper(vu)
    if vu.iteration == 6:
        asyncio.sleep(1)
    if vu.iteration == 7:
        # These are awaited, by others.
        task = asyncio.create_task(vu.get("/task"))
        await asyncio.gather(vu.get("/gathered"), task)
        await vu.batch([vu.get("/batch")])
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts == {"/visit": 11, "/task": 1, "/gathered": 1, "/batch": 1}
    assert {one["kind"] for one in done.summary["exceptions"]} == {"NeverAwaited"}
    assert sum(one["count"] for one in done.summary["exceptions"]) == 6
    assert (done.metric("iterations")["count"], done.metric("iterations_failed")["count"]) == (5, 6)
    verdict = done.summary["verdict"]
    assert verdict["state"] != "VALID"
    lead = verdict["reasons"][0]
    assert lead.startswith('calls without await did nothing: forget (script.py:8): get("/health"), 2 times; ')
    assert "write await" in verdict["remedy"]
    assert "never awaited" not in done.stderr


def test_a_coroutine_with_a_name_is_found_too(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
@fl.scenario(vus=1, iterations=3)
async def visit(vu):
    await vu.get("/visit")
    reply = vu.get("/named")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    lead = done.summary["verdict"]["reasons"][0]
    assert 'visit (script.py:6): reply = vu.get("/named"), 3 times' in lead


def test_setup_that_forgets_an_await_has_failed(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
def register(vu):
    post = vu.post
    post("/users")
@fl.setup
async def prepare(vu):
    register(vu)
@fl.scenario(vus=1, iterations=3)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    (error,) = done.summary["hook_errors"]
    assert error["hook"] == "setup"
    assert 'register (script.py:5): post("/users")' in error["message"]
    assert done.paths == []


def test_hooks_of_a_vu_that_forget_an_await_have_failed(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
def forget(vu):
    get = vu.get
    get("/forgotten")
async def around(vu):
    forget(vu)
@fl.scenario(vus=1, iterations=1, on_stop=around)
async def first(vu):
    await vu.get("/visit")
@fl.scenario(vus=1, iterations=1, on_start=around)
async def second(vu):
    await vu.get("/never")
"""
    )
    assert done.counts == {"/visit": 1}
    assert [(one["kind"], one["count"]) for one in done.summary["exceptions"]] == [("NeverAwaited", 2)]


def test_a_coroutine_of_a_library_gets_pythons_warning(life: Life) -> None:
    """It says nothing about the script, and the iteration is good."""
    done = life.run(
        """
import collections, sys
import fastload as fl
# Code of the standard library that throws a coroutine away.
source = "async def inner():\\n    pass\\ndef careless():\\n    inner()\\n"
exec(compile(source, collections.__file__, "exec"), names := {})
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/visit")
    names["careless"]()
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.metric("iterations")["count"] == 2
    assert "coroutine 'inner' was never awaited" in done.stderr


def test_a_check_that_is_to_be_awaited_is_refused(life: Life) -> None:
    done = life.run(
        """
import fastload as fl
async def is_good(reply):
    return False
@fl.scenario(vus=1, iterations=4)
async def visit(vu):
    reply = await vu.get("/visit")
    condition = is_good if vu.iteration % 2 else is_good(reply)
    vu.check(reply, {"good": condition})
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    (error,) = done.summary["exceptions"]
    assert (error["kind"], error["count"]) == ("PlanError", 4)
    assert "check 'good' is something to await" in error["first"]
    assert done.metric("checks")["passes"] == 0


NOTHING = """
import urllib.request
import fastload as fl
count = fl.Counter("seen")
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    urllib.request.urlopen(f"{vu.base_url}/other").read()
"""


def reasons_of(life: Life, script: str) -> str:
    done = life.run(script)
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts["/other"] == 2
    return "; ".join(done.summary["verdict"]["reasons"])


def test_a_run_that_measures_nothing_is_not_valid(life: Life) -> None:
    assert "nothing was measured: 2 iterations ended without a request of the VU" in reasons_of(life, NOTHING)


def test_a_check_a_metric_or_a_measured_call_is_work(life: Life) -> None:
    for line in ('vu.check(1, {"a": True})', "count.add(1)", 'await fl.measure("a")(vu.sleep)(0)'):
        assert "nothing was measured" not in reasons_of(life, f"{NOTHING}    {line}\n")
