from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import chromium, open_page, shoot
from tests.outputs.page.made_reports import write
from tests.outputs.seconds import NASTY, Made, made_run

__all__ = ["chromium"]


@pytest.fixture(scope="module")
def made() -> Made:
    """An open model with everything in it, and names that would be HTML if they could."""
    made = made_run(seconds=40, names=("/users", "/orders/{id}", NASTY), warmup_s=2.0)
    made.summary["verdict"]["further_limits"] = ["the target: its accept queue was full 7 times", NASTY]
    return made


@pytest.fixture(scope="module")
def url(made: Made, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(made, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def shown(chromium: Browser, url: str) -> Iterator[Page]:
    """The page that most tests look at; those that change it put it back."""
    with open_page(chromium, url) as page:
        shoot(page, "report-light-1280")
        yield page
