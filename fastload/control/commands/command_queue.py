"""What others ask of a run that is under way: a mailbox between their threads and the coordinator's."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.errors import ControlError, nearest
from fastload.model.load_models import MOST_VUS

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "status": (),
    "metrics": (),
    "pause": (),
    "resume": (),
    "scale": ("scenario", "vus", "rate", "by"),
    "stop": ("now",),
}
"""The names of all commands, each with its arguments."""
AMOUNTS = ("vus", "rate", "by")
"""The arguments of ``scale`` of which one must be there."""

_OVER = "the run is over"


class Command:
    """One question to the run. The coordinator answers or refuses it, once; anything after that counts for nothing."""

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.name = name
        self.arguments = arguments
        self._settled = threading.Event()
        self._answer: dict[str, Any] = {}
        self._refusal: ControlError | None = None

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Do what was asked first, then say so: *answer* goes to the one who asked."""
        if not self._settled.is_set():
            self._answer = dict(answer)
            self._settled.set()

    def refuse(self, message: str, hint: str = "") -> None:
        """Have the one who asked get a `ControlError`."""
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
    """The mailbox: any thread asks, the coordinator's takes.

    Nothing is opened before `fd` is asked for. `close` belongs to whoever made it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Command] = []
        self._unanswered: list[Command] = []
        self._fd: int | None = None
        self._closed = False

    @property
    def fd(self) -> int:
        """Readable while something waits to be taken; for the coordinator.

        Raises:
            ControlError: the mailbox is closed.
        """
        with self._lock:
            if self._closed:
                raise ControlError(_OVER, reason="over")
            if self._fd is None:
                self._fd = os.eventfd(int(bool(self._waiting)), os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            return self._fd

    def ask(self, name: str, /, *, timeout_s: float = 10.0, **arguments: Any) -> dict[str, Any]:
        """The run's answer to command *name*; waits for it, so never from the coordinator's own thread.

        What is not answered in time is not done later, unless the coordinator had begun with it.

        Raises:
            ControlError: no such command or argument, or it was refused; the run is over; *timeout_s* passed.
        """
        command = Command(name, check_command(name, arguments))
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
        """What was asked since the last call, oldest first."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._quieten()
        return taken

    def close(self) -> None:
        """Refuse what is not answered yet, and everything from now on. May be repeated."""
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
                    self._quieten()

    def _quieten(self) -> None:
        """Nothing waits any more: make the descriptor say so."""
        if self._fd is not None:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:
                return


def check_command(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """*arguments* without those that are None, ``now`` filled in; whether they fit the run is for the run to say.

    Raises:
        ControlError: no such command, no such argument, one of a wrong type, or ``scale`` without exactly one amount.
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
    if name == "stop":
        given.setdefault("now", False)
    amounts = [argument for argument in AMOUNTS if argument in given]
    if name == "scale" and len(amounts) != 1:
        found = f"{' and '.join(amounts)} exclude each other" if amounts else "nothing says how far"
        raise ControlError(f"scale: {found}", hint="give one of vus, rate or by")
    return given


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_rate(value: Any) -> bool:
    return isinstance(value, str) or _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "scenario": ("the name of a scenario", lambda value: isinstance(value, str)),
    "vus": ("a whole number of VUs, 0 or more", lambda value: _is_whole(value) and value >= 0),
    "rate": ('a rate like 500 or "1k/s"', _is_rate),
    "by": ("a whole number, like 10 or -10", _is_whole),
    "now": ("true or false", lambda value: isinstance(value, bool)),
}
