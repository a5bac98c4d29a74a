"""A real browser with a page of another site: it reads nothing of the dashboard, and its link opens the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser

from fastload.dashboard.live_run import LiveRun
from tests.browser import chromium, open_page
from tests.conftest import wait_until
from tests.dashboard.serving import Served, serving

__all__ = ["chromium"]

# Each way in which a page can have the browser ask another server, without its leave.
PAGE = """<!doctype html><link rel="icon" href="data:,"><title>elsewhere</title><a href="{url}/">open</a>
<script>
const url = "{url}";
fetch(url + "/report.html", {{mode: "no-cors"}}).catch(() => 0);
fetch(url + "/data.json").catch(() => 0);
new Image().src = url + "/report.html?image";
document.body.append(Object.assign(document.createElement("iframe"), {{src: url + "/report.html?frame"}}));
document.body.append(Object.assign(document.createElement("script"), {{src: url + "/data.json?script"}}));
</script>"""
ASKED = {"/report.html", "/data.json", "/report.html?image", "/report.html?frame", "/data.json?script"}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


@pytest.fixture
def elsewhere(served: Served) -> Iterator[str]:
    """The address of a page of another site: localhost is not 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PAGE.format(url=f"http://127.0.0.1:{served.port}").encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the dashboard has made of the run, which costs CPU: its data, its report."""
    found: list[str] = []

    def noted(name: str) -> Callable[[LiveRun], Any]:
        make = getattr(LiveRun, name)

        def noting(live: LiveRun) -> Any:
            found.append(name)
            return make(live)

        return noting

    for name in ("data", "report"):
        monkeypatch.setattr(LiveRun, name, noted(name))
    return found


def test_a_page_of_another_site_reads_nothing(
    served: Served, elsewhere: str, made: list[str], chromium: Browser
) -> None:
    address = f"http://127.0.0.1:{served.port}"
    with open_page(chromium, "about:blank", expected=(address, elsewhere, "403", "CORS", "ERR_")) as page:
        ended: set[str] = set()
        for event in ("requestfinished", "requestfailed"):
            page.on(event, lambda request: ended.add(request.url.removeprefix(address)))
        page.goto(elsewhere)
        # Playwright tells of requests only while it is asked for something.
        wait_until(lambda: page.title() == "elsewhere" and ended >= ASKED)
        assert made == []
        page.click("a")
        page.wait_for_url(f"{address}/")
        page.wait_for_selector("h1")
        assert "data" in made
        reply = page.goto(f"{address}/report.html")
        assert reply is not None
        assert reply.status == 200
        assert "report" in made
