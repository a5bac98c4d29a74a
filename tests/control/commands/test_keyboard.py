"""The keyboard on a real terminal, below a small shell with job control; and where there is none."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fastload.control.commands.keyboard import KEYS_HELP, Action, Keyboard
from tests.conftest import DEADLINE_S, REPO, wait_until

# Runs the subject as a shell runs a command: in a process group of its own, which gets the terminal.
SHELL = """
import fcntl, os, signal, subprocess, sys, termios
orders = os.fdopen(int(sys.argv[1]), "r")
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
command = [sys.executable, "-c", sys.argv[3], sys.argv[2]]
subject = subprocess.Popen(command, process_group=0, pass_fds=[int(sys.argv[2])])
print(subject.pid, flush=True)
for order in orders:
    match order.strip():
        case "foreground":
            os.tcsetpgrp(0, subject.pid)
        case "background":
            os.tcsetpgrp(0, os.getpgrp())
        case "continue":
            os.killpg(subject.pid, signal.SIGCONT)
        case "stop":
            os.killpg(subject.pid, signal.SIGSTOP)
        case "wait":
            _, status = os.waitpid(subject.pid, os.WUNTRACED)
            stopped = os.WIFSTOPPED(status)
            print("stopped" if stopped else f"exit {os.waitstatus_to_exitcode(status)}", flush=True)
            continue
    print("done", flush=True)
"""
# Says what it takes, and obeys orders of one letter.
SUBJECT = """
import os, select, signal, sys, threading
from fastload.control.commands.keyboard import Keyboard
orders = int(sys.argv[1])
signal.signal(signal.SIGHUP, signal.SIG_IGN)
# Who starts the tests in the background has them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def say(*words):
    print("subject", *words, flush=True)

def listen():
    with Keyboard() as keyboard:
        say("keyboard" if keyboard.fd is not None else "none")
        if keyboard.fd is None:
            return
        while True:
            order = b""
            readable, _, _ = select.select([keyboard.fd, orders], [], [], 0.02)
            if orders in readable:
                order = os.read(orders, 1) or b"q"
            for action in keyboard.take():
                say(action.name, action.by)
            if order == b"?":
                say("readable", bool(select.select([keyboard.fd], [], [], 0)[0]))
            elif order == b"x":
                raise ValueError("on purpose")
            elif order == b"q":
                return

how = os.read(orders, 1)
if how == b"i":
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
if how == b"t":
    other = threading.Thread(target=listen)
    other.start()
    other.join()
else:
    listen()
say("over", signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL)
"""


class Terminal:
    """A terminal with a shell that runs the subject; the test has its other end, and types."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        self.original = self.attributes()
        shell_reads, self._shell = os.pipe()
        subject_reads, self._subject = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", SHELL, str(shell_reads), str(subject_reads), SUBJECT],
            stdin=self._slave,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[shell_reads, subject_reads],
            env=os.environ | {"PYTHONPATH": str(REPO)},
        )
        os.close(shell_reads)
        os.close(subject_reads)
        assert self._process.stdout is not None
        self._said = self._process.stdout
        self._subject_pid = int(self._line())
        self._open = {self._master, self._slave, self._shell, self._subject}

    def attributes(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def is_cbreak(self) -> bool:
        return not self.attributes()[3] & (termios.ECHO | termios.ICANON)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def reset(self) -> None:
        """What a shell does when a command has stopped."""
        termios.tcsetattr(self._slave, termios.TCSANOW, self.original)

    def shell(self, *orders: str) -> None:
        for order in orders:
            os.write(self._shell, f"{order}\n".encode())
            if order != "wait":
                self.expect("done")

    def tell(self, order: bytes) -> None:
        """An order to the subject."""
        os.write(self._subject, order)

    def expect(self, *wanted: str) -> None:
        """The next lines that shell and subject say."""
        assert [self._line() for _ in wanted] == list(wanted)

    def begin(self, how: bytes = b"m") -> None:
        self.shell("foreground")
        self.tell(how)
        self.expect("subject keyboard")

    def hang_up(self) -> None:
        for fd in (self._master, self._slave):
            self._open.remove(fd)
            os.close(fd)

    def close(self) -> None:
        for fd in self._open:
            os.close(fd)
        self._process.kill()
        self._process.wait()
        # The subject ends with its orders; one that is stopped has to be woken for that.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._subject_pid, signal.SIGCONT)
        self._said.close()

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self._said], [], [], DEADLINE_S)[0], f"nothing said in time, after {line!r}"
            byte = os.read(self._said.fileno(), 1)
            assert byte, f"ended after {line!r}"
            line += byte
        return line.decode().strip()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    yield found
    found.close()


