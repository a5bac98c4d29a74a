"""Handlers of the target ``score``."""

from __future__ import annotations

import re
import time
from hashlib import sha256

import msgspec

from fastload.targets.application import ServiceContext
from fastload.targets.database import StateFile
from fastload.targets.messages import ApiError, Request, Response, answer, decode_body
from fastload.targets.options import ScoreOptions

_SCHEMA = """
CREATE TABLE IF NOT EXISTS verifications (
    scorer TEXT NOT NULL, address TEXT NOT NULL, verified_s REAL NOT NULL, PRIMARY KEY (scorer, address)
) WITHOUT ROWID;
"""
_ADDRESS = re.compile("0x[0-9a-fA-F]{40}").fullmatch
# Stamp -> its worth. An address holds a stamp if the stamp's bit in a hash of scorer and address is set.
_STAMPS = {
    "email": 0.5,
    "phone": 1.5,
    "code_host": 2.0,
    "chat": 1.0,
    "video_call": 6.0,
    "government_id": 16.0,
    "bank_account": 8.0,
    "domain_name": 1.5,
    "token_holder": 3.0,
    "early_user": 4.0,
}


class _Verify(msgspec.Struct, frozen=True, rename={"scorer_id": "scorerId"}):
    address: str
    scorer_id: str


class ScoreService:
    """The service of one server process.

    A score is computed from scorer and address. Times of verification are in a file that all processes share.
    """

    def __init__(self, context: ServiceContext) -> None:
        assert isinstance(context.options, ScoreOptions)
        self._context = context
        self._scorers = context.options._scorer_ids
        self._threshold = context.options.threshold
        self._verify = msgspec.json.Decoder(_Verify)
        self._state: StateFile

    async def start(self) -> None:
        """Open the state file."""
        self._state = StateFile(self._context.run_dir, self._context.shared, _SCHEMA)

    async def stop(self) -> None:
        """Close the state file."""
        self._state.close()

    async def score(self, request: Request) -> Response:
        """Answer with the score of an address, and the time of its last verification."""
        scorer = request.parameters["scorer"]
        address = self._checked(scorer, request.parameters["address"])
        row = self._state.connection.execute(
            "SELECT verified_s FROM verifications WHERE scorer = ? AND address = ?", (scorer, address)
        ).fetchone()
        return answer(self._scored(scorer, address, row[0] if row else None), outcome="score_read")

    async def verify(self, request: Request) -> Response:
        """Verify an address now, and answer with its score."""
        body = decode_body(self._verify, await request.body())
        address = self._checked(body.scorer_id, body.address)
        now_s = time.time()
        self._state.write("INSERT OR REPLACE INTO verifications VALUES (?, ?, ?)", (body.scorer_id, address, now_s))
        return answer(self._scored(body.scorer_id, address, now_s), outcome="score_verified")

    def _checked(self, scorer: str, address: str) -> str:
        """Check scorer and address, and return *address* in lower case.

        Raises:
            ApiError: 404, there is no such scorer; 400, *address* is not an address.
        """
        if scorer not in self._scorers:
            raise ApiError(404, "unknown_scorer", f"there is no scorer {scorer}")
        if not _ADDRESS(address):
            raise ApiError(400, "invalid_address", "an address is 0x and 40 hex digits")
        return address.lower()

    def _scored(self, scorer: str, address: str, verified_s: float | None) -> dict[str, object]:
        bits = int.from_bytes(sha256(f"{scorer} {address}".encode()).digest()[:2], "big")
        stamps = {name: worth for place, (name, worth) in enumerate(_STAMPS.items()) if bits >> place & 1}
        score = sum(stamps.values())
        return {
            "address": address,
            "score": score,
            "passing_score": score >= self._threshold,
            "threshold": self._threshold,
            "last_score_timestamp": verified_s,
            "stamps": stamps,
        }
