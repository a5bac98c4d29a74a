"""Imports a script: returns its scenarios, or raises one clear error that points at the user's own line."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import sys
from collections.abc import Iterator
from importlib.abc import Loader
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from fastload.cli.replaced_scenarios import KEEP_IT, made_beside, refuse_lost, refuse_replaced
from fastload.cli.required_names import required_names
from fastload.cli.shipped_scripts import SCRIPT_PREFIX, shipped_script
from fastload.load.script.advice import advised_traceback
from fastload.load.script.environment import UnsetNameError, unset_error
from fastload.load.script.hooks import make_hooks
from fastload.load.script.scenarios import Declaration, Scenario, declarations
from fastload.model.bounded_read import read_bounded
from fastload.model.errors import FastloadError, PlanError, nearest_file
from fastload.model.hooks import Hooks, hook_of

MODULE_NAME = "fastload_script"
_STDIN = "/dev/stdin"


class Script(NamedTuple):
    """The declarations of a script: its scenarios, in the order of the file, and the hooks around the test."""

    scenarios: list[Scenario]
    hooks: Hooks


def load_script(text: str) -> Script:
    """Return the declarations of the script at path *text*, or of the shipped one like ``scenario:ingest``.

    A script may come from a pipe, as of a shell's ``<(command)``; ``-`` is stdin.

    Raises:
        PlanError: there is no such script, its import fails, or it declares no scenario.
    """
    path = shipped_script(text) if text.startswith(SCRIPT_PREFIX) else Path(_STDIN if text == "-" else text)
    if path.suffix in (".js", ".ts"):
        raise PlanError(
            f"{text} is a script of k6, which fastload does not run",
            hint="write its scenarios in Python; its options file works as it is: --opts options.json",
        )
    if not path.exists() or path.is_dir():
        folder = path.parent if path.parent.is_dir() else Path()
        guess = nearest_file(path.name, [found.name for found in folder.glob("*.py")])
        raise PlanError(f"there is no script {text!r}", hint=guess or "give the path of a Python file")
    source = _read(text, path)
    with declarations() as declared:
        module = _import(path, source)
    refuse_replaced(text, source)
    named = {id(item): item for item in vars(module).values() if type(item) is Scenario}
    kept = named | {id(one): one for item in vars(module).values() for one in _scenarios_in(item)}
    found = [*kept.values(), *made_beside(text, MODULE_NAME, declared, named, kept)]
    if not found:
        raise PlanError(f"{text} declares no scenario", hint=_hint_without_scenario(module, declared))
    refuse_lost(text, MODULE_NAME, declared, found)
    order = {id(one.scenario): number for number, one in enumerate(declared)}
    # What was imported before, by whoever started the run, comes first.
    found.sort(key=lambda one: order.get(id(one), -1))
    return Script(found, _hooks_of(text, module))


def _scenarios_in(item: Any) -> Iterator[Scenario]:
    """Return the scenarios in *item*, a list, tuple, set or dict of the script."""
    # Not isinstance: that asks an object for its class, and a proxy of a library may raise then.
    kind = type(item)
    inside = item.values() if issubclass(kind, dict) else item if issubclass(kind, list | tuple | set) else ()
    return (one for one in inside if type(one) is Scenario)


def _read(text: str, path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        hint = "give the path of a Python file"
        raise PlanError(f"the script {text!r} cannot be read: {error.strerror}", hint=hint) from error


def _hooks_of(text: str, module: ModuleType) -> Hooks:
    hooks = {id(item): hook for item in vars(module).values() if (hook := hook_of(item)) is not None}
    try:
        return make_hooks(hooks.values())
    except PlanError as error:
        raise PlanError(f"{text}: {error.message}", hint=error.hint) from error


def _import(path: Path, source: bytes) -> ModuleType:
    if path.suffix not in ("", ".py"):
        raise PlanError(f"{path} is not a Python file", hint="give a file that ends in .py")
    loader: Loader
    if path.is_file():
        loader, folder = SourceFileLoader(MODULE_NAME, str(path)), path.resolve().parent
    else:
        loader, folder = _PipedLoader(path, source), Path.cwd()
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    # As `python script.py` does: the script may import modules of its folder.
    sys.path.insert(0, str(folder))
    try:
        loader.exec_module(module)
    except UnsetNameError as error:
        every = unset_error([error.name, *required_names(source)])
        raise PlanError(f"{path}: {every.message}", hint=every.hint) from error
    except FastloadError as error:
        raise PlanError(f"{path}: {error.message}", hint=error.hint) from error
    except KeyboardInterrupt:
        # Ctrl-C: nobody can tell it from one that the script raises.
        raise
    except BaseException as error:
        raise PlanError(
            f"{path} does not import:\n{advised_traceback(error)}", hint="mend that line; nothing was sent"
        ) from error
    return module


class _PipedLoader(Loader):
    """Loader of a script that came from a pipe. Its lines are kept for tracebacks: nobody can read them again."""

    def __init__(self, path: Path, source: bytes) -> None:
        self._name = str(path)
        self._source = source

    def exec_module(self, module: ModuleType) -> None:
        code = compile(self._source, self._name, "exec", dont_inherit=True)
        lines = importlib.util.decode_source(self._source).splitlines(keepends=True)
        # Without a time of change, `linecache.checkcache` leaves it alone.
        linecache.cache[self._name] = (len(self._source), None, lines, self._name)
        exec(code, vars(module))


def _names_in(module: str, declared: list[Declaration]) -> list[str]:
    """Return the variables of *module* that keep what is *declared*."""
    made = {id(one.scenario) for one in declared}
    return [name for name, item in vars(sys.modules[module]).items() if id(item) in made]


def _hint_without_scenario(module: ModuleType, declared: list[Declaration]) -> str:
    if declared:
        first = declared[0]
        if first.module in sys.modules and (names := _names_in(first.module, declared)):
            return f"import what is to run by its name: from {first.module} import {', '.join(names)}"
        return f"scenario {first.scenario.name} is lost: {KEEP_IT}"
    own = [item for item in vars(module).values() if getattr(item, "__module__", None) == MODULE_NAME]
    for function in filter(inspect.iscoroutinefunction, own):
        return f"put @fl.scenario above 'async def {function.__name__}'"
    return "write an 'async def' that takes the VU, with @fl.scenario above it"
