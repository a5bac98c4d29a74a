"""Scripts that keep what does nothing without ``await``, ``async with`` or ``async for``: Python never says so."""

from __future__ import annotations

import pytest

from tests.life import Life, Outcome

HEAD = """
import asyncio
import fastload as fl
kept = []
async def pages(vu):
    yield await vu.get("/page")
"""
LINE = HEAD.count("\n") + 4
# What keeps something in each iteration, and how the verdict names it.
KEPT = {
    "kept.append(get('/kept'))": f"visit (script.py:{LINE}): kept.append(get('/kept')), 8 times",
    "kept.append(get(f'/kept/{vu.iteration}'))": f"visit (script.py:{LINE}): kept.append(get(f'/kept/{{vu",
    "vu.state[vu.iteration] = batch(['/'])": f"visit (script.py:{LINE}): vu.state[vu.iteration] = batch(['/']), 8 ti",
    "globals()[f'k{vu.id}-{vu.iteration}'] = sleep(1)": f"visit (script.py:{LINE}): globals()",
    "kept.append({'of': [get('/kept')]})": f"visit (script.py:{LINE}): kept.append({{'of': [get('/kept')]}}), 8 times",
    "kept.append(pages(vu))": "pages (script.py:4): async def pages(vu): [an async generator: async for is missing], 8",
    "kept.append(vu.group('a'))": f"visit (script.py:{LINE}): kept.append(vu.group('a')) [a block: async with is mis",
    "kept.append(vu.expect('GET', '/'))": f"visit (script.py:{LINE}): kept.append(vu.expect('GET', '/')) [a block",
    "kept.append(vu.stream('GET', '/'))": f"visit (script.py:{LINE}): kept.append(vu.stream('GET', '/')) [a block",
    "kept.append(vu.websocket('/'))": f"visit (script.py:{LINE}): kept.append(vu.websocket('/')) [a block: async wit",
    "kept.append(fl.measure('a'))": f"visit (script.py:{LINE}): kept.append(fl.measure('a')) [a block: async with is",
}


