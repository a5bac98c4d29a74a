"""Payloads of WebSocket frames: what a script sends, and what the close frame of a server says. RFC 6455."""

from __future__ import annotations

import struct

from fastload.model.errors import FastloadError, PlanError
from fastload.model.wire_text import shown

NORMAL, GOING_AWAY, NO_CODE, LOST = 1000, 1001, 1005, 1006
GOOD_CODES = (NORMAL, GOING_AWAY, NO_CODE)
"""Codes with which a session ends as it should."""
_FIRST_CODE, _LAST_CODE = 1000, 4999
# They say what was no close frame, or a close frame without a code: section 7.4.
_NEVER_SENT = (1004, NO_CODE, LOST, 1015)
_MOST_REASON_BYTES = 123


def message_payload(message: str | bytes) -> bytes | memoryview:
    """Return the payload of a message: text as UTF-8, bytes and other buffers as they are.

    Raises:
        PlanError: *message* is neither text nor bytes.
    """
    if isinstance(message, str):
        return _utf8(message)
    if isinstance(message, bytes):
        return message
    try:
        return memoryview(message).cast("B")
    except TypeError as error:
        raise PlanError(
            f"ws.send takes text or bytes, not {type(message).__name__}", hint="encode it: ws.send(json.dumps(message))"
        ) from error


def close_payload(code: int, reason: str) -> bytes:
    """Return the payload of a close frame with *code* and *reason*.

    Raises:
        PlanError: no close frame can have this *code* or *reason*.
    """
    if not isinstance(code, int) or not _is_code(code):
        never = ", ".join(map(str, _NEVER_SENT))
        hint = f"it is {_FIRST_CODE} to {_LAST_CODE}, without {never}; from 4000 on, the meaning is up to you"
        raise PlanError(f"ws.close: {code!r} is no code of a close frame", hint=hint)
    if not isinstance(reason, str) or len(encoded := _utf8(reason)) > _MOST_REASON_BYTES:
        hint = f"it is a text of at most {_MOST_REASON_BYTES} bytes"
        raise PlanError(f"ws.close: {reason!r} is no reason of a close frame", hint=hint)
    return struct.pack("!H", code) + encoded


def read_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason of a close frame; `NO_CODE` and "" if it has none.

    Raises:
        FastloadError: no close frame can have this *payload*: section 5.5.1.
    """
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not _is_code(code):
        raise FastloadError(f"the close frame has the code 0x{payload[:2].hex()}, which is none")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise FastloadError(f"the reason of the close frame, after the code {code}, is not UTF-8") from error


def _is_code(code: int) -> bool:
    return _FIRST_CODE <= code <= _LAST_CODE and code not in _NEVER_SENT


def _utf8(text: str) -> bytes:
    """Return *text* as UTF-8, with U+FFFD for lone surrogates, as browsers send it: other bytes are no text message."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return shown(text).encode()
