"""The histogram log: read back by HdrHistogram's own reader, to the last count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from fastload.model.errors import PlanError
from fastload.model.metrics import BUILTIN, HIGHEST_US, Kind, MetricSpec, Series
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable, TrendValue
from fastload.outputs.streams.hlog import HistogramLog
from tests.conftest import Cli, Nginx
from tests.outputs.samples import add_requests, durations, fill, make_snapshot

STARTED_AT, STARTED_NS = "2026-11-21T19:38:26.500+00:00", 1_795_289_906_500_000_000
SPECS = BUILTIN | {"batch_size": MetricSpec("batch_size", Kind.TREND, "rows")}


def header(**changes: Any) -> RunHeader:
    return RunHeader(
        **({"plan": {"title": "shop.py"}, "started_at": STARTED_AT, "run_id": "beef", "specs": SPECS} | changes)
    )


def second(end_s: float, table: SeriesTable, span_s: float = 1.0) -> Snapshot:
    """The second that ends so long after the start."""
    return make_snapshot(t_s=end_s, time_ns=STARTED_NS + round(end_s * 1e9), span_s=span_s, table=table)


def write(folder: Path, seconds: Iterable[Snapshot], head: RunHeader | None = None) -> Path:
    path = folder / "run.hlog"
    sink = HistogramLog(str(path))
    sink.check()
    sink.open(head or header())
    for one in seconds:
        sink.write(one)
    sink.close(None)
    return path


def read(path: Path) -> list[HdrHistogram]:
    reader = HistogramLogReader(str(path), HdrHistogram(1, HIGHEST_US, 3))
    try:
        return list(iter(reader.get_next_interval_histogram, None))
    finally:
        reader.close()


def counts(histogram: HdrHistogram) -> dict[int, int]:
    """How often each bucket's highest value came."""
    return {
        int(item.value_iterated_to): int(item.count_added_in_this_iter_step)
        for item in histogram.get_recorded_iterator()
    }


def test_hdrhs_reader_finds_every_count_under_its_tag(tmp_path: Path) -> None:
    table = SeriesTable()
    add_requests(table, durations(5000, 800, 600_000))
    fill(table, "http_req_response_time", [0, 1, 2047, 2048, HIGHEST_US])
    (first, second_table) = table, SeriesTable()
    add_requests(second_table, durations(50))
    found = read(write(tmp_path, [second(1.0, first), second(2.0, second_table)]))
    for one, snapshot_table in ((found[: len(found) // 2 + 1], first), (found[len(found) // 2 + 1 :], second_table)):
        by_tag = {histogram.get_tag(): histogram for histogram in one}
        trends = {
            series.metric: sink
            for series, sink in snapshot_table.series_values.items()
            if isinstance(sink, TrendValue) and not series.tags
        }
        assert set(by_tag) == set(trends)
        for name, trend in trends.items():
            assert by_tag[name].get_total_count() == trend.count
            # The same buckets: what ours are called by their own writer.
            assert counts(by_tag[name]) == counts(trend.to_hdr())
            assert sum(counts(by_tag[name]).values()) == int(np.sum(trend.counts))
    response = next(one for one in found if one.get_tag() == "http_req_response_time")
    assert [response.get_value_at_percentile(percent) for percent in (20, 60)] == [0, 2047]


def test_lines_say_when_how_long_and_the_maximum(tmp_path: Path) -> None:
    table = SeriesTable()
    fill(table, "http_req_duration", [1500, 250])
    path = write(tmp_path, [second(1.25, table), second(7.5, table, 0.5)])
    lines = [line.rpartition(",")[0] for line in path.read_text().splitlines() if line.startswith("Tag=")]
    assert lines == ["Tag=http_req_duration,0.250,1.000,1.500", "Tag=http_req_duration,7.000,0.500,1.500"]
    one, other = read(path)
    assert [one.get_start_time_stamp(), one.get_end_time_stamp()] == [1_795_289_906_750, 1_795_289_907_750]
    assert [other.get_start_time_stamp(), other.get_end_time_stamp()] == [1_795_289_913_500, 1_795_289_914_000]


def test_the_head_says_version_start_and_units(tmp_path: Path) -> None:
    table = SeriesTable()
    fill(table, "batch_size", [2000])
    evil = {"title": "shop\n1,2,3,HISTF\x1b[31m.py"}
    path = write(tmp_path, [second(1.0, table)], header(plan=evil, versions={"fastload": "1.2.3"}))
    assert path.read_text().splitlines()[:7] == [
        "#[fastload 1.2.3, run beef: shop 1,2,3,HISTF?[31m.py]",
        "#[Histogram log format version 1.3]",
        "#[StartTime: 1795289906.500 (seconds since epoch), Sat Nov 21 19:38:26 UTC 2026]",
        "#[BaseTime: 1795289906.500 (seconds since epoch)]",
        "#[Values are microseconds, Interval_Max is milliseconds (maximum value unit ratio 1000)]",
        "#[Values of batch_size are thousandths of rows]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    (histogram,) = read(path)
    assert histogram.get_tag() == "batch_size"
    assert counts(histogram) == {2000: 1}


def test_series_with_tags_and_trends_without_values_have_no_line(tmp_path: Path) -> None:
    table = SeriesTable()
    add_requests(table, [1000])
    table.trend(Series("iteration_duration"))
    tags = [
        histogram.get_tag() for histogram in read(write(tmp_path, [second(1.0, table), second(2.0, SeriesTable())]))
    ]
    assert len(tags) == len(set(tags)) == 9
    assert "iteration_duration" not in tags


def test_a_clock_that_was_set_back_gives_no_time_before_the_start(tmp_path: Path) -> None:
    table = SeriesTable()
    fill(table, "http_req_duration", [1500])
    path = write(tmp_path, [second(-5.0, table)])
    assert "Tag=http_req_duration,0.000,1.000,1.500," in path.read_text()
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("argument", "message"), [("", "has no file"), ("no/x.hlog", "no directory"), (".", "is a dir")]
)
def test_what_cannot_be_written_is_refused_before_the_run(argument: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as refused:
        HistogramLog(argument).check()
    assert refused.value.hint


def test_the_lines_of_a_real_run_add_up_to_its_summary(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    done = cli("bench", nginx.url, "-n", "400", "-c", "2", "-w", "1", "-q", "--json", "--out", "hlog=run.hlog")
    assert done.returncode == 0, done.stderr
    total = HdrHistogram(1, HIGHEST_US, 3)
    for histogram in read(tmp_path / "run.hlog"):
        if histogram.get_tag() == "http_req_duration":
            total.add(histogram)
    assert total.get_total_count() == 400
    encoded = re.search(r'"http_req_duration": "(HISTF[^"]+)"', done.stdout)
    assert encoded
    assert counts(total) == counts(HdrHistogram.decode(encoded[1]))
