"""The checks of a batch, which look at all its events together, against the same rules for one event at a time."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import msgspec
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.targets.messages import ApiError
from fastload.targets.sequencer.batches import BatchDecoder, EventBatch, entity_hash
from tests.targets.events import AGENT, STORE, TENANT, make_event, payload_hash

_UUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST = 6
_FIELDS = tuple(make_event())
_OF_THE_DECODER = ("malformed_json", "invalid_value", "unknown_field", "missing_field")

NUMBERS = st.sampled_from(("0", "-0", "-0.0", "0.0", "1", "-7", "1.0", "1e2", "1E+2", "19.99", "0.1", "1e-7", "1e-6"))
NUMBERS |= st.sampled_from(("1e15", "1e16", "1e20", "1e21", "1e22", "5e-324", "1.5e300", "1e400", "-1e400", "1e999999"))
NUMBERS |= st.sampled_from(("0.30000000000000004", "333333333.33333329", "9007199254740991", "9007199254740992"))
NUMBERS |= st.sampled_from(("-9007199254740992", "9007199254740991.0", "18446744073709551616", "1" * 30))
NUMBERS |= st.sampled_from(("01", "1.", ".5", "+1", "NaN", "Infinity"))
STRINGS = st.sampled_from(
    ["", "a", "B", "é", "€", "\u2028", "\ue000", "\U0001f600", "\x7f", "\x1f", '"', "\\", "/", "a b", "1e5", "\uffff"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
# As a client may write them; the last ones are not JSON.
RAW_STRINGS = st.sampled_from(
    [r'"\u00e9"', r'"\ud83d\ude00"', r'"\/"', r'"\u000A"', r'"\u001f"', r'"\u0000"', r'"\u0041"']
)
BROKEN = st.sampled_from(
    [r'{"a":"\ud800"}', '{"a":"\n"}', r'{"a":"\x"}', '{"a":"}', "{", "", '{"a":}', "[]", "null", "1"]
)
DEEP = st.sampled_from(["[" * 600 + "]" * 600, '{"a":' * 600 + "1" + "}" * 600])


def texts(*, escaped: bool) -> st.SearchStrategy[str]:
    return STRINGS.map(lambda text: json.dumps(text, ensure_ascii=escaped))


TOKENS = (
    NUMBERS
    | RAW_STRINGS
    | texts(escaped=True)
    | texts(escaped=False)
    | st.sampled_from(["null", "true", "false", "[]", "{}"])
)
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t\r"])


@st.composite
def json_objects(draw: st.DrawFn, inner: st.SearchStrategy[str] = TOKENS) -> str:
    """An object as text: keys in any order and perhaps twice, white space anywhere."""
    key = texts(escaped=draw(st.booleans()))
    members = draw(st.lists(st.tuples(key, inner, SPACE), max_size=4))
    return "{" + ",".join(f"{space}{name}{space}:{space}{value}{space}" for name, value, space in members) + "}"


VALUES = st.recursive(
    TOKENS,
    lambda inner: json_objects(inner) | st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
    max_leaves=6,
)
PLAIN_VALUES = st.integers(-99, 99) | st.sampled_from(["x", "é", 1.5, None])
PLAIN = st.dictionaries(st.sampled_from("abcd"), PLAIN_VALUES, max_size=3).map(
    lambda value: rfc8785.dumps(value).decode()
)
PAYLOADS = st.integers(0, 19).flatmap(
    lambda kind: BROKEN if kind == 0 else DEEP if kind == 1 else json_objects(VALUES) if kind < 12 else PLAIN
)
IDS = st.uuids().map(str) | st.sampled_from([TENANT, STORE, TENANT.upper()])
ODD_IDS = st.sampled_from(
    [
        "",
        "----",
        TENANT[:-1],
        TENANT + "0",
        TENANT.replace("-", ""),
        f"{{{TENANT}}}",
        f"{TENANT}\n{TENANT}",
        f"{TENANT}\n",
        TENANT[:-1] + " ",
        TENANT[:-1] + "g",
        TENANT[:-1] + "\uff11",
        TENANT[:8] + "1-" + TENANT[10:],
        "11111111-1111-4111-8111-1111111111\n1",
        " " * 8 + TENANT[8:],
        "é" * 36,
    ]
)
ODD_VALUES = st.sampled_from(["null", "7", "[]", "{}", '""', '"x"', "true", '"\\ud800"'])
ENTITIES = st.sampled_from(['"order-1"', '"é"', '"a\\nb"', '"\U0001f600"'])
TIMES = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456+02:00", "2026-01-01", "yesterday", "", "2026-13-01T00:00:00Z"]
)


def canonical_hash(payload: str) -> str:
    """The hash of a payload, or "" if it has no canonical form."""
    try:
        return payload_hash(json.loads(payload))
    except (ValueError, RecursionError):
        return ""


@st.composite
def event_texts(draw: st.DrawFn) -> str:
    """An event as text, mostly right."""
    payload = draw(PAYLOADS)
    right = canonical_hash(payload)
    raw = hashlib.sha256(payload.encode("utf-8", "surrogatepass")).hexdigest()
    digest = draw(st.sampled_from([right] * 9 + [raw, right.upper(), "", "0" * 64]))
    event = {name: json.dumps(value) for name, value in make_event({}, event_id=draw(IDS)).items()}
    event |= {"payload": payload, "payload_hash": json.dumps(digest), "entity_id": draw(ENTITIES)}
    for name in draw(st.lists(st.sampled_from(("event_id", "tenant_id", "store_id")), max_size=1)):
        event[name] = json.dumps(
            draw(ODD_IDS if draw(st.integers(0, 9)) == 0 else IDS), ensure_ascii=draw(st.booleans())
        )
    change = draw(st.sampled_from(["nothing"] * 25 + ["drop", "odd", "unknown", "twice", "time"]))
    name = draw(st.sampled_from(_FIELDS))
    if change == "drop":
        del event[name]
    elif change == "time":
        event["created_at"] = json.dumps(draw(TIMES))
    elif change == "odd":
        event[name] = draw(ODD_VALUES)
    members = [f'"{name}":{value}' for name, value in event.items()]
    if change == "unknown":
        members.append('"extra":1')
    elif change == "twice":
        members.append(f'"{name}":{draw(ODD_VALUES)}')
    return "{" + ",".join(draw(st.permutations(members)) if draw(st.booleans()) else members) + "}"


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A request body, mostly right."""
    events = draw(
        st.lists(
            event_texts(),
            min_size=0 if draw(st.integers(0, 9)) == 0 else 1,
            max_size=_MOST + 1 if draw(st.integers(0, 9)) == 0 else 2,
        )
    )
    agent = draw(st.sampled_from([f'"{AGENT}"'] * 9 + ['"x"', "1"]))
    body = f'{{"agent_id":{agent},"events":[{",".join(events)}]}}'.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 14)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.sampled_from([b"", b"\xff", b",", b'"'])) + body[at + 1 :]
    return body


