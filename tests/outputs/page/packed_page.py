"""What a page in one file holds packed, read as its description says and not as its script does."""

from __future__ import annotations

import json
import zlib
from typing import Any

DIGITS = {digit: value for value, digit in enumerate(chr(code) for code in range(0x20, 0x7F) if chr(code) != "<")}


def unpack(text: str) -> bytes:
    assert len(text) % 11 == 0
    numbers = []
    for at in range(0, len(text), 11):
        number = 0
        for digit in text[at : at + 11]:
            number = 94 * number + DIGITS[digit]
        numbers.append(number.to_bytes(9, "big"))
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(b"".join(numbers))


def packed_text(page: str, name: str) -> str:
    """The text of the element that holds *name*."""
    return page.partition(f'id="packed-{name}" data-size="')[2].partition('">')[2].partition("</script>")[0]


def data_in(page: str) -> Any:
    """The data of *page*."""
    return json.loads(unpack(packed_text(page, "data")))
