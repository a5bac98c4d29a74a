"""Scripts of commands of curl: they send what curl itself sends, and say what they do not take."""

from __future__ import annotations

import json
import os
import subprocess
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import pytest

from fastload.convert import Conversion, RecordingFilter, convert
from fastload.convert.curl.command import is_curl
from fastload.convert.curl.shell_words import commands
from fastload.model.errors import PlanError
from tests.conftest import Cli
from tests.convert.conftest import Asked, Memory, check_style

# As Chromium copies a request: URL stands for the address of the server.
COPIED = r"""
curl 'URL/api/notes?lang=de&tag=a%20b' \
  -H 'accept: application/json' \
  -H 'accept-language: en-US,en;q=0.9' \
  -b 'theme=dark; lang=de' \
  -H 'content-type: application/json' \
  -H 'referer: URL/notes' \
  -H 'sec-ch-ua: "Chromium";v="140"' \
  -H 'sec-fetch-mode: cors' \
  -H 'user-agent: Mozilla/5.0 (X11; Linux x86_64)' \
  --compressed \
  --data-raw $'{"text":"it\'s\\nfine \u0021","n":[1,2.5,null]}' ;
"""
COMMANDS = {
    "get": "curl -s URL/health",
    "query": "curl -sG URL/find -d q=red+shoes --data-urlencode 'note=a&b c' -d page=2",
    "head": "curl -sI URL/health",
    "form": "curl -s URL/sign-in -d user=ada -d 'note=a%20b'",
    "latin-1": "curl -s 'URL/find?name=caf%E9' -d 'name=caf%E9'",
    "json": """curl -s --json '{"a": [1, "two"]}' URL/items""",
    "put": """curl -sSXPUT "URL/items/7" -H "Content-Type: application/vnd.shop+json" -d '{"a":1}' -H 'X-Trace: on'""",
    "text": "curl -s URL/notes -H 'Content-Type: text/plain' --data-binary $'first\\r\\nsecond \\xc3\\xa9'",
    "delete": "curl -s -X DELETE -A tester/1 -e URL/list URL/items/7",
    "basic": "curl -s -u ada:pw URL/private",
    "cookies": "curl -s -b 'a=1; b=two' URL/page",
    "multipart": "curl -s -F title=Photos -F 'photo=@me.txt;type=image/png;filename=you.png' URL/upload",
    "fields only": "curl -s -F a=1 -F b=2 URL/upload",
    "file": "curl -s URL/import -H 'Content-Type: text/csv' --data-binary @me.txt",
    "copied": COPIED,
    "redirections": "curl -s URL/a?b=2 -d x=1 >out.txt 2>&1 -H 'X-Trace: 1>2' &>> both.txt",
    "variables": """curl -s "URL/items/$PASSWORD/${PASSWORD}.json?q=$PASSWORD&r=a" -u "ada:$PASSWORD" """
    """-H "X-Trace: t-$PASSWORD" -b "c=$PASSWORD" -d "user=$PASSWORD" -d 'note=red'""",
    "variables in text": """curl -s URL/notes -H 'Content-Type: text/plain' -d "{n: $PASSWORD}" """,
    "JSON of a file": "curl -s --json @me.json URL/items",
    "form of a file": "curl -s -d @me.json URL/items",
    "binary form of a file": "curl -s --data-binary @me.json URL/items",
    "file to a folder": "curl -s -T 'me too.txt' 'URL/up/?a=1'",
    "file to the root": "curl -s -T me.txt URL",
    "encoded query": "curl -s --url-query 'a=b&c d' --url-query '+x=%41' --url-query '=e f' URL/find?q=1",
    "quoted field": """curl -s -F 'a="x;y \\"z\\""' -F 'b=one;two' -F 'c="d" e' --form-string 'f=@g;type=h' """
    """-F 'up=@"me too.txt";type=image/png' URL/upload""",
    "pieces": r"curl -s URL/x -d a=1 -d @me.json --data-urlencode 'b=c d' --data-binary @me.json -d password=pw -d c",
    "pieces of JSON": """curl -s URL/x --json '{"a": ' --json @me.json --json '}' """,
    "empty form": "curl -s URL/x -d ''",
    "form in its order": "curl -s 'URL/x?a=1&b=2&a=3' -d a=1 -d b=2 -d a=3 -d d",
    "encoded alone": "curl -s URL/x --data-urlencode 'a b&c'",
    "typed fields": """curl -s -F 'a={"b": 1};type=application/json;charset=utf-8' -F up=@me.json -F b=1 """
    "-F up=@me.txt -F 'c=<me.json' -F d=2 -F 'e=<me.txt;type=a/b; x=y' -F 'f=;filename=y.txt;type=text/css' URL/upload",
    "type of a file": "curl -s -F a=@me.json -F 'b=@me.txt;filename=b.xml' -F 'c=@me.json;filename=c' URL/upload",
    "globs": "curl -s 'URL/{a,b}/[08-10]x[a-e:3]?q={1}' -d x=1",
    "no globs": "curl -s -g 'URL/x?a={b}&c=[1-3]'",
    "repeated headers": "curl -s URL/x -H 'X-Tag: a' -H 'x-tag: b' -H 'Accept: text/a' -H 'Accept: text/b'",
    "host": "curl -s URL/x -H 'Host: shop.test' -H 'X-None;'",
    "left out": "curl -s URL/x -d a=1 -H 'Accept:' -H 'User-Agent:' -H 'Content-Type:'",
    "no agent": "curl -s URL/x -A '' -H 'Content-Type: application/json' -H 'Accept: a/b' --oauth2-bearer pw",
    "overridden": "curl -s URL/x -e URL/a -A b -H 'Referer: c' -H 'user-agent: d' -r 0-9",
    "exact types": """curl -s URL/x -H 'Content-Type: application/json; charset=UTF-8' -d '{"b": [1e400, 2.50]}'""",
    "exact JSON": """curl -s URL/x --json '{"a": 12345678901234567890123, "a": 0.1000000000000000000001}' """,
    "form with a charset": "curl -s URL/x -H 'Content-Type: application/x-www-form-urlencoded; charset=UTF-8' -d a=1",
    "a part of a page": "curl -sG 'URL/x?a=1#part' -d b=2",
    "a user twice": "curl -s -u ada:pw http://eve:other@HOST/x",
    "a user and a header": "curl -s -u ada:no URL/x -H 'Authorization: Bearer pw'",
    "a user in the URL": "curl -s http://ada:pw@HOST/x",
    "assigned": """BASE=URL; export ITEM="red shoes" OPTIONS='-s -A me/1'\n"""
    """curl $OPTIONS "$BASE/x?q=${ITEM// /+}" """.replace("${ITEM// /+}", "a")
    + """ -H "X-Item: $ITEM" -d n=$BASE""",
    "several uploads": "curl -s -T me.txt URL/a -T me.json URL/b",
    "JSON as a form": """curl -s URL/sign-in -d '{"user": "a=b&c", "password": "pw"}'""",
}
COPIED_FROM = ("sec-ch-ua", "sec-fetch-mode")


