"""What is seen in the source of a script before the run, and what is left alone."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.cli.script import load_script
from fastload.load.client.vu import VU
from fastload.model.errors import PlanError
from fastload.planning.script_checks import BLOCKS, COROUTINES, check_awaits, check_urls
from tests.conftest import Cli

HEAD = """\
import asyncio
import fastload as fl
from fastload import measure

async def is_good(reply):
    return True

async def login(vu):
    await vu.get("/login")

async def pages(vu):
    yield 1

class Pages:
    async def open(self, vu):
        vu.base_url = "http://localhost:1"

opener = Pages()

"""
SCENARIO = "@fl.scenario(vus=1, iterations=1)\nasync def visit(vu):\n"
LINE = HEAD.count("\n") + 3


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script's folder is added to the path of modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def check(folder: Path, *lines: str, before: str = "", has_base_url: bool = True) -> str:
    """What is said of a scenario of these *lines*; "" for nothing."""
    body = "\n".join(f"    {line}" for line in lines)
    path = folder / "shop.py"
    path.write_text(f"{HEAD}{before}{SCENARIO}{body}\n")
    (scenario,) = load_script(str(path)).scenarios
    try:
        check_awaits(scenario._functions)
        if not has_base_url:
            check_urls(scenario._functions)
    except PlanError as error:
        return f"{error.message} {error.hint}"
    return ""


def test_the_methods_are_those_of_a_vu() -> None:
    for name in COROUTINES | BLOCKS:
        signature = inspect.signature(getattr(VU, name))
        is_coroutine = inspect.iscoroutinefunction(getattr(VU, name)) or "Coroutine" in str(signature.return_annotation)
        assert is_coroutine == (name in COROUTINES), name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vu.get('/health')", "without await, vu.get('/health') does nothing write: await vu.get('/health')"),
        ("vu.sleep(0.1)", "without await, vu.sleep(0.1) does nothing"),
        ("vu.batch(['/'])", "does nothing"),
        ("if vu.iteration: vu.post('/', json={})", "without await, vu.post('/', json={}) does nothing"),
        ("async def part(): vu.get('/')", "without await"),
        ("login(vu)", "without await, login(vu) does nothing write: await login(vu)"),
        ("pages(vu)", "pages(vu) is an async generator (it has yield), and does nothing without async for"),
        ("await pages(vu)", "write: async for item in pages(vu):"),
        ("vu.expect('GET', '/')", "is a block, and does nothing without async with"),
        ("await vu.expect('GET', '/')", "write: async with vu.expect('GET', '/'):"),
        ("with vu.group('a'): pass", "write: async with vu.group('a'):"),
        ("vu.websocket('/')", "is a block"),
        ("with fl.measure('a'): pass", "write: async with fl.measure('a'):"),
        ("measure('a')", "is a block"),
        ("vu.check(1, {'good': is_good})", "the check is_good is async, and would always hold"),
    ],
)
def test_a_call_that_does_nothing_is_refused(tmp_path: Path, line: str, said: str) -> None:
    found = check(tmp_path, line)
    assert found.startswith(f"visit (shop.py:{LINE}): ")
    assert said in found


@pytest.mark.parametrize(
    "lines",
    [
        ("await vu.get('/')",),
        ("tasks = [vu.get('/')]", "tasks.append(vu.get('/'))", "await asyncio.gather(*tasks)"),
        ("asyncio.create_task(vu.get('/'))", "await vu.batch([vu.get('/')])"),
        ("async with asyncio.TaskGroup() as group:", "    group.create_task(vu.get('/'))"),
        ("async with vu.group('a'), vu.expect('GET', '/'), fl.measure('b'):", "    pass"),
        ("block = vu.group('a')", "async with block:", "    pass"),
        ("vu.state.get('a')", "vu.cookies.get('a')", "vu.random.random()"),
        ("measured = fl.measure('a')(login)", "await measured(vu)"),
        ("login = print", "login(vu)"),
        ("vu = vu.state.setdefault('a', {})", "vu.get('a')"),
        ("for vu in [{}]:", "    vu.get('a')"),
        ("def look(vu):", "    vu.get('a')", "look({})"),
        ("[vu.get('a') for vu in [{}]]",),
        ("match {}:", "    case vu:", "        vu.get('a')"),
        ("try:", "    pass", "except ValueError as vu:", "    vu.get('a')"),
        ("vu.check(1, {'good': bool, 'better': True})",),
    ],
)
def test_what_may_be_right_is_left_alone(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert check(tmp_path, *lines) == ""


@pytest.mark.parametrize(
    "line",
    [
        "await vu.get('/health')",
        "await vu.request('GET', '/health')",
        "await vu.get(url='/health')",
        "await vu.get(f'/users/{vu.id}')",
        "reply = await vu.get('/health', name='a')",
        "async with vu.expect('GET', '/health'): pass",
        "async with vu.websocket('/ws'): pass",
        "await login(vu); await vu.get('/health')",
    ],
)
def test_a_relative_url_without_a_base_url_is_refused(tmp_path: Path, line: str) -> None:
    said = check(tmp_path, line, has_base_url=False)
    assert "is relative, and there is no base URL" in said
    assert "--base-url URL, --target NAME" in said
    assert check(tmp_path, line) == ""


@pytest.mark.parametrize(
    "lines",
    [
        ("await vu.get('http://localhost/')",),
        ("await vu.get(vu.env['URL'])", "await vu.get(f'{vu.id}/health')"),
        ("vu.base_url = 'http://localhost'", "await vu.get('/health')"),
        ("setattr(vu, 'base_url', 'http://localhost')", "await vu.get('/health')"),
        ("await opener.open(vu)", "await vu.get('/health')"),
        ("if vu.base_url: await vu.get('/health')",),
        ("if vu.env.get('URL'):", "    await vu.get('/health')"),
        ("try:", "    await vu.get('/health')", "except fl.PlanError: pass"),
    ],
)
def test_a_url_that_may_be_right_is_left_alone(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert check(tmp_path, *lines, has_base_url=False) == ""


def test_a_helper_that_sets_the_base_url_is_followed(tmp_path: Path) -> None:
    helper = "async def choose(vu):\n    vu.base_url = 'http://localhost'\n"
    assert check(tmp_path, "await choose(vu)", "await vu.get('/')", before=helper, has_base_url=False) == ""


def test_functions_that_get_the_vu_are_followed(tmp_path: Path) -> None:
    helpers = "async def pay(item, user):\n    await ship(user)\nasync def ship(vu):\n    vu.expect('GET', '/ship')\n"
    line = HEAD.count("\n") + 4
    assert check(tmp_path, "await pay(1, vu)", before=helpers).startswith(f"ship (shop.py:{line}): vu.expect(")
    for call in (
        "await pay(vu, {})",
        "await pay(*[1, vu])",
        "await pay(1, user=vu)",
        "vu.state['pay'] = pay",
        "pay = login; await pay(1, vu)",
    ):
        assert check(tmp_path, call, before=helpers) == ""


def test_only_the_source_that_runs_is_judged(tmp_path: Path) -> None:
    """A file that was edited after its import, code without a file, and functions that are no plain ones."""
    path = tmp_path / "shop.py"
    path.write_text(f"{HEAD}{SCENARIO}    await vu.get('http://localhost/')\n")
    (scenario,) = load_script(str(path)).scenarios
    path.write_text(f"{HEAD}{SCENARIO}    vu.get('http://localhost/')\n")
    check_awaits(scenario._functions)
    path.write_text("no Python")
    check_awaits(scenario._functions)
    names: dict[str, Any] = {}
    exec("async def visit(vu):\n    vu.get('/')\n", names)
    check_awaits([names["visit"], Path.exists, print])
    check_urls([names["visit"], Path.exists, print])


SCRIPT = """
import fastload as fl
@fl.setup
async def prepare(vu):
    {setup}
