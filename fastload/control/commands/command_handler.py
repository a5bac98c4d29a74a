"""What a run answers to commands and keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastload.control.commands.command_queue import Command
from fastload.control.commands.keyboard import KEYS_HELP, Action
from fastload.control.steering import Steering
from fastload.model.errors import FastloadError
from fastload.model.units import format_number_of

Describe = Callable[[], dict[str, Any]]


class CommandHandler:
    """Steers the run as commands and keys want it. *status* and *metrics* tell how it stands."""

    def __init__(self, steering: Steering, status: Describe, metrics: Describe) -> None:
        self._steering = steering
        self._status = status
        self._metrics = metrics

    def answer(self, command: Command, now_ns: int) -> bool:
        """Do what *command* asks for, or refuse it; whether it was done."""
        try:
            command.answer(self._do(command, now_ns))
        except FastloadError as error:
            command.refuse(error.message, error.hint)
            return False
        return True

    def press(self, action: Action, now_ns: int) -> str:
        """Do what a key asks for; what to tell whoever pressed it."""
        if action.name == "help":
            return KEYS_HELP
        try:
            if action.name == "pause-or-resume":
                return self._pause_or_resume(now_ns)
            # Who presses a key means the whole test.
            names: list[str | None] = [*self._steering.scalable] or [None]
            changed = [self._steering.scale({"scenario": name, "by": action.by}, now_ns) for name in names]
        except FastloadError as error:
            return f"{error.message}: {error.hint}" if error.hint else error.message
        return ", ".join(f"{now['name']}: {_amount(now)}" for now in changed)

    def _do(self, command: Command, now_ns: int) -> dict[str, Any]:
        match command.name:
            case "metrics":
                return self._metrics()
            case "scale":
                return self._steering.scale(command.arguments, now_ns)
            case "pause":
                self._steering.pause(now_ns)
            case "resume":
                self._steering.resume(now_ns)
        return self._status()

    def _pause_or_resume(self, now_ns: int) -> str:
        if self._steering.is_paused:
            self._steering.resume(now_ns)
            return "resumed"
        self._steering.pause(now_ns)
        return "paused: p goes on"


def _amount(now: Mapping[str, Any]) -> str:
    return format_number_of(now["vus"], "VU") if "vus" in now else f"{now['rate_per_s']:g} starts/s"
