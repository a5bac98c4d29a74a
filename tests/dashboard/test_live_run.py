"""What those who watch a run get: everything so far, then each second, then the end."""

from __future__ import annotations

import gzip
import json
import os
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fastload.dashboard import viewers
from fastload.dashboard.app import live_page, plotly_path
from fastload.dashboard.live_run import LiveRun
from fastload.model.metrics import BUILTIN, Series
from fastload.model.records import ErrorTable, Event
from fastload.model.resources import ResourceSeries
from fastload.model.saved.bounded_replay import BoundedReplay, MeanAndMax
from fastload.model.saved.replay import Replay
from fastload.model.series import SeriesTable
from fastload.outputs.page.render import plotly_js
from fastload.runner import make_header
from tests.browser import chromium, open_page
from tests.conftest import answers, wait_until
from tests.dashboard.serving import RUN, connect, second, serving
from tests.outputs import samples
from tests.outputs.page.packed_page import data_in, packed_text, unpack

__all__ = ["chromium"]


def length(data: dict[str, Any]) -> int:
    return len(data["timeline"]["t"])


def test_one_who_comes_gets_everything_then_each_second_then_the_end() -> None:
    with serving() as served:
        served.feed(3)
        with served.following() as follower:
            assert follower.response.headers.get_content_type() == "text/event-stream"
            first = follower.until("data")
            assert (first["kind"], first["timeline"]["first"], length(first)) == ("live", 0, 3)
            assert first == served.ask("/data.json").json
            assert first["state"]["complete"] is False
            for number in (4, 5, 6):
                served.feed()
                data = follower.until("data")
                assert (data["timeline"]["first"], data["timeline"]["t"]) == (number - 1, [number])
                assert data["summary"]["metrics"]["http_reqs"]["count"] == number * 10_002
            served.output.close(RUN.to_dict())
            final = follower.until("data")
            assert (length(final), final["state"]["complete"], final["state"]["phase"]) == (6, True, "over")
            # The summary of the run, and no longer what the seconds say.
            assert final["summary"]["metrics"]["http_reqs"]["count"] == 10_002
            assert follower.until("end") == {}
            assert follower.next() == ("", None)


def test_before_the_first_second_nothing_is_judged() -> None:
    header = replace(make_header(RUN.plan), thresholds=("http_req_duration: p(95)<5s",))
    for waits, phase in ((True, "ready"), (False, "starting")):
        live = LiveRun(replace(header, plan={**header.plan, "paused": waits}))
        for data in (live.data(), data_in(live.report().decode())):
            assert (data["state"]["phase"], data["state"]["progress"], data["state"]["complete"]) == (phase, 0, False)
            assert (data["summary"]["verdict"], data["summary"]["passed"]) == (None, None)
            [threshold] = data["summary"]["thresholds"]
            assert (threshold["metric"], threshold["observed"]) == ("http_req_duration", None)
        live.add(second(1))
        assert live.data()["summary"]["verdict"]["state"] == "SUSPECT", "one second is a short run"
        assert live.data()["state"]["phase"] == "running"


def test_a_run_without_a_summary_ends_too() -> None:
    with serving() as served, served.following() as follower:
        served.feed(2)
        follower.until("data", lambda data: data["timeline"]["t"][-1:] == [2])
        served.output.close(None)
        final = follower.until("data", lambda data: bool(data["state"]["complete"]))
        assert final["summary"]["stopped_by"] == "unknown"
        follower.until("end")


def test_the_status_comes_at_once_and_after_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "_STATUS_S", 3600.0)
    asked: list[str] = []

    def ask(name: str, /, *, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        asked.append(name)
        return {"phase": "paused" if "pause" in asked else "running", "scenarios": [{"name": "visit"}]}

    with serving(ask=ask) as served, served.following() as follower:
        status = follower.until("status")
        assert status == {"phase": "running", "scenarios": [{"name": "visit"}], "viewers": 1}
        served.feed()
        served.ask("/control/pause", "POST", {})
        status = follower.until("status")
        assert (status["phase"], status["elapsed_s"], status["viewers"]) == ("paused", 1, 1)


def test_the_status_of_a_run_that_may_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "_STATUS_S", 0.1)
    with serving() as served, served.following() as follower:
        assert follower.until("status") == {"phase": "starting", "viewers": 1}
        served.feed(phase="warm-up")
        found = follower.until("status", lambda status: status["phase"] == "warm-up")
        assert found.keys() == {"phase", "elapsed_s", "progress", "vus", "workers_alive", "viewers"}


