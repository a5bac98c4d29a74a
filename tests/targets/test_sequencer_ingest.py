from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from fastload.load.executors.request_sources import SequencerIngest
from fastload.targets import SequencerOptions, running
from tests.targets.events import STORE, STREAM, TENANT, Client, make_batch, make_event, payload_hash


def fresh_stream() -> dict[str, Any]:
    return {"tenant_id": str(uuid.uuid4()), "store_id": str(uuid.uuid4())}


def stream_query(stream: dict[str, Any]) -> str:
    return f"tenant_id={stream['tenant_id']}&store_id={stream['store_id']}"


@pytest.mark.parametrize("path", ["/api/v1/ves/events/ingest", "/api/v1/events/ingest"])
def test_valid_batch_gets_sequences_from_one(client: Client, path: str) -> None:
    stream = fresh_stream()
    answer = client.ingest(make_batch(*(make_event(**stream) for _ in range(3))), path=path)
    assert answer.status == 200
    assert answer.body == {
        "accepted": 3,
        "duplicates": [],
        "first_sequence": 1,
        "last_sequence": 3,
        "sequences": [1, 2, 3],
    }
    again = client.ingest(make_batch(make_event(**stream)), path=path)
    assert again.body["sequences"] == [4]


def test_events_are_read_back_as_they_were_sent(client: Client) -> None:
    stream = fresh_stream()
    events = [make_event({"n": n, "text": "é\n"}, **stream) for n in range(5)]
    client.ingest(make_batch(*events[:2]))
    client.ingest(make_batch(*events[2:]))
    expected = [{**event, "sequence": number} for number, event in enumerate(events, 1)]
    assert client.get(f"/api/v1/events?{stream_query(stream)}").body["events"] == expected
    part = client.get(f"/api/v1/events?{stream_query(stream)}&from=2&limit=3")
    assert part.body["events"] == expected[1:4]
    assert client.get(f"/api/v1/events?{stream_query(stream)}&from=6").body["events"] == []


def test_duplicates_in_a_batch_and_across_batches(client: Client) -> None:
    stream = fresh_stream()
    first, second, third = (make_event(**stream) for _ in range(3))
    assert client.ingest(make_batch(first, second)).body["accepted"] == 2
    again = {**second, "event_id": second["event_id"].upper()}
    answer = client.ingest(make_batch(third, first, third, again))
    assert answer.body["sequences"] == [3, None, None, None]
    assert answer.body["duplicates"] == [first["event_id"], third["event_id"], again["event_id"]]
    only = client.ingest(make_batch(first))
    assert only.body == {
        "accepted": 0,
        "duplicates": [first["event_id"]],
        "first_sequence": None,
        "last_sequence": None,
        "sequences": [None],
    }
    head = client.get(f"/api/v1/head?{stream_query(stream)}")
    assert (head.body["head_sequence"], head.body["event_count"]) == (3, 3)
    stored = client.get(f"/api/v1/events?{stream_query(stream)}").body["events"]
    assert [event["event_id"] for event in stored] == [e["event_id"] for e in (first, second, third)]


def test_one_batch_may_hold_several_streams(client: Client) -> None:
    one, two = fresh_stream(), fresh_stream()
    events = [make_event(**stream) for stream in (one, two, one, two, two)]
    assert client.ingest(make_batch(*events)).body["sequences"] == [1, 1, 2, 2, 3]
    for stream, indices in ((one, (0, 2)), (two, (1, 3, 4))):
        stored = client.get(f"/api/v1/events?{stream_query(stream)}").body["events"]
        assert [event["event_id"] for event in stored] == [events[i]["event_id"] for i in indices]
    for event in events:
        found = client.get(f"/api/v1/entities/order/{event['entity_id']}").body["events"]
        assert [item["event_id"] for item in found] == [event["event_id"]]


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "wrong hash": ({"payload_hash": "0" * 64}, "payload_hash_mismatch"),
    "empty hash": ({"payload_hash": ""}, "invalid_value"),
    "upper-case hash": ({"payload_hash": payload_hash({"a": 1}).upper()}, "payload_hash_mismatch"),
    "unknown key": ({"extra": 1}, "unknown_field"),
    "event_id is no uuid": ({"event_id": "not-a-uuid"}, "invalid_uuid"),
    "event_id of two lines": ({"event_id": f"{TENANT}\n{TENANT}"}, "invalid_uuid"),
    "tenant_id is no uuid": ({"tenant_id": TENANT[:-1]}, "invalid_uuid"),
    "store_id is no uuid": ({"store_id": STORE + "0"}, "invalid_uuid"),
    "empty entity_type": ({"entity_type": ""}, "invalid_value"),
    "number as event_type": ({"event_type": 7}, "invalid_value"),
    "null entity_id": ({"entity_id": None}, "invalid_value"),
    "created_at is no time": ({"created_at": "yesterday"}, "invalid_value"),
    "payload is a list": ({"payload": [1]}, "invalid_payload"),
    "payload beyond 2**53": ({"payload": {"n": 2**53}}, "invalid_payload"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_event_rejects_the_whole_batch(client: Client, case: str) -> None:
    changes, code = INVALID[case]
    stream = fresh_stream()
    bad = {**make_event({"a": 1}, **stream), **changes}
    answer = client.ingest(make_batch(make_event(**stream), bad, make_event(**stream)))
    assert answer.status == 400
    assert (answer.body["error"]["code"], answer.body["error"]["event_index"]) == (code, 1)
    assert client.get(f"/api/v1/head?{stream_query(stream)}").body["event_count"] == 0


@pytest.mark.parametrize("field", sorted(make_event()))
def test_missing_field(client: Client, field: str) -> None:
    event = make_event()
    del event[field]
    answer = client.ingest(make_batch(make_event(), event))
    assert answer.status == 400
    assert answer.body["error"]["code"] == "missing_field"
    assert answer.body["error"]["event_index"] == 1
    assert field in answer.body["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (make_batch(), 400, "empty_batch"),
        (make_batch(*[make_event()] * 51), 413, "batch_too_large"),
        ({**make_batch(make_event()), "extra": 1}, 400, "unknown_field"),
        ({"events": [make_event()]}, 400, "missing_field"),
        ({**make_batch(make_event()), "agent_id": "x"}, 400, "invalid_uuid"),
        ({"agent_id": TENANT, "events": {}}, 400, "invalid_value"),
        ([], 400, "invalid_value"),
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (json.dumps(make_batch(make_event())).encode().replace(b"order.created", b"\xff"), 400, "malformed_json"),
    ],
)
def test_invalid_body(client: Client, body: Any, status: int, code: str) -> None:
    answer = client.ingest(body)
    assert (answer.status, answer.body["error"]["code"]) == (status, code)


