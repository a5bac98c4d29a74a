"""The format of saved runs: what goes in comes out, files that break off open, and what is no run is refused."""

from __future__ import annotations

import base64
import json
import math
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.model.capacity.result import SearchProgress
from fastload.model.errors import OutputError
from fastload.model.frames import pack, unpack
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.load_models import (
    ConstantArrivalRate,
    ConstantVUs,
    Executor,
    ExternallyControlled,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    Shape,
    SharedIterations,
    Trace,
)
from fastload.model.metrics import BUILTIN, HIGHEST_US, Kind, MetricSpec, Series
from fastload.model.raise_sites import RaiseSite
from fastload.model.records import ErrorTable, Event, Snapshot
from fastload.model.resources import HostSample, ProcessSample
from fastload.model.run_header import RunHeader
from fastload.model.saved import codec
from fastload.model.saved.codec import (
    HEADER,
    PREAMBLE,
    PREFIX_BYTES,
    SECOND,
    SUMMARY,
    RunFileError,
    header_from_plain,
    pack_record,
    snapshot_from_plain,
    snapshot_to_plain,
    unpack_payload,
)
from fastload.model.saved.replay import Replay
from fastload.model.saved.run_file import RunReader, load_ends, load_run
from fastload.model.saved.saved_plan import saved_plan
from fastload.model.saved.saved_summary import check_summary, summary_from_plain
from fastload.model.series import CounterValue, GaugeValue, RateValue, SeriesTable, TrendValue
from fastload.outputs.summary_json import dump_summary
from fastload.outputs.terminal.report import summary_text
from tests.data.renew import RUN as GOLDEN
from tests.model import runs
from tests.model.capacity.made import made_result
from tests.model.test_resources import HOST, PROCESS
from tests.outputs.samples import SUMMARIES, USER_SPECS, add_requests, durations, full_run, make_plan, make_snapshot

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.floats(allow_nan=False)
counts = st.integers(0, 2**70)
small = st.integers(0, 1000)
totals = st.integers(0, 2**62)
figures = st.floats(-1e18, 1e18)
times = st.floats(0, 1e9)


@st.composite
def trends(draw: st.DrawFn) -> TrendValue:
    """Of few values, or of many equal ones, within and beyond what it can hold."""
    top = draw(st.sampled_from([HIGHEST_US, 10**15]))
    trend = TrendValue(top)
    for value, times in draw(st.lists(st.tuples(st.integers(-5, 2 * top), st.integers(1, 300)), max_size=6)):
        trend.fold(np.full(times, value, dtype=np.int64))
    return trend


series_values = st.one_of(
    st.builds(CounterValue, counts | numbers),
    st.builds(GaugeValue, numbers, numbers, numbers),
    st.builds(lambda trues, others: RateValue(trues, trues + others), totals, totals),
    trends(),
)
tags = st.dictionaries(texts, texts, max_size=3).map(lambda own: tuple(sorted(own.items())))
tables = st.dictionaries(st.builds(Series, texts, tags), series_values, max_size=5).map(SeriesTable)
names = st.lists(st.tuples(texts, texts, small), max_size=2)
errors = st.dictionaries(texts, st.tuples(small, texts, names), max_size=3).map(ErrorTable.from_plain)
some_numbers = st.lists(figures, max_size=3).map(tuple)
some_texts = st.lists(texts, max_size=2).map(tuple)
flags = st.booleans()
hosts = st.builds(
    HostSample,
    figures,
    figures,
    some_numbers,
    *[small] * 2,
    *[figures] * 4,
    *[small] * 3,
    context_switches_per_s=figures,
)
processes = st.builds(ProcessSample, figures, texts, figures, *[small] * 4, *[figures] * 2, alive=flags)
observed = st.none() | numbers | texts
results = st.builds(
    ThresholdResult, texts, texts, flags, observed, *[texts] * 3, *[flags] * 2, at_s=st.none() | figures
)
verdicts = st.builds(Verdict, st.sampled_from(["VALID", "SUSPECT", "INVALID"]), some_texts, texts, texts)
snapshots = st.builds(
    Snapshot,
    elapsed_s=times,
    progress=st.just(0.0),
    phase=texts,
    vus=small,
    in_flight=small,
    requests=totals,
    failed=small,
    requests_per_s=figures,
    failed_per_s=figures,
    iterations=small,
    p50_ms=st.none() | figures,
    p95_ms=st.none() | figures,
    p99_ms=st.none() | figures,
    workers_alive=small,
    workers_lost=small,
    worker_cpu_percent=some_numbers,
    host=st.none() | hosts,
    target=st.none() | processes,
    thresholds=st.lists(results, max_size=2).map(tuple),
    t_s=times,
    time_ns=st.integers(0, 2**63 - 1),
    span_s=st.floats(1e-3, 1e3),
    table=tables,
    errors=errors,
    exceptions=errors,
    offered=small,
    workers=st.lists(processes, max_size=2).map(tuple),
    lag_max_ms=some_numbers,
    events=st.lists(st.builds(Event, figures, texts, texts), max_size=2).map(tuple),
    verdict=st.none() | verdicts,
    troubles=some_texts,
)


