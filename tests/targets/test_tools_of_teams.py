"""Real k6 and real Locust with scripts like those of the teams: nothing is refused that their own servers take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fastload.targets import GenerationOptions, ScoreOptions, TargetOptions, WidgetOptions, running
from tests.conftest import cli_env
from tests.scenarios.drive import Counts, counts_of

SCRIPTS = Path(__file__).parent / "tools"
BIN = Path(sys.executable).parent
USERS, ITERATIONS, SECONDS = "3", "45", "2s"
ADDRESSES = [f"0x{number:040x}" for number in range(20)]


@dataclass(frozen=True)
class Case:
    """What a script is run against. *url*: the variable of its address. *outcomes*: the kinds of answers that it gets;
    *others*: those that it may get as well."""

    target: str
    url: str
    outcomes: set[str]
    others: set[str] = field(default_factory=set)
    options: TargetOptions | None = None
    env: Mapping[str, str] = field(default_factory=dict)


SEQUENCER = "SEQUENCER_BASE_URL"
DID = Case("did", "API_URL", set(), {"already_enrolled", "enrolled", "verified", "not_enrolled"})
CASES = {
    "ingest.js": Case("sequencer", SEQUENCER, {"stored", "duplicate"}),
    "mixed.js": Case("sequencer", SEQUENCER, {"stored", "duplicate", "read"}),
    "query.js": Case("sequencer", SEQUENCER, {"stored", "read"}),
    "did.js": DID,
    "did.py": DID,
    "widget.js": Case("widget", "WIDGET_URL", {"token_issued", "validated"}),
    "render.js": Case(
        "widget",
        "BASE_URL",
        {"job_queued", "job_read"},
        {"queue_full"},
        WidgetOptions(api_key="secret", job_time="20ms..80ms", job_failure_rate=0, pool=1, queue_size=1),
        {"API_KEY": "secret"},
    ),
    "generation.js": Case(
        "generation",
        "API_BASE",
        {"logged_in", "generation_started", "generation_read"},
        options=GenerationOptions(job_time="20ms..80ms", job_failure_rate=0, provider_failure_rate=0),
    ),
    "score.js": Case(
        "score",
        "EMBED_API_URL",
        {"score_read", "score_verified"},
        options=ScoreOptions(api_key="secret", scorers="7"),
        env={"API_KEY": "secret", "SCORER_ID": "7"},
    ),
}


@dataclass(frozen=True)
class Played:
    """A run of a script: its exit code and output, the requests that its tool counted, and those of the stand-in."""

    code: int
    output: str
    requests: int
    counted: Counts


def k6(script: Path, folder: Path, case: Case, url: str) -> tuple[list[str], Callable[[], int]]:
    """The command of k6, and a reader of how many requests it made."""
    env = {**case.env, case.url: url, "ADDRESSES_FILE": str(folder / "addresses.json")}
    given = [part for name, value in env.items() for part in ("-e", f"{name}={value}")]
    load = ["--vus", USERS, "--iterations", ITERATIONS, "--summary-export", "summary.json"]
    command = [str(BIN / "k6"), "run", "--quiet", "--no-usage-report", "--address", "", *load, *given, str(script)]
    return command, lambda: int(json.loads((folder / "summary.json").read_text())["metrics"]["http_reqs"]["count"])


def locust(script: Path, folder: Path, _case: Case, url: str) -> tuple[list[str], Callable[[], int]]:
    """The command of Locust, and a reader of how many requests it made."""

    def requests() -> int:
        return sum(int(entry["num_requests"]) for entry in json.loads((folder / "summary.json").read_text()))

    load = ["--headless", "-u", USERS, "-r", USERS, "-t", SECONDS, "--stop-timeout", "10"]
    command = [str(BIN / "locust"), "-f", str(script), "--host", url, "--only-summary", "--json-file", "summary", *load]
    return command, requests


def play(name: str, folder: Path) -> Played:
    """Run the script *name* in *folder* against its stand-in."""
    case = CASES[name]
    (folder / "addresses.json").write_text(json.dumps(ADDRESSES))
    with running(case.target, case.options) as target:
        before = counts_of(target)
        tool = locust if name.endswith(".py") else k6
        command, requests = tool(SCRIPTS / name, folder, case, target.base_url)
        done = subprocess.run(
            command,
            cwd=folder,
            env=cli_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        counted = counts_of(target).since(before)
    return Played(done.returncode, done.stdout, requests(), counted)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Played]]:
    """The run of each script. They go at the same time: they mostly wait."""
    with ThreadPoolExecutor(4) as pool:
        runs = {name: pool.submit(play, name, tmp_path_factory.mktemp(name)) for name in CASES}
        yield lambda name: runs[name].result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", CASES)
def test_what_a_team_sends_is_taken(played: Callable[[str], Played], name: str) -> None:
    done, case = played(name), CASES[name]
    # Each tool fails where a request failed of which its script says that it may not.
    assert done.code == 0, done.output
    assert case.outcomes <= {*done.counted.outcomes} <= case.outcomes | case.others
    assert sum(done.counted.routes.values()) == done.requests > 0


def test_every_script_is_run() -> None:
    assert {path.name for path in SCRIPTS.iterdir() if path.suffix in (".js", ".py")} - {"sequencer.js"} == {*CASES}
