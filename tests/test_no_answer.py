"""Runs in which nothing ever answers: they end early, keep what they have, and say why."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import fastload as fl
from fastload.model.saved.run_file import load_run
from tests.conftest import cli_command, cli_env, free_port

SCRIPT = """
import fastload as fl


@fl.scenario({load})
async def visit(vu: fl.VU) -> None:
    await vu.get("{url}/")
"""


@contextmanager
def silent_server() -> Iterator[str]:
    """A port where connections are made and nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        cli_command(*arguments, "-q", "-w", "1", "--summary", f"{name}.json", "--save", f"{name}.fastload"),
        cwd=folder,
        env=cli_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def script(folder: Path, name: str, load: str, url: str) -> str:
    (folder / f"{name}.py").write_text(SCRIPT.format(load=load, url=url))
    return f"{name}.py"


# Ten seconds of silence end a run, so the runs of all kinds are made at the same time.
@pytest.mark.timeout(180)
def test_runs_that_nothing_answers_end_early_with_their_results(tmp_path: Path) -> None:
    refused = f"http://127.0.0.1:{free_port()}"
    with silent_server() as silent:
        never = script(tmp_path, "never", 'vus=4, duration="10m"', "http://no-such-host.invalid")
        no_tls = script(tmp_path, "no_tls", 'rate=20, max_vus=20, duration="10m"', f"https://{silent}")
        runs = {
            "refused": ("connect_refused", start(tmp_path, "refused", "bench", refused, "-n", "1000", "-c", "8")),
            "mute": (
                "timeout",
                start(tmp_path, "mute", "bench", f"http://{silent}", "-d", "10m", "-c", "8", "--timeout", "1s"),
            ),
            "never": ("dns", start(tmp_path, "never", "run", never)),
            "no_tls": ("timeout", start(tmp_path, "no_tls", "run", no_tls, "--timeout", "1s")),
        }
        goes_on = start(tmp_path, "on", "bench", refused, "-d", "12s", "-c", "8", "--on-no-answer", "continue")
        found = {name: (kind, *ended(tmp_path, name, process)) for name, (kind, process) in runs.items()}
        code, planned = ended(tmp_path, "on", goes_on)
    for name, (kind, exit_code, summary) in found.items():
        assert exit_code == 108, (name, summary["stop_reason"])
        assert summary["stopped_by"] == "no-answer"
        assert summary["verdict"]["state"] != "VALID"
        assert kind in summary["stop_reason"]
        assert "--on-no-answer continue" in summary["stop_reason"]
        assert summary["errors"][0]["count"] >= 10
        assert summary["metrics"]["http_req_failed"]["rate"] == 1
        assert 9 < summary["duration_s"] < 120
        saved = load_run(tmp_path / f"{name}.fastload")
        assert saved.complete
        assert any(event.kind == "stop" and kind in event.text for second in saved.seconds for event in second.events)
    assert (code, planned["stopped_by"]) == (0, "")
    assert planned["duration_s"] > 11


def ended(folder: Path, name: str, process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    out, err = process.communicate(timeout=150)
    assert "Traceback" not in err
    if process.returncode == 108:
        assert "not one was" in out
    return process.returncode, json.loads((folder / f"{name}.json").read_text())


def test_a_short_run_that_nothing_answered_has_not_passed(tmp_path: Path) -> None:
    refused = f"http://127.0.0.1:{free_port()}"
    visit = script(tmp_path, "visit", 'vus=1, iterations=20, executor="per-vu-iterations"', refused)
    wanted = "http_req_failed: rate==1"
    thirty = ("bench", refused, "-n", "30", "-c", "4")
    runs = {
        "bench": (108, start(tmp_path, "bench", *thirty)),
        "script": (108, start(tmp_path, "script", "run", visit)),
        "few": (0, start(tmp_path, "few", "bench", refused, "-n", "9", "-c", "2")),
        "passes": (0, start(tmp_path, "passes", *thirty, "--on-no-answer", "continue")),
        "held": (0, start(tmp_path, "held", *thirty, "--threshold", wanted)),
        "failed": (99, start(tmp_path, "failed", *thirty, "--threshold", "http_req_failed: rate<0.5")),
    }
    for name, (expected, process) in runs.items():
        code, summary = ended(tmp_path, name, process)
        assert code == expected, (name, summary["stop_reason"])
        assert summary["passed"] == (code == 0)
        assert summary["stopped_by"] == ("no-answer" if code == 108 else "")
        assert summary["verdict"]["state"] != "VALID"
        if code == 108:
            assert "connect_refused" in summary["stop_reason"]
            assert "--on-no-answer continue" in summary["stop_reason"]
            assert (load_run(tmp_path / f"{name}.fastload").summary or {})["stopped_by"] == "no-answer"


def test_an_interrupt_stays_one(tmp_path: Path) -> None:
    arguments = ("bench", f"http://127.0.0.1:{free_port()}", "-d", "1m", "-c", "20", "-w", "1", "--summary", "s.json")
    process = subprocess.Popen(
        cli_command(*arguments),
        cwd=tmp_path,
        env=cli_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    # The first line of progress comes after a second of load.
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["metrics"]["http_req_failed"]["fails"] >= 10
    assert (process.returncode, summary["stopped_by"]) == (105, "interrupt")


def test_requests_that_were_under_way_at_the_end_are_told_of(tmp_path: Path) -> None:
    with silent_server() as silent:
        mute = script(tmp_path, "mute", 'vus=4, duration="500ms", graceful_stop="0s"', f"http://{silent}")
        code, summary = ended(tmp_path, "mute", start(tmp_path, "mute", "run", mute))
    assert (code, summary["stopped_by"], summary["requests"]["interrupted"]) == (0, "", 4)
    verdict = summary["verdict"]
    nothing = "nothing was measured: 4 requests were under way when the run ended, and none had ended before"
    assert nothing in verdict["reasons"]
    assert "kept the load from starting" not in verdict["remedy"]


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"on_no_answer": "contine"}, "fl.run: on_no_answer 'contine' is unknown", "continue"),
        ({"on_no_answer": "x"}, "fl.run: on_no_answer 'x' is unknown", "stop, continue"),
        ({"on_worker_loss": "stpo"}, "fl.run: on_worker_loss 'stpo' is unknown", "stop"),
        ({"on_worker_loss": 7}, "fl.run: on_worker_loss is 7", "on_worker_loss = "),
    ],
)
def test_what_to_do_then_is_one_of_the_choices(given: dict[str, Any], message: str, hint: str) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.get("http://127.0.0.1:9/")

    with pytest.raises(fl.PlanError) as caught:
        fl.run(visit, **given)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