def comparable(snapshot: Snapshot) -> dict[str, Any]:
    """*snapshot* with plain data for its table: histograms do not compare."""
    plain = {one.name: getattr(snapshot, one.name) for one in fields(snapshot)}
    return plain | {"table": snapshot.table.to_plain()}


def header(**changes: Any) -> RunHeader:
    plan = make_plan(ConstantVUs(2, 10.0), **changes)
    return RunHeader(
        plan.to_dict(), "2026-11-21T13:00:00.000+00:00", "abc", {"fastload": "1"}, {"cpus": 2}, BUILTIN | USER_SPECS
    )


def second(t_s: float, requests: int = 5) -> Snapshot:
    table = SeriesTable()
    if requests:
        add_requests(table, durations(requests))
    return replace(make_snapshot(t_s), t_s=t_s, table=table, progress=0.0)


def file_of(path: Path, *records: bytes) -> Path:
    path.write_bytes(PREAMBLE + b"".join(records))
    return path


def begin() -> bytes:
    return pack_record(HEADER, header().to_plain())


@pytest.mark.parametrize(
    ("t_s", "told"),
    [
        (5.0, "all figures are of the 3s in it after the warm-up"),
        (2.0, "the 1 second in it is of the warm-up, which counts in no figure"),
    ],
)
def test_the_note_of_a_killed_run_counts_what_was_measured(tmp_path: Path, t_s: float, told: str) -> None:
    first = pack_record(HEADER, replace(header(), plan={**header().plan, "warmup_s": 2.0}).to_plain())
    last = second(t_s)
    path = file_of(tmp_path / "run.fastload", first, pack_record(SECOND, snapshot_to_plain(last)))
    [note] = load_run(path).notes
    assert told in note


def test_the_note_of_a_run_that_waits_says_so(tmp_path: Path) -> None:
    first = pack_record(HEADER, replace(header(), plan={**header().plan, "paused": True}).to_plain())
    [note] = load_run(file_of(tmp_path / "run.fastload", first)).notes
    assert note.endswith("no second is in it; it was started with --paused, and waited to be told to begin")


def small_begin() -> bytes:
    """Of few metrics, so that a test can be through with every byte soon."""
    specs = {name: BUILTIN[name] for name in codec.FIRST_METRICS}
    return pack_record(HEADER, replace(header(), specs=specs).to_plain())


def seconds_of(count: int, requests: int = 5) -> list[bytes]:
    return [pack_record(SECOND, snapshot_to_plain(second(float(t_s), requests))) for t_s in range(1, count + 1)]


@given(snapshots)
def test_every_second_comes_back_equal(snapshot: Snapshot) -> None:
    record = pack_record(SECOND, snapshot_to_plain(snapshot))
    back = snapshot_from_plain(unpack_payload(record[9:]))
    assert comparable(back) == comparable(snapshot)


@given(trends(), trends())
def test_histograms_merge_after_the_journey_as_before(first: TrendValue, other: TrendValue) -> None:
    table = SeriesTable({Series("a"): first, Series("b"): other})
    plain = unpack(pack(snapshot_to_plain(replace(make_snapshot(), table=table))))
    a, b = snapshot_from_plain(plain).table.series_values.values()
    a.merge(b)
    first.merge(other)
    assert a.to_sparse() == first.to_sparse()
    assert [a.quantile(q) for q in (0, 0.5, 0.999, 1)] == [first.quantile(q) for q in (0, 0.5, 0.999, 1)]


