"""Phases of a run's load on the wall clock: warm-up, stages, scenarios, pauses and the graceful stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fastload.model.records import Snapshot
from fastload.model.schedule import NS_PER_S
from fastload.model.units import format_count, format_number_of

_SHORTEST_PAUSE_S = 0.02
_SHORTEST_STOP_S = 0.25

Phase = dict[str, Any]


class Pause(NamedTuple):
    """Pause of a run: from *begin_s* to *end_s* on the wall clock, while the run's own time stands still at *t_s*."""

    t_s: float
    begin_s: float
    end_s: float


class WallClock:
    """Converter from the run's own time, without pauses, to seconds on the wall clock since the common start.

    ``end_s`` is the end of the last snapshot on the wall clock. ``stop_s`` is the moment of the first event "stop" on
    the wall clock; None without one.
    """

    def __init__(self) -> None:
        self.end_s = 0.0
        self.stop_s: float | None = None
        self.pauses: list[Pause] = []
        self._start_ns = 0
        self._t_s = 0.0

    @property
    def start_ms(self) -> float | None:
        """Wall clock at the common start, in ms since the epoch; None when the snapshots have no wall-clock time."""
        return self._start_ns / 1e6 if self._start_ns > 0 else None

    def add(self, snapshot: Snapshot) -> float:
        """Add the next snapshot, and return its end on the wall clock."""
        t_s = snapshot.t_s or snapshot.elapsed_s
        if not self._start_ns:
            self._start_ns = snapshot.time_ns - round(t_s * NS_PER_S)
            if snapshot.time_ns:
                self._t_s = self.end_s = t_s
        end_s = (snapshot.time_ns - self._start_ns) / NS_PER_S if snapshot.time_ns else t_s
        self._find_pause(end_s, t_s)
        self.end_s, self._t_s = round(end_s, 3), t_s
        stop = next((event for event in snapshot.events if event.kind == "stop"), None)
        if stop is not None and self.stop_s is None:
            self.stop_s = self.within(snapshot, stop.t_s)
        return self.end_s

    def at(self, t_s: float) -> float:
        """Return the moment *t_s* of the run's own time on the wall clock; for the moment of a pause, its beginning."""
        return t_s + sum(pause.end_s - pause.begin_s for pause in self.pauses if pause.t_s < t_s)

    def within(self, snapshot: Snapshot, t_s: float) -> float:
        """Return `at` of *t_s*, limited to the window of *snapshot*, which must be the last snapshot."""
        return round(min(self.end_s, max(self.end_s - snapshot.span_s, self.at(t_s))), 3)

    def _find_pause(self, end_s: float, t_s: float) -> None:
        paused_s = (end_s - self.end_s) - (t_s - self._t_s)
        if paused_s < _SHORTEST_PAUSE_S:
            return
        last = self.pauses[-1] if self.pauses else None
        if last is not None and last.end_s == self.end_s:
            self.pauses[-1] = last._replace(end_s=round(self.end_s + paused_s, 3))
        else:
            self.pauses.append(Pause(t_s, round(end_s - paused_s, 3), round(end_s, 3)))


def phases_of(plan: Mapping[str, Any], clock: WallClock) -> list[Phase]:
    """Return the phases of the load so far: ``{"from", "to", "name", "kind", "lane"}``, in s on the wall clock.

    *kind* is "warm-up", "stage" (a ramp or a level of the only scenario), "scenario" (one of several scenarios),
    "paused" or "stop" (the last iterations ended). *lane* is 0; each of several scenarios has a lane of its own, from 1
    on. *plan* is `Plan.to_dict`.
    """
    warmup_s, scenarios = plan.get("warmup_s", 0.0), plan.get("scenarios", [])
    begins = _begins(scenarios, warmup_s)
    planned_s = max((begins[one["name"]] + _duration_s(one) for one in scenarios), default=0.0)
    load_end_s = min(clock.at(planned_s), clock.end_s if clock.stop_s is None else clock.stop_s)
    found = [_phase(clock, 0.0, warmup_s, "warm-up", "warm-up", load_end_s)] if warmup_s else []
    if len(scenarios) == 1:
        found += (
            _phase(clock, begin_s, end_s, name, "stage", load_end_s)
            for begin_s, end_s, name in _stages(scenarios[0], begins[scenarios[0]["name"]])
        )
    else:
        found += (
            _phase(
                clock, begins[one["name"]], begins[one["name"]] + _duration_s(one), one["name"], "scenario", load_end_s
            )
            | {"lane": lane}
            for lane, one in enumerate(scenarios, 1)
        )
    found += (
        {"from": one.begin_s, "to": one.end_s, "name": "paused", "kind": "paused", "lane": 0} for one in clock.pauses
    )
    if clock.end_s - load_end_s > _SHORTEST_STOP_S:
        found.append({"from": load_end_s, "to": clock.end_s, "name": "graceful stop", "kind": "stop", "lane": 0})
    return [one for one in found if one["to"] > one["from"]]


def _phase(clock: WallClock, begin_s: float, end_s: float, name: str, kind: str, latest_s: float) -> Phase:
    begin, end = (round(min(clock.at(moment), latest_s), 3) for moment in (begin_s, end_s))
    return {"from": begin, "to": end, "name": name, "kind": kind, "lane": 0}


def _begins(scenarios: Iterable[Mapping[str, Any]], warmup_s: float) -> dict[str, float]:
    """Return when each scenario begins, by name. A scenario after another begins at the latest end of the other."""
    begins: dict[str, float] = {}
    latest: dict[str, float] = {}
    for one in scenarios:
        begins[one["name"]] = latest.get(one.get("after", ""), warmup_s) + one.get("start_s", 0.0)
        latest[one["name"]] = begins[one["name"]] + _duration_s(one) + one.get("graceful_stop_s", 0.0)
    return begins


def _duration_s(scenario: Mapping[str, Any]) -> float:
    stages = scenario.get("stages")
    return float(sum(duration_s for duration_s, _ in stages) if stages else scenario.get("duration_s", 0.0))


def _stages(scenario: Mapping[str, Any], begin_s: float) -> Iterable[tuple[float, float, str]]:
    """Yield (begin, end, name) of each stage; a scenario without stages is one stage."""
    if not scenario.get("stages"):
        yield begin_s, begin_s + _duration_s(scenario), _level_name(scenario)
        return
    is_rate = "start_rate_per_s" in scenario
    level = scenario["start_rate_per_s"] if is_rate else scenario.get("start_vus", 0)
    for duration_s, target in scenario["stages"]:
        name = f"{format_count(target)}/s" if is_rate else format_number_of(target, "VU")
        yield begin_s, begin_s + duration_s, name if target == level else f"to {name}"
        begin_s, level = begin_s + duration_s, target


def _level_name(scenario: Mapping[str, Any]) -> str:
    match scenario.get("executor"):
        case "constant-arrival-rate":
            return f"{format_number_of(scenario['rate_per_s'], 'start')}/s"
        case "shape" | "externally-controlled" | "trace" as name:
            return str(name)
        case _:
            return format_number_of(scenario.get("vus", 0), "VU")
