"""What processes print: whole lines, in order, all of it or counted, and no process waits."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastload.control import script_output as script_output_module
from fastload.control.script_output import LINE_BYTES, QUEUE_BYTES, ScriptOutput
from fastload.control.supervisor import ChildFunction, Supervisor
from fastload.model.frames import Frame, encode
from tests.conftest import wait_until


class Screen:
    """What was written, by stream. While it is *blocked*, it takes nothing, like a stopped terminal."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.free = threading.Event()
        self.free.set()
        self.error: OSError | None = None

    def write(self, stream: int, lines: bytes) -> None:
        self.free.wait(60)
        if self.error is not None:
            raise self.error
        self.pieces.append((stream, lines))

    def lines(self, stream: int) -> list[str]:
        return b"".join(lines for to, lines in self.pieces if to == stream).decode().splitlines()


@contextlib.contextmanager
def printing(
    function: ChildFunction, screen: Screen, *, count: int = 1, stdout_to_stderr: bool = False
) -> Iterator[tuple[Supervisor, ScriptOutput]]:
    """Children under way; all is written and closed at the end of the block."""
    output = ScriptOutput(screen.write)
    supervisor = Supervisor(function, count, stdout_to_stderr=stdout_to_stderr, output=output)
    supervisor.start()
    output.start()
    try:
        yield supervisor, output
    finally:
        supervisor.close(0)
        screen.free.set()
        output.close()


def run(function: ChildFunction, screen: Screen, *, count: int = 1, stdout_to_stderr: bool = False) -> ScriptOutput:
    """Children from their start to their own end."""
    with printing(function, screen, count=count, stdout_to_stderr=stdout_to_stderr) as (supervisor, output):
        wait_until(lambda: not list(supervisor.wait(0.05)) and not supervisor.pids)
    return output


def test_lines_of_several_processes_are_whole_and_in_order() -> None:
    def say(_channel: socket.socket, index: int) -> None:
        sys.stdout.flush()
        for number in range(1000):
            # Two writes: without a pipe of its own, another process gets in between.
            os.write(1, f"{index} ".encode())
            os.write(1, f"{number}\n".encode())

    screen = Screen()
    assert run(say, screen, count=4).notes == []
    lines = screen.lines(1)
    assert len(lines) == 4000
    for index in range(4):
        assert [line for line in lines if line[0] == str(index)] == [f"{index} {number}" for number in range(1000)]


def test_all_ways_to_print_come_in_order_when_both_streams_lead_to_one_place() -> None:
    def say(_channel: socket.socket, _index: int) -> None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - that of pytest is no descriptor
        for number in range(3):
            print("print", number, flush=True)
            os.write(2, f"error {number}\n".encode())
            subprocess.run(["echo", f"program {number}"], check=True)

    screen = Screen()
    run(say, screen, stdout_to_stderr=True)
    assert screen.lines(1) == []
    assert screen.lines(2) == [f"{what} {number}" for number in range(3) for what in ("print", "error", "program")]


def test_what_a_process_printed_before_it_died_arrives() -> None:
    def die(_channel: socket.socket, index: int) -> None:
        os.write(1, b"a line\nhalf a line")
        if index == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 1:
            os._exit(3)
        raise RuntimeError("no good")

    screen = Screen()
    run(die, screen, count=3)
    assert sorted(screen.lines(1)) == ["a line"] * 3 + ["half a line"] * 3
    assert screen.lines(2)[0].startswith("worker 2: ")
    assert screen.lines(2)[-1] == "RuntimeError: no good"


