"""Runs in which a scenario ends early because its data is used up: the run says so, and the others go on."""

from __future__ import annotations

import json
import re

import pytest

import fastload as fl
from fastload.outputs.terminal.report import summary_text
from tests.conftest import Nginx
from tests.life import Life

USERS = "name\n" + "".join(f"user{number}\n" for number in range(40))
ORDERS = "\n".join(json.dumps({"id": number}) for number in range(7)) + "\n"
SCRIPT = """
import fastload as fl

users = fl.data("users.csv")
orders = fl.data("orders.jsonl")
{more}

@fl.scenario(vus=2, duration="60s", graceful_stop="1s")
async def login(vu):
    user = users.once()
    await vu.get("/login/" + user["name"], name="login")
    await vu.sleep(0.02)

@fl.scenario(rate=20, duration="60s", max_vus=4, start_time="0.2s")
async def buy(vu):
    await vu.get("/buy/%d" % orders.once()["id"], name="buy")

@fl.scenario(vus=2, duration="2.5s")
async def look(vu):
    await vu.get("/look")
    await vu.sleep(0.05)
"""


def write(life: Life) -> None:
    (life.folder / "users.csv").write_text(USERS)
    (life.folder / "orders.jsonl").write_text(ORDERS)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_which_scenario_which_data_how_many_rows_after_what_time(life: Life, workers: str) -> None:
    write(life)
    done = life.run(SCRIPT.format(more=""), "-w", workers)
    assert done.code == 0, done.stderr
    assert (done.at("/login"), done.at("/buy")) == (40, 7)
    assert done.at("/look") > 10
    assert 2.4 < done.summary["duration_s"] < 30
    assert done.summary["stopped_by"] == ""
    notes = [note for note in done.summary["notes"] if "ended early" in note]
    assert len(notes) == 2
    at = r"ended early, after [\d.]+ s(?: in the first worker and [\d.]+ s in the last one)?"
    for name, data in (("login", "40 rows of users.csv"), ("buy", "7 rows of orders.jsonl")):
        expected = rf"{name} {at}: each of the {data} was used once"
        assert any(re.fullmatch(expected, note) for note in notes), notes
    for note in notes:
        assert note in " ".join(done.stdout.replace("\n", " ").split()), "the terminal says it as well"


def test_data_that_lasts_is_not_mentioned(life: Life) -> None:
    write(life)
    script = SCRIPT.format(more="users = orders = type('Rows', (), {'once': lambda s: {'name': 'x', 'id': 1}})()")
    done = life.run(script.replace("60s", "1s").replace("2.5s", "1s"))
    assert done.summary["notes"] == []


def test_a_warm_up_that_uses_data_up_is_not_the_end(life: Life) -> None:
    """After the warm-up the rows begin anew."""
    write(life)
    done = life.run(SCRIPT.format(more="").replace("60s", "0.1s").replace("2.5s", "0.3s"), "--warmup", "2s")
    assert [note for note in done.summary["notes"] if "ended early" in note] == []
    assert done.at("/login") > 40


def test_rows_of_the_programs_own(nginx: Nginx) -> None:
    """What a script raises itself ends its scenario as well."""

    async def visit(vu: fl.VU) -> None:
        if vu.iteration > 2:
            raise fl.DataExhausted("no ticket is left")
        await vu.get("/")

    summary = fl.run(visit, vus=2, duration="60s", base_url=nginx.url, workers=1)
    assert summary.metrics["iterations"].count in (4, 6)
    (note,) = summary.notes
    assert re.fullmatch(r"visit ended early, after [\d.]+ s: no ticket is left", note)
    assert "no ticket is left" in summary_text(summary)
