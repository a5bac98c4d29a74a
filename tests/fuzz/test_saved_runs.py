"""Saved runs with anything in them, by each way of reading: a record, a whole file, pooled seconds, a growing file."""

from __future__ import annotations

from pathlib import Path

from fastload.model.frames import pack, unpack
from fastload.model.saved.codec import HEADER, PREFIX_BYTES, SECOND, SUMMARY, header_from_plain
from fastload.model.saved.run_file import RunReader, load_run
from tests.fuzz.mutations import mutated
from tests.fuzz.parsing import fuzz, written
from tests.fuzz.run_files import file_of, hostile, read_record, read_whole, record, small
from tests.fuzz.source import Source


def test_any_record_is_read_or_an_error() -> None:
    bodies = dict(small())
    known = header_from_plain(unpack(pack(bodies[HEADER])))

    def run(source: Source) -> None:
        kind = source.choice((HEADER, SECOND, SECOND, SUMMARY))
        body = mutated(bodies[kind], source, most=source.choice((1, 1, 3)))
        read_record(kind, record(kind, body)[PREFIX_BYTES:], known)

    fuzz(run)


def test_any_run_file_is_a_run_or_an_error(tmp_path: Path) -> None:
    records, path = small(), tmp_path / "hostile.fastload"
    fuzz(lambda source: read_whole(file_of(path, hostile(records, source))))


def test_any_bytes_after_the_preamble_are_a_run_or_an_error(tmp_path: Path) -> None:
    path = file_of(tmp_path / "hostile.fastload", small())
    whole = path.read_bytes()

    def run(source: Source) -> None:
        at = source.randrange(len(whole))
        read_whole(written(path, whole[:at] + source.binary(30) + whole[at + source.randrange(30) :]))

    fuzz(run)


def test_any_seconds_are_pooled_or_an_error(tmp_path: Path) -> None:
    begin, second, _ = small()
    path = tmp_path / "hostile.fastload"

    def run(source: Source) -> None:
        changed = (SECOND, mutated(second[1], source, most=source.choice((1, 1, 3))))
        saved = load_run(
            file_of(path, (begin, *source.choice(((second, changed), (changed, second), (changed, changed)))))
        )
        size, metrics = source.choice((1, 2)), source.choice((None, ("http_reqs", "http_req_duration")))
        for one in saved.seconds.pooled(lambda number, *_: number // size, metrics):
            one.table.to_plain()

    fuzz(run)


def test_any_run_file_is_followed_or_an_error(tmp_path: Path) -> None:
    records, path = small(), tmp_path / "hostile.fastload"

    def run(source: Source) -> None:
        whole = file_of(path, hostile(records, source)).read_bytes()
        # It grows while it is read.
        written(path, whole[: source.choice((len(whole), 5, len(whole) // 2, len(whole) - 1))])
        with RunReader(path) as reader:
            found = [record.kind for record in reader.poll()]
            path.write_bytes(whole)
            found += [record.kind for record in reader.poll()]
        assert found[:1] in ([], ["header"])

    fuzz(run)
