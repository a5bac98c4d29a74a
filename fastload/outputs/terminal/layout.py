"""Layout of text: columns that never wrap, paragraphs with a hanging indent, and characters for each encoding."""

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
LINES_OF_A_LINE, LINES_OF_A_TEXT = 4, 20
"""How many lines of the terminal one line of a foreign text takes at most, and how many the whole text."""
_ELSEWHERE = "… the rest is in the reports of --html, --out md and --out json"
Truncation: TypeAlias = Literal["end", "middle", "parts"]
# Least width of the first column (names) when all other columns are as narrow as possible.
_NAME_AT_LEAST = 8


def legible(text: str, encoding: str) -> str:
    """Replace characters of *text* that *encoding* lacks, one by one, so that columns stay aligned."""
    if not encoding.startswith("utf"):
        text = text.translate(_ASCII)
    return text.encode(encoding, "replace").decode(encoding)


class Legible:
    """A renderable in which `legible` replaces the characters that the console's encoding lacks."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            yield Segment(legible(segment.text, console.encoding), segment.style, segment.control)


class Cell(NamedTuple):
    """The text of one cell and its rich style; ``""`` is plain text."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    If the table is too wide, the column may shrink to *shrink_to* cells (0: it does not shrink), and columns with
    *drop* above 0 are left out, the highest *drop* first. *cut* is the part of a long text that is removed. With
    "parts" the last comma-separated parts are removed as a whole, so that no number is cut.
    """

    title: str = ""
    right: bool = True
    drop: int = 0
    shrink_to: int = 0
    cut: Truncation = "end"
    title_style: str = "dim"


class Columns:
    """A table with aligned columns; each row has one line at every width.

    A column without *shrink_to* is shown whole or left out, so that no number is cut. *first_width* is the least width
    of the first column, to align several tables. The line of titles is shown if any column has a title. A row with
    fewer cells than columns is a name and a remark; the remark spans the other columns.
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
        """Return the indices of the shown columns, their widths, and the gap between them in cells."""
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
        """Do the same as `_fit` if no column may be dropped: shorten the names, then remove columns from the right."""
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
    """Shorten *text* to at most *width* cells, with an ellipsis in place of the removed part."""
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


class Excerpt:
    """Foreign text, like a traceback, with the lines that its begin and its end take on the terminal.

    A single line of the text takes at most `LINES_OF_A_LINE` there, and the whole text `LINES_OF_A_TEXT` and the mark.
    """

    def __init__(self, indent: str, text: Sequence[str], *, style: str = "") -> None:
        self._indent = indent
        self._text = text
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(8, options.max_width - cell_len(self._indent))
        shown: list[Text] = []
        for line in self._text:
            wrapped = Text(line, self._style).wrap(console, room, overflow="fold") or [Text()]
            shown += _cut(list(wrapped), LINES_OF_A_LINE, LINES_OF_A_LINE - 1, Text(_ELSEWHERE, self._style))
        half = LINES_OF_A_TEXT // 2
        left_out = f"… {len(shown) - 2 * half} lines left out"
        for row in _cut(shown, LINES_OF_A_TEXT, half, Text(left_out, self._style), end=half):
            row.rstrip()
            yield Text(self._indent, no_wrap=True, overflow="crop").append_text(row)


class Paragraph:
    """Wrapped text with a hanging indent: the first line begins with *lead*, the others are indented by its width.

    A *foreign* text, of any length, takes at most `LINES_OF_A_LINE`.
    """

    def __init__(
        self, lead: str, text: str, *, lead_style: str = "", style: str = "", fold: bool = False, foreign: bool = False
    ) -> None:
        self._lead = lead
        self._text = text
        self._lead_style = lead_style
        self._style = style
        self._foreign = foreign
        self._overflow: Literal["fold", "ellipsis"] = "fold" if fold else "ellipsis"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        indent = cell_len(self._lead)
        room = max(8, options.max_width - indent)
        lines = list(Text(self._text, self._style).wrap(console, room, overflow=self._overflow)) or [Text()]
        if self._foreign:
            lines = _cut(lines, LINES_OF_A_LINE, LINES_OF_A_LINE - 1, Text(_ELSEWHERE, self._style))
        for number, line in enumerate(lines):
            start = Text(no_wrap=True, overflow="crop")
            start.append(" " * indent if number else self._lead, self._lead_style or None)
            line.rstrip()
            yield start.append_text(line)


def _cut(lines: list[Text], most: int, begin: int, mark: Text, *, end: int = 0) -> list[Text]:
    """Return *lines*; of more than *most*, only *begin* and *end* of them, with *mark* for the others."""
    if len(lines) <= most:
        return lines
    return [*lines[:begin], mark, *lines[len(lines) - end :]]
