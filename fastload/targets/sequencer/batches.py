"""Batches of events: the request format, its checks, and the data of a valid batch."""

from __future__ import annotations

import dataclasses
import datetime
import re
import struct
import zlib
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated

import msgspec

from fastload.targets.messages import ApiError, body_error
from fastload.targets.sequencer.canonical import Canonicalizer, NotCanonicalError
from fastload.targets.sequencer.known import ID_BYTES
from fastload.targets.sequencer.merkle import leaf_hashes

_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ONE_UUID = re.compile(_UUID).fullmatch
# A UUID and a line feed: its length, and where its four hyphens are.
_LINE_CHARACTERS = 37
_HYPHENS = (8, 13, 18, 23)
_EVENT_PATH = re.compile(r"\$\.events\[(\d+)\]")

Text = Annotated[str, msgspec.Meta(min_length=1)]
StreamKey = tuple[str, str]
ENTITY_HASH_BYTES = 4


class IngestEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An event as a client sends it. The ids of all events of a batch are checked later, in one step."""

    event_id: str
    tenant_id: str
    store_id: str
    entity_type: Text
    entity_id: Text
    event_type: Text
    payload: msgspec.Raw
    payload_hash: Text
    created_at: datetime.datetime
    source_agent: Text


class PlainEvent(IngestEvent, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """An event of the plain route: any text is an id, and the server adds the hash and the agent where they lack."""

    event_id: Text
    payload_hash: Text = ""
    source_agent: Text = ""


class StoredEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An event as it is stored: as it was sent, and complete. Read back, it also has its sequence."""

    event_id: str
    tenant_id: str
    store_id: str
    entity_type: str
    entity_id: str
    event_type: str
    payload: msgspec.Raw
    created_at: str
    payload_hash: str = ""
    source_agent: str = ""
    sequence: int = 0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    agent_id: str
    events: list[IngestEvent]


class _PlainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    agent_id: str
    events: list[PlainEvent]


class StoredBody(msgspec.Struct, frozen=True):
    """A stored batch: the events of one tenant and store in one request, without duplicates."""

    agent_id: str
    events: list[StoredEvent]


@dataclasses.dataclass(slots=True)
class EventBatch:
    """A valid batch.

    ``body`` is the request as received; on the plain route it may be completed. ``event_ids`` has 16 bytes for each
    event, ``entity_hashes`` 4, ``leaves`` 32, in request order.
    ``streams`` are the pairs of tenant and store in the batch; ``stream_of`` is each event's index into ``streams``,
    or ``None`` if there is only one pair.
    """

    body: bytes
    agent_id: str
    events: Sequence[IngestEvent]
    event_ids: bytes
    leaves: bytes
    entity_hashes: bytes
    streams: list[StreamKey]
    stream_of: list[int] | None


def entity_hash(entity_type: str, entity_id: str) -> int:
    """Return a 32-bit hash of an entity, for look-ups; two entities may have the same hash."""
    return zlib.crc32(f"{entity_type}\n{entity_id}".encode())


def _entity_hashes(events: Sequence[IngestEvent]) -> bytes:
    """Return the ``entity_hash`` of each event, in 4 bytes. The part of the type is computed once for each type."""
    crc32 = zlib.crc32
    begun = {name: crc32(f"{name}\n".encode()) for name in {event.entity_type for event in events}}
    hashes = [crc32(event.entity_id.encode(), begun[event.entity_type]) for event in events]
    return struct.pack(f"<{len(hashes)}I", *hashes)


def is_uuid(text: str) -> bool:
    """Return whether *text* is a UUID of 32 hex digits with hyphens."""
    return _ONE_UUID(text) is not None


class BatchDecoder:
    """Decoder that also checks request bodies; *plain*: those of the plain route. Not thread-safe."""

    def __init__(self, max_batch_events: int, *, plain: bool = False) -> None:
        self._max_batch_events = max_batch_events
        self._plain = plain
        self._decoder = msgspec.json.Decoder[_Body | _PlainBody](_PlainBody if plain else _Body)
        self._canonicalizer = Canonicalizer()

    def decode(self, body: bytes) -> EventBatch:
        """Return the batch in *body*.

        Raises:
            ApiError: 400, or 413 for too many events; ``event_index`` names the first bad event.
        """
        try:
            decoded = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            found = _EVENT_PATH.search(str(error))
            raise body_error(error, event_index=int(found[1]) if found else None) from None
        events = decoded.events
        self._check_size(len(events))
        if not is_uuid(decoded.agent_id):
            raise ApiError(400, "invalid_uuid", "agent_id is not a UUID")
        event_ids = _event_ids(events, any_text=self._plain)
        streams, stream_of = _streams(events)
        digests = self._payload_digests(events)
        return EventBatch(
            body=_completed(body, digests) if self._plain else body,
            agent_id=decoded.agent_id,
            events=events,
            event_ids=event_ids,
            leaves=leaf_hashes(event_ids, digests),
            entity_hashes=_entity_hashes(events),
            streams=streams,
            stream_of=stream_of,
        )

    def _check_size(self, count: int) -> None:
        if not count:
            raise ApiError(400, "empty_batch", "events is empty")
        if count > self._max_batch_events:
            raise ApiError(413, "batch_too_large", f"{count} events; at most {self._max_batch_events}")

    def _payload_digests(self, events: Sequence[IngestEvent]) -> list[bytes]:
        try:
            canonical = self._canonicalizer.canonical([event.payload for event in events])
        except NotCanonicalError as error:
            raise ApiError(400, "invalid_payload", str(error), event_index=error.index) from None
        digests = [sha256(payload).digest() for payload in canonical]
        if b"".join(digests).hex("\n", 32) != "\n".join([event.payload_hash for event in events]):
            for index, (event, digest) in enumerate(zip(events, digests, strict=True)):
                # An event of the plain route without a hash has "".
                if event.payload_hash not in ("", digest.hex()):
                    raise ApiError(
                        400,
                        "payload_hash_mismatch",
                        f"payload_hash is not the SHA-256 of the canonical payload, {digest.hex()}",
                        event_index=index,
                    )
        return digests


