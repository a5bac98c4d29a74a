"""Requests of a recording as calls: what of their headers matters, and their bodies as values."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from fastload.convert.har import HarEntry, PostData
from fastload.convert.names import constant, is_secret, request_name, single_line
from fastload.convert.writer import Call, Module, flatten

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
# What the client says by itself, or what only a browser has reason to say.
_LEFT_OUT = (
    "accept-encoding",
    "accept-language",
    "alt-used",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
)
_LEFT_OUT_PREFIXES = (":", "sec-", "if-", "proxy-", "x-client-data", "x-forwarded-", "access-control-")


class RequestWriter:
    """Writes the requests of a recording as calls, with constants for what several have in common.

    ``notes`` says what could not be written as it was sent.
    """

    def __init__(self, module: Module, host: str, entries: list[HarEntry]) -> None:
        self._module = module
        self._host = host
        self.notes: list[str] = []
        self._uses = Counter(flatten(self._headers(entry)) for entry in entries)

    def call(self, entry: HarEntry, before: str = "") -> Call:
        """The call that sends what *entry* did; *before* stands in front of it."""
        request, url = entry.request, urlsplit(entry.request.url)
        address, params = self._address(url)
        keywords: dict[str, Any] = {"params": params} if params else {}
        body = self._body(request.post_data, single_line(url.path))
        keywords |= self._module.short(body, "BODY")
        headers = self._headers(entry)
        if headers:
            shared = self._uses[flatten(headers)] > 1
            keywords["headers"] = self._module.constant("HEADERS", headers) if shared else headers
        keywords["name"] = self._name(url, body)
        method = request.method.lower()
        address = self._module.short(address, "URL")
        if method in METHODS:
            return Call(f"{before}vu.{method}", [address], keywords)
        return Call(f"{before}vu.request", [request.method.upper(), address], keywords)

    def _address(self, url: SplitResult) -> tuple[str, dict[str, Any]]:
        """The URL, relative to the base URL for the main host, and its query."""
        origin = "" if url.hostname == self._host else f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        path = url.path or "/"
        if all("=" in part for part in url.query.split("&")):
            params = self._without_secrets(_by_name(parse_qsl(url.query, keep_blank_values=True)))
            return origin + path, self._module.short(params, "VALUE")
        # Not pairs: a mapping would send something else.
        return f"{origin}{path}?{url.query}" if url.query else origin + path, {}

    def _name(self, url: SplitResult, body: dict[str, Any]) -> str:
        fields = body.get("json")
        if isinstance(fields, dict) and isinstance(fields.get("operationName"), str) and "query" in fields:
            return single_line(fields["operationName"]) or "query"
        host = "" if url.hostname == self._host else url.hostname or ""
        return single_line(host + request_name(url.path))

    def _headers(self, entry: HarEntry) -> dict[str, Any]:
        headers: dict[str, Any] = {}
        post = entry.request.post_data
        if post and post.mime_type and not self._says_type_itself(post):
            headers["Content-Type"] = post.mime_type
        for header in entry.request.headers:
            name = header.name.lower()
            if name in _LEFT_OUT or name.startswith(_LEFT_OUT_PREFIXES) or not header.value:
                continue
            if name == "accept" and ("*/*" in header.value or "text/html" in header.value):
                continue
            headers[header.name] = (
                self._module.secret(constant(header.name))
                if is_secret(name)
                else self._module.short(header.value, "HEADER")
            )
        return headers

    def _says_type_itself(self, post: PostData) -> bool:
        """Whether the client gives this body the content type that it had."""
        body = self._body(post, None)
        return (
            not body
            or "files" in body
            or isinstance(body.get("data"), dict)
            or ("json" in body and _bare(post.mime_type) == JSON)
        )

    def _body(self, post: PostData | None, path: str | None) -> dict[str, Any]:
        """The keyword for the body, if there is one; what is missing is noted for *path*."""
        if post is None or not (post.text or post.params):
            return {}
        kind = _bare(post.mime_type)
        if kind == JSON or kind.endswith("+json"):
            try:
                fields = msgspec.json.decode(post.text)
            except (msgspec.DecodeError, UnicodeEncodeError):
                return {"data": post.text}
            return {"data": post.text} if fields is None else {"json": self._without_secrets(fields)}
        if kind == FORM and (post.params or "=" in post.text):
            pairs = parse_qsl(post.text, keep_blank_values=True) or [(one.name, one.value) for one in post.params]
            return {"data": self._without_secrets(_by_name(pairs))}
        if post.text:
            return {"data": post.text}
        files = {one.name: [one.file_name, b"...", one.content_type] for one in post.params if one.file_name}
        if files and path is not None:
            self.notes.append(f"the recording lacks the files that were uploaded to {path}: give some in their place")
        fields = [(one.name, one.value) for one in post.params if not one.file_name]
        parts = {"files": {name: tuple(filter(None, file)) for name, file in files.items()}} if files else {}
        return ({"data": self._without_secrets(_by_name(fields))} if fields else {}) | parts

    def _without_secrets(self, value: Any, name: str = "") -> Any:
        """*value* with names of the environment where a field holds a secret."""
        if isinstance(value, dict):
            return {key: self._without_secrets(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_secrets(item, name) for item in value]
        return self._module.secret(constant(name)) if isinstance(value, str) and value and is_secret(name) else value


def _bare(mime_type: str) -> str:
    return mime_type.partition(";")[0].strip().lower()


def _by_name(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """A mapping, with a list where a name repeats."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}
