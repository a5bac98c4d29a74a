"""`fastload new`: scripts that run as they are, nothing that is written over; and shipped scenarios by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fastload.cli.main import run_cli
from fastload.targets import RunningTarget
from tests.conftest import REPO, Cli, cli_env
from tests.convert.conftest import DATA, check_style

SHIPPED = sorted(path.stem for path in (REPO / "scenarios").glob("*.py"))


@pytest.mark.parametrize("template", ["", "minimal", "stages", "arrival", "data"])
def test_a_template_runs_as_it_is(cli: Cli, tmp_path: Path, sequencer: RunningTarget, template: str) -> None:
    done = cli("new", "my-shop", *(["--template", template] if template else []))
    assert done.returncode == 0, done.stderr
    files = "my-shop.py and my-shop.csv" if template == "data" else "my-shop.py"
    assert done.stdout == f"Wrote {files}\nNext:  fastload run my-shop.py --base-url http://localhost:8080\n"
    check_style(tmp_path / "my-shop.py")
    assert len((tmp_path / "my-shop.py").read_text().splitlines()) < 35
    assert cli("plan", "my-shop.py").returncode == 0
    done = cli("run", "my-shop.py", "--base-url", sequencer.base_url, "-i", "1", "-w", "1", "--json", "-q")
    # Whether it is fast enough for its thresholds is up to the machine.
    assert done.returncode in (0, 99), done.stderr
    summary = json.loads(done.stdout)
    assert summary["plan"]["scenarios"][0]["name"] == "my_shop"
    assert (summary["metrics"]["checks"]["rate"], summary["metrics"]["http_req_failed"]["rate"]) == (1, 0)


def test_nothing_is_written_over(cli: Cli, tmp_path: Path) -> None:
    for name in ("shop.py", "shop.csv"):
        (tmp_path / name).write_text("mine")
        done = cli("new", "shop", "--template", "data")
        assert done.returncode == 104
        assert f"{name if name == 'shop.py' else 'shop.py'} is there already" in done.stderr
        assert "--force" in done.stderr
    (tmp_path / "shop.py").unlink()
    assert "shop.csv is there already" in cli("new", "shop", "--template", "data").stderr
    assert not (tmp_path / "shop.py").exists()
    assert cli("new", "shop.py", "--template", "data", "--force").returncode == 0
    assert (tmp_path / "shop.csv").read_text().startswith("name,team\n")


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ((), "Missing argument 'NAME'", "fastload new --help"),
        (("...",), "'...' is no name for a script", "fastload new shop"),
        (("",), "'' is no name for a script", "fastload new shop"),
        (("no/.py",), "'no/.py' is no name for a script", "fastload new shop"),
        (
            ("shop", "--from", "localhost:1/a.yaml"),
            "cannot be read",
            "for a URL, write http://localhost:1/a.yaml; give",
        ),
        (("shop", "--from", "localhost/a.yaml"), "cannot be read", "for a URL, write http://localhost/a.yaml; give"),
        (("no/shop",), "there is no folder 'no'", "make it first"),
        (("random",), "random.py would hide the module random", "random_load"),
        (("fastload",), "would hide the module fastload", ""),
        (("folder",), "folder.py is there already", "choose another name"),
        (("shop", "--template", "mini"), "'mini' is not one of", ""),
        (("shop", "--template", "data", "--from", "a.har"), "exclude each other", ""),
        (("shop", "--from", "none.har"), "--from 'none.har' cannot be read: No such file", "HAR"),
        (("shop", "--from", "."), "--from '.' cannot be read: Is a directory", ""),
        (("shop", "--all-hosts"), "go with a recording, not with a template", "--from"),
        (("shop", "--static", "--from", "scenario:ingest"), "not with scenario:ingest", ""),
        (("shop", "--max-pause", "5s", "--from", str(DATA / "pets.yaml")), "not with pets.yaml", ""),
        (("shop", "--max-pause", "5"), "--max-pause", "5s"),
        (("shop", "--from", "scenario:ingst"), "there is no 'scenario:ingst'", "did you mean 'scenario:ingest'?"),
    ],
)
def test_mistakes_are_told_with_a_hint(
    cli: Cli, tmp_path: Path, args: tuple[str, ...], message: str, hint: str
) -> None:
    (tmp_path / "folder.py").mkdir()
    done = cli("new", *args)
    assert done.returncode == 104
    assert message in done.stderr
    assert hint in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["folder.py"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_are_found_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(["new", "mine", "--from", f"scenario:{name}"]) == 0
    assert capsys.readouterr().out == "Wrote mine.py\nNext:  fastload plan mine.py\n"
    text = (tmp_path / "mine.py").read_text()
    assert f"scenarios/{name}.py" not in text
    shipped = (REPO / "scenarios" / f"{name}.py").read_text()
    assert text.split("\nimport ", 1)[1] == shipped.split("\nimport ", 1)[1]


def test_a_shipped_scenario_runs(cli: Cli) -> None:
    shown = json.loads(cli("plan", "scenario:ingest", "--json").stdout)
    assert shown["title"] == "scenario:ingest"
    done = cli("run", "scenario:ingest", "--target", "sequencer", "-i", "2", "-u", "1", "-w", "1", "--json", "-q")
    assert json.loads(done.stdout)["metrics"]["events_ingested"]["count"] == 200


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ingset", "did you mean 'scenario:ingest'? there are scenario:"),
        ("", "there are scenario:"),
        ("../x", "there are"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest_and_the_list(cli: Cli, name: str, hint: str) -> None:
    done = cli("run", f"scenario:{name}")
    assert done.returncode == 104
    assert f"there is no 'scenario:{name}'" in done.stderr
    assert hint in done.stderr
    assert "scenario:ingest" in done.stderr


def test_a_forgotten_run_is_hinted_at(cli: Cli) -> None:
    assert "did you mean 'fastload run scenario:ingest'?" in cli("scenario:ingest").stderr


def test_an_installed_fastload_has_the_scenarios(tmp_path: Path) -> None:
    """A wheel is built and installed away from the repository."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    for command in (
        ["hatchling", "build", "-t", "wheel", "-d", str(wheels)],
        [
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            "--target",
            str(site),
            "--find-links",
            str(wheels),
            "fastload",
        ],
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=REPO, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
    packed = {path.relative_to(site).as_posix() for path in (site / "fastload" / "scenarios").rglob("*")}
    assert packed >= {f"fastload/scenarios/{name}.py" for name in SHIPPED}
    env = cli_env() | {"PYTHONPATH": str(site)}
    where = "import fastload; print(fastload.__file__)"
    shown = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert shown.stdout.startswith(str(site))
    for args in (["plan", "scenario:ingest", "--json"], ["new", "mine", "--from", "scenario:ingest"]):
        done = subprocess.run(
            [sys.executable, "-m", "fastload", *args], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.py").is_file()
