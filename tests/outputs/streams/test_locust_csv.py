"""Locust's four CSV files: as Locust writes them, and as many as fastload counted."""

from __future__ import annotations

import csv
import io
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fastload.model.errors import PlanError
from fastload.model.metrics import Series
from fastload.model.records import ErrorTable, Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.series import SeriesTable
from fastload.outputs.streams.appended_file import AppendedFile
from fastload.outputs.streams.locust_csv import LocustCsv
from tests.conftest import Cli, Nginx
from tests.outputs.samples import add_calls, add_requests, make_snapshot

START_NS = 1_795_289_907_000_000_000

# What Locust 2.47.0 wrote for five users with two tasks on loopback; byte for byte, but for the path.
LOCUST_STATS = (
    "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,"
    "Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\r\n"
    'GET,"/a,""q""",174,0,1,1.0930585000284643,0.11618300050031394,15.294461001758464,15.0,58.81028643677105,0.0,'
    "1,1,1,1,1,2,5,15,15,15,15\r\n"
    "POST,/bad,54,54,1,1.3031471298071902,0.14375399769051,15.309954000258585,3.0,18.251468204515152,"
    "18.251468204515152,1,1,1,1,2,2,15,15,15,15,15\r\n"
    ",Aggregated,228,54,1,1.1428163333971098,0.11618300050031394,15.309954000258585,12.157894736842104,"
    "77.0617546412862,18.251468204515152,1,1,1,1,2,2,15,15,15,15,15\r\n"
)
LOCUST_HISTORY = (
    "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,"
    "Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,"
    "Total Min Response Time,Total Max Response Time,Total Average Content Size\r\n"
    "1795289488,0,,Aggregated,0.000000,0.000000,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,0,0,0,0.0,0,0,0\r\n"
    '1795289491,5,GET,"/a,""q""",58.000000,0.000000,1,1,1,1,1,1,2,2,2,2,2,184,0,1,1.3252148314282037,'
    "0.10290399950463325,24.602194000181044,15.0\r\n"
)
LOCUST_FAILURES = (
    "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n"
    "POST,/bad,LocustBadStatusCode(code=500),54,2026-11-21T19:31:23Z,2026-11-21T19:31:26Z\r\n"
)
LOCUST_EXCEPTIONS = (
    'Count,Message,Traceback,Nodes\r\n62,"broken, ""quoted""\nsecond line","  File ""lf.py"", line 10, in c\n'
    '    raise ValueError(\'broken, ""quoted""\\nsecond line\')\n",local\r\n'
)
LOCUST = {
    "stats": LOCUST_STATS,
    "stats_history": LOCUST_HISTORY,
    "failures": LOCUST_FAILURES,
    "exceptions": LOCUST_EXCEPTIONS,
}


def read_as_locusts(text: str) -> list[dict[str, str | float | None]]:
    """What a script written for Locust's files does: names to numbers where they are any, N/A to nothing."""
    words = {"Type", "Name", "Method", "Error", "First Seen", "Last Seen", "Message", "Traceback", "Nodes"}
    rows = []
    for row in csv.DictReader(io.StringIO(text, newline="")):
        assert None not in row, "more cells than titles"
        rows.append(
            {key: cell if key in words else None if cell == "N/A" else float(cell) for key, cell in row.items()}
        )
    return rows


def second(number: int, *tables: SeriesTable, errors: dict[str, int] | None = None, raised: str = "") -> Snapshot:
    """The second that ends so many of them after the start."""
    table = SeriesTable()
    for one in tables:
        table.merge(one)
    return make_snapshot(
        float(number),
        t_s=float(number),
        time_ns=START_NS + number * 1_000_000_000,
        vus=5,
        table=table,
        errors=ErrorTable({kind: (count, "") for kind, count in (errors or {}).items()}),
        exceptions=ErrorTable({"ValueError": (2, raised)}) if raised else ErrorTable(),
    )


def requests(values_us: list[int], **options: object) -> SeriesTable:
    table = SeriesTable()
    add_requests(table, values_us, **options)  # type: ignore[arg-type]
    return table


def calls(values_us: list[int], raised: int = 0) -> SeriesTable:
    table = SeriesTable()
    add_calls(table, "sign", values_us, raised=raised)
    return table


def header(warmup_s: float = 0.0) -> RunHeader:
    return RunHeader({"title": "shop.py", "warmup_s": warmup_s}, "2026-11-21T19:38:26.500+00:00", "beef")


def write(
    folder: Path, seconds: Iterable[Snapshot], *, duration_s: float | None = None, warmup_s: float = 0.0
) -> dict[str, str]:
    """The four files of a run of these seconds, by what Locust calls them."""
    sink = LocustCsv(str(folder / "run"))
    sink.check()
    sink.open(header(warmup_s))
    for one in seconds:
        sink.write(one)
    sink.close(None if duration_s is None else {"duration_s": duration_s})
    return read_files(folder)


