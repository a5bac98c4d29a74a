"""``--save`` (``--out run=``): writes a run file during the run, with all data for later reports."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.codec import HEADER, MAGIC, PREAMBLE, SECOND, SUMMARY, pack_record, snapshot_to_plain
from fastload.model.saved.run_file import SUFFIX
from fastload.outputs.files import check_file, is_special, target_of

_OPTION = "--save"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_TITLE_AT_MOST = 40
_OTHER = re.compile(r"[^A-Za-z0-9]+")


class RunFile:
    """A sink that writes each second to a run file, whole or not at all: the file stays readable if the process dies.

    *where* is a file or a directory. It is a directory if it exists as one or ends with a slash; the file in it is
    named after start and title of the run. An existing file is replaced if it is a run file or empty, and refused
    otherwise. A new file must have a suffix, because a name without one may be meant as a directory.

    ``path`` is the file, known once it is open. ``paths`` is *where* (see
    `fastload.outputs.streams.registry.make_named_sink`).
    """

    required = True
    wants_points = False

    def __init__(self, where: str) -> None:
        if not where:
            hint = f"write it like {_OPTION} runs/ or {_OPTION} today{SUFFIX}"
            raise PlanError(f"{_OPTION} (--out run=) names no file and no directory", hint=hint)
        self.path: Path | None = None
        self.paths = (where,)
        self._where = where
        self._fd = -1
        self._written = 0

    def check(self) -> None:
        """See `Sink.check`. Creates a missing directory whose name ends with a slash.

        Raises:
            PlanError: the file cannot be written, it exists and is no run file, or it is new and has no suffix.
        """
        given = Path(self._where)
        if self._where.endswith("/"):
            _make_directory(given)
        elif not (given.exists() or given.suffix):
            hint = f"write {self._where}/ for a directory of runs, or {self._where}{SUFFIX} for a file"
            raise PlanError(f"{_OPTION} {self._where!r} is no directory, and has no suffix of a file", hint=hint)
        if is_special(given):
            hint = "for another program, write --out json=FILE or --out csv=FILE, which may be a pipe"
            raise PlanError(f"{_OPTION} {self._where!r} is a pipe or a device, and a run file is a file", hint=hint)
        target = given / f"run{SUFFIX}" if given.is_dir() else given
        check_file(target, _OPTION, example=f"run{SUFFIX}")
        if not given.is_dir() and given.exists() and not _is_replaceable(given):
            raise PlanError(
                f"{_OPTION} {self._where!r} is there already, and is no run file of fastload",
                hint=f"choose another name, like {given.with_suffix(SUFFIX)}, or remove it",
            )

    def open(self, header: RunHeader) -> None:
        begin = PREAMBLE + pack_record(HEADER, header.to_plain())
        given = Path(self._where)
        if given.is_dir():
            self._begin_in(given, header, begin)
        else:
            self._begin_at(target_of(given), begin)

    def write(self, snapshot: Snapshot) -> None:
        self._append(pack_record(SECOND, snapshot_to_plain(snapshot)))

    def close(self, summary: Mapping[str, Any] | None) -> None:
        try:
            if summary is not None:
                self._append(pack_record(SUMMARY, summary))
        finally:
            os.close(self._fd)
            self._fd = -1

    def _begin_in(self, folder: Path, header: RunHeader, begin: bytes) -> None:
        """Create the file in *folder*, under the first free name."""
        number = 1
        while True:
            path = folder / run_name(header, number)
            try:
                self._create(path, begin)
            except FileExistsError:
                number += 1
                continue
            self.path = path
            return

    def _begin_at(self, path: Path, begin: bytes) -> None:
        """Create the file at *path*. An old run file there stays until the new file has its header."""
        beside = path.with_name(f".fastload-{secrets.token_hex(8)}.tmp")
        self._create(beside, begin)
        try:
            beside.replace(path)
        except BaseException:
            _give_up(self._fd, beside)
            raise
        self.path = path

    def _create(self, path: Path, begin: bytes) -> None:
        self._fd, self._written = os.open(path, _FLAGS, 0o666), 0
        try:
            self._append(begin)
        except BaseException:
            _give_up(self._fd, path)
            raise

    def _append(self, data: bytes) -> None:
        """Append all of *data*, or nothing if the disk is full: there may be space for the next second."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self._written)
            os.lseek(self._fd, self._written, os.SEEK_SET)
            raise
        self._written += len(data)


def run_name(header: RunHeader, number: int = 1) -> str:
    """Return the file name of a run, like ``20261121-142131-checkout.fastload``.

    It has the start of the run in UTC and the characters of the title that suit a file name. A *number* above 1 is
    appended, for several runs with the same start and title.
    """
    date, _, clock = header.started_at.partition("T")
    start = f"{date.replace('-', '')}-{clock[:8].replace(':', '')}"
    title = _OTHER.sub("-", header.title.removesuffix(".py"))[-_TITLE_AT_MOST:].strip("-")
    parts = [start, *([title] if title else []), *([str(number)] if number > 1 else [])]
    return "-".join(parts) + SUFFIX


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{_OPTION} {str(path)!r} cannot be made a directory: {error.strerror}"
        raise PlanError(message, hint="choose a path that you may write to") from error


def _is_replaceable(path: Path) -> bool:
    """Whether *path* is a run file or an empty file."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            begin = file.read(len(MAGIC))
    except OSError:
        return False
    return begin in (b"", MAGIC)


def _give_up(fd: int, path: Path) -> None:
    os.close(fd)
    with suppress(OSError):
        path.unlink()
