"""Consoles for a terminal, and for streams that are none: a pipe, a file, a CI log, an ASCII-only stream."""

from __future__ import annotations

import os
from typing import IO

from rich.console import Console, ConsoleDimensions

from fastload.outputs.base import Output, mute
from fastload.outputs.terminal.live import LiveBlock
from fastload.outputs.terminal.plain_lines import PlainLines


class QuietConsole(Console):
    """A console that prints nothing more after its pipe was closed; rich's own console ends the process then."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """The size of the console. rich asks the standard streams, which may lead elsewhere during a run."""
        found = super().size
        if self.is_dumb_terminal or not {"COLUMNS", "LINES"}.isdisjoint(self._environ):
            return found
        try:
            width, height = os.get_terminal_size(self.file.fileno())
        except (OSError, ValueError):
            return found
        return ConsoleDimensions(self._width or width or found.width, self._height or height or found.height)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        mute(self._file)


def open_console(stream: IO[str], *, color: bool | None = None, width: int | None = None) -> Console:
    """Return a console for *stream*.

    *color* None: colours if the stream is a terminal and NO_COLOR is not set. *width* None: the width of the terminal.
    """
    return QuietConsole(
        file=stream,
        width=width,
        color_system="standard" if color else "auto",
        no_color=None if color is None else not color,
        highlight=False,
        markup=False,
        emoji=False,
    )


def progress_output(console: Console) -> Output:
    """Return the output that shows the progress: `LiveBlock` if the terminal can redraw lines, otherwise `PlainLines`.

    The function also calls ``isatty`` of the stream, because with FORCE_COLOR rich reports a CI log as a terminal.
    """
    if console.is_terminal and not console.is_dumb_terminal and console.file.isatty():
        return LiveBlock(console)
    return PlainLines(console)
