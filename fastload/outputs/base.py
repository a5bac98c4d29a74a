"""The small interface of every output: what the parent tells it, and when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol, runtime_checkable

from fastload.model.errors import OutputError, PlanError
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary


class Output(Protocol):
    """Something that shows a run, or keeps it.

    Constructors do no I/O. All three methods are called from the parent's one thread, which also merges frames
    and watches workers: they must not block and start no threads of their own.

    Raises:
        OutputError: (any method) it could not be written; the run and the other outputs go on.
    """

    def start(self, plan: Plan) -> None:
        """The run begins; called once, after the workers were forked."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """The run as it stands; called about once a second."""

    def stop(self, summary: Summary) -> None:
        """The run is over; called once, also after an interrupt. Every output gets the same summary."""


@runtime_checkable
class RedrawnOutput(Output, Protocol):
    """An output that redraws lines of a terminal, and so writes what others print there."""

    def print_above(self, stream: int, lines: bytes) -> bool:
        """Write *lines* above the lines that are redrawn, and return True; any thread may call this.

        Return False, and write nothing, if *stream* (1 or 2) is not that terminal, or nothing is redrawn now.
        """

    def close(self) -> None:
        """Remove the lines that are redrawn."""


def check_output(output: Any) -> Output:
    """Return *output*, if it has what a run calls.

    Raises:
        PlanError: it has not; the run would end with no result.
    """
    missing = [name for name in ("start", "snapshot", "stop") if not callable(getattr(output, name, None))]
    if missing:
        what = f"outputs has a {type(output).__name__}, which has no method {missing[0]}"
        raise PlanError(what, hint='give objects like fl.Output; files are named by out=["junit=report.xml"]')
    return output  # type: ignore[no-any-return]


@contextmanager
def writing(what: str, last_to: IO[Any] | None = None) -> Iterator[None]:
    """Turn an `OSError` of the block into an `OutputError` about *what*, like ``"the summary"``.

    *last_to* is a stream that gets nothing more: it is muted then, so that what stays in its buffer does not fail
    once more, and change the exit code, when the interpreter closes it.
    """
    try:
        yield
    except OSError as error:
        if last_to is not None:
            mute(last_to)
        reason = error.strerror or str(error)
        raise OutputError(f"{what} could not be written: {reason}", hint=_HINTS.get(type(error), "")) from error


_HINTS: dict[type[OSError], str] = {
    PermissionError: "choose a path that you may write to",
    FileNotFoundError: "was its directory removed during the run?",
}


def mute(stream: Any) -> None:
    """Point *stream*'s descriptor at /dev/null, after its reader went away (``| head``).

    Otherwise what is still buffered raises `BrokenPipeError` once more when the interpreter closes the stream.
    A stream without a descriptor is left alone.
    """
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
