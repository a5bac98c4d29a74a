"""The docs are true: every example runs, help texts and tables equal the code, and the site builds without a warning.

What is run of the examples, and how their load is cut, is said in ``docs/contributing.md``.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import re
import shlex
import signal
import string
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click
import pytest

import fastload as fl
from fastload.cli.exit_codes import ExitCode
from fastload.cli.main import cli as command_line
from fastload.cli.run_options import FILE_VARIABLES
from fastload.control.sampling import threads
from fastload.load.client.request_options import RequestOptions
from fastload.load.recording.stall_watch import STALL_S
from fastload.model import error_remedies
from fastload.model.cost.cost_meter import CostMeter
from fastload.model.cost.target_cost import NOUNS
from fastload.model.judging import (
    generator_findings,
    load_findings,
    resource_evidence,
    target_findings,
    waiting_line,
)
from fastload.model.judging.evidence import SATURATED_CPU_PERCENT
from fastload.model.judging.finding import Cause
from fastload.model.load_models import EXECUTORS
from fastload.model.metrics import AGGREGATES, BUILTIN, Kind
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.units import format_bytes, parse_duration_s
from fastload.targets import RunningTarget, SequencerOptions, find_target, target_names
from tests.conftest import REPO, Cli, cli_command, cli_env
from tests.model.capacity.made import made_result
from tests.model.cost.sampled_runs import ramp, seconds
from tests.preloaded import run_preloaded

DOCS = REPO / "docs"
PAGES = [REPO / "README.md", *sorted(DOCS.glob("*.md"))]
SHOWN_URL = "http://localhost:8080"
SHOWN_REDIS = "redis://localhost:6379"
MOST_S, MOST_PAUSE_S, MOST_USERS, MOST_REQUESTS, WIDE_MS = 0.2, 0.02, 4, 20, 60_000

_FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?$")
_FILES = ("python", "json", "csv", "toml")
_IN_A_SCENARIO = "<!-- in a scenario -->"
_EXIT_CODE = re.compile(r"\s+# exit code ([\d or]+)$")
_DURATION = re.compile(
    # Time-outs are for what goes wrong: a busy machine must not make it so.
    r"(?<![\w.])(?<!timeout )(?<!timeout=\")(?<!timeout = \")(?<!for )(?<!over )(?<!graceful_stop=\")"
    # A step of a search has a shortest time.
    r"(?<!step=\")(?<!settle=\")(?<!within=\")"
    r"(?:\d+(?:\.\d+)?(?:ms|us|ns|h|m|s))+(?![\w/])"
)
_PAUSES = re.compile(r"(?<=vu\.sleep\()[\d., ]+(?=\))")
_USERS = re.compile(
    r"((?:-c|-u|--connections|--vus|--max-vus) |\b(?:max_|start_)?vus=|(?<=\d)(?:ms|s|m|h):)(\d+)(?!\d*[\w./])"
)
_REQUESTS = re.compile(r"((?:-n|-i|--requests|--iterations) |\biterations=)(\d+)")
_RATE_BOUND = re.compile(r"\brate\s*>=?\s*[1-9][\d.]*")
_TIME_BOUND = re.compile(r"((?:p\([\d.]+\)|avg|med|max)\s*<=?\s*)[\d.]+")
_CPU_BOUND = re.compile(r"(\b(?:host|worker|target)_cpu\s*<=?\s*)[\d.]+")
_VERDICT_BOUND = re.compile(r"\bverdict\s*[=!>]=\s*\w+")
_NOT_RUN = re.compile(
    r"python3 -m venv |apt-get install |\. \.venv/bin/activate$|\.venv/bin/python -m pytest$|"
    r"docker (build|run) |python -m benchmarks\.(?P<benchmark>\w+)( |$)"
)


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    title: str
    text: str
    in_scenario: bool


class Command(NamedTuple):
    """A line of a bash block, and the exit codes it may end with."""

    text: str
    codes: tuple[int, ...]


def blocks_of(page: Path) -> Iterator[Block]:
    lines = iter(enumerate(page.read_text().splitlines(), 1))
    before = ""
    for number, line in lines:
        if fence := _FENCE.match(line):
            inside = list(itertools.takewhile(lambda text: text != "```", (text for _, text in lines)))
            yield Block(number, fence[1], fence[2] or "", "\n".join(inside) + "\n", before == _IN_A_SCENARIO)
        assert not line.startswith("```") or fence, f"{page.name}:{number}: a fence without a language"
        before = line


def commands_of(text: str) -> Iterator[Command]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            expected = _EXIT_CODE.search(line)
            codes = tuple(map(int, expected[1].split(" or "))) if expected else (0,)
            yield Command(line[: expected.start()] if expected else line, codes)


def shorten(text: str, url: str, *, widen: bool = True) -> str:
    """*text* with the sequencer's true address, and a load that is small and over in a moment.

    *widen*: with thresholds that hold on the slowest machine.
    """
    text = text.replace(SHOWN_URL, url)
    text = _DURATION.sub(lambda found: found[0] if parse_duration_s(found[0]) <= MOST_S else f"{MOST_S}s", text)
    text = _PAUSES.sub(lambda found: ", ".join(str(min(float(s), MOST_PAUSE_S)) for s in found[0].split(",")), text)
    text = _USERS.sub(lambda found: f"{found[1]}{min(int(found[2]), MOST_USERS)}", text)
    text = _REQUESTS.sub(lambda found: f"{found[1]}{min(int(found[2]), MOST_REQUESTS)}", text)
    if widen:
        text = _TIME_BOUND.sub(rf"\g<1>{WIDE_MS}", text)
        text = _RATE_BOUND.sub("rate>0", text)
        text = _CPU_BOUND.sub(rf"\g<1>{WIDE_MS}", text)
        text = _VERDICT_BOUND.sub("verdict>=INVALID", text)
    return text


def _quick_search(words: list[str]) -> list[str]:
    """The command *words* as a search that ends after two steps, with whatever it was to show."""
    if "--at-least" in words:
        words[words.index("--at-least") + 1] = "1/s"
    return [*words, "--from", "20/s", "--up-to", "20/s", "--step", "2s", "--settle", "0s", "-w", "1"]


class Page:
    """Runs the examples of one page, in order, in *folder*."""

    def __init__(self, page: Path, folder: Path, url: str, redis_url: str) -> None:
        self._redis_url = redis_url
        self._page = page
        self._folder = folder
        self._url = url
        self._env: dict[str, str] = {}

    def run(self) -> None:
        (self._folder / "scenarios").mkdir()
        for script in (REPO / "scenarios").glob("*.py"):
            (self._folder / "scenarios" / script.name).write_text(shorten(script.read_text(), self._url))
        with ThreadPoolExecutor(4) as pool:
            # Nothing that comes later needs what a program leaves: it runs beside it.
            programs = []
            for block in blocks_of(self._page):
                where = f"{self._page.name}:{block.line}"
                if block.language == "bash":
                    self._commands(where, list(commands_of(block.text)), pool)
                elif block.title and block.language in _FILES:
                    text = shorten(block.text, self._url).replace(SHOWN_REDIS, self._redis_url)
                    (self._folder / block.title).write_text(text)
                elif block.language == "python":
                    text = shorten(block.text, self._url)
                    programs.append(pool.submit(self._program, where, text, in_scenario=block.in_scenario))
            for program in programs:
                program.result()

    def _program(self, where: str, text: str, *, in_scenario: bool) -> None:
        if in_scenario:
            text = (
                "import fastload as fl\n\nasync def example(vu):\n"
                + textwrap.indent(text, "    ")
                + f"\nsummary = fl.run(example, base_url={self._url!r})\n"
                + "assert summary.passed and all(not check.fails for check in summary.checks), summary.exceptions\n"
            )
        done = self._start([sys.executable, "-c", text])
        assert done.returncode == 0, f"{where}\n{done.stdout}{done.stderr}"

    def _commands(self, where: str, commands: list[Command], pool: ThreadPoolExecutor) -> None:
        """The commands of one block do not depend on each other: run them side by side."""
        wanted = []
        for command in commands:
            if command.text.startswith("export "):
                name, _, value = command.text.removeprefix("export ").partition("=")
                self._env[name] = value.replace(SHOWN_URL, self._url)
            elif command.text.startswith("fastload "):
                wanted.append(command)
            else:
                known = _NOT_RUN.match(command.text)
                assert known, f"{where}: neither run nor known: {command.text}"
                assert not known["benchmark"] or (REPO / "benchmarks" / f"{known['benchmark']}.py").is_file()
        for command, done in zip(wanted, pool.map(self._command, wanted), strict=True):
            said = f"{where}: {command.text}\n{done.stdout}{done.stderr}"
            assert done.returncode in command.codes, said

    def _command(self, command: Command) -> subprocess.CompletedProcess[str]:
        text = string.Template(command.text).safe_substitute(self._env)
        words = shlex.split(shorten(text, self._url, widen=command.codes == (0,)))[1:]
        if words[0] in ("target", "ui"):
            return self._serve(words)
        if words[0] == "capacity" or "--find-capacity" in words:
            return self._start(cli_command(*_quick_search(words)))
        timed = {"-d", "--duration", "-n", "--requests"} & set(words)
        if not timed and (words[0] == "bench" or "--rate" in words):
            words += ["-d", f"{MOST_S}s"]
        if words[0] == "bench" and not {"-c", "--connections"} & set(words):
            words += ["-c", str(MOST_USERS)]
        if words[0] in ("bench", "run", "plan") and "-w" not in words:
            words += ["-w", "1"]
        done = self._start(cli_command(*words))
        if words[0] == "new" and (made := self._folder / f"{words[1]}.py").is_file():
            made.write_text(shorten(made.read_text(), self._url))
        return done

    def _serve(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """A server: it must say where it listens, and end well on Ctrl-C."""
        command = cli_command(*words, "--port", "0")
        process = subprocess.Popen(command, cwd=self._folder, env=cli_env(), stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("ui: http://" if words[0] == "ui" else f"{words[1]} on http://"), said
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(command, process.returncode, "", said + err)

    def _start(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return run_preloaded(command, cwd=self._folder, env=cli_env(**self._env))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_run(page: Path, tmp_path: Path, sequencer: RunningTarget, request: pytest.FixtureRequest) -> None:
    redis_url = request.getfixturevalue("redis_url") if SHOWN_REDIS in page.read_text() else ""
    Page(page, tmp_path, sequencer.base_url, redis_url).run()


def section(page: str, heading: str) -> str:
    """The text under *heading*, up to the next one of any level."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in *text*, without heads."""
    lines = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    rules = [number for number, line in enumerate(lines) if not "".join(line).strip(" -")]
    heads = {number - 1 for number in rules}
    return [[cell.strip() for cell in line] for number, line in enumerate(lines) if number not in heads | {*rules}]


