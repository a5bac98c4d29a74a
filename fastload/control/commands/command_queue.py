"""Command queue: passes commands from other threads to the coordinator's thread, and the answers back."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.errors import ControlError, nearest
from fastload.model.load_models import MOST_VUS
from fastload.model.plain_numbers import as_flag, as_plain, as_whole

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "status": (),
    "metrics": (),
    "pause": (),
    "resume": (),
    "scale": ("scenario", "vus", "rate", "by"),
    "stop": ("now",),
}
"""The names of all commands, each with the names of its arguments."""
AMOUNTS = ("vus", "rate", "by")
"""The arguments of ``scale`` of which exactly one must be given."""

_OVER = "the run is over"


class Command:
    """Command to a run, from *who*. The coordinator answers or refuses it once; later answers have no effect."""

    def __init__(self, name: str, arguments: Mapping[str, Any], who: str) -> None:
        self.name = name
        self.arguments = arguments
        self.who = who
        self._settled = threading.Event()
        self._answer: dict[str, Any] = {}
        self._refusal: ControlError | None = None

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Give *answer* to the caller of `CommandQueue.ask`. Carry out the command before this call."""
        if not self._settled.is_set():
            self._answer = dict(answer)
            self._settled.set()

    def refuse(self, message: str, hint: str = "") -> None:
        """Refuse the command: the caller of `CommandQueue.ask` gets a `ControlError`."""
        self._refuse(ControlError(message, hint=hint))

    def _refuse(self, error: ControlError) -> None:
        if not self._settled.is_set():
            self._refusal = error
            self._settled.set()

    def _wait(self, timeout_s: float) -> dict[str, Any]:
        if not self._settled.wait(timeout_s):
            raise ControlError(
                f"the run did not answer within {timeout_s:g} s",
                hint="it may be busy or stopped (Ctrl-Z): ask again",
                reason="timeout",
            )
        if self._refusal is not None:
            raise self._refusal
        return self._answer


class CommandQueue:
    """Queue of commands: any thread calls `ask`, the coordinator's thread calls `take`.

    The first use of `fd` opens the descriptor. The creator of the queue must call `close`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Command] = []
        self._unanswered: list[Command] = []
        self._fd: int | None = None
        self._closed = False

    @property
    def fd(self) -> int:
        """Descriptor that is readable while a command waits; for the coordinator.

        Raises:
            ControlError: the queue is closed.
        """
        with self._lock:
            if self._closed:
                raise ControlError(_OVER, reason="over")
            if self._fd is None:
                self._fd = os.eventfd(int(bool(self._waiting)), os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            return self._fd

    def ask(
        self, name: str, /, *, timeout_s: float = 10.0, who: str = "the program", **arguments: Any
    ) -> dict[str, Any]:
        """Send command *name*, wait for the run's answer, and return it. Never call this in the coordinator's thread.

        *who* is by what way it came, for the reports of the run.

        A command that times out is not carried out later, unless the coordinator has taken it already.

        Raises:
            ControlError: no such command or argument, the run refused it, the run is over, or *timeout_s* passed.
        """
        command = Command(name, check_command(name, arguments), who)
        with self._lock:
            if self._closed:
                raise ControlError(_OVER, reason="over")
            self._unanswered.append(command)
            self._waiting.append(command)
            if self._fd is not None and len(self._waiting) == 1:
                os.eventfd_write(self._fd, 1)
        try:
            return command._wait(timeout_s)
        finally:
            self._forget(command)

    def take(self) -> list[Command]:
        """Return the commands since the last call, oldest first."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._clear_fd()
        return taken

    def close(self) -> None:
        """Refuse the commands that have no answer yet, and all later ones. May be called again."""
        with self._lock:
            self._closed = True
            unanswered, self._unanswered, self._waiting = self._unanswered, [], []
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        for command in unanswered:
            command._refuse(ControlError(_OVER, reason="over"))

    def _forget(self, command: Command) -> None:
        with self._lock:
            if command in self._unanswered:
                self._unanswered.remove(command)
            if command in self._waiting:
                self._waiting.remove(command)
                if not self._waiting:
                    self._clear_fd()

    def _clear_fd(self) -> None:
        """Make the descriptor unreadable, because no command waits any more."""
        if self._fd is not None:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:
                return


def check_command(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check *arguments* and return them without those that are None, and with ``now`` filled in.

    The run itself checks whether they fit its scenarios.

    Raises:
        ControlError: no such command or argument, a wrong type, too many VUs, or ``scale`` without exactly one amount.
    """
    if name not in COMMANDS:
        raise ControlError(
            f"there is no command {name!r}", hint=nearest(name, COMMANDS) or f"one of: {', '.join(COMMANDS)}"
        )
    known = COMMANDS[name]
    for argument in arguments:
        if argument not in known:
            hint = nearest(argument, known) or (f"it takes {', '.join(known)}" if known else "it takes none")
            raise ControlError(f"{name} has no argument {argument!r}", hint=hint)
    given = {argument: value for argument, value in arguments.items() if value is not None}
    for argument, value in given.items():
        wanted, is_right = _TYPES[argument]
        if not is_right(value):
            raise ControlError(f"{name}: {argument} {value!r} is not {wanted}")
        if argument in ("vus", "by") and value > MOST_VUS:
            raise ControlError(f"{name}: {argument} {value:,} is more than {MOST_VUS:,}", hint="check its digits")
    given = {argument: as_plain(value) for argument, value in given.items()}
    if name == "stop":
        given.setdefault("now", False)
    amounts = [argument for argument in AMOUNTS if argument in given]
    if name == "scale" and len(amounts) != 1:
        found = f"{' and '.join(amounts)} exclude each other" if amounts else "nothing says how far"
        raise ControlError(f"scale: {found}", hint="give one of vus, rate or by")
    return given


def _is_whole(value: Any) -> bool:
    return as_whole(value) is not None


def _is_rate(value: Any) -> bool:
    return isinstance(value, str) or _is_whole(value) or (isinstance(as_plain(value), float) and math.isfinite(value))


_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "scenario": ("the name of a scenario", lambda value: isinstance(value, str)),
    "vus": ("a whole number of VUs, 0 or more", lambda value: _is_whole(value) and value >= 0),
    "rate": ('a rate like 500 or "1k/s"', _is_rate),
    "by": ("a whole number, like 10 or -10", _is_whole),
    "now": ("true or false", lambda value: as_flag(value) is not None),
}
