"""The cost per request, as people read it: in the text, in the Markdown and on the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from playwright.sync_api import Browser

from fastload.model.cost.target_cost import CostEstimate, EndpointCost, TargetCost
from fastload.outputs.cost_words import cost_note, cost_sentences, cost_title, cost_words
from fastload.outputs.streams.markdown_report import render_markdown
from fastload.outputs.terminal.report import summary_text
from tests.browser import chromium as chromium
from tests.browser import open_page
from tests.outputs.page.made_reports import write
from tests.outputs.page.shown_page import cells
from tests.outputs.samples import full_run
from tests.outputs.seconds import NASTY, made_run

COST = TargetCost(
    noun="request",
    seconds=9.25,
    count=2_700.4,
    cpu_ms=CostEstimate(3.481, 3.042, 3.929),
    context_switches=4.0161,
    disk_read_bytes=0.0,
    disk_written_bytes=4_321.0,
    sent_bytes=83.0,
    received_bytes=1_240.0,
    endpoints=(
        EndpointCost("request", "GET", NASTY, 1000.0, 0.75, CostEstimate(6.62, 6.11, 7.14)),
        EndpointCost("request", "POST", "/a", 1700.0, 0.2, CostEstimate(0.95, 0.4, 1.5)),
        EndpointCost("message", "", "", 9.0, 0.05, CostEstimate(0.0, 0.0, 0.02)),
    ),
)
REFUSED = replace(COST, endpoints=(), refusal="7 seconds can be used, and 2 endpoints need 10")


def test_the_sentences() -> None:
    assert cost_title(COST) == "Cost per request"
    assert cost_note(COST) == "of the target, over 9s with 2,700 requests"
    assert cost_sentences(COST) == [
        "CPU 3.48ms (3.04ms to 3.93ms)",
        "one core carries at most 287 requests/s of this mix (255 to 329)",
        "4.02 context switches; disk 0 B read, 4.32 kB written; network 83 B sent to it, 1.24 kB received from it",
    ]
    assert cost_sentences(REFUSED)[-1] == "no estimate by endpoint: 7 seconds can be used, and 2 endpoints need 10"


def test_what_is_not_known_is_left_out() -> None:
    few = replace(
        COST, noun="message", count=1.0, cpu_ms=CostEstimate(2.0), disk_read_bytes=None, disk_written_bytes=None
    )
    assert cost_title(few) == "Cost per WebSocket message"
    assert cost_note(few) == "of the target, over 9s with 1 WebSocket message"
    assert cost_sentences(few)[:2] == ["CPU 2.00ms", "one core carries at most 500 WebSocket messages/s of this mix"]
    assert "disk not known" in cost_sentences(few)[2]
    idle = replace(COST, cpu_ms=CostEstimate(0.0, 0.0, 0.0))
    assert [text.split()[0] for text in cost_sentences(idle)] == ["CPU", "4.02"]
    assert "(255 or more)" in cost_sentences(replace(COST, cpu_ms=CostEstimate(3.481, 0.0, 3.929)))[1]


def test_the_text_and_the_markdown_have_it() -> None:
    summary = replace(full_run(), cost=COST)
    text = summary_text(summary)
    assert "COST PER REQUEST  of the target, over 9s with 2,700 requests" in text
    section = text.partition("COST PER REQUEST")[2].partition("LIMIT")[0]
    assert section.count("\n") > 6
    assert [line.split() for line in section.splitlines() if line.startswith("  POST")] == [
        ["POST", "/a", "950µs", "400µs", "to", "1.50ms", "20.00%"]
    ]
    assert "  WebSocket messages" in section
    assert "COST" not in summary_text(replace(summary, cost=None))
    made = made_run(seconds=3, changes={"cost": COST})
    markdown = render_markdown(made.header, made.summary)
    section = markdown.partition("## Cost per request")[2].partition("##")[0]
    assert "- one core carries at most 287 requests/s of this mix (255 to 329)" in section
    assert "| `POST /a` | 950µs | 400µs to 1.50ms | 20.00% |" in section


def test_the_page_has_it(chromium: Browser, tmp_path: Any) -> None:
    made = made_run(seconds=5, changes={"cost": COST})
    with open_page(chromium, write(made, tmp_path / "with.html")) as page:
        assert page.inner_text("#cost h2") == "Cost per request"
        assert page.eval_on_selector_all("#cost li", "all => all.map(one => one.textContent)") == [
            cost_note(COST),
            *cost_sentences(COST),
        ]
        assert [row[0] for row in cells(page, "cost")] == [f"GET {NASTY}", "POST /a", "WebSocket messages"]
        page.locator("#cost-table th button", has_text="CPU").first.click()
        page.locator("#cost-table th button", has_text="CPU").first.click()
        assert [row[1] for row in cells(page, "cost")] == ["0s", "950µs", "6.62ms"]
    with open_page(chromium, write(made_run(seconds=5), tmp_path / "without.html")) as page:
        assert page.locator("#cost").is_hidden()


def test_all_of_it_as_plain_data() -> None:
    words = cost_words(REFUSED)
    assert words["sentences"] == cost_sentences(REFUSED)
    assert words["rows"] == []
