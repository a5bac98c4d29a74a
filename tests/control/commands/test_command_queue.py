"""The mailbox: real threads ask, the test's own thread is the conductor."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastload.control.commands.command_queue import COMMANDS, Command, CommandQueue
from fastload.model.errors import ControlError
from tests.conftest import DEADLINE_S, wait_until


def is_readable(fd: int, timeout_s: float = 0.0) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])


def take_one(commands: CommandQueue) -> Command:
    """The next command, for which the descriptor must become readable."""
    assert is_readable(commands.fd, DEADLINE_S)
    (command,) = commands.take()
    return command


@pytest.fixture
def commands() -> Iterator[CommandQueue]:
    mailbox = CommandQueue()
    yield mailbox
    mailbox.close()


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    """Threads that ask. The mailbox is closed before they are waited for."""
    with ThreadPoolExecutor(20) as pool:
        yield pool


def test_an_answer_goes_to_the_one_who_asked(commands: CommandQueue, others: ThreadPoolExecutor) -> None:
    asked = others.submit(commands.ask, "scale", vus=5, scenario="visit", by=None)
    command = take_one(commands)
    assert (command.name, command.arguments) == ("scale", {"vus": 5, "scenario": "visit"})
    assert not asked.done()
    command.answer({"phase": "running"})
    assert asked.result(DEADLINE_S) == {"phase": "running"}
    assert commands.take() == []


def test_every_one_of_many_gets_its_own_answer(commands: CommandQueue, others: ThreadPoolExecutor) -> None:
    asked = {by: others.submit(commands.ask, "scale", by=by) for by in range(1, 200)}
    answered = 0
    while answered < len(asked):
        assert is_readable(commands.fd, DEADLINE_S)
        for command in commands.take():
            command.answer({"was": command.arguments["by"]})
            answered += 1
    assert {by: future.result(DEADLINE_S)["was"] for by, future in asked.items()} == {by: by for by in asked}
    assert not is_readable(commands.fd)


def test_the_descriptor_is_readable_only_while_something_waits(
    commands: CommandQueue, others: ThreadPoolExecutor
) -> None:
    assert not is_readable(commands.fd)
    others.submit(commands.ask, "pause")
    take_one(commands).answer({})
    assert not is_readable(commands.fd)
    others.submit(commands.ask, "resume")
    take_one(commands).answer({})


def test_what_was_asked_before_there_was_a_descriptor_is_not_forgotten(
    commands: CommandQueue, others: ThreadPoolExecutor
) -> None:
    asked = others.submit(commands.ask, "status")
    wait_until(lambda: bool(commands._waiting))
    take_one(commands).answer({"phase": "paused"})
    assert asked.result(DEADLINE_S) == {"phase": "paused"}


def test_a_refusal_is_an_error_with_its_hint(commands: CommandQueue, others: ThreadPoolExecutor) -> None:
    asked = others.submit(commands.ask, "scale", vus=5)
    command = take_one(commands)
    command.refuse("no scenario can be scaled", "write control=True")
    command.answer({"too": "late"})
    with pytest.raises(ControlError, match="no scenario can be scaled") as refused:
        asked.result(DEADLINE_S)
    assert (refused.value.hint, refused.value.reason) == ("write control=True", "refused")


def test_nobody_answers_in_time(commands: CommandQueue) -> None:
    descriptor = commands.fd
    with pytest.raises(ControlError, match=r"did not answer within 0\.01 s") as late:
        commands.ask("stop", timeout_s=0.01)
    assert late.value.reason == "timeout"
    # It is not done behind the back of the one who was told that it was not.
    assert not is_readable(descriptor)
    assert commands.take() == []


def test_closing_refuses_what_waits_what_was_taken_and_what_comes(
    commands: CommandQueue, others: ThreadPoolExecutor
) -> None:
    def over(future: Future[dict[str, Any]]) -> None:
        with pytest.raises(ControlError, match="the run is over") as error:
            future.result(DEADLINE_S)
        assert error.value.reason == "over"

    taken = others.submit(commands.ask, "pause")
    command = take_one(commands)
    waiting = others.submit(commands.ask, "resume")
    assert is_readable(commands.fd, DEADLINE_S)
    commands.close()
    commands.close()
    command.answer({})
    over(taken)
    over(waiting)
    over(others.submit(commands.ask, "status"))
    assert commands.take() == []
    with pytest.raises(ControlError, match="the run is over"):
        _ = commands.fd


def test_closing_while_others_ask_loses_none_and_touches_no_other_descriptor() -> None:
    """A wake-up written after the close would go to whoever has the descriptor's number by then."""
    for _ in range(30):
        commands = CommandQueue()
        number = commands.fd
        begun = threading.Barrier(9)

        def ask(commands: CommandQueue = commands, begun: threading.Barrier = begun) -> str:
            begun.wait(DEADLINE_S)
            with pytest.raises(ControlError) as error:
                commands.ask("status")
            return error.value.reason

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask) for _ in range(8)]
            begun.wait(DEADLINE_S)
            commands.close()
            successor = os.eventfd(0, os.EFD_NONBLOCK)
            assert [future.result(DEADLINE_S) for future in asked] == ["over"] * 8
        assert successor == number
        assert not is_readable(successor)
        os.close(successor)


