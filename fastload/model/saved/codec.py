"""Codec of a run file's records: header, snapshots and summary as bytes. ``docs/run-file.md`` describes the format.

A record is the length of the payload, a checksum of kind and payload, the kind, and the payload (zlib of msgpack).
A record does not depend on others, so that a file may end after any record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from fastload.model.errors import FastloadError, OutputError
from fastload.model.frames import pack, unpack
from fastload.model.judging.finding import Finding
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.records import ErrorTable, Event, Snapshot
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.saved.plain_types import LARGEST, MOST_WHOLE, any_number, check_plain_data, converter, made_of
from fastload.model.saved.saved_plan import saved_plan
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesTable, TrendValue
from fastload.model.units import LONGEST_DURATION_S, format_count

MAGIC = b"\x8bfastload"
VERSION = (1, 2)
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
BUCKETS_AT_MOST = 1 << 16
# Fields that nobody needs after the run: only for the moment (progress, message, search) or too large (points).
_NOT_SAVED = frozenset(("points", "progress", "message", "search"))
_PLAIN = frozenset(one.name for one in fields(Snapshot)) - _NOT_SAVED - {
    *("host", "target", "workers", "thresholds", "verdict", "table", "errors", "exceptions", "events"),
}  # fmt: skip
_ERRORS = (KeyError, TypeError, ValueError, IndexError, OverflowError)
# Limit of a factor by which a record unpacks, beyond what is small anyway. Figures of a run have a tenth of it.
_MOST_EXPANSION = 100
_MOST_CONTAINERS = 2_000_000

FIRST_METRICS = ("http_reqs", "http_req_failed", "http_req_duration", "iterations", "iteration_duration", "vus")
"""Metrics that every run has had from the first version on."""
# numpy counts in 64 bits, and fastload writes less than that.
HIGHEST = 2**62
_LEAST_SPAN_S = 1e-6
_FIRST_YEAR, _LAST_YEAR = 1970, 2262
_VALUES = {Kind.COUNTER: CounterValue, Kind.GAUGE: GaugeValue, Kind.RATE: RateValue, Kind.TREND: TrendValue}
_SPEC = converter(tuple[str, str, str])
_pair = converter(tuple[int, int])
_event = converter(tuple[float, str, str])
_Names = tuple[tuple[str, str, int], ...]
_Groups = tuple[tuple[str, int, int, str, tuple[int, ...]], ...]
_errors = converter(dict[str, tuple[int, str, _Names, _Groups] | tuple[int, str, _Names] | tuple[int, str]])


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
    if len(plain) > _plain_limit(len(payload)):
        payload = zlib.compress(plain, 0)
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
        RunFileError: *payload* is not zlib of msgpack, not a map, or it unpacks to far more than figures of a run do.
    """
    limit = _plain_limit(len(payload))
    try:
        inflate = zlib.decompressobj()
        plain = inflate.decompress(payload, limit + 1)
        if len(plain) > limit:
            raise RunFileError(f"a record of {len(payload):,} bytes unpacks to more than {limit:,}")
        body = unpack(plain, most_containers=_MOST_CONTAINERS)
    except (zlib.error, ValueError) as error:
        raise RunFileError(f"a record cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise RunFileError("a record is no map")
    return body


def _plain_limit(payload_bytes: int) -> int:
    """Return how many bytes a payload may unpack to, so that a small file cannot fill the memory."""
    return min(MAX_RECORD_BYTES, max(_LARGE_BYTES, _MOST_EXPANSION * payload_bytes))


def snapshot_to_plain(snapshot: Snapshot) -> dict[str, Any]:
    """Return *snapshot* as plain data, without what is not saved: `points`, `progress`, `message` and `search`."""
    plain: dict[str, Any] = {name: getattr(snapshot, name) for name in sorted(_PLAIN)}
    plain["host"] = _sample_to_plain(snapshot.host) if snapshot.host else None
    plain["target"] = _sample_to_plain(snapshot.target) if snapshot.target else None
    plain["workers"] = [_sample_to_plain(sample) for sample in snapshot.workers]
    plain["thresholds"] = [asdict(result) for result in snapshot.thresholds]
    # The findings are for the end: their texts are the reasons, and each second would repeat them.
    plain["verdict"] = snapshot.verdict.to_dict() | {"findings": []} if snapshot.verdict else None
    plain["events"] = [list(event) for event in snapshot.events]
    plain["errors"], plain["exceptions"] = snapshot.errors.to_plain(), snapshot.exceptions.to_plain()
    plain["series"] = [
        _series_to_plain(series, series_value) for series, series_value in snapshot.table.series_values.items()
    ]
    return plain


def _sample_to_plain(sample: HostSample | ProcessSample) -> dict[str, Any]:
    """Return a sample as plain data, without what is not measured of it: fields that have their default."""
    return {one.name: told for one in fields(sample) if (told := getattr(sample, one.name)) != one.default}


def verdict_of(plain: Any) -> Verdict:
    """Return the verdict of *plain*, the result of `Verdict.to_dict`. Earlier versions had no findings.

    Raises:
        ValueError: an entry is missing or has another type.
    """
    findings = converter(tuple[dict[str, Any], ...])(converter(dict[str, Any])(plain).get("findings", ()))
    return made_of(Verdict, plain, findings=tuple(made_of(Finding, one) for one in findings))


def snapshot_from_plain(
    plain: Mapping[str, Any], table: SeriesTable | None = None, *, has_state: bool = True
) -> Snapshot:
    """Return the snapshot of *plain*, the result of `snapshot_to_plain`. Entries unknown to this version are left out.

    With *table*, the snapshot gets that instead of its own. Without *has_state* it gets no thresholds and no verdict,
    which say how the run stands and not what came in the second.

    Raises:
        RunFileError: an entry is missing or has another type.
    """
    try:
        snapshot = made_of(
            Snapshot,
            plain,
            progress=0.0,
            message="",
            search=None,
            points=(),
            late=_late(plain.get("late", {})),
            host=made_of(HostSample, plain["host"]) if plain["host"] else None,
            target=made_of(ProcessSample, plain["target"]) if plain["target"] else None,
            workers=tuple(made_of(ProcessSample, sample) for sample in plain["workers"]),
            thresholds=tuple(threshold_result(result) for result in plain["thresholds"]) if has_state else (),
            verdict=verdict_of(plain["verdict"]) if has_state and plain["verdict"] else None,
            events=tuple(Event(*_event(event)) for event in plain["events"]),
            errors=ErrorTable.from_plain(_errors(plain["errors"])),
            exceptions=ErrorTable.from_plain(_errors(plain["exceptions"])),
            table=_table(plain["series"]) if table is None else table,
        )
        _check_times(snapshot)
    except _ERRORS as error:
        raise RunFileError(f"a second cannot be read: {reason_of(error)}") from error
    return snapshot


def reason_of(error: Exception) -> str:
    """Return why plain data cannot be read, in words."""
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def threshold_result(plain: Any) -> ThresholdResult:
    """Return the result of a threshold of *plain*.

    Raises:
        ValueError: an entry is missing or has another type.
    """
    observed = plain["observed"]
    if not isinstance(observed, str | None):
        observed = any_number(observed)
    return made_of(ThresholdResult, plain, observed=observed)


def header_from_plain(plain: Mapping[str, Any]) -> RunHeader:
    """Return the header of *plain*, the result of `RunHeader.to_plain`. Metrics of unknown kinds are left out.

    Raises:
        RunFileError: an entry is missing or has another type.
    """
    try:
        check_plain_data(plain)
        known = [_SPEC(spec) for spec in plain["specs"] if spec[1] in set(Kind)]
        for name, kind, unit in known:
            if name in BUILTIN and (kind, unit) != (BUILTIN[name].kind, BUILTIN[name].unit):
                raise ValueError(f"{name} is another metric here")
        # An earlier version had fewer.
        missing = [(spec.name, spec.kind, spec.unit) for spec in BUILTIN.values() if spec.name not in _names(known)]
        header = RunHeader.from_plain({**plain, "specs": [*known, *missing]})
        saved_plan(header.plan)
        _check_header(header)
    except _ERRORS as error:
        raise RunFileError(f"its first record cannot be read: {reason_of(error)}") from error
    return header


def check_kinds(table: SeriesTable, specs: Mapping[str, MetricSpec]) -> None:
    """Check that the values in *table* are of the kinds that *specs* have, and make sense where fastload counts itself.

    Series of other metrics are removed: nothing says how they are read.

    Raises:
        RunFileError: a value is of another kind.
    """
    for series, series_value in list(table.series_values.items()):
        spec = specs.get(series.metric)
        if spec is None:
            del table.series_values[series]
            continue
        if type(series_value) is not _VALUES[spec.kind]:
            kind = _kind_of(series_value)
            raise RunFileError(f"a second cannot be read: {series.metric:.40} is no {kind} of this run")
        if series.metric in BUILTIN and isinstance(series_value, CounterValue | GaugeValue):
            _check_own(series.metric, series_value)


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


def trend_from_plain(plain: Sequence[Any]) -> TrendValue:
    """Return the trend of *plain*, the result of `_trend_to_plain`.

    Raises:
        TypeError, ValueError, IndexError: a part is missing, or has another type.
    """
    top, clamped, total, squares, low, high, gaps, counts = plain[:8]
    _check_moments(top, clamped, total, squares, low, high)
    if not isinstance(gaps, list) or not isinstance(counts, list) or sum(gaps) >= BUCKETS_AT_MOST:
        raise ValueError("a histogram has no such buckets")
    trend = TrendValue.from_gaps(
        gaps, counts, {"s": total, "q": squares, "lo": low, "hi": high, "x": clamped, "top": top}
    )
    if gaps and (min(counts) < 1 or clamped > sum(counts)):
        raise ValueError("a histogram has no such counts")
    return trend


def _table(rows: Sequence[Sequence[Any]]) -> SeriesTable:
    return SeriesTable(dict(one for row in rows if (one := series_from_row(row)) is not None))


def series_from_row(row: Sequence[Any]) -> tuple[Series, Any] | None:
    """Return a series of a table and its value; None for a kind that this version does not know.

    Raises:
        TypeError, ValueError, IndexError: a part is missing, or has another type.
    """
    metric, flat, kind, plain, *_ = row
    series = series_of(metric, flat)
    value = value_from_plain(kind, plain)
    return None if value is None else (series, value)


def series_of(metric: Any, flat: Any) -> Series:
    """Return the series of *metric* with the tags of *flat*, names and values in turn.

    Raises:
        ValueError: a part has another type.
    """
    if not isinstance(metric, str) or not isinstance(flat, list) or not all(isinstance(one, str) for one in flat):
        raise ValueError("a series has no name or no tags")
    return Series(metric, tuple(zip(flat[::2], flat[1::2], strict=True)))


def value_from_plain(kind: Any, plain: Any) -> Any:
    """Return the value of a series; None for a *kind* that this version does not know.

    Raises:
        TypeError, ValueError, IndexError: a part is missing, or has another type.
    """
    match kind:
        case "trend":
            return trend_from_plain(plain)
        case "counter":
            return CounterValue(any_number(plain[0]))
        case "gauge":
            return GaugeValue(*map(any_number, plain[:3]))
        case "rate":
            trues, total = _pair(plain)
            if trues > total:
                raise ValueError("a rate has more true values than values")
            return RateValue(trues, total)
        case _:
            return None


def _check_moments(top: Any, clamped: Any, total: Any, squares: Any, low: Any, high: Any) -> None:
    """Check what a histogram has beside its buckets. The sum of many large values has more than 64 bits."""
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (top, clamped, total, low, high))
    if not whole or not 0 < top <= HIGHEST or clamped < 0 or not 0 <= low <= top or not 0 <= high <= top:
        raise ValueError("a histogram has no such bounds")
    if not 0 <= total <= MOST_WHOLE * top or not 0 <= any_number(squares) <= float(MOST_WHOLE) * top * top:
        raise ValueError("a histogram has no such sum")


