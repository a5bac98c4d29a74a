"""Ctrl-C and its like in programs that call `fl.run`: the results are safe, and then the program has its signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.control.signals import StopSignals, caught_stop_signals
from fastload.model.errors import PlanError
from fastload.model.saved.run_file import load_run
from tests.conftest import Nginx, cli_env, wait_until

# `go(...)` makes a run of a minute, and `say(...)` writes what the test reads.
HEAD = """
import asyncio, json, os, pathlib, signal, sys, threading, time
import fastload as fl

async def visit(vu):
    await vu.get("/")
    pathlib.Path("begun").touch()
    await vu.sleep(0.01)

def go(**options):
    return fl.run(visit, **{"vus": 2, "duration": "60s", "workers": 1, "base_url": sys.argv[1], **options})

def say(**what):
    with open("said", "a") as lines:
        lines.write(json.dumps(what) + "\\n")
"""


class Program:
    """A program under way that makes a run."""

    def __init__(self, folder: Path, url: str, text: str, command: tuple[str, ...] = ()) -> None:
        self.folder = folder
        (folder / "program.py").write_text(HEAD + text)
        self._process = subprocess.Popen(
            [sys.executable, *(command or ("program.py", url))],
            cwd=folder,
            env=cli_env(NGINX=url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_begun(self, name: str = "begun") -> None:
        wait_until(lambda: (self.folder / name).exists() or self._process.poll() is not None)

    def send(self, *numbers: signal.Signals) -> None:
        for number in numbers:
            self._process.send_signal(number)

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        """Its exit code, what it said, and its output; no process is left of it."""
        out, err = self._process.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):
            os.killpg(self._process.pid, 0)
        said = self.folder / "said"
        lines = said.read_text().splitlines() if said.exists() else []
        return self._process.returncode, [json.loads(line) for line in lines], out + err

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


Begin = Callable[..., Program]


@pytest.fixture
def begin(tmp_path: Path, nginx: Nginx) -> Iterator[Begin]:
    begun: list[Program] = []

    def start(text: str, *command: str) -> Program:
        begun.append(Program(tmp_path, nginx.url, text, command))
        return begun[-1]

    yield start
    for program in begun:
        program.close()


CATCHES = """
try:
    go(save="run.fastload")
