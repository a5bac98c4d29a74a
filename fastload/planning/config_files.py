"""Configuration files: ``fastload.toml``, ``[tool.fastload]`` of pyproject.toml, other TOML files, and k6's JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastload.model.bounded_read import read_bounded
from fastload.model.errors import PlanError, nearest_file
from fastload.model.file_text import utf8_text
from fastload.planning.k6 import k6_tier
from fastload.planning.options import check_options
from fastload.planning.tiers import Tier

PROJECT_FILES = "fastload.toml"
_TABLE = "scenarios"
# Files that somebody may take for a configuration -> what to do instead.
_OTHER_KINDS = {
    ".yaml": "write the same in TOML, or in JSON",
    ".yml": "write the same in TOML, or in JSON",
    ".js": "write its options as JSON: of a script for k6, k6 inspect shows them",
    ".ts": "write its options as JSON: of a script for k6, k6 inspect shows them",
    ".py": "give a script as SCRIPT, without an option before it",
}


def project_tiers(folder: Path) -> list[Tier]:
    """Return the tiers of ``[tool.fastload]`` in pyproject.toml and of fastload.toml in *folder*, if they exist.

    Raises:
        PlanError: a file cannot be read, or an option in it is wrong.
    """
    tiers = []
    project = folder / "pyproject.toml"
    if project.is_file():
        tools = _parse_toml(_read(project, project.name), project.name).get("tool")
        table = tools.get("fastload") if isinstance(tools, Mapping) else None
        if table is not None:
            tiers.append(_tier(table, name="pyproject.toml", folder=folder, is_project_file=True))
    own = folder / PROJECT_FILES
    if own.is_file():
        tiers.append(
            _tier(_parse_toml(_read(own, own.name), own.name), name=own.name, folder=folder, is_project_file=True)
        )
    return tiers


def file_tier(text: str, *, option: str) -> Tier:
    """Return the tier of the file at path *text*: k6-style JSON if the path ends in ``.json``, else TOML.

    A path without a suffix, as of a shell's ``<(command)``, is JSON if its text begins with a brace. *option* is the
    name of the option with this path, for messages.

    Raises:
        PlanError: the file cannot be read, or an option in it is wrong.
    """
    path = Path(text)
    try:
        is_file = path.exists() and not path.is_dir()
    except (OSError, ValueError) as error:
        # Too long, or with a NUL.
        raise PlanError(f"{option}: {text!r:.80} is no path: {error}", hint="give a .toml or a .json file") from error
    if not is_file:
        beside = [found.name for found in path.parent.glob("*") if found.suffix in (".toml", ".json")]
        raise PlanError(
            f"{option}: there is no file {text!r}",
            hint=nearest_file(path.name, beside) or "give a .toml or a .json file",
        )
    if instead := _OTHER_KINDS.get(path.suffix.lower()):
        raise PlanError(f"{option}: {text!r} is neither TOML nor JSON", hint=instead)
    content = _read(path, text)
    # Paths in a pipe begin where the command was started.
    folder = path.parent if path.is_file() else Path()
    if path.suffix.lower() == ".json" or (not path.suffix and content.lstrip().startswith("{")):
        return k6_tier(_parse_json(content, text), name=text, folder=str(folder))
    return _tier(_parse_toml(content, text), name=text, folder=folder)


def _tier(table: Any, *, name: str, folder: Path, is_project_file: bool = False) -> Tier:
    where = f"{name} [tool.fastload]" if name == "pyproject.toml" else name
    if not isinstance(table, Mapping):
        raise PlanError(f"{where} is no table", hint="write options below it, like vus = 10")
    scenarios = table.get(_TABLE, {})
    if not isinstance(scenarios, Mapping) or not all(isinstance(one, Mapping) for one in scenarios.values()):
        raise PlanError(f"{where}: {_TABLE} is no table of tables", hint="write [scenarios.NAME] and its options below")
    options = {name: value for name, value in table.items() if name != _TABLE}
    return Tier(
        name,
        check_options(options, where=where, folder=str(folder)),
        {
            one: check_options(own, where=f"{where} [{_TABLE}.{one}]", of_scenario=True, folder=str(folder))
            for one, own in scenarios.items()
        },
        is_project_file=is_project_file,
    )


def _read(path: Path, name: str) -> str:
    try:
        return utf8_text(read_bounded(path), name)
    except OSError as error:
        raise PlanError(
            f"{name} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _parse_toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{name} is not TOML: {error}", hint="mend that line") from error
    except (RecursionError, ValueError) as error:
        raise _immoderate(name, error) from error


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except _JsonMistake as error:
        raise PlanError(f"{name}: {error.message}", hint=error.hint) from error
    except json.JSONDecodeError as error:
        raise PlanError(
            f"{name} is not JSON: {error.msg} (at line {error.lineno}, column {error.colno})", hint="mend that line"
        ) from error
    except (RecursionError, ValueError) as error:
        raise _immoderate(name, error) from error


class _JsonMistake(PlanError):
    """Mistake in a JSON file that Python's reader accepts; the caller adds the file's name."""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. A name that is there twice is a mistake: one of its two values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _JsonMistake(f"{twice!r} is given twice in one object", hint="keep one of them")
    return found


def _no_number(text: str) -> Any:
    raise _JsonMistake(f"{text} is no number of JSON", hint="write a number, or leave it out")


def _immoderate(name: str, error: Exception) -> PlanError:
    """Return the error for a file that is right but for its measure: Python refuses a number of thousands of digits."""
    what = "it has too many brackets within each other" if isinstance(error, RecursionError) else str(error)
    return PlanError(f"{name} cannot be read: {what}", hint="write plain options")
