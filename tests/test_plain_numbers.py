"""Numbers of numpy, fractions and decimals wherever a number goes: they are the same as Python's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest

import fastload as fl
from fastload.control.commands.command_queue import check_command
from fastload.model.errors import PlanError
from fastload.model.load_models import ConstantArrivalRate
from fastload.model.plain_numbers import as_flag, as_plain, as_whole
from fastload.model.units import format_count, parse_rate_per_s
from tests.conftest import Cli, Nginx

np: Any = numpy
"""Without its types: at run time nothing tells that they are not Python's own."""


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64, int])
def test_whole_numbers_are_plain(kind: Callable[[int], Any]) -> None:
    assert as_whole(kind(7)) == 7
    assert type(as_whole(kind(7))) is type(as_plain(kind(7))) is int


@pytest.mark.parametrize("value", [True, np.bool_(True), 2.0, np.float64(2), np.float32(2), "2", None, Decimal(2)])
def test_what_is_no_whole_number(value: Any) -> None:
    assert as_whole(value) is None


def test_flags_and_fractions_are_plain() -> None:
    assert as_flag(np.bool_(False)) is as_plain(np.bool_(False)) is False
    assert as_flag(1) is as_flag(np.int64(1)) is as_flag("true") is None
    for value in (np.float32(0.5), np.float64(0.5), Fraction(1, 2)):
        assert as_plain(value) == 0.5
        assert type(as_plain(value)) is float


@pytest.mark.parametrize(
    ("written", "per_s"),
    [
        ("1/20000", 1 / 20000),
        (Fraction(1, 20000), 1 / 20000),
        ("1/20000s", 1 / 20000),
        ("3/5m", 0.01),
        ("6/d", 6 / 86400),
        ("1k/2h", 1000 / 7200),
        (0.00005, 0.00005),
        (np.float64(0.00005), 0.00005),
        (Decimal("0.00005"), 0.00005),
        (np.int64(20), 20),
        (np.float32(20.5), 20.5),
    ],
)
def test_rates_of_any_size_are_exact(written: Any, per_s: float) -> None:
    assert parse_rate_per_s(written) == pytest.approx(per_s, rel=1e-15)


@pytest.mark.parametrize("written", ["1/0", "1/", "1/0s", "/5", "1//5", "1/5/s", "1e400", "5e-05", "1/1e5"])
def test_what_is_no_rate_is_refused(written: str) -> None:
    with pytest.raises(PlanError):
        parse_rate_per_s(written)
    with pytest.raises(PlanError):
        parse_rate_per_s(written, zero=True)


@pytest.mark.parametrize(("value", "text"), [(0.00005, "0.00005"), (1 / 3, "0.333"), (1.5e-7, "0.00000015"), (0, "0")])
def test_small_numbers_are_written_without_an_exponent(value: float, text: str) -> None:
    assert format_count(value) == text


def test_a_slow_rate_is_said_as_the_time_between_starts() -> None:
    described = ConstantArrivalRate(1 / 20000, 86400, 1, "constant", when_busy="queue").describe()
    assert described.startswith("0.00005 starts/s (one every 5h33m) for 24h00m")
    assert "one every" not in ConstantArrivalRate(5, 60, 1, "constant", when_busy="queue").describe()


def test_a_plan_of_a_slow_rate(cli: Cli, nginx: Nginx) -> None:
    done = cli("bench", nginx.url, "-r", "1/20000", "-d", "300ms", "-q", "--json")
    assert done.returncode == 0, done.stderr
    # The first start is due at once.
    assert json.loads(done.stdout)["metrics"]["http_reqs"]["count"] == 1


def test_a_run_takes_numbers_of_numpy(nginx: Nginx) -> None:

    @fl.scenario(vus=np.int64(2), iterations=np.int32(4), keep_body=np.bool_(True))
    async def visit(vu: fl.VU) -> None:
        await vu.sleep(np.float32(0.001), np.float64(0.002))
        decimal: Any = Decimal("0.001")
        fraction: Any = Fraction(1, 500)
        await vu.sleep(decimal, fraction)
        reply = await vu.get("/status/404", expected=np.int64(404), timeout=np.float32(5))
        listed = await vu.get("/status/404", expected=[np.int16(404)], retry=fl.Retry(np.int64(1), on=np.int64(503)))
        sent = await vu.post("/json", json={"a": np.float64(0.5), "b": [np.int8(1)], "c": np.arange(3)})
        vu.check(reply, {"expected": np.bool_(reply.ok and listed.ok and sent.ok)})

    http = fl.HttpSettings(timeout_s=np.float32(2.5), max_redirects=np.int64(3), cookies=np.bool_(True))
    limit = {"threshold": "count==12", "abort_on_fail": np.bool_(False)}
    summary = fl.run(
        visit, base_url=nginx.url, workers=np.int64(1), seed=np.uint8(7), http=http, thresholds={"http_reqs": limit}
    )
    assert summary.passed, fl.summary_text(summary)
    assert summary.checks[0].passes == 4
    assert json.loads(json.dumps(summary.to_dict()))["plan"]["http"]["timeout_s"] == 2.5


def test_a_shape_may_compute_with_numpy(nginx: Nginx) -> None:
    async def visit(vu: fl.VU) -> None:
        await vu.get("/json")

    def shape(seconds: float) -> Any:
        return (np.int64(2), np.float32(5)) if seconds < 1 else None

    summary = fl.run(visit, shape=shape, base_url=nginx.url, workers=1, pacing="20ms")
    assert summary.stopped_by == ""
    assert summary.metrics["vus"].max == 2


def test_commands_take_numbers_of_numpy() -> None:
    assert check_command("scale", {"vus": np.int64(3)}) == {"vus": 3}
    assert check_command("scale", {"rate": np.float32(2.5)}) == {"rate": 2.5}
    assert check_command("stop", {"now": np.bool_(True)}) == {"now": True}
    given = [*check_command("scale", {"by": np.int16(-1)}).values(), *check_command("stop", {}).values()]
    assert [type(value) for value in given] == [int, bool]
