"""The text of the end of a run."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from fastload.model.error_remedies import remedy_of
from fastload.model.errors import OutputError
from fastload.model.hooks import HookError
from fastload.model.judging.evidence import WorkerEvidence
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.load_changes import LoadChange
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs
from fastload.model.metrics import BUILTIN, Series
from fastload.model.plan import ScenarioPlan
from fastload.model.records import ErrorTable
from fastload.model.series import SeriesTable
from fastload.model.summary import Summary
from fastload.outputs.terminal.console import open_console
from fastload.outputs.terminal.report import SummaryReport
from tests.outputs.samples import (
    SUMMARIES,
    USER_SPECS,
    add_calls,
    add_requests,
    all_failed,
    closed_bench,
    durations,
    fill,
    full_run,
    lost_worker,
    make_plan,
    open_bench,
    steady_workers,
    summarise,
    target_series,
)
from tests.outputs.terminal.consoles import memory_console


def render(summary: Summary, width: int = 80) -> str:
    console, stream = memory_console(width)
    SummaryReport(console).stop(summary)
    return stream.getvalue()


def section(text: str, title: str) -> list[str]:
    """The lines from the one that begins with *title* to the next empty one."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    end = next((number for number in range(start, len(lines)) if not lines[number]), len(lines))
    return lines[start:end]


CLOSED_BENCH = """\

VALID  the numbers below can be trusted
  • the generator kept up: worker CPU at most 48%, own delay p99 900µs beside a
    reported p99 of 1.39ms

RUN  GET http://127.0.0.1:8080/, 64 VUs for 10s, 2 workers

METRICS                    avg     min     med     p90     p95     p99     max
▸ http_req_duration     1.04ms   800µs   949µs  1.28ms  1.34ms  1.39ms  5.59ms
  http_req_sending      7.00µs  7.00µs  7.00µs  7.00µs  7.00µs  7.00µs  7.00µs
  http_req_waiting      1.02ms   780µs   929µs  1.26ms  1.32ms  1.37ms  5.57ms
  http_req_receiving    13.0µs  13.0µs  13.0µs  13.0µs  13.0µs  13.0µs  13.0µs
  iteration_duration    1.07ms   830µs   979µs  1.31ms  1.37ms  1.42ms  5.62ms

  http_req_failed         0.00%            0 out of 20,000
  http_reqs              20,000   2,000/s
  iterations             20,000   2,000/s
  data_sent             1.22 MB  122 kB/s
  data_received         3.60 MB  360 kB/s
  vus                        64            min 64, max 64

LATENCIES of http_req_duration  requests   share
  up to 858µs                      6,272  31.36%  ■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  up to 917µs                      2,598  12.99%  ■■■■■■■■■■■■
  up to 976µs                      1,993   9.96%  ■■■■■■■■■■
  up to 1.03ms                     1,681   8.40%  ■■■■■■■■
  up to 1.09ms                     1,480   7.40%  ■■■■■■■
  up to 1.15ms                     1,317   6.59%  ■■■■■■
  up to 1.21ms                     1,233   6.17%  ■■■■■■
  up to 1.27ms                     1,147   5.73%  ■■■■■
  up to 1.33ms                     1,077   5.38%  ■■■■■
  up to 1.39ms                     1,003   5.01%  ■■■■■
  up to 5.59ms, the slowest          199   1.00%  ■

STATUSES              requests    share
  200                   20,000  100.00%  ■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■

RESOURCES           CPU mean   max   memory
  worker 0               46%   47%  48.0 MB  run delay 0.12%, stall 1.20ms
  worker 1               47%   48%  48.0 MB  run delay 0.12%, stall 1.20ms
  host, 2 CPUs           80%   80%  3.10 GB  of 8.20 GB
  network           sent 61.0 MB/s, received 61.0 MB/s (loopback)
  target nginx          100%  101%  12.3 MB  2 threads
  CPU: 100% is one core busy; for the host, all of its cores

LIMIT  The target was the limit: its CPUs were full (busiest worker 47% CPU,
       target 99%); make its work cheaper, or give it more CPUs.
"""