def test_a_second_is_made_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    summary = BoundedReplay.summary

    def count(self: BoundedReplay, *, running: bool) -> dict[str, Any]:
        made.append(1)
        return summary(self, running=running)

    monkeypatch.setattr(BoundedReplay, "summary", count)
    with serving() as served, ExitStack() as stack:
        served.feed(5)
        assert made == [], "nobody watches"
        followers = [stack.enter_context(served.following()) for _ in range(3)]
        assert len({length(follower.until("data")) for follower in followers}) == 1
        assert len(made) == 1
        for number in (6, 7, 8):
            served.feed()
            for follower in followers:
                assert follower.until("data")["timeline"]["t"] == [number]
        assert len(made) == 4


def test_one_who_missed_seconds_gets_what_is_there() -> None:
    live = LiveRun(make_header(RUN.plan))
    live.listen(lambda: None)
    live.add(second(1))
    number, _ = live.message_after(-1)
    live.add(second(2))
    live.add(second(3))
    late, whole = live.message_after(number)
    assert late == 3
    assert live.message_after(-1) == (3, whole)
    live.add(second(4))
    assert len(live.message_after(3)[1]) < len(whole)


def test_one_who_comes_again_gets_everything_again() -> None:
    with serving() as served:
        served.feed(2)
        for seen in (2, 4, 6):
            with served.following() as follower:
                assert length(follower.until("data")) == seen
                served.feed()
                follower.until("data")
            # Nobody watches, or only one who has gone.
            served.feed()


def test_rows_that_were_merged_come_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastload.model.timeline.timeline.MOST_ROWS", 8)
    with serving() as served, served.following() as follower:
        rows: list[float] = []
        for _ in range(40):
            served.feed()
            timeline = follower.until("data", lambda data: length(data) > 0)["timeline"]
            rows[timeline["first"] :] = timeline["t"]
            assert rows == served.ask("/data.json").json["timeline"]["t"]


def test_one_who_never_reads_harms_nobody() -> None:
    with serving() as served, connect(served.port, receive_bytes=4096) as stuck, served.following() as follower:
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        follower.until("status", lambda status: status["viewers"] == 2)
        # Every message has all of these, which makes more than all buffers on the way hold.
        text = "x" * 50_000
        for number in range(1, 41):
            served.feed(events=(Event(float(number), "stop", text),))
            follower.until("data", lambda data: data["timeline"]["t"][-1:] == [served.seconds])
        port = served.port
        served.output.close(None)
        follower.until("end")
        assert not answers(port)


def test_one_who_never_reads_is_given_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def message_after(self: LiveRun, number: int) -> tuple[int, bytes]:
        taken.append(number)
        return self.number, b"x" * 1_000_000

    monkeypatch.setattr(LiveRun, "message_after", message_after)
    with serving() as served, connect(served.port, receive_bytes=4096) as stuck:
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: bool(taken))
        for _ in range(40):
            served.feed()
            served.ask("/nowhere")
        # What the kernel holds, and one message: the others were never made for it.
        assert len(taken) < 20


def crowd(count: int = 500) -> SeriesTable:
    """Many names of everything that a script can name, and long ones."""
    table = SeriesTable()
    for number in range(count):
        name = f"{number} {'n</script>😀' * 20}"
        samples.add_requests(table, [1_000 + number, 70_000], name=name)
        samples.add_calls(table, name, [3_000])
        samples.fill(table, "group_duration", [5_000 + number], group=name)
        table.rate(Series.of("checks", check=name, scenario="visit")).total = 2
        table.counter(Series.of("orders", region=name)).value = number
    return table


def test_what_each_second_is_to_everybody_has_a_bound() -> None:
    live = LiveRun(replace(make_header(RUN.plan), specs=BUILTIN | samples.USER_SPECS))
    live.listen(lambda: None)
    errors = ErrorTable({f"{number} {'<e>' * 700}": (3 + number, "m" * 3000) for number in range(500)})
    exceptions = ErrorTable({f"E{number}": (1, "t" * 100_000) for number in range(200)})
    live.add(second(1, table=crowd(1), errors=errors))
    events = tuple(Event(2.0, "scale", "e" * 5_000) for _ in range(200))
    live.add(second(2, table=crowd(), errors=errors, exceptions=exceptions, events=events))
    _, message = live.message_after(1)
    assert 50_000 < len(message) < 300_000
    data = json.loads(message)
    assert data["timeline"]["first"] == 1
    rows = data["summary"]["endpoints"]
    assert 10 <= len(rows) == 500 - data["left_out"]["endpoints"]
    assert len(live_page(live, steered=True)) < 1_000_000
    assert len(live.report()) < 2_000_000
    # In the end, once, as much as a report has.
    live.end(None)
    _, final = live.message_after(2)
    assert 300_000 < len(final) < 1_000_000
    assert len(json.loads(final)["summary"]["endpoints"]) > len(rows)


