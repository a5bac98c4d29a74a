"""InfluxDB: a real one of version 1 counts what we count; and what version 2 would get."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastload as fl
from fastload.model.errors import OutputError, PlanError
from fastload.outputs.streams.influxdb import InfluxDB
from fastload.outputs.streams.sink_output import SinkOutput
from tests.conftest import Nginx, free_port, wait_until
from tests.outputs.samples import closed_bench
from tests.outputs.sinks import BEGIN_NS, carry, make_header, make_second, total_of
from tests.outputs.streams.receivers import Receiver, influx_server, receiver


async def visit(vu: fl.VU) -> None:
    await vu.get("/", name='a "b", c=d \\')
    reply = await vu.get("/status/404", name="missing")
    vu.check(reply, {"is 404": reply.status == 404})


def test_a_real_influxdb_counts_what_we_count(nginx: Nginx, tmp_path: Path) -> None:
    with influx_server(tmp_path) as server:
        out = [f"influxdb={server.url}/load tests"]
        summary = fl.run(visit, vus=2, duration="1s", workers=2, base_url=nginx.url, out=out, tags={"team": "a b"})
        assert summary.notes == ()

        def ask(what: str) -> dict[str, float]:
            (row,) = server.query("load tests", f"SELECT {what}")
            return row

        for metric in ("http_reqs", "iterations", "data_sent", "data_received"):
            assert ask(f'sum("value") AS n FROM {metric}')["n"] == summary.metrics[metric].count, metric
        trend = summary.metrics["http_req_duration"]
        found = ask('sum("count") AS n, sum("sum") AS sum, max("max") AS max, min("min") AS min FROM http_req_duration')
        assert found["n"] == trend.count
        assert found["sum"] == pytest.approx((trend.avg or 0) * trend.count)
        assert (found["min"], found["max"]) == (trend.min, trend.max)
        checks = ask('sum("trues") AS trues, sum("total") AS total FROM checks')
        assert (checks["trues"], checks["total"]) == (summary.metrics["checks"].passes, summary.metrics["checks"].count)
        rows = server.query("load tests", 'SELECT sum("value") FROM http_reqs GROUP BY "name", "status", "team"')
        # A backslash at the end cannot be told.
        assert {(row["name"], row["status"], row["team"]): row["sum"] for row in rows} == {
            (endpoint.name.rstrip("\\"), status, "a b"): count
            for endpoint in summary.endpoints
            for status, count in endpoint.statuses.items()
        }


def test_each_second_is_one_request_of_points_at_its_end() -> None:
    seconds = [make_second(number) for number in (1, 2, 3)]
    with receiver() as kept:
        carry(InfluxDB(f"{kept.url}/k6"), seconds)
        assert kept.connections == 1
        asked = [one.path for one in kept.requests]
        bodies = [one.body.decode().splitlines() for one in kept.requests]
    assert asked == ["/query?q=CREATE+DATABASE+%22k6%22", *["/write?db=k6&precision=ns"] * 3]
    for number, lines in enumerate(bodies[1:], 1):
        assert {int(line.rpartition(" ")[2]) for line in lines} == {BEGIN_NS + number * 10**9}
    sent = [line for lines in bodies for line in lines if line.startswith("data_sent")]
    values = [float(line.split(" ")[-2].partition("=")[2]) for line in sent]
    assert sum(values) == total_of(seconds).get("data_sent").value
    assert sent[0].startswith(r"data_sent,team=check\ out value=")


def test_version_2_is_told_bucket_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUXDB_V2_TOKEN", "t0ken")
    with receiver() as kept:
        carry(InfluxDB(f"{kept.url}?org=my org&bucket=load"), [make_second(1)])
        (request,) = kept.requests
    assert request.path == "/api/v2/write?org=my+org&bucket=load&precision=ns"
    assert request.headers["Authorization"] == "Token t0ken"


def test_users_and_passwords_of_version_1_are_sent_and_not_shown() -> None:
    with receiver(status=401, reply=b'{"error":"authorization failed"}') as kept:
        sink = InfluxDB(f"http://me:secret@127.0.0.1:{kept.port}/k6?u=me&p=secret")
        # It may not make a database; the first write tells what there is to tell.
        sink.open(make_header())
        with pytest.raises(OutputError) as caught:
            sink.write(make_second(1))
        sink.close({})
        assert kept.requests[1].headers["Authorization"] == "Basic bWU6c2VjcmV0"
        assert "p=secret" in kept.requests[1].path
    told = f'http://127.0.0.1:{kept.port}/k6 answered 401: {{"error":"authorization failed"}}'
    assert caught.value.message == told
    assert "secret" not in repr(sink.__dict__["_address"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:8086", "http://127.0.0.1:8086/db?bucket=b"])
def test_a_url_names_a_database_or_a_bucket(url: str) -> None:
    with pytest.raises(PlanError, match=r"no database|both a database and a bucket"):
        InfluxDB(url)


def test_a_server_that_dies_and_comes_back_costs_what_was_in_between() -> None:
    port = free_port()
    stream = SinkOutput("influxdb", InfluxDB(f"http://127.0.0.1:{port}/k6"))
    stream.header = make_header()
    summary = closed_bench()
    stream.start(summary.plan)
    with receiver(port) as first:
        tell(stream, 1, first)
    for number in (2, 3):
        stream.snapshot(make_second(number))
        wait_until(lambda number=number: stream._refused == number - 1)  # type: ignore[misc]
    with receiver(port) as second:
        tell(stream, 4, second)
        tell(stream, 5, second)
        stream.stop(summary)
    assert times(first) | times(second) == {BEGIN_NS + number * 10**9 for number in (1, 4, 5)}
    assert stream.trouble == f"output influxdb lost 2 of 5 seconds: {REFUSED.format(port)}"


REFUSED = "http://127.0.0.1:{}/k6 could not be reached: Connection refused"


def tell(stream: SinkOutput, number: int, kept: Receiver) -> None:
    stream.snapshot(make_second(number))
    wait_until(lambda: BEGIN_NS + number * 10**9 in times(kept))


def times(kept: Receiver) -> set[int]:
    lines = [line for one in kept.requests for line in one.body.decode().splitlines()]
    return {int(line.rpartition(" ")[2]) for line in lines}
