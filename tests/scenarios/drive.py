"""Runs a scenario of ``scenarios/`` with its pauses cut, and compares what both sides counted."""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastload.targets import RunningTarget
from tests.conftest import REPO, cli_command, cli_env
from tests.preloaded import run_preloaded

FOLDER = REPO / "scenarios"
MOST_PAUSE_S = 0.01
_PAUSE = re.compile(r"(?<=vu\.sleep\()[\d., ]+(?=\))")


@dataclass(frozen=True)
class Driven:
    """A run that has ended: its summary as data, what it said, and how it ended."""

    folder: Path
    code: int
    stdout: str
    stderr: str
    summary: Mapping[str, Any]

    def metric(self, name: str) -> Any:
        """The values of a metric, as the summary has them."""
        return self.summary["metrics"][name]

    def statuses(self, name: str) -> dict[int, int]:
        """How often each status came for the requests called *name*."""
        found = [item for item in self.summary["endpoints"] if item["name"] == name]
        return {int(status): count for item in found for status, count in item["statuses"].items()}

    def errors(self) -> dict[str, int]:
        """How many requests failed, by kind."""
        return {item["kind"]: item["count"] for item in self.summary["errors"]}

    def broken(self) -> set[str]:
        """The metrics of which a threshold does not hold, without those of times: machines are slow."""
        missed = [one for one in self.summary["thresholds"] if not one["ok"] and one["unit"] != "ms"]
        return {one["metric"] for one in missed}


class Drive:
    """Runs scenarios in *folder*, one worker each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self, name: str, *args: str, env: Mapping[str, str] | None = None, wrong: Mapping[str, str] | None = None
    ) -> Driven:
        """Run the scenario *name*. *wrong*: mistakes to make in it, as text to replace and what with."""
        script = self.folder / f"{name}.py"
        script.write_text(shortened(name, wrong or {}))
        summary = self.folder / "summary.json"
        summary.unlink(missing_ok=True)
        done = run_preloaded(
            cli_command("run", script.name, "-w", "1", "-q", "--summary", summary.name, *args),
            cwd=self.folder,
            env=cli_env(**(env or {})),
        )
        found = json.loads(summary.read_text()) if summary.exists() else {}
        return Driven(self.folder, done.returncode, done.stdout, done.stderr, found)


def shortened(name: str, wrong: Mapping[str, str]) -> str:
    """The text of a scenario with its pauses cut, and with mistakes."""
    text = (FOLDER / f"{name}.py").read_text()
    for right, mistake in wrong.items():
        assert text.count(right) == 1, f"{name}.py has {right!r} {text.count(right)} times"
        text = text.replace(right, mistake)
    return _PAUSE.sub(lambda found: ", ".join(str(min(float(s), MOST_PAUSE_S)) for s in found[0].split(",")), text)


@dataclass(frozen=True)
class Counts:
    """What a target has answered: by route and status class, and by kind."""

    routes: Counter[tuple[str, str]]
    outcomes: Counter[str]

    def since(self, before: Counts) -> Counts:
        """What came after *before*."""
        return Counts(self.routes - before.routes, self.outcomes - before.outcomes)


def counts_of(target: RunningTarget) -> Counts:
    """What *target* has answered until now, without those who asked for these counts."""
    with urllib.request.urlopen(f"{target.base_url}/stats") as reply:
        stats = json.load(reply)
    routes = {
        (route, status_class): count
        for route, classes in stats["routes"].items()
        for status_class, count in classes.items()
        if route != "GET /stats"
    }
    return Counts(Counter(routes), Counter(stats["outcomes"]))
