"""The child process of `fastload ui`: runs one fastload command, which ends gracefully if the ui dies."""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import sys

ARGUMENTS = "FASTLOAD_UI_ARGUMENTS"
"""The environment variable with the arguments as a JSON list. Every user can read a process's command line."""
_PR_SET_PDEATHSIG = 1


def main(parent_pid: int) -> None:
    """Run ``fastload`` with the arguments in `ARGUMENTS`, and remove that variable from the environment.

    This process gets SIGTERM as soon as the thread of process *parent_pid* that started it ends.
    """
    sys.argv[1:] = json.loads(os.environ.pop(ARGUMENTS))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent_pid:
        runpy.run_module("fastload", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
