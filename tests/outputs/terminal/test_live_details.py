"""The live block where there is room: kinds of errors, progress of scenarios, names; in an emulated terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyte
import pytest

from fastload.control.commands.keyboard import keys_hint
from fastload.model.capacity.result import SearchProgress
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, PerVUIterations, Shape, SharedIterations
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import Event, Snapshot
from fastload.outputs.terminal.layout import Legible
from fastload.outputs.terminal.live import LiveBlock, render_snapshot
from fastload.outputs.terminal.live_details import SCENARIOS_AT_MOST, progress_of, scenario_table
from fastload.outputs.terminal.plain_lines import PlainLines
from fastload.outputs.terminal.recent import Recent
from fastload.targets import RunningTarget
from tests.conftest import cli_command, cli_env
from tests.model.capacity.made import SETTINGS, made_result
from tests.outputs.samples import make_plan, make_snapshot
from tests.outputs.terminal.consoles import memory_console

ONE = make_plan(ConstantVUs(64, 10.0))

SCRIPT = """
import fastload as fl


@fl.scenario(vus=2, duration="60s", graceful_stop="0s", executor="externally-controlled", max_vus=9)
async def browse(vu: fl.VU) -> None:
    await vu.get("/health")
    await vu.get("/no-such-path")
    await vu.sleep(0.02)


@fl.scenario(vus=1, iterations=4, graceful_stop="0s")
async def order(vu: fl.VU) -> None:
    await vu.get("/stats")
"""


def scenario(executor: object, **changes: object) -> ScenarioPlan:
    return replace(ONE.scenarios[0], executor=executor, **changes)  # type: ignore[arg-type]


def plan_of(*scenarios: ScenarioPlan, warmup_s: float = 0.0) -> Plan:
    return replace(ONE, scenarios=scenarios, warmup_s=warmup_s)


@pytest.mark.parametrize(
    ("one", "elapsed_s", "iterations", "share"),
    [
        (scenario(ConstantVUs(2, 10.0)), 5, 0, 0.3),
        (scenario(ConstantVUs(2, 10.0), start_s=4.0), 5, 0, 0.0),
        (scenario(ConstantArrivalRate(5.0, 10.0, 2)), 40, 9, 1.0),
        (scenario(SharedIterations(2, 50)), 5, 10, 0.2),
        (scenario(PerVUIterations(5, 10)), 5, 10, 0.2),
        (scenario(Shape(lambda _s: 1)), 5, 10, None),
        (scenario(ConstantVUs(2, 10.0), after="other"), 5, 10, None),
    ],
)
def test_the_progress_of_a_scenario(one: ScenarioPlan, elapsed_s: float, iterations: int, share: float | None) -> None:
    assert progress_of(plan_of(one, warmup_s=2.0), one, elapsed_s, iterations) == (
        share if share is None else pytest.approx(share)
    )


def test_the_keys_say_what_they_act_on() -> None:
    assert keys_hint({}) == "p pause, ? help, Ctrl-C stop"
    assert keys_hint({"browse": False}).endswith("+1 -1 +10 -10 VUs of browse")
    assert keys_hint({"browse": False, "order": True}).endswith("VUs or starts/s of browse, order")
    assert keys_hint({"order": True}).endswith("+10 -10 starts/s of order")


def own_terminal() -> None:
    """Make standard input the terminal of this process, as a shell does."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def screens(command: list[str], folder: Path, width: int, height: int) -> list[str]:
    """The lines of a terminal of that size, once the block of *command* has all of its parts; then Ctrl-C ends it."""
    screen = pyte.Screen(width, height)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    env = {**cli_env(), "TERM": "xterm", "COLUMNS": str(width), "LINES": str(height)}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(slave)
    shown: list[str] = []
    try:
        end_s = time.monotonic() + 40
        while time.monotonic() < end_s:
            if select.select([master], [], [], 0.2)[0]:
                stream.feed(os.read(master, 65536))
            lines = [line.rstrip() for line in screen.display]
            if any(line.startswith("GET /no-such-path") for line in lines) and any("100%" in line for line in lines):
                shown = lines
                break
    finally:
        process.terminate()
        drained = time.monotonic() + 30
        # A terminal that nobody reads would hold the process up.
        while process.poll() is None and time.monotonic() < drained:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    os.read(master, 65536)
                except OSError:
                    break
        process.wait(30)
        os.close(master)
    return shown


