"""Keys that steer a run, from a terminal in cbreak mode that is always given back as it was."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import threading
from types import FrameType, TracebackType
from typing import Any, Literal, NamedTuple

KEYS_HELP = "w +1  W +10  s -1  S -10 (VUs, or starts/s)  p pause or resume  ? help  Ctrl-C stop"
"""What the keys do, on one line."""

_READ_BYTES = 1024
# Cursor and function keys come as several bytes, of which some are letters.
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)


class Action(NamedTuple):
    """What a key asks for. *by*: VUs or starts per second more or less, with ``scale``."""

    name: Literal["scale", "pause-or-resume", "help"]
    by: int = 0


_ACTIONS = {
    ord("w"): Action("scale", 1),
    ord("W"): Action("scale", 10),
    ord("s"): Action("scale", -1),
    ord("S"): Action("scale", -10),
    ord("p"): Action("pause-or-resume"),
    ord("?"): Action("help"),
}


class Keyboard:
    """Reads keys from standard input for the length of a ``with`` block.

    There is a keyboard only if standard input is the terminal of this process and the block is entered by the main
    thread, which alone can catch Ctrl-Z. Enter it after the fork: a worker must not inherit the handler.

    While the process is in the background it leaves the terminal alone. Call `take` also when `fd` is not readable,
    about once a second: it notices that the process is back.
    """

    def __init__(self) -> None:
        self._terminal = -1
        self._poller: select.epoll | None = None
        self._before: list[Any] = []
        self._ours: list[Any] = []
        self._catches_suspend = False
        self._listening = False

    @property
    def fd(self) -> int | None:
        """Readable when a key waits to be taken; None when there is no keyboard."""
        return None if self._poller is None else self._poller.fileno()

    def __enter__(self) -> Keyboard:
        terminal = _own_terminal()
        if terminal is not None and threading.current_thread() is threading.main_thread():
            self._terminal = terminal
            self._before = termios.tcgetattr(terminal)
            self._ours = _cbreak(self._before)
            # A poller of its own, so that a terminal that belongs to others for a while does not wake the run.
            self._poller = select.epoll()
            if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
                signal.signal(signal.SIGTSTP, self._suspend)
                self._catches_suspend = True
            self._resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._poller is not None:
            if self._catches_suspend:
                signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._give_back()
            self._poller.close()
            self._poller = None

    def take(self) -> list[Action]:
        """What the keys pressed since the last call ask for, in order; other keys are passed over."""
        if self._poller is None:
            return []
        if not _is_foreground(self._terminal):
            self._ignore()
            return []
        self._resume()
        keys = b""
        try:
            while self._poller.poll(0):
                read = os.read(self._terminal, _READ_BYTES)
                if not read:
                    raise EOFError
                keys += read
        except (OSError, EOFError):
            # The terminal is gone, and with it the foreground.
            self._ignore()
        return [_ACTIONS[key] for key in _ESCAPES.sub(b"", keys) if key in _ACTIONS]

    def _resume(self) -> None:
        """Make the terminal ours, at first and after somebody else had it."""
        with contextlib.suppress(OSError, termios.error):
            if termios.tcgetattr(self._terminal) != self._ours:
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._ours)
            self._listen()

    def _listen(self) -> None:
        if self._poller is not None and not self._listening:
            self._poller.register(self._terminal, select.EPOLLIN)
            self._listening = True

    def _ignore(self) -> None:
        if self._poller is not None and self._listening:
            self._poller.unregister(self._terminal)
            self._listening = False

    def _give_back(self) -> None:
        # Who is not in the foreground would be stopped for it, and would change what another process set.
        if _is_foreground(self._terminal):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: stop as everyone does, but with the terminal in order; goes on here after ``fg``."""
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)
        if _is_foreground(self._terminal):
            self._resume()


def _own_terminal() -> int | None:
    """The descriptor of standard input if it is the terminal that this process has the foreground of."""
    try:
        terminal = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return terminal if os.isatty(terminal) and _is_foreground(terminal) else None


def _is_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        # Not the terminal of this session, or no longer there.
        return False


def _cbreak(before: list[Any]) -> list[Any]:
    """Each key at once and without an echo; Ctrl-C, Ctrl-Z and line ends stay as they are."""
    attributes = [*before[:6], list(before[6])]
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    return attributes
