"""The DID API: every answer of its routes, from two server processes."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.targets import DidOptions, RunningTarget, find_target, running
from fastload.targets.client_limits import SCHEMA, ClientLimits
from fastload.targets.database import StateFile
from fastload.targets.messages import ApiError
from fastload.targets.shared import SharedMemory
from tests.targets.events import Answer, Client, ask_at_once, codes

ENROLL, VERIFY = "/api/v1/did/enroll", "/api/v1/did/verify"
HASH = "0123456789abcdef" * 4
MINUTE_NS = 60_000_000_000


def new_wallet() -> str:
    return f"addr_test1{uuid.uuid4().hex}"


def enrolment(wallet: str, **changes: Any) -> dict[str, Any]:
    metadata = {"device_id": "d-1", "enrollment_type": "fingerprint"}
    return {"wallet_address": wallet, "biometric_hash": HASH, "metadata": metadata, **changes}


def verification(wallet: str, **changes: Any) -> dict[str, Any]:
    return {"wallet_address": wallet, "biometric_hash": HASH, "timestamp": int(time.time()), **changes}


@pytest.fixture(scope="module")
def did() -> Iterator[RunningTarget]:
    with running("did", DidOptions(api_key="", rate_limit_per_minute=0, max_age_s=100), workers=2) as target:
        yield target


@pytest.fixture
def client(did: RunningTarget) -> Iterator[Client]:
    with Client(did.port) as connection:
        yield connection


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def test_a_wallet_is_enrolled_once_and_verified_by_every_process(did: RunningTarget) -> None:
    wallet = new_wallet()
    with Client(did.port) as client:
        first = client.post(ENROLL, enrolment(wallet))
    assert first.status == 201
    assert first.body["wallet_address"] == wallet
    assert set(codes(ask_at_once(did.port, 8, lambda client, _: client.post(ENROLL, enrolment(wallet))))) == {
        "already_enrolled"
    }
    answers = ask_at_once(did.port, 8, lambda client, _: client.post(VERIFY, verification(wallet)))
    assert {answer.status for answer in answers} == {200}
    assert {(answer.body["verified"], answer.body["did"]) for answer in answers} == {(True, first.body["did"])}


def test_of_many_who_enrol_a_wallet_at_once_one_succeeds(did: RunningTarget) -> None:
    wallet = new_wallet()
    answers = ask_at_once(did.port, 12, lambda client, _: client.post(ENROLL, enrolment(wallet)))
    assert codes(answers) == {"201": 1, "already_enrolled": 11}
    assert {answer.status for answer in answers} == {201, 409}


def test_verification_fails_for_the_right_reason(client: Client) -> None:
    wallet = new_wallet()
    assert code(client.post(VERIFY, verification(wallet))) == (401, "not_enrolled")
    assert client.post(ENROLL, enrolment(wallet)).status == 201
    assert code(client.post(VERIFY, verification(wallet, biometric_hash="f" * 64))) == (401, "hash_mismatch")
    assert client.post(VERIFY, verification(wallet, biometric_hash=HASH.upper())).status == 200
    now = time.time()
    for timestamp in (now - 110, now + 110, now * 1000):
        assert code(client.post(VERIFY, verification(wallet, timestamp=timestamp))) == (400, "stale_timestamp")
    for timestamp in (now - 60, now + 60):
        assert client.post(VERIFY, verification(wallet, timestamp=timestamp)).status == 200


@pytest.mark.parametrize(
    ("wallet", "biometric_hash"),
    [
        ("addr_test1482913", HASH),
        ("addr_test1482914", HASH.upper()),
        (f"addr_test1{'q7zk2m0xva' * 5}", "0z" * 32),
        (f"addr_test1{'q7zk2m0xvb' * 5}", "7" * 64),
    ],
    ids=["Locust", "upper case", "k6", "digits"],
)
def test_wallets_and_hashes_as_the_tools_of_the_team_send_them(
    client: Client, wallet: str, biometric_hash: str
) -> None:
    sent = {"biometric_hash": biometric_hash}
    assert client.post(ENROLL, enrolment(wallet, **sent)).status == 201
    assert client.post(VERIFY, verification(wallet, **sent)).status == 200
    assert code(client.post(VERIFY, verification(wallet, biometric_hash="zz" * 32))) == (401, "hash_mismatch")


def test_metadata_may_be_left_out(client: Client) -> None:
    body = enrolment(new_wallet())
    del body["metadata"]
    assert client.post(ENROLL, body).status == 201


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"wallet_address": "addr1qxy"}, "invalid_value"),
        ({"wallet_address": "addr_test1"}, "invalid_value"),
        ({"wallet_address": "addr_test1abc\n"}, "invalid_value"),
        ({"wallet_address": 7}, "invalid_value"),
        ({"biometric_hash": "ab" * 31}, "invalid_value"),
        ({"biometric_hash": "ab" * 32 + "a"}, "invalid_value"),
        ({"biometric_hash": "xY" * 32}, "invalid_value"),
        ({"biometric_hash": "-" * 64}, "invalid_value"),
        ({"biometric_hash": 7}, "invalid_value"),
        ({"biometric_hash": HASH + "\n"}, "invalid_value"),
        ({"wallet_address": None}, "invalid_value"),
    ],
)
@pytest.mark.parametrize("path", [ENROLL, VERIFY])
def test_a_malformed_field_is_refused(client: Client, path: str, changes: dict[str, Any], expected: str) -> None:
    body = {**verification(new_wallet()), **changes}
    assert code(client.post(path, body)) == (400, expected)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (ENROLL, b"{", "malformed_json"),
        (ENROLL, b"", "malformed_json"),
        (ENROLL, b'{"wallet_address": "\xff"}', "malformed_json"),
        (ENROLL, b'{"wallet_address": "\\ud800"}', "malformed_json"),
        (ENROLL, {"wallet_address": "addr_test1a"}, "missing_field"),
        (ENROLL, enrolment("addr_test1a", metadata={"device_id": 7}), "invalid_value"),
        (VERIFY, {"wallet_address": "addr_test1a", "biometric_hash": HASH}, "missing_field"),
        (VERIFY, verification("addr_test1a", timestamp="now"), "invalid_value"),
        (VERIFY, b'{"wallet_address": "addr_test1a", "biometric_hash": "%b", "timestamp": 1e999}' % HASH.encode(),
         "invalid_value"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused(client: Client, path: str, body: Any, expected: str) -> None:
    assert code(client.post(path, body)) == (400, expected)


def test_the_limit_of_a_wallet_is_exact_over_all_processes() -> None:
    wallet, other = new_wallet(), new_wallet()
    options = DidOptions(client_limit_per_minute=5)
    with running("did", options, workers=2) as target:
        answers = ask_at_once(target.port, 9, lambda client, _: client.post(VERIFY, verification(wallet)))
        with Client(target.port) as client:
            assert client.post(ENROLL, enrolment(other)).status == 201
            outcomes = client.get("/stats").body["outcomes"]
    assert codes(answers) == {"not_enrolled": 5, "client_limited": 4}
    limited = [answer for answer in answers if answer.status == 429]
    assert len(limited) == 4
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in limited)
    assert outcomes == {"not_enrolled": 5, "client_limited": 4, "enrolled": 1}


@given(
    limit=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, MINUTE_NS)), max_size=30),
)
def test_client_limits_count_in_windows(
    tmp_path_factory: pytest.TempPathFactory, limit: int, steps: list[tuple[str, int]]
) -> None:
    shared = SharedMemory.create(find_target("did"), 1)
    state = StateFile(tmp_path_factory.mktemp("limits"), shared, SCHEMA)
    try:
        limits = ClientLimits(state, limit)
        windows: dict[str, tuple[int, int]] = {}
        clock = itertools.accumulate(wait for _, wait in steps)
        for (client, _), now_ns in zip(steps, clock, strict=True):
            end_ns, taken = windows.get(client, (0, 0))
            if client not in windows or end_ns <= now_ns:
                end_ns, taken = now_ns + MINUTE_NS, 0
            windows[client] = (end_ns, min(taken, limit) + 1)
            if taken < limit:
                limits.take(client, now_ns)
            else:
                with pytest.raises(ApiError) as caught:
                    limits.take(client, now_ns)
                assert int(caught.value.headers["retry-after"]) == -(-(end_ns - now_ns) // 1_000_000_000)
    finally:
        state.close()
        shared.close()


def write_and_fail(state: StateFile) -> None:
    with state.writing() as connection:
        connection.execute("INSERT INTO things VALUES ('a')")
        raise ValueError("on purpose")


def test_what_is_undone_is_not_stored(tmp_path: Path) -> None:
    shared = SharedMemory.create(find_target("did"), 1)
    state = StateFile(tmp_path, shared, "CREATE TABLE things (name TEXT);")
    try:
        with pytest.raises(ValueError, match="on purpose"):
            write_and_fail(state)
        assert state.write("INSERT INTO things VALUES (?)", ("b",)) == 1
        assert state.connection.execute("SELECT name FROM things").fetchall() == [("b",)]
        other = StateFile(tmp_path, shared, "")
        assert other.secret == state.secret
        other.close()
    finally:
        state.close()
        shared.close()
