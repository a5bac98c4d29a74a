"""A real search for the capacity, as every output gets it while it goes on and when it is over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import fastload as fl
from fastload.model.capacity.result import CapacityResult
from fastload.model.saved.run_file import load_run
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.page.page_data import report_data
from tests.conftest import Cli, Nginx


class Seconds:
    """An output that keeps the seconds."""

    name = "seconds"

    def __init__(self) -> None:
        self.seconds: list[Any] = []

    def start(self, plan: Any) -> None:
        """Nothing is to be done."""

    def snapshot(self, snapshot: Any) -> None:
        self.seconds.append(snapshot)

    def stop(self, summary: Any) -> None:
        """Nothing is to be done."""


async def visit(vu: fl.VU) -> None:
    await vu.get("/json")


def test_a_search_is_told_while_it_goes_on_and_saved_as_it_ended(nginx: Nginx, tmp_path: Path) -> None:
    kept, path = Seconds(), tmp_path / "search.fastload"
    summary = fl.find_capacity(
        visit,
        slo={"http_req_failed": "rate<0.9"},
        first="10/s",
        up_to="20/s",
        step="2s",
        settle="0s",
        within="40s",
        base_url=nginx.url,
        workers=1,
        outputs=[kept],
        save=path,
        out=[f"md={tmp_path / 'search.md'}"],
    )
    result = summary.capacity
    assert result is not None
    assert (result.state, result.capacity) == ("at_least", 20.0)
    assert [step.purpose for step in result.steps] == ["first", "double", "confirm"]

    searches = [one.search for one in kept.seconds]
    assert searches[0].doing == "step 1: 10/s"
    assert searches[0].so_far.steps == ()
    assert searches[-1].so_far is searches[-1].so_far
    assert max(len(one.so_far.steps) for one in searches) >= 2
    # It is put together when a step ends, and not each second.
    assert len({id(one.so_far) for one in searches}) <= len(result.steps) + 1
    told = [event.text for one in kept.seconds for event in one.events if event.kind == "step"]
    assert told == [step.text("rate") for step in result.steps]

    saved = load_run(path)
    again: CapacityResult | None = saved.to_summary().capacity
    assert again is not None
    assert again.to_dict() == result.to_dict() == json.loads(json.dumps(saved.summary_dict()["capacity"]))
    timeline = Timeline(saved.header)
    for second in saved.seconds:
        timeline.add(second)
    data = report_data(saved.header, timeline, saved.summary_dict())
    assert [one["number"] for one in data["summary"]["capacity"]["steps"]] == [1, 2, 3]
    assert (tmp_path / "search.md").read_text().split("\n\n")[1] == f"**Capacity: {result.headline}**"


def test_the_plain_lines_of_a_search_tell_each_step_once(nginx: Nginx, cli: Cli) -> None:
    steps = ("--from", "10/s", "--up-to", "10/s", "--step", "2s", "--settle", "0s")
    objective = ("--slo", "http_req_failed: rate<0.9")
    done = cli("capacity", f"{nginx.url}/json", *steps, *objective, "-w", "1", timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert [
        line.split()[1:3] for line in (done.stdout + done.stderr).splitlines() if re.match(r" *\d+s  step", line)
    ] == [
        ["step", "1:"],
        ["step", "2:"],
    ]
