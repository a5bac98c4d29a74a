"""The summary as JSON: to a file, whole or not at all, or to a stream."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from fastload.model.errors import PlanError
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.outputs.base import mute, writing

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_INT64 = 2**63
_EFFECTIVE = os.access in os.supports_effective_ids


def dump_summary(summary: Summary) -> bytes:
    """The summary as JSON, indented, in the order of `Summary.to_dict`; NaN and infinities become null."""
    data = summary.to_dict()
    try:
        return orjson.dumps(data, option=_OPTIONS)
    except TypeError:
        # Scripts put in integers over 64 bits and text that is no Unicode: that must not cost the whole summary.
        return orjson.dumps(_plain(data), option=_OPTIONS)


class SummaryFile:
    """Writes the summary to *path* at the end; *option* is what a `PlanError` calls it."""

    def __init__(self, path: str | Path, *, option: str = "summary file") -> None:
        self._path = Path(path)
        self._option = option

    def check(self) -> None:
        """Find out, before the run, whether the file can be written; an existing one stays as it is.

        Raises:
            PlanError: its directory is missing, it is a directory itself, or it may not be written.
        """
        target = self._target()
        try:
            if target.is_dir():
                raise self._impossible("is a directory", f"add a file name: {self._path / 'summary.json'}")
            if not target.parent.is_dir():
                raise self._impossible("has no directory to be in", f"create it: mkdir -p {self._path.parent}")
            if target.exists() and not os.access(target, os.W_OK, effective_ids=_EFFECTIVE):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if _is_replaceable(target):
                probe = _beside(target)
                os.close(_create(probe))
                probe.unlink()
        except OSError as error:
            hint = "choose a path that you may write to"
            raise self._impossible(f"cannot be written: {error.strerror}", hint) from error

    def start(self, plan: Plan) -> None:
        """Nothing yet."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing yet."""

    def stop(self, summary: Summary) -> None:
        """Write the file: readers see the old content, or all of the new."""
        target, data = self._target(), dump_summary(summary)
        with writing(f"{self._option} {str(self._path)!r}"):
            if _is_replaceable(target):
                _replace(target, data)
            else:
                target.write_bytes(data)

    def _target(self) -> Path:
        """Where the bytes go: a link stays a link."""
        return Path(os.path.realpath(self._path))

    def _impossible(self, reason: str, hint: str) -> PlanError:
        return PlanError(f"{self._option} {str(self._path)!r} {reason}", hint=hint)


class SummaryStream:
    """Writes the summary to a binary *stream* at the end, like ``sys.stdout.buffer`` for ``--json``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def start(self, plan: Plan) -> None:
        """Nothing yet."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing yet."""

    def stop(self, summary: Summary) -> None:
        """Write it all; a reader that went away is no error."""
        data = dump_summary(summary)
        with writing("the summary", last_to=self._stream):
            try:
                self._stream.write(data)
                self._stream.flush()
            except BrokenPipeError:
                mute(self._stream)


def _is_replaceable(target: Path) -> bool:
    """Whether *target* is a file, or nothing yet. Devices and pipes (/dev/stdout, /dev/null) are written into."""
    return target.is_file() or not target.exists()


def _beside(target: Path) -> Path:
    """A new name in the same directory, which is on the same file system."""
    return target.with_name(f".fastload-{secrets.token_hex(8)}.tmp")


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _replace(target: Path, data: bytes) -> None:
    temporary = _beside(target)
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            file.write(data)
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _plain(value: Any) -> Any:
    """*value* as orjson takes it: integers within 64 bits, text that is Unicode."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return int(value)
    return float(value) if abs(value) <= sys.float_info.max else None
