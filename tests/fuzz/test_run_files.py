"""Hostile run files: one clear error or a report, never a traceback, in bounded time and memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from fastload.cli.main import run_cli
from fastload.model.frames import pack, unpack
from fastload.model.saved.codec import HEADER, PREAMBLE, PREFIX_BYTES, SECOND, SUMMARY, RunFileError, header_from_plain
from fastload.model.saved.run_file import RunReader, load_run
from tests.fuzz.mutations import mutated, nested
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.run_files import Records, file_of, hostile, read_record, read_whole, record, sealed, small
from tests.fuzz.source import Source

MEMORY_BYTES = 2 * 2**30
"""What a command may take: far above what it needs, and far below what a bomb takes."""


def test_any_record_is_read_or_an_error() -> None:
    bodies = dict(small())
    known = header_from_plain(unpack(pack(bodies[HEADER])))

    def run(source: Source) -> None:
        kind = source.choice((HEADER, SECOND, SECOND, SUMMARY))
        body = mutated(bodies[kind], source, most=source.choice((1, 1, 3)))
        read_record(kind, record(kind, body)[PREFIX_BYTES:], known)

    fuzz(run)


def test_any_run_file_is_a_run_or_an_error(tmp_path: Path) -> None:
    records, path = small(), tmp_path / "hostile.fastload"
    fuzz(lambda source: read_whole(file_of(path, hostile(records, source))))


def test_any_bytes_after_the_preamble_are_a_run_or_an_error(tmp_path: Path) -> None:
    path = file_of(tmp_path / "hostile.fastload", small())
    whole = path.read_bytes()

    def run(source: Source) -> None:
        at = source.randrange(len(whole))
        read_whole(written(path, whole[:at] + source.binary(30) + whole[at + source.randrange(30) :]))

    fuzz(run)


def test_any_seconds_are_pooled_or_an_error(tmp_path: Path) -> None:
    begin, second, _ = small()
    path = tmp_path / "hostile.fastload"

    def run(source: Source) -> None:
        changed = (SECOND, mutated(second[1], source, most=source.choice((1, 1, 3))))
        saved = load_run(
            file_of(path, (begin, *source.choice(((second, changed), (changed, second), (changed, changed)))))
        )
        size, metrics = source.choice((1, 2)), source.choice((None, ("http_reqs", "http_req_duration")))
        for one in saved.seconds.pooled(lambda number, *_: number // size, metrics):
            one.table.to_plain()

    fuzz(run)


def test_any_run_file_is_followed_or_an_error(tmp_path: Path) -> None:
    records, path = small(), tmp_path / "hostile.fastload"

    def run(source: Source) -> None:
        whole = file_of(path, hostile(records, source)).read_bytes()
        # It grows while it is read.
        written(path, whole[: source.choice((len(whole), 5, len(whole) // 2, len(whole) - 1))])
        with RunReader(path) as reader:
            found = [record.kind for record in reader.poll()]
            path.write_bytes(whole)
            found += [record.kind for record in reader.poll()]
        assert found[:1] in ([], ["header"])

    fuzz(run)


def _changed(*steps: Any, to: Any, kind: int) -> Records:
    records = small()
    body = next(body for one, body in records if one == kind)
    for step in steps[:-1]:
        body = body[step]
    body[steps[-1]] = to
    return records


_NAME = small()[0][1]["plan"]["scenarios"][0]["name"]
CASES: dict[str, tuple[Records, str]] = {
    "no header": (small()[1:], "ends before the first record"),
    "a header that is a list": ([(HEADER, [1])], "no map"),
    "an unknown executor without a model": (_changed("plan", "scenarios", 0, "model", to=7, kind=HEADER), "no text"),
    "no scenario": (_changed("plan", "scenarios", to=[], kind=HEADER), "no scenario"),
    "a scenario after itself": (_changed("plan", "scenarios", 0, "after", to=_NAME, kind=HEADER), "comes after"),
    "a plan within a plan": (_changed("plan", "http", to={"a": nested(400)}, kind=HEADER), "within each other"),
    "a year of a million": (_changed("started_at", to="+1000000-01-01", kind=HEADER), "first record"),
    "a metric of another kind": (_changed("specs", 0, 1, to="counter", kind=HEADER), "another metric"),
    "a negative count": (_changed("requests", to=-1, kind=SECOND), "requests: -1"),
    "not a number": (_changed("t_s", to=float("nan"), kind=SECOND), "t_s: nan"),
    "a million years": (_changed("t_s", to=3e13, kind=SECOND), "a hundred years"),
    "a second of no length": (_changed("span_s", to=0, kind=SECOND), "0 s long"),
    "a time out of range": (_changed("time_ns", to=2**63, kind=SECOND), "time_ns"),
    "a histogram of texts": (_changed("series", 0, 3, to="x", kind=SECOND), "a second cannot be read"),
    "a histogram for a gauge": (_changed("series", 4, 0, to="vus", kind=SECOND), "of this run"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_makes_no_sense_is_one_error(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records, message = CASES[name]
    path = file_of(tmp_path / "hostile.fastload", records)
    if name not in ("no header", "a header that is a list") and records[0][1] == small()[0][1]:
        # The summary of a complete run would do for the report, but not for what reads the seconds.
        records = [one for one in records if one[0] != SUMMARY]
        path = file_of(path, records)
    with pytest.raises(RunFileError, match=message):
        read_whole(path)
    assert run_cli(["report", str(path)]) == 104
    told = capsys.readouterr().err
    assert told.count("Error: ") == 1
    assert message in told


@pytest.mark.parametrize("name", ["histograms", "metrics", "verdict", "host", "workers", "plan"])
def test_a_summary_that_makes_no_sense_costs_no_second(name: str, tmp_path: Path) -> None:
    run = load_run(file_of(tmp_path / "hostile.fastload", _changed(name, to=[1, "x"], kind=SUMMARY)))
    assert not run.complete
    assert "the end of the run is damaged" in run.notes[0]
    assert run.summary_dict()["metrics"]["http_reqs"]["count"] == 5


def _bomb(name: str) -> bytes:
    begin = record(*small()[0])
    match name:
        case "a length beyond the file":
            return b"\xff" * 9
        case "zeros in the header":
            return sealed(HEADER, zlib.compress(bytes(64 * 2**20)))
        case "zeros in a second":
            return begin + sealed(SECOND, zlib.compress(bytes(64 * 2**20)))
        case "lists in a second" | "lists in the summary":
            lists = zlib.compress(b"\xdd" + (30 * 2**20).to_bytes(4, "big") + b"\x90" * (30 * 2**20))
            return begin + sealed(SUMMARY if "summary" in name else SECOND, lists)
        case "a deep header":
            return sealed(HEADER, zlib.compress(b"\x91" * 2**20))
        case "a long list that is not there":
            return begin + sealed(SECOND, zlib.compress(b"\xdd\xff\xff\xff\xff"))
    raise AssertionError(name)


BOMBS = (
    "a length beyond the file",
    "zeros in the header",
    "zeros in a second",
    "lists in a second",
    "lists in the summary",
    "a deep header",
    "a long list that is not there",
)


def test_a_bomb_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))

    for name in BOMBS:
        path = tmp_path / f"{name}.fastload"
        path.write_bytes(PREAMBLE + _bomb(name))
    files = [str(tmp_path / f"{name}.fastload") for name in BOMBS]
    # One process for all of them: a start of Python takes longer than what is tested.
    done = subprocess.run(
        [sys.executable, "-c", _READ, *files], capture_output=True, text=True, timeout=100, preexec_fn=limit
    )
    assert done.returncode == 0, done.stderr
    # A damaged summary leaves the seconds; here are none.
    assert done.stdout.split() == ["0" if "summary" in name else "104" for name in BOMBS]
    assert done.stderr.count("Error: ") == len(BOMBS) - 1


_READ = """
import contextlib, io, sys
from fastload.cli.main import run_cli
for file in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()):
        code = int(run_cli(["report", file]))
    print(code)
"""


def test_a_metric_that_the_header_does_not_have_is_left_out(tmp_path: Path) -> None:
    records = _changed("series", 0, 0, to="odd", kind=SECOND)
    (second,) = load_run(file_of(tmp_path / "hostile.fastload", records)).seconds
    assert second.table.series_values
    assert all(series.metric != "odd" for series in second.table.series_values)


def test_many_containers_are_refused() -> None:
    packed = pack([[]] * 1_000)
    assert len(unpack(packed, most_containers=1_001)) == 1_000
    with pytest.raises(ValueError, match="more than 1,000 lists and maps"):
        unpack(packed, most_containers=1_000)
