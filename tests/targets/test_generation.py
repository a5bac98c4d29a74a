"""The image generation: logins, credits that are exact over all processes, a provider that fails, streams."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from fastload.model.errors import PlanError
from fastload.targets import GenerationOptions, RunningTarget, running
from tests.conftest import wait_until
from tests.targets.events import Answer, Client, ask_at_once, codes

LOGIN, GENERATE = "/api/auth/login", "/api/generations"
EMAIL, PASSWORD = "user@shop.example", "s3cret"
RELIABLE = {"job_failure_rate": 0.0, "provider_failure_rate": 0.0}
PROMPT = {"prompt": "a lamp"}


def make_options(**changes: Any) -> GenerationOptions:
    return GenerationOptions(**{"email": EMAIL, "password": PASSWORD, "rate_limit_per_minute": 0, **changes})


@pytest.fixture(scope="module")
def generation() -> Iterator[RunningTarget]:
    with running("generation", make_options(users=2, job_time="50ms", **RELIABLE), workers=2) as target:
        yield target


@pytest.fixture
def client(generation: RunningTarget) -> Iterator[Client]:
    with Client(generation.port) as connection:
        yield connection


def login(client: Client, email: str = EMAIL) -> dict[str, str]:
    """The header with a token."""
    answer = client.post(LOGIN, {"email": email, "password": PASSWORD})
    assert (answer.status, answer.body["message"]) == (200, "login successful")
    return {"Authorization": f"Bearer {answer.body['token']}"}


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def credits_of(client: Client, headers: dict[str, str]) -> int:
    left: int = client.get("/api/credits", headers).body["credits"]
    return left


def wait_for_end(client: Client, session_id: str, headers: dict[str, str]) -> dict[str, Any]:
    """The last status, when the generation is over."""
    seen: list[dict[str, Any]] = []

    def is_over() -> bool:
        seen.append(client.get(f"{GENERATE}/{session_id}", headers).body)
        return seen[-1]["status"] in ("completed", "failed")

    wait_until(is_over)
    return seen[-1]


def read_events(port: int, session_id: str, headers: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """The server-sent events of a stream: type and data."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", f"{GENERATE}/{session_id}/stream", headers=headers)
        response = connection.getresponse()
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
        events = response.read().decode().removesuffix("\n\n").split("\n\n")
    finally:
        connection.close()
    parts = [event.split("\n") for event in events]
    return [(one.removeprefix("event: "), json.loads(two.removeprefix("data: "))) for one, two in parts]


def test_a_generation_is_polled_until_it_is_done(client: Client) -> None:
    headers = login(client)
    before = credits_of(client, headers)
    started = client.post(GENERATE, PROMPT, headers)
    assert (started.status, started.body["credits"]) == (202, before - 1)
    assert started.body["status"] == "processing"
    ended = wait_for_end(client, started.body["session_id"], headers)
    assert (ended["status"], ended["progress"]) == ("completed", 100)
    assert ended["image_url"].endswith(f"{ended['session_id']}.png")
    assert credits_of(client, headers) == before - 1


def test_a_generation_is_streamed_until_it_is_done(generation: RunningTarget, client: Client) -> None:
    headers = login(client)
    session_id = client.post(GENERATE, PROMPT, headers).body["session_id"]
    events = read_events(generation.port, session_id, headers)
    assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["completed"]
    assert len(events) >= 2
    assert {data["session_id"] for _, data in events} == {session_id}
    progress = [data["progress"] for _, data in events]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    # What is over is told at once.
    assert [name for name, _ in read_events(generation.port, session_id, headers)] == ["completed"]


def test_a_stream_that_is_left_holds_nothing_up() -> None:
    with running("generation", make_options(job_time="1h", **RELIABLE)) as target, Client(target.port) as client:
        headers = login(client)
        session_id = client.post(GENERATE, PROMPT, headers).body["session_id"]
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=20)
        connection.request("GET", f"{GENERATE}/{session_id}/stream", headers=headers)
        response = connection.getresponse()
        assert response.readline() == b"event: progress\n"
        response.close()
        connection.close()
        assert client.get(f"{GENERATE}/{session_id}", headers).body["status"] == "processing"
        assert client.get("/stats").body["outcomes"]["generation_streamed"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"email": EMAIL, "password": "wrong"},
        {"email": EMAIL, "password": ""},
        {"email": "nobody@shop.example", "password": PASSWORD},
    ],
)
def test_a_wrong_login(client: Client, body: dict[str, str]) -> None:
    assert code(client.post(LOGIN, body)) == (401, "wrong_password")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (LOGIN, {"email": EMAIL}, "missing_field"),
        (LOGIN, b"email", "malformed_json"),
        (GENERATE, {}, "missing_field"),
        (GENERATE, {"prompt": ""}, "invalid_value"),
        (GENERATE, {"prompt": ["a"]}, "invalid_value"),
    ],
)
def test_a_malformed_body_is_refused_and_costs_nothing(client: Client, path: str, body: Any, expected: str) -> None:
    headers = login(client)
    before = credits_of(client, headers)
    assert code(client.post(path, body, headers)) == (400, expected)
    assert credits_of(client, headers) == before


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x.y"}, {"Authorization": "Basic abc"}])
def test_a_token_of_a_login_is_needed(client: Client, headers: dict[str, str]) -> None:
    answers = [
        client.post(GENERATE, PROMPT, headers),
        client.get("/api/credits", headers),
        client.get(f"{GENERATE}/x", headers),
        client.get(f"{GENERATE}/x/stream", headers),
    ]
    assert [code(answer) for answer in answers] == [(401, "token_invalid")] * 4


