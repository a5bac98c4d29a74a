"""What a summary says, read from its plain data: for sinks, which have it live or from a saved run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.saved.replay import UNKNOWN
from fastload.outputs.figures import format_observed

_FIELDS = frozenset(field.name for field in fields(ThresholdResult))


def thresholds_in(summary: Mapping[str, Any]) -> list[ThresholdResult]:
    """The thresholds of `Summary.to_dict`; what a later version of fastload says besides is left out."""
    return [
        ThresholdResult(**{name: value for name, value in one.items() if name in _FIELDS})
        for one in summary["thresholds"]
    ]


def outcome_of(summary: Mapping[str, Any]) -> str:
    """What became of the run, in the one word that all reports have for it.

    "Passed" only where thresholds hold; without any, "Finished", or "Stopped" when it was told to stop before its end.
    "Failed" whatever the reason, and "Incomplete" of a saved run that has no end.
    """
    if summary["stopped_by"] == UNKNOWN:
        return "Incomplete"
    if not summary["passed"]:
        return "Failed"
    if summary["thresholds"]:
        return "Passed"
    return "Stopped" if summary["stopped_by"] else "Finished"


def threshold_name(result: ThresholdResult) -> str:
    """As it is written on the command line."""
    return f"{result.metric}: {result.expression}"


def why_failed(result: ThresholdResult) -> str:
    """What a failed threshold found, and what it asks for."""
    return f"{format_observed(result)}, expected {result.expression}"


def verdict_line(summary: Mapping[str, Any]) -> str:
    """The reasons of the verdict, one a line, with what to do about it."""
    verdict = summary["verdict"]
    return "\n".join(text for text in (*verdict["reasons"], verdict["remedy"], verdict["limit"]) if text)
