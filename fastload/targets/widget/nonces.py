"""Tokens with a one-time nonce. A nonce is stored only when it is used, not when it is issued."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import sqlite3

from fastload.targets.database import StateFile
from fastload.targets.messages import ApiError
from fastload.targets.tokens import Signer

# The key grows with the time of issue: new rows go to the end of the tree, and stale rows are one range.
SCHEMA = "CREATE TABLE IF NOT EXISTS used_nonces (issue INTEGER PRIMARY KEY);"
_WORKERS_BITS = 10
_NONCE_BYTES = 16
_FORGET_EVERY = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Handshake:
    """A token and its nonce, as a widget gets them."""

    token: str
    nonce: str


class Nonces:
    """The nonces that one server process issues; every process of the target accepts them."""

    def __init__(self, state: StateFile, worker: int, ttl_s: float) -> None:
        self._state = state
        self._signer = Signer(state.secret, "widget")
        self._nonce_key = hmac.digest(state.secret, b"nonce", hashlib.sha256)
        self._worker = worker
        self._ttl_us = round(ttl_s * 1e6)
        self._last_us = 0
        self._used = 0

    def issue(self, shop: str, now_ns: int) -> Handshake:
        """Issue a token for *shop*, and its nonce. *now_ns* is of the monotonic clock, which all processes share."""
        # The number of a nonce is its time of issue, unique in the process, and the index of the process.
        self._last_us = max(self._last_us + 1, now_ns // 1000)
        token = self._signer.token(f"{self._last_us << _WORKERS_BITS | self._worker} {shop}")
        return Handshake(token, self._nonce(token))

    def use(self, token: str, nonce: str, now_ns: int) -> str:
        """Use up *nonce*, which must be the nonce of *token*, and return the shop.

        Raises:
            ApiError: 401, token or nonce was not issued by this target or is stale; 409, the nonce was used before.
        """
        content = self._signer.content(token)
        if content is None:
            raise ApiError(401, "token_invalid", "the Authorization header carries no token of this widget")
        if not hmac.compare_digest(self._nonce(token).encode(), nonce.encode()):
            raise ApiError(401, "nonce_unknown", "the nonce is not that of the token")
        number, _, shop = content.partition(" ")
        issue = int(number)
        oldest_us = now_ns // 1000 - self._ttl_us
        if issue >> _WORKERS_BITS < oldest_us:
            raise ApiError(401, "nonce_stale", f"the nonce is over {self._ttl_us / 1e6:g} s old")
        try:
            self._state.write("INSERT INTO used_nonces VALUES (?)", (issue,))
        except sqlite3.IntegrityError:
            raise ApiError(409, "nonce_reused", "the nonce was used before") from None
        self._used += 1
        if self._used % _FORGET_EVERY == 0:
            # Stale nonces are refused before this table is read, so their rows are not needed.
            self._state.write("DELETE FROM used_nonces WHERE issue < ?", (oldest_us << _WORKERS_BITS,))
        return shop

    def _nonce(self, token: str) -> str:
        return hmac.digest(self._nonce_key, token.encode(), hashlib.sha256)[:_NONCE_BYTES].hex()
