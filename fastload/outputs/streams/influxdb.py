"""``--out influxdb=URL``: every second as points of InfluxDB, in line protocol."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from influxdb_client.client.write.point import Point

from fastload.model.errors import OutputError, PlanError
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import CounterSink, GaugeSink, RateSink, TrendSink
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector, common_tags
from fastload.outputs.streams.sender import SendAddress, Sender, parse_send_address

OPTION = "--out influxdb"
EXAMPLE = "http://localhost:8086/k6"
TOKEN = "INFLUXDB_V2_TOKEN"
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "fastload"}
_MOST_LINES = 5_000

# Its methods have no types.
_new_point: Any = Point

Fields = dict[str, float | int]


class InfluxDB:
    """Writes to the database that the URL's path names (InfluxDB 1), or to the bucket of its query (2 and later).

    A measurement for each metric; of a second, not of a request, so that it is as small for any rate.
    """

    required = False
    wants_points = False

    def __init__(self, argument: str) -> None:
        address = parse_send_address(argument, OPTION, EXAMPLE)
        bucket = address.query.get("bucket")
        database = unquote(address.path.strip("/"))
        if bool(bucket) == bool(database):
            raise PlanError(
                f"{OPTION}: {address.shown} names {'both a database and a bucket' if bucket else 'no database'}",
                hint=f"write it like {OPTION}={EXAMPLE}, or http://localhost:8086?org=ORG&bucket=BUCKET",
            )
        self._address = _with_token(address) if bucket else address
        self._database = database
        self._url = _write_url(self._address, database)
        self._sender = Sender(self._address)

    def check(self) -> None:
        """Nothing: who listens there may come later."""

    def open(self, header: RunHeader) -> None:
        self._reader, self._tags = DataPointSelector(header), common_tags(header)
        if self._database:
            self._create_database()

    def write(self, snapshot: Snapshot) -> None:
        readings = self._reader.readings(self._reader.window(snapshot))
        lines = [line for reading in readings if (line := _line(reading, self._tags, snapshot.time_ns))]
        for first in range(0, len(lines), _MOST_LINES):
            self._sender.post(self._url, "\n".join(lines[first : first + _MOST_LINES]).encode(), _HEADERS)

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        self._sender.close()

    def _create_database(self) -> None:
        """Have the database be there; a user who may not do that may still write to one that is."""
        quoted = self._database.replace("\\", "\\\\").replace('"', '\\"')
        url = self._address.at("/query", {**self._address.query, "q": f'CREATE DATABASE "{quoted}"'})
        try:
            self._sender.post(url, b"", _HEADERS)
        except OutputError as error:
            if " answered " not in error.message:
                raise


def _line(reading: DataPoint, common: Mapping[str, str], time_ns: int) -> str:
    """One point, with the tags of its series, over the *common* ones; empty when it has no value."""
    point = _new_point(reading.spec.name)
    for key, value in {**common, **dict(reading.tags)}.items():
        # Line protocol has no way to write an empty value, or one that ends with a backslash.
        point.tag(_text(key), _text(value).rstrip("\\") or None)
    fields = fields_of(reading)
    for name, number in fields.items():
        point.field(name, number)
    return str(point.time(time_ns).to_line_protocol()) if fields else ""


def fields_of(reading: DataPoint) -> Fields:
    """What a second comes to, in the metric's unit: ``value`` is a counter's sum, a gauge's last value, a rate's share,
    a trend's mean."""
    sink, scale = reading.sink, reading.spec.scale
    match sink:
        case CounterSink():
            return {"value": float(sink.value)}
        case GaugeSink() if sink.is_set:
            return {"value": float(sink.value)}
        case RateSink() if sink.total:
            return {"value": sink.trues / sink.total, "trues": sink.trues, "total": sink.total}
        case TrendSink() if sink.count:
            known = {"min": sink.min, "max": sink.max, "sum": sink.sum}
            known |= dict(zip(PERCENTILES, sink.quantiles(tuple(PERCENTILES.values())), strict=True))
            in_unit = {name: value / scale for name, value in known.items()}
            return {"value": in_unit["sum"] / sink.count, "count": sink.count, **in_unit}
        case _:
            return {}


def _text(text: str) -> str:
    return "".join(letter if letter.isprintable() else "_" for letter in text)


def _with_token(address: SendAddress) -> SendAddress:
    """*address* with the token as InfluxDB 2 wants it; it may stand in the URL as well, where the password would."""
    token = os.environ.get(TOKEN) or address.query.get("token", "")
    return replace(address, headers={"Authorization": f"Token {token}"}) if token else address


def _write_url(address: SendAddress, database: str) -> str:
    if database:
        return address.at("/write", {**address.query, "db": database, "precision": "ns"})
    known = {key: value for key, value in address.query.items() if key != "token"}
    return address.at("/api/v2/write", {**known, "precision": "ns"})