def names(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_column(text: str) -> list[str]:
    return [name for row in rows(text) for name in names(row[0])]


def subcommands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def command_names(command: click.Command, path: str) -> Iterator[str]:
    yield path
    if isinstance(command, click.Group):
        for name, sub in subcommands(command).items():
            yield from command_names(sub, f"{path} {name}")


@pytest.mark.parametrize("path", list(command_names(command_line, "fastload")))
def test_help_texts_are_the_real_ones(path: str, cli: Cli) -> None:
    title = f"{path} --help"
    shown = [block.text for page in PAGES for block in blocks_of(page) if block.title == title]
    assert shown, f"no page shows {title}"
    assert set(shown) == {cli(*title.split()[1:]).stdout}


def test_every_metric_is_defined() -> None:
    documented = {
        name: row[1]
        for heading in ("Requests", "Calls, streams and WebSockets", "Iterations and users")
        for row in rows(section("numbers.md", heading))
        for name in names(row[0])
    }
    assert documented == {
        name: spec.kind.value + (f", {spec.unit}" if spec.unit else "") for name, spec in BUILTIN.items()
    }


def test_every_aggregate_error_kind_and_bound_is_there() -> None:
    aggregates = {
        row[0]: names(row[1])[: len(AGGREGATES[Kind(row[0])])] for row in rows(section("numbers.md", "Thresholds"))
    }
    assert aggregates == {kind.value: list(allowed) for kind, allowed in AGGREGATES.items()}
    remedies = {names(row[0])[0]: row[2] for row in rows(section("numbers.md", "Errors"))}
    assert remedies == {kind: f"{text[0].upper()}{text[1:]}." for kind, text in error_remedies.REMEDIES.items()}
    bounds, late = section("numbers.md", "The verdict"), generator_findings.LATE_SHARE
    for bound in (
        f"at p50 is half of what is reported there, and {generator_findings.FLOOR_MS[50]:.0f} ms at least",
        f"at p95 or p99 is half of what is reported there, and {generator_findings.FLOOR_MS[99]:.0f} ms at least",
        f"for {generator_findings.STALLED_SHARE:.0%} of the time, in stalls of over {1000 * STALL_S:.0f} ms",
        f"used {SATURATED_CPU_PERCENT:.0f}% of its core in a tenth of the seconds",
        f"late by {late['INVALID']:.0%} of the time, or {late['SUSPECT']:.0%}, "
        f"however short each stall was, and by {generator_findings.LATE_MS:.0f} ms at least",
        f"less than {load_findings.SERVED_SHARE:.0%} of the offered rate was answered",
        f"{generator_findings.TOUCHED_SHARE:.0%} of the starts that were due did not happen",
    ):
        assert bound.replace("%", " %") in bounds
    assert generator_findings.OWN_SHARE == load_findings.MOST_FAILED_SHARE == 0.5
    assert generator_findings.SATURATED_SHARE == generator_findings.STALLED_SHARE == 0.1
    assert generator_findings.FLOOR_MS[95] == generator_findings.FLOOR_MS[99] == 5
    limits = section("numbers.md", "The limit")
    assert f"over {target_findings.TARGET_RUN_DELAY_MAX:.0%} of the time".replace("%", " %") in limits
    assert waiting_line.QUEUE_FACTOR == 3
    told = {
        name
        for page, heading in (
            ("numbers.md", "The verdict"),
            ("numbers.md", "The limit"),
            ("limit.md", "What it can be"),
        )
        for name in re.findall(r"`([a-z_]+)`", section(page, heading))
    }
    assert set(get_args(Cause)) - told == {"none"}


def test_every_bound_of_a_limit_is_there() -> None:
    table, memory = section("limit.md", "What it can be"), section("limit.md", "Memory that grows")
    for bound in (
        f"quota in {target_findings.THROTTLED_SHARE:.0%} of the periods",
        f"used {SATURATED_CPU_PERCENT:.0f}% of the CPUs",
        f"used {SATURATED_CPU_PERCENT:.0f} to {target_findings.SHARED_CORE_PERCENT:.0f}% of a core",
        f"{format_bytes(target_findings.SWAP_BYTES_PER_S).replace('.00', '')}/s was swapped",
        f"waited for memory {target_findings.PRESSURE_PERCENT:.0f}% of the time",
        f"{target_findings.BLOCKED_THREADS} of the target's threads",
        f"waited for one (PSI), {target_findings.DISK_PERCENT:.0f}% of the time",
        f"had {target_findings.DESCRIPTORS_SHARE:.0%} of the file descriptors open",
        f"over {target_findings.TARGET_RUN_DELAY_MAX:.0%} of the time",
        f"{target_findings.RETRANSMIT_SHARE:.0%} of the TCP segments were sent again, "
        f"at least {target_findings.LEAST_RETRANSMITS}",
    ):
        assert bound.replace("%", " %") in table
    assert (load_findings.REFUSED_SHARE, generator_findings.TOUCHED_SHARE, waiting_line.QUEUE_FACTOR) == (0.5, 0.01, 3)
    assert f"Below {waiting_line.FEW_AT_ONCE} it is rather a lock" in section(
        "limit.md", "Nothing is busy, and requests wait"
    )
    assert resource_evidence.LEAST_GROWTH_SAMPLES == 8
    assert f"grew by {resource_evidence.LEAST_GROWTH_BYTES // 10**6} MB and by a tenth" in memory
    assert (resource_evidence.LEAST_GROWTH_SHARE, resource_evidence.STEADY_SHARE) == (0.1, 0.5)
    assert f"of more than {threads.MOST_THREADS:,} others" in section("limit.md", "How it is measured")


def test_the_test_that_is_quoted_exists() -> None:
    quoted = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())} - set(fl.__all__)
    written = "".join(path.read_text() for path in (REPO / "tests").rglob("test_*.py"))
    assert quoted
    assert [name for name in quoted if f"def {name}(" not in written] == []


