"""Fork, talk, kill, reap: with real child processes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from fastload.control import supervisor as supervisor_module
from fastload.control.signals import STOP_SIGNALS, caught_stop_signals
from fastload.control.supervisor import ChildEvent, ChildFunction, Supervisor
from fastload.model.frames import Frame, encode
from tests.conftest import DEADLINE_S


def collect(supervisor: Supervisor, wanted: int) -> list[ChildEvent]:
    """The next *wanted* events."""
    events: list[ChildEvent] = []
    end = time.monotonic() + DEADLINE_S
    while len(events) < wanted and time.monotonic() < end:
        events.extend(supervisor.wait(0.1))
    return events


def greet(channel: socket.socket, index: int) -> None:
    channel.sendall(encode(Frame("hello", {"worker": index, "pid": os.getpid()})))


def greet_and_wait(channel: socket.socket, index: int) -> None:
    greet(channel, index)
    channel.recv(1)


def supervising(target: ChildFunction, count: int = 2, *, stdout_to_stderr: bool = False) -> Iterator[Supervisor]:
    """A started supervisor, closed afterwards."""
    supervisor = Supervisor(target, count, stdout_to_stderr=stdout_to_stderr)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.close(0)


@pytest.fixture
def waiting() -> Iterator[Supervisor]:
    yield from supervising(greet_and_wait)


def tell_signals(channel: socket.socket, index: int) -> None:
    ignored = [signal.getsignal(number) == signal.SIG_IGN for number in STOP_SIGNALS]
    blocked = len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    channel.sendall(encode(Frame("hello", {"worker": index, "ignored": ignored, "blocked": blocked})))


def test_ctrl_c_is_the_parents_from_the_first_moment_of_a_child() -> None:
    with caught_stop_signals() as requests:
        for supervisor in supervising(tell_signals, 2):
            for index in supervisor.pids.values():
                os.kill(index, signal.SIGINT)
            hellos = [event.frame.body for event in collect(supervisor, 4) if event.frame]
            assert [(one["ignored"], one["blocked"]) for one in hellos] == [([True] * 3, 0)] * 2
        assert requests.take() == 0


def test_children_send_frames_and_end() -> None:
    for supervisor in supervising(greet, 3):
        events = collect(supervisor, 6)
        hellos = [event for event in events if event.frame]
        assert sorted(event.child for event in hellos) == [0, 1, 2]
        assert {event.frame.body["pid"] for event in hellos if event.frame} != {os.getpid()}
        assert [event.reason for event in events if event.frame is None] == ["", "", ""]
        assert supervisor.pids == {}


def test_a_killed_child_is_reported_with_the_signal(waiting: Supervisor) -> None:
    collect(waiting, 2)
    os.kill(waiting.pids[1], signal.SIGKILL)
    assert collect(waiting, 1) == [ChildEvent(1, None, "killed by SIGKILL")]
    assert list(waiting.pids) == [0]


def test_what_a_child_sent_before_it_died_still_arrives() -> None:
    def send_much_and_die(channel: socket.socket, index: int) -> None:
        for number in range(20):
            channel.sendall(encode(Frame("delta", {"worker": index, "seq": number, "fill": b"x" * 30_000})))
        os.kill(os.getpid(), signal.SIGKILL)

    for supervisor in supervising(send_much_and_die, 1):
        events = collect(supervisor, 21)
        assert [event.frame.body["seq"] for event in events if event.frame] == list(range(20))
        assert events[-1] == ChildEvent(0, None, "killed by SIGKILL")


def test_an_exception_in_a_child_is_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_channel: socket.socket, _index: int) -> None:
        raise RuntimeError("no good")

    for supervisor in supervising(fail, 1):
        assert collect(supervisor, 1) == [ChildEvent(0, None, "exited with code 1")]
    assert "no good" in capfd.readouterr().err


def test_garbage_ends_the_child() -> None:
    def babble(channel: socket.socket, _index: int) -> None:
        channel.sendall(b"\x00\x00\x00\x02\x01\x02")
        channel.recv(1)

    for supervisor in supervising(babble, 1):
        (event,) = collect(supervisor, 1)
        assert "garbage" in event.reason
        assert supervisor.pids == {}


def test_send_reaches_one_or_all() -> None:
    def echo(channel: socket.socket, index: int) -> None:
        data = channel.recv(1000)
        channel.sendall(encode(Frame("echo", {"worker": index, "size": len(data)})))
        channel.recv(1)

    for supervisor in supervising(echo):
        supervisor.send(Frame("stop", {"now": True}), to=1)
        assert [event.child for event in collect(supervisor, 1)] == [1]
        supervisor.send(Frame("stop", {"now": True}))
        # Child 1 takes the second message for its leave to end.
        assert {event.child for event in collect(supervisor, 2)} == {0, 1}


def test_a_child_that_closed_its_channel_has_a_while_to_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "EXIT_S", 0.2)

    def linger(channel: socket.socket, index: int) -> None:
        channel.close()
        if index:
            time.sleep(60)

    for supervisor in supervising(linger, 2):
        events = {event.child: event.reason for event in collect(supervisor, 2)}
        assert events == {0: "", 1: "did not exit within 0.2 s of its end, and was killed"}


def test_close_kills_what_does_not_exit_and_tells() -> None:
    for supervisor in supervising(lambda _channel, _index: time.sleep(60), 1):
        supervisor.close(0.1)
        assert supervisor.killed == (0,)
        assert supervisor.pids == {}


def test_close_leaves_nothing(waiting: Supervisor) -> None:
    collect(waiting, 2)
    pids = list(waiting.pids.values())
    waiting.close(0)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not [child for child in psutil.Process().children() if child.pid in pids]


def test_stdout_of_children_can_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    def speak(_channel: socket.socket, _index: int) -> None:
        os.write(1, b"words\n")

    for supervisor in supervising(speak, 1, stdout_to_stderr=True):
        collect(supervisor, 1)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "words\n")


def test_children_can_be_bound_to_cpus() -> None:
    cpu = min(os.sched_getaffinity(0))

    def tell(channel: socket.socket, _index: int) -> None:
        channel.sendall(encode(Frame("cpus", {"cpus": sorted(os.sched_getaffinity(0))})))

    supervisor = Supervisor(tell, 1, cpus=(cpu,))
    supervisor.start()
    frame = collect(supervisor, 1)[0].frame
    supervisor.close()
    assert frame is not None
    assert frame.body["cpus"] == [cpu]
