"""Standard streams: who has stdout for itself, and those that are closed or full, for which no command fails."""

from __future__ import annotations

import os
import sys

from fastload.model.errors import PlanError
from fastload.outputs.base import mute
from fastload.outputs.files import keep_stdout


def fill_standard_streams() -> None:
    """Have /dev/null for each standard stream that the shell closed (``2>&-``): what is printed goes nowhere then, and
    no socket of the run gets its number. `sys.__stdout__` is None still, for who has data to write there."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None and not _is_open(fd):
            null = os.open(os.devnull, os.O_RDWR)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)
            os.set_inheritable(fd, True)
            setattr(sys, name, open(fd, "r" if fd == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def claim_stdout(option: str) -> None:
    """Have stdout for what *option* writes there, and for nothing else (see `keep_stdout`).

    Raises:
        PlanError: it is closed.
    """
    if sys.__stdout__ is None:
        raise PlanError(f"{option} would go to stdout, which is closed", hint="write it to a file")
    keep_stdout()


def tell(text: str) -> None:
    """Say *text* on stderr, if it can be said: a run does not end, or fail, because nobody hears it."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        mute(sys.stderr)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