def run(life: Life, *lines: str, head: str = HEAD, options: str = "") -> Outcome:
    body = "\n".join(f"    {line}" for line in lines)
    done = life.run(
        f"""{head}
@fl.scenario(vus=2, executor="per-vu-iterations", iterations=4{options})
async def visit(vu):
    get, batch, sleep = vu.get, vu.batch, vu.sleep; await get("/visit")
{body}
"""
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.counts["/visit"] == 8
    return done


@pytest.mark.parametrize(("line", "said"), KEPT.items(), ids=KEPT)
def test_what_is_kept_and_never_used_leads_the_verdict(life: Life, line: str, said: str) -> None:
    verdict = run(life, line, head=HEAD[1:]).summary["verdict"]
    assert verdict["state"] != "VALID"
    assert verdict["reasons"][0].startswith(f"calls without await did nothing: {said}")


SLOW_START = """
async def login(vu):
    await vu.sleep(0.4)
"""
COMPUTED = "kept.append(get(f'/kept/{vu.iteration}'))"


def test_what_an_iteration_keeps_is_named_however_late_the_first_one_begins(life: Life) -> None:
    done = run(life, COMPUTED, head=HEAD[1:] + SLOW_START, options=", on_start=login")
    named = f"visit (script.py:{LINE + SLOW_START.count(chr(10))}): {COMPUTED}, 8 times"
    assert done.summary["verdict"]["reasons"][0] == f"calls without await did nothing: {named}"


def test_what_later_iterations_keep_is_counted_with_what_the_first_ones_kept(life: Life) -> None:
    done = run(life, COMPUTED, "await sleep(0.2)", head=HEAD[1:])
    named = f"visit (script.py:{LINE}): {COMPUTED}, 8 times"
    assert done.summary["verdict"]["reasons"][0] == f"calls without await did nothing: {named}"


def test_what_only_later_iterations_keep_is_named_by_the_first_call(life: Life) -> None:
    line = "kept.extend(get(f'/kept/{vu.iteration}/{n}') for n in range(2 * (vu.iteration > 0)))"
    done = run(life, "await sleep(0.2)", line)
    assert done.summary["verdict"]["reasons"][0].startswith("calls without await did nothing: vu.get('/kept/1/0'), 12")


THROWN = {
    "vu.group('a')": "group = vu.group; group('a')",
    "vu.expect('GET', '/')": "expect = vu.expect; expect('GET', '/')",
    "vu.stream('GET', '/')": "stream = vu.stream; stream('GET', '/')",
    "vu.websocket('/')": "socket = vu.websocket; socket('/')",
    "fl.measure('a')": "call = fl.measure('a'); del call",
}


@pytest.mark.parametrize("line", THROWN.values(), ids=THROWN)
def test_a_block_that_is_thrown_away_fails_its_iteration(life: Life, line: str) -> None:
    done = run(life, f"if vu.iteration == 1: {line}")
    assert [(one["kind"], one["count"]) for one in done.summary["exceptions"]] == [("NeverAwaited", 2)]
    assert done.metric("iterations_failed")["count"] == 2
    assert "[a block: async with is missing], 2 times" in done.summary["verdict"]["reasons"][0]


# What is used, by others or later, or may still be used when the run ends.
USED = {
    "a later iteration": """
    if "next" in vu.state: await vu.state["next"]
    vu.state["next"] = get("/next")""",
    "every third iteration": """
    vu.state.setdefault("later", []).append(get("/next"))
    if vu.iteration == 2: await asyncio.gather(*vu.state.pop("later"))""",
    "tasks": """
    kept.append(asyncio.create_task(get("/task"))); await sleep(0.01)
    await asyncio.gather(get("/a"), batch([get("/b")]))""",
    "a task that has not ended": """
    async def later(request):
        await asyncio.sleep(60)
        await request
    asyncio.create_task(later(get("/never"))); kept.append(asyncio.create_task(later([vu.group("a")])))""",
    "blocks": """
    kept.append(vu.group("a"))
    async with kept[-1], fl.measure("a"), vu.expect("GET", "/"): pass
    await fl.measure("b")(sleep)(0)""",
    "a generator": """
    kept.append(pages(vu))
    async for _ in kept[-1]: pass""",
}


@pytest.mark.parametrize("lines", USED.values(), ids=USED)
def test_what_is_used_is_not_blamed(life: Life, lines: str) -> None:
    done = run(life, *lines.strip("\n").replace("    ", "", 1).split("\n    "))
    assert done.summary["exceptions"] == []
    assert "without await" not in str(done.summary["verdict"])


HOOK = """
async def poll(vu):
    while True:
        await vu.get("/poll")
        await asyncio.sleep(60)
async def fail():
    raise ValueError("lost")
async def around(vu):
    get = vu.get
    await get("/around")
    {line}
    await asyncio.sleep(0.05)
"""
OF_HOOKS = {
    "kept.append(get('/kept'))": "without await this does nothing: around (script.py:17): kept.append(get('/kept'))",
    "kept.append(vu.group('a'))": "does nothing: around (script.py:17): kept.append(vu.group('a')) [a block",
    "kept.append(asyncio.create_task(poll(vu)))": "ended before a task that it started: poll (script.py:11): await",
    "kept.append(asyncio.create_task(fail()))": "ValueError: lost",
    "asyncio.create_task(fail())": "ValueError: lost",
}


@pytest.mark.parametrize("hook", ["setup", "teardown"])
@pytest.mark.parametrize(("line", "said"), OF_HOOKS.items(), ids=OF_HOOKS)
def test_setup_and_teardown_that_leave_something_have_failed(life: Life, hook: str, line: str, said: str) -> None:
    done = life.run(
        f"""{HEAD}{HOOK.format(line=line)}
fl.{hook}(around)
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/visit")
"""
    )
    assert done.code == 107, done.stdout + done.stderr
    (error,) = done.summary["hook_errors"]
    assert error["hook"] == hook
    assert said in error["message"]
    assert "CurlShare" not in done.stderr
    assert done.counts["/visit"] == (0 if hook == "setup" else 2)


@pytest.mark.parametrize("keep", ["", "kept.append(task)"], ids=["thrown away", "kept"])
def test_exceptions_of_tasks_are_in_the_results(life: Life, keep: str) -> None:
    done = run(
        life,
        "async def fail():",
        "    raise ValueError(f'in {vu.iteration}')",
        "task = asyncio.create_task(fail())",
        keep,
        "await vu.sleep(0.01)",
    )
    (error,) = done.summary["exceptions"]
    assert (error["kind"], error["count"]) == ("ValueError in a task", 8)
    assert "in fail" in error["first"]
    assert error["first"].endswith("ValueError: in 0")
    assert done.metric("iterations")["count"] == 8
    assert done.metric("iterations_failed")["count"] == 0
    verdict = done.summary["verdict"]
    assert verdict["state"] != "VALID"
    assert any("8 exceptions in tasks that the script started" in reason for reason in verdict["reasons"])


def test_an_exception_that_something_asks_for_is_no_lost_one(life: Life) -> None:
    done = run(
        life,
        "async def fail():",
        "    raise ValueError",
        "await asyncio.gather(fail(), return_exceptions=True)",
        "task = asyncio.create_task(fail()); await asyncio.wait([task]); task.exception()",
    )
    assert done.summary["exceptions"] == []