def test_a_closed_bench_reads_exactly_so() -> None:
    assert render(closed_bench()) == CLOSED_BENCH


def test_the_bars_of_a_bench_have_every_request() -> None:
    """Those of an open model count from when a request was due; requests without a response are in no latency."""
    for summary, metric in ((closed_bench(), "http_req_duration"), (open_bench(), "http_req_response_time")):
        title, *bars = section(render(summary, 100), "LATENCIES")
        assert title.split()[:3] == ["LATENCIES", "of", metric]
        counts = [int(found[1].replace(",", "")) for bar in bars if (found := re.search(r"  ([\d,]+) +[\d.]+%", bar))]
        assert len(counts) == len(bars) == 11
        assert sum(counts) == summary.metrics[metric].count
        # The last one has what is over the p99.
        assert counts[-1] <= 0.01 * sum(counts)
        longest = max(bars, key=lambda bar: bar.count("■"))
        assert bars.index(longest) == counts.index(max(counts))


def test_the_metric_of_the_bars_is_whole_in_80_columns() -> None:
    for summary, metric in ((closed_bench(), "http_req_duration"), (open_bench(), "http_req_response_time")):
        title, *bars = section(render(summary, 80), "LATENCIES")
        assert title.split()[2] == metric
        assert max(map(len, bars)) <= 80
        assert max(bar.count("■") for bar in bars) >= 10


def test_statuses_of_a_bench() -> None:
    bench = closed_bench()
    [endpoint] = bench.endpoints
    statuses = {"200": 700, "404": 250, "0": 50}
    shown = section(render(replace(bench, endpoints=(replace(endpoint, statuses=statuses),))), "STATUSES")
    assert [" ".join(line.split()[:-1]) for line in shown[1:]] == [
        "no response 50 5.00%",
        "200 700 70.00%",
        "404 250 25.00%",
    ]
    assert "STATUSES" not in render(full_run())
    assert "LATENCIES" not in render(full_run())


def test_equal_latencies_are_one_bar() -> None:
    view = closed_bench().metrics["http_req_sending"]
    bench = closed_bench()
    same = replace(bench, metrics={**bench.metrics, "http_req_duration": view})
    assert len(section(render(same), "LATENCIES")) == 2


@pytest.mark.parametrize("width", [40, 50])
@pytest.mark.parametrize("name", SUMMARIES)
def test_no_number_is_cut_in_a_narrow_terminal(name: str, width: int) -> None:
    """But in the messages of errors, which are prose."""
    tables = re.sub(r"^ERRORS.*\n( .*\n)*", "", render(SUMMARIES[name](), width), flags=re.MULTILINE)
    assert re.findall(r"^.*[\d.,%]…", tables, re.MULTILINE) == []
    head, *rows = section(tables, "METRICS")
    assert head.split()[:3] == ["METRICS", "med", "p95"]
    for row in rows:
        assert row.endswith(("no data", "no response")) or len(row.split()[-2:]) == 2


@pytest.mark.parametrize("width", [40, 50, 60, 80, 120])
@pytest.mark.parametrize("name", SUMMARIES)
def test_no_line_is_wider_than_the_terminal_or_ends_in_spaces(name: str, width: int) -> None:
    for line in render(SUMMARIES[name](), width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SUMMARIES)
def test_the_columns_of_the_trend_table_end_where_their_titles_end(name: str, width: int) -> None:
    head, *rows = section(render(SUMMARIES[name](), width), "METRICS")
    for row in rows:
        if not row.endswith(("no data", "no response")):
            assert [match.end() for match in re.finditer(r"\S+$|\S+(?=  )", row)][-3:] == [
                match.end() for match in re.finditer(r"\S+", head)
            ][-3:]


