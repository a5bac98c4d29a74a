"""Values of earlier responses in later requests: taken from there, asked for, or left as they are."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fastload.convert import Conversion, RecordingFilter, convert
from fastload.convert.recordings.dynamic_values import looks_random, may_be_handed_out
from tests.convert.conftest import check_style
from tests.convert.test_recording import recorded

TOKEN = "q7Xk2mPz9LwB4vTn"
UUID = "0b7f1c9e-7f4a-4a57-9a3e-5f2f5a0f2b11"


def given(body: Any, kind: str = "application/json", **response: Any) -> dict[str, Any]:
    """A GET of /first that *body* answers."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {"url": "https://a.test/first", "content": {"mimeType": kind, "text": text}, **response}


def sends(**request: Any) -> dict[str, Any]:
    """A POST to /second."""
    return {"method": "POST", "url": "https://a.test/second", **request}


def script_of(tmp_path: Path, *entries: dict[str, Any], **log: Any) -> Conversion:
    made = convert(recorded(tmp_path, *entries, **log), "visit.py", RecordingFilter(longest_pause_s=0))
    (tmp_path / "visit.py").write_text(made.text)
    check_style(tmp_path / "visit.py")
    return made


def form(text: str) -> dict[str, Any]:
    return {"postData": {"mimeType": "application/x-www-form-urlencoded", "text": text}}


def body(value: Any) -> dict[str, Any]:
    return {"postData": {"mimeType": "application/json", "text": json.dumps(value)}}


HIDDEN = f'<form><input name="user"><input type="hidden" name="_csrf" value="{TOKEN}"></form>'


