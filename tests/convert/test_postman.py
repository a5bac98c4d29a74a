"""Scripts of collections of Postman: folders are groups, variables are constants, a server sees the right requests."""

from __future__ import annotations

import base64
import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import Conversion, RecordingFilter, convert
from fastload.model.errors import PlanError
from tests.conftest import Cli
from tests.convert.conftest import DATA, Memory, check_style

COLLECTION = DATA / "shop.postman.json"


def collection(tmp_path: Path, *items: Any, **more: Any) -> Path:
    path = tmp_path / "made.json"
    path.write_text(json.dumps({"info": {"name": "Made"}, "item": list(items), **more}))
    return path


def made_of(tmp_path: Path, request: Any, **more: Any) -> Conversion:
    made = convert(collection(tmp_path, {"name": "it", "request": request}, **more), "visit.py", RecordingFilter())
    (tmp_path / "visit.py").write_text(made.text)
    check_style(tmp_path / "visit.py")
    return made


def test_the_script_sends_what_the_collection_says(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    (tmp_path / "photo.png").write_text("a picture")
    done = cli("new", "shop", "--from", str(COLLECTION))
    assert done.returncode == 0, done.stderr
    check_style(tmp_path / "shop.py")
    text = (tmp_path / "shop.py").read_text()
    assert "s3cr3t" not in text
    assert "sesame" not in text
    given = {
        "PASSWORD": "open sesame",
        "TOKEN": "t0k",
        "COUNT": "3",
        "PART": "p/1",
        "API_KEY": "k",
        "OTHER": memory.url,
    }
    words = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
    missing = cli("plan", "shop.py")
    assert missing.returncode == 104
    assert [name for name in given if f"-e {name}=..." not in missing.stderr] == []
    done = cli("run", "shop.py", "--base-url", memory.url, *words, "-w", "1", "--json", "-q")
    assert done.returncode == 0, done.stderr
    assert [asked.line for asked in memory.asked] == [
        "GET /v1/health",
        "POST /v1/login",
        "GET /v1/items?q=red+shoes&lang=de",
        "PUT /v1/items/i%207/p%2F1",
        "POST /v1/upload",
        "POST /v1/orders",
        "POST /graphql",
    ]
    health, login, find, change, upload, order, ask = memory.asked
    assert "authorization" not in health.headers
    assert login.headers["authorization"] == f"Basic {base64.b64encode(b'ada:open sesame').decode()}"
    assert find.headers["authorization"] == "Bearer t0k"
    assert (find.headers["accept"], "x-debug" in find.headers) == ("application/json", False)
    body = json.loads(change.body)
    assert uuid.UUID(body.pop("id"))
    assert body == {"title": "hello de!", "count": 3, "tags": ["a", None]}
    assert (upload.headers["x-api-key"], "authorization" in upload.headers) == ("k", False)
    assert 'name="photo"; filename="photo.png"\r\nContent-Type: image/png' in upload.body
    assert 'name="title"\r\n\r\nPhoto' in upload.body
    assert "left out" not in upload.body
    assert (order.body, order.headers["x-trace"]) == ("item=7&item=8", "on")
    assert json.loads(ask.body)["variables"] == {"n": 3}
    summary = json.loads(done.stdout)
    assert {row["name"] for row in summary["endpoints"]} >= {"Health", "Log in", "Find items", "Upload", "Ask"}
    assert {"Items", "Items::Admin"} <= {row["name"] for row in summary["groups"]}


def test_what_is_not_taken_is_told(tmp_path: Path) -> None:
    made = convert(COLLECTION, "shop.py", RecordingFilter())
    assert made.notes[:3] == (
        "left out, it is disabled: Gone",
        "left out, 1 in all: what cannot be read: Broken: Invalid IPv6 URL",
        "the scripts of the collection (pm.*) are not translated; comments say where one is",
    )
    at = made.text.index("    # A script of the collection is not translated")
    assert "sets token" in made.text[at : made.text.index('name="Log in"')]
    assert "pm.response" not in made.text


@pytest.mark.parametrize(
    ("request_", "call"),
    [
        ("https://a.test/x?a=1&b", 'vu.get("/x?a=1&b", name="it")'),
        ({"url": "a.test/x"}, 'vu.get("/x", name="it")'),
        ({"method": "PURGE", "url": "https://a.test"}, 'vu.request("PURGE", "/", name="it")'),
        (
            {"url": {"protocol": "https", "host": ["a", "test"], "port": "8443", "path": ["x", "y"]}},
            'vu.get("/x/y", name="it")',
        ),
        ({"url": "https://a.test/{{$timestamp}}"}, 'path={"value": str(int(time.time()))}'),
        ({"url": "https://a.test/x?at={{$randomInt}}"}, 'params={"at": str(vu.random.randint(0, 1000))}'),
        (
            {"method": "POST", "url": "https://a.test/x", "body": {"mode": "raw", "raw": "<a>{{v}}</a>"}},
            'data=f"<a>{V}</a>"',
        ),
        (
            {"method": "POST", "url": "https://a.test/x", "body": {"mode": "raw", "raw": "off"}, "auth": None},
            'vu.post("/x", data="off", headers={"Content-Type": "text/plain"}, name="it")',
        ),
        (
            {
                "url": "https://a.test/x",
                "auth": {"type": "apikey", "apikey": {"key": "k", "value": "v", "in": "query"}},
            },
            'params={"k": API_KEY}',
        ),
        (
            {"url": "https://a.test/x", "auth": {"type": "digest", "digest": [{"key": "username", "value": "ada"}]}},
            'auth=fl.Auth("digest", "ada", PASSWORD)',
        ),
        (
            {"method": "POST", "url": "https://a.test/x", "body": {"mode": "file", "file": {"src": "/tmp/a.bin"}}},
            'data=Path("/tmp/a.bin")',
        ),
    ],
)
def test_requests(tmp_path: Path, request_: Any, call: str) -> None:
    assert call in made_of(tmp_path, request_).text


def test_an_address_in_a_variable_without_a_value_is_the_base_url(tmp_path: Path) -> None:
    made = made_of(tmp_path, "{{host}}/a")
    assert made.options == ("--base-url", "http://localhost:8080")
    assert made.notes == ("the collection has no value of {{host}}: give it with --base-url",)
    assert 'vu.get("/a", name="it")' in made.text


def test_an_address_of_several_variables_is_one_url(tmp_path: Path) -> None:
    """Its host and its port were left out without a word."""
    items = [{"name": url, "request": url} for url in ("http://localhost:8080/a", "{{proto}}://{{host}}:{{port}}/s")]
    made = convert(collection(tmp_path, *items), "visit.py", RecordingFilter())
    assert 'PROTO_HOST_PORT_URL = fl.env("PROTO_HOST_PORT_URL")' in made.text
    assert 'f"{PROTO_HOST_PORT_URL}/s"' in made.text


def test_a_secret_is_asked_for_whatever_it_is_called(tmp_path: Path) -> None:
    auth = {"type": "apikey", "apikey": [{"key": "key", "value": "X-Shop"}, {"key": "value", "value": "h1dd3n"}]}
    variables = [{"key": "word", "value": "op3n", "type": "secret"}]
    made = made_of(tmp_path, {"url": "https://a.test/x?w={{word}}", "auth": auth}, variable=variables)
    assert "h1dd3n" not in made.text
    assert "op3n" not in made.text
    assert made.options == ("--base-url", "https://a.test", "-e", "WORD=...", "-e", "API_KEY=...")


def test_variables_may_make_up_an_address(tmp_path: Path) -> None:
    variables = [{"key": key, "value": value} for key, value in {"s": "https", "h": "{{n}}.test", "n": "a"}.items()]
    made = made_of(tmp_path, "{{s}}://{{h}}:8443/b", variable=variables)
    assert made.options == ("--base-url", "https://a.test:8443")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"info": {}, "item": []}, "made.json: it has no request: it is empty"),
        ({"info": {}, "item": [3, {"name": "x"}]}, "item[0] is no object; item[1] has no request"),
        ({"info": {}, "item": {}}, "made.json: item: it is no list"),
        ({"_postman_variable_scope": "environment", "values": []}, "is an environment of Postman"),
    ],
)
def test_what_is_no_collection_is_told(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "made.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PlanError) as raised:
        convert(path, "visit.py", RecordingFilter())
    assert message in raised.value.message
    assert raised.value.hint


def test_a_script_of_the_whole_collection_has_its_comment(tmp_path: Path) -> None:
    event = {"listen": "prerequest", "script": {"exec": ["pm.environment.set('stamp', 1);"]}}
    made = made_of(tmp_path, "http://a.test/x", event=[event])
    assert "# It sets stamp: take that from the reply" in made.text


KEY_IN_QUERY = {
    "type": "apikey",
    "apikey": [
        {"key": "key", "value": "X-API-Key"},
        {"key": "value", "value": "{{api_key}}"},
        {"key": "in", "value": "query"},
    ],
}


@pytest.mark.parametrize("length", [0, 20, 60, 200])
def test_an_address_with_variables_in_path_and_query_is_readable(
    cli: Cli, tmp_path: Path, memory: Memory, length: int
) -> None:
    """One constant within the other, as a text of code, was what nobody can read or change."""
    long = "v" * length
    url = f"{{{{base}}}}/users/:user?x={{{{at}}}}-n&{long}=1&y={{{{made_up}}}}&y=2&z"
    variables = [{"key": "at", "value": "42"}, {"key": "made_up", "value": "{{at}}-{{other_name}}"}]
    made = made_of(tmp_path, {"url": url, "auth": KEY_IN_QUERY}, variable=variables)
    assert max(map(len, made.text.splitlines())) <= 120
    assert "@" not in made.text.replace("@fl.scenario", "")
    given = ("-e", "USER=ada", "-e", "USER_VALUE=ada", "-e", "API_KEY=k", "-e", "OTHER_NAME=o")
    done = cli("run", "visit.py", "--base-url", memory.url, *given, "-w", "1", "-q")
    assert done.returncode == 0, done.stderr
    assert [asked.line for asked in memory.asked] == [f"GET /users/ada?x=42-n&{long}=1&y=42-o&y=2&z&X-API-Key=k"]


def test_values_made_up_within_a_long_text_have_readable_places(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    text = f"{'long ' * 40}{{{{$timestamp}}}} {{{{word}}}}"
    body = {"mode": "raw", "raw": text, "options": {"raw": {"language": "text"}}}
    made = made_of(tmp_path, {"method": "POST", "url": "https://a.test/x", "body": body})
    assert "@VALUE@ @WORD@" in made.text
    done = cli("run", "visit.py", "--base-url", memory.url, "-e", "WORD=w", "-w", "1", "-q")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{'long ' * 40}\d{{10}} w", memory.asked[0].body)
