"""Canonical JSON (RFC 8785) of many objects at once, by orjson where its result is the same as that of rfc8785.

For strings, booleans, nulls, whole numbers within 2**53 and plain decimals, orjson with sorted keys writes exactly
what RFC 8785 requires: the same escapes, and the shortest digits of a float. Three cases differ: floats that
JavaScript or orjson writes with an exponent, whole numbers beyond 2**53 (an error in rfc8785), and characters above
U+FFFF, which have another order in UTF-16. A payload with one of them is encoded by the rfc8785 package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
import rfc8785

_ENCODE = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_MAX_WHOLE = 2**53 - 1
_SPLITTER = msgspec.json.Decoder(list[msgspec.Raw])
_INVALID = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ABOVE_BMP = re.compile(rb"[\xf0-\xff]").search


class NotCanonicalError(ValueError):
    """Payload ``index`` has no canonical form, or is not a JSON object."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class Canonicalizer:
    """Encoder of canonical JSON. Not thread-safe: each thread needs its own."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(list[dict[str, Any]], float_hook=self._number)
        self._unusual = False

    def canonical(self, payloads: Sequence[bytes | msgspec.Raw]) -> Sequence[bytes | msgspec.Raw]:
        """Return the canonical form of each payload. A payload must be one syntactically complete JSON value.

        Raises:
            NotCanonicalError: a payload is not an object, is not valid JSON, or has a number beyond 2**53.
        """
        joined = b"[%b]" % b",".join(payloads)
        try:
            values = self._decode(joined)
        except _INVALID:
            return [self._canonical_one(index, payload) for index, payload in enumerate(payloads)]
        encoded = self._encode(values)
        # If the whole list is equal, each payload is equal: valid JSON has only one division into elements.
        if encoded == joined:
            return payloads
        if encoded:
            return [bytes(part) for part in _SPLITTER.decode(encoded)]
        return [self._canonical_one(index, payload) for index, payload in enumerate(payloads)]

    def _canonical_one(self, index: int, payload: bytes | msgspec.Raw) -> bytes:
        try:
            values = self._decode(b"[%b]" % payload)
        except _INVALID as error:
            raise NotCanonicalError(index, f"payload: {str(error).partition(' - at')[0]}") from None
        encoded = self._encode(values)
        if encoded:
            return encoded[1:-1]
        try:
            return rfc8785.dumps(values[0])
        except (rfc8785.CanonicalizationError, RecursionError) as error:
            raise NotCanonicalError(index, f"payload has no canonical form: {error}") from None

    def _decode(self, document: bytes) -> list[dict[str, Any]]:
        self._unusual = False
        return self._decoder.decode(document)

    def _encode(self, values: list[dict[str, Any]]) -> bytes:
        """Return the canonical form of *values*, or b"" if the form of orjson may differ from it.

        *values* must be the result of the last `_decode`, which notes unusual numbers.
        """
        if self._unusual:
            return b""
        try:
            encoded = orjson.dumps(values, option=_ENCODE)
        except orjson.JSONEncodeError:
            return b""
        return encoded if encoded.isascii() or not _ABOVE_BMP(encoded) else b""

    def _number(self, text: str) -> float | int:
        value = float(text)
        if value.is_integer() and -_MAX_WHOLE <= value <= _MAX_WHOLE:
            return int(value)
        if not 1e-4 < abs(value) < 1e15:
            self._unusual = True
        return value
