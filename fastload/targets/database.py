"""SQLite files: connections, and the state file that all server processes of a target share."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fastload.targets.shared import SharedMemory

_BUSY_TIMEOUT_S = 30.0
# 16 MB between checkpoints: a longer log would not cost less, and each checkpoint delays a commit.
_CHECKPOINT_PAGES = 4000
_CACHE_KIB = 64 << 10
_SECRET = "CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 1), bytes BLOB NOT NULL);"


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Open a connection in autocommit mode, for use by one thread at a time.

    Without *durable*, every fsync is skipped: use it for a file that is deleted at the end anyway.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


class StateFile:
    """The state of one running target, in a SQLite file that is deleted at the end of the target.

    Each process uses it directly in its event loop: a statement takes some 10 us, too little for a thread switch.
    """

    def __init__(self, directory: Path, shared: SharedMemory, schema: str) -> None:
        self._shared = shared
        self.connection = connect(directory / "state.db", durable=False)
        with shared.service_lock():
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.executescript(_SECRET + schema)
            self.connection.execute("INSERT OR IGNORE INTO secret VALUES (1, randomblob(32))")

    @property
    def secret(self) -> bytes:
        """32 random bytes, the same in all processes of this run."""
        return bytes(self.connection.execute("SELECT bytes FROM secret").fetchone()[0])

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction. No other process writes meanwhile; an exception rolls it back.

        Never await within the block.
        """
        # Waiting for this lock is fair and ends at once when it is free; SQLite's own waiting polls.
        with self._shared.service_lock():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise

    def write(self, statement: str, parameters: tuple[object, ...] = ()) -> int:
        """Run one writing statement as its own transaction, and return the number of changed rows."""
        with self._shared.service_lock():
            return self.connection.execute(statement, parameters).rowcount

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