def test_every_exit_code_is_there() -> None:
    documented = {int(row[0]): names(row[1])[0] for row in rows(section("command-line.md", "Exit codes"))}
    assert documented == {code.value: code.name for code in ExitCode}


def test_every_environment_variable_is_there() -> None:
    documented = set(first_column(section("command-line.md", "Environment variables")))
    read = {
        option.envvar for command in subcommands(command_line).values() for option in command.params if option.envvar
    }
    served = {name for target in target_names() for name in find_target(target).options_type._ENVIRONMENT.values()}
    assert (
        read | served | FILE_VARIABLES.keys() | {"SEQUENCER_BASE_URL", "NO_COLOR", "FASTLOAD_DASHBOARD_TOKEN"}
        == documented
    )


def test_every_public_name_is_mentioned() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in fl.__all__ if not re.search(rf"\bfl\.{name}\b|`{name}`", text)] == []


def test_every_option_of_the_library_is_there() -> None:
    def fields(of: type) -> set[str]:
        return {field.name for field in dataclasses.fields(of)}

    def parameters(of: Any) -> set[str]:
        found = inspect.signature(of).parameters.values()
        return {one.name for one in found if one.kind is inspect.Parameter.KEYWORD_ONLY}

    def public(of: type) -> set[str]:
        return {name for name in dir(of) if not name.startswith("_")}

    shown = {
        name: set(first_column(section("scenarios.md", name)))
        for name in ("Options of a scenario", "From a script or a notebook")
    }
    shown |= {name: set(first_column(section("http.md", name))) for name in ("Requests", "Replies", "Retries")}
    assert shown["Options of a scenario"] == fields(fl.Scenario) - {"function"}
    assert shown["Requests"] == set(RequestOptions.__annotations__)
    assert shown["Retries"] == {*inspect.signature(fl.Retry).parameters}
    assert shown["From a script or a notebook"] == parameters(fl.run)
    assert set(first_column(section("transport.md", "HTTP settings"))) == fields(fl.HttpSettings)
    replies = {name.removeprefix("reply.").removesuffix("()") for name in shown["Replies"]}
    assert replies == public(fl.Reply)
    options = {name for row in rows(section("sequencer.md", "Options")) for name in names(row[1])} - {"fl.target"}
    assert options == fields(SequencerOptions)


