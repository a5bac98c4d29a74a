"""Replay of a saved run into sinks: they write the same files and data as during the run.

The sinks are called directly and not through a `SinkOutput`, which would drop seconds that come too fast for its sink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from functools import partial

import orjson

from fastload.model.errors import FastloadError, PlanError
from fastload.model.records import Snapshot
from fastload.model.saved.run_file import SavedRun
from fastload.model.timeline.timeline import METRICS, Timeline
from fastload.outputs.streams.base import SecondsNeeded, Sink
from fastload.outputs.streams.registry import (
    NamedSink,
    RequestedOutput,
    make_named_sink,
    name_and_argument,
    text_without_secrets,
)
from fastload.outputs.summary_json import dump_json

_LIVE = ("prometheus",)
"""Names of the outputs that other programs scrape during a run: they cannot show a saved run."""


def make_replay_sink(asked: RequestedOutput) -> NamedSink:
    """Create the requested sink for the replay of a saved run.

    Raises:
        PlanError: there is no such sink, its argument is wrong, its package is not installed, or it cannot take a saved
            run: it is scraped during a run, or needs points, which run files do not have.
    """
    name, _ = name_and_argument(asked.text)
    if name in _LIVE:
        raise PlanError(
            f"{asked.option} {name} is scraped while a run lasts, and a saved run is over",
            hint=f"give {asked.option} {name} to the run itself, or send the saved run with prometheus-rw",
        )
    one = make_named_sink(asked)
    if one.sink.wants_points:
        raise PlanError(
            f"{asked.option} {name} needs single requests, and a saved run has their histograms of each second",
            hint=f"give {asked.option} {name} to the run itself",
        )
    return one


def replay(run: SavedRun, sinks: Iterable[NamedSink]) -> list[str]:
    """Check all *sinks*, then pass the run to them second by second. Return one message for each sink that failed.

    A sink that fails is not called again.

    Raises:
        PlanError: a check failed; no sink has written anything then.
        RunFileError: a second of the run cannot be read.
    """
    left = list(sinks)
    for one in left:
        one.sink.check()
    troubles: list[str] = []
    needs = {id(one): _seconds_needed(one.sink) for one in left}
    left = [one for one in left if _try_action(one, troubles, lambda sink: sink.open(run.header))]
    try:
        for second in _read(run, set(needs.values())):
            write = partial(_write, second)
            left = [one for one in left if needs[id(one)] == "none" or _try_action(one, troubles, write)]
    except FastloadError:
        # They hold files and connections.
        for one in left:
            _try_action(one, troubles, lambda sink: sink.close(None))
        raise
    summary = run.summary_dict()
    for one in left:
        _try_action(one, troubles, lambda sink: sink.close(summary))
    return troubles


def summary_json(run: SavedRun) -> bytes:
    """Return the summary of *run* as JSON, byte for byte the file that ``--summary`` wrote during the run."""
    return dump_json(run.summary_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _seconds_needed(sink: Sink) -> SecondsNeeded:
    expect_summary: Callable[[], SecondsNeeded] | None = getattr(sink, "expect_summary", None)
    return "each" if expect_summary is None else expect_summary()


def _read(run: SavedRun, needs: Set[SecondsNeeded]) -> Iterable[Snapshot]:
    """The seconds of *run*, read in the quickest way that gives all sinks what they need."""
    if "each" in needs:
        return run.read()
    if needs <= {"none"}:
        return ()
    per_row = Timeline.seconds_per_row(len(run.seconds))
    return run.read(lambda number, *_: number // per_row, METRICS if "rows" not in needs else None)


def _write(second: Snapshot, sink: Sink) -> None:
    sink.write(second)


def _try_action(one: NamedSink, troubles: list[str], action: Callable[[Sink], None]) -> bool:
    """Run *action* with the sink, and return whether it succeeded; an error is added to *troubles*."""
    try:
        action(one.sink)
    except FastloadError as error:
        reason = error.message
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:
        # Sinks of other packages may raise anything; the other sinks must still get the run.
        reason = f"{type(error).__name__}: {error}"
    else:
        return True
    _, _, shown = text_without_secrets(f"{one.name}={one.argument}").partition("=")
    troubles.append(f"output {one.name} {shown!r} could not be written: {reason}")
    return False
