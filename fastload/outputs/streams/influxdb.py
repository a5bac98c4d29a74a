"""``--out influxdb=URL``: every second as InfluxDB points, in line protocol."""

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
from fastload.model.series import CounterValue, GaugeValue, RateValue, TrendValue
from fastload.outputs.streams.data_points import DataPoint, DataPointSelector, common_tags
from fastload.outputs.streams.sender import SendAddress, Sender, parse_send_address

OPTION = "--out influxdb"
EXAMPLE = "http://localhost:8086/k6"
TOKEN = "INFLUXDB_V2_TOKEN"
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "fastload"}
_MOST_LINES = 5_000

# The methods of `Point` have no type annotations.
_new_point: Any = Point

Fields = dict[str, float | int]


class InfluxDB:
    """A sink for the database in the path of the URL (InfluxDB 1), or the bucket in its query (InfluxDB 2 and later).

    Each metric is a measurement. A point is one second of one series and not one request, so that the amount of data
    does not depend on the request rate.
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
        """Do nothing: the server may start later."""

    def open(self, header: RunHeader) -> None:
        self._selector, self._tags = DataPointSelector(header), common_tags(header)
        if self._database:
            self._create_database()

    def write(self, snapshot: Snapshot) -> None:
        data_points = self._selector.data_points(self._selector.window(snapshot))
        lines = [line for point in data_points if (line := _line(point, self._tags, snapshot.time_ns))]
        for first in range(0, len(lines), _MOST_LINES):
            self._sender.post(self._url, "\n".join(lines[first : first + _MOST_LINES]).encode(), _HEADERS)

    def close(self, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - the interface of every sink
        self._sender.close()

    def _create_database(self) -> None:
        """Create the database if it is missing. A refusal is no error: users without this right may still write."""
        quoted = self._database.replace("\\", "\\\\").replace('"', '\\"')
        url = self._address.url_for("/query", {**self._address.query, "q": f'CREATE DATABASE "{quoted}"'})
        try:
            self._sender.post(url, b"", _HEADERS)
        except OutputError as error:
            if " answered " not in error.message:
                raise


def _line(point: DataPoint, common: Mapping[str, str], time_ns: int) -> str:
    """Return one point in line protocol, or "" if it has no value. Tags of the series override *common* ones."""
    line = _new_point(point.spec.name)
    for key, value in {**common, **dict(point.tags)}.items():
        # Line protocol cannot express an empty tag value, or one that ends with a backslash.
        line.tag(_text(key), _text(value).rstrip("\\") or None)
    fields = fields_of(point)
    for name, number in fields.items():
        line.field(name, number)
    return str(line.time(time_ns).to_line_protocol()) if fields else ""


def fields_of(point: DataPoint) -> Fields:
    """Return the fields of one second, in the unit of the metric.

    ``value`` is the sum of a counter, the last value of a gauge, the share of a rate, or the mean of a trend.
    """
    series_value, scale = point.series_value, point.spec.scale
    match series_value:
        case CounterValue():
            return {"value": float(series_value.value)}
        case GaugeValue() if series_value.is_set:
            return {"value": float(series_value.value)}
        case RateValue() if series_value.total:
            return {
                "value": series_value.trues / series_value.total,
                "trues": series_value.trues,
                "total": series_value.total,
            }
        case TrendValue() if series_value.count:
            known = {"min": series_value.min, "max": series_value.max, "sum": series_value.sum}
            known |= dict(zip(PERCENTILES, series_value.quantiles(tuple(PERCENTILES.values())), strict=True))
            in_unit = {name: value / scale for name, value in known.items()}
            return {"value": in_unit["sum"] / series_value.count, "count": series_value.count, **in_unit}
        case _:
            return {}


def _text(text: str) -> str:
    return "".join(letter if letter.isprintable() else "_" for letter in text)


def _with_token(address: SendAddress) -> SendAddress:
    """Return *address* with the InfluxDB 2 token, from the environment or from the URL's query, as a header."""
    token = os.environ.get(TOKEN) or address.query.get("token", "")
    return replace(address, headers={"Authorization": f"Token {token}"}) if token else address


def _write_url(address: SendAddress, database: str) -> str:
    if database:
        return address.url_for("/write", {**address.query, "db": database, "precision": "ns"})
    known = {key: value for key, value in address.query.items() if key != "token"}
    return address.url_for("/api/v2/write", {**known, "precision": "ns"})