def test_sections_come_in_the_promised_order() -> None:
    summary = replace(lost_worker(), errors=full_run().errors, exceptions=full_run().exceptions)
    full = full_run()
    summary = replace(summary, thresholds=full.thresholds, checks=full.checks, metrics=full.metrics)
    summary = replace(summary, endpoints=full.endpoints)
    titles = re.findall(r"^([A-Z]{3,})", render(summary), flags=re.M)
    assert titles == [
        "SUSPECT", "RUN", "THRESHOLDS", "CHECKS", "METRICS", "LATENCIES", "STATUSES", "ENDPOINTS", "ERRORS",
        "EXCEPTIONS", "RESOURCES",
        "REQUESTS", "NOTE", "LIMIT",
    ]  # fmt: skip


def test_the_verdict_opens_with_all_reasons_and_the_remedy() -> None:
    lines = render(open_bench()).splitlines()
    assert lines[1] == "SUSPECT  read the reasons before you use the numbers"
    assert lines[2].startswith("  • starts were late: own delay p99 9.30ms beside a reported p99 of 1.4")
    assert next(line for line in lines if "→" in line).startswith("  → lower the rate, spread starts")


def test_the_limit_is_the_last_sentence() -> None:
    summary = closed_bench()
    text = " ".join(render(summary).split("LIMIT  ")[1].split())
    assert text == summary.verdict.limit


def test_further_limits_are_below_the_first() -> None:
    summary = closed_bench()
    further = ("the target: its accept queue was full 7 times; raise its backlog.", "this machine: [b]its[/b] disk.")
    text = render(replace(summary, verdict=replace(summary.verdict, further_limits=further)))
    assert [line[4:] for line in text.split("LIMIT  ")[1].splitlines() if line.startswith("  • ")] == list(further)
    assert "•" not in render(summary).split("LIMIT  ")[1]


def test_thresholds_are_grouped_by_metric_with_what_was_observed() -> None:
    assert section(render(full_run()), "THRESHOLDS") == [
        "THRESHOLDS  4 of 7 failed",
        "  http_req_duration",
        "  ✗ 'p(95)<5'     p(95)=9.15ms",
        "  ✗ 'p(99) < 1'   p(99)=9.49ms",
        "  http_req_failed",
        "  ✓ 'rate<0.01'   rate=0.12%",
        "  orders",
        "  ✓ 'count>4000'  count=4,321",
        "  ✗ 'rate>1000'   rate=432/s",
        "  reply_bytes",
        "  ✗ 'avg<1000'    no data",
        "  data_received",
        "  ✓ 'count>1000'  count=1.80 MB",
    ]


def test_thresholds_show_what_was_observed_in_its_unit_and_when_it_failed() -> None:
    def found(metric: str, text: str, observed: float | str | None, ok: bool, **more: Any) -> ThresholdResult:
        return ThresholdResult(metric, text, ok, observed, **more)

    kept = {
        "orders": [
            found("orders", "rate>1/s", 2.5, True, aggregate="rate", kind="counter"),
            found("orders", ">1", 1234.0, True, aggregate="count", kind="counter"),
        ],
        "data_sent{name:/a}": [
            found("data_sent{name:/a}", "rate>1kB/s", 512.0, False, aggregate="rate", kind="counter", unit="bytes"),
        ],
        "target_cpu": [
            found("target_cpu", "<90%", 98.76, False, aggregate="avg", kind="resource", unit="%"),
            found("target_cpu", "max<1500%", 1234.5, True, aggregate="max", kind="resource", unit="%"),
            found("target_cpu", "<90 optional", None, True, aggregate="avg", kind="resource", unit="%", optional=True),
        ],
        "target_memory": [
            found("target_memory", "<1GB for 2s", 2e9, False, aggregate="avg", kind="resource", unit="bytes", at_s=12.0)
        ],
        "target_fds": [found("target_fds", "<90", 71.25, True, aggregate="avg", kind="resource")],
        "loop_lag": [
            found("loop_lag", "max<1s over 5s", 1200.0, False, aggregate="max", kind="trend", unit="ms", at_s=5.43)
        ],
        "verdict": [found("verdict", "==VALID", "SUSPECT", False, kind="verdict")],
    }
    summary = replace(full_run(), thresholds=tuple(result for results in kept.values() for result in results))
    assert section(render(summary), "THRESHOLDS") == [
        "THRESHOLDS  5 of 10 failed",
        "  orders",
        "  ✓ 'rate>1/s'        rate=2.5/s",
        "  ✓ '>1'              count=1,234",
        "  data_sent{name:/a}",
        "  ✗ 'rate>1kB/s'      rate=512 B/s",
        "  target_cpu",
        "  ✗ '<90%'            avg=98.8%",
        "  ✓ 'max<1500%'       max=1234%",
        "  ✓ '<90 optional'    no data",
        "  target_memory",
        "  ✗ '<1GB for 2s'     avg=2.00 GB after 12s",
        "  target_fds",
        "  ✓ '<90'             avg=71.2",
        "  loop_lag",
        "  ✗ 'max<1s over 5s'  max=1.20s after 5.40s",
        "  verdict",
        "  ✗ '==VALID'         SUSPECT",
    ]


