"""``--out statsd=HOST:PORT``: every second to StatsD, over UDP."""

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
from fastload.model.series import CounterSink, GaugeSink, RateSink, TrendSink
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector

OPTION = "--out statsd"
PREFIX = "fastload"
# What fits into a frame of Ethernet together with the heads of IPv6 and UDP.
PACKET_BYTES = 1432
# Timings of one series and second; the more there were, the more each one stands for.
MOST_TIMINGS = 100
_MS_PER_UNIT = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class StatsD:
    """Sends sums as counters, last values as gauges, and of the values of a trend at most `MOST_TIMINGS`."""

    required = False
    wants_points = False

    def __init__(self, argument: str) -> None:
        self._host, self._port = _parse(argument)
        self._client: _Client | None = None

    def check(self) -> None:
        """Nothing: who listens there may come later."""

    def open(self, header: RunHeader) -> None:
        self._reader = DataPointSelector(header)
        try:
            self._client = _Client(self._host, self._port)
        except OSError as error:
            raise _unreachable(self._host, self._port, error) from error

    def write(self, snapshot: Snapshot) -> None:
        assert self._client is not None
        with self._client.pipeline() as pipe:
            for reading in self._reader.readings(self._reader.window(snapshot)):
                _tell(pipe, reading)
        self._client.settle()

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        if self._client is not None:
            self._client.close()


class _Client(StatsClient):  # type: ignore[misc]
    """Tells when nobody listens, which the client of the package keeps to itself."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, prefix=PREFIX, maxudpsize=PACKET_BYTES, ipv6=":" in host)
        self._error: OSError | None = None
        # Connected, a socket is told that its port is closed.
        self._sock.connect(self._addr)

    def _send(self, data: str) -> None:
        try:
            self._sock.send(data.encode("ascii"))
        except OSError as error:
            self._error = error

    def settle(self) -> None:
        """Raises:
        OutputError: something since the last call could not be sent.
        """
        pending = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        error, self._error = self._error or (OSError(pending, os.strerror(pending)) if pending else None), None
        if error is not None:
            host, port = self._addr[:2]
            raise _unreachable(host, port, error) from error


def _tell(pipe: Any, reading: DataPoint) -> None:
    sink = reading.sink
    name = stat_name(reading)
    match sink:
        case CounterSink():
            pipe.incr(name, _number(sink.value))
        case GaugeSink() if sink.is_set:
            pipe.gauge(name, _number(sink.value))
        case RateSink():
            pipe.incr(f"{name}.true", sink.trues)
            pipe.incr(f"{name}.samples", sink.total)
        case TrendSink():
            for value, weight in timings(reading.spec, sink):
                # Its own sampling would leave values out by chance; these are chosen.
                rate = "" if weight == 1 else f"|@{1 / weight:.9g}"
                pipe._send_stat(name, f"{value:.6g}|ms{rate}", 1)


def timings(spec: MetricSpec, trend: TrendSink) -> Iterator[tuple[float, float]]:
    """Values of *trend* that are evenly spaced by rank, minimum and maximum included, and how many each stands for.

    In milliseconds; of a trend that is no time, as they are.
    """
    chosen = min(trend.count, MOST_TIMINGS)
    factor = _MS_PER_UNIT.get(spec.unit, 1.0) / spec.scale
    for value in trend.quantiles([rank / max(1, chosen - 1) for rank in range(chosen)]):
        yield value * factor, trend.count / chosen


def stat_name(reading: DataPoint) -> str:
    """The name with the values of the tags behind it, as far as StatsD takes their letters."""
    return ".".join((reading.spec.name, *(re.sub(r"[^A-Za-z0-9_-]", "_", value) or "_" for _, value in reading.tags)))


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _unreachable(host: str, port: int, error: OSError) -> OutputError:
    return OutputError(f"{host}:{port} could not be reached: {error.strerror or error}")


def _parse(argument: str) -> tuple[str, int]:
    host, _, port = argument.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise PlanError(f"{OPTION}: {argument!r} is not HOST:PORT", hint=f"write it like {OPTION}=localhost:8125")
    return host, int(port)