@fl.scenario(vus=1, iterations=1)
async def visit(vu):
    {visit}
"""


@pytest.mark.parametrize(
    ("setup", "visit", "said"),
    [
        ("pass", "await vu.get('/a')", "visit (script.py:8): '/a' is relative, and there is no base URL"),
        ("await vu.get('/b')", "await vu.get('http://localhost:1/')", "prepare (script.py:5): '/b' is relative"),
        ("vu.get('/c')", "pass", "prepare (script.py:5): without await, vu.get('/c') does nothing"),
    ],
)
def test_run_refuses_it_and_plan_says_so(cli: Cli, tmp_path: Path, setup: str, visit: str, said: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(setup=setup, visit=visit))
    done = cli("run", "script.py")
    assert done.returncode == 104, done.stdout
    assert done.stderr.startswith(f"Error: {said}")
    assert "Hint:  " in done.stderr
    planned = cli("plan", "script.py")
    if "relative" in said:
        # Where the plan is made is not always where the base URL is known.
        assert planned.returncode == 0
        assert f"run would refuse this: {said}" in " ".join(planned.stdout.split())
    else:
        assert (planned.returncode, planned.stderr) == (104, done.stderr)


@pytest.mark.parametrize("options", [("--base-url", "http://localhost:1"), ("--target", "sequencer")])
def test_a_base_url_or_a_target_is_enough(cli: Cli, tmp_path: Path, options: tuple[str, str]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(setup="pass", visit="await vu.get('/a')"))
    assert "refuse" not in cli("plan", "script.py", *options).stdout


def test_it_holds_for_a_program_too(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text(f"{HEAD}{SCENARIO}    await vu.get('/')\n")
    (scenario,) = load_script(str(path)).scenarios
    with pytest.raises(fl.PlanError, match="is relative, and there is no base URL"):
        fl.run(scenario)


def pay_nobody(_amount: int) -> None: ...


async def is_paid(_amount: int) -> bool:
    return True


PAY: Any = is_paid
pay_outside: Any = is_paid


def made_with(pay_later: Any, is_paid: Any) -> Any:
    async def visit(vu: VU) -> None:
        pay_later(1)
        vu.check(None, {"paid": is_paid})

    return visit


def made_without_value() -> Any:
    async def visit(_vu: VU) -> None:
        pay_outside(1)

    if len("never") == 1:
        pay_outside = pay_nobody
    return visit


def test_a_name_of_an_outer_function_hides_the_global_one() -> None:
    check_awaits([made_with(pay_nobody, pay_nobody), made_without_value()])


@pytest.mark.parametrize(
    ("arguments", "said"), [((PAY, pay_nobody), "without await, pay_later(1)"), ((pay_nobody, PAY), "is async")]
)
def test_an_async_function_that_an_outer_function_is_given_is_found(arguments: tuple[Any, Any], said: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_awaits([made_with(*arguments)])
    assert said in caught.value.message