def _kind_of(series_value: Any) -> str:
    return type(series_value).__name__.removesuffix("Value").lower()


def _check_own(metric: str, series_value: CounterValue | GaugeValue) -> None:
    is_unset = isinstance(series_value, GaugeValue) and not series_value.is_set
    numbers = [series_value.value] if is_unset else series_value.to_plain()
    if not all(0 <= number <= LARGEST for number in numbers):
        raise RunFileError(f"a second cannot be read: {metric} is {numbers[0]!r:.40}")


def _names(specs: Iterable[tuple[str, str, str]]) -> set[str]:
    return {name for name, _, _ in specs}


def _late(plain: Any) -> dict[str, float]:
    return {label: any_number(value) for label, value in converter(dict[str, Any])(plain).items()}


def _check_times(snapshot: Snapshot) -> None:
    if not _LEAST_SPAN_S <= snapshot.span_s <= LONGEST_DURATION_S:
        raise ValueError(f"it is {snapshot.span_s!r} s long")
    if max(abs(snapshot.t_s), abs(snapshot.elapsed_s)) > LONGEST_DURATION_S:
        raise ValueError("it is a hundred years from the start")


def _check_header(header: RunHeader) -> None:
    """Check what reports compute with, or name files by."""
    began = datetime.fromisoformat(header.started_at)
    if began.tzinfo is None or not _FIRST_YEAR <= began.year <= _LAST_YEAR:
        raise ValueError(f"started_at is {header.started_at!r:.40}")
    converter(dict[str, str])(header.versions)
    machine = converter(dict[str, Any])(header.machine)
    converter(int | None)(machine.get("memory_total_bytes"))
    converter(str)(header.run_id)
    converter(tuple[str, ...])(list(header.thresholds))
