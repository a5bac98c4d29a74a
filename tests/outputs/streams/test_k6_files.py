"""k6's JSON lines and CSV: what a script for k6's files reads of ours, and that they say what the summary says.

``k6_files/`` has files that k6 wrote itself, and its script. `k6_reader` reads those and ours.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastload.model.errors import PlanError
from fastload.model.metrics import BUILTIN, Series
from fastload.model.points import PointBlock, ValueColumns
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.outputs.streams.k6_csv import K6Csv
from fastload.outputs.streams.k6_json import K6Json, ms_text, number_text
from fastload.outputs.streams.k6_samples import K6PointFile, k6_tags
from fastload.outputs.streams.sink_output import SinkOutput
from tests.conftest import Cli, Nginx, cli_command, cli_env, wait_until
from tests.outputs.samples import make_snapshot
from tests.outputs.streams.k6_reader import (
    Sample,
    by_tag,
    percentile,
    percentile_of,
    read_csv,
    read_json,
    text_of,
    values,
)

K6 = Path(__file__).parent / "k6_files"
SHOP = """
import os
import fastload as fl

orders, depth, good = fl.Counter("orders"), fl.Gauge("depth"), fl.Rate("good")
wait, rows = fl.Trend("wait", unit="ms"), fl.Trend("rows", unit="rows")
INSECURE = fl.RequestSettings(verify_tls=False)


@fl.scenario(vus=1, iterations=3, tags={"team": "red"}, thresholds={
    "http_req_duration": "p(95)<5000", "http_req_duration{scenario:buy}": "avg<5000",
    "group_duration{group:cart}": "avg<5000", "orders": "count>0"})
async def buy(vu):
    async with vu.group("cart"):
        reply = await vu.get("/cart?item=1", tags={"kind": "read"})
        vu.check(reply, {"is 200": reply.status == 200, "never": False}, {"deep": "yes"})
        async with vu.group("pay"):
            await vu.post("/pay", data=b"money")
    await vu.get("/status/404")
    await vu.get(vu.env["TLS_URL"] + "/secret", http=INSECURE)
    orders.add(3)
    orders.add(2, {"shop": "a"})
    depth.add(7.5)
    good.add(True)
    good.add(False)
    wait.add(12.5, {"shop": "a"})
    rows.add(1000)


@fl.scenario(name="break", vus=1, iterations=1)
async def fail(vu):
    await vu.get("http://127.0.0.1:1/refused")
    await vu.get(vu.env["STALLED_URL"] + "/slow", timeout="100ms")
    await vu.get("/status/404", expected=404)
    await vu.get("/unexpected", expected=201)


@fl.scenario(rate=15, duration="1s", max_vus=1, when_busy="drop")
async def rush(vu):
    await vu.sleep(0.1)
"""
JUDGED = """
import asyncio
import fastload as fl

seen = fl.Counter("seen")
size = fl.Trend("size", unit="bytes")


@fl.scenario(vus=5, duration="700ms")
async def visit(vu):
    async with vu.group("odd" if vu.iteration % 2 else "even"):
        async with vu.expect("GET", "/json?big=1") as reply:
            if vu.iteration % 3 == 0:
                reply.failure("too dear")
    async with vu.expect("GET", "http://127.0.0.1:1/gone", name="gone") as reply:
        if vu.iteration % 2:
            reply.success()
    await vu.get("/status/500", retry=fl.Retry(times=2, on=500, wait="1ms"))
    await vu.get("/status/404", expected=(200, 404))
    async with vu.stream("GET", "/json") as reply:
        async for line in reply.lines():
            seen.add(1, {"vu": vu.id})
    async with fl.measure("thinking"):
        await asyncio.sleep(0.001)
    size.add(len(line), {"kind": "json"})
    if vu.iteration % 4 == 3:
        raise ValueError("four")
    await vu.sleep(0.01)
"""
LONG = """
import fastload as fl


# Each VU's second iteration ends after the load, and after the snapshot of the first second, which is made at 1.2 s.
@fl.scenario(vus=4, duration="1500ms", graceful_stop="5s")
async def linger(vu):
    await vu.get("/first")
    await vu.sleep(0.9)
    await vu.get("/late")