@pytest.mark.parametrize(
    ("first", "second", "taken", "sent"),
    [
        (
            given({"data": [{"token": TOKEN}]}),
            sends(headers=[{"name": "Authorization", "value": f"Bearer {TOKEN}"}]),
            'token = reply.json("data.0.token")',
            'f"Bearer {token}"',
        ),
        (given({"a.b": TOKEN}), sends(**body({"x": TOKEN})), 'a_b = reply.json()["a.b"]', 'json={"x": a_b}'),
        (given({"id": 48213}), sends(url="https://a.test/orders/48213"), 'order_id = reply.json("id")', "/{order_id}"),
        (given({"id": "48213"}), sends(**body({"id": 48213})), 'id_ = reply.json("id")', '{"id": int(id_)}'),
        (given({"id": 48213}), sends(**body({"id": "48213"})), 'id_ = reply.json("id")', '{"id": str(id_)}'),
        (given({"id": UUID}), sends(url=f"https://a.test/x/{UUID}.pdf"), 'reply.json("id")', 'f"{x_id}.pdf"'),
        (
            given(HIDDEN, "text/html"),
            sends(**form(f"_csrf={TOKEN}")),
            """csrf = html.unescape(found_in(reply.text, 'name="_csrf"[^>]*?value="([^"]*)"'))""",
            'data={"_csrf": csrf}',
        ),
        (
            given(f"<meta content='{TOKEN}' name='csrf-token'>", "text/html"),
            sends(headers=[{"name": "X-CSRF-Token", "value": TOKEN}]),
            "csrf_token = html.unescape(",
            '"X-CSRF-Token": csrf_token',
        ),
        # Shorter ones, by the name before them, or as an id in a path.
        (
            given('<script>var cfg = {"nonce":"zzTop998877aaBB"}</script>', "text/html"),
            sends(**body({"nonce": "zzTop998877aaBB"})),
            """nonce = found_in(reply.text, '"nonce":"([^"]+)')""",
            'json={"nonce": nonce}',
        ),
        (
            given('<script>boot({boot: "abcDEF123456xyz"})</script>', "text/html"),
            sends(headers=[{"name": "Boot", "value": "abcDEF123456xyz"}]),
            """boot = found_in(reply.text, 'boot: "([^"]+)')""",
            '"Boot": boot',
        ),
        (
            given({"next": "/page/abcDEF123456xyz"}),
            sends(url="https://a.test/page/abcDEF123456xyz"),
            """page_id = found_in(reply.text, 'page/([^"]+)')""",
            '"/page/{page_id}"',
        ),
        (
            given({"next": "/page/abcDEF123456xyz?n=2"}),
            sends(url="https://a.test/page/abcDEF123456xyz?n=2"),
            """page_id = found_in(reply.text,""",
            '"/page/{page_id}"',
        ),
        (
            given(f"<script>var state = '{TOKEN}';</script>", "text/html"),
            sends(url=f"https://a.test/second?state={TOKEN}"),
            """state = found_in(reply.text, "state = '([^']+)")""",
            'params={"state": state}',
        ),
        (
            given(f"<answer><ticket>{TOKEN}</ticket></answer>", "application/xml"),
            sends(postData={"mimeType": "application/xml", "text": f"<b t='{TOKEN}'/>"}),
            'ticket = found_in(reply.text, "<ticket>([^<]+)")',
            """data=f"<b t='{ticket}'/>",""",
        ),
        (
            given("", answer=[{"name": "X-Next", "value": TOKEN}]),
            sends(**body({"next": TOKEN})),
            'x_next = reply.headers["x-next"]',
            'json={"next": x_next}',
        ),
        (
            given("", answer=[{"name": "Set-Cookie", "value": f"XSRF=a\nT={TOKEN}%3D; Path=/"}]),
            sends(headers=[{"name": "X-T", "value": f"{TOKEN}="}]),
            't = unquote(vu.cookies["T"])',
            '"X-T": t',
        ),
        (
            given("", status=201, answer=[{"name": "Location", "value": f"/orders/{UUID}"}]),
            sends(url=f"https://a.test/orders/{UUID}/pay"),
            'orders_id = found_in(reply.headers["location"], "/orders/([^/?#]+)")',
            '"/orders/{orders_id}/pay"',
        ),
        # The whole body, or a part of a part.
        (given(UUID, "text/plain"), sends(**body({"id": UUID})), "id_ = reply.text\n", 'json={"id": id_}'),
        (given(f"{TOKEN}\n", "text/plain"), sends(**body({"t": TOKEN})), "t = reply.text.strip()\n", 'json={"t": t}'),
        (given(json.dumps(UUID)), sends(url=f"https://a.test/items/{UUID}"), "item_id = reply.json()\n", "/{item_id}"),
        (
            given({"id": UUID, "t": TOKEN}),
            sends(headers=[{"name": "X-Ctx", "value": f"id={UUID}; t={TOKEN}"}]),
            't = reply.json("t")',
            'f"id={x_ctx}; t={t}"',
        ),
        (given({"t": TOKEN}), sends(url=f"https://a.test/i;jsessionid={TOKEN}"), "t = reply", 'f"i;jsessionid={t}"'),
        (
            given({"t": TOKEN}),
            sends(url=f"https://a.test/in?next=%2Fa%3Ft%3D{TOKEN}%26b%3D2"),
            't = reply.json("t")',
            'params={"next": f"/a?t={t}&b=2"}',
        ),
        (
            given({"t": TOKEN}),
            sends(url=f"https://a.test/in?next=%252Fa%253Ft%253D{TOKEN}%2526b%253D2"),
            't = reply.json("t")',
            'params={"next": f"%2Fa%3Ft%3D{t}%26b%3D2"}',
        ),
    ],
)
def test_a_value_is_taken_from_the_response_that_had_it(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], taken: str, sent: str
) -> None:
    made = script_of(tmp_path, first, second)
    assert taken in made.text
    assert sent in made.text
    assert TOKEN not in made.text
    assert UUID not in made.text
    assert "# From " in made.text
    assert made.options == ("--base-url", "https://a.test")
    assert any(note.startswith("taken from earlier responses") for note in made.notes)


def test_a_body_in_base64_is_a_source_too(tmp_path: Path) -> None:
    content = {"mimeType": "application/json", "encoding": "base64"}
    content["text"] = base64.b64encode(json.dumps({"token": TOKEN}).encode()).decode()
    made = script_of(tmp_path, {"content": content}, sends(**body({"token": TOKEN})))
    assert 'token = reply.json("token")' in made.text


