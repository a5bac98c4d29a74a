"""Merkle roots over events, hashed as in RFC 6962: leaves start with byte 0, inner nodes with byte 1."""

from __future__ import annotations

from hashlib import sha256

HASH_BYTES = 32


def leaf_hashes(event_ids: bytes, payload_digests: list[bytes]) -> bytes:
    """Return the leaf hashes of all events, joined.

    A leaf is the SHA-256 of byte 0, the event's id (16 bytes) and the SHA-256 of its payload.
    """
    return b"".join(
        [
            sha256(b"\x00%b%b" % (event_ids[16 * index : 16 * index + 16], digest)).digest()
            for index, digest in enumerate(payload_digests)
        ]
    )


def merkle_root(leaves: bytes) -> bytes:
    """Return the root over *leaves* (32 bytes each, one or more).

    A last node without a partner moves up one level unchanged.
    """
    level = leaves
    while len(level) > HASH_BYTES:
        pairs = len(level) // (2 * HASH_BYTES)
        parents = [
            sha256(b"\x01" + level[start : start + 2 * HASH_BYTES]).digest()
            for start in range(0, pairs * 2 * HASH_BYTES, 2 * HASH_BYTES)
        ]
        level = b"".join([*parents, level[pairs * 2 * HASH_BYTES :]])
    return level
