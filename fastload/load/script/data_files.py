"""Readers for data files: each returns all rows as one block of JSON, or an error with the line of the fault.

Rows stay encoded in one ``bytes`` object and one array of offsets. Rows as Python objects would have reference counts,
and each read would write to their memory pages. Encoded rows are never written to, so forked workers share all pages.
"""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import orjson

from fastload.load.script.environment import convert_text, described
from fastload.model.bounded_read import MOST_OF_FILE_BYTES, read_bounded
from fastload.model.errors import PlanError, nearest
from fastload.model.file_text import HEAD_BYTES, check_encoding, utf8_bytes
from fastload.model.units import format_bytes, format_number_of
from fastload.model.wire_text import one_line

_PARQUET_BATCH_ROWS = 8192
_MOST_FIELD = 2**31 - 1
_JSON_TYPES = {dict: "an object", str: "a string", bool: "a bool", int: "a number", float: "a number"}
_IN_ROWS = (str, int, float, bool, type(None), list, dict)
_NOT_SPACE = re.compile(rb"\S")
# Exceptions of msgspec while it slices. They have no line number; orjson parses the text again to get one.
_NOT_SLICED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PackedRows(NamedTuple):
    """Encoded rows: row *i* is the JSON text ``blob[bounds[2 * i] : bounds[2 * i + 1]]``."""

    blob: bytes
    bounds: array[int]


class DataSource(NamedTuple):
    """A data file with its read options. *name* is the path as written in the script, for errors."""

    path: Path
    name: str
    types: Mapping[str, Callable[[str], Any]] = {}
    delimiter: str = ","
    key: str | None = None

    def read(self) -> bytes:
        """Return the content of the file, without a byte order mark.

        Raises:
            PlanError: it is UTF-16 or UTF-32.
        """
        return utf8_bytes(read_bounded(self.path), self.name)


def read_json(source: DataSource) -> PackedRows:
    """Read a JSON array, or the array under the key ``source.key`` of a JSON object. Rows are sliced, not copied.

    Raises:
        PlanError: the file is not JSON, or there is no array.
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
            # Only a comma and white space separate two rows, so the search finds this row, and at once.
            start = text.index(row, end)
            end = start + len(row)
            orjson.loads(text[start:end])
            bounds.append(start)
            bounds.append(end)
    except (*_NOT_SLICED, orjson.JSONDecodeError) as error:
        raise _malformed(source, whole, error) from error
    return PackedRows(text, bounds)


def read_lines(source: DataSource) -> PackedRows:
    """Read JSON Lines: one value on each line; blank lines are skipped.

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
    """Read CSV with a header: each row becomes an object of strings, or of values converted by ``source.types``.

    Raises:
        PlanError: the header or a row is malformed, or a value cannot be converted.
    """
    # A pipe gives its content once. A file is read as it is parsed, because it may be large.
    whole = None if source.path.is_file() else source.read()
    # The module csv refuses fields over 128 KiB. Its limit is for the whole process, and so for the script as well.
    limit = csv.field_size_limit(_MOST_FIELD)
    try:
        with _open_csv(source) if whole is None else io.TextIOWrapper(io.BytesIO(whole), "utf-8", newline="") as text:
            return _packed(source, _csv_rows(source, text))
    except UnicodeDecodeError as error:
        raise _malformed(source, source.read() if whole is None else whole, error) from error
    finally:
        csv.field_size_limit(limit)


