"""Debian's Chromium for tests, driven by Playwright: a page that says anything wrong fails its test.

A test module takes the fixture by importing it (``from tests.browser import chromium``): one browser for the module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BINARY = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page may ask for: there is nobody else.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_WITHIN = ("data:", "blob:", "about:")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless browser; pages come from `open_page`."""
    if not Path(BINARY).exists():
        pytest.fail("these tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BINARY, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def open_page(
    browser: Browser,
    url: str,
    *,
    width: int = 1280,
    height: int = 900,
    scheme: Literal["light", "dark"] = "light",
    expected: tuple[str, ...] = (),
) -> Iterator[Page]:
    """*url* in a fresh context, which remembers nothing.

    When it is left: no error is in the console but those that contain one of *expected*, no script raised, and nothing
    was asked of another place than the page's own.
    """
    origin = "/".join(url.split("/")[:3])
    problems: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(f"{error}\n{error.stack}"))
    page.on("request", lambda request: problems.append(request.url) if _is_elsewhere(request.url, origin) else None)
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    left = [problem for problem in problems if not any(text in problem for text in expected)]
    assert not left, left


def shoot_window(page: Page, name: str) -> None:
    """As `shoot`, of what is seen without scrolling."""
    shoot(page, name, whole=False)


def shoot(page: Page, name: str, *, whole: bool = True) -> None:
    """Keep a picture of the *whole* page as *name*.png in the folder that FASTLOAD_SCREENSHOTS names, if it is set."""
    if folder := os.environ.get("FASTLOAD_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        # What sticks to the top of the window would be in the middle of the picture.
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)


def shoot_part(page: Page, selector: str, name: str) -> None:
    """As `shoot`, of one element."""
    if folder := os.environ.get("FASTLOAD_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.locator(selector).screenshot(path=Path(folder) / f"{name}.png")


def overflow_px(page: Page) -> int:
    """How far the page can be scrolled sideways."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def _is_elsewhere(url: str, origin: str) -> bool:
    return not url.startswith((*_WITHIN, f"{origin}/")) and url != origin
