"""``fl.data``: every format, every way to take a row, what is refused, and that rows are shared by the workers."""

from __future__ import annotations

import csv
import decimal
import inspect
import io
import json
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastload as fl
from fastload.load.script import data_set
from fastload.load.script.data_files import READERS
from fastload.load.script.data_set import assign_rows
from fastload.targets import RunningTarget
from tests.conftest import REPO, Cli, cli_env
from tests.test_docs import first_column, section

ANN, BOB = {"name": "ann", "age": 31}, {"name": "bob", "age": 44}
CSV = "name,age\nann,31\nbob,44\n"

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.sampled_from(["[1]", '","', "]", "\n", ", "])
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """`assign_rows` makes the process a worker's: not this one, for longer than a test."""
    monkeypatch.setattr(data_set, "_is_worker", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("data")


def load(path: Path, content: str | bytes, **options: Any) -> fl.DataSet:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return fl.data(path, **options)


def refusal(path: Path, content: str | bytes, **options: Any) -> fl.PlanError:
    with pytest.raises(fl.PlanError) as caught:
        load(path, content, **options)
    assert caught.value.message.startswith(str(path)) or f" of {path}" in caught.value.message
    caught.value.message = caught.value.message.replace(str(path), path.name)
    return caught.value


def user(number: int = 1, seed: int = 1) -> fl.VU:
    """What a data set asks of a VU."""
    return cast(fl.VU, SimpleNamespace(id=number, random=Random(seed)))


class TestFormats:
    def test_json(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.json", json.dumps([ANN, BOB], indent=2))
        assert list(rows) == [ANN, BOB]
        assert rows.format == "json"

    @given(rows=st.lists(VALUES, min_size=1, max_size=6), indent=st.sampled_from([None, 0, 3]), bom=st.booleans())
    def test_every_json_array(self, folder: Path, rows: list[Any], indent: int | None, bom: bool) -> None:
        text = json.dumps(rows, indent=indent, ensure_ascii=indent is None)
        assert list(load(folder / "a.json", "\ufeff" * bom + text)) == rows
        held = json.dumps({"text": json.dumps(rows), "rows": rows, "more": [0]}, indent=indent)
        assert list(load(folder / "a.json", held, key="rows")) == rows

    @given(rows=st.lists(VALUES, min_size=1, max_size=6), end=st.sampled_from(["\n", "\r\n", "\n\n \n"]))
    def test_every_line_of_json(self, folder: Path, rows: list[Any], end: str) -> None:
        text = end + end.join(json.dumps(row) for row in rows)
        for suffix in ("jsonl", "ndjson"):
            assert list(load(folder / f"a.{suffix}", text)) == rows
            assert list(load(folder / f"a.{suffix}", "\ufeff" + text + end)) == rows

    @given(
        header=st.lists(TEXTS.filter(str.strip), min_size=1, max_size=3, unique=True),
        cells=st.lists(TEXTS, min_size=1, max_size=12),
        delimiter=st.sampled_from(",;\t|"),
    )
    def test_every_csv(self, folder: Path, header: list[str], cells: list[str], delimiter: str) -> None:
        cells += [""] * (-len(cells) % len(header))
        rows = [cells[at : at + len(header)] for at in range(0, len(cells), len(header))]
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, *rows])
        loaded = load(folder / "a.csv", text.getvalue(), delimiter=delimiter)
        assert list(loaded) == [dict(zip(header, row, strict=True)) for row in rows]

    def test_csv_as_spreadsheets_write_it(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.csv", '\ufeffname;note\r\nZoë;"a;\r\n""b"""\r\n\r\n', delimiter=";")
        assert list(rows) == [{"name": "Zoë", "note": 'a;\r\n"b"'}]

    def test_types_of_columns(self, tmp_path: Path) -> None:
        types: dict[str, Any] = {"n": int, "x": float, "ok": bool, "tags": str.split}
        rows = load(tmp_path / "a.csv", "n,x,ok,tags,rest\n1,2,yes,a b,7\n-5,1e3,0,,\n", types=types)
        assert list(rows) == [
            {"n": 1, "x": 2.0, "ok": True, "tags": ["a", "b"], "rest": "7"},
            {"n": -5, "x": 1000.0, "ok": False, "tags": [], "rest": ""},
        ]

    def test_parquet(self, tmp_path: Path) -> None:
        columns = {
            "n": list(range(20_000)),
            "name": [f"user {number}" for number in range(20_000)],
            "tags": [["a"]] * 20_000,
            "price": [Decimal("1.50")] * 20_000,
            "day": [date(2024, 2, 29)] * 20_000,
            "at": [datetime(2024, 2, 29, 12, tzinfo=UTC)] * 20_000,
            "x": [float("nan")] * 20_000,
        }
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
        rows = fl.data(tmp_path / "a.parquet")
        assert len(rows) == 20_000
        assert [row["n"] for row in rows] == columns["n"]
        assert rows[-1] == {
            "n": 19_999,
            "name": "user 19999",
            "tags": ["a"],
            "price": "1.50",
            "day": "2024-02-29",
            "at": "2024-02-29T12:00:00+00:00",
            "x": None,
        }

    def test_parquet_is_read_without_threads(self, tmp_path: Path) -> None:
        """They would be there when the workers are forked."""
        numbers = list(range(50_000))
        pyarrow.parquet.write_table(pyarrow.table({"a": numbers, "b": numbers}), tmp_path / "a.parquet")
        code = (
            "import os, sys, pyarrow.parquet, fastload as fl\n"
            "before = len(os.listdir('/proc/self/task'))\n"
            "assert len(fl.data(sys.argv[1])) == 50_000\n"
            "print(len(os.listdir('/proc/self/task')) - before)\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "a.parquet")]
        assert subprocess.run(command, env=cli_env(), capture_output=True, text=True, check=True).stdout == "0\n"

    def test_the_format_may_be_said(self, tmp_path: Path) -> None:
        for name in ("a.txt", "a.json", "a"):
            assert load(tmp_path / name, CSV, format="CSV", types={"age": int})[1] == BOB
        assert load(tmp_path / "B.CSV", CSV).format == "csv"


class TestPaths:
    SCRIPT = "import fastload as fl\nrows = fl.data('data/users.csv')\nprint(len(rows))\n"

    @pytest.fixture
    def scripts(self, tmp_path: Path) -> Path:
        (tmp_path / "here" / "data").mkdir(parents=True)
        (tmp_path / "here" / "data" / "users.csv").write_text(CSV)
        (tmp_path / "here" / "script.py").write_text(self.SCRIPT)
        return tmp_path

    def run(self, *arguments: str, cwd: Path) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=cwd, env=cli_env(), capture_output=True, text=True, check=True).stdout

    def test_relative_to_the_script(self, scripts: Path) -> None:
        assert self.run("here/script.py", cwd=scripts) == "2\n"
        (scripts / "other.py").write_text("import sys; sys.path.insert(0, 'here'); import script")
        assert self.run("other.py", cwd=scripts) == "2\n", "a module finds the file beside it"

    def test_relative_to_the_folder_where_there_is_no_script(self, scripts: Path) -> None:
        assert self.run("-c", self.SCRIPT, cwd=scripts / "here") == "2\n"
        cell = f"exec(compile({self.SCRIPT!r}, '/nowhere/ipykernel_1/2.py', 'exec'))"
        assert self.run("-c", cell, cwd=scripts / "here") == "2\n"

    def test_in_a_script_of_the_command(self, scripts: Path, cli: Cli) -> None:
        (scripts / "here" / "load.py").write_text(
            "import fastload as fl\nrows = fl.data('data/usrs.csv')\n@fl.scenario\nasync def visit(vu): ...\n"
        )
        done = cli("run", "here/load.py", "--base-url", "http://127.0.0.1:9")
        assert done.returncode == 104
        assert f"there is no data file data/usrs.csv in {scripts / 'here' / 'data'}" in done.stderr
        assert "did you mean 'users.csv'?" in done.stderr


class TestSequence:
    @pytest.fixture
    def rows(self, tmp_path: Path) -> fl.DataSet:
        return load(tmp_path / "a.json", json.dumps(list(range(10))))

    def test_it_is_one(self, rows: fl.DataSet) -> None:
        wanted = range(10)
        assert isinstance(rows, Sequence)
        assert len(rows) == 10
        assert list(rows) == [*wanted]
        assert [*reversed(rows)] == [*reversed(wanted)]
        assert (3 in rows, 11 in rows, rows.index(4), rows.count(5)) == (True, False, 4, 1)
        for index in range(-10, 10):
            assert rows[index] == wanted[index]
        for cut in (slice(2, 5), slice(None, None, 3), slice(-3, None), slice(8, 99), slice(5, 2), slice(9, 2, -2)):
            assert rows[cut] == [*wanted[cut]]

    @pytest.mark.parametrize("index", [10, -11])
    def test_beyond_its_end(self, rows: fl.DataSet, index: int) -> None:
        with pytest.raises(IndexError, match=rf"a.json has no row {index}: it has 10 rows"):
            rows[index]

    def test_repr(self, rows: fl.DataSet) -> None:
        assert repr(rows) == f"<DataSet {rows.name}: 10 rows of json, 30 bytes>"

    def test_rows_are_copies(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.jsonl", '{"tags": ["a"]}\n')
        for taken in (rows[0], rows.next(), rows.of(user()), rows.random(user())):
            taken["tags"].append("b")
            taken["more"] = 1
        assert rows.once() == {"tags": ["a"]}


class TestTaking:
    @given(count=st.integers(1, 12), workers=st.integers(1, 5), takes=st.integers(0, 40))
    def test_next_goes_through_the_file_evenly(self, folder: Path, count: int, workers: int, takes: int) -> None:
        data_set._is_worker = False
        rows = load(folder / "next.json", json.dumps(list(range(count))))
        taken: list[int] = []
        for worker in range(workers):
            assign_rows(worker, workers)
            taken += [rows.next() for _ in range(worker, takes, workers)]
        assert sorted(taken) == sorted(at % count for at in range(takes))

    @given(count=st.integers(1, 12), workers=st.integers(1, 15))
    def test_once_is_once_in_all_workers(self, folder: Path, count: int, workers: int) -> None:
        data_set._is_worker = False
        rows = load(folder / "once.json", json.dumps(list(range(count))))
        taken: list[int] = []
        for worker in range(workers):
            assign_rows(worker, workers)
            share = range(worker, count, workers)
            assert [rows.once() for _ in share] == list(share)
            for _ in range(2):
                with pytest.raises(fl.DataExhausted, match=f"worker {worker} had {len(share)}$"):
                    rows.once()
            taken += share
        assert sorted(taken) == list(range(count))

    def test_in_order_without_workers(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.json", "[1,2,3]")
        assert [rows.next() for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]
        assert [rows.once() for _ in range(3)] == [1, 2, 3], "it counts apart from next"
        with pytest.raises(fl.DataExhausted) as caught:
            rows.once()
        assert caught.value.message == f"each of the 3 rows of {rows.name} was used once: worker 0 had 3"
        assert caught.value.hint == "give the file more rows, or use next(), which begins again"
        assert caught.value.planned

    def test_a_deal_begins_anew(self, tmp_path: Path) -> None:
        first, second = load(tmp_path / "a.json", "[1,2,3]"), load(tmp_path / "b.json", '["a","b"]')
        assign_rows(0, 1)
        assert [first.next(), first.next(), first.once(), second.next()] == [1, 2, 1, "a"]
        assign_rows(1, 2)
        assert [first.next(), first.next(), first.once(), second.next(), second.next()] == [2, 1, 2, "b", "b"]
        assign_rows(0, 1)
        assert [first.next(), first.once(), second.next()] == [1, 1, "a"]

    def test_random_follows_the_vu(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.json", json.dumps(list(range(50))))
        one, same, other = user(seed=1), user(seed=1), user(seed=2)
        taken = [rows.random(one) for _ in range(2000)]
        assert taken == [rows.random(same) for _ in range(2000)]
        assert taken != [rows.random(other) for _ in range(2000)]
        assert set(taken) == set(range(50))

    def test_each_vu_has_its_own(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.json", '["a","b","c"]')
        for worker in range(2):
            assign_rows(worker, 2)
            assert [rows.of(user(number)) for number in (1, 2, 3, 1)] == ["a", "b", "c", "a"]
        with pytest.raises(fl.DataExhausted) as caught:
            rows.of(user(4))
        assert caught.value.message == f"{rows.name} has 3 rows, and VU 4 asks for its own"
        assert "a row for every VU" in caught.value.hint
        assert not caught.value.planned

    def test_a_set_that_is_forgotten_is_freed(self, tmp_path: Path) -> None:
        rows = load(tmp_path / "a.json", "[1]")
        assert rows in data_set._loaded
        before = len(data_set._loaded)
        del rows
        assert len(data_set._loaded) == before - 1

    def test_a_worker_loads_nothing(self, tmp_path: Path) -> None:
        assign_rows(0, 1)
        error = refusal(tmp_path / "a.json", "[1]")
        assert error.message == "a.json is loaded during the run, by each worker again"
        assert error.hint == "call fl.data at the top of the script"

    def test_in_a_run(self, tmp_path: Path, sequencer: RunningTarget) -> None:
        rows = load(tmp_path / "a.json", "[1,2,3,4,5,6]")
        sums = fl.Counter("sums")

        async def visit(vu: fl.VU) -> None:
            sums.add(rows.once())
            vu.check(rows, {"own": rows.of(vu) == vu.id, "any": rows.random(vu) in range(1, 7)})

        summary = fl.run(visit, vus=2, iterations=6, base_url=sequencer.base_url, workers=1)
        assert summary.metrics["sums"].count == 1 + 2 + 3 + 4 + 5 + 6
        assert [check.fails for check in summary.checks] == [0, 0]
        assert rows.next() == 1, "the run was in other processes"


class TestRefusedFiles:
    def test_no_such_file(self, tmp_path: Path) -> None:
        (tmp_path / "users.csv").write_text(CSV)
        with pytest.raises(fl.PlanError) as caught:
            fl.data(tmp_path / "user.csv")
        assert caught.value.message == f"there is no data file {tmp_path / 'user.csv'} in {tmp_path}"
        assert caught.value.hint == "did you mean 'users.csv'?"

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(fl.PlanError, match=f"there is no data file .*: no folder {tmp_path / 'x'}"):
            fl.data(tmp_path / "x" / "user.csv")

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").mkdir()
        with pytest.raises(fl.PlanError, match=r"x\.csv is a folder, not a file"):
            fl.data(tmp_path / "x.csv")

    def test_one_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").symlink_to("/proc/self/mem")
        with pytest.raises(fl.PlanError, match=r"a\.json cannot be read: Input/output error"):
            fl.data(tmp_path / "a.json")

    @pytest.mark.parametrize(
        ("name", "options", "message", "hint"),
        [
            ("a.cvs", {}, "the suffix '.cvs' is of no known format", "did you mean 'csv'? pass format= with one of: "),
            ("a", {}, "the name without a suffix is of no known format", "pass format= with one of: csv, json, "),
            ("a.csv", {"format": "jsn"}, "the format 'jsn' is of no known format", "did you mean 'json'? "),
            ("a.json", {"types": {"a": int}}, "types= goes with csv, not with json", "leave types= out"),
            ("a.jsonl", {"delimiter": ";"}, "delimiter= goes with csv, not with jsonl", "leave delimiter= out"),
            ("a.csv", {"key": "a"}, "key= goes with json, not with csv", "leave key= out"),
            ("a.csv", {"delimiter": "::"}, "the delimiter '::' is not one character", "like delimiter=';'"),
            ("a.csv", {"delimiter": "\n"}, "the delimiter '\\n' is not one character", "like delimiter=';'"),
        ],
    )
    def test_options(self, tmp_path: Path, name: str, options: dict[str, Any], message: str, hint: str) -> None:
        error = refusal(tmp_path / name, CSV, **options)
        assert error.message == f"{name}: {message}"
        assert error.hint.startswith(hint)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.json", ""),
            ("a.json", " \n "),
            ("a.json", "[ ]"),
            ("a.jsonl", ""),
            ("a.jsonl", "\n \r\n"),
            ("a.csv", ""),
            ("a.csv", "\n\n"),
            ("a.csv", "name,age\n"),
            ("a.csv", "\ufeff"),
        ],
    )
    def test_no_rows(self, tmp_path: Path, name: str, content: str) -> None:
        error = refusal(tmp_path / name, content)
        assert error.message == f"{name} has no rows"
        assert error.hint == f"it is {tmp_path / name}"

    def test_parquet(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "a.parquet", CSV)
        assert error.message.startswith("a.parquet cannot be read as Parquet: ")
        empty = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"n": pyarrow.array([], pyarrow.int64())}), empty)
        assert refusal(tmp_path / "a.parquet", empty.getvalue()).message == "a.parquet has no rows"
        binary = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2], "b": [None, b"x"]}), binary)
        error = refusal(tmp_path / "a.parquet", binary.getvalue())
        assert error.message == "a.parquet, row 2: b: a value of type bytes has no form in JSON"

    def test_parquet_without_pyarrow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        error = refusal(tmp_path / "a.parquet", b"")
        assert error.message == "a.parquet: Parquet files need pyarrow, which is not installed"
        assert error.hint == "pip install 'fastload[parquet]'"


MEND = "mend that line of the file"


class TestRefusedJson:
    @pytest.mark.parametrize(
        ("content", "where", "hint"),
        [
            ('[\n  {"a": 1},\n  {"a": }\n]', "line 3, column 9: not JSON: ", MEND),
            ("[1, 2\n", "line 2, column 1: not JSON: ", MEND),
            ("[1,\n2]\n]", "line 3, column 1: not JSON: ", MEND),
            ("[1,\n 1e999]", "line 2, column 2: not JSON: ", MEND),
            ('["ok",\n"\\ud800"]', "line 2, column 2: not JSON: ", MEND),
            (b'["ok",\n"a",\n"\xff"]', "line 3: byte 0xff is not UTF-8", "save the file as UTF-8"),
            ('{"a": 1,\n"b"}', "line 2, column 4: not JSON: ", MEND),
            ('{"a": 1}\n{"a": 2}\n', "line 2, column 1: not JSON: ", "is it a value on each line? pass format='jsonl'"),
            ("name,age\n", "line 1, column 1: not JSON: ", MEND),
            ("[" * 5000, "line 1, column ", MEND),
        ],
    )
    def test_malformed(self, tmp_path: Path, content: str | bytes, where: str, hint: str) -> None:
        error = refusal(tmp_path / "a.json", content)
        assert error.message.startswith(f"a.json, {where}")
        assert error.hint == hint

    @pytest.mark.parametrize(
        ("content", "what", "hint"),
        [
            ('{"users": [1], "n": 1}', "an object", "its key 'users' holds an array: pass key='users'"),
            ('{"a": [1], "b": []}', "an object", "its key 'a' (or 'b') holds an array: pass key='a'"),
            ('{"a": {"b": []}}', "an object", "put the rows between [ and ]"),
            ('"x"', "a string", "put the rows between [ and ]"),
            ("1.5", "a number", "put the rows between [ and ]"),
            (" true", "a bool", "put the rows between [ and ]"),
            ("null", "null", "put the rows between [ and ]"),
        ],
    )
    def test_no_array(self, tmp_path: Path, content: str, what: str, hint: str) -> None:
        error = refusal(tmp_path / "a.json", content)
        assert error.message == f"a.json holds {what} where an array of rows is expected"
        assert error.hint == hint

    @pytest.mark.parametrize(
        ("content", "message", "hint"),
        [
            ("[1]", "a.json holds no object, so it has no key 'users'", "leave key= out"),
            ('{"user": [1]}', "a.json has no key 'users'", "did you mean 'user'?"),
            ('{"a": [1], "b": 2}', "a.json has no key 'users'", "its keys are: a, b"),
            ('{"users": {}}', "key 'users' of a.json holds no array", "name a key that holds the rows"),
            ('{"users": [1],\n"a"}', "a.json, line 2, column 4: not JSON: ", MEND),
            ('{"a": 1,\n"users": [1, 1e999]}', "a.json, line 2, column 14: not JSON: ", MEND),
            ('{"users": []}', "a.json has no rows", "it is "),
        ],
    )
    def test_keys(self, tmp_path: Path, content: str, message: str, hint: str) -> None:
        error = refusal(tmp_path / "a.json", content, key="users")
        assert error.message.startswith(message)
        assert error.hint.startswith(hint)

    @pytest.mark.parametrize(
        ("content", "where", "hint"),
        [
            ('1\n\n{"a": 2\n3\n', "line 3, column 8: not JSON: ", MEND),
            ("1\n2,\n", "line 2, column 2: not JSON: ", MEND),
            ("[1]\n[2\n", "line 2, column 3: not JSON: ", MEND),
            (b"1\n\n" + b'"\xe9"', "line 3: byte 0xe9 is not UTF-8", "save the file as UTF-8"),
            ("\n[\n1]", "line 2, column 2: not JSON: ", "is it one array? pass format='json'"),
        ],
    )
    def test_lines(self, tmp_path: Path, content: str | bytes, where: str, hint: str) -> None:
        error = refusal(tmp_path / "a.jsonl", content)
        assert error.message.startswith(f"a.jsonl, {where}")
        assert error.hint == hint


class TestRefusedCsv:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a,b\n1,2\n\n1,2,3\n", "line 4: 3 fields, but the header has 2"),
            ('a,b\n"1\n2",3\n4\n5,6\n', "line 4: 1 field, but the header has 2"),
            ('a,b\n"1\n2"\n', "line 2: 1 field, but the header has 2"),
            ("\na,b,a\n1,2,3\n", "line 2: the header has 'a' twice"),
            ("a,,b\n1,2,3\n", "line 1: column 2 of the header has no name"),
            ("a, \n1,2\n", "line 1: column 2 of the header has no name"),
            ('a,b\n1,"2\n3,4\n', "line 2: unexpected end of data"),
            ('a,b\n1,"2"x\n', "line 2: ',' expected after '\"'"),
            (b"a,b\n1,2\n3,\xe9\n", "line 3: byte 0xe9 is not UTF-8"),
        ],
    )
    def test_malformed(self, tmp_path: Path, content: str | bytes, message: str) -> None:
        error = refusal(tmp_path / "a.csv", content)
        assert error.message == f"a.csv, {message}"
        assert error.hint

    def test_types(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "a.csv", 'a,b\n1,"2\n"\n3,x\n', types={"b": int})
        assert error.message == "a.csv, line 4: b 'x' is not an int: a whole number, like 10"
        error = refusal(tmp_path / "a.csv", "n\n1\n" + "9" * 30 + "\n", types={"n": int})
        assert error.message == "a.csv, line 3: types= makes an int of more than 64 bits of n, which no row can hold"
        error = refusal(tmp_path / "a.csv", CSV, types={"age": "int"})
        assert error.message == "a.csv: types= has 'int' for age, which is no function"
        assert error.hint == "give the function itself, int, like types={'age': int}"
        error = refusal(tmp_path / "a.csv", CSV, types={"age": None})
        assert error.hint == "give a function like types={'age': int}"
        error = refusal(tmp_path / "a.csv", "a\nnan\n", types={"a": float})
        assert error.message == "a.csv, line 2: a 'nan' is not a float: a finite number, like 0.5"
        error = refusal(tmp_path / "a.csv", CSV, types={"agee": int})
        assert error.message == "a.csv has no column 'agee', which types= names"
        assert error.hint == "did you mean 'age'?"
        assert refusal(tmp_path / "a.csv", CSV, types={"zzz": int}).hint == "its columns are: name, age"
        error = refusal(tmp_path / "a.csv", "a\n1\n2\n", types={"a": lambda text: {1} if text == "2" else 1})
        assert error.message == "a.csv, line 3: types= makes a set of a, which no row can hold"


SHARING = """
    import os, random, sys
    import fastload as fl
    from fastload.load.script.data_set import assign_rows

    rows = fl.data(sys.argv[1])
    WORKERS, READS = 4, 50_000

    def private_bytes():
        with open("/proc/self/smaps_rollup") as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))

    def work(worker):
        before = private_bytes()
        assign_rows(worker, WORKERS)
        own = random.Random(worker)
        for _ in range(READS):
            number = own.randrange(len(rows))
            assert rows[number].startswith(f"user {number} ")
        return private_bytes() - before

    pipes = []
    # All live until the last has measured: a page of one that ended would be private to who is left.
    held, hold = os.pipe()
    for worker in range(WORKERS):
        out, into = os.pipe()
        if os.fork() == 0:
            os.close(hold)
            try:
                os.write(into, b"%d" % work(worker))
                os.close(into)
                os.read(held, 1)
            finally:
                os._exit(0)
        os.close(into)
        pipes.append(out)
    grown = [int(os.read(out, 100)) for out in pipes]
    os.close(hold)
    for _ in pipes:
        os.wait()
    print(len(rows), *grown)
