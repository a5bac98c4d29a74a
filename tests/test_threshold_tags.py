"""Thresholds on tags in whole runs: which samples they are about, and what is said when there was none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli, Nginx

SCRIPT = """
import fastload as fl


@fl.scenario(vus=2, iterations=10)
async def browse(vu: fl.VU) -> None:
    async with vu.group("cart"):
        await vu.get("/json")
    await vu.get("/status/404", tags={"kind": "bad"})
    await vu.get("/status/404", name="wanted", expected="404")
    vu.check(None, {"a; b": True}, tags={"kind": "good"})
"""


def results_of(cli: Cli, folder: Path, url: str, thresholds: list[str], *, code: int) -> dict[str, Any]:
    (folder / "script.py").write_text(SCRIPT)
    env = {"FASTLOAD_THRESHOLDS": ";".join(thresholds)}
    done = cli("run", "script.py", "--base-url", url, "-w", "1", "--json", "-q", **env)
    assert done.returncode == code, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert len(summary["thresholds"]) == len(thresholds)
    return summary


def test_expected_response_is_whether_a_request_did_not_fail(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    asked = [
        "http_reqs{expected_response:true}: count==20",
        "http_reqs{expected_response:false}: count==10",
        "http_reqs{expected_response:false,name:wanted}: count==0",
        "http_req_failed{expected_response:true}: rate==0",
        "http_req_failed{expected_response:false}: rate==1",
        "http_req_duration{expected_response:true}: count==20",
        "http_req_waiting{expected_response:false,kind:bad}: count==10",
        'checks{check:"a; b"}: rate==1',
        'http_reqs{error:""}: count==20',
        'http_reqs{group:"",error:http_404}: count==10',
        "http_req_duration{group:''}: count==20",
        "http_reqs{name:/json}: count>=0",
    ]
    summary = results_of(cli, tmp_path, nginx.url, asked, code=0)
    assert summary["metrics"]["http_req_duration{expected_response:true}"]["count"] == 20


def test_the_duration_of_expected_responses_is_always_kept(cli: Cli, nginx: Nginx) -> None:
    done = cli("bench", nginx.url + "/json", "-n", "30", "-c", "2", "-w", "1", "--json", "-q")
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["http_req_duration{expected_response:true}"] == metrics["http_req_duration"]
    assert "expected_response" not in cli("bench", nginx.url + "/json", "-n", "30", "-c", "2", "-q").stdout
    failed = cli("bench", nginx.url + "/status/404", "-n", "30", "-c", "2", "-w", "1", "--json", "-q")
    assert "http_req_duration{expected_response:true}" not in json.loads(failed.stdout)["metrics"]


def test_the_report_tells_expected_responses_from_failed_ones(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = cli("run", "script.py", "--base-url", nginx.url, "-q")
    assert "    { expected_response:true }  " in done.stdout


@pytest.mark.parametrize(
    ("threshold", "reason"),
    [
        ("http_reqs{name:/jsno}: count<1", "no sample had name:/jsno; there was name:/json, "),
        ("http_req_duration{name:/jsno}: p(95)<9s", "did you mean '/json'?"),
        ("http_reqs{group:crat}: count<1", "no sample had group:crat; there was group:cart; did you mean 'cart'?"),
        ("checks{check:a b}: rate>0.5", "no sample had check:a b; there was check:a; b"),
        ("http_reqs{kind:bda}: count<1", "no sample of http_reqs had kind:bda"),
        ("http_reqs{kind:bda}: count<1 for 1s", "no sample of http_reqs had kind:bda"),
        ("data_received{region:eu}: count<9TB", "no sample of data_received had region:eu"),
        ("http_req_failed{kind:bda,status:404}: rate<0.5", "no sample of http_req_failed had all of these tags"),
        # Requests had it.
        ("checks{kind:bad}: rate>0.5", "no sample of checks had kind:bad"),
    ],
)
def test_tags_that_no_sample_had_fail_a_threshold(
    cli: Cli, nginx: Nginx, tmp_path: Path, threshold: str, reason: str
) -> None:
    (result,) = results_of(cli, tmp_path, nginx.url, [threshold], code=99)["thresholds"]
    assert not result["ok"]
    assert result["observed"] is None
    assert reason in result["reason"]
    (result,) = results_of(cli, tmp_path, nginx.url, [f"{threshold} optional"], code=0)["thresholds"]
    assert result["ok"]


def test_an_outcome_that_did_not_happen_is_a_count_of_zero(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    asked = [
        "http_reqs{status:500}: count<1",
        "http_reqs{name:/json,status:404}: count==0",
        "http_reqs{method:GET,name:/json,status:404}: count==0",
        "http_reqs{kind:bad,error:timeout}: count==0",
        "http_reqs{group:cart,expected_response:false}: count==0",
        "http_req_retried{name:/json}: count==0",
        "iterations_failed{scenario:browse}: count==0",
    ]
    results_of(cli, tmp_path, nginx.url, asked, code=0)


def test_a_misspelt_tag_is_refused_before_the_run(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    before = nginx.wait_requests(0)
    script = SCRIPT.replace("iterations=10", 'iterations=10, thresholds={"http_req_duration{staus:200}": "avg<9s"}')
    (tmp_path / "script.py").write_text(script)
    done = cli("run", "script.py", "--base-url", nginx.url)
    assert done.returncode == 104
    assert "has no tag 'staus'" in done.stderr
    assert "did you mean 'status'?" in done.stderr
    bench = cli("bench", nginx.url, "--threshold", "http_reqs{region:eu}: count>1")
    assert bench.returncode == 104
    assert "has no tag 'region'" in bench.stderr
    never = cli("bench", nginx.url, "--threshold", "http_req_failed: rate<5")
    assert never.returncode == 104
    assert "rate<0.05 or rate<5%" in never.stderr
    assert nginx.wait_requests(before) == before


@pytest.mark.parametrize(
    "tag", ["error", "status", "method", "name", "scenario", "group", "check", "expected_response", "url", "proto"]
)
def test_a_tag_that_fastload_sets_is_refused_everywhere(cli: Cli, nginx: Nginx, tmp_path: Path, tag: str) -> None:
    script = f"""
