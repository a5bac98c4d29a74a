"""Judges thresholds while a run lasts and at its end. It knows no clock: it is told what each second brought."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from fastload.control.sliding_window import SLACK_S, Second, sliding_window
from fastload.model.judging.threshold_grammar import RESOURCE, VERDICT
from fastload.model.judging.thresholds import Observed, Threshold, ThresholdResult, judge
from fastload.model.resources import HostSample, ProcessSample, resource_values
from fastload.model.series import SeriesTable
from fastload.model.summary import observe_metric
from fastload.model.views import MetricView

Views = Mapping[str, MetricView]


class ThresholdJudge:
    """The thresholds of one run.

    ``series``: what of the metrics they ask for. ``windowed``: those of them that `second` must bring.
    """

    def __init__(self, thresholds: Sequence[Threshold]) -> None:
        self._trackers = [_tracker(threshold) for threshold in thresholds]
        on_metrics = [threshold for threshold in thresholds if threshold.kind not in (RESOURCE, VERDICT)]
        self.series = frozenset(threshold.series for threshold in on_metrics)
        self.windowed = frozenset(threshold.series for threshold in on_metrics if threshold.has_window)
        self._results: tuple[ThresholdResult, ...] = ()
        self._covered_s = 0.0
        self._is_warm_up = False

    def second(
        self,
        table: SeriesTable,
        t_s: float,
        host: HostSample | None = None,
        workers: Sequence[ProcessSample] = (),
        target: ProcessSample | None = None,
    ) -> None:
        """What came since the last call, up to *t_s* seconds after the measurement began.

        *table* has the ``windowed`` series, and is not changed afterwards. Seconds of the warm-up, with a *t_s* of 0
        or less, do not count; of a second that the warm-up ended in, the samples of the processes do not. The load
        has ended with the last call: there is none for seconds in which only the last iterations came to their end.
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

    def results(self, views: Views, verdict_state: str | None = None) -> tuple[ThresholdResult, ...]:
        """Every threshold as it stands, in order; with *verdict_state*, as the run ended.

        *views* are the metrics of the whole run by `Series.label`. In the warm-up nothing has data, not even a counter.
        """
        if self._is_warm_up:
            self._results = tuple(judge(tracker.threshold, None) for tracker in self._trackers)
            return self._results
        self._results = tuple(tracker.result(views, verdict_state) for tracker in self._trackers)
        return self._results

    def abort(self, t_s: float) -> ThresholdResult | None:
        """The first of the last `results` for which the run is to be stopped, *t_s* after the measurement began."""
        for tracker, result in zip(self._trackers, self._results, strict=False):
            condition = tracker.threshold.condition
            fails = not result.ok and result.observed is not None
            if fails and condition.aborts and t_s > max(0.0, condition.abort_after_s):
                return result
        return None


class _Tracker(ABC):
    """One threshold and what is known of it so far."""

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold

    def add(self, second: Second) -> None:  # noqa: B027 - who judges the whole run needs no seconds
        """Another second was measured."""

    @abstractmethod
    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:
        """How it stands; *verdict_state* comes at the end."""


class _Metric(_Tracker):
    """A metric over the whole run."""

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        return judge(self.threshold, observe_metric(self.threshold, views))


class _Verdict(_Tracker):
    """The verdict, which there is at the end only."""

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        return judge(self.threshold, verdict_state)


class _Resource(_Tracker):
    """A resource over the whole run."""

    def __init__(self, threshold: Threshold) -> None:
        super().__init__(threshold)
        self._window = sliding_window(threshold, math.inf)

    def add(self, second: Second) -> None:
        self._window.add(second)

    def result(self, views: Views, verdict_state: str | None) -> ThresholdResult:  # noqa: ARG002
        return judge(self.threshold, self._window.observe())


class _Windowed(_Tracker):
    """What fails once and stays failed. A window without data is not judged: it breaks nothing and heals nothing."""

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
            return judge(self.threshold, None)
        if verdict_state is not None and self._fails_at_the_end():
            return self._failed()
        return self.threshold.result(self._last, ok=True)

    def _failed(self) -> ThresholdResult:
        return self.threshold.result(self._last, ok=False, at_s=self._last_s)

    @abstractmethod
    def _fails(self, second: Second, *, holds: bool) -> bool:
        """Whether it fails with *second*; *holds*: whether the condition does."""

    @abstractmethod
    def _fails_at_the_end(self) -> bool:
        """Whether a run that was shorter than the window fails."""


class _For(_Windowed):
    """``for 10s``: fails when the condition is broken in every second of ten that have data."""

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


class _Over(_Windowed):
    """``over 30s``: fails when the value of the last thirty seconds breaks the condition."""

    def __init__(self, threshold: Threshold) -> None:
        super().__init__(threshold, threshold.condition.over_s)

    def _fails(self, second: Second, *, holds: bool) -> bool:  # noqa: ARG002
        return self._window.is_full and not holds

    def _fails_at_the_end(self) -> bool:
        # A full window that broke it has failed already.
        return self._last is not None and not self.threshold.holds(self._last)


def _tracker(threshold: Threshold) -> _Tracker:
    if threshold.condition.for_s:
        return _For(threshold)
    if threshold.condition.over_s:
        return _Over(threshold)
    if threshold.kind == VERDICT:
        return _Verdict(threshold)
    return _Resource(threshold) if threshold.kind == RESOURCE else _Metric(threshold)
