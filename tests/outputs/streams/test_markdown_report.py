"""The report in Markdown: what it says, and that what others said stays text."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from fastload.model.error_remedies import remedy_of
from fastload.model.errors import PlanError
from fastload.model.hooks import HookError
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs
from fastload.model.metrics import BUILTIN, Kind, MetricSpec, Series
from fastload.model.records import ErrorTable
from fastload.model.resources import ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable
from fastload.model.summary import Summary
from fastload.model.wire_text import one_line
from fastload.outputs.markdown_text import code, code_block, prose, table
from fastload.outputs.streams.markdown_report import MarkdownReport, render_markdown
from tests.model.capacity.made import SETTINGS, made_result, searched_run
from tests.outputs.samples import (
    SUMMARIES,
    USER_SPECS,
    add_requests,
    all_failed,
    closed_bench,
    fill,
    full_run,
    host_series,
    lost_worker,
    make_plan,
    make_snapshot,
    open_bench,
    summarise,
    target_series,
)

# As GitHub does it, without the links that it makes of bare addresses.
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = [
    "<script>alert(1)</script>",
    "a | b",
    r"back\slash \| and pipe",
    "`tick` and ``two``",
    "*bold* _it_ __b__ ~~gone~~ $x$",
    "[link](http://evil/) ![image](x)",
    "line\nbreak\r\n\ttab",
    "&lt; &#60; &amp",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    ":smile: 10:20:30",
    "\x1b[31mred",
    "",
    "`",
    "@octocat and @a/b",
]
WORKERS = tuple(ProcessSample(1.0, f"worker {n}", 40.0, 50_000_000, 2, 30, 1, 100.0, 0.001, True) for n in range(2))
texts = st.text(
    st.sampled_from("ab01@ \\`*_~|<>[]()!#&;:$-+=.\n") | st.characters(exclude_categories=["Cs"]), max_size=30
)


def cells(markdown: str) -> list[list[str]]:
    """The text of each cell of each row, as a browser shows it."""
    rows: list[list[str]] = []
    tokens = GITHUB.parse(markdown)
    for token, inside in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open") and inside is not None:
            rows[-1].append(shown(inside))
    return rows


def shown(inline: Token) -> str:
    """The text of *inline*; nothing in it may be more than text and code, but for the comment in a mention."""
    children = [child for child in inline.children or [] if child.content != "<!-- -->"]
    assert {child.type for child in children} <= {"text", "text_special", "code_inline"}, children
    return "".join(child.content for child in children)


def report(summary: Summary) -> str:
    header = RunHeader(summary.plan.to_dict(), "2026-11-21T13:00:00Z", "abc", specs=BUILTIN | USER_SPECS)
    return render_markdown(header, summary.to_dict())


def section(markdown: str, title: str) -> str:
    found = re.search(rf"^## {title}\n\n(.*?)(?=\n## |\Z)", markdown, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("escape", [prose, code])
def test_known_tricks_stay_text(text: str, escape: Any) -> None:
    assert cells(table(("a", "b"), [[escape(text), "end"]]))[1] == [one_line(text) or "-" * (escape is code), "end"]


@given(texts)
def test_any_text_stays_text_in_a_cell(text: str) -> None:
    plain = one_line(text)
    assert cells(table(("a", "b", "c"), [[prose(text), code(text), "end"]]))[1] == [plain, plain or "-", "end"]


@given(texts)
def test_any_text_stays_text_in_a_paragraph_and_a_list(text: str) -> None:
    plain = one_line(text)
    if not plain:
        return
    opened, inline, closed = GITHUB.parse(prose(text))
    assert (opened.type, shown(inline), closed.type) == ("paragraph_open", plain, "paragraph_close")
    kinds = [token.type for token in GITHUB.parse(f"- {prose(text)}\n- b")]
    assert kinds.count("list_item_open") == 2
    assert kinds.count("inline") == 2


@given(texts)
def test_any_text_stays_in_its_code_block(text: str) -> None:
    (fence,) = GITHUB.parse(code_block(text))
    assert fence.type == "fence"
    assert len(fence.content.splitlines()) == len(text.splitlines() or [""])


def test_long_messages_are_cut() -> None:
    assert code("x" * 500) == f"`{'x' * 199}…`"


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_table_is_one(name: str) -> None:
    markdown = report(SUMMARIES[name]())
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    assert markdown.count("\n| :---") + markdown.count("\n| ---:") == len(tables)
    for one in tables:
        assert len({len(row) for row in cells(one)}) == 1
    assert "<" not in html.unescape(re.sub(r"`[^`]*`", "", markdown)).replace("\\<", "")


def test_the_numbers_are_those_of_the_summary() -> None:
    summary = full_run()
    markdown = report(summary)
    assert markdown.startswith(
        "# shop.py\n\n❌ **Failed**: 4 of 7 thresholds failed\n\n**VALID**: the numbers can be trusted\n"
    )
    titles, figures = cells(markdown.split("\n\n")[4])
    assert dict(zip(titles, figures, strict=True)) == {
        "Requests": "10,002", "per second": "1,000/s", "failed": "0.12%", "p50": "2.00ms", "p95": "9.15ms",
        "p99": "9.49ms", "p99.9": "9.59ms", "VUs": "50", "iterations": "3,000", "measured": "10s",
    }  # fmt: skip
    assert cells(section(markdown, "Thresholds"))[1] == ["✗", "http_req_duration", "p(95)<5", "p(95)=9.15ms"]
    assert cells(section(markdown, "Checks"))[1] == ["✗", "status is 200", "default", "9,990", "10", "99.90%"]
    assert cells(section(markdown, "Requests"))[2] == [
        "GET /orders/{id}", "4,000", "10", "2.15ms", "2.54ms", "2.59ms", "6.79ms", "200 (3,990), 500 (10)"
    ]  # fmt: skip
    assert cells(section(markdown, "Errors"))[1] == [
        "http_500", "GET /orders/{id} answered 500", remedy_of("http_500"), "10"
    ]  # fmt: skip
    assert ["batch_size (rows)", "200", "1", "200", "380", "396", "399", "399", "399"] in cells(
        section(markdown, "Trends")
    )
    assert ["orders", "4,321, 432/s"] in cells(section(markdown, "Counters, rates and gauges"))
    assert "KeyError: 7" in section(markdown, "Exceptions")
    assert cells(section(markdown, "Resources"))[-1][0] == "target nginx"
    assert ["Load of default", "50 VUs for 10s"] in cells(section(markdown, "Plan and environment"))


def test_further_limits_are_items_below_the_first() -> None:
    summary = full_run()
    given = replace(summary, verdict=replace(summary.verdict, further_limits=("its *disk* was busy.",)))
    items = [line for line in report(given).splitlines() if line.startswith("- ")]
    assert items[items.index(f"- {summary.verdict.limit}") + 1] == "- its \\*disk\\* was busy."


def test_sections_without_content_are_left_out() -> None:
    titles = re.findall(r"^## (.*)$", report(closed_bench()), re.MULTILINE)
    assert titles == ["Requests", "Trends", "Counters, rates and gauges", "Resources", "Plan and environment"]


def test_why_a_run_failed_or_ended_early_is_said_first() -> None:
    def first(summary: Summary) -> str:
        return report(summary).split("\n\n")[1]

    holds = (ThresholdResult("http_reqs", "count>1", True, 100.0),)
    assert first(closed_bench()) == "**Finished**"
    assert first(replace(closed_bench(), thresholds=holds)) == "✅ **Passed**"
    assert first(replace(closed_bench(), stopped_by="control")) == "**Stopped**: stopped after 10s by control"
    stopped = replace(closed_bench(), stopped_by="control", thresholds=holds)
    assert first(stopped) == "✅ **Passed**: stopped after 10s by control"
    silent = replace(closed_bench(), stopped_by="no-answer", stop_reason="nothing answered")
    assert first(silent).endswith("ended after 10s: nothing answered")
    assert first(lost_worker()) == "❌ **Failed**: 1 worker lost; stopped after 10s by interrupt"
    assert first(replace(closed_bench(), stopped_by="unknown")) == "⚠️ **Incomplete**: it broke off after 10s"
    assert first(replace(closed_bench(), stopped_by="abort", stop_reason="no *luck*")) == (
        r"❌ **Failed**: stopped after 10s by abort (no \*luck\*)"
    )
    broken = replace(closed_bench(), hook_errors=(HookError("setup", "Traceback\nValueError: x"),))
    assert first(broken) == "❌ **Failed**: in setup"
    assert "ValueError: x" in section(report(broken), "Failed around the load")
    assert first(all_failed()) == "❌ **Failed**: 1 of 1 threshold failed"


def headline(markdown: str) -> dict[str, str]:
    table_of = next(part for part in markdown.split("\n\n") if part.startswith("| ") and "iterations" in part)
    return dict(zip(*cells(table_of), strict=True))


def test_websockets_lead_where_there_is_nothing_else() -> None:
    table = SeriesTable()
    fill(table, "ws_connecting", [900, 1000, 4000])
    table.counter(Series("ws_sessions")).value = 3
    table.counter(Series("ws_msgs_received")).value = 40
    table.rate(Series("ws_failed")).total = 3
    markdown = report(summarise(table, make_plan(ConstantArrivalRate(3.0, 10.0, 5))))
    figures = headline(markdown)
    assert list(figures)[:3] == ["WebSockets", "per second", "failed"]
    assert (figures["WebSockets"], figures["messages"], figures["p50"]) == ("3", "40", "1.00ms")
    assert "Percentiles are those of `ws_connecting`." in markdown


def test_without_a_latency_there_are_no_percentiles() -> None:
    markdown = report(summarise(SeriesTable(), make_plan(ConstantVUs(1, 10.0))))
    assert "p50" not in headline(markdown)
    assert "Percentiles" not in markdown


def test_percentiles_of_few_requests_say_of_how_many() -> None:
    table = SeriesTable()
    add_requests(table, [2000] * 280)
    fill(table, "http_req_response_time", [2040] * 40)
    markdown = report(summarise(table, make_plan(ConstantArrivalRate(4.0, 10.0, 5))))
    assert "Percentiles are those of `http_req_response_time` (40 of 280 requests: those with a due time)." in markdown


def test_what_was_never_sampled_is_not_zero() -> None:
    summary = full_run()
    worker = replace(summary.workers[0], cpu_percent=(), rss_bytes=0)
    rows = cells(section(report(replace(summary, workers=(worker,))), "Resources"))
    assert rows[1][1:4] == ["-", "-", "-"]
    assert rows[1][4].startswith("not sampled, stall")


def test_long_tables_and_lists_are_cut() -> None:
    errors = ErrorTable({f"kind_{number}": (1, "") for number in range(130)})
    markdown = report(replace(full_run(), errors=errors, exceptions=errors))
    assert len(cells(section(markdown, "Errors"))) == 101
    assert "… and 30 more" in section(markdown, "Errors")
    assert "… and 125 more" in section(markdown, "Exceptions")


def test_what_scripts_and_servers_say_cannot_be_markdown() -> None:
    nasty = "<img src=x onerror=alert(1)> | **b** `c` [d](e)"
    summary = full_run()
    plan = replace(summary.plan, title=nasty)
    check = replace(summary.checks[0], name=nasty)
    endpoint = replace(summary.endpoints[0], name=nasty)
    errors = ErrorTable({nasty: (1, nasty)})
    markdown = report(
        replace(summary, plan=plan, checks=(check,), endpoints=(endpoint,), errors=errors, notes=(nasty,))
    )
    tokens = GITHUB.parse(markdown)
    for token in tokens:
        assert token.type != "html_block"
        kinds = {child.type for child in token.children or ()}
        assert not kinds & {"html_inline", "link_open", "image", "em_open"}, token.content
    assert cells(section(markdown, "Checks"))[1][1] == nasty
    assert cells(section(markdown, "Errors"))[1][:2] == [nasty, nasty]


def test_the_file_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    summary = full_run()
    header = RunHeader(summary.plan.to_dict(), "2026-11-21T13:00:00Z", "abc", specs=BUILTIN | USER_SPECS)
    sink = MarkdownReport(str(path))
    sink.check()
    sink.open(header)
    sink.write(replace(make_snapshot(2.0), t_s=2.0))
    assert not path.exists()
    sink.close(summary.to_dict())
    assert path.read_text() == report(summary)


def test_a_run_that_broke_off_has_a_report_of_its_seconds(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    sink = MarkdownReport(str(path))
    sink.open(RunHeader(full_run().plan.to_dict(), "2026-11-21T13:00:00Z", "abc", specs=BUILTIN))
    last = replace(make_snapshot(2.0), t_s=2.0, host=host_series().samples[0], workers=WORKERS, lag_max_ms=(0.1, 0.2))
    sink.write(last)
    sink.close(None)
    text = path.read_text()
    assert "it broke off after 2s" in text
    # Its resources are there too, although only their means are kept.
    assert [row[0] for row in cells(section(text, "Resources"))[1:]] == [
        "worker 0",
        "worker 1",
        "host",
        "target nginx",
    ]


def test_a_report_needs_a_file_that_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="--out md has no file"):
        MarkdownReport("")
    with pytest.raises(PlanError, match="has no directory to be in"):
        MarkdownReport(str(tmp_path / "no" / "report.md")).check()


def test_one_thread_is_not_several() -> None:
    target = target_series()
    one = replace(target, samples=tuple(replace(sample, threads=1) for sample in target.samples))
    assert "| 1 thread |" in report(replace(full_run(), target=one))
    assert "| 2 threads |" in report(replace(full_run(), target=target))


def test_the_unit_of_a_metric_stays_text() -> None:
    evil = "a|b `c` <img src=x> [d](e)\n@octocat"
    specs = {name: MetricSpec(name, kind, evil) for name, kind in (("size", Kind.TREND), ("sum", Kind.COUNTER))}
    table = SeriesTable()
    table.trend(Series("size"), specs["size"].highest).record(7000)
    table.counter(Series("sum")).value = 3
    summary = summarise(table, make_plan(ConstantVUs(1, 10.0)), specs=BUILTIN | specs)
    header = RunHeader(summary.plan.to_dict(), "2026-11-21T13:00:00Z", "abc", specs=BUILTIN | specs)
    markdown = render_markdown(header, summary.to_dict())
    shown_unit = f"({one_line(evil)})"
    assert cells(section(markdown, "Trends"))[1][0] == f"size {shown_unit}"
    assert cells(section(markdown, "Counters, rates and gauges"))[-1] == [f"sum {shown_unit}", "3, 0.3/s"]


def test_a_mention_reaches_nobody() -> None:
    assert prose("ask @octocat, not a@b.c") == "ask @<!-- -->octocat, not a@b.c"


def test_a_search_has_the_capacity_first_and_its_steps_instead_of_figures_of_all_of_them() -> None:
    run = replace(searched_run(), thresholds=())
    text = report(run)
    lead, answer = text.split("\n\n")[1:3]
    assert lead == "**Capacity: 381/s within the objectives, and less than 398/s**"
    assert answer.splitlines()[-1] == "- ✓ at least 300/s asked for: shown"
    rows = text.partition("## Steps of the search")[2].partition("##")[0].strip().splitlines()
    assert len(rows) == 2 + 13
    assert rows[2].startswith(
        "| ✓ | 10/s | 10 | 20.3ms | 21.2ms | 22.1ms | 0.00% | 0.6 | 5% | 5.11ms | CPU of the target"
    )
    assert rows[-1].endswith("| p(95) 1.43s, not p(95)\\<60 |")
    for mixed in ("Percentiles are those", "## Requests", "## Trends", "## Counters"):
        assert mixed not in text
        assert mixed in report(open_bench()) or mixed == "## Counters"
    assert "**Passed**" in text


def test_a_capacity_that_is_not_shown_is_why_it_failed() -> None:
    text = report(searched_run(made_result(settings=replace(SETTINGS, at_least=400.0))))
    assert "❌ **Failed**: the capacity that was asked for is not shown\n" in text
    assert "- ✗ at least 400/s asked for: not shown" in text


def test_a_search_that_was_killed_has_no_figures_over_all_steps() -> None:
    text = report(replace(searched_run(), capacity=None))
    assert text.split("\n\n")[1] == "**Capacity: not known: the data end before the search did**"
    assert "Percentiles are those" not in text
    assert "## Trends" not in text
