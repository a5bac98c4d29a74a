"""Setup and teardown in their process: real ones, with signals that the test sends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import psutil
import pytest

import fastload as fl
from fastload.control import hook_runner
from fastload.control.hook_runner import HookRunner
from fastload.control.signals import StopSignals
from fastload.load.hook_process import run_hook_process
from fastload.model.hooks import Hook, HookError, Hooks
from fastload.model.load_models import ConstantVUs
from fastload.model.plan import Plan, ScenarioPlan

Function = Callable[[fl.VU], Coroutine[Any, Any, Any]]
kept: dict[str, Any] = {}


class Signals:
    """Ctrl-C as often as the test presses it."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair()
        ours.setblocking(False)
        self._ours = ours
        self.requests = StopSignals(ours.fileno())

    def press(self) -> None:
        self._theirs.send(b"s")

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def signals() -> Iterator[Signals]:
    found = Signals()
    yield found
    found.close()


def running(
    setup: Function | None = None, teardown: Function | None = None, *, timeout_s: float = 20.0, **options: Any
) -> Iterator[HookRunner]:
    """A runner whose process is there, closed afterwards."""
    pairs = {"setup": setup, "teardown": teardown}
    hooks = Hooks(**{kind: Hook(kind, function, timeout_s) for kind, function in pairs.items() if function})
    scenario = ScenarioPlan("test", ConstantVUs(1, 1.0), None)
    plan = Plan("run", "test", (scenario,), workers=1, env={"WHO": "me"}, hooks=hooks, seed=7)
    before = psutil.Process().children()
    runner = HookRunner(hooks, partial(_work, plan), stdout_to_stderr=False, **options)
    runner.fork()
    try:
        yield runner
    finally:
        runner.close()
        assert psutil.Process().children() == before


def _work(plan: Plan, channel: socket.socket, index: int) -> None:
    run_hook_process(channel, index, plan, ())


def test_one_process_keeps_what_setup_left_for_teardown(signals: Signals) -> None:
    async def setup(vu: fl.VU) -> dict[str, Any]:
        kept["pid"] = os.getpid()
        return {"pid": os.getpid(), "env": [vu.env["WHO"], os.environ["WHO"]]}

    async def teardown(vu: fl.VU) -> None:
        assert kept["pid"] == os.getpid() == vu.setup_data["pid"]

    for runner in running(setup, teardown):
        assert runner.setup(signals.requests)
        assert runner.data["env"] == ["me", "me"]
        assert runner.data["pid"] != os.getpid()
        runner.teardown(signals.requests)
        assert runner.errors == []
        assert kept == {}, "nothing of it is here"


def test_without_hooks_there_is_no_process(signals: Signals) -> None:
    before = psutil.Process().children()
    for runner in running():
        assert psutil.Process().children() == before
        assert runner.setup(signals.requests)
        runner.teardown(signals.requests)
        assert (runner.data, runner.errors, runner.requests) == (None, [], 0)


def test_teardown_alone(signals: Signals) -> None:
    async def teardown(vu: fl.VU) -> None:
        raise ValueError(f"it ran with {vu.setup_data}")

    for runner in running(teardown=teardown):
        assert runner.setup(signals.requests)
        runner.teardown(signals.requests)
        (error,) = runner.errors
        assert error.hook == "teardown"
        assert "it ran with None" in error.message


def test_no_teardown_of_what_never_began(signals: Signals) -> None:
    async def teardown(_: fl.VU) -> None:
        raise ValueError("it ran")

    for runner in running(teardown=teardown):
        runner.teardown(signals.requests)
        assert runner.errors == []


def test_another_process_for_teardown_when_setup_cost_the_first_its_life(signals: Signals) -> None:
    async def setup(_: fl.VU) -> None:
        kept["here"] = True
        os.kill(os.getpid(), signal.SIGKILL)

    async def teardown(_: fl.VU) -> None:
        assert kept == {}
        raise ValueError("it ran")

    for runner in running(setup, teardown):
        assert not runner.setup(signals.requests)
        [error] = runner.errors
        assert re.fullmatch(
            r"the script ended it: setup \(test_hook_runner\.py:\d+\): os\.kill\(os\.getpid\(\), signal\.SIGKILL\)",
            error.message,
        )
        runner.teardown(signals.requests)
        assert "it ran" in runner.errors[1].message


