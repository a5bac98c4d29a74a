"""Answer watch: notices that a run sends requests and nothing ever answers. It has no clock: its callers have it."""

from __future__ import annotations

from collections import Counter

from fastload.model.records import Snapshot
from fastload.model.series import SeriesTable
from fastload.model.units import format_duration_s, format_number_of

FEWEST_TRIES = 10
LONGEST_SILENCE_S = 10.0
"""Bounds of a silence: a server that is still starting, or one slow request, must not end a run."""
# Trends that have values only if something answered.
_SIGNS = ("http_req_duration", "ws_connecting", "stream_first_event")
# Errors of requests that were answered, but not as they should be.
_ANSWERED = frozenset(("partial", "too_large", "decompress", "redirects", "protocol"))
_TRIES = ("http_req_failed", "ws_failed")
_LONGEST_ERROR = 160


class AnswerWatch:
    """Watch over the measured requests of a run of *base_url* ("" without one), until the first one is answered."""

    def __init__(self, base_url: str) -> None:
        self._where = f" at {base_url}" if base_url else ""
        self._answered = False
        self._since_s: float | None = None
        self._tried = 0
        self._errors: Counter[str] = Counter()
        self._messages: dict[str, str] = {}

    def add(self, snapshot: Snapshot) -> str:
        """Add the next second. Return why the run should end, as a sentence; "" if it should go on."""
        if self._answered or self._has_answer(snapshot):
            self._answered = True
            return ""
        if self._since_s is None and (snapshot.in_flight or snapshot.errors.entries):
            self._since_s = snapshot.t_s - snapshot.span_s
        self._tried += sum(_total(snapshot.table, metric) for metric in _TRIES)
        for kind, (count, message) in snapshot.errors.entries.items():
            self._errors[kind] += count
            self._messages.setdefault(kind, message)
        silent_s = 0.0 if self._since_s is None else snapshot.t_s - self._since_s
        return self._reason(silent_s) if self._tried >= FEWEST_TRIES and silent_s >= LONGEST_SILENCE_S else ""

    def _has_answer(self, snapshot: Snapshot) -> bool:
        table = snapshot.table
        if any((trend := table.get(metric)) is not None and trend.count for metric in _SIGNS):
            return True
        calls = table.get("call_failed")
        returned = calls is not None and calls.total > calls.trues
        return returned or not _ANSWERED.isdisjoint(snapshot.errors.entries)

    def _reason(self, silent_s: float) -> str:
        [(kind, _)] = self._errors.most_common(1) or [("no response", 0)]
        message = self._messages.get(kind, "")[:_LONGEST_ERROR]
        return (
            f"{format_number_of(self._tried, 'request')} in {format_duration_s(silent_s)}, and not one was answered: "
            f"{kind}{f' ({message})' if message else ''}; "
            f"see that the target{self._where} runs and can be reached from here, "
            "or go on all the same with --on-no-answer continue"
        )


def _total(table: SeriesTable, metric: str) -> int:
    rate = table.get(metric)
    return int(rate.total) if rate is not None else 0
