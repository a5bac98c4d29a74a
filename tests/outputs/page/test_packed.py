"""The page in one file: how large it is, that it opens, and what it is where the chart library does not start."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.model.metrics import Series
from fastload.model.series import SeriesTable
from fastload.model.timeline.timeline import MOST_ROWS, REQUEST_PHASES
from fastload.outputs.page import packed
from fastload.outputs.page.packed import pack_text, packed_script
from fastload.outputs.page.render import asset, plotly_js
from tests.browser import open_page, overflow_px, shoot, shoot_part
from tests.outputs.page.made_reports import write
from tests.outputs.page.packed_page import data_in, packed_text, unpack
from tests.outputs.page.shown_page import cells, tiles_of
from tests.outputs.samples import fill
from tests.outputs.seconds import NASTY, Made, made_run, second

TEXTS = {
    "short": "{}",
    "long": json.dumps([f"{number * number % 9973} {NASTY} ä😀" for number in range(9000)], ensure_ascii=False),
    "repeated": "a" * 100_000 + "b",
    "unlike": "".join(chr(code) for code in np.random.default_rng(1).integers(0x20, 0xD7FF, 30_000)),
}
"""Each makes deflate do something else: its fixed code, codes of its own, copies as long and as far as they can be."""


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("name", TEXTS)
def test_the_browser_reads_what_was_packed(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, level: int
) -> None:
    # Level 0 packs without any compression.
    monkeypatch.setattr(packed, "_LEVEL", level)
    text = TEXTS[name].encode()
    assert unpack(pack_text(text)) == text
    assert "<" not in pack_text(text)
    parts = [packed_script("library", b"window.was = 1"), packed_script("data", text), packed_script("scripts", b"0")]
    head = '<meta charset="utf-8"><main id="main"></main><script id="data" type="application/json"></script>'
    path = tmp_path / "page.html"
    path.write_text(f"{head}{''.join(parts)}<script>{asset('unpack.js')}</script>", encoding="utf-8")
    with open_page(chromium, path.as_uri()) as shown:
        assert shown.evaluate("document.getElementById('data').textContent") == TEXTS[name]
        assert shown.evaluate("window.was") == 1


def busy_hour() -> Made:
    """An hour of ten endpoints, with times that are nowhere the same."""
    names = [f"/api/v1/resource-{number}/{{id}}" for number in range(10)]
    made = made_run(seconds=2, names=names)
    source = np.random.default_rng(11)
    seconds = []
    for number in range(1, 3601):
        table = SeriesTable()
        times = source.lognormal(9 + 0.3 * np.sin(number / 300), 0.7, 400).astype(np.int64)
        for metric in ("http_req_duration", "http_req_response_time"):
            fill(table, metric, times)
        for metric in REQUEST_PHASES.values():
            fill(table, metric, times // 7)
        for name, some in zip(names, np.split(times, 10), strict=True):
            rate = table.rate(Series.of("http_req_failed", method="GET", name=name))
            rate.trues, rate.total = int(source.integers(0, 2)), len(some)
            fill(table, "http_req_duration", some, method="GET", name=name)
        made_second = second(number, table, requests_per_s=float(source.integers(380, 420)), failed_per_s=5.0)
        assert made_second.host is not None
        used = int(source.integers(2_000_000_000, 3_000_000_000))
        seconds.append(replace(made_second, host=replace(made_second.host, memory_used_bytes=used)))
    return Made(made.header, seconds, made.summary)


def test_the_report_of_an_hour_with_ten_endpoints_is_under_2_mb(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    url = write(busy_hour(), path)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 2_000_000
    data = data_in(text)
    assert len(data["timeline"]["t"]) == MOST_ROWS
    assert len(data["timeline"]["endpoints"]["lines"]) == 10
    with open_page(chromium, url) as page:
        # A browser that prints without a window waits for no more than the page.
        assert page.locator(".plot .main-svg").count() > 14
        assert page.evaluate("fastload.data") == data


def test_the_library_is_packed_once(made: Made, tmp_path: Path) -> None:
    write(made, tmp_path / "one.html")
    begin = time.process_time()
    write(made, tmp_path / "two.html")
    assert time.process_time() - begin < 1
    one, two = ((tmp_path / name).read_bytes() for name in ("one.html", "two.html"))
    assert one == two


def is_complete(page: Page) -> None:
    """Every figure and table is there, and each chart has its numbers."""
    assert tiles_of(page)["Requests"].startswith("7,92")
    assert {row[0] for row in cells(page, "endpoints")} == {"/users", "/orders/{id}", NASTY}
    assert "Highest p99" in page.inner_text("[data-chart=chart-latency]")
    assert page.locator("[data-chart=chart-rate] .legend .value").first.inner_text()


BROKEN: dict[str, Callable[[str], str]] = {
    "cut": lambda text: text[: len(text) // 22 * 11],
    "changed": lambda text: text[:1100] + "~" * 1100 + text[2200:],
    "another script": lambda _: pack_text(b"window.Plotly = {evil: true}"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_without_the_library_all_figures_are_there_and_the_page_says_why(
    chromium: Browser, url: str, tmp_path: Path, how: str
) -> None:
    text = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
    library = packed_text(text, "library")
    path = tmp_path / "broken.html"
    text = text.replace(library, BROKEN[how](library))
    if how == "another script":
        text = text.replace(f'data-size="{len(plotly_js().encode())}"', 'data-size="28"')
    path.write_text(text, encoding="utf-8")
    expected = ("The chart library in this page cannot be opened", "Content Security Policy")
    with open_page(chromium, path.as_uri(), expected=expected) as page:
        assert page.evaluate("typeof Plotly") == "undefined"
        notice = page.locator("#time .notice")
        expect(notice).to_contain_text("the chart library in this file did not start")
        expect(notice).to_contain_text("fastload report")
        expect(page.locator("[data-chart=chart-rate] .reason")).to_have_text("Not drawn: the chart library is missing.")
        is_complete(page)
        page.select_option("#endpoint-metric", "p99")
        expect(page.locator("[data-chart=chart-endpoints] h3")).to_have_text("Latency p99")
        page.set_viewport_size({"width": 390, "height": 844})
        assert overflow_px(page) == 0
        shoot_part(page, "#time", f"no-library-{how.replace(' ', '-')}")


# How far below the top of the window the heading of a section is, and how far below it what sticks there ends.
PLACE = """id => {
  document.querySelector(`#nav a[href="#${id}"]`).click();
  const bottom = document.querySelector(".top").getBoundingClientRect().bottom;
  return [document.getElementById(`${id}-title`).getBoundingClientRect().top, bottom];
}"""


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_without_the_library_each_section_is_a_click_away(
    chromium: Browser, url: str, tmp_path: Path, width: int, height: int
) -> None:
    text = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
    path = tmp_path / "plain.html"
    path.write_text(text.replace(packed_text(text, "library"), ""), encoding="utf-8")
    expected = ("The chart library in this page cannot be opened",)
    with open_page(chromium, path.as_uri(), width=width, height=height, expected=expected) as page:
        shoot(page, f"plain-{width}", whole=False)
        assert overflow_px(page) == 0
        links = page.locator("#nav a")
        ids = [str(link.get_attribute("href")).removeprefix("#") for link in links.all()]
        assert {"numbers", "time", "endpoints", "errors", "environment"} <= {*ids}
        for link in links.all():
            box = link.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= height / 4
        for name in ids[:-2]:
            # The last ones are too near the end of the page to be scrolled to its top.
            top, bottom = page.evaluate(PLACE, name)
            assert bottom <= top < height / 2, name
        shoot_part(page, "#time", f"plain-time-{width}")
        # A chart has no picture, and takes no room for one.
        charts, section = page.locator("#time .chart").count(), page.locator("#time").bounding_box()
        assert section is not None
        assert section["height"] < charts * (90 if width == 1280 else 230)


def test_a_file_with_damaged_data_says_so(chromium: Browser, url: str, tmp_path: Path) -> None:
    text = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
    data = packed_text(text, "data")
    path = tmp_path / "broken.html"
    path.write_text(text.replace(data, data[:-1100]), encoding="utf-8")
    with open_page(chromium, path.as_uri(), expected=("it breaks off", "Error")) as page:
        expect(page.locator("main")).to_contain_text("This file is damaged")
        expect(page.locator("main")).to_contain_text("fastload report")