def test_payload_may_be_written_in_any_way_that_has_the_same_canonical_form(client: Client) -> None:
    canonical = {"a": 1.5, "b": [True, None, "é😀"], "c": 100, "€": 1e30}
    event = make_event(canonical)
    body = json.dumps(make_batch({**event, "payload": {}}))
    written = '{ "c" : 1e2 , "€":1E30, "b":[true,null,"\\u00e9\\ud83d\\ude00"],"a":1.50 }'
    answer = client.ingest(body.replace('"payload": {}', f'"payload": {written}').encode())
    assert (answer.status, answer.body.get("accepted")) == (200, 1)


def test_reads_check_their_parameters(client: Client) -> None:
    assert client.get("/api/v1/events").status == 400
    assert client.get("/api/v1/head?tenant_id=x&store_id=y").status == 400
    for wrong in ("limit=0", "limit=1001", "limit=x", "from=-1", "from=99999999999999999999"):
        assert client.get(f"/api/v1/events?{STREAM}&{wrong}").status == 400, wrong
    unknown = client.get(f"/api/v1/head?{stream_query(fresh_stream())}")
    assert (unknown.status, unknown.body["head_sequence"]) == (200, 0)


def test_entities(client: Client) -> None:
    entity_id = f"order {uuid.uuid4()}/ü"
    quoted = entity_id.replace(" ", "%20").replace("/", "%2F").replace("ü", "%C3%BC")
    events = [make_event(entity_id=entity_id, event_type=f"order.step{n}") for n in range(4)]
    client.ingest(make_batch(events[0], make_event(), events[1]))
    client.ingest(make_batch(events[2], events[3]))
    answer = client.get(f"/api/v1/entities/order/{quoted}")
    assert [event["event_type"] for event in answer.body["events"]] == [f"order.step{n}" for n in range(4)]
    missing = client.get(f"/api/v1/entities/invoice/{quoted}")
    assert (missing.status, missing.body["error"]["code"]) == (404, "entity_not_found")


def test_unknown_route_and_method(client: Client) -> None:
    assert client.get("/nowhere").status == 404
    answer = client.get("/api/v1/ves/events/ingest")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert client.get("/health").body == {"status": "ok"}


def test_api_key_is_required_when_the_server_has_one() -> None:
    options = SequencerOptions(api_key="secret")
    with running("sequencer", options) as target, Client(target.port) as client:
        batch = make_batch(*(make_event() for _ in range(200)))
        for headers in ({}, {"Authorization": "ApiKey wrong"}, {"Authorization": "Bearer secret"}):
            answer = client.ingest(batch, headers)
            assert (answer.status, answer.body["error"]["code"]) == (401, "unauthorized")
        assert client.ingest(batch, {"Authorization": "ApiKey secret"}).status == 200
        assert client.get("/health").status == 200


def test_without_a_key_of_the_server_any_is_accepted(client: Client) -> None:
    assert client.ingest(make_batch(make_event()), {"Authorization": "ApiKey whatever"}).status == 200


def test_duplicates_and_entities_are_found_among_many_events() -> None:
    """Over 32,768 events the index has more than one generation."""
    with running("sequencer") as target, Client(target.port) as client:
        source = SequencerIngest(target.base_url)
        batches = [json.loads(source.batch(1000)) for _ in range(70)]
        for batch in batches:
            assert client.ingest(batch).body["duplicates"] == []
        for batch in (batches[0], batches[40], batches[-1]):
            again = client.ingest(batch).body
            assert sorted(again["duplicates"]) == sorted(event["event_id"] for event in batch["events"])
            event = batch["events"][-1]
            found = client.get(f"/api/v1/entities/order/{event['entity_id']}").body["events"]
            assert [one["event_id"] for one in found] == [event["event_id"]]