class Seen(NamedTuple):
    """What a server sees of a request, without what any two clients write differently."""

    line: str
    query: list[bytes]
    headers: dict[str, str]
    body: object


def seen(asked: Asked) -> Seen:
    """*asked* with its body taken apart."""
    headers = dict(asked.headers)
    kind, body = headers.get("content-type", ""), asked.body
    parsed: object = body
    if kind.startswith("multipart/form-data"):
        headers["content-type"] = "multipart/form-data"
        form: EmailMessage = BytesParser(EmailMessage).parsebytes(f"Content-Type: {kind}\r\n\r\n{body}".encode())
        parsed = [(part.items(), part.get_payload()) for part in form.walk() if part is not form]
    elif "json" in kind:
        parsed = json.loads(body) if body else ""
    elif "form-urlencoded" in kind:
        parsed = pairs(body)
    if parsed is not body:
        # A value may have other escapes, a boundary another length.
        headers.pop("content-length", None)
    path, _, query = asked.line.partition("?")
    return Seen(path, pairs(query), headers, parsed)


def pairs(text: str) -> list[bytes]:
    """The names and values in *text*, which has them encoded, in their order."""
    return [unquote_to_bytes(part.replace("+", "%20")) for part in text.split("&")]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_script_sends_what_curl_sends(cli: Cli, tmp_path: Path, memory: Memory, name: str) -> None:
    (tmp_path / "me.txt").write_text("the content")
    (tmp_path / "me too.txt").write_text("more")
    (tmp_path / "me.json").write_bytes(b'{"a":\r\n "b"}\n')
    command = COMMANDS[name].replace("URL", memory.url).replace("HOST", memory.url.partition("://")[2])
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PASSWORD": "pw"}, capture_output=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "command.sh").write_text(command)
    made = cli("new", "visit", "--from", command if is_curl(command) else "command.sh")
    assert made.returncode == 0, made.stderr
    check_style(tmp_path / "visit.py")
    run = cli(
        "run",
        "visit.py",
        "--base-url",
        memory.url,
        "-w",
        "1",
        "-q",
        "-e",
        "PASSWORD=pw",
        "-e",
        "AUTHORIZATION=Bearer pw",
    )
    assert run.returncode == 0, run.stderr
    half = len(memory.asked) // 2
    assert 2 * half == len(memory.asked) > 0
    for by_curl, by_script in zip(map(seen, memory.asked[:half]), map(seen, memory.asked[half:]), strict=True):
        # Each client has its own, unless the command says it.
        own = ["expect"] if "user-agent" in command.lower() or " -A" in command else ["expect", "user-agent"]
        if name == "copied":
            own = ["user-agent", "referer", "accept-language", "accept-encoding", *COPIED_FROM]
        for header in own:
            by_curl.headers.pop(header, None)
            by_script.headers.pop(header, None)
        assert by_script == by_curl


