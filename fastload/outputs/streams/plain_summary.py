"""Texts and thresholds of a summary in its plain form (`Summary.to_dict`), which sinks get of live and saved runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.saved.replay import UNKNOWN
from fastload.outputs.figures import format_observed

_FIELDS = frozenset(field.name for field in fields(ThresholdResult))


def thresholds_in(summary: Mapping[str, Any]) -> list[ThresholdResult]:
    """Return the thresholds of `Summary.to_dict`; unknown fields of a later version of fastload are ignored."""
    return [
        ThresholdResult(**{name: value for name, value in one.items() if name in _FIELDS})
        for one in summary["thresholds"]
    ]


def outcome_of(summary: Mapping[str, Any]) -> str:
    """Return the outcome of the run as one word, the same in all reports.

    "Incomplete": the end of the run is unknown (a saved run without an end). "Failed": the run failed for any reason.
    "Passed": all thresholds hold, and a capacity that was asked for is shown. Where neither was asked for: "Stopped"
    if the run was stopped early, otherwise "Finished".
    """
    if summary["stopped_by"] == UNKNOWN:
        return "Incomplete"
    if not summary["passed"]:
        return "Failed"
    if summary["thresholds"] or demanded_capacity(summary) is not None:
        return "Passed"
    return "Stopped" if summary["stopped_by"] else "Finished"


def demanded_capacity(summary: Mapping[str, Any]) -> float | None:
    """Return the capacity that a search must show (``--at-least``); None for no such demand, or no search."""
    search: Mapping[str, Any] | None = summary.get("capacity")
    return search["settings"]["at_least"] if search else None


def threshold_name(result: ThresholdResult) -> str:
    """Return the threshold as it is written on the command line."""
    return f"{result.metric}: {result.expression}"


def why_failed(result: ThresholdResult) -> str:
    """Return the observed value of a failed threshold, and the expected one."""
    return f"{format_observed(result)}, expected {result.expression}"


def verdict_line(summary: Mapping[str, Any]) -> str:
    """Return the reasons of the verdict, the remedy and the limits, one per line."""
    verdict = summary["verdict"]
    # Runs of earlier versions have one limit.
    limits = (verdict["limit"], *verdict.get("further_limits", ()))
    return "\n".join(text for text in (*verdict["reasons"], verdict["remedy"], *limits) if text)
