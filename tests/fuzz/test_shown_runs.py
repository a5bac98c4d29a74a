"""What is shown of saved runs with anything in them: the text of each output, without the page around it.

`test_run_files.py` runs the whole commands, of which each case takes a tenth of a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from fastload.cli.compare import _load_one as load_side
from fastload.dashboard.live_run import LiveRun
from fastload.model.compare.batches import BatchedRun
from fastload.model.compare.comparison import ComparisonSide, compare_sides
from fastload.model.saved.run_file import SavedRun, load_run, load_summary
from fastload.model.timeline.timeline import Timeline
from fastload.outputs.compare.json_output import comparison_json
from fastload.outputs.compare.markdown import comparison_markdown
from fastload.outputs.compare.page import comparison_data
from fastload.outputs.page.page_data import report_data
from fastload.outputs.page.render import json_in_html
from fastload.outputs.saved_run import summary_json
from fastload.outputs.streams.junit import render_junit
from fastload.outputs.streams.markdown_report import render_markdown
from fastload.outputs.terminal.report import summary_text
from tests.fuzz.parsing import fuzz
from tests.fuzz.run_files import file_of, hostile, hostile_search, searched, small
from tests.fuzz.source import Source


def _text(run: SavedRun) -> None:
    assert summary_text(run.to_summary()).strip()


def _markdown(run: SavedRun) -> None:
    assert render_markdown(run.header, run.summary_dict()).startswith("# ")


def _junit(run: SavedRun) -> None:
    assert ElementTree.fromstring(render_junit(run.header, run.summary_dict())).tag == "testsuites"


def _json(run: SavedRun) -> None:
    assert isinstance(json.loads(summary_json(run)), dict)


def _page(run: SavedRun) -> None:
    timeline = Timeline(run.header)
    for second in run.seconds:
        timeline.add(second)
    assert "</script" not in json_in_html(report_data(run.header, timeline, run.summary_dict()))


def _live(run: SavedRun) -> None:
    live = LiveRun(run.header)
    for second in run.seconds:
        live.add(second)
        json.loads(live.message_after(0)[1].partition(b"data: ")[2].partition(b"\n")[0] or b"{}")
    live.end(run.summary_dict() if run.complete else None)
    assert live.data()


def _comparison(path: Path, known: tuple[BatchedRun, Timeline], source: Source) -> None:
    made = load_side(path, "made", with_charts=True)
    sides = [known, made] if source.randrange(2) else [made, known]
    comparison = compare_sides([ComparisonSide(run.name, [run]) for run, _ in sides])
    assert comparison_markdown(comparison)
    assert json.loads(comparison_json(comparison))
    assert json_in_html(comparison_data(comparison, [[timeline] for _, timeline in sides]))


_SHOWN: tuple[Callable[[SavedRun], None], ...] = (_text, _markdown, _junit, _json, _page, _live)


def test_any_search_is_shown_and_compared_or_an_error(tmp_path: Path) -> None:
    records, path = searched(), tmp_path / "hostile.fastload"
    known = load_side(file_of(tmp_path / "known.fastload", records), "known", with_charts=True)

    def run(source: Source) -> None:
        show = source.choice((_text, _markdown, _junit, _json, _page, None))
        file_of(path, hostile_search(records, source))
        # Each is read; to show a search takes five times as long as other runs do.
        if source.randrange(5):
            load_summary(path)
        elif show is None:
            _comparison(path, known, source)
        else:
            show(load_run(path))

    fuzz(run)


def test_any_saved_run_is_shown_and_compared_or_an_error(tmp_path: Path) -> None:
    records, path = small(), tmp_path / "hostile.fastload"
    known = load_side(file_of(tmp_path / "known.fastload", records), "known", with_charts=True)

    def run(source: Source) -> None:
        show = source.choice((*_SHOWN, None))
        file_of(path, hostile(records, source))
        if show is None:
            _comparison(path, known, source)
        else:
            show(load_run(path))

    fuzz(run)
