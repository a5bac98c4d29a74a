"""Where outputs go: none over another or over what is read, and one at most on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastload as fl
from fastload.cli.main import run_cli
from fastload.model.errors import PlanError
from fastload.outputs.destinations import ListeningPort, check_ports
from fastload.outputs.saved_run import make_replay_sink
from fastload.outputs.streams.registry import SHIPPED, RequestedOutput, make_named_sink, make_sink_outputs
from tests.conftest import Cli, Nginx, cli_env
from tests.data.renew import RUN

SCRIPT = """
import fastload as fl


@fl.setup
async def begin(vu: fl.VU) -> None:
    print("set up")


@fl.scenario(vus=1, iterations=3)
async def read(vu: fl.VU) -> None:
    print("read")
    await vu.get("/")


@fl.handle_summary
def end(summary: fl.Summary) -> dict[str, str]:
    return {"stdout": "ended"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a saved run under several names, a script, options for it, and an empty directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.fastload").write_bytes(RUN.read_bytes())
    (tmp_path / "link").symlink_to("a.fastload")
    (tmp_path / "same").hardlink_to(tmp_path / "a.fastload")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "b.fastload").write_bytes(RUN.read_bytes())
    (tmp_path / "shop.py").write_text(SCRIPT)
    (tmp_path / "o.json").write_text("{}")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


BOTH = "would both write"
STDOUT = "would both go to stdout"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run shop.py --save r.x --html r.x", f"--html and --save {BOTH} 'r.x'"),
        ("run shop.py --html r --summary ./dir/../r", f"--summary and --html {BOTH} 'r'"),
        ("run shop.py --out html=a --out md=./a", f"--out html and --out md {BOTH} './a'"),
        ("run shop.py --out run=x.y --save x.y", f"--out run and --save {BOTH} 'x.y'"),
        ("run shop.py --out locust=a --out md=a_failures.csv", f"--out locust and --out md {BOTH} 'a_failures.csv'"),
        ("run shop.py --out csv --out md=file.csv", f"--out csv and --out md {BOTH} 'file.csv'"),
        ("run shop.py --html runs --save runs/", f"--html and --save {BOTH} 'runs/'"),
        ("bench --html a --summary a", f"--summary and --html {BOTH} 'a'"),
        ("run shop.py --html ./shop.py", "--html './shop.py' would overwrite the script"),
        ("run shop.py --opts o.json --summary o.json", "--summary 'o.json' would overwrite the file of --opts"),
        ("run shop.py --out junit=d/", "--out junit 'd/' is a directory, and a file is wanted"),
        ("run shop.py --html d/.", "--html 'd/.' is a directory, and a file is wanted"),
        ("run shop.py --summary d/", "--summary 'd/' is a directory, and a file is wanted"),
        ("run shop.py --json --out json=-", f"--json and --out json {STDOUT}"),
        ("run shop.py --out json --out csv=-", f"--out json and --out csv {STDOUT}"),
        ("bench --summary - --out md=/dev/stdout", f"--summary and --out md {STDOUT}"),
        ("run shop.py --save -", "--save cannot go to stdout"),
        ("run shop.py --out locust=-", "--out locust cannot go to stdout"),
        (
            "run shop.py --base-url http://127.0.0.1:9 --save runs",
            "--save 'runs' is no directory, and has no suffix of a file",
        ),
        ("report a.fastload --md a.fastload", "--md 'a.fastload' would overwrite the run that is read"),
        ("report link --json a.fastload", "--json 'a.fastload' would overwrite the run that is read"),
        ("report a.fastload --hlog same", "--hlog 'same' would overwrite the run that is read"),
        ("report a.fastload --out run=link", "--out run 'link' would overwrite the run that is read"),
        ("report a.fastload --html r --md r", f"--html and --md {BOTH} 'r'"),
        ("report a.fastload --json r --summary r", f"--json and --summary {BOTH} 'r'"),
        ("report a.fastload --junit d/", "--junit 'd/' is a directory, and a file is wanted"),
        ("compare a.fastload dir --md a.fastload", "--md 'a.fastload' would overwrite a run that is compared"),
        ("compare dir a.fastload --json dir/b.fastload", "--json 'dir/b.fastload' would overwrite a run that is"),
        ("compare dir a.fastload --md c --html c", f"--html and --md {BOTH} 'c'"),
        ("compare dir a.fastload --md d/", "--md 'd/' is a directory, and a file is wanted"),
    ],
)
def test_it_is_refused_before_anything_is_written(
    command: str, message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    assert run_cli(command.split()) == 104
    error, hint = capfd.readouterr().err.splitlines()
    assert error.startswith(f"Error: {message}")
    assert hint.startswith("Hint:  ")
    assert {name: data for name, data in contents(folder).items() if name != "__pycache__"} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--out prometheus=7001 --out prometheus=7001", "--out prometheus and --out prometheus would both listen on"),
        ("--out prometheus=[::]:7001 --out prometheus=7001", "--out prometheus and --out prometheus would both listen"),
        ("--dashboard 7001 --out prometheus=localhost:7001", "--dashboard and --out prometheus would both listen on"),
        (
            "--dashboard --out prometheus=0.0.0.0:5665",
            "--dashboard and --out prometheus would both listen on",
        ),
        ("--control 7001 --dashboard 7001", "--control and --dashboard would both listen on port 7001"),
        ("--out statsd=h:1 --out json=a --out statsd=h:1", "--out statsd=h:1 is given twice"),
        ("--out otlp=http://me:pw@h --out opentelemetry=http://me:pw@h", "--out otlp=http://h is given twice"),
    ],
)
def test_two_at_one_port_and_two_that_are_the_same_are_refused(
    options: str, message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["run", "shop.py", *options.split()]) == 104
    assert capfd.readouterr().err.startswith(f"Error: {message}")
    assert not (folder / "a").exists()


