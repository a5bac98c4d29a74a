"""A saved run: one file with everything, written by ``--save``, from which every report can be made later.

``docs/run-file.md`` describes the format, `run_codec` has its records. What is written here is reading: whole runs
(`load_run`), and files that are still being written (`RunReader`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, overload

from fastload.model.cost.cost_meter import COST_METRICS
from fastload.model.cost.target_cost import TargetCost
from fastload.model.errors import nearest_file
from fastload.model.names import as_text
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.codec import (
    HEADER,
    MAGIC,
    PREAMBLE,
    PREFIX_BYTES,
    SECOND,
    SUMMARY,
    VERSION,
    RunFileError,
    check_kinds,
    check_payload,
    header_from_plain,
    snapshot_from_plain,
    unpack_payload,
    unpack_prefix,
)
from fastload.model.saved.pooled_seconds import GroupOf, Wanted, pooled_seconds
from fastload.model.saved.replay import NO_END, Replay
from fastload.model.saved.saved_cost import cost_by_seconds
from fastload.model.saved.saved_summary import check_summary, summary_from_plain
from fastload.model.summary import Summary
from fastload.model.units import format_count, format_number_of

SUFFIX = ".fastload"
_POOLED_SECONDS = 32
_HINT = f"give a file that --save wrote, like NAME{SUFFIX}"
_NAMES: dict[int, Literal["header", "second", "summary"]] = {HEADER: "header", SECOND: "second", SUMMARY: "summary"}


class Record(NamedTuple):
    """One record of a run file: a `RunHeader`, a `Snapshot`, or a summary as `Summary.to_dict` has it."""

    kind: Literal["header", "second", "summary"]
    body: Any


class SavedSeconds(Sequence[Snapshot]):
    """The seconds of a saved run. Each is decoded when it is asked for: thousands of them fit into memory packed."""

    def __init__(self, payloads: Sequence[bytes], header: RunHeader) -> None:
        self._payloads = payloads
        self._header = header

    def __len__(self) -> int:
        return len(self._payloads)

    @overload
    def __getitem__(self, index: int) -> Snapshot: ...
    @overload
    def __getitem__(self, index: slice) -> SavedSeconds: ...
    def __getitem__(self, index: int | slice) -> Snapshot | SavedSeconds:
        if isinstance(index, slice):
            return SavedSeconds(self._payloads[index], self._header)
        return _second(self._payloads[index], self._header)

    def pooled(self, group_of: GroupOf, metrics: Wanted | None = None) -> Iterator[Snapshot]:
        """See `fastload.model.saved.pooled_seconds`."""
        for second in pooled_seconds(self._payloads, group_of, metrics):
            check_kinds(second.table, self._header.specs)
            yield second

    def __iter__(self) -> Iterator[Snapshot]:
        return (_second(payload, self._header) for payload in self._payloads)


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A run as its file at *path* has it: its *header*, its *seconds* (a `Snapshot` each), and its end.

    *summary* is `Summary.to_dict`, None when the file ends before it: then the run is not
    *complete*, and *notes* say in words what is missing.
    """

    path: Path
    header: RunHeader
    seconds: SavedSeconds
    summary: dict[str, Any] | None
    notes: tuple[str, ...] = ()
    _summed: list[Summary] = field(default_factory=list, init=False, repr=False, compare=False)
    _costs: list[TargetCost | None] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def complete(self) -> bool:
        return self.summary is not None

    def read(self, group_of: GroupOf | None = None, metrics: Wanted | None = None) -> Iterator[Snapshot]:
        """The seconds; with *group_of*, and *metrics* if these are enough, as `pooled_seconds` has them.

        Of a run that is not complete, `to_summary` needs not read them again after this.
        """
        complete = self.summary is not None or bool(self._summed)
        seconds = self.seconds if group_of is None else self.seconds.pooled(group_of, metrics if complete else None)
        if complete:
            yield from seconds
            return
        replay = Replay(self.header)
        for second in seconds:
            replay.add(second)
            yield second
        # Pooled seconds do not tell what was asked in each.
        self._summed.append(replace(replay.result(), cost=self._cost()))

    def _cost(self) -> TargetCost | None:
        """The cost per request by the seconds, read once."""
        if not self._costs:
            one_by_one = self.seconds.pooled(lambda number, *_: number, COST_METRICS)
            self._costs.append(cost_by_seconds(self.header, one_by_one))
        return self._costs[0]

    def summary_dict(self) -> dict[str, Any]:
        """The summary as `Summary.to_dict` has it; of a run that is not complete, made of its seconds."""
        if self.summary is not None:
            whole = {**self.summary, "notes": [*self.notes, *self.summary["notes"]]}
            if "cost" not in whole:
                cost = self._cost()
                whole["cost"] = cost.to_dict() if cost else None
            return whole
        return self.to_summary().to_dict()

    def to_summary(self) -> Summary:
        """The same as a `Summary`. Trends of a complete run only answer the percentiles that its summary has."""
        if self.summary is not None:
            return summary_from_plain(self.summary_dict(), self.header)
        if not self._summed:
            deque(self.read(lambda number, *_: number // _POOLED_SECONDS), maxlen=0)
        [summary] = self._summed
        return replace(summary, notes=(*self.notes, *(note for note in summary.notes if note != NO_END)))


class RunReader:
    """Reads the run file at ``path`` record by record, also while it is being written.

    Close it, or use it as a context.

    ``damage``: why nothing more can be read, "" as long as it can. ``unread_bytes``: how much of the file the last
    call left: part of a record, or all that comes after a damaged one.

    Raises:
        RunFileError: the file cannot be opened, it is none of fastload's, or one of a later version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(as_text(path, "the path of a run file"))
        self.damage = ""
        self.unread_bytes = 0
        self._offset = 0
        self._header: RunHeader | None = None
        self._fd = _open(self.path)
        try:
            self._begin()
        except RunFileError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def poll(self) -> list[Record]:
        """The records that have come since the last call, in their order; none when there are no new ones.

        Raises:
            RunFileError: the file has begun since, and is none of fastload's.
        """
        records = []
        for kind, payload in self._payloads():
            # Seconds and a summary mean nothing without the header. A second header is none: a file has one run.
            if kind in _NAMES and (kind == HEADER) == (self._header is None):
                try:
                    records.append(Record(_NAMES[kind], self._decode(kind, payload)))
                except RunFileError as error:
                    if kind != SUMMARY:
                        raise
                    # What came before it is all that there is to know of the run.
                    self.damage = error.message
        return records

    def _payloads(self, *, without_seconds: bool = False) -> Iterator[tuple[int, bytes]]:
        """As `poll`, one after the other, not yet decoded: kinds of `run_codec`, and also those it does not know.

        *without_seconds*: seconds are empty, and neither read nor checked.
        """
        if self._offset or self._begin():
            while not self.damage and (found := self._next(without_seconds=without_seconds)) is not None:
                yield found
        self.unread_bytes = os.fstat(self._fd).st_size - self._offset

    def _decode(self, kind: int, payload: bytes) -> Any:
        if self._header is None:
            self._header = header_from_plain(unpack_payload(payload))
            return self._header
        return (_second if kind == SECOND else _summary)(payload, self._header)

    def _begin(self) -> bool:
        """Whether the file begins as it should; not yet when there is too little of it."""
        begin = os.pread(self._fd, len(PREAMBLE), 0)
        if not MAGIC.startswith(begin[: len(MAGIC)]):
            raise RunFileError(f"{str(self.path)!r} is no run file of fastload", hint=_HINT)
        if len(begin) < len(PREAMBLE):
            return False
        major, minor = begin[len(MAGIC)], begin[len(MAGIC) + 1]
        if major != VERSION[0]:
            hint = "read it with the fastload that wrote it, or a later one"
            raise RunFileError(
                f"{str(self.path)!r} has version {major}.{minor} of the format, and this fastload reads {VERSION[0]}",
                hint=hint,
            )
        self._offset = len(PREAMBLE)
        return True

    def _next(self, *, without_seconds: bool) -> tuple[int, bytes] | None:
        """The next record that is whole."""
        start = os.pread(self._fd, PREFIX_BYTES, self._offset)
        if len(start) < PREFIX_BYTES:
            return None
        try:
            prefix = unpack_prefix(start)
            if without_seconds and prefix.kind == SECOND:
                return self._pass_over(prefix.length)
            payload = os.pread(self._fd, prefix.length, self._offset + PREFIX_BYTES)
            if len(payload) < prefix.length:
                return None
            check_payload(prefix, payload)
        except RunFileError as error:
            self.damage = error.message
            return None
        self._offset += PREFIX_BYTES + prefix.length
        return prefix.kind, payload

    def _pass_over(self, length: int) -> tuple[int, bytes] | None:
        """Go to the end of a second of *length* bytes, if all of it is there."""
        end = self._offset + PREFIX_BYTES + length
        if end > os.fstat(self._fd).st_size:
            return None
        self._offset = end
        return SECOND, b""


class _Ends:
    """What a run file has beside its seconds. ``damage``: why the summary cannot be read, or ""."""

    def __init__(self) -> None:
        self.header: RunHeader | None = None
        self.summary: dict[str, Any] | None = None
        self.damage = ""

    def add(self, kind: int, payload: bytes) -> None:
        """Take one more record. The seconds are there, whatever became of the summary."""
        if kind == HEADER and self.header is None:
            self.header = header_from_plain(unpack_payload(payload))
        elif kind == SUMMARY and self.header is not None:
            try:
                self.summary, self.damage = _summary(payload, self.header), ""
            except RunFileError as error:
                self.damage = error.message

    def header_of(self, reader: RunReader) -> RunHeader:
        """Return the header, after *reader* has read all.

        Raises:
            RunFileError: there is none.
        """
        if self.header is None:
            why = f" ({reader.damage})" if reader.damage else ""
            message = f"there is no run in {str(reader.path)!r}: it ends before the first record{why}"
            raise RunFileError(message, hint=_HINT)
        return self.header


class RunEnds(NamedTuple):
    """Begin and end of a saved run.

    *summary* is `Summary.to_dict`, None without the end of the run. *damage*: why not all can be read, or "".
    """

    header: RunHeader
    summary: dict[str, Any] | None
    damage: str


def load_ends(path: str | Path) -> RunEnds:
    """The begin and the end of the run that is saved at *path*: for a list of many runs, without their seconds.

    Damage within a second is not found.

    Raises:
        RunFileError: as `load_run`.
    """
    ends = _Ends()
    with RunReader(path) as reader:
        for kind, payload in reader._payloads(without_seconds=True):
            ends.add(kind, payload)
    return RunEnds(ends.header_of(reader), ends.summary, reader.damage or ends.damage)


def load_run(path: str | Path) -> SavedRun:
    """The run that is saved at *path*, or as much of it as is there.

    A summary that cannot be read counts as one that is not there.

    Raises:
        RunFileError: it cannot be opened, it is no run file, one of a later version, or there is nothing in it.
    """
    ends, seconds = _Ends(), []
    with RunReader(path) as reader:
        for kind, payload in reader._payloads():
            if kind == SECOND:
                seconds.append(payload)
            else:
                ends.add(kind, payload)
    header = ends.header_of(reader)
    notes = _notes(reader, len(seconds), complete=ends.summary is not None, end_damage=ends.damage)
    return SavedRun(reader.path, header, SavedSeconds(seconds, header), ends.summary, notes)


def load_summary(path: str | Path) -> Summary:
    """The summary of the run that ``--save`` wrote to *path*; of one that broke off, what its seconds say.

    Raises:
        RunFileError: it cannot be read, or it is no run file.
    """
    return load_run(path).to_summary()


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise RunFileError(f"there is no file {str(path)!r}", hint=_similar(path) or _HINT) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunFileError(f"{str(path)!r:.200} cannot be read: {reason}", hint=_HINT) from error
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        newest = max(path.glob(f"*{SUFFIX}"), key=os.path.getmtime, default=None)
        raise RunFileError(f"{str(path)!r} is a directory", hint=f"give {newest}" if newest else _HINT)
    raise RunFileError(f"{str(path)!r} is no file that can be read twice", hint="write it to a file first")


def _similar(path: Path) -> str:
    with contextlib.suppress(OSError):
        names = [one.name for one in path.parent.iterdir() if one.suffix == SUFFIX]
        return nearest_file(path.name, names)
    return ""


def _second(payload: bytes, header: RunHeader) -> Snapshot:
    snapshot = snapshot_from_plain(unpack_payload(payload))
    check_kinds(snapshot.table, header.specs)
    return snapshot


def _summary(payload: bytes, header: RunHeader) -> dict[str, Any]:
    plain = unpack_payload(payload)
    check_summary(plain, header)
    return plain


def _notes(reader: RunReader, seconds: int, *, complete: bool, end_damage: str) -> tuple[str, ...]:
    """What is missing, in words; *end_damage*: why the summary could not be read, if so."""
    notes = []
    if not complete:
        count = format_number_of(seconds, "second")
        there = (
            f"all figures are of the {count} in it, and the verdict is the last" if seconds else "no second is in it"
        )
        why = (
            f"the end of the run is damaged ({end_damage})"
            if end_damage
            else "the file has no end of the run, which was killed or still goes on"
        )
        notes.append(f"{why}: {there}")
    if reader.damage:
        notes.append(f"the file is damaged: {reader.damage}; {_rest(reader)} from there on were not read")
    elif reader.unread_bytes:
        notes.append(f"the file breaks off within a record: its last {_rest(reader)} were not read")
    return tuple(notes)


def _rest(reader: RunReader) -> str:
    return f"{format_count(reader.unread_bytes)} byte{'s' * (reader.unread_bytes != 1)}"