@pytest.mark.parametrize("size", [(80, 30), (160, 40)], ids=str)
def test_a_run_in_a_terminal(sequencer: RunningTarget, tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = cli_command("run", "script.py", "--base-url", sequencer.base_url, "-w", "1")
    shown = screens(command, tmp_path, *size)
    text = "\n".join(shown)
    assert re.search(r"^errors +http_404 \d+$", text, re.MULTILINE), text
    assert re.search(r"^scenarios +progress +iterations +per s +req/s$", text, re.MULTILINE), text
    assert re.search(r"^order +━{10} +100% +4 ", text, re.MULTILINE), text
    assert re.search(r"^browse +[━─]{10} +\d+% +\d+ ", text, re.MULTILINE), text
    assert re.search(r"^endpoints +requests +per s +p50 +p95 +p99 +failed$", text, re.MULTILINE), text
    assert "keys        p pause, ? help, Ctrl-C stop, w s W S: +1 -1 +10 -10 VUs of browse" in shown


def test_too_many_scenarios_have_no_lines() -> None:
    most = plan_of(*(scenario(ConstantVUs(1, 10.0), name=f"s{number}") for number in range(SCENARIOS_AT_MOST)))
    more = replace(most, scenarios=(*most.scenarios, scenario(ConstantVUs(1, 10.0), name="one more")))
    for plan, count in ((ONE, 0), (most, 1), (more, 0)):
        assert len(scenario_table(plan, make_snapshot(), Recent(), 10)) == count


def drawn(plan: Plan, now: Snapshot) -> str:
    console, stream = memory_console()
    console.print(Legible(render_snapshot(plan, now)))
    return stream.getvalue()


def search(doing: str) -> dict[str, Any]:
    return {"search": SearchProgress(doing, made_result())}


def test_a_search_says_what_it_does_and_what_was_good_so_far() -> None:
    plan = replace(plan_of(scenario(ConstantArrivalRate(10.0, 360.0, 50))), capacity=SETTINGS)
    text = drawn(plan, make_snapshot(offered=512, span_s=2.0, **search("step 14: 390/s")))
    assert "\nsearch      step 14: 390/s  good so far: 381/s\n" in text
    # The plan has the lightest load, and the longest time there can be.
    assert "256 starts/s offered" in text
    assert " of at most 6m" in text
    assert "search" not in drawn(plan, make_snapshot(**search("")))


def test_the_steps_of_a_search_are_lines_that_stay() -> None:
    plan = replace(plan_of(scenario(ConstantArrivalRate(10.0, 360.0, 50))), capacity=SETTINGS)
    console, stream = memory_console(120)
    output = PlainLines(console)
    output.start(plan)
    [line] = [step.text("rate") for step in made_result().steps if step.number == 7]
    events = (Event(33.2, "step", line), Event(33.4, "phase", "running"))
    output.snapshot(make_snapshot(34.0, events=events, **search("step 8: 453/s")))
    told, now = stream.getvalue().splitlines()
    assert told.strip() == "33s  step 7: 640/s, 400/s answered well: p(95) 1.43s, not p(95)<60"
    assert now.endswith("step 8: 453/s")
    terminal, screen = memory_console(120, terminal=True)
    block = LiveBlock(terminal)
    block.start(plan)
    block.snapshot(make_snapshot(34.0, events=events, **search("step 8: 453/s")))
    block.close()
    assert f"33s  {line}" in screen.getvalue()