def test_redirects_that_are_followed_are_sources(tmp_path: Path) -> None:
    chain: list[dict[str, Any]] = [
        {"url": "https://a.test/1", "status": 302, "redirectURL": f"/2?code={TOKEN}"},
        {"url": f"https://a.test/2?code={TOKEN}", "status": 302, "redirectURL": f"/3/{UUID}"},
        {
            "url": f"https://a.test/3/{UUID}",
            "content": {"mimeType": "text/html", "text": HIDDEN.replace(TOKEN, "z" + TOKEN)},
        },
    ]
    made = script_of(tmp_path, *chain, sends(**body({"code": TOKEN, "_csrf": "z" + TOKEN, "three": UUID})))
    assert 'code = found_in(reply.history[0].location, "[?&#]code=([^&#]+)")' in made.text
    assert 'found_in(reply.final_url, "/3/([^/?#]+)")' in made.text
    assert "csrf = html.unescape(" in made.text
    assert made.text.count("vu.get") == 1


def test_variables_go_from_page_to_page_and_out_of_batches(tmp_path: Path) -> None:
    together = {"time": 900, "startedDateTime": "2026-01-31T10:00:00.100Z"}
    entries = [
        {"pageref": "a", "time": 900, "url": "https://a.test/0"},
        {**given({"token": TOKEN, "id": 48213}), **together, "pageref": "a"},
        {**sends(**body({"id": 48213})), "pageref": "b"},
        {**sends(**body({"token": TOKEN, "id": 48213})), "pageref": "c"},
    ]
    pages = [{"id": name, "title": name.upper() * 3} for name in "abc"]
    text = script_of(tmp_path, *entries, pages=pages).text
    assert "    replies = await asyncio.gather(\n" in text
    assert '    token = replies[1].json("token")\n' in text
    assert '    id_ = replies[1].json("id")\n' in text
    assert "async def aaa(vu: fl.VU) -> tuple[int, str]:\n" in text
    assert "    return id_, token\n" in text
    assert "        id_, token = await aaa(vu)\n" in text
    assert "async def bbb(vu: fl.VU, id_: int) -> None:\n" in text
    assert "        await ccc(vu, token, id_)\n" in text


def test_many_variables_keep_the_style(tmp_path: Path) -> None:
    values = {f"token_of_the_part_number_{number}": f"{TOKEN}{number}" for number in range(12)}
    entries = [{**given(values), "pageref": "a"}, {**sends(**body(values)), "pageref": "b"}]
    text = script_of(tmp_path, *entries, pages=[{"id": "a", "title": "A1"}, {"id": "b", "title": "B1"}]).text
    assert text.count("reply.json(") == 12


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Short, words, dates, and numbers of another meaning.
        ({"state": "open", "n": 7}, {"state": "open", "n": 7}),
        ({"kind": "completed-order"}, {"wanted": "completed-order"}),
        ({"day": "2026-01-31", "at": "2026-01-31T10:00:00Z"}, {"day": "2026-01-31", "at": "2026-01-31T10:00:00Z"}),
        ({"total": 10000}, {"limit": 10000}),
        ({"mail": "ada1815@a.test"}, {"login": "ada1815@a.test"}),
        ({"ok": True, "none": None}, {"ok": True, "none": None}),
        ({"title": "the quick brown fox 12345"}, {"title": "the quick brown fox 12345"}),
    ],
)
def test_what_is_equal_by_chance_stays_as_it_is(tmp_path: Path, first: Any, second: Any) -> None:
    made = script_of(tmp_path, given(first), sends(**body(second)))
    assert "reply" not in made.text
    assert "fl.env" not in made.text


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('<img alt="iPhone15ProMax">', {"wanted": "iPhone15ProMax"}),
        ('<a href="?v=1.2.3beta4a5">', {"tag": "1.2.3beta4a5"}),
        ('<b title="summer-sale-2026">', {"title": "summer-sale-2026"}),
        ('<i name="abc12">', {"name": "abc12"}),
    ],
)
def test_what_is_in_a_text_by_chance_stays_as_it_is(tmp_path: Path, text: str, sent: Any) -> None:
    made = script_of(tmp_path, given(text, "text/html"), sends(**body(sent)))
    assert "reply" not in made.text
    assert "fl.env" not in made.text


def test_a_short_token_that_no_response_had_stays(tmp_path: Path) -> None:
    assert "fl.env" not in script_of(tmp_path, given({}), sends(**body({"nonce": "zzTop998877aaBB"}))).text


