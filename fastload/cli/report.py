"""``fastload report``: makes reports of every kind from a saved run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fastload.cli.exit_codes import ExitCode
from fastload.model.saved.run_file import SavedRun, load_run
from fastload.outputs.base import writing
from fastload.outputs.destinations import WrittenFile, check_distinct_files
from fastload.outputs.file_locks import FileLocks
from fastload.outputs.files import check_file, replace_file
from fastload.outputs.saved_run import make_replay_sink, replay, summary_json
from fastload.outputs.streams.registry import NamedSink, RequestedOutput
from fastload.outputs.terminal.console import open_console
from fastload.outputs.terminal.report import SummaryReport


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
    given = {"html": html, "md": md, "junit": junit, "csv": csv, "hlog": hlog}
    asked = [
        RequestedOutput(f"--{option}", f"{'locust' if option == 'csv' else option}={where}")
        for option, where in given.items()
        if where is not None
    ]
    asked += [RequestedOutput("--out", text) for text in out]
    files = (("--json", as_json), ("--summary", summary))
    summaries = [WrittenFile(option, where) for option, where in files if where is not None]
    if not asked and not summaries:
        SummaryReport(open_console(sys.stdout)).stop(saved.to_summary())
        return ExitCode.OK
    sinks = [make_replay_sink(one) for one in asked]
    written = [*(file for one in sinks for file in one.written), *summaries]
    check_distinct_files(written, {run: "the run that is read"})
    with FileLocks().take(written):
        return _write(saved, sinks, summaries)


def _write(run: SavedRun, sinks: list[NamedSink], summaries: list[WrittenFile]) -> ExitCode:
    """Check all reports first, so that none is written if one cannot work; then write them."""
    for option, where, _ in summaries:
        check_file(Path(where), option, example="summary.json")
    troubles = replay(run, sinks)
    for option, where, _ in summaries:
        with writing(f"{option} {where!r}"):
            replace_file(Path(where), summary_json(run))
    # The reports contain these notes too, but a user who writes files does not see the text of the reports.
    sys.stderr.writelines(f"Note: {note}\n" for note in run.notes)
    sys.stderr.writelines(f"Error: {trouble}\n" for trouble in troubles)
    return ExitCode.INVALID if troubles else ExitCode.OK