def test_what_is_only_for_the_moment_is_not_saved() -> None:
    search = SearchProgress("step 3: 40/s", made_result())
    given = replace(make_snapshot(), points=((1, 2),), progress=0.5, message="help", search=search)
    back = snapshot_from_plain(snapshot_to_plain(given))
    assert (back.points, back.progress, back.message, back.search) == ((), 0.0, "", None)
    saved = {one.name for one in fields(Snapshot)} - {"points", "progress", "message", "search"}
    assert set(snapshot_to_plain(given)) == saved - {"table"} | {"series"}


def test_samples_of_an_earlier_version_are_read_and_what_is_not_measured_takes_no_space() -> None:
    host = replace(HOST, busiest_disk="vda", disk_busy_percent=9.5)
    target = replace(PROCESS, busiest_thread="java (PID 7)", fd_limit=1024, throttled_ratio=0.5)
    plain = snapshot_to_plain(replace(make_snapshot(), host=host, target=target, workers=(PROCESS,)))
    back = snapshot_from_plain(unpack(pack(plain)))
    assert (back.host, back.target, back.workers) == (host, target, (PROCESS,))
    assert plain["target"].keys() - plain["workers"][0].keys() == {"busiest_thread", "fd_limit", "throttled_ratio"}
    assert "throttled_ratio" not in plain["workers"][0]


def test_a_summary_of_an_earlier_version_is_read() -> None:
    """It has fewer figures of each sample, and one limit."""
    header, plain = runs.make_header(), full_run().to_dict()
    del plain["verdict"]["further_limits"]
    for sampled in (plain["host"], plain["target"]):
        for part in ("series", "mean", "max"):
            for name in ("throttled_ratio", "busiest_thread", "disk_queue", "busiest_disk", "accept_queue"):
                sampled[part].pop(name, None)
    check_summary(plain, header)
    summary = summary_from_plain(plain, header)
    assert summary.target is not None
    assert summary.target.samples[0].throttled_ratio == 0
    assert summary.verdict.further_limits == ()
    plain["target"]["max"]["rss_bytes"] = None
    with pytest.raises(RunFileError, match="max: there is no 'rss_bytes'"):
        check_summary(plain, header)


def test_values_of_any_script_are_saved() -> None:
    table = SeriesTable()
    table.counter(Series("big")).value = 2**80 + 1
    table.gauge(Series("odd")).set(math.inf)
    table.gauge(Series("nan")).set(math.nan)
    table.counter(Series("a\udc80")).value = np.float64(1.5)
    back = snapshot_from_plain(unpack(pack(snapshot_to_plain(replace(make_snapshot(), table=table))))).table
    assert back.get("big").value == 2**80 + 1
    assert back.get("odd").value == math.inf
    assert math.isnan(back.get("nan").value)
    assert back.get("a\\udc80").value == 1.5


def test_histograms_take_less_than_in_hdrhistograms_own_encoding() -> None:
    seconds = list(load_run(GOLDEN).seconds)
    ours = sum(len(pack_record(SECOND, {"series": snapshot_to_plain(one)["series"]})) for one in seconds)
    trends = [sink for one in seconds for sink in one.table.series_values.values() if isinstance(sink, TrendValue)]
    theirs = sum(len(base64.b64decode(one.encode())) for one in trends)
    assert ours < theirs


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    summary = full_run().to_dict()
    path = file_of(tmp_path / "a.fastload", begin(), *seconds_of(3), pack_record(SUMMARY, summary))
    run = load_run(path)
    assert run.complete
    assert run.notes == ()
    assert run.header.to_plain() == unpack(pack(header().to_plain()))
    assert [comparable(one) for one in run.seconds] == [comparable(second(t_s)) for t_s in (1.0, 2.0, 3.0)]
    assert (len(run.seconds), run.seconds[-1].t_s, [one.t_s for one in run.seconds[:2]]) == (3, 3.0, [1.0, 2.0])
    assert run.summary_dict() == unpack(pack(summary))


def test_the_summary_of_a_saved_run_is_what_the_run_returned() -> None:
    found = fl.load_summary(GOLDEN)
    metrics = json.loads(dump_summary(found))["metrics"]
    returned = json.loads(GOLDEN.with_suffix(".json").read_text())["metrics"]
    # Later versions may have more metrics.
    assert {name: metrics[name] for name in returned} == returned
    assert (
        found.metrics["http_req_duration"].p(95)
        == load_run(GOLDEN).summary_dict()["metrics"]["http_req_duration"]["p(95)"]
    )


