"""Handlers of the target ``did``."""

from __future__ import annotations

import hmac
import sqlite3
import time
from hashlib import sha256
from typing import Annotated

import msgspec

from fastload.targets import client_limits
from fastload.targets.application import ServiceContext
from fastload.targets.client_limits import ClientLimits
from fastload.targets.database import StateFile
from fastload.targets.messages import ApiError, Request, Response, answer, decode_body
from fastload.targets.options import DidOptions

_SCHEMA = """
CREATE TABLE IF NOT EXISTS enrolments (
    wallet TEXT PRIMARY KEY, biometric_hash TEXT NOT NULL, device_id TEXT, enrolled_s REAL NOT NULL
) WITHOUT ROWID;
"""

Wallet = Annotated[str, msgspec.Meta(pattern=r"^addr_test1[0-9a-z]+\Z", max_length=128)]
# Hex digits, or as the team's own k6 script makes it: lower-case letters and digits.
BiometricHash = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-fA-F]{64}|[0-9a-z]{64})\Z")]


class _Metadata(msgspec.Struct, frozen=True):
    device_id: str | None = None
    enrollment_type: str | None = None


class _Enrolment(msgspec.Struct, frozen=True):
    wallet_address: Wallet
    biometric_hash: BiometricHash
    metadata: _Metadata = _Metadata()


class _Verification(msgspec.Struct, frozen=True):
    wallet_address: Wallet
    biometric_hash: BiometricHash
    timestamp: float


class DidService:
    """The service of one server process; enrolments are in a file that all processes share."""

    def __init__(self, context: ServiceContext) -> None:
        assert isinstance(context.options, DidOptions)
        self._options = context.options
        self._context = context
        self._enrolment = msgspec.json.Decoder(_Enrolment)
        self._verification = msgspec.json.Decoder(_Verification)
        self._state: StateFile
        self._limits: ClientLimits

    async def start(self) -> None:
        """Open the state file."""
        self._state = StateFile(self._context.run_dir, self._context.shared, client_limits.SCHEMA + _SCHEMA)
        self._limits = ClientLimits(self._state, self._options.client_limit_per_minute)

    async def stop(self) -> None:
        """Close the state file."""
        self._state.close()

    async def enroll(self, request: Request) -> Response:
        """Enrol a wallet: 201 for a new wallet, 409 for an enrolled one, whatever its hash."""
        body = decode_body(self._enrolment, await request.body())
        self._limits.take(body.wallet_address, time.monotonic_ns())
        now_s = time.time()
        row = (body.wallet_address, body.biometric_hash.lower(), body.metadata.device_id, now_s)
        try:
            self._state.write("INSERT INTO enrolments VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise ApiError(409, "already_enrolled", f"{body.wallet_address} is enrolled") from None
        found = {"did": _did(body.wallet_address), "wallet_address": body.wallet_address, "enrolled_at": now_s}
        return answer(found, 201, outcome="enrolled")

    async def verify(self, request: Request) -> Response:
        """Answer with 200 if the wallet is enrolled with the same hash, and the timestamp is not stale."""
        body = decode_body(self._verification, await request.body())
        self._limits.take(body.wallet_address, time.monotonic_ns())
        age_s = time.time() - body.timestamp
        if abs(age_s) > self._options.max_age_s:
            raise ApiError(
                400, "stale_timestamp", f"timestamp is {age_s:.0f} s old; at most {self._options.max_age_s:g}"
            )
        row = self._state.connection.execute(
            "SELECT biometric_hash FROM enrolments WHERE wallet = ?", (body.wallet_address,)
        ).fetchone()
        if row is None:
            raise ApiError(401, "not_enrolled", f"{body.wallet_address} is not enrolled")
        if not hmac.compare_digest(row[0], body.biometric_hash.lower()):
            raise ApiError(401, "hash_mismatch", "biometric_hash is not the one that was enrolled")
        return answer({"verified": True, "did": _did(body.wallet_address)}, outcome="verified")


def _did(wallet: str) -> str:
    return f"did:example:{sha256(wallet.encode()).hexdigest()[:40]}"
