"""Secrets of a source are never in the script: they come from earlier responses, or are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.convert.conftest import Memory
from tests.convert.test_correlation import TOKEN, body, form, given, script_of, sends
from tests.convert.test_openapi import made_of as api_of
from tests.convert.test_postman import made_of as postman_of
from tests.convert.test_recording import recorded

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
GOOGLE_KEY = "AIzaSyA1b2C3d4E5f6G7h8I9j0KlMnOpQrStUvW"


def text(value: str) -> dict[str, Any]:
    return {"postData": {"mimeType": "text/plain", "text": value}}


@pytest.mark.parametrize(
    ("request_", "secret", "sent"),
    [
        (sends(**body({"token": {"value": "abc123"}})), "abc123", '{"value": TOKEN_VALUE}'),
        (sends(**body({"secret": 12345})), "12345", '{"secret": int(SECRET)}'),
        (sends(**text('{"pin": 48213, "max_tokens": 4096}')), "48213", '"pin": {PIN}'),
        (sends(**body({"password": ["one1", "two2"]})), "two2", "[PASSWORD, PASSWORD_2]"),
        (sends(url=f"https://a.test/maps?key={GOOGLE_KEY}"), GOOGLE_KEY, '{"key": KEY}'),
        (sends(headers=[{"name": "X-Custom", "value": f"Bearer {JWT}"}]), JWT, 'f"Bearer {'),
        (sends(**text("tok=1 pw=sesame99x")), "sesame99x", 'f"tok=1 pw={PW}"'),
        (sends(**body({"query": '{ login(user: "ada", password: "sesame99x") }'})), "sesame99x", "PASSWORD"),
        (sends(**text("<a><password>sesame99x</password></a>")), "sesame99x", "<password>{PASSWORD}</password>"),
        (sends(url=f"https://a.test/c?redirect=%2Fa%3Ft%3D{TOKEN}"), TOKEN, 'f"/a?t={T}"'),
    ],
)
def test_a_secret_of_a_recording_is_asked_for(tmp_path: Path, request_: dict[str, Any], secret: str, sent: str) -> None:
    made = script_of(tmp_path, given({}), request_)
    assert secret not in made.text
    assert sent in made.text


@pytest.mark.parametrize(
    "request_",
    [sends(url=f"https://a.test/c?redirect=%2Fa%3Ft%3D{TOKEN}"), sends(**text(f"tok={TOKEN} and so on"))],
)
def test_a_token_within_a_value_is_taken_from_the_response_that_had_it(
    tmp_path: Path, request_: dict[str, Any]
) -> None:
    made = script_of(tmp_path, given({"access": TOKEN}), request_)
    assert TOKEN not in made.text
    assert 'access = reply.json("access")' in made.text
    assert "={access}" in made.text
    assert "fl.env" not in made.text


@pytest.mark.parametrize(
    "value",
    [{"max_tokens": 4096}, {"session_timeout": 3600}, {"query": "query ($token: String!) { a }"}, {"pin": True}],
)
def test_what_only_looks_like_a_secret_stays(tmp_path: Path, value: dict[str, Any]) -> None:
    assert "fl.env" not in script_of(tmp_path, given({}), sends(**body(value))).text


def test_different_secrets_of_one_name_are_numbered(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    path = recorded(
        tmp_path,
        *(
            {"method": "POST", "url": f"{memory.url}/in/{user}", **form(f"user={user}&password={password}")}
            for user, password in (("alice", "alicepw1"), ("bob", "bobpw222"), ("again", "alicepw1"))
        ),
    )
    done = cli("new", "two", "--from", str(path))
    assert done.returncode == 0, done.stderr
    script = (tmp_path / "two.py").read_text()
    assert "alicepw1" not in script
    assert "bobpw222" not in script
    assert "different values of one name, in this order: PASSWORD, PASSWORD_2." in " ".join(script.split())
    assert "PASSWORD, PASSWORD_2" in done.stderr
    done = cli("run", "two.py", "--base-url", memory.url, "-e", "PASSWORD=a", "-e", "PASSWORD_2=b", "-w", "1", "-q")
    assert done.returncode == 0, done.stderr
    assert [asked.body for asked in memory.asked] == [
        "user=alice&password=a",
        "user=bob&password=b",
        "user=again&password=a",
    ]


def test_different_secrets_of_a_collection_are_numbered(tmp_path: Path) -> None:
    def login(password: str) -> dict[str, Any]:
        basic = [{"key": "username", "value": "ada"}, {"key": "password", "value": password}]
        return {
            "method": "POST",
            "url": "http://a.test/in",
            "auth": {"type": "basic", "basic": basic},
            "body": {"mode": "raw", "raw": json.dumps({"password": f"{password}-2", "note": f"Bearer {JWT}"})},
        }

    made = postman_of(tmp_path, login("pw-one"))
    assert "pw-one" not in made.text
    assert JWT not in made.text
    assert 'auth=("ada", PASSWORD)' in made.text
    assert '"password": PASSWORD_2' in made.text


PROPERTIES: dict[str, dict[str, Any]] = {
    "user": {"type": "string", "example": "ada"},
    "password": {"type": "string", "example": "sesame1"},
    "api_key": {"type": "string", "default": "k-123"},
    "answer": {"type": "string", "format": "password", "example": "my cat"},
    "pin": {"type": "integer", "example": 48213},
    "inside": {"type": "object", "properties": {"secret": {"type": "string", "example": "deep1"}}},
}
EXAMPLES = ("sesame1", "k-123", "my cat", "48213", "deep1")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("is_whole", [False, True])
def test_secrets_in_examples_of_a_description_are_asked_for(tmp_path: Path, kind: str, *, is_whole: bool) -> None:
    media: dict[str, Any] = {"schema": {"type": "object", "properties": PROPERTIES}}
    if is_whole:
        media["example"] = {
            name: part.get("example") or part.get("default") or {"secret": "deep1"} for name, part in PROPERTIES.items()
        }
    made = api_of(tmp_path, {"requestBody": {"content": {kind: media}}})
    assert [secret for secret in EXAMPLES if secret in made.text] == []
    assert "ada" in made.text
    for name in ("PASSWORD", "API_KEY", "ANSWER", "PIN", "SECRET"):
        assert f'{name} = fl.env("{name}")' in made.text
    assert any("PASSWORD" in note for note in made.notes)


def test_a_secret_in_a_path_or_a_text_of_a_description_is_asked_for(tmp_path: Path) -> None:
    made = api_of(
        tmp_path,
        {
            "parameters": [
                {"name": "at", "in": "query", "schema": {"type": "string"}, "example": f"x {JWT}"},
                {"name": "filter", "in": "query", "schema": {"type": "object"}, "example": {"token": "abc123"}},
            ],
            "requestBody": {"content": {"text/plain": {"example": "user=ada pw=sesame1"}}},
        },
    )
    assert [secret for secret in (JWT, "abc123", "sesame1") if secret in made.text] == []
    assert 'f"user=ada pw={PW}"' in made.text