def read_files(folder: Path) -> dict[str, str]:
    return {name: (folder / f"run_{name}.csv").read_bytes().decode() for name in LOCUST}


def test_a_run_without_anything_has_locusts_headers_and_its_empty_row(tmp_path: Path) -> None:
    files = write(tmp_path, [second(1)])
    for name, theirs in LOCUST.items():
        assert files[name].partition("\n")[0] == theirs.partition("\n")[0]
    assert files["stats_history"].partition("\n")[2] == (
        "1795289908,5,,Aggregated,0.000000,0.000000,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,0,0,0,0.0,0,0,0.0\r\n"
    )
    assert files["stats"].partition("\n")[2] == (
        ",Aggregated,0,0,0,0.0,0,0,0.0,0.0,0.0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\r\n"
    )


def test_the_same_script_reads_ours_and_locusts(tmp_path: Path) -> None:
    trace = (
        'Traceback (most recent call last):\n  File "lf.py", line 10, in c\nValueError: broken, "quoted"\nsecond line'
    )
    table = requests([1000] * 170 + [15_250] * 4, name='/a,"q"')
    bad = requests([2000] * 54, name="/bad", method="POST", statuses={"500": 54})
    files = write(tmp_path, [second(1), second(2, table, bad, errors={"http_500": 54}, raised=trace)], duration_s=2.0)
    for name, theirs in LOCUST.items():
        expected, ours = read_as_locusts(theirs), read_as_locusts(files[name])
        assert list(ours[0]) == list(expected[0])
        assert all(line.endswith("\r") for line in files[name].split("\n")[:1])
    stats = read_as_locusts(files["stats"])
    theirs_stats = read_as_locusts(LOCUST_STATS)
    for column in ("Type", "Name", "Request Count", "Failure Count"):
        assert [row[column] for row in stats] == [row[column] for row in theirs_stats]
    assert [stats[0][column] for column in ("50%", "95%", "98%", "99.9%", "100%")] == [1, 1, 15.25, 15.25, 15.25]
    assert [stats[0][f"{what} Response Time"] for what in ("Median", "Min", "Max")] == [1, 1, 15.25]
    assert stats[2]["Requests/s"] == 114
    failures = read_as_locusts(files["failures"])
    assert failures == [
        {
            "Method": "POST",
            "Name": "/bad",
            "Error": "http_500",
            "Occurrences": 54,
            "First Seen": "2026-11-21T19:38:29Z",
            "Last Seen": "2026-11-21T19:38:29Z",
        }
    ]
    (raised,) = read_as_locusts(files["exceptions"])
    assert raised["Message"] == 'ValueError: broken, "quoted"\nsecond line'
    assert raised | {"Message": ""} == {"Count": 2, "Message": "", "Traceback": trace, "Nodes": "local"}


def test_numbers_are_written_as_locust_writes_them(tmp_path: Path) -> None:
    files = write(tmp_path, [second(1, requests([1000, 1500]))], duration_s=1.0)
    assert files["stats"].splitlines()[1] == (
        "GET,/,2,0,1,1.25,1,1.5,180.0,2.0,0.0,1,1.5,1.5,1.5,1.5,1.5,1.5,1.5,1.5,1.5,1.5"
    )
    assert files["stats_history"].splitlines()[1].startswith("1795289908,5,GET,/,2.000000,0.000000,1,1.5,")


def test_the_history_has_the_window_and_the_totals_of_every_name(tmp_path: Path) -> None:
    first, other = requests([1000] * 10, name="/b"), requests([3000] * 4, name="/a")
    files = write(tmp_path, [second(1, first), second(2, other), second(3, requests([5000], name="/b"))])
    rows = read_as_locusts(files["stats_history"])
    shown = [[row[key] for key in ("Timestamp", "Name", "Requests/s", "50%", "Total Request Count")] for row in rows]
    t = START_NS // 10**9
    assert shown == [
        [t + 1, "/b", 10, 1, 10],
        [t + 1, "Aggregated", 10, 1, 10],
        [t + 2, "/a", 4, 3, 4],
        [t + 2, "/b", 0, None, 10],
        [t + 2, "Aggregated", 4, 3, 14],
        [t + 3, "/a", 0, None, 4],
        [t + 3, "/b", 1, 5, 11],
        [t + 3, "Aggregated", 1, 5, 15],
    ]


