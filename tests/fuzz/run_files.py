"""Run files with the right checksums and anything in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastload.model.frames import pack
from fastload.model.run_header import RunHeader
from fastload.model.saved.codec import (
    FIRST_METRICS,
    HEADER,
    PREAMBLE,
    SECOND,
    SUMMARY,
    check_kinds,
    header_from_plain,
    snapshot_from_plain,
    snapshot_to_plain,
    unpack_payload,
)
from fastload.model.saved.run_file import RunReader, load_run
from fastload.model.saved.saved_summary import check_summary
from tests.data.renew import RUN as GOLDEN
from tests.fuzz.mutations import mutated
from tests.fuzz.parsing import written
from tests.fuzz.source import Source
from tests.model.capacity.made import made_result, made_steps
from tests.model.saved.test_run_file import header, second, small_summary

Records = list[tuple[int, Any]]


# Of each kind and each unit, and what every run has.
_METRICS = {
    *FIRST_METRICS, "http_reqs", "http_req_failed", "http_req_duration", "iterations", "data_received", "vus",
    "queue_depth", "orders", "batch_size",
}  # fmt: skip


def record(kind: int, body: Any) -> bytes:
    """A record as a hostile writer makes it: the length and the checksum are right, whatever *body* is."""
    return sealed(kind, zlib.compress(pack(body), 1))


def sealed(kind: int, payload: bytes) -> bytes:
    """A record of *payload* as it is."""
    return struct.pack(">IIB", len(payload), zlib.crc32(payload, zlib.crc32(bytes([kind]))), kind) + payload


def file_of(path: Path, records: Iterable[tuple[int, Any]]) -> Path:
    """A run file of *records*."""
    return written(path, PREAMBLE + b"".join(record(*one) for one in records))


def golden() -> Records:
    """The records of a real run."""
    with RunReader(GOLDEN) as reader:
        return [(kind, unpack_payload(payload)) for kind, payload in reader._payloads()]


def small() -> Records:
    """The records of a short run, so that a case takes little time."""
    begin = header().to_plain()
    begin["specs"] = [spec for spec in begin["specs"] if spec[0] in _METRICS]
    seen = snapshot_to_plain(second(1.0))
    seen["series"] = [series for series in seen["series"] if series[0] in _METRICS]
    plain = [begin, seen, small_summary()]
    return list(zip((HEADER, SECOND, SUMMARY), plain, strict=True))


def searched() -> Records:
    """The records of a short capacity search with three steps, one of each outcome."""
    (kind, begin), second, (end, summary) = small()
    steps = made_steps()
    unknown = replace(steps[6], outcome=replace(steps[6].outcome, kind="generator"))
    result = made_result(steps=(steps[0], steps[7], unknown))
    plan = begin["plan"] | {"capacity": result.settings.to_dict()}
    found = summary | {"plan": plan, "capacity": result.to_dict()}
    return [(kind, begin | {"plan": plan}), second, (end, found)]


def hostile_search(records: Records, source: Source) -> Records:
    """*records* of a search with its result changed by type."""
    *others, (kind, summary) = records
    capacity = mutated(summary["capacity"], source, most=source.choice((1, 1, 3)))
    return [*others, (kind, summary | {"capacity": capacity})]


def hostile(records: Records, source: Source) -> Records:
    """*records* with one of them changed by type, and sometimes without the summary."""
    changed = list(records)
    place = source.randrange(len(changed))
    kind, body = changed[place]
    changed[place] = (kind, mutated(body, source, most=source.choice((1, 1, 3))))
    return changed if source.randrange(3) else [one for one in changed if one[0] != SUMMARY]


def read_whole(path: Path) -> None:
    """Read *path* as every command does at first: all seconds, and the summary as object and as plain data."""
    run = load_run(path)
    for _ in run.seconds:
        pass
    run.to_summary().to_dict()
    if run.complete:
        # Of other runs it is the same as the line above.
        run.summary_dict()


def read_record(kind: int, payload: bytes, known: RunHeader) -> None:
    """Read one record of a run whose header is *known*."""
    plain = unpack_payload(payload)
    if kind == HEADER:
        header_from_plain(plain)
    elif kind == SECOND:
        check_kinds(snapshot_from_plain(plain).table, known.specs)
    else:
        check_summary(plain, known)