def test_checks_show_passes_fails_and_the_rate() -> None:
    assert section(render(full_run()), "CHECKS")[1:] == [
        "  ✗ status is 200            9,990      10   99.90%",
        "  ✓ body has an id           5,000       0  100.00%",
    ]


def test_user_metrics_are_shown_in_their_units() -> None:
    lines = render(full_run()).splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert found["ingest_duration"][0] == "5.00s"
    assert found["batch_size"] == ["(rows)", "200", "1", "200", "360", "380", "396", "399"]
    assert found["reply_bytes"] == ["no", "data"]
    assert found["orders"] == ["4,321", "432/s"]
    assert found["queue_depth"] == ["12", "min", "3,", "max", "12"]
    assert found["token_success"] == ["99.90%", "999", "out", "of", "1,000"]
    assert found["http_req_failed"] == ["0.12%", "12", "out", "of", "10,002"]


def test_an_open_run_has_the_three_clocks_together_and_the_response_time_first() -> None:
    text = render(open_bench())
    assert section(text, "LATENCY") == [
        "LATENCY                      p50     p99   p99.9",
        "▸ http_req_response_time   994µs  1.43ms  5.63ms  due to done: the headline",
        "  http_req_duration        949µs  1.39ms  5.59ms  sent to done",
        "  iteration_lateness      45.0µs  9.30ms  9.30ms  due to started",
    ]
    assert [line.split()[0] for line in section(text, "METRICS")[1:3]] == ["▸", "http_req_duration"]


def test_a_closed_run_has_the_duration_as_its_headline_and_no_response_time() -> None:
    text = render(closed_bench())
    assert "▸ http_req_duration" in text
    assert "http_req_response_time" not in text
    assert "LATENCY" not in text


def test_without_a_response_there_are_no_zeros() -> None:
    text = render(all_failed())
    assert "▸ http_req_duration     no response\n" in text
    assert "100.00%             500 out of 500" in text
    assert "http_req_waiting" not in text
    assert "✗ 'p(95)<500'  no data" in text


def test_connection_phases_are_shown_when_one_request_in_a_hundred_had_them() -> None:
    table = SeriesTable()
    add_requests(table, durations(1_000))
    kept = render(summarise(table, make_plan(ConstantVUs(1, 10.0))))
    fill(table, "http_req_connecting", [900] * 50)
    opened = render(summarise(table, make_plan(ConstantVUs(1, 10.0))))
    assert "http_req_connecting" not in kept
    assert "http_req_total" not in kept
    assert "http_req_connecting" in opened
    assert "http_req_total" in opened
    assert "http_req_tls_handshaking" not in opened


