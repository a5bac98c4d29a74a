"""Makes the pictures of the docs anew, from real runs: ``python -m tests.pictures [NAME ...]``, by default all.

It takes four minutes. Look at them before you commit them: on a machine that is busy the runs are not VALID.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rich.console import Console

import fastload as fl
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.outputs.terminal.live import render_snapshot
from fastload.outputs.terminal.recent import Recent
from fastload.targets import RunningTarget, ScoreOptions, running
from tests.browser import BINARY, FLAGS, open_page
from tests.conftest import REPO, cli_command, cli_env

IMAGES = REPO / "docs" / "images"
LATENCY = "lognormal(p50={}ms,p99=60ms)"
SHOP = '''
import random

import fastload as fl

orders = fl.Counter("orders")
THRESHOLDS = {
    "http_req_response_time": ["p(95)<500ms", "p(99)<300ms"],
    "http_req_failed": "rate<5%",
    "checks": "rate>0.95",
}


async def visit(vu: fl.VU) -> None:
    """Look at a score, and sometimes verify one."""
    chance = random.random()
    if chance < 0.3:
        reply = await vu.get("/health")
    elif chance < 0.8:
        reply = await vu.get(f"/embed/score/1/0x{random.getrandbits(160):040x}", name="/embed/score/{address}")
    else:
        body = {"address": "0x" + "0" * 40, "scorerId": "1"}
        reply = await vu.post("/embed/auto-verify", json=body, name="/embed/auto-verify")
        orders.add(1)
    vu.check(reply, {"status is 200": reply.status == 200})


'''
RAMP = SHOP + "STAGES = ['10s:200/s', '15s:200/s', '5s:400/s', '20s:400/s']\n"
RAMP += "shop = fl.scenario(stages=STAGES, max_vus=1000, thresholds=THRESHOLDS)(visit)\n"
STEERED = SHOP + "browse = fl.scenario(name='browse', vus=10, duration='1m', pacing='50ms')(visit)\n"
STEERED += (
    "search = fl.scenario(name='search', rate='100/s', duration='1m', max_vus=100, thresholds=THRESHOLDS)(visit)\n"
)
STEADY = SHOP + "shop = fl.scenario(rate='300/s', duration='20s', max_vus=500)(visit)\n"


@contextmanager
def score(p50_ms: int = 6, failure_rate: float = 0.01) -> Iterator[RunningTarget]:
    with running("score", ScoreOptions(latency=LATENCY.format(p50_ms), failure_rate=failure_rate)) as target:
        yield target


@contextmanager
def command(folder: Path, script: str, name: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`fastload NAME` with *script* as a process, which has ended afterwards."""
    (folder / "shop.py").write_text(script)
    words = cli_command(name, "shop.py", *options)
    process = subprocess.Popen(
        words, cwd=folder, env=cli_env(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def run(folder: Path, script: str, base_url: str, *options: str) -> None:
    """A whole `fastload run` of *script*."""
    (folder / "shop.py").write_text(script)
    words = cli_command("run", "shop.py", "--base-url", base_url, "-w", "1", "-q", *options)
    subprocess.run(words, cwd=folder, env=cli_env(), stdout=subprocess.DEVNULL, timeout=120)


def said(process: subprocess.Popen[str], what: str) -> str:
    """What it says after *what* on stderr."""
    assert process.stderr is not None
    return next(line.partition(" ")[2].strip() for line in process.stderr if line.startswith(what))


def shoot(page: Page, name: str) -> None:
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=IMAGES / f"{name}.png")


def report(browser: Browser, folder: Path) -> None:
    """A ramp of starts, with a target that stands still for a moment."""
    with score() as target:
        freezes = [threading.Timer(45, os.kill, (pid, signal.SIGSTOP)) for pid in target.pids]
        freezes += [threading.Timer(46.2, os.kill, (pid, signal.SIGCONT)) for pid in target.pids]
        for timer in freezes:
            timer.start()
        run(folder, RAMP, target.base_url, "--html", "report.html", "--warmup", "3s")
        for timer in freezes:
            timer.join()
    for scheme in ("light", "dark"):
        with open_page(browser, f"file://{folder / 'report.html'}", height=1500, scheme=scheme) as page:
            shoot(page, f"report-{scheme}")


def dashboard(browser: Browser, folder: Path) -> None:
    """Two scenarios that can be steered, after half a minute."""
    options = ("-w", "1", "-q", "--dashboard", "0", "--control", "0")
    with score(failure_rate=0) as target:
        arguments = ("run", "--base-url", target.base_url, *options)
        with (
            command(folder, STEERED, *arguments) as process,
            open_page(browser, said(process, "dashboard:")) as page,
        ):
            page.wait_for_timeout(30_000)
            shoot(page, "dashboard")


def ui(browser: Browser, folder: Path) -> None:
    """The form, with a spawn rate."""
    arguments = ("ui", "--base-url", "http://localhost:8080", "--port", "0")
    with (
        command(folder, STEERED, *arguments) as process,
        open_page(browser, said(process, "ui:")) as page,
    ):
        page.get_by_role("checkbox", name="search").uncheck()
        page.get_by_role("textbox", name="Users", exact=True).fill("200")
        page.get_by_label("Spawn rate").fill("10")
        page.get_by_label("Duration").fill("5m")
        expect(page.get_by_text("up to 200 VUs for").last).to_be_visible()
        shoot(page, "ui")


def failures(browser: Browser, folder: Path) -> None:
    """What failed in a run of the ui."""
    with (
        score(failure_rate=0.04) as target,
        command(folder, STEADY, "ui", "--base-url", target.base_url, "--port", "0") as process,
        open_page(browser, said(process, "ui:"), height=460) as page,
    ):
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url("**/runs/1/")
        page.get_by_role("link", name="Failures").click()
        expect(page.locator("#live-phase")).to_have_text("Over", timeout=60_000)
        shoot(page, "ui-failures")


def compare(browser: Browser, folder: Path) -> None:
    """Three runs each, the second time against a target that takes half as long again."""
    for name, p50_ms in (("before", 6), ("after", 9)):
        (folder / name).mkdir()
        with score(p50_ms) as target:
            for _ in range(3):
                run(folder, STEADY, target.base_url, "--save", f"{name}/")
    subprocess.run(
        cli_command("compare", "before", "after", "--html", "compare.html"), cwd=folder, env=cli_env(), timeout=60
    )
    with open_page(browser, f"file://{folder / 'compare.html'}", height=1500) as page:
        shoot(page, "compare")


class Block:
    """An output that keeps how the live block looks."""

    def __init__(self) -> None:
        self.console = Console(record=True, width=120, file=io.StringIO(), force_terminal=True)
        self._recent = Recent()

    def start(self, plan: Plan) -> None:
        self._plan = plan

    def snapshot(self, snapshot: Snapshot) -> None:
        self._recent.add(snapshot)
        self.console.clear()
        if snapshot.phase == "running":
            self._last = snapshot

    def stop(self, summary: fl.Summary) -> None:  # noqa: ARG002 - the interface of every output
        self.console.print(render_snapshot(self._plan, self._last, self._recent))


def terminal(browser: Browser, folder: Path) -> None:
    """The live block on a wide terminal."""
    space: dict[str, fl.Scenario] = {}
    exec(STEADY, space)
    block = Block()
    with score() as target:
        fl.run(space["shop"], base_url=target.base_url, workers=1, outputs=[block])
    # The font that rich names is on a server: the page's own is taken instead.
    svg = block.console.export_svg(title="fastload run shop.py")
    without_fonts = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (folder / "terminal.svg").write_text(without_fonts)
    with open_page(browser, f"file://{folder / 'terminal.svg'}", width=1640, height=600) as page:
        page.locator("svg > rect").screenshot(path=IMAGES / "terminal.png")


PICTURES: dict[str, Callable[[Browser, Path], None]] = {
    one.__name__: one for one in (report, dashboard, ui, failures, compare, terminal)
}


def main(names: list[str]) -> None:
    """Make the pictures of these names, or all."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BINARY, args=list(FLAGS))
        # Who looks on shall not disturb the runs, which are of this machine, too.
        for process in psutil.Process().children(recursive=True):
            process.nice(19)
        for name in names or PICTURES:
            with tempfile.TemporaryDirectory() as folder:
                PICTURES[name](browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
