"""Text files that users hand in are UTF-8, with or without a mark; other encodings are named."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastload as fl
from fastload.convert.documents import convert
from fastload.convert.visits import RecordingFilter
from fastload.load.script.trace_files import read_trace
from fastload.model.errors import PlanError
from fastload.model.file_text import utf8_text
from fastload.planning.config_files import file_tier, project_tiers

HAR = '{"log": {"version": "1.2", "creator": {"name": "a", "version": "1"}, "entries": []}}'
FILES = {
    "fastload.toml": "vus = 7\n",
    "pyproject.toml": "[tool.fastload]\nvus = 7\n",
    "k6.json": '{"vus": 7, "duration": "3s"}\n',
    "starts.txt": "0\n0.5 ü\n",
    "rows.csv": "name,town\nAda,Zürich\n",
    "rows.json": '[{"name": "Ada", "town": "Zürich"}]',
    "rows.jsonl": '{"name": "Ada", "town": "Zürich"}\n',
    "api.yaml": "openapi: 3.0.0\ninfo: {title: a, version: '1'}\nservers: [{url: 'http://127.0.0.1'}]\n"
    "paths:\n  /a:\n    get: {responses: {'200': {description: ok}}}\n",
}


def read(path: Path) -> object:
    """Return what fastload reads in the file at *path*, in the way that its name asks for."""
    match path.name:
        case "fastload.toml" | "pyproject.toml":
            return [tier.options["vus"] for tier in project_tiers(path.parent)]
        case "k6.json":
            return sorted(file_tier(str(path), option="--config").options)
        case "starts.txt":
            return list(read_trace(str(path)).due_ns)
        case "api.yaml":
            return convert(path, "script.py", RecordingFilter()).text
        case _:
            return list(fl.data(path))


@pytest.mark.parametrize("name", FILES)
def test_a_byte_order_mark_is_no_part_of_any_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], "utf-8")
    plain = read(path)
    assert plain
    path.write_text(FILES[name], "utf-8-sig")
    assert read(path) == plain


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_another_encoding_is_named(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding)
    with pytest.raises(PlanError, match=rf"{name}.* is {encoding[:6].upper()} text, and only UTF-8 is read") as caught:
        read(path)
    assert "iconv" in caught.value.hint


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_utf_8_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\n\n" + FILES[name].encode() + "\ntown = 'Zürich'".encode("latin-1"))
    with pytest.raises(PlanError):
        read(path)
    with pytest.raises(PlanError, match=r"a\.txt cannot be read: it is not UTF-8 text \(line 3\)"):
        utf8_text(b"a\nb\n\xfc", "a.txt")


@pytest.mark.parametrize("data", [b"", b"a", b"\0", b"\xef\xbb\xbf", b"\0\0\0\0", b"a\0", b"\xef\xbb\xbfa"])
def test_short_files_are_utf_8(data: bytes) -> None:
    assert utf8_text(data, "a").encode() == data.removeprefix(b"\xef\xbb\xbf")


def test_long_fields_of_csv_are_read_and_the_limit_of_the_script_stays(tmp_path: Path) -> None:
    import csv

    path, limit, long = tmp_path / "a.csv", csv.field_size_limit(), "x" * 400_000
    path.write_text(f'name,text\nAda,"{long}"\nBob,b\n')
    assert list(fl.data(path)) == [{"name": "Ada", "text": long}, {"name": "Bob", "text": "b"}]
    assert csv.field_size_limit() == limit


def test_an_open_quote_is_told_with_the_line_where_its_row_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,text\nAda,a\n" + 'Bob,"b\n' + "Eve,e\n" * 50_000)
    with pytest.raises(PlanError, match=r"a\.csv, line 3: unexpected end of data") as caught:
        list(fl.data(path))
    assert "double quote" in caught.value.hint