def read_parquet(source: DataSource) -> PackedRows:
    """Read Parquet: each row becomes an object of its columns. Dates, times and decimals become strings.

    Raises:
        PlanError: pyarrow is not installed or cannot read the file, or JSON cannot represent a column.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PlanError(
            f"{source.name}: Parquet files need pyarrow, which is not installed",
            hint="pip install 'fastload[parquet]'",
        ) from error
    if not source.path.is_file():
        raise PlanError(f"{source.name} is no file, which Parquet needs", hint="give the path of a regular file")
    try:
        # No threads: the workers are forked from this process.
        with pyarrow.parquet.ParquetFile(source.path, pre_buffer=False) as file:
            batches = file.iter_batches(_PARQUET_BATCH_ROWS, use_threads=False)
            return _packed(source, (row for batch in batches for row in _parquet_rows(source, batch)))
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # The file itself cannot be read; pyarrow has no number for what is wrong in it.
            raise
        why = one_line(str(error))
        raise PlanError(f"{source.name} cannot be read as Parquet: {why}", hint="is it a Parquet file?") from error
    finally:
        pyarrow.default_memory_pool().release_unused()


READERS: dict[str, Callable[[DataSource], PackedRows]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_lines,
    "ndjson": read_lines,
    "parquet": read_parquet,
}
"""Readers by format; the format is also the suffix of the file name."""


def _parquet_rows(source: DataSource, batch: Any) -> list[dict[str, Any]]:
    """Return the rows of *batch*, a record batch of pyarrow, whose values are checked only now."""
    import pyarrow

    refused = (pyarrow.ArrowException, ValueError, OverflowError)
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except refused as error:
        name = next(
            (
                name
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
                if not _is_list(column, refused)
            ),
            "",
        )
        raise PlanError(
            f"{source.name}: column {name!r} has a value that Python cannot represent: {one_line(str(error))}",
            hint="store it as text; times need microseconds, and years from 1 to 9999",
        ) from error
    return rows


def _is_list(column: Any, refused: tuple[type[Exception], ...]) -> bool:
    try:
        column.to_pylist()
    except refused:
        return False
    return True


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
        if bounds[-1] > MOST_OF_FILE_BYTES:
            # A Parquet file of some kilobytes may have billions of equal rows.
            raise PlanError(
                f"{source.name} has more than {format_bytes(MOST_OF_FILE_BYTES)} of rows, the most that is kept",
                hint="give a part of it",
            )
    # `getvalue` returns the buffer itself, not a copy.
    return PackedRows(blob.getvalue(), bounds)


def _unfit(row: dict[str, Any]) -> str:
    """Return the first column of *row* that JSON cannot represent, with the reason; "" if there is none."""
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


def _open_csv(source: DataSource) -> IO[str]:
    with source.path.open("rb") as file:
        check_encoding(file.read(HEAD_BYTES), source.name)
    return source.path.open(encoding="utf-8-sig", newline="")


def _csv_rows(source: DataSource, file: IO[str]) -> Iterator[dict[str, Any]]:
    reader = csv.reader(file, delimiter=source.delimiter, strict=True)
    line = 1
    try:
        header = next((fields for fields in reader if fields), [])
        _check_header(source, header, reader.line_num)
        typed = [(at, name, source.types[name]) for at, name in enumerate(header) if name in source.types]
        line = reader.line_num + 1
        for values in reader:
            fields: list[Any] = values
            if fields:
                if len(fields) != len(header):
                    found = format_number_of(len(fields), "field")
                    raise PlanError(
                        f"{source.name}, line {line}: {found}, but the header has {len(header)}",
                        hint=f"put a field that contains {source.delimiter!r} between double quotes",
                    )
                for at, name, wanted in typed:
                    fields[at] = _typed(source, line, name, fields[at], wanted)
                yield dict(zip(header, fields, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        # Where the row begins: a quote that stays open takes in the rest of the file.
        raise PlanError(f"{source.name}, line {line}: {error}", hint="is a double quote open?") from error


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
        value = convert_text(text, wanted)
    except Exception as error:
        raise PlanError(
            f"{source.name}, line {line}: {column} {text!r} is not {described(wanted)}",
            hint="mend the file, or give types= a function that takes such a text",
        ) from error
    if what := _foreign_in(value):
        # JSON would make a text of a date, a list of a tuple, and null of NaN without a word.
        raise PlanError(
            f"{source.name}, line {line}: types= makes {what} of {column}, which no row can hold",
            hint="rows hold texts, finite numbers, bools, None, and lists and dicts of these, with texts as keys: "
            f"convert row[{column!r}] where it is used",
        )
    return value


def _foreign_in(value: Any) -> str:
    """Return what *value* is, or has within it, that no row can hold, like ``a date`` or ``a list with nan``; or ""."""
    left, seen = [value], {id(value)}
    while left:
        one = left.pop()
        inside = list(one.values()) if type(one) is dict else one if type(one) is list else []
        foreign = next((key for key in one if type(key) is not str), None) if type(one) is dict else None
        if foreign is not None:
            return f"a dict with the key {foreign!r}"
        is_long = type(one) is int and not -(2**63) <= one < 2**64
        if type(one) not in _IN_ROWS or is_long or (type(one) is float and not math.isfinite(one)):
            other = "an int of more than 64 bits" if is_long else f"a {type(one).__name__}"
            what = f"{one}" if type(one) is float else other
            return what if one is value else f"a {type(value).__name__} with {what}"
        left += [item for item in inside if id(item) not in seen]
        seen.update(map(id, inside))
    return ""


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
    """Return the error for a malformed *text*, with its line in the file; *text* begins on line *first_line*."""
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