def test_several_commands_are_sent_one_after_the_other(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    (tmp_path / "all.sh").write_text(
        f"#!/bin/sh\n# What the shop is asked.\n\ncurl {memory.url}/a -k &&\n  curl -d x=1 {memory.url}/b "
        f"--next {memory.url}/c | jq .\ncurl {memory.url}/d {memory.url}/e\n"
    )
    made = cli("new", "visit", "--from", "all.sh")
    assert made.returncode == 0, made.stderr
    assert "Note: not taken from the command, see to it: jq" in made.stderr
    assert made.stdout.endswith(f"fastload run visit.py --base-url {memory.url} -k\n")
    assert cli("run", "visit.py", "--base-url", memory.url, "-w", "1", "-q").returncode == 0
    assert [asked.line for asked in memory.asked] == ["GET /a", "POST /b", "GET /c", "GET /d", "GET /e"]


def made_of(command: str) -> Conversion:
    made = convert(command, "visit.py", RecordingFilter())
    compile(made.text, "visit.py", "exec")
    return made


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ("-u ada:t5z6", {"TOKEN", "SID", "PASSWORD"}),
        # As in curl, such a header goes over a user and a password.
        ("-H 'Authorization: Bearer e3r4' -u ada:t5z6", {"TOKEN", "SID", "AUTHORIZATION"}),
    ],
)
def test_secrets_of_a_command_are_asked_for(more: str, names: set[str]) -> None:
    made = made_of(f"curl https://a.test/x?token=q1w2 -b sid=u7i8 {more}")
    assert not any(secret in made.text for secret in ("q1w2", "e3r4", "t5z6", "u7i8"))
    assert {word for word in made.options if word.endswith("=...")} == {f"{name}=..." for name in names}


