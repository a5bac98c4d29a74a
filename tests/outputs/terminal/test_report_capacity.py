"""The capacity in the report of the terminal: the answer, and the steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Group

from fastload.model.capacity.result import CapacityResult
from fastload.model.capacity.search import Found
from fastload.outputs.terminal.layout import Legible
from fastload.outputs.terminal.report import summary_text
from fastload.outputs.terminal.report_capacity import render_capacity, render_steps
from tests.model.capacity.made import SETTINGS, made_result, searched_run
from tests.outputs.samples import open_bench
from tests.outputs.terminal.consoles import memory_console

AT_80 = """\
CAPACITY  381/s within the objectives, and less than 398/s
  • objectives: http_req_response_time: p(95)<60
  • at 398/s: p(95) 85.7ms, not p(95)<60
  • scalability: one request at a time 51.3/s, contention 0.00%, coherence
    0.0041 (R2 0.99); its peak is 415/s at 15.6 requests in flight; twice the
    cores give at most 2 times as much
  ✓ at least 300/s asked for: shown
STEPS      answered/s     p50     p95     p99  failed   VUs
  ✓ 10/s           10  20.3ms  21.2ms  22.1ms   0.00%   0.6  first
  ✓ 20/s           20  20.3ms  21.4ms  22.3ms   0.00%   0.8  double
  ✓ 40/s           40  20.4ms  22.0ms  24.0ms   0.00%   1.2  double
  ✓ 80/s           80  20.4ms  23.1ms  28.2ms   0.00%     2  double
  ✓ 160/s         160  20.6ms  26.8ms  34.9ms   0.00%   3.7  double
  ✓ 320/s         320  21.7ms  41.2ms  52.7ms   0.00%   7.5  double
  ✓ 381/s         381  24.4ms  55.1ms  71.0ms   0.00%  10.1  narrow
  ✓ 381/s         381  24.1ms  54.2ms  69.3ms   0.00%  10.1  confirmed
  ✗ 398/s         398  33.9ms  88.5ms  97.6ms   0.00%  12.2  p(95) 88.5ms, not…
  ✗ 398/s         398  32.8ms  85.7ms  96.0ms   0.00%  12.2  p(95) 85.7ms, not…
  ✗ 415/s         400  71.2ms   118ms   131ms   0.00%  13.3  p(95) 118ms, not p…
  ✗ 453/s         400   240ms   402ms   431ms   0.00%  16.4  p(95) 402ms, not p…
  ✗ 640/s         400   812ms   1.43s   1.52s   0.00%  21.4  p(95) 1.43s, not p…
"""
AT_160 = """\
CAPACITY  381/s within the objectives, and less than 398/s
  • objectives: http_req_response_time: p(95)<60
  • at 398/s: p(95) 85.7ms, not p(95)<60
  • scalability: one request at a time 51.3/s, contention 0.00%, coherence 0.0041 (R2 0.99); its \
peak is 415/s at 15.6 requests in flight; twice the cores give
    at most 2 times as much
  ✓ at least 300/s asked for: shown
STEPS      answered/s     p50     p95     p99  failed   VUs  target CPU  CPU/req
  ✓ 10/s           10  20.3ms  21.2ms  22.1ms   0.00%   0.6          5%   5.11ms  first
  ✓ 20/s           20  20.3ms  21.4ms  22.3ms   0.00%   0.8          6%   3.11ms  double
  ✓ 40/s           40  20.4ms  22.0ms  24.0ms   0.00%   1.2          8%   2.11ms  double
  ✓ 80/s           80  20.4ms  23.1ms  28.2ms   0.00%     2         13%   1.61ms  double
  ✓ 160/s         160  20.6ms  26.8ms  34.9ms   0.00%   3.7         22%   1.36ms  double
  ✓ 320/s         320  21.7ms  41.2ms  52.7ms   0.00%   7.5         40%   1.24ms  double
  ✓ 381/s         381  24.4ms  55.1ms  71.0ms   0.00%  10.1         46%   1.22ms  narrow
  ✓ 381/s         381  24.1ms  54.2ms  69.3ms   0.00%  10.1         46%   1.22ms  confirmed
  ✗ 398/s         398  33.9ms  88.5ms  97.6ms   0.00%  12.2         48%   1.21ms  p(95) 88.5ms, not p(95)<60
  ✗ 398/s         398  32.8ms  85.7ms  96.0ms   0.00%  12.2         48%   1.21ms  p(95) 85.7ms, not p(95)<60
  ✗ 415/s         400  71.2ms   118ms   131ms   0.00%  13.3         48%   1.21ms  p(95) 118ms, not p(95)<60
  ✗ 453/s         400   240ms   402ms   431ms   0.00%  16.4         48%   1.21ms  p(95) 402ms, not p(95)<60
  ✗ 640/s         400   812ms   1.43s   1.52s   0.00%  21.4         48%   1.21ms  p(95) 1.43s, not p(95)<60
"""


def shown(result: CapacityResult, width: int = 80) -> str:
    console, stream = memory_console(width)
    run = searched_run(result)
    console.print(Legible(Group(*render_capacity(run), *render_steps(run))))
    return stream.getvalue()


@pytest.mark.parametrize(("width", "expected"), [(80, AT_80), (160, AT_160)])
def test_it_reads_exactly_so(width: int, expected: str) -> None:
    assert shown(made_result(), width).split("\n") == expected.split("\n")


def test_a_demand_that_was_not_shown_is_said() -> None:
    text = shown(made_result(settings=replace(SETTINGS, at_least=400.0)))
    assert "  ✗ at least 400/s asked for: not shown\n" in text


def test_where_the_generator_was_the_limit_there_is_a_remedy_and_no_cross() -> None:
    steps = list(made_result().steps)
    full = replace(steps[-1].figures, generator="its CPU was full", remedy="give it more cores")
    outcome = replace(steps[-1].outcome, kind="generator", why="its CPU was full")
    steps[-1] = replace(steps[-1], figures=full, outcome=outcome)
    found = Found("at_least", 381.0, None, "its CPU was full")
    text = shown(made_result(found=found, steps=tuple(steps), remedy="give it more cores"))
    assert text.startswith("CAPACITY  at least 381/s: its CPU was full\n")
    assert "  → give it more cores\n" in text
    assert [line[:9] for line in text.splitlines() if line.endswith("its CPU was full")][1:] == ["  • 398/s"]


def test_another_run_has_none_of_it() -> None:
    assert render_capacity(open_bench()) == render_steps(open_bench()) == []


def test_a_search_that_was_killed_has_no_figures_over_all_steps() -> None:
    killed = replace(searched_run(), capacity=None)
    text = summary_text(killed)
    assert "CAPACITY  not known: the data end before the search did\n" in text
    assert "http_req_duration" in summary_text(open_bench())
    assert "http_req_duration" not in text
