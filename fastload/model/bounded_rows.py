"""Rows of seconds: never more than a limit, because neighbouring ones are merged two by two."""

from __future__ import annotations

from copy import copy
from typing import Generic, Protocol, Self, TypeVar


class Row(Protocol):
    """A row: ``seconds`` tables in one."""

    seconds: int

    def copy(self) -> Self: ...

    def merge(self, later: Self) -> None:
        """Add *later*, the next row, to this row."""


R = TypeVar("R", bound=Row)


class BoundedRows(Generic[R]):
    """At most *most* rows, each of ``seconds_per_row`` seconds, a power of two; ``rows`` has them in order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._first_changed = 0
        self.rows: list[R] = []
        self.seconds_per_row = 1

    def add(self, row: R) -> None:
        """Add the *row* of the next second."""
        if self.rows and self.rows[-1].seconds < self.seconds_per_row:
            self.rows[-1].merge(row)
            self._first_changed = min(self._first_changed, len(self.rows) - 1)
        else:
            self.rows.append(row)
        if len(self.rows) > self._most:
            self.halve()

    def halve(self) -> None:
        """Merge neighbouring rows two by two."""
        self.seconds_per_row *= 2
        for row, later in zip(self.rows[::2], self.rows[1::2], strict=False):
            row.merge(later)
        self.rows = self.rows[::2]
        self.change_all()

    def change_all(self) -> None:
        """Count all rows as changed."""
        self._first_changed = 0

    def take_first_changed(self) -> int:
        """Return the number of the first row that is new or changed since the last call."""
        first, self._first_changed = self._first_changed, len(self.rows)
        return first

    def copy(self) -> BoundedRows[R]:
        """Return a copy. Merging rows of the copy does not change these."""
        other = copy(self)
        other.rows = [row.copy() for row in self.rows]
        return other