def test_what_the_client_sent_first_is_its_own(tmp_path: Path) -> None:
    """A search word comes back in the answer; the token of a later answer than its use is no source."""
    word = {"q": "a1b2c3d4e5f6-query"}
    made = script_of(tmp_path, sends(**body(word)), given(word), sends(**body(word)), longest=0)
    assert "reply" not in made.text
    made = script_of(tmp_path, sends(**body({"ref": TOKEN})), given({"ref": TOKEN}))
    assert "reply" not in made.text
    assert "-e" in made.options


def test_what_no_response_had_is_asked_for_once(tmp_path: Path) -> None:
    made = script_of(
        tmp_path,
        sends(url=f"https://a.test/carts/{UUID}?ref={TOKEN}", **body({"cart": UUID, "password": "pw"})),
        sends(**body({"ref": TOKEN + "9"})),
    )
    for name in ("CART_ID", "REF", "REF_2", "PASSWORD"):
        assert f'{name} = fl.env("{name}")\n' in made.text
    assert made.text.count("fl.env(") == 4
    assert '"cart": CART_ID' in made.text
    assert made.notes[-1].endswith("give CART_ID, REF, REF_2 with -e")


@pytest.mark.parametrize(
    ("next_", "sent"),
    [
        (f"https%3A%2F%2Fa.test%2Fitems%2F{UUID}%3Fq%3D1", 'f"https://a.test/items/{ITEM_ID}?q=1"'),
        (f"%252Fa%253Fref%253D{TOKEN}", 'f"%2Fa%3Fref%3D{REF}"'),
    ],
)
def test_what_no_response_had_is_asked_for_within_a_url(tmp_path: Path, next_: str, sent: str) -> None:
    made = script_of(tmp_path, given({}), sends(url=f"https://a.test/in?next={next_}"))
    assert sent in made.text


def test_ids_that_a_client_makes_up_are_made_up(tmp_path: Path) -> None:
    made = script_of(tmp_path, sends(headers=[{"name": "Idempotency-Key", "value": UUID}]), sends())
    assert '"Idempotency-Key": str(uuid.uuid4())' in made.text


def test_the_cookie_of_a_session_that_had_begun_is_asked_for(tmp_path: Path) -> None:
    cookies = {"name": "Cookie", "value": f"sid={TOKEN}; theme=dark; later={TOKEN}x"}
    made = script_of(tmp_path, sends(headers=[cookies]), given("", answer=[{"name": "Set-Cookie", "value": "later=1"}]))
    assert '    vu.cookies["sid"] = SID\n' in made.text
    assert "theme" not in made.text
    assert 'cookies="clear"' in made.text
    assert "cookies that no response of the recording set are left out: theme, later" in made.notes


def test_cookies_before_the_recording_are_asked_for_however_they_look(tmp_path: Path) -> None:
    """Only what looked random was asked for; of another host, none reached it."""
    entries: list[dict[str, Any]] = [
        {"headers": [{"name": "cookie", "value": "sid=abc"}]},
        {"url": "https://b.test/x", "cookies": [{"name": "session", "value": "words-only"}]},
        {"url": "https://b.test/y", "headers": [{"name": "Cookie", "value": "sid=def; session=words-only"}]},
    ]
    made = convert(recorded(tmp_path, *entries), "visit.py", RecordingFilter(all_hosts=True))
    lines = [line.strip() for line in made.text.splitlines() if "vu.cookies" in line]
    assert lines == [
        'vu.cookies["sid"] = SID',
        'vu.cookies.set("session", SESSION, domain="b.test")',
        'vu.cookies.set("sid", SID_2, domain="b.test")',
    ]
    assert not any(secret in made.text for secret in ("abc", "def;", "words-only"))


@pytest.mark.parametrize(
    "text", [UUID, TOKEN, "a1b2c3d4e5f60718", "eyJhbGciOiJI.eyJzdWIiOi.sig", "pK9_x-Zq3R7tLm2Yb8Wd"]
)
def test_what_looks_random(text: str) -> None:
    assert looks_random(text)
    assert may_be_handed_out(text, "x", "y")


@pytest.mark.parametrize(
    "text",
    ["", "open", "summer-sale-2026-shoes", "2026-01-31T10:00:00.000Z", "application/json", "https://a.test/page/1",
     "Mozilla/5.0 (X11; Linux)", "1234567890123456", "internationalization", "/api/v1/orders/latest"],
)  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert not looks_random(text)
