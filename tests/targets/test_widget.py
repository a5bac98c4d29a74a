"""The embed widget: a nonce is good once, whichever process is asked; refusals name their reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastload.targets import RunningTarget, WidgetOptions, find_target, running
from fastload.targets.database import StateFile
from fastload.targets.messages import ApiError
from fastload.targets.shared import SharedMemory
from fastload.targets.tokens import Signer
from fastload.targets.widget.nonces import SCHEMA, Nonces
from tests.conftest import wait_until
from tests.targets.events import Answer, Client, ask_at_once, codes

TOKEN, VALIDATE = "/api/embed/token?shop=shop-1.example", "/api/embed/validate"
BROWSER = {"Origin": "https://shop-1.example", "User-Agent": "test"}
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def widget() -> Iterator[RunningTarget]:
    with running("widget", WidgetOptions(api_key="secret", rate_limit_per_minute=0), workers=2) as target:
        yield target


@pytest.fixture
def client(widget: RunningTarget) -> Iterator[Client]:
    with Client(widget.port) as connection:
        yield connection


def handshake(client: Client) -> tuple[str, dict[str, str]]:
    """A nonce, and the header with its token."""
    found = client.get(TOKEN, BROWSER)
    assert found.status == 200
    return found.body["nonce"], {"Authorization": f"Bearer {found.body['token']}"}


def validate(client: Client, nonce: Any, headers: dict[str, str] | None = None) -> Answer:
    return client.post(VALIDATE, {"nonce": nonce}, headers)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def test_a_handshake_of_many_users(widget: RunningTarget) -> None:
    def shake(client: Client, _: int) -> Answer:
        nonce, headers = handshake(client)
        return validate(client, nonce, headers)

    answers = ask_at_once(widget.port, 16, shake)
    assert codes(answers) == {"200": 16}
    assert [answer.body for answer in answers] == [{"valid": True, "shop": "shop-1.example"}] * 16


def test_tokens_and_nonces_never_repeat(widget: RunningTarget) -> None:
    answers = ask_at_once(widget.port, 8, lambda client, _: client.get(TOKEN, BROWSER))
    for key in ("token", "nonce"):
        assert len({answer.body[key] for answer in answers}) == 8


def test_a_nonce_is_good_once_over_all_processes(widget: RunningTarget, client: Client) -> None:
    nonce, headers = handshake(client)
    answers = ask_at_once(widget.port, 12, lambda other, _: validate(other, nonce, headers))
    assert codes(answers) == {"200": 1, "nonce_reused": 11}
    assert code(validate(client, nonce, headers)) == (409, "nonce_reused")


@pytest.mark.parametrize("name", BROWSER)
def test_a_token_needs_a_browser(client: Client, name: str) -> None:
    answer = client.get(TOKEN, {key: value for key, value in BROWSER.items() if key != name})
    assert code(answer) == (400, "missing_header")
    assert name.lower() in answer.body["error"]["message"]


@pytest.mark.parametrize(
    ("query", "origin"),
    [
        ("?shop=", "https://shop-1.example"),
        ("", "null"),
        ("", "https://"),
        ("", "shop-1.example"),
        ("?other=1", "file:///index.html"),
    ],
)
def test_a_token_needs_a_shop(client: Client, query: str, origin: str) -> None:
    answer = client.get(f"/api/embed/token{query}", {**BROWSER, "Origin": origin})
    assert code(answer) == (400, "missing_parameter")


@pytest.mark.parametrize(
    ("query", "origin", "shop"),
    [
        ("", "https://shop-2.example", "shop-2.example"),
        ("?other=1", "http://localhost:3000", "localhost:3000"),
        ("?shop=shop-3.example", "https://shop-2.example", "shop-3.example"),
        ("?shop=shop-3.example", "null", "shop-3.example"),
    ],
)
def test_the_shop_is_that_of_the_query_or_else_of_the_origin(
    client: Client, query: str, origin: str, shop: str
) -> None:
    given = client.get(f"/api/embed/token{query}", {**BROWSER, "Origin": origin})
    assert given.status == 200
    answer = validate(client, given.body["nonce"], {"Authorization": f"Bearer {given.body['token']}"})
    assert answer.body == {"valid": True, "shop": shop}


def test_a_nonce_goes_with_its_token_alone(client: Client) -> None:
    nonce, headers = handshake(client)
    other_nonce, _ = handshake(client)
    assert code(validate(client, other_nonce, headers)) == (401, "nonce_unknown")
    assert code(validate(client, "", headers)) == (401, "nonce_unknown")
    assert code(validate(client, "é", headers)) == (401, "nonce_unknown")
    token = headers["Authorization"].removeprefix("Bearer ")
    for wrong in (
        {},
        {"Authorization": token},
        {"Authorization": f"ApiKey {token}"},
        {"Authorization": "Bearer secret"},
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": f"Bearer x{token}"},
        {"Authorization": "Bearer \xe9.\xe9"},
        {"Authorization": "Bearer ."},
    ):
        assert code(validate(client, nonce, wrong)) == (401, "token_invalid"), wrong
    # None of these used it up.
    assert validate(client, nonce, headers).status == 200


@pytest.mark.parametrize(
    ("body", "expected"), [({}, "missing_field"), ({"nonce": 7}, "invalid_value"), (b"nonce", "malformed_json")]
)
def test_a_malformed_validation_is_refused(client: Client, body: Any, expected: str) -> None:
    assert code(client.post(VALIDATE, body)) == (400, expected)


def test_a_nonce_gets_stale() -> None:
    with running("widget", WidgetOptions(nonce_ttl_s=1)) as target, Client(target.port) as client:
        nonce, headers = handshake(client)
        issued_s = time.monotonic()
        wait_until(lambda: time.monotonic() > issued_s + 1)
        assert code(validate(client, nonce, headers)) == (401, "nonce_stale")
        fresh, headers = handshake(client)
        assert validate(client, fresh, headers).status == 200
        assert client.get("/stats").body["outcomes"] == {"token_issued": 2, "validated": 1, "nonce_stale": 1}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    shared = SharedMemory.create(find_target("widget"), 2)
    opened = StateFile(tmp_path, shared, SCHEMA)
    yield opened
    opened.close()
    shared.close()


def test_the_age_of_a_nonce_to_the_microsecond(state: StateFile) -> None:
    nonces = Nonces(state, 0, ttl_s=60)
    issued_ns = 5 * SECOND_NS
    last, late = nonces.issue("a", issued_ns), nonces.issue("a", issued_ns)
    assert nonces.use(last.token, last.nonce, issued_ns + 60 * SECOND_NS) == "a"
    with pytest.raises(ApiError) as caught:
        # The second was issued in the same microsecond, and counts as one later.
        nonces.use(late.token, late.nonce, issued_ns + 60 * SECOND_NS + 2000)
    assert caught.value.code == "nonce_stale"


def test_processes_that_issue_in_the_same_microsecond_do_not_collide(state: StateFile) -> None:
    pairs = [Nonces(state, worker, ttl_s=60).issue("a", SECOND_NS) for worker in (0, 1)]
    for pair in pairs:
        assert Nonces(state, 0, ttl_s=60).use(pair.token, pair.nonce, SECOND_NS) == "a"


def test_used_nonces_are_forgotten_when_they_are_stale(state: StateFile) -> None:
    here, there = Nonces(state, 0, ttl_s=10), Nonces(state, 1, ttl_s=10)
    now_ns = SECOND_NS
    for number in range(2000):
        issuer, user = (here, there) if number % 2 else (there, here)
        pair = issuer.issue("shop with a space", now_ns)
        assert user.use(pair.token, pair.nonce, now_ns) == "shop with a space"
        now_ns += SECOND_NS // 10
    kept = state.connection.execute("SELECT count(*) FROM used_nonces").fetchone()[0]
    assert 90 <= kept <= 110
    with pytest.raises(ApiError) as caught:
        here.use(pair.token, pair.nonce, now_ns)
    assert caught.value.code == "nonce_reused"


def test_a_token_of_another_purpose_or_secret_is_not_valid() -> None:
    signer = Signer(b"s" * 32, "widget")
    token = signer.token("7 é shop")
    assert signer.content(token) == "7 é shop"
    assert Signer(b"s" * 32, "login").content(token) is None
    assert Signer(b"t" * 32, "widget").content(token) is None
    assert signer.content(f"{token[:-1]}{'a' if token[-1] != 'a' else 'b'}") is None
