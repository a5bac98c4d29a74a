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


LOGIN = """
import fastload as fl

users = fl.data("users.csv")

async def log_in(vu):
    vu.state["user"] = users.once()["name"]
    await vu.get("/login/" + vu.state["user"])

@fl.scenario(on_start=log_in, {load})
async def shop(vu):
    await vu.get("/shop/" + vu.state["user"])
    await vu.sleep(0.05)  # 80/s need four VUs, so that a third one asks for data

@fl.scenario(vus=1, duration="0.5s")
async def look(vu):
    await vu.get("/look")
    await vu.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("load", "iterations"),
    [
        ('vus=5, duration="1s"', 0),
        ('start_vus=1, stages=["0.4s:5", "0.4s:5", "0.2s:1"], graceful_ramp_down="0s"', 0),
        ("max_vus=5, shape=lambda s: 5 if s < 1.5 else None", 0),
        ("vus=5, iterations=30", 30),
        ('vus=5, iterations=30, pacing="0.05s"', 30),
        ('executor="per-vu-iterations", vus=5, iterations=9', 18),
        ('rate=80, max_vus=5, duration="1s"', 80),
        ('rate=80, max_vus=40, when_busy="drop", duration="1s"', 80),
    ],
)
def test_vus_without_data_in_on_start_end_and_the_others_go_on(life: Life, load: str, iterations: int) -> None:
    (life.folder / "users.csv").write_text("name\nann\nbob\n")
    done = life.run(LOGIN.format(load=load))
    assert done.code == 0, done.stderr
    names = {path.removeprefix("/shop/") for path in done.paths if path.startswith("/shop/")}
    assert names == {"ann", "bob"}
    assert done.at("/login/") == 2
    # Starts of an open model that found no VU free count as dropped.
    dropped = done.metric("dropped_iterations")["count"]
    assert done.at("/shop/") + dropped == iterations or not iterations
    assert done.at("/shop/") > 10
    (note,) = done.summary["notes"]
    assert re.fullmatch(
        r"\d+ VUs? of shop ended in on_start, without data: each of the 2 rows of users.csv was used once", note
    ), note
    assert done.summary["metrics"]["iterations_failed"]["count"] == 0
    # More VUs would end as well.
    assert "add VUs" not in done.summary["verdict"]["limit"]


def test_a_scenario_without_any_vu_with_data_has_ended(life: Life) -> None:
    (life.folder / "users.csv").write_text("name\nann\n")
    done = life.run(
        LOGIN.format(load='vus=4, duration="60s"').replace("users.once()", "(users.once(), users.once())[0]")
    )
    assert done.code == 0, done.stderr
    assert done.at("/shop/") == 0
    assert done.summary["duration_s"] < 30
    early, without = done.summary["notes"]
    assert re.fullmatch(r"shop ended early, after [\d.]+ s: the only row of users.csv was used once", early), early
    assert without.startswith("4 VUs of shop ended in on_start, without data: ")
    assert done.at("/look") > 5