def test_keys_are_actions_and_the_terminal_is_given_back(terminal: Terminal) -> None:
    terminal.begin()
    assert terminal.is_cbreak()
    assert terminal.attributes()[3] & termios.ISIG
    # Cursor and function keys and other letters mean nothing: ESC O S is F4, and no S.
    terminal.type(b"w\x1bOSW\x1b[A\x1b[1;5Sxs\nS\x1bwp?\xc3\xbf")
    terminal.expect(
        "subject scale 1",
        "subject scale 10",
        "subject scale -1",
        "subject scale -10",
        "subject pause-or-resume 0",
        "subject help 0",
    )
    terminal.tell(b"q")
    terminal.expect("subject over True")
    terminal.shell("wait")
    terminal.expect("exit 0")
    assert terminal.attributes() == terminal.original


def test_the_terminal_is_given_back_after_an_error(terminal: Terminal) -> None:
    terminal.begin()
    assert terminal.is_cbreak()
    terminal.tell(b"x")
    terminal.shell("wait")
    terminal.expect("exit 1")
    assert terminal.attributes() == terminal.original


def test_ctrl_c_stays_ctrl_c(terminal: Terminal) -> None:
    terminal.begin()
    terminal.type(b"\x03")
    terminal.shell("wait")
    terminal.expect(f"exit -{signal.SIGINT.value}")
    assert terminal.attributes() == terminal.original


def test_suspended_and_resumed(terminal: Terminal) -> None:
    terminal.begin()
    for _ in range(2):
        terminal.type(b"\x1a")
        terminal.shell("wait")
        terminal.expect("stopped")
        assert terminal.attributes() == terminal.original
        terminal.shell("background", "foreground", "continue")
        wait_until(terminal.is_cbreak)
        terminal.type(b"w")
        terminal.expect("subject scale 1")
    terminal.tell(b"q")
    terminal.expect("subject over True")
    assert terminal.attributes() == terminal.original


def test_stopped_from_outside(terminal: Terminal) -> None:
    """It cannot give the terminal back; but it takes it again from what the shell made of it."""
    terminal.begin()
    terminal.shell("stop", "wait")
    terminal.expect("stopped")
    terminal.reset()
    terminal.shell("continue")
    wait_until(terminal.is_cbreak)
    terminal.type(b"s")
    terminal.expect("subject scale -1")
    terminal.tell(b"q")
    terminal.expect("subject over True")


def test_a_terminal_of_others_is_left_alone(terminal: Terminal) -> None:
    terminal.begin()
    terminal.type(b"\x1a")
    terminal.shell("wait")
    terminal.expect("stopped")
    terminal.shell("background", "continue")
    terminal.type(b"ww\n")
    # It goes on, touches neither keys nor modes, and is not woken by what is typed for others.
    terminal.tell(b"?")
    terminal.expect("subject readable False")
    assert terminal.attributes() == terminal.original
    # Brought back without a signal, as shells do with what runs.
    terminal.shell("foreground")
    terminal.expect("subject scale 1", "subject scale 1")
    assert terminal.is_cbreak()
    terminal.shell("background")
    terminal.reset()
    terminal.tell(b"q")
    terminal.expect("subject over True")
    assert terminal.attributes() == terminal.original


def test_a_terminal_that_goes_away_is_no_busy_loop(terminal: Terminal) -> None:
    terminal.begin()
    terminal.hang_up()

    def is_quiet() -> bool:
        terminal.tell(b"?")
        return terminal._line() == "subject readable False"

    wait_until(is_quiet)
    terminal.tell(b"q")
    terminal.expect("subject over True")


def test_none_in_the_background(terminal: Terminal) -> None:
    terminal.tell(b"m")
    terminal.expect("subject none", "subject over True")
    assert terminal.attributes() == terminal.original


def test_none_outside_of_the_main_thread(terminal: Terminal) -> None:
    terminal.shell("foreground")
    terminal.tell(b"t")
    terminal.expect("subject none", "subject over True")
    assert terminal.attributes() == terminal.original


def test_who_ignores_ctrl_z_goes_on_to_ignore_it(terminal: Terminal) -> None:
    terminal.begin(b"i")
    terminal.type(b"\x1aw")
    terminal.expect("subject scale 1")
    terminal.tell(b"q")
    terminal.expect("subject over False")


def test_none_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTSTP)
    with open(os.devnull) as null:  # noqa: PTH123 - a device
        for stdin in (null, None):
            monkeypatch.setattr(sys, "stdin", stdin)
            with Keyboard() as keyboard:
                assert keyboard.fd is None
                assert keyboard.take() == []
                assert signal.getsignal(signal.SIGTSTP) == before


def test_the_help_names_every_key() -> None:
    for key, action in {"w": Action("scale", 1), "W": Action("scale", 10), "s": Action("scale", -1)}.items():
        assert f"{key} {action.by:+}" in KEYS_HELP
    # Behind its label, the live display cuts it at 80 columns: the key that stops comes last.
    assert KEYS_HELP.endswith("Ctrl-C stop")
    assert len(f"{'keys':<12}{KEYS_HELP}") <= 80
