"""Imports a script: returns its scenarios, or raises one clear error that points at the user's own line."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from fastload.cli.shipped_scripts import SCRIPT_PREFIX, shipped_script
from fastload.load.script.advice import advised_traceback
from fastload.load.script.hooks import hook_of, make_hooks
from fastload.load.script.scenarios import Scenario
from fastload.model.errors import FastloadError, PlanError, nearest
from fastload.model.hooks import Hooks
from fastload.planning.script_checks import TOO_DEEP

MODULE_NAME = "fastload_script"
_DECLARES = {"scenario", "setup", "teardown", "test_start", "test_stop", "handle_summary"}


class Script(NamedTuple):
    """The declarations of a script: its scenarios, in the order of the file, and the hooks around the test."""

    scenarios: list[Scenario]
    hooks: Hooks


def load_script(text: str) -> Script:
    """Return the declarations of the script at path *text*, or of the shipped one like ``scenario:ingest``.

    Raises:
        PlanError: there is no such script, its import fails, or it declares no scenario.
    """
    path = shipped_script(text) if text.startswith(SCRIPT_PREFIX) else Path(text)
    if path.suffix in (".js", ".ts"):
        raise PlanError(
            f"{text} is a script of k6, which fastload does not run",
            hint="write its scenarios in Python; its options file works as it is: --opts options.json",
        )
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        guess = nearest(path.name, [found.name for found in folder.glob("*.py")])
        raise PlanError(f"there is no script {text!r}", hint=guess or "give the path of a Python file")
    module = _import(path)
    _refuse_replaced(text, path)
    found = list({id(item): item for item in vars(module).values() if type(item) is Scenario}.values())
    if not found:
        raise PlanError(f"{text} declares no scenario", hint=_hint_without_scenario(module))
    return Script(found, _hooks_of(text, module))


def _refuse_replaced(text: str, path: Path) -> None:
    """Refuse a script that declares two scenarios, setups and so on under one name: Python keeps only the last one."""
    lines: dict[str, int] = {}
    for node in _body(path):
        if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        if not _DECLARES.isdisjoint(map(_last_name, node.decorator_list)):
            if node.name in lines:
                what = f"{text} declares {node.name} twice, in lines {lines[node.name]} and {node.lineno}"
                raise PlanError(what, hint="give each a name of its own: Python keeps only the last one")
            lines[node.name] = node.lineno


def _body(path: Path) -> list[ast.stmt]:
    """Return the statements of the script at *path*, which was imported; empty if there is too much within each other
    for a syntax tree."""
    with warnings.catch_warnings():
        # The import has shown them.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(path.read_bytes()).body
        except (SyntaxError, ValueError, *TOO_DEEP):
            return []


def _last_name(decorator: ast.expr) -> str:
    """Return ``scenario`` for ``@fl.scenario(...)``."""
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    return getattr(decorator, "attr", getattr(decorator, "id", ""))


def _hooks_of(text: str, module: ModuleType) -> Hooks:
    hooks = {id(item): hook for item in vars(module).values() if (hook := hook_of(item)) is not None}
    try:
        return make_hooks(hooks.values())
    except PlanError as error:
        raise PlanError(f"{text}: {error.message}", hint=error.hint) from error


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    if spec is None or spec.loader is None:
        raise PlanError(f"{path} is not a Python file", hint="give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    # As `python script.py` does: the script may import modules of its folder.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
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


def _hint_without_scenario(module: ModuleType) -> str:
    own = [item for item in vars(module).values() if getattr(item, "__module__", None) == MODULE_NAME]
    for function in filter(inspect.iscoroutinefunction, own):
        return f"put @fl.scenario above 'async def {function.__name__}'"
    return "write an 'async def' that takes the VU, with @fl.scenario above it"
