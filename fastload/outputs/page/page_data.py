"""The plain data of a page: the argument of the JavaScript functions ``fastload.render`` and ``fastload.update``.

``page_data`` returns all of it::

    {
      "version": 1,
      "kind": "report" or "live",
      "run": {"title", "base_url", "kind", "started_at", "run_id", "own_metrics": names of the script's metrics},
      "state": {"phase", "progress", "elapsed_s", "complete", "now": as Timeline.recent, while a run lasts},
      "summary": as Summary.to_dict, without histograms, series of samples and the cost; texts and tables are cut,
      "cost": the cost per request as `cost_words` has it, or null,
      "left_out": {table of the summary: number of rows that were cut, if any},
      "specs": {metric: [kind, unit]},
      "timeline": as Timeline.columns
    }

``fastload.render(data)`` renders a page once with these data. A live page then calls ``fastload.update(data)`` each
second, with the changes that `live_data` returns: the columns of ``timeline`` replace the rows from ``first`` on, keys
that do not change during a run are missing, and all other keys replace their old values. A browser that connects later
gets the whole data first.

The size of the data is bounded, whatever texts a script or a server supplies: long texts are cut (`MOST_NAME` and
others in ``truncation.py``), and tables have at most `MOST_TABLE_ROWS` rows, or fewer if the data are still too large.
The JSON summary has everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastload.model.metrics import BUILTIN
from fastload.model.run_header import RunHeader
from fastload.model.saved.saved_summary import cost_of_summary
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.cost_words import cost_words
from fastload.outputs.page.packed import pack_text
from fastload.outputs.page.truncation import (
    MOST_NAME,
    MOST_TABLE_ROWS,
    MOST_TEXT,
    cut,
    cut_keys,
    cut_summary,
    cut_texts,
)
from fastload.outputs.summary_json import dump_json

PAGE_VERSION = 1
MOST_PACKED_BYTES = 130_000
"""Largest size of a report's data as they are in its file: with all the rest, the file stays under 2 MB."""
MOST_FINAL_BYTES = 850_000
"""Largest size of the data of a live page when its run is over."""
MOST_LIVE_BYTES = 150_000
"""Largest size of one update of a live page, which each browser gets every second; the time line is not counted."""
_FEWER_ROWS = (MOST_TABLE_ROWS, 300, 100)
_FEWER_LIVE_ROWS = (200, 50, 10)
_FEWEST_POINTS = 50
_FIXED = ("plan", "versions", "machine", "started_at")
"""Keys of a summary that do not change during a run."""


