"""``--dashboard``: serves the page of the run on a port of this machine, from the fork on and while it is watched."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
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
# A page that is loaded again has no stream of events for a moment. A browser that opens the page may take longer until
# it asks for one: it reads the library of the charts first.
_GONE_S = 2.0
_OPENING_S = 10.0
_POLL_S = 0.1


class DashboardOutput:
    """A sink that shows the run in the browser. Use it in a `SinkOutput`, so that it never slows the run.

    It listens on *host* and *port* (0: a free port). With a *token*, every viewer needs the token; a *host* that other
    machines can reach requires one. ``ask``, set before the run, sends the page's commands to the run; without it the
    page has no commands. When the run is over it stays for those who watch, but not longer than *linger_s* seconds (see
    `linger`); ``on_linger`` is called before it waits for them.

    Raises:
        PlanError: *host* can be reached from other machines, and there is no *token*.
    """

    required = False
    wants_points = False

    def __init__(self, host: str, port: int, *, token: str = "", linger_s: float = 0.0) -> None:
        self.ask: SendCommand | None = None
        self.on_linger: Callable[[], None] = lambda: None
        self._linger_s = linger_s
        self._asked_s = self._opening_s = -math.inf
        self._guard = Guard(self._serve, host=host, token=token)
        self._server = Server(self._guard, host, port, token=token, what="dashboard", variable=TOKEN_VARIABLE)
        self._live: LiveRun | None = None
        self._dashboard: Dashboard | None = None
        self._tried = threading.Event()
        self._is_served = self._is_shut = False

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
        """Send the end of the run to all viewers. Stop the server unless somebody may still look at the summary."""
        assert self._live is not None
        self._live.end(summary)
        if summary is None or not self._linger_s or self._is_left():
            self._shut()

    def linger(self, *, waits: bool = True) -> None:
        """After `close`: wait until the last viewer has left or the time for them is over, then stop the server.

        A `KeyboardInterrupt` ends the wait at once, and so does a run that was given up (not *waits*).
        """
        try:
            if waits and self._is_served and not self._is_shut and self._live is not None and self._live.is_over:
                self.on_linger()
                end_s = time.monotonic() + self._linger_s
                while time.monotonic() < end_s and not self._is_left():
                    time.sleep(_POLL_S)
        finally:
            self._shut()

    def _is_left(self) -> bool:
        """Whether nobody watches, and nobody is about to."""
        now_s = time.monotonic()
        if self._viewers():
            self._asked_s = now_s
        return now_s - self._asked_s > _GONE_S and now_s - self._opening_s > _OPENING_S

    def _viewers(self) -> int:
        return self._dashboard.viewers if self._dashboard is not None else 0

    def _shut(self) -> None:
        self._is_shut = True
        if self._live is not None:
            self._live.close()
        self._server.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._dashboard is not None
        self._asked_s = time.monotonic()
        if scope["path"] == "/":
            self._opening_s = self._asked_s
        elif scope["path"] == "/events":
            self._opening_s = -math.inf
        await self._dashboard.app(scope, receive, send)
