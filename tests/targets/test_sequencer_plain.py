"""The plain route takes events as the team's own scripts send them; the route of `ves` stays strict."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from fastload.targets import SequencerOptions, running
from tests.targets.events import (
    AGENT,
    INGEST,
    STREAM,
    Answer,
    Client,
    ask_at_once,
    make_batch,
    make_event,
    payload_hash,
)

PLAIN = "/api/v1/events/ingest"
LACKING = ("payload_hash", "source_agent")


def plain_event(**changes: Any) -> dict[str, Any]:
    """An event without hash and agent; *changes* replace and add fields."""
    return {**{name: value for name, value in make_event().items() if name not in LACKING}, **changes}


def fresh_text() -> str:
    """An id that is no UUID and that no other test has sent."""
    return f"---- {uuid.uuid4()}"


def ingest(client: Client, *events: dict[str, Any], path: str = PLAIN) -> Answer:
    return client.ingest(make_batch(*events), path=path)


def test_hash_and_agent_may_be_left_out(client: Client) -> None:
    stream: dict[str, Any] = {"tenant_id": str(uuid.uuid4()), "store_id": str(uuid.uuid4())}
    events = [plain_event(**stream), make_event(**stream), plain_event(**stream, source_agent="till 7")]
    assert ingest(client, *events).body["sequences"] == [1, 2, 3]
    stored = client.get(f"/api/v1/events?tenant_id={stream['tenant_id']}&store_id={stream['store_id']}").body["events"]
    hashes = [payload_hash(event["payload"]) for event in events]
    agents = [AGENT, AGENT, "till 7"]
    assert stored == [
        {**event, "payload_hash": digest, "source_agent": agent, "sequence": number}
        for number, (event, digest, agent) in enumerate(zip(events, hashes, agents, strict=True), 1)
    ]
    found = client.get(f"/api/v1/entities/order/{events[0]['entity_id']}").body["events"]
    assert found == [stored[0]]


def test_any_text_is_an_id_and_is_stored_once(client: Client) -> None:
    text = fresh_text()
    first = ingest(client, plain_event(event_id=text))
    assert (first.status, first.body["accepted"], first.body["duplicates"]) == (200, 1, [])
    again = ingest(client, plain_event(event_id=text))
    assert (again.status, again.body["accepted"], again.body["duplicates"]) == (200, 0, [text])
    # Another text is another id, also in upper case and with a line break; a UUID is the same in both cases.
    known = make_event()
    assert ingest(client, known, path=INGEST).body["accepted"] == 1
    others = [text.upper(), f"{text}\n{text}", known["event_id"].upper(), "\n"]
    answer = ingest(client, *(plain_event(event_id=one) for one in others))
    assert answer.body["duplicates"] == [known["event_id"].upper()]
    assert [number is None for number in answer.body["sequences"]] == [False, False, True, False]


def test_of_many_who_send_one_text_at_once_one_is_stored() -> None:
    with running("sequencer", workers=2) as target:
        answers = ask_at_once(target.port, 12, lambda client, _: ingest(client, plain_event(event_id="----")))
        with Client(target.port) as client:
            head = client.get(f"/api/v1/head?{STREAM}").body
            outcomes = client.get("/stats").body["outcomes"]
    assert {answer.status for answer in answers} == {200}
    assert sorted(answer.body["accepted"] for answer in answers) == [0] * 11 + [1]
    assert (head["head_sequence"], head["event_count"]) == (1, 1)
    assert outcomes == {"stored": 1, "duplicate": 11, "read": 1}


def test_a_text_is_known_after_a_restart(tmp_path: Path) -> None:
    options = SequencerOptions(db=str(tmp_path / "events.db"), events_per_commitment=1)
    for accepted, duplicates in ((1, []), (0, ["----"])):
        with running("sequencer", options) as target, Client(target.port) as client:
            answer = ingest(client, plain_event(event_id="----"))
            assert (answer.body["accepted"], answer.body["duplicates"]) == (accepted, duplicates)
            assert client.get(f"/api/v1/ves/commitments?{STREAM}").body["count"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"payload_hash": "0" * 64}, "payload_hash_mismatch"),
        ({"payload_hash": ""}, "invalid_value"),
        ({"payload_hash": None}, "invalid_value"),
        ({"source_agent": ""}, "invalid_value"),
        ({"event_id": ""}, "invalid_value"),
        ({"event_id": 7}, "invalid_value"),
        ({"tenant_id": "----"}, "invalid_uuid"),
        ({"store_id": ""}, "invalid_uuid"),
        ({"entity_id": ""}, "invalid_value"),
        ({"created_at": "now"}, "invalid_value"),
        ({"payload": [1]}, "invalid_payload"),
        ({"payload": {"n": 2**53}}, "invalid_payload"),
        ({"extra": 1}, "unknown_field"),
    ],
)
def test_what_nobody_sends_is_refused(client: Client, changes: dict[str, Any], code: str) -> None:
    before = client.get(f"/api/v1/head?{STREAM}").body
    answer = ingest(client, plain_event(), plain_event(**changes))
    assert answer.status == 400
    assert (answer.body["error"]["code"], answer.body["error"]["event_index"]) == (code, 1)
    assert client.get(f"/api/v1/head?{STREAM}").body == before


@pytest.mark.parametrize("field", sorted({*make_event()} - {*LACKING}))
def test_all_other_fields_are_required(client: Client, field: str) -> None:
    event = plain_event()
    del event[field]
    answer = ingest(client, event)
    assert (answer.status, answer.body["error"]["code"]) == (400, "missing_field")


@pytest.mark.parametrize(
    ("event", "code"),
    [(plain_event(), "missing_field"), (make_event(event_id="----"), "invalid_uuid")],
    ids=["incomplete", "id of any text"],
)
def test_the_other_route_stays_strict(client: Client, event: dict[str, Any], code: str) -> None:
    answer = ingest(client, event, path=INGEST)
    assert (answer.status, answer.body["error"]["code"]) == (400, code)
