"""The command, and programs that use the library, in processes that have imported them already.

To import them takes longer than most commands of tests take, on a busy machine much longer. Here one process imports
them, and forks for each command (the "forkserver" of `multiprocessing`). What only a fresh process shows, such as what
it imports, and all that goes by its command line or environment, is for tests that start one with `subprocess`.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_COMMANDS = ("bench", "capacity", "compare", "main", "new", "plan", "report", "run")
_CONTEXT.set_forkserver_preload(["fastload.runner", *(f"fastload.cli.{name}" for name in _COMMANDS)])
# `multiprocessing` looks after all of its processes whenever it starts one: no other thread may do so meanwhile.
_ONE_AT_A_TIME = threading.Lock()


def run_preloaded(
    command: list[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` that captures text, without a standard input.

    *command* is Python with ``-m fastload`` and arguments, or with ``-c`` and a program.
    """
    end_s = time.monotonic() + timeout_s
    pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(2)]
    process = _CONTEXT.Process(target=_become, args=(command, str(cwd), dict(env), *(theirs for _, theirs in pipes)))
    with _ONE_AT_A_TIME:
        process.start()
    for _, theirs in pipes:
        theirs.close()
    said = _read([ours for ours, _ in pipes], end_s)
    while (code := _exit_code(process)) is None:
        if time.monotonic() > end_s:
            process.kill()
            raise subprocess.TimeoutExpired(command, timeout_s, *said)
        time.sleep(0.005)
    with _ONE_AT_A_TIME:
        process.join()
        process.close()
    return subprocess.CompletedProcess(command, code, *(text.decode() for text in said))


def _exit_code(process: multiprocessing.process.BaseProcess) -> int | None:
    with _ONE_AT_A_TIME:
        return process.exitcode


def _read(pipes: list[Connection], end_s: float) -> list[bytes]:
    """All that comes from each, until it ends or the time is over."""
    found = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as ready:
        for pipe in pipes:
            ready.register(pipe, selectors.EVENT_READ, pipe)
        while ready.get_map() and (left_s := end_s - time.monotonic()) > 0:
            for key, _ in ready.select(left_s):
                if data := os.read(key.fd, 65_536):
                    found[key.data] += data
                else:
                    ready.unregister(key.fileobj)
    for pipe in pipes:
        pipe.close()
    return list(found.values())


def _become(command: list[str], cwd: str, env: dict[str, str], stdout: Connection, stderr: Connection) -> None:
    """In the forked process: do what *command* does in a fresh one."""
    for number, pipe in ((1, stdout), (2, stderr)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    if env.get("PYTHONWARNINGS"):
        warnings.simplefilter(env["PYTHONWARNINGS"])  # type: ignore[arg-type]
    _, option, what, *args = command
    sys.path[:0] = [cwd if option == "-m" else "", *env.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv = [what if option == "-m" else option, *args]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if option == "-m":
        from fastload.cli.main import main as command_line

        command_line(args)
    exec(compile(what, "<string>", "exec"), main.__dict__)