@pytest.mark.parametrize(
    ("name", "arguments", "message", "hint"),
    [
        ("pasue", {}, "there is no command 'pasue'", "did you mean 'pause'?"),
        ("zzz", {}, "there is no command 'zzz'", "one of: status, metrics, pause, resume, scale, stop"),
        ("pause", {"now": True}, "pause has no argument 'now'", "it takes none"),
        ("scale", {"vsu": 1}, "scale has no argument 'vsu'", "did you mean 'vus'?"),
        ("scale", {}, "scale: nothing says how far", "give one of vus, rate or by"),
        ("scale", {"vus": None}, "scale: nothing says how far", "give one of vus, rate or by"),
        ("scale", {"vus": 1, "by": 2}, "scale: vus and by exclude each other", "give one of vus, rate or by"),
        ("scale", {"vus": True}, "scale: vus True is not a whole number of VUs, 0 or more", ""),
        ("scale", {"vus": -1}, "scale: vus -1 is not a whole number of VUs, 0 or more", ""),
        ("scale", {"vus": 1.5}, "scale: vus 1.5 is not a whole number of VUs, 0 or more", ""),
        ("scale", {"rate": float("nan")}, 'scale: rate nan is not a rate like 500 or "1k/s"', ""),
        ("scale", {"rate": [1]}, 'scale: rate [1] is not a rate like 500 or "1k/s"', ""),
        ("scale", {"by": "10"}, "scale: by '10' is not a whole number, like 10 or -10", ""),
        ("scale", {"by": 1, "scenario": 3}, "scale: scenario 3 is not the name of a scenario", ""),
        ("stop", {"now": 1}, "stop: now 1 is not true or false", ""),
    ],
)
def test_what_no_run_could_do_is_refused_at_once(
    commands: CommandQueue, name: str, arguments: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ControlError) as error:
        commands.ask(name, **arguments)
    assert (error.value.message, error.value.hint, error.value.reason) == (message, hint, "refused")
    assert commands.take() == []


def test_stop_says_whether_at_once(commands: CommandQueue, others: ThreadPoolExecutor) -> None:
    others.submit(commands.ask, "stop")
    command = take_one(commands)
    assert command.arguments == {"now": False}
    command.answer({})
    assert set(COMMANDS) == {"status", "metrics", "pause", "resume", "scale", "stop"}


def test_making_and_closing_one_opens_nothing() -> None:
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    CommandQueue().close()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    commands = CommandQueue()
    assert Path(f"/proc/self/fd/{commands.fd}").exists()
    commands.close()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
