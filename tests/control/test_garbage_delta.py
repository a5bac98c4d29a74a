"""A worker whose frames are whole, but have anything in them, is lost; the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastload.targets import RunningTarget
from tests.conftest import Cli

SCRIPT = """
import fastload as fl
from fastload.model.records import Delta

BODY = {body}


@fl.scenario(vus=2, duration="2s")
async def read(vu: fl.VU) -> None:
    if vu.id == 1 and vu.iteration == 3:
        # In this worker only: what it sends from now on.
        Delta.to_body = lambda self: BODY
    await vu.get("/health")
"""


@pytest.mark.parametrize("body", ["{}", "{'worker': 0, 'seq': 0, 'table': 7}", "{'worker': 0, 'table': [['m', 5]]}"])
def test_a_worker_that_sends_another_body_is_lost(
    body: str, cli: Cli, tmp_path: Path, sequencer: RunningTarget
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.replace("{body}", body))
    done = cli("run", "script.py", "-w", "2", "--base-url", sequencer.base_url, "--json", "-q")
    assert done.returncode == 97, done.stderr
    assert "Traceback" not in done.stderr
    summary = json.loads(done.stdout)
    assert [worker["lost"] for worker in summary["workers"]].count(True) == 1
    assert any("sent garbage: no delta" in note for note in summary["notes"])
