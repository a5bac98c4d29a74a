"""Threshold judge: judges thresholds each second of a run and at its end. It has no clock: callers pass the time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastload.control.missing_samples import why_no_sample
from fastload.control.sliding_window import SLACK_S, Second, sliding_window
from fastload.model.judging.threshold_grammar import RESOURCE, VERDICT
from fastload.model.judging.thresholds import Observed, Threshold, ThresholdResult, evaluate_threshold
from fastload.model.metrics import Kind
from fastload.model.resources import HostSample, ProcessSample, resource_values
from fastload.model.series import SeriesTable
from fastload.model.summary import observe_metric
from fastload.model.views import MetricView

Views = Mapping[str, MetricView]


class ThresholdJudge:
    """Judge of the thresholds of one run.

    ``series``: the series of all thresholds on metrics. ``windowed``: those with a time window (``for``, ``over``),
    which each call of `add_second` must pass.
    """

    def __init__(self, thresholds: Sequence[Threshold]) -> None:
        self._trackers = [_tracker(threshold) for threshold in thresholds]
        on_metrics = [threshold for threshold in thresholds if threshold.kind not in (RESOURCE, VERDICT)]
        self.series = frozenset(threshold.series for threshold in on_metrics)
        self.windowed = frozenset(threshold.series for threshold in on_metrics if threshold.has_window)
        self._results: tuple[ThresholdResult, ...] = ()
        self._covered_s = 0.0
        self._is_warm_up = False

    def add_second(
        self,
        table: SeriesTable,
        t_s: float,
        host: HostSample | None = None,
        workers: Sequence[ProcessSample] = (),
        target: ProcessSample | None = None,
    ) -> None:
        """Add the measurements since the last call, up to *t_s* seconds after the measurement began.

        *table* has the ``windowed`` series, and nobody may change it afterwards. Seconds of the warm-up (*t_s* of 0 or
        less) do not count. In the second in which the warm-up ends, resource samples do not count. Do not call this
        for seconds after the load, in which only the last iterations end.
        """
        since_s, self._covered_s = self._covered_s, t_s
        self._is_warm_up = t_s <= 0
        length_s = t_s - max(since_s, 0.0)
        if length_s <= 0:
            return
        resources = resource_values(host, workers, target) if since_s >= 0 else {}
        second = Second(t_s, length_s, table, resources)
        for tracker in self._trackers:
            tracker.add(second)

    def final_results(self, views: Views, verdict_state: str, table: SeriesTable) -> tuple[ThresholdResult, ...]:
        """Return the results of the whole run, whose series are in *table*.

        A threshold on tags that no sample had is one without data, also on a counter, which began at 0.
        """
        found = []
        for tracker, result in zip(self._trackers, self.results(views, verdict_state), strict=True):
            threshold = tracker.threshold
            reason = why_no_sample(threshold, table) if threshold.kind not in (RESOURCE, VERDICT) else ""
            is_empty = result.observed is None or threshold.kind == Kind.COUNTER
            found.append(replace(evaluate_threshold(threshold, None), reason=reason) if reason and is_empty else result)
        return tuple(found)

    def results(self, views: Views, verdict_state: str | None = None) -> tuple[ThresholdResult, ...]:
        """Return the current result of every threshold, in order; with *verdict_state*, the final results.

        *views* are the metrics of the whole run by `Series.label`. During the warm-up no threshold has data, not even
        one on a counter.
        """
        if self._is_warm_up:
            self._results = tuple(evaluate_threshold(tracker.threshold, None) for tracker in self._trackers)
            return self._results
        self._results = tuple(tracker.result(views, verdict_state) for tracker in self._trackers)
        return self._results

    def first_aborting(self, t_s: float) -> ThresholdResult | None:
        """Return the first of the last `results` that must stop the run, *t_s* after the measurement began; or None."""
        for tracker, result in zip(self._trackers, self._results, strict=False):
            condition = tracker.threshold.condition
            fails = not result.ok and result.observed is not None
            if fails and condition.aborts and t_s > max(0.0, condition.abort_after_s):
                return result
        return None


class _Tracker(ABC):
    """State of one threshold during the run."""

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold

    def add(self, second: Second) -> None:  # noqa: B027 - optional: a tracker of the whole run ignores it
        """Add the measurements of another second."""

    @abstractmethod
    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:
        """Return the current result. *verdict_state* is given only at the end."""


class _MetricTracker(_Tracker):
    """Threshold on a metric over the whole run."""

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        return evaluate_threshold(self.threshold, observe_metric(self.threshold, views))


class _VerdictTracker(_Tracker):
    """Threshold on the verdict, which exists only at the end."""

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        return evaluate_threshold(self.threshold, verdict_state)


class _ResourceTracker(_Tracker):
    """Threshold on a resource over the whole run."""

    def __init__(self, threshold: Threshold) -> None:
        super().__init__(threshold)
        self._window = sliding_window(threshold, math.inf)

    def add(self, second: Second) -> None:
        self._window.add(second)

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        return evaluate_threshold(self.threshold, self._window.observe())


class _WindowedTracker(_Tracker):
    """Threshold with a time window. Once failed, it stays failed. A window without data is not judged."""

    def __init__(self, threshold: Threshold, keep_s: float) -> None:
        super().__init__(threshold)
        self._window = sliding_window(threshold, keep_s)
        self._last: Observed | None = None
        self._last_s = self._covered_s = 0.0
        self._failure: ThresholdResult | None = None

    def add(self, second: Second) -> None:
        if self._failure is not None:
            return
        self._covered_s = second.t_s
        self._window.add(second)
        observed = self._window.observe()
        if observed is not None:
            self._last, self._last_s = observed, second.t_s
            if self._fails(second, holds=self.threshold.holds(observed)):
                self._failure = self._failed()

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        if self._failure is not None:
            return self._failure
        if self._last is None:
            return evaluate_threshold(self.threshold, None)
        if verdict_state is not None and self._fails_at_the_end():
            return self._failed()
        return self.threshold.result(self._last, ok=True)

    def _failed(self) -> ThresholdResult:
        return self.threshold.result(self._last, ok=False, at_s=self._last_s)

    @abstractmethod
    def _fails(self, second: Second, *, holds: bool) -> bool:
        """Return whether the threshold fails with *second*. *holds*: whether the condition holds."""

    @abstractmethod
    def _fails_at_the_end(self) -> bool:
        """Return whether the threshold fails in a run that was shorter than the window."""


class _ForTracker(_WindowedTracker):
    """Threshold with ``for 10s``: fails after 10 s of broken condition in a row, not counting seconds without data."""

    def __init__(self, threshold: Threshold) -> None:
        super().__init__(threshold, 0)
        self._wanted_s = threshold.condition.for_s - SLACK_S
        self._broken_s = 0.0
        self._has_held = False

    def _fails(self, second: Second, *, holds: bool) -> bool:
        self._has_held |= holds
        self._broken_s = 0.0 if holds else self._broken_s + second.length_s
        return self._broken_s >= self._wanted_s

    def _fails_at_the_end(self) -> bool:
        return not self._has_held and self._covered_s < self._wanted_s


class _OverTracker(_WindowedTracker):
    """Threshold with ``over 30s``: fails when the value over the last 30 s breaks the condition."""

    def __init__(self, threshold: Threshold) -> None:
        super().__init__(threshold, threshold.condition.over_s)

    def _fails(self, second: Second, *, holds: bool) -> bool:  # noqa: ARG002
        return self._window.is_full and not holds

    def _fails_at_the_end(self) -> bool:
        # Only a window that is not full yet is open here: a full one that breaks the condition has failed already.
        return self._last is not None and not self.threshold.holds(self._last)


def _tracker(threshold: Threshold) -> _Tracker:
    if threshold.condition.for_s:
        return _ForTracker(threshold)
    if threshold.condition.over_s:
        return _OverTracker(threshold)
    if threshold.kind == VERDICT:
        return _VerdictTracker(threshold)
    return _ResourceTracker(threshold) if threshold.kind == RESOURCE else _MetricTracker(threshold)
