"""Bodies of requests as the arguments of a call: JSON, forms, multipart forms with or without files, or text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import orjson

from fastload.convert.source_request import Field, PostData

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data"
MISSING_CONTENT = b"..."
"""Stands for the content of an uploaded file that the source does not have."""
REPLACED = "\ufffd"
"""What a program writes for bytes that are not UTF-8."""


def body_arguments(post: PostData | None) -> dict[str, Any]:
    """Return the keyword arguments for the body: ``json``, ``data`` and ``files``; empty without a body."""
    if post is None or not (post.text or post.params):
        return {}
    kind = bare_type(post.mime_type)
    if kind == JSON or kind.endswith("+json"):
        return _json(post.text)
    if kind == MULTIPART and (fields := _parts(post) or post.params):
        return _multipart(fields)
    if kind == FORM and (pairs := form_pairs(post.text) or [(one.name, one.value) for one in post.params]):
        return {"data": by_name(pairs)}
    if post.text:
        return {"data": post.text}
    if any(one.file_name for one in post.params):
        return _multipart(post.params)
    return {"data": by_name([(one.name, one.value) for one in post.params])}


def says_type_itself(body: dict[str, Any], mime_type: str) -> bool:
    """Return whether the client itself sends the content type *mime_type*, with its parameters, for *body*."""
    kind = mime_type.strip().lower()
    is_form = isinstance(body.get("data"), dict | list) and kind == FORM
    return "files" in body or is_form or ("json" in body and kind == JSON)


def form_pairs(text: str) -> list[tuple[str, str]]:
    """Return the names and values of a query or form; none if they would not be sent again as they are.

    That is so without a ``=``, and where ``%`` escapes are of another encoding than UTF-8, such as Latin-1.
    """
    if not text or not all("=" in part for part in text.split("&")):
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError:
        return []


def by_name(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any] | list[tuple[str, Any]]:
    """Return *pairs* as a mapping, in which a repeated name has a list of its values.

    Where that would send them in another order, they stay pairs.
    """
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    if [(name, value) for name, found in values.items() for value in found] != [*pairs]:
        return [*pairs]
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def multipart_arguments(parts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the arguments ``data`` and ``files`` for the *parts* of a multipart form, in their order.

    A part is its name with the text of a field, or with what ``files`` takes. What stands in ``data`` is sent first, so
    a field behind a file is a file without a name.
    """
    plain = list(takewhile(lambda part: isinstance(part[1], str), parts))
    files = [(name, ("", spec, "") if isinstance(spec, str) else spec) for name, spec in parts[len(plain) :]]
    # An empty mapping makes it multipart all the same; a list repeats a name.
    named = dict(files) if len(dict(files)) == len(files) else files
    return ({"data": by_name(plain)} if plain else {}) | {"files": named}


def bare_type(mime_type: str) -> str:
    """Return *mime_type* in lower case and without its parameters."""
    return mime_type.partition(";")[0].strip().lower()


def missing_files(body: dict[str, Any]) -> bool:
    """Return whether *body* has a file without its content."""
    return any(isinstance(spec, tuple) and MISSING_CONTENT in spec for _, spec in _pairs(body.get("files", {})))


def _pairs(files: Any) -> list[tuple[str, Any]]:
    return list(files.items()) if isinstance(files, dict) else list(files)


def json_value(text: str) -> Any:
    """Return the value of the JSON in *text*; None, which is no body, if the client would not send the same again.

    That is so for text that is no JSON, and for numbers and repeated names that a value of Python does not keep.
    """
    try:
        value = msgspec.json.decode(text)
        return value if _exactly(orjson.dumps(value)) == _exactly(text) else None
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None


def _exactly(text: str | bytes) -> Any:
    return json.loads(text, object_pairs_hook=tuple, parse_float=Decimal, parse_int=Decimal)


def _json(text: str) -> dict[str, Any]:
    value = json_value(text)
    return {"data": text} if value is None else {"json": value}


def _multipart(fields: list[Field]) -> dict[str, Any]:
    return multipart_arguments([(one.name, _part_of(one)) for one in fields])


def _part_of(field: Field) -> str | tuple[Any, ...]:
    if not field.file_name:
        return ("", field.value, field.content_type) if field.content_type else field.value
    known = field.value and REPLACED not in field.value
    content: str | bytes = field.value if known else MISSING_CONTENT
    return tuple(part for part in (field.file_name, content, field.content_type) if part)


def _parts(post: PostData) -> list[Field]:
    """Return the parts of a multipart form from its text; none if the text does not follow its type."""
    if "boundary=" not in post.mime_type or any(sign in post.mime_type for sign in "\r\n"):
        return []
    head = f"Content-Type: {post.mime_type}\r\n\r\n"
    try:
        message = BytesParser(EmailMessage, policy=policy.HTTP).parsebytes((head + post.text).encode())
        parts = [part for part in message.walk() if part is not message]
        return [field for part in parts if (field := _field(part))]
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):
        # The parser of headers raises these for what no browser sends.
        return []


def _field(part: EmailMessage) -> Field | None:
    name = part.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        return None
    content = part.get_payload(decode=True)
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
    content_type = str(part["content-type"] or "")
    return Field(name, text, part.get_filename() or "", content_type)