class _Event(msgspec.Struct):
    """What the rules below need of an event that the decoder has taken."""

    event_id: str
    tenant_id: str
    store_id: str
    entity_type: str
    entity_id: str
    payload: msgspec.Raw
    payload_hash: str = ""


class _Body(msgspec.Struct):
    agent_id: str
    events: list[_Event]


def verdict(body: bytes, *, plain: bool) -> tuple[int, str, int | None]:
    """Status, code and first bad event of a body whose fields have the right types; 200 if all is right."""
    decoded = msgspec.json.decode(body, type=_Body)
    events = list(enumerate(decoded.events))
    if not events:
        return 400, "empty_batch", None
    if len(events) > _MOST:
        return 413, "batch_too_large", None
    if not _UUID.fullmatch(decoded.agent_id):
        return 400, "invalid_uuid", None
    for index, event in events:
        if not plain and not _UUID.fullmatch(event.event_id):
            return 400, "invalid_uuid", index
    for index, event in events:
        if not _UUID.fullmatch(event.tenant_id) or not _UUID.fullmatch(event.store_id):
            return 400, "invalid_uuid", index
    for index, event in events:
        if not is_canonical_object(bytes(event.payload)):
            return 400, "invalid_payload", index
    for index, event in events:
        if event.payload_hash not in (canonical_hash(bytes(event.payload).decode()), *([""] if plain else [])):
            return 400, "payload_hash_mismatch", index
    return 200, "", None


