"""Standard streams: reserves stdout for data, and lets no command fail because a stream is closed or full."""

from __future__ import annotations

import os
import sys

from fastload.model.errors import PlanError
from fastload.outputs.base import mute
from fastload.outputs.files import reserve_stdout


def fill_standard_streams() -> None:
    """Open /dev/null for each standard stream that the shell closed (``2>&-``).

    Printed text is then discarded, and no socket of the run gets the descriptor of a standard stream.
    `sys.__stdout__` stays None, so that code with data for stdout can detect the closed stream.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None and not _is_open(fd):
            null = os.open(os.devnull, os.O_RDWR)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)
            os.set_inheritable(fd, True)
            setattr(sys, name, open(fd, "r" if fd == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def claim_stdout(option: str) -> None:
    """Reserve stdout for the data of *option*; everything else that is printed goes to stderr (see `reserve_stdout`).

    Raises:
        PlanError: stdout is closed.
    """
    if sys.__stdout__ is None:
        raise PlanError(f"{option} would go to stdout, which is closed", hint="write it to a file")
    reserve_stdout()


def write_stderr(text: str) -> None:
    """Write *text* to stderr. Ignore an error, so that a run does not fail because nobody reads stderr."""
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
