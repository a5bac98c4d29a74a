"""A session that Chromium recorded becomes a script with which each VU has a session of its own."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import chromium
from tests.conftest import Cli
from tests.convert.conftest import check_style
from tests.convert.shop_site import PASSWORD, Shop, running_shop

__all__ = ["chromium"]
VUS = 5
VISITS = 15


def record(browser: Browser, shop: Shop, path: Path) -> None:
    """Log in and order something, and keep what the browser did as a HAR with the bodies of responses."""
    context = browser.new_context(record_har_path=path, record_har_content="embed", record_har_mode="full")
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{shop.url}/login")
        page.fill("[name=user]", "ada")
        page.fill("[name=password]", PASSWORD)
        page.click("button")
        page.wait_for_function("document.getElementById('state')?.textContent !== 'working'")
        assert page.inner_text("#state") == "done"
    finally:
        context.close()


def test_a_recorded_session_runs_with_many_vus(cli: Cli, tmp_path: Path, chromium: Browser) -> None:
    with running_shop() as recorded:
        record(chromium, recorded, tmp_path / "session.har")
        assert not recorded.refused
    done = cli("new", "visit", "--from", "session.har", "--max-pause", "0s")
    assert done.returncode == 0, done.stderr
    script = (tmp_path / "visit.py").read_text()
    check_style(tmp_path / "visit.py")
    [first] = recorded.sessions.values()
    for given in (first.csrf, first.xsrf, first.nonce, first.ticket, first.token, str(first.customer), PASSWORD):
        assert given not in script
    with running_shop() as shop:
        run = cli(
            *("run", "visit.py", "--base-url", shop.url, "-u", str(VUS), "-i", str(VISITS), "-w", "2", "--json", "-q"),
            *("-e", f"PASSWORD={PASSWORD}", "-e", _constant(recorded.api_url, shop.api_url)),
        )
        assert run.returncode == 0, run.stderr + run.stdout
        summary = json.loads(run.stdout)
        assert shop.refused == []
        assert summary["metrics"]["http_req_failed"]["fails"] == 0
        assert summary["metrics"]["http_reqs"]["count"] == len(shop.answered)
        of_page = [line for line in recorded.answered if "OPTIONS" not in line and "/favicon.ico" not in line]
        assert len(shop.answered) == VISITS * len(of_page)
        assert len(shop.sessions) == VISITS
        # Each has ordered with its own token, and deleted its own order.
        assert all(session.user == "ada" and not session.orders for session in shop.sessions.values())


def _constant(recorded: str, now: str) -> str:
    """The environment value that replaces the address of the API."""
    port = recorded.rpartition(":")[2]
    return f"SERVER_127_0_0_1_{port}_URL={now}"
