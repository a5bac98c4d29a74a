"""Files of fastload 0.4.0 and before, which had a row for each event in place of blocks of keys."""

from __future__ import annotations

import sqlite3

import numpy as np

from fastload.targets.sequencer.keys import (
    ENTITIES,
    EVENT_IDS,
    GENERATION,
    GENERATION_BITS,
    Hashes,
    generations,
    write_generation,
)

_OLD_TABLES = {EVENT_IDS: "event_id_keys", ENTITIES: "entity_keys"}


def upgrade(connection: sqlite3.Connection, head: int) -> None:
    """Index the *head* events of an old file anew, all or none of them. It does nothing to another file.

    The new tables must exist.
    """
    # Not by the old tables: an old version that opened a new file has created them, empty.
    if connection.execute("SELECT 1 FROM pragma_table_info('segments') WHERE name = 'entity_hashes'").fetchone():
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ALTER TABLE segments ADD COLUMN entity_hashes BLOB NOT NULL DEFAULT x''")
    _add_entity_hashes(connection, head)
    for table, old in _OLD_TABLES.items():
        for generation in range(generations(head)):
            write_generation(connection, table, generation, _old_hashes(connection, old, generation))
        connection.execute(f"DROP TABLE {old}")
    connection.execute("COMMIT")


def _add_entity_hashes(connection: sqlite3.Connection, head: int) -> None:
    """Add the hashes that recent events are found by; those of a full generation are in its blocks."""
    start = generations(head) * GENERATION
    hashes = _old_hashes(connection, _OLD_TABLES[ENTITIES], generations(head))
    segments = connection.execute(
        "SELECT first_position, event_count FROM segments WHERE first_position + event_count > ?", (start,)
    ).fetchall()
    for first, count in segments:
        # A segment may begin in a full generation: the hashes of that part are never read.
        earlier = max(0, start - first)
        recent = hashes[max(0, first - start) : first - start + count]
        connection.execute(
            "UPDATE segments SET entity_hashes = ? WHERE first_position = ?",
            (bytes(4 * earlier) + recent.astype("<u4").tobytes(), first),
        )


def _old_hashes(connection: sqlite3.Connection, table: str, generation: int) -> Hashes:
    """Return the hashes of a generation by position within it; 0 where there is no event yet.

    A key of an old table is the generation, the hash, and the position within the generation.
    """
    low = generation << (32 + GENERATION_BITS)
    rows = connection.execute(
        f"SELECT key FROM {table} WHERE key BETWEEN ? AND ?", (low, low + (1 << (32 + GENERATION_BITS)) - 1)
    )
    keys = np.array([key - low for (key,) in rows], dtype=np.int64)
    hashes = np.zeros(GENERATION, dtype=np.uint32)
    hashes[keys & (GENERATION - 1)] = keys >> GENERATION_BITS
    return hashes