def report_data(
    header: RunHeader, timeline: Timeline, summary: Mapping[str, Any], *, state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return `page_data` of a report, reduced to at most `MOST_PACKED_BYTES`.

    If the data are too large, tables get fewer rows, and then *timeline* is made coarser in place, but it is never
    reduced further once it has at most 50 rows.
    """
    while True:
        for most_rows in _FEWER_ROWS:
            data = page_data(header, timeline, summary, state=state, most_rows=most_rows)
            if len(pack_text(dump_json(data))) <= MOST_PACKED_BYTES:
                return data
        if len(timeline) <= _FEWEST_POINTS:
            return data
        timeline.halve()


def live_data(
    header: RunHeader,
    timeline: Timeline,
    summary: Mapping[str, Any],
    *,
    state: Mapping[str, Any],
    changes: bool = False,
) -> dict[str, Any]:
    """Return `page_data` of a live page.

    Tables get fewer rows if the data without the time line exceed `MOST_LIVE_BYTES`, or `MOST_FINAL_BYTES` when the run
    is over.

    *changes*: return only what changed since the last call: no `_FIXED` keys, no ``specs``, only ``run_id`` of ``run``,
    and only the new rows of *timeline*.
    """
    columns = timeline.take_changes() if changes else timeline.columns()
    is_over = bool(state.get("complete"))
    for most_rows in _FEWER_ROWS if is_over else _FEWER_LIVE_ROWS:
        data = page_data(header, columns, summary, kind="live", state=state, most_rows=most_rows)
        if changes:
            data = _changing(data)
        if len(dump_json(data | {"timeline": {}})) <= (MOST_FINAL_BYTES if is_over else MOST_LIVE_BYTES):
            break
    return data


def _changing(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: value for key, value in data.items() if key != "specs"},
        "run": {"run_id": data["run"]["run_id"]},
        "summary": {key: value for key, value in data["summary"].items() if key not in _FIXED},
    }


def page_data(
    header: RunHeader,
    timeline: Timeline | Mapping[str, Any],
    summary: Mapping[str, Any],
    *,
    kind: Literal["report", "live"] = "report",
    state: Mapping[str, Any] | None = None,
    most_rows: int = MOST_TABLE_ROWS,
) -> dict[str, Any]:
    """Return the data of a page (see the module).

    *timeline* is a `Timeline`, or what `Timeline.columns` returns. *summary* has the form of `Summary.to_dict`; for a
    run without an end, use `Replay.summary`. *state* is the state of a live run: ``phase``, ``progress`` (0..1),
    ``elapsed_s`` and ``complete`` (true when the run is over); a report is complete. *most_rows* is the limit of rows
    of each table.
    """
    shown, left_out = cut_summary(_shown(summary), most_rows)
    return {
        "version": PAGE_VERSION,
        "kind": kind,
        "run": {
            "title": cut(header.title, MOST_TEXT),
            "base_url": cut(header.base_url, MOST_TEXT),
            "kind": header.plan.get("kind", ""),
            "started_at": header.started_at,
            "run_id": header.run_id,
            "own_metrics": [cut(name) for name in header.specs if name not in BUILTIN],
        },
        "state": {"phase": "", "progress": 1.0, "elapsed_s": 0.0, "complete": kind == "report", **(state or {})},
        "summary": shown,
        "cost": cut_texts(cost_words(cost), MOST_NAME) if (cost := cost_of_summary(summary)) else None,
        "left_out": left_out,
        "specs": {cut(name): [spec.kind.value, spec.unit] for name, spec in header.specs.items()},
        "timeline": _named(timeline.columns() if isinstance(timeline, Timeline) else timeline),
    }


def _named(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return *columns* with the texts of phases and events, kinds of errors and names of endpoints cut."""
    texts = {name: cut_texts(columns[name], MOST_NAME) for name in ("phases", "events")}
    return {**columns, **texts, "errors": cut_keys(columns["errors"]), "endpoints": _labelled(columns["endpoints"])}


def _labelled(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the endpoints, each with a ``label`` of its own, like ``GET /users``; names are cut."""
    by_label = cut_keys({f"{line['method'] or 'call'} {line['name']}": line for line in endpoints["lines"]})
    lines = [{**line, "name": cut(line["name"]), "label": label} for label, line in by_label.items()]
    return {**endpoints, "lines": lines}


def _shown(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return *summary* without histograms, the cost, and the series of resource samples, which the time line has."""
    shown = {key: value for key, value in summary.items() if key not in ("histograms", "cost")}
    for key in ("host", "target"):
        if shown.get(key):
            shown[key] = {name: value for name, value in shown[key].items() if name != "series"}
    shown["workers"] = [_worker(worker) for worker in summary.get("workers", ())]
    return shown


def _worker(worker: Mapping[str, Any]) -> dict[str, Any]:
    """Return a worker without its series of samples.

    A worker that was never sampled gets None for all values. Such a worker has no series and 0 bytes of memory: a
    sampled process always uses memory.
    """
    used = worker["cpu_percent"]
    if not used.get("series") and not worker["rss_bytes"]:
        nothing = {"cpu_percent": {"mean": None, "max": None}, "run_delay_share": None, "rss_bytes": None}
        return {**worker, **nothing}
    return {**worker, "cpu_percent": {name: used[name] for name in ("mean", "max")}}
