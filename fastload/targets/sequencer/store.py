"""Storage of groups of batches, one transaction a group: duplicates, sequences, segments, keys, commitments."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3

import numpy as np

from fastload.targets.sequencer import keys
from fastload.targets.sequencer.batches import ENTITY_HASH_BYTES, EventBatch, StreamKey, encode_part
from fastload.targets.sequencer.commitments import Committer
from fastload.targets.sequencer.database import position_head
from fastload.targets.sequencer.known import ID_BYTES, KnownIds, Words, hash_ids
from fastload.targets.sequencer.merkle import HASH_BYTES
from fastload.targets.sequencer.recent import RecentEvents, read_hashes
from fastload.targets.shared import SharedMemory

_SEGMENT_COLUMNS = (
    "first_position",
    "stream_id",
    "first_sequence",
    "event_count",
    "event_ids",
    "leaves",
    "entity_hashes",
    "body",
)
# Rows in one INSERT: a group needs few statements, and SQLite keeps few different statements prepared.
_ROWS_PER_INSERT = (16, 4, 1)
_ID_AT = f"""
    SELECT substr(event_ids, {ID_BYTES} * (:position - first_position) + 1, {ID_BYTES}) FROM segments
    WHERE first_position <= :position ORDER BY first_position DESC LIMIT 1
