"""A dashboard over real sockets, fed by hand, and clients for it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from fastload.dashboard.command_routes import SendCommand
from fastload.dashboard.dashboard_output import DashboardOutput
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.runner import make_header
from tests.conftest import DEADLINE_S
from tests.outputs import samples

JSON = {"Content-Type": "application/json"}
RUN = samples.full_run()


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A dashboard that serves. ``asked`` is what came to the run by `answer`."""

    def __init__(self, output: DashboardOutput, header: RunHeader) -> None:
        self.output = output
        self.header = header
        self.seconds = 0

    @property
    def port(self) -> int:
        return int(self.output.address.rpartition(":")[2])

    def feed(self, seconds: int = 1, **changes: Any) -> None:
        """So many more seconds of the run."""
        for _ in range(seconds):
            self.seconds += 1
            self.output.write(second(self.seconds, **changes))

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Reply:
        """The reply to one request; *body* is sent as JSON unless it is bytes. *headers* have ``_`` for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        if method == "POST":
            given = JSON | given
        try:
            connection.request(method, path, sent, given)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    @contextmanager
    def following(self, **headers: str) -> Iterator[Follower]:
        """One who watches, for the block."""
        follower = Follower(self.port, headers)
        try:
            yield follower
        finally:
            follower.close()


class Follower:
    """Reads the events of a dashboard, one after the other."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        self._connection.request("GET", "/events", headers=headers)
        self.response = self._connection.getresponse()

    def next(self) -> tuple[str, Any]:
        """Name and data of the next event; ``("", None)`` at the end of the stream."""
        name = ""
        while line := self.response.readline():
            field, _, value = line.rstrip(b"\n").partition(b": ")
            if field == b"event":
                name = value.decode()
            elif field == b"data":
                return name, json.loads(value)
        return "", None

    def until(self, wanted: str, condition: Callable[[Any], bool] = lambda _: True) -> Any:
        """The data of the first event *wanted* that meets *condition*."""
        while True:
            name, data = self.next()
            assert name, f"the stream ended before {wanted}"
            if name == wanted and condition(data):
                return data

    def close(self) -> None:
        self.response.close()
        self._connection.close()


def second(number: int, **changes: Any) -> Snapshot:
    """The second of that number of `RUN`."""
    return samples.make_snapshot(float(number), **({"t_s": float(number), "table": RUN.table} | changes))


@contextmanager
def serving(
    *, host: str = "127.0.0.1", token: str = "", ask: SendCommand | None = None, **changes: Any
) -> Iterator[Served]:
    """A dashboard of a run that has begun, until the end of the block. *changes* are of its header; of the plan, more
    entries."""
    output = DashboardOutput(host, 0, token=token)
    output.ask = ask
    output.check()
    header = make_header(RUN.plan)
    header = replace(header, **changes | {"plan": {**header.plan, **changes.get("plan", {})}})
    output.open(header)
    try:
        yield Served(output, header)
    finally:
        output.close(None)


def connect(port: int, *, receive_bytes: int = 0) -> socket.socket:
    """A connection; *receive_bytes* is how much the kernel keeps for it."""
    client = socket.socket()
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(DEADLINE_S)
    client.connect(("127.0.0.1", port))
    return client
