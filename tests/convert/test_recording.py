"""Scripts of recordings: they send what was recorded, in its order, and say what they leave out."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import Conversion, RecordingFilter, convert
from fastload.model.errors import PlanError
from tests.conftest import REPO, Cli
from tests.convert.conftest import DATA, Memory, check_style
from tests.test_docs import blocks_of

HAR = DATA / "shop.har"
CART = "0b7f1c9e-7f4a-4a57-9a3e-5f2f5a0f2b11"
SECRETS = ("-e", "PASSWORD=pw", "-e", "AUTHORIZATION=Bearer t0ken", "-e", f"CART_ID={CART}", "-e", "SID=s1")


def recorded(tmp_path: Path, *entries: dict[str, Any], **log: Any) -> Path:
    """A recording of *entries*, which say what differs from a GET of https://a.test/ at second 0.

    ``answer`` are the headers of the response.
    """
    made = []
    for number, given in enumerate(entries):
        entry: dict[str, Any] = {
            "startedDateTime": f"2026-01-31T10:00:{number:02}Z",
            "time": 0,
            "request": {"method": "GET", "url": "https://a.test/"},
            "response": {"status": 200},
        }
        for key, value in copy.deepcopy(given).items():
            part = "response" if key in ("status", "redirectURL", "content", "answer") else "request"
            if key in ("startedDateTime", "time", "pageref"):
                entry[key] = value
            else:
                entry[part]["headers" if key == "answer" else key] = value
        made.append(entry)
    path = tmp_path / "made.har"
    path.write_text(json.dumps({"log": {"entries": made, **log}}))
    return path


def made_of(tmp_path: Path, *entries: dict[str, Any], **wanted: Any) -> Conversion:
    made = convert(recorded(tmp_path, *entries), "visit.py", RecordingFilter(**wanted))
    compile(made.text, "visit.py", "exec")
    script = tmp_path / "visit.py"
    script.write_text(made.text)
    check_style(script)
    return made


def test_the_script_sends_what_was_recorded(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    done = cli("new", "shop", "--from", str(HAR), "--max-pause", "20ms")
    assert done.returncode == 0, done.stderr
    assert "-e PASSWORD=... -e AUTHORIZATION=... -e CART_ID=... -e SID=..." in done.stdout
    check_style(tmp_path / "shop.py")
    where = ("--base-url", memory.url, *SECRETS)
    plan = cli("plan", "shop.py", "--json", *where)
    assert json.loads(plan.stdout)["max_vus"] == 1
    done = cli("run", "shop.py", *where, "-i", "1", "-w", "1", "--json", "-q")
    assert done.returncode == 99, done.stderr
    lines = [asked.line for asked in memory.asked]
    assert lines[:2] == ["GET /old", "GET /"]
    # Two that were sent together.
    assert sorted(lines[2:4]) == ["GET /api/offers?limit=20&tag=red&tag=blue&q=caf%C3%A9", "GET /api/visits/12345"]
    assert lines[4:] == [
        "GET /api/version?v3",
        "POST /login",
        "GET /account?welcome=1",
        "POST /graphql",
        "GET /api/missing",
        "PUT /api/carts/0b7f1c9e-7f4a-4a57-9a3e-5f2f5a0f2b11/items",
        "POST /api/notes",
        "POST /upload",
        "PROPFIND /files",
        "DELETE /api/session",
    ]
    asked = {one.line.partition("?")[0]: one for one in memory.asked}
    assert asked["POST /login"].body == "user=ada&password=pw&scope=read&scope=write"
    query = json.loads(asked["POST /graphql"].body)
    assert query["variables"] == {"first": 10, "after": None, "deep": True, "note": 'it\'s "fine"'}
    assert query["query"].startswith("query Orders($first: Int!) { orders(first: $first) { id total { amount currency")
    assert json.loads(asked["PUT /api/carts/0b7f1c9e-7f4a-4a57-9a3e-5f2f5a0f2b11/items"].body)[0]["sku"] == "A-1"
    assert asked["POST /api/notes"].body.startswith("first line\r\nsecond line, which is")
    assert 'name="photo"; filename="me.png"' in asked["POST /upload"].body
    headers = {line: one.headers for line, one in asked.items()}
    assert headers["POST /graphql"]["authorization"] == "Bearer t0ken"
    assert headers["POST /graphql"]["content-type"] == "application/json; charset=utf-8"
    assert headers["POST /graphql"]["x-requested-with"] == "XMLHttpRequest"
    put = headers["PUT /api/carts/0b7f1c9e-7f4a-4a57-9a3e-5f2f5a0f2b11/items"]
    assert (put["content-type"], put["x-trace"]) == ("application/vnd.shop+json", "on")
    assert headers["POST /api/notes"]["content-type"] == "text/plain"
    assert headers["POST /login"]["content-type"] == "application/x-www-form-urlencoded"
    assert [one for one in memory.asked if {"referer", "origin", "sec-ch-ua-mobile"} & {*one.headers}] == []
    assert {one.headers["cookie"] for one in memory.asked} == {"sid=s1"}
    summary = json.loads(done.stdout)
    assert summary["metrics"]["http_req_failed"]["fails"] == 1
    names = {row["name"] for row in summary["endpoints"]}
    assert {"Orders", "/api/visits/{id}", "/api/carts/{cart_id}/items", "/login"} <= names


def test_pages_are_groups_and_pauses_are_kept() -> None:
    text = convert(HAR, "shop.py", RecordingFilter()).text
    scenario = text[text.index("@fl.scenario") :]
    assert scenario == (
        '@fl.scenario(vus=1, iterations=1, thresholds={"http_req_failed": "rate<0.01"})\n'
        "async def shop(vu: fl.VU) -> None:\n"
        '    vu.cookies["sid"] = SID\n'
        '    async with vu.group("/"):\n'
        "        await page(vu)\n"
        "    await vu.sleep(2.4)\n"
        '    async with vu.group("Your account"):\n'
        "        await your_account(vu)\n"
        "    await vu.sleep(10)\n"
        '    async with vu.group("Checkout : Shop"):\n'
        "        await checkout_shop(vu)\n"
    )
    # The time that the redirect took is no pause.
    assert '    await vu.get("/old", name="/old")\n    await vu.sleep(0.2)\n    await asyncio.gather(\n' in text
    assert "await vu.sleep(35.7)" in convert(HAR, "shop.py", RecordingFilter(longest_pause_s=60)).text
    assert "vu.sleep" not in convert(HAR, "shop.py", RecordingFilter(longest_pause_s=0)).text


def test_what_is_left_out_is_noted_and_can_be_kept() -> None:
    made = convert(HAR, "shop.py", RecordingFilter())
    assert made.notes == (
        "left out, 2 in all: images, styles, scripts and fonts (--static keeps them)",
        "left out, 1 in all: requests to other hosts (--all-hosts keeps them): metrics.example.net",
        "left out, 1 in all: URLs that are not http",
        "left out, 1 in all: WebSocket connections",
        "left out, 1 in all: requests that got no response",
        "these failed in the recording, and are kept: 404 /api/missing",
        "cookies that no response of the recording set are left out: theme",
        "a pause was cut to 10 s (--max-pause)",
        "the content of the files that are sent to /upload is not known: give some in their place",
        "secrets of the recording are not copied: give PASSWORD, AUTHORIZATION, SID with -e, or in the environment",
        "these look as if a server had made them, but no earlier response has them: give CART_ID with -e",
    )
    for word in ("s3cr3t", "eyJ", "3f9a", "metrics.example.net", "logo.png"):
        assert word not in made.text
    every = convert(HAR, "shop.py", RecordingFilter(all_hosts=True, static=True, longest_pause_s=60))
    assert '    "METRICS_EXAMPLE_NET_URL",\n    "https://metrics.example.net",\n' in every.text
    assert 'f"{METRICS_EXAMPLE_NET_URL}/collect"' in every.text
    assert 'name="metrics.example.net/collect"' in every.text
    assert '"/logo.png"' in every.text
    assert [note for note in every.notes if "--" in note] == []


def test_without_pages_there_are_no_groups(tmp_path: Path) -> None:
    made = made_of(tmp_path, {}, {"url": "https://a.test/b"}, {"url": "https://a.test:443/c"})
    assert "group" not in made.text
    assert "1 page" not in made.text
    assert made.options == ("--base-url", "https://a.test")
    assert made.text.endswith(
        '    await vu.get("/", name="/")\n    await vu.sleep(1)\n    await vu.get("/b", name="/b")\n'
        '    await vu.sleep(1)\n    await vu.get("/c", name="/c")\n'
    )


def test_long_pages_become_several_functions(tmp_path: Path) -> None:
    entries = [{"url": f"https://a.test/{number}"} for number in range(50)]
    text = made_of(tmp_path, *entries, longest_pause_s=0).text
    assert text.count("async def ") == 3
    assert text.endswith("    await steps(vu)\n    await steps_2(vu)\n")


def test_pages_with_the_same_title_are_told_apart(tmp_path: Path) -> None:
    entries = [{"pageref": "a"}, {"pageref": "b"}, {"pageref": "gone"}, {"pageref": "a"}]
    path = recorded(tmp_path, *entries, pages=[{"id": "a", "title": "Shop"}, {"id": "b", "title": "Shop"}])
    text = convert(path, "shop.py", RecordingFilter()).text
    assert text.index('vu.group("Shop")') < text.index('vu.group("Shop 2")')
    assert text.count('vu.get("/", name="/")') == 4
    compile(text, "shop.py", "exec")


@pytest.mark.parametrize(
    ("entry", "call"),
    [
        ({"url": "https://a.test"}, 'vu.get("/", name="/")'),
        ({"url": "https://a.test/x?a=1#part"}, 'vu.get("/x", params={"a": "1"}, name="/x")'),
        ({"url": "https://a.test/x?token=abc"}, 'vu.get("/x", params={"token": TOKEN}, name="/x")'),
        ({"url": "https://a.test/x?a"}, 'vu.get("/x?a", name="/x")'),
        ({"method": "PURGE"}, 'vu.request("PURGE", "/", name="/")'),
        ({"method": "POST"}, 'vu.post("/", name="/")'),
        (
            {"method": "POST", "postData": {"mimeType": "application/json", "text": "{"}},
            'vu.post("/", data="{", headers={"Content-Type": "application/json"}, name="/")',
        ),
        (
            {"method": "POST", "postData": {"mimeType": "application/json", "text": "null"}},
            'vu.post(\n        "/",\n        data="null",\n        headers={"Content-Type": "application/json"},',
        ),
        (
            {"method": "POST", "postData": {"mimeType": "application/json", "text": '{"jwt": "x", "n": [1e3]}'}},
            'vu.post("/", json={"jwt": JWT, "n": [1000.0]}, name="/")',
        ),
        (
            {"method": "POST", "postData": {"mimeType": "multipart/form-data; boundary=x", "text": "--x--\r\n"}},
            'headers={"Content-Type": "multipart/form-data; boundary=x"}',
        ),
        (
            {
                "method": "POST",
                "postData": {
                    "mimeType": "application/x-www-form-urlencoded",
                    "params": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}],
                },
            },
            'vu.post("/", data={"a": ["1", "2"]}, name="/")',
        ),
        (
            {"headers": [{"name": "X-Api-Key", "value": "k"}, {"name": "If-None-Match", "value": "e"}]},
            'vu.get("/", headers={"X-Api-Key": X_API_KEY}, name="/")',
        ),
        (
            {"headers": [{"name": "Accept", "value": "text/csv"}]},
            'vu.get("/", headers={"Accept": "text/csv"}, name="/")',
        ),
    ],
)
def test_requests(tmp_path: Path, entry: dict[str, Any], call: str) -> None:
    assert f"    await {call}" in (text := made_of(tmp_path, entry).text) or call in text


def test_redirects_are_followed_by_the_client_and_not_written(tmp_path: Path) -> None:
    chain: list[dict[str, Any]] = [
        {"url": "https://a.test/1", "status": 302, "redirectURL": "/2"},
        {"url": "https://a.test/2", "status": 307, "redirectURL": "https://a.test/3"},
        {"url": "https://a.test/3"},
        {"url": "https://a.test/3"},
    ]
    assert made_of(tmp_path, *chain).text.count("vu.get") == 2
    form = {"method": "POST", "url": "https://a.test/1", "redirectURL": "/2"}
    for status, written in ((302, 1), (303, 1), (307, 2)):
        text = made_of(tmp_path, {**form, "status": status}, {"url": "https://a.test/2"}).text
        assert text.count("await vu.") - text.count("vu.sleep") == written, status


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"log": {"entries": [\n  {"a": 1,,}]}}', "bad.har:2:11: the JSON is malformed"),
        ("", "bad.har:1:1: the JSON is malformed"),
        ("[]", "bad.har holds no JSON object"),
        ('{"log": {}}', "bad.har: log: Object missing required field `entries`"),
        ('{"a": 1}', "bad.har: at the top: Object missing required field `log`"),
        ('{"log": {"entries": []}}', "bad.har: log.entries is empty"),
        (
            '{"log": {"entries": [{"startedDateTime": "2026-01-31T10:00:00Z", "request": {"method": "GET"}}]}}',
            "bad.har: log.entries[0].request: Object missing required field `url`",
        ),
        (
            '{"log": {"entries": [{"startedDateTime": "soon", "request": {"method": "GET", "url": "/"}}]}}',
            "bad.har: log.entries[0].startedDateTime: Invalid RFC3339 encoded datetime",
        ),
    ],
)
def test_what_does_not_parse_is_told_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.har"
    path.write_text(content)
    with pytest.raises(PlanError) as raised:
        convert(path, "bad.py", RecordingFilter())
    assert message in raised.value.message
    assert raised.value.hint


def test_what_cannot_be_read_is_left_out_and_told(tmp_path: Path) -> None:
    path = recorded(tmp_path, {}, {"url": "https://a.test/b"}, {"url": "http://[::1/x"}, {"url": "https:///x"})
    whole = json.loads(path.read_text())
    entries = whole["log"]["entries"]
    entries += [None, 7, {"request": {"method": "GET"}}]
    # What programs write for "nothing", and numbers as texts.
    entries[0] |= {"time": None, "pageref": None, "_resourceType": None}
    entries[0]["request"] |= {"headers": None, "postData": None, "cookies": None}
    entries[1]["response"] = {"status": "200", "headers": [None, {"name": "X", "value": None}], "content": None}
    whole["log"]["pages"] = [{"id": "a"}, {}, None]
    path.write_text(json.dumps(whole))
    made = convert(path, "visit.py", RecordingFilter(longest_pause_s=0))
    assert made.text.endswith('    await vu.get("/", name="/")\n    await vu.get("/b", name="/b")\n')
    [note] = made.notes
    assert note.startswith("left out, 7 in all: what cannot be read: log.entries[2].request.url: ")
    assert note.endswith("; and 4 more")


def test_each_origin_is_kept_apart(tmp_path: Path) -> None:
    urls = (
        "http://a.test/old",
        "https://a.test/",
        "https://a.test:8443/api",
        "http://b.test/c",
        "https://a.test:443/d",
    )
    entries: list[dict[str, Any]] = [{"url": url} for url in urls]
    entries[0] |= {"status": 301, "redirectURL": urls[1]}
    made = made_of(tmp_path, *entries, {"url": "https://[::1]:9/e"}, all_hosts=True, longest_pause_s=0)
    assert made.options == ("--base-url", "https://a.test")
    for call in (
        'vu.get(f"{A_TEST_URL}/old", name="a.test/old")',
        'vu.get(f"{A_TEST_8443_URL}/api", name="a.test:8443/api")',
        'vu.get(f"{B_TEST_URL}/c", name="b.test/c")',
        'vu.get("/d", name="/d")',
        'vu.get(f"{SERVER_1_9_URL}/e", name="[::1]:9/e")',
    ):
        assert f"    await {call}\n" in made.text
    assert 'A_TEST_8443_URL = fl.env("A_TEST_8443_URL", "https://a.test:8443")\n' in made.text
    assert "these other servers are kept; -e sets another address: http://a.test (A_TEST_URL)" in made.notes[-1]
    assert "b.test" not in made_of(tmp_path, *entries).text


def test_preflights_are_left_out(tmp_path: Path) -> None:
    asks = [{"name": "Access-Control-Request-Method", "value": "PUT"}]
    made = made_of(tmp_path, {}, {"method": "OPTIONS", "headers": asks}, {"method": "OPTIONS"})
    assert made.text.count("vu.options") == 1
    assert made.notes == ("left out, 1 in all: preflight requests, which only browsers send (CORS)",)


PARTS = (
    '--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nUp and down\r\n'
    '--x\r\nContent-Disposition: form-data; name="tag"\r\n\r\na\r\n'
    '--x\r\nContent-Disposition: form-data; name="tag"\r\n\r\nb\r\n{}--x--\r\n'
)
TEXT_FILE = (
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n'
)
PICTURE = TEXT_FILE.replace("a.csv", "a.png").replace("text/csv", "image/png").replace("1,2", "\ufffdPNG")
FIELDS = 'data={"title": "Up and down", "tag": ["a", "b"]}'


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (PARTS.format(""), f"{FIELDS}, files={{}}"),
        (PARTS.format(TEXT_FILE), f'{FIELDS}, files={{"file": ("a.csv", "1,2", "text/csv")}}'),
        (PARTS.format(PICTURE), f'{FIELDS}, files={{"file": ("a.png", b"...", "image/png")}}'),
    ],
)
def test_multipart_forms_are_taken_apart(cli: Cli, tmp_path: Path, memory: Memory, text: str, arguments: str) -> None:
    post = {"mimeType": "", "text": text}
    header = {"name": "Content-Type", "value": "multipart/form-data; boundary=x"}
    made = made_of(tmp_path, {"method": "POST", "headers": [header], "postData": post})
    assert arguments.replace(" ", "") in "".join(made.text.split()).replace(",)", ")").replace(",}", "}")
    assert ("is not known: give some" in " ".join(made.notes)) == ("PNG" in text)
    assert cli("run", "visit.py", "--base-url", memory.url, "-w", "1", "-q").returncode == 0
    [asked] = memory.asked
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="title"\r\n\r\nUp and down' in asked.body
    assert asked.body.count('name="tag"') == 2


def test_escapes_that_are_not_utf_8_are_sent_as_they_were(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    form = {"mimeType": "application/x-www-form-urlencoded", "text": "name=Jos%E9&a=%C3%A9"}
    entries: list[dict[str, Any]] = [
        {"url": "https://a.test/caf%E9?q=%E9t%E9&token=x&b"},
        {"url": "https://a.test/caf%C3%A9?q=%C3%A9", "method": "POST", "postData": form},
    ]
    made = made_of(tmp_path, *entries, longest_pause_s=0)
    assert "\ufffd" not in made.text
    assert cli("run", "visit.py", "--base-url", memory.url, "-w", "1", "-q", "-e", "TOKEN=t").returncode == 0
    assert [asked.line for asked in memory.asked] == ["GET /caf%E9?q=%E9t%E9&token=t&b", "POST /caf%C3%A9?q=%C3%A9"]
    assert memory.asked[1].body == form["text"]
    assert memory.asked[1].headers["content-type"] == form["mimeType"]


def test_types_may_be_in_the_headers_alone(tmp_path: Path) -> None:
    header = {"name": "content-type", "value": "application/json; charset=utf-8"}
    picture: dict[str, Any] = {"url": "https://a.test/x", "answer": [{"name": "Content-Type", "value": "image/png"}]}
    made = made_of(tmp_path, {"method": "POST", "headers": [header], "postData": {"text": '{"a": 1}'}}, picture)
    assert 'json={"a": 1},\n' in made.text
    assert 'headers={"Content-Type": "application/json; charset=utf-8"},' in made.text
    assert "images, styles" in made.notes[0]


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    path = recorded(tmp_path, {"url": "https://a.test/a.css"})
    with pytest.raises(PlanError, match="none of its 1 requests is left") as raised:
        convert(path, "a.py", RecordingFilter())
    assert "--static" in raised.value.hint


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = recorded(tmp_path, {})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert 'vu.get("/"' in convert(path, "a.py", RecordingFilter()).text


def test_the_page_shows_the_scripts_that_are_made(tmp_path: Path) -> None:
    blocks = list(blocks_of(REPO / "docs" / "new.md"))
    shown = [block.text for block in blocks if block.language == "python"]
    for block in blocks:
        if block.language == "json":
            (tmp_path / block.title).write_text(block.text)
    made = [
        convert(tmp_path / source, script, RecordingFilter()).text
        for source, script in (("recording.har", "visit.py"), ("session.har", "session.py"), ("api.json", "events.py"))
    ]
    assert shown == made
    with pytest.raises(PlanError) as raised:
        convert(tmp_path / "broken.json", "broken.py", RecordingFilter())
    error = f"Error: {raised.value.message}\nHint:  {raised.value.hint}\n"
    assert error in [block.text for block in blocks if block.language == "text"]
