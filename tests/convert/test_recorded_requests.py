"""Every part of a recorded request is sent, or a note names it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.convert.conftest import Asked, Memory, check_style
from tests.convert.test_recording import made_of, recorded


def sent(cli: Cli, tmp_path: Path, memory: Memory, **request: Any) -> Asked:
    """What the script sends of a recording of *request*; "URL" in it stands for the server."""
    path = recorded(tmp_path, {"method": "POST", "url": "URL/x", **request})
    path.write_text(path.read_text().replace("URL", memory.url).replace("HOST", memory.url.partition("://")[2]))
    done = cli("new", "visit", "--from", str(path))
    assert done.returncode == 0, done.stderr
    check_style(tmp_path / "visit.py")
    done = cli("run", "visit.py", "--base-url", memory.url, "-e", "PASSWORD=pw", "-w", "1", "-q")
    assert done.returncode == 0, done.stderr
    (asked,) = memory.asked
    return asked


def headers(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def test_headers_are_sent_as_they_were(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    given = headers(("Host", "shop.test"), ("X-None", ""), ("X-Tag", "a"), ("x-tag", "b"), ("content-type", "a/b"))
    asked = sent(cli, tmp_path, memory, method="GET", headers=given)
    assert (asked.headers["host"], asked.headers["x-none"], asked.headers["x-tag"]) == ("shop.test", "", "a, b")
    assert asked.headers["content-type"] == "a/b"


def test_a_host_like_the_url_is_left_to_the_client(tmp_path: Path) -> None:
    entries = [{"headers": headers(("Host", host))} for host in ("a.test", "A.TEST:443", "")]
    assert "Host" not in made_of(tmp_path, *entries).text


def test_a_user_in_a_url_is_sent(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    asked = sent(cli, tmp_path, memory, url="http://ada:s3cr%40t@HOST/x")
    assert asked.headers["authorization"] == "Basic YWRhOnB3"
    assert "s3cr" not in (tmp_path / "visit.py").read_text()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json; charset=UTF-8", '{"a":1}'),
        ("application/json", '{"a": 1, "a": 2}'),
        ("application/x-www-form-urlencoded; charset=UTF-8", "a=1&b=2&a=3"),
        ("", "some text"),
        ("text/plain;charset=UTF-8", "first\r\nsecond"),
    ],
)
def test_bodies_are_sent_with_their_types(cli: Cli, tmp_path: Path, memory: Memory, kind: str, body: str) -> None:
    asked = sent(cli, tmp_path, memory, postData={"mimeType": kind, "text": body})
    assert (asked.headers.get("content-type", ""), asked.body) == (kind, body)


def test_fields_behind_a_file_stay_there(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    params: list[dict[str, str]] = [
        {"name": "a", "value": "1"},
        {"name": "f", "value": "x", "fileName": "f.txt", "contentType": "text/css"},
        {"name": "b", "value": "{}", "contentType": "application/json"},
        {"name": "c", "value": "3"},
    ]
    asked = sent(cli, tmp_path, memory, postData={"mimeType": "multipart/form-data; boundary=x", "params": params})
    at = [asked.body.index(f'name="{name}"') for name in "afbc"]
    assert at == sorted(at)
    assert 'name="b"\r\nContent-Type: application/json\r\n\r\n{}' in asked.body
    assert 'name="c"\r\n\r\n3' in asked.body


def test_a_body_in_base64_is_sent(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    data = {"mimeType": "text/plain", "text": base64.b64encode(b"the text").decode(), "encoding": "base64"}
    assert sent(cli, tmp_path, memory, postData=data).body == "the text"


@pytest.mark.parametrize(
    ("request_", "note"),
    [
        ({"bodySize": 40000}, "the body for /, of 40000 bytes, is not in the source: give one in its place"),
        (
            {"bodySize": 7, "postData": {"mimeType": "application/json"}},
            "the body for /, of 7 bytes, is not in the source: give one in its place",
        ),
        (
            {"postData": {"mimeType": "a/b", "text": "\ufffd\ufffd"}},
            "the body for / has bytes that the source does not show: give it anew",
        ),
        (
            {"postData": {"mimeType": "a/b", "text": "//8=", "encoding": "base64"}},
            "the body for / has bytes that the source does not show: give it anew",
        ),
        ({"headers": headers(("A", "1"), ("a", "2"))}, "the header A is sent once, with its values in one line"),
    ],
)
def test_what_is_not_sent_as_it_was_is_noted(tmp_path: Path, request_: dict[str, Any], note: str) -> None:
    assert note in made_of(tmp_path, {"method": "POST", **request_}).notes
