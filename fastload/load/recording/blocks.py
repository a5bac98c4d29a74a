"""Blocks: what does its work in an ``async with``, and nothing without it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

from fastload.load.recording.stall_watch import line_of

notes_makers = False
"""Whether blocks note the line that makes them."""
on_unused: Callable[[Block, FrameType], None] | None = None
"""Function that is called with each block that is thrown away unused, and the frame that throws it away."""


class Block:
    """Base of the blocks. Subclasses set ``_is_entered`` when their block begins, and call `_note_maker` if
    `notes_makers` is set. Both are cheap: blocks are made under load."""

    __slots__ = ("_is_entered", "_maker")
    _is_entered: bool
    _maker: str
    _call = ""
    """The call that makes one, for messages."""

    def __del__(self) -> None:
        try:
            self._is_entered  # noqa: B018 - a look at a slot, which costs the used ones least
        except AttributeError:
            if on_unused is not None:
                on_unused(self, sys._getframe(1))

    def _note_maker(self) -> None:
        self._maker = line_of(sys._getframe(2))

    @property
    def maker(self) -> str:
        """The line of the script that made the block; "" if it was not noted."""
        return getattr(self, "_maker", "")

    @property
    def call(self) -> str:
        """The call that makes such a block, like ``vu.group(...)``."""
        return self._call


def is_unused(block: Block) -> bool:
    """Return whether *block* was never entered."""
    return not hasattr(block, "_is_entered")
