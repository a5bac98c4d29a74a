"""The section of the report on what the target used for each request."""

from __future__ import annotations

from rich.console import RenderableType

from fastload.model.summary import Summary
from fastload.model.wire_text import one_line
from fastload.outputs.cost_words import ENDPOINT_TITLES, cost_note, cost_sentences, cost_title, endpoint_row
from fastload.outputs.terminal.layout import Cell, Column, Columns, Paragraph
from fastload.outputs.terminal.style import DIM, STRONG, heading


def render_cost(summary: Summary) -> list[RenderableType]:
    """Render the cost per request, and a row for each endpoint if there is an estimate."""
    cost = summary.cost
    if cost is None:
        return []
    lines: list[RenderableType] = [heading(cost_title(cost).upper(), cost_note(cost), DIM)]
    lines += [Paragraph("  • ", sentence) for sentence in cost_sentences(cost)]
    if cost.endpoints:
        title, *others = ENDPOINT_TITLES
        columns = [
            Column(f"  {title}", right=False, shrink_to=16, title_style=STRONG),
            *(Column(other) for other in others),
        ]
        rows = [[Cell(f"  {one_line(name)}"), *map(Cell, cells)] for name, *cells in map(endpoint_row, cost.endpoints)]
        lines.append(Columns(columns, rows))
    return lines
