"""``fastload compare``: compares saved runs with a baseline, and reports differences and what may be chance."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from fastload.cli.exit_codes import ExitCode
from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.comparison import (
    MOST_SIDES,
    Comparison,
    ComparisonSide,
    compare_sides,
)
from fastload.model.errors import PlanError
from fastload.model.saved.run_file import SUFFIX, load_run
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.base import writing
from fastload.outputs.compare.json_output import comparison_json
from fastload.outputs.compare.markdown import comparison_markdown
from fastload.outputs.compare.page import MOST_CHART_ENDPOINTS, MOST_CHART_ROWS, comparison_page
from fastload.outputs.compare.text import print_comparison
from fastload.outputs.destinations import WrittenFile, check_distinct_files
from fastload.outputs.file_locks import FileLocks
from fastload.outputs.files import check_file, is_stdout, replace_file
from fastload.outputs.terminal.console import open_console

FAIL_ON = ("worse", "any", "never")
_NAMED_DIFFERENCES = 3


@click.command(short_help="Compare saved runs with a baseline.")
@click.argument("baseline", metavar="BASELINE")
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1)
@click.option(
    "--margin",
    metavar="PERCENT",
    help="Differences below this count as none.  [default: 5%; 1% where all runs are repeated]",
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default=FAIL_ON[0],
    show_default=True,
    help="Exit 99 when the headline is worse; with any, also when a detail is.",
)
@click.option("--force", is_flag=True, help="Compare runs of different plans, too.")
@click.option("--all", "everything", is_flag=True, help="Print also the details without a difference.")
@click.option("--html", metavar="FILE.html", help="Write a page with overlaid charts.")
@click.option("--md", metavar="FILE.md", help="Write Markdown, for a pull request.")
@click.option("--json", "as_json", metavar="FILE.json", help="Write everything as JSON.")
def compare(
    baseline: str,
    candidates: tuple[str, ...],
    margin: str | None,
    fail_on: str,
    *,
    force: bool,
    everything: bool,
    html: str | None,
    md: str | None,
    as_json: str | None,
) -> int:
    """Compare saved runs with a BASELINE: what is better, what is worse, and what may be chance.

    Each is a file that --save wrote, or a directory with several of them: repeated runs of one thing, which say how
    much runs vary. A FILE of - is stdout, in place of the text.

    The exit code is 0 when nothing is worse, 99 when something is (see --fail-on), and 104 when the runs cannot be
    compared: different plans, or too little in them.

    \b
    Examples:
      fastload compare before.fastload after.fastload
      fastload compare before/ after/ --html compare.html
      fastload compare main.fastload this.fastload --md - --fail-on never
    """
    files = {"--html": html, "--md": md, "--json": as_json}
    least = None if margin is None else _margin(margin)
    _check_files(files, (baseline, *candidates))
    loaded = _load((baseline, *candidates), with_charts=html is not None)
    comparison = compare_sides([side for side, _ in loaded], margin=least)
    if comparison.issues.refusals and not force:
        raise _refused(comparison)
    with FileLocks().take(WrittenFile(option, file) for option, file in files.items() if file):
        _write(files, comparison, [timelines for _, timelines in loaded])
    if not any(file and is_stdout(file) for file in files.values()):
        print_comparison(open_console(sys.stdout), comparison, everything=everything)
    return _exit_code(comparison, fail_on)


def _exit_code(comparison: Comparison, fail_on: str) -> ExitCode:
    if fail_on == "never":
        return ExitCode.OK
    if comparison.verdict == "worse" or (fail_on == "any" and comparison.detail_verdict == "worse"):
        return ExitCode.THRESHOLDS_FAILED
    return ExitCode.OK if comparison.verdict else ExitCode.INVALID


def _margin(text: str) -> float:
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent < 100:
        raise PlanError(f"--margin {text!r} is not a percentage from 0 to below 100", hint="write it like 2%")
    return percent / 100


def _check_files(files: Mapping[str, str | None], runs: Sequence[str]) -> None:
    """Check, before any run is read, that *files* can be written and that none of them is one of *runs*."""
    read = {str(file): "a run that is compared" for run in runs for file in _files(Path(run))}
    written = [WrittenFile(option, file) for option, file in files.items() if file]
    check_distinct_files(written, read)
    for option, file, _ in written:
        check_file(Path(file), option, example=f"compare.{option.removeprefix('--')}")


def _load(paths: Sequence[str], *, with_charts: bool) -> list[tuple[ComparisonSide, list[Timeline]]]:
    """Return the sides, each with the time lines of its runs. Time lines stay empty unless *with_charts*.

    Raises:
        PlanError: there are fewer than two or too many sides, a directory has no run, or a run is given twice.
        RunFileError: a file is not a run file, or cannot be read.
    """
    if len(paths) < 2:
        raise PlanError("there is only one run to compare", hint="give a baseline and a candidate: compare A B")
    if len(paths) > MOST_SIDES:
        hint = "put repeated runs of one thing into a directory, and give that"
        raise PlanError(f"{len(paths)} are too many to compare: {MOST_SIDES} at most", hint=hint)
    names = _names([Path(path) for path in paths])
    loaded, seen = [], dict[str, str]()
    for path, side_name in zip(map(Path, paths), names, strict=True):
        runs, timelines = [], []
        for file in _files(path):
            run, timeline = _load_one(
                file, side_name if file == path else f"{side_name}{file.name.removesuffix(SUFFIX)}", with_charts
            )
            if before := seen.get(run.header.run_id):
                same = "given twice" if str(file) == before else f"the same run as {before!r}"
                raise PlanError(f"{str(file)!r} is {same}", hint="give each run once")
            seen[run.header.run_id] = str(file)
            runs.append(run)
            timelines.append(timeline)
        loaded.append((ComparisonSide(side_name, runs), timelines))
    return loaded


def _load_one(file: Path, name: str, with_charts: bool) -> tuple[BatchedRun, Timeline]:
    saved = load_run(file)
    run = BatchedRun(name, saved.header, saved.summary_dict(), complete=saved.complete)
    endpoints = MOST_CHART_ENDPOINTS if with_charts else 0
    timeline = Timeline(saved.header, most_rows=MOST_CHART_ROWS, most_endpoints=endpoints)
    # A row of a time line, and a batch, gets the same sums however its seconds are pooled.
    per_row = Timeline.seconds_per_row(len(saved.seconds), MOST_CHART_ROWS) if with_charts else len(saved.seconds) + 1
    for second in saved.read(lambda number, t_s, span_s: (number // per_row, run.part_of(t_s, span_s))):
        run.add(second)
        if with_charts:
            timeline.add(second)
    return run, timeline


def _files(path: Path) -> Iterable[Path]:
    """Return *path*, or the run files in it if *path* is a directory."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"*{SUFFIX}"))
    if not found:
        hint = f"runs are saved there with: fastload run SCRIPT.py --save {path}/"
        raise PlanError(f"there is no run in the directory {str(path)!r}", hint=hint)
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each side: the last part of its path; the whole paths if these are not unique or empty."""
    whole = [f"{path}/" if path.is_dir() else str(path).removesuffix(SUFFIX) for path in paths]
    own = [f"{path.name}/" if path.is_dir() else path.name.removesuffix(SUFFIX) for path in paths]
    return own if len(set(own)) == len(own) and "/" not in own else whole


def _refused(comparison: Comparison) -> PlanError:
    found = comparison.issues.refusals
    left = len(found) - _NAMED_DIFFERENCES
    more = f" (and {left} more difference{'s' * (left > 1)})" if left > 0 else ""
    return PlanError(
        f"these are runs of different plans: {'; '.join(found[:_NAMED_DIFFERENCES])}{more}",
        hint="compare runs of one plan, or give --force to compare them all the same",
    )


def _write(files: Mapping[str, str | None], comparison: Comparison, timelines: Sequence[Sequence[Timeline]]) -> None:
    for option, file in files.items():
        if not file:
            continue
        if option == "--html":
            data = comparison_page(comparison, timelines)
        elif option == "--md":
            data = comparison_markdown(comparison).encode()
        else:
            data = comparison_json(comparison)
        with writing(f"{option} {file!r}"):
            replace_file(Path(file), data)
