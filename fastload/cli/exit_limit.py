"""Limit of the exit: nothing of a script keeps the process from ending once its results are complete."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time

from fastload.cli.script import MODULE_NAME
from fastload.cli.standard_streams import write_stderr

EXIT_S = 5.0


def limit_exit(code: int) -> None:
    """End this process with exit code *code* if it has not ended `EXIT_S` from now; only after a script was loaded.

    Python waits without a bound for threads that are no daemons, and for functions registered with `atexit`.
    """
    for stream in (sys.stdout, sys.stderr):
        # Who reads them may take any time: only what comes after this is limited.
        with contextlib.suppress(Exception):
            stream.flush()
    if MODULE_NAME in sys.modules:
        threading.Thread(target=_end, args=(code,), name="fastload-exit", daemon=True).start()


def _end(code: int) -> None:
    time.sleep(EXIT_S)
    threads = [one.name for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    what = f"the thread {threads[0]}" if threads else "a function of atexit"
    write_stderr(f"Warning: the process was ended, because {what} of the script did not end within {EXIT_S:g} s")
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(code)
