"""Common parts of k6's JSON and CSV formats: tags, metrics, and a file of points that grows each second."""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastload.model.http_settings import error_code
from fastload.model.metrics import HTTP_TRENDS
from fastload.model.points import LOST_TRENDS, PointBlock, RequestColumns
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.outputs.files import STDOUT as STDOUT
from fastload.outputs.files import check_file
from fastload.outputs.streams.appended_file import AppendedFile

GZIP_LEVEL = 3
"""Compression level. Level 3 compresses the lines of `bench` to 1/50 at 870 MB/s, level 9 to 1/100 at 310 MB/s."""
REQUESTS_A_PIECE = 5_000
"""Number of requests that are written at once: about 20 MB of text."""
_MOST_TEXTS = 200_000
TRENDS = (*LOST_TRENDS, *(metric for metric in HTTP_TRENDS if metric not in LOST_TRENDS))
"""Times of a request: first k6's, in the order of k6, then those that only fastload has."""
K6_REQUEST_METRICS = (
    "http_reqs",
    *LOST_TRENDS,
    "http_req_failed",
    *TRENDS[len(LOST_TRENDS) :],
    "http_req_response_time",
)
_AFTER_FAILED = K6_REQUEST_METRICS.index("http_req_failed")
_GAUGES = ("vus", "vus_max")
_PROTOCOLS = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2.0", "3": "HTTP/3.0"}
_ERRORS = {
    "connect_refused": "dial: connection refused",
    "timeout": "request timeout",
    "dns": "lookup: no such host",
}


class RequestPart(NamedTuple):
    """Some requests of a block, as columns.

    *sets* has the number of each request's tag set, and *failed* has one value per tag set. *response_us* is negative
    for requests without a due time. *times_us* has one list per trend, in the order of `TRENDS`; requests without a
    response have only k6's trends.
    """

    time_ns: list[int]
    sets: list[int]
    failed: list[bool]
    response_us: list[int]
    times_us: list[list[int]]