def test_a_run_without_requests_claims_nothing_about_them() -> None:
    table = SeriesTable()
    table.counter(Series("iterations")).value = 3
    text = render(summarise(table, make_plan(ConstantVUs(1, 10.0))))
    assert "http_req" not in text
    assert "METRICS\n" in text
    assert re.search(r"  iterations +3  0.3/s\n", text)


def test_endpoints_are_a_table_when_there_are_several() -> None:
    assert section(render(full_run()), "ENDPOINTS")[2:] == [
        "  GET /orders/{id}     4,000      10  2.15ms  2.54ms  2.59ms  200, 500 (10)",
        "  POST /login          1,002       2  9.15ms  9.54ms  9.59ms  200, none (2)",
    ]
    assert "ENDPOINTS" not in render(closed_bench())


def test_of_many_endpoints_twenty_are_shown() -> None:
    table = SeriesTable()
    for number in range(25):
        add_requests(
            table, [1_000] * (30 - number), name=f"/a/rather/long/path/that/has/to/be/cut/somewhere/{number:02d}"
        )
    rows = section(render(summarise(table, make_plan(ConstantVUs(1, 10.0)))), "ENDPOINTS")[1:]
    assert len(rows) == 21
    assert rows[20] == "  … and 5 more"
    assert re.match(r"  GET /a/.*….*/00 +30 ", rows[0])


def test_errors_have_counts_and_the_first_message_cut_to_the_width() -> None:
    rows = section(render(full_run()), "ERRORS")[1:]
    assert rows[0] == "  http_500            10  GET /orders/{id} answered 500"
    assert rows[1].startswith("  connect_refused      2  Failed to connect to 127.0.0.1")
    assert rows[1].endswith("…")
    assert "Could not connect to server" in render(full_run(), 120)
    wide = section(render(full_run(), 160), "ERRORS")
    assert wide[3:] == [f"  → {kind}: {remedy_of(kind)}" for kind in ("http_500", "connect_refused")]


def test_kinds_with_the_same_remedy_share_its_line() -> None:
    errors = ErrorTable({"judged: slow": (3, "slow"), "http_500": (2, "answered"), "judged: odd": (1, "odd")})
    errors.count("http_507")
    rows = section(render(replace(full_run(), errors=errors), 160), "ERRORS")
    assert rows[5:] == [f"  → judged: {remedy_of('judged')}", f"  → http_500, http_507: {remedy_of('http_500')}"]


def test_exceptions_show_the_first_traceback_indented() -> None:
    assert section(render(full_run()), "EXCEPTIONS") == [
        "EXCEPTIONS  iterations that raised",
        "  KeyError  12 times",
        "    Traceback (most recent call last):",
        '      File "shop.py", line 12, in main',
        '        reply.json()["id"]',
        "    KeyError: 7",
    ]


def test_a_long_traceback_keeps_its_ends() -> None:
    trace = "\n".join(["Traceback:", *(f"  line {number}" for number in range(60)), "KeyError: 7"])
    summary = replace(closed_bench(), exceptions=ErrorTable({"KeyError": (1, trace)}))
    lines = section(render(summary), "EXCEPTIONS")
    assert lines[1] == "  KeyError  1 time"
    assert lines[2] == "    Traceback:"
    assert "    … 42 lines left out" in lines
    assert lines[-1] == "    KeyError: 7"
    assert len(lines) == 2 + 21


def test_exceptions_with_long_messages_take_few_lines() -> None:
    text = 'Traceback (most recent call last):\n  File "shop.py", line 12, in main\nValueError: ' + "word " * 1_000
    many = "\n".join([text] * 20)
    kinds = {f"Error{number}": (1, text) for number in range(4)} | {"Error4": (1, many)}
    lines = section(render(replace(closed_bench(), exceptions=ErrorTable(kinds))), "EXCEPTIONS")
    assert len(lines) <= 1 + 4 * (1 + 2 + 4) + 1 + 21
    assert lines.count("    … the rest is in the reports of --html, --out md and --out json") >= 5
    assert lines[4].startswith("    ValueError: word word")


