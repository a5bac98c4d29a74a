"""How text is laid out: columns that never wrap, paragraphs that hang, and characters that every stream can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

_ASCII = str.maketrans(dict(zip("✓✗•…→▸µ━─■", "+x*~>>u=-#", strict=True)))
_ELLIPSIS = "…"


def one_line(text: str) -> str:
    """*text* on one line, with what does not print (escape codes, lone surrogates) as ``?``."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def legible(text: str, encoding: str) -> str:
    """*text* in characters that *encoding* has, one for one, so that columns stay aligned."""
    if not encoding.startswith("utf"):
        text = text.translate(_ASCII)
    return text.encode(encoding, "replace").decode(encoding)


class Legible:
    """A renderable in characters that the console's stream can take."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            yield Segment(legible(segment.text, console.encoding), segment.style, segment.control)


class Cell(NamedTuple):
    """What stands in a row, and how it looks; ``""`` is plain."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Where the width does not suffice, it may be cut down to *shrink_to* cells, and columns with the
    highest *drop* above 0 are left out first. *cut* says which part of a long text makes room."""

    title: str = ""
    right: bool = True
    drop: int = 0
    shrink_to: int = 0
    cut: Literal["end", "middle"] = "end"
    title_style: str = "dim"


class Columns:
    """Rows in aligned columns, one line each at every width.

    *first_width* widens the first column, so that tables below each other line up. Titles are shown when there is
    one at all. A row of two cells in a wider table is a name and a remark that runs across the other columns.
    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, first_width: int = 0) -> None:
        self._columns = columns
        self._rows = rows
        self._first_width = first_width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, widths, gap = self._fit(options.max_width)
        if any(column.title for column in self._columns):
            yield self._line([Cell(column.title, column.title_style) for column in self._columns], shown, widths, gap)
        for row in self._rows:
            yield self._line(row, shown, widths, gap)

    def _fit(self, width: int) -> tuple[list[int], list[int], int]:
        """Which columns are shown, how wide each is, and how many cells are between them."""
        shown = list(range(len(self._columns)))
        while True:
            for gap in (2, 1):
                widths = self._shrunk(shown, width - gap * (len(shown) - 1))
                if sum(widths) + gap * (len(shown) - 1) <= width:
                    return shown, widths, gap
            droppable = [index for index in shown if self._columns[index].drop]
            if not droppable:
                return shown, widths, gap
            shown.remove(max(droppable, key=lambda index: self._columns[index].drop))

    def _shrunk(self, shown: list[int], width: int) -> list[int]:
        widths = [self._natural(index) for index in shown]
        for place, index in enumerate(shown):
            over = sum(widths) - width
            if over > 0 and self._columns[index].shrink_to:
                widths[place] = max(min(widths[place], self._columns[index].shrink_to), widths[place] - over)
        return widths

    def _natural(self, index: int) -> int:
        rows = [row for row in self._rows if index == 0 or len(row) == len(self._columns)]
        texts = [self._columns[index].title, *(row[index].text for row in rows)]
        return max(self._first_width if index == 0 else 0, *map(cell_len, texts))

    def _line(self, row: Sequence[Cell], shown: list[int], widths: list[int], gap: int) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        if len(row) < len(self._columns):
            shown, widths = [0, -1], [widths[0], cell_len(row[-1].text)]
        for place, index in enumerate(shown):
            cell, column, width = row[index], self._columns[index], widths[place]
            text = shorten(cell.text, width, column.cut)
            padding = " " * (width - cell_len(text))
            line.append(" " * gap if place else "")
            line.append(padding if column.right else "")
            line.append(text, cell.style or None)
            line.append("" if column.right else padding)
        line.rstrip()
        return line


def shorten(text: str, width: int, cut: Literal["end", "middle"] = "end") -> str:
    """*text* in at most *width* cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    if width < 2:
        return set_cell_size(text, width)
    tail = (width - 1) // 2 if cut == "middle" else 0
    head = set_cell_size(text, width - 1 - tail).rstrip()
    return head + _ELLIPSIS + (text[-tail:] if tail and cell_len(text[-tail:]) == tail else "")


class Paragraph:
    """Text that wraps, its further lines indented under the first, which begins with *lead*."""

    def __init__(self, lead: str, text: str, *, lead_style: str = "", style: str = "", fold: bool = False) -> None:
        self._lead = lead
        self._text = text
        self._lead_style = lead_style
        self._style = style
        self._overflow: Literal["fold", "ellipsis"] = "fold" if fold else "ellipsis"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        indent = cell_len(self._lead)
        room = max(8, options.max_width - indent)
        lines = Text(self._text, self._style).wrap(console, room, overflow=self._overflow) or [Text()]
        for number, line in enumerate(lines):
            start = Text(no_wrap=True, overflow="crop")
            start.append(" " * indent if number else self._lead, self._lead_style or None)
            line.rstrip()
            yield start.append_text(line)
