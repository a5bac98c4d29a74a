"""Colours and headings of all text on a terminal."""

from __future__ import annotations

from rich.text import Text

from fastload.model.judging.evidence import SATURATED_CPU_PERCENT

GOOD, WARN, BAD, DIM, STRONG = "green", "yellow", "red", "dim", "bold"
STATE_STYLE = {"VALID": "bold green", "SUSPECT": "bold yellow", "INVALID": "bold red"}


def mark_style(ok: bool) -> str:
    return GOOD if ok else BAD


def cpu_style(percent: float | None) -> str:
    """Return yellow for a process that uses about all of one core."""
    return WARN if percent is not None and percent >= SATURATED_CPU_PERCENT else ""


def heading(title: str, note: str = "", note_style: str = DIM) -> Text:
    """Return the heading of a section without column titles."""
    line = Text(no_wrap=True, overflow="ellipsis").append(title, STRONG)
    return line.append(f"  {note}", note_style) if note else line