def test_a_process_that_prints_without_end_waits_for_nobody_and_is_counted() -> None:
    many = 400_000

    def babble(channel: socket.socket, _index: int) -> None:
        for number in range(many // 1000):
            os.write(1, b"".join(b"line %09d of one that never stops\n" % (number * 1000 + at) for at in range(1000)))
        channel.sendall(encode(Frame("hello", {})))
        channel.recv(1)

    screen = Screen()
    screen.free.clear()
    with printing(babble, screen) as (supervisor, output):
        # It prints to its end although nothing can be written.
        wait_until(lambda: any(event.frame for event in supervisor.wait(0.1)))
        assert output._queued_bytes <= QUEUE_BYTES
    lines = [line for line in screen.lines(1) if line.startswith("line")]
    assert 0 < len(lines) < many
    assert output.notes == [
        f"{many - len(lines):,} lines that the script printed are left out: the terminal or the reader was too slow"
    ]
    assert lines == sorted(lines)


def test_a_gap_is_marked_where_it_is() -> None:
    def babble(channel: socket.socket, _index: int) -> None:
        os.write(1, b"x" * 60_000 + b"\n")
        for _ in range(QUEUE_BYTES // 60_000 + 40):
            os.write(1, b"y" * 60_000 + b"\n")
        channel.sendall(encode(Frame("hello", {})))
        channel.recv(1)
        os.write(1, b"the last\n")

    screen = Screen()
    screen.free.clear()
    with printing(babble, screen) as (supervisor, output):
        wait_until(lambda: any(event.frame for event in supervisor.wait(0.1)))
        wait_until(lambda: bool(output.notes))
        screen.free.set()
        wait_until(lambda: output._queued_bytes == 0)
        supervisor.send(Frame("stop", {}))
        wait_until(lambda: not list(supervisor.wait(0.05)) and not supervisor.pids)
    *lines, last = screen.lines(1)
    assert last == "the last"
    gaps = [int(found[1]) for line in lines if (found := re.fullmatch(r"\[(\d+) lines? left out\]", line))]
    assert output.notes[0].startswith(f"{sum(gaps)} line")
    assert len(lines) - len(gaps) + sum(gaps) == 1 + QUEUE_BYTES // 60_000 + 40


def test_a_line_without_end_is_cut() -> None:
    def drone(_channel: socket.socket, _index: int) -> None:
        for _ in range(30):
            os.write(1, b"x" * 100_000)

    screen = Screen()
    run(drone, screen)
    lines = screen.lines(1)
    assert sum(map(len, lines)) == 3_000_000
    assert max(map(len, lines)) <= 2 * LINE_BYTES


@pytest.mark.parametrize(
    ("number", "notes"),
    [(errno.EPIPE, []), (errno.ENOSPC, ["what the script printed could not be written: No space left on device"])],
)
def test_a_stream_that_cannot_be_written_holds_nobody_up(number: int, notes: list[str]) -> None:
    def say(_channel: socket.socket, _index: int) -> None:
        for _ in range(100):
            os.write(1, b"x" * 100_000 + b"\n")
        os.write(2, b"the other stream\n")

    screen = Screen()
    write = screen.write

    def fail(stream: int, lines: bytes) -> None:
        if stream == 1:
            raise OSError(number, os.strerror(number))
        write(stream, lines)

    screen.write = fail  # type: ignore[method-assign]
    assert run(say, screen).notes == notes
    assert screen.lines(2) == ["the other stream"]


def test_a_reader_that_never_takes_anything_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_output_module, "_PATIENCE_S", 0.2)
    screen = Screen()
    screen.free.clear()
    output = ScriptOutput(screen.write)
    supervisor = Supervisor(lambda _channel, _index: print("x", file=sys.__stderr__), 1, output=output)
    supervisor.start()
    output.start()
    supervisor.close(5)
    begun_s = time.monotonic()
    output.close()
    assert time.monotonic() - begun_s < 30
    screen.free.set()
    wait_until(lambda: not any(thread.name == "fastload-script-output" for thread in threading.enumerate()))


def test_a_program_that_goes_on_does_not_hold_up_the_end() -> None:
    def leave(_channel: socket.socket, _index: int) -> None:
        subprocess.Popen(["sh", "-c", "echo begun; sleep 2; echo too late"])
        time.sleep(0.3)

    screen = Screen()
    begun_s = time.monotonic()
    run(leave, screen)
    assert time.monotonic() - begun_s < 30
    assert screen.lines(1) == ["begun"]


def test_nothing_is_left_of_an_output_that_never_started() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    output = ScriptOutput(Screen().write)
    for pipe in output.pipes(stdout_to_stderr=False):
        os.close(pipe)
    output.close()
    output.close()
    assert len([*Path("/proc/self/fd").iterdir()]) == before