def test_what_a_browser_adds_is_left_out_of_a_copied_command_only() -> None:
    copied = made_of(COPIED.replace("URL", "https://a.test")).text
    assert "user-agent" not in copied
    assert "sec-ch-ua" not in copied
    by_hand = made_of("curl https://a.test/ -H 'User-Agent: me' -H 'If-None-Match: x' -H 'Origin: https://b.test'").text
    assert '"User-Agent": "me"' in by_hand
    assert '"If-None-Match": "x"' in by_hand
    assert '"Origin": "https://b.test"' in by_hand


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("curl", "has no URL"),
        ("curl 'https://a.test", 'the quote "\'h" in line 1 has no end'),
        ("curl -H", "the option -H has no value"),
        ("curl ftp://a.test/x", "'ftp://a.test/x' is no address of http or https"),
        ("curl http://a.test:port/", "Port could not be cast"),
        ("curl -d a -F b=1 a.test", "more than one of -d, -F and -T"),
        ("curl -m soon a.test", "could not convert"),
        ("curl a.test/$(date)", "'$(' in line 1 is for a shell"),
        ('curl a.test/"`date`"', "'`' in line 1 is for a shell"),
        ("curl a.test\\\n  -d ${X:-y}", "'${' in line 2 is for a shell"),
        ("curl a.test/$1", "'$1' in line 1 is for a shell"),
        ("curl -d @<(date) a.test", "'<(' in line 1 is for a shell"),
        ("curl -d @- a.test <<EOF\nx\nEOF", "'<<' in line 1 is for a shell"),
        ("curl $BASE/x", "'http://$BASE/x' has a variable in its host"),
        ("curl -m $SOON a.test", "could not convert string to float: '$SOON'"),
        ("curl --data-urlencode a@f a.test", "--data-urlencode with a file"),
        ("curl --url-query @f a.test", "--url-query with a file"),
        ("curl -d @- a.test", "standard input"),
        ("curl -T - a.test", "standard input"),
        ("curl 'a.test/{a,b}/[1-30]'", "curl makes 60 URLs of 'a.test/{a,b}/[1-30]', and a script has up to 50"),
        ("curl 'a.test/[1-999999999999].txt'", "curl makes 999,999,999,999 URLs of '[1-999999999999]'"),
        ("curl 'a.test/[1-9999999999999999999]'", "the range '[1-9999999999999999999]' has numbers that are too large"),
        ("curl 'a.test/[3-1].txt'", "the range '[3-1]' has nothing in it"),
        ("curl -T '{a,b}' a.test", "-T has several files in '{a,b}'"),
        ("curl -d a -T b a.test", "more than one of -d, -F and -T"),
        ("curl -T a -T b a.test", "more files of -T than URLs"),
        ("curl -G -d @f a.test", "-G with a file is not taken"),
        ("curl -F 'a=@b,c' a.test", "-F a has several files"),
        ("curl -F 'a=(;type=multipart/mixed' a.test", "-F a has parts within a part"),
        ("curl -d $'\\xff' a.test", "bytes that are not UTF-8"),
        ('curl ^"https://a.test/^" ^\n -H ^"a: b^"', "a command for Windows' cmd"),
    ],
)
def test_a_command_that_cannot_be_read_is_told(command: str, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        convert(command, "visit.py", RecordingFilter())
    assert message in raised.value.message
    assert "cURL (bash)" in raised.value.hint


@pytest.mark.parametrize(
    "words", ["-X $METHOD", "-d @$FILE", '-H "$NAME: x"', "-F f=@$FILE", "-d $NAME=1", "-b $NAME=1"]
)
def test_a_variable_where_no_value_can_stand_is_refused(words: str) -> None:
    with pytest.raises(PlanError, match=r"the variable \$(METHOD|FILE|NAME) stands where"):
        convert(f"curl a.test {words}", "visit.py", RecordingFilter())


def test_what_is_no_command_of_curl_is_noted() -> None:
    made = made_of(
        "curl https://a.test/1 > out.txt 2>&1 && A=t0p curl https://a.test/2 | jq .a & (curl https://a.test/3); set -e"
    )
    assert made.text.count("await vu.get(") == 3
    assert made.notes == ("not taken from the command, see to it: >out.txt, 2>&1, A=..., jq, set",)


def test_requests_behind_words_of_a_shell_are_named(tmp_path: Path) -> None:
    """The note had the first words of the commands, of which many hid what was lost."""
    (tmp_path / "all.sh").write_text(
        "BASE=https://a.test\ncurl $BASE/1\nfor i in 1 2 3; do curl $BASE/2/$i?key=s3cr3t; done\n"
        "if true; then curl -X DELETE https://ada:pw@a.test/3; else curl $HOST/4; fi\n"
        "{ curl $BASE/5; }; ! curl $BASE/6\n"
        "which curl; echo 1; a; b; c; d\n"
    )
    made = convert(tmp_path / "all.sh", "visit.py", RecordingFilter())
    assert made.text.count("await vu.") == 1
    assert made.notes[0] == (
        "left out, as they stand behind other words: GET https://a.test/2/$i, DELETE https://a.test/3, else curl ..., "
        "GET https://a.test/5, GET https://a.test/6: write each on a line of its own"
    )
    assert "s3cr3t" not in " ".join(made.notes)


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("-H @headers.txt", "-H @headers.txt"),
        ("-H 'Host:' -H 'Accept:' -H 'Expect:'", "-H Host:"),
        ("-H 'Range: a' -H 'range: b'", "-H range once more"),
        ("-F 'a={};headers=X: 1'", "the option headers of -F a"),
        ("--path-as-is", "--path-as-is"),
        ("--retry 3", "--retry"),
    ],
)
def test_what_a_script_does_not_send_is_noted(words: str, note: str) -> None:
    assert made_of(f"curl {words} https://a.test/").notes == (f"not taken from the command, see to it: {note}",)