class DurationTexts(dict[int, str]):
    """Cache of the texts of durations in microseconds; *make* formats a duration. Up to 200,000 texts are kept."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: int) -> str:
        text = self._make(value)
        if len(self) < _MOST_TEXTS:
            self[value] = text
        return text


class RequestLineTexts(NamedTuple):
    """The texts from which a format builds the lines of a request.

    *before* has the start of the line for each of `K6_REQUEST_METRICS`. *time* formats a time in ns since the epoch.
    *one* and *zero* are the values 1 and 0, *ms* are durations. *tails* has, for each tag set, the text after the
    value.
    """

    before: list[str]
    time: Callable[[int], str]
    one: str
    zero: str
    ms: DurationTexts
    tails: list[str]


def k6_request_lines(requests: RequestPart, text: RequestLineTexts) -> list[str]:
    """Return the lines of *requests*: for each request, one line per metric."""
    lines: list[str] = []
    before, time_text, one, zero, ms, tails = text
    failed = [one if failed else zero for failed in requests.failed]
    for time_ns, tag_set, due_us, *times_us in zip(
        requests.time_ns, requests.sets, requests.response_us, *requests.times_us, strict=True
    ):
        time, tail = time_text(time_ns), tails[tag_set]
        values = [one, *[ms[us] for us in times_us]]
        values.insert(_AFTER_FAILED, failed[tag_set])
        if due_us >= 0:
            values.append(ms[due_us])
        lines += [f"{head}{time}{value}{tail}" for head, value in zip(before, values, strict=False)]
    return lines


class K6PointFile(ABC):
    """Base class of sinks that write points to a file.

    *argument* is a file, which is compressed if its name ends with ``.gz``, or ``-`` for stdout. ``paths`` is this file
    (see `fastload.outputs.streams.registry.make_named_sink`).
    """

    required = True
    wants_points = True

    def __init__(self, name: str, argument: str) -> None:
        self._option = f"--out {name}"
        self.paths = (argument,)
        self._packed = argument.endswith(".gz")
        self._file: AppendedFile | None = None

    def check(self) -> None:
        """See `Sink.check`."""
        check_file(Path(self.paths[0]), self._option, example=self.example)

    def open(self, header: RunHeader) -> None:
        """See `Sink.open`."""
        self._file = AppendedFile(Path(self.paths[0]))
        self.begin(header)
        self._append(self.head())

    def write(self, snapshot: Snapshot) -> None:
        """See `Sink.write`."""
        for data in snapshot.points:
            block = PointBlock.from_plain(data)
            tag_sets = [k6_tags(tags) for tags in block.tag_sets]
            for requests in _pieces(block):
                self._append(self.requests(requests, tag_sets))
            for metric, columns in block.values.items():
                columns_of = (columns.time_ns.tolist(), columns.values.tolist(), columns.sets.tolist())
                self._append(self.values(metric, *columns_of, tag_sets))
        for metric in _GAUGES:
            gauge = snapshot.table.get(metric)
            if gauge is not None and gauge.is_set:
                self._append(self.values(metric, [snapshot.time_ns], [float(gauge.value)], [0], [{}]))

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        """See `Sink.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, text: str) -> None:
        if text and self._file is not None:
            data = text.encode("utf-8", "backslashreplace")
            # Each piece is a complete gzip member, so that everything written so far can always be read.
            self._file.append(gzip.compress(data, GZIP_LEVEL, mtime=0) if self._packed else data)

    example = ""
    """Example of a file name, for error messages."""

    def begin(self, header: RunHeader) -> None:  # noqa: B027 - optional in subclasses
        """Prepare for the run of *header*."""

    def head(self) -> str:
        """Return the first text of the file."""
        return ""

    @abstractmethod
    def requests(self, requests: RequestPart, tag_sets: list[dict[str, str]]) -> str:
        """Return the lines of *requests*: for each request, one line per metric."""

    @abstractmethod
    def values(
        self, metric: str, times_ns: list[int], values: list[float], sets: list[int], tag_sets: list[dict[str, str]]
    ) -> str:
        """Return the lines of *values* of *metric*; *sets* has the number of each value's tag set."""


def k6_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Convert the tags of a point to those of k6, in alphabetical order."""
    found = k6_filter(tags)
    if "expected_response" in tags:
        status = int(tags["status"])
        code = error_code("", status) or error_code(tags.get("error", ""))
        found.setdefault("url", found["name"])
        if code:
            found["error_code"] = str(code)
        if "proto" in tags:
            found["proto"] = _PROTOCOLS.get(tags["proto"], tags["proto"])
        if "tls_version" in tags:
            found["tls_version"] = f"tls{tags['tls_version']}"
    return dict(sorted(found.items()))


def k6_filter(tags: Mapping[str, str]) -> dict[str, str]:
    """Return *tags*, like those of a threshold, with the values that k6 uses for groups and errors."""
    found = dict(tags)
    if tags.get("group"):
        found["group"] = f"::{tags['group']}"
    if tags.get("error"):
        found["error"] = _ERRORS.get(tags["error"], tags["error"])
    return found


def _pieces(block: PointBlock) -> Iterator[RequestPart]:
    failed = [tags.get("expected_response") == "false" for tags in block.tag_sets]
    for columns, trends in ((block.requests, TRENDS), (block.lost, LOST_TRENDS)):
        if columns is not None:
            yield from _pieces_of(columns, trends, failed)


def _pieces_of(columns: RequestColumns, trends: Sequence[str], failed: list[bool]) -> Iterator[RequestPart]:
    count = len(columns.time_ns)
    response_us = columns.times_us.get("http_req_response_time", np.full(count, -1))
    for first in range(0, count, REQUESTS_A_PIECE):
        some = slice(first, first + REQUESTS_A_PIECE)
        yield RequestPart(
            columns.time_ns[some].tolist(),
            columns.sets[some].tolist(),
            failed,
            response_us[some].tolist(),
            [columns.times_us[metric][some].tolist() for metric in trends],
        )
