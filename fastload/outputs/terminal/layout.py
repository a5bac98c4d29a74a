"""How text is laid out: columns that never wrap, paragraphs that hang, and characters that every stream can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

_ASCII = str.maketrans(dict(zip("✓✗•…→▸µ━─■", "+x*~>>u=-#", strict=True)))
_ELLIPSIS = "…"
Truncation: TypeAlias = Literal["end", "middle", "parts"]
# What is left of the names in the first column when nothing else makes room.
_NAME_AT_LEAST = 8


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
    highest *drop* above 0 are left out first. *cut* says which part of a long text makes room: with "parts" the last of
    what is between commas, so that no number in it is cut."""

    title: str = ""
    right: bool = True
    drop: int = 0
    shrink_to: int = 0
    cut: Truncation = "end"
    title_style: str = "dim"


class Columns:
    """Rows in aligned columns, one line each at every width. No number is cut: where a column has no *shrink_to*, it
    is shown whole or left out.

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
            titles = [Cell(column.title, column.title_style) for column in self._columns]
            yield self._line(titles, shown, widths, gap, options.max_width)
        for row in self._rows:
            yield self._line(row, shown, widths, gap, options.max_width)

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
                return self._squeezed(shown, width)
            shown.remove(max(droppable, key=lambda index: self._columns[index].drop))

    def _squeezed(self, shown: list[int], width: int) -> tuple[list[int], list[int], int]:
        """`_fit` where nothing more may be dropped: shorter names, and then fewer columns from the right."""
        while True:
            widths = self._shrunk(shown, width - (len(shown) - 1))
            room = widths[0] - (sum(widths) + len(shown) - 1 - width)
            if room >= min(widths[0], _NAME_AT_LEAST) or len(shown) == 1:
                return shown, [min(widths[0], max(1, room)), *widths[1:]], 1
            shown = shown[:-1]

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

    def _line(self, row: Sequence[Cell], shown: list[int], widths: list[int], gap: int, width: int) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        cuts = [self._columns[index].cut for index in shown]
        if len(row) < len(self._columns):
            remark = row[-1]._replace(text=shorten(row[-1].text, max(0, width - widths[0] - gap), "parts"))
            row = [row[0], remark]
            shown, widths, cuts = [0, -1], [widths[0], cell_len(remark.text)], [cuts[0], "end"]
        for place, (index, cell_width, cut) in enumerate(zip(shown, widths, cuts, strict=True)):
            cell, column = row[index], self._columns[index]
            text = shorten(cell.text, cell_width, cut)
            padding = " " * (cell_width - cell_len(text))
            line.append(" " * gap if place else "")
            line.append(padding if column.right else "")
            line.append(text, cell.style or None)
            line.append("" if column.right else padding)
        line.rstrip()
        return line


def shorten(text: str, width: int, cut: Truncation = "end") -> str:
    """*text* in at most *width* cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    if cut == "parts":
        whole = [text[:place] + f", {_ELLIPSIS}" for place, char in enumerate(text) if char == ","]
        return next((part for part in reversed(whole) if cell_len(part) <= width), "")
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
