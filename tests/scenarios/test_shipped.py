"""Every scenario that ships runs by its name against its stand-in, with nothing else given but how long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import cli_command, cli_env
from tests.preloaded import run_preloaded
from tests.scenarios.drive import FOLDER

TARGETS = {
    "did_flow": "did",
    "did_tasks": "did",
    "generation": "generation",
    "ingest": "sequencer",
    "mixed": "sequencer",
    "query": "sequencer",
    "render": "widget",
    "score": "score",
    "widget": "widget",
}
# Their pages have no defaults for these.
REQUIRED = {"score": {"API_KEY": "secret", "SCORER_ID": "1"}}
# What the stand-ins make fail on purpose, a request or a job in fifty or less.
ON_PURPOSE = {"generation": {"http_502"}}
FEW = ("-u", "2", "-d", "1s", "-w", "1", "-q", "--summary", "summary.json")


@dataclass(frozen=True)
class Shipped:
    """A run of a scenario that ships: its exit code, its messages, and its summary as data."""

    code: int
    stderr: str
    summary: Mapping[str, Any]


def run_shipped(folder: Path, name: str, env: Mapping[str, str]) -> Shipped:
    """Run the scenario *name* in *folder*, for a second."""
    command = cli_command("run", f"scenario:{name}", "--target", TARGETS[name], *FEW)
    done = run_preloaded(command, cwd=folder, env=cli_env(**env))
    summary = folder / "summary.json"
    return Shipped(done.returncode, done.stderr, json.loads(summary.read_text()) if summary.exists() else {})


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Shipped]]:
    """The run of each scenario. They go at the same time: they mostly wait."""
    folders = {name: tmp_path_factory.mktemp(name) for name in TARGETS}
    (folders["score"] / "addresses.json").write_text(json.dumps([f"0x{number:040x}" for number in range(5)]))
    with ThreadPoolExecutor(4) as pool:
        runs = {name: pool.submit(run_shipped, folders[name], name, REQUIRED.get(name, {})) for name in TARGETS}
        yield lambda name: runs[name].result()
        pool.shutdown(cancel_futures=True)


def test_every_scenario_has_its_target() -> None:
    assert set(TARGETS) == {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_scenario_runs_with_its_target_and_nothing_else(shipped: Callable[[str], Shipped], name: str) -> None:
    done = shipped(name)
    # 99 is for thresholds, of which those of times depend on the machine.
    assert done.code in (0, 99), done.stderr
    assert {item["kind"] for item in done.summary["errors"]} <= ON_PURPOSE.get(name, set())
    assert done.summary["metrics"]["http_reqs"]["count"] > 0
    assert done.summary["metrics"]["iterations_failed"]["count"] == 0
    if name not in ON_PURPOSE:
        assert [check for check in done.summary["checks"] if check["fails"]] == []


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"SCORER_ID": "1"}, "environment name API_KEY is not set"),
        ({"API_KEY": "secret"}, "environment name SCORER_ID is not set"),
        ({"API_KEY": "secret", "SCORER_ID": "1"}, "there is no data file"),
    ],
)
def test_what_a_page_requires_is_asked_for_before_the_run(tmp_path: Path, env: dict[str, str], said: str) -> None:
    done = run_shipped(tmp_path, "score", env)
    assert (done.code, done.summary) == (104, {})
    error, hint = done.stderr.splitlines()
    assert error.startswith("Error: ")
    assert said in error
    assert hint.startswith("Hint: ")