def test_what_a_later_version_adds_is_left_out(tmp_path: Path) -> None:
    plain = snapshot_to_plain(second(1.0))
    series = [[*row, "more"] for row in plain["series"]]
    later = {
        **plain,
        "series": [
            *series,
            ["m", [], "sketch", {}],
            ["batch_size", [], "trend", [HIGHEST_US, 0, 7, 49.0, 7, 7, [7], [1], "x"]],
        ],
        "weather": "fine",
        "host": {**plain["host"], "gpu": 3},
        "target": {**plain["target"], "gpu": 3},
        "workers": [{**plain["target"], "gpu": 3}],
        "events": [[1.0, "phase", "running", "more"]],
        "errors": {"x": [1, "first", [["GET", "/", 1, "more"]], "more"]},
        "thresholds": [{**asdict(ThresholdResult("m", "e", True, 1.0)), "why": "so"}],
        "verdict": {**Verdict("VALID", (), "", "").to_dict(), "score": 9},
    }
    first = {**header().to_plain(), "weather": "fine"}
    first["specs"] = [*([*spec, "more"] for spec in first["specs"]), ["x", "sketch", "", 1]]
    path = file_of(
        tmp_path / "a.fastload", pack_record(HEADER, first), pack_record(99, {"a": 1}), pack_record(SECOND, later)
    )
    run = load_run(path)
    (one,) = run.seconds
    assert run.header.to_plain() == unpack(pack(header().to_plain()))
    assert one.events == (Event(1.0, "phase", "running"),)
    assert one.errors == ErrorTable({"x": (1, "first")}, {"x": {("GET", "/"): 1}})
    assert one.table.get("batch_size").quantile(0.5) == 7
    assert one.table.get("m") is None
    assert comparable(one)["host"] == second(1.0).host
    with RunReader(path) as reader:
        assert [record.kind for record in reader.poll()] == ["header", "second"]


def test_the_first_version_did_not_say_which_names_failed(tmp_path: Path) -> None:
    plain = snapshot_to_plain(second(1.0)) | {"errors": {"reset": [2, "first"]}, "exceptions": {"KeyError": [1, ""]}}
    path = file_of(tmp_path / "a.fastload", begin(), pack_record(SECOND, plain))
    path.write_bytes(path.read_bytes().replace(b"\x01\x02\n", b"\x01\x00\n", 1))
    (one,) = load_run(path).seconds
    assert (one.errors, one.exceptions) == (ErrorTable({"reset": (2, "first")}), ErrorTable({"KeyError": (1, "")}))


def test_where_iterations_raised_is_in_each_second(tmp_path: Path) -> None:
    raised = ErrorTable()
    for number in range(30):
        raised.count_raised("KeyError", "trace", RaiseSite.of("/a/shop.py", 7 + number % 2, f"id {number}"))
    seconds = [snapshot_to_plain(replace(second(float(number)), exceptions=raised)) for number in (1, 2)]
    path = file_of(tmp_path / "a.fastload", begin(), *(pack_record(SECOND, one) for one in seconds))
    run = load_run(path)
    assert [one.exceptions for one in run.seconds] == [raised, raised]
    replay = Replay(run.header)
    for one in run.seconds:
        replay.add(one)
    rows = replay.summary()["exceptions"]
    assert [(row["where"], row["count"], row["messages"]) for row in rows] == [
        ("shop.py:7", 30, 15),
        ("shop.py:8", 30, 15),
    ]


def test_what_a_summary_of_a_later_version_adds_is_left_out() -> None:
    plain = full_run().to_dict()
    for row in (*plain["thresholds"], *plain["checks"], *plain["endpoints"], *plain["workers"], plain["requests"]):
        row["more"] = 1
    plain["verdict"]["more"] = plain["host"]["more"] = plain["more"] = 1
    assert summary_text(summary_from_plain(plain, header())) == summary_text(full_run())


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_from_a_file_reads_as_the_run_did(name: str) -> None:
    summary = SUMMARIES[name]()
    own = RunHeader(summary.plan.to_dict(), "", "", specs=BUILTIN | USER_SPECS)
    plain = unpack(pack(summary.to_dict()))
    back = summary_from_plain(plain, own)
    assert summary_text(back) == summary_text(summary)
    assert back.to_dict() | {"histograms": 0} == plain | {"histograms": 0}
    assert (back.passed, back.workers_lost, back.all_raised) == (
        summary.passed,
        summary.workers_lost,
        summary.all_raised,
    )


