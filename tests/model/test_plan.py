"""Plans: what they add up to, what they show, and base URLs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fastload.model.errors import PlanError
from fastload.model.http_settings import HttpSettings, check_base_url, without_credentials
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, RampingVUs, SharedIterations
from fastload.model.plan import Plan, ScenarioPlan

STAGES = ((10.0, 5), (20.0, 0))


def test_executors_describe_themselves() -> None:
    assert ConstantVUs(1000, 90.0).describe() == "1,000 VUs for 1m30s"
    assert RampingVUs(STAGES, 8).describe() == "up to 8 VUs for 30s over 2 stages"
    assert RampingVUs(((5.0, 3),)).describe() == "up to 3 VUs for 5s over 1 stage"
    assert SharedIterations(2, 5000).describe() == "5,000 iterations shared by 2 VUs within 10m"
    assert ConstantArrivalRate(1000, 10.0, 50).describe() == "1,000 starts/s for 10s on at most 50 VUs"


def make_plan(**changes: Any) -> Plan:
    scenarios = (
        ScenarioPlan("browse", ConstantVUs(5, 10.0), work=lambda: None),
        ScenarioPlan("buy", ConstantArrivalRate(10.0, 20.0, 7), work=lambda: None),
    )
    return Plan("run", "shop.py", scenarios, 2, **changes)


def test_a_plan_adds_up_its_scenarios() -> None:
    plan = make_plan(warmup_s=3.0)
    assert plan.duration_s == 23.0
    assert plan.max_vus == 12
    assert plan.has_open_model
    assert [scenario.is_open for scenario in plan.scenarios] == [False, True]


def test_a_plan_as_data_keeps_names_and_no_secrets() -> None:
    http = HttpSettings(headers=("Authorization: Bearer hunter2",))
    data = make_plan(env={"TOKEN": "hunter2", "A": "x"}, http=http).to_dict()
    assert data["env"] == ["A", "TOKEN"]
    assert "hunter2" not in json.dumps(data)
    browse, buy = data["scenarios"]
    assert (browse["name"], browse["executor"], browse["model"], browse["vus"]) == (
        "browse",
        "constant-vus",
        "closed",
        5,
    )
    assert (buy["name"], buy["executor"], buy["model"]) == ("buy", "constant-arrival-rate", "open")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://example.com/", "https://example.com"),
        ("http://[::1]:80/a/b/", "http://[::1]:80/a/b"),
        ("http://h:65535", "http://h:65535"),
    ],
)
def test_base_urls(url: str, clean: str) -> None:
    assert check_base_url(url) == clean


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("localhost:8080", "has no http:// or https:// scheme", "write http://localhost:8080"),
        ("example.com/x", "has no http:// or https:// scheme", "write http://example.com/x"),
        ("/health", "has no host", "write it like http://127.0.0.1:8080/health"),
        ("ftp://example.com", "has no http:// or https:// scheme", "write http://example.com"),
        ("http://", "has no host", "write it like http://127.0.0.1:8080"),
        ("http:///path", "has no host", "write it like http://127.0.0.1:8080"),
        ("http://:80", "has no host", "write it like http://127.0.0.1:8080"),
        ("http://h:65536", "has a port that is not a number up to 65535", "check the port"),
        ("http://h:x", "has a port that is not a number up to 65535", "check the port"),
        ("http://[::1", "is not a URL", "check the brackets of the IPv6 host"),
    ],
)
def test_base_urls_that_are_none(url: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_base_url(url, what="--base-url")
    assert caught.value.message.startswith(f"--base-url {url!r} {message}")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@host:8080/a?b=c", "http://host:8080/a?b=c"),
        ("https://host/", "https://host/"),
        ("http://host/@x", "http://host/@x"),
        ("", ""),
    ],
)
def test_credentials_are_never_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
