"""A source of choices made from bytes: a case of a parser, driven by hypothesis or by atheris alike.

It has the methods of `random.Random` that make cases. When the bytes are used up, every choice is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
_LONGEST_PIECE = 20_000

ODD_CHARACTERS = "\x00\t\n\r\x1b \"'\\,;:=/?#@[]{}()<>%&|+-*.~^$€éß\u0660\u00b2\u2028\ufeff\U0001f600"
LETTERS = "aAbBeEgGhHiIkKmMnNpPsSuUxXyYzZ0123456789_"


class Source:
    """Choices from *data*."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def randrange(self, size: int) -> int:
        """A number from 0 to below *size*, at most 65,536."""
        if size <= 1:
            return 0
        width = 1 if size <= 256 else 2
        piece = self._data[self._at : self._at + width]
        self._at += width
        return int.from_bytes(piece, "big") % size

    def randint(self, low: int, high: int) -> int:
        """A number from *low* to *high*, both included."""
        return low + self.randrange(high - low + 1)

    def choice(self, values: Sequence[T]) -> T:
        """One of *values*."""
        return values[self.randrange(len(values))]

    def several(self, make: Callable[[], T], most: int) -> list[T]:
        """Up to *most* results of *make*."""
        return [make() for _ in range(self.randint(0, most))]

    def binary(self, most: int) -> bytes:
        """Up to *most* bytes."""
        size = self.randint(0, most)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def text(self, most: int = 8) -> str:
        """Up to *most* characters: letters, digits, and those that mean something somewhere."""
        return "".join(self.several(lambda: self.choice(self.choice((LETTERS, ODD_CHARACTERS))), most))

    def made_of(self, tokens: Sequence[str], most: int = 12) -> str:
        """A text of *tokens* of a grammar, sometimes with others between them, and sometimes very long."""
        pieces = self.several(lambda: self.text(3) if not self.randrange(8) else self.choice(tokens), most)
        if pieces and not self.randrange(150):
            place, times = self.randrange(len(pieces)), self.choice((50, 3_000, 30_000))
            pieces[place] = (pieces[place] * times)[:_LONGEST_PIECE]
        return "".join(pieces)

    def like(self, right: Sequence[str], tokens: Sequence[str], most: int = 12) -> str:
        """One of *right*, often with some changes, or else a text of *tokens* alone.

        Nearly right texts come past the first check of a parser, which refuses most others.
        """
        if not self.randrange(3):
            return self.made_of(tokens, most)
        text = self.choice(right)
        for _ in range(self.choice((0, 1, 1, 2, 3))):
            begin = self.randrange(len(text) + 1)
            new = self.choice(("", self.text(2), self.choice(tokens), self.choice(right)))
            text = text[:begin] + new + text[begin + self.choice((0, 0, 1, 1, 3, 20)) :]
        return text


NUMBERS = (
    "0", "1", "7", "10", "99", "100", "500", "1000", "65535", "65536", "-1", "+1", "0.5", "1.5", ".5", "5.", "-0", "00",
    "1e3", "1e400", "1e-400", "1e99999999", "1e-99999999", "nan", "inf", "-inf", "NaN", "Infinity", "1_000", "0x10",
    "9" * 20, "9" * 400, "9" * 5_000, "0." + "1" * 300, "10**9", "1,000", "٣", "²", "99.99999999999",
)  # fmt: skip
"""Numbers as texts: right ones, and what float() or int() takes, refuses or chokes on."""
