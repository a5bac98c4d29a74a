"""Command handler: carries out commands and keys in a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastload.control.commands.command_queue import Command
from fastload.control.commands.keyboard import KEYS_HELP, KEYS_OF_SEARCH, Action
from fastload.control.steering import Steering
from fastload.model.errors import FastloadError
from fastload.model.units import format_number_of

KEYBOARD = "the keyboard"
Describe = Callable[[], dict[str, Any]]


class CommandHandler:
    """Handler of commands and keys. *status* and *metrics* return the current state and metrics of the run."""

    def __init__(self, steering: Steering, status: Describe, metrics: Describe) -> None:
        self._steering = steering
        self._status = status
        self._metrics = metrics

    def answer(self, command: Command, now_ns: int) -> bool:
        """Carry out *command* and answer it, or refuse it. Return whether it was carried out."""
        try:
            command.answer(self._do(command, now_ns))
        except FastloadError as error:
            command.refuse(error.message, error.hint)
            return False
        return True

    def press(self, action: Action, now_ns: int) -> str:
        """Carry out the action of a key. Return the message to show."""
        if action.name == "help":
            return KEYS_OF_SEARCH if self._steering.is_searched else KEYS_HELP
        try:
            if action.name == "pause-or-resume":
                return self._pause_or_resume(now_ns)
            # A key applies to the whole test: to every scenario that can be scaled.
            names: list[str | None] = [*self._steering.scalable] or [None]
            changed = [self._steering.scale({"scenario": name, "by": action.by}, now_ns, KEYBOARD) for name in names]
        except FastloadError as error:
            return f"{error.message}: {error.hint}" if error.hint else error.message
        return ", ".join(f"{now['name']}: {_amount(now)}" for now in changed)

    def _do(self, command: Command, now_ns: int) -> dict[str, Any]:
        match command.name:
            case "metrics":
                return self._metrics()
            case "scale":
                return self._steering.scale(command.arguments, now_ns, command.who)
            case "pause":
                self._pause(now_ns)
            case "resume":
                self._steering.resume(now_ns)
        return self._status()

    def _pause_or_resume(self, now_ns: int) -> str:
        if self._steering.is_paused:
            self._steering.resume(now_ns)
            return "resumed"
        self._pause(now_ns)
        return "paused: p goes on"

    def _pause(self, now_ns: int) -> None:
        self._steering.check_is_free()
        self._steering.pause(now_ns)


def _amount(now: Mapping[str, Any]) -> str:
    return format_number_of(now["vus"], "VU") if "vus" in now else f"{now['rate_per_s']:g} starts/s"