def test_ports_of_other_hosts_and_free_ones_are_not_refused() -> None:
    addresses = [("--control", "127.0.0.1", 7), ("--dashboard", "127.0.0.2", 7), ("a", "h", 0), ("b", "h", 0)]
    check_ports(ListeningPort(*address) for address in addresses)
    assert len(make_sink_outputs(["prometheus=127.0.0.1:7", "prometheus=127.0.0.1:8", "prometheus=127.0.0.2:7"])) == 3
    with pytest.raises(PlanError, match="would both listen on port 7"):
        make_sink_outputs(["prometheus=7", "prometheus=localhost:7"])


@pytest.mark.usefixtures("folder")
def test_what_takes_from_several_and_what_is_apart_is_not_refused() -> None:
    assert run_cli(["report", "a.fastload", "--md", "/dev/null", "--junit", "/dev/null"]) == 0
    assert run_cli(["report", "a.fastload", "--out", "run=dir", "--html", "dir/a.html", "--csv", "dir/a"]) == 0


def test_a_script_that_runs_itself_is_told_as_well(folder: Path) -> None:
    async def read(vu: fl.VU) -> None:
        await vu.get("/")

    with pytest.raises(PlanError, match=f"--out md and --html {BOTH}"):
        fl.run(fl.scenario(vus=1, iterations=1)(read), base_url="http://127.0.0.1:9", out=["md=a"], html="a")
    assert not (folder / "a").exists()


@pytest.mark.parametrize("name", [name for name, one in SHIPPED.items() if one.endings or name == "run"])
def test_an_output_writes_the_files_that_are_checked(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out.x"
    expected = {Path(one.path) for one in make_named_sink(RequestedOutput("--out", f"{name}={out}")).written}
    assert run_cli(["report", str(RUN), "--out", f"{name}={out}"]) == 0
    assert set(tmp_path.iterdir()) == expected


def test_an_output_of_somebody_else_may_tell_its_files() -> None:
    with pytest.raises(PlanError, match=f"--out json and --out csv {BOTH}"):
        make_sink_outputs(["json=a.gz", "csv=a.gz"])
    assert make_named_sink(RequestedOutput("--out", "statsd=h:1")).written == ()


@pytest.mark.parametrize("out", ["json", "json=-", "csv=-", "md=-", "html=-", "junit=-", "hlog=-"])
def test_all_of_stdout_is_one_output(out: str, cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SCRIPT)
    name = out.partition("=")[0]
    options = ["--base-url", nginx.url, "-w", "1", "--out", out]
    if name in ("json", "csv"):
        options += ["--out", f"{name}=copy"]
    else:
        options += ["--save", "a.fastload"]
    done = cli("run", "shop.py", *options)
    assert done.returncode == 0, done.stderr
    if name == "json":
        assert [json.loads(line)["type"] for line in done.stdout.splitlines()].count("Metric") > 5
    elif name != "csv":
        assert cli("report", "a.fastload", "--out", f"{name}=copy").returncode == 0
    assert done.stdout == (tmp_path / "copy").read_text()
    for said in ("set up", "read", "ended"):
        assert said in done.stderr, said
    assert not (tmp_path / "-").exists()


def test_a_program_with_an_output_on_stdout_keeps_what_users_print_apart(nginx: Nginx, tmp_path: Path) -> None:
    program = f"""
import fastload as fl

async def visit(vu):
    print("printed in a worker")
    await vu.get("/")

fl.run(visit, iterations=3, workers=1, base_url={nginx.url!r}, out=["json=-"])
"""
    env = cli_env()
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()].count("Metric") > 5
    assert done.stderr.count(b"printed in a worker") == 3


def test_a_quiet_run_with_an_output_on_stdout_says_nothing_else(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    done = cli("bench", nginx.url, "-n", "50", "-c", "2", "-q", "--out", "json=-", "--summary", "s.json")
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len([one for one in found if one["type"] == "Point" and one["metric"] == "http_reqs"]) == 50
    printed = cli("bench", nginx.url, "-n", "50", "-c", "2", "-q", "--summary", "-")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert json.loads(printed.stdout).keys() == json.loads((tmp_path / "s.json").read_text()).keys()


def test_a_saved_run_is_not_scraped() -> None:
    with pytest.raises(PlanError, match="--out prometheus is scraped while a run lasts, and a saved run is over"):
        make_replay_sink(RequestedOutput("--out", "prometheus=19999"))
