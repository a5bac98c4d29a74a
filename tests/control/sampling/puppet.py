"""A process that tests tell what to do: burn CPU time, fork, hold memory and sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

DEADLINE_S = 30.0

PUPPET = """
import os, signal, socket, sys, threading, time

def burn(cpu_s):
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        pass

def fork(cpu_s=0, then=signal.pause):
    pid = os.fork()
    if pid == 0:
        burn(cpu_s)
        then()
        os._exit(0)
    return pid

def fork_ready(cpu_s):
    # Returns once the child has used its CPU time; the child stays.
    reader, writer = os.pipe()
    pid = fork(cpu_s, lambda: (os.write(writer, b"."), signal.pause()))
    os.read(reader, 1)
    return pid

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

def spin():
    while True:
        pass

print("ready", flush=True)
for line in sys.stdin:
    result = None
    exec(line)
    print(result, flush=True)
"""


class Puppet:
    """A process of its own that runs one line of code at a time."""

    def __init__(self, *arguments: str, executable: str | None = None) -> None:
        self.process = subprocess.Popen(
            arguments or [sys.executable, "-c", PUPPET],
            executable=executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert self._answer() == "ready"
        except AssertionError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self.process.pid

    def do(self, line: str) -> str:
        """Returns once the line has run, with what it assigned to ``result``."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        # Its session holds all that it forked, also what outlived its own parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        assert self.process.stdin
        assert self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(DEADLINE_S)
