"""Signed tokens that contain their data, so that no process has to store them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_SIGNATURE_BYTES = 18


class Signer:
    """Signer of tokens for one *purpose*; tokens of another purpose are not valid."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._key = hmac.digest(secret, purpose.encode(), hashlib.sha256)

    def token(self, content: str) -> str:
        """Return a token with *content*; it consists of letters, digits, ``-``, ``_`` and one dot."""
        body = base64.urlsafe_b64encode(content.encode()).rstrip(b"=")
        return f"{body.decode()}.{self._signature(body)}"

    def content(self, token: str) -> str | None:
        """Return the content of *token*, or ``None`` if its signature is not valid."""
        body, _, signature = token.partition(".")
        if not token.isascii() or not hmac.compare_digest(self._signature(body.encode()), signature):
            return None
        try:
            return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None

    def _signature(self, body: bytes) -> str:
        digest = hmac.digest(self._key, body, hashlib.sha256)[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).decode()