def paths_of(data: Any, path: str = "") -> Iterator[str]:
    """The keys of a summary as the page writes them."""
    opened = ["metrics", "histograms", "versions", "machine", "plan.http", "endpoints[].statuses"]
    opened += ["workers[].late_ms", "workers[].waited_ms"]
    opened += [f"{who}.{what}" for who in ("host", "target") for what in ("series", "mean", "max")]
    if path in opened:
        yield f"{path}.<name>"
    elif path in (
        "endpoints[].http_req_duration",
        "calls[].call_duration",
        "plan.scenarios[]",
        "hook_errors[]",
        "cost",
    ):
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from paths_of(value, f"{path}.{key}" if path else key)
    elif isinstance(data, list):
        for item in data:
            yield from paths_of(item, f"{path}[]")
        if not data:
            yield f"{path}[]"
    else:
        yield path


async def mixed(vu: fl.VU) -> None:
    """An iteration of every outcome."""
    async with fl.measure("call"):
        pass
    reply = await vu.get("/health" if vu.iteration % 2 else "/nowhere")
    vu.check(reply, {"ok": reply.ok})
    if vu.iteration % 3 == 0:
        raise ValueError("on purpose")


def test_every_key_of_the_summary_is_described(sequencer: RunningTarget) -> None:
    summary = fl.run(
        mixed, vus=2, iterations=12, base_url=sequencer.base_url, workers=1, thresholds={"http_reqs": "count>0"}
    )
    data = summary.to_dict()
    assert set(first_column(section("summary.md", "The keys"))) == set(paths_of(data))
    by_kind = {row[0]: set(names(row[1])) for row in rows(section("summary.md", "Metrics"))}
    for name, spec in BUILTIN.items():
        assert set(data["metrics"][name]) == by_kind[spec.kind.value], name
    samples = set(names(section("summary.md", "Samples")))
    for sample, series in ((HostSample, data["host"]["series"]), (ProcessSample, data["target"]["series"])):
        assert set(series) == {field.name for field in dataclasses.fields(sample)} - {"label"}
        assert set(series) <= samples