def test_calls_are_rows_of_their_own_and_in_the_aggregate(tmp_path: Path) -> None:
    files = write(tmp_path, [second(1, requests([1000] * 3), calls([7000], raised=1), errors={"boom": 1})])
    rows = read_as_locusts(files["stats"])
    assert [(row["Type"], row["Name"], row["Request Count"], row["Failure Count"]) for row in rows] == [
        ("GET", "/", 3, 0),
        ("CALL", "sign", 2, 1),
        ("", "Aggregated", 5, 1),
    ]
    assert rows[2]["100%"] == 7
    assert [row["Error"] for row in read_as_locusts(files["failures"])] == ["boom"]


def test_replies_have_the_mean_size_of_their_name(tmp_path: Path) -> None:
    large = requests([1000], name="/b")
    large.counter(Series.of("data_received", method="GET", name_="/b")).value = 580
    rows = read_as_locusts(write(tmp_path, [second(1, requests([1000] * 3), large)])["stats"])
    assert [row["Average Content Size"] for row in rows] == [180, 580, 280]


def test_failures_have_the_kinds_of_their_names(tmp_path: Path) -> None:
    a, b, call = ("GET", "/a"), ("POST", "/b"), ("", "/a")
    errors = ErrorTable()
    for kind, what in (("timeout", a), ("timeout", a), ("reset", b), ("timeout", b), ("http_500", b), ("boom", call)):
        errors.count(kind, "", what)
    later = ErrorTable()
    later.count("reset", "", a)
    later.count("ws_reset")
    files = write(tmp_path, [replace(second(1), errors=errors), second(2), replace(second(3), errors=later)])
    rows = read_as_locusts(files["failures"])
    assert [(row["Method"], row["Name"], row["Error"], row["Occurrences"], row["Last Seen"]) for row in rows] == [
        ("CALL", "/a", "boom", 1, "2026-11-21T19:38:28Z"),
        ("GET", "/a", "reset", 1, "2026-11-21T19:38:30Z"),
        ("GET", "/a", "timeout", 2, "2026-11-21T19:38:28Z"),
        ("POST", "/b", "http_500", 1, "2026-11-21T19:38:28Z"),
        ("POST", "/b", "reset", 1, "2026-11-21T19:38:28Z"),
        ("POST", "/b", "timeout", 1, "2026-11-21T19:38:28Z"),
    ]


def test_failures_of_the_first_version_are_told_apart_where_a_second_tells_them_apart(tmp_path: Path) -> None:
    def failing(name: str, **statuses: int) -> SeriesTable:
        return requests([], name=name, statuses={key[1:]: count for key, count in statuses.items()})

    files = write(
        tmp_path,
        [
            second(1, failing("/a", s500=2, s0=3), errors={"http_500": 2, "timeout": 3}),
            second(2, failing("/a", s0=3), errors={"timeout": 1, "reset": 2}),
            second(3, failing("/a", s0=1), failing("/b", s0=2), errors={"timeout": 3}),
            second(
                4, failing("/a", s0=1), failing("/b", s503=1, s0=1), errors={"timeout": 1, "reset": 1, "http_503": 1}
            ),
            # A status that the script expects is in no row.
            second(5, requests([1000], name="/gone", statuses={"404": 0, "200": 1})),
        ],
    )
    rows = read_as_locusts(files["failures"])
    assert [(row["Name"], row["Error"], row["Occurrences"]) for row in rows] == [
        ("/a", "http_500", 2),
        ("/a", "reset", 2),
        ("/a", "reset or timeout", 1),
        ("/a", "timeout", 5),
        ("/b", "http_503", 1),
        ("/b", "reset or timeout", 1),
        ("/b", "timeout", 2),
    ]
    timeouts = rows[3]
    assert (timeouts["First Seen"], timeouts["Last Seen"]) == ("2026-11-21T19:38:28Z", "2026-11-21T19:38:30Z")
    total = read_as_locusts(files["stats"])[-1]["Failure Count"]
    assert sum(float(row["Occurrences"] or 0) for row in rows) == total == 14


def test_rates_are_of_the_measured_time(tmp_path: Path) -> None:
    seconds = [second(1), second(2, requests([1000] * 6)), second(3, requests([1000] * 6))]
    broken_off = read_as_locusts(write(tmp_path, seconds, warmup_s=1.0)["stats"])
    assert broken_off[-1]["Requests/s"] == 6
    ended = read_as_locusts(write(tmp_path, seconds, warmup_s=1.0, duration_s=2.4)["stats"])
    assert ended[-1]["Requests/s"] == 5


def test_each_second_is_there_for_readers_at_once(tmp_path: Path) -> None:
    sink = LocustCsv(str(tmp_path / "run"))
    sink.open(header())
    for number in (1, 2, 3):
        sink.write(second(number, requests([1000])))
        files = read_files(tmp_path)
        assert len(read_as_locusts(files["stats_history"])) == 2 * number
        assert read_as_locusts(files["stats"])[-1]["Request Count"] == number
    sink.close(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"run_{name}.csv" for name in LOCUST)