except KeyboardInterrupt as error:
    say(kind=type(error).__name__, by=error.summary.stopped_by, signal=error.signal.name,
        requests=error.summary.metrics["http_reqs"].count, saved=pathlib.Path("run.fastload").exists(),
        restored=signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    raise
say(after=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_reaches_the_program_when_the_results_are_safe(begin: Begin, number: signal.Signals) -> None:
    program = begin(CATCHES)
    program.wait_begun()
    program.send(number)
    code, said, err = program.end()
    assert code == -signal.SIGINT, "as any program that a KeyboardInterrupt ends"
    assert f"KeyboardInterrupt: {number.name} came during the run" in err
    (one,) = said
    assert one.pop("requests") > 0
    assert one == {
        "kind": "KeyboardInterrupt",
        "by": "interrupt",
        "signal": number.name,
        "saved": True,
        "restored": True,
    }
    assert load_run(program.folder / "run.fastload").complete


def test_the_second_one_ends_the_load_at_once(begin: Begin) -> None:
    text = """
async def visit(vu):
    pathlib.Path("begun").touch()
    await vu.get("http://127.0.0.1:%d/" % port)

import socket
silent = socket.create_server(("127.0.0.1", 0))
port = silent.getsockname()[1]
began = time.monotonic()
try:
    go()
except KeyboardInterrupt as error:
    say(by=error.summary.stopped_by, interrupted=error.summary.requests.interrupted)
"""
    program = begin(text)
    program.wait_begun()
    program.send(signal.SIGINT)
    program.send(signal.SIGINT)
    code, said, err = program.end()
    assert (code, said) == (0, [{"by": "interrupt", "interrupted": 2}]), err


def test_a_second_run_does_not_begin(begin: Begin) -> None:
    program = begin("go(); say(first=True); go(); say(second=True)")
    program.wait_begun()
    program.send(signal.SIGINT)
    code, said, _ = program.end()
    assert (code, said) == (-signal.SIGINT, [])


def test_returned_if_asked_for(begin: Begin) -> None:
    text = """
for turn in range(2):
    say(by=go(on_interrupt="return").stopped_by)
    pathlib.Path("begun").unlink()
    if turn == 0:
        pathlib.Path("again").touch()
"""
    program = begin(text)
    program.wait_begun()
    program.send(signal.SIGINT)
    program.wait_begun("again")
    program.wait_begun()
    program.send(signal.SIGTERM)
    code, said, err = program.end()
    assert (code, said) == (0, [{"by": "interrupt"}] * 2), err


def test_in_teardown_it_reaches_the_program_as_well(begin: Begin) -> None:
    text = """
async def clean_up(vu):
    pathlib.Path("in_teardown").touch()
    await vu.sleep(60)

try:
    go(duration="0.3s", teardown=clean_up)
except KeyboardInterrupt as error:
    say(by=error.summary.stopped_by, errors=len(error.summary.hook_errors))
"""
    program = begin(text)
    program.wait_begun("in_teardown")
    program.send(signal.SIGINT)
    code, said, err = program.end()
    assert code == 0, err
    assert said == [{"by": "", "errors": 1}]


def test_a_handler_of_the_programs_own_is_called_after_the_run(begin: Begin) -> None:
    text = """
signal.signal(signal.SIGTERM, lambda number, frame: say(handled=number, saved=os.path.exists("run.fastload")))
say(by=go(save="run.fastload").stopped_by)
"""
    program = begin(text)
    program.wait_begun()
    program.send(signal.SIGTERM)
    code, said, err = program.end()
    assert code == 0, err
    assert said == [{"handled": signal.SIGTERM, "saved": True}, {"by": "interrupt"}]


def test_an_ignored_signal_ends_the_run_and_nothing_else(begin: Begin) -> None:
    program = begin("signal.signal(signal.SIGINT, signal.SIG_IGN); say(by=go().stopped_by)")
    program.wait_begun()
    program.send(signal.SIGINT)
    code, said, err = program.end()
    assert (code, said) == (0, [{"by": "interrupt"}]), err


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_in_a_running_event_loop(begin: Begin, loop: str) -> None:
    text = f"""
import {loop}
async def main():
    try:
        go()
    except KeyboardInterrupt as error:
        say(by=error.summary.stopped_by)
        raise
    say(after=True)

try:
    {loop}.run(main())
except KeyboardInterrupt as error:
    say(kind=type(error).__name__)
"""
    program = begin(text)
    program.wait_begun()
    program.send(signal.SIGINT)
    code, said, err = program.end()
    assert (code, said) == (0, [{"by": "interrupt"}, {"kind": "KeyboardInterrupt"}]), err


def test_a_handler_of_an_event_loop_is_called(begin: Begin) -> None:
    text = """
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: say(handled=True))
    say(by=go().stopped_by)
    await asyncio.sleep(0.2)

asyncio.run(main())
"""
    program = begin(text)
    program.wait_begun()
    program.send(signal.SIGTERM)
    code, said, err = program.end()
    assert (code, said) == (0, [{"by": "interrupt"}, {"handled": True}]), err


def test_in_a_thread_the_run_goes_on(begin: Begin) -> None:
    text = """
over = threading.Event()

def conduct():
    say(by=go(duration="2s").stopped_by)
    over.set()

threading.Thread(target=conduct).start()
try:
    over.wait()
except KeyboardInterrupt as error:
    say(kind=type(error).__name__)
over.wait()
"""
    program = begin(text)
    program.wait_begun()
    program.send(signal.SIGINT)
    code, said, err = program.end()
    assert (code, said) == (0, [{"kind": "KeyboardInterrupt"}, {"by": ""}]), err


def test_in_pytest_it_ends_the_session(begin: Begin, nginx: Nginx) -> None:
    text = """
sys.argv[1:] = [os.environ["NGINX"]]

def test_load():
    go(save="run.fastload")

def test_more():
    say(more=True)
"""
    program = begin(text, "-m", "pytest", "-q", "-p", "no:cacheprovider", "program.py")
    program.wait_begun()
    program.send(signal.SIGINT)
    code, said, err = program.end()
    assert (code, said) == (2, []), err
    assert "KeyboardInterrupt: SIGINT came during the run" in err
    assert load_run(program.folder / "run.fastload").complete


def test_what_on_interrupt_can_be(nginx: Nginx) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    wrongs: list[Any] = ["retrun", None, 3, []]
    for wrong in wrongs:
        with pytest.raises(PlanError, match="on_interrupt"):
            fl.run(visit, vus=1, iterations=1, workers=1, base_url=nginx.url, on_interrupt=wrong)


def test_the_first_signal_is_handed_on() -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: calls.append(number))
    try:
        with caught_stop_signals() as signals:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert (calls, signals.take()) == ([], 2)
        assert not signals.hand_on()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert calls == [signal.SIGTERM]
    assert not StopSignals(0).hand_on()
