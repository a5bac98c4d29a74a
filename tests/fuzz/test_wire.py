"""What comes over the wire: frames, deltas, histograms, headers, cookies, server-sent events, commands."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import msgpack
import numpy as np
import pycurl
import pytest
from hdrh.histogram import HdrHistogram

from fastload.control.commands.command_queue import check_command
from fastload.control.commands.http_checks import RequestRefused, arguments_of
from fastload.control.commands.keyboard import actions_of
from fastload.dashboard.ui_form import Form
from fastload.load.client.cookies import _parsed as parse_cookie_line
from fastload.load.client.json_path import NoSuchPathError, at_path
from fastload.load.client.sse import EventParser, LineSplitter
from fastload.load.engine.header_lines import cookies_set, last_headers, redirects, status_of
from fastload.model.errors import FrameError
from fastload.model.frames import Frame, FrameDecoder, encode, pack, unpack
from fastload.model.histogram import Histogram
from fastload.model.metrics import HIGHEST_US
from fastload.model.records import Delta, ErrorTable, WorkerStats
from fastload.model.series import SeriesTable
from fastload.model.statuses import MOST
from tests.fuzz.mutations import ODD_VALUES, mutated, nested
from tests.fuzz.parsing import fuzz
from tests.fuzz.source import NUMBERS, Source
from tests.outputs.samples import add_requests, durations

_LINE = (
    *NUMBERS, "HTTP/1.1 ", "HTTP/2 ", "200", "302", " OK", "Location", "Set-Cookie", "Content-Type", ": ", ":", "=",
    ";", "/path", "//host", "http://[", "http://a/", "a=1", "Path=/", "Max-Age=",
    "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "Domain=.example.com", "Domain=x", "Secure", "HttpOnly", "\t", " ",
)  # fmt: skip
_EVENTS = ("data", "event", "id", "retry", ":", ": ", "\n", "\r", "\r\n", "\n\n", "\ufeff", "x", *NUMBERS)


def delta_body() -> dict[str, Any]:
    table = SeriesTable()
    add_requests(table, durations(20))
    errors = ErrorTable({"http_500": (2, "GET / answered 500")}, {"http_500": {("GET", "/"): 2}})
    body = Delta(0, 0, table, errors, ErrorTable(), WorkerStats(started=20, finished=20)).to_body()
    plain: dict[str, Any] = unpack(pack(body))
    return plain


_DELTA = delta_body()


def test_any_bytes_are_frames_or_an_error() -> None:
    def run(source: Source) -> None:
        packed = source.binary(40)
        if source.randrange(2):
            packed = msgpack.packb(
                [source.choice((1, 2, 2, 2, "2")), source.text(), source.choice(({}, [], 7, None, {"a": 1}))]
            )
        length = len(packed) if source.randrange(4) else source.choice((0, 1, 2**26, 2**31, 2**32 - 1))
        for frame in FrameDecoder().feed(struct.pack(">I", length) + packed):
            assert isinstance(frame.kind, str)
            assert isinstance(frame.body, dict)

    fuzz(run)


def test_frames_come_back_from_pieces_of_any_size() -> None:
    def run(source: Source) -> None:
        values: tuple[Any, ...] = (None, True, -1, 2**63, 1.5, "é", b"\xff", [], [[1]], {"a": {1: 2}}, nested(60))
        sent = [Frame(source.text(), {source.text(): source.choice(values)}) for _ in range(source.randint(1, 3))]
        whole = b"".join(map(encode, sent))
        decoder, begin = FrameDecoder(), 0
        received: list[Frame] = []
        while begin < len(whole):
            size = source.randint(1, 60)
            received += decoder.feed(whole[begin : begin + size])
            begin += size
        assert received == sent

    fuzz(run)


def test_any_body_is_a_delta_or_an_error() -> None:
    def run(source: Source) -> None:
        Delta.from_body(mutated(_DELTA, source, most=2))

    fuzz(run)


def test_histograms_come_back_from_their_encoding() -> None:
    def run(source: Source) -> None:
        values = [
            min(HIGHEST_US, 2 ** source.randrange(33) + source.randrange(256)) for _ in range(source.randint(1, 9))
        ]
        histogram = Histogram()
        histogram.fold(np.array(values, dtype=np.int64))
        again = Histogram.from_sparse(unpack(pack(histogram.to_sparse())))
        assert (again.count, again.sum, again.min, again.max) == (len(values), sum(values), min(values), max(values))
        assert [list(one) for one in again.used()] == [list(one) for one in histogram.used()]
        assert again.quantiles((0.5, 0.99)) == histogram.quantiles((0.5, 0.99))

    fuzz(run)


def test_histograms_come_back_from_the_encoding_of_hdrhistogram() -> None:
    def run(source: Source) -> None:
        histogram = Histogram(10**6)
        histogram.fold(np.array([source.randrange(65_536) for _ in range(source.randint(1, 9))], dtype=np.int64))
        theirs = HdrHistogram.decode(histogram.encode())
        assert theirs.get_total_count() == histogram.count

    fuzz(run)


def test_any_header_lines_are_read() -> None:
    def run(source: Source) -> None:
        lines = [source.made_of(_LINE, 6).encode("utf-8", "replace") for _ in range(source.randint(0, 6))]
        last_headers(lines)
        cookies_set(lines)
        redirects(source.choice(("http://a/b", "", "http://[", "/x")), lines)
        for line in lines:
            assert 0 <= status_of(line.decode("latin-1")) <= MOST

    fuzz(run)


def test_any_cookie_that_libcurl_keeps_is_read() -> None:
    handle = pycurl.Curl()
    handle.setopt(pycurl.COOKIEFILE, "")

    def run(source: Source) -> None:
        handle.setopt(pycurl.COOKIELIST, "ALL")
        line = source.made_of(_LINE, 8).replace("\0", "")
        for prefix in ("Set-Cookie: ", "Set-Cookie: a=", "", ".example.com\tTRUE\t/\tFALSE\t0\t"):
            try:
                handle.setopt(pycurl.COOKIELIST, (prefix + line).encode("utf-8", "replace"))
            except pycurl.error:
                continue
        for kept in handle.getinfo_raw(pycurl.INFO_COOKIELIST):
            assert parse_cookie_line(kept).name is not None

    fuzz(run)
    handle.close()


def test_any_bytes_are_events_and_the_same_in_pieces() -> None:
    def run(source: Source) -> None:
        whole = source.made_of(_EVENTS).encode("utf-8", "replace") + source.binary(8)
        size = source.randint(1, 9)
        events = list(EventParser().feed(whole))
        parser = EventParser()
        if len(whole) < 10_000:
            pieces = [whole[begin : begin + size] for begin in range(0, len(whole), size)]
            assert [event for piece in pieces for event in parser.feed(piece)] == events
        splitter = LineSplitter()
        lines = [*splitter.feed(whole), splitter.end()]
        assert len(lines) == whole.count(b"\n") + 1

    fuzz(run)


def test_any_path_is_a_value_or_none_there() -> None:
    data = {"a": [1, {"b": None}], "": {"": 2}, "0": "x", "é": [[]]}

    def run(source: Source) -> None:
        path = source.made_of(("a", "b", ".", "-", "é", "0", "1", "-1", *NUMBERS), 6)
        with contextlib.suppress(NoSuchPathError):
            at_path(data, path)

    fuzz(run)


_COMMANDS = ("status", "metrics", "pause", "resume", "scale", "stop", "nothing", "")
_ARGUMENTS = ("vus", "rate", "by", "now", "scenario", "odd")
_FORM = (
    "users",
    "spawn_rate",
    "rate",
    "iterations",
    "duration",
    "base_url",
    "scenarios",
    "env",
    "needs_host",
    "env_of",
)


def test_any_command_is_taken_or_refused() -> None:
    def run(source: Source) -> None:
        text = source.made_of(('{"', '"', ":", ",", "}", "[", "]", "vus", "rate", "null", "true", "NaN", *NUMBERS))
        body = text.encode("utf-8", "replace")
        arguments: dict[str, Any] = {}
        with contextlib.suppress(RequestRefused):
            arguments = arguments_of(body if source.randrange(99) else b"[" * 50_000)
        if not arguments:
            arguments = {source.choice(_ARGUMENTS): source.choice(ODD_VALUES) for _ in range(source.randrange(3))}
        check_command(source.choice(_COMMANDS), arguments)

    fuzz(run)


def test_any_form_is_taken_or_refused() -> None:
    def run(source: Source) -> None:
        Form.take({source.choice(_FORM): source.choice(ODD_VALUES) for _ in range(source.randint(0, 4))})

    fuzz(run)


_KEYS = (b"w", b"W", b"s", b"S", b"p", b"?", b"x", b"\n", b"\x00", b"\xff", "é".encode())
# Cursor and function keys, a key with Alt, the answers of a terminal, and a paste.
_SEQUENCES = (
    b"\x1b[A", b"\x1bOS", b"\x1b[1;5S", b"\x1b[15~", b"\x1bw", b"\x1b[?64;1;2c", b"\x1b[24;80R", b"\x1b[200~",
)  # fmt: skip


def test_any_bytes_of_the_terminal_are_the_actions_of_their_keys() -> None:
    def run(source: Source) -> None:
        typed = source.several(lambda: source.choice(_KEYS if source.randrange(2) else _SEQUENCES), 9)
        expected = [action for key in typed if key in _KEYS for action in actions_of(key)]
        assert actions_of(b"".join(typed)) == expected
        assert len(actions_of(source.binary(20) + b"\x1b[" * source.choice((0, 1, 1, 1, 500)))) <= 20

    fuzz(run)


def test_a_delta_without_a_part_says_so() -> None:
    with pytest.raises(FrameError, match="no delta"):
        Delta.from_body({"worker": 0})
