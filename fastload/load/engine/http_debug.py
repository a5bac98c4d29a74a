"""Debug printer: the requests and responses of one VU on stderr, as ``curl -v`` shows them (``--http-debug``)."""

from __future__ import annotations

import re
import sys
from typing import TextIO

from fastload.model.redaction import REDACTED, is_secret, redacted

# libcurl's CURLINFO_TEXT and following values; encrypted data (5 and 6) is not shown.
_TEXT, _HEADER_IN, _HEADER_OUT, _DATA_IN, _DATA_OUT = range(5)
_MARK = {_TEXT: "* ", _HEADER_IN: "< ", _HEADER_OUT: "> ", _DATA_IN: "", _DATA_OUT: ""}
# A header as a line of HTTP/1, and in libcurl's text about HTTP/2.
_HEADER_LINE = re.compile(r"^(\s*([^:\s]+)\s*:).+")
_HEADER_IN_TEXT = re.compile(r"(\[([^\[\]:]+):)[^\]]*(?=\])")


class DebugPrinter:
    """Prints the data of libcurl's debug callback. *full*: print bodies too, and do not mask secrets."""

    def __init__(self, *, full: bool, stream: TextIO | None = None) -> None:
        self._full = full
        self._stream = stream

    def __call__(self, kind: int, data: bytes) -> None:
        """Print *data*; libcurl's debug callback."""
        if kind not in _MARK or (kind in (_DATA_IN, _DATA_OUT) and not self._full):
            return
        stream = self._stream or sys.stderr
        stream.write("".join(f"{_MARK[kind]}{line}\n" for line in self._lines(kind, data)))
        stream.flush()

    def _lines(self, kind: int, data: bytes) -> list[str]:
        if kind in (_DATA_IN, _DATA_OUT):
            try:
                return data.decode().splitlines()
            except UnicodeDecodeError:
                return [f"[{len(data)} bytes]"]
        lines = data.decode("latin-1").splitlines()
        if self._full:
            return lines
        if kind == _TEXT:
            return [redacted(_HEADER_IN_TEXT.sub(_without_value, line)) for line in lines]
        return [redacted(_HEADER_LINE.sub(_without_value, line)) for line in lines]


def _without_value(header: re.Match[str]) -> str:
    return f"{header[1]} {REDACTED}" if is_secret(header[2]) else header[0]
