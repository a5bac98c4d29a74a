"""Codec of a run file's records: header, snapshots and summary as bytes. ``docs/run-file.md`` describes the format.

A record is the length of the payload, a checksum of kind and payload, the kind, and the payload (zlib of msgpack).
A record does not depend on others, so that a file may end after any record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from fastload.model.errors import FastloadError, OutputError
from fastload.model.frames import pack, unpack
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.metrics import Kind, Series
from fastload.model.records import ErrorTable, Event, Snapshot
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesTable, TrendValue
from fastload.model.units import format_count

MAGIC = b"\x8bfastload"
VERSION = (1, 1)
"""Major and minor version. A reader reads all files of its own major version, and leaves out what it does not know."""
PREAMBLE = MAGIC + bytes(VERSION) + b"\n"
HEADER, SECOND, SUMMARY = 1, 2, 3
"""Kinds of records."""
MAX_RECORD_BYTES = 256 * 1024 * 1024
"""Limit of a payload, compressed or not. A record with a larger length is damaged."""

_PREFIX = struct.Struct(">IIB")
PREFIX_BYTES = _PREFIX.size
# A summary with the samples of a day takes 4 s to compress at level 6. Level 1 takes 1 s, but a quarter more space.
_LEVEL, _LEVEL_OF_LARGE = 6, 1
_LARGE_BYTES = 4 * 1024 * 1024
# Limit of a bucket index. The highest bucket of the widest possible trend is far below.
_BUCKETS_AT_MOST = 1 << 16
# Fields that nobody needs after the run: they are only for the moment (progress, message) or too large (points).
_NOT_SAVED = frozenset(("points", "progress", "message"))
_PLAIN = frozenset(one.name for one in fields(Snapshot)) - _NOT_SAVED - {
    *("host", "target", "workers", "thresholds", "verdict", "table", "errors", "exceptions", "events"),
}  # fmt: skip
_TUPLES = frozenset(("worker_cpu_percent", "lag_max_ms", "troubles"))

T = TypeVar("T")


class RunFileError(FastloadError):
    """A file is no run file, has a later version, or is damaged in a place that cannot be skipped."""


class Prefix(NamedTuple):
    """Prefix of a record: length and checksum of the payload, and the kind of the record."""

    length: int
    checksum: int
    kind: int


def pack_record(kind: int, body: Mapping[str, Any]) -> bytes:
    """Return the bytes of one record.

    Raises:
        OutputError: the record is longer than `MAX_RECORD_BYTES`, so that no reader would accept it.
    """
    plain = pack(body)
    if len(plain) > MAX_RECORD_BYTES:
        size, limit = format_count(len(plain)), format_count(MAX_RECORD_BYTES)
        raise OutputError(f"a record of {size} bytes is over the limit of a run file, which is {limit} bytes")
    payload = zlib.compress(plain, _LEVEL_OF_LARGE if len(plain) > _LARGE_BYTES else _LEVEL)
    return _PREFIX.pack(len(payload), _checksum(kind, payload), kind) + payload


def unpack_prefix(data: bytes) -> Prefix:
    """Parse the first `PREFIX_BYTES` of a record.

    Raises:
        RunFileError: the length is over `MAX_RECORD_BYTES`.
    """
    prefix = Prefix(*_PREFIX.unpack(data))
    if prefix.length > MAX_RECORD_BYTES:
        raise RunFileError(f"a record says that it has {prefix.length} bytes")
    return prefix


def check_payload(prefix: Prefix, payload: bytes) -> None:
    """Check that *payload* has the checksum of its *prefix*.

    Raises:
        RunFileError: the checksum differs.
    """
    if _checksum(prefix.kind, payload) != prefix.checksum:
        raise RunFileError("the checksum of a record is wrong")


def unpack_payload(payload: bytes) -> dict[str, Any]:
    """Return the plain data of a record.

    Raises:
        RunFileError: *payload* is not zlib of msgpack, or not a map.
    """
    try:
        inflate = zlib.decompressobj()
        body = unpack(inflate.decompress(payload, MAX_RECORD_BYTES))
    except (zlib.error, ValueError) as error:
        raise RunFileError(f"a record cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise RunFileError("a record is no map")
    return body


def snapshot_to_plain(snapshot: Snapshot) -> dict[str, Any]:
    """Return *snapshot* as plain data, without the fields that are not saved: `points`, `progress` and `message`."""
    plain: dict[str, Any] = {name: getattr(snapshot, name) for name in sorted(_PLAIN)}
    plain["host"] = asdict(snapshot.host) if snapshot.host else None
    plain["target"] = asdict(snapshot.target) if snapshot.target else None
    plain["workers"] = [asdict(sample) for sample in snapshot.workers]
    plain["thresholds"] = [asdict(result) for result in snapshot.thresholds]
    plain["verdict"] = snapshot.verdict.to_dict() if snapshot.verdict else None
    plain["events"] = [list(event) for event in snapshot.events]
    plain["errors"], plain["exceptions"] = snapshot.errors.to_plain(), snapshot.exceptions.to_plain()
    plain["series"] = [
        _series_to_plain(series, series_value) for series, series_value in snapshot.table.series_values.items()
    ]
    return plain


def snapshot_from_plain(plain: Mapping[str, Any], table: SeriesTable | None = None) -> Snapshot:
    """Return the snapshot of *plain*, the result of `snapshot_to_plain`. Entries unknown to this version are left out.

    With *table*, the snapshot gets that instead of its own.

    Raises:
        RunFileError: an entry is missing or has another type.
    """
    try:
        values = {name: plain[name] for name in _PLAIN if name in plain}
        values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
        return Snapshot(
            **values,
            progress=0.0,
            host=_host(plain["host"]) if plain["host"] else None,
            target=_known(ProcessSample, plain["target"]) if plain["target"] else None,
            workers=tuple(_known(ProcessSample, sample) for sample in plain["workers"]),
            thresholds=tuple(_known(ThresholdResult, result) for result in plain["thresholds"]),
            verdict=_verdict(plain["verdict"]) if plain["verdict"] else None,
            events=tuple(Event(*event[:3]) for event in plain["events"]),
            errors=ErrorTable.from_plain(plain["errors"]),
            exceptions=ErrorTable.from_plain(plain["exceptions"]),
            table=_table(plain["series"]) if table is None else table,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RunFileError(f"a second cannot be read: {type(error).__name__}: {error}") from error


def header_from_plain(plain: Mapping[str, Any]) -> RunHeader:
    """Return the header of *plain*, the result of `RunHeader.to_plain`. Metrics of unknown kinds are left out.

    Raises:
        RunFileError: an entry is missing or has another type.
    """
    try:
        known = [spec for spec in plain["specs"] if spec[1] in set(Kind)]
        return RunHeader.from_plain({**plain, "specs": [spec[:3] for spec in known]})
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RunFileError(f"its first record cannot be read: {type(error).__name__}: {error}") from error


def _checksum(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(bytes([kind])))


def _series_to_plain(series: Series, series_value: Any) -> list[Any]:
    tags = [text for pair in series.tags for text in pair]
    match series_value:
        case TrendValue():
            return [series.metric, tags, "trend", _trend_to_plain(series_value)]
        case GaugeValue():
            return [series.metric, tags, "gauge", series_value.to_plain()]
        case RateValue():
            return [series.metric, tags, "rate", series_value.to_plain()]
        case _:
            return [series.metric, tags, "counter", series_value.to_plain()]


def _trend_to_plain(trend: TrendValue) -> list[Any]:
    """Return a trend as plain lists, with gaps between bucket indexes.

    msgpack needs one byte for most gaps and counts: less space than arrays or HdrHistogram's V2 encoding.
    """
    sparse = trend.to_sparse()
    index = np.frombuffer(sparse["i"], dtype="<u4").astype(np.int64)
    gaps = np.diff(index, prepend=0).tolist()
    counts = np.frombuffer(sparse["c"], dtype="<u8").tolist()
    moments = [sparse[key] for key in ("top", "x", "s", "q", "lo", "hi")]
    return [*moments, gaps, counts]


def _trend_from_plain(plain: Sequence[Any]) -> TrendValue:
    top, clamped, total, squares, low, high, gaps, counts = plain[:8]
    if sum(gaps) >= _BUCKETS_AT_MOST:
        raise ValueError("a histogram has no such buckets")
    return TrendValue.from_gaps(
        gaps, counts, {"s": total, "q": squares, "lo": low, "hi": high, "x": clamped, "top": top}
    )


def _table(rows: Sequence[Sequence[Any]]) -> SeriesTable:
    return SeriesTable(dict(one for row in rows if (one := series_from_row(row)) is not None))


def series_from_row(row: Sequence[Any]) -> tuple[Series, Any] | None:
    """Return a series of a table and its value; None for a kind that this version does not know.

    Raises:
        TypeError, ValueError, IndexError: a part is missing, or has another type.
    """
    metric, flat, kind, plain, *_ = row
    series = Series(metric, tuple(zip(flat[::2], flat[1::2], strict=True)))
    match kind:
        case "trend":
            return series, _trend_from_plain(plain)
        case "counter":
            return series, CounterValue(plain[0])
        case "gauge":
            return series, GaugeValue(*plain[:3])
        case "rate":
            return series, RateValue(*plain[:2])
        case _:
            return None


def _known(kind: type[T], plain: Mapping[str, Any]) -> T:
    """Return an object of *kind* from the entries of *plain* that *kind* has as fields."""
    return kind(**{name: plain[name] for name in _field_names(cast(Any, kind)) if name in plain})


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def _host(plain: Mapping[str, Any]) -> HostSample:
    return _known(HostSample, {**plain, "cpus_percent": tuple(plain["cpus_percent"])})


def _verdict(plain: Mapping[str, Any]) -> Verdict:
    return _known(Verdict, {**plain, "reasons": tuple(plain["reasons"])})
