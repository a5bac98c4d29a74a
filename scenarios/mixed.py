"""What the sequencer sees on a working day: 70 % ingest, 20 % queries, 10 % commitments.

Run it with ``fastload run scenarios/mixed.py --target sequencer``, or against your own sequencer with
``--base-url``. Names that it reads from the environment: SEQUENCER_BASE_URL, API_KEY, TENANT_ID, STORE_ID, AGENT_ID,
and BATCH_SIZE.
"""

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson

import fastload as fl

SEQUENCER_BASE_URL = fl.env("SEQUENCER_BASE_URL", "http://localhost:8080")
NIL = str(uuid.UUID(int=0))
STREAM = {"tenant_id": fl.env("TENANT_ID", NIL), "store_id": fl.env("STORE_ID", NIL)}
AGENT = fl.env("AGENT_ID", NIL)
API_KEY = fl.env("API_KEY", None)
BATCH_SIZE = fl.env("BATCH_SIZE", 100)
HEADERS = {"Authorization": f"ApiKey {API_KEY}"} if API_KEY else {}

ingest_ms = fl.Trend("ingest_duration", unit="ms")
query_ms = fl.Trend("query_duration", unit="ms")
events = fl.Counter("events_ingested")


def event() -> dict[str, Any]:
    """One order, never the same twice, with the SHA-256 of its canonical JSON."""
    payload = {"amount_cents": 4200, "currency": "EUR", "order": uuid.uuid4().hex}
    return {
        **STREAM,
        "event_id": str(uuid.uuid4()),
        "entity_type": "order",
        "entity_id": f"order-{uuid.uuid4()}",
        "event_type": "order.created",
        "payload": payload,
        "payload_hash": hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        "created_at": datetime.now(UTC).isoformat(),
        "source_agent": AGENT,
    }


async def ingest(vu: fl.VU) -> None:
    batch = {"agent_id": AGENT, "events": [event() for _ in range(BATCH_SIZE)]}
    reply = await vu.post("/api/v1/ves/events/ingest", json=batch, headers=HEADERS, name="ingest")
    ingest_ms.add(reply.duration_ms)
    if vu.check(reply, {"ingest: status is 200": reply.status == 200}):
        events.add(len(reply.json()["sequences"]))
    await vu.sleep(0.1)


async def query(vu: fl.VU) -> None:
    reply = await vu.get("/api/v1/events", params={**STREAM, "limit": 100}, headers=HEADERS, name="events")
    query_ms.add(reply.duration_ms)
    vu.check(reply, {"events: status is 200": reply.status == 200})
    await vu.sleep(0.1)


async def commitments(vu: fl.VU) -> None:
    reply = await vu.get("/api/v1/ves/commitments", params=STREAM, headers=HEADERS, name="commitments")
    query_ms.add(reply.duration_ms)
    vu.check(reply, {"commitments: status is 200": reply.status == 200})
    await vu.sleep(0.1)


mixed = fl.scenario(
    name="mixed",
    tasks={ingest: 70, query: 20, commitments: 10},
    vus=10,
    duration="30s",
    base_url=SEQUENCER_BASE_URL,
    thresholds={
        "http_req_failed": "rate==0",
        "ingest_duration": ["p(50)<20", "p(95)<50", "p(99)<100"],
        "query_duration": ["p(50)<20", "p(95)<50", "p(99)<100"],
    },
)
