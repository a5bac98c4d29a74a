"""`fastload ui` end to end: a real server, real runs, and a real browser in front of them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from fastload.cli.exit_codes import ExitCode
from fastload.cli.main import run_cli
from fastload.dashboard.ui_reports import REPORTS
from fastload.dashboard.ui_run import EXIT_CODES
from fastload.model.saved.run_file import load_run
from tests import browser
from tests.browser import open_page, overflow_px, shoot
from tests.conftest import Nginx, wait_until
from tests.dashboard.ui_process import Ui
from tests.outputs.page.packed_page import data_in

SHOP = """
import os

import fastload as fl

print("read by", os.environ.get("WHO"), "with", os.environ.get("SECRET", "")[::-1])
if os.environ.get("BROKEN"):
    raise ValueError("nothing <works> today")


@fl.scenario(vus=2, duration="30s", graceful_stop="1s")
async def browse(vu: fl.VU) -> None:
    \"\"\"Look around
    in the <b>shop</b>.

    Not shown.
    \"\"\"
    await vu.get("/json", name="json")
    await vu.sleep(0.02)


@fl.scenario(rate="20/s", duration="30s", max_vus=5)
async def buy(vu: fl.VU) -> None:
    await vu.get("/status/404")
"""


chromium = browser.chromium
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def ui(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("ui")
    (folder / "shop.py").write_text(SHOP)
    started = Ui(folder, "shop.py", "--base-url", nginx.url, "-e", "WHO=me", "-w", "1", "--save", "runs")
    try:
        yield started
    finally:
        code, said = started.end()
        assert (code, [path.name for path in folder.glob("fastload-*")]) == (0, []), said


def test_the_form_is_what_the_script_says(ui: Ui, nginx: Nginx) -> None:
    form = ui.ask("/api/form").data
    assert [(one["name"], one["executor"], one["about"]) for one in form["scenarios"]] == [
        ("browse", "constant-vus", "Look around in the <b>shop</b>."),
        ("buy", "constant-arrival-rate", ""),
    ]
    assert form["first"] == ui.form(scenarios=["browse", "buy"], duration="30s", base_url=nginx.url, users="", rate="")
    assert form["env_names"] == ["WHO"]
    assert "me" not in json.dumps(form["env_names"] + form["first"]["env"])


def test_the_plan_is_what_run_would_do(ui: Ui) -> None:
    plan = ui.ask("/api/plan", ui.form(users="4", spawn_rate="2", duration="1m")).data
    assert [one["description"] for one in plan["scenarios"]] == ["up to 4 VUs for 1m02s over 2 stages"] * 2
    refused = ui.ask("/api/plan", ui.form(rate="5", iterations="9"))
    assert refused.data["error"] == "browse: rate and iterations exclude each other"
    assert refused.data["hint"] == "give one of them"
    at_field = ui.ask("/api/plan", ui.form(duration="soon"))
    assert at_field.data["fields"]["duration"]["message"] == "duration 'soon' is not a duration with a unit"


def test_every_exit_code_has_a_meaning() -> None:
    assert {*EXIT_CODES} == {code.value for code in ExitCode}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/api/start", {"users": "0"}, {}, 200),
        ("/api/start", {"save": "x"}, {}, 200),
        ("/api/start", [], {}, 400),
        ("/api/start", {}, {"Content-Type": "text/plain"}, 415),
        ("/api/start", {}, {"Origin": "http://elsewhere.example"}, 403),
        ("/api/start", {"users": "1" * 70_000}, {}, 413),
        ("/api/runs", None, {"Host": "elsewhere.example"}, 403),
        ("/api/start", None, {}, 405),
        ("/api/runs/99/stop", {}, {}, 404),
        ("/runs/99/", None, {}, 404),
        ("/runs/99/events", None, {}, 404),
        ("/runs/99/reports/html", None, {}, 404),
        ("/assets/../ui_app.py", None, {}, 404),
        ("/nowhere", None, {}, 404),
    ],
)
def test_what_is_refused(ui: Ui, path: str, body: Any, headers: dict[str, str], status: int) -> None:
    answer = ui.ask(path, body, **headers)
    assert (answer.status, {*answer.data} >= {"error", "hint"}) == (status, True), answer
    assert ui.ask("/api/runs").data["current"] is None


@pytest.fixture(scope="module")
def page(chromium: Browser, ui: Ui) -> Iterator[Page]:
    """The form, with the plan of it: each test goes on where the one before left it."""
    with open_page(chromium, f"{ui.url}/") as opened:
        opened.wait_for_selector("#plan dt")
        yield opened


@pytest.fixture
def phone(chromium: Browser, ui: Ui) -> Iterator[Page]:
    """What somebody else looks at, on a phone."""
    with open_page(chromium, f"{ui.url}/", width=390, scheme="dark") as opened:
        yield opened


def test_the_form_in_the_browser(ui: Ui, page: Page, nginx: Nginx) -> None:
    rows = [row.inner_text() for row in page.query_selector_all("label.scenario")]
    shoot(page, "ui-form")
    assert [" ".join(row.split()) for row in rows] == [
        "browse constant-vus Look around in the <b>shop</b>. 2 VUs for 30s",
        "buy constant-arrival-rate 20 starts/s for 30s on at most 5 VUs",
    ]
    assert page.input_value("#field-duration") == "30s"
    assert page.input_value("#field-base_url") == nginx.url
    page.fill("#field-duration", "30")
    page.wait_for_selector("#field-duration[aria-invalid=true]")
    assert page.inner_text("#error-duration") == "Duration '30' is not a duration with a unit. Write 30s or 30m."
    page.fill("#field-users", "7")
    page.fill("#field-duration", "20s")
    page.uncheck("input[value=buy]")
    expect(page.locator("#plan")).to_contain_text("7 VUs for 20s")
    assert page.inner_text("#error-duration") == ""
    assert "buy" not in page.inner_text("#plan")
    page.fill("#field-rate", "5")
    page.fill("#field-iterations", "9")
    page.wait_for_selector("#fault:not([hidden])")
    assert page.inner_text("#fault").split("\n") == [
        "browse: rate and iterations exclude each other.",
        "",
        "Give one of them.",
    ]
    page.click("#start")
    expect(page.locator("#start")).to_have_text("Start")
    page.fill("#field-rate", "")
    page.fill("#field-iterations", "")
    page.fill("#field-duration", "30s")
    assert ui.ask("/api/runs").data["runs"] == []


def test_a_script_with_an_error(ui: Ui, page: Page) -> None:
    page.click("#add-env")
    page.fill(".env:last-child input >> nth=0", "BROKEN")
    page.fill(".env:last-child input >> nth=1", "yes")
    page.click("#start")
    expect(page.locator("#fault")).to_contain_text(re.compile("^shop.py does not import:"))
    assert "ValueError: nothing <works> today" in page.inner_text("#fault")
    script = ui.folder / "shop.py"
    script.write_text("x = = 1")
    page.click("#again")
    expect(page.locator("#fault")).to_contain_text("SyntaxError")
    script.write_text(SHOP.replace("async def browse", "async def look"))
    page.click("#again")
    page.wait_for_selector("input[value=look]")
    # What was filled in stays.
    assert page.input_value(".env:last-child input >> nth=0") == "BROKEN"
    script.write_text(SHOP)
    page.click("#again")
    page.wait_for_selector("input[value=browse]")
    assert ui.ask("/api/runs").data["runs"] == []


def test_start_watch_change_stop_and_start_again(ui: Ui, page: Page, phone: Page) -> None:
    page.fill("#field-users", "3")
    page.check("input[value=browse]")
    page.uncheck("input[value=buy]")
    page.fill(".env:last-child input >> nth=0", "SECRET")
    page.fill(".env:last-child input >> nth=1", "t0psecret")
    page.click("#start")
    page.wait_for_url("**/runs/1/")
    family = psutil.Process(ui.process.pid)
    wait_until(lambda: len(family.children(recursive=True)) >= 2)
    words = [one.cmdline() for one in family.children(recursive=True)]
    assert (len(words) >= 2, "t0psecret" in str(words)) == (True, False)
    expect(page.locator("#live-clock")).not_to_have_text(re.compile("^(0:00)?$"))
    ui.wait_requests(1, 50)
    # Somebody else sees it, and cannot start another one.
    phone.wait_for_selector("#now .figures:not(:empty)")
    assert phone.is_disabled("#start")
    check_list_keeps_the_focus(phone)
    assert overflow_px(phone) == 0
    refused = ui.ask("/api/start", ui.form())
    assert (refused.status, refused.data["error"]) == (409, "run 1 is under way")
    phone.click("#now a")
    phone.wait_for_url("**/runs/1/")
    page.fill("[data-scenario=browse] input", "5")
    page.click("[data-scenario=browse] [type=submit]")
    wait_until(lambda: ui.run(1)["vus"] == 5)
    expect(phone.locator("[data-scenario=browse] output")).to_have_text("5 VUs")
    assert ui.ask("/runs/1/reports/json").data["requests"]["finished"] >= 50
    page.click("#live-pause")
    wait_until(lambda: ui.run(1)["state"] == "paused")
    page.click("#live-stop")
    page.click("#live-dialog [value=stop]")
    for one in (page, phone):
        one.wait_for_selector("#ui-again:not([hidden])")
        # There is nothing to pass: the script has no thresholds.
        assert one.inner_text("#ui-state") == "finished"
        expect(one.locator("#live-clock")).not_to_have_text("0:00")
        assert overflow_px(one) == 0
    shoot(page, "ui-run")
    check_downloads(ui, page)
    check_last_form(ui, phone)
    page.click("#ui-again")
    page.wait_for_url("**/runs/2/")
    # With values that no browser was sent.
    assert ui.run(2)["form"] == ui.run(1)["form"] | {"env_of": 2}
    assert "t0psecret" not in str([ui.ask("/api/runs").data, ui.ask("/api/form").data])
    assert ui.ask("/api/runs/2/stop", {}).status == 200
    assert ui.wait_end(2)["meaning"] == "finished"
    assert "read by me with terces" in ui.ask("/runs/2/log").body.decode().replace("p0t", "")
    assert ui.ask("/api/runs/2/stop", {}).status == 409
    assert [run["run"] for run in ui.ask("/api/runs").data["runs"]] == [2, 1]


def check_list_keeps_the_focus(page: Page) -> None:
    """The list is made anew each second; who goes through it by keyboard stays where they are. Only how the run stands
    is said aloud, and not its figures of each second."""
    assert page.locator("#list caption").count() == 1
    page.focus("#list .menu summary")
    requests = page.locator("#list td[data-title=Requests]")
    expect(requests).not_to_have_text(requests.inner_text())
    expect(page.locator("#list .menu summary")).to_be_focused()
    aloud = page.locator("#now [role=status], #now[role=status]")
    assert aloud.all_inner_texts() == ["running"]


def check_last_form(ui: Ui, phone: Page) -> None:
    """The list has run 1, and the form begins with what it had, but for the value in its environment."""
    phone.goto(f"{ui.url}/")
    phone.wait_for_selector("#list tbody tr")
    assert phone.inner_text("#list .badge") == "finished"
    expect(phone.locator("#field-users")).to_have_value("3")
    assert phone.get_attribute(".env:last-child input >> nth=1", "placeholder") == "as in run 1"
    # A choice of scenarios of which one is gone: the script was changed, and all that it has are chosen.
    shown = "async values => fastload.form.show(await fastload.ask('api/form'), values)"
    phone.evaluate(shown, {"scenarios": ["gone", "buy"], "env": []})
    assert phone.evaluate("fastload.form.values().scenarios") == ["browse", "buy"]
    phone.evaluate(shown, ui.ask("/api/form").data["last"])
    sent = phone.evaluate("fastload.form.values()")
    assert sent["scenarios"] == ["browse"]
    assert (sent["env"], sent["env_of"]) == ([["SECRET", ""]], 1)
    assert overflow_px(phone) == 0
    shoot(phone, "ui-phone")


def check_downloads(ui: Ui, page: Page) -> None:
    """Every report of run 1 can be downloaded, and has the figures of its summary."""
    with page.expect_download() as started:
        page.click(".ui-bar .menu summary")
        page.click(".ui-bar .menu a[href='reports/run']")
    run = load_run(started.value.path())
    assert run.summary is not None
    assert started.value.suggested_filename == ui.run(1)["file"]
    requests = run.summary["requests"]["finished"]
    assert ui.run(1)["requests"] == requests >= 50
    got = {name: ui.ask(f"/runs/1/reports/{name}") for name in REPORTS}
    assert {answer.status for answer in got.values()} == {200}
    assert got["json"].data == run.summary
    assert f"{requests:,}" in got["md"].body.decode()
    assert got["html"].body.startswith(b"<!DOCTYPE html>")
    assert data_in(got["html"].body.decode())["summary"]["requests"] == run.summary["requests"]
    assert got["junit"].body.startswith(b"<?xml")
    assert got["hlog"].body.startswith(b"#")
    with zipfile.ZipFile(io.BytesIO(got["csv"].body)) as archive:
        stem = ui.run(1)["file"].removesuffix(".fastload")
        assert archive.namelist() == [
            f"{stem}_{name}.csv" for name in ("exceptions", "failures", "stats", "stats_history")
        ]
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(f"{stem}_stats.csv"))))
    assert (rows[-1]["Name"], int(rows[-1]["Request Count"])) == ("Aggregated", requests)
    assert "read by me" in ui.ask("/runs/1/log").body.decode()
    assert "http_req_duration" in ui.ask("/runs/1/log").body.decode()


def test_a_run_is_stopped_gracefully_and_nothing_stays_at_ctrl_c(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ui = Ui(tmp_path, "shop.py", "--base-url", nginx.url, "-w", "1", "--save", "runs", temporary=temporary)
    # Ctrl-C in a terminal is for the ui alone: its runs have process groups of their own.
    processes = [psutil.Process(ui.process.pid)]
    try:
        assert ui.ask("/api/start", ui.form()).status == 201
        ui.wait_requests(1, 20)
        processes += processes[0].children(recursive=True)
        assert len(processes) >= 3
        assert {os.getpgid(process.pid) for process in processes[1:]} == {processes[1].pid}
    finally:
        code, said = ui.end()
    assert code == 0, said
    assert [process for process in processes if process.is_running()] == []
    assert [*temporary.iterdir()] == []
    (saved,) = (tmp_path / "runs").iterdir()
    run = load_run(saved)
    assert run.summary is not None
    assert run.summary["stopped_by"] == "control"
    assert run.summary["requests"]["finished"] >= 20


def test_nothing_is_there_without_the_token_and_a_run_ends_with_a_ui_that_is_killed(
    nginx: Nginx, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    args = ("shop.py", "--base-url", nginx.url, "-w", "1", "--save", "runs")
    ui = Ui(tmp_path, *args, port="127.0.0.1:0", FASTLOAD_DASHBOARD_TOKEN="t0ken")
    try:
        for path, body in (("/", None), ("/api/form", None), ("/api/start", {}), ("/runs/1/", None)):
            assert ui.ask(path, body).status == 401
            assert ui.ask(path, body, Authorization="Bearer wrong").status == 401
        form = ui.ask("/api/form", Authorization="Bearer t0ken").data["first"]
        assert ui.ask("/api/start", {}, Authorization="Bearer t0ken").data["error"]
        assert ui.ask("/api/start", form, Authorization="Bearer t0ken").status == 201
        processes = psutil.Process(ui.process.pid).children(recursive=True)
    finally:
        ui.end(signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in processes))
    (saved,) = (tmp_path / "runs").iterdir()
    assert load_run(saved).complete


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["shp.py"], "Error: there is no script 'shp.py'\nHint:  did you mean 'shop.py'?\n"),
        (
            ["shop.py", "-d", "5"],
            "Error: --duration: duration '5' is not a duration with a unit\nHint:  write 5s or 5m\n",
        ),
        (["shop.py", "--start-rate", "many"], "Error: --start-rate: start_rate 'many' is not a rate\n"),
        (
            ["shop.py", "--port", "0.0.0.0:0"],
            "Error: ui on 0.0.0.0 can be reached from other machines and has no token\n"
            "Hint:  set a token (FASTLOAD_DASHBOARD_TOKEN), or serve on 127.0.0.1\n",
        ),
        (["shop.py", "--port", "web"], "Error: --port 'web' is not PORT or HOST:PORT\n"),
        (["shop.py", "--save", "shop.py"], "Error: --save shop.py: File exists\n"),
        (["shop.py", "--control", "0"], "Error: No such option '--control'"),
    ],
)
def test_what_is_wrong_before_it_serves(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    assert run_cli(["ui", *args]) == 104
    assert capsys.readouterr().err.startswith(said)
