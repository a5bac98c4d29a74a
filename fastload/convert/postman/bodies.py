"""Bodies of requests in a collection of Postman."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import msgspec

from fastload.convert.postman.parts import enabled, mapping, plain_text
from fastload.convert.postman.variables import PLACEHOLDER, UNQUOTED, PostmanValues
from fastload.convert.script.bodies import (
    FORM,
    JSON,
    MISSING_CONTENT,
    MULTIPART,
    by_name,
    json_value,
    multipart_arguments,
)
from fastload.convert.script.writer import Code
from fastload.convert.source_request import PostData

_TYPES = {
    "html": "text/html",
    "javascript": "application/javascript",
    "json": JSON,
    "text": "text/plain",
    "xml": "application/xml",
}
_STRING_OR_PLACEHOLDER = re.compile(rf'"(?:[^"\\]|\\.)*"|{PLACEHOLDER.pattern}')


@dataclass(slots=True)
class PostmanBody:
    """A body: as HAR has it, for what it has no place for as arguments of the call, and a note on what is missing."""

    post: PostData | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def postman_body(body: dict[str, Any], values: PostmanValues, content_type: str) -> PostmanBody:
    """Return the *body* of a request whose headers say *content_type*."""
    mode = plain_text(body.get("mode"))
    given = body.get(mode)
    if body.get("disabled") is True or not given:
        return PostmanBody()
    match mode:
        case "raw":
            options = mapping(mapping(body.get("options")).get("raw"))
            kind = content_type or _TYPES.get(plain_text(options.get("language")), "")
            return _raw(plain_text(given), kind)
        case "urlencoded":
            pairs = [(plain_text(one.get("key")), plain_text(one.get("value"))) for one in enabled(given)]
            return PostmanBody(PostData(content_type or FORM), {"data": by_name(pairs)} if pairs else {})
        case "formdata":
            return _form(given, values)
        case "graphql":
            return _graphql(mapping(given), content_type or JSON)
        case "file":
            path = plain_text(mapping(given).get("src"))
            if path:
                return PostmanBody(PostData(content_type), {"data": values.file(path)})
    return PostmanBody(note=f"its body ({mode}) is not written: see to it")


def _raw(text: str, kind: str) -> PostmanBody:
    if "json" not in kind and not (not kind and text.lstrip()[:1] in ("{", "[")):
        return PostmanBody(PostData(kind or "text/plain", text))
    # Without its quotes, a placeholder is no JSON.
    marked = _STRING_OR_PLACEHOLDER.sub(lambda found: found[0] if found[0][0] == '"' else _marked(found[0]), text)
    whole = json_value(marked)
    return PostmanBody(PostData(kind or JSON), {"json": whole} if whole is not None else {"data": text})


def _marked(placeholder: str) -> str:
    return msgspec.json.encode(f"{UNQUOTED}{placeholder}").decode()


def _graphql(given: dict[str, Any], kind: str) -> PostmanBody:
    variables, note = given.get("variables"), ""
    if isinstance(variables, str):
        marked = _STRING_OR_PLACEHOLDER.sub(lambda one: one[0] if one[0][0] == '"' else _marked(one[0]), variables)
        try:
            variables = msgspec.json.decode(marked) if variables.strip() else None
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            variables, note = None, "the variables of its query are no JSON, and are left out"
    fields = {"query": plain_text(given.get("query")), "variables": variables}
    if given.get("operationName"):
        fields["operationName"] = plain_text(given["operationName"])
    sent = {name: value for name, value in fields.items() if value is not None}
    return PostmanBody(PostData(kind), {"json": sent}, note)


def _form(given: Any, values: PostmanValues) -> PostmanBody:
    return PostmanBody(PostData(MULTIPART), multipart_arguments(list(_parts(given, values))))


def _parts(given: Any, values: PostmanValues) -> Iterator[tuple[str, Any]]:
    for one in enabled(given):
        name, kind, shown = (plain_text(one.get(key)) for key in ("key", "contentType", "fileName"))
        if plain_text(one.get("type")) != "file":
            text = plain_text(one.get("value"))
            yield name, (shown, text, kind) if kind or shown else text
            continue
        source = one.get("src")
        paths = [plain_text(path) for path in (source if isinstance(source, list) else [source]) if path]
        for path in paths or [""]:
            content: bytes | Code = values.file(path) if path else MISSING_CONTENT
            file = shown or PurePath(path).name or "file"
            yield name, (file, content, kind) if kind else (file, content)
