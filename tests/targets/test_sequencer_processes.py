"""What must hold over several server processes."""

from __future__ import annotations

import collections
import concurrent.futures
import hashlib
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from fastload.model.errors import PlanError, TargetError
from fastload.targets import SequencerOptions, TargetOptions, running
from tests.targets.events import INGEST, STREAM, Client, make_batch, make_event


def expected_root(events: list[dict[str, Any]]) -> str:
    """The Merkle root, computed the slow way."""

    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        split = 1
        while split * 2 < len(leaves):
            split *= 2
        return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()

    return root(
        [
            hashlib.sha256(
                b"\x00" + bytes.fromhex(event["event_id"].replace("-", "")) + bytes.fromhex(event["payload_hash"])
            ).digest()
            for event in events
        ]
    ).hex()


def test_concurrent_clients_of_four_processes() -> None:
    clients, batches, size, per_commitment = 8, 12, 7, 25
    # Every batch repeats one event that all clients send: it must be stored once.
    common = make_event()
    start = threading.Barrier(clients)

    def send(_: int) -> list[Any]:
        with Client(target.port) as client:
            start.wait(10)
            answers = [
                client.ingest(make_batch(common, *(make_event() for _ in range(size - 1)))) for _ in range(batches)
            ]
            assert client.get("/api/v1/nothing").status == 404
            return answers

    options = SequencerOptions(events_per_commitment=per_commitment)
    with running("sequencer", options, workers=4) as target:
        assert len(target.pids) == 4
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            answers = list(itertools.chain.from_iterable(pool.map(send, range(clients))))
        with Client(target.port) as client:
            routes = client.get("/stats").body["routes"]
            head = client.get(f"/api/v1/head?{STREAM}").body
            pages = [client.get(f"/api/v1/events?{STREAM}&limit=500&from={first}").body["events"] for first in (1, 501)]
            commitments = client.get("/api/v1/ves/commitments?limit=1000").body["commitments"]

    assert {answer.status for answer in answers} == {200}
    given = [number for answer in answers for number in answer.body["sequences"] if number is not None]
    total = clients * batches * (size - 1) + 1
    assert sorted(given) == list(range(1, total + 1))
    assert (head["head_sequence"], head["event_count"]) == (total, total)
    assert routes[f"POST {INGEST}"] == {"2xx": clients * batches}
    assert routes["unmatched"] == {"4xx": clients}

    events = pages[0] + pages[1]
    assert [event["sequence"] for event in events] == list(range(1, total + 1))
    assert max(collections.Counter(event["event_id"] for event in events).values()) == 1
    commitments.reverse()
    bounds = [(c["from_sequence"], c["to_sequence"]) for c in commitments]
    assert bounds == [
        (first, first + per_commitment - 1) for first in range(1, total - per_commitment + 2, per_commitment)
    ]
    for commitment in commitments:
        covered = events[commitment["from_sequence"] - 1 : commitment["to_sequence"]]
        assert commitment["root"] == expected_root(covered)


@pytest.mark.parametrize("workers", [1, 2])
def test_rate_limit(workers: int) -> None:
    options = SequencerOptions(rate_limit_per_minute=5)
    with running("sequencer", options, workers=workers) as target:
        statuses = []
        for _ in range(8):
            # A connection each, so that all processes take part.
            with Client(target.port) as client:
                answer = client.get(f"/api/v1/head?{STREAM}")
            statuses.append(answer.status)
        assert statuses == [200] * 5 + [429] * 3
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.body["error"]["code"] == "rate_limited"
        with Client(target.port) as client:
            assert client.get("/health").status == 200
            assert client.get("/stats").body["routes"]["GET /api/v1/head"] == {"2xx": 5, "4xx": 3}


def test_stats_equal_the_requests_sent() -> None:
    with running("sequencer", workers=2) as target:
        for number in range(10):
            with Client(target.port) as client:
                client.ingest(make_batch(make_event()))
                client.ingest(b"{}" if number % 2 else make_batch())
                client.get("/api/v1/entities/order/none")
        with Client(target.port) as client:
            first = client.get("/stats").body
            second = client.get("/stats").body
    assert first["routes"][f"POST {INGEST}"] == {"2xx": 10, "4xx": 10}
    assert first["routes"]["GET /api/v1/entities/{type}/{id}"] == {"4xx": 10}
    assert second["requests"] == first["requests"] + 1
    assert second["routes"]["GET /stats"] == {"2xx": 1}


def test_database_is_continued_after_a_restart(tmp_path: Path) -> None:
    options = SequencerOptions(db=str(tmp_path / "events.db"), events_per_commitment=4)
    events = [make_event() for _ in range(9)]
    with running("sequencer", options) as target, Client(target.port) as client:
        assert client.ingest(make_batch(*events[:6])).body["last_sequence"] == 6
    assert (tmp_path / "events.db").exists()
    with running("sequencer", options, workers=2) as target, Client(target.port) as client:
        answer = client.ingest(make_batch(*events[4:]))
        assert answer.body["sequences"] == [None, None, 7, 8, 9]
        stored = client.get(f"/api/v1/events?{STREAM}").body["events"]
        assert [event["event_id"] for event in stored] == [event["event_id"] for event in events]
        commitments = client.get("/api/v1/ves/commitments").body["commitments"]
    assert [(c["from_sequence"], c["to_sequence"]) for c in commitments] == [(5, 8), (1, 4)]
    assert commitments[0]["root"] == expected_root(events[4:8])


def test_commitments_are_paged_newest_first() -> None:
    with (
        running("sequencer", SequencerOptions(events_per_commitment=3)) as target,
        Client(target.port) as client,
    ):
        client.ingest(make_batch(*(make_event() for _ in range(20))))
        newest = client.get("/api/v1/ves/commitments?limit=4").body["commitments"]
        older = client.get(f"/api/v1/ves/commitments?before={newest[-1]['commitment_id']}").body["commitments"]
    assert [c["to_sequence"] for c in newest + older] == [18, 15, 12, 9, 6, 3]


def test_database_that_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(TargetError, match="file is not a database"),
        running("sequencer", SequencerOptions(db=str(path))),
    ):
        pass


def test_two_targets_cannot_share_a_database(tmp_path: Path) -> None:
    options = SequencerOptions(db=str(tmp_path / "events.db"))
    with (
        running("sequencer", options, workers=2),
        pytest.raises(TargetError, match="in use by another"),
        running("sequencer", options),
    ):
        pass


def test_options_fail_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="max_db_connections 3 is too few"):
        SequencerOptions(max_db_connections=3)._validate(2)
    with pytest.raises(PlanError, match="rate_limit_per_minute must be at least 0"):
        SequencerOptions(rate_limit_per_minute=-1)._validate(1)
    with pytest.raises(PlanError, match="workers"):
        SequencerOptions()._validate(0)
    with pytest.raises(PlanError, match="RATE_LIMIT_PER_MINUTE='many'"):
        SequencerOptions()._with_environment({"RATE_LIMIT_PER_MINUTE": "many"})
    taken = SequencerOptions(api_key="own")._with_environment({"API_KEY": "env", "MAX_DB_CONNECTIONS": "6"})
    assert (taken.api_key, taken.max_db_connections, taken.rate_limit_per_minute) == ("own", 6, None)
    with pytest.raises(PlanError, match="takes SequencerOptions"), running("sequencer", TargetOptions()):
        pass
    monkeypatch.setenv("MAX_DB_CONNECTIONS", "2")
    with running("sequencer") as target, Client(target.port) as client:
        assert client.get(f"/api/v1/head?{STREAM}").status == 200
