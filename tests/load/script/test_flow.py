"""``fl.abort`` ends the test from wherever in a VU's code it is called."""

from __future__ import annotations

import pytest

from tests.life import Life


@pytest.mark.parametrize(
    "where",
    [
        "kept.append(asyncio.create_task(give_up(vu)))",
        "async with asyncio.TaskGroup() as group:\n        group.create_task(give_up(vu))",
        "await asyncio.gather(give_up(vu), vu.sleep(60))",
        "await asyncio.create_task(give_up(vu))",
    ],
)
def test_abort_in_a_task_of_its_own(life: Life, where: str) -> None:
    done = life.run(
        f"""
import asyncio
import fastload as fl
kept = []

async def give_up(vu):
    await vu.get("/last")
    fl.abort("the queue is full")

async def leave(vu):
    await vu.get("/bye")

@fl.scenario(vus=1, duration="20s", on_stop=leave)
async def visit(vu):
    {where}
    await vu.sleep(60)
"""
    )
    assert done.code == 108, done.stdout + done.stderr
    assert (done.summary["stopped_by"], done.summary["stop_reason"]) == ("abort", "the queue is full")
    assert done.counts == {"/last": 1, "/bye": 1}
    assert done.summary["requests"]["iterations_interrupted"] == 1
    assert done.stderr == ""


def test_abort_that_the_script_catches(life: Life) -> None:
    done = life.run(
        """
import fastload as fl

@fl.scenario(vus=1, duration="20s")
async def visit(vu):
    try:
        await vu.get("/last")
        fl.abort("the queue is full")
    except BaseException:
        pass
    await vu.sleep(60)
"""
    )
    assert done.code == 108, done.stdout + done.stderr
    assert (done.summary["stopped_by"], done.summary["stop_reason"]) == ("abort", "the queue is full")
    assert done.counts == {"/last": 1}
