"""``--dashboard`` and ``--open``: the dashboard's address, printed and opened in the browser."""

from __future__ import annotations

import os
import re
import threading
import webbrowser
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from fastload.cli.standard_streams import write_stderr
from fastload.control.commands.http_checks import parse_address
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary
from fastload.model.units import format_duration_s

if TYPE_CHECKING:
    from fastload.dashboard.dashboard_output import DashboardOutput

DEFAULT_DASHBOARD_PORT = 5665
DEFAULT_LINGER = "5m"
_OPTION = "--dashboard"
# Longest wait for the server. Binding a port takes milliseconds, and the load starts only afterwards.
_READY_S = 2.0
# What is meant as an address, be it one or not: it is no URL, no path, and no shipped script.
_ADDRESS = re.compile(r"\d+|(?!scenario:)(\[[^\]/]*\]|[\w.-]*):[\w.-]*", re.ASCII)


def fill_address(args: Iterable[str]) -> Iterator[str]:
    """Yield *args*, with the default port added to a ``--dashboard`` that no address follows."""
    waiting = False
    for arg in args:
        if waiting:
            yield _OPTION if _ADDRESS.fullmatch(arg) else f"{_OPTION}={DEFAULT_DASHBOARD_PORT}"
        waiting = arg == _OPTION
        if not waiting:
            yield arg
    if waiting:
        yield f"{_OPTION}={DEFAULT_DASHBOARD_PORT}"


def dashboard_address(text: str | None, *, opens: bool) -> tuple[str, int] | None:
    """Return host and port of the dashboard, or None for no dashboard. *opens* alone asks for a dashboard too.

    Raises:
        PlanError: *text* is neither a port nor ``HOST:PORT``.
    """
    if not text and not opens:
        return None
    return parse_address(text or str(DEFAULT_DASHBOARD_PORT), what=_OPTION, port=DEFAULT_DASHBOARD_PORT)


def make_dashboard(address: tuple[str, int], linger_s: float) -> DashboardOutput:
    """Return the dashboard that will listen on *address*, and stay for its viewers up to *linger_s* after the run.

    Raises:
        PlanError: other machines can reach the address, and there is no token.
    """
    # Imported here, because it imports a web server, and a run without a dashboard need not wait for that.
    from fastload.dashboard.dashboard_output import DashboardOutput

    token = os.environ.get("FASTLOAD_DASHBOARD_TOKEN") or os.environ.get("FASTLOAD_CONTROL_TOKEN", "")
    output = DashboardOutput(*address, token=token, linger_s=linger_s)
    output.on_linger = partial(_tell_linger, linger_s)
    return output


def _tell_linger(linger_s: float) -> None:
    write_stderr(f"dashboard: stays while a page of it is open, at most {format_duration_s(linger_s)}; Ctrl-C ends it")


class DashboardAddress:
    """An output that prints the address of the dashboard *output* on stderr, before anything else is shown.

    If *opens*, it also opens the dashboard in the browser. In the list of outputs it must come after the
    `SinkOutput` of *output*.
    """

    name = "--dashboard"

    def __init__(self, output: DashboardOutput, *, opens: bool) -> None:
        self.output = output
        self._opens = opens

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        if self.output.wait(_READY_S):
            write_stderr(f"dashboard: {self.output.address}")
            if self._opens:
                open_page(self.output.login_url())

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing to show."""

    def stop(self, summary: Summary) -> None:
        """Nothing to show."""


def open_page(url: str) -> None:
    """Open *url* in the user's browser, if there is a browser with a window. Return at once and report nothing."""
    threading.Thread(target=_open, args=(url,), name="fastload-open", daemon=True).start()


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    # A text browser would take the terminal from the run. A user who names one in BROWSER wants it.
    has_window = not isinstance(browser, webbrowser.GenericBrowser) or isinstance(browser, webbrowser.BackgroundBrowser)
    if has_window or os.environ.get("BROWSER"):
        browser.open(url)