def test_a_file_that_breaks_off_anywhere_opens_or_says_why(tmp_path: Path) -> None:
    records = [small_begin(), *seconds_of(2, 0), pack_record(SUMMARY, small_summary())]
    whole = PREAMBLE + b"".join(records)
    ends = [sum(map(len, records[:count])) + len(PREAMBLE) for count in range(1, 5)]
    path = tmp_path / "cut.fastload"
    # Every fifth byte, and the bytes around the end of each record.
    around = {end + step for end in ends for step in (-1, 0, 1)} & {*range(len(whole))}
    for size in sorted({*range(0, len(whole), 5), *around}):
        path.write_bytes(whole[:size])
        if size < ends[0]:
            with pytest.raises(RunFileError, match=r"there is no run in|no run file"):
                load_run(path)
            continue
        run = load_run(path)
        complete = sum(end <= size for end in ends[1:3])
        assert (len(run.seconds), run.complete) == (complete, False)
        rest = size - ends[complete]
        said = "its last" in " ".join(run.notes)
        assert said == bool(rest)
        if rest:
            assert f"its last {rest:,} byte" in run.notes[-1]
        assert "no end of the run" in run.notes[0]
    path.write_bytes(whole)
    assert load_run(path).complete


def test_a_file_with_any_byte_changed_opens_up_to_there_or_says_why(tmp_path: Path) -> None:
    records = [small_begin(), *seconds_of(2, 0)]
    whole = PREAMBLE + b"".join(records)
    first = len(PREAMBLE) + len(records[0])
    path = tmp_path / "changed.fastload"
    minor = len(PREAMBLE) - 2
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        path.write_bytes(changed)
        if place in (minor, minor + 1):
            assert len(load_run(path).seconds) == 2
        elif place < first:
            with pytest.raises(RunFileError):
                load_run(path)
        else:
            run = load_run(path)
            assert [one.t_s for one in run.seconds] == [1.0, 2.0][: 0 if place < first + len(records[1]) else 1]
            assert "damaged" in run.notes[-1] or "its last" in run.notes[-1]


def small_summary() -> dict[str, Any]:
    """Of few metrics, too."""
    plain = full_run().to_dict() | {"endpoints": [], "checks": [], "thresholds": [], "histograms": {}}
    return plain | {"metrics": {name: plain["metrics"][name] for name in codec.FIRST_METRICS}}


