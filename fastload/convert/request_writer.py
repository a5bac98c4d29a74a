"""Requests of a recording as calls in a script: the headers that matter, and bodies as Python values."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from fastload.convert.har import HarEntry, PostData
from fastload.convert.names import constant, is_secret_field, request_name, single_line
from fastload.convert.writer import Call, Module, flatten

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
# Headers that the client sends by itself, or that only a browser has a reason to send.
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
    """Writes the requests of a recording as calls; headers that several requests share become constants.

    ``notes`` names the parts that could not be written as they were sent.
    """

    def __init__(self, module: Module, host: str, entries: list[HarEntry]) -> None:
        self._module = module
        self._host = host
        self.notes: list[str] = []
        self._uses = Counter(flatten(self._headers(entry)) for entry in entries)

    def call(self, entry: HarEntry, before: str = "") -> Call:
        """Return the call that sends the request of *entry*, with the text *before* in front."""
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
        """Return the URL without its query, and the query. URLs of the main host are relative to the base URL."""
        origin = "" if url.hostname == self._host else f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        path = url.path or "/"
        if all("=" in part for part in url.query.split("&")):
            params = self._without_secrets(_by_name(parse_qsl(url.query, keep_blank_values=True)))
            return origin + path, self._module.short(params, "VALUE")
        # The query is not made of name=value pairs: a mapping would send a different query.
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
                if is_secret_field(name)
                else self._module.short(header.value, "HEADER")
            )
        return headers

    def _says_type_itself(self, post: PostData) -> bool:
        """Return whether the client itself sends the recorded content type for this body."""
        body = self._body(post, None)
        return (
            not body
            or "files" in body
            or isinstance(body.get("data"), dict)
            or ("json" in body and _bare(post.mime_type) == JSON)
        )

    def _body(self, post: PostData | None, path: str | None) -> dict[str, Any]:
        """Return the keyword arguments for the body; empty without a body. Note missing files, if *path* is given."""
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
        """Return *value* with secrets replaced by constants that read environment variables."""
        if isinstance(value, dict):
            return {key: self._without_secrets(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_secrets(item, name) for item in value]
        return (
            self._module.secret(constant(name)) if isinstance(value, str) and value and is_secret_field(name) else value
        )


def _bare(mime_type: str) -> str:
    return mime_type.partition(";")[0].strip().lower()


def _by_name(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return *pairs* as a mapping; a repeated name gets a list of its values."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}