def test_braces_are_sent_without_globs() -> None:
    assert "{b}" in made_of("curl -g 'https://a.test/?a={b}'").text


def test_variables_are_asked_for_by_their_names() -> None:
    made = made_of(
        'curl https://a.test/$ID -H "Authorization: Bearer $Token" -H \'X-Note: $no\' -H "Cookie: sid=s3c$ID"'
    )
    assert {word for word in made.options if word.endswith("=...")} == {"ID=...", "Token=...", "SID=..."}
    assert 'TOKEN = fl.env("Token")' in made.text
    assert 'f"Bearer {TOKEN}"' in made.text
    assert '"X-Note": "$no"' in made.text
    assert "s3c" not in made.text


def test_variables_that_the_file_sets_have_their_values(tmp_path: Path) -> None:
    """The value of one with the name of a secret is not copied."""
    (tmp_path / "all.sh").write_text(
        "set -e\nBASE=https://a.test  # the shop\nexport TOKEN=s3cr3t WORDS='-H \"X: $no\" -H X-B:1'\nITEM=${BASE}/7\n"
        'curl "$ITEM/$TOKEN" -d "w=$WORDS" -d o=$OTHER\nITEM=/8; curl $BASE$ITEM -A \'$ITEM\'\n'
    )
    made = convert(tmp_path / "all.sh", "visit.py", RecordingFilter())
    assert made.options == ("--base-url", "https://a.test", "-e", "TOKEN=...", "-e", "OTHER=...")
    assert "s3cr3t" not in made.text
    assert """{"w": '-H "X: $no" -H X-B:1', "o": OTHER}""" in made.text
    assert '"User-Agent": "$ITEM"' in made.text
    assert 'vu.get("/8"' in made.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 'b c' \"d e\"f", ["a", "b c", "d ef"]),
        (r"a\ b \'c", ["a b", "'c"]),
        ('"\\"q\\" \\n \\$x"', ['"q" \\n $x']),
        (r"$'it\'s\t\x41\u00e9\101\xc3\xa9'", ["it's\tA\u00e9A\u00e9"]),
        ("a \\\n  b", ["a", "b"]),
        ("a # not this", ["a"]),
        ("a#b ''", ["a#b", ""]),
        ("a2</dev/null 2>&1 b</dev/null '>' \\&", ["a2", "b", ">", "&"]),
        ('"a\\$b" $ "$" "$ c" \'$d\' "\\`"', ["a$b", "$", "$", "$ c", "$d", "`"]),
    ],
)
def test_words_are_those_of_bash(text: str, words: list[str]) -> None:
    assert [command.words for command in commands(text, {})] == [words]
    told = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, timeout=10)
    assert told.stdout.decode().split("\0")[:-1] == words