def test_what_follows_the_summary_is_told(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.fastload", begin(), pack_record(SUMMARY, full_run().to_dict()), b"more")
    run = load_run(path)
    assert run.complete
    assert run.notes == ("the file breaks off within a record: its last 4 bytes were not read",)
    assert run.summary_dict()["notes"][0] == run.notes[0]


@pytest.mark.parametrize(
    "records",
    [
        [pack_record(SECOND, {"t_s": 1.0})],
        [pack_record(SECOND, {**snapshot_to_plain(second(1.0)), "series": [["m", ["odd"], "counter", [1]]]})],
        [
            pack_record(
                SECOND,
                {**snapshot_to_plain(second(1.0)), "series": [["m", [], "trend", [9, 0, 1, 1.0, 1, 1, [2**40], [1]]]]},
            )
        ],
        [
            pack_record(
                SECOND,
                {
                    **snapshot_to_plain(second(1.0)),
                    "series": [["m", [], "trend", [9, 0, 1, 1.0, 1, 1, [1, 0], [1, 1]]]],
                },
            )
        ],
    ],
)
def test_a_second_that_makes_no_sense_is_an_error(tmp_path: Path, records: list[bytes]) -> None:
    run = load_run(file_of(tmp_path / "a.fastload", begin(), *records))
    with pytest.raises(RunFileError, match="a second cannot be read"):
        list(run.seconds)


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(RunFileError):
        unpack_payload(b"no zlib")
    with pytest.raises(RunFileError, match="no map"):
        unpack_payload(pack_record(SECOND, [1])[9:])  # type: ignore[arg-type]


def test_a_growing_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "growing.fastload"
    records = [begin(), *seconds_of(2), pack_record(SUMMARY, full_run().to_dict())]
    whole = PREAMBLE + b"".join(records)
    path.write_bytes(b"")
    kinds: list[str] = []
    with RunReader(path) as reader, path.open("ab", buffering=0) as file:
        assert reader.poll() == []
        for start in range(0, len(whole), 97):
            file.write(whole[start : start + 97])
            kinds += [record.kind for record in reader.poll()]
        assert kinds == ["header", "second", "second", "summary"]
        assert reader.poll() == []
        assert (reader.unread_bytes, reader.damage) == (0, "")


def test_a_half_record_that_is_taken_back_and_written_again_is_read_once(tmp_path: Path) -> None:
    one, other = seconds_of(2)
    path = file_of(tmp_path / "a.fastload", begin(), one[:20])
    with RunReader(path) as reader:
        assert [record.kind for record in reader.poll()] == ["header"]
        assert reader.unread_bytes == 20
        file_of(path, begin(), other)
        assert [record.body.t_s for record in reader.poll()] == [2.0]


def test_what_is_no_run_is_refused_with_a_hint(tmp_path: Path) -> None:
    run = file_of(tmp_path / "today.fastload", begin())
    (tmp_path / "text.csv").write_text("a,b\n" * 10)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    later = bytearray(run.read_bytes())
    later[len(PREAMBLE) - 3] = 9
    (tmp_path / "later").write_bytes(later)
    expected = {
        "toda.fastload": ("there is no file", "did you mean 'today.fastload'?"),
        "nowhere/x": ("there is no file", "--save"),
        "text.csv": ("is no run file of fastload", "--save"),
        "empty": ("it ends before the first record", "--save"),
        "folder": ("is a directory", "--save"),
        ".": ("is a directory", "today.fastload"),
        "later": ("has version 9.2 of the format, and this fastload reads 1", "a later one"),
    }
    for name, (message, hint) in expected.items():
        with pytest.raises(RunFileError) as caught:
            load_run(tmp_path / name)
        assert message in caught.value.message
        assert hint in caught.value.hint
    with pytest.raises(RunFileError, match="read twice"):
        load_run("/dev/null")
    with pytest.raises(RunFileError, match="first record cannot be read"):
        header_from_plain({"specs": 3})


EXECUTORS: list[Executor] = [
    ConstantVUs(3, 10.0, pacing_s=1.0),
    RampingVUs(((5.0, 3), (5.0, 9)), 1),
    SharedIterations(2, 100),
    PerVUIterations(2, 100, 60.0),
    Shape(durations),  # type: ignore[arg-type]
    ExternallyControlled(2, 10, 60.0),
    ConstantArrivalRate(100.0, 10.0, 20, "poisson", when_busy="drop"),
    RampingArrivalRate(((5.0, 100.0),), 10.0, 20),
    Trace("starts.csv", np.arange(7), 10.0, 20),
]


@pytest.mark.parametrize("executor", EXECUTORS, ids=lambda executor: executor.name)
def test_a_plan_from_a_file_describes_its_load_as_the_plan_did(executor: Executor) -> None:
    plan = make_plan(executor, warmup_s=2.0, seed=7)
    plain = unpack(pack(plan.to_dict()))
    saved = saved_plan(plain)
    assert saved.to_dict() == plain
    (scenario,) = saved.scenarios
    assert scenario.executor.describe() == executor.describe()
    assert (saved.duration_s, saved.max_vus, saved.has_open_model) == (
        plan.duration_s,
        plan.max_vus,
        plan.has_open_model,
    )
    assert unpack(pack(make_plan(scenario.executor, warmup_s=2.0, seed=7).to_dict())) == plain


def test_a_load_model_of_a_later_version_is_called_by_its_name() -> None:
    plain = make_plan(ConstantVUs(3, 10.0)).to_dict()
    plain["scenarios"][0] |= {"executor": "tidal", "model": "open", "duration_s": 30.0}
    saved = saved_plan(plain)
    assert (saved.scenarios[0].executor.describe(), saved.duration_s, saved.has_open_model) == ("tidal", 30.0, True)
    assert saved.to_dict() == plain


def test_a_run_without_an_end_is_summed_up_from_its_seconds(tmp_path: Path) -> None:
    run = load_run(file_of(tmp_path / "a.fastload", begin(), *seconds_of(3)))
    summary = run.summary_dict()
    assert summary["metrics"]["http_reqs"]["count"] == 15
    assert summary["stopped_by"] == "unknown"
    assert summary["notes"] == list(run.notes)
    assert "the 3 seconds in it" in summary["notes"][0]
    assert "15" in summary_text(run.to_summary())


def test_a_summary_that_cannot_be_read_costs_no_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in (("list", [1]), ("huge", {"text": "x" * 100_000})):
        records = begin(), *seconds_of(3), pack_record(SUMMARY, body)  # type: ignore[arg-type]
        path = file_of(tmp_path / name, *records)
        with monkeypatch.context() as patch:
            patch.setattr(codec, "MAX_RECORD_BYTES", 50_000)
            run = load_run(path)
            with RunReader(path) as reader:
                assert [record.kind for record in reader.poll()] == ["header", "second", "second", "second"]
                assert reader.damage
        assert not run.complete
        assert len(run.notes) == 1
        assert run.notes[0].startswith("the end of the run is damaged (a record ")
        assert "the 3 seconds in it" in run.notes[0]
        assert run.summary_dict()["metrics"]["http_reqs"]["count"] == 15


def test_a_record_that_nobody_would_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"text": "x" * 100_000}
    monkeypatch.setattr(codec, "MAX_RECORD_BYTES", len(pack(body)))
    record = pack_record(SUMMARY, body)
    assert unpack_payload(record[PREFIX_BYTES:]) == body
    monkeypatch.setattr(codec, "MAX_RECORD_BYTES", len(pack(body)) - 1)
    with pytest.raises(OutputError, match=r"100,\d+ bytes is over the limit of a run file"):
        pack_record(SUMMARY, body)


