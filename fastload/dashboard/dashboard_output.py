"""``--dashboard``: serves the page of the run on a port of this machine, from the fork to the end of the run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from fastload.dashboard.access_guard import Guard
from fastload.dashboard.app import Dashboard
from fastload.dashboard.command_routes import SendCommand
from fastload.dashboard.live_run import LiveRun
from fastload.dashboard.server import Server
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader

TOKEN_VARIABLE = "FASTLOAD_DASHBOARD_TOKEN"


class DashboardOutput:
    """A sink that shows the run in the browser. Use it in a `SinkOutput`, so that it never slows the run.

    It listens on *host* and *port* (0: a free port). With a *token*, every viewer needs the token; a *host* that other
    machines can reach requires one. ``ask``, set before the run, sends the page's commands to the run; without it the
    page has no commands.

    Raises:
        PlanError: *host* can be reached from other machines, and there is no *token*.
    """

    required = False
    wants_points = False

    def __init__(self, host: str, port: int, *, token: str = "") -> None:
        self.ask: SendCommand | None = None
        self._guard = Guard(self._serve, host=host, token=token)
        self._server = Server(self._guard, host, port, token=token, what="dashboard", variable=TOKEN_VARIABLE)
        self._live: LiveRun | None = None
        self._dashboard: Dashboard | None = None
        self._tried = threading.Event()
        self._is_served = False

    @property
    def address(self) -> str:
        """The URL of the dashboard; valid only while the dashboard is served."""
        return self._server.address

    def wait(self, timeout_s: float) -> bool:
        """Wait until the dashboard is served. Return False if it cannot be served, or not within *timeout_s*."""
        return self._tried.wait(timeout_s) and self._is_served

    def login_url(self) -> str:
        """Return a URL that opens the dashboard once without asking for the token."""
        return self._guard.login_url(self.address)

    def check(self) -> None:
        """See `Server.check`."""
        self._server.check()

    def open(self, header: RunHeader) -> None:
        self._live = LiveRun(header)
        self._dashboard = Dashboard(self._live, self.ask)
        try:
            self._server.start()
            self._is_served = True
        finally:
            self._tried.set()

    def write(self, snapshot: Snapshot) -> None:
        assert self._live is not None
        self._live.add(snapshot)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Send the end of the run to all viewers, then stop the server."""
        assert self._live is not None
        self._live.end(summary)
        self._server.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._dashboard is not None
        await self._dashboard.app(scope, receive, send)
