"""What a page shows, as plain data: the one argument of ``fastload.render`` and ``fastload.update`` in the page.

``page_data`` gives the whole of it::

    {
      "version": 1,
      "kind": "report" or "live",
      "run": {"title", "base_url", "kind", "started_at", "run_id", "own_metrics": names of those of the script},
      "state": {"phase", "progress", "elapsed_s", "complete"},
      "summary": as Summary.to_dict, without its histograms and series of samples, its texts and tables cut,
      "left_out": {table of the summary: how many rows it has more, if any},
      "specs": {metric: [kind, unit]},
      "timeline": as Timeline.columns
    }

A page is rendered once with that (``fastload.render(data)``). What is live calls ``fastload.update(data)`` each second
with `live_data` of the changes: the columns of ``timeline`` replace the rows from ``first`` on, what does not change in
a run is left out, and everything else replaces what there was. Who comes in the middle is given all of it first.

The page is small whatever a script or a server says: long texts are cut (`MOST_NAME` and others in ``cut.py``), tables
have at most `MOST_ROWS` rows, and fewer when these are too much. The summary itself has everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastload.model.metrics import BUILTIN
from fastload.model.run_header import RunHeader
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.page.render import json_in_html
from fastload.outputs.page.truncation import MOST_NAME, MOST_ROWS, MOST_TEXT, cut, cut_keys, cut_summary, cut_texts
from fastload.outputs.summary_json import dump_json

PAGE_VERSION = 1
MOST_BYTES = 850_000
"""Of the data of a report: with its scripts and styles that is under 1 MB, beside the chart library."""
MOST_LIVE_BYTES = 150_000
"""Of what everybody who watches gets each second, without the rows of the timeline."""
_FEWER_ROWS = (MOST_ROWS, 300, 100)
_FEWER_LIVE_ROWS = (200, 50, 10)
_FEWEST_POINTS = 50
_FIXED = ("plan", "versions", "machine", "started_at")
"""What of a summary is the same in each second."""


def report_data(
    header: RunHeader, timeline: Timeline, summary: Mapping[str, Any], *, state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """As `page_data`, within `MOST_BYTES`: with fewer rows of tables if need be, and then with a coarser *timeline*,
    which is changed."""
    while True:
        for most_rows in _FEWER_ROWS:
            data = page_data(header, timeline, summary, state=state, most_rows=most_rows)
            if len(json_in_html(data).encode()) <= MOST_BYTES:
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
    """As `page_data` of a live page. While the run lasts, tables have fewer rows if all but the timeline would be more
    than `MOST_LIVE_BYTES`; in the end it has as much as a report.

    *changes*: without what the call before had already, which is `_FIXED`, most of ``run``, ``specs`` and all but the
    new rows of *timeline*.
    """
    columns = timeline.take_changes() if changes else timeline.columns()
    is_over = bool(state.get("complete"))
    for most_rows in _FEWER_ROWS if is_over else _FEWER_LIVE_ROWS:
        data = page_data(header, columns, summary, kind="live", state=state, most_rows=most_rows)
        if changes:
            data = _changing(data)
        if len(dump_json(data | {"timeline": {}})) <= (MOST_BYTES if is_over else MOST_LIVE_BYTES):
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
    most_rows: int = MOST_ROWS,
) -> dict[str, Any]:
    """The data of a page.

    *timeline* may be its columns, if they are at hand. *summary* is in the form of `Summary.to_dict` (of a run without
    an end, `Replay.summary`). *state* says how a live run stands: ``phase``, ``progress`` (0..1), ``elapsed_s`` and
    ``complete`` (true when it is over); a report's is complete. *most_rows*: of each table.
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
        "left_out": left_out,
        "specs": {cut(name): [spec.kind.value, spec.unit] for name, spec in header.specs.items()},
        "timeline": _named(timeline.columns() if isinstance(timeline, Timeline) else timeline),
    }


def _named(columns: Mapping[str, Any]) -> dict[str, Any]:
    """*columns* with their names and texts cut."""
    texts = {name: cut_texts(columns[name], MOST_NAME) for name in ("phases", "events")}
    return {**columns, **texts, "errors": cut_keys(columns["errors"])}


def _shown(summary: Mapping[str, Any]) -> dict[str, Any]:
    """*summary* without what the timeline has, or what nobody could read."""
    shown = {key: value for key, value in summary.items() if key != "histograms"}
    for key in ("host", "target"):
        if shown.get(key):
            shown[key] = {name: value for name, value in shown[key].items() if name != "series"}
    shown["workers"] = [_worker(worker) for worker in summary.get("workers", ())]
    return shown


def _worker(worker: Mapping[str, Any]) -> dict[str, Any]:
    """A worker without its series; None for what was never sampled. A process that was has memory."""
    used = worker["cpu_percent"]
    if not used.get("series") and not worker["rss_bytes"]:
        nothing = {"cpu_percent": {"mean": None, "max": None}, "run_delay_share": None, "rss_bytes": None}
        return {**worker, **nothing}
    return {**worker, "cpu_percent": {name: used[name] for name in ("mean", "max")}}