def test_too_many_viewers_are_refused_and_one_place_becomes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "MOST_VIEWERS", 2)
    monkeypatch.setattr(viewers, "_STATUS_S", 0.1)
    with serving() as served, served.following() as first, served.following() as second:
        first.until("status", lambda status: status["viewers"] == 2)
        refused = served.ask("/events")
        assert (refused.status, refused.json["hint"]) == (503, "close another page")
        second.close()
        first.until("status", lambda status: status["viewers"] == 1)
        with served.following() as third:
            third.until("data")


def test_closing_leaves_no_thread_no_descriptor_and_no_port() -> None:
    with serving() as served:
        served.ask("/report.html")
    before, files = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        with serving() as served, served.following() as follower:
            port = served.port
            served.feed(2)
            follower.until("data")
            served.ask("/data.json")
        assert not answers(port)
        # What an earlier test left may end in this one.
        assert threading.active_count() <= before
        assert len(os.listdir("/proc/self/fd")) <= files  # noqa: PTH208


def test_the_page_and_what_it_loads() -> None:
    with serving() as served:
        served.feed(2)
        page = served.ask("/")
        assert (page.status, page.headers.get_content_type()) == (200, "text/html")
        text = page.body.decode()
        assert f'<script src="{plotly_path().lstrip("/")}"></script>' in text
        assert 'data-steered="false"' in text
        assert len(page.body) < 1_000_000
        library = served.ask(plotly_path())
        assert library.body.decode() == plotly_js()
        assert library.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        packed = served.ask(plotly_path(), Accept_Encoding="gzip, br")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == library.body
        report = served.ask("/report.html")
        assert report.headers["Content-Disposition"] == f'inline; filename="fastload-{served.header.run_id}.html"'
        assert unpack(packed_text(report.body.decode(), "library")) == library.body
    with serving(ask=lambda _name, **_: {}) as served:
        assert b'data-steered="true"' in served.ask("/").body


def test_without_the_library_the_page_has_all_figures_and_says_what_to_do(chromium: Browser) -> None:
    with serving() as served:
        served.feed(2)
        with open_page(chromium, f"http://127.0.0.1:{served.port}/") as page:
            page.evaluate("window.Plotly = undefined; fastload.render(fastload.data)")
            expect(page.locator("#time .notice")).to_contain_text("did not come from the server. Load the page again.")
            expect(page.locator("[data-chart=chart-overview] .reason")).to_have_text(
                "Not drawn: the chart library is missing."
            )
            served.feed(1)
            wait_until(lambda: page.evaluate("fastload.data.timeline.t.length") == 3)
            assert page.locator("[data-chart=chart-rate] .legend .value").first.inner_text()


def test_names_from_a_script_stay_text() -> None:
    header = make_header(replace(RUN.plan, title="</script><script>alert(1)</script>"))
    live = LiveRun(header)
    live.add(second(1))
    assert b"<script>alert" not in live_page(live, steered=True)


def test_totals_cost_the_same_and_say_the_same() -> None:
    header = make_header(RUN.plan)
    totals, replay = BoundedReplay(header), Replay(header)
    process = replace(samples.target_series(50.0).samples[0], label="worker 0")
    hosts = samples.host_series().samples
    for number in range(1, 4):
        host = replace(hosts[0], cpu_percent=10.0 * number, cpus_percent=(1.0 * number, 2.0, 3.0)[: 4 - number])
        worker = replace(process, alive=number < 3, cpu_percent=9.0 * number, rss_bytes=8 - number)
        worker = replace(worker, run_delay_ratio=0.1 * number)
        made = second(number, host=host, workers=(worker,), lag_max_ms=(number * 1.0,))
        totals.add(made)
        replay.add(made)
    found, wanted = totals.summary(running=True), replay.summary(running=True)
    for name in ("host", "target"):
        assert found[name] == wanted[name] | {"series": {}}
    for worker in wanted["workers"]:
        worker["cpu_percent"]["series"] = []
    assert found == wanted | {"host": found["host"], "target": found["target"]}


def test_means_of_nothing() -> None:
    assert MeanAndMax("host").to_dict() == ResourceSeries("host", ()).to_dict()
