"""Request sources of `bench`: one request that never changes, or a new batch of events for each request."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Protocol

INGEST_PATH = "/api/v1/ves/events/ingest"
NIL_UUID = "00000000-0000-0000-0000-000000000000"
MAX_BATCH = 1000
# The random hex digits of an event: the five parts of two ids, without the digits that all ids have, and its payload's.
_DIGITS = Struct("8s4s3s3s12s" * 2 + "18s")


class RequestSource(Protocol):
    """Source of requests. The method, URL and header lines stay the same; the body may change with each request."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> tuple[str, ...]: ...

    def body(self) -> bytes | None:
        """Return the body of the next request; None for a request without a body."""
        ...


@dataclass(frozen=True, slots=True)
class FixedRequest:
    """Source of one request, which never changes."""

    method: str
    url: str
    headers: tuple[str, ...] = ()
    payload: bytes | None = None
    name: str = ""

    def body(self) -> bytes | None:
        return self.payload


class SequencerIngest:
    """Source of batches for the sequencer's ingest, each with new ids, new payloads and correct hashes.

    An event's payload is canonical JSON (RFC 8785) by construction: sorted keys, no white space, only ASCII and
    integers. So the hashed bytes are the sent bytes, and no JSON encoder is needed: a batch of 100 events (61 KB) takes
    about 0.15 ms.
    """

    method = "POST"
    name = "ingest"

    def __init__(
        self,
        base_url: str,
        *,
        batch_size: int = 100,
        tenant_id: str = NIL_UUID,
        store_id: str = NIL_UUID,
        agent_id: str = NIL_UUID,
        headers: tuple[str, ...] = (),
    ) -> None:
        self.url = base_url + INGEST_PATH
        self.headers = ("Content-Type: application/json", *headers)
        self.batch_size = batch_size
        self._head = b'{"agent_id":"%s","events":[' % agent_id.encode()
        # All events have the same bytes, except for ids, payload, hash and time.
        self._event = (
            b'{"event_id":"%%s-%%s-4%%s-a%%s-%%s","tenant_id":"%s","store_id":"%s","entity_type":"order",'
            b'"entity_id":"order-%%s-%%s-4%%s-a%%s-%%s","event_type":"order.created","payload":%%s,'
            b'"payload_hash":"%%s","created_at":"%%s","source_agent":"%s"}'
        ) % (tenant_id.encode(), store_id.encode(), agent_id.encode())

    def body(self) -> bytes:
        """Return a new batch of ``batch_size`` events."""
        return self.batch(self.batch_size)

    def batch(self, size: int) -> bytes:
        """Return a batch of *size* events as JSON. Ids are version 4 UUIDs from the system's random numbers."""
        digits = os.urandom(_DIGITS.size // 2 * size).hex().encode()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        sha256, event = hashlib.sha256, self._event
        events = []
        for *ids, seed in _DIGITS.iter_unpack(digits):
            payload = _payload(seed)
            events.append(event % (*ids, payload, sha256(payload).hexdigest().encode(), now))
        return self._head + b",".join(events) + b"]}"


def _payload(digits: bytes) -> bytes:
    """Return an order as canonical JSON, made from 18 random hex *digits*."""
    number = int(digits[:8], 16)
    return (
        b'{"amount_cents":%d,"currency":"EUR","customer_id":"cust-%s","items":[{"quantity":%d,"sku":"sku-%s",'
        b'"unit_price_cents":%d}],"status":"created"}'
    ) % (number % 1_000_000, digits[8:18], number % 7 + 1, digits[:6], number % 90_000 + 100)
