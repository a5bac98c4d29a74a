"""Text of files that users hand in: UTF-8, with or without the byte order mark that editors of Windows write."""

from __future__ import annotations

from collections.abc import Mapping

from fastload.model.errors import PlanError

HEAD_BYTES = 4
"""How many bytes at the beginning of a file say how it is encoded."""
_BOM = b"\xef\xbb\xbf"
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
# Which of the first bytes are not 0 in a text without a mark. What is read here begins with ASCII.
_UNMARKED: Mapping[tuple[int, ...], str] = {
    (1, 0, 0, 0): "UTF-32",
    (0, 0, 0, 1): "UTF-32",
    (1, 0, 1, 0): "UTF-16",
    (0, 1, 0, 1): "UTF-16",
}


def utf8_bytes(data: bytes, name: str) -> bytes:
    """Return *data*, the content of the text file *name*, without a byte order mark.

    Raises:
        PlanError: it is UTF-16 or UTF-32.
    """
    check_encoding(data[:HEAD_BYTES], name)
    return data.removeprefix(_BOM)


def utf8_text(data: bytes, name: str) -> str:
    """Return *data*, the content of the text file *name*, as text.

    Raises:
        PlanError: it is not UTF-8; the message has the line, or the name of the encoding if it is known.
    """
    data = utf8_bytes(data, name)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlanError(
            f"{name} cannot be read: it is not UTF-8 text (line {line})", hint="save the file as UTF-8"
        ) from error


def check_encoding(head: bytes, name: str) -> None:
    """Check that a file that begins with *head*, `HEAD_BYTES` bytes, may be UTF-8. *name* names it in the message.

    Raises:
        PlanError: it is UTF-16 or UTF-32.
    """
    encoding = next((found for mark, found in _MARKS.items() if head.startswith(mark)), "")
    encoding = encoding or _UNMARKED.get(tuple(int(byte > 0) for byte in head), "")
    if encoding:
        raise PlanError(
            f"{name} is {encoding} text, and only UTF-8 is read",
            hint=f"save it as UTF-8, for example with: iconv -f {encoding} -t UTF-8 FILE > NEW",
        )
