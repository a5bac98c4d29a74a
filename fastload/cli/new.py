"""``fastload new``: writes a first script from a template, a document, a command of curl or a shipped scenario."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from fastload.cli.shipped_scripts import SCRIPT_PREFIX, shipped_script
from fastload.convert import (
    DATA_TEMPLATE,
    TEMPLATES,
    Conversion,
    RecordingFilter,
    convert,
    data_rows,
    from_template,
    refuse_deletes,
)
from fastload.model.errors import PlanError
from fastload.model.units import parse_duration_s

_WORD = re.compile(r"\w")


def _seconds(_context: click.Context, option: click.Parameter, text: str) -> float:
    return parse_duration_s(text, what=option.opts[0])


@click.command(short_help="Write a first script.")
@click.argument("name")
@click.option(
    "--from",
    "source",
    metavar="FILE|URL|COMMAND|scenario:NAME",
    help="A recording (HAR), a description of an API (OpenAPI 3, JSON or YAML), a collection of Postman, or commands "
    "of curl: as a file or its URL; one command of curl; or a shipped scenario.",
)
@click.option(
    "--template", type=click.Choice([*TEMPLATES]), help="Without --from: the kind of load.  [default: minimal]"
)
@click.option("--all-hosts", is_flag=True, help="Of a recording: keep requests to other hosts than the first.")
@click.option("--static", is_flag=True, help="Of a recording: keep images, styles, scripts and fonts.")
@click.option(
    "--max-pause",
    metavar="DURATION",
    default="10s",
    show_default=True,
    callback=_seconds,
    help="Of a recording: cut longer pauses to this.",
)
@click.option("--with-deletes", is_flag=True, help="Of an API: call the operations that delete, too.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def new(name: str, source: str | None, template: str | None, force: bool, with_deletes: bool, **options: Any) -> int:
    """Write a first script, NAME.py, which runs as it is.

    \b
    Examples:
      fastload new shop
      fastload new shop --template stages
      fastload new shop --from recording.har
      fastload new shop --from http://localhost:8080/openapi.json
      fastload new shop --from 'curl http://localhost:8080/health'
      fastload new shop --from scenario:ingest
    """
    path = _script_path(name)
    recording_filter = RecordingFilter(options["all_hosts"], options["static"], options["max_pause"])
    if source and template:
        raise PlanError("--from and --template exclude each other", hint="leave one of them out")
    if source is None or source.startswith(SCRIPT_PREFIX):
        recording_filter.check_unused("a template" if source is None else source)
        if with_deletes:
            refuse_deletes("a template" if source is None else source)
    template = template or "minimal"
    files = [path] if source or template != DATA_TEMPLATE else [path, path.with_suffix(".csv")]
    _check_free(files, force)
    if source is None:
        made = from_template(template, path)
    elif source.startswith(SCRIPT_PREFIX):
        made = _copy_of(source, path)
    else:
        made = convert(source, str(path), recording_filter, deletes=with_deletes)
    for file, text in zip(files, (made.text, data_rows()), strict=False):
        _write(file, text, force)
    _print_next_steps(files, made)
    return 0


def _script_path(name: str) -> Path:
    """Return the path of the script called *name*.

    Raises:
        PlanError: *name* is not usable, its folder does not exist, or the script would hide another module.
    """
    path = Path(name if name.endswith(".py") else f"{name}.py")
    if not _WORD.search(path.name.removesuffix(".py")):
        raise PlanError(f"{name!r} is no name for a script", hint="write it like 'fastload new shop'")
    if not path.parent.is_dir():
        raise PlanError(f"there is no folder {str(path.parent)!r}", hint="make it first, or leave it out")
    if path.stem in sys.stdlib_module_names or path.stem == "fastload":
        raise PlanError(
            f"a script {path.name} would hide the module {path.stem} from itself",
            hint=f"call it {path.stem}_load, for example",
        )
    return path


def _check_free(files: list[Path], force: bool) -> None:
    for file in files:
        if file.is_dir() or (file.exists() and not force):
            hint = "choose another name" if file.is_dir() else "choose another name, or write over it with --force"
            raise PlanError(f"{file} is there already", hint=hint)


def _copy_of(source: str, path: Path) -> Conversion:
    """Return a copy of a shipped scenario; the commands in its text use the new path."""
    shipped = shipped_script(source)
    text = shipped.read_text(encoding="utf-8")
    for shown in (f"scenarios/{shipped.name}", f"{SCRIPT_PREFIX}{shipped.stem}"):
        text = re.sub(rf"{re.escape(shown)}\b", lambda _: str(path), text)
    return Conversion(text)


def _write(file: Path, text: str, force: bool) -> None:
    try:
        # UTF-8 can encode every script: lone surrogates, which JSON can contain, are escaped in it.
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise PlanError(f"{file} cannot be written: {error.strerror}", hint="choose another place") from error


def _print_next_steps(files: list[Path], made: Conversion) -> None:
    for note in made.notes:
        sys.stderr.write(f"Note: {note}\n")
    script = shlex.quote(str(files[0]))
    command = f"fastload run {script} {' '.join(made.options)}" if made.options else f"fastload plan {script}"
    sys.stdout.write(f"Wrote {' and '.join(map(str, files))}\nNext:  {command}\n")
