"""Keyboard control of a run: reads keys from the terminal in cbreak mode, and always restores the terminal's mode."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import threading
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any, Literal, NamedTuple

KEYS_HELP = "w +1, W +10, s -1, S -10 VUs or starts/s; p pause; Ctrl-C stop"
"""Help text of the keys: with its label, on one line of 80 columns."""
KEYS_OTHER = "p pause, ? help, Ctrl-C stop"
"""The keys that act on the whole run, in short."""
KEYS_OF_SEARCH = "Ctrl-C stop"
"""The keys of a capacity search, which sets the load by itself."""


def keys_hint(scalable: Mapping[str, bool]) -> str:
    """Return the text about the keys that is shown before the first of them is pressed.

    *scalable* has the scenarios on which the keys that change the load act; the value is True if its load is a rate.
    """
    kinds = {"starts/s" if is_rate else "VUs" for is_rate in scalable.values()}
    scale = f", w s W S: +1 -1 +10 -10 {' or '.join(sorted(kinds))} of {', '.join(scalable)}" if scalable else ""
    return KEYS_OTHER + scale


_READ_BYTES = 1024
# Cursor and function keys send several bytes, and some of these bytes are letters.
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)


class Action(NamedTuple):
    """Action of a key. *by*: the change of VUs or of starts per second, for ``scale``."""

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


def actions_of(keys: bytes) -> list[Action]:
    """Return the actions of *keys*, in order. Other keys have none."""
    return [_ACTIONS[key] for key in _ESCAPES.sub(b"", keys) if key in _ACTIONS]


class Keyboard:
    """Keyboard on standard input, read for the length of a ``with`` block.

    It works only if standard input is the terminal of this process and the main thread enters the block: only the main
    thread can catch Ctrl-Z. Enter the block after the fork: a worker must not inherit the signal handler.

    While the process is in the background, it does not touch the terminal. Call `take` about once a second even if
    `fd` is not readable: `take` detects that the process is in the foreground again.
    """

    def __init__(self) -> None:
        self._terminal = -1
        self._poller: select.epoll | None = None
        self._before: list[Any] = []
        self._ours: list[Any] = []
        self._catches_suspend = False
        self._listening = False

    @staticmethod
    def has_terminal() -> bool:
        """Whether standard input is the terminal of this process, whose keys a keyboard reads."""
        return _own_terminal() is not None

    @property
    def fd(self) -> int | None:
        """Descriptor that is readable while a key waits; None without a keyboard."""
        return None if self._poller is None else self._poller.fileno()

    def __enter__(self) -> Keyboard:
        terminal = _own_terminal()
        if terminal is not None and threading.current_thread() is threading.main_thread():
            self._terminal = terminal
            self._before = termios.tcgetattr(terminal)
            self._ours = _cbreak(self._before)
            # A separate poller: while another process has the terminal, input there must not wake the run.
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
        """Return the actions of the keys pressed since the last call, in order. Ignore other keys."""
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
            # The terminal is gone: treat it like the background.
            self._ignore()
        return actions_of(keys)

    def _resume(self) -> None:
        """Set cbreak mode and listen to keys: at first, and after another process had the terminal."""
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
        # The kernel stops a background process that sets the mode, and that would change the mode of another process.
        if _is_foreground(self._terminal):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        """Handle Ctrl-Z: restore the terminal and stop the process. After ``fg`` it continues here."""
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)
        if _is_foreground(self._terminal):
            self._resume()


def _own_terminal() -> int | None:
    """Return the descriptor of standard input if it is a terminal and this process is in its foreground, else None."""
    try:
        terminal = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return terminal if os.isatty(terminal) and _is_foreground(terminal) else None


def _is_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        # The terminal belongs to another session, or is gone.
        return False


def _cbreak(before: list[Any]) -> list[Any]:
    """Return cbreak mode: each key is read at once and without echo. Ctrl-C, Ctrl-Z and line ends work as *before*."""
    attributes = [*before[:6], list(before[6])]
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    return attributes
