"""Any request, written down in each of the formats: its script sends that request."""

from __future__ import annotations

import json
import random
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import pytest

from tests.conftest import Cli
from tests.convert.conftest import Asked, Memory
from tests.convert.test_curl import pairs
from tests.convert.test_postman import collection
from tests.convert.test_recording import recorded

COUNT = 40
FORM = "application/x-www-form-urlencoded"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
SEGMENTS = ("a", "a%20b", "caf%C3%A9", "%E9", "{x}", "a;b=c", "%2F", "a+b", "~", "", "7", "x.json", "%7B%7D", "'")
QUERIES = ("", "a=1", "a=1&b=2&a=3", "v3", "q=%E9&r=1", "a=b%26c&d=%2B+e", "a=&b", "f[]=1&f[]=2", "j=%7B%22a%22:1%7D")
TEXTS = (
    "",
    "a",
    "a b",
    "é€",
    "a&b=c",
    "%41",
    "100%",
    "{x}",
    "{{",
    "+",
    "'\"",
    "a/b",
    "x;y",
    "two\nlines",
    "\\",
    "@f",
    "<f",
)
TYPES = ("text/plain", "text/plain; charset=utf-8", "application/xml", "application/vnd.shop+json; v=1", 'a/b;c="d e"')
JSON_TYPES = ("application/json", "application/json; charset=UTF-8", "application/problem+json")
JSONS = (
    '{"a":1}',
    '{"a": 1, "a": 2}',
    "[1.50, 1e3, 12345678901234567890123]",
    '"é"',
    "null",
    "{",
    '{"a": [null, true, {}]}',
)
HEADERS = (
    ("Accept", "application/json"),
    ("Accept", "text/csv;q=0.5"),
    ("Content-Language", "de"),
    ("Host", "shop.test"),
    ("X-Empty", ""),
    ("X-Tag", "a"),
    ("x-tag", "b, c"),
    ("X-Text", "é \"q\" 'r' {s} \\"),
)


