"""Errors of fastload itself (failed requests are counted, not raised), and helpers for error messages."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Literal

from fastload.model.redaction import shortened

_PACKAGE = str(Path(__file__).parents[1])
# Limit of a message: it may quote what somebody passed, of any length, and still has to be read.
_LONGEST_NAME = 200


class FastloadError(Exception):
    """Base of every error that fastload raises on purpose.

    ``message`` says what is wrong. ``hint`` is one sentence that says what to do about the error, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message, self.hint = shortened(message), shortened(hint)
        super().__init__(self.message)


class PlanError(FastloadError):
    """The settings of a run are wrong or impossible; raised before the first request."""


class TargetError(FastloadError):
    """A target cannot be started or found."""


class OutputError(FastloadError):
    """A report or a file could not be written; the run and its other outputs go on."""


class FrameError(FastloadError):
    """Bytes from another process are not a frame of this wire version."""


class ControlError(FastloadError):
    """A run did not carry out a command.

    ``reason``: "refused" (the run refused the command), "over" (the run has ended), or "timeout" (the run did not
    answer in time).
    """

    def __init__(
        self, message: str, *, hint: str = "", reason: Literal["refused", "over", "timeout"] = "refused"
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return ``"did you mean 'X'?"`` with the candidate most similar to *word*, or ``""`` when none is similar."""
    if len(word) > _LONGEST_NAME:
        return ""
    found = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else ""


def nearest_file(name: str, files: Iterable[str]) -> str:
    """Return the same as `nearest` for names of files, whose endings do not count: all scripts have the same."""
    beside: dict[str, list[str]] = {}
    for file in files:
        beside.setdefault(PurePath(file).stem, []).append(file)
    stems = difflib.get_close_matches(PurePath(name).stem, beside, n=1) if len(name) <= _LONGEST_NAME else []
    found = difflib.get_close_matches(name, beside[stems[0]], n=1, cutoff=0) if stems else []
    return f"did you mean {found[0]!r}?" if found else ""


def text_of_error(error: BaseException) -> str:
    """Return the message of *error*, also of one of a script whose message cannot be made."""
    try:
        return str(error)
    except Exception as other:
        return f"(its message cannot be made: {type(other).__name__})"


def begins_in_fastload(error: BaseException) -> bool:
    """Whether the outermost frame of *error* is fastload's own, as in a callback that it gave to the event loop.

    Frames of the event loop do not count: uvloop adds those of its C code.
    """
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    return next((file.startswith(_PACKAGE) for file in files if not file.startswith("uvloop/")), False)


def ends_in_fastload(error: BaseException) -> bool:
    """Whether the innermost frame of *error* is fastload's own, and not one of a value that it was given."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(files) and files[-1].startswith(_PACKAGE)


def worker_traceback(error: BaseException) -> str:
    """Return `user_traceback`; of an error without a line of the user's, a defect of fastload, all frames."""
    report = user_traceback(error)
    if isinstance(error, FastloadError) or "\n  File " in report:
        return report
    return shortened("".join(traceback.format_exception(error)).rstrip())


def user_traceback(error: BaseException) -> str:
    """Return the traceback of *error* with the user's own lines: without frames of fastload and the import system."""
    report = traceback.TracebackException.from_exception(error)
    nested: traceback.TracebackException | None = report
    while nested is not None:
        own = [frame for frame in nested.stack if not frame.filename.startswith((_PACKAGE, "<frozen "))]
        nested.stack = traceback.StackSummary.from_list(own)
        nested = nested.__cause__ or nested.__context__
    return shortened("".join(report.format()).rstrip())
