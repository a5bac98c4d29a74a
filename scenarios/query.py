"""Read from the sequencer what its users read: the head, events, one entity, and commitments.

It writes nothing: fill the store with ``scenarios/ingest.py`` first, or there is no entity to read. Run it with
``fastload run scenarios/query.py --base-url http://localhost:8080``. Names that it reads from the environment:
SEQUENCER_BASE_URL, API_KEY, TENANT_ID and STORE_ID.
"""

import uuid

import fastload as fl

SEQUENCER_BASE_URL = fl.env("SEQUENCER_BASE_URL", "http://localhost:8080")
NIL = str(uuid.UUID(int=0))
STREAM = {"tenant_id": fl.env("TENANT_ID", NIL), "store_id": fl.env("STORE_ID", NIL)}
API_KEY = fl.env("API_KEY", None)
HEADERS = {"Authorization": f"ApiKey {API_KEY}"} if API_KEY else {}


@fl.scenario(
    vus=10,
    duration="30s",
    base_url=SEQUENCER_BASE_URL,
    thresholds={"http_req_failed": "rate==0", "http_req_duration": ["p(50)<20", "p(95)<50", "p(99)<100"]},
)
async def query(vu: fl.VU) -> None:
    health = await vu.get("/health", name="health")
    vu.check(health, {"healthy": health.status == 200})

    head = await vu.get("/api/v1/head", params=STREAM, headers=HEADERS, name="head")
    if vu.check(head, {"head: status is 200": head.status == 200}):
        last = head.json()["head_sequence"]
        page = {**STREAM, "from": vu.random.randint(1, max(last, 1)), "limit": 100}
        found = await vu.get("/api/v1/events", params=page, headers=HEADERS, name="events")
        vu.check(
            found,
            {"events: status is 200": found.status == 200, "has events": lambda r: r.json()["count"] > 0 or not last},
        )
        for event in found.json()["events"][:1] if found.ok else []:
            url = f"/api/v1/entities/{event['entity_type']}/{event['entity_id']}"
            entity = await vu.get(url, headers=HEADERS, name="entity")
            vu.check(entity, {"entity: status is 200": entity.status == 200})

    roots = await vu.get("/api/v1/ves/commitments", params=STREAM, headers=HEADERS, name="commitments")
    vu.check(roots, {"commitments: status is 200": roots.status == 200})
    await vu.sleep(0.1)
