"""Handlers of the target ``sequencer``."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from pathlib import Path

from fastload.targets.application import ServiceContext
from fastload.targets.database import connect
from fastload.targets.messages import ApiError, Request, Response, answer, whole_number
from fastload.targets.options import SequencerOptions
from fastload.targets.sequencer.batches import BatchDecoder, EventBatch, is_uuid
from fastload.targets.sequencer.database import create_schema
from fastload.targets.sequencer.reader import Reader
from fastload.targets.sequencer.store import Outcome, Store
from fastload.targets.sequencer.writer import GroupWriter

_MAX_LIMIT = 1000
_DEFAULT_LIMIT = 100
_DEFAULT_READ_CONNECTIONS = 4
_MAX_SEQUENCE = 2**63 - 1


class SequencerService:
    """The service of one server process: one connection writes, a few connections read."""

    def __init__(self, context: ServiceContext) -> None:
        assert isinstance(context.options, SequencerOptions)
        self._options = context.options
        self._context = context
        self._path = Path(self._options.db) if self._options.db else context.run_dir / "sequencer.db"
        self._decoder = BatchDecoder(self._options.max_batch_events)
        self._plain_decoder = BatchDecoder(self._options.max_batch_events, plain=True)
        limit = self._options.max_db_connections
        readers = limit // context.workers - 1 if limit else _DEFAULT_READ_CONNECTIONS
        self._reader = Reader(self._path, max(1, readers))
        self._connection: sqlite3.Connection
        self._writer: GroupWriter

    async def start(self) -> None:
        """Open the database and start the writer."""
        self._connection = connect(self._path, durable=self._options.db is not None)
        with self._context.shared.service_lock():
            create_schema(self._connection)
        store = Store(self._connection, self._context.shared, self._options.events_per_commitment)
        store.load_known_ids()
        self._writer = GroupWriter(store)

    async def stop(self) -> None:
        """Store the accepted batches, and close the database."""
        await self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._reader.close)
        self._connection.close()

    async def ingest(self, request: Request) -> Response:
        """Check a batch, store it, and answer after the commit."""
        return await self._store(self._decoder.decode(await request.body()))

    async def ingest_plain(self, request: Request) -> Response:
        """Do the same for events of the plain route, which need no hash, no agent, and no UUID as an id."""
        return await self._store(self._plain_decoder.decode(await request.body()))

    async def _store(self, batch: EventBatch) -> Response:
        try:
            outcome = await self._writer.submit(batch)
        except sqlite3.Error as error:
            raise ApiError(503, "store_unavailable", str(error)) from error
        return _accepted(outcome)

    async def events(self, request: Request) -> Response:
        """Answer with events of one tenant and store, from a sequence on."""
        query = request.query()
        tenant_id, store_id = _stream_of(query)
        start = whole_number(query, "from", 1, low=0, high=_MAX_SEQUENCE)
        limit = whole_number(query, "limit", _DEFAULT_LIMIT, low=1, high=_MAX_LIMIT)
        events = await self._reader.events(tenant_id, store_id, start, limit)
        return answer({"events": events, "count": len(events)}, outcome="read")

    async def head(self, request: Request) -> Response:
        """Answer with the last sequence and the number of events of one tenant and store."""
        tenant_id, store_id = _stream_of(request.query())
        head, count = await self._reader.head(tenant_id, store_id)
        found = {"tenant_id": tenant_id, "store_id": store_id, "head_sequence": head, "event_count": count}
        return answer(found, outcome="read")

    async def entity(self, request: Request) -> Response:
        """Answer with the events of one entity."""
        entity_type, entity_id = request.parameters["type"], request.parameters["id"]
        limit = whole_number(request.query(), "limit", _MAX_LIMIT, low=1, high=_MAX_LIMIT)
        events = await self._reader.entity(entity_type, entity_id, limit)
        if not events:
            raise ApiError(404, "entity_not_found", f"no event of {entity_type} {entity_id}")
        return answer({"entity_type": entity_type, "entity_id": entity_id, "events": events}, outcome="read")

    async def commitments(self, request: Request) -> Response:
        """Answer with Merkle commitments; query parameters may select a tenant and a store."""
        query = request.query()
        before = whole_number(query, "before", _MAX_SEQUENCE, low=1, high=_MAX_SEQUENCE)
        limit = whole_number(query, "limit", _DEFAULT_LIMIT, low=1, high=_MAX_LIMIT)
        commitments = await self._reader.commitments(
            _optional_uuid(query, "tenant_id"), _optional_uuid(query, "store_id"), before, limit
        )
        return answer({"commitments": commitments, "count": len(commitments)}, outcome="read")


@dataclasses.dataclass(frozen=True, slots=True)
class _Accepted:
    accepted: int
    duplicates: list[str]
    first_sequence: int | None
    last_sequence: int | None
    sequences: list[int | None] | list[int]


def _accepted(outcome: Outcome) -> Response:
    given = [sequence for sequence in outcome.sequences if sequence is not None]
    return answer(
        _Accepted(
            accepted=len(given),
            duplicates=outcome.duplicates,
            first_sequence=given[0] if given else None,
            last_sequence=given[-1] if given else None,
            sequences=outcome.sequences,
        ),
        outcome="stored" if given else "duplicate",
    )


def _stream_of(query: dict[str, str]) -> tuple[str, str]:
    tenant_id, store_id = _optional_uuid(query, "tenant_id"), _optional_uuid(query, "store_id")
    if tenant_id is None or store_id is None:
        raise ApiError(400, "missing_parameter", "tenant_id and store_id are required")
    return tenant_id, store_id


def _optional_uuid(query: dict[str, str], name: str) -> str | None:
    text = query.get(name)
    if text is not None and not is_uuid(text):
        raise ApiError(400, "invalid_uuid", f"{name} is not a UUID")
    return text.lower() if text is not None else None
