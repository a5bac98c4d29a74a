"""Whole command lines, with variables of the environment: each ends in what it would do, or in one clear error."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import click
import pytest

from fastload.cli.ctl import Client
from fastload.cli.main import COMMAND_NAMES, cli, run_cli
from fastload.cli.run_options import FILE_VARIABLES
from fastload.dashboard.server import Server
from fastload.targets import find_target, target_names
from tests.data.renew import RUN
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.source import NUMBERS, Source

SCRIPT = """import fastload as fl

@fl.scenario(vus=1, iterations=1, base_url="http://127.0.0.1:9")
async def visit(vu):
    await vu.get("/")

@fl.scenario(name="other", rate=10, duration="1s", max_vus=3)
async def browse(vu):
    await vu.get("http://127.0.0.1:9/")
"""
_RIGHT: dict[str, tuple[str, ...]] = {
    "run": ("script.py",),
    "plan": ("script.py",),
    "bench": ("http://127.0.0.1:9/",),
    "capacity": ("script.py",),
    "report": ("a.fastload",),
    "compare": ("a.fastload", "a.fastload"),
    "ctl": ("status",),
    "new": ("shop",),
    "target": ("sequencer",),
    "ui": ("script.py",),
}
_VALUES = (
    "10", "1", "3", "10s", "1m", "500ms", "100/s", "1k/s", "30s:10", "30s:10,1m:0", "5%", "10MB", "2xx", "true",
    "false", "http_req_failed: rate<0.01", "http_req_duration: p(95)<500", "checks: rate>0.9", "A: b", "a=b",
    "a.test=127.0.0.1", "http://127.0.0.1:9", "127.0.0.1:0", "127.0.0.1", "[::1]:0", "other", "visit", "basic",
    "basic:u:p", "1.1", "2", "1.2", "4", "6", "each", "random", "first", "uniform", "poisson", "queue", "drop", "stop",
    "continue", "never", "headers", "script.py", "options.toml", "a.fastload", "none", "text", "sequencer", "self",
    "0", "-", "", "@script.py", "exp(5ms)", "statsd=127.0.0.1:1", "json=x.json", "scenario:ingest", "constant-vus",
    "ramping-arrival-rate", "loggedin", "fit",
)  # fmt: skip
# What these name is written, some of it: it stays in the folder of the test.
_WRITTEN = ("x.json", "x.html", "out", "x", "a.fastload", "no/x.json", "-", "")
_OF_FILES = {"--summary", "--save", "--html", "--md", "--junit", "--json", "--hlog", "--csv", "--out", "--output"}
_WORDS = (
    "-h",
    "--version",
    "--",
    "-",
    "--no",
    "--vus",
    "-u",
    "-zz",
    "run",
    "stop",
    "scale",
    "resume",
    "metrics",
    "did",
)
_CODES = (0, 99, 104)


def _commands_of(
    command: click.Command, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """*command* and all that are below it, with their names."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands_of(below, (*names, name))
    else:
        yield names, command


def _commands() -> dict[tuple[str, ...], list[click.Option]]:
    return {
        names: [param for param in command.params if isinstance(param, click.Option)]
        for names, command in _commands_of(cli)
    }


def _value(option: str, source: Source) -> str:
    if option in _OF_FILES:
        return source.choice(_WRITTEN)
    if source.randrange(5):
        return source.choice((*_VALUES, source.choice(NUMBERS[:32])))
    return source.made_of((*_VALUES, *NUMBERS), 3)[:2_000]


def _arguments(names: tuple[str, ...], options: list[click.Option], source: Source) -> list[str]:
    """A command line of the command *names*, mostly with what it needs."""
    words = [*names, *(_RIGHT[names[0]] if len(names) == 1 else ())]
    if names == ("ctl", "scale"):
        words += ["--vus", "3"]
    for _ in range(source.choice((0, 1, 1, 2, 2, 3)) if options else 0):
        option = source.choice(options)
        name = source.choice((*option.opts, *option.secondary_opts))
        words.append(name)
        if not (option.is_flag or option.count):
            text = _value(option.opts[-1], source)
            words[-1:] = source.choice(([name, text], [name, text], [f"{name}={text}"]))
    if not source.randrange(9):
        words.insert(source.randrange(len(words) + 1), source.choice((*_WORDS, *_VALUES)))
    if not source.randrange(19):
        del words[source.randrange(len(words))]
    return [word.replace("\0", "") for word in words]