"""


@dataclasses.dataclass(slots=True)
class Outcome:
    """The result of a batch: the sequence of each event in request order, ``None`` for a duplicate."""

    sequences: list[int | None] | list[int]
    duplicates: list[str]


@dataclasses.dataclass(slots=True)
class _Stream:
    stream_id: int
    head_sequence: int
    committed_sequence: int
    added: int = 0
    leaves: list[bytes] = dataclasses.field(default_factory=list)


class _Group:
    """The rows that one transaction adds."""

    def __init__(self, position: int) -> None:
        self.first_position = position
        self.position = position
        self.segments: list[tuple[object, ...]] = []
        self.streams: dict[StreamKey, _Stream] = {}

    def add_segment(self, stream: _Stream, body: bytes, event_ids: bytes, leaves: bytes, entity_hashes: bytes) -> int:
        """Append a segment and return its first sequence."""
        count = len(event_ids) // ID_BYTES
        first_sequence = stream.head_sequence + stream.added + 1
        self.segments.append(
            (self.position, stream.stream_id, first_sequence, count, event_ids, leaves, entity_hashes, body)
        )
        stream.leaves.append(leaves)
        stream.added += count
        self.position += count
        return first_sequence


class Store:
    """The store of one process. It writes through one connection, and only one thread may use it."""

    def __init__(self, connection: sqlite3.Connection, shared: SharedMemory, events_per_commitment: int) -> None:
        self._connection = connection
        self._shared = shared
        self._known = KnownIds(shared.service_memory)
        self._recent = RecentEvents()
        self._committer = Committer(connection, events_per_commitment)

    def load_known_ids(self) -> None:
        """Fill the filter of known ids from an existing database, unless another process has done so."""
        with self._shared.service_lock():
            if self._known.is_loaded:
                return
            for (event_ids,) in self._connection.execute("SELECT event_ids FROM segments"):
                self._known.add(hash_ids(event_ids))
            self._known.mark_loaded()

    def add(self, batches: list[EventBatch]) -> list[Outcome]:
        """Store *batches* in order, all or none, and return the outcome of each.

        Raises:
            sqlite3.Error: nothing was stored.
        """
        # Waiting for this lock is fair and ends at once when it is free; SQLite's own waiting polls.
        with self._shared.service_lock():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                outcomes = self._add(batches)
                self._connection.execute("COMMIT")
            except BaseException:
                self._committer.forget()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return outcomes

    def _add(self, batches: list[EventBatch]) -> list[Outcome]:
        group = _Group(position_head(self._connection))
        hashes = hash_ids(b"".join([batch.event_ids for batch in batches]))
        repeated = self._find_duplicates(batches, hashes, group.first_position)
        outcomes = []
        start = 0
        for batch in batches:
            count = len(batch.events)
            duplicate = {index for index in range(count) if start + index in repeated} if repeated else set()
            outcomes.append(self._add_batch(group, batch, duplicate))
            start += count
        if group.segments:
            self._write(group)
            # The id of a duplicate is known already, or that of another event of the group.
            self._known.add(hashes)
        return outcomes

    def _find_duplicates(self, batches: list[EventBatch], hashes: Words, head: int) -> set[int]:
        """Return the indices, over all batches, of events whose id is stored already or occurs earlier in the group."""
        suspects = self._known.may_contain(hashes)
        ordered = np.sort(hashes)
        if not suspects.any() and not (ordered[1:] == ordered[:-1]).any():
            return set()
        event_ids = b"".join([batch.event_ids for batch in batches])
        repeated: set[int] = set()
        seen: set[bytes] = set()
        for index, (value, suspect) in enumerate(zip(hashes.tolist(), suspects.tolist(), strict=True)):
            event_id = event_ids[ID_BYTES * index : ID_BYTES * (index + 1)]
            if event_id in seen or (suspect and self._contains(event_id, value >> 32, head)):
                repeated.add(index)
            seen.add(event_id)
        return repeated

    def _contains(self, event_id: bytes, hash32: int, head: int) -> bool:
        recent, generations = self._recent.find(self._connection, keys.EVENT_IDS, hash32, head)
        indexed = keys.find_positions(self._connection, keys.EVENT_IDS, hash32, generations)
        return any(self._id_at(position) == event_id for position in itertools.chain(recent, indexed))

    def _id_at(self, position: int) -> bytes:
        return bytes(self._connection.execute(_ID_AT, {"position": position}).fetchone()[0])

    def _add_batch(self, group: _Group, batch: EventBatch, duplicate: set[int]) -> Outcome:
        if batch.stream_of is None and not duplicate:
            stream = self._stream(group, batch.streams[0])
            first = group.add_segment(stream, batch.body, batch.event_ids, batch.leaves, batch.entity_hashes)
            return Outcome(list(range(first, first + len(batch.events))), [])
        sequences: list[int | None] = [None] * len(batch.events)
        stream_of = batch.stream_of or [0] * len(batch.events)
        for number, key in enumerate(batch.streams):
            indices = [i for i, of in enumerate(stream_of) if of == number and i not in duplicate]
            if not indices:
                continue
            first = group.add_segment(
                self._stream(group, key),
                encode_part(batch, indices),
                _pick(batch.event_ids, indices, ID_BYTES),
                _pick(batch.leaves, indices, HASH_BYTES),
                _pick(batch.entity_hashes, indices, ENTITY_HASH_BYTES),
            )
            for offset, index in enumerate(indices):
                sequences[index] = first + offset
        return Outcome(sequences, [batch.events[index].event_id for index in sorted(duplicate)])

    def _stream(self, group: _Group, key: StreamKey) -> _Stream:
        stream = group.streams.get(key)
        if stream is None:
            self._connection.execute(
                "INSERT OR IGNORE INTO streams (tenant_id, store_id, head_sequence, event_count,"
                " committed_sequence) VALUES (?, ?, 0, 0, 0)",
                key,
            )
            row = self._connection.execute(
                "SELECT stream_id, head_sequence, committed_sequence FROM streams WHERE tenant_id = ? AND store_id = ?",
                key,
            ).fetchone()
            stream = group.streams[key] = _Stream(*row)
        return stream

    def _write(self, group: _Group) -> None:
        connection = self._connection
        _insert_segments(connection, group.segments)
        for generation in range(keys.generations(group.first_position), keys.generations(group.position)):
            start = generation * keys.GENERATION
            for table, hashes in read_hashes(connection, start, start + keys.GENERATION).items():
                keys.write_generation(connection, table, generation, hashes)
        for stream in group.streams.values():
            if not stream.added:
                continue
            head = stream.head_sequence + stream.added
            committed = self._committer.add(
                stream.stream_id, stream.head_sequence, stream.committed_sequence, stream.leaves
            )
            connection.execute(
                "UPDATE streams SET head_sequence = ?, event_count = event_count + ?, committed_sequence = ?"
                " WHERE stream_id = ?",
                (head, stream.added, committed, stream.stream_id),
            )


def _pick(items: bytes, indices: list[int], size_bytes: int) -> bytes:
    return b"".join([items[size_bytes * index : size_bytes * (index + 1)] for index in indices])


def _insert_segments(connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    start = 0
    for size in _ROWS_PER_INSERT:
        values = ",".join([f"({','.join('?' * len(_SEGMENT_COLUMNS))})"] * size)
        while len(rows) - start >= size:
            chunk = rows[start : start + size]
            connection.execute(
                f"INSERT INTO segments ({','.join(_SEGMENT_COLUMNS)}) VALUES {values}",
                [v for row in chunk for v in row],
            )
            start += size
