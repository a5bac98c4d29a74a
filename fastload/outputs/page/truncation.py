"""Truncation of the texts and tables of a page, so that no script and no target can make its data large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MOST_TABLE_ROWS = 1_000
MOST_NAME = 200
MOST_TEXT = 1_000
MOST_TRACEBACK = 4_000
_MOST_TRACEBACKS = 50
_TRACEBACKS = ("exceptions", "hook_errors")
_TABLES = ("endpoints", "scenarios", "groups", "calls", "checks", "errors", "thresholds", "notes")
_FAILED = ("failed", "fails")
_COUNTED = ("requests", "calls", "count", "passes")


def cut(text: str, most: int = MOST_NAME) -> str:
    """Return *text*; if it has more than *most* characters, its begin and its end, with an ellipsis between them."""
    if len(text) <= most:
        return text
    tail = most // 4
    return f"{text[: most - tail - 1]}…{text[-tail:]}"


def cut_keys(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return *mapping* with its keys cut; keys that become equal get a number."""
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        name, number = cut(key), 1
        while name in found:
            number += 1
            name = f"{cut(key, MOST_NAME - 8)} ({number})"
        found[name] = value
    return found


def cut_texts(value: Any, most: int = MOST_TEXT) -> Any:
    """Return *value*, which is plain data, with all texts and keys in it cut."""
    if isinstance(value, str):
        return cut(value, most)
    if isinstance(value, Mapping):
        return {key: cut_texts(one, most) for key, one in cut_keys(value).items()}
    if isinstance(value, list | tuple):
        return [cut_texts(one, most) for one in value]
    return value


def cut_summary(summary: Mapping[str, Any], most_rows: int = MOST_TABLE_ROWS) -> tuple[dict[str, Any], dict[str, int]]:
    """Return *summary* with texts cut and at most *most_rows* rows per table, and ``{table: number of rows cut}``.

    Rows with the most failures are kept first, then those with the most requests (calls, ...). The rows keep their
    order. The first tracebacks are kept, at most 50 and at most *most_rows*.
    """
    tables: dict[str, Any] = {name: _most(summary.get(name, ()), most_rows) for name in _TABLES}
    tables["metrics"] = dict(list(summary.get("metrics", {}).items())[:most_rows])
    if (search := summary.get("capacity")) is not None:
        tables["capacity"] = {**search, "steps": search["steps"][:most_rows]}
    tables |= {name: list(summary.get(name, ()))[: min(most_rows, _MOST_TRACEBACKS)] for name in _TRACEBACKS}
    shown = {key: cut_texts(tables.get(key, value), _longest(key)) for key, value in summary.items()}
    left_out = {name: _rows_of(summary.get(name, ())) - _rows_of(rows) for name, rows in tables.items()}
    return shown, {name: count for name, count in left_out.items() if count > 0}


def _rows_of(table: Any) -> int:
    """Return the number of rows of a table; of a capacity search it is that of the steps."""
    return len(table["steps"] if isinstance(table, Mapping) and "steps" in table else table)


def _longest(key: str) -> int:
    if key in _TRACEBACKS:
        return MOST_TRACEBACK
    return MOST_NAME if key in _TABLES and key not in ("thresholds", "notes") else MOST_TEXT


def _most(rows: Iterable[Any], most: int) -> list[Any]:
    every = list(rows)
    if len(every) <= most:
        return every
    heaviest = sorted(range(len(every)), key=lambda index: _weight(every[index]), reverse=True)[:most]
    return [every[index] for index in sorted(heaviest)]


def _weight(row: Any) -> tuple[float, float]:
    """Return the importance of a row of a table: its failures, then its count."""
    if not isinstance(row, Mapping):
        return 0, 0
    failed = not row["ok"] if "ok" in row else next((row[name] for name in _FAILED if name in row), 0)
    return failed, next((row[name] for name in _COUNTED if isinstance(row.get(name), int | float)), 0)