def test_a_large_summary_is_packed_fast() -> None:
    large = {"numbers": list(range(2_000_000))}
    small_record, record = pack_record(SUMMARY, {"numbers": [1]}), pack_record(SUMMARY, large)
    # What zlib says of the level: default, and fastest.
    assert [one[PREFIX_BYTES + 1] for one in (small_record, record)] == [0x9C, 0x01]
    assert unpack_payload(record[PREFIX_BYTES:]) == large


def test_metrics_of_the_script_keep_their_kind_and_unit() -> None:
    back = header_from_plain(unpack(pack(header().to_plain())))
    assert back.specs["batch_size"] == MetricSpec("batch_size", Kind.TREND, "rows")
    assert list(back.specs) == list(BUILTIN | USER_SPECS)


def test_the_ends_of_a_run_are_read_without_its_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = runs.save(tmp_path / "long.fastload", runs.lognormal(), 1, seconds=60)
    whole = load_run(path)
    read_bytes = []
    pread = os.pread

    def counted(*args: int) -> bytes:
        found = pread(*args)
        read_bytes.append(len(found))
        return found

    monkeypatch.setattr(os, "pread", counted)
    ends = load_ends(path)
    monkeypatch.undo()
    seconds = sum(len(payload) for payload in whole.seconds._payloads)
    assert (ends.header, ends.summary, ends.damage) == (whole.header, whole.summary, "")
    assert sum(read_bytes) < path.stat().st_size - seconds + 61 * PREFIX_BYTES + 100


def test_the_ends_of_a_file_that_breaks_off_or_is_damaged(tmp_path: Path) -> None:
    path = runs.save(tmp_path / "run.fastload", runs.lognormal(), 1, seconds=5)
    data = path.read_bytes()
    path.write_bytes(data[:-50])
    assert (load_ends(path).summary, load_ends(path).damage) == (None, "")
    path.write_bytes(data[:-50] + bytes(50))
    assert (load_ends(path).summary, load_ends(path).damage) == (None, "the checksum of a record is wrong")
    path.write_bytes(data + b"more")
    assert (load_ends(path).summary, load_ends(path).damage) == (load_run(path).summary, "")
    for cut in (data[:5], data[: len(PREAMBLE)], data[: len(PREAMBLE) + 20]):
        path.write_bytes(cut)
        with pytest.raises(RunFileError, match="there is no run in"):
            load_ends(path)
    path.write_bytes(b"text, and no run")
    with pytest.raises(RunFileError, match="is no run file of fastload"):
        load_ends(path)
