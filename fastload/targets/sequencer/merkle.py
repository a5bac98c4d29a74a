"""Merkle roots over events, hashed as in RFC 6962: leaves start with byte 0, inner nodes with byte 1."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

HASH_BYTES = 32
_ID_BYTES = 16
_PAIR_BYTES = 2 * HASH_BYTES
# The hash of the first byte, of which each hash begins with a copy: that is cheaper than to join the byte and the rest.
_LEAF = sha256(b"\x00")
_NODE = sha256(b"\x01")


def leaf_hashes(event_ids: bytes, payload_digests: list[bytes]) -> bytes:
    """Return the leaf hashes of all events, joined.

    A leaf is the SHA-256 of byte 0, the event's id (16 bytes) and the SHA-256 of its payload.
    """
    ids = range(0, len(event_ids), _ID_BYTES)
    return b"".join(
        _hashes(
            _LEAF,
            [event_ids[start : start + _ID_BYTES] + digest for start, digest in zip(ids, payload_digests, strict=True)],
        )
    )


def merkle_root(leaves: bytes) -> bytes:
    """Return the root over *leaves* (32 bytes each, one or more).

    A last node without a partner moves up one level unchanged.
    """
    level = leaves
    while len(level) > HASH_BYTES:
        paired = len(level) // _PAIR_BYTES * _PAIR_BYTES
        parents = _hashes(_NODE, [level[start : start + _PAIR_BYTES] for start in range(0, paired, _PAIR_BYTES)])
        level = b"".join([*parents, level[paired:]])
    return level


def _hashes(begun: _Hash, texts: Iterable[bytes]) -> list[bytes]:
    """Return the hash of each of *texts*, which continue what is *begun*."""
    found = []
    for text in texts:
        one = begun.copy()
        one.update(text)
        found.append(one.digest())
    return found
