"""Which names are secret, and what is left of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.redaction import (
    MOST_TEXT,
    SECRET_PARTS,
    SECRET_WORDS,
    is_secret,
    redacted,
    redacted_url,
    shortened,
)


@pytest.mark.parametrize(
    "name",
    [
        *("X-Api-Key", "apiKey", "APIKEY", "api_key", "key", "access_token", "refreshToken", "X-Auth-Token"),
        *("password", "passwd", "PWD", "client-secret", "sig", "X-Amz-Signature", "X-Amz-Credential", "session"),
        *("sessionId", "PHPSESSID", "JSESSIONID", "sid", "Authorization", "Proxy-Authorization", "Cookie"),
        *(
            "Set-Cookie",
            "user[password]",
            "id_token_hint",
            "X-CSRF-Token",
            "jwt",
            "otp",
            *SECRET_PARTS,
            *SECRET_WORDS,
        ),
    ],
)
def test_secret_names(name: str) -> None:
    assert is_secret(name)
    assert is_secret(name.upper())


@pytest.mark.parametrize(
    "name",
    ["page", "monkey", "keyword", "author", "Content-Type", "Accept", "compass", "id", "user", "side", "design", ""],
)
def test_other_names(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("http://ada:love@host:8080/a?b=c", "http://host:8080/a?b=c"),
        ("http://ada:lo@ve@host/", "http://host/"),
        ("http://host/@x", "http://host/@x"),
        ("http://host/a?page=2&api_key=s3cret&x=1", "http://host/a?page=2&api_key=***&x=1"),
        ("/a?token=s3cret", "/a?token=***"),
        ("/a?x=1;sig=s3cret#access_token=s3cret", "/a?x=1;sig=***#access_token=***"),
        ("/a?api%5Fkey=s3cret&user%5Bpassword%5D=s3cret", "/a?api%5Fkey=***&user%5Bpassword%5D=***"),
        ("/a?token=", "/a?token=***"),
        ("", ""),
        ("no URL at all: me@example.com, a = b", "no URL at all: me@example.com, a = b"),
    ],
)
def test_urls(text: str, left: str) -> None:
    assert redacted_url(text) == left
    assert redacted(f"GET {text}: refused") == f"GET {left}: refused"
    assert redacted_url(left) == left


def test_texts() -> None:
    quoted = "KeyError: {'Authorization': 'Bearer abcdefghijklmnop.q-r', 'X': 'http://a:b@c/?key=d'}"
    assert redacted(quoted) == "KeyError: {'Authorization': 'Bearer ***', 'X': 'http://c/?key=***'}"
    code = 'token = reply.json()["token"]; basic authentication failed; key = 5'
    assert redacted(code) == code


@given(st.text())
def test_any_text_is_taken_and_redacting_it_again_changes_nothing(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@pytest.mark.parametrize("before", range(MOST_TEXT - 80, MOST_TEXT + 20, 7))
def test_a_cut_does_not_part_a_secret_from_its_name(before: int) -> None:
    url = "http://h/?api_key=s3crets3cret&x=1"
    for text in ("b" * before + url + "e" * 10_000, "b" * 10_000 + url + "e" * (before // 4)):
        short = shortened(text)
        assert "s3c" not in short
        assert len(short) <= MOST_TEXT
        assert shortened(short) == short


def test_a_short_text_is_left_as_it_is() -> None:
    assert shortened("text") == "text"
    assert shortened("x" * MOST_TEXT) == "x" * MOST_TEXT
