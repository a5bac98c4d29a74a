"""`fastload run --dashboard` as a process."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DEADLINE_S, answers, cli_command, cli_env


class Run:
    """A `fastload run --dashboard` under way, and where its dashboard is."""

    def __init__(self, folder: Path, base_url: str, *args: str, script: str, **env: str) -> None:
        (folder / "script.py").write_text(script)
        options = ["--base-url", base_url, "--json", "-q", "-w", "1", *args]
        if "--dashboard" not in args:
            options += ["--dashboard", "0"]
        if "--dashboard-linger" not in args:
            options += ["--dashboard-linger", "0s"]
        self.process = subprocess.Popen(
            cli_command("run", "script.py", *options),
            cwd=folder,
            env=cli_env(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = []
        self.err = ""
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("dashboard: "):
                self.url = line.split()[1]
                return
        self.close()
        pytest.fail(f"no dashboard: {''.join(self.said)}")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def read(self, path: str) -> str:
        """What its dashboard has at *path*."""
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=DEADLINE_S) as reply:
            text: str = reply.read().decode()
        return text

    def control_lines(self) -> list[str]:
        """What it said until the control API was there."""
        assert self.process.stderr is not None
        lines = list(self.said)
        while not lines[-1].startswith("control: "):
            lines.append(self.process.stderr.readline())
        return lines

    def end(self, code: int = 0) -> dict[str, Any]:
        """The summary, after the run ended with *code*."""
        out, self.err = self.process.communicate(timeout=60)
        assert self.process.returncode == code, "".join(self.said) + self.err
        assert not answers(self.port)
        summary: dict[str, Any] = json.loads(out)
        return summary

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


Start = Callable[..., Run]
"""Starts a run with these options, and with these variables of its environment."""


@contextmanager
def runs_of(script: str, folder: Path, base_url: str) -> Iterator[Start]:
    """Yield what starts a run of *script*; all of them are closed at the end."""
    started: list[Run] = []

    def begin(*args: str, **env: str) -> Run:
        started.append(Run(folder, base_url, *args, script=script, **env))
        return started[-1]

    yield begin
    for run in started:
        run.close()
