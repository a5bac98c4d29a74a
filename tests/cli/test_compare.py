"""`fastload compare`: what it compares, what it refuses, what it writes, and what its exit code says."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fastload.cli.main import run_cli
from tests.conftest import Cli, Nginx
from tests.model.runs import PLAN, lognormal, save, with_endpoint
from tests.outputs.page.packed_page import data_in


class Done(NamedTuple):
    """A command that is over."""

    code: int
    stdout: str
    stderr: str


Compare = Callable[..., Done]


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Compare:
    """Run ``fastload compare ARGS`` in this process, and in the folder with the runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")

    def run(*arguments: str) -> Done:
        code = run_cli(["compare", *arguments])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the same, one that is slower, and a directory each of the quick and of the slow ones."""
    folder = tmp_path_factory.mktemp("saved")
    save(folder / "a.fastload", lognormal(), 1, seconds=20)
    shutil.copy(folder / "a.fastload", folder / "copy.fastload")
    save(folder / "again.fastload", lognormal(), 2, seconds=20)
    save(folder / "slow.fastload", lognormal(factor=1.3), 3, seconds=20)
    for name, factor in (("base", 1.0), ("new", 1.3)):
        (folder / name).mkdir()
        for number in range(3):
            save(folder / name / f"{number}.fastload", lognormal(factor=factor), 10 + number, seconds=6)
    save(folder / "short.fastload", lognormal(), 20, seconds=6)
    return folder


@pytest.fixture
def runs(saved: Path, tmp_path: Path) -> Path:
    """The folder of a test with the `saved` runs."""
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    return tmp_path


def words(text: str) -> str:
    """*text* with single spaces, wherever its lines were broken."""
    return " ".join(text.split())


@pytest.mark.usefixtures("runs")
def test_the_exit_code_says_whether_it_is_worse(compare: Compare) -> None:
    same, slower, quicker = (
        compare("a.fastload", other) if other != "slow" else compare("slow.fastload", "a.fastload")
        for other in ("again.fastload", "slow.fastload", "slow")
    )
    assert [one.code for one in (same, slower, quicker)] == [0, 99, 0]
    assert same.stdout.startswith("NO DIFFERENCE SHOWN  between B (again) and A (a)\n")
    assert slower.stdout.startswith("WORSE  B (slow) against A (a): worse in http_req_duration p50 (+")
    assert quicker.stdout.startswith("BETTER  B (a) against A (slow): better in http_req_duration p50 (-")
    assert compare("a.fastload", "slow.fastload", "--fail-on", "never").code == 0
    assert compare("a.fastload", "slow.fastload", "--margin", "60%").code == 0
    assert {one.stderr for one in (same, slower, quicker)} == {""}


@pytest.mark.usefixtures("runs")
def test_directories_are_repeated_runs(compare: Compare) -> None:
    done = compare("base", "new/")
    assert done.code == 99
    assert "B (new/) against A (base/)" in done.stdout
    assert "A  base/: 3 runs of 6s" in done.stdout
    assert "one run each" not in words(done.stdout)
    assert "a run alone is taken to vary as much" in words(compare("base", "short.fastload").stdout)
    assert "one run each: how much runs vary" in words(compare("a.fastload", "again.fastload").stdout)


@pytest.mark.usefixtures("runs")
def test_several_candidates_have_a_table_each(compare: Compare) -> None:
    done = compare("a.fastload", "again.fastload", "slow.fastload")
    assert done.code == 99
    assert done.stdout.startswith("NO DIFFERENCE SHOWN  between B (again) and A (a)\nWORSE  C (slow) against A (a)")
    assert re.findall(r"^([BC]) AGAINST A", done.stdout, re.MULTILINE) == ["B", "C"]


@pytest.mark.usefixtures("runs")
def test_details_without_a_difference_are_listed_on_demand(compare: Compare) -> None:
    short, everything = compare("a.fastload", "again.fastload"), compare("a.fastload", "again.fastload", "--all")
    assert "--all lists them" in words(short.stdout)
    assert "GET /users" not in short.stdout
    assert "--all lists them" not in words(everything.stdout)
    assert "ENDPOINTS" in everything.stdout
    assert "GET /users" in everything.stdout


def test_a_detail_that_is_worse_fails_only_if_it_is_asked_to(compare: Compare, tmp_path: Path) -> None:
    save(tmp_path / "a.fastload", lognormal(), 1, more=with_endpoint(1.0))
    save(tmp_path / "b.fastload", lognormal(), 2, more=with_endpoint(1.4))
    done = compare("a.fastload", "b.fastload")
    assert done.code == 0
    assert "in the details of B: " in done.stdout
    assert re.search(r"POST /login +p50 .* ✗ worse", done.stdout)
    assert compare("a.fastload", "b.fastload", "--fail-on", "any").code == 99


@pytest.mark.usefixtures("runs")
def test_files_and_stdout(compare: Compare, tmp_path: Path) -> None:
    done = compare("a.fastload", "slow.fastload", "--json", "-", "--md", "c.md", "--html", "c.html")
    assert done.code == 99
    data = json.loads(done.stdout)
    assert data["verdict"] == "worse"
    assert [(side["label"], side["name"]) for side in data["sides"]] == [("A", "a"), ("B", "slow")]
    assert "❌ **Worse** B (slow) against A (a)" in (tmp_path / "c.md").read_text()
    assert (tmp_path / "c.html").read_text().startswith("<!DOCTYPE html>")
    printed = compare("a.fastload", "slow.fastload", "--md", "-")
    assert printed.stdout == (tmp_path / "c.md").read_text()


def test_different_plans_are_refused_but_for_force(compare: Compare, runs: Path) -> None:
    other = {"scenarios": [PLAN["scenarios"][0] | {"vus": 50, "duration_s": 20.0}]}
    save(runs / "other.fastload", lognormal(), 5, plan=other, seconds=20)
    done = compare("a.fastload", "other.fastload", "--json", "c.json")
    assert done.code == 104
    assert "different plans: vus: 10 in a, 50 in other" in done.stderr
    assert "--force" in done.stderr
    assert (done.stdout, (runs / "c.json").exists()) == ("", False)
    forced = compare("a.fastload", "other.fastload", "--force", "--md", "c.md", "--json", "c.json")
    assert forced.code == 0
    assert "DIFFERENT PLANS  vus: 10 in a, 50 in other" in forced.stdout
    assert "**different plans**: vus: 10 in a, 50 in other" in (runs / "c.md").read_text()
    assert json.loads((runs / "c.json").read_text())["refusals"] == ["vus: 10 in a, 50 in other"]


def test_several_differences_of_plans_are_named(compare: Compare, runs: Path) -> None:
    scenario = PLAN["scenarios"][0] | {"vus": 50, "pacing_s": 1.0, "duration_s": 20.0}
    save(runs / "other.fastload", lognormal(), 5, plan={"title": "other.py", "scenarios": [scenario]}, seconds=6)
    done = compare("a.fastload", "other.fastload")
    assert done.code == 104
    said = "test: shop.py in a, other.py in other; vus: 10 in a, 50 in other; pacing_s: 0 in a, 1 in other"
    assert f"different plans: {said}\n" in done.stderr


def test_what_makes_a_run_doubtful_is_said_in_every_output(compare: Compare, runs: Path) -> None:
    save(runs / "cut.fastload", lognormal(), 6, complete=False, seconds=20)
    save(runs / "bad.fastload", lognormal(), 7, state="INVALID", versions={"libcurl": "9.9"}, seconds=20)
    for name, expected in (
        ("cut", "cut is truncated"),
        ("bad", "bad is INVALID"),
        ("bad", "version of libcurl: 8.0 in a"),
    ):
        done = compare("a.fastload", f"{name}.fastload", "--md", "c.md", "--html", "c.html", "--json", "c.json")
        assert done.code == 0
        assert f"WARNING {expected}" in words(done.stdout)
        for file in ("c.md", "c.json"):
            assert expected in (runs / file).read_text(), file
        assert expected in json.dumps(data_in((runs / "c.html").read_text()), ensure_ascii=False)


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("a.fastload",), "only one run", "compare A B"),
        (("a.fastload", "agan.fastload"), "no file 'agan.fastload'", "again.fastload"),
        (("a.fastload", "./a.fastload"), "'a.fastload' is given twice", "once"),
        (("a.fastload", "copy.fastload"), "'copy.fastload' is the same run as 'a.fastload'", "once"),
        (("a.fastload", "empty"), "no run in the directory 'empty'", "--save empty/"),
        (("a.fastload", "again.fastload", "--margin", "much"), "--margin 'much'", "2%"),
        (("a.fastload", "again.fastload", "--margin", "nan"), "--margin 'nan'", "2%"),
        (
            ("a.fastload", "again.fastload", "--md", "-", "--json", "-"),
            "--md and --json would both go to stdout",
            "file",
        ),
        (("a.fastload", "again.fastload", "--html", "nowhere/c.html"), "--html 'nowhere/c.html'", "mkdir"),
        (("a.fastload", "no.fastload"), "is no run file", "--save"),
        (tuple(f"{number}.fastload" for number in range(27)), "27 are too many", "directory"),
    ],
)
def test_mistakes_are_refused_with_a_hint(
    compare: Compare, tmp_path: Path, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.fastload").write_text("something else")
    done = compare(*arguments)
    assert done.code == 104
    assert done.stdout == ""
    assert message in done.stderr
    assert hint in done.stderr.partition("Hint:")[2]


def test_runs_that_are_too_short_cannot_be_compared(compare: Compare, tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / f"{name}.fastload", lognormal(), ord(name), seconds=2)
    done = compare("a.fastload", "b.fastload")
    assert done.code == 104
    assert done.stdout.startswith("NOT JUDGED  B (b) against A (a): under 5 s of run")
    assert compare("a.fastload", "b.fastload", "--fail-on", "never").code == 0


def test_two_real_runs(cli: Cli, nginx: Nginx, compare: Compare) -> None:
    """Runs of a moment each, as the command saved them: what is repeated can be compared all the same."""
    for number in range(3):
        options = ["-c", "2", "-d", "400ms", "-w", "1", "-q", "--save", f"{'ab'[number % 2]}/"]
        assert cli("bench", nginx.url, *options).returncode == 0
    done = compare("a", "b", "--json", "-", "--fail-on", "never")
    assert (done.code, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["refusals"] == []
    assert [len(side["runs"]) for side in data["sides"]] == [2, 1]
    verdicts = {row["subject"]: row["changes"][0]["verdict"] for row in data["rows"]}
    assert verdicts["http_req_failed"] == "no difference shown"
    assert verdicts["http_reqs"]
