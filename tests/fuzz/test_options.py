"""Options as texts: numbers with units, stages, statuses, thresholds, addresses, distributions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fastload.cli.compare import _margin as parse_margin
from fastload.cli.options import parse_pairs
from fastload.cli.transport_options import CONVERTERS
from fastload.control.commands.http_checks import RequestRefused, check_host, check_origin, parse_address
from fastload.load.engine.curl_options import split_port
from fastload.model.http_settings import check_base_url
from fastload.model.judging.thresholds import parse_threshold_option, parse_thresholds
from fastload.model.metrics import BUILTIN
from fastload.model.statuses import parse_statuses
from fastload.model.units import (
    FASTEST_RATE_PER_S,
    LONGEST_DURATION_S,
    MOST_BYTES,
    format_duration_s,
    is_rate_stage,
    parse_bytes,
    parse_duration_s,
    parse_rate_per_s,
    parse_rate_stage,
    parse_share,
    parse_stage,
    parse_whole,
)
from fastload.outputs.streams.registry import RequestedOutput, make_named_sink
from fastload.planning.load import parse_load
from fastload.planning.transport import make_http, parse_auth
from fastload.targets.distributions import parse_distribution
from fastload.targets.limits import StagedLimit, limit_names, parse_limits
from tests.fuzz.parsing import fuzz
from tests.fuzz.source import NUMBERS, Source

_UNITS = (
    "",
    "ns",
    "us",
    "µs",
    "ms",
    "s",
    "m",
    "h",
    "d",
    "k",
    "K",
    "M",
    "B",
    "kB",
    "KiB",
    "GiB",
    "TB",
    "/s",
    "/min",
    "%",
)
_QUANTITY = (*NUMBERS, *_UNITS, " ", ":", ",", "/", "-")
_THRESHOLD = (
    *NUMBERS, *_UNITS, " ", "<", "<=", ">", ">=", "==", "!=", "===", "avg", "p(95)", "p(", ")", "p95", "med", "count",
    "rate", "value", "max", " for ", " over ", " abort ", " after ", " optional", "10s", "0.1%", "VALID", "and",
)  # fmt: skip
_SUBJECT = (
    "http_req_duration", "http_reqs", "http_req_failed", "vus", "verdict", "host_cpu", "checks", "{", "}", ":", ",",
    "name:/", "status:200", "'", '"', "group:::a", "{name:/{id}}", " ",
)  # fmt: skip
_THRESHOLDS = (
    "http_req_duration: p(95)<500ms", "http_req_duration{status:200}: avg<=1s for 10s", "checks: rate>99%",
    "http_req_failed{name:/}: rate<0.1%", "http_reqs: count>100", "vus: value<5", "http_reqs: rate>10 over 30s",
    "http_req_duration: p99.9<1s abort after 5s", "http_req_duration: med<1ms optional",
)  # fmt: skip
_ADDRESS = (
    *NUMBERS, "127.0.0.1", "localhost", "[::1]", "::1", "0.0.0.0", "host", "*", "*.example.com", ":", "/", "-", "=",
    ",", "10.0.0.0/8", "127.0.0.1-127.0.0.9", "::/0", "fe80::1%lo", "http://", "https://", "socks5://", "user:pw@",
    "[", "]", "?", "#", " ", "unix:", "basic:", "bearer:", "digest:",
)  # fmt: skip


def _is_duration(seconds: float) -> None:
    assert 0 <= seconds <= LONGEST_DURATION_S
    if seconds >= 1:
        assert parse_duration_s(format_duration_s(float(int(seconds)))) == pytest.approx(int(seconds), abs=60)


def _is_rate(rate: float) -> None:
    assert 0 <= rate <= FASTEST_RATE_PER_S


def _is_size(size: int) -> None:
    assert 0 <= size <= MOST_BYTES


def _is_threshold(threshold: Any) -> None:
    assert math.isfinite(threshold.condition.limit)
    assert 0 <= threshold.condition.percent <= 100
    again = parse_threshold_option(f"{threshold.label}: {threshold.expression}", BUILTIN)
    assert again.condition == threshold.condition


def _is_share(share: float) -> None:
    assert 0 <= share <= 1


def _is_limit(limits: tuple[StagedLimit, ...]) -> None:
    for limit in limits:
        assert 0 <= limit.amount <= MOST_BYTES
        assert limit.amount or limit.time


def _nothing(_value: Any) -> None:
    """There is nothing more to check."""


def _stage(text: str) -> Any:
    return parse_rate_stage(text) if is_rate_stage(text) else parse_stage(text)


def _load(text: str) -> Any:
    name, _, rest = text.partition(":")
    return parse_load({name: [rest] if name == "stages" else rest})


RIGHT: dict[str, Sequence[str]] = {
    "duration": ("10s", "1h30m", "500ms", "1.5m", "7d", "250us"),
    "rate": ("100/s", "1k/s", "0.5/m", "10", "6000/h"),
    "size": ("10MB", "1.5GiB", "100", "64 kB"),
    "stage": ("30s:10", "1m:100/s", "1h:1k/s"),
    "load": ("stages:30s:10", "rate:100/s", "duration:10s", "vus:5", "pacing:1s"),
    "whole": ("10", "999"),
    "statuses": ("200,404", "200-299", "2xx", "100-199,304,500-599"),
    "margin": ("5%", "0.05"),
    "distribution": ("5ms", "1ms..9ms", "normal(5ms, 1ms)", "exp(5ms)", "p50=5ms,p99=20ms"),
    "share": ("1%", "0.5", "100%"),
    "limit": ("pool=4:20ms", "lock=exp(5ms)", "rate=90/min", "errors=5%", "leak=100KB", "quota=0.5", "fds=100", "cpu"),
    "address": ("127.0.0.1:80", "[::1]:5665", "localhost", ":8080", "5665"),
    "host and port": ("a.test:80", "[::1]:443", "a.test"),
    "base URL": ("http://127.0.0.1:8000/v1", "https://a.test", "http://[::1]:80/"),
    "proxy": ("http://127.0.0.1:3128", "socks5://u:p@a.test:1080", "env", "https://[::1]:1"),
    "DNS": ("pinned", "each", "30s", "5m"),
    "authentication": ("basic:u:p", "bearer:abc", "digest:u:p", "u:p"),
    "hosts": ("a.test=127.0.0.1", "*.a.test=[::1]:80", "a.test:443=b.test:80"),
    "source addresses": ("127.0.0.1", "127.0.0.1-127.0.0.9", "127.0.0.0/30", "::1"),
    "header": ("Accept: text/html", "A:b"),
    "output": ("statsd", "statsd=127.0.0.1:8125", "prometheus=:9090", "influxdb=http://a.test?org=o&bucket=b",
               "otlp=http://a.test:4318", "prometheus-rw=http://a.test/api/v1/write", "json=a.json", "csv=a"),
}  # fmt: skip
"""Texts that mean something, so that the cases come past the first check."""

PARSERS: dict[str, tuple[Callable[[str], Any], Callable[[Any], None], Sequence[str]]] = {
    "duration": (parse_duration_s, _is_duration, _QUANTITY),
    "rate": (lambda text: parse_rate_per_s(text, zero=True), _is_rate, _QUANTITY),
    "size": (parse_bytes, _is_size, _QUANTITY),
    "stage": (_stage, lambda stage: _is_duration(stage[0]), (*_QUANTITY, "30s:", "1m:10/s")),
    "load": (_load, _nothing, (*_QUANTITY, "stages:", "rate:", "duration:", "pacing:", "vus:", "arrivals:")),
    "whole": (lambda text: parse_whole(text, 10**12), _nothing, NUMBERS),
    "statuses": (lambda text: parse_statuses(text, what="expected"), _nothing, (*NUMBERS, "200", "404", "-", ",", " ")),
    "margin": (parse_margin, lambda share: _nothing(0 <= share < 1), (*NUMBERS, "%", " ")),
    "distribution": (
        lambda text: parse_distribution(text, what="latency"),
        _nothing,
        (*_QUANTITY, "..", "normal(", "exp(", "lognormal(", "p50=", "p99=", "mean=", ")", "5ms"),
    ),
    "share": (parse_share, _is_share, (*NUMBERS, "%", " ")),
    "limit": (lambda text: parse_limits([text]), _is_limit, (*_QUANTITY, *limit_names(), "=", "exp(", ")")),
    "address": (lambda text: parse_address(text, what="--control", port=5665), _nothing, _ADDRESS),
    "host and port": (split_port, _nothing, _ADDRESS),
    "base URL": (check_base_url, _nothing, _ADDRESS),
    "proxy": (lambda text: make_http({"proxy": text}), _nothing, _ADDRESS),
    "DNS": (lambda text: make_http({"dns": text}), _nothing, (*_QUANTITY, "pinned", "each")),
    "authentication": (parse_auth, _nothing, _ADDRESS),
    "hosts": (lambda text: make_http({"hosts": CONVERTERS["hosts"]((text,), "--host-override")}), _nothing, _ADDRESS),
    "source addresses": (
        lambda text: make_http({"source_addresses": CONVERTERS["source_addresses"]((text,), "--source-address")}),
        _nothing,
        _ADDRESS,
    ),
    "header": (
        lambda text: parse_pairs((text,), separator=":", what="header", example="A: b"),
        _nothing,
        ("Accept", ":", " ", "\r\n", "=", "text/html"),
    ),
    "output": (
        lambda text: make_named_sink(RequestedOutput("--out", text)),
        _nothing,
        (*_ADDRESS, "statsd", "influxdb", "prometheus", "prometheus-rw", "otlp", "=", "?", "bucket=", "org="),
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_any_text_of_an_option_is_a_value_or_an_error(name: str) -> None:
    parse, check, tokens = PARSERS[name]
    fuzz(lambda source: check(parse(source.like(RIGHT[name], tokens))))


def test_any_threshold_is_one_or_an_error() -> None:
    def run(source: Source) -> None:
        text = source.like(_THRESHOLDS, (*_SUBJECT, *_THRESHOLD))
        _is_threshold(parse_threshold_option(text, BUILTIN))

    fuzz(run)


def test_any_mapping_of_thresholds_is_one_or_an_error() -> None:
    values: Sequence[Any] = (None, 1, [], {}, [None], {"threshold": 1}, True, b"", "avg<1", math.nan)

    def run(source: Source) -> None:
        expression: Any
        subject, _, expression = source.like(_THRESHOLDS, (*_SUBJECT, *_THRESHOLD)).partition(": ")
        if not source.randrange(4):
            expression = source.choice(values)
        if source.randrange(2):
            keys = ("threshold", "abortOnFail", "delayAbortEval", "optional", "delay_abort", "odd")
            expression = {source.choice(keys): expression, source.choice(keys): source.choice((True, "1s", 5, None))}
        parse_thresholds({subject: expression}, BUILTIN)

    fuzz(run)


def test_any_host_header_is_accepted_or_refused() -> None:
    def run(source: Source) -> None:
        host, origin = source.made_of(_ADDRESS, 5), source.made_of(_ADDRESS, 5)
        with contextlib.suppress(RequestRefused):
            check_host(host, "127.0.0.1")
        with contextlib.suppress(RequestRefused):
            check_origin(origin, host)

    fuzz(run)
