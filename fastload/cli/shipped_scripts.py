"""Scripts that ship with fastload, found by name: ``scenario:ingest``."""

from __future__ import annotations

from pathlib import Path

from fastload.model.errors import PlanError, nearest

SCRIPT_PREFIX = "scenario:"
_PACKAGE = Path(__file__).parents[1]


def shipped_script(text: str) -> Path:
    """Return the path of the shipped script that *text* names, like ``scenario:ingest``.

    Raises:
        PlanError: no shipped script has that name.
    """
    name = text.removeprefix(SCRIPT_PREFIX).removesuffix(".py")
    scripts = {path.stem: path for path in sorted(_folder().glob("[!_]*.py"))}
    if name not in scripts:
        known = f"there are {', '.join(SCRIPT_PREFIX + known for known in scripts)}"
        guess = nearest(name, scripts).replace("'", f"'{SCRIPT_PREFIX}", 1)
        raise PlanError(f"there is no {text!r}", hint=f"{guess} {known}".strip())
    return scripts[name]


def _folder() -> Path:
    """Return the scripts' folder: inside the package if installed, beside it in a copy of the repository."""
    inside = _PACKAGE / "scenarios"
    return inside if inside.is_dir() else _PACKAGE.parent / "scenarios"