def test_names_that_are_no_unicode_do_not_cost_the_file(tmp_path: Path) -> None:
    files = write(tmp_path, [second(1, requests([1000], name="/\udcff\n\x00"))])
    assert read_as_locusts(files["stats"])[0]["Name"] == "/\\udcff\n\x00"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process can grow past *size* bytes: what is over is cut off, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_piece_that_does_not_fit_leaves_nothing_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "grows"
    file = AppendedFile(path)
    file.append(b"whole\n")
    with files_of_at_most(10), pytest.raises(OSError, match=r"No space left|too large"):
        file.append(b"cut in half\n")
    assert path.read_bytes() == b"whole\n"
    file.append(b"again\n")
    file.close()
    assert path.read_bytes() == b"whole\nagain\n"


def test_a_second_that_found_no_room_is_counted_in_those_after_it(tmp_path: Path) -> None:
    sink = LocustCsv(str(tmp_path / "run"))
    sink.open(header())
    sink.write(second(1, requests([1000])))
    with files_of_at_most((tmp_path / "run_stats_history.csv").stat().st_size + 20), pytest.raises(OSError, match=" "):
        sink.write(second(2, requests([], statuses={"500": 2}), errors={"http_500": 2}))
    sink.write(second(3, requests([1000])))
    sink.close({"duration_s": 3.0})
    files = read_files(tmp_path)
    assert [row["Total Request Count"] for row in read_as_locusts(files["stats_history"])] == [1, 1, 4, 4]
    assert read_as_locusts(files["stats"])[-1]["Request Count"] == 4
    assert read_as_locusts(files["failures"])[0]["Occurrences"] == 2


@pytest.mark.parametrize(
    ("argument", "message"), [("", "no prefix"), ("missing/run", "no directory"), ("there", "is a directory")]
)
def test_what_cannot_be_written_is_refused_before_the_run(
    argument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there_stats_history.csv").mkdir()
    with pytest.raises(PlanError, match=message) as refused:
        LocustCsv(argument).check()
    assert refused.value.hint
    assert not list(tmp_path.glob("*_stats.csv"))


def test_a_real_run_counts_what_the_summary_counts(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import fastload as fl\n\n\n@fl.scenario\nasync def main(vu):\n"
        "    await vu.get('/', name='/a,\"q\"')\n    await vu.get('/status/500', name='/bad')\n"
        "    await vu.get('http://127.0.0.1:1/', name='/bad')\n    await vu.get('http://127.0.0.1:1/', name='/gone')\n"
        "    async with vu.expect('GET', '/', name='/gone') as reply:\n        reply.failure('odd')\n"
        "    raise ValueError('x,\\ny')\n"
    )
    args = ("shop.py", "--base-url", nginx.url, "-u", "2", "-i", "60", "-w", "1", "-q", "--json")
    done = cli("run", *args, "--out", "locust=run", "--save", "run.fastload")
    assert done.returncode == 107, done.stderr
    files = read_files(tmp_path)
    stats = {str(row["Name"]): row for row in read_as_locusts(files["stats"])}
    assert [stats[name]["Request Count"] for name in ('/a,"q"', "/bad", "/gone", "Aggregated")] == [60, 120, 120, 300]
    assert stats["Aggregated"]["Failure Count"] == 240
    failures = read_as_locusts(files["failures"])
    assert [(row["Name"], row["Error"], row["Occurrences"]) for row in failures] == [
        ("/bad", "connect_refused", 60),
        ("/bad", "http_500", 60),
        ("/gone", "connect_refused", 60),
        ("/gone", "judged: odd", 60),
    ]
    (raised,) = read_as_locusts(files["exceptions"])
    assert (raised["Count"], raised["Message"]) == (60, "ValueError: x,\ny")
    last = read_as_locusts(files["stats_history"])[-1]
    assert (last["Name"], last["Total Request Count"]) == ("Aggregated", 300)
    # A saved run has them to the byte.
    assert cli("report", "run.fastload", "--csv", "again").returncode == 0
    assert {name: (tmp_path / f"again_{name}.csv").read_bytes().decode() for name in LOCUST} == files


def test_of_a_metric_with_other_tags_nothing_is_counted_twice(tmp_path: Path) -> None:
    table = requests([1000] * 3)
    asked = Series.of("http_reqs", name="/", status="200")
    table.counter(asked).value += 3
    assert read_as_locusts(write(tmp_path, [second(1, table)])["stats"])[-1]["Request Count"] == 3
