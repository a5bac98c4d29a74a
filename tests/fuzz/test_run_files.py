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
from fastload.dashboard.live_run import LiveRun
from fastload.model.frames import pack, unpack
from fastload.model.saved.codec import HEADER, PREAMBLE, SECOND, SUMMARY, RunFileError
from fastload.model.saved.run_file import RunReader, load_run
from tests.data.renew import RUN as GOLDEN
from tests.fuzz.mutations import nested
from tests.fuzz.parsing import fuzz
from tests.fuzz.run_files import Records, file_of, golden, hostile, read_whole, record, sealed, small
from tests.fuzz.source import Source

MEMORY_BYTES = 2 * 2**30
"""What a command may take: far above what it needs, and far below what a bomb takes."""


def _commands(path: Path, folder: Path) -> list[list[str]]:
    files = {"html": "html", "md": "md", "junit": "xml", "json": "json", "hlog": "hlog"}
    made = [part for option, suffix in files.items() for part in (f"--{option}", str(folder / f"r.{suffix}"))]
    compared = [part for one in ("html", "md", "json") for part in (f"--{one}", str(folder / f"c.{one}"))]
    return [
        ["report", str(path)],
        ["report", str(path), *made, "--csv", str(folder / "r")],
        ["compare", str(path), str(GOLDEN), "--force", *compared],
        ["compare", str(GOLDEN), str(path), "--force", "--fail-on", "never"],
    ]


def _check_commands(path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run every command that reads run files on *path*: each ends well or with one error, and no output fails."""
    for command in _commands(path, folder):
        assert run_cli(command) in (0, 99, 104), command
        told = capsys.readouterr().err
        assert told.count("Error: ") <= 1, told
        assert "could not be written" not in told, told
        assert "Traceback" not in told, told


def _follow(path: Path) -> None:
    """Read *path* as ``fastload ui`` follows a run."""
    with RunReader(path) as reader:
        live: LiveRun | None = None
        for kind, body in reader.poll():
            if kind == "header":
                live = LiveRun(body)
            elif live is not None and kind == "second":
                live.add(body)
            elif live is not None:
                live.end(body)
        if live is not None:
            live.report()


def test_every_command_takes_a_hostile_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, path = golden(), tmp_path / "hostile.fastload"
    short = [*real[:3], real[-1]]

    def run(source: Source) -> None:
        file_of(path, hostile(short, source))
        _check_commands(path, tmp_path, capsys)
        _follow(path)

    # It is what is written that takes a tenth of a second for each: ten thousand are read in test_saved_runs.py.
    fuzz(run, cases=50)


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
from fastload.dashboard.live_run import LiveRun
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
