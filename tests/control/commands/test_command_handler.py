"""What commands and keys do in a run that sets its load by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fastload.control.commands.command_handler import CommandHandler
from fastload.control.commands.command_queue import Command
from fastload.control.commands.keyboard import actions_of
from fastload.control.steering import Steering
from fastload.model.capacity.settings import CapacitySettings
from fastload.model.errors import ControlError
from fastload.model.frames import Frame
from fastload.model.load_models import ConstantArrivalRate
from fastload.model.plan import Plan, ScenarioPlan

REFUSED = "the search for the capacity sets the load"


def searching(frames: list[Frame], *, is_search: bool = True) -> tuple[Steering, CommandHandler]:
    load = ScenarioPlan("visit", ConstantArrivalRate(10.0, 60.0, 50), None)
    plan = Plan("run", "test", (load,), workers=1)
    if is_search:
        plan = replace(plan, capacity=CapacitySettings())
    steering = Steering(plan, frames.append)
    steering.start(1)
    return steering, CommandHandler(steering, dict, dict)


@pytest.mark.parametrize(("name", "arguments"), [("scale", {"rate": 500}), ("scale", {"by": 10}), ("pause", {})])
def test_a_search_refuses_what_changes_its_load(name: str, arguments: dict[str, Any]) -> None:
    frames: list[Frame] = []
    _, handler = searching(frames)
    command = Command(name, arguments, "the control API")
    assert not handler.answer(command, 2)
    with pytest.raises(ControlError, match=REFUSED):
        command._wait(0)
    assert not frames


@pytest.mark.parametrize("key", [b"w", b"S", b"p"])
def test_a_key_says_so_too(key: bytes) -> None:
    frames: list[Frame] = []
    _, handler = searching(frames)
    [action] = actions_of(key)
    assert handler.press(action, 2) == f"{REFUSED}: stop it, or wait until it is over"
    assert not frames
    [help_] = actions_of(b"?")
    assert handler.press(help_, 2) == "Ctrl-C stop"


def test_the_search_itself_sets_it_and_nobody_is_offered_to() -> None:
    frames: list[Frame] = []
    steering, _ = searching(frames)
    steering.set_total(80.0, 2)
    assert [frame.body["rate_per_s"] for frame in frames] == [80.0]
    assert steering.scalable == {}
    assert [one["can_scale"] for one in steering.describe()] == [False]


def test_a_run_that_waits_for_its_begin_can_be_resumed() -> None:
    frames: list[Frame] = []
    steering = Steering(searching(frames)[0]._plan, frames.append)
    steering.pause(1)
    command = Command("resume", {}, "the control API")
    assert CommandHandler(steering, dict, dict).answer(command, 2)
    assert not steering.is_paused


def test_other_runs_take_the_same_commands() -> None:
    frames: list[Frame] = []
    _, handler = searching(frames, is_search=False)
    for name, arguments in (("scale", {"rate": 500}), ("pause", {})):
        assert handler.answer(Command(name, arguments, "the control API"), 2)
    assert [frame.kind for frame in frames] == ["scale", "pause"]
