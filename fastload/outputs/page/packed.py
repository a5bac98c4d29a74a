"""Packed texts of a page in one file: compressed, and written in ASCII that HTML leaves as it is.

plotly.js is 4.8 MB of text, and the page of a long run has half a megabyte of data. Packed, the whole page is under
2 MB. The script ``unpack.js`` opens what is packed, in any browser, before the page counts as loaded.

A packed text is raw deflate (RFC 1951) of UTF-8. Nine bytes of it are a number of eleven digits of base 94; the digits
are the printable characters of ASCII without ``<``, so that no text can end its element. This takes 22 % more than the
bytes themselves; base64 would take 33 %.
"""

from __future__ import annotations

import zlib

import numpy as np

_DIGITS = np.array([code for code in range(0x20, 0x7F) if code != ord("<")], dtype=np.uint8)
_BLOCK_BYTES, _BLOCK_DIGITS = 9, 11
_LIMB_BYTES = 3
_LIMB = 1 << 8 * _LIMB_BYTES
# Higher levels take longer, and the file is smaller by 0.1 % only.
_LEVEL = 7


def packed_script(name: str, text: bytes) -> str:
    """Return the element ``#packed-NAME`` that holds *text*, UTF-8; ``data-size`` is its size in bytes."""
    return f'<script type="text/plain" id="packed-{name}" data-size="{len(text)}">{pack_text(text)}</script>'


def pack_text(text: bytes) -> str:
    """Return *text* packed."""
    # A negative window: without a header, since the page knows the size.
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _digits(compressor.compress(text) + compressor.flush())


def _digits(data: bytes) -> str:
    """Return *data* in digits of base 94; zeros are added up to a whole block."""
    whole = np.frombuffer(data + bytes(-len(data) % _BLOCK_BYTES), dtype=np.uint8).reshape(-1, 3, _LIMB_BYTES)
    # The number of a block does not fit into an integer of numpy, so it is divided in three parts, as by hand.
    limbs = [whole[:, place].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]) for place in range(3)]
    digits = np.empty((len(whole), _BLOCK_DIGITS), dtype=np.uint8)
    for place in reversed(range(_BLOCK_DIGITS)):
        rest = np.zeros(len(whole), dtype=np.int64)
        for index, limb in enumerate(limbs):
            limbs[index], rest = np.divmod(rest * _LIMB + limb, len(_DIGITS))
        digits[:, place] = rest
    return _DIGITS[digits].tobytes().decode("ascii")
