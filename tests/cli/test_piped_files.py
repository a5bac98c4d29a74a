"""Files that are pipes of the shell: ``<(command)``, ``>(command)`` and stdin, as a user of bash writes them."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nginx, cli_command, cli_env, wait_until

SCRIPT = """
import fastload as fl

@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/")
"""
DATA = """
import fastload as fl

rows = fl.data(fl.env("ROWS"), format=fl.env("FORMAT"))

@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    await vu.get("/" + rows.once()["name"])
"""


def bash(nginx: Nginx, folder: Path, line: str, script: str = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run *line*, in which RUN is the command ``fastload run``, against nginx."""
    (folder / "x.py").write_text(script)
    command = shlex.join(cli_command("run", "--base-url", nginx.url, "-w", "1", "-q"))
    return subprocess.run(
        ["bash", "-c", line.replace("RUN", command)],
        cwd=folder,
        env=cli_env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def requests_of(summary: bytes) -> int:
    return int(json.loads(summary)["requests"]["finished"])


def read_when_complete(file: Path, end: bytes) -> bytes:
    """Return what bash's ``>(cat > file)`` has written; bash does not wait for it."""
    wait_until(lambda: file.exists() and file.read_bytes().endswith(end))
    return file.read_bytes()


def test_a_summary_goes_into_a_pipe_of_the_shell(nginx: Nginx, tmp_path: Path) -> None:
    done = bash(nginx, tmp_path, "RUN x.py --summary >(cat > got)")
    assert done.returncode == 0, done.stderr
    assert requests_of(read_when_complete(tmp_path / "got", b"}\n")) == 2


def test_an_output_goes_into_a_pipe_of_the_shell(nginx: Nginx, tmp_path: Path) -> None:
    done = bash(nginx, tmp_path, "RUN x.py --out csv=>(cat > got; echo end > closed)")
    assert done.returncode == 0, done.stderr
    read_when_complete(tmp_path / "closed", b"end\n")
    lines = (tmp_path / "got").read_text().splitlines()
    assert sum(line.startswith("http_reqs,") for line in lines) == 2


def test_two_outputs_may_share_a_pipe_that_is_stderr(nginx: Nginx, tmp_path: Path) -> None:
    done = bash(nginx, tmp_path, "RUN x.py --summary /dev/stderr 2>&1 >/dev/null | cat")
    assert requests_of(done.stdout[done.stdout.index("{") :].encode()) == 2


def test_a_run_file_is_no_pipe(nginx: Nginx, tmp_path: Path) -> None:
    done = bash(nginx, tmp_path, "RUN x.py --save >(cat > got)")
    assert done.returncode == 104
    assert "is a pipe or a device, and a run file is a file" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        """--opts <(echo '{"vus": 2, "iterations": 6}')""",
        r"""--opts <(printf 'vus = 2\niterations = 6\n')""",
        """--opts /dev/stdin <<< '{"vus": 2, "iterations": 6}'""",
        r"""--config <(printf '[scenarios.visit]\nvus = 2\niterations = 6\n')""",
    ],
)
def test_options_come_from_a_pipe_of_the_shell(nginx: Nginx, tmp_path: Path, options: str) -> None:
    script = SCRIPT.replace("(vus=1, iterations=2)", "") if "--config" in options else SCRIPT
    done = bash(nginx, tmp_path, f"RUN x.py --summary s.json {options}", script)
    assert done.returncode == 0, done.stderr
    assert requests_of((tmp_path / "s.json").read_bytes()) == 6


def test_options_in_a_pipe_that_are_neither(nginx: Nginx, tmp_path: Path) -> None:
    done = bash(nginx, tmp_path, "RUN x.py --opts <(echo '{\"vus\": }')")
    assert done.returncode == 104
    assert "is not JSON" in done.stderr


@pytest.mark.parametrize(
    "line", ["RUN <(cat x.py)", "RUN - < x.py", "cat x.py | RUN -", "RUN /dev/stdin < x.py", "cp x.py x; RUN x"]
)
def test_a_script_comes_from_a_pipe_of_the_shell(nginx: Nginx, tmp_path: Path, line: str) -> None:
    done = bash(
        nginx, tmp_path, f"{line} --summary s.json".replace("< x.py --summary s.json", "--summary s.json < x.py")
    )
    assert done.returncode == 0, done.stderr
    assert requests_of((tmp_path / "s.json").read_bytes()) == 2


def test_mistakes_in_a_piped_script_show_their_line(nginx: Nginx, tmp_path: Path) -> None:
    """Nobody can read the script again: its lines are kept."""
    forgotten = SCRIPT.replace("await vu.get", "vu.get")
    done = bash(nginx, tmp_path, "RUN <(cat x.py)", forgotten)
    assert done.returncode == 104
    assert "visit (63:6): without await" in done.stderr
    done = bash(nginx, tmp_path, "RUN <(cat x.py)", SCRIPT + "\nspeed = 1 / 0\n")
    assert done.returncode == 104
    assert "speed = 1 / 0" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_script_of_another_kind_is_refused(nginx: Nginx, tmp_path: Path) -> None:
    done = bash(nginx, tmp_path, "cp x.py x.txt; RUN x.txt")
    assert done.returncode == 104
    assert "x.txt is not a Python file" in done.stderr


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", r"name\na\nb\n"),
        ("json", '[{"name": "a"}, {"name": "b"}]'),
        ("jsonl", r'{"name": "a"}\n{"name": "b"}\n'),
    ],
)
def test_rows_come_from_a_pipe_of_the_shell(nginx: Nginx, tmp_path: Path, form: str, text: str) -> None:
    line = f"RUN x.py --summary s.json -e FORMAT={form} -e ROWS=<(printf '{text}')"
    done = bash(nginx, tmp_path, line, DATA)
    assert done.returncode == 0, done.stderr
    assert requests_of((tmp_path / "s.json").read_bytes()) == 2


@pytest.mark.parametrize(
    ("script", "text", "said"),
    [
        (DATA + "\nagain = fl.data(fl.env('ROWS'), format='csv')\n", r"name\na\n", "gives its rows once"),
        (DATA, r"name\na\n\xff\n", "line 3"),
        (DATA, r"\xff\xfen\0a\0\n\0", "UTF-16"),
    ],
    ids=["read twice", "not UTF-8", "UTF-16"],
)
def test_rows_of_a_pipe_that_cannot_be_read(nginx: Nginx, tmp_path: Path, script: str, text: str, said: str) -> None:
    done = bash(nginx, tmp_path, f"RUN x.py -e FORMAT=csv -e ROWS=<(printf '{text}')", script)
    assert done.returncode == 104
    assert said in done.stderr, done.stderr
