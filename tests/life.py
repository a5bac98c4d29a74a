"""Whole tests run by the command against nginx: what they sent, what they said, and that they leave nothing behind."""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import Nginx, cli_command, cli_env, wait_until

_REQUEST = re.compile(r'"[A-Z]+ (\S+) HTTP')


@dataclass
class Outcome:
    """A run that is over: its exit code, what it printed, and its summary. *paths* are those of its requests, in the
    order in which the server answered."""

    code: int
    stdout: str
    stderr: str
    summary: dict[str, Any]
    paths: list[str]

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.paths)

    def at(self, start: str) -> int:
        """How many requests there were whose path begins with *start*."""
        return sum(path.startswith(start) for path in self.paths)

    def metric(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.summary["metrics"][name]
        return found


class Life:
    """Runs scripts in *folder*. Each run has a mark in its environment, by which its processes are found, and a
    folder of its own for temporary files."""

    def __init__(self, nginx: Nginx, folder: Path) -> None:
        self.nginx = nginx
        self.folder = folder
        self._mark = secrets.token_hex(8)
        self._temporary = folder / "temporary"
        self._temporary.mkdir()
        self._process: subprocess.Popen[str] | None = None
        self._skip = 0
        self._is_nginx_used = True

    def run(self, script: str, *args: str, command: str = "run", **env: str) -> Outcome:
        """The whole life of a test."""
        self.start(script, *args, command=command, **env)
        return self.finish()

    def start(self, script: str, *args: str, command: str = "run", **env: str) -> int:
        """Begin it, with ``fastload run`` or another command that takes a script; its process id."""
        (self.folder / "script.py").write_text(script)
        (self.folder / "summary.json").unlink(missing_ok=True)
        self._skip = self.nginx.wait_requests(0)
        self._is_nginx_used = "--base-url" not in args
        base = ["--base-url", self.nginx.url] if self._is_nginx_used else []
        workers = [] if "-w" in args else ["-w", "1"]
        self._process = subprocess.Popen(
            cli_command(command, "script.py", *args, *base, *workers, "-q", "--summary", "summary.json"),
            cwd=self.folder,
            env=cli_env(LIFE=self._mark, TMPDIR=str(self._temporary), **env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self._process.pid

    def signal(self, number: signal.Signals = signal.SIGINT) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def finish(self) -> Outcome:
        """Wait for its end, and for nginx to have logged what it was sent; it was sent nothing if there is
        another base URL."""
        assert self._process is not None
        stdout, stderr = self._process.communicate(timeout=60)
        file = self.folder / "summary.json"
        summary = json.loads(file.read_text()) if file.exists() else {}
        sent = summary["requests"]["started"] - summary["requests"]["interrupted"] if summary else 0
        self.nginx.wait_requests(self._skip + sent if self._is_nginx_used else 0)
        return Outcome(self._process.returncode, stdout, stderr, summary, self.paths())

    def paths(self) -> list[str]:
        """Of the requests that were answered since the start."""
        lines = self.nginx.access_log.read_text().splitlines()[self._skip :]
        return [found[1] for line in lines if (found := _REQUEST.search(line))]

    def wait_for(self, path: str, times: int = 1) -> None:
        """Until the server has answered that."""
        process = self._process
        assert process is not None
        wait_until(lambda: self.paths().count(path) >= times or process.poll() is not None)
        assert self.paths().count(path) >= times, process.communicate()

    def wait_for_file(self, name: str) -> None:
        """Until the script has made that file in the folder."""
        process = self._process
        assert process is not None
        wait_until(lambda: (self.folder / name).exists() or process.poll() is not None)
        assert (self.folder / name).exists(), process.communicate()

    def left(self) -> list[str]:
        """What is there that the runs made: processes, temporary files."""
        return [
            *(f"{one.pid}: {one.name()}" for one in self._processes()),
            *(path.name for path in self._temporary.iterdir()),
        ]

    def close(self) -> None:
        """End what a failed test left."""
        for process in self._processes():
            process.kill()
        if self._process is not None:
            self._process.communicate(timeout=60)

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LIFE") == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found
