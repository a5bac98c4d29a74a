"""Colours and headings, the same in everything that is drawn on a terminal."""

from __future__ import annotations

from rich.text import Text

from fastload.model.judging.verdict import SATURATED_CPU_PERCENT

GOOD, WARN, BAD, DIM, STRONG = "green", "yellow", "red", "dim", "bold"
STATE_STYLE = {"VALID": "bold green", "SUSPECT": "bold yellow", "INVALID": "bold red"}


def mark_style(ok: bool) -> str:
    return GOOD if ok else BAD


def cpu_style(percent: float | None) -> str:
    """Yellow where a process is about as fast as one core lets it."""
    return WARN if percent is not None and percent >= SATURATED_CPU_PERCENT else ""


def heading(title: str, note: str = "", note_style: str = DIM) -> Text:
    """The line above a section that has no column titles of its own."""
    line = Text(no_wrap=True, overflow="ellipsis").append(title, STRONG)
    return line.append(f"  {note}", note_style) if note else line
