"""The score embed: scores that follow from the address, keys, and every refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastload.model.errors import PlanError
from fastload.targets import RunningTarget, ScoreOptions, running
from tests.targets.events import Answer, Client, ask_at_once, codes

VERIFY = "/embed/auto-verify"
KEY = {"X-API-Key": "secret"}


def address(number: int) -> str:
    return f"0x{number:040x}"


def path(number: int, scorer: str = "7") -> str:
    return f"/embed/score/{scorer}/{address(number)}"


@pytest.fixture(scope="module")
def score() -> Iterator[RunningTarget]:
    options = ScoreOptions(api_key="secret", rate_limit_per_minute=0, scorers="7, 8")
    with running("score", options, workers=2) as target:
        yield target


@pytest.fixture
def client(score: RunningTarget) -> Iterator[Client]:
    with Client(score.port) as connection:
        yield connection


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def test_a_score_follows_from_scorer_and_address(score: RunningTarget, client: Client) -> None:
    first = client.get(path(0xABC), KEY)
    assert first.status == 200
    assert set(first.body) == {"address", "score", "passing_score", "threshold", "last_score_timestamp", "stamps"}
    assert first.body["address"] == address(0xABC)
    upper = client.get(f"/embed/score/7/0x{address(0xABC)[2:].upper()}", KEY)
    assert upper.body == first.body
    answers = ask_at_once(score.port, 8, lambda other, _: other.get(path(0xABC), KEY))
    assert [answer.body for answer in answers] == [first.body] * 8
    assert client.get(path(0xABC, "8"), KEY).body["stamps"] != first.body["stamps"]


def test_scores_are_spread(client: Client) -> None:
    found = [client.get(path(number), KEY).body for number in range(200)]
    assert len({one["score"] for one in found}) > 50
    assert {one["passing_score"] for one in found} == {True, False}
    for one in found:
        assert one["score"] == pytest.approx(sum(one["stamps"].values()))
        assert one["passing_score"] == (one["score"] >= one["threshold"])
        assert one["threshold"] == 20


def test_a_verification_is_seen_by_every_process(score: RunningTarget, client: Client) -> None:
    before = client.get(path(5), KEY).body
    assert before["last_score_timestamp"] is None
    start_s = time.time()
    verified = client.post(VERIFY, {"address": address(5), "scorerId": "7"}, KEY)
    assert verified.status == 200
    assert start_s <= verified.body["last_score_timestamp"] <= time.time()
    assert {**verified.body, "last_score_timestamp": None} == before
    answers = ask_at_once(score.port, 8, lambda other, _: other.get(path(5), KEY))
    assert [answer.body for answer in answers] == [verified.body] * 8
    again = client.post(VERIFY, {"address": address(5), "scorerId": "7"}, KEY).body
    assert again["last_score_timestamp"] >= verified.body["last_score_timestamp"]
    assert client.get(path(5, "8"), KEY).body["last_score_timestamp"] is None


@pytest.mark.parametrize("headers", [{"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}])
def test_the_key_may_be_in_either_header(client: Client, headers: dict[str, str]) -> None:
    assert client.get(path(1), headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "other"},
        {"X-API-Key": ""},
        {"X-API-Key": "Bearer secret"},
        {"Authorization": "secret"},
        {"Authorization": "Bearer secret2"},
        {"X-API-Key": "s\xe9cret"},
    ],
)
def test_a_bad_key(client: Client, headers: dict[str, str]) -> None:
    assert code(client.get(path(1), headers)) == (401, "unauthorized")
    assert code(client.post(VERIFY, {"address": address(1), "scorerId": "7"}, headers)) == (401, "unauthorized")


def test_an_unknown_scorer(client: Client) -> None:
    assert code(client.get(path(1, "9"), KEY)) == (404, "unknown_scorer")
    assert code(client.post(VERIFY, {"address": address(1), "scorerId": "9"}, KEY)) == (404, "unknown_scorer")


@pytest.mark.parametrize("text", ["0x12", "0xg" + "0" * 39, "0" * 42, "0x" + "0" * 41, "vitalik.example"])
def test_a_malformed_address(client: Client, text: str) -> None:
    assert code(client.get(f"/embed/score/7/{text}", KEY)) == (400, "invalid_address")
    assert code(client.post(VERIFY, {"address": text, "scorerId": "7"}, KEY)) == (400, "invalid_address")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"address": address(1)}, "missing_field"),
        ({"scorerId": "7"}, "missing_field"),
        ({"address": address(1), "scorer_id": "7"}, "missing_field"),
        ({"address": address(1), "scorerId": 7}, "invalid_value"),
        (b"", "malformed_json"),
    ],
)
def test_a_malformed_verification(client: Client, body: Any, expected: str) -> None:
    assert code(client.post(VERIFY, body, KEY)) == (400, expected)


def test_the_limit_is_exact_over_all_processes() -> None:
    with running("score", ScoreOptions(rate_limit_per_minute=6), workers=2) as target:
        answers = ask_at_once(target.port, 10, lambda client, number: client.get(path(number, "1")))
        with Client(target.port) as client:
            stats = client.get("/stats").body
    assert codes(answers) == {"200": 6, "rate_limited": 4}
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in answers if answer.status == 429)
    assert stats["outcomes"] == {"score_read": 6, "rate_limited": 4}
    assert stats["routes"]["GET /embed/score/{scorer}/{address}"] == {"2xx": 6, "4xx": 4}


def test_scorer_and_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORER_ID", "77")
    monkeypatch.setenv("API_KEY", "env")
    with running("score", ScoreOptions(threshold=0)) as target, Client(target.port) as client:
        assert client.get(path(1, "77"), {"X-API-Key": "env"}).body["passing_score"] is True
        assert code(client.get(path(1, "1"), {"X-API-Key": "env"})) == (404, "unknown_scorer")
        assert code(client.get(path(1, "77"))) == (401, "unauthorized")


def test_options_fail_before_the_start() -> None:
    with pytest.raises(PlanError, match="scorers ' , ' names none"):
        ScoreOptions(scorers=" , ")._validate(1)
