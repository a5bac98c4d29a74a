"""Consoles that write to memory."""

from __future__ import annotations

import io

from rich.console import Console

from fastload.outputs.terminal.console import open_console


class FakeTerminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def memory_console(width: int = 80, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    """A console of *width* and what is written to it."""
    stream = FakeTerminal() if terminal else io.StringIO()
    return open_console(stream, width=width), stream
