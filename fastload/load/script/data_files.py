"""Reads a data file into one block of JSON rows, and says where a file is wrong.

Rows stay encoded: one ``bytes`` object and one array of offsets have no reference counts in them, so that workers
which are forked later share them page by page, however often they read.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import orjson

from fastload.load.script.environment import convert_text, described
from fastload.model.errors import PlanError, nearest

_BOM = b"\xef\xbb\xbf"
_PARQUET_BATCH_ROWS = 8192
_JSON_TYPES = {dict: "an object", str: "a string", bool: "a bool", int: "a number", float: "a number"}
_NOT_SPACE = re.compile(rb"\S")
# What msgspec raises while it slices. Its own words have no line, so orjson is asked for them.
_NOT_SLICED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PackedRows(NamedTuple):
    """Row *i* is the JSON text ``blob[bounds[2 * i] : bounds[2 * i + 1]]``."""

    blob: bytes
    bounds: array[int]


class DataSource(NamedTuple):
    """A data file and how to read it. *name* is the path as the script wrote it, for errors."""

    path: Path
    name: str
    types: Mapping[str, Callable[[str], Any]] = {}
    delimiter: str = ","
    key: str | None = None

    def read(self) -> bytes:
        """All of it, without a byte order mark."""
        return self.path.read_bytes().removeprefix(_BOM)


def read_json(source: DataSource) -> PackedRows:
    """A JSON array, or the array that an object holds under ``source.key``. Its rows are sliced, not copied.

    Raises:
        PlanError: it is not JSON, or there is no array.
    """
    whole = source.read()
    bounds = array("q")
    found = _NOT_SPACE.search(whole)
    if found is None:
        return PackedRows(b"", bounds)
    if source.key is not None:
        text = _value_of_key(source, whole, source.key)
    elif found[0] == b"[":
        text = whole
    else:
        raise _no_array(source, whole)
    try:
        slices = msgspec.json.decode(text, type=list[msgspec.Raw])
        end = 0
        for row in slices:
            # Between two rows are only a comma and spaces, so this finds the row itself, at once.
            start = text.index(row, end)
            end = start + len(row)
            orjson.loads(text[start:end])
            bounds.append(start)
            bounds.append(end)
    except (*_NOT_SLICED, orjson.JSONDecodeError) as error:
        raise _malformed(source, whole, error) from error
    return PackedRows(text, bounds)


def read_lines(source: DataSource) -> PackedRows:
    """JSON Lines: a value on each line; blank lines are left out.

    Raises:
        PlanError: a line is not JSON.
    """
    text = source.read()
    bounds = array("q")
    start = number = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        number += 1
        line = text[start:end]
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if line.strip():
                is_array = not bounds and line.lstrip().startswith(b"[")
                hint = "is it one array? pass format='json'" if is_array else "mend that line of the file"
                raise _malformed(source, line, error, first_line=number, hint=hint) from error
        else:
            bounds.append(start)
            bounds.append(end)
        start = end + 1
    return PackedRows(text, bounds)


def read_csv(source: DataSource) -> PackedRows:
    """CSV with a header: each row an object of texts, or of what ``source.types`` makes of them.

    Raises:
        PlanError: the header or a row is wrong, or a text does not convert.
    """
    try:
        with source.path.open(encoding="utf-8-sig", newline="") as file:
            return _packed(source, _csv_rows(source, file))
    except UnicodeDecodeError as error:
        raise _malformed(source, source.read(), error) from error


def read_parquet(source: DataSource) -> PackedRows:
    """Parquet: each row an object of its columns. Dates, times and decimals become texts.

    Raises:
        PlanError: pyarrow is not installed, it cannot read the file, or a column has no form in JSON.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PlanError(
            f"{source.name}: Parquet files need pyarrow, which is not installed",
            hint="pip install 'fastload[parquet]'",
        ) from error
    try:
        # No threads: the workers are forked from this process.
        with pyarrow.parquet.ParquetFile(source.path, pre_buffer=False) as file:
            batches = file.iter_batches(_PARQUET_BATCH_ROWS, use_threads=False)
            return _packed(source, (row for batch in batches for row in batch.to_pylist()))
    except (pyarrow.ArrowException, ValueError) as error:
        raise PlanError(f"{source.name} cannot be read as Parquet: {error}", hint="is it a Parquet file?") from error
    finally:
        pyarrow.default_memory_pool().release_unused()


READERS: dict[str, Callable[[DataSource], PackedRows]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_lines,
    "ndjson": read_lines,
    "parquet": read_parquet,
}
"""By format, which is also the suffix of the file."""


def _packed(source: DataSource, rows: Iterable[dict[str, Any]]) -> PackedRows:
    blob = io.BytesIO()
    bounds = array("q")
    for row in rows:
        bounds.append(blob.tell())
        try:
            blob.write(orjson.dumps(row, default=_as_text))
        except TypeError as error:
            raise PlanError(
                f"{source.name}, row {len(bounds) // 2 + 1}: {_unfit(row) or error}",
                hint="rows hold texts, numbers, bools, None, lists and dicts",
            ) from error
        bounds.append(blob.tell())
    # The buffer itself, and no copy of it.
    return PackedRows(blob.getvalue(), bounds)


