"""Merkle commitments: one for every N events of a tenant and store, written in the transaction of the N-th event."""

from __future__ import annotations

import datetime
import sqlite3

from fastload.targets.sequencer.merkle import HASH_BYTES, merkle_root


class Committer:
    """Writer of commitments. It caches the leaves since the last commitment, so that they need not be read back.

    The cache is used only if no other process has written events in between, which the sequences show.
    """

    def __init__(self, connection: sqlite3.Connection, events_per_commitment: int) -> None:
        self._connection = connection
        self._events_per_commitment = events_per_commitment
        # Stream -> (last committed sequence, leaves after it).
        self._tails: dict[int, tuple[int, bytes]] = {}

    def add(self, stream_id: int, head: int, committed: int, leaves: list[bytes]) -> int:
        """Add the leaves after sequence *head*, and write the commitments that are full.

        Return the last committed sequence: *committed* or later.
        """
        known_committed, tail = self._tails.get(stream_id, (0, b""))
        if known_committed != committed or len(tail) != (head - committed) * HASH_BYTES:
            tail = self._read(stream_id, head, committed)
        tail = b"".join([tail, *leaves])
        size_bytes = self._events_per_commitment * HASH_BYTES
        start = 0
        while len(tail) - start >= size_bytes:
            self._commit(stream_id, committed + 1, tail[start : start + size_bytes])
            committed += self._events_per_commitment
            start += size_bytes
        self._tails[stream_id] = (committed, tail[start:])
        return committed

    def forget(self) -> None:
        """Clear the cache, after a failed transaction."""
        self._tails.clear()

    def _read(self, stream_id: int, head: int, committed: int) -> bytes:
        rows = self._connection.execute(
            "SELECT first_sequence, leaves FROM segments"
            " WHERE stream_id = :stream AND first_sequence <= :head AND first_sequence > coalesce("
            "  (SELECT max(first_sequence) FROM segments"
            "   WHERE stream_id = :stream AND first_sequence <= :next), 0) - 1"
            " ORDER BY first_sequence",
            {"stream": stream_id, "head": head, "next": committed + 1},
        ).fetchall()
        if not rows:
            return b""
        leaves = b"".join([leaves for _, leaves in rows])
        skip = committed + 1 - rows[0][0]
        return leaves[skip * HASH_BYTES : (skip + head - committed) * HASH_BYTES]

    def _commit(self, stream_id: int, from_sequence: int, leaves: bytes) -> None:
        self._connection.execute(
            "INSERT INTO commitments (stream_id, from_sequence, to_sequence, root, created_at) VALUES (?, ?, ?, ?, ?)",
            (
                stream_id,
                from_sequence,
                from_sequence + len(leaves) // HASH_BYTES - 1,
                merkle_root(leaves),
                datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            ),
        )
