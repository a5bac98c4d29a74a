"""What `bench` sends: batches that are never the same twice, with hashes that are true."""

from __future__ import annotations

import hashlib
import http.client
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from fastload.load.executors.request_sources import INGEST_PATH, NIL_UUID, FixedRequest, SequencerIngest, _payload
from fastload.targets import RunningTarget

TENANT, STORE, AGENT = (str(uuid.UUID(int=number, version=4)) for number in (11, 22, 33))
EVENT_KEYS = {
    "event_id",
    "tenant_id",
    "store_id",
    "entity_type",
    "entity_id",
    "event_type",
    "payload",
    "payload_hash",
    "created_at",
    "source_agent",
}


@pytest.fixture
def source() -> SequencerIngest:
    return SequencerIngest("http://host:1", tenant_id=TENANT, store_id=STORE, agent_id=AGENT)


def test_the_request(source: SequencerIngest) -> None:
    assert (source.method, source.url) == ("POST", "http://host:1/api/v1/ves/events/ingest")
    assert source.headers == ("Content-Type: application/json",)
    with_key = SequencerIngest("http://host:1", headers=("Authorization: ApiKey k",))
    assert with_key.headers == ("Content-Type: application/json", "Authorization: ApiKey k")


def test_exactly_the_schema(source: SequencerIngest) -> None:
    batch = json.loads(source.body())
    assert set(batch) == {"agent_id", "events"}
    assert batch["agent_id"] == AGENT
    assert len(batch["events"]) == 100
    for event in batch["events"]:
        assert set(event) == EVENT_KEYS
        assert (event["tenant_id"], event["store_id"], event["source_agent"]) == (TENANT, STORE, AGENT)
        assert (event["entity_type"], event["event_type"]) == ("order", "order.created")
        kind, _, entity = event["entity_id"].partition("-")
        assert kind == "order"
        assert_version_4(entity)
        assert_version_4(event["event_id"])
        created = datetime.fromisoformat(event["created_at"])
        assert abs((datetime.now(UTC) - created).total_seconds()) < 60


def assert_version_4(text: str) -> None:
    found = uuid.UUID(text)
    assert str(found) == text
    assert found.version == 4
    assert found.variant == uuid.RFC_4122


def test_ids_default_to_nil() -> None:
    batch = orjson.loads(SequencerIngest("http://host:1").batch(1))
    assert batch["agent_id"] == batch["events"][0]["tenant_id"] == batch["events"][0]["store_id"] == NIL_UUID


def test_hashes_are_true(source: SequencerIngest) -> None:
    for _ in range(5):
        for event in orjson.loads(source.body())["events"]:
            assert event["payload_hash"] == hashlib.sha256(rfc8785.dumps(event["payload"])).hexdigest()


def test_the_payload_is_sent_canonical(source: SequencerIngest) -> None:
    body = source.body()
    for event in orjson.loads(body)["events"]:
        assert b'"payload":' + rfc8785.dumps(event["payload"]) + b',"payload_hash":' in body


@given(digits=st.text("0123456789abcdef", min_size=18, max_size=18))
def test_every_payload_is_canonical_by_construction(digits: str) -> None:
    payload = _payload(digits.encode())
    assert rfc8785.dumps(json.loads(payload)) == payload


def test_nothing_is_ever_sent_twice(source: SequencerIngest) -> None:
    events: list[dict[str, Any]] = [event for _ in range(200) for event in orjson.loads(source.body())["events"]]
    for key in ("event_id", "entity_id"):
        assert len({event[key] for event in events}) == len(events) == 20_000
    assert len({event["payload_hash"] for event in events}) == len(events)


@pytest.mark.parametrize("size", [1, 10, 100, 500])
def test_batch_size(size: int) -> None:
    body = SequencerIngest("http://host:1", batch_size=size).body()
    assert len(orjson.loads(body)["events"]) == size
    assert 580 * size < len(body) < 650 * size + 100


def test_a_hundred_events_are_61_kilobytes(source: SequencerIngest) -> None:
    assert 59_500 < len(source.body()) < 62_500


def test_a_fixed_request_is_always_the_same() -> None:
    request = FixedRequest("PUT", "http://host:1/a", ("X: y",), b"body", name="a")
    assert request.body() is request.body() is request.payload
    assert FixedRequest("GET", "http://host:1/").body() is None


def test_the_sequencer_accepts_it(sequencer: RunningTarget) -> None:
    tenant = str(uuid.uuid4())
    source = SequencerIngest(sequencer.base_url, tenant_id=tenant, store_id=STORE, agent_id=AGENT)

    def post() -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", sequencer.port, timeout=20)
        try:
            connection.request("POST", INGEST_PATH, source.body(), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body: dict[str, Any] = orjson.loads(answer.read())
            assert answer.status == 200, body
            return body
        finally:
            connection.close()

    answers = [post() for _ in range(5)]
    assert [answer["accepted"] for answer in answers] == [100] * 5
    assert [answer["duplicates"] for answer in answers] == [[]] * 5
    assert answers[-1]["last_sequence"] == 500
