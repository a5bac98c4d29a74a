"""The index of the sequencer over more than one generation, and the files of earlier versions."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastload.load.executors.request_sources import NIL_UUID, SequencerIngest
from fastload.targets import SequencerOptions, running
from fastload.targets.sequencer.database import create_schema
from fastload.targets.sequencer.keys import ENTITIES, EVENT_IDS, GENERATION, find_positions, write_generation
from fastload.targets.sequencer.known import hash_ids
from fastload.targets.sequencer.recent import RecentEvents
from tests.targets.events import Client

_OLD_TABLES = """
    CREATE TABLE event_id_keys (key INTEGER PRIMARY KEY);
    CREATE TABLE entity_keys (key INTEGER PRIMARY KEY);
    DROP TABLE event_id_blocks;
    DROP TABLE entity_blocks;
    ALTER TABLE segments DROP COLUMN entity_hashes;
"""


def old_key(position: int, hash32: int) -> int:
    return position >> 15 << 47 | hash32 << 15 | position & (GENERATION - 1)


def as_old_file(path: Path) -> None:
    """Make of a file one as version 0.4.0 wrote it: a key for each event, of its id and of its entity."""
    connection = sqlite3.connect(path)
    connection.executescript(_OLD_TABLES)
    for position, body in connection.execute("SELECT first_position, body FROM segments").fetchall():
        for index, event in enumerate(json.loads(body)["events"], position):
            id_hash = int(hash_ids(bytes.fromhex(event["event_id"].replace("-", "")))[0]) >> 32
            entity = zlib.crc32(f"{event['entity_type']}\n{event['entity_id']}".encode())
            for table, hash32 in (("event_id", id_hash), ("entity", entity)):
                connection.execute(f"INSERT INTO {table}_keys VALUES (?)", (old_key(index, hash32),))
    connection.commit()
    connection.close()


def ingest(client: Client, batches: list[dict[str, Any]]) -> None:
    for batch in batches:
        answer = client.ingest(batch)
        assert (answer.status, answer.body["duplicates"]) == (200, [])


def assert_known(client: Client, batches: list[dict[str, Any]]) -> None:
    """Every event is a duplicate, and the entity of the first and the last of each batch is found."""
    for batch in batches:
        again = client.ingest(batch).body
        assert (again["accepted"], again["duplicates"]) == (0, [event["event_id"] for event in batch["events"]])
        for event in (batch["events"][0], batch["events"][-1]):
            found = client.get(f"/api/v1/entities/order/{event['entity_id']}").body["events"]
            assert [one["event_id"] for one in found] == [event["event_id"]]


@pytest.mark.parametrize("is_old", [True, False], ids=["of 0.4.0", "of this version"])
def test_a_file_is_continued_over_generations(tmp_path: Path, is_old: bool) -> None:
    path = tmp_path / "events.db"
    options = SequencerOptions(db=str(path))
    source = SequencerIngest("")
    # One batch has events of two generations, in the file that is there and in what is added.
    before = [json.loads(source.batch(size)) for size in [7] + [1000] * 34]
    after = [json.loads(source.batch(1000)) for _ in range(33)]
    with running("sequencer", options) as target, Client(target.port) as client:
        ingest(client, before)
    if is_old:
        as_old_file(path)
    with (
        running("sequencer", options, workers=2) as target,
        Client(target.port) as client,
        Client(target.port) as other,
    ):
        assert_known(client, [before[0], before[20], *before[-3:]])
        ingest(other, after)
        assert_known(client, [before[0], before[-2], after[0], *after[-3:]])
        head = client.get(f"/api/v1/head?tenant_id={NIL_UUID}&store_id={NIL_UUID}").body
        assert head["head_sequence"] == head["event_count"] == 67_007
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"streams", "segments", EVENT_IDS, ENTITIES, "commitments"}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """An empty database of the sequencer, in memory."""
    with closing(sqlite3.connect(":memory:")) as made:
        create_schema(made)
        yield made


def test_positions_of_equal_hashes(connection: sqlite3.Connection) -> None:
    hashes = np.arange(GENERATION, dtype=np.uint32) * np.uint32(131_071)
    for position, hash32 in ((5, 0), (9, 0), (GENERATION - 1, 0), (7, 2**32 - 1), (8, 2**32 - 1)):
        hashes[position] = hash32
    for generation in (0, 1):
        write_generation(connection, ENTITIES, generation, hashes)
    assert list(find_positions(connection, ENTITIES, 0, 0)) == []
    first = [0, 5, 9, GENERATION - 1]
    assert list(find_positions(connection, ENTITIES, 0, 1)) == first
    assert list(find_positions(connection, ENTITIES, 0, 2)) == [GENERATION + position for position in first] + first
    assert list(find_positions(connection, ENTITIES, 2**32 - 1, 1)) == [7, 8]
    for position in (1, 2, 100, 32_000):
        assert list(find_positions(connection, ENTITIES, int(hashes[position]), 1)) == [position]
    assert list(find_positions(connection, ENTITIES, 1, 2)) == []


def test_recent_events_of_a_reader_that_saw_an_earlier_head(connection: sqlite3.Connection) -> None:
    """Two threads share what was read; the one with the earlier head must not miss the generation in between."""
    connection.execute("INSERT INTO streams VALUES (1, 'tenant', 'store', 0, 0, 0)")
    hashes = np.arange(2 * GENERATION, dtype="<u4")
    for first in range(0, 2 * GENERATION, 1024):
        part = hashes[first : first + 1024].tobytes()
        row = (first, 1, first + 1, 1024, bytes(16 * 1024), b"", part, b"")
        connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    write_generation(connection, ENTITIES, 0, hashes[:GENERATION])
    recent = RecentEvents()
    assert recent.find(connection, ENTITIES, 77, 1024) == ([77], 0)
    assert recent.find(connection, ENTITIES, GENERATION + 1, GENERATION + 2048) == ([GENERATION + 1], 1)
    assert recent.find(connection, ENTITIES, 77, 1024) == ([], 1)
    assert recent.find(connection, ENTITIES, GENERATION + 3000, GENERATION + 4096) == ([GENERATION + 3000], 1)