"""


@pytest.fixture(scope="module")
def shop(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with ``samples.json`` and ``samples.csv`` of a run like that of k6's files, and its summary."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "script.py").write_text(SHOP)
    with socket.create_server(("127.0.0.1", 0)) as stalled:
        names = {"TLS_URL": nginx.tls, "STALLED_URL": f"http://127.0.0.1:{stalled.getsockname()[1]}"}
        given = [word for name, url in names.items() for word in ("-e", f"{name}={url}")]
        summary = run_with_samples(folder, "run", "script.py", "-w", "2", "--base-url", nginx.url, *given)
    texts = {file: file.read_text() for file in (folder / "samples.json", folder / "samples.csv")}
    ports = {nginx.url: "http://127.0.0.1:8080", nginx.tls: "https://127.0.0.1:8443"}
    ports[names["STALLED_URL"]] = "http://127.0.0.1:8081"
    for file, text in texts.items():
        for url, shown in ports.items():
            text = text.replace(url, shown)
        file.write_text(text)
    return folder, summary


def run_with_samples(folder: Path, *words: str) -> dict[str, Any]:
    """Run the command with both files, in *folder*; the summary."""
    files = ("--out", "json=samples.json", "--out", "csv=samples.csv")
    done = subprocess.run(
        cli_command(*words, *files, "--json", "-q"), cwd=folder, env=cli_env(), capture_output=True, text=True
    )
    assert done.returncode in (0, 107), done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["notes"] == []
    return summary


def shapes(samples: list[Sample], metric: str) -> set[tuple[tuple[str, str], ...]]:
    """The different tags of the samples of *metric*, without names, which fastload has others for."""
    found = set()
    for one in samples:
        if one.metric == metric:
            tags = {key: text for key, text in one.tags.items() if key != "name"}
            if "tls_version" in tags:
                assert re.fullmatch(r"tls1\.[0-3]", tags["tls_version"])
                tags["tls_version"] = "some"
            found.add(tuple(sorted(tags.items())))
    return found


def agree(samples: list[Sample], summary: dict[str, Any]) -> None:
    """Assert that *samples* are those that *summary* is made of: counts, sums, extremes, percentiles."""
    for name, figures in summary["metrics"].items():
        metric, _, suffix = name.partition("{")
        tags = dict(pair.split(":", 1) for pair in suffix.rstrip("}").split(",") if pair)
        found = values(samples, metric, **(tags | ({"group": f"::{tags['group']}"} if "group" in tags else {})))
        if "avg" in figures:
            if metric.startswith("http_req_"):
                # No trend of the summary has what got no response.
                found = values([one for one in samples if one.tags.get("status") != "0"], metric, **tags)
            assert len(found) == figures["count"], name
            if found:
                assert sum(found) / len(found) == pytest.approx(figures["avg"], abs=1e-9), name
                assert (min(found), max(found)) == (figures["min"], figures["max"]), name
                for percent in (50, 90, 95, 99):
                    mine = percentile_of(found, percent)
                    told = figures["med" if percent == 50 else f"p({percent})"]
                    assert mine == pytest.approx(told, rel=0.001, abs=0.001), (name, percent)
        elif "passes" in figures:
            trues = figures["fails" if metric.endswith("_failed") else "passes"]
            assert (len(found), sum(found)) == (figures["passes"] + figures["fails"], trues), name
        elif "count" in figures:
            assert sum(found) == figures["count"], name
        elif metric == "vus":
            # The greatest value of the summary is that within a second; a sample is the number at its end.
            assert (found[-1], min(found)) == (figures["value"], figures["min"])
            assert max(found) <= figures["max"]
        elif found:
            assert (found[-1], min(found), max(found)) == (figures["value"], figures["min"], figures["max"]), name


def by_endpoint(samples: list[Sample], summary: dict[str, Any]) -> None:
    """Assert that the requests of each name and method are as many as in *summary*."""
    for endpoint in summary["endpoints"]:
        tags = {"name": endpoint["name"], "method": endpoint["method"]}
        assert len(values(samples, "http_reqs", **tags)) == endpoint["requests"]
        assert sum(values(samples, "http_req_failed", **tags)) == endpoint["failed"]


class TestLikeK6:
    def test_metrics_are_declared_in_the_same_way(self, shop: tuple[Path, dict[str, Any]]) -> None:
        theirs, _ = read_json(K6 / "samples.json")
        ours, _ = read_json(shop[0] / "samples.json")
        assert theirs.keys() <= ours.keys()
        assert {metric: ours[metric] for metric in theirs} == theirs

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_samples_have_the_same_tags(self, shop: tuple[Path, dict[str, Any]], form: str) -> None:
        read = read_csv if form == "csv" else lambda path: read_json(path)[1]
        theirs, ours = read(K6 / f"samples.{form}"), read(shop[0] / f"samples.{form}")
        for metric in {one.metric for one in theirs}:
            assert shapes(ours, metric) == shapes(theirs, metric), metric

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_as_many_samples_of_what_does_not_depend_on_time(
        self, shop: tuple[Path, dict[str, Any]], form: str
    ) -> None:
        read = read_csv if form == "csv" else lambda path: read_json(path)[1]
        theirs, ours = read(K6 / f"samples.{form}"), read(shop[0] / f"samples.{form}")
        for metric in ("http_reqs", "http_req_failed", "checks", "group_duration", "orders", "good", "depth", "wait"):
            wanted = [(text, len(found)) for text, found in by_tag(theirs, metric, "scenario")]
            assert [(text, len(found)) for text, found in by_tag(ours, metric, "scenario")] == wanted, metric
        for metric in ("data_sent", "data_received", "iterations", "iteration_duration"):
            assert [len(values(samples, metric, scenario="buy")) for samples in (theirs, ours)] == [3, 3], metric
        for metric in ("checks", "http_req_failed", "orders", "good", "depth", "wait", "rows"):
            assert sorted(values(ours, metric)) == sorted(values(theirs, metric)), metric

    def test_a_reader_of_percentiles_by_tag_reads_both(self, shop: tuple[Path, dict[str, Any]]) -> None:
        for folder in (K6, shop[0]):
            samples = read_json(folder / "samples.json")[1]
            rounded = read_csv(folder / "samples.csv")
            for tags in ({}, {"scenario": "buy"}, {"group": "::cart::pay"}, {"status": "404"}, {"proto": "HTTP/2.0"}):
                exact = percentile(samples, "http_req_waiting", 95, **tags)
                assert exact > 0
                assert percentile(rounded, "http_req_waiting", 95, **tags) == pytest.approx(exact, abs=1e-6)
            assert [code for code, _ in by_tag(samples, "http_reqs", "error_code")] == ["", "1050", "1212", "1404"]

    def test_lines_are_written_alike(self, shop: tuple[Path, dict[str, Any]]) -> None:
        point = re.compile(
            r'\{"metric":"\w+","type":"Point","data":\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z",'
            r'"value":-?\d+(?:\.\d+)?,"tags":\{.*\}\}\}'
        )
        row = re.compile(r'\w+,\d{10},\d+\.\d{6},(?:(?:[^,"]*|"(?:[^"]|"")*"),){15}')
        for folder in (K6, shop[0]):
            lines = (folder / "samples.json").read_text().splitlines()
            assert [line for line in lines if '"Point"' in line and not point.fullmatch(line)] == []
            assert all(
                list(json.loads(line)["data"]["tags"]) == sorted(json.loads(line)["data"]["tags"])
                for line in lines
                if '"Point"' in line
            )
            _, *rows = (folder / "samples.csv").read_text().splitlines()
            assert [line for line in rows if not row.fullmatch(line)] == []

    @pytest.mark.parametrize("form", ["json", "csv"])
    @pytest.mark.parametrize("code", ["1212", "1050"])
    def test_a_request_without_a_response_has_the_times_of_the_phases_that_it_came_to(
        self, shop: tuple[Path, dict[str, Any]], form: str, code: str
    ) -> None:
        read = read_csv if form == "csv" else lambda path: read_json(path)[1]
        theirs, ours = (
            [one for one in read(folder / f"samples.{form}") if one.tags.get("error_code") == code]
            for folder in (K6, shop[0])
        )
        assert [one.metric for one in ours] == [one.metric for one in theirs]
        assert [one.value > 0 for one in ours] == [one.value > 0 for one in theirs]
        assert {one.at_s for one in ours} == {ours[0].at_s}
        if code == "1050":
            for samples in (theirs, ours):
                parts = sum(sum(values(samples, f"http_req_{part}")) for part in ("sending", "waiting", "receiving"))
                [duration] = values(samples, "http_req_duration")
                assert duration == pytest.approx(parts, abs=1e-5)

    def test_the_samples_of_a_request_come_in_the_same_order(self, shop: tuple[Path, dict[str, Any]]) -> None:
        orders = []
        for folder in (K6, shop[0]):
            for samples in (read_json(folder / "samples.json")[1], read_csv(folder / "samples.csv")):
                metrics = [one.metric for one in samples if one.metric.startswith("http_req")]
                orders.append(metrics[:9])
        assert orders[0][0] == "http_reqs"
        assert orders == [orders[0]] * 4

    def test_the_head_of_the_csv_is_the_same(self, shop: tuple[Path, dict[str, Any]]) -> None:
        head = (K6 / "samples.csv").read_bytes().partition(b"\n")[0]
        assert (shop[0] / "samples.csv").read_bytes().startswith(head + b"\n")

    def test_both_files_have_the_same_samples(self, shop: tuple[Path, dict[str, Any]]) -> None:
        folder, summary = shop
        exact, rounded = read_json(folder / "samples.json")[1], read_csv(folder / "samples.csv")
        assert [(one.metric, int(one.at_s)) for one in exact] == [(one.metric, int(one.at_s)) for one in rounded]
        assert [one.value for one in rounded] == pytest.approx([one.value for one in exact], abs=1e-6)
        tags = [{key: text for key, text in one.tags.items() if text} for one in exact]
        assert [one.tags for one in rounded] == tags
        agree(exact, summary)
        by_endpoint(exact, summary)


class TestLikeTheSummary:
    def test_judged_retried_expected_streamed_and_raised(self, nginx: Nginx, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text(JUDGED)
        summary = run_with_samples(tmp_path, "run", "script.py", "-w", "2", "--base-url", nginx.url)
        samples = read_json(tmp_path / "samples.json")[1]
        agree(samples, summary)
        by_endpoint(samples, summary)
        assert sum(values(samples, "iterations_failed")) == summary["metrics"]["iterations_failed"]["count"] > 0
        codes = {error["kind"]: error for error in summary["errors"]}
        assert len(values(samples, "http_reqs", error_code="1212")) == codes["connect_refused"]["count"]
        assert len(values(samples, "http_reqs", error="judged")) == codes["judged: too dear"]["count"]
        assert len(values(samples, "http_reqs", error_code="1500", status="500")) == codes["http_500"]["count"]
        assert set(values(samples, "http_req_failed", status="404")) == {0}
        calls = [call for call in summary["calls"] if call["name"] == "thinking"]
        assert len(values(samples, "calls", name="thinking")) == calls[0]["calls"]

    def test_without_the_warm_up(self, nginx: Nginx, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text(JUDGED)
        load = ("-d", "300ms", "--warmup", "400ms", "-w", "2", "--base-url", nginx.url)
        summary = run_with_samples(tmp_path, "run", "script.py", *load)
        assert summary["requests"]["warmup"] > 0
        agree(read_csv(tmp_path / "samples.csv"), summary)

    def test_with_what_came_late(self, nginx: Nginx, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text(LONG)
        summary = run_with_samples(tmp_path, "run", "script.py", "-w", "2", "--base-url", nginx.url)
        samples = read_json(tmp_path / "samples.json")[1]
        agree(samples, summary)
        # Two of each VU; on a busy machine the load may end before the second one begins.
        assert 4 <= len(values(samples, "http_reqs", name="/late")) <= 8
        assert len(values(samples, "data_sent")) >= 8

    def test_bare_requests_over_several_seconds(self, nginx: Nginx, tmp_path: Path) -> None:
        # As many connections as starts: whatever is held up, none is left in line at the end.
        load = ("-r", "300", "-d", "1500ms", "-c", "450", "-w", "2")
        summary = run_with_samples(tmp_path, "bench", nginx.url + "/json", *load)
        samples = read_json(tmp_path / "samples.json")[1]
        agree(samples, summary)
        assert len(values(samples, "data_received")) == len(values(samples, "http_reqs")) == 450
        assert len(values(samples, "http_req_response_time")) == 450

    def test_compressed_and_on_stdout(self, cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
        files = ("--out", "json=samples.json.gz", "--out", "csv=samples.csv.gz", "--out", "json=-")
        done = cli("bench", nginx.url, "-n", "50", "-c", "2", *files, "--summary", "summary.json", "-q")
        assert done.returncode == 0, done.stderr
        text = text_of(tmp_path / "samples.json.gz")
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert lines == text.splitlines()
        summary = json.loads((tmp_path / "summary.json").read_text())
        agree(read_json(tmp_path / "samples.json.gz")[1], summary)
        assert len(values(read_csv(tmp_path / "samples.csv.gz"), "http_reqs")) == 50

    def test_a_full_disk_is_told_of(self, cli: Cli, nginx: Nginx) -> None:
        done = cli("bench", nginx.url, "-n", "50", "-c", "2", "--out", "json=/dev/full", "-q")
        assert done.returncode == 104
        assert "output json lost 1 of 1 second" in done.stderr


def header(**changes: Any) -> RunHeader:
    return replace(RunHeader(plan={}, started_at="", run_id="", specs=BUILTIN), **changes)


def second(time_ns: int = 1_795_290_930_000_000_000, count: int = 3, **tags: str) -> Snapshot:
    """A snapshot with *count* checks."""
    times = np.full(count, time_ns, dtype=np.int64)
    columns = ValueColumns(times, np.ones(count), np.zeros(count, dtype=np.int64))
    block = PointBlock([{"check": "ok", "group": "", **tags}], None, {"checks": columns})
    return replace(make_snapshot(), points=(block.to_plain(),), time_ns=time_ns)


def written(sink: K6PointFile, path: Path, *snapshots: Snapshot, head: RunHeader | None = None) -> str:
    """What *sink* makes of *snapshots*."""
    sink.check()
    sink.open(head or header())
    for snapshot in snapshots:
        sink.write(snapshot)
    sink.close(None)
    return text_of(path)


@contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond *size_bytes*."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestSink:
    def test_text_of_scripts_and_servers_is_escaped(self, tmp_path: Path) -> None:
        odd = 'a,b "q"\n<x>&é\ud800'
        lines = written(K6Json(str(tmp_path / "f.json")), tmp_path / "f.json", second(odd=odd)).splitlines()
        points = [json.loads(line) for line in lines if '"Point"' in line]
        assert points[0]["data"]["tags"]["odd"] == 'a,b "q"\n<x>&é\\ud800'
        path = tmp_path / "f.csv"
        text = written(K6Csv(str(path)), path, second(check=odd, odd="1,2"))
        assert 'checks,1795290930,1.000000,"a,b ""q""\n<x>&é\\ud800",,' in text
        assert text.splitlines()[-1].endswith(',"odd=1,2",')

    def test_gauges_come_each_second(self, tmp_path: Path) -> None:
        snapshots = [second(at_s * 1_000_000_000, count=0) for at_s in (10, 11)]
        for vus, snapshot in enumerate(snapshots, 4):
            snapshot.table.gauge(Series("vus")).set(vus)
        path = tmp_path / "f.json"
        written(K6Json(str(path)), path, *snapshots)
        samples = [one for one in read_json(path)[1] if one.metric == "vus"]
        assert samples == [Sample("vus", 10, 4, {}), Sample("vus", 11, 5, {})]

    def test_every_second_is_an_archive_of_its_own(self, tmp_path: Path) -> None:
        path = tmp_path / "f.json.gz"
        sink = K6Json(str(path))
        sink.open(header())
        for count in (1, 2):
            sink.write(second(count=2))
            assert text_of(path).count('"Point"') == 2 * count
        sink.close(None)

    def test_what_does_not_fit_is_not_there_in_part_and_is_declared_again(self, tmp_path: Path) -> None:
        path = tmp_path / "f.json"
        sink = K6Json(str(path))
        sink.open(header())
        with files_up_to(1000), pytest.raises(OSError, match=r"space|large"):
            sink.write(second(count=100))
        sink.write(second(count=2))
        sink.close(None)
        assert len(read_json(path)[1]) == 2

    def test_a_slow_disk_costs_whole_seconds(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe.csv"
        os.mkfifo(path)
        stream = SinkOutput("csv", K6Csv(str(path)), capacity=3)
        stream.header = header()
        # Nobody reads yet: the sink hangs where it opens the pipe.
        stream.start(None)  # type: ignore[arg-type]
        for number in range(10):
            stream.snapshot(second(number * 1_000_000_000))
        assert stream.trouble == "output csv lost 7 of 10 seconds: it is too slow"
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(path.read_text()))
        reader.start()
        stream.close()
        reader.join(20)
        assert [line.split(",")[1] for line in read[0].splitlines()[1:]] == [
            str(at_s) for at_s in (0, 1, 2) for _ in range(3)
        ]
        wait_until(lambda: not any(one.name == "fastload-csv" for one in threading.enumerate()))

    def test_without_an_argument_as_k6_does(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        written(K6Csv(""), tmp_path / "file.csv", second())
        assert len(read_csv(tmp_path / "file.csv")) == 3

    def test_stdout(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        sink = K6Json("-")
        sink.check()
        sink.open(header())
        sink.write(second())
        sink.close(None)
        assert capfdbinary.readouterr().out.count(b'"Point"') == 3

    def test_a_reader_that_goes_away_is_no_error(self, nginx: Nginx, tmp_path: Path) -> None:
        command = cli_command("bench", nginx.url, "-n", "20000", "-c", "4", "--out", "json=-", "-q")
        with subprocess.Popen(
            command, cwd=tmp_path, env=cli_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b'{"type":"Metric"')
            process.stdout.close()
            assert process.stderr is not None
            told = process.stderr.read()
            assert process.wait(20) == 0, told

    @pytest.mark.parametrize("sink", [K6Json, K6Csv])
    def test_a_file_that_cannot_be_written_is_refused_before_the_run(self, sink: Any, tmp_path: Path) -> None:
        with pytest.raises(PlanError, match=r"--out (json|csv) '.*no/f' has no directory to be in"):
            sink(str(tmp_path / "no" / "f")).check()

    def test_thresholds_of_what_is_no_metric_are_left_out(self, tmp_path: Path) -> None:
        told = ("verdict: verdict==VALID", "checks: rate>0.5", "checks{check:is: ok}: rate>0.1")
        path = tmp_path / "f.json"
        written(K6Json(str(path)), path, second(), head=header(thresholds=told))
        declared, _ = read_json(path)
        assert declared["checks"]["thresholds"] == ["rate>0.5"]
        assert declared["checks"]["submetrics"] == [
            {"name": "checks{check:is: ok}", "suffix": "check:is: ok", "tags": {"check": "is: ok"}}
        ]

    @pytest.mark.parametrize(
        ("tags", "wanted"),
        [
            ({"status": "404", "expected_response": "true"}, {"error_code": "1404"}),
            ({"status": "200", "expected_response": "false", "error": "judged"}, {"error_code": "1000"}),
            ({"status": "503", "expected_response": "false", "error": "judged"}, {"error_code": "1503"}),
            ({"status": "0", "expected_response": "false", "error": "dns"}, {"error": "lookup: no such host"}),
            ({"status": "0", "expected_response": "false", "error": "tls_verify"}, {"error_code": "1310"}),
            ({"status": "200", "expected_response": "true", "proto": "3"}, {"proto": "HTTP/3.0"}),
            ({"status": "200", "expected_response": "true", "tls_version": "1.3"}, {"tls_version": "tls1.3"}),
            ({"status": "200", "expected_response": "true"}, {"url": "/a"}),
            ({"status": "200", "expected_response": "true", "group": "a::b"}, {"group": "::a::b"}),
        ],
    )
    def test_tags(self, tags: dict[str, str], wanted: dict[str, str]) -> None:
        assert k6_tags({"name": "/a"} | tags).items() >= wanted.items()

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.0, "0"), (12.5, "12.5"), (1e9, "1000000000"), (1e21, "1e+21"), (float("nan"), "null"), (-0.25, "-0.25")],
    )
    def test_numbers(self, value: float, text: str) -> None:
        assert number_text(value) == text

    @pytest.mark.parametrize(
        ("value_us", "text"), [(0, "0"), (5, "0.005"), (250, "0.25"), (5000, "5"), (12_345, "12.345")]
    )
    def test_milliseconds(self, value_us: int, text: str) -> None:
        assert ms_text(value_us) == text
