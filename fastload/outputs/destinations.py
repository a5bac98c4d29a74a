"""Where outputs go: two of them in one place or at one port, or one over what is read, are refused before the run."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from fastload.model.errors import PlanError
from fastload.outputs.files import is_stdout

_Key = str | tuple[int, int]


class WrittenFile(NamedTuple):
    """*option* writes *path*, or to stdout where that is ``-``; *may_be_folder*: or new files in it."""

    option: str
    path: str
    may_be_folder: bool = False


class ListeningPort(NamedTuple):
    """*option* listens on *port* of *host*; 0 is any that is free."""

    option: str
    host: str
    port: int


def check_ports(listeners: Iterable[ListeningPort]) -> None:
    """That no two of *listeners* would have one port. Whether others have it is known when it is opened.

    Raises:
        PlanError: they would.
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


def check_apart(written: Iterable[WrittenFile], read: Mapping[str, str]) -> None:
    """That all of *written* are different files, and none is one of *read*: ``{path: what it is}``.

    Links are followed. Devices and pipes, like /dev/null, take what several write.

    Raises:
        PlanError: they are not; or one is a directory by its name, and a file is wanted.
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
    """What two paths of one file have in common: where links lead, and what is there under several names."""
    if is_stdout(path):
        return ["-"]
    target = os.path.realpath(path)
    try:
        found = Path(target).stat()
    except OSError:
        return [target]
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
        return [target, (found.st_dev, found.st_ino)]
    return []
