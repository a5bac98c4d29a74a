"""Long runs are read in groups of seconds: the same sums, and no more rows than a chart can show."""

from __future__ import annotations

import csv
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.model.compare.batches import BatchedRun
from fastload.model.saved.codec import RunFileError, pack_record, snapshot_to_plain, value_from_plain
from fastload.model.saved.pooled_seconds import pooled_seconds
from fastload.model.saved.replay import Replay
from fastload.model.saved.run_file import SavedRun, load_run
from fastload.model.saved.summed_columns import COLUMNS
from fastload.model.series import SeriesTable, TrendValue
from fastload.model.timeline.timeline import METRICS, MOST_ROWS, Timeline
from tests.conftest import Cli
from tests.long_run import save_long_run
from tests.outputs.seconds import made_run

REFUSED = (KeyError, TypeError, ValueError, IndexError, OverflowError)
SECONDS = MOST_ROWS + 7
"""A run whose rows have two seconds each, and the last one fewer."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    save_long_run(folder / "whole.fastload", SECONDS)
    save_long_run(folder / "broken.fastload", SECONDS, complete=False, run_id="broken")
    return folder


@pytest.fixture
def run(folder: Path) -> SavedRun:
    return load_run(folder / "whole.fastload")


def summed(tables: list[SeriesTable]) -> list[list[Any]]:
    whole = SeriesTable()
    for table in tables:
        whole.merge(table)
    return whole.to_plain()


@pytest.mark.parametrize("size", [1, 4, 7, 1000])
def test_the_last_second_of_a_group_has_the_sum_of_all(run: SavedRun, size: int) -> None:
    some = run.seconds[:100]
    pooled = list(some.pooled(lambda number, *_: number // size))
    assert [one.t_s for one in pooled] == [one.t_s for one in some]
    assert summed([one.table for one in pooled]) == summed([one.table for one in some])
    for first in range(0, 100, min(size, 64)):
        group = pooled[first : first + min(size, 64)]
        assert not any(one.table.series_values for one in group[:-1])
        assert summed([group[-1].table]) == summed([one.table for one in some[first : first + len(group)]])


def test_groups_may_depend_on_the_time(run: SavedRun) -> None:
    pooled = list(run.seconds[:10].pooled(lambda _, t_s, span_s: t_s - span_s >= 3))
    assert [one.t_s for one in pooled if one.table.series_values] == [3, 10]


def test_only_the_metrics_that_are_asked_for_are_decoded(run: SavedRun) -> None:
    (one,) = run.seconds[:1].pooled(lambda number, *_: number, {"http_reqs"})
    assert [series.label for series in one.table.series_values] == ["http_reqs"]
    (one,) = run.seconds[:1].pooled(lambda number, *_: number, {("http_req_failed", "method", "name")})
    assert [series.label for series in one.table.series_values] == [
        "http_req_failed{method:GET,name:/users}",
        "http_req_failed{method:GET,name:/orders/{id}}",
    ]


def test_a_second_that_cannot_be_read_is_told() -> None:
    plain = snapshot_to_plain(made_run(seconds=1).seconds[0])
    wrongs: list[dict[str, Any]] = [
        {"series": None},
        {"t_s": None, "span_s": None, "series": []},
        {"series": [["a", [], "trend", [1]]]},
    ]
    for broken in wrongs:
        payload = pack_record(2, plain | broken)[9:]
        with pytest.raises(RunFileError, match="a second cannot be read"):
            list(pooled_seconds([payload], lambda number, t_s, span_s: (number, t_s + span_s)))


def test_the_charts_of_pooled_seconds_are_those_of_each_second(run: SavedRun) -> None:
    each, rows = Timeline(run.header), Timeline(run.header)
    for second in run.seconds:
        each.add(second)
    per_row = Timeline.seconds_per_row(len(run.seconds))
    for second in run.read(lambda number, *_: number // per_row, METRICS):
        rows.add(second)
    assert per_row == rows.columns()["step_s"] == 2
    assert len(rows) <= MOST_ROWS
    assert rows.columns() == each.columns()


@pytest.mark.parametrize(
    ("seconds", "per_row"), [(0, 1), (1, 1), (MOST_ROWS, 1), (MOST_ROWS + 1, 2), (2 * MOST_ROWS, 2), (40_000, 64)]
)
def test_rows_are_as_long_as_a_time_line_makes_them(seconds: int, per_row: int) -> None:
    assert Timeline.seconds_per_row(seconds) == per_row


def test_a_run_without_an_end_has_the_same_figures_however_it_is_read(folder: Path) -> None:
    run = load_run(folder / "broken.fastload")
    replay = Replay(run.header)
    for second in run.seconds:
        replay.add(second)
    expected = replay.summary()
    assert run.to_summary().to_dict() | {"notes": []} == expected | {"notes": []}
    again = load_run(folder / "broken.fastload")
    assert len(list(again.read(lambda number, *_: number // 2, METRICS))) == SECONDS
    assert again.summary_dict() | {"notes": []} == expected | {"notes": []}


def test_batches_of_pooled_seconds_are_those_of_each_second(run: SavedRun) -> None:
    each, pooled = (BatchedRun("a", run.header, run.summary_dict()) for _ in range(2))
    for second in run.seconds:
        each.add(second)
    for second in run.read(lambda number, t_s, span_s: (number // 2, pooled.part_of(t_s, span_s))):
        pooled.add(second)
    assert [one.to_plain() for one in pooled.batches] == [one.to_plain() for one in each.batches]
    assert list(pooled.spans_s) == list(each.spans_s)
    for series in each.table.series_values:
        assert list(pooled.counts(series)) == list(each.counts(series))


def test_files_of_a_long_run_have_no_more_rows_than_charts_and_lose_no_count(
    folder: Path, cli: Cli, tmp_path: Path
) -> None:
    done = cli("report", str(folder / "whole.fastload"), "--csv", "a", "--hlog", "a.hlog", "--html", "a.html")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "a_stats_history.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    assert len(rows) == -(-SECONDS // 2)
    assert int(rows[-1]["Total Request Count"]) == 20 * SECONDS
    assert float(rows[0]["Requests/s"]) == 20
    lines = [line for line in (tmp_path / "a.hlog").read_text().splitlines() if "=http_req_duration," in line]
    assert len(lines) == len(rows)
    assert {line.split(",")[2] for line in lines[:-1]} == {"2.000"}
    assert sum(float(line.split(",")[2]) for line in lines) == SECONDS
    with (tmp_path / "a_failures.csv").open(newline="") as file:
        failures = {row["Error"]: row for row in csv.DictReader(file)}
    assert int(failures["http_500"]["Occurrences"]) == 2 * SECONDS
    # The rows of the charts take 3 MB, plotly the rest: it does not grow with the run.
    assert (tmp_path / "a.html").stat().st_size < 12_000_000


def test_no_value_of_a_single_second_is_made_an_object(run: SavedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    read_trend, pooled_trend = TrendValue.from_gaps, TrendValue.from_parts

    def counted(make: Callable[..., TrendValue], *args: Any) -> TrendValue:
        made.append(1)
        return make(*args)

    monkeypatch.setattr(TrendValue, "from_gaps", partial(counted, read_trend))
    monkeypatch.setattr(TrendValue, "from_parts", partial(counted, pooled_trend))
    trends = sum(isinstance(value, TrendValue) for value in run.seconds[0].table.series_values.values())
    made.clear()
    for _ in run.read(lambda number, *_: number // 32):
        pass
    assert len(made) <= 2 * trends * -(-SECONDS // 32)


moment = st.one_of(
    st.integers(-2, 70), st.sampled_from([2**62, 2**64, True, 1.5, float("nan"), float("inf"), "1", None])
)
a_trend = st.tuples(
    st.sampled_from([64, 64, 64, 2**41]),
    st.sampled_from([0, 0, 1, 5]),
    st.integers(0, 500),
    st.sampled_from([0.1, 0.2, 3, 1e16]),
    st.integers(0, 64),
    st.integers(0, 64),
    st.lists(st.integers(0, 9), max_size=4),
    st.lists(st.integers(1, 9), max_size=4),
).map(list)


@st.composite
def plain_values(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """The same kind of value some seconds long; sometimes one of its parts is something else."""
    kind = draw(st.sampled_from(["counter", "gauge", "rate", "trend"]))
    number = st.one_of(st.integers(0, 9), st.sampled_from([0.1, 0.7, 1e16]))
    plain = {
        "counter": st.lists(number, min_size=1, max_size=1),
        "gauge": st.lists(number, min_size=3, max_size=3),
        "rate": st.tuples(st.integers(0, 9), st.integers(9, 20)).map(list),
        "trend": a_trend,
    }[kind]
    values: list[Any] = draw(st.lists(plain, min_size=1, max_size=6))
    if draw(st.booleans()):
        broken = values[draw(st.integers(0, len(values) - 1))]
        place = draw(st.integers(0, len(broken) - 1))
        inner = broken[place]
        if isinstance(inner, list) and inner and draw(st.booleans()):
            inner[draw(st.integers(0, len(inner) - 1))] = draw(moment)
        else:
            broken[place] = draw(moment)
    return kind, values


def plain_of(value: Any) -> str:
    plain = value.to_plain()
    return repr(plain | {"q": float(plain["q"])} if isinstance(plain, dict) else plain)


@given(plain_values())
@settings(max_examples=500, deadline=None)
def test_the_sum_of_a_column_is_that_of_its_values_and_it_refuses_the_same(case: tuple[str, list[Any]]) -> None:
    kind, plains = case
    expected: str | type[Exception]
    found: str | type[Exception]
    try:
        whole, *others = [value_from_plain(kind, deepcopy(plain)) for plain in plains]
        for other in others:
            whole.merge(other)
        expected = plain_of(whole)
    except REFUSED as error:
        expected = type(error)
    column = COLUMNS[kind]()
    try:
        for plain in plains:
            column.add(plain)
        found = plain_of(column.total())
    except REFUSED as error:
        found = type(error)
    # Which error it is may differ: the reasons are looked for in another order.
    assert found == expected or (isinstance(found, type) and isinstance(expected, type))
