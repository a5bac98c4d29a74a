"""Requests, responses and errors, in the form that the handlers of a target use."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiSend = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 64 << 20

_Body = TypeVar("_Body")


class ApiError(Exception):
    """An error response: ``{"error": {"code", "message", "event_index"?}}``.

    It is counted as the outcome *code*. Without a message, its body is ``{"error": code}``.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        event_index: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.event_index = event_index
        self.headers = headers or {}


class ClientGoneError(Exception):
    """The client closed the connection before it had sent the whole request."""


@dataclasses.dataclass(slots=True)
class Response:
    """A response; ``body`` is encoded already.

    ``outcome``: the kind of answer that ``/stats`` counts, one of the target's ``outcomes``; "" is not counted.
    ``stream`` yields the body in pieces, in place of ``body``; it is closed when the client disconnects.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    outcome: str = ""
    content_type: str = "application/json"
    stream: AsyncGenerator[bytes] | None = None


class Request:
    """One request. ``parameters`` holds the ``{name}`` segments of the path."""

    __slots__ = ("_receive", "parameters", "scope")

    def __init__(self, scope: AsgiScope, receive: Receive, parameters: Mapping[str, str]) -> None:
        self.scope = scope
        self._receive = receive
        self.parameters = parameters

    def header(self, name: bytes) -> str:
        """Return the value of the first header called *name* (lower case), or ``""``."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value, "latin-1")
        return ""

    def bearer(self) -> str:
        """Return the token after ``Bearer `` in the Authorization header, or ``""``."""
        scheme, _, token = self.header(b"authorization").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    def query(self) -> dict[str, str]:
        """Return the query parameters; of a repeated parameter, the last value."""
        return dict(parse_qsl(str(self.scope["query_string"], "latin-1"), keep_blank_values=True))

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            ApiError: 413, the body is over ``MAX_BODY_BYTES``.
            ClientGoneError: the client closed the connection.
        """
        chunks: list[bytes] = []
        size_bytes = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            chunks.append(message.get("body", b""))
            size_bytes += len(chunks[-1])
            if size_bytes > MAX_BODY_BYTES:
                raise ApiError(413, "body_too_large", f"the body is over {MAX_BODY_BYTES} bytes")
            more = message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


RouteHandler = Callable[[Request], Awaitable[Response]]
Gate = Callable[[], Awaitable[None]]
"""What a limited request passes before its handler; an ``ApiError`` refuses the request."""


def answer(value: object, status: int = 200, *, outcome: str = "") -> Response:
    """Return a response with *value* as JSON, counted as *outcome*."""
    return Response(msgspec.json.encode(value), status, outcome=outcome)


def error_answer(error: ApiError) -> Response:
    """Return the response for *error*."""
    detail: dict[str, object] = {"code": error.code, "message": error.message}
    if error.event_index is not None:
        detail["event_index"] = error.event_index
    content = {"error": detail if error.message else error.code}
    return Response(msgspec.json.encode(content), error.status, error.headers, error.code)


def limit_error(code: str, message: str, wait_ns: int) -> ApiError:
    """Return a 429 error whose ``Retry-After`` is *wait_ns*, rounded up to whole seconds."""
    return ApiError(429, code, message, headers={"retry-after": str(-(-wait_ns // 1_000_000_000))})


def decode_body(decoder: msgspec.json.Decoder[_Body], body: bytes) -> _Body:
    """Return the decoded *body*.

    Raises:
        ApiError: 400, the body is not valid (see ``body_error``).
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise body_error(error) from None


def body_error(error: msgspec.MsgspecError | UnicodeDecodeError, *, event_index: int | None = None) -> ApiError:
    """Return the 400 error for a body that msgspec refused; its code names the kind of error."""
    if isinstance(error, UnicodeDecodeError):
        return ApiError(400, "malformed_json", "the body is not UTF-8")
    message = str(error)
    code = "invalid_value" if isinstance(error, msgspec.ValidationError) else "malformed_json"
    if "unknown field" in message:
        code = "unknown_field"
    elif "missing required field" in message:
        code = "missing_field"
    return ApiError(400, code, message, event_index=event_index)


def whole_number(query: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    """Return query parameter *name* as a number from *low* to *high*; *default* if it is missing.

    Raises:
        ApiError: 400, the parameter is not a number or out of range.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
        raise ApiError(400, "invalid_parameter", f"{name} must be a number from {low} to {high}")
    return int(text)
