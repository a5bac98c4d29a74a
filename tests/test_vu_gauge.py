"""The gauge `vus` of real runs, second by second, beside what the VUs themselves have written down."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from tests.conftest import Cli, free_port

# Within this time of a moment, nobody can say whether a VU began before it: workers may be late.
NEAR_NS = 250_000_000
# A VU that begins again this soon has not been away.
AWAY_NS = 40_000_000


@dataclass
class Seconds:
    """An output that keeps what the gauge was, and when."""

    seen: list[Snapshot] = field(default_factory=list)

    def start(self, plan: Plan) -> None:
        """Do nothing."""

    def snapshot(self, snapshot: Snapshot) -> None:
        self.seen.append(snapshot)

    def stop(self, summary: Summary) -> None:
        """Do nothing."""


@dataclass
class Book:
    """Where VUs write when they begin and end an iteration: one line each, from all processes."""

    path: Path

    def scenario(self, lasting_s: Callable[[fl.VU], float], name: str = "visit", **options: Any) -> Any:
        async def visit(vu: fl.VU) -> None:
            self.note(vu, 1)
            try:
                await vu.sleep(lasting_s(vu))
            finally:
                self.note(vu, -1)

        return fl.scenario(name=name, **options)(visit)

    def note(self, vu: fl.VU, change: int) -> None:
        with self.path.open("a") as lines:
            lines.write(f"{vu.id} {time.time_ns()} {change}\n")

    def active(self) -> list[list[tuple[int, int]]]:
        """For each VU the spans of time in which it was active, apart by more than `AWAY_NS`."""
        spans: dict[str, list[list[int]]] = defaultdict(list)
        for line in self.path.read_text().splitlines():
            vu, at_ns, change = line.split()
            mine = spans[vu]
            if change == "-1":
                mine[-1][1] = int(at_ns)
            elif not mine or int(at_ns) - mine[-1][1] > AWAY_NS:
                mine.append([int(at_ns), int(at_ns)])
        return [[(begin, end) for begin, end in mine] for mine in spans.values()]


def compare(book: Book, seconds: Seconds, least: int = 4) -> list[int]:
    """Hold each second's gauge against the book, and return the gauges."""
    spans = [span for mine in book.active() for span in mine]
    assert len(seconds.seen) >= least
    for one in seconds.seen:
        sure = sum(begin < one.time_ns - NEAR_NS and end > one.time_ns + NEAR_NS for begin, end in spans)
        possible = sum(begin < one.time_ns + NEAR_NS and end > one.time_ns - NEAR_NS for begin, end in spans)
        assert sure <= one.vus <= possible, (one.t_s, one.phase, sure, one.vus, possible)
        gauge = one.table.get("vus")
        assert gauge is not None
        assert gauge.value == one.vus
    return [one.vus for one in seconds.seen]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book")


def run(*scenarios: Any, **options: Any) -> tuple[Seconds, Summary]:
    seconds = Seconds()
    return seconds, fl.run(*scenarios, outputs=[seconds], on_no_answer="continue", **options)


@pytest.mark.parametrize("workers", [1, 2])
def test_ramps(book: Book, workers: int) -> None:
    visit = book.scenario(lambda _: 0.02, stages=["2s:8", "1s:8", "3s:1", "1s:1"])
    seconds, summary = run(visit, workers=workers)
    seen = compare(book, seconds)
    assert max(seen) == summary.metrics["vus"].max == 8
    assert seen[-1] == 1
    assert seen[4] < 8


def test_a_ramp_down_waits_for_the_last_iterations(book: Book) -> None:
    """They leave when their iteration is over, or when the graceful time is."""
    visit = book.scenario(
        lambda vu: 1.3 * vu.id, stages=["0s:5", "1s:5", "0s:0", "4s:0"], graceful_ramp_down="3s", graceful_stop="0s"
    )
    seconds, _ = run(visit, workers=2)
    seen = compare(book, seconds)
    # VU 1 ends at 1.3 s and VU 2 at 2.6 s, VU 3 at 3.9 s; the others are interrupted at 4 s.
    assert seen[1] == 4
    assert seen[-1] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_graceful_stop(book: Book, workers: int) -> None:
    visit = book.scenario(lambda vu: 0.4 + 1.0 * vu.id, vus=5, duration="0.9s", graceful_stop="20s")
    seconds, summary = run(visit, workers=workers)
    seen = compare(book, seconds)
    assert seen[:5] == [5, 4, 3, 2, 1] or seen[:6] == [5, 5, 4, 3, 2, 1]
    assert (summary.metrics["vus"].min, summary.metrics["vus"].max) in ((0, 5), (1, 5))


def test_iterations(book: Book) -> None:
    visit = book.scenario(lambda vu: 0.6 * vu.id, executor="per-vu-iterations", vus=4, iterations=2)
    seconds, _ = run(visit, workers=2)
    assert compare(book, seconds)[-1] in (0, 1)


