"""Capacity searches in a comparison: a difference only where the intervals have no load in common."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastload.cli.compare import _load_one as load_side
from fastload.model.capacity.result import CapacityResult
from fastload.model.capacity.search import Found
from fastload.model.compare.comparison import Comparison, ComparisonSide, compare_sides
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.compare.json_output import comparison_json
from fastload.outputs.compare.markdown import comparison_markdown
from fastload.outputs.compare.page import comparison_data
from tests.conftest import Cli
from tests.model.capacity.made import SETTINGS, made_result, search_options
from tests.model.runs import lognormal, save


def saved(path: Path, result: CapacityResult | None) -> Path:
    """A saved search with *result*; None for an ordinary run."""
    return save(path, lognormal(rate=30.0), 1, seconds=6, **(search_options(result) if result else {}))


def compared(folder: Path, *results: CapacityResult | None, **options: Any) -> tuple[Comparison, list[list[Timeline]]]:
    loaded = [
        load_side(saved(folder / f"run{number}.fastload", result), f"run{number}", with_charts=True)
        for number, result in enumerate(results)
    ]
    sides = [ComparisonSide(run.name, [run]) for run, _ in loaded]
    return compare_sides(sides, **options), [[timeline] for _, timeline in loaded]


AT_LEAST = Found("at_least", 381.0, None, "its CPU was full")
FAILING = Found("failing", None, 10.0, "p(95) 80ms")


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (made_result(), made_result(1.5), "better"),
        (made_result(1.5), made_result(), "worse"),
        # 381 to 398 and 392 to 410 have loads in common.
        (made_result(), made_result(1.03), "no difference shown"),
        # 381 to 398 and 400 to 418 have none, but that is no more than the margin.
        (made_result(), made_result(1.049), "no difference shown"),
        (made_result(), made_result(1.06), "better"),
        # More than that may be there where no load was too much.
        (made_result(found=AT_LEAST), made_result(1.5), "no difference shown"),
        (made_result(), made_result(found=AT_LEAST), "no difference shown"),
        (made_result(0.5), made_result(found=AT_LEAST), "better"),
        (made_result(found=FAILING), made_result(), "better"),
        (made_result(), made_result(found=FAILING), "worse"),
        (made_result(), made_result(found=Found("unstable", 320.0, 381.0, "it fell")), ""),
        (made_result(), made_result(found=Found("unfinished", 320.0, None)), ""),
        (made_result(), made_result(found=Found("at_least", None, None, "its CPU was full")), ""),
    ],
)
def test_a_difference_is_told_where_the_intervals_do_not_overlap(
    tmp_path: Path, one: CapacityResult, other: CapacityResult, verdict: str
) -> None:
    comparison, timelines = compared(tmp_path, one, other)
    assert comparison.verdict == verdict
    assert not comparison.issues.refusals
    # How sure a search is of its interval is not known.
    assert "95 %" not in comparison_markdown(comparison)
    assert comparison_data(comparison, timelines)["is_of_searches"]


def test_the_interval_of_the_change_is_that_of_both_capacities(tmp_path: Path) -> None:
    [row, *_] = compared(tmp_path, made_result(), made_result(1.5))[0].rows
    assert (row.figure.subject, row.values) == ("capacity", (381.0, 571.5))
    [change] = row.changes
    assert (change.ratio, change.low, change.high) == pytest.approx((0.5, 571.5 / 398 - 1, 597 / 381 - 1))


def test_steps_stand_side_by_side_where_their_loads_are_near(tmp_path: Path) -> None:
    rows = compared(tmp_path, made_result(), made_result(1.03))[0].rows[1:]
    by_load = {row.figure.subject: row.values for row in rows if row.figure.name == "p95"}
    assert by_load["at 640/s"] == (1430.0, 1430.0)
    assert by_load["at 398/s"] == (85.7, 54.2)
    # No step of the other stands twice.
    assert len({values[1] for values in by_load.values()}) == len(by_load)
    assert all(change.verdict == "" and change.why == "one step" for row in rows for change in row.changes)
    assert [row.figure.subject for row in compared(tmp_path, made_result(), made_result(1.5))[0].rows[1::4]] == [
        "at 453/s",
        "at 640/s",
    ]


def test_json_has_the_capacities(tmp_path: Path) -> None:
    plain = json.loads(comparison_json(compared(tmp_path, made_result(), made_result(found=AT_LEAST))[0]))
    assert [side["runs"][0]["capacity"] for side in plain["sides"]] == [
        {
            "state": "found",
            "headline": "381/s within the objectives, and less than 398/s",
            "capacity": 381.0,
            "low": 381.0,
            "high": 398.0,
        },
        {
            "state": "at_least",
            "headline": "at least 381/s: its CPU was full",
            "capacity": 381.0,
            "low": 381.0,
            "high": None,
        },
    ]
    assert plain["rows"][0]["section"] == "headline"
    assert {row["section"] for row in plain["rows"][1:]} == {"steps"}


def test_searches_for_something_else_are_refused_and_other_settings_told(tmp_path: Path) -> None:
    comparison, _ = compared(tmp_path, made_result(), None)
    assert "kind of run: a search for the capacity in run0, a load in run1" in comparison.issues.refusals
    others = made_result(settings=replace(SETTINGS, objectives=(), precision=0.2, first=20.0))
    issues = compared(tmp_path, made_result(), others)[0].issues
    assert issues.refusals == ("objectives: http_req_response_time: p(95)<60 in run0, none in run1",)
    assert "search: precision: 0.05 in run0, 0.2 in run1" in issues.warnings
    assert "search: first: 10 in run0, 20 in run1" in issues.warnings


def test_the_command_exits_as_for_other_runs(cli: Cli, tmp_path: Path) -> None:
    for name, result in (("a", made_result()), ("b", made_result(0.5)), ("run", None)):
        saved(tmp_path / f"{name}.fastload", result)
    done = cli("compare", str(tmp_path / "a.fastload"), str(tmp_path / "b.fastload"))
    assert done.returncode == 99
    assert done.stdout.startswith("WORSE  B (b) against A (a): worse in capacity rate (-50.0%)\n")
    assert "381/s within the objectives, and less than 398/s" in " ".join(done.stdout.split())
    refused = cli("compare", str(tmp_path / "a.fastload"), str(tmp_path / "run.fastload"))
    assert refused.returncode == 104
    assert "kind of run: a search for the capacity in a, a load in run" in refused.stderr


def test_a_file_with_impossible_loads_is_compared_all_the_same(tmp_path: Path) -> None:
    odd = made_result(found=Found("found", 1e-300, 0.0, "odd"))
    odd = replace(odd, steps=(replace(odd.steps[0], figures=replace(odd.steps[0].figures, load=5e-324)), *odd.steps))
    for results in ((made_result(), odd), (odd, made_result()), (odd, odd)):
        assert compared(tmp_path, *results)[0].rows
