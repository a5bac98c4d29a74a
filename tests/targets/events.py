"""A small HTTP client for the tests of all targets, and valid events for those of the sequencer."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import rfc8785

TENANT = "11111111-1111-4111-8111-111111111111"
STORE = "22222222-2222-4222-8222-222222222222"
AGENT = "33333333-3333-4333-8333-333333333333"
INGEST = "/api/v1/ves/events/ingest"
STREAM = f"tenant_id={TENANT}&store_id={STORE}"


def payload_hash(payload: Any) -> str:
    """SHA-256 of the canonical payload, in hex."""
    return hashlib.sha256(rfc8785.dumps(payload)).hexdigest()


def make_event(payload: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A valid event with a fresh id; *changes* replace fields."""
    payload = {"total": 19.99, "currency": "EUR", "lines": [1, 2]} if payload is None else payload
    event = {
        "event_id": str(uuid.uuid4()),
        "tenant_id": TENANT,
        "store_id": STORE,
        "entity_type": "order",
        "entity_id": f"order-{uuid.uuid4()}",
        "event_type": "order.created",
        "payload": payload,
        "payload_hash": payload_hash(payload),
        "created_at": "2026-01-01T00:00:00.000Z",
        "source_agent": AGENT,
    }
    return {**event, **changes}


def make_batch(*events: dict[str, Any]) -> dict[str, Any]:
    """A request body with *events*."""
    return {"agent_id": AGENT, "events": list(events)}


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Client:
    """One keep-alive connection to a target."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and read its JSON answer."""
        self._connection.request(method, path, body, dict(headers or {}))
        response = self._connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, json.loads(response.read()))

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET *path*."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """POST *body* as JSON; bytes are sent as they are."""
        return self.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    def ingest(self, batch: Any, headers: Mapping[str, str] | None = None, path: str = INGEST) -> Answer:
        """POST *batch*, to *path*."""
        return self.post(path, batch, headers)


def ask_at_once(port: int, clients: int, ask: Callable[[Client, int], Answer]) -> list[Answer]:
    """What *ask* gets for each of *clients*, which have a connection each and start together."""
    start = threading.Barrier(clients)

    def one(number: int) -> Answer:
        with Client(port) as client:
            client.get("/health")
            start.wait(10)
            return ask(client, number)

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, range(clients)))


def codes(answers: Iterable[Answer]) -> collections.Counter[str]:
    """How often each outcome is among *answers*: the status of a success, the code of an error."""
    return collections.Counter(
        answer.body["error"]["code"] if answer.status >= 400 else str(answer.status) for answer in answers
    )