def test_a_hook_with_a_long_message_takes_few_lines() -> None:
    error = HookError("setup", "Traceback:\nValueError: " + "word " * 1_000)
    text = render(replace(closed_bench(), hook_errors=(error,)))
    assert "FAILED  setup: ValueError: word" in text
    assert text.count("word ") < 100
    assert "… the rest is in the reports" in text


def test_every_iteration_raised_is_said() -> None:
    table = SeriesTable()
    table.counter(Series("iterations_failed")).value = 5
    summary = summarise(table, make_plan(ConstantVUs(1, 10.0)), exceptions=ErrorTable({"ValueError": (5, "boom")}))
    assert "every iteration raised" in render(summary)


def test_a_lost_worker_an_interrupt_and_the_accounting_are_told() -> None:
    text = " ".join(render(lost_worker()).split())
    assert "worker 1 40% 40% 47.0 MB lost" in text
    assert "✗ interrupted after 10s" in text
    assert "21,596 started = 19,990 finished + 10 failed + 64 interrupted at the end + 1,500 during warm-up" in text
    assert "+ 32 in flight in a lost worker" in text
    assert "NOTE 3 values of ingest_duration" in text
    assert "REQUESTS" not in render(closed_bench())


def test_many_workers_are_one_row_and_the_lost_ones() -> None:
    workers = (*steady_workers(16), WorkerEvidence(16, lost=True))
    rows = section(render(replace(closed_bench(), workers=workers)), "RESOURCES")
    assert rows[1].startswith("  17 workers")
    assert "768 MB" in rows[1]
    assert rows[1].endswith("worst run delay 0.12%, stall 1.20ms")
    assert rows[2].split() == ["worker", "16", "-", "-", "-", "lost"]
    assert rows[3].startswith("  host")


def test_a_target_that_died_or_was_not_sampled_is_told() -> None:
    gone = target_series(alive=False)
    assert "was gone at the end" in render(replace(closed_bench(), target=gone))
    back = replace(gone, samples=(*gone.samples, *(replace(one, t_s=one.t_s + 2, alive=True) for one in gone.samples)))
    assert "ran only from 2s to 4s" in render(replace(closed_bench(), target=back))
    assert re.search(r"target +- +- +- +not sampled", render(replace(closed_bench(), target=None)))


def test_state_and_marks_are_coloured_and_no_color_has_no_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = io.StringIO(), io.StringIO()
    SummaryReport(open_console(coloured, color=True, width=80)).stop(full_run())
    SummaryReport(open_console(plain, color=False, width=80)).stop(full_run())
    assert "\x1b[1;32mVALID" in coloured.getvalue()
    assert "\x1b[31m  ✗ status is 200" in coloured.getvalue()
    assert "\x1b" not in plain.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == plain.getvalue()


def test_an_ascii_stream_gets_aligned_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    SummaryReport(open_console(stream, width=80)).stop(full_run())
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "  x 'p(95)<5'     p(95)=9.15ms" in text
    assert [len(line) for line in text.splitlines()] == [len(line) for line in render(full_run()).splitlines()]


def test_what_comes_from_outside_cannot_control_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;title\x07 \udc80 two\nlines [bold]kept[/bold]"
    summary = replace(
        closed_bench(),
        errors=ErrorTable({evil: (1, evil)}),
        exceptions=ErrorTable({evil: (1, evil)}),
        notes=(evil,),
    )
    text = render(summary, 200)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "two lines [bold]kept[/bold]" in text
    text.encode("utf-8")


def test_a_full_disk_is_one_output_error_and_no_second_one_at_the_end() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        report = SummaryReport(open_console(full, width=80))
        with pytest.raises(OutputError, match="the summary could not be written: No space left"):
            report.stop(closed_bench())


