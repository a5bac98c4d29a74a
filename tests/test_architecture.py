"""The rooms, the doors, the public names, and the linters: one test each, so that none is forgotten."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastload
from tests.conftest import REPO
from tests.import_graph import find_circle, imports_of


def annotation(module: str, name: str) -> str:
    """An import that only annotations need."""
    return f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {module} import {name}"


LINTERS = {
    "ruff": ["ruff", "check", "--no-cache", "."],
    "ruff-format": ["ruff", "format", "--no-cache", "--check", "."],
    "mypy": ["mypy"],
}


def run_tool(*command: str, cwd: Path = REPO) -> subprocess.CompletedProcess[str]:
    """Run a development tool of this environment."""
    tool = shutil.which(command[0], path=str(Path(sys.executable).parent)) or command[0]
    return subprocess.run([tool, *command[1:]], cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LINTERS)
def test_linters_are_clean(name: str) -> None:
    done = run_tool(*LINTERS[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_layers_and_doors_hold() -> None:
    done = run_tool("lint-imports", "--no-cache")
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("fastload/load/recording/recorder.py", "import fastload.control.supervisor", "Which process runs this"),
        ("fastload/load/executors/base.py", "import fastload.load.worker", "Floors of load/"),
        ("fastload/load/script/hooks.py", "import fastload.load.executors.base", "Floors of load/"),
        ("fastload/load/client/reply.py", "import fastload.load.script.flow", "Floors of load/"),
        ("fastload/load/recording/scope.py", annotation("fastload.load.client.vu", "VU"), "Floors of load/"),
        ("fastload/load/engine/curl.py", annotation("fastload.load.recording.recorder", "Recorder"), "Floors of load/"),
        ("fastload/control/aggregator.py", "import fastload.control.coordinator", "Floors of control/"),
        ("fastload/control/sampling/host.py", "import fastload.control.commands.keyboard", "Floors of control/"),
        ("fastload/outputs/terminal/live.py", "import fastload.outputs.streams.junit", "Floors of outputs/"),
        ("fastload/outputs/figures.py", annotation("fastload.outputs.terminal.layout", "Cell"), "Floors of outputs/"),
        ("fastload/model/metrics.py", annotation("fastload.model.series", "SeriesTable"), "Floors of model/"),
        ("fastload/model/judging/verdict.py", "import fastload.model.summary", "Floors of model/"),
        ("fastload/load/client/vu.py", "import pycurl", "pycurl enters"),
        ("fastload/control/supervisor.py", "import msgpack", "msgpack enters"),
        ("fastload/outputs/terminal/report.py", "import click", "click enters"),
        ("fastload/model/plan.py", "import socket", "model/ is pure"),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(REPO / "fastload", tmp_path / "fastload", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "setup.cfg", tmp_path)
    breached = tmp_path / file
    breached.write_text(breached.read_text() + f"\n{line}\n")
    done = run_tool("lint-imports", "--no-cache", cwd=tmp_path)
    assert done.returncode != 0
    assert "1 broken" in done.stdout
    assert contract in done.stdout


def test_a_module_without_a_floor_is_found(tmp_path: Path) -> None:
    shutil.copytree(REPO / "fastload", tmp_path / "fastload", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "setup.cfg", tmp_path)
    (tmp_path / "fastload" / "load" / "helpers.py").write_text("")
    done = run_tool("lint-imports", "--no-cache", cwd=tmp_path)
    assert done.returncode != 0
    assert "fastload.load.helpers" in done.stdout


def test_no_import_goes_in_a_circle() -> None:
    assert find_circle(imports_of(REPO / "fastload")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import fastload.load.client.vu",
        annotation("fastload.load.client.vu", "VU"),
        "def late() -> None:\n    from fastload.load.client import vu",
    ],
    ids=["top", "annotation", "function"],
)
def test_a_planted_circle_is_found(tmp_path: Path, planted: str) -> None:
    shutil.copytree(REPO / "fastload", tmp_path / "fastload", ignore=shutil.ignore_patterns("__pycache__"))
    context = tmp_path / "fastload" / "load" / "client" / "context.py"
    context.write_text(f"{context.read_text()}\n{planted}\n")
    circle = find_circle(imports_of(tmp_path / "fastload"))
    assert {"fastload.load.client.context", "fastload.load.client.vu"} <= {*circle}


def test_public_names_are_exactly_all() -> None:
    for name in fastload.__all__:
        assert hasattr(fastload, name), name
    public = {
        name
        for name, value in vars(fastload).items()
        if not inspect.ismodule(value)
        and (not name.startswith("_") or name == "__version__")
        and name not in ("Any", "TYPE_CHECKING", "import_module")
    }
    assert set(fastload.__all__) == public


def test_a_name_stands_for_one_thing() -> None:
    """No two public classes, types or functions of modules have one name; a command is called what it calls."""
    found: dict[str, list[str]] = {}
    for path in sorted((REPO / "fastload").rglob("*.py")):
        for name in public_definitions(ast.parse(path.read_text())):
            found.setdefault(name, []).append(str(path.relative_to(REPO)))
    shared = {name: paths for name, paths in found.items() if len(paths) > 1 and name not in ("main", "run")}
    assert shared == {}


def public_definitions(module: ast.Module) -> Iterator[str]:
    """The classes, functions and types that *module* defines at its top; overloads count once, constants not."""
    names = set()
    for node in module.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) if len(name) > 1:
                names |= set() if name.isupper() else {name}
    yield from (name for name in names if not name.startswith("_"))


def test_importing_starts_nothing() -> None:
    code = (
        "import sys, threading, signal, os\n"
        "before = set(os.listdir('/proc/self/fd')), signal.getsignal(signal.SIGINT)\n"
        "import fastload\n"
        "assert threading.active_count() == 1\n"
        "assert (set(os.listdir('/proc/self/fd')), signal.getsignal(signal.SIGINT)) == before\n"
        "assert not {'pycurl', 'asyncio', 'typing'} & set(sys.modules)\n"
        "fastload.scenario, fastload.VU, fastload.setup, fastload.Trend, fastload.HttpSettings\n"
        "assert not {'numpy', 'psutil', 'rich', 'click', 'uvicorn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=REPO, check=True, timeout=60)


def test_a_run_has_imported_what_scenarios_use() -> None:
    """A worker that imports under load blocks its loop."""
    code = (
        "import sys, fastload, fastload.runner\n"
        "later = {where[0] for where in fastload._LATER.values() if where[0].startswith('fastload.load.')}\n"
        "assert len(later) > 8\n"
        "assert later - set(sys.modules) == set()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=REPO, check=True, timeout=60)


def test_modules_and_functions_stay_small() -> None:
    modules = list((REPO / "fastload").rglob("*.py"))
    assert [path.name for path in modules if len(path.read_text().splitlines()) > 600] == []
