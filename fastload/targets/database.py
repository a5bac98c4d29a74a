"""SQLite files: connections to them, and the state that all server processes of a target share through one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fastload.targets.shared import SharedMemory

_BUSY_TIMEOUT_S = 30.0
# 16 MB between checkpoints: a longer log does not cost less, and each checkpoint holds up a commit.
_CHECKPOINT_PAGES = 4000
_CACHE_KIB = 64 << 10
_SECRET = "CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 1), bytes BLOB NOT NULL);"


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """A connection in autocommit mode, for one thread at a time.

    Not *durable* skips every fsync: for a file that is deleted at the end anyway.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


class StateFile:
    """State of one running target, in a file that is deleted at its end; used in the event loop of each process.

    A statement costs some 10 us, too little to leave the loop for.
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
        """One transaction, and no other process in one; an exception undoes it. Never await within."""
        # Waiting for the lock is fair and wakes at once; SQLite's own waiting polls.
        with self._shared.service_lock():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise

    def write(self, statement: str, parameters: tuple[object, ...] = ()) -> int:
        """Run one writing statement by itself; how many rows it changed."""
        with self._shared.service_lock():
            return self.connection.execute(statement, parameters).rowcount

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
