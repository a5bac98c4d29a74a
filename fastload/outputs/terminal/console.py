"""The way to a terminal, or to what stands in for one: a pipe, a file, a CI log, an ASCII-only stream."""

from __future__ import annotations

from typing import IO

from rich.console import Console

from fastload.outputs.base import Output, mute
from fastload.outputs.terminal.live import LiveBlock
from fastload.outputs.terminal.plain_lines import PlainLines


class QuietConsole(Console):
    """A console that falls silent when its reader goes away, where rich's own ends the process."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        mute(self._file)


def open_console(stream: IO[str], *, color: bool | None = None, width: int | None = None) -> Console:
    """A console on *stream*. *color* None: when it is a terminal and NO_COLOR is not set; *width* None: its own."""
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
    """What shows a run while it lasts: a live block where lines can be redrawn, plain lines elsewhere.

    The stream itself is asked as well, because FORCE_COLOR makes rich take a CI log for a terminal.
    """
    if console.is_terminal and not console.is_dumb_terminal and console.file.isatty():
        return LiveBlock(console)
    return PlainLines(console)