def test_users_do_not_see_each_other(client: Client) -> None:
    first, second = login(client), login(client, "user+2@shop.example")
    before = credits_of(client, second)
    session_id = client.post(GENERATE, PROMPT, first).body["session_id"]
    assert client.get(f"{GENERATE}/{session_id}", first).status == 200
    for path in (f"{GENERATE}/{session_id}", f"{GENERATE}/{session_id}/stream", f"{GENERATE}/none"):
        assert code(client.get(path, second)) == (404, "generation_not_found")
    assert credits_of(client, second) == before
    assert code(client.post(LOGIN, {"email": "user+3@shop.example", "password": PASSWORD})) == (401, "wrong_password")


@pytest.mark.parametrize("workers", [1, 2])
def test_credits_are_exact_over_all_processes(workers: int) -> None:
    with running("generation", make_options(credits=7, mock=True), workers=workers) as target:
        with Client(target.port) as client:
            headers = login(client)
        answers = ask_at_once(target.port, 12, lambda client, _: client.post(GENERATE, PROMPT, headers))
        with Client(target.port) as client:
            assert credits_of(client, headers) == 0
            outcomes = client.get("/stats").body["outcomes"]
    assert codes(answers) == {"202": 7, "credits_exhausted": 5}
    assert {answer.status for answer in answers} == {202, 402}
    assert sorted(answer.body["credits"] for answer in answers if answer.status == 202) == list(range(7))
    assert outcomes == {"logged_in": 1, "credits_read": 1, "generation_started": 7, "credits_exhausted": 5}


def test_what_the_provider_refuses_costs_nothing() -> None:
    options = make_options(credits=40, provider_failure_rate=0.5, seed=3, job_time="0s")
    with running("generation", options) as target, Client(target.port) as client:
        headers = login(client)
        answers = [client.post(GENERATE, PROMPT, headers) for _ in range(40)]
        counted = codes(answers)
        assert set(counted) == {"202", "provider_error"}
        assert {answer.status for answer in answers} == {202, 502}
        assert credits_of(client, headers) == 40 - counted["202"]
        outcomes = client.get("/stats").body["outcomes"]
        assert outcomes["provider_error"] == counted["provider_error"]


def test_a_generation_can_fail_on_the_way() -> None:
    options = make_options(provider_failure_rate=0, job_failure_rate=1, job_time="10ms")
    with running("generation", options) as target, Client(target.port) as client:
        headers = login(client)
        session_id = client.post(GENERATE, PROMPT, headers).body["session_id"]
        ended = wait_for_end(client, session_id, headers)
        assert (ended["status"], ended["error"]) == ("failed", "the provider failed on the way")
        (name, data) = read_events(target.port, session_id, headers)[-1]
        assert (name, data) == ("failed", ended)


def test_a_mock_answers_at_once_and_never_fails() -> None:
    options = make_options(mock=True, provider_failure_rate=1, job_failure_rate=1, job_time="1h")
    with running("generation", options) as target, Client(target.port) as client:
        headers = login(client)
        assert client.post(GENERATE, PROMPT, headers).body["status"] == "completed"


def test_login_data_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_EMAIL", EMAIL)
    monkeypatch.setenv("TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("API_KEY", "of another server")
    with running("generation") as target, Client(target.port) as client:
        assert login(client)


def test_login_data_without_an_environment() -> None:
    with running("generation") as target, Client(target.port) as client:
        found = client.post(LOGIN, {"email": "test@example.com", "password": "testpassword123"})
    assert found.body["user"] == {"email": "test@example.com", "credits": 10_000}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GenerationOptions(api_key="k"), "takes no api_key"),
        (GenerationOptions(email="someone"), "email 'someone' is no address"),
        (GenerationOptions(credits=-1), "credits must be at least 0"),
        (GenerationOptions(users=0), "users must be at least 1"),
        (GenerationOptions(provider_failure_rate=1.5), "provider_failure_rate must be a share from 0 to 1"),
        (GenerationOptions(job_time="3"), "job_time '3' is not a duration"),
    ],
)
def test_options_fail_before_the_start(options: GenerationOptions, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        options._validate(1)