def test_several_scenarios(book: Book) -> None:
    scenarios = [
        book.scenario(lambda _: 0.05, "first", vus=3, duration="2.5s"),
        book.scenario(lambda _: 2.2, "second", vus=2, duration="1s", start_time="1.6s"),
        book.scenario(lambda _: 0.05, "third", vus=4, duration="2s", after="first"),
    ]
    seconds, summary = run(*scenarios, workers=2)
    seen = compare(book, seconds)
    assert max(seen) == 6
    # The third begins when the first is over: never all three at once.
    assert summary.metrics["vus"].max == 6


def test_the_open_model(book: Book) -> None:
    """An open model's VU is active while it iterates."""
    visit = book.scenario(lambda _: 1.7, rate=4, duration="3s", max_vus=20, graceful_stop="20s")
    seconds, _ = run(visit, workers=2)
    assert compare(book, seconds)[1] in (6, 7, 8)


def test_who_waits_for_its_next_iteration_is_active(book: Book) -> None:
    visit = book.scenario(lambda _: 0.01, vus=4, duration="3s", pacing="1s")
    seconds, _ = run(visit, workers=2)
    assert [one.vus for one in seconds.seen[:3]] == [4, 4, 4]


def test_a_warm_up_counts_in_no_metric(book: Book) -> None:
    visit = book.scenario(lambda _: 0.05, stages=["0s:2", "3s:2"], start_vus=6)
    seconds, summary = run(visit, workers=2, warmup="2s")
    assert [one.vus for one in seconds.seen[:1]] == [6]
    assert seconds.seen[0].table.get("vus") is None
    assert summary.metrics["vus"].max in (2, 6), "it begins with six for a moment"
    assert summary.metrics["vus"].value == 2


@contextlib.contextmanager
def started(*scenarios: Any, **options: Any) -> Iterator[tuple[fl.Run, Seconds]]:
    seconds = Seconds()
    with fl.start(*scenarios, outputs=[seconds], on_no_answer="continue", **options) as handle:
        yield handle, seconds


def test_steering_and_pauses(book: Book) -> None:
    visit = book.scenario(
        lambda _: 0.03,
        executor="externally-controlled",
        vus=2,
        max_vus=9,
        duration="60s",
    )
    with started(visit, workers=2) as (handle, seconds):
        for vus in (7, 1, 4):
            time.sleep(1.3)
            handle.scale(vus=vus)
        time.sleep(1.3)
        handle.pause()
        time.sleep(2.1)
        paused = [one.vus for one in seconds.seen if one.phase == "paused"]
        handle.resume()
        time.sleep(1.3)
    assert paused[-1] == 4, "a pause holds its VUs"
    paused_from_ns, paused_to_ns = (
        next(one.time_ns for one in chosen if one.phase == "paused") - 1_000_000_000
        for chosen in (seconds.seen, [*reversed(seconds.seen)])
    )
    seconds.seen = [one for one in seconds.seen if not paused_from_ns <= one.time_ns <= paused_to_ns + 2_500_000_000]
    assert 7 in compare(book, seconds)


class SlowServer:
    """Answers each request after *lasting_s*, and knows how many it was answering at any time."""

    def __init__(self, lasting_s: float) -> None:
        self._lasting_s = lasting_s
        self.spans: list[list[int]] = []
        self.port = free_port()
        self._loop = asyncio.new_event_loop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            async for _ in self._heads(reader):
                span = [time.time_ns(), 0]
                self.spans.append(span)
                await asyncio.sleep(self._lasting_s)
                span[1] = time.time_ns()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        writer.close()

    async def _heads(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                yield await reader.readuntil(b"\r\n\r\n")

    def __enter__(self) -> SlowServer:
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()


def test_bench_beside_a_counting_server(cli: Cli, tmp_path: Path) -> None:
    """`bench`: a connection is active while it waits for its answer, which the server sees as well."""
    with SlowServer(1.6) as server:
        out = tmp_path / "points.csv"
        url = f"http://127.0.0.1:{server.port}/"
        done = cli("bench", url, "-r", "5", "-c", "30", "-d", "3s", "-w", "2", "--out", f"csv={out}", "--json")
    assert done.returncode == 0, done.stderr
    with out.open() as rows:
        gauges = [row for row in csv.DictReader(rows) if row["metric_name"] == "vus"]
    assert len(gauges) >= 4
    for row in gauges:
        at_ns, vus = round(float(row["timestamp"]) * 1e9), float(row["metric_value"])
        # The file has whole seconds.
        spans = server.spans
        sure = sum(begin < at_ns - NEAR_NS and end > at_ns + 10**9 + NEAR_NS for begin, end in spans)
        possible = sum(begin < at_ns + 10**9 + NEAR_NS and end > at_ns - NEAR_NS for begin, end in spans)
        assert sure <= vus <= possible, (row, sure, possible)
    summary = json.loads(done.stdout)
    assert summary["metrics"]["vus"]["max"] in range(7, 11)