def encode_part(batch: EventBatch, indices: list[int]) -> bytes:
    """Return the events of *batch* at *indices*, encoded as a body of their own."""
    # Decode the original text again, because a decoded `IngestEvent` has lost the exact text of created_at.
    events = msgspec.json.decode(batch.body, type=StoredBody).events
    return msgspec.json.encode(StoredBody(batch.agent_id, [events[index] for index in indices]))


def _completed(body: bytes, digests: list[bytes]) -> bytes:
    """Return the batch in *body* with the hashes that it lacks, and with its own agent where an event has none."""
    batch = msgspec.json.decode(body, type=StoredBody)
    if all(event.payload_hash and event.source_agent for event in batch.events):
        return body
    events = [
        msgspec.structs.replace(event, payload_hash=digest.hex(), source_agent=event.source_agent or batch.agent_id)
        for event, digest in zip(batch.events, digests, strict=True)
    ]
    return msgspec.json.encode(StoredBody(batch.agent_id, events))


def _event_ids(events: Sequence[IngestEvent], *, any_text: bool) -> bytes:
    """Return 16 bytes for each id: those of a UUID; with *any_text*, the first of the SHA-256 of another text."""
    found = _uuid_bytes([event.event_id for event in events]) if len(events) > 1 else b""
    if found:
        return found
    return b"".join([_event_id(event.event_id, index, any_text=any_text) for index, event in enumerate(events)])


def _uuid_bytes(texts: list[str]) -> bytes:
    """Return 16 bytes for each of *texts*, or b"" if one is not a UUID.

    All are looked at together, which takes a tenth of a microsecond for each.
    """
    count = len(texts)
    lines = "\n".join([*texts, ""])
    if len(lines) != _LINE_CHARACTERS * count or not lines.isascii():
        return b""
    # Hyphens and line feeds are where they belong. If one is elsewhere too, or white space (which `fromhex` ignores),
    # the result is too short.
    hyphens = "-" * count
    if any(lines[at::_LINE_CHARACTERS] != hyphens for at in _HYPHENS):
        return b""
    if lines[_LINE_CHARACTERS - 1 :: _LINE_CHARACTERS] != "\n" * count:
        return b""
    try:
        found = bytes.fromhex(lines.replace("-", "").replace("\n", ""))
    except ValueError:
        return b""
    return found if len(found) == ID_BYTES * count else b""


def _event_id(text: str, index: int, *, any_text: bool) -> bytes:
    if is_uuid(text):
        return bytes.fromhex(text.replace("-", ""))
    if not any_text:
        raise ApiError(400, "invalid_uuid", "event_id is not a UUID", event_index=index)
    return sha256(text.encode()).digest()[:ID_BYTES]


def _streams(events: Sequence[IngestEvent]) -> tuple[list[StreamKey], list[int] | None]:
    tenants, stores = [event.tenant_id for event in events], [event.store_id for event in events]
    is_one = tenants.count(tenants[0]) == stores.count(stores[0]) == len(events)
    keys = dict.fromkeys([(tenants[0], stores[0])] if is_one else zip(tenants, stores, strict=True))
    for key in keys:
        for name, text in zip(("tenant_id", "store_id"), key, strict=True):
            if not is_uuid(text):
                index = next(i for i, event in enumerate(events) if (event.tenant_id, event.store_id) == key)
                raise ApiError(400, "invalid_uuid", f"{name} is not a UUID", event_index=index)
    if len(keys) == 1:
        ((tenant_id, store_id),) = keys
        return [(tenant_id.lower(), store_id.lower())], None
    numbers: dict[StreamKey, int] = {}
    stream_of = [
        numbers.setdefault((event.tenant_id.lower(), event.store_id.lower()), len(numbers)) for event in events
    ]
    return list(numbers), stream_of
