"""Saved runs in `fastload ui`: the list of those in the folder of ``--save``, their pages, and comparisons of two."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard import ui_saved
from fastload.dashboard.ui_saved import SavedRuns
from fastload.model.saved.run_file import load_ends, load_run
from tests.browser import chromium, open_page, overflow_px, shoot
from tests.conftest import DEADLINE_S, Nginx, cli_command, cli_env, wait_until
from tests.dashboard.ui_process import Ui
from tests.model.capacity.made import search_options
from tests.model.runs import PLAN, lognormal, save
from tests.outputs.page.packed_page import data_in
from tests.preloaded import run_preloaded

__all__ = ["chromium"]

expect.set_options(timeout=DEADLINE_S * 1000)

SCRIPT = """
import fastload as fl


@fl.scenario(iterations=20, thresholds={"http_req_failed": "rate<0.5"})
async def visit(vu: fl.VU) -> None:
    await vu.get("/json")
"""
ROWS = "#saved-list tbody tr"


@pytest.fixture(scope="module")
def folder(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of another command, two of one plan, one of another plan, and files that are damaged in their own ways."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "visit.py").write_text(SCRIPT)
    runs = folder / "runs"
    runs.mkdir()
    save(runs / "before.fastload", lognormal(), 1, seconds=12)
    save(runs / "after.fastload", lognormal(factor=1.5), 2, seconds=12)
    more_vus = {"scenarios": [PLAN["scenarios"][0] | {"vus": 99}]}
    save(runs / "other plan.fastload", lognormal(), 3, plan=more_vus, seconds=5)
    save(runs / "broken off.fastload", lognormal(), 4, seconds=5, complete=False)
    save(runs / "search.fastload", lognormal(rate=30.0), 5, seconds=5, **search_options())
    whole = (runs / "before.fastload").read_bytes()
    (runs / "bent.fastload").write_bytes(whole[:-40] + bytes(40))
    (runs / "<b>empty.fastload").write_bytes(b"")
    (runs / "text.fastload").write_text("none of fastload's")
    (runs / os.fsdecode(b"\xff.fastload")).write_text("nor is its name text")
    (runs / "note.txt").write_text("not listed")
    done = run_preloaded(
        cli_command("run", "visit.py", "--base-url", nginx.url, "-w", "1", "--save", "runs/visit.fastload"),
        cwd=folder,
        env=cli_env(),
        timeout_s=60,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def ui(folder: Path, nginx: Nginx) -> Iterator[Ui]:
    started = Ui(folder, "visit.py", "--base-url", nginx.url, "-w", "1", "--save", "runs")
    try:
        yield started
    finally:
        code, said = started.end()
        assert (code, [*folder.glob("fastload-ui-*")]) == (0, []), said


def listed(ui: Ui) -> dict[str, dict[str, Any]]:
    """The saved runs by their files."""
    return {run["file"].removesuffix(".fastload"): run for run in ui.ask("/api/saved").data["runs"]}


def test_the_list_has_what_is_in_the_folder_and_says_what_is_damaged(ui: Ui, folder: Path) -> None:
    runs = listed(ui)
    assert {name: run["outcome"] for name, run in runs.items()} == {
        "visit": "passed",
        "before": "finished",
        "after": "finished",
        "other plan": "finished",
        "broken off": "incomplete",
        "search": "passed",
        "bent": "damaged",
        "<b>empty": "damaged",
        "text": "damaged",
        "�": "damaged",
    }
    summary = load_run(folder / "runs" / "visit.fastload").summary
    assert summary is not None
    shown = runs["visit"]
    assert (shown["requests"], shown["requests_per_s"], shown["failed"]) == (
        20,
        summary["metrics"]["http_reqs"]["rate"],
        0,
    )
    assert (shown["p95_ms"], shown["load"]) == (
        summary["metrics"]["http_req_duration"]["p(95)"],
        ["visit: 20 iterations shared by 1 VU within 10m"],
    )
    assert runs["text"]["damage"] == "it is no run file of fastload"
    assert runs["<b>empty"]["damage"] == "there is no run in it: it ends before the first record"
    assert runs["�"]["damage"] == "its name is not UTF-8: rename it"
    assert "checksum" in runs["bent"]["damage"]
    assert "requests" not in runs["bent"]
    search = runs["search"]
    assert (search["requests_per_s"], search["p95_ms"]) == (None, None)
    assert search["capacity"] == "381/s within the objectives, and less than 398/s"
    assert search["load"] == ["search for the capacity from 10/s on"]
    began = [run["started_at"] for run in runs.values()]
    assert began == sorted(began, reverse=True)


def test_a_run_is_opened_and_two_are_compared(ui: Ui, chromium: Browser) -> None:
    with open_page(chromium, f"{ui.url}/") as page:
        page.wait_for_selector(ROWS)
        assert page.locator(ROWS).count() == 10
        search = page.locator(ROWS, has_text="search").first
        expect(search).to_contain_text("capacity: 381/s within the objectives, and less than 398/s")
        expect(search.locator("[data-title='Requests/s']")).to_have_text("-")
        damaged = page.locator(ROWS, has_text="text").first
        expect(damaged.locator("a")).to_have_count(0)
        assert damaged.locator("input").is_disabled()
        shoot(page, "ui-saved")
        page.get_by_label("Compare after").check()
        expect(page.locator("#compare-start")).to_be_disabled()
        page.get_by_label("Compare other plan").check()
        page.get_by_label("Compare before").focus()
        page.keyboard.press("Space")
        # The first one chosen has made room.
        expect(page.locator("#compare-names")).to_have_text("other plan and before")
        page.click("#compare-start")
        expect(page.locator("#compare-fault")).to_contain_text("These are runs of different plans: ")
        expect(page.locator("#compare-fault")).to_contain_text("vus: ")
        shoot(page, "ui-compare-refused")
        page.click("#compare-force")
        page.wait_for_url("**/comparisons/*")
        expect(page.locator("#outcome")).to_contain_text("Different plans")
        page.go_back()
        page.wait_for_selector(ROWS)
        page.get_by_label("Compare after").check()
        page.get_by_label("Compare before").check()
        page.click("#compare-start")
        page.wait_for_url("**/comparisons/*")
        # All began at the same time: by name.
        expect(page.locator(".sides")).to_contain_text("after")
        assert page.locator("[data-verdict]").get_attribute("data-verdict") == "better"
        shoot(page, "ui-comparison")
        page.goto(f"{ui.url}/")
        page.get_by_role("link", name="visit", exact=True).click()
        page.wait_for_url("**/saved/file-*")
        expect(page.locator("#result")).to_contain_text("Passed")
        assert page.locator("#live").count() == 0


def test_it_fits_a_phone(ui: Ui, chromium: Browser) -> None:
    with open_page(chromium, f"{ui.url}/", width=390, height=844, scheme="dark") as phone:
        phone.wait_for_selector(ROWS)
        phone.get_by_label("Compare before").check()
        phone.get_by_label("Compare after").check()
        assert overflow_px(phone) == 0
        shoot(phone, "ui-saved-phone-dark")


def test_a_run_of_the_session_is_compared_and_is_not_listed_twice(ui: Ui) -> None:
    assert ui.ask("/api/start", ui.form()).status == 201
    run = ui.wait_end(1)
    assert run["file"].removesuffix(".fastload") not in listed(ui)
    made = ui.ask("/api/compare", {"runs": [run["id"], listed(ui)["visit"]["id"]]}).data
    page = ui.ask(f"/comparisons/{made['comparison']}")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    # What began first is the baseline.
    shown = json.dumps(data_in(page.body.decode()))
    assert '"title": "B (' + run["file"].removesuffix(".fastload")[:20] in shown
    same = ui.ask("/api/compare", {"runs": [run["id"], run["id"]]}).data
    assert "given twice" in same["error"]


def test_what_another_command_saves_is_there_without_a_new_page(ui: Ui, chromium: Browser, folder: Path) -> None:
    with open_page(chromium, f"{ui.url}/") as page:
        page.wait_for_selector(ROWS)
        before = page.locator(ROWS).count()
        added = save(folder / "runs" / "added.fastload", lognormal(), 5, seconds=3)
        try:
            expect(page.locator(ROWS)).to_have_count(before + 1)
        finally:
            added.unlink()
    wait_until(lambda: "added" not in listed(ui))


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/saved/file-0000000000000000", None, {}, 404),
        ("/saved/..%2Fvisit.py", None, {}, 404),
        ("/saved/before.fastload", None, {}, 404),
        ("/saved/../../etc/passwd/reports/run", None, {}, 404),
        ("/comparisons/99", None, {}, 404),
        ("/comparisons/0", None, {}, 404),
        ("/api/compare", {"runs": ["runs/before.fastload", "visit.py"]}, {}, 404),
        ("/api/compare", {"runs": ["a"]}, {}, 400),
        ("/api/compare", {"runs": "ab"}, {}, 400),
        ("/api/compare", {"runs": ["a", "b"], "force": "yes"}, {}, 400),
        ("/api/compare", {}, {"Content-Type": "text/plain"}, 415),
        ("/api/compare", {}, {"Origin": "http://elsewhere.example"}, 403),
        ("/api/saved", None, {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/api/saved", {}, {}, 405),
    ],
)
def test_what_is_refused(ui: Ui, path: str, body: Any, headers: dict[str, str], status: int) -> None:
    answer = ui.ask(path, body, **headers)
    assert (answer.status, {*answer.data} >= {"error", "hint"}) == (status, True), answer


def test_a_link_of_another_site_makes_no_report(ui: Ui) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    run = listed(ui)["before"]["id"]
    assert ui.ask("/", **link).status == 200
    for path in (f"/saved/{run}", f"/saved/{run}/reports/md", "/comparisons/1"):
        assert ui.ask(path, **link).status == 403


def test_downloads_are_those_of_the_file(ui: Ui, folder: Path) -> None:
    run = listed(ui)["other plan"]["id"]
    whole = ui.ask(f"/saved/{run}/reports/run")
    assert whole.body == (folder / "runs" / "other plan.fastload").read_bytes()
    assert "other%20plan.fastload" in whole.headers["content-disposition"]
    assert ui.ask(f"/saved/{run}/reports/md").body.startswith(b"#")
    assert ui.ask(f"/saved/{run}/reports/exe").status == 404
    damaged = ui.ask(f"/saved/{listed(ui)['text']['id']}")
    assert (damaged.status, "no run file" in damaged.data["error"]) == (500, True)


def test_there_is_no_list_without_a_folder() -> None:
    assert SavedRuns(None).describe(()) == {"runs": [], "left_out": 0, "has_folder": False}


def test_the_list_is_bounded_and_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_saved, "MOST_LISTED", 2)
    for number in range(3):
        path = save(tmp_path / f"{number}.fastload", lognormal(), number, seconds=3)
        os.utime(path, (1_000 + number, 1_000 + number))
    reads: list[str] = []

    def counted(path: Path) -> Any:
        reads.append(path.name)
        return load_ends(path)

    monkeypatch.setattr(ui_saved, "load_ends", counted)
    runs = SavedRuns(tmp_path)
    first = runs.describe(())
    assert ({run["file"] for run in first["runs"]}, first["left_out"]) == ({"1.fastload", "2.fastload"}, 1)
    assert runs.describe(()) == first
    assert sorted(reads) == ["1.fastload", "2.fastload"]
    left = next(run for run in first["runs"] if run["file"] == "1.fastload")
    (tmp_path / "2.fastload").write_bytes(b"")
    assert {run["outcome"] for run in runs.describe(())["runs"]} == {"finished", "damaged"}
    assert reads[2:] == ["2.fastload"]
    (tmp_path / "1.fastload").unlink()
    assert [run["file"] for run in runs.describe({tmp_path / "2.fastload"})["runs"]] == ["0.fastload"]
    with pytest.raises(RequestRefused, match="there is no saved run"):
        runs.find(left["id"])


def test_a_search_is_opened(ui: Ui, chromium: Browser) -> None:
    with open_page(chromium, f"{ui.url}/saved/{listed(ui)['search']['id']}") as page:
        expect(page.locator("#capacity-word")).to_have_text("381/s within the objectives, and less than 398/s")
        expect(page.locator("#steps-table tbody tr")).to_have_count(13)