def is_canonical_object(payload: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(payload), dict) and canonical_hash(payload.decode()) != ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def expected_streams(events: list[_Event]) -> list[tuple[str, str]]:
    return [(event.tenant_id.lower(), event.store_id.lower()) for event in events]


def decoded(body: bytes, *, plain: bool) -> tuple[EventBatch | None, ApiError | None]:
    try:
        return BatchDecoder(_MOST, plain=plain).decode(body), None
    except ApiError as error:
        return None, error


@settings(max_examples=100, deadline=None)
@given(bodies(), st.booleans())
def test_a_batch_is_judged_as_its_events_one_by_one(body: bytes, plain: bool) -> None:
    batch, error = decoded(body, plain=plain)
    if error is not None and error.code in _OF_THE_DECODER:
        assert error.status == 400
        return
    found = (200, "", None) if error is None else (error.status, error.code, error.event_index)
    assert found == verdict(body, plain=plain)
    if batch is None:
        return
    events = msgspec.json.decode(body, type=_Body).events
    digests = [bytes.fromhex(canonical_hash(bytes(event.payload).decode())) for event in events]
    ids = [id_bytes(event.event_id) for event in events]
    hashes = [entity_hash(event.entity_type, event.entity_id).to_bytes(4, "little") for event in events]
    leaves = [hashlib.sha256(b"\x00" + one + digest).digest() for one, digest in zip(ids, digests, strict=True)]
    assert (batch.event_ids, batch.entity_hashes, batch.leaves) == (b"".join(ids), b"".join(hashes), b"".join(leaves))
    streams = expected_streams(events)
    assert [batch.streams[number] for number in batch.stream_of or [0] * len(events)] == streams
    assert batch.streams == list(dict.fromkeys(streams))
    stored: Any = json.loads(batch.body)["events"]
    assert [event["payload_hash"] for event in stored] == [digest.hex() for digest in digests]


def id_bytes(text: str) -> bytes:
    return (
        bytes.fromhex(text.replace("-", "")) if _UUID.fullmatch(text) else hashlib.sha256(text.encode()).digest()[:16]
    )


@st.composite
def ids(draw: st.DrawFn) -> list[str]:
    """Ids of a batch; in one of them something may be wrong, or moved to its neighbour."""
    texts = [str(one) for one in draw(st.lists(st.uuids(), min_size=1, max_size=4))]
    index = draw(st.integers(0, len(texts) - 1))
    at = draw(st.integers(0, 36))
    put = draw(st.sampled_from(["", "-", " ", "\n", "g", "A", "\u00e9", "\uff11", f"\n{TENANT}", "  ", "--"]))
    cut = draw(st.integers(0, 3))
    texts[index] = texts[index][:at] + put + texts[index][at + cut :]
    if len(texts) > 1 and draw(st.booleans()):
        text, index = "\n".join(texts[:2]), draw(st.integers(0, 73))
        texts[:2] = [text[:index], text[index + 1 :]]
    return texts


@settings(max_examples=500, deadline=None)
@given(ids())
def test_ids_are_judged_as_one_by_one(texts: list[str]) -> None:
    events = [make_event({}, event_id=text) for text in texts]
    batch, error = decoded(json.dumps({"agent_id": AGENT, "events": events}).encode(), plain=False)
    wrong = [index for index, text in enumerate(texts) if not _UUID.fullmatch(text)]
    if wrong:
        assert error is not None
        assert (error.code, error.event_index) == ("invalid_uuid", wrong[0])
    else:
        assert batch is not None
        assert batch.event_ids == b"".join(map(id_bytes, texts))