def test_every_key_of_the_cost_is_described() -> None:
    totals = {"/a": ramp(10, 100, 15), "/b": ramp(100, 10, 15)}
    meter = CostMeter(0.0)
    for second in seconds(totals, {"/a": 1.0, "/b": 2.0}, 15):
        meter.add(second)
    cost = meter.cost()
    assert cost is not None
    data = cost.to_dict()
    assert {key for row in rows(section("summary.md", "Cost")) for key in names(row[0])} == set(data)
    told = set(names(section("summary.md", "Cost")))
    assert {*data["endpoints"][0], *data["cpu_ms"], *NOUNS} <= told


def test_every_key_of_a_capacity_is_described() -> None:
    plain = made_result().to_dict()
    documented = first_column(section("summary.md", "The capacity"))
    expected = {*plain, *(f"steps[].{key}" for step in plain["steps"] for key in step)}
    arrays = {"objectives", "steps", "steps[].objectives"}
    assert set(documented) == {f"{key}[]" if key in arrays else key for key in expected - {"steps"}}
    told = section("summary.md", "The capacity")
    for nested in (plain["settings"], plain["scalability"], plain["steps"][0]["objectives"][0]):
        for key in nested:
            assert f"`{key.removesuffix('_error')}" in told, key


def test_every_executor_is_described() -> None:
    documented = {
        name: set(names(row[1])) for row in rows(section("summary.md", "Scenarios")) for name in names(row[0])
    }
    fields = {name: {field.name for field in dataclasses.fields(of)} - {"name"} for name, of in EXECUTORS.items()}
    # A trace is told by how many starts it has.
    fields["trace"] = fields["trace"] - {"due_ns"} | {"starts"}
    assert documented == fields


