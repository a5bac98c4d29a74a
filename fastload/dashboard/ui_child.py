"""The process of a command that `fastload ui` starts: the command itself, which ends gracefully if the ui dies."""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import sys

ARGUMENTS = "FASTLOAD_UI_ARGUMENTS"
"""The variable with the arguments, a list as JSON: the command line of a process can be read by every user."""
_PR_SET_PDEATHSIG = 1


def main(parent_pid: int) -> None:
    """Be ``fastload`` with the arguments in `ARGUMENTS`, which is gone then, and get SIGTERM as soon as the thread of
    process *parent_pid* that started this one is gone."""
    sys.argv[1:] = json.loads(os.environ.pop(ARGUMENTS))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent_pid:
        runpy.run_module("fastload", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
