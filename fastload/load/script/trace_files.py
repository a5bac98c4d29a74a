"""Start times from a file or an iterable, for the executor "trace" (open model)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fastload.model.bounded_read import read_bounded
from fastload.model.errors import PlanError, nearest
from fastload.model.file_text import utf8_text
from fastload.model.load_options import TraceSource
from fastload.model.names import as_text
from fastload.model.schedule import NS_PER_S

_LONGEST_S = 365 * 86_400.0


def read_trace(trace: str | Path | Iterable[float], *, folder: str = "") -> TraceSource:
    """Read start times, in seconds after the scenario's start, from an iterable, or from a file with one per line.

    In a file, text after a comma or white space, empty lines, and lines that begin with ``#`` are ignored. A relative
    path is relative to *folder*. The times need not be sorted.

    Raises:
        PlanError: the file cannot be read, a value is not a number, a time is negative or beyond a year, or there are
            no times.
    """
    if isinstance(trace, str | Path):
        source = as_text(trace, "trace")
        numbers = _read_file(Path(folder, source))
    else:
        if isinstance(trace, bytes | bytearray):
            raise PlanError(f"trace is a {type(trace).__name__}", hint='write trace="starts.csv" or trace=[0, 0.5, 2]')
        source = "a list"
        numbers = [_seconds(number, f"trace, entry {entry}") for entry, number in enumerate(trace, 1)]
    if not numbers:
        raise PlanError(f"trace {source!r} has no start", hint="write one time in seconds on each line")
    due_s = np.sort(np.array(numbers, dtype=np.float64))
    return TraceSource(source, np.rint(due_s * NS_PER_S).astype(np.int64))


def _read_file(path: Path) -> list[float]:
    try:
        data = read_bounded(path)
    except (OSError, ValueError) as error:
        beside = (
            [found.name for found in path.parent.glob("*") if found.name != path.name] if path.parent.is_dir() else []
        )
        reason = getattr(error, "strerror", None) or error
        raise PlanError(
            f"trace {str(path)!r} cannot be read: {reason}", hint=nearest(path.name, beside) or "give a text file"
        ) from error
    lines = utf8_text(data, f"trace {str(path)!r}").splitlines()
    firsts = (line.replace(",", " ").split()[:1] for line in lines)
    return [
        _seconds(first[0], f"trace {path.name}, line {number}")
        for number, first in enumerate(firsts, 1)
        if first and not first[0].startswith("#")
    ]


def _seconds(given: float | str, where: str) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"{where}: {given!r} is not a number of seconds", hint="write one time in seconds, like 0.25"
        ) from error
    if not 0 <= seconds <= _LONGEST_S:
        raise PlanError(
            f"{where}: {given!r} is not a time of a test", hint="times are seconds after the start: 0 up to a year"
        )
    return seconds
