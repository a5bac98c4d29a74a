"""Text on its way to a server and from one: sent as UTF-8, read whatever it is, and never with a line break where one
would begin another header."""

from __future__ import annotations

import codecs

from fastload.model.errors import PlanError

LENIENT = "fastload.lenient"
"""Error handler of `str.encode` for what no UTF-8 can be: lone surrogates. Bytes of the command line that were no UTF-8
(`os.fsdecode`) are sent as they came; every other surrogate becomes U+FFFD, as in browsers."""


def _encode_surrogates(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lone = error.object[error.start : error.end]
    as_bytes = (bytes((ord(one) - 0xDC00,)) if 0xDC80 <= ord(one) <= 0xDCFF else b"\xef\xbf\xbd" for one in lone)
    return b"".join(as_bytes), error.end


codecs.register_error(LENIENT, _encode_surrogates)


def utf8(text: str) -> bytes:
    """Return *text* as UTF-8, whatever is in it; see `LENIENT`."""
    return text.encode("utf-8", LENIENT)


def curl_text(text: str) -> str | bytes:
    """Return *text* as pycurl takes it, which is ASCII or bytes."""
    return text if text.isascii() else utf8(text)


def read_text(raw: bytes) -> str:
    """Return *raw* as text: it is UTF-8 if it can be that, and Latin-1 otherwise. Every byte string can be read."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def shown(text: str) -> str:
    """Return *text* so that it can be printed and sent between processes: without lone surrogates."""
    return text if text.isascii() else utf8(text).decode("utf-8", "replace")


def one_line(text: str) -> str:
    """Return *text* on one line, with ``?`` for unprintable characters (escape codes, lone surrogates)."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def check_line(text: str, what: str) -> str:
    """Return *text*, a part of one line that is sent. *what* names it in the message.

    Raises:
        PlanError: *text* has a line break, with which it would inject a header or a request; or a NUL, which ends it.
    """
    if "\n" in text or "\r" in text or "\0" in text:
        broken = "a NUL" if "\0" in text else "a line break"
        raise PlanError(f"{what} has {broken} in it", hint="strip() the value that it is given")
    return text
