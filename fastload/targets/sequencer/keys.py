"""Index of the stored events by a 32-bit hash: of their ids, and of their entities.

Positions number all stored events. A generation is 2**15 positions; it is indexed once, in the transaction that stores
its last event, as 64 sorted blocks of keys. So the index costs an event a fraction of a microsecond at any size; a row
of a b-tree costs one or two, and the pages that it dirties more. A look-up reads one block of 4 KB in each generation.
The events after the last full generation are found in their segments (recent.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint32]

EVENT_IDS = "event_id_blocks"
ENTITIES = "entity_blocks"

GENERATION_BITS = 15
GENERATION = 1 << GENERATION_BITS
_WITHIN = np.uint64(GENERATION - 1)
# A block has the hashes that begin with the same bits.
_BLOCK_BITS = 6
_BLOCK_SHIFT = 32 - _BLOCK_BITS
_KEY = np.dtype("<u8")


def generations(head: int) -> int:
    """Return the number of full generations before position *head*, which are those in the index."""
    return head >> GENERATION_BITS


def write_generation(connection: sqlite3.Connection, table: str, generation: int, hashes: Hashes) -> None:
    """Index the events of a generation by *hashes*, one for each position.

    A key is the hash, then the position within the generation, in the low 15 bits.
    """
    keys = hashes.astype(_KEY) << np.uint64(GENERATION_BITS) | np.arange(GENERATION, dtype=_KEY)
    keys.sort()
    bounds = np.arange(1, 1 << _BLOCK_BITS, dtype=_KEY) << np.uint64(_BLOCK_SHIFT + GENERATION_BITS)
    blocks = np.split(keys, np.searchsorted(keys, bounds))
    connection.executemany(
        f"INSERT INTO {table} VALUES (?, ?)",
        [(generation << _BLOCK_BITS | number, block.tobytes()) for number, block in enumerate(blocks)],
    )


def find_positions(connection: sqlite3.Connection, table: str, hash32: int, count: int) -> Iterator[int]:
    """Yield the positions of events with *hash32* in the first *count* generations, the newest generation first."""
    if not count:
        return
    rows = connection.execute(
        f"""
        WITH RECURSIVE generation(number) AS (
            SELECT :last UNION ALL SELECT number - 1 FROM generation WHERE number > 0
        )
        SELECT number, keys FROM generation CROSS JOIN {table} ON block = ((number << {_BLOCK_BITS}) | :block)
        """,
        {"last": count - 1, "block": hash32 >> _BLOCK_SHIFT},
    )
    bounds = np.array([hash32, hash32 + 1], dtype=_KEY) << np.uint64(GENERATION_BITS)
    for number, blob in rows:
        keys = np.frombuffer(blob, dtype=_KEY)
        low, high = np.searchsorted(keys, bounds)
        for within in (keys[low:high] & _WITHIN).tolist():
            yield number << GENERATION_BITS | within
