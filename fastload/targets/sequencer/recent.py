"""The events after the last full generation, which are not in the index yet: their hashes, read from the segments."""

from __future__ import annotations

import sqlite3
import threading

import numpy as np

from fastload.targets.sequencer.keys import ENTITIES, EVENT_IDS, GENERATION, Hashes, generations
from fastload.targets.sequencer.known import hash_ids

_SEGMENTS = """
    SELECT first_position, event_ids, entity_hashes FROM segments
    WHERE first_position < :end AND first_position >= coalesce(
        (SELECT max(first_position) FROM segments WHERE first_position <= :start), 0)
    ORDER BY first_position
"""
_NONE = np.empty(0, dtype=np.uint32)


def read_hashes(connection: sqlite3.Connection, start: int, end: int) -> dict[str, Hashes]:
    """Return the hashes of the stored events at positions from *start* to before *end*, by table of the index."""
    rows = connection.execute(_SEGMENTS, {"start": start, "end": end}).fetchall()
    if not rows:
        return {EVENT_IDS: _NONE, ENTITIES: _NONE}
    # Positions have no gaps: the segments follow each other.
    first = rows[0][0]
    wanted = slice(start - first, end - first)
    ids = hash_ids(b"".join([row[1] for row in rows])) >> np.uint64(32)
    entities = np.frombuffer(b"".join([row[2] for row in rows]), dtype="<u4")
    return {EVENT_IDS: ids.astype(np.uint32)[wanted], ENTITIES: entities[wanted]}


class RecentEvents:
    """The hashes of recent events, kept between look-ups, so that each reads only what was stored after the last one.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start = 0
        self._hashes = {EVENT_IDS: _NONE, ENTITIES: _NONE}

    def find(self, connection: sqlite3.Connection, table: str, hash32: int, head: int) -> tuple[list[int], int]:
        """Return the positions of recent events with *hash32*, and the number of generations before the recent events.

        *head* is the number of stored events, as *connection* sees it.
        """
        with self._lock:
            self._read_on(connection, head)
            found = np.flatnonzero(self._hashes[table] == np.uint32(hash32)) + self._start
            return found.tolist(), generations(self._start)

    def _read_on(self, connection: sqlite3.Connection, head: int) -> None:
        end = self._start + len(self._hashes[EVENT_IDS])
        # Another thread may have seen a later head.
        if head <= end:
            return
        start = generations(head) * GENERATION
        read = read_hashes(connection, max(start, end), head)
        passed = start - self._start
        self._hashes = {table: np.concatenate([known[passed:], read[table]]) for table, known in self._hashes.items()}
        self._start = start
