"""StatsD: real packets on a real socket."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from fastload.model.errors import OutputError, PlanError
from fastload.model.metrics import BUILTIN, Series
from fastload.model.series import CounterValue
from fastload.outputs.streams.data_points import DataPoint
from fastload.outputs.streams.statsd import MOST_TIMINGS, PACKET_BYTES, StatsD, stat_name
from tests.conftest import free_port
from tests.outputs.samples import make_snapshot
from tests.outputs.sinks import carry, fastload_threads, make_header, make_second, total_of
from tests.outputs.streams.receivers import drain, packets

Lines = dict[tuple[str, str], list[tuple[float, float]]]
LINE = re.compile(r"([\w.-]+):(-?[\d.e+-]+)\|(c|g|ms)(?:\|@([\d.e-]+))?")


def lines_of(found: list[bytes]) -> Lines:
    """Values and sample rates by name and kind; every line must be one that StatsD takes."""
    lines: Lines = defaultdict(list)
    for packet in found:
        for line in packet.decode("ascii").split("\n"):
            parts = LINE.fullmatch(line)
            assert parts, line
            lines[parts[1], parts[3]].append((float(parts[2]), float(parts[4] or 1)))
    return lines


def requests_in(lines: Lines) -> float:
    every = [values for (name, _), values in lines.items() if name.startswith("fastload.http_reqs.")]
    return sum(value for values in every for value, _ in values)


def test_counts_add_up_and_packets_fit_into_a_frame() -> None:
    seconds = [make_second(number) for number in (1, 2, 3)]
    with packets() as udp:
        carry(StatsD(f"127.0.0.1:{udp.getsockname()[1]}"), seconds)
        found = drain(udp)
    assert max(map(len, found)) <= PACKET_BYTES
    # And they are filled.
    assert sum(map(len, found)) / len(found) > 0.9 * PACKET_BYTES
    lines, total = lines_of(found), total_of(seconds)
    requests = [
        value for (name, kind), values in lines.items() if name.startswith("fastload.http_reqs.") for value, _ in values
    ]
    assert sum(requests) == total.get("http_reqs").value
    assert sum(value for value, _ in lines["fastload.data_sent", "c"]) == total.get("data_sent").value
    assert lines["fastload.checks.is_fine.default.true", "c"] == [(197, 1)] * 3
    assert lines["fastload.checks.is_fine.default.samples", "c"] == [(200, 1)] * 3
    assert lines["fastload.vus", "g"] == [(1, 1), (2, 1), (3, 1)]
    # Below zero a gauge is set in two steps, because a sign means a change.
    assert lines["fastload.queue_depth", "g"] == [(0, 1), (-1.5, 1)] * 3
    assert lines["fastload.orders.eu", "c"] == [(7, 1)] * 3
    assert lines["fastload.orders", "c"] == [(2.5, 1)] * 3


def test_timings_stand_for_all_values_of_a_second() -> None:
    second = make_second(1, requests=2_000)
    with packets() as udp:
        carry(StatsD(f"127.0.0.1:{udp.getsockname()[1]}"), [second])
        lines = lines_of(drain(udp))
    trend = second.table.get("http_req_waiting")
    sent = lines["fastload.http_req_waiting", "ms"]
    values = sorted(value for value, _ in sent)
    assert len(values) == MOST_TIMINGS
    assert sum(1 / rate for _, rate in sent) == pytest.approx(trend.count)
    assert [values[0], values[-1]] == pytest.approx([trend.min / 1000, trend.max / 1000], rel=1e-5)
    for percent in (50, 90, 95):
        low, high = (trend.quantile((percent + by) / 100) / 1000 for by in (-1.5, 1.5))
        assert low <= values[percent - 1] <= high


def test_few_values_are_sent_one_by_one() -> None:
    second = make_snapshot()
    second.table.trend(Series("ingest_duration")).record(1_500)
    for value in (2_000, 3_000):
        second.table.trend(Series("ws_ping")).record(value)
    with packets() as udp:
        carry(StatsD(f"127.0.0.1:{udp.getsockname()[1]}"), [second])
        lines = lines_of(drain(udp))
    assert lines["fastload.ingest_duration", "ms"] == [(1.5, 1)]
    assert lines["fastload.ws_ping", "ms"] == [(2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("value", "name"),
    [("/users/{id}", "_users__id_"), ("a:b|c@d#e", "a_b_c_d_e"), ("é\n", "__"), ("", "_"), ("a.b", "a_b")],
)
def test_names_have_only_letters_that_statsd_takes(value: str, name: str) -> None:
    assert stat_name(DataPoint(BUILTIN["http_reqs"], (("name", value),), CounterValue())) == f"http_reqs.{name}"


def test_series_of_one_name_and_long_ones_are_told_apart_and_no_packet_is_too_long() -> None:
    second = make_snapshot()
    values = {"a.b": 1, "a_b": 2, "ü": 4, "ö": 8, "x" * 5_000: 16, "x" * 5_000 + "y": 32}
    for town, value in values.items():
        second.table.counter(Series.of("orders", town=town)).value = value
    second.table.counter(Series("orders")).value = sum(values.values())
    with packets() as udp:
        carry(StatsD(f"127.0.0.1:{udp.getsockname()[1]}"), [second, second])
        found = drain(udp)
    assert max(map(len, found)) <= PACKET_BYTES
    lines = lines_of(found)
    orders = {name: one for (name, _), one in lines.items() if name.startswith("fastload.orders")}
    assert sorted(one for one in orders.values()) == [[(value, 1)] * 2 for value in sorted(values.values())]
    names = ["fastload.orders.a_b", "fastload.orders.a_b_2", "fastload.orders._", "fastload.orders.__2"]
    assert set(names) < set(orders)


def test_that_nobody_listens_is_told_and_somebody_who_comes_gets_everything_from_then_on() -> None:
    port = free_port()
    sink = StatsD(f"127.0.0.1:{port}")
    sink.open(make_header())
    for number in (1, 2):
        with pytest.raises(OutputError, match=f"127.0.0.1:{port} could not be reached: Connection refused"):
            sink.write(make_second(number))
    with packets(port) as udp:
        sink.write(make_second(3))
        lines = lines_of(drain(udp))
    sink.close({})
    assert (
        sum(
            value
            for (name, _), values in lines.items()
            if name.startswith("fastload.http_reqs.")
            for value, _ in values
        )
        == 400
    )
    assert fastload_threads() == []


@pytest.mark.parametrize("argument", ["", "8125", ":8125", "localhost", "localhost:", "localhost:0", "localhost:70000"])
def test_an_argument_that_is_no_host_and_port(argument: str) -> None:
    with pytest.raises(PlanError, match="is not HOST:PORT"):
        StatsD(argument)