"""


def test_workers_share_one_copy(tmp_path: Path) -> None:
    """A list of Python objects instead makes the workers grow by ten copies: the test would fail."""
    count = 1_000_000
    with (tmp_path / "users.json").open("w") as file:
        file.write("[" + ",".join(f'"user {number} of the shop"' for number in range(count)) + "]")
    copy_bytes = (tmp_path / "users.json").stat().st_size
    assert copy_bytes > 25_000_000
    command = [sys.executable, "-c", textwrap.dedent(SHARING), str(tmp_path / "users.json")]
    done = subprocess.run(command, cwd=REPO, env=cli_env(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    loaded, *grown = map(int, done.stdout.split())
    assert loaded == count
    assert len(grown) == 4
    assert sum(grown) < 0.4 * copy_bytes, grown


def test_what_a_row_can_hold_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("day,n\n2026-01-31,1\n")
    value: Any = {"a": [1, 2.5, True, None, {"b": []}], "same": []}
    rows = fl.data(tmp_path / "a.csv", types={"day": lambda _: value})
    assert rows[0]["day"] == value


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_number_that_json_does_not_have_is_refused(tmp_path: Path, text: str) -> None:
    # As a function of the script: `float` itself takes finite numbers only.
    error = refusal(tmp_path / "a.csv", f"n\n{text}\n", types={"n": lambda text: 1 * float(text)})
    assert error.message.endswith(f"types= makes {text} of n, which no row can hold")


def test_the_page_says_all_of_it() -> None:
    taken = {name for name, value in vars(fl.DataSet).items() if callable(value) and not name.startswith("_")}
    shown = [call.removeprefix("users.").partition("(")[0] for call in first_column(section("data.md", "Which row"))]
    assert len(shown) == len(taken)
    assert set(shown) == taken
    options = [name for name, one in inspect.signature(fl.data).parameters.items() if one.kind is one.KEYWORD_ONLY]
    assert first_column(section("data.md", "Formats")) == [*READERS, *options]


@pytest.mark.parametrize(
    ("convert", "what"),
    [
        (datetime.fromisoformat, "datetime"),
        (lambda text: decimal.Decimal(text[:4]), "Decimal"),
        (lambda text: uuid.UUID(int=len(text)), "UUID"),
        (tuple, "tuple"),
        (set, "set"),
        (lambda text: {"at": [datetime.fromisoformat(text)]}, "dict with a datetime"),
        (lambda _: {"both": (1, 2)}, "dict with a tuple"),
        (lambda _: [1, {"x": float("nan")}], "list with nan"),
        (lambda _: {"x": {1: "one"}}, "dict with the key 1"),
    ],
)
def test_a_value_that_json_would_change_is_refused(tmp_path: Path, convert: Any, what: str) -> None:
    error = refusal(tmp_path / "a.csv", "day,n\n2026-01-31,1\n", types={"day": convert})
    assert error.message.endswith(f"line 2: types= makes a {what} of day, which no row can hold")
    assert "row['day']" in error.hint


def test_a_function_of_the_text_may_give_what_json_has(tmp_path: Path) -> None:
    rows = load(tmp_path / "a.csv", "a,b,c\n1;2,,x\n", types={"a": lambda t: t.split(";"), "b": lambda t: t or None})
    assert rows[0] == {"a": ["1", "2"], "b": None, "c": "x"}
