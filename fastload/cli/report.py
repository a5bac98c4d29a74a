"""``fastload report``: every report of a run that was saved."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click

from fastload.cli.exits import ExitCode
from fastload.model.errors import PlanError
from fastload.model.run_file import SavedRun, load_run, run_result
from fastload.outputs.base import mute, writing
from fastload.outputs.files import check_file, replace_file
from fastload.outputs.replayed import Named, named_sink, replay, summary_json
from fastload.outputs.report import SummaryReport
from fastload.outputs.streams.registry import name_and_argument
from fastload.outputs.terminal import open_console

STDOUT = "-"
_ONE_FILE = ("html", "md", "junit", "hlog")
"""The outputs that are one file each: they may go to stdout."""


class Wanted(NamedTuple):
    """A report that was asked for: *option* as it was written, the output's *name*, and *where* it goes."""

    option: str
    name: str
    where: str


@click.command(short_help="Make reports of a saved run.")
@click.argument("run", metavar="RUN")
@click.option("--html", metavar="FILE", help="A page with charts, in one file.")
@click.option("--md", metavar="FILE", help="A report in Markdown.")
@click.option("--junit", metavar="FILE", help="Thresholds and checks as JUnit XML.")
@click.option("--csv", metavar="PREFIX", help="Locust's four CSV files: PREFIX_stats.csv and so on.")
@click.option("--json", "as_json", metavar="FILE", help="The summary as JSON.")
@click.option("--hlog", metavar="FILE", help="A histogram log of HdrHistogram.")
@click.option("--summary", metavar="FILE", help="The summary as JSON, as the option of a run.")
@click.option("--out", metavar="NAME[=WHERE]", multiple=True, help="Another output, as of a run. Repeatable.")
def report(
    run: str,
    html: str | None,
    md: str | None,
    junit: str | None,
    csv: str | None,
    as_json: str | None,
    hlog: str | None,
    summary: str | None,
    out: tuple[str, ...],
) -> int:
    """Make reports of RUN, a file that --save wrote. Without options, print the report of the run's end.

    A FILE of - is stdout. A run that broke off has reports too: of the seconds that are in its file.

    \b
    Examples:
      fastload report runs/today.fastload
      fastload report runs/today.fastload --html report.html --junit junit.xml
      fastload report runs/today.fastload --md -
      fastload report runs/today.fastload --out influxdb=http://localhost:8086/load
    """
    saved = load_run(run)
    given = {"html": html, "md": md, "junit": junit, "locust": csv, "hlog": hlog}
    wanted = [
        Wanted("--csv" if name == "locust" else f"--{name}", name, where)
        for name, where in given.items()
        if where is not None
    ]
    wanted += [Wanted("--out", *name_and_argument(text)) for text in out]
    summaries = {option: where for option, where in (("--json", as_json), ("--summary", summary)) if where is not None}
    if not wanted and not summaries:
        SummaryReport(open_console(sys.stdout)).stop(run_result(saved))
        return ExitCode.OK
    return _write(saved, wanted, summaries)


def _write(run: SavedRun, wanted: list[Wanted], summaries: Mapping[str, str]) -> ExitCode:
    """All reports, or none when one of them cannot be."""
    to_stdout = [one.option for one in wanted if one.where == STDOUT]
    to_stdout += [option for option, where in summaries.items() if where == STDOUT]
    if len(to_stdout) > 1:
        raise PlanError(f"{' and '.join(to_stdout)} would both go to stdout", hint="write one of them to a file")
    for option, where in summaries.items():
        if where != STDOUT:
            check_file(Path(where), option, example="summary.json")
    with tempfile.TemporaryDirectory(prefix="fastload-") as folder:
        beside = Path(folder, "report")
        troubles = replay(run, list(_sinks(wanted, beside)))
        if beside.exists():
            _print(beside.read_bytes())
    for option, where in summaries.items():
        _write_summary(run, option, where)
    # Said in the reports too, but who asks for files does not see them.
    sys.stderr.writelines(f"Note: {note}\n" for note in run.notes)
    sys.stderr.writelines(f"Error: {trouble}\n" for trouble in troubles)
    return ExitCode.INVALID if troubles else ExitCode.OK


def _sinks(wanted: list[Wanted], beside: Path) -> Iterator[Named]:
    """The sinks, with *beside* for the one that goes to stdout: outputs replace files, and stdout is none."""
    for one in wanted:
        if one.where != STDOUT:
            yield named_sink(one.name, one.where, option=one.option)
        elif one.name in _ONE_FILE:
            yield named_sink(one.name, str(beside), option=one.option)
        else:
            what = f"--out {one.name}" if one.option == "--out" else one.option
            raise PlanError(f"{what} cannot go to stdout", hint=f"of one file are {', '.join(_ONE_FILE)}")


def _write_summary(run: SavedRun, option: str, where: str) -> None:
    data = summary_json(run)
    if where == STDOUT:
        _print(data)
        return
    with writing(f"{option} {where!r}"):
        replace_file(Path(where), data)


def _print(data: bytes) -> None:
    """*data* on stdout; a reader that went away is no error."""
    with writing("stdout", last_to=sys.stdout):
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            mute(sys.stdout)
