"""What modules import from each other: at the top, within functions, and for annotations alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


def imports_of(package: Path) -> dict[str, set[str]]:
    """By each module of *package*, by its dotted name, the modules of the same package that it imports."""
    modules = {_name_of(path, package): path for path in package.rglob("*.py")}
    return {
        name: set(_imported(ast.parse(path.read_text()), frozenset(modules))) - {name} for name, path in modules.items()
    }


def find_circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules each of which imports the one before it, the first and the last being the same; empty without any."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _name_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module, modules: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name in modules)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                submodules = {f"{module}.{one.name}" for one in names}
                yield from submodules & modules
                if module in modules and not submodules <= modules:
                    yield module
            case ast.ImportFrom(level=level) if level:
                raise AssertionError("imports are absolute here")
