"""Where in a response a value is, as the expression of a script that takes it from there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from fastload.convert.recordings.dynamic_values import (
    is_worth_a_look,
    looks_random,
    may_be_handed_out,
    pieces,
)
from fastload.convert.recordings.har import HarEntry, HarResponse
from fastload.convert.script.writer import Call, Code, text_literal

HELPER = "found_in"
"""Name of the function that a script has for values in texts."""
HELPER_SOURCE = f'''def {HELPER}(text: str, pattern: str) -> str:
    """Return the first group of the regular expression *pattern* in *text*."""
    found = re.search(pattern, text)
    if not found:
        raise fl.ReplyError(f"nothing in the response matches {{pattern!r}}")
    return found[1]
'''
# Headers of each response that say nothing that a later request sends.
_NO_SOURCE = (
    *("set-cookie", "date", "expires", "last-modified", "age", "server", "via", "vary", "connection", "location"),
    *("cache-control", "alt-svc", "strict-transport-security", "keep-alive", "transfer-encoding", "accept-ranges"),
)
_LONGEST_CONTEXT = 80
_CONTEXT_WORD = re.compile(r"[\"'<]?\b([A-Za-z][\w-]+)")
_MOST_VALUES = 20_000
"""Of one response; the others are not looked at."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """A value in a response: its *name* there, and its *place*: the steps to it in JSON, or an expression.

    ``where`` says it in words; ``imports`` are the modules that the expression needs.
    """

    value: str
    name: str
    where: str
    place: Any
    kind: str = "str"
    imports: tuple[str, ...] = ()

    @property
    def expression(self) -> Any:
        """The expression of a script for it, where ``reply`` stands for the reply."""
        return _json_expression(self.place) if isinstance(self.place, tuple) else self.place


def extractions(chain: list[HarEntry]) -> Iterator[Extraction]:
    """Yield the values in the response to the request *chain[0]*, which *chain[1:]* followed as redirects."""
    last = chain[-1].response
    yield from _in_json(last)
    yield from _in_whole_text(last)
    yield from _in_html(last)
    yield from _in_headers(last)
    for entry in chain:
        yield from _in_cookies(entry.response)
    for number, entry in enumerate(chain[1:]):
        is_last = number == len(chain) - 2
        text = "reply.final_url" if is_last else f"reply.history[{number}].location"
        yield from _in_url(entry.request.url, text, "the URL of its redirect")
    for header in last.headers:
        if header.name.lower() == "location":
            yield from _in_url(header.value, 'reply.headers["location"]', "its header Location")


def extraction_from_text(response: HarResponse, value: str, name: str, *, is_secret: bool) -> Extraction | None:
    """Return how *value*, to be sent as *name*, is taken from the text of *response*; None if it is not in there.

    If it is no secret, the word before it must say so where it could stand there by chance.
    """
    text = response.content.decoded
    for written in dict.fromkeys((value, html.escape(value))):
        for found in re.finditer(re.escape(written), text):
            for word, pattern in _patterns_at(text, found.start(), found.end()):
                if _first(pattern, text) == written and (is_secret or may_be_handed_out(value, name, word)):
                    is_html = written != value
                    return _from_text(value, name or word, "its body", "reply.text", pattern, is_html=is_html)
    return None


def _in_json(response: HarResponse) -> Iterator[Extraction]:
    text = response.content.decoded
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return
    left: list[tuple[tuple[str | int, ...], str, Any]] = [((), "", whole)]
    for _ in range(_MOST_VALUES):
        if not left:
            return
        steps, name, value = left.pop()
        if isinstance(value, dict):
            left += [((*steps, key), key, item) for key, item in value.items()]
        elif isinstance(value, list):
            left += [((*steps, number), name, item) for number, item in enumerate(value)]
        elif steps and isinstance(value, str | int) and not isinstance(value, bool) and is_worth_a_look(str(value)):
            yield Extraction(str(value), name, "its JSON", steps, type(value).__name__)


def _in_whole_text(response: HarResponse) -> Iterator[Extraction]:
    """Yield the whole body, if it is one word: an id or a token alone, or one text of JSON."""
    text = response.content.decoded
    word, place = text.strip(), "reply.text" if text == text.strip() else "reply.text.strip()"
    if word[:1] == '"':
        try:
            word, place = msgspec.json.decode(word, type=str), "reply.json()"
        except (msgspec.DecodeError, UnicodeEncodeError):
            return
    if is_worth_a_look(word) and not any(sign.isspace() for sign in word):
        yield Extraction(word, "", "its whole body", Code(place))


def _json_expression(steps: tuple[str | int, ...]) -> Any:
    path = ".".join(map(str, steps))
    if all(step and "." not in str(step) for step in map(str, steps)):
        return Call("reply.json", [path])
    return Code(
        "reply.json()" + "".join(f"[{step if isinstance(step, int) else text_literal(step)}]" for step in steps)
    )


class _Fields(HTMLParser):
    """Finds hidden fields of forms, and what ``<meta>`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "input" and values.get("type", "").lower() == "hidden" and "name" in values:
            self.found.append((values["name"], values.get("value", ""), "value"))
        elif tag == "meta" and "name" in values and "content" in values:
            self.found.append((values["name"], values["content"], "content"))


def _in_html(response: HarResponse) -> Iterator[Extraction]:
    text = response.content.decoded
    if "html" not in response.content.mime_type and "<input" not in text:
        return
    parser = _Fields()
    try:
        parser.feed(text)
    except (AssertionError, ValueError):
        # Of declarations that no browser takes either.
        return
    for name, value, attribute in parser.found:
        tag, what = ("input", "the hidden field") if attribute == "value" else ("meta", "<meta>")
        for pattern in _attribute_patterns(tag, name, attribute):
            if value and html.unescape(_first(pattern, text) or "") == value:
                yield _from_text(value, name, f"{what} {name}", "reply.text", pattern, is_html=True)
                break


def _attribute_patterns(tag: str, name: str, attribute: str) -> Iterator[str]:
    named, valued = f'name="{re.escape(name)}"', f'{attribute}="([^"]*)"'
    for both in (f"{named}[^>]*?{valued}", f"{valued}[^>]*?{named}"):
        yield both
        yield both.replace('"', "'")
        yield f"<{tag}[^>]*?{both}"
    # Attributes without quotes.
    yield f"name=[\"']?{re.escape(name)}\\b[^>]*?{attribute}=[\"']?([^\"' >]+)"


def _in_headers(response: HarResponse) -> Iterator[Extraction]:
    for header in response.headers:
        name = header.name.lower()
        if name not in _NO_SOURCE and not name.startswith(("content-", ":", "access-control-")):
            yield Extraction(
                header.value, header.name, f"its header {header.name}", Code(f"reply.headers[{text_literal(name)}]")
            )


def _in_cookies(response: HarResponse) -> Iterator[Extraction]:
    for name, value in recorded_cookies(response):
        code, where = f"vu.cookies[{text_literal(name)}]", f"the cookie {name}"
        yield Extraction(value, name, where, Code(code))
        if (plain := unquote(value)) != value:
            yield Extraction(plain, name, where, Code(f"unquote({code})"), imports=("urllib.parse.unquote",))


def recorded_cookies(response: HarResponse) -> list[tuple[str, str]]:
    """Return name and value of each cookie that *response* sets."""
    found = {cookie.name: cookie.value for cookie in response.cookies}
    for header in response.headers:
        if header.name.lower() == "set-cookie":
            # Browsers write several into one header, line by line.
            for line in header.value.split("\n"):
                name, mark, value = line.partition(";")[0].strip().partition("=")
                if mark:
                    found[name] = value
    return list(found.items())


def _in_url(url: str, text: str, where: str) -> Iterator[Extraction]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    for query in (parts.query, parts.fragment):
        for name, value in parse_qsl(query):
            pattern = f"[?&#]{re.escape(name)}=([^&#]+)"
            if _first(pattern, url):
                yield _from_url(value, name, where, text, pattern, url)
    segments = parts.path.split("/")
    for number, segment in enumerate(segments):
        if number > 1 and segment:
            pattern = f"/{re.escape(segments[number - 1])}/([^/?#]+)"
            if not looks_random(segments[number - 1]) and _first(pattern, url) == segment:
                yield _from_url(unquote(segment), f"{segments[number - 1]}_id", where, text, pattern, url)


def _from_url(value: str, name: str, where: str, text: str, pattern: str, url: str) -> Extraction:
    found = Call(HELPER, [Code(text), Code(_pattern_literal(pattern))])
    if _first(pattern, url) == value:
        return Extraction(value, name, where, found, imports=("re",))
    return Extraction(value, name, where, Call("unquote", [found]), imports=("re", "urllib.parse.unquote"))


def _from_text(value: str, name: str, where: str, text: str, pattern: str, *, is_html: bool) -> Extraction:
    found = Call(HELPER, [Code(text), Code(_pattern_literal(pattern))])
    if not is_html:
        return Extraction(value, name, where, found, imports=("re",))
    return Extraction(value, name, where, Call("html.unescape", [found]), imports=("re", "html"))


def _patterns_at(text: str, start: int, end: int) -> Iterator[tuple[str, str]]:
    """Yield regular expressions for *start* to *end* of *text*, by more and more before it, each with the last word."""
    before = text[max(0, start - _LONGEST_CONTEXT) : start].rpartition("\n")[2]
    after = text[end : end + 1]
    group = f"([^{re.escape(after)}]+)" if after and not after.isalnum() else r"([\w.-]+)"
    words = list(_CONTEXT_WORD.finditer(before))
    for word in reversed(words):
        yield words[-1][1], _escaped(before[word.start() :]) + group


def _escaped(text: str) -> str:
    """Return a regular expression for *text*, in which other values of the visit may differ."""
    pattern, at = "", 0
    for piece in pieces(text):
        if looks_random(piece[0]):
            pattern += re.escape(text[at : piece.start()]) + ".*?"
            at = piece.end()
    pattern += re.escape(text[at:])
    # Without a need for these, they are harder to read.
    return pattern.replace("\\ ", " ").replace("\\-", "-")


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None


def _pattern_literal(pattern: str) -> str:
    """Return *pattern* as a raw literal if one can hold it."""
    if not pattern.isprintable() or ("'" in pattern and '"' in pattern):
        return text_literal(pattern)
    sign = "'" if '"' in pattern else '"'
    return f"r{sign}{pattern}{sign}" if "\\" in pattern else f"{sign}{pattern}{sign}"
