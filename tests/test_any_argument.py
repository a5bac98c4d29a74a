"""Whatever a script gives to a public name of fastload: it gets a value, its iteration fails, or it is a `PlanError`.
It never costs results: what was measured reaches the summary, and every request is accounted for.

Entry points are found by introspection, so that a new one is tried without a change here.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fastload as fl
from fastload import runner
from fastload.load.client.request_options import RequestOptions
from fastload.load.recording.scope import CURRENT_SCOPE, CURRENT_VU
from fastload.load.script.scenarios import ScenarioOptions
from fastload.model import user_metrics
from fastload.model.frames import Frame, FrameDecoder, encode
from fastload.model.metrics import Series
from fastload.model.records import Delta
from tests.conftest import Nginx
from tests.hostile import SINGLE, HostileError, anything
from tests.load.harness import Connection, Harness, Peer, harness

CASES = 10_000 if os.environ.get("CI") else 1_000
few = settings(max_examples=24, derandomize=True, suppress_health_check=list(HealthCheck))


def cases(share: float) -> settings:
    """A share of all `CASES`, the same ones in each run."""
    return settings(max_examples=round(CASES * share), derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(user_metrics, "_declared", {})
    monkeypatch.setattr(user_metrics, "_registry", user_metrics._FilterRegistry())
    # Relative paths of outputs go there.
    monkeypatch.chdir(tmp_path)


# The plan: everything that is said before the first request.


class Planned(Exception):
    """The plan was made; a run would begin now."""


async def visit(vu: fl.VU) -> None:
    await vu.get("/")


PLANNING: dict[str, Callable[..., Any]] = {
    "fl.run": lambda **given: fl.run(visit, **given),
    "fl.scenario": lambda **given: fl.run(_declared(given)),
    "fl.HttpSettings": lambda **given: fl.run(visit, http=fl.HttpSettings(**given)),
    "fl.RequestSettings": lambda **given: fl.run(fl.scenario(http=fl.RequestSettings(**given))(visit)),
    "fl.Auth": lambda **given: fl.run(visit, http=fl.HttpSettings(auth=fl.Auth(**{"scheme": "basic", **given}))),
}


def _declared(given: Mapping[str, Any]) -> Any:
    made = fl.scenario(**given)
    return made if isinstance(made, fl.Scenario) else made(visit)


def _options_of(entry: str) -> list[str]:
    if entry == "fl.scenario":
        return [*ScenarioOptions.__annotations__, "name", "tasks"]
    found = inspect.signature(getattr(fl, entry.removeprefix("fl."))).parameters
    return [name for name, one in found.items() if one.kind is not inspect.Parameter.VAR_POSITIONAL]


options = st.sampled_from([(entry, name) for entry in PLANNING for name in _options_of(entry)])


@cases(0.4)
@given(first=options, value=anything, other=st.data())
def test_an_option_of_any_type_makes_a_plan_or_is_refused(
    first: tuple[str, str], value: Any, other: st.DataObject
) -> None:
    entry, name = first
    given_values = {name: value}
    if other.draw(st.booleans()):
        given_values[other.draw(st.sampled_from(_options_of(entry)))] = other.draw(anything)
    with pytest.MonkeyPatch.context() as patch:
        # Ends before the fork: thousands of runs would take hours.
        patch.setattr(runner, "execute", _planned)
        with pytest.raises((Planned, fl.PlanError)):
            PLANNING[entry](**given_values)


def _planned(*_args: Any, **_options: Any) -> None:
    raise Planned


TOP = (
    *("Counter", "Gauge", "Rate", "Trend", "Retry", "Auth", "data", "env", "measure"),
    *("setup", "teardown", "test_start", "test_stop", "handle_summary"),
    *("summary_text", "load_run", "load_summary", "RunReader"),
)


@cases(0.2)
@given(name=st.sampled_from(TOP), value=anything, more=st.data())
def test_what_a_script_calls_at_its_top(name: str, value: Any, more: st.DataObject) -> None:
    function = getattr(fl, name)
    others = list(inspect.signature(function).parameters)[1:]
    chosen = more.draw(st.lists(st.sampled_from(others), max_size=1)) if others else []
    arguments = {one: more.draw(anything) for one in chosen}
    with contextlib.suppress(fl.FastloadError):
        function(more.draw(st.sampled_from(["name", value])) if chosen else value, **arguments)


def test_every_public_function_is_tried() -> None:
    """A new name is in one of the tests, or it is made by fastload and not by a script."""
    classes = {name for name in fl.__all__ if inspect.isclass(getattr(fl, name))}
    tried = {*TOP, *(entry.removeprefix("fl.") for entry in PLANNING)}
    # A search takes the arguments of run, and those that `test_capacity` tries.
    others = {"start", "target", "abort", "fail", "find_capacity", "__version__"}
    assert {*fl.__all__} - classes <= tried | others


# What a VU can do.

_INTERNAL = """
abort back_off back_off_s begin_iteration begin_stream call_ended close close_sockets due_of_call end_iteration
end_stream finish_stream give_up_stream in_flight in_on_stop interrupted on_start_done recorder release_handles
release_stream requests scope submit_stream was_interrupted
"""
INTERNAL = frozenset(_INTERNAL.split())
GOOD: Mapping[str, Any] = {
    "url": "/",
    "method": "GET",
    "requests": ["/"],
    "name": "name",
    "checks": {"is": True},
    "_subject": None,
    "least_s": 0,
    "reason": "reason",
    "value": 1,
}


def public(owner: object) -> list[str]:
    """Names of *owner* for scripts."""
    return [name for name in dir(owner) if not name.startswith("_") and name not in INTERNAL]


METHODS = [name for name in public(fl.VU) if callable(getattr(fl.VU, name))]
SETTABLE = [name for name in public(fl.VU) if getattr(getattr(fl.VU, name), "fset", None)]


def test_the_methods_are_found() -> None:
    assert {"get", "batch", "stream", "websocket", "check", "sleep", "group", "expect"} <= set(METHODS)
    assert set(SETTABLE) == {"headers", "http", "auth", "base_url"}


def _call(data: st.DataObject, function: Callable[..., Any]) -> Any:
    """Call *function* with good arguments, and with others in one or two places."""
    parameters = inspect.signature(function).parameters.values()
    kinds = {one.name: one.kind for one in parameters}
    arguments = {one.name: GOOD[one.name] for one in parameters if one.name in GOOD}
    names = [name for name, kind in kinds.items() if kind is not inspect.Parameter.VAR_KEYWORD]
    if inspect.Parameter.VAR_KEYWORD in kinds.values():
        names += list(RequestOptions.__annotations__)
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)) if names else ():
        arguments[name] = data.draw(anything)
    positional = [arguments.pop(name) for name, kind in kinds.items() if _by_place(kind) and name in arguments]
    return function(*positional, **arguments)


def _by_place(kind: Any) -> bool:
    return kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


async def _use(data: st.DataObject, found: Any) -> None:
    """Do with *found* what a script would do: await it, enter it, read all of it and call its methods."""
    if inspect.isawaitable(found):
        found = await found
    elif hasattr(found, "__aenter__"):
        async with found as inner:
            await _use(data, inner)
        return
    if isinstance(found, fl.Reply):
        for name in public(found):
            try:
                value = getattr(found, name)
            except fl.ReplyError:
                continue
            if inspect.ismethod(value) and not inspect.isasyncgenfunction(value):
                outcome = _call(data, value)
                if inspect.isawaitable(outcome):
                    await outcome


def _answer(connection: Connection, head: bytes) -> None:
    connection.reply(b'{"a": 1}')


@pytest.fixture
def made() -> Iterator[tuple[asyncio.Runner, Harness]]:
    """An engine against a server, both on one loop."""
    with asyncio.Runner() as loop:
        peer = Peer(_answer)
        loop.run(peer.__aenter__())
        filters = [Series.of("checks", a="1"), Series.of("http_reqs", a="1"), Series.of("calls", a="1")]
        context = harness(peer.url, filters=filters)
        yield loop, loop.run(context.__aenter__())
        loop.run(context.__aexit__(None, None, None))
        loop.run(peer.__aexit__())


def _account(found: Harness) -> None:
    """What was recorded can be sent, and no request is missing."""
    delta = found.take()
    (frame,) = FrameDecoder().feed(encode(Frame("delta", delta.to_body())))
    stats = Delta.from_body(frame.body).stats
    assert stats.started == stats.finished + stats.failed + stats.interrupted


async def _iteration(found: Harness, act: Callable[[fl.VU], Awaitable[None]]) -> None:
    """What a VU pool does of an iteration: it may raise, and then the next one begins."""
    vu = found.vu(headers=True)
    CURRENT_VU.set(vu)
    vu._begin_iteration(0, 0)
    try:
        async with asyncio.timeout(0.5):
            await act(vu)
    except Exception as error:
        found.recorder.record_exception(type(error).__name__, "", vu._scope())
    finally:
        CURRENT_VU.set(None)
        CURRENT_SCOPE.set(None)
        found.vus.remove(vu)
        vu._close()


@cases(0.3)
@given(data=st.data())
def test_a_method_of_a_vu_with_any_argument(made: tuple[asyncio.Runner, Harness], data: st.DataObject) -> None:
    loop, found = made

    async def act(vu: fl.VU) -> None:
        for name in SETTABLE:
            if data.draw(st.integers(0, 9)) == 0:
                setattr(vu, name, data.draw(anything))
        await _use(data, _call(data, getattr(vu, data.draw(st.sampled_from(METHODS)))))

    loop.run(_iteration(found, act))
    _account(found)


@cases(0.1)
@given(data=st.data(), raised=st.sampled_from([None, HostileError]))
def test_what_a_script_measures_itself(
    made: tuple[asyncio.Runner, Harness], data: st.DataObject, raised: type[Exception] | None
) -> None:
    loop, found = made

    async def act(_vu: fl.VU) -> None:
        declare: Any = data.draw(st.sampled_from([fl.Counter, fl.Gauge, fl.Rate, fl.Trend]))
        _call(data, declare(f"any_{declare.kind}").add)
        async with _call(data, fl.measure) as call:
            _call(data, call.fail)
            if raised:
                raise raised

    loop.run(_iteration(found, act))
    _account(found)


# Whole runs, with workers.

Act = Callable[[fl.VU, Any], Awaitable[None]]


async def _check(vu: fl.VU, value: Any) -> None:
    vu.check(None, {value: True}, {"key": value})


async def _group(vu: fl.VU, value: Any) -> None:
    async with vu.group(value):
        await vu.get("/")


async def _measure(_vu: fl.VU, value: Any) -> None:
    async with fl.measure(value, tags={"key": value}) as call:
        call.fail(value)


async def _judge(vu: fl.VU, value: Any) -> None:
    async with vu.expect("GET", "/", name=value) as reply:
        reply.failure(value)


async def _raise_in_a_judged_request(vu: fl.VU, value: Any) -> None:
    async with vu.expect("GET", "/"):
        raise HostileError(value)


async def _raise_in_a_measured_call(_vu: fl.VU, value: Any) -> None:
    async with fl.measure("call"):
        raise HostileError(value)


async def _fail(_vu: fl.VU, value: Any) -> None:
    fl.fail(value)


async def _url(vu: fl.VU, value: Any) -> None:
    await vu.get(value)


async def _stream(vu: fl.VU, value: Any) -> None:
    async with vu.stream("GET", "/", name=value, tags={"key": value}) as reply:
        await reply.read()


def _request(option: str, shape: Callable[[Any], Any]) -> Act:
    async def send(vu: fl.VU, value: Any) -> None:
        await vu.get("/", **{option: shape(value)})

    return send


def _add(metric: Any, shape: Callable[[Any], tuple[Any, ...]]) -> Act:
    async def add(_vu: fl.VU, value: Any) -> None:
        metric.add(*shape(value))

    return add


FUNCTIONS: tuple[Act, ...] = (
    *(_check, _group, _measure, _judge, _raise_in_a_judged_request, _raise_in_a_measured_call, _fail, _url, _stream),
)


def acts() -> dict[str, Act]:
    """What a scenario may do with a value, by name."""
    found = {function.__name__.removeprefix("_"): function for function in FUNCTIONS}
    for option in RequestOptions.__annotations__:
        found[option] = _request(option, lambda value: value)
    for option in ("tags", "headers", "cookies", "params", "data", "path"):
        found[f"value in {option}"] = _request(option, lambda value: {"key": value})
        found[f"name in {option}"] = _request(option, lambda value: {value: "value"})
    for declare in (fl.Counter, fl.Gauge, fl.Rate, fl.Trend):
        metric: Any = declare(f"any_{declare.kind}")
        found[f"{declare.kind} value"] = _add(metric, lambda value: (value,))
        found[f"{declare.kind} tags"] = _add(metric, lambda value: (1, {"key": value}))
    return found


def scenario_of(name: str, act: Act) -> fl.Scenario:
    """A scenario whose iterations do *act* with each value of `SINGLE`."""
    values = list(SINGLE.values())

    async def one(vu: fl.VU) -> None:
        # Otherwise iterations that fail at once would back off.
        await vu.get("/")
        await act(vu, values[vu.iteration])

    return fl.scenario(name=name, vus=1, iterations=len(values))(one)


OUTPUTS = ("json=points.json", "csv=points.csv", "junit=report.xml", "md=report.md", "locust=locust", "hlog=run.hlog")


@pytest.mark.parametrize("out", [(), OUTPUTS], ids=["seconds", "points and all files"])
def test_no_value_costs_the_results_of_a_run(nginx: Nginx, tmp_path: Path, out: tuple[str, ...]) -> None:
    """Two real workers: every iteration is counted, every request is accounted for, every output is whole."""
    every = acts()
    summary = fl.run(
        *(scenario_of(name, act) for name, act in every.items()),
        base_url=nginx.url,
        workers=2,
        thresholds={"checks{key:7}": "rate!=0.123", "any_counter{key:7}": "count>=1", "http_reqs{key:red}": "count>=1"},
        out=out,
        save="saved.fastload",
        html="report.html" if out else None,
    )
    assert summary.workers_lost == 0, summary.notes
    ended = summary.metrics["iterations"].count + summary.exceptions.total
    assert ended == len(every) * len(SINGLE)
    counts = summary.requests
    assert counts.started == counts.finished + counts.failed
    assert [note for note in summary.notes if "lost" in note or "output" in note] == []
    assert all(one.ok for one in summary.thresholds), summary.thresholds
    assert fl.summary_text(summary)
    assert json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    saved = fl.load_summary("saved.fastload")
    assert saved.metrics["iterations"].count == summary.metrics["iterations"].count
    for line in Path("points.json").read_text().splitlines() if out else ():
        json.loads(line)


SAFE = [name for name in _options_of("fl.run") if name not in ("duration", "iterations", "stages", "trace", "shape")]
SAFE = [name for name in SAFE if name not in ("paused", "rate", "start_rate", "warmup", "watch", "executor")]


@few
@example(name="seed", value="x")
@example(name="seed", value=np.int64(3))
@example(name="workers", value=float("nan"))
@example(name="control", value=5)
@example(name="outputs", value=["x"])
@given(name=st.sampled_from(SAFE), value=anything)
def test_a_run_with_any_option_ends_with_a_summary_or_does_not_begin(nginx: Nginx, name: str, value: Any) -> None:
    """Dozens of real runs, because a plan may pass and its workers fail."""
    given_values = {"base_url": nginx.url, "workers": 1, "vus": 1, "iterations": 2, name: value}
    try:
        summary = fl.run(visit, **given_values)
    except fl.PlanError:
        return
    assert summary.workers_lost == 0, summary.notes
    assert summary.metrics["iterations"].count + summary.exceptions.total in (1, 2) or name == "vus"
    assert fl.summary_text(summary)


def test_what_is_clamped_refused_or_declared_too_late_is_said(nginx: Nginx) -> None:
    duration, rows = fl.Trend("own_duration"), fl.Trend("rows", unit="rows")

    async def add(vu: fl.VU) -> None:
        await vu.get("/")
        for value in (-5, 3, 4e6, 4e6):
            duration.add(value)
        rows.add(1e20)
        if vu.iteration == 1:
            fl.Counter("late").add()

    summary = fl.run(add, vus=1, iterations=2, workers=1, base_url=nginx.url, out=["json=points.json"])
    notes = [note.partition(":")[0] for note in summary.notes]
    assert notes == [
        "6 of 8 values of own_duration were outside of its range, and count as 0 ms or 3,600,000 ms",
        "2 of 2 values of rows were outside of its range, and count as 1,000,000,000,000 rows",
    ]
    ((kind, (count, message)),) = summary.exceptions.entries.items()
    assert (kind, count) == ("PlanError", 1)
    assert message.endswith("metric 'late' is declared during the run; declare it at the top of the script")


def test_any_reason_aborts_the_test(nginx: Nginx) -> None:
    for reason in (None, SINGLE["hostile object"], {"a": 1}):

        async def end(vu: fl.VU, reason: Any = reason) -> None:
            await vu.get("/")
            fl.abort(reason)

        summary = fl.run(end, vus=1, duration="20s", workers=1, base_url=nginx.url)
        assert summary.stopped_by == "abort", summary.exceptions
