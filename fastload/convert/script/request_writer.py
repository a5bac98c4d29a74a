"""Requests as calls in a script: the headers that matter, and bodies as Python values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from fastload.convert.script.bodies import FORM as FORM
from fastload.convert.script.bodies import JSON as JSON
from fastload.convert.script.bodies import (
    REPLACED,
    body_arguments,
    by_name,
    form_pairs,
    missing_files,
    says_type_itself,
)
from fastload.convert.script.expressions import code_of_parts, has_local
from fastload.convert.script.names import identifier, request_name, single_line, unique
from fastload.convert.script.origins import PORTS, Origins, origin_of
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Call, Code, Module
from fastload.convert.source_request import Pair, SourceRequest, header_of

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
# Headers that the client sends by itself.
_SENT_BY_CLIENT = (
    *("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding"),
    *("proxy-connection", "upgrade", "http2-settings"),
)
# Headers that have a place of their own in a call: with the body, and as cookies.
_ELSEWHERE = ("content-type", "cookie")
# Headers that only a browser has a reason to send.
_SENT_BY_BROWSER = (
    *("accept-encoding", "accept-language", "alt-used", "cache-control", "dnt", "origin", "pragma", "priority"),
    *("referer", "upgrade-insecure-requests", "user-agent", "via"),
    # Of what watches real users; each request has other values.
    *("traceparent", "tracestate", "sentry-trace", "baggage", "newrelic"),
)
_SENT_BY_BROWSER_PREFIXES = (
    *("sec-", "if-", "proxy-", "x-client-data", "x-forwarded-", "access-control-", "x-b3-", "x-datadog-"),
)


class RequestWriter:
    """Writes requests as calls; headers that several of the *requests* share become constants.

    Headers that a browser adds are left out, unless a person wrote them: *by_hand*. ``notes`` names the parts that
    could not be written as they were sent.
    """

    def __init__(
        self,
        module: Module,
        origins: Origins,
        values: Values,
        requests: Iterable[SourceRequest],
        *,
        by_hand: bool = False,
    ) -> None:
        self._module, self._origins, self._values = module, origins, values
        left_out = (*_ELSEWHERE, *_SENT_BY_CLIENT)
        self._left_out = left_out if by_hand else left_out + _SENT_BY_BROWSER
        self._left_out_prefixes = (":",) if by_hand else (":", *_SENT_BY_BROWSER_PREFIXES)
        self._by_hand = by_hand
        self.notes: list[str] = []
        self._uses = Counter(map(self._key, requests))

    def call(
        self,
        request: SourceRequest,
        name: str = "",
        body: dict[str, Any] | None = None,
        more: dict[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> Call:
        """Return the call that sends *request*, counted as *name*.

        Args:
            body: arguments for the body over those that *request* has.
            more: other keyword arguments.
            without: names of headers that the client would send by itself, and does not.
        """
        url = urlsplit(request.url)
        body = body_arguments(request.post_data) | (body or {})
        self._note_what_differs(request, body, single_line(url.path) or "/")
        address, template, keywords = self._address(url)
        sent = self._sent(body)
        keywords |= self._module.short(sent, "BODY") | self._headers(request, body, without)
        more = more or {}
        keywords |= more if "auth" in more else self._auth(request, url) | more
        keywords["name"] = name or self._name(url, template, body)
        method = request.method.lower()
        if method in METHODS:
            return Call(f"vu.{method}", [address], keywords)
        return Call("vu.request", [request.method.upper(), address], keywords)

    def _address(self, url: SplitResult) -> tuple[str | Code, str, dict[str, Any]]:
        """Return the URL without its query, its path as a template, and the arguments ``path`` and ``params``."""
        keywords: dict[str, Any] = {}
        template, path = self._path(url.path or "/")
        if path:
            keywords["path"] = path
        pairs = form_pairs(url.query)
        if pairs:
            keywords["params"] = self._module.short(self._values.tree(by_name(pairs)), "VALUE")
        query = [] if pairs or not url.query else self._raw_query(url.query)
        address = code_of_parts([self._origins.begin(url), template, *query], self._module, "URL")
        return self._module.short(address, "URL"), template, keywords

    def _path(self, path: str) -> tuple[str, dict[str, Code]]:
        """Return *path* with ``{names}`` for what is not sent as it is, and the values of these names."""
        values: dict[str, Code] = {}
        parts = path.split("/")
        for number, part in enumerate(parts):
            sent = self._values.segment(unquote(part), parts[number - 1] if number else "")
            if not isinstance(sent, Code):
                continue
            known = [name for name, code in values.items() if code == sent]
            name = (
                known[0]
                if known
                else unique(identifier(sent.text, "value").rstrip("_") if sent.text.isidentifier() else "value", values)
            )
            values[name] = sent
            parts[number] = f"{{{name}}}"
        if values:
            # Of the rest, nothing may look like a name.
            parts = [part if part[1:-1] in values else quote(part, safe="%!$&'()*+,;=:@~") for part in parts]
        return "/".join(parts), values

    def _raw_query(self, query: str) -> list[str | Code]:
        """Return the parts of a query that no mapping would send as it is: it has no ``=``, or escapes of Latin-1."""
        parts: list[str | Code] = ["?"]
        for number, part in enumerate(query.split("&")):
            name, mark, value = part.partition("=")
            sent = self._values.text(value, unquote(name)) if value else self._values.raw(part)
            parts += ["&"] * bool(number) + ([name, mark, sent] if value else [sent])
        return parts

    def _name(self, url: SplitResult, template: str, body: dict[str, Any]) -> str:
        fields = body.get("json")
        if isinstance(fields, dict) and isinstance(fields.get("operationName"), str) and "query" in fields:
            return single_line(fields["operationName"]) or "query"
        return single_line(self._origins.shown_host(url) + request_name(template))

    def _sent(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return *body* with what is sent for its values; files stay as they are, but for fields among them."""
        sent = dict(body)
        if "files" in sent:
            files = sent["files"]
            pairs = [
                (name, self._file(name, spec)) for name, spec in (files.items() if isinstance(files, dict) else files)
            ]
            sent["files"] = dict(pairs) if isinstance(files, dict) else pairs
        for key in ("json", "data"):
            if key in sent:
                value = sent[key]
                is_text = key == "data" and isinstance(value, str)
                sent[key] = self._values.raw(value) if is_text else self._values.tree(value)
        return sent

    def _file(self, name: str, spec: Any) -> Any:
        if isinstance(spec, tuple) and not spec[0] and isinstance(spec[1], str):
            return (spec[0], self._values.text(spec[1], name), *spec[2:])
        return spec

    def _auth(self, request: SourceRequest, url: SplitResult) -> dict[str, Any]:
        """Return the argument ``auth`` for the user in *url*; none if a header says it."""
        if url.username is None or header_of(request.headers, "authorization"):
            return {}
        user, password = unquote(url.username), unquote(url.password or "")
        return {"auth": (self._values.raw(user), self._values.text(password, "password"))}

    def _note_what_differs(self, request: SourceRequest, body: dict[str, Any], where: str) -> None:
        post, method = request.post_data, request.method
        if missing_files(body):
            self.notes.append(
                f"the content of the files that are sent to {where} is not known: give some in their place"
            )
        elif post and REPLACED in post.text:
            self.notes.append(f"the body for {where} has bytes that the source does not show: give it anew")
        elif not body and request.body_size > 0:
            self.notes.append(
                f"the body for {where}, of {request.body_size:.0f} bytes, is not in the source: give one in its place"
            )
        if method not in (method.upper(), method.lower()) or (self._by_hand and method != method.upper()):
            self.notes.append(f"the method {single_line(method)} is sent as {single_line(method.upper())}")
        if self._by_hand:
            left = [header.name for header in request.headers if header.name.lower() in _SENT_BY_CLIENT]
            self.notes += [f"the client decides on the header {single_line(name)} itself" for name in left]

    def _headers(self, request: SourceRequest, body: dict[str, Any], without: Sequence[str]) -> dict[str, Any]:
        """Return the argument ``headers``; none without headers."""
        headers: dict[str, Any] = dict.fromkeys(without)
        mime_type = _mime_type(request)
        if mime_type and not says_type_itself(body, mime_type):
            headers["Content-Type"] = mime_type
        elif not mime_type and isinstance(body.get("data"), str):
            # Else the client would call it a form.
            headers["Content-Type"] = None
        for name, value in self._kept(request):
            headers[name] = self._module.short(self._values.text(value, name), "HEADER")
        if not headers:
            return {}
        shared = self._uses[self._key(request)] > 1 and not has_local(headers)
        return {"headers": self._module.constant("HEADERS", headers) if shared else headers}

    def _kept(self, request: SourceRequest) -> list[tuple[str, str]]:
        """Return name and value of each header that is sent; a repeated one has its values in one line."""
        found: dict[str, tuple[str, str]] = {}
        for header in request.headers:
            if self._is_kept(header, request):
                name, before = found.get(header.name.lower(), (header.name, None))
                found[header.name.lower()] = (name, header.value if before is None else f"{before}, {header.value}")
                if before is not None:
                    self.notes.append(f"the header {single_line(name)} is sent once, with its values in one line")
        return list(found.values())

    def _key(self, request: SourceRequest) -> tuple[str, ...]:
        """Return what is the same for requests that have the same headers."""
        kept = [header for header in request.headers if self._is_kept(header, request)]
        return (_mime_type(request), *(text for header in kept for text in (header.name, header.value)))

    def _is_kept(self, header: Pair, request: SourceRequest) -> bool:
        name = header.name.lower()
        if name in self._left_out or name.startswith(self._left_out_prefixes):
            return False
        if name == "host":
            return header.value.lower() not in _hosts(urlsplit(request.url))
        return self._by_hand or name != "accept" or not ("*/*" in header.value or "text/html" in header.value)


def _mime_type(request: SourceRequest) -> str:
    return request.post_data.mime_type if request.post_data else header_of(request.headers, "content-type")


def _hosts(url: SplitResult) -> tuple[str, ...]:
    """Return what the header Host is for *url*: with the port of its scheme and without, and nothing."""
    host = origin_of(url).partition("://")[2].lower()
    return "", host, f"{host}:{url.port or PORTS.get(url.scheme)}"
