"""What a page shows in the browser: the traces of its charts, the cells of its tables, its tiles."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page


def traces(page: Page, chart: str) -> dict[str, dict[str, Any]]:
    """What plotly draws in a chart, by name."""
    found: list[dict[str, Any]] = page.evaluate(
        "id => document.getElementById(id).data.map(({name, x, y, z, type}) => ({name, x, y, z, type}))",
        f"chart-{chart}",
    )
    return {one["name"] or one["type"]: one for one in found}


def within(points: list[Any]) -> list[Any]:
    """What is drawn of a column, without the level ends up to the bounds of the first and the last window."""
    assert (points[0], points[-1]) == (points[1], points[-2])
    return points[1:-1]


def cells(page: Page, table: str) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        f"#{table}-table tbody tr", "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    )
    return found


def tiles_of(page: Page) -> dict[str, str]:
    return dict(
        page.eval_on_selector_all(
            ".tiles div", "all => all.map(one => [one.children[0].innerText, one.children[1].innerText])"
        )
    )
