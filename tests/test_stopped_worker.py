"""A worker that a signal stops and nobody continues: the run says so while it lasts, and ends when its load is over."""

from __future__ import annotations

from fastload.model.saved.run_file import load_run
from tests.life import Life

SCRIPT = """
import os, signal
import fastload as fl

@fl.scenario(vus=1, duration="5s")
async def visit(vu):
    await vu.get("/")
    await vu.sleep(0.05)
    if vu.iteration == 3 and vu.id == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_it_is_told_and_ended_when_the_load_is_over(life: Life) -> None:
    done = life.run(SCRIPT, "--save", "run.fastload")
    assert done.code != 0
    said, ended = done.summary["notes"]
    assert said == "worker 0 has been stopped by a signal (SIGSTOP) for 3 s: it makes no load"
    assert ended == "worker 0 was stopped by a signal (SIGSTOP) when the load was over"
    # The graceful stop, which is 30 s here, and what comes after it would make it 46 s.
    assert done.summary["duration_s"] < 30
    seconds = load_run(life.folder / "run.fastload").seconds
    (told,) = [event for second in seconds for event in second.events if event.text == said]
    assert told.t_s < 20, "while the run lasted"
    assert life.left() == []
