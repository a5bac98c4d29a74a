"""Numbers of a load that make no sense, or hardly any: `bench`, `run` and `fl.run` say the same of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.cli.main import run_cli
from fastload.model.errors import PlanError

SCRIPT = """
import fastload as fl

@fl.scenario
async def visit(vu):
    await vu.sleep(0.01)
"""
# A port that nothing listens on: no case here may come so far.
URL = "http://127.0.0.1:9/"
# By option: its name in `bench` (if it has it), in `run` and in `fl.run`.
OPTIONS = {
    "duration": ("-d", "-d"),
    "rate": ("-r", "-r"),
    "vus": ("-c", "-u"),
    "iterations": ("-n", "-i"),
    "workers": ("-w", "-w"),
    "stages": ("", "-s"),
    "pacing": ("", "--pacing"),
    "warmup": ("--warmup", "--warmup"),
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("duration", value) for value in ("0s", "-1s", "nan", "inf", "1e308s", "99999999999h")),
        *(("rate", value) for value in ("0", "-5", "nan", "inf", "1e308", "999999999", "0.00000/s")),
        *(("vus", value) for value in (0, -1, 10**9, 10**30)),
        *(("iterations", value) for value in (0, -1)),
        *(("workers", value) for value in (0, -1, 10**9)),
        *(("stages", value) for value in ("0s:5", "1s:0", "1s:nan", "-1s:3", "1s:1000000000", "1s:1e308/s", "0s:3/s")),
        *(("pacing", value) for value in ("-1s", "nan", "99999999999h")),
        *(("warmup", value) for value in ("-1s", "nan", "99999999999h")),
    ],
)
def test_it_is_refused_before_anything_begins(
    option: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    of_bench, of_run = OPTIONS[option]
    rest = {"duration": "0.1s"} if option not in ("duration", "stages", "iterations") else {}
    flat = [word for name, text in rest.items() for word in (OPTIONS[name][1], text)]
    commands = [["run", "script.py", "-q", of_run, str(value), *flat]]
    if of_bench:
        commands.append(["bench", URL, "-q", of_bench, str(value)])
    for command in commands:
        assert run_cli(command) == 104, command
        said = capfd.readouterr().err
        assert said.startswith("Error: "), said
        assert "\nHint: " in said

    async def visit(vu: fl.VU) -> None:
        await vu.sleep(0.01)

    options: dict[str, Any] = {option: [value] if option == "stages" else value, **rest}
    with pytest.raises(PlanError) as caught:
        fl.run(visit, **options)
    assert caught.value.hint


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e308])
def test_floats_that_are_no_rate(value: float) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.sleep(0.01)

    with pytest.raises(PlanError, match="visit: rate"):
        fl.run(visit, rate=value, duration="0.1s")


@pytest.mark.parametrize(
    ("options", "iterations"),
    [
        ({"iterations": 10**30, "duration": "0.2s"}, None),
        ({"executor": "per-vu-iterations", "vus": 3, "iterations": 10**30, "duration": "0.2s"}, None),
        ({"rate": "3", "duration": "1s", "workers": 8}, 3),
        ({"rate": "1/h", "duration": "0.2s", "workers": 2}, 1),
        ({"stages": ["0s:3", "0s:1", "0.2s:1"], "start_vus": 5, "warmup": "0.1s"}, None),
        ({"stages": ["0s:5/s", "1s:5/s", "0s:0/s", "0.1s:0/s"], "workers": 2}, 5),
    ],
)
def test_what_is_odd_but_means_something(options: dict[str, Any], iterations: int | None) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.sleep(0.01)

    summary = fl.run(visit, **{"workers": 1, **options})
    made = summary.metrics["iterations"].count
    assert made is not None
    assert made > 0 if iterations is None else made == iterations
    assert summary.metrics["iterations_failed"].count == 0
