"""Every part of a request in a collection of Postman is sent, or a note names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import RecordingFilter, convert
from tests.conftest import Cli
from tests.convert.conftest import Asked, Memory, check_style
from tests.convert.test_postman import collection, made_of


def sent(cli: Cli, tmp_path: Path, memory: Memory, *items: Any, **more: Any) -> list[Asked]:
    """What the script of *items* sends; "URL" in them stands for the server."""
    path = collection(tmp_path, *items, **more)
    path.write_text(path.read_text().replace("URL", memory.url))
    done = cli("new", "visit", "--from", str(path))
    assert done.returncode == 0, done.stderr
    check_style(tmp_path / "visit.py")
    secrets = ("-e", "SID=s1", "-e", "PASSWORD=pw", "-e", "AUTHORIZATION=Bearer mine", "-e", "ACCESS_TOKEN=at")
    done = cli("run", "visit.py", "--base-url", memory.url, *secrets, "-w", "1", "-q")
    assert done.returncode == 0, done.stderr
    return memory.asked


def header(name: str, value: str) -> dict[str, str]:
    return {"key": name, "value": value}


def test_headers_and_cookies_are_sent(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    headers = [
        header("Cookie", "sid=abc123; theme=dark"),
        header("Host", "shop.test"),
        header("X-None", ""),
        header("X-Tag", "a"),
        header("x-tag", "b"),
        header("Content-Type", "application/json"),
    ]
    (one,) = sent(cli, tmp_path, memory, {"name": "it", "request": {"url": "URL/x", "header": headers}})
    assert "abc123" not in (tmp_path / "visit.py").read_text()
    assert one.headers["cookie"] == "sid=s1; theme=dark"
    assert (one.headers["host"], one.headers["x-none"], one.headers["x-tag"]) == ("shop.test", "", "a, b")
    assert one.headers["content-type"] == "application/json"


def test_bodies_keep_their_order_and_types(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    (tmp_path / "me.txt").write_text("the content")
    form: list[dict[str, Any]] = [
        {"key": "a", "value": "{}", "contentType": "application/json"},
        {"key": "up", "type": "file", "src": "me.txt", "fileName": "you.txt"},
        {"key": "b", "value": "2"},
    ]
    pairs = [header("a", "1"), header("b", "2"), header("a", "3")]
    bodies: list[dict[str, Any]] = [
        {"mode": "formdata", "formdata": form},
        {"mode": "urlencoded", "urlencoded": pairs},
        {"mode": "raw", "raw": '{"a": 1, "a": 12345678901234567890123}'},
        {"mode": "raw", "raw": "let a", "options": {"raw": {"language": "javascript"}}},
        {"mode": "raw", "raw": "a=1"},
    ]
    items = [{"name": "it", "request": {"method": "POST", "url": "URL/x", "body": body}} for body in bodies]
    multipart, plain, exact, script, text = sent(cli, tmp_path, memory, *items)
    at = [multipart.body.index(part) for part in ('name="a"', 'name="up"; filename="you.txt"', 'name="b"\r\n\r\n2')]
    assert at == sorted(at)
    assert 'name="a"\r\nContent-Type: application/json\r\n\r\n{}' in multipart.body
    assert plain.body == "a=1&b=2&a=3"
    assert (exact.body, exact.headers["content-type"]) == (bodies[2]["raw"], "application/json")
    assert script.headers["content-type"] == "application/javascript"
    assert (text.body, text.headers["content-type"]) == ("a=1", "text/plain")


def test_a_user_in_a_url_is_sent(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    url = memory.url.replace("://", "://ada:s3cret@")
    (one,) = sent(cli, tmp_path, memory, {"name": "it", "request": {"url": f"{url}/x"}})
    assert one.headers["authorization"] == "Basic YWRhOnB3"
    assert "s3cret" not in (tmp_path / "visit.py").read_text()


@pytest.mark.parametrize(
    ("auth", "line", "authorization"),
    [
        ({"type": "bearer", "bearer": {"token": "{{access_token}}"}}, "GET /x", "Bearer at"),
        (
            {"type": "oauth2", "oauth2": {"accessToken": "{{access_token}}", "headerPrefix": "OAuth"}},
            "GET /x",
            "OAuth at",
        ),
        ({"type": "oauth2", "oauth2": {"addTokenTo": "queryParams"}}, "GET /x?access_token=at", "Bearer mine"),
        ({"type": "basic", "basic": {"username": "ada", "password": "{{password}}"}}, "GET /x", "Basic YWRhOnB3"),
    ],
)
def test_authentication_goes_over_a_header(
    cli: Cli, tmp_path: Path, memory: Memory, auth: Any, line: str, authorization: str
) -> None:
    request = {"url": "URL/x", "header": [header("authorization", "Bearer s3cret")], "auth": auth}
    (one,) = sent(cli, tmp_path, memory, {"name": "it", "request": request})
    assert (one.line, one.headers["authorization"]) == (line, authorization)


def test_a_folder_is_one_group(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    """Its requests behind a folder in it were a group of their own."""

    def item(name: str, *inside: Any) -> dict[str, Any]:
        return {"name": name, "item": list(inside)} if inside else {"name": name, "request": f"URL/{name}"}

    inner = item("I", item("b"), item("c"))
    sent(cli, tmp_path, memory, item("F", item("a"), inner, item("d")), item("F", item("e")), item("f"))
    assert [asked.line for asked in memory.asked] == [f"GET /{name}" for name in "abcdef"]
    text = (tmp_path / "visit.py").read_text()
    assert [line.strip() for line in text.splitlines() if "vu.group" in line] == [
        'async with vu.group("I"):',
        'async with vu.group("F"):',
        'async with vu.group("F 2"):',
    ]
    done = cli("run", "visit.py", "--base-url", memory.url, "-w", "1", "-q", "--json")
    assert sorted(row["name"] for row in json.loads(done.stdout)["groups"]) == ["F", "F 2", "F::I"]


@pytest.mark.parametrize(
    ("item", "note"),
    [
        ({"request": {"url": "https://a.test", "proxy": {"host": "p"}}}, "it: its proxy is not taken"),
        ({"request": {"url": "https://a.test", "certificate": {"name": "c"}}}, "it: its certificate is not taken"),
        (
            {"request": "https://a.test", "protocolProfileBehavior": {"strictSSL": False}},
            "it: its strictSSL is not taken",
        ),
        (
            {"request": {"url": "https://a.test", "body": {"mode": "raw", "raw": "x"}}},
            "it: its body is left out, as Postman does for GET",
        ),
        (
            {
                "request": {
                    "method": "POST",
                    "url": "https://a.test",
                    "body": {"mode": "graphql", "graphql": {"query": "{a}", "variables": "{,"}},
                }
            },
            "it: the variables of its query are no JSON, and are left out",
        ),
        (
            {"request": {"url": "https://a.test", "auth": {"type": "ntlm", "ntlm": {"domain": "d"}}}},
            "it: the domain of its authentication is not taken",
        ),
        (
            {"request": {"url": "https://a.test", "header": [header("TE", "x")]}},
            "the client decides on the header TE itself",
        ),
        ({"request": {"method": "Purge", "url": "https://a.test"}}, "the method Purge is sent as PURGE"),
    ],
)
def test_what_is_not_sent_is_noted(tmp_path: Path, item: dict[str, Any], note: str) -> None:
    made = convert(collection(tmp_path, {"name": "it", **item}), "visit.py", RecordingFilter())
    assert note in made.notes


def test_how_postman_sends_is_taken(tmp_path: Path) -> None:
    body = {"mode": "raw", "raw": "x"}
    item = {
        "name": "it",
        "request": {"url": "https://a.test", "body": body},
        "protocolProfileBehavior": {"disableBodyPruning": True, "followRedirects": False},
    }
    made = convert(collection(tmp_path, item), "visit.py", RecordingFilter())
    assert made.notes == ()
    assert 'data="x"' in made.text
    assert "max_redirects=0" in made.text
    behavior = {"protocolProfileBehavior": {"maxRedirects": 2}}
    made = convert(collection(tmp_path, item, **behavior), "visit.py", RecordingFilter())
    assert made.notes == ("the protocolProfileBehavior of folders and of the whole collection is not taken",)


def test_an_address_keeps_its_port_and_its_scheme(tmp_path: Path) -> None:
    """A variable for the host alone was taken for the whole address."""
    items = [{"name": url, "request": url} for url in ("http://localhost:8080/a", "https://{{host}}:8443/s", "{{u}}/t")]
    made = convert(collection(tmp_path, *items), "visit.py", RecordingFilter())
    assert made.options[2:] == ("-e", "HOST_URL=https://host:8443", "-e", "U=...")
    first = convert(collection(tmp_path, items[1]), "visit.py", RecordingFilter())
    assert first.notes == ("the collection has no value of https://{{host}}:8443: give it with --base-url",)


def test_variables_of_folders_are_read(tmp_path: Path) -> None:
    folder = {"name": "F", "variable": [header("n", "7")], "item": [{"name": "it", "request": "https://a.test/{{n}}"}]}
    made = convert(collection(tmp_path, folder), "visit.py", RecordingFilter())
    assert 'N = fl.env("N", "7")' in made.text


def test_many_folders_are_functions_of_bounded_length(tmp_path: Path) -> None:
    made = made_of(tmp_path, "https://a.test")
    assert "async def steps" not in made.text
    folders = [{"name": f"F{number}", "item": [{"name": "it", "request": "https://a.test"}]} for number in range(41)]
    text = convert(collection(tmp_path, *folders), "visit.py", RecordingFilter()).text
    assert text.count("await steps") == 2