@pytest.fixture
def nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands in a folder of their own, stopped where they would run, serve, ask, or write; returns which were."""
    reached: list[str] = []

    def stopped(name: str, result: Any = 0) -> Callable[..., Any]:
        def stop(*_: Any, **__: Any) -> Any:
            reached.append(name)
            return result

        return stop

    def checked(_server: Server) -> NoReturn:
        reached.append("ui")
        raise click.exceptions.Exit(0)

    target = SimpleNamespace(base_url="http://127.0.0.1:9", worker_cpus=(), name="sequencer", pids=())
    modules = {name: importlib.import_module(f"fastload.cli.{name}") for name in (*COMMAND_NAMES, "options")}
    for name in ("run", "bench", "capacity"):
        monkeypatch.setattr(modules[name], "run_plan", stopped(name))
        monkeypatch.setattr(
            modules[name],
            "shipped_target",
            lambda wanted, _limits=(): contextlib.nullcontext(find_target(wanted) and target),
        )
    for name in ("plan", "options"):
        monkeypatch.setattr(modules[name], "claim_stdout", lambda _option: None)
    monkeypatch.setattr(modules["plan"], "write_stdout", stopped("plan", None))
    monkeypatch.setattr(modules["target"], "serve", stopped("target", None))
    monkeypatch.setattr(modules["new"], "_write", stopped("new", None))
    monkeypatch.setattr(Client, "ask", stopped("ctl", {"phase": "running", "scenarios": []}))
    monkeypatch.setattr(Server, "check", checked)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "script.py", SCRIPT)
    written(tmp_path / "options.toml", 'vus = 2\nduration = "5s"\n')
    written(tmp_path / "a.fastload", RUN.read_bytes())
    return reached


def _variables(source: Source, names: list[str]) -> dict[str, str]:
    """Up to two variables, of options or nearly of options."""
    found = {}
    for _ in range(source.choice((0, 0, 0, 1, 2))):
        name = source.choice(names)
        if not source.randrange(9):
            name = name[:-1] + source.choice(("", "X", "_"))
        found[name] = _value(f"--{name[9:].lower()}", source).replace("\0", "")
    return found


def test_any_command_line_is_taken_or_one_error(nothing_starts: list[str]) -> None:
    commands = _commands()
    kinds = [names for names in commands if names[0] not in ("ctl", "target")]
    kinds += [names for names in commands if names[0] in ("run", "bench", "capacity", "plan")] * 2
    others = [names for names in commands if names not in kinds]
    variables = [
        str(option.envvar) for option in commands["run",] if option.envvar and _long(option) not in _OF_FILES
    ] + list(FILE_VARIABLES)
    environment, folders, codes = dict(os.environ), list(sys.path), Counter[int]()

    def run(source: Source) -> None:
        names = source.choice(kinds if source.randrange(4) else others)
        arguments = _arguments(names, commands[names], source)
        os.environ.update(_variables(source, variables))
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run_cli(arguments)
        finally:
            sys.path[:] = folders
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)
        codes[code] += 1
        told = err.getvalue()
        assert code in _CODES, (code, arguments)
        assert "Traceback" not in told, (arguments, told)
        assert len(re.findall(r"^Error: ", told, re.MULTILINE)) == (code == 104), (arguments, told)

    fuzz(run)
    # The others end at what stands first in the line.
    assert codes[0] > codes.total() / 6
    assert {"run", "bench", "capacity", "plan", "ctl", "new", "target", "ui"} <= set(nothing_starts)
    assert len(target_names()) == len([names for names in commands if names[0] == "target"])


def _long(option: click.Option) -> str:
    return option.opts[-1]
