"""The summary as JSON."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from fastload.model.error_remedies import OTHER_REMEDY
from fastload.model.errors import OutputError, PlanError
from fastload.model.metrics import Series
from fastload.model.records import ErrorTable
from fastload.outputs.summary_json import SummaryFile, SummaryStream, dump_summary
from tests.outputs.samples import SUMMARIES, all_failed, closed_bench, full_run, make_plan, make_snapshot

KEYS = [
    "version", "passed", "started_at", "duration_s", "stopped_by", "stop_reason",
    "hook_errors", "load_changes", "verdict", "capacity", "thresholds", "checks", "metrics",
    "scenarios",
    "groups",
    "endpoints", "calls", "requests", "errors", "exceptions", "workers", "host", "target", "cost", "plan", "notes",
    "versions", "machine", "histograms",
]  # fmt: skip


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without the rights of root, who may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can reach, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        yield path
        path.chmod(0o755)


def leftovers(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".fastload")]


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_keys_are_those_of_the_documented_schema(name: str) -> None:
    data = orjson.loads(dump_summary(SUMMARIES[name]()))
    assert list(data) == KEYS


def test_the_parts_of_the_schema() -> None:
    data = orjson.loads(dump_summary(full_run()))
    assert data["passed"] is False
    assert list(data["verdict"]) == ["state", "reasons", "remedy", "limit", "further_limits", "findings"]
    assert data["thresholds"][0] == {
        "metric": "http_req_duration",
        "expression": "p(95)<5",
        "ok": False,
        "observed": pytest.approx(9.15, rel=0.001),
        "aggregate": "p(95)",
        "kind": "trend",
        "unit": "ms",
        "optional": False,
        "aborts": False,
        "at_s": None,
        "reason": "",
    }
    assert data["checks"][0] == {"name": "status is 200", "passes": 9990, "fails": 10, "scenario": "default"}
    trend = ["avg", "min", "med", "max", "p(90)", "p(95)", "p(99)", "p(99.9)", "count"]
    assert list(data["metrics"]["http_req_duration"]) == trend
    assert data["metrics"]["http_req_failed"] == {"rate": 12 / 10_002, "passes": 9_990, "fails": 12}
    assert data["endpoints"][0]["statuses"] == {"200": 5000}
    assert data["errors"][0]["kind"] == "http_500"
    assert data["target"]["label"] == "nginx"


def test_no_data_and_no_number_are_null() -> None:
    summary = all_failed()
    summary.table.gauge(Series("vus")).set(float("inf"))
    metrics = {**summary.metrics, "vus": replace(summary.metrics["vus"], sink=summary.table.get("vus"))}
    dumped = dump_summary(replace(summary, metrics=metrics, duration_s=float("nan")))
    data = orjson.loads(dumped)
    assert data["duration_s"] is None
    assert data["metrics"]["vus"]["value"] is None
    assert data["metrics"]["http_req_duration"]["avg"] is None
    assert b"NaN" not in dumped
    assert dumped.endswith(b"}\n")


def test_what_json_cannot_hold_does_not_cost_the_summary() -> None:
    summary = full_run()
    summary.table.counter(Series("orders")).value = 2**70
    data = orjson.loads(dump_summary(replace(summary, errors=ErrorTable({"a\udc80": (1, "b\ud800")}))))
    assert data["metrics"]["orders"]["count"] == 2.0**70
    kept = {"kind": "a\\udc80", "count": 1, "first": "b\\ud800", "code": 1000, "remedy": OTHER_REMEDY, "names": []}
    assert data["errors"][0] == kept
    assert data["passed"] is False


def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    reader = path.open()
    output = SummaryFile(link)
    output.check()
    assert path.read_text() == "old"
    output.start(make_plan(closed_bench().plan.scenarios[0].executor))
    output.snapshot(make_snapshot())
    assert path.read_text() == "old"
    output.stop(closed_bench())
    assert path.read_bytes() == dump_summary(closed_bench())
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with reader:
        assert reader.read() == "old"
    assert leftovers(tmp_path) == []


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    SummaryFile(tmp_path / "new.json").stop(closed_bench())
    assert (tmp_path / "new.json").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=r"summary file '.*summary.json' could not be written: No space left"):
        SummaryFile(path).stop(closed_bench())
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def refuse(*_: Any) -> None:
    raise AssertionError("it would have been replaced")


def test_a_device_is_written_into_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may replace a device of the machine: broken code must fail here without doing so.
    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OutputError, match="No space left"):
        SummaryFile("/dev/full").stop(closed_bench())


def test_check_accepts_a_device() -> None:
    SummaryFile("/dev/full").check()


def test_check_leaves_no_file_behind(tmp_path: Path) -> None:
    SummaryFile(tmp_path / "summary.json").check()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_fails_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"--summary '.*/no/summary.json' has no directory") as caught:
        SummaryFile(tmp_path / "no" / "summary.json", option="--summary").check()
    assert caught.value.hint == f"create it: mkdir -p {tmp_path / 'no'}"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="is a directory") as caught:
        SummaryFile(tmp_path).check()
    assert caught.value.hint == f"add a file name: {tmp_path / 'summary.json'}"


@pytest.mark.parametrize("name", ["new.json", "old.json"])
def test_a_read_only_directory_fails_before_the_run(open_directory: Path, name: str) -> None:
    (open_directory / "old.json").write_text("old")
    open_directory.chmod(0o555)
    with unprivileged(), pytest.raises(PlanError, match="cannot be written: Permission denied") as caught:
        SummaryFile(open_directory / name).check()
    assert caught.value.hint == "choose a path that you may write to"


def test_a_read_only_file_fails_before_the_run(open_directory: Path) -> None:
    path = open_directory / "old.json"
    path.write_text("old")
    path.chmod(0o444)
    open_directory.chmod(0o777)
    with unprivileged():
        SummaryFile(open_directory / "new.json").check()
        with pytest.raises(PlanError, match="cannot be written: Permission denied"):
            SummaryFile(path).check()
    assert path.read_text() == "old"


def test_a_stream_gets_the_same_bytes() -> None:
    stream = io.BytesIO()
    output = SummaryStream(stream)
    output.start(closed_bench().plan)
    output.snapshot(make_snapshot())
    assert stream.getvalue() == b""
    output.stop(closed_bench())
    assert stream.getvalue() == dump_summary(closed_bench())


def test_a_stream_whose_reader_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stream:
        SummaryStream(stream).stop(closed_bench())


def test_a_stream_on_a_full_disk_is_one_output_error() -> None:
    with Path("/dev/full").open("wb") as stream, pytest.raises(OutputError, match="No space left"):
        SummaryStream(stream).stop(closed_bench())
