"""Runs with open and closed scenarios: which latency leads, in every output, and what is said of what it covers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from fastload.dashboard.ui_saved import run_figures
from fastload.model.records import Snapshot
from fastload.model.saved.run_file import load_run
from fastload.model.saved.saved_plan import saved_plan
from fastload.model.series import TrendValue
from fastload.outputs.terminal.live import render_snapshot
from tests.browser import chromium as chromium
from tests.browser import open_page
from tests.conftest import Cli, Nginx
from tests.outputs.page.shown_page import tiles_of, traces
from tests.outputs.terminal.consoles import memory_console

BUY = """
import fastload as fl


@fl.scenario(rate=20, max_vus=5, duration="2s")
async def buy(vu: fl.VU) -> None:
    await vu.get("/json")
    await vu.get("/json")
"""
BROWSE = """

@fl.scenario(vus=3, duration="2s")
async def browse(vu: fl.VU) -> None:
    await vu.get("/json")
    await vu.sleep(0.005)
"""
SERVICE, RESPONSE = "http_req_duration", "http_req_response_time"


class Made:
    """A real run and all that is said of it. *lead*: the headline latency."""

    def __init__(self, cli: Cli, folder: Path, url: str, script: str) -> None:
        (folder / "script.py").write_text(script)
        outputs = ("--save", "m.fastload", "--html", "m.html", "--out", "md=m.md")
        done = cli("run", "script.py", "--base-url", url, "-w", "2", *outputs)
        assert done.returncode == 0, done.stderr
        self.text = done.stdout + done.stderr
        self.again = cli("report", "m.fastload").stdout
        self.markdown = (folder / "m.md").read_text()
        self.page = (folder / "m.html").as_uri()
        self.run = load_run(folder / "m.fastload")
        self.summary: dict[str, Any] = dict(self.run.summary or {})
        self.metrics = self.summary["metrics"]
        self.timed, self.ended = (int(self.metrics[name]["count"]) for name in (RESPONSE, SERVICE))

    @property
    def covers(self) -> str:
        return f"{self.timed:,} of {self.ended:,} requests: those with a due time"


def live_block(made: Made, second: Snapshot) -> str:
    console, stream = memory_console(100)
    console.print(render_snapshot(saved_plan(made.run.header.plan), second))
    return stream.getvalue()


def check_seconds(made: Made, lead: str) -> None:
    """The percentiles of each second are those of the headline latency, and the live block says of which requests."""
    for second in made.run.seconds:
        trends = [second.table.get(name) for name in (lead, SERVICE)]
        if all(isinstance(one, TrendValue) for one in trends):
            led, all_of_them = trends
            assert second.p95_ms == led.quantile(0.95) / 1000
            of = f"of {led.count} of {all_of_them.count} requests: those with a due time"
            assert (of in live_block(made, second)) is (lead == RESPONSE)


@pytest.mark.parametrize(("script", "lead"), [(BUY + BROWSE, SERVICE), (BUY, RESPONSE)], ids=["mixed", "open"])
def test_the_headline_covers_what_it_says(cli: Cli, nginx: Nginx, tmp_path: Path, script: str, lead: str) -> None:
    made = Made(cli, tmp_path, nginx.url, script)
    assert (made.timed, made.metrics["http_reqs"]["count"]) == (40, made.ended)
    assert made.ended == 80 if script == BUY else made.ended > 200
    for text in (made.text, made.again):
        assert f"▸ {lead} " in text
        assert f"{RESPONSE} covers {made.covers}" in text
        assert text.count("the headline") == 1
    covered = f" ({made.covers})" if lead == RESPONSE else ""
    assert f"Percentiles are those of `{lead}`{covered}." in made.markdown
    assert f"{RESPONSE} covers {made.covers}." in made.markdown.replace("\\", "")
    assert run_figures(made.summary)["p95_ms"] == made.metrics[lead]["p(95)"]
    assert ("requests: those with a due time" in made.text.partition("\n")[0]) is (lead == RESPONSE)
    check_seconds(made, lead)


@pytest.fixture
def mixed(cli: Cli, nginx: Nginx, tmp_path: Path) -> Made:
    return Made(cli, tmp_path, nginx.url, BUY + BROWSE)


def test_the_page_names_what_each_curve_is_of(mixed: Made, chromium: Browser) -> None:
    with open_page(chromium, mixed.page) as page:
        page.wait_for_selector("#chart-curve .plot-container")
        curves = [f"response ({mixed.timed} with a due time)", f"service (all {mixed.ended:,})"]
        assert list(traces(page, "curve")) == curves
        assert f"the {mixed.timed} of {mixed.ended:,} that had a due time" in page.inner_text(
            "[data-chart=chart-curve]"
        )
        lines = [f"{name} p{percent}" for name in ("service", "response") for percent in (50, 95, 99)]
        assert [name for name in traces(page, "latency") if name in lines] == lines
        assert tiles_of(page)["p95"].endswith("sent to done")
