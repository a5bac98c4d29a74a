"""GitHub Actions: the job summary, and annotations that nothing in them can break."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from fastload.model.errors import PlanError
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.metrics import BUILTIN
from fastload.model.run_header import RunHeader
from fastload.model.summary import Summary
from fastload.outputs.streams.github import MOST_SUMMARY_BYTES, VARIABLE, GitHub, workflow_commands
from fastload.outputs.streams.markdown_report import render_markdown
from tests.conftest import Cli, Nginx
from tests.model.capacity.made import SETTINGS, made_result, searched_run
from tests.outputs.samples import USER_SPECS, full_run, open_bench

_COMMAND = re.compile(r"::(\w+) title=([^:,\r\n]*)::([^\r\n]*)")


@pytest.fixture
def job_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where GitHub wants the summary of a step."""
    path = tmp_path / "step_summary"
    path.write_text("# Before\n")
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def valid() -> Summary:
    """A run in which everything went well."""
    return replace(open_bench(), verdict=Verdict("VALID", ("it kept up",), "", ""))


def header(summary: Summary) -> RunHeader:
    return RunHeader(summary.plan.to_dict(), "2026-11-21T13:00:00.250+00:00", "beef", specs=BUILTIN | USER_SPECS)


def commands(summary: Summary) -> list[tuple[str, str, str]]:
    """Kind, title and text of every annotation, as GitHub's runner decodes them."""
    found = []
    for line in workflow_commands(header(summary), summary.to_dict()):
        match = _COMMAND.fullmatch(line)
        assert match, line
        title = match[2].replace("%3A", ":").replace("%2C", ",")
        found.append((match[1], _decoded(title), _decoded(match[3])))
    return found


def _decoded(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def deliver(summary: Summary) -> None:
    sink = GitHub("")
    sink.check()
    sink.open(header(summary))
    sink.close(summary.to_dict())


def test_failed_thresholds_are_errors_and_a_verdict_that_is_not_valid_is_a_warning() -> None:
    summary = replace(full_run(), verdict=Verdict("SUSPECT", ("50% late",), "slow down", ""))
    assert commands(summary) == [
        (
            "error",
            "Threshold failed: http_req_duration: p(95)<5",
            "p(95)=9.15ms, expected p(95)<5 (shop.py)",
        ),
        ("error", "Threshold failed: http_req_duration: p(99) < 1", "p(99)=9.49ms, expected p(99) < 1 (shop.py)"),
        ("error", "Threshold failed: orders: rate>1000", "rate=432/s, expected rate>1000 (shop.py)"),
        ("error", "Threshold failed: reply_bytes: avg<1000", "no data, expected avg<1000 (shop.py)"),
        ("warning", "Verdict SUSPECT", "50% late\nslow down\n(shop.py)"),
    ]
    assert commands(valid()) == []


def test_nothing_in_them_can_be_a_command_of_its_own() -> None:
    evil = "a%0A::error::b\r\n::set-env name=X::y,z: 100%\udcff"
    summary = valid()
    plan = replace(summary.plan, title=evil)
    bad = ThresholdResult(f"http_reqs{{name:{evil}}}", "count>1", False, 0.0, aggregate="count", kind="counter")
    (found,) = commands(replace(summary, plan=plan, thresholds=(bad,)))
    shown = evil.replace("\udcff", "\\udcff")
    assert found == (
        "error",
        f"Threshold failed: http_reqs{{name:{shown}}}: count>1",
        f"count=0, expected count>1 ({shown})",
    )


def test_of_many_failed_thresholds_as_many_are_shown_as_github_shows() -> None:
    bad = [ThresholdResult(f"metric_{number}", "count>1", False, 0.0) for number in range(12)]
    found = commands(replace(valid(), thresholds=tuple(bad)))
    assert len(found) == 10
    assert found[8][1] == "Threshold failed: metric_8: count>1"
    assert found[9] == (
        "error",
        "More thresholds failed",
        "and 3 more (bench)".replace("bench", open_bench().plan.title),
    )


def test_the_summary_is_appended_and_stdout_stays_clean(job_summary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(full_run())
    deliver(full_run())
    expected = render_markdown(header(full_run()), full_run().to_dict())
    assert job_summary.read_text() == "# Before\n" + 2 * expected
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("::error title=") == 8


def test_a_summary_that_github_would_refuse_is_cut(job_summary: Path) -> None:
    job_summary.write_bytes(b"x" * (MOST_SUMMARY_BYTES - 500) + b"\n")
    deliver(full_run())
    text = job_summary.read_text()
    assert MOST_SUMMARY_BYTES - 200 < len(text.encode()) <= MOST_SUMMARY_BYTES
    assert text.endswith("\n\n(The rest is left out: GitHub shows at most 1 MiB.)\n")
    deliver(full_run())
    assert job_summary.read_text() == text


def test_a_run_that_broke_off_is_an_error(job_summary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink = GitHub()
    sink.open(header(full_run()))
    sink.close(None)
    assert capsys.readouterr().err == "::error title=fastload broke off::shop.py: there is no summary\n"
    assert job_summary.read_text() == "# Before\n"


def test_elsewhere_it_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(PlanError, match=f"{VARIABLE} is not set") as refused:
        GitHub("").check()
    assert "--out md=FILE" in refused.value.hint
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing" / "summary"))
    with pytest.raises(PlanError, match="has no directory"):
        GitHub("").check()
    with pytest.raises(PlanError, match="takes no argument"):
        GitHub("summary.md")


def test_annotations_stay_out_of_the_json_on_stdout(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    args = ("-n", "20", "-c", "1", "-w", "1", "--json", "--threshold", "http_reqs: count>100", "--out", "github")
    done = cli("bench", nginx.url, *args, **{VARIABLE: str(path)})
    assert done.returncode == 99, done.stderr
    assert orjson.loads(done.stdout)["passed"] is False
    assert "::error title=Threshold failed%3A http_reqs%3A count>100::count=20, expected count>100" in done.stderr
    assert path.read_text().startswith("# bench ")


def test_a_capacity_that_is_not_shown_is_an_error() -> None:
    lacking = searched_run(made_result(settings=replace(SETTINGS, at_least=400.0)))
    answer = "381/s within the objectives, and less than 398/s"
    assert commands(lacking)[0] == (
        "error",
        "The capacity that was asked for is not shown",
        answer + " (" + header(lacking).title + ")",
    )
    assert [one for one in commands(searched_run()) if one[0] == "error"] == []
