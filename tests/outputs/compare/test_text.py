"""A comparison as text and as Markdown: readable at every width, and nothing in it is taken for markup."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fastload.model.compare.comparison import Change, Comparison, ComparisonSide, compare_sides
from fastload.model.compare.figures import Figure
from fastload.model.metrics import BUILTIN, Series
from fastload.outputs.compare.markdown import comparison_markdown
from fastload.outputs.compare.text import print_comparison
from fastload.outputs.compare.wording import format_change, format_difference, format_interval, format_verdict
from tests.model.runs import lognormal, side, with_endpoint
from tests.outputs.terminal.consoles import memory_console


def comparison_text(comparison: Comparison, *, width: int, everything: bool = False) -> str:
    console, stream = memory_console(width)
    print_comparison(console, comparison, everything=everything)
    return stream.getvalue()


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """B is as A, but for an endpoint; C is slower and fails."""
    return compare_sides(
        [
            side("before", lognormal(), 1, more=with_endpoint(1.0)),
            side("after", lognormal(), 2, more=with_endpoint(1.3)),
            side("broken", lognormal(factor=1.2), 3, failed=0.02, more=with_endpoint(1.0)),
        ]
    )


@pytest.mark.parametrize("width", [40, 50, 60, 80, 160])
@pytest.mark.parametrize("everything", [False, True])
def test_no_line_is_wider_than_the_terminal(comparison: Comparison, width: int, everything: bool) -> None:
    lines = comparison_text(comparison, width=width, everything=everything).splitlines()
    assert max(map(len, lines)) <= width
    assert any("worse" in line for line in lines)


def test_the_text_has_values_change_interval_and_verdict(comparison: Comparison) -> None:
    text = comparison_text(comparison, width=120)
    line = next(line for line in text.partition("C AGAINST A")[2].splitlines() if "http_req_duration" in line)
    row = next(row for row in comparison.rows if row.figure.name == "p50" and row.is_headline)
    change = row.changes[1]
    assert line.split()[:2] == ["http_req_duration", "p50"]
    assert format_change(row.figure, change) in line
    assert format_interval(row.figure, change) in line
    assert format_difference(row.figure, change) in line
    assert line.endswith("✗ worse")


def test_a_narrow_terminal_has_less_but_the_verdict(comparison: Comparison) -> None:
    text = comparison_text(comparison, width=60)
    assert "difference" not in text.partition("B AGAINST A")[2].splitlines()[0]
    assert re.search(r"p50 .* \+\d.*✗ worse", text)


@pytest.mark.parametrize("width", [40, 50])
def test_at_every_width_change_and_verdict_are_whole(comparison: Comparison, width: int) -> None:
    _, _, table = comparison_text(comparison, width=width).partition("C AGAINST A")
    head, *lines = table.partition("\n\n")[0].splitlines()
    assert head.split() == ["change", "verdict"]
    shown = [row for row in comparison.rows if row.is_headline]
    for row, line in zip(shown, lines, strict=False):
        change = row.changes[1]
        assert f" {format_change(row.figure, change)} " in line
        assert line.endswith(f" {format_verdict(change)}")
    assert not re.search(r"\d…", table)


def test_what_is_left_out_is_indented_where_it_wraps(comparison: Comparison) -> None:
    lines = comparison_text(comparison, width=40).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  … and "))
    assert "--all lists them)" in lines[first + 1]
    assert lines[first + 1].startswith("    ")


def test_what_is_left_out_is_counted_without_zeros() -> None:
    short = [side(name, lognormal(), number, seconds=3) for number, name in enumerate("ab")]
    (line,) = re.findall(r"… and (.*) \(--all", comparison_text(compare_sides(short), width=120))
    assert re.fullmatch(r"[1-9]\d* not judged", line)


DURATION = Figure(
    "headline", "http_req_duration", BUILTIN["http_req_duration"], (Series("http_req_duration"),), "lower", 0.5
)
FAILED = Figure("headline", "http_req_failed", BUILTIN["http_req_failed"], (Series("http_req_failed"),), "lower")


@pytest.mark.parametrize(
    ("figure", "change", "expected"),
    [
        (DURATION, Change(1.2, 0.052, -0.001, 0.1049), ("+5.2%", "-0.10% to +10.5%", "+1.20ms")),
        (DURATION, Change(-1.2, -0.5, -0.6, -0.4), ("-50.0%", "-60.0% to -40.0%", "-1.20ms")),
        (DURATION, Change(0.0, 0.0, -0.01, 0.01), ("0%", "-1.0% to +1.0%", "0s")),
        (DURATION, Change(90.0, 12.5, 8.0, 40.0), ("×13.5", "+800% to ×41", "+90.0ms")),
        (DURATION, Change(1.0, None, None, None, why="too few values"), ("-", "too few values", "+1.00ms")),
        (FAILED, Change(0.003, None, -0.0001, 0.01), ("+0.30pp", "-0.01pp to +1.0pp", "+0.30pp")),
        (FAILED, Change(None, why="only in A"), ("-", "only in A", "-")),
    ],
)
def test_changes_read_as_people_say_them(figure: Figure, change: Change, expected: tuple[str, str, str]) -> None:
    found = format_change(figure, change), format_interval(figure, change), format_difference(figure, change)
    assert found == expected


def test_markdown_folds_away_what_does_not_differ(comparison: Comparison) -> None:
    text = comparison_markdown(comparison)
    assert text.startswith("# Comparison of runs\n\n⚪ **No difference shown** between B (after) and A (before)\n")
    assert "❌ **Worse** C (broken) against A (before): worse in http_req_failed failed (+" in text
    assert "\n\nIn the details of B: " in text or "\n\nIn the details of C: " in text
    shown, _, folded = text.partition("## C against A")[0].partition("<details>")
    assert "| `POST /login` | p50 |" in shown
    assert "`GET /users`" not in shown
    assert "`GET /users`" in folded
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count(" | ") for line in tables} == {2, 7}


def test_names_are_text_and_nothing_else() -> None:
    evil = "</script><b>`|x[bold]\x1b[31m"
    found = compare_sides([side("a", lognormal(), 1), side("b", lognormal(factor=1.2), 2)])
    sides = tuple(ComparisonSide(evil, one.runs) for one in found.sides)
    figure = replace(found.rows[0].figure, subject=evil)
    found = replace(found, sides=sides, rows=(replace(found.rows[0], figure=figure), *found.rows[1:]))
    text = comparison_text(found, width=200, everything=True)
    assert "\x1b" not in text
    assert "</script><b>`|x[bold]" in text
    markdown = comparison_markdown(found)
    assert "\x1b" not in markdown
    assert all("`" in line or "\\<" in line for line in markdown.splitlines() if "script>" in line)
    tables = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {4, 9}


def test_of_different_plans_better_is_no_good_news() -> None:
    sides = [side("before", lognormal(factor=1.3), 1), side("after", lognormal(), 2)]
    comparison = compare_sides(sides)
    assert comparison.verdict_of(0) == "better"
    assert comparison_text(comparison, width=120).startswith("BETTER  ")
    forced = replace(comparison, issues=replace(comparison.issues, refusals=("vus: 4 in A, 2 in B",)))
    assert comparison_text(forced, width=120).startswith("DIFFERENT PLANS, BETTER  ")
    assert "⚠️ **Different plans, better** " in comparison_markdown(forced)
