"""Conflicts of outputs, found before the run: two outputs with one file or port, or an output over an input file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from fastload.model.errors import PlanError
from fastload.outputs.files import is_special, is_stdout, target_of

_Key = str | tuple[int, int]


class WrittenFile(NamedTuple):
    """A file that *option* writes; ``-`` is stdout. *may_be_folder*: *path* may be a directory for new files."""

    option: str
    path: str
    may_be_folder: bool = False


class ListeningPort(NamedTuple):
    """A port on which *option* listens; port 0 means any free port."""

    option: str
    host: str
    port: int


def check_ports(listeners: Iterable[ListeningPort]) -> None:
    """Check that no two of *listeners* use the same port.

    A port that another program uses is found only when the port is opened.

    Raises:
        PlanError: two listeners use the same port.
    """
    seen: list[ListeningPort] = []
    for one in listeners:
        for other in seen:
            if one.port and one.port == other.port and _overlap(one.host, other.host):
                both = f"{other.option} and {one.option} would both listen on port {one.port}"
                raise PlanError(both, hint="give each its own port")
        seen.append(one)


def _overlap(host: str, other: str) -> bool:
    hosts = {"127.0.0.1" if one == "localhost" else one for one in (host, other)}
    return len(hosts) == 1 or not hosts.isdisjoint(("0.0.0.0", "::"))


def check_distinct_files(written: Iterable[WrittenFile], read: Mapping[str, str]) -> None:
    """Check that all *written* files differ, and that none of them is an input file.

    *read* is ``{path: description}`` of the input files. Links are followed. Several outputs may write to the same
    device or pipe, like /dev/null.

    Raises:
        PlanError: two outputs have the same file, an output would overwrite an input file, or the name of an output
            file is that of a directory (``/`` at the end).
    """
    inputs = {key: what for path, what in read.items() for key in _keys(path)}
    seen: dict[_Key, WrittenFile] = {}
    for one in written:
        if not one.may_be_folder and one.path.endswith(("/", "/.")):
            raise PlanError(f"{one.option} {one.path!r} is a directory, and a file is wanted", hint="add a file name")
        keys = _keys(one.path)
        for key in keys:
            if key in inputs:
                hint = "choose another name for what is written"
                raise PlanError(f"{one.option} {one.path!r} would overwrite {inputs[key]}", hint=hint)
            if key in seen:
                raise _collision(seen[key], one)
        seen.update(dict.fromkeys(keys, one))


def _collision(one: WrittenFile, other: WrittenFile) -> PlanError:
    if is_stdout(other.path):
        both = f"{one.option} and {other.option} would both go to stdout"
        return PlanError(both, hint="write one of them to a file")
    return PlanError(f"{one.option} and {other.option} would both write {other.path!r}", hint="give each its own file")


def _keys(path: str) -> list[_Key]:
    """Return the keys by which two paths of the same file are recognised.

    The keys are the path without links, and device and inode, which hard links share. Devices and pipes have no key.
    """
    if is_stdout(path):
        return ["-"]
    try:
        target = target_of(Path(path))
    except ValueError as error:
        raise PlanError(
            f"the output {path!r:.80} has no path that can be: {error}", hint="give another path"
        ) from error
    if is_special(target):
        return []
    try:
        found = target.stat()
    except OSError:
        return [str(target)]
    return [str(target), (found.st_dev, found.st_ino)]
