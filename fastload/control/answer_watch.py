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
_JUDGED = ("http_req_failed", "call_failed")
_GO_ON, _ACCEPT = "go on all the same", "let such a run pass"
_LONGEST_ERROR = 160


class AnswerWatch:
    """Watch over the measured requests of a run of *base_url* ("" without one), until the first one is answered."""

    def __init__(self, base_url: str) -> None:
        self._where = f" at {base_url}" if base_url else ""
        self._answered = False
        self._since_s: float | None = None
        self._ends_s = 0.0
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
        self._ends_s = snapshot.t_s
        return self._reason(_GO_ON) if self._is_silent and self._silent_s >= LONGEST_SILENCE_S else ""

    def at_the_end(self) -> str:
        """Return the sentence about a run that came to its end without an answer; "" if there was one, or few tries."""
        return self._reason(_ACCEPT) if self._is_silent else ""

    @property
    def _is_silent(self) -> bool:
        return not self._answered and self._tried >= FEWEST_TRIES

    @property
    def _silent_s(self) -> float:
        return 0.0 if self._since_s is None else self._ends_s - self._since_s

    def _has_answer(self, snapshot: Snapshot) -> bool:
        table = snapshot.table
        if any((trend := table.get(metric)) is not None and trend.count for metric in _SIGNS):
            return True
        # A script may judge a request good that had no answer: then it is what the script wants.
        good = any((rate := table.get(metric)) is not None and rate.total > rate.trues for metric in _JUDGED)
        return good or not _ANSWERED.isdisjoint(snapshot.errors.entries)

    def _reason(self, or_else: str) -> str:
        [(kind, _)] = self._errors.most_common(1) or [("no response", 0)]
        message = self._messages.get(kind, "")[:_LONGEST_ERROR]
        within = format_duration_s(self._silent_s)
        return (
            f"{format_number_of(self._tried, 'request')} in {within}, and not one was answered: "
            f"{kind}{f' ({message})' if message else ''}; "
            f"see that the target{self._where} runs and can be reached from here, "
            f"or {or_else} with --on-no-answer continue"
        )


def _total(table: SeriesTable, metric: str) -> int:
    rate = table.get(metric)
    return int(rate.total) if rate is not None else 0
