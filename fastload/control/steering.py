"""Steering of the load during a run: shapes, scenarios that begin after others, pauses, and commands that scale it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

from fastload.control.open_files import most_vus
from fastload.model.errors import ControlError, nearest, user_traceback
from fastload.model.frames import Frame
from fastload.model.hooks import HookError
from fastload.model.load_changes import LoadChange, LoadChanges
from fastload.model.load_models import ConstantArrivalRate, ConstantVUs, ExternallyControlled, RampingVUs, Shape
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.schedule import NS_PER_S, vus_at
from fastload.model.units import FASTEST_RATE_PER_S, format_count, parse_rate_per_s

# How far ahead the moment in a frame is: by then every worker has the frame, and all act at the same time.
FRAME_DELAY_S = 0.05
# Tolerance for rounding errors in sums of fractions: ten steps of 0.1 VUs are one VU.
_NO_PAIR = (str, bytes, Mapping, Set)
_SLACK = 1e-9

SendFrame = Callable[[Frame], None]


@dataclass(slots=True)
class _SteeredScenario:
    """State of one scenario for the steering.

    *wanted_load*: VUs, or starts per second, over all workers; None if only the executor's schedule decides. *changed*:
    a shape or a command has set the VUs, so stages do not apply any more. *last_shape_call_s*: the last second for
    which the shape was called, -1 before the first. *shape_level*: the VUs of the shape, with fractions. *ended_in*:
    the workers in which the scenario has ended. *begun_unpaused_ns*: its begin on the monotonic clock minus the pauses
    before it, None if it has not begun. *over*: the shape has ended or failed.
    """

    plan: ScenarioPlan
    wanted_load: float | None
    changed: bool = False
    last_shape_call_s: int = -1
    shape_level: float = 0.0
    ended_in: frozenset[int] = frozenset()
    begun_unpaused_ns: int | None = None
    over: bool = False


class Steering:
    """Sender of the frames that change the load. *send* sends a frame to all workers.

    It has no clock: its methods get the current monotonic time as *now_ns*. ``is_searched``: a capacity search sets the
    load. ``error``: the error of a shape, if one failed. ``notes``: notes for the summary. ``changes``: what commands
    changed.
    """

    def __init__(self, plan: Plan, send: SendFrame) -> None:
        self._plan = plan
        self.is_searched = plan.capacity is not None
        self._send = send
        self._steered = {
            scenario.name: _SteeredScenario(scenario, _first_target(scenario)) for scenario in plan.scenarios
        }
        self._paused_at_ns = 0
        self._paused_ns = 0
        self._start_ns = 0
        self.error: HookError | None = None
        self.notes: list[str] = []
        self.changes = LoadChanges(plan.warmup_s)
        self._untold: list[LoadChange] = []

    # Time.

    def start(self, start_ns: int) -> None:
        """Set the common start: the load, warm-up included, begins at *start_ns*."""
        self._start_ns = start_ns
        for steered in self._steered.values():
            if not steered.plan.after:
                begin_s = self._plan.warmup_s + steered.plan.start_s
                steered.begun_unpaused_ns = start_ns + round(begin_s * NS_PER_S)
        self.tick(start_ns)

    def paused_ns(self, now_ns: int) -> int:
        """Return the total length of the pauses since the common start, the current pause included."""
        return self._paused_ns + (max(0, now_ns - self._paused_at_ns) if self._paused_at_ns and self._start_ns else 0)

    @property
    def is_paused(self) -> bool:
        return bool(self._paused_at_ns)

    def next_ns(self) -> int | None:
        """Return when a shape must be called next, or None. The first call is a little before its scenario begins."""
        moments = [
            steered.begun_unpaused_ns + self._paused_ns + (steered.last_shape_call_s + 1) * NS_PER_S - _lead_ns(steered)
            for steered in self._steered.values()
            if isinstance(steered.plan.executor, Shape) and not steered.over and steered.begun_unpaused_ns is not None
        ]
        return min(moments, default=None) if not self._paused_at_ns else None

    def tick(self, now_ns: int) -> None:
        """Call the shapes whose next second has come, and update the targets of scenarios with stages of VUs."""
        if self._paused_at_ns:
            return
        for steered in self._steered.values():
            self._follow(steered, now_ns)
            if isinstance(steered.plan.executor, Shape) and not steered.over and steered.begun_unpaused_ns is not None:
                second = (now_ns + _lead_ns(steered) - steered.begun_unpaused_ns - self._paused_ns) // NS_PER_S
                if second > steered.last_shape_call_s:
                    passed_s = second - steered.last_shape_call_s
                    steered.last_shape_call_s = second
                    self._ask_shape(steered, steered.plan.executor, second, passed_s)

    def _follow(self, steered: _SteeredScenario, now_ns: int) -> None:
        """Update the target of a ramping-vus scenario from its stages."""
        spec = steered.plan.executor
        if isinstance(spec, RampingVUs) and not steered.changed and steered.begun_unpaused_ns is not None:
            elapsed_s = (now_ns - steered.begun_unpaused_ns - self.paused_ns(now_ns)) / NS_PER_S
            steered.wanted_load = vus_at(spec.start_vus, spec.stages, elapsed_s)

    def _ask_shape(self, steered: _SteeredScenario, shape: Shape, second: int, passed_s: int) -> None:
        """Call *shape* for *second*, *passed_s* after its last call, and follow it."""
        try:
            asked = shape.function(float(second))
            target = None if asked is None else _target_of(asked)
        except BaseException as error:
            # Also SystemExit, and what test frameworks raise. No Ctrl-C: it is a descriptor here.
            steered.over = True
            self.error = HookError(f"shape of {steered.plan.name}", user_traceback(error))
            self._send(Frame("finish", {"scenario": steered.plan.name}))
            return
        if target is None:
            steered.over = True
            self._send(Frame("finish", {"scenario": steered.plan.name}))
            return
        steered.shape_level, vus = target.step(steered.shape_level, passed_s)
        if vus > shape.max_vus:
            self._note(
                f"the shape of {steered.plan.name} asked for more than its max_vus, {format_count(shape.max_vus)}: "
                "it got these"
            )
            steered.shape_level = vus = shape.max_vus
        self._set_vus(steered, vus)

    # Order of scenarios.

    def ended(self, name: str, worker: int, live: set[int], now_ns: int) -> None:
        """Note that scenario *name* has ended in *worker*, and begin the scenarios that come after it."""
        steered = self._steered[name]
        steered.ended_in |= {worker}
        self.begin_successors(live, now_ns)

    def begin_successors(self, live: set[int], now_ns: int) -> None:
        """Begin the scenarios whose predecessor has ended in all *live* workers."""
        for steered in self._steered.values():
            if steered.plan.after and steered.begun_unpaused_ns is None:
                before = self._steered[steered.plan.after]
                if live <= before.ended_in:
                    at_ns = now_ns + round(FRAME_DELAY_S * NS_PER_S)
                    steered.begun_unpaused_ns = at_ns + round(steered.plan.start_s * NS_PER_S) - self.paused_ns(at_ns)
                    self._send(Frame("begin", {"scenario": steered.plan.name, "at_ns": at_ns}))
                    self.tick(now_ns)

    # Commands.

    def check_is_free(self) -> None:
        """Check that commands may change the load.

        Raises:
            ControlError: a capacity search sets it, and a load of somebody else's would spoil its steps.
        """
        if self.is_searched:
            raise ControlError("the search for the capacity sets the load", hint="stop it, or wait until it is over")

    def pause(self, now_ns: int) -> None:
        """Start no more iterations until `resume`; running ones continue. Before `start` no frame is sent: the
        caller does not start a run that is paused."""
        if not self._paused_at_ns:
            # What is paused before the common start begins later, and not in the middle.
            self._paused_at_ns = max(now_ns, self._start_ns)
            if self._start_ns:
                self._send(Frame("pause", {"at_ns": self._paused_at_ns}))

    def resume(self, now_ns: int) -> None:
        """End the pause. Schedules continue where they stopped."""
        if self._paused_at_ns:
            if self._start_ns:
                self._paused_ns += max(0, now_ns - self._paused_at_ns)
                self._send(Frame("resume", {"at_ns": now_ns}))
            self._paused_at_ns = 0

    def scale(self, asked: Mapping[str, Any], now_ns: int, who: str = "") -> dict[str, Any]:
        """Change the VUs or the rate of one scenario, and return its new state.

        *asked* has one of ``vus``, ``rate`` and ``by``, and ``scenario`` if several can be scaled. *who* asks for it.

        Raises:
            ControlError: no such scenario, one that is over, a change that its executor does not allow, more VUs than
                it may have, or a capacity search sets the load.
        """
        self.check_is_free()
        steered = self._pick(asked.get("scenario"))
        if self._is_over(steered, now_ns):
            raise ControlError(f"the load of {steered.plan.name} is over", hint="start another run")
        self._follow(steered, now_ns)
        before, is_open = steered.wanted_load or 0, steered.plan.is_open
        for wrong, right in (("vus", "rate"), ("rate", "vus")):
            if wrong in asked and is_open == (wrong == "vus"):
                model = steered.plan.executor.name
                raise ControlError(f"{steered.plan.name} is {model}: it has no {wrong} to change", hint=f"give {right}")
        if "by" in asked:
            wanted = max(0.0, (steered.wanted_load or 0) + asked["by"])
        else:
            wanted = parse_rate_per_s(str(asked["rate"]), zero=True) if is_open else asked["vus"]
        if is_open:
            if wanted > FASTEST_RATE_PER_S:
                raise ControlError(
                    f"{format_count(wanted)} starts/s are too many for one machine",
                    hint=f"ask for {format_count(FASTEST_RATE_PER_S)} at most",
                )
            steered.wanted_load = wanted
            at_ns = now_ns + round(FRAME_DELAY_S * NS_PER_S)
            body = {"scenario": steered.plan.name, "vus": None, "rate_per_s": wanted, "at_ns": at_ns}
            self._send(Frame("scale", body))
        else:
            self._scale_vus(steered, int(wanted), relative="by" in asked)
        self._note_change(steered, before, now_ns, who)
        return self._describe(steered)

    def set_total(self, load: float, now_ns: int) -> int:
        """Share *load*, starts per second or VUs, among all scenarios, in proportion to what the plan says of them.

        Used by a capacity search; it is no change that anybody asked for. Returns the moment from which it applies.
        """
        at_ns = now_ns + round(FRAME_DELAY_S * NS_PER_S)
        planned = {name: _first_target(steered.plan) or 0.0 for name, steered in self._steered.items()}
        for name, steered in self._steered.items():
            mine = load * planned[name] / sum(planned.values())
            if steered.plan.is_open:
                steered.wanted_load = mine
                self._send(Frame("scale", {"scenario": name, "vus": None, "rate_per_s": mine, "at_ns": at_ns}))
            else:
                self._set_vus(steered, round(mine))
        return at_ns

    def finish_all(self) -> None:
        """End all scenarios: they start no more iterations, as at their planned end."""
        for name in self._steered:
            self._send(Frame("finish", {"scenario": name}))

    def _note_change(self, steered: _SteeredScenario, before: float, now_ns: int, who: str) -> None:
        after = steered.wanted_load or 0
        if after == before:
            return
        since_ns = now_ns - self._start_ns - self.paused_ns(now_ns) if self._start_ns else 0
        unit = "starts/s" if steered.plan.is_open else "VUs"
        change = LoadChange(max(0, since_ns) / NS_PER_S, steered.plan.name, before, after, unit, who)
        self.changes.add(change)
        self._untold.append(change)

    def take_changes(self) -> list[LoadChange]:
        """Return the changes since the last call; their time counts from the common start."""
        taken, self._untold = self._untold, []
        return taken

    def _is_over(self, steered: _SteeredScenario, now_ns: int) -> bool:
        """Whether the time of a scenario is over: it starts nothing more, whatever is asked for."""
        if steered.begun_unpaused_ns is None:
            return False
        elapsed_ns = now_ns - steered.begun_unpaused_ns - self.paused_ns(now_ns)
        return elapsed_ns >= steered.plan.executor.duration_s * NS_PER_S

    def _scale_vus(self, steered: _SteeredScenario, vus: int, *, relative: bool) -> None:
        most = self._most_vus(steered)
        if vus > most:
            if not relative:
                has_own = _has_max_vus(steered.plan)
                more = "start it with a higher max_vus" if has_own else "raise the limit of open files (ulimit -Hn)"
                raise ControlError(
                    f"{format_count(vus)} VUs are over the max_vus of {steered.plan.name}, {format_count(most)}",
                    hint=f"ask for fewer, or {more}",
                )
            vus = most
        self._set_vus(steered, vus)

    def _pick(self, name: str | None) -> _SteeredScenario:
        can = [
            steered
            for steered in self._steered.values()
            if steered.wanted_load is not None and _can_scale(steered.plan)
        ]
        if name is not None and name not in self._steered:
            raise ControlError(
                f"there is no scenario {name!r}",
                hint=nearest(name, self._steered) or f"there are {', '.join(self._steered)}",
            )
        if name is None and len(can) == 1:
            return can[0]
        if name is None and can:
            names = ", ".join(steered.plan.name for steered in can)
            raise ControlError("the test has several scenarios", hint=f"say which: {names}")
        steered = self._steered[name] if name is not None else next(iter(self._steered.values()))
        if not _can_scale(steered.plan):
            raise ControlError(
                f"{steered.plan.name} is {steered.plan.executor.name}, which follows its own schedule",
                hint="constant-vus, ramping-vus, externally-controlled and constant-arrival-rate can be changed",
            )
        return steered

    def _set_vus(self, steered: _SteeredScenario, vus: int) -> None:
        steered.wanted_load, steered.changed = vus, True
        self._send(Frame("scale", {"scenario": steered.plan.name, "vus": vus}))

    # Current state.

    @property
    def max_vus(self) -> int:
        """Highest possible number of VUs, with the increases by commands so far."""
        return sum(
            max(steered.plan.executor.max_vus, 0 if steered.plan.is_open else int(steered.wanted_load or 0))
            for steered in self._steered.values()
        )

    @property
    def scalable(self) -> dict[str, bool]:
        """Names of the scenarios whose load can be changed, in order; True if that is a rate."""
        if self.is_searched:
            return {}
        return {name: steered.plan.is_open for name, steered in self._steered.items() if _can_scale(steered.plan)}

    def describe(self) -> list[dict[str, Any]]:
        """Return the state of each scenario, for the ``status`` command."""
        return [self._describe(steered) for steered in self._steered.values()]

    def _describe(self, steered: _SteeredScenario) -> dict[str, Any]:
        plan = steered.plan
        found: dict[str, Any] = {"name": plan.name, "executor": plan.executor.name}
        if steered.wanted_load is not None:
            found["rate_per_s" if plan.is_open else "vus"] = (
                steered.wanted_load if plan.is_open else int(steered.wanted_load)
            )
        return found | {"max_vus": self._most_vus(steered), "can_scale": plan.name in self.scalable}

    def _most_vus(self, steered: _SteeredScenario) -> int:
        """Return how many VUs a scenario may have: as it says, or, if what is asked for goes over that, as the system
        allows."""
        own = steered.plan.executor.max_vus
        return own if _has_max_vus(steered.plan) else max(own, most_vus(self._plan.workers))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _lead_ns(steered: _SteeredScenario) -> int:
    """Return how early a shape is called: its first result must reach the workers before the scenario begins."""
    return round(FRAME_DELAY_S * NS_PER_S) if steered.last_shape_call_s < 0 else 0


def _first_target(scenario: ScenarioPlan) -> float | None:
    match scenario.executor:
        case ConstantVUs() | ExternallyControlled() as spec:
            return spec.vus
        case RampingVUs() as spec:
            return spec.start_vus
        case ConstantArrivalRate() as spec:
            return spec.rate_per_s
        case Shape():
            return 0
    return None


def _can_scale(scenario: ScenarioPlan) -> bool:
    return isinstance(scenario.executor, ConstantVUs | RampingVUs | ExternallyControlled | ConstantArrivalRate)


def _has_max_vus(scenario: ScenarioPlan) -> bool:
    """Whether nobody can ask for more VUs than the scenario says."""
    return not isinstance(scenario.executor, ConstantVUs | RampingVUs)


class _ShapeTarget(NamedTuple):
    """What a shape asks for: *vus*, and at most *per_s* VUs more or less each second."""

    vus: float
    per_s: float = math.inf

    def step(self, level: float, passed_s: int) -> tuple[float, int]:
        """Return the level (VUs with fractions) and the VUs, *passed_s* after they were at *level*.

        As in Locust, the first VU of a slow change comes at once and the next one when its time has come: with 0.5 VUs
        per second one every two seconds.
        """
        if abs(self.vus - level) <= self.per_s * passed_s:
            return self.vus, round(self.vus)
        if self.vus > level:
            level += self.per_s * passed_s
            return level, min(math.ceil(level - _SLACK), round(self.vus))
        level -= self.per_s * passed_s
        return level, max(math.floor(level + _SLACK), round(self.vus))


def _target_of(asked: Any) -> _ShapeTarget:
    """Return a shape's result *asked*, VUs or (VUs, largest change per second), as a target.

    Raises:
        TypeError, ValueError: *asked* is neither.
    """
    # A tuple, a list, or an array of numpy, which is no Sequence.
    is_pair = isinstance(asked, Collection) and not isinstance(asked, _NO_PAIR) and len(asked) == 2
    target = _ShapeTarget(*asked) if is_pair else _ShapeTarget(asked)
    for number in target:
        if not isinstance(number, Real) or isinstance(number, bool):
            raise TypeError(f"a shape returns VUs, (VUs, VUs a second) or None, not {asked!r}")
    vus, per_s = target
    if not (0 <= vus < math.inf and per_s > 0):
        raise ValueError(f"a shape returned {vus!r} VUs" + (f" at {per_s!r} a second" if per_s != math.inf else ""))
    return target
