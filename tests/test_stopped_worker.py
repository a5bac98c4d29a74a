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


def test_the_verdict_says_that_half_of_the_load_is_missing(life: Life) -> None:
    done = life.run(SCRIPT.replace("vus=1", "vus=2"), "-w", "2")
    verdict = done.summary["verdict"]
    why = "worker 0 was stopped by a signal (SIGSTOP) and not continued"
    (finding,) = [one for one in verdict["findings"] if one["cause"] == "stopped" and one["why"] == why]
    assert finding["text"] == f"{why}: the share of the load of 1 of 2 workers is missing from then on"
    assert "kill -STOP" in finding["remedy"]
    assert finding["limit"] == "generator"
    assert finding["text"] in verdict["reasons"]
    assert "add VUs" not in verdict["limit"]
    assert "worker_lost" not in [one["cause"] for one in verdict["findings"]]


def test_a_scenario_of_iterations_does_not_wait_ten_minutes_for_it(life: Life) -> None:
    load = 'vus=2, executor="per-vu-iterations", iterations=60'
    # It is stopped after the end of its first second, which it has told.
    script = SCRIPT.replace("iteration == 3 ", "iteration == 30 ")
    done = life.run(script.replace('vus=1, duration="5s"', load), "-w", "2")
    assert done.code != 0
    assert done.summary["notes"][1:] == [
        "worker 0 was stopped by a signal (SIGSTOP) for 10 s, and nothing else was left to do"
    ]
    # All of the other worker, and what the stopped one had told.
    assert 60 < done.metric("iterations")["count"] <= 90
    assert done.summary["workers"][0]["lost"]
    assert life.left() == []
