"""What k6's two formats have in common: its tags and metrics, and a file of single samples that grows each second."""

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
"""Makes a fiftieth of the lines of `bench` at 870 MB/s; level 9 makes a hundredth at 310 MB/s."""
REQUESTS_A_PIECE = 5_000
"""So many requests are some 20 MB of text."""
_MOST_TEXTS = 200_000
TRENDS = (*LOST_TRENDS, *(metric for metric in HTTP_TRENDS if metric not in LOST_TRENDS))
"""The times of a request in the order of k6, and then those that only fastload has."""
REQUEST_METRICS = ("http_reqs", *LOST_TRENDS, "http_req_failed", *TRENDS[len(LOST_TRENDS) :], "http_req_response_time")
_AFTER_FAILED = REQUEST_METRICS.index("http_req_failed")
_GAUGES = ("vus", "vus_max")
_PROTOCOLS = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2.0", "3": "HTTP/3.0"}
_ERRORS = {
    "connect_refused": "dial: connection refused",
    "timeout": "request timeout",
    "dns": "lookup: no such host",
}


class Requests(NamedTuple):
    """Some requests of a block, column by column. *failed* is by tag set; *response_us* is negative without a due
    time; *times_us* are in the order of `TRENDS`: all of them, or k6's of requests without a response."""

    time_ns: list[int]
    sets: list[int]
    failed: list[bool]
    response_us: list[int]
    times_us: list[list[int]]


class Texts(dict[int, str]):
    """Microseconds as text, by a function that is called once for those that come often."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: int) -> str:
        text = self._make(value)
        if len(self) < _MOST_TEXTS:
            self[value] = text
        return text


class RequestText(NamedTuple):
    """How a format writes a request: what stands *before* each of `REQUEST_METRICS`, the *time* from nanoseconds since
    the epoch, the values *one* and *zero*, times in *ms*; and by tag set what stands after a value."""

    before: list[str]
    time: Callable[[int], str]
    one: str
    zero: str
    ms: Texts
    tails: list[str]


def k6_request_lines(requests: Requests, text: RequestText) -> list[str]:
    """The lines of *requests*, each with all of its metrics."""
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


class SampleFile(ABC):
    """A sink for single samples: *argument* is a file, which is compressed if it ends in ``.gz``, or ``-``.

    ``paths``: that file (see `fastload.outputs.streams.registry.make_named`).
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
            # Each piece is a whole member of the archive, so that what was written can always be read.
            self._file.append(gzip.compress(data, GZIP_LEVEL, mtime=0) if self._packed else data)

    example = ""
    """A name that such a file may have."""

    def begin(self, header: RunHeader) -> None:  # noqa: B027 - not every format says something of the run
        """The run has *header*."""

    def head(self) -> str:
        """What the file begins with."""
        return ""

    @abstractmethod
    def requests(self, requests: Requests, tag_sets: list[dict[str, str]]) -> str:
        """The lines of *requests*, each with all of its metrics."""

    @abstractmethod
    def values(
        self, metric: str, times_ns: list[int], values: list[float], sets: list[int], tag_sets: list[dict[str, str]]
    ) -> str:
        """The lines of values of *metric*."""


def k6_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """fastload's tags of a sample as k6 has them, in alphabetical order."""
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
    """The tags that a threshold asks for, with the values that k6 has for them."""
    found = dict(tags)
    if tags.get("group"):
        found["group"] = f"::{tags['group']}"
    if tags.get("error"):
        found["error"] = _ERRORS.get(tags["error"], tags["error"])
    return found


def _pieces(block: PointBlock) -> Iterator[Requests]:
    failed = [tags.get("expected_response") == "false" for tags in block.tag_sets]
    for columns, trends in ((block.requests, TRENDS), (block.lost, LOST_TRENDS)):
        if columns is not None:
            yield from _pieces_of(columns, trends, failed)


def _pieces_of(columns: RequestColumns, trends: Sequence[str], failed: list[bool]) -> Iterator[Requests]:
    count = len(columns.time_ns)
    response_us = columns.times_us.get("http_req_response_time", np.full(count, -1))
    for first in range(0, count, REQUESTS_A_PIECE):
        some = slice(first, first + REQUESTS_A_PIECE)
        yield Requests(
            columns.time_ns[some].tolist(),
            columns.sets[some].tolist(),
            failed,
            response_us[some].tolist(),
            [columns.times_us[metric][some].tolist() for metric in trends],
        )
