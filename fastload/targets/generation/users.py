"""Users and their remaining credits."""

from __future__ import annotations

import sqlite3

from fastload.targets.database import StateFile

SCHEMA = "CREATE TABLE IF NOT EXISTS users (email TEXT PRIMARY KEY, credits INTEGER NOT NULL) WITHOUT ROWID;"


class Users:
    """The users, stored in the state file that all processes share."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def prepare(self, email: str, count: int, each: int) -> None:
        """Create *count* users with *each* credits, unless another process has done so."""
        name, _, domain = email.partition("@")
        emails = [email, *(f"{name}+{number}@{domain}" for number in range(2, count + 1))]
        with self._state.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO users VALUES (?, ?)", [(one, each) for one in emails])

    def credits(self, email: str) -> int | None:
        """Return the remaining credits, or ``None`` if there is no such user."""
        row = self._state.connection.execute("SELECT credits FROM users WHERE email = ?", (email,)).fetchone()
        return int(row[0]) if row else None

    def spend(self, connection: sqlite3.Connection, email: str) -> None:
        """Take one credit from the user, who must have one. Call it within a transaction."""
        connection.execute("UPDATE users SET credits = credits - 1 WHERE email = ?", (email,))