import fastload as fl


@fl.scenario(vus=1, iterations=1)
async def browse(vu: fl.VU) -> None:
    for make in (
        lambda: vu.get("/json", tags={{"{tag}": "x"}}),
        lambda: fl.measure("call", tags={{"{tag}": "x"}}),
        lambda: vu.check(None, {{"a": True}}, tags={{"{tag}": "x"}}),
    ):
        try:
            found = make()
            await found if hasattr(found, "__await__") else None
        except fl.PlanError as error:
            vu.check(None, {{"refused": "the tag {tag!r} is set by fastload itself" in str(error)}})
"""
    (tmp_path / "script.py").write_text(script)
    asked = ("--threshold", "checks: rate==1", "--base-url", nginx.url, "--json", "-q")
    done = cli("run", "script.py", *asked)
    assert done.returncode == 0, done.stderr
    (check,) = json.loads(done.stdout)["checks"]
    assert check["passes"] == 3
    refused = cli("run", "script.py", *asked, "--tag", f"{tag}=x")
    assert refused.returncode == 104
    assert f"the tag {tag!r} is set by fastload itself" in refused.stderr


def test_a_check_with_both_quotes_and_a_comma_is_named_as_the_plan_shows_it(
    cli: Cli, nginx: Nginx, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT + """    vu.check(None, {"say \\"it's\\", ok; {": True})\n""")
    asked = r"""checks{check:"say \"it's\", ok; {"}: rate==1"""
    planned = json.loads(cli("plan", "script.py", "--base-url", nginx.url, "--json", "--threshold", asked).stdout)
    assert planned["thresholds"] == [asked]
    done = cli("run", "script.py", "--base-url", nginx.url, "-w", "1", "--json", "-q", "--threshold", asked)
    assert done.returncode == 0, done.stdout + done.stderr
