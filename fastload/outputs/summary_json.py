"""The summary as JSON, written to a file (atomically) or to a stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.outputs.base import mute, writing
from fastload.outputs.destinations import WrittenFile
from fastload.outputs.files import check_file, replace_file

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_INT64 = 2**63


def dump_summary(summary: Summary) -> bytes:
    """Return the summary as indented JSON, in the order of `Summary.to_dict`; NaN and infinity become null."""
    return dump_json(summary.to_dict(), option=_OPTIONS)


def dump_json(data: Any, option: int = 0) -> bytes:
    """Return *data* as JSON, with orjson's *option*; NaN and infinity become null."""
    try:
        return orjson.dumps(data, option=option)
    except TypeError:
        # Scripts may supply integers over 64 bits and invalid Unicode, which orjson refuses. The output must not fail.
        return orjson.dumps(_plain(data), option=option)


class SummaryFile:
    """An output that writes the summary to *path* at the end; *option* is its name in errors."""

    required = True

    def __init__(self, path: str | Path, *, option: str = "summary file") -> None:
        self._path = Path(path)
        self.name = option
        self.written = (WrittenFile(option, str(path)),)

    def check(self) -> None:
        """Check, before the run, that the file can be written. An existing file is not changed.

        Raises:
            PlanError: the directory of the file is missing, the path is a directory, or the file may not be written.
        """
        check_file(self._path, self.name, example="summary.json")

    def start(self, plan: Plan) -> None:
        """Do nothing before the end of the run."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Do nothing before the end of the run."""

    def stop(self, summary: Summary) -> None:
        """Write the file: readers see the old content or all of the new content."""
        data = dump_summary(summary)
        with writing(f"{self.name} {str(self._path)!r}"):
            replace_file(self._path, data)


class SummaryStream:
    """An output that writes the summary to a binary *stream* at the end, like ``sys.stdout.buffer`` for ``--json``."""

    name = "--json"
    required = True

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def start(self, plan: Plan) -> None:
        """Do nothing before the end of the run."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Do nothing before the end of the run."""

    def stop(self, summary: Summary) -> None:
        """Write the summary and flush it. A closed pipe is no error."""
        data = dump_summary(summary)
        with writing("the summary", last_to=self._stream):
            try:
                self._stream.write(data)
                self._stream.flush()
            except BrokenPipeError:
                mute(self._stream)


def _plain(value: Any) -> Any:
    """Convert *value* for orjson: integers over 64 bits become floats (or None), invalid Unicode is escaped."""
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
