"""`fastload report`: the golden reports of a golden run, and what it says when there is nothing to report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fastload.cli.main import run_cli
from fastload.model.error_remedies import remedy_of
from fastload.model.saved.codec import PREAMBLE
from fastload.model.saved.run_file import load_run
from fastload.outputs.terminal.report import summary_text
from tests.conftest import Cli, Nginx, cli_command, cli_env
from tests.data.renew import FILES, FOLDER, RUN, make_reports

RENEW = "if this is as it should be: python -m tests.data.renew, and look at the difference"


class Done(NamedTuple):
    """A command that is over."""

    code: int
    stdout: str
    stderr: str


Report = Callable[..., Done]


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Report:
    """Run ``fastload report ARGS`` in this process, which is soon done, and in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Done:
        code = run_cli(["report", *arguments])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports of the golden run, made now."""
    folder: Path = tmp_path_factory.mktemp("reports")
    make_reports(folder)
    return folder


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """The golden run without its last 100 bytes."""
    path = tmp_path / "cut.fastload"
    path.write_bytes(RUN.read_bytes()[:-100])
    return path


@pytest.mark.parametrize("name", FILES)
def test_the_golden_reports_are_made_to_the_byte(name: str, made: Path) -> None:
    assert (made / name).read_bytes() == (FOLDER / name).read_bytes(), RENEW


def test_no_golden_report_is_forgotten(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == sorted(FILES)


def test_the_golden_run_has_everything_that_a_report_can_show() -> None:
    run = load_run(RUN)
    assert RUN.stat().st_size < 200_000
    assert run.complete
    assert run.notes == ()
    assert len(run.seconds) >= 4
    summary = run.summary or {}
    for key in (
        "thresholds",
        "checks",
        "endpoints",
        "groups",
        "scenarios",
        "errors",
        "exceptions",
        "workers",
        "target",
    ):
        assert summary[key], key
    assert {one["ok"] for one in summary["thresholds"]} == {True, False}


def test_without_options_the_report_of_the_end_is_printed(report: Report) -> None:
    done = report(str(RUN))
    assert done.code == 0
    assert [line.rstrip() for line in done.stdout.splitlines()] == [
        line.rstrip() for line in summary_text(load_run(RUN).to_summary()).splitlines()
    ]
    assert done.stderr == ""


def test_a_run_reads_afterwards_as_at_its_end(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    options = ["-c", "2", "-d", "1200ms", "-w", "1", "--threshold", "http_req_duration: p(95)<5s"]
    ran = cli("bench", nginx.url, *options, "--save", "a.fastload", "--summary", "a.json", "--out", "md=a.md")
    assert ran.returncode == 0
    again = cli("report", "a.fastload")
    assert again.stdout.strip()
    assert again.stdout in ran.stdout
    files = [
        "--json",
        "b.json",
        "--summary",
        "c.json",
        "--md",
        "b.md",
        "--csv",
        "b",
        "--hlog",
        "b.hlog",
        "--html",
        "b.html",
    ]
    assert cli("report", "a.fastload", *files, "--out", "junit=b.xml", "--out", "run=b.fastload").returncode == 0
    for one, other in (("a.json", "b.json"), ("a.json", "c.json"), ("a.md", "b.md"), ("a.fastload", "b.fastload")):
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes(), (one, other)
    for name in (
        "b_stats.csv",
        "b_stats_history.csv",
        "b_failures.csv",
        "b_exceptions.csv",
        "b.hlog",
        "b.html",
        "b.xml",
    ):
        assert (tmp_path / name).stat().st_size, name


def test_one_report_may_go_to_stdout(report: Report, made: Path) -> None:
    for option, name in (("--md", "golden.md"), ("--json", "golden.json"), ("--summary", "golden.json")):
        done = report(str(RUN), option, "-")
        assert (done.code, done.stderr) == (0, "")
        assert done.stdout == (made / name).read_text()
    for option, name in (("junit=-", "golden.xml"), ("hlog=-", "golden.hlog"), ("md=/dev/stdout", "golden.md")):
        assert report(str(RUN), "--out", option).stdout == (made / name).read_text()


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = " ".join([*cli_command("report", str(RUN), "--json", "-"), "| head -c 10"])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=cli_env(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", 10)


def test_a_run_without_an_end_has_all_reports_and_a_note(report: Report, cut: Path, tmp_path: Path) -> None:
    seconds = len(load_run(cut).seconds)
    files = [
        "--md",
        "a.md",
        "--junit",
        "a.xml",
        "--csv",
        "a",
        "--hlog",
        "a.hlog",
        "--html",
        "a.html",
        "--json",
        "a.json",
    ]
    done = report(str(cut), *files)
    assert done.code == 0
    assert (
        f"Note: the file has no end of the run, which was killed or still goes on: all figures are of the {seconds}"
        in (done.stderr)
    )
    summary = json.loads((tmp_path / "a.json").read_text())
    whole = json.loads((FOLDER / "golden.json").read_text())
    assert summary["stopped_by"] == "unknown"
    assert summary["endpoints"] == whole["endpoints"]
    # The golden run is of a version without remedies and names; those here are made from its seconds.
    assert [one | {"remedy": remedy_of(one["kind"])} for one in whole["errors"]] == [
        {key: value for key, value in one.items() if key != "names"} for one in summary["errors"]
    ]
    assert summary["histograms"] == whole["histograms"]
    assert "no end of the run" in report(str(cut)).stdout


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["golden.fastloda"], "there is no file 'golden.fastloda'", "did you mean 'golden.fastload'?"),
        (["."], "'.' is a directory", "give golden.fastload"),
        (["notes.txt"], "'notes.txt' is no run file of fastload", "--save"),
        (["short"], "it ends before the first record", "--save"),
        (["golden.fastload", "--junitt", "x"], "No such option '--junitt'.", "report --help"),
        ([], "Missing argument 'RUN'", "report --help"),
        (["golden.fastload", "--md", "no/a.md"], "'no/a.md' has no directory to be in", "mkdir -p no"),
        (["golden.fastload", "--json", "."], "--json '.' is a directory", "summary.json"),
        (["golden.fastload", "--out", "junti=x"], "--out: there is no output 'junti'", "did you mean 'junit'?"),
        (
            ["golden.fastload", "--out", "json=x"],
            "--out json needs single requests",
            "give --out json to the run itself",
        ),
        (["golden.fastload", "--md", "-", "--json", "-"], "--md and --json would both go to stdout", "to a file"),
        (["golden.fastload", "--csv", "-"], "--csv cannot go to stdout", "html, md, json, csv, junit, hlog"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_written(
    arguments: list[str], message: str, hint: str, report: Report, tmp_path: Path
) -> None:
    (tmp_path / "golden.fastload").write_bytes(RUN.read_bytes())
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "short").write_bytes(PREAMBLE)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = report(*arguments, *(["--hlog", "other.hlog"] if "--md" in arguments[1:2] else []))
    assert done.code == 104
    assert done.stdout == ""
    error, said = done.stderr.splitlines()
    assert message in error
    assert hint in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_stdout_that_takes_nothing_is_an_error() -> None:
    for option in ("--json", "--junit", "--hlog"):
        command = " ".join([*cli_command("report", str(RUN), option, "-"), "> /dev/full"])
        done = subprocess.run(["bash", "-c", command], env=cli_env(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 104
        assert "could not be written: No space left on device" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_no_trouble_shows_a_password(report: Report) -> None:
    done = report(str(RUN), "--out", "influxdb=http://admin:s3/cr?et@127.0.0.1:1/db?u=admin&p=s3cret")
    other = report(str(RUN), "--out", "influxdb=http://admin:s3cret@127.0.0.1:1/db?u=admin&p=s3cret")
    assert (done.code, other.code) == (104, 104)
    assert "output influxdb 'http://127.0.0.1:1/db' could not be written: " in other.stderr
    for said in (done.stderr, other.stderr):
        assert "127.0.0.1:1/db" in said
        assert not any(secret in said for secret in ("admin", "s3", "cr"))


def test_a_report_that_fails_costs_no_other(report: Report, tmp_path: Path) -> None:
    done = report(str(RUN), "--md", "a.md", "--out", "junit=/dev/full")
    assert done.code == 104
    assert done.stderr == "Error: output junit '/dev/full' could not be written: No space left on device\n"
    assert (tmp_path / "a.md").read_text() == (FOLDER / "golden.md").read_text()
