"""`fastload ui` as a process, and what a program asks of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import cli_command, cli_env, wait_until


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Ui:
    """A `fastload ui` as a process."""

    def __init__(self, folder: Path, *args: str, temporary: Path | None = None, **env: str) -> None:
        self.folder = folder
        self.temporary = temporary or folder
        self.process = subprocess.Popen(
            cli_command("ui", *args, "--port", env.pop("port", "0")),
            cwd=folder,
            env=cli_env(TMPDIR=str(self.temporary), **env),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        self.url = said.removeprefix("ui: ").strip()
        assert self.url.startswith("http://"), said + self.process.stderr.read()

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        """A request as a program sends it; with *body* a POST of JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"} | headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as response:
                return Answer(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def form(self, **values: Any) -> dict[str, Any]:
        """The form as it is at first, but for *values*."""
        first: dict[str, Any] = self.ask("/api/form").data["first"]
        return first | values

    def run(self, number: int) -> dict[str, Any]:
        runs: list[dict[str, Any]] = self.ask("/api/runs").data["runs"]
        return next(run for run in runs if run["run"] == number)

    def wait_requests(self, number: int, wanted: int) -> None:
        wait_until(lambda: self.run(number)["requests"] >= wanted)

    def wait_end(self, number: int) -> dict[str, Any]:
        wait_until(lambda: self.run(number)["exit_code"] is not None)
        return self.run(number)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Its exit code after signal *number*, and what it said since the start."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said
