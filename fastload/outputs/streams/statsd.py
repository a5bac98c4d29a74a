"""``--out statsd=HOST:PORT``: StatsD metrics every second, over UDP."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from statsd import StatsClient

from fastload.model.errors import OutputError, PlanError
from fastload.model.metrics import MetricSpec
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterValue, GaugeValue, RateValue, TrendValue
from fastload.model.units import parse_whole
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector

OPTION = "--out statsd"
PREFIX = "fastload"
# Payload that fits into one Ethernet frame together with the headers of IPv6 and UDP.
PACKET_BYTES = 1432
# Limit of timings per series and second; if there are more values, each timing stands for several (sample rate).
MOST_TIMINGS = 100
# The rest of a packet is for the prefix, a number, and a value of at most a hundred digits.
MOST_NAME = 1000
_MS_PER_UNIT = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class StatsD:
    """A sink that sends counters (two for a rate), gauges, and at most `MOST_TIMINGS` timings per trend."""

    required = False
    wants_points = False

    def __init__(self, argument: str) -> None:
        self._host, self._port = _parse(argument)
        self._client: _Client | None = None

    def check(self) -> None:
        """Do nothing: the server may start later."""

    def open(self, header: RunHeader) -> None:
        self._selector = DataPointSelector(header)
        self._names = StatNames()
        try:
            self._client = _Client(self._host, self._port)
        except OSError as error:
            raise _unreachable(self._host, self._port, error) from error

    def write(self, snapshot: Snapshot) -> None:
        assert self._client is not None
        with self._client.pipeline() as pipe:
            for point in self._selector.data_points(self._selector.window(snapshot)):
                _send_point(pipe, point, self._names.of(point))
        self._client.settle()

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        if self._client is not None:
            self._client.close()


class _Client(StatsClient):  # type: ignore[misc]
    """A StatsD client that reports send errors, like a closed port; the client of the package ignores them."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, prefix=PREFIX, maxudpsize=PACKET_BYTES, ipv6=":" in host)
        self._error: OSError | None = None
        # A connected UDP socket gets an error if the port is closed.
        self._sock.connect(self._addr)

    def _send(self, data: str) -> None:
        try:
            self._sock.send(data.encode("ascii"))
        except OSError as error:
            self._error = error

    def settle(self) -> None:
        """Report errors of sending since the last call.

        Raises:
            OutputError: some data could not be sent.
        """
        pending = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        error, self._error = self._error or (OSError(pending, os.strerror(pending)) if pending else None), None
        if error is not None:
            host, port = self._addr[:2]
            raise _unreachable(host, port, error) from error


def _send_point(pipe: Any, point: DataPoint, name: str) -> None:
    series_value = point.series_value
    match series_value:
        case CounterValue():
            pipe.incr(name, _number(series_value.value))
        case GaugeValue() if series_value.is_set:
            pipe.gauge(name, _number(series_value.value))
        case RateValue():
            pipe.incr(f"{name}.true", series_value.trues)
            pipe.incr(f"{name}.samples", series_value.total)
        case TrendValue():
            for value, weight in timings(point.spec, series_value):
                # Bypass the client's own sampling, which drops values at random; these values are already selected.
                rate = "" if weight == 1 else f"|@{1 / weight:.9g}"
                pipe._send_stat(name, f"{value:.6g}|ms{rate}", 1)


def timings(spec: MetricSpec, trend: TrendValue) -> Iterator[tuple[float, float]]:
    """Yield at most `MOST_TIMINGS` values of *trend*, and the number of values that each stands for.

    The values are evenly spaced by rank and include minimum and maximum. Times are in milliseconds, other values in the
    unit of the metric.
    """
    chosen = min(trend.count, MOST_TIMINGS)
    factor = _MS_PER_UNIT.get(spec.unit, 1.0) / spec.scale
    for value in trend.quantiles([rank / max(1, chosen - 1) for rank in range(chosen)]):
        yield value * factor, trend.count / chosen


class StatNames:
    """Names of series: each gets one of its own, which fits into a packet together with a value.

    A name of more than `MOST_NAME` characters is cut. One that is taken, since characters became ``_`` or were cut,
    gets a number: ``orders.Z_rich`` and ``orders.Z_rich_2``.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._taken: set[str] = set()

    def of(self, point: DataPoint) -> str:
        """Return the name of the series of *point*: the same one each time."""
        key = (point.spec.name, point.tags)
        name = self._names.get(key)
        if name is None:
            number, wanted = 1, stat_name(point)[:MOST_NAME]
            name = wanted
            while name in self._taken:
                number += 1
                name = f"{wanted}_{number}"
            self._names[key] = name
            self._taken.add(name)
        return name


def stat_name(point: DataPoint) -> str:
    """Return the name of the metric followed by the values of its tags; characters that StatsD does not allow become
    ``_``."""
    return ".".join((point.spec.name, *(re.sub(r"[^A-Za-z0-9_-]", "_", value) or "_" for _, value in point.tags)))


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _unreachable(host: str, port: int, error: OSError) -> OutputError:
    return OutputError(f"{host}:{port} could not be reached: {error.strerror or error}")


def _parse(argument: str) -> tuple[str, int]:
    host, _, port = argument.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = parse_whole(port, 65535)
    if not host or not number:
        raise PlanError(f"{OPTION}: {argument!r} is not HOST:PORT", hint=f"write it like {OPTION}=localhost:8125")
    return host, number
