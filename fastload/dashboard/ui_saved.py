"""Saved runs for the list of `fastload ui`: those in the folder of ``--save``, whichever command wrote them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from fastload.control.commands.http_checks import RequestRefused
from fastload.dashboard.ui_reports import shown_name
from fastload.model.capacity.result import describe_search
from fastload.model.headline import has_only_open_models, headline_trend
from fastload.model.saved.codec import RunFileError
from fastload.model.saved.run_file import SUFFIX, load_ends
from fastload.model.saved.saved_plan import saved_plan
from fastload.outputs.page.truncation import cut
from fastload.outputs.streams.plain_summary import outcome_of

MOST_LISTED = 100
"""How many saved runs are listed, those that were written last."""
_MOST_SCENARIOS = 20
_STOPPED = {
    "interrupt": "interrupted",
    "abort": "aborted by the script",
    "no-answer": "nothing answered",
    "worker-loss": "a worker was lost",
    "threshold": "a threshold failed",
    "error": "the script raised",
}


class ListedRun(NamedTuple):
    """A file in the list. *stamp* changes with its content. *entry* is what the page shows of it."""

    path: Path
    stamp: tuple[int, int]
    entry: Mapping[str, Any]

    @property
    def started_at(self) -> datetime:
        return datetime.fromisoformat(self.entry["started_at"])


class SavedRuns:
    """The run files in *folder*, if there is one. Only their begins and ends are read, and again only after a change.

    A page knows a file by its id, a hash of its name; ids that are not of the list are refused. All methods may be
    called from any thread; they block.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._runs: dict[str, ListedRun] = {}

    def describe(self, without: Collection[Path]) -> dict[str, Any]:
        """Return all but the files *without*, the run that began last first, and how many older ones are left out."""
        left_out = self._read(without)
        runs = sorted(self._runs.values(), key=lambda one: one.started_at, reverse=True)
        return {
            "runs": [one.entry for one in runs],
            "left_out": left_out,
            "has_folder": self._folder is not None,
        }

    def find(self, run_id: str) -> ListedRun:
        """Return the run with that id.

        Raises:
            RequestRefused: 404, there is no such run in the list.
        """
        if run_id not in self._runs:
            self._read()
        if run_id not in self._runs:
            raise RequestRefused(HTTPStatus.NOT_FOUND, f"there is no saved run {run_id}", "GET /api/saved lists them")
        return self._runs[run_id]

    def _read(self, without: Collection[Path] = ()) -> int:
        """Bring the list up to date, and return how many older files it leaves out."""
        with self._lock:
            found = sorted((one for one in self._files() if one[-1] not in without), reverse=True)
            runs = {}
            for mtime_ns, size, path in found[:MOST_LISTED]:
                run_id = _id_of(path)
                run, stamp = self._runs.get(run_id), (mtime_ns, size)
                if run is None or run.stamp != stamp:
                    run = ListedRun(path, stamp, _entry(run_id, path, mtime_ns))
                runs[run_id] = run
            self._runs = runs
        return len(found) - len(runs)

    def _files(self) -> Iterable[tuple[int, int, Path]]:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"*{SUFFIX}"):
                # It may be gone by now.
                with contextlib.suppress(OSError):
                    found = path.stat()
                    yield found.st_mtime_ns, found.st_size, path


def run_figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a whole run that a list shows, of `Summary.to_dict`."""
    metrics, search = summary["metrics"], summary.get("capacity")
    requests, failed = metrics.get("http_reqs", {}), metrics.get("http_req_failed", {})
    headline = headline_trend("http_req_duration", only_open=has_only_open_models(summary["plan"]))
    return {
        "requests": requests.get("count", 0),
        # Over all steps of a search, whose loads differ, neither a rate nor a latency says anything.
        "requests_per_s": None if search else requests.get("rate", 0.0),
        "failed": failed.get("fails", 0),
        "verdict": summary["verdict"]["state"],
        "p95_ms": None if search else metrics.get(headline, {}).get("p(95)"),
        "capacity": search["headline"] if search else "",
    }


def load_words(plan: Mapping[str, Any]) -> list[str]:
    """Return the load of each scenario in words, of `Plan.to_dict`; of very many only the first."""
    saved = saved_plan(plan)
    if saved.capacity is not None:
        return [describe_search(saved.capacity)]
    scenarios = saved.scenarios
    words = [cut(f"{one.name}: {one.executor.describe()}") for one in scenarios[:_MOST_SCENARIOS]]
    more = len(scenarios) - len(words)
    return [*words, f"and {more} more"] if more else words


def _id_of(path: Path) -> str:
    return f"file-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}"


def _entry(run_id: str, path: Path, mtime_ns: int) -> dict[str, Any]:
    """Return what the page shows of the file: its figures, or why there are none (``damage``)."""
    named = {"id": run_id, "file": shown_name(path.name)}
    try:
        if named["file"] != path.name:
            raise RunFileError("its name is not UTF-8: rename it")
        ends = load_ends(path)
    except RunFileError as error:
        # The message names the whole path.
        damage = error.message.replace(repr(str(path)), "it")
        written_at = datetime.fromtimestamp(mtime_ns / 1e9, UTC).isoformat(timespec="seconds")
        return {**named, "started_at": written_at, "title": "", "load": [], "outcome": "damaged", "damage": damage}
    about = {
        **named,
        "started_at": ends.header.started_at,
        "title": cut(ends.header.title),
        "load": load_words(ends.header.plan),
        "damage": ends.damage,
    }
    if ends.summary is None:
        return {**about, "outcome": "damaged" if ends.damage else "incomplete"}
    return {
        **about,
        **run_figures(ends.summary),
        "outcome": outcome_of(ends.summary).lower(),
        "meaning": _meaning(ends.summary),
    }


def _meaning(summary: Mapping[str, Any]) -> str:
    """Return why the run failed, or ""."""
    if summary["passed"]:
        return ""
    if stopped := _STOPPED.get(summary["stopped_by"]):
        return stopped
    if any(worker["lost"] for worker in summary["workers"]):
        return "a worker was lost"
    if (search := summary.get("capacity")) and not search["meets_demand"]:
        return "the capacity that was asked for is not shown"
    return "a threshold failed" if not all(one["ok"] for one in summary["thresholds"]) else "the script raised"
