"""The process of a run that `fastload ui` starts: the command itself, which ends gracefully if the ui dies."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent_pid: int) -> None:
    """Be ``fastload ARGUMENTS``, and get SIGTERM as soon as the thread of process *parent_pid* that started this one
    is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent_pid:
        runpy.run_module("fastload", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv.pop(1)))
