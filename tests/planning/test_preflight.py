"""Addresses of the base URL's host, looked up before the run."""

from __future__ import annotations

import resource
import socket
from dataclasses import replace
from typing import Literal

import pytest

from fastload.load.executors.request_sources import FixedRequest
from fastload.model.errors import PlanError
from fastload.model.http_settings import DnsSelect, HttpSettings, check_base_url, check_url
from fastload.model.load_models import ConstantVUs
from fastload.model.plan import Plan, ScenarioPlan
from fastload.planning.preflight import check_descriptors, resolve_host, several_addresses

PLAN = Plan("bench", "t", (ScenarioPlan("bench", ConstantVUs(1, 1.0), FixedRequest("GET", "/")),), 1)


@pytest.mark.parametrize(
    ("kind", "vus", "workers", "said"),
    [
        ("run", 1, 1, "1 VU over 1 worker needs 65 open files in each, and the limit is 64"),
        ("run", 5000, 2, "5,000 VUs over 2 workers need 2564 open files in each, and the limit is 64"),
        ("bench", 1, 1, "1 connection over 1 worker needs 65 open files in each, and the limit is 64"),
    ],
)
def test_too_few_open_files(
    monkeypatch: pytest.MonkeyPatch, kind: Literal["bench", "run"], vus: int, workers: int, said: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    plan = Plan(kind, "t", (ScenarioPlan("a", ConstantVUs(vus, 1.0), FixedRequest("GET", "/")),), workers)
    with pytest.raises(PlanError) as caught:
        check_descriptors(plan)
    assert caught.value.message == said


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_localhost_is_all_that_is_this_machine() -> None:
    for host in ("localhost", "shop.localhost"):
        ((name, port, addresses),) = (entry.split(":", 2) for entry in resolve_host(f"http://{host}:81"))
        assert (name, port) == (host, "81")
        assert "127.0.0.1" in addresses.split(",")
        assert ("[::1]" in addresses.split(",")) == has_ipv6()


def test_addresses_are_not_looked_up() -> None:
    assert resolve_host("http://127.0.0.1") == resolve_host("http://[::1]:8") == resolve_host("") == ()


@pytest.mark.parametrize(
    ("pinned", "select", "count"),
    [
        ("shop.example.com:80:10.0.0.1,10.0.0.2,10.0.0.3", "first", 3),
        ("shop.example.com:80:[fd00::1],[fd00::2],10.0.0.3", "first", 2),
        ("shop.example.com:80:10.0.0.1,[fd00::1]", "first", 0),
        ("shop.example.com:80:10.0.0.1", "first", 0),
        ("localhost:80:127.0.0.1,127.0.0.2", "first", 0),
        ("shop.example.com:80:10.0.0.1,10.0.0.2", "random", 0),
    ],
)
def test_a_note_says_that_the_others_were_not_used(pinned: str, select: DnsSelect, count: int) -> None:
    notes = several_addresses(replace(PLAN, http=HttpSettings(dns_select=select)), (pinned,))
    assert len(notes) == bool(count)
    if count:
        assert f"shop.example.com has {count} addresses" in notes[0]
    assert several_addresses(PLAN, ()) == ()


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("http://h/?t=1", "has a query", "write http://h,"),
        ("http://h/a?", "has a query", "write http://h/a,"),
        ("http://h/a#b?c", "has a fragment", "write http://h/a"),
        ("http://u:secret@h/a#b", "URL 'http://h/a#b' has a fragment", "write http://h/a"),
        ("http://a b/", "has a host that is no name", ""),
        ("http://[::/", "is not a URL", ""),
    ],
)
def test_base_urls_that_are_refused(url: str, message: str, hint: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_base_url(url)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_urls_that_are_taken() -> None:
    assert check_base_url(" http://bücher.example/ä/\n") == "http://xn--bcher-kva.example/ä"
    assert check_base_url("http://h/\udcff") == "http://h/%FF"
    assert check_url("http://h/?a=1#b") == "http://h/?a=1#b"
