"""What can go wrong before, and outside of, the requests themselves."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

_PACKAGE = str(Path(__file__).parents[1])


class FastloadError(Exception):
    """Base of every error that fastload raises on purpose.

    ``hint`` says what to do about it, in one sentence, or is empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class PlanError(FastloadError):
    """The run was asked for something impossible; raised before the first request."""


class TargetError(FastloadError):
    """A target that fastload should start, or find, is not there."""


class OutputError(FastloadError):
    """A report or a file could not be written; the run and its other outputs go on."""


class FrameError(FastloadError):
    """Bytes between two processes are not a frame of this wire version."""


class ControlError(FastloadError):
    """A run that is under way did not do what it was asked.

    ``reason``: it refused, it is over, or it did not answer in time.
    """

    def __init__(
        self, message: str, *, hint: str = "", reason: Literal["refused", "over", "timeout"] = "refused"
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def nearest(word: str, candidates: Iterable[str]) -> str:
    """``"did you mean X?"`` for the candidate nearest to *word*, or ``""`` when none is near."""
    found = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else ""


def user_traceback(error: BaseException) -> str:
    """The traceback of *error* without the frames of fastload and of the import system: the user's own lines."""
    report = traceback.TracebackException.from_exception(error)
    nested: traceback.TracebackException | None = report
    while nested is not None:
        own = [frame for frame in nested.stack if not frame.filename.startswith((_PACKAGE, "<frozen "))]
        nested.stack = traceback.StackSummary.from_list(own)
        nested = nested.__cause__ or nested.__context__
    return "".join(report.format()).rstrip()
