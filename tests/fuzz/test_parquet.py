"""Parquet files for ``fl.data``: damaged ones, and right ones with values that Python or JSON does not have."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import fastload as fl
from fastload.load.script import data_files
from fastload.model.errors import PlanError
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.source import Source

MOST_BYTES = 256 * 2**20
"""The most that pyarrow may take at once for a file of two kilobytes."""

_ROWS = pyarrow.table({"name": ["ann", "bob", None], "n": [1, 2, 3], "x": [0.5, 1.5, None], "tags": [["a"], [], None]})
_TIMES = pyarrow.table(
    {
        "at": [datetime(2026, 1, 31, tzinfo=UTC)] * 4,
        "day": [date(2026, 1, 31)] * 4,
        "price": [Decimal("1.5")] * 4,
        "inner": [{"a": 1}] * 4,
        "kind": pyarrow.array(["x"] * 4).dictionary_encode(),
    }
)


def _file(table: Any, **options: Any) -> bytes:
    made = io.BytesIO()
    pyarrow.parquet.write_table(table, made, **options)
    return made.getvalue()


_FILES = (
    *(_file(_ROWS, compression=name) for name in ("none", "snappy", "zstd", "gzip")),
    _file(_ROWS, store_schema=False, compression="none"),
    _file(_ROWS, store_schema=False, compression="none", use_dictionary=False, data_page_version="2.0"),
    _file(_TIMES, compression="none"),
    _file(_TIMES, store_schema=False, compression="none", use_dictionary=False),
)
_ODD_BYTES = (
    b"\xff" * 4,
    b"\x00" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff" * 9 + b"\x01",
    b"PAR1",
    b"\x15",
)


def _damaged(source: Source) -> bytes:
    """A Parquet file with some bytes changed, as often in its pages as in the metadata at its end."""
    content = bytearray(source.choice(_FILES))
    for _ in range(source.choice((0, 1, 1, 1, 2, 4))):
        end = len(content)
        at = source.randrange(end) if source.randrange(2) else end - 1 - source.randrange(end // 3)
        match source.randrange(4):
            case 0:
                content[at] ^= 1 << source.randrange(8)
            case 1:
                content[at : at + 1] = source.binary(1)
            case 2:
                content[at : at + source.choice((0, 1, 4))] = source.choice(_ODD_BYTES)
            case _:
                del content[at : at + source.choice((1, 4, 200))]
    return bytes(content)


def _check_rows(path: Path) -> None:
    # `fl.data` would make an error of the project of any error.
    rows = data_files.read_parquet(data_files.DataSource(path, path.name))
    for begin, end in zip(rows.bounds[::2], rows.bounds[1::2], strict=True):
        assert isinstance(json.loads(rows.blob[begin:end]), dict)


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage may ask for any number of rows; up to 4 GB of them would be kept."""
    monkeypatch.setattr(data_files, "MOST_OF_FILE_BYTES", 20_000_000)


def test_any_parquet_is_rows_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    # A damaged length must not become an allocation.
    fuzz(lambda source: _check_rows(written(path, _damaged(source))))
    assert pyarrow.default_memory_pool().max_memory() < MOST_BYTES


_INTEGERS = (0, 1, -1, 7, 2**31 - 1, -(2**31), 86_400_000, 10**9, 10**12, 10**15, 2**62, 2**63 - 1, -(2**63))
_UNITS = ("s", "ms", "us", "ns")
_ZONES = (None, "UTC", "Europe/Berlin", "+02:00", "+99:99", "Nowhere/Land")
_NAMES = ("a", "", "a.b", "é", "\x1b[2J", "list")


