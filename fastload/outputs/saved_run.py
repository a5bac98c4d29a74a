"""A saved run given to sinks, as if it were running: what they write is what they would have written then.

There is no stream between them: it would drop seconds that come faster than its sink takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import orjson

from fastload.model.errors import FastloadError, PlanError
from fastload.model.records import Snapshot
from fastload.model.saved.run_file import SavedRun
from fastload.outputs.streams.base import Sink
from fastload.outputs.streams.registry import NamedSink, RequestedOutput, make_named, name_and_argument, shown_text
from fastload.outputs.summary_json import dump_json

_LIVE = ("prometheus",)
"""Outputs that are asked while a run lasts."""


def named_sink(asked: RequestedOutput) -> NamedSink:
    """The sink that is asked for, which takes a saved run.

    Raises:
        PlanError: there is no such sink, its argument is wrong, its package is not installed, or it needs what is not
            saved.
    """
    name, _ = name_and_argument(asked.text)
    if name in _LIVE:
        raise PlanError(
            f"{asked.option} {name} is scraped while a run lasts, and a saved run is over",
            hint=f"give {asked.option} {name} to the run itself, or send the saved run with prometheus-rw",
        )
    one = make_named(asked)
    if one.sink.wants_points:
        raise PlanError(
            f"{asked.option} {name} needs single requests, and a saved run has their histograms of each second",
            hint=f"give {asked.option} {name} to the run itself",
        )
    return one


def replay(run: SavedRun, sinks: Iterable[NamedSink]) -> list[str]:
    """Check all of *sinks*, then give them the run; what went wrong with which of them, in words.

    One that fails is left out from then on.

    Raises:
        PlanError: one cannot work: nothing was written then.
        RunFileError: a second of the run cannot be read.
    """
    left = list(sinks)
    for one in left:
        one.sink.check()
    troubles: list[str] = []
    left = [one for one in left if _tell(one, troubles, lambda sink: sink.open(run.header))]
    for second in run.seconds:
        write = partial(_write, second)
        left = [one for one in left if _tell(one, troubles, write)]
    summary = run.summary_dict()
    for one in left:
        _tell(one, troubles, lambda sink: sink.close(summary))
    return troubles


def summary_json(run: SavedRun) -> bytes:
    """The summary of *run*, to the byte what ``--summary`` of the run wrote."""
    return dump_json(run.summary_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _write(second: Snapshot, sink: Sink) -> None:
    sink.write(second)


def _tell(one: NamedSink, troubles: list[str], action: Callable[[Sink], None]) -> bool:
    """Whether *one* could do *action*."""
    try:
        action(one.sink)
    except FastloadError as error:
        reason = error.message
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:
        # A sink may be anybody's: one that is wrong must not cost the others their report.
        reason = f"{type(error).__name__}: {error}"
    else:
        return True
    _, _, shown = shown_text(f"{one.name}={one.argument}").partition("=")
    troubles.append(f"output {one.name} {shown!r} could not be written: {reason}")
    return False
