"""Options with numbers that nobody means: one clear error each, in a moment, before anything is sent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fastload.cli.main import run_cli

SCRIPT = """
import fastload as fl

@fl.scenario
async def read(vu: fl.VU) -> None:
    await vu.get("/")
"""
HUGE = "9" * 5_000
NUMBERS = ("nan", "inf", "-1", "1e400", "1e99999999", "10**9", HUGE, "٣", "x" * 1_000_000)
DURATIONS = (*NUMBERS, "1e400s", "nans", "99999999999d", f"{HUGE}s", "5", "1s" * 100_000, "-5s")
RATES = ("nan", "1e9/s", "1e400", f"{HUGE}/s", "10/s/s", "-1/s", "2000000000")
SIZES = (*NUMBERS, "1XB", f"{HUGE}GiB", "9999999999GiB", "-1kB")
OPTIONS = {
    "--vus": ("nan", "1e3", "0", "-1", HUGE, "99999999999"),
    "--iterations": ("nan", "0", "-1", "1e400"),
    "--workers": ("0", "-1", HUGE, "x"),
    "--duration": DURATIONS,
    "--pacing": DURATIONS,
    "--graceful-stop": DURATIONS,
    "--iteration-timeout": DURATIONS,
    "--timeout": DURATIONS,
    "--connect-timeout": DURATIONS,
    "--idle-timeout": DURATIONS,
    "--warmup": DURATIONS,
    "--max-connection-age": DURATIONS,
    "--dns": DURATIONS,
    "--rate": (*RATES, "0"),
    "--start-rate": RATES,
    "--max-body": SIZES,
    "--upload-rate": SIZES,
    "--download-rate": SIZES,
    "--stage": ("30s", "30s:nan", f"30s:{HUGE}", "nan:5", "1e400s:5", "30s:1e9/s", "30s:-1", "30s:" + "1/s" * 9),
    "--max-redirects": ("-1", "nan", HUGE),
    "--control": ("65536", HUGE, "-1", "host:", "[::1", "1:2:3", "nan"),
    "--dashboard": ("65536", HUGE, "host:x"),
    "--proxy": ("http://[", "http://a:99999", "x", f"http://a:{HUGE}"),
    "--base-url": ("http://[", "http://a:99999", "x", f"http://a:{HUGE}", "//"),
    "--host-override": ("a", "a=b:65536", f"a=b:{HUGE}", f"a:{HUGE}:b", "="),
    "--source-address": ("300.0.0.1", "127.0.0.9-127.0.0.1", "127.0.0.1/99", "::1-127.0.0.1", HUGE, "1.2.3.4/" + HUGE),
    "--seed": ("nan", "1.5", "x"),
}
THRESHOLDS = (
    "avg<1e400", "avg<1e99999999", "avg<nan", "avg<inf", "p(100.00000000001)<5", "p(nan)<5", f"p({HUGE})<5", "p(-1)<5",
    "count>10**9", f"count>{HUGE}", "avg<1e308h", "avg<5 for 1e9s", "avg<5 for 99999999999d", "avg<" + " " * 1_000_000,
    "avg<" + "9" * 1_000_000, " " * 1_000_000 + "x", "avg<5 abort " * 100_000,
)  # fmt: skip


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def _is_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    began_s = time.process_time()
    assert run_cli(args) == 104
    told = capsys.readouterr()
    assert told.err.startswith("Error: "), told.err[:300]
    assert told.err.count("Error: ") == 1
    assert len(told.err) < 10_000
    assert not told.out
    assert time.process_time() - began_s < 5


@pytest.mark.parametrize("option", OPTIONS)
def test_a_number_that_nobody_means_is_one_error(option: str, script: str, capsys: pytest.CaptureFixture[str]) -> None:
    beside = ["--base-url", "http://127.0.0.1:9"] if option != "--base-url" else []
    for text in OPTIONS[option]:
        _is_refused(["plan", script, *beside, f"{option}={text}"], capsys)


@pytest.mark.parametrize("expression", THRESHOLDS, ids=lambda expression: f"{expression.strip()[:20]}")
def test_a_threshold_that_nobody_means_is_one_error(
    expression: str, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _is_refused(["plan", script, "--threshold", f"http_req_duration: {expression}"], capsys)


@pytest.mark.parametrize("text", ["nan", "-1%", "100%", "1e400", HUGE])
def test_a_margin_that_nobody_means_is_one_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    _is_refused(["compare", "a", "b", f"--margin={text}"], capsys)


def test_the_finest_percentile_is_one(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["plan", script, "--threshold", "http_req_duration: p(99.99999999999)<5"]) == 0
    assert "p(99.99999999999)<5" in capsys.readouterr().out