@dataclass
class Wanted:
    """A request: the body is a text, the fields of a form, or parts: name, text, name of a file or "", and type."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    kind: str = ""
    text: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"URL{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def sent_headers(self) -> list[tuple[str, str]]:
        return [*self.headers, *([("Content-Type", self.kind)] if self.kind else [])]


def any_request(choices: random.Random) -> Wanted:
    path = "".join(f"/{choices.choice(SEGMENTS)}" for _ in range(choices.randint(1, 3)))
    headers = [HEADERS[at] for at in sorted(choices.sample(range(len(HEADERS)), choices.randint(0, 3)))]
    made = Wanted(choices.choice(METHODS), path.replace("//", "/"), choices.choice(QUERIES), headers)
    match choices.randrange(5):
        case 0:
            made.kind, made.text = choices.choice(TYPES), choices.choice(TEXTS[1:])
        case 1:
            made.kind, made.text = choices.choice(JSON_TYPES), choices.choice(JSONS)
        case 2:
            made.kind = choices.choice((FORM, f"{FORM}; charset=UTF-8"))
            made.fields = [(choices.choice("abc"), choices.choice(TEXTS)) for _ in range(choices.randint(1, 4))]
        case 3:
            made.parts = [any_part(choices) for _ in range(choices.randint(1, 4))]
    return made


def any_part(choices: random.Random) -> tuple[str, str, str, str]:
    name, text = choices.choice("abc"), choices.choice(TEXTS[1:])
    if choices.random() < 0.4:
        return name, text, choices.choice(("f.txt", "g h.json", "i")), choices.choice(("text/css", "a/b; c=d"))
    return name, text, "", choices.choice(("", "", "application/json"))


def as_recording(tmp_path: Path, requests: Sequence[Wanted]) -> str:
    entries: list[dict[str, Any]] = []
    for one in requests:
        headers = [{"name": name, "value": value} for name, value in one.sent_headers]
        entry: dict[str, Any] = {"method": one.method, "url": one.url, "headers": headers}
        form = "&".join(f"{name}={quote_plus(value)}" for name, value in one.fields)
        params = [
            {"name": name, "value": text, "fileName": file, "contentType": kind} for name, text, file, kind in one.parts
        ]
        if one.parts:
            entry["postData"] = {"mimeType": "multipart/form-data; boundary=b", "params": params}
        elif one.kind:
            entry["postData"] = {"mimeType": one.kind, "text": one.text or form}
        entries.append({**entry, "startedDateTime": f"2026-01-31T10:00:{len(entries):02}Z", "time": 999})
    return str(recorded(tmp_path, *entries))


def as_collection(tmp_path: Path, requests: Sequence[Wanted]) -> str:
    items = []
    for one in requests:
        headers = [{"key": name, "value": value} for name, value in one.sent_headers]
        body: dict[str, Any] = {"mode": "raw", "raw": one.text}
        if one.fields:
            body = {"mode": "urlencoded", "urlencoded": [{"key": name, "value": value} for name, value in one.fields]}
        if one.parts:
            form = []
            for name, text, file, kind in one.parts:
                what = {"type": "file", "src": written(tmp_path, text), "fileName": file} if file else {"value": text}
                form.append({"key": name, "contentType": kind, **what})
            body = {"mode": "formdata", "formdata": form}
        request = {"method": one.method, "url": one.url, "header": headers, "body": body}
        behavior = {"disableBodyPruning": True}
        items.append({"name": "it", "request": request, "protocolProfileBehavior": behavior})
    return str(collection(tmp_path, *items))


def as_commands(tmp_path: Path, requests: Sequence[Wanted]) -> str:
    lines = []
    for one in requests:
        words = ["curl", "-s", "-g", "-X", one.method, one.url]
        for name, value in one.sent_headers:
            words += ["-H", f"{name}: {value}" if value else f"{name};"]
        if one.text:
            words += ["--data-raw", one.text]
        for name, value in one.fields:
            words += ["--data-urlencode", f"{name}={value}"]
        for name, text, file, kind in one.parts:
            content = f"@{written(tmp_path, text)};filename={file}" if file else '"' + quoted(text) + '"'
            words += ["-F", f"{name}={content}" + (f";type={kind}" if kind else "")]
        lines.append(shlex.join(words))
    (tmp_path / "made.sh").write_text("\n".join(lines))
    return str(tmp_path / "made.sh")


def quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / f"part-{sum(map(ord, text))}"
    path.write_text(text)
    return str(path)


def check(asked: Asked, one: Wanted) -> None:
    """That *asked* is what *one* says."""
    method, _, target = asked.line.partition(" ")
    path, _, query = target.partition("?")
    assert (method, unquote_to_bytes(path), pairs(query)) == (one.method, unquote_to_bytes(one.path), pairs(one.query))
    wanted: dict[str, str] = {}
    for name, value in one.headers:
        before = wanted.get(name.lower())
        wanted[name.lower()] = value if before is None else f"{before}, {value}"
    # http.client reads headers as Latin-1.
    got = {name: value.encode("latin-1").decode() for name, value in asked.headers.items()}
    kind = got.pop("content-type", "")
    own = {name: got.get(name, "") for name in ("host", "user-agent", "accept", "content-length") if name not in wanted}
    assert {name: value for name, value in got.items() if name not in own} == wanted
    body = asked.body.encode(errors="surrogateescape").decode()
    if one.parts:
        form: EmailMessage = BytesParser(EmailMessage).parsebytes(f"Content-Type: {kind}\r\n\r\n{body}".encode())
        parts = [part for part in form.walk() if part is not form]
        found = [
            (
                part.get_param("name", header="content-disposition"),
                bytes(part.get_payload(decode=True)).decode(),
                part.get_filename() or "",
                part["content-type"] or "",
            )
            for part in parts
        ]
        assert found == one.parts
        return
    assert kind == one.kind
    if one.fields:
        assert pairs(body) == [f"{name}={value}".encode() for name, value in one.fields]
    elif "json" in one.kind:
        assert body.replace(" ", "").replace("1.50", "1.5").replace("1e3", "1000.0") in (
            one.text.replace(" ", "").replace("1.50", "1.5").replace("1e3", "1000.0"),
        )
    else:
        assert body == one.text


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("write", [as_recording, as_collection, as_commands])
def test_any_request_is_sent_as_it_was_written_down(
    cli: Cli, tmp_path: Path, memory: Memory, write: Callable[[Path, Sequence[Wanted]], str], seed: int
) -> None:
    choices = random.Random(seed)
    requests = [any_request(choices) for _ in range(COUNT)]
    source = Path(write(tmp_path, requests))
    source.write_text(source.read_text().replace("URL", memory.url))
    pauses = ("--max-pause", "0s") if write is as_recording else ()
    made = cli("new", "visit", "--from", str(source), *pauses)
    assert made.returncode == 0, made.stderr
    notes = [line for line in made.stderr.splitlines() if line.startswith("Note: ")]
    # What is not sent in the same lines, a note names.
    assert all("is sent once, with its values in one line" in note for note in notes), made.stderr
    run = cli("run", "visit.py", "--base-url", memory.url, "-w", "1", "-q", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["metrics"]["http_reqs"]["count"] == COUNT
    for asked, one in zip(memory.asked, requests, strict=True):
        try:
            check(asked, one)
        except AssertionError as error:
            raise AssertionError(f"{one}\n{asked}\n{error}") from None
