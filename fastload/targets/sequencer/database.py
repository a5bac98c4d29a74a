"""Tables of the sequencer's SQLite file."""

from __future__ import annotations

import sqlite3

from fastload.targets.sequencer.upgrade import upgrade

# A batch of 100 events is some 64 KB, and each page of it costs a frame of the log and a copy at a checkpoint. An
# existing file keeps its own size.
_PAGE_BYTES = 16 << 10
# Between checkpoints: a longer log would not cost less, and each checkpoint delays a commit.
_LOG_BYTES = 16 << 20

# A segment is the stored events of one tenant and store in one request. Its body is JSON like that of a request, with
# exactly these events: event i has position first_position + i and sequence first_sequence + i.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    stream_id INTEGER PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    store_id TEXT NOT NULL,
    head_sequence INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    committed_sequence INTEGER NOT NULL,
    UNIQUE (tenant_id, store_id)
);
CREATE TABLE IF NOT EXISTS segments (
    first_position INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES streams,
    first_sequence INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    event_ids BLOB NOT NULL,
    leaves BLOB NOT NULL,
    entity_hashes BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS segments_in_sequence ON segments (stream_id, first_sequence);
CREATE TABLE IF NOT EXISTS event_id_blocks (block INTEGER PRIMARY KEY, keys BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entity_blocks (block INTEGER PRIMARY KEY, keys BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS commitments (
    commitment_id INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES streams,
    from_sequence INTEGER NOT NULL,
    to_sequence INTEGER NOT NULL,
    root BLOB NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (stream_id, from_sequence)
);
"""


def create_schema(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging and create the missing tables. Only one process at a time may call this."""
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_SCHEMA)
    upgrade(connection, position_head(connection))
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_BYTES // page_bytes}")


def position_head(connection: sqlite3.Connection) -> int:
    """Return the number of stored events, which is the position of the next event."""
    row = connection.execute(
        "SELECT first_position + event_count FROM segments ORDER BY first_position DESC LIMIT 1"
    ).fetchone()
    return row[0] if row else 0
