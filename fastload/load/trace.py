"""Start times from a file or a list, for the open model that follows a trace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fastload.model.errors import PlanError, nearest
from fastload.model.load_options import TraceSource
from fastload.model.schedule import NS_PER_S


def read_trace(trace: str | Path | Iterable[float], *, folder: str = "") -> TraceSource:
    """The start times of *trace* in seconds after the scenario's start: an iterable, or a file with one a line.

    In a file, what follows a comma or white space, empty lines, and lines that begin with ``#`` are left out. A
    relative path is relative to *folder*. Times need not be in order.

    Raises:
        PlanError: there is no such file, a line has no number, a time is negative, or there is none at all.
    """
    if isinstance(trace, str | Path):
        name, numbers = str(trace), _read_file(Path(folder, trace))
    else:
        name, numbers = "a list", [float(number) for number in trace]
    if not numbers:
        raise PlanError(f"trace {name!r} has no start", hint="write one time in seconds on each line")
    due_s = np.sort(np.array(numbers, dtype=np.float64))
    if not np.isfinite(due_s).all() or due_s[0] < 0:
        raise PlanError(f"trace {name!r} has a time below 0 or not finite", hint="times are seconds after the start")
    return TraceSource(name, np.rint(due_s * NS_PER_S).astype(np.int64))


def _read_file(path: Path) -> list[float]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        beside = [found.name for found in path.parent.glob("*")] if path.parent.is_dir() else []
        reason = getattr(error, "strerror", None) or "it is not text"
        raise PlanError(
            f"trace {str(path)!r} cannot be read: {reason}", hint=nearest(path.name, beside) or "give a text file"
        ) from error
    numbers = []
    for number, line in enumerate(lines, 1):
        first = line.replace(",", " ").split()[:1]
        if first and not first[0].startswith("#"):
            try:
                numbers.append(float(first[0]))
            except ValueError as error:
                raise PlanError(
                    f"trace {path.name}, line {number}: {first[0]!r} is not a number of seconds",
                    hint="write one time in seconds on each line, like 0.25",
                ) from error
    return numbers