K6_EXECUTORS = {
    "shared-iterations",
    "per-vu-iterations",
    "constant-vus",
    "ramping-vus",
    "constant-arrival-rate",
    "ramping-arrival-rate",
    "externally-controlled",
}
LOCUST_CONCEPTS = {"User", "weight", "wait_time", "on_start", "on_stop", "LoadTestShape", "tags", "catch_response"}
LOCUST_WAITS = {"between", "constant", "constant_pacing", "constant_throughput"}


def headings_with_an_example(page: str) -> set[str]:
    """The anchors of the headings of *page* that have a Python block right under them."""
    text = (DOCS / page).read_text()
    parts = re.findall(r"^###? ([^\n]+)\n(.*?)(?=^###? |\Z)", text, re.MULTILINE | re.DOTALL)
    return {re.sub(r"\W+", "-", title.lower()) for title, under in parts if "\n```python" in under}


def test_what_k6_and_locust_have_is_compared_with_an_example_that_runs() -> None:
    heads = ("k6 executors", "k6 scripts", "Locust users")
    compared = [(head, row) for head in heads for row in rows(section("comparison.md", head))]
    examples = headings_with_an_example("comparison.md")
    for _, row in compared:
        anchor = re.fullmatch(r"\[example\]\(#([\w-]+)\)", row[-1])
        assert anchor, row
        assert anchor[1] in examples, row
    executors = {name for head, row in compared if head == heads[0] for name in names(row[0])}
    assert executors >= K6_EXECUTORS
    own = {name for head, row in compared if head == heads[0] for cell in (row[0], row[2]) for name in names(cell)}
    assert own >= {*EXECUTORS}
    concepts = {word for head, row in compared if head == heads[2] for word in re.findall(r"\w+", row[0])}
    assert concepts >= LOCUST_CONCEPTS | LOCUST_WAITS
    blocks = [*blocks_of(DOCS / "comparison.md")]
    commands = "".join(block.text for block in blocks if block.language == "bash")
    scripts = [block.title for block in blocks if block.language == "python"]
    assert [script for script in scripts if f"fastload run {script} " not in commands] == []


