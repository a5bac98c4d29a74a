"""Options of requests through the whole command: workers, VUs and the parent's lookup."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.load.client.transport_servers import Web, web

SCRIPT = """
import os
from pathlib import Path

import fastload as fl


@fl.scenario
async def visit(vu):
    for _ in range(2):
        reply = await vu.get("/", headers={"Authorization": "Bearer s3cret"})
        said = dict(word.partition("=")[::2] for word in reply.text.split(" ") if "=" in word)
        with Path("seen").open("a") as file:
            file.write(f"{vu.id} {vu.iteration} {said['from']} {said['connection']} {said['host']}\\n")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "s.py").write_text(SCRIPT)
    return "s.py"


def seen(tmp_path: Path) -> list[list[str]]:
    """(VU, iteration, address, connection, host) of each request."""
    return [line.split() for line in (tmp_path / "seen").read_text().splitlines()]


def test_a_base_url_that_only_the_options_know(cli: Cli, script: str, site: Web, tmp_path: Path) -> None:
    host = f"shop.example.com:{site.ports['plain']}"
    for override in ("shop.example.com=127.0.0.1", "*.example.com=127.0.0.1"):
        done = cli("run", script, "--base-url", f"http://{host}", "--host-override", override, "-i", "2", "-q")
        assert done.returncode == 0, done.stdout + done.stderr
    assert {row[4] for row in seen(tmp_path)} == {host}


def test_source_addresses_are_dealt_over_all_workers(cli: Cli, script: str, site: Web, tmp_path: Path) -> None:
    sources = ("--source-address", "127.0.0.11-127.0.0.12,127.0.0.13")
    done = cli("run", script, "--base-url", site.url("plain", ""), *sources, "-u", "6", "-i", "6", "-w", "2", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {(int(row[0]), row[2]) for row in seen(tmp_path)} <= {
        (number, f"127.0.0.{11 + (number - 1) % 3}") for number in range(1, 7)
    }
    assert {row[2] for row in seen(tmp_path)} == {"127.0.0.11", "127.0.0.12", "127.0.0.13"}


def test_connections_of_an_iteration(cli: Cli, script: str, site: Web, tmp_path: Path) -> None:
    for option, most in (("--no-vu-connection-reuse", 2), ("--no-connection-reuse", 1)):
        (tmp_path / "seen").unlink(missing_ok=True)
        done = cli("run", script, "--base-url", site.url("plain", ""), option, "-u", "2", "-i", "10", "-q")
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(Counter(row[3] for row in seen(tmp_path)).values()) == {most}


def test_debug_shows_the_first_vu(cli: Cli, script: str, site: Web, tmp_path: Path) -> None:
    done = cli(
        "run", "--http-debug", script, "--base-url", site.url("plain", ""), "-u", "3", "-i", "9", "-w", "1", "-q"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    of_the_first = sum(row[0] == "1" for row in seen(tmp_path))
    assert done.stderr.count("> GET / HTTP/1.1") == of_the_first > 0
    assert done.stderr.count("< HTTP/1.1 200 OK") == of_the_first
    assert "> Authorization: ***" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_the_summary_has_the_settings(cli: Cli, script: str, site: Web) -> None:
    auth = ("--auth", "basic:ada:secret", "--connect-timeout", "2s")
    done = cli("run", script, "--base-url", site.url("plain", ""), *auth, "-i", "1", "--json", "-q")
    http = json.loads(done.stdout)["plan"]["http"]
    assert (http["auth"], http["connect_timeout_s"]) == ("basic", 2)
    assert "secret" not in done.stdout