def tagged_run() -> Summary:
    """Two scenarios with groups, checks of the same name, and series with tags."""
    table = SeriesTable()
    add_requests(table, durations(1_000), name="/a")
    for name, share in (("browse", 900), ("buy", 100)):
        values = durations(share)
        fill(table, "http_req_duration", values, scenario=name)
        table.counter(Series.of("http_reqs", scenario=name)).value = share
        failed = table.rate(Series.of("http_req_failed", scenario=name))
        failed.trues, failed.total = (3 if name == "buy" else 0), share
        table.counter(Series.of("iterations", scenario=name)).value = share // 10
        for series in (Series("checks"), Series.of("checks", check="ok", scenario=name)):
            table.rate(series).total += share
            table.rate(series).trues += share - (name == "buy")
    for group in ("shop::pay", "shop", "about"):
        fill(table, "group_duration", durations(50, 20_000), group=group)
        fill(table, "group_duration", durations(50, 20_000))
    fill(table, "http_req_duration", durations(10), group="shop")
    fill(table, "batch_size", [1_000, 2_000])
    fill(table, "batch_size", [2_000], kind="large")
    for region in range(25):
        table.counter(Series.of("orders", region=f"r{region:02}")).value = region
        table.counter(Series("orders")).value += region
    table.rate(Series.of("token_success", **{"strange\n": "\x1b[1m"})).total = 1
    scenarios = tuple(ScenarioPlan(name, ConstantVUs(5, 10.0), work=None) for name in ("browse", "buy"))
    plan = make_plan(ConstantVUs(5, 10.0), kind="run", title="shop.py", scenarios=scenarios)
    return summarise(table, plan, specs=BUILTIN | USER_SPECS)


def test_series_with_tags_stand_under_their_metric() -> None:
    lines = section(render(tagged_run(), 100), "METRICS")
    place = [line.split()[0] for line in lines].index("▸")
    assert lines[place + 1].startswith("    { group:shop }")
    assert not [line for line in lines if "scenario:" in line]
    rows = [line.split() for line in lines]
    batch = next(number for number, row in enumerate(rows) if row[0] == "batch_size")
    assert rows[batch + 1][:4] == ["{", "kind:large", "}", "2"]
    text = render(tagged_run(), 100).splitlines()
    orders = next(number for number, line in enumerate(text) if line.startswith("  orders"))
    assert text[orders + 1].split() == ["{", "region:r00", "}", "0", "0/s"]
    assert text[orders + 21].strip() == "… and 5 more"
    assert any("{ strange :?[1m }" in line for line in text)


def test_scenarios_are_compared_when_there_are_several() -> None:
    lines = section(render(tagged_run()), "SCENARIOS")
    assert [line.split()[:4] for line in lines] == [
        ["SCENARIOS", "iterations", "requests", "failed"],
        ["browse", "90", "900", "0"],
        ["buy", "10", "100", "3"],
    ]
    assert "SCENARIOS" not in render(full_run())


def test_groups_are_a_table() -> None:
    lines = section(render(tagged_run()), "GROUPS")
    assert lines[0].split() == ["GROUPS", "count", "avg", "med", "p95", "p99", "max"]
    assert [line.split()[:2] for line in lines[1:]] == [["shop", "50"], ["shop::pay", "50"], ["about", "50"]]
    assert "GROUPS" not in render(full_run())


def test_checks_say_their_scenario_when_there_are_several() -> None:
    assert section(render(tagged_run()), "CHECKS") == [
        "CHECKS                      scenario  passed  failed     rate",
        "  ✓ ok                      browse       900       0  100.00%",
        "  ✗ ok                      buy           99       1   99.00%",
    ]


def test_changes_of_the_load_have_their_time_apart() -> None:
    changes = [LoadChange(t_s, "shop", 5, 10, "starts/s", "the keyboard") for t_s in (0.0, 5.0)]
    text = render(replace(full_run(), load_changes=tuple(changes)))
    assert "  ↕ before the measured part, shop: 5 → 10 starts/s, by the keyboard\n" in text
    assert "  ↕ at 5s, shop: 5 → 10 starts/s, by the keyboard\n" in text