def _unfit(row: dict[str, Any]) -> str:
    """The first column of *row* that has no form in JSON, and why."""
    for name, value in row.items():
        try:
            orjson.dumps(value, default=_as_text)
        except TypeError as error:
            return f"{name}: {error.__cause__ or error}"
    return ""


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


def _csv_rows(source: DataSource, file: IO[str]) -> Iterator[dict[str, Any]]:
    reader = csv.reader(file, delimiter=source.delimiter, strict=True)
    try:
        header = next((fields for fields in reader if fields), [])
        _check_header(source, header, reader.line_num)
        typed = [(at, name, source.types[name]) for at, name in enumerate(header) if name in source.types]
        line = reader.line_num + 1
        for values in reader:
            fields: list[Any] = values
            if fields:
                if len(fields) != len(header):
                    raise PlanError(
                        f"{source.name}, line {line}: {len(fields)} fields, but the header has {len(header)}",
                        hint=f"put a field that contains {source.delimiter!r} between double quotes",
                    )
                for at, name, wanted in typed:
                    fields[at] = _typed(source, line, name, fields[at], wanted)
                yield dict(zip(header, fields, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise PlanError(f"{source.name}, line {reader.line_num}: {error}", hint="is a double quote open?") from error


def _check_header(source: DataSource, header: list[str], line: int) -> None:
    where = f"{source.name}, line {line}: "
    for at, name in enumerate(header):
        if not name.strip():
            raise PlanError(
                f"{where}column {at + 1} of the header has no name", hint="the first line names the columns"
            )
        if name in header[:at]:
            raise PlanError(f"{where}the header has {name!r} twice", hint="give each column a name of its own")
    for name in source.types if header else ():
        if name not in header:
            raise PlanError(
                f"{source.name} has no column {name!r}, which types= names",
                hint=nearest(name, header) or f"its columns are: {', '.join(header)}",
            )


def _typed(source: DataSource, line: int, column: str, text: str, wanted: Callable[[str], Any]) -> Any:
    try:
        return convert_text(text, wanted)
    except Exception as error:
        raise PlanError(
            f"{source.name}, line {line}: {column} {text!r} is not {described(wanted)}",
            hint="mend the file, or give types= a function that takes such a text",
        ) from error


def _value_of_key(source: DataSource, whole: bytes, key: str) -> bytes:
    try:
        fields = msgspec.json.decode(whole, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise PlanError(f"{source.name} holds no object, so it has no key {key!r}", hint="leave key= out") from error
    except _NOT_SLICED as error:
        raise _malformed(source, whole, error) from error
    if key not in fields:
        hint = nearest(key, fields) or f"its keys are: {', '.join(fields)}"
        raise PlanError(f"{source.name} has no key {key!r}", hint=hint)
    text = bytes(fields[key])
    if not text.startswith(b"["):
        raise PlanError(f"key {key!r} of {source.name} holds no array", hint="name a key that holds the rows")
    return text


def _no_array(source: DataSource, whole: bytes) -> PlanError:
    try:
        value = orjson.loads(whole)
    except orjson.JSONDecodeError as error:
        first_line = whole.lstrip().partition(b"\n")[0]
        hint = (
            "is it a value on each line? pass format='jsonl'" if _is_json(first_line) else "mend that line of the file"
        )
        return _malformed(source, whole, error, hint=hint)
    hint = "put the rows between [ and ]"
    if isinstance(value, dict):
        arrays = [key for key, inner in value.items() if isinstance(inner, list)]
        if arrays:
            also = f" (or {', '.join(map(repr, arrays[1:]))})" if len(arrays) > 1 else ""
            hint = f"its key {arrays[0]!r}{also} holds an array: pass key={arrays[0]!r}"
    what = _JSON_TYPES.get(type(value), "null")
    return PlanError(f"{source.name} holds {what} where an array of rows is expected", hint=hint)


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _malformed(
    source: DataSource, text: bytes, error: Exception, *, first_line: int = 1, hint: str = "mend that line of the file"
) -> PlanError:
    """Where *text*, which begins on line *first_line* of the file, stops being what it should be."""
    try:
        text.decode()
    except UnicodeDecodeError as found:
        line = first_line + text.count(b"\n", 0, found.start)
        message = f"{source.name}, line {line}: byte 0x{text[found.start]:02x} is not UTF-8"
        return PlanError(message, hint="save the file as UTF-8")
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as found:
        where = f"line {first_line + found.lineno - 1}, column {found.colno}"
        return PlanError(f"{source.name}, {where}: not JSON: {found.msg}", hint=hint)
    return PlanError(f"{source.name} is not JSON: {error}", hint=hint)
