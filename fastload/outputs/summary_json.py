"""The summary as JSON: to a file, whole or not at all, or to a stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.outputs.base import mute, writing
from fastload.outputs.files import check_file, replace_file

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_INT64 = 2**63


def dump_summary(summary: Summary) -> bytes:
    """The summary as JSON, indented, in the order of `Summary.to_dict`; NaN and infinities become null."""
    return dump_json(summary.to_dict(), option=_OPTIONS)


def dump_json(data: Any, option: int = 0) -> bytes:
    """*data* as JSON with orjson's *option*; NaN and infinities become null."""
    try:
        return orjson.dumps(data, option=option)
    except TypeError:
        # Scripts put in integers over 64 bits and text that is no Unicode: that must not cost the whole output.
        return orjson.dumps(_plain(data), option=option)


class SummaryFile:
    """Writes the summary to *path* at the end; *option* is what a `PlanError` calls it."""

    required = True

    def __init__(self, path: str | Path, *, option: str = "summary file") -> None:
        self._path = Path(path)
        self._option = option

    def check(self) -> None:
        """Find out, before the run, whether the file can be written; an existing one stays as it is.

        Raises:
            PlanError: its directory is missing, it is a directory itself, or it may not be written.
        """
        check_file(self._path, self._option, example="summary.json")

    def start(self, plan: Plan) -> None:
        """Nothing yet."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing yet."""

    def stop(self, summary: Summary) -> None:
        """Write the file: readers see the old content, or all of the new."""
        data = dump_summary(summary)
        with writing(f"{self._option} {str(self._path)!r}"):
            replace_file(self._path, data)


class SummaryStream:
    """Writes the summary to a binary *stream* at the end, like ``sys.stdout.buffer`` for ``--json``."""

    required = True

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
