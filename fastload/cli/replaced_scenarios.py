"""Scenarios of a script under one name, of which Python keeps only the last one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from fastload.cli.required_names import statements_of
from fastload.load.client.callables import layers_of
from fastload.load.script.scenarios import Declaration, Scenario
from fastload.model.errors import PlanError

KEEP_IT = "keep what @fl.scenario returns in a variable at the top, or in a list"
_DECLARES = {"scenario", "setup", "teardown", "test_start", "test_stop", "handle_summary"}


def refuse_replaced(text: str, source: bytes) -> None:
    """Refuse a script that declares two scenarios, setups and so on under one name: Python keeps only the last one."""
    lines: dict[str, int] = {}
    for node in statements_of(source):
        if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        if not _DECLARES.isdisjoint(map(_last_name, node.decorator_list)):
            if node.name in lines:
                what = f"{text} declares {node.name} twice, in lines {lines[node.name]} and {node.lineno}"
                raise PlanError(what, hint="give each a name of its own: Python keeps only the last one")
            lines[node.name] = node.lineno


def _last_name(decorator: ast.expr) -> str:
    """Return ``scenario`` for ``@fl.scenario(...)``."""
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    return getattr(decorator, "attr", getattr(decorator, "id", ""))


def made_beside(
    text: str, module: str, declared: list[Declaration], named: Mapping[int, Scenario], kept: Mapping[int, Scenario]
) -> list[Scenario]:
    """Return the scenarios that no name of the script has, and that it made in one place with one that has a name.

    That is a loop, or a factory: Python keeps the last one under the name of the function. What another module made
    with the factory runs only if the script imports it.

    Args:
        text: how the user calls the script.
        module: the name of its module.
        declared: all that were made while it was imported.
        named, kept: those that a name of the script has; and those that a list of it has as well.

    Raises:
        PlanError: two of them have the same name as well.
    """
    with_name = {one.scenario.name: one for one in declared if id(one.scenario) in kept}
    beside = []
    for made in _by_place(declared):
        is_named = any(id(one.scenario) in named for one in made)
        for one in made:
            same = with_name.get(one.scenario.name)
            if id(one.scenario) not in kept:
                if same is not None and same.module == one.module and (is_named or same.file == one.file):
                    raise _replaced(text, one, same)
                if is_named and one.module == module:
                    beside.append(one.scenario)
    _check_names(text, beside)
    return beside


def refuse_lost(text: str, module: str, declared: list[Declaration], found: Iterable[Scenario]) -> None:
    """Refuse a script, of the name *module*, that keeps none of what it declares in one place, beside what is *found*.

    A part of a list that it makes is its own choice.
    """
    kept = {id(one) for one in found}
    for made in _by_place(declared):
        lost = made[0]
        if lost.module == module and kept.isdisjoint(id(one.scenario) for one in made):
            where = f"line {lost.line} of {Path(lost.file).name}"
            raise PlanError(f"{text} declares scenario {lost.scenario.name}, in {where}, and loses it", hint=KEEP_IT)


def _by_place(declared: list[Declaration]) -> Iterable[list[Declaration]]:
    by_place: dict[tuple[Any, ...], list[Declaration]] = {}
    for one in declared:
        # With the code: a decorator of the script's own declares all its functions in one line.
        by_place.setdefault((one.file, one.line, *_codes_of(one.scenario)), []).append(one)
    return by_place.values()


def _codes_of(scenario: Scenario) -> list[int]:
    layers = (layer for function in scenario._functions for layer in layers_of(function))
    return [id(layer.__code__) for layer in layers if isinstance(layer, FunctionType)]


def _check_names(text: str, made: list[Scenario]) -> None:
    names = [one.name for one in made]
    for name in names:
        if names.count(name) > 1:
            what = f"{text} declares {name} {names.count(name)} times"
            raise PlanError(what, hint="give each a name of its own: @fl.scenario(name=...)")


def _replaced(text: str, lost: Declaration, kept: Declaration) -> PlanError:
    if (lost.file, lost.line) == (kept.file, kept.line):
        where, hint = f"again and again, in line {lost.line} of {Path(lost.file).name}", "@fl.scenario(name=...)"
    else:
        where, hint = f"twice, in lines {lost.line} and {kept.line} of {Path(lost.file).name}", "another def"
    return PlanError(
        f"{text} declares {lost.scenario.name} {where}",
        hint=f"give each a name of its own, with {hint}: only the last one would run",
    )
