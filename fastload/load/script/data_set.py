"""Data sets (``fl.data``): rows of a file, loaded once before the fork and shared by all VUs of all workers."""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from json import loads as exact_loads
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload
from weakref import WeakSet

import orjson

from fastload.load.script.data_files import READERS, DataSource, PackedRows
from fastload.model.argument_types import CallArguments, wrong_types_named
from fastload.model.errors import FastloadError, PlanError, nearest
from fastload.model.names import as_text
from fastload.model.public_types import PublicABC, called_by_fastload
from fastload.model.redaction import shortened
from fastload.model.units import format_number_of

if TYPE_CHECKING:
    from fastload.load.client.vu import VU

_HUGE_INTEGER = re.compile(rb"[\[:,\s]-?\d{19,}\s*(?:[\]},\n]|$)")
_FORMATS = ", ".join(READERS)
DataFormat = Literal["csv", "json", "jsonl", "ndjson", "parquet"]


class DataExhausted(FastloadError):
    """A data set has no row left for the caller.

    ``planned`` is True after `DataSet.once` has returned every row of this worker: the scenario then ends normally. It
    is False if `DataSet.of` has no row for a VU: the file is too short. ``reason``: the message without what is true of
    this worker only.
    """

    def __init__(self, message: str, *, hint: str = "", planned: bool = True, reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.planned = planned
        self.reason = shortened(reason) or self.message


class DataSet(Sequence[Any], metaclass=PublicABC):
    """The rows of a data file as a sequence. Each read decodes the row again, so every caller gets its own copy.

    ``name`` is the path as written in the script; ``format`` is the file format, like "csv".
    """

    __slots__ = (
        "__weakref__",
        "_blob",
        "_bounds",
        "_loads",
        "_next",
        "_once",
        "_rows",
        "_worker",
        "_workers",
        "format",
        "name",
    )

    @called_by_fastload
    def __init__(self, name: str, format: str, rows: PackedRows) -> None:  # noqa: A002 - as `data` calls it
        self.name = name
        self.format = format
        self._blob, self._bounds = rows
        self._rows = len(rows.bounds) // 2
        # orjson makes a float of an integer over 64 bits, with other digits.
        self._loads = exact_loads if _HUGE_INTEGER.search(self._blob) else orjson.loads
        self._worker = self._next = self._once = 0
        self._workers = 1

    def __len__(self) -> int:
        return self._rows

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        if isinstance(index, slice):
            return [self._row(at) for at in range(*index.indices(self._rows))]
        wanted = operator.index(index)
        at = wanted + self._rows if wanted < 0 else wanted
        if not 0 <= at < self._rows:
            raise IndexError(f"{self.name} has no row {wanted}: it has {format_number_of(self._rows, 'row')}")
        return self._row(at)

    def __repr__(self) -> str:
        rows, size = format_number_of(self._rows, "row"), format_number_of(len(self._blob), "byte")
        return f"<DataSet {self.name}: {rows} of {self.format}, {size}>"

    def next(self) -> Any:
        """Return the next row; after the last row, begin again with the first.

        The workers share the rows in turn: worker *w* of *n* begins with row *w* and advances by *n* rows.
        """
        at = self._next
        self._next = at + self._workers
        return self._row(at % self._rows)

    def random(self, vu: VU) -> Any:
        """Return a random row, chosen with `VU.random`: the same ``--seed`` gives the same choices."""
        return self._row(int(vu.random.random() * self._rows))

    def of(self, vu: VU) -> Any:
        """Return the row that belongs to this VU only, the same in each call: VU 1 has the first row.

        Raises:
            DataExhausted: there are fewer rows than ``vu.id``.
        """
        if vu.id > self._rows:
            raise DataExhausted(
                f"{self.name} has {self._rows:,} rows, and VU {vu.id} asks for its own",
                hint="give the file a row for every VU, or share rows with next() or random(vu)",
                planned=False,
            )
        return self._row(vu.id - 1)

    def once(self) -> Any:
        """Return a row that `once` has not returned before in this run, in any worker. `next` does not affect it.

        Raises:
            DataExhausted: this worker's share of the rows is used up.
        """
        at = self._once
        if at >= self._rows:
            share = len(range(self._worker, self._rows, self._workers))
            rows = "the only row" if self._rows == 1 else f"each of the {self._rows:,} rows"
            reason = f"{rows} of {self.name} was used once"
            raise DataExhausted(
                f"{reason}: worker {self._worker} had {share:,}",
                hint="give the file more rows, or use next(), which begins again",
                reason=reason,
            )
        self._once = at + self._workers
        return self._row(at)

    def _row(self, at: int) -> Any:
        return self._loads(self._blob[self._bounds[2 * at] : self._bounds[2 * at + 1]])

    def _assign_rows(self, worker: int, workers: int) -> None:
        self._worker = self._next = self._once = worker
        self._workers = workers


# Weak references: a notebook that loads a file several times keeps only the last data set in memory.
_loaded: WeakSet[DataSet] = WeakSet()
_is_worker = False


def data(
    path: str | Path,
    *,
    format: DataFormat | None = None,  # noqa: A002 - there is no better word
    types: Mapping[str, Callable[[str], Any]] | None = None,
    delimiter: str = ",",
    key: str | None = None,
) -> DataSet:
    """Load the rows of a data file, once for all workers. Call it at the top level of the script.

    Args:
        path: path of the file, relative to the folder of the calling script (in a notebook: the current folder).
        format: csv, json, jsonl, ndjson or parquet; by default the suffix of the file name.
        types: for CSV, conversions by column: ``int``, ``float``, ``bool``, or a function of the text that gives a
            value that JSON has. Other columns stay strings.
        delimiter: for CSV, the character between the fields.
        key: for JSON, the top-level key of the array of rows.

    Raises:
        PlanError: the file does not exist, has no rows or is malformed, an option does not fit the format, or the
            function is called in a worker.
    """
    given = dict(locals())
    folder = _folder_of(sys._getframe(1).f_code.co_filename)
    with wrong_types_named(CallArguments("fl.data", data, given)):
        return _load(folder, **given)


def _load(
    folder: Path,
    path: str | Path,
    format: str | None,  # noqa: A002 - as `data` calls it
    types: Mapping[str, Callable[[str], Any]] | None,
    delimiter: str,
    key: str | None,
) -> DataSet:
    name = as_text(path, "fl.data: path")
    if _is_worker:
        raise PlanError(
            f"{name} is loaded during the run, by each worker again", hint="call fl.data at the top of the script"
        )
    chosen = _format_of(name, format)
    _check_options(name, chosen, types=types, delimiter=delimiter, key=key)
    found = _find(name, folder)
    try:
        rows = READERS[chosen](DataSource(found, name, types or {}, delimiter, key))
    except OSError as error:
        raise PlanError(f"{name} cannot be read: {error.strerror or error}", hint=f"it is {found}") from error
    if not rows.bounds:
        hint = f"it is {found}" if found.is_file() else "it is a pipe, which gives its rows once: load it once"
        raise PlanError(f"{name} has no rows", hint=hint)
    loaded = DataSet(name, chosen, rows)
    _loaded.add(loaded)
    return loaded


def assign_rows(worker: int, workers: int) -> None:
    """Assign each data set's rows to *worker* (from 0) of *workers*, and restart each data set at its first such row.

    Call it in the worker at the start of the warm-up and of the measurement. Afterwards `data` raises in this process.
    """
    global _is_worker
    _is_worker = True
    for rows in _loaded:
        rows._assign_rows(worker, workers)


def _folder_of(caller: str) -> Path:
    """Return the folder of the file *caller*; the current folder for code without a file (notebook, ``python -c``)."""
    file = Path(caller)
    return file.resolve().parent if file.is_file() else Path.cwd()


def _format_of(name: str, given: str | None) -> str:
    if given is not None:
        chosen, what = given.lower(), f"format {given!r}"
    else:
        suffix = Path(name).suffix
        chosen, what = suffix[1:].lower(), f"suffix {suffix!r}" if suffix else "name without a suffix"
    if chosen not in READERS:
        guess = nearest(chosen, READERS)
        hint = f"{guess} " * bool(guess) + f"pass format= with one of: {_FORMATS}"
        raise PlanError(f"{name}: the {what} is of no known format", hint=hint)
    return chosen


def _check_options(
    name: str, chosen: str, *, types: Mapping[str, Callable[[str], Any]] | None, delimiter: str, key: object
) -> None:
    for option, given, goes_with in (
        ("types", types is not None, "csv"),
        ("delimiter", delimiter != ",", "csv"),
        ("key", key is not None, "json"),
    ):
        if given and chosen != goes_with:
            raise PlanError(f"{name}: {option}= goes with {goes_with}, not with {chosen}", hint=f"leave {option}= out")
    for column, wanted in types.items() if types else ():
        if not callable(wanted):
            named = f"the function itself, {wanted}," if wanted in ("int", "float", "bool", "str") else "a function"
            raise PlanError(
                f"{name}: types= has {wanted!r:.80} for {column}, which is no function",
                hint=f"give {named} like types={{{column!r}: int}}",
            )
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise PlanError(f"{name}: the delimiter {delimiter!r} is not one character", hint="like delimiter=';'")


def _find(name: str, folder: Path) -> Path:
    path = folder / name
    if path.is_dir():
        raise PlanError(f"{name} is a folder, not a file", hint=f"give a file of {path}")
    if not path.exists():
        if not path.parent.is_dir():
            raise PlanError(f"there is no data file {name}: no folder {path.parent}", hint="paths begin at the script")
        guess = nearest(path.name, [other.name for other in path.parent.iterdir() if other.is_file()])
        raise PlanError(
            f"there is no data file {name} in {path.parent}", hint=guess or "paths begin at the folder of the script"
        )
    return path
