"""Index keys: one integer that means "an event with this 32-bit hash is at this position".

Positions number all stored events. A generation is a range of 2**15 positions. A key is (generation, hash, position
within the generation). So inserts go only to the newest generation, a few hundred pages, and cost 1 us at any size;
a look-up visits each generation. There is room for 2**31 events.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import orjson

_GENERATION_BITS = 15
_GENERATION_SHIFT = 32 + _GENERATION_BITS
_WITHIN = (1 << _GENERATION_BITS) - 1


def keys_document(first_position: int, hashes: npt.NDArray[np.int64]) -> str:
    """Return the sorted keys of events at consecutive positions, as a JSON array for ``json_each``.

    All keys go into one statement, because each further statement would cost a hand-over of the interpreter lock.
    """
    positions = np.arange(first_position, first_position + len(hashes), dtype=np.int64)
    keys = (positions >> _GENERATION_BITS) << _GENERATION_SHIFT | hashes << _GENERATION_BITS | positions & _WITHIN
    keys.sort()
    return orjson.dumps(keys, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def insert_sql(table: str) -> str:
    """Return SQL that stores a ``keys_document``."""
    return f"INSERT INTO {table} SELECT value FROM json_each(?)"


def lookup_sql(table: str) -> str:
    """Return SQL for the positions of events with a hash, ascending.

    Parameters: ``:hash``, ``:head`` (the number of positions), ``:limit``.
    """
    # Parentheses are needed: in SQLite, << and | have equal precedence, from left to right, unlike in Python.
    low = f"((generation.number << {_GENERATION_SHIFT}) | (:hash << {_GENERATION_BITS}))"
    return f"""
        WITH RECURSIVE generation(number) AS (
            SELECT 0 UNION ALL
            SELECT number + 1 FROM generation WHERE number + 1 <= ((:head - 1) >> {_GENERATION_BITS})
        )
        SELECT (generation.number << {_GENERATION_BITS}) | (key & {_WITHIN}) AS position
        FROM generation CROSS JOIN {table} ON key BETWEEN {low} AND ({low} | {_WITHIN})
        ORDER BY position LIMIT :limit
    """
