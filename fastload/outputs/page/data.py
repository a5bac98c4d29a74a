"""What a page shows, as plain data: the one argument of ``fastload.render`` and ``fastload.update`` in the page.

``page_data`` gives the whole of it::

    {
      "version": 1,
      "kind": "report" or "live",
      "run": {"title", "base_url", "kind", "started_at", "run_id", "own_metrics": names of those of the script},
      "state": {"phase", "progress", "elapsed_s", "complete"},
      "summary": as Summary.to_dict, without its histograms and series of samples,
      "specs": {metric: [kind, unit]},
      "timeline": as Timeline.columns
    }

A page is rendered once with that (``fastload.render(data)``). What is live calls ``fastload.update(data)`` each second
with the same, where ``timeline`` may be `Timeline.take_changes`: its columns replace the rows from ``first`` on, and
everything else replaces what there was. Who comes in the middle is given `Timeline.columns` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastload.model.header import Header
from fastload.model.metrics import BUILTIN
from fastload.model.timeline import Timeline

PAGE_VERSION = 1


def page_data(
    header: Header,
    timeline: Timeline,
    summary: Mapping[str, Any],
    *,
    kind: Literal["report", "live"] = "report",
    state: Mapping[str, Any] | None = None,
    changes: bool = False,
) -> dict[str, Any]:
    """The data of a page.

    *summary* is in the form of `Summary.to_dict` (of a run without an end, `Replay.summary`). *state* says how a live
    run stands: ``phase``, ``progress`` (0..1), ``elapsed_s`` and ``complete`` (true when it is over); a report's is
    complete. *changes*: only the rows that are new since the last such call, for ``fastload.update``.
    """
    return {
        "version": PAGE_VERSION,
        "kind": kind,
        "run": {
            "title": header.title,
            "base_url": header.base_url,
            "kind": header.plan.get("kind", ""),
            "started_at": header.started_at,
            "run_id": header.run_id,
            "own_metrics": [name for name in header.specs if name not in BUILTIN],
        },
        "state": {"phase": "", "progress": 1.0, "elapsed_s": 0.0, "complete": kind == "report", **(state or {})},
        "summary": _shown(summary),
        "specs": {name: [spec.kind.value, spec.unit] for name, spec in header.specs.items()},
        "timeline": timeline.take_changes() if changes else timeline.columns(),
    }


def _shown(summary: Mapping[str, Any]) -> dict[str, Any]:
    """*summary* without what the timeline has, or what nobody could read."""
    shown = {key: value for key, value in summary.items() if key != "histograms"}
    for key in ("host", "target"):
        if shown.get(key):
            shown[key] = {name: value for name, value in shown[key].items() if name != "series"}
    shown["workers"] = [
        worker | {"cpu_percent": {name: worker["cpu_percent"][name] for name in ("mean", "max")}}
        for worker in summary.get("workers", ())
    ]
    return shown
