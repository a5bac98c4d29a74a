"""Queries of the sequencer; each runs in a thread with its own connection."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fastload.targets.database import connect
from fastload.targets.sequencer import keys
from fastload.targets.sequencer.batches import StoredBody, StoredEvent, entity_hash
from fastload.targets.sequencer.database import position_head
from fastload.targets.sequencer.recent import RecentEvents

_Result = TypeVar("_Result")

_SEGMENTS_FROM = """
    SELECT first_sequence, segments.event_count, body FROM segments
    JOIN streams USING (stream_id)
    WHERE tenant_id = :tenant AND store_id = :store AND first_sequence >= coalesce(
        (SELECT max(first_sequence) FROM segments AS earlier
         WHERE earlier.stream_id = streams.stream_id AND first_sequence <= :start), 0)
    ORDER BY first_sequence
"""
_SEGMENT_AT = """
    SELECT first_position, first_sequence, body FROM segments
    WHERE first_position <= ? ORDER BY first_position DESC LIMIT 1
"""
_COMMITMENTS = """
    SELECT commitment_id, tenant_id, store_id, from_sequence, to_sequence, lower(hex(root)), created_at
    FROM commitments JOIN streams USING (stream_id)
    WHERE commitment_id < :before
        AND (:tenant IS NULL OR tenant_id = :tenant) AND (:store IS NULL OR store_id = :store)
    ORDER BY commitment_id DESC LIMIT :limit
"""
_COMMITMENT_FIELDS = (
    "commitment_id",
    "tenant_id",
    "store_id",
    "from_sequence",
    "to_sequence",
    "root",
    "created_at",
)


class Reader:
    """A pool of *connections* threads with one read connection each, opened on first use."""

    def __init__(self, path: Path, connections: int) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._decoder = msgspec.json.Decoder(StoredBody)
        self._recent = RecentEvents()
        self._executor = concurrent.futures.ThreadPoolExecutor(connections, "sequencer-reader")

    async def events(self, tenant_id: str, store_id: str, start: int, limit: int) -> list[StoredEvent]:
        """Return at most *limit* events, from sequence *start* on."""
        return await self._run(self._events, tenant_id, store_id, start, limit)

    async def head(self, tenant_id: str, store_id: str) -> tuple[int, int]:
        """Return the last sequence and the number of events; zeros for an unknown tenant and store."""
        return await self._run(self._head, tenant_id, store_id)

    async def entity(self, entity_type: str, entity_id: str, limit: int) -> list[StoredEvent]:
        """Return the first *limit* events of an entity, over all tenants, in the order of storage."""
        return await self._run(self._entity, entity_type, entity_id, limit)

    async def commitments(
        self, tenant_id: str | None, store_id: str | None, before: int, limit: int
    ) -> list[dict[str, Any]]:
        """Return at most *limit* commitments with an id below *before*, newest first."""
        return await self._run(self._commitments, tenant_id, store_id, before, limit)

    def close(self) -> None:
        """Wait for the running queries, then close the connections."""
        self._executor.shutdown()
        for connection in self._opened:
            connection.close()

    async def _run(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, durable=True)
            self._opened.append(connection)
        return connection

    def _events(self, tenant_id: str, store_id: str, start: int, limit: int) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        rows = self._connection().execute(_SEGMENTS_FROM, {"tenant": tenant_id, "store": store_id, "start": start})
        for first, count, body in rows:
            skip = max(0, start - first)
            if skip >= count:
                continue
            events = self._decoder.decode(body).events[skip : skip + limit - len(found)]
            found.extend(_numbered(event, first + skip + i) for i, event in enumerate(events))
            if len(found) >= limit:
                break
        rows.close()
        return found

    def _head(self, tenant_id: str, store_id: str) -> tuple[int, int]:
        row = (
            self._connection()
            .execute(
                "SELECT head_sequence, event_count FROM streams WHERE tenant_id = ? AND store_id = ?",
                (tenant_id, store_id),
            )
            .fetchone()
        )
        return (row[0], row[1]) if row else (0, 0)

    def _entity(self, entity_type: str, entity_id: str, limit: int) -> list[StoredEvent]:
        connection = self._connection()
        hash32 = entity_hash(entity_type, entity_id)
        recent, generations = self._recent.find(connection, keys.ENTITIES, hash32, position_head(connection))
        indexed = keys.find_positions(connection, keys.ENTITIES, hash32, generations)
        found: list[StoredEvent] = []
        for position in itertools.islice(itertools.chain(sorted(indexed), recent), limit):
            first_position, first_sequence, body = connection.execute(_SEGMENT_AT, (position,)).fetchone()
            offset = position - first_position
            event = self._decoder.decode(body).events[offset]
            if (event.entity_type, event.entity_id) == (entity_type, entity_id):
                found.append(_numbered(event, first_sequence + offset))
        return found

    def _commitments(
        self, tenant_id: str | None, store_id: str | None, before: int, limit: int
    ) -> list[dict[str, Any]]:
        rows = self._connection().execute(
            _COMMITMENTS, {"tenant": tenant_id, "store": store_id, "before": before, "limit": limit}
        )
        return [dict(zip(_COMMITMENT_FIELDS, row, strict=True)) for row in rows.fetchall()]


def _numbered(event: StoredEvent, sequence: int) -> StoredEvent:
    return msgspec.structs.replace(event, sequence=sequence)