def test_the_commands_of_the_readme_are_those_of_ci() -> None:
    readme = (REPO / "README.md").read_text()
    test = "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest"
    assert f"```bash\n{test}\n```" in readme
    assert "```bash\npython3 -m venv .venv && .venv/bin/pip install . && .venv/bin/fastload bench\n```" in readme
    ci = (REPO / ".ci" / "run").read_text()
    assert test in ci.splitlines()
    programs = ["nginx-light", "redis-server", "prometheus", "influxdb", "chromium"]
    assert [name for name in programs if f"missing+=({name})" not in ci] == []
    assert f"apt-get install {' '.join(programs)}" in readme
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert "test" in project["optional-dependencies"]
    assert project["scripts"] == {"fastload": "fastload.__main__:main"}
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (REPO / "LICENSE").read_text()


def paths_in(page: Path) -> list[str]:
    """What stands between backticks and is a path of this repository, or below `fastload/`."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [name for name in names(text) if re.fullmatch(r"\.?[\w*.-]+(/[\w*.-]+)+/?", name)]


def is_path(name: str, *folders: Path) -> bool:
    """Whether *name* is a file, a folder, or a module without its suffix, in one of *folders*; it may have a star."""
    return any([*folder.glob(name), *folder.glob(f"{name}.py")] for folder in folders)


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/contributing.md", "tests/README.md"])
def test_every_path_that_is_named_exists(page: str) -> None:
    found = paths_in(REPO / page)
    assert len(found) > 15
    assert [name for name in found if not is_path(name.rstrip("/"), REPO, REPO / "fastload")] == []


def test_every_module_that_is_named_exists_and_every_room_is_named() -> None:
    for heading, room in (("In a worker", "load"), ("In the parent", "control"), ("In all processes", "model")):
        folder = REPO / "fastload" / room
        named = {name.rstrip("/").removesuffix(".py") for name in first_column(section("architecture.md", heading))}
        there = {path.stem for path in folder.iterdir() if path.name not in ("__init__.py", "__pycache__")}
        assert named - there == set(), heading
        if room != "model":
            assert there - named == set(), heading


def test_scripts_and_examples_import_nothing_below_fastload() -> None:
    texts = {str(script.relative_to(REPO)): script.read_text() for script in (REPO / "scenarios").glob("*.py")}
    for page in PAGES:
        texts |= {f"{page.name}:{block.line}": block.text for block in blocks_of(page) if block.language == "python"}
    assert sum("import fastload as fl" in text for text in texts.values()) > 50
    assert [
        where for where, text in texts.items() if re.search(r"^\s*(from|import) fastload\.", text, re.MULTILINE)
    ] == []


def missing_tests(page: Path, *, at_least: int) -> list[str]:
    """The tests that *page* names, like `test_bench.py::test_x`, and that are not there."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page.read_text())
    assert len(named) >= at_least
    there: dict[str, set[str]] = {}
    for path, _ in named:
        file = REPO / "tests" / path
        there[path] = (
            set(re.findall(r"^\s*(?:async )?def (\w+)", file.read_text(), re.MULTILINE)) if file.exists() else set()
        )
    return [f"{path}::{name}" for path, name in named if name not in there[path]]


def test_every_fault_has_its_test() -> None:
    assert missing_tests(DOCS / "reliability.md", at_least=150) == []
    rows = [line for line in (DOCS / "reliability.md").read_text().splitlines() if line.startswith("| ")]
    faults = [line for line in rows if not line.startswith(("| Fault |", "| ---"))]
    assert [line for line in faults if "::" not in line or line.count(" | ") + line.endswith(" | |") < 3] == []
    assert len(set(faults)) == len(faults)


def test_the_changelog_begins_with_this_version() -> None:
    found = re.search(r"^## (\S+)", (DOCS / "changelog.md").read_text(), re.MULTILINE)
    assert found
    assert found[1] == fl.__version__


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Pages that are not in the navigation, and links and anchors that lead nowhere, are warnings."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=REPO,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {path.parent.name for path in (tmp_path / "site").glob("*/index.html")}
    assert pages >= {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert "fonts.g" not in (tmp_path / "site" / "index.html").read_text(), "no fonts from elsewhere"


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", (REPO / "README.md").read_text())
    assert links
    assert [link for link in links if not (REPO / link).is_file()] == []
    assert {page.name for page in DOCS.glob("*.md")} == {
        Path(link).name for link in links if link.startswith("docs/") and link.endswith(".md")
    }


def test_pages_name_no_machine() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert re.findall(r"/(?:home|root|tmp|work)/\S*", text) == []
    assert "TODO" not in text
