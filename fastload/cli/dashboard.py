"""``--dashboard`` and ``--open``: where the dashboard is, said and opened."""

from __future__ import annotations

import os
import re
import threading
import webbrowser
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fastload.cli.standard_streams import tell
from fastload.control.commands.http_checks import parse_address
from fastload.model.plan import Plan
from fastload.model.records import Snapshot
from fastload.model.summary import Summary

if TYPE_CHECKING:
    from fastload.dashboard.dashboard_output import DashboardOutput

DEFAULT_DASHBOARD_PORT = 5665
_OPTION = "--dashboard"
# To bind a port takes milliseconds, and no load is made before.
_READY_S = 2.0
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]:|[\w.-]+:)?\d{1,5}", re.ASCII)


def fill_address(args: Iterable[str]) -> Iterator[str]:
    """*args* with the default port after a ``--dashboard`` that no address follows."""
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
    """Host and port of the dashboard, if there is to be one: to open it, it has to be there.

    Raises:
        PlanError: *text* is neither a port nor ``HOST:PORT``.
    """
    if not text and not opens:
        return None
    return parse_address(text or str(DEFAULT_DASHBOARD_PORT), what=_OPTION, port=DEFAULT_DASHBOARD_PORT)


def make_dashboard(address: tuple[str, int]) -> DashboardOutput:
    """The dashboard at *address*.

    Raises:
        PlanError: other machines can reach it, and there is no token.
    """
    # It brings a web server, which a run without a dashboard need not wait for.
    from fastload.dashboard.dashboard_output import DashboardOutput

    token = os.environ.get("FASTLOAD_DASHBOARD_TOKEN") or os.environ.get("FASTLOAD_CONTROL_TOKEN", "")
    return DashboardOutput(*address, token=token)


class DashboardAddress:
    """Says on stderr where *output* is, before anything else is shown, and *opens* it in the browser. It comes after
    the stream of *output*."""

    def __init__(self, output: DashboardOutput, *, opens: bool) -> None:
        self.output = output
        self._opens = opens

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - the interface of every output
        if self.output.wait(_READY_S):
            tell(f"dashboard: {self.output.address}")
            if self._opens:
                open_page(self.output.login_url())

    def snapshot(self, snapshot: Snapshot) -> None:
        """Nothing to show."""

    def stop(self, summary: Summary) -> None:
        """Nothing to show."""


def open_page(url: str) -> None:
    """Open *url* in the user's browser, if there is one with a window. It does not wait, and says nothing."""
    threading.Thread(target=_open, args=(url,), name="fastload-open", daemon=True).start()


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    # One for the terminal would take it from the run; who names one in BROWSER wants it.
    has_window = not isinstance(browser, webbrowser.GenericBrowser) or isinstance(browser, webbrowser.BackgroundBrowser)
    if has_window or os.environ.get("BROWSER"):
        browser.open(url)