def _type(source: Source) -> Any:
    """A type of a column that pyarrow writes as Parquet."""
    match source.randrange(12):
        case 0:
            return pyarrow.timestamp(source.choice(_UNITS), source.choice(_ZONES))
        case 1:
            return pyarrow.duration(source.choice(_UNITS))
        case 2:
            return pyarrow.time64(source.choice(("us", "ns")))
        case 3:
            return pyarrow.list_(_type(source))
        case 4:
            return pyarrow.struct([(name, _type(source)) for name in {source.choice(_NAMES), source.choice(_NAMES)}])
        case 5:
            return pyarrow.map_(source.choice((pyarrow.string(), pyarrow.int32(), pyarrow.date32())), _type(source))
        case _:
            return source.choice((
                pyarrow.date32(), pyarrow.date64(), pyarrow.time32("ms"), pyarrow.int8(), pyarrow.uint64(),
                pyarrow.float16(), pyarrow.float64(), pyarrow.decimal128(38, 5), pyarrow.string(), pyarrow.bool_(),
                pyarrow.binary(), pyarrow.null(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
            ))  # fmt: skip


def _value(kind: Any, source: Source) -> Any:
    """A value of the type *kind*, or one that it does not have."""
    if not source.randrange(9):
        return None
    if pyarrow.types.is_list(kind):
        return [_value(kind.value_type, source) for _ in range(source.randrange(3))]
    if pyarrow.types.is_struct(kind):
        return {field.name: _value(field.type, source) for field in kind}
    if pyarrow.types.is_map(kind):
        return [(_value(kind.key_type, source), _value(kind.item_type, source))]
    if pyarrow.types.is_floating(kind):
        return source.choice((0.0, -1.5, float("nan"), float("inf")))
    if pyarrow.types.is_boolean(kind):
        return True
    if pyarrow.types.is_decimal(kind):
        return source.choice((Decimal("1.5"), Decimal(10) ** 30, Decimal("-0.00001")))
    if any(of(kind) for of in (pyarrow.types.is_string, pyarrow.types.is_dictionary, pyarrow.types.is_binary)):
        return source.text().encode("utf-8", "replace").decode()
    if pyarrow.types.is_null(kind):
        return None
    bits = kind.bit_width
    return source.choice([one for one in _INTEGERS if abs(one) < 2 ** (bits - 1)])


def _table(source: Source) -> Any:
    """A table of anything; None where pyarrow does not write such a one."""
    columns: dict[str, Any] = {}
    try:
        for _ in range(source.randint(1, 2)):
            kind = _type(source)
            columns[source.choice(_NAMES)] = pyarrow.array([_value(kind, source)], type=kind)
        return _file(pyarrow.table(columns), compression="none", use_dictionary=bool(source.randrange(2)))
    except (pyarrow.ArrowException, ValueError, OverflowError):
        return None


def test_any_column_is_rows_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"

    def run(source: Source) -> None:
        if (made := _table(source)) is not None:
            _check_rows(written(path, made))

    fuzz(run)


def _refused(path: Path) -> PlanError:
    with pytest.raises(PlanError) as caught:
        fl.data(path)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pyarrow.date32(), 2**31 - 1),
        (pyarrow.timestamp("us"), 2**62),
        (pyarrow.timestamp("ns"), 1),
        (pyarrow.timestamp("us", "Nowhere/Land"), 1),
        (pyarrow.duration("s"), 2**62),
        (pyarrow.map_(pyarrow.string(), pyarrow.date32()), [("a", 2**31 - 1)]),
    ],
)
def test_a_time_that_python_does_not_have_is_an_error(kind: Any, value: Any, tmp_path: Path) -> None:
    table = pyarrow.table({"fine": [1], "at": pyarrow.array([value], type=kind)})
    error = _refused(written(tmp_path / "rows.parquet", _file(table)))
    assert "rows.parquet: column 'at' has a value that Python cannot represent: " in error.message
    assert "microseconds" in error.hint


def test_damage_is_told_on_one_line(tmp_path: Path) -> None:
    whole = _file(_ROWS, compression="none")
    error = _refused(written(tmp_path / "rows.parquet", whole[:-200] + b"\x0e" * 192 + whole[-8:]))
    assert "rows.parquet cannot be read as Parquet: Couldn't deserialize thrift" in error.message
    assert error.message.isprintable()
    assert error.hint == "is it a Parquet file?"


def test_rows_without_measure_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "MOST_OF_FILE_BYTES", 10_000_000)
    many = _file(pyarrow.table({"a": pyarrow.nulls(2_000_000, pyarrow.int32())}))
    assert len(many) < 10_000
    error = _refused(written(tmp_path / "rows.parquet", many))
    assert "has more than 10.0 MB of rows" in error.message