def test_long_names_that_begin_alike_can_be_told_apart() -> None:
    """Two checks, one passed and one failed, were the same text; so were two series with tags."""
    table = SeriesTable()
    begin = "the positions of the order that was made before are"
    for number, end in enumerate(("all there", "in their order")):
        passed = table.rate(Series.of("checks", check=f"{begin} {end}", scenario="shop"))
        passed.total, passed.trues = 10, 10 - number
        table.counter(Series.of("orders", name=f"/api/v1/customers/{{id}}/orders/{'and-more/' * 5}{end}")).value = 1
        table.counter(Series("orders")).value += 1
    text = render(summarise(table, make_plan(ConstantVUs(5, 10.0), kind="run"), specs=BUILTIN | USER_SPECS))
    cut = [line for line in text.splitlines() if "…" in line]
    assert len(cut) == 4, text
    assert len({re.sub(r"[✓✗]|  +.*", "", line.strip(" ✓✗")) for line in cut}) == 4


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_run_with_tags_fits_the_terminal(width: int) -> None:
    for line in render(tagged_run(), width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


def test_calls_have_a_table_and_come_first_when_there_are_no_requests() -> None:
    table = SeriesTable()
    add_calls(table, "redis.get", [1_000, 2_000, 3_000])
    add_calls(table, "redis.set", [5_000] * 4, raised=2)
    text = render(summarise(table, make_plan(ConstantVUs(1, 10.0))))
    assert section(text, "CALLS") == [
        "CALLS        calls  failed     avg     med     p95     p99     max",
        "  redis.set      6       2  5.00ms  5.00ms  5.00ms  5.00ms  5.00ms",
        "  redis.get      3       0  2.00ms  2.00ms  3.00ms  3.00ms  3.00ms",
    ]
    assert re.search(r"^▸ call_duration +3.71ms", text, re.M)
    assert re.search(r"^  call_failed +22.22% +2 out of 9", text, re.M)
    assert "http_req" not in text
    add_requests(table, [1_000] * 10)
    assert re.search(r"^▸ http_req_duration", render(summarise(table, make_plan(ConstantVUs(1, 10.0)))), re.M)
    open_text = render(summarise(table, make_plan(ConstantArrivalRate(10.0, 10.0, 10))))
    assert "http_req_response_time" in open_text


def test_of_websockets_alone_the_time_to_open_one_comes_first() -> None:
    table = SeriesTable()
    for took_us in (1_000, 2_000, 3_000):
        table.trend(Series("ws_connecting")).record(took_us)
        table.trend(Series("iteration_lateness")).record(100)
    text = render(summarise(table, make_plan(ConstantArrivalRate(10.0, 10.0, 10))))
    assert section(text, "LATENCY")[1:] == [
        "▸ ws_connecting         2.00ms  3.00ms  3.00ms  begun to opened",
        "  iteration_lateness     100µs   100µs   100µs  due to started",
    ]
    assert section(text, "METRICS")[1].startswith("▸ ws_connecting")
    assert "http_req" not in text


@pytest.mark.parametrize(
    ("statuses", "rows"),
    [
        ({"200": 50}, []),
        ({"301": 50}, ["{ status:301 } 50 100.00% Moved Permanently, not followed"]),
        ({"200": 30, "404": 15, "0": 5, "599": 50}, [
            "{ status:599 } 50 50.00%",
            "{ status:200 } 30 30.00% OK",
            "{ status:404 } 15 15.00% Not Found",
            "{ status:0 } 5 5.00% no response",
        ]),
        ({"201": 50}, ["{ status:201 } 50 100.00% Created"]),
    ],
)  # fmt: skip
def test_statuses_are_listed_unless_all_are_200(statuses: dict[str, int], rows: list[str]) -> None:
    table = SeriesTable()
    add_requests(table, durations(50), statuses=statuses)
    text = render(summarise(table, make_plan(ConstantVUs(2, 5.0))), 120)
    assert [" ".join(line.split()) for line in text.splitlines() if "{ status:" in line] == rows
