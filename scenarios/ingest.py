"""Ingest batches of 100 events into the sequencer, with a short pause, as its agents do.

Run it with ``fastload run scenarios/ingest.py --target sequencer``, or against your own sequencer with
``--base-url``. Names that it reads from the environment: TENANT_ID, STORE_ID, AGENT_ID, API_KEY.
"""

import hashlib
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson

import fastload as fl

TENANT = os.environ.get("TENANT_ID", str(uuid.UUID(int=0)))
STORE = os.environ.get("STORE_ID", str(uuid.UUID(int=0)))
AGENT = os.environ.get("AGENT_ID", str(uuid.UUID(int=0)))
HEADERS = {"Authorization": f"ApiKey {os.environ['API_KEY']}"} if "API_KEY" in os.environ else {}

ingest_ms = fl.Trend("ingest_duration", unit="ms")
events = fl.Counter("events_ingested")


def event() -> dict[str, Any]:
    """One order, never the same twice, with the SHA-256 of its canonical JSON."""
    payload = {"amount_cents": 4200, "currency": "EUR", "order": uuid.uuid4().hex}
    return {
        "event_id": str(uuid.uuid4()),
        "tenant_id": TENANT,
        "store_id": STORE,
        "entity_type": "order",
        "entity_id": f"order-{uuid.uuid4()}",
        "event_type": "order.created",
        "payload": payload,
        "payload_hash": hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        "created_at": datetime.now(UTC).isoformat(),
        "source_agent": AGENT,
    }


def batch(size: int) -> dict[str, Any]:
    return {"agent_id": AGENT, "events": [event() for _ in range(size)]}


@fl.scenario(
    stages=["5s:10", "20s:50", "5s:0"],
    thresholds={"http_req_failed": "rate<0.01", "ingest_duration": ["p(50)<20", "p(95)<50", "p(99)<100"]},
)
async def ingest(vu: fl.VU) -> None:
    reply = await vu.post("/api/v1/ves/events/ingest", json=batch(100), headers=HEADERS, name="ingest")
    ingest_ms.add(reply.duration_ms)
    if vu.check(reply, {"status is 200": reply.status == 200}):
        events.add(len(reply.json()["sequences"]))
    await vu.sleep(0.1)