def test_a_process_that_was_lost_during_the_load_is_replaced(signals: Signals) -> None:
    async def setup(_: fl.VU) -> int:
        return os.getpid()

    async def teardown(vu: fl.VU) -> None:
        assert os.getpid() != vu.setup_data

    for runner in running(setup, teardown):
        assert runner.setup(signals.requests)
        os.kill(runner.data, signal.SIGKILL)
        process = psutil.Process(runner.data)
        while process.status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()
        runner.teardown(signals.requests)
        assert runner.errors == []


@pytest.mark.parametrize("waits", [True, False])
def test_a_hook_that_takes_too_long_is_ended(signals: Signals, waits: bool) -> None:
    async def setup(_: fl.VU) -> None:
        if waits:
            await asyncio.sleep(60)
        time.sleep(60)

    for runner in running(setup, timeout_s=0.1):
        assert not runner.setup(signals.requests)
        (error,) = runner.errors
        assert "it took longer than 0.1 s" in error.message
        assert ("in setup" in error.message and "await asyncio.sleep(60)" in error.message) is waits
        assert ("did not end" in error.message) is not waits
        assert "TimeoutError" not in error.message
        assert not runner.interrupted


def test_a_time_out_of_the_scripts_own_is_told_as_such(signals: Signals) -> None:
    async def setup(_: fl.VU) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    for runner in running(setup):
        assert not runner.setup(signals.requests)
        assert "TimeoutError" in runner.errors[0].message
        assert "it took longer" not in runner.errors[0].message


async def wait_well(_: fl.VU) -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "all is well"
    return ""


async def wait(_: fl.VU) -> None:
    await asyncio.sleep(60)


async def block(_: fl.VU) -> None:
    time.sleep(60)


@pytest.mark.parametrize("function", [wait, wait_well, block])
def test_a_stop_signal_ends_a_hook(signals: Signals, function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    if function is not block:
        monkeypatch.setattr(hook_runner, "_CANCEL_S", 20.0)
    for runner in running(function, function):
        before = psutil.Process().children()
        signals.press()
        assert not runner.setup(signals.requests)
        assert runner.interrupted
        assert (psutil.Process().children() == before) is (function is not block), "only what blocks is killed"
        assert runner.errors == [HookError("setup", "it was interrupted")]


def test_a_stop_signal_from_before_does_not_end_teardown(signals: Signals) -> None:
    async def teardown(_: fl.VU) -> None:
        await asyncio.sleep(0.1)

    for runner in running(teardown=teardown):
        runner.setup(signals.requests)
        signals.press()
        runner.teardown(signals.requests)
        assert runner.errors == []


def test_a_cancelled_error_of_the_scripts_own_is_no_interrupt(signals: Signals) -> None:
    async def setup(_: fl.VU) -> None:
        raise asyncio.CancelledError("mine")

    for runner in running(setup):
        assert not runner.setup(signals.requests)
        assert not runner.interrupted
        assert "CancelledError: mine" in runner.errors[0].message


def test_others_are_attended_to_meanwhile_and_can_end_setup_but_not_teardown(signals: Signals) -> None:
    ours, theirs = socket.socketpair()
    attended = 0

    def on_event() -> bool:
        nonlocal attended
        attended += len(ours.recv(64))
        return True

    async def teardown(_: fl.VU) -> None:
        await asyncio.sleep(0.1)

    with ours, theirs:
        theirs.send(b"x")
        for runner in running(wait, teardown, event_fd=ours.fileno(), on_event=on_event):
            assert not runner.setup(signals.requests)
            assert (attended, runner.interrupted) == (1, False)
            theirs.send(b"x")
            runner.teardown(signals.requests)
            assert attended == 2
            assert [error.hook for error in runner.errors] == ["setup"]


def test_an_abort_is_no_error_of_setup_but_one_of_teardown(signals: Signals) -> None:
    async def stop(vu: fl.VU) -> None:
        fl.abort("closed on Sundays")

    for runner in running(stop, stop):
        assert not runner.setup(signals.requests)
        assert (runner.aborted, runner.errors) == ("closed on Sundays", [])
        runner.teardown(signals.requests)
        assert runner.errors == [HookError("teardown", "closed on Sundays")]


def test_requests_of_both_are_counted(signals: Signals) -> None:
    async def call(vu: fl.VU) -> None:
        for _ in range(3):
            reply = await vu.get("http://127.0.0.1:1/")
            assert not reply.ok

    for runner in running(call, call):
        assert runner.setup(signals.requests)
        runner.teardown(signals.requests)
        assert (runner.requests, runner.errors) == (6, [])
