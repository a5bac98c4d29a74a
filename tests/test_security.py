"""What SECURITY.md promises and no other test holds."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fastload.model.saved.run_file import load_run
from tests.conftest import REPO, Nginx, cli_command, cli_env

SCRIPT = """
import fastload as fl

@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    fl.env("API_KEY")
    await vu.get("/json", auth=fl.Auth("bearer", token=vu.env["API_KEY"]))
"""
FILES = ("run.fastload", "page.html", "summary.json", "junit.xml", "report.md", "out.json", "out.csv")
OUTPUTS = (
    *("--save", "run.fastload", "--html", "page.html", "--summary", "summary.json"),
    *("--out", "junit=junit.xml", "--out", "md=report.md"),
)

# Each connection and each name that any process of the run asks for by Python, not those of libcurl.
AUDIT = """
import os, sys

def note(event, arguments):
    # What is asked of the kernel (netlink, family 16) goes nowhere.
    of_kernel = event == "socket.sendto" and arguments[0].family == 16
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request") and not of_kernel:
        where = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        with open(os.environ["AUDITED"], "a") as file:
            file.write(f"{event} {where}\\n")

sys.addaudithook(note)
"""


def test_secrets_are_in_no_file_of_a_run(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    base_url = nginx.url.replace("http://", "http://me:hunter2@")
    points = ("--out", "json=out.json", "--out", "csv=out.csv")
    secrets = ("-e", "API_KEY=hunter2", "-H", "X-API-Key: hunter2")
    command = cli_command("run", "script.py", "-w", "1", "--base-url", base_url, *secrets, *OUTPUTS, *points)
    done = subprocess.run(command, cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    run = load_run(tmp_path / "run.fastload")
    texts = {name: (tmp_path / name).read_bytes().decode(errors="replace") for name in FILES}
    texts |= {"header": str(run.header), "end": str(run.summary_dict()), "stdout": done.stdout, "stderr": done.stderr}
    assert [name for name, text in texts.items() if "hunter2" in text] == []


def test_nothing_is_sent_but_to_the_target(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    audited = tmp_path / "audited.txt"
    env = cli_env(PYTHONPATH=f"{tmp_path}:{REPO}", AUDITED=str(audited))
    run = ("run", "script.py", "-w", "1", "--base-url", nginx.url, "-e", "API_KEY=x", "--dashboard", "0", *OUTPUTS)
    for args in (run, ("report", "run.fastload", "--html", "again.html"), ("compare", "run.fastload", "run.fastload")):
        subprocess.run(cli_command(*args), cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert (tmp_path / "again.html").exists()
    asked = audited.read_text().splitlines() if audited.exists() else []
    assert [line for line in asked if not re.search(r"127\.0\.0\.1|localhost|::1", line)] == []


# A script that comes from a pipe is run, as one of a file is; code that was compiled is compared as bytes.
NO_DATA = {
    "fastload/cli/script.py: exec(code, vars(module))",
    "fastload/planning/script_checks.py: import marshal",
}


def test_data_is_never_run() -> None:
    """Saved runs, configuration, data files and answers are data: nothing of fastload evaluates or unpickles any."""
    found = [
        f"{path.relative_to(REPO)}: {what}"
        for path in sorted((REPO / "fastload").rglob("*.py"))
        for what in dangers(ast.parse(path.read_text()))
    ]
    assert set(found) == NO_DATA
    assert "marshal.load" not in (REPO / "fastload/planning/script_checks.py").read_text()
    planted = "import pickle\neval(x)\nexec(data)\nsubprocess.run(x, shell=True)\nos.system(x)\nyaml.unsafe_load(x)\n"
    assert len([*dangers(ast.parse(planted))]) == 6


def dangers(module: ast.Module) -> Iterator[str]:
    """What could make code of data."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names) if {one.name for one in names} & {"pickle", "marshal", "shelve", "dill"}:
                yield ast.unparse(node)
            case ast.ImportFrom(module="pickle" | "marshal" | "shelve" | "dill"):
                yield ast.unparse(node)
            # exec("") only clears a flag of CPython.
            case ast.Call(func=ast.Name(id="eval" | "exec"), args=[ast.Constant(value="")]):
                pass
            case ast.Call(func=ast.Name(id="eval" | "exec")):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(attr="system" | "popen" | "unsafe_load" | "full_load")):
                yield ast.unparse(node)
            case ast.Call(keywords=keywords) if any(one.arg in ("shell", "allow_pickle") for one in keywords):
                yield ast.unparse(node)


def test_every_test_that_the_page_names_exists() -> None:
    from tests.test_docs import missing_tests

    assert missing_tests(REPO / "SECURITY.md", at_least=15) == []
