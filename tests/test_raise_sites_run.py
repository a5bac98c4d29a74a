"""A real run whose iterations raise in several places: every output says where, and how many messages there were."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import chromium as chromium
from tests.browser import open_page
from tests.conftest import Cli, Nginx

SCRIPT = """
import json

import fastload as fl


@fl.scenario(vus=2, iterations=80)
async def buy(vu: fl.VU) -> None:
    await vu.get("/json")
    part = vu.iteration_in_test % 4
    if part == 0:
        raise ValueError(f"no stock of item {vu.iteration_in_test}")
    if part == 1:
        raise ValueError("payment refused")
    if part == 2:
        json.loads("{")
"""
LINES = {
    name: number
    for number, line in enumerate(SCRIPT.splitlines(), 1)
    for name in ("stock", "payment", "loads")
    if name in line
}


def test_every_output_says_where_iterations_raised(cli: Cli, nginx: Nginx, tmp_path: Path, chromium: Browser) -> None:
    (tmp_path / "shop.py").write_text(SCRIPT)
    outputs = [word for one in ("md=m.md", "locust=m", "junit=m.xml") for word in ("--out", one)]
    files = ("--save", "m.fastload", "--html", "m.html", "--summary", "m.json")
    done = cli("run", "shop.py", "--base-url", nginx.url, "-w", "2", *files, *outputs)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "m.json").read_text())["exceptions"]
    stock, refused, library = (f"shop.py:{LINES[name]}" for name in ("stock", "payment", "loads"))
    assert Counter({(row["kind"], row["where"]): row["count"] for row in found}) == {
        ("ValueError", stock): 20,
        ("ValueError", refused): 20,
        ("JSONDecodeError", library): 20,
    }
    messages = {row["where"]: row["messages"] for row in found}
    assert messages == {stock: 20, refused: 1, library: 1}
    words = [f"20 times at {stock}, first of 20 messages", f"20 times at {refused}", f"20 times at {library}"]
    cli("report", "m.fastload", "--json", "again.json")
    again = cli("report", "m.fastload").stdout
    assert json.loads((tmp_path / "again.json").read_text())["exceptions"] == found
    for name, text in {
        "terminal": done.stdout,
        "again": again,
        "md": (tmp_path / "m.md").read_text(),
        "junit": (tmp_path / "m.xml").read_text(),
    }.items():
        assert not [one for one in words if one not in text], (name, text)
    with (tmp_path / "m_exceptions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Count"] for row in rows] == ["20"] * 3
    assert {row["Message"].partition(":")[0] for row in rows} == {"ValueError", "json.decoder.JSONDecodeError"}
    with open_page(chromium, (tmp_path / "m.html").as_uri()) as page:
        page.wait_for_selector("#exceptions details")
        shown = page.inner_text("#exceptions")
        assert all(one in shown for one in words)
