"""``help(fl.VU)`` and the completion of an editor show what a script may use, with a description, and nothing else."""

from __future__ import annotations

import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from tests.conftest import REPO

CLASSES = [value for name in fl.__all__ if inspect.isclass(value := getattr(fl, name))]
_BUILT_IN = {name for base in (BaseException, tuple) for name in dir(base)}

SCRIPT = """
import fastload as fl


@fl.scenario(executor="constant-vus", vus=2, duration="1s", cookies="clear")
async def visit(vu: fl.VU) -> None:
    reply = await vu.get("/", auth=fl.Auth("basic", "user", "word"))
    vu.check(reply, {"status is 200": reply.status == 200})


@fl.scenario(rate="10/s", duration="1s", max_vus=5, arrivals="poisson", when_busy="drop")
async def open_model(vu: fl.VU) -> None:
    await vu.get("/")


if __name__ == "__main__":
    fl.run(visit, base_url="http://localhost:8080", on_worker_loss="continue", on_no_answer="stop")
"""

TYPOS = """
import fastload as fl


async def visit(vu: fl.VU) -> None:
    await vu.gett("/")  # typo
    await vu.get("/", header={})  # typo
    fl.Auth("basik")  # typo


fl.scenario(executor="constant-vu")  # typo
fl.scenario(arrivals="poison")  # typo
fl.scenario(when_busy="dropp")  # typo
fl.scenario(cookies="clean")  # typo
fl.run(visit, executor="constant-vu")  # typo
fl.run(visit, arrivals="poison")  # typo
fl.run(visit, when_busy="dropp")  # typo
fl.run(visit, on_worker_loss="go on")  # typo
fl.run(visit, on_no_answer="halt")  # typo
fl.run(visit, on_interrupt="exit")  # typo
fl.start(visit, executor="constant-vu")  # typo
fl.start(visit, vuss=3)  # typo
fl.data("users.csv", format="cvs")  # typo
fl.HttpSettings(http_version="2.0")  # typo
"""


def public_names(of: type) -> set[str]:
    """What an editor offers of *of*: what `dir` has, and the attributes that its constructor sets."""
    names = set(dir(of))
    for base in of.__mro__:
        if base.__module__.startswith("fastload."):
            names |= set(getattr(base, "__annotations__", {}))
            names |= set(
                re.findall(r"^ +self\.(\w+)(?:, self\.\w+)*(?:: .*)? = ", inspect.getsource(base), re.MULTILINE)
            )
    inherited = _BUILT_IN if issubclass(of, BaseException | tuple) else set()
    return {name for name in names if not name.startswith("_")} - inherited


def is_described(of: type, name: str) -> bool:
    """Whether ``help(of)`` says what *name* is: in a docstring of its own, or in the docstring of the class."""
    value = inspect.getattr_static(of, name, None)
    if (inspect.isroutine(value) or hasattr(value, "fget") or hasattr(value, "func")) and inspect.getdoc(value):
        return True
    texts = "\n".join(base.__doc__ or "" for base in of.__mro__ if base.__module__.startswith("fastload."))
    return bool(re.search(rf"^ *(?:\w+, )*{name}(?:, \w+)*: |\*{name}\*|``{name}``", texts, re.MULTILINE))


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_every_public_name_is_described(of: type) -> None:
    assert [name for name in sorted(public_names(of)) if not is_described(of, name)] == []


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_help_shows_nothing_of_the_engine(of: type) -> None:
    text = pydoc.plain(pydoc.render_doc(of))
    assert not re.search(r"\binternal\b", text, re.IGNORECASE)
    shown = set(re.findall(r"^ \|  (\w+)\(", text, re.MULTILINE))
    of_tuples = {name for name in dir(tuple) if name.startswith("_")} | {"_asdict", "_make", "_replace"}
    assert {name for name in shown if name.startswith("_") and not name.startswith("__")} - of_tuples == set()


def test_a_vu_has_what_the_pages_name_and_no_more() -> None:
    """Of the classes that scripts use most, every name is in the pages, too."""
    pages = "".join(page.read_text() for page in (REPO / "docs").glob("*.md"))
    for of in (fl.VU, fl.Reply, fl.JudgedReply, fl.StreamedReply, fl.WebSocket, fl.Measured, fl.Run):
        missing = [name for name in public_names(of) if not re.search(rf"[.`]{name}\b", pages)]
        assert missing == [], of.__name__


def mypy(script: str, folder: Path) -> Any:
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            # Errors in the script, not in what it imports.
            "--follow-imports=silent",
            "--ignore-missing-imports",
            f"--cache-dir={REPO / '.mypy_cache'}",
            "script.py",
        ],
        cwd=folder,
        env={"MYPYPATH": str(REPO), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_a_strict_type_check_finds_typos(tmp_path: Path) -> None:
    right = mypy(SCRIPT, tmp_path)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = mypy(TYPOS, tmp_path)
    assert wrong.returncode == 1, wrong.stderr
    found = {int(line) for line in re.findall(r"^script\.py:(\d+): error", wrong.stdout, re.MULTILINE)}
    typos = {number for number, line in enumerate(TYPOS.splitlines(), 1) if line.endswith("# typo")}
    assert len(typos) > 8
    assert found == typos, wrong.stdout


def test_at_run_time_any_text_is_looked_at() -> None:
    """The types are for the type checker: what a script computes is a str, and is refused with the nearest word."""

    async def visit(vu: fl.VU) -> None:
        await vu.get("/")

    wrong: dict[str, Any] = {"executor": "CONSTANT-VUX".lower(), "vus": 1, "duration": "1s"}
    with pytest.raises(fl.PlanError, match="constant-vux") as refused:
        fl.run(visit, base_url="http://127.0.0.1:9", **wrong)
    assert "constant-vus" in refused.value.hint
    right: dict[str, Any] = {"arrivals": "POISSON".lower(), "when_busy": "QUEUE".lower()}
    assert isinstance(fl.scenario(rate="10/s", duration="1s", max_vus=2, **right)(visit), fl.Scenario)
